"""CNTK's functions and models, converted and run, against what the real CNTK computed.

Whatever does not match is listed in ``known.json`` with the reason; a new failure fails here, and so does an entry that
is no longer true. Batches are whole and ragged, and what follows the end of a sequence is NaN. The recorded models are
evaluated once more by the real CNTK on batches of other sizes, and what its own tests evaluate is captured, where it is
installed (``NXCONVERT_CNTK_PYTHON``).
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.conformance import cntk_cases, corpus
from tests.conformance.cntk_cases import ARCHIVES, HERE, INTERPRETER, Case, difference, from_corpus, outcome, read
from tests.conformance.ratchet import complaint
from tests.conformance.summary import record

OPS, MODELS, SEQUENCES = (ARCHIVES / f"{name}.zip" for name in ("ops", "models", "sequences"))
#: How many cases a test has at most of those that are captured.
CASES = "6"
SUITES = {OPS: "CNTK functions", MODELS: "CNTK models", SEQUENCES: "CNTK sequence models"}
CAPTURED = "CNTK's own tests, captured"
#: What `cntk_capture` calls it that a case was not kept.
ALIKE, SKIPPED = "much like others of the same test", "a test is skipped, by itself"
LEGACY, CHECKPOINT = "legacy.model", "checkpoint.dnn"


def captured_modules() -> list[str]:
    """The modules that `cntk_capture` runs, which this Python cannot import."""
    tree = ast.parse((HERE / "cntk_capture.py").read_text())
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "MODULES":
            return next(item.value for item in ast.walk(node) if isinstance(item, ast.Constant)).split()
    raise AssertionError("cntk_capture has no MODULES")


TESTS = cntk_cases.captured_tests(captured_modules())


@pytest.fixture(scope="session")
def others(shared: Path) -> Path | None:
    """Other batches of the recorded models, if there is a CNTK to ask."""
    if not INTERPRETER.exists():
        return None
    return cntk_cases.recorded(shared, HERE / "cntk_other_batches.py", *SUITES)


@pytest.fixture(scope="session")
def captured(shared: Path) -> Path:
    return cntk_cases.recorded(shared, HERE / "cntk_capture.py", "--cases", CASES)


@pytest.mark.parametrize("name", corpus.parameters(corpus.names(OPS)))
def test_functions(name: str, others: Path | None, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    check_recorded(OPS, name, others, tmp_path, request)


@pytest.mark.parametrize("name", corpus.parameters(corpus.names(MODELS)))
def test_models(name: str, others: Path | None, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    check_recorded(MODELS, name, others, tmp_path, request)


@pytest.mark.parametrize("name", corpus.parameters(corpus.names(SEQUENCES)))
def test_sequence_models(name: str, others: Path | None, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    check_recorded(SEQUENCES, name, others, tmp_path, request)


@pytest.mark.parametrize("name", corpus.parameters(corpus.names(MODELS, LEGACY)))
def test_legacy_files(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    check_other_file("CNTK models, format of version 1", name, LEGACY, tmp_path, request)


@pytest.mark.parametrize("name", corpus.parameters(corpus.names(MODELS, CHECKPOINT)))
def test_checkpoints(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """A trainer's checkpoint holds the loss and the metric too; what is left without them is the model."""
    check_other_file("CNTK models, checkpoints of trainers", name, CHECKPOINT, tmp_path, request)


@cntk_cases.needs_cntk
@pytest.mark.parametrize("module,test", TESTS, ids=lambda text: text)
def test_captured(module: str, test: str, captured: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """The cases of one test together: what is known of them is listed by test."""
    problems = []
    for folder in sorted((captured / module).glob(f"{test}.*")):
        problem = outcome(read(folder), tmp_path / f"{folder.name}.onnx")
        record(request, CAPTURED, "failed" if problem else "matched", f"{module}.{folder.name}")
        problems += [f"{folder.name}: {problem}"] if problem else []
    said = complaint(CAPTURED, f"{module}.{test}", "\n".join(problems))
    assert not said, said


@cntk_cases.needs_cntk
def test_most_tests_are_captured(captured: Path, request: pytest.FixtureRequest) -> None:
    """So that no test above passes for want of cases. What was left out is counted; ``left_out.tsv`` says why."""
    found = {(path.parent.parent.name, path.parent.stem) for path in captured.glob("*/*/meta.json")}
    assert len(found & set(TESTS)) >= 250
    for line in (captured / "left_out.tsv").read_text().splitlines():
        count, _, why = line.partition("\t")
        outcome = {ALIKE: "much alike", SKIPPED: "skipped by CNTK"}.get(why, "not evaluated")
        for _ in range(int(count)):
            record(request, CAPTURED, outcome, counts=False)


def check_recorded(archive: Path, name: str, others: Path | None, folder: Path, request: pytest.FixtureRequest) -> None:
    """The recorded batch of a case, and another."""
    case, target, complaints = from_corpus(archive, name, folder), folder / "converted.onnx", []
    if not case.meta["truth"]:
        record(request, SUITES[archive], "no truth", name, counts=False)
        return
    problem = outcome(case, target)
    complaints.append(noted(SUITES[archive], name, problem, request))
    if others is not None:
        suite, other = f"{SUITES[archive]}, other batches", others / archive.stem / name
        if other.with_name(f"{name}.error").exists():
            record(request, suite, "refused by CNTK", name, counts=False)
        else:
            problem = problem if not target.exists() else difference(another(case, other), target)
            complaints.append(noted(suite, name, problem, request))
    assert not any(complaints), "\n".join(filter(None, complaints))


def another(case: Case, folder: Path) -> Case:
    """Another batch of a case."""
    return Case(case.id, folder, read(folder).meta)


def check_other_file(suite: str, name: str, file: str, folder: Path, request: pytest.FixtureRequest) -> None:
    """Another file of a recorded model has to compute the same."""
    case = from_corpus(MODELS, name, folder)
    problem = outcome(case, folder / "converted.onnx", model=case.folder / file)
    said = noted(suite, name, problem, request)
    assert not said, said


def noted(suite: str, name: str, problem: str, request: pytest.FixtureRequest) -> str:
    """The complaint about a case's outcome, which is recorded."""
    record(request, suite, "failed" if problem else "matched", name)
    return complaint(suite, name, problem)

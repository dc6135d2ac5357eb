"""Caffe2's nets and operators, converted and run, against what the real Caffe2 computed.

Whatever does not match is listed in ``known.json`` with the reason; a new failure fails here, and so does an entry that
is no longer true. The captured cases are made anew by the real one, with a seed (``NXCONVERT_CAFFE2_SEED``), so that
what is listed of them are operators.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path

import pytest

from nxconvert.runtimes.caffe2 import PYTHON
from tests.conformance import caffe2_golden, corpus
from tests.conformance.caffe2_cases import ARCHIVES, OPERATORS, Case, from_corpus, of_operator, outcome, recorded
from tests.conformance.ratchet import complaint
from tests.conformance.summary import record

OPS, MODELS = ARCHIVES / "ops.zip", ARCHIVES / "models.zip"
INTERPRETER = os.environ.get(PYTHON, "")
SEED = os.environ.get("NXCONVERT_CAFFE2_SEED", "0")
#: How many cases an operator has at most of those that are captured.
CASES = "6"
#: What does not count against a suite: the net was not what that suite is about.
ASIDE = frozenset({"asked", "refused"})

real = pytest.mark.skipif(not INTERPRETER, reason=f"no Caffe2 to ask: set {PYTHON}")


def operator_of(case: str) -> str:
    return case.rpartition("_")[0]


OPERATORS_OF_CORPUS = corpus.parameters(name for name, _ in groupby(corpus.names(OPS), operator_of))


@pytest.mark.parametrize("operator", OPERATORS_OF_CORPUS)
def test_operators(operator: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    check("Caffe2 operators", operators_of_corpus(operator, tmp_path), tmp_path, request)


@pytest.mark.parametrize("operator", OPERATORS_OF_CORPUS)
def test_operators_with_free_sizes(operator: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    check("Caffe2 operators, sizes free", operators_of_corpus(operator, tmp_path), tmp_path, request, free=True)


def operators_of_corpus(operator: str, folder: Path) -> Iterable[Case]:
    return [from_corpus(OPS, name, folder) for name in corpus.names(OPS) if operator_of(name) == operator]


@pytest.mark.parametrize("name", corpus.parameters(corpus.names(MODELS)))
def test_nets_with_declared_inputs(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    check("Caffe2 nets, inputs declared", [from_corpus(MODELS, name, tmp_path)], tmp_path, request)


@pytest.mark.parametrize("name", corpus.parameters(corpus.names(MODELS)))
def test_nets_with_inferred_inputs(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Nothing is declared. To ask for a declaration is no failure."""
    case = from_corpus(MODELS, name, tmp_path)
    check("Caffe2 nets, inputs inferred", [case], tmp_path, request, declared=False)


@pytest.fixture(scope="session")
def captured(shared: Path) -> Path:
    return recorded(shared, "caffe2_capture", "--seed", SEED, "--cases", CASES)


@pytest.fixture(scope="session")
def extra(shared: Path) -> Path:
    return recorded(shared, "caffe2_extra")


@real
@pytest.mark.parametrize(
    "archive", list(caffe2_golden.archives(INTERPRETER)) if INTERPRETER else [Path()], ids=lambda path: path.stem
)
def test_golden_cases(archive: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    suite = "Caffe2 golden cases"
    case = caffe2_golden.read(archive, tmp_path)
    if case.meta["op_type"] in OPERATORS:
        check(suite, [case], tmp_path, request)
    else:
        record(request, suite, "only for training", counts=False)


@real
@pytest.mark.parametrize("operator", OPERATORS)
def test_operators_with_more_arguments(
    operator: str, extra: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    check_operator("Caffe2 operators, more arguments", of_operator(extra, operator), operator, tmp_path, request)


@real
@pytest.mark.parametrize("operator", [*OPERATORS, "Net"])
def test_captured(operator: str, captured: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    check_operator("Caffe2 operator tests, captured", of_operator(captured, operator), operator, tmp_path, request)


@real
def test_most_operators_are_captured(captured: Path) -> None:
    """So that no test above passes for want of cases."""
    rows = [line.split("\t") for line in (captured / "summary.tsv").read_text().splitlines()[1:]]
    assert sum(count != "0" for name, count in rows if name in OPERATORS) >= 290
    assert dict(rows)["Net"] != "0"


def check(
    suite: str,
    cases: Iterable[Case],
    folder: Path,
    request: pytest.FixtureRequest,
    *,
    declared: bool = True,
    free: bool = False,
) -> None:
    """Every case on its own: what is known of them is listed by case."""
    complaints = []
    for case in cases:
        result, problem = outcome(case, folder / f"{case.id}.onnx", declared=declared, free=free)
        record(request, suite, result, case.id, counts=result not in ASIDE or result == "asked")
        complaints.append(complaint(suite, case.id, problem))
    assert not any(complaints), "\n".join(filter(None, complaints))


def check_operator(
    suite: str, cases: Iterable[Case], operator: str, folder: Path, request: pytest.FixtureRequest
) -> None:
    """The cases of one operator together: what is known of them is listed by operator."""
    problems = []
    for case in cases:
        result, problem = outcome(case, folder / f"{case.id}.onnx")
        record(request, suite, result, case.id)
        problems += [f"{case.id}: {problem}"] if problem else []
    said = complaint(suite, operator, "\n".join(problems))
    assert not said, said

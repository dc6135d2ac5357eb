"""PyTorch's files of real models and of single operators, converted and run, against what PyTorch computed.

Whatever does not match is listed in ``known.json`` with the reason; a new failure fails here, and so does an entry that
is no longer true.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

import nxconvert
from nxconvert import InputError, NxConvertError
from tests.conformance import corpus
from tests.conformance.pytorch_cases import ARCHIVES, InputSet, cases, difference
from tests.conformance.ratchet import complaint
from tests.conformance.summary import record

MODELS, OPERATORS = ARCHIVES / "models.zip", ARCHIVES / "ops.zip"
SCRIPT = ".pt"
EXPORT = ".pt2"


def parameters(archive: Path, suffix: str) -> list[object]:
    """The cases that have such files."""
    return corpus.parameters(corpus.names(archive, f"*{suffix}"))


@pytest.mark.parametrize("name", parameters(MODELS, SCRIPT))
def test_models_with_declared_inputs(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    check_declared("PyTorch models, inputs declared", MODELS, name, SCRIPT, tmp_path, request)


@pytest.mark.parametrize("name", parameters(OPERATORS, SCRIPT))
def test_operators(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    check_declared("PyTorch operators", OPERATORS, name, SCRIPT, tmp_path, request)


@pytest.mark.parametrize("name", parameters(OPERATORS, EXPORT))
def test_exported_operators(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    check_declared("PyTorch operators, exported", OPERATORS, name, EXPORT, tmp_path, request)


@pytest.mark.parametrize("name", parameters(MODELS, EXPORT))
def test_exported_models(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """An exported program says what its inputs are: one conversion has to fit every recorded call."""
    check_inferred("PyTorch models, exported", MODELS, name, EXPORT, tmp_path, request)


@pytest.mark.parametrize("name", parameters(MODELS, SCRIPT))
def test_models_with_inferred_inputs(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """One conversion has to fit every recorded call. To ask for a declaration is no failure."""
    check_inferred("PyTorch models, inputs inferred", MODELS, name, SCRIPT, tmp_path, request)


def check_inferred(
    suite: str, archive: Path, name: str, suffix: str, folder: Path, request: pytest.FixtureRequest
) -> None:
    """Every file of a folder, converted once, without a word about its inputs."""
    complaints = []
    for case in cases(archive, name, folder, suffix):
        asked, problem = False, ""
        try:
            target = convert(case.path, None)
            problem = next(filter(None, (differs(target, recorded) for recorded in case.input_sets)), "")
        except InputError:
            asked = True
        except NxConvertError as error:
            problem = describe(error)
        record(request, suite, "asked" if asked else "failed" if problem else "matched", case.id)
        complaints.append(complaint(suite, case.id, problem))
    assert not any(complaints), "\n".join(filter(None, complaints))


def check_declared(
    suite: str, archive: Path, name: str, suffix: str, folder: Path, request: pytest.FixtureRequest
) -> None:
    """Every file of a folder, converted for each recorded call with the inputs of that call."""
    complaints = []
    for case in cases(archive, name, folder, suffix):
        problem = ""
        try:
            for recorded in case.input_sets:
                problem = problem or differs(convert(case.path, recorded.inputs), recorded)
        except NxConvertError as error:
            problem = describe(error)
        record(request, suite, "failed" if problem else "matched", case.id)
        complaints.append(complaint(suite, case.id, problem))
    assert not any(complaints), "\n".join(filter(None, complaints))


def convert(source: Path, inputs: Sequence[np.ndarray] | None) -> Path:
    target = source.with_suffix(".onnx")
    nxconvert.convert(source, target, inputs=inputs)
    return target


def differs(target: Path, recorded: InputSet) -> str:
    """How the converted model differs from what was recorded, run by ONNX Runtime where it has the kernels."""
    return difference(recorded, nxconvert.run(target, recorded.inputs))


def describe(error: NxConvertError) -> str:
    return f"{type(error).__name__}: {error}"

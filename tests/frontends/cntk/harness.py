"""Holds converted models against the real CNTK: the same models and batches through both.

A script ``models/FAMILY.py`` has one function for each model. It is run by CNTK's own Python (3.6: no newer syntax)::

    import cntk
    import numpy as np

    def average_with_ceil():
        x = cntk.input_variable((1, 5, 7), name="x")
        return cntk.pooling(x, cntk.AVG_POOLING, (2, 2), (2, 2), ceil_out_dim=True), {"x": _random(3, 1, 5, 7)}

    def _random(*shape):  # what begins with an underscore is no model
        return np.random.standard_normal(shape).astype(np.float32)

Inputs go by name: an array [batch, *shape]; for sequences a list of arrays, [length, *shape] each, ragged if possible.
A function may give a list of such dicts instead: the model has to be right for each of them, whatever its sizes. Values
that NumPy makes at random are the same in each run; so are weights.

A test module runs all of them, and may look at what came out::

    @pytest.mark.parametrize("model", models("pooling"))
    def test_pooling_is_cntks(model: str, recordings: Path) -> None:
        check("pooling", model, recordings)

`check` converts the model, gives it the batch with sequences padded with NaN, two steps more than the longest has, and
compares values, dtypes, shapes, and the lengths of sequences. One process of CNTK makes all models of a family. Without
CNTK (``NXCONVERT_CNTK_PYTHON``, or where ``.ci/oracles`` installs it) these tests are skipped.
"""

from __future__ import annotations

import ast
from pathlib import Path

import onnx
import pytest

from tests.conformance import cntk_cases

RECORD = cntk_cases.HERE / "cntk_record.py"
MODELS = Path(__file__).with_name("models")


def models(family: str) -> list[str]:
    """The names of a family's models."""
    module = ast.parse((MODELS / f"{family}.py").read_text())
    functions = [node.name for node in module.body if isinstance(node, ast.FunctionDef)]
    return [name for name in functions if not name.startswith("_")]


def check(family: str, name: str, recordings: Path, *, rtol: float = 1e-3, atol: float = 1e-5) -> onnx.ModelProto:
    """Compares what a converted model computes with what CNTK does.

    Args:
        family: the script.
        name: the model, a function of it.
        recordings: where the models of all families are kept: the fixture of that name.
        rtol: relative tolerance.
        atol: absolute tolerance.

    Returns:
        The converted model.
    """
    folder = recorded(family, recordings)
    batches = sorted(folder.glob(f"{name}.*"))
    assert batches, f"CNTK has not made {name}"
    for batch in batches:
        assert batch.suffix != ".error", batch.read_text()
        target = recordings / f"{family}-{batch.name}.onnx"
        problem = cntk_cases.outcome(cntk_cases.read(batch), target, rtol=rtol, atol=atol)
        assert not problem, f"{batch.name}: {problem}"
    return onnx.load(target)


def recorded(family: str, recordings: Path) -> Path:
    """The folder with a family's models and what CNTK computes with them: ``NAME.0`` and so on."""
    if not cntk_cases.INTERPRETER.exists():
        pytest.skip(f"no CNTK at {cntk_cases.INTERPRETER}: run .ci/oracles")
    return cntk_cases.recorded(recordings, RECORD, MODELS / f"{family}.py", name=family)

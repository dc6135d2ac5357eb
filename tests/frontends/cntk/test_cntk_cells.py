"""Loops that are known cells, against CNTK itself, and which of ONNX's operators they become."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.frontends.cntk.harness import check, models


@pytest.mark.parametrize("model", models("cells"))
def test_cells_are_what_they_are_in_cntk(model: str, recordings: Path) -> None:
    converted = check("cells", model, recordings)
    found = {node.op_type.lower() for node in converted.graph.node}
    expected = model.split("_")[0]
    assert expected in found
    assert expected == "scan" or "scan" not in found
    assert "nearly" not in model or not found & {"lstm", "gru", "rnn"}


@pytest.mark.parametrize("model", [model for model in models("cells") if model.endswith("_step_is_used")])
def test_the_end_of_a_state_is_an_output_of_its_own(model: str, recordings: Path) -> None:
    nodes = check("cells", model, recordings).graph.node
    (cell,) = [node for node in nodes if node.op_type in ("LSTM", "GRU", "RNN")]
    assert list(map(bool, cell.output)) == [False, True]
    assert sorted(node.op_type for node in nodes) == sorted([cell.op_type, "Cast", "Squeeze", "Transpose"])

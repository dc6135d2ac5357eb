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

"""What inputs are taken for that nobody declares."""

from __future__ import annotations

from pathlib import Path

import pytest

import nxconvert

NETS = {
    "an image": ('type: "MaxPool" input: "x" output: "y" arg { name: "kernel" i: 2 }', 4),
    "a sequence": ('type: "MaxPool1D" input: "x" output: "y" arg { name: "kernels" ints: 2 }', 3),
    "a volume": ('type: "AveragePool" input: "x" output: "y" arg { name: "kernels" ints: 1 ints: 1 ints: 2 }', 5),
    "features": ('type: "FC" input: "x" input: "w" input: "b" output: "y"', 2),
    "features of steps": ('type: "FC" input: "x" input: "w" input: "b" output: "y" arg { name: "axis" i: 2 }', 3),
    "features of pixels": ('type: "FC" input: "x" input: "w" input: "b" output: "y" arg { name: "axis" i: 3 }', 4),
}
INIT = """
op { type: "ConstantFill" output: "w" arg { name: "shape" ints: 2 ints: 5 } }
op { type: "ConstantFill" output: "b" arg { name: "shape" ints: 2 } }
"""


@pytest.mark.parametrize("what", NETS)
def test_ranks(tmp_path: Path, what: str) -> None:
    operator, rank = NETS[what]
    (tmp_path / "init_net.pbtxt").write_text(INIT)
    path = tmp_path / "predict_net.pbtxt"
    path.write_text(f'name: "net" op {{ {operator} }} external_input: "x" external_output: "y"')
    model = nxconvert.load(path)
    (x,) = model.graph.inputs
    assert x.shape is not None
    assert len(x.shape) == rank
    assert x.shape[-1] == 5 if what.startswith("features") else not isinstance(x.shape[-1], int)

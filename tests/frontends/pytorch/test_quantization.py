"""Whole quantized models, as their users make them, against PyTorch; and what the conversion says of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nxconvert

torch = pytest.importorskip("torch")
pytest.importorskip("onnxruntime")
nn, ao = torch.nn, torch.ao.quantization
pytestmark = pytest.mark.filterwarnings("ignore")


class Block(nn.Module):
    """A residual block with a classifier, to be quantized in eager mode."""

    def __init__(self) -> None:
        super().__init__()
        self.quant, self.dequant = ao.QuantStub(), ao.DeQuantStub()
        self.conv, self.norm, self.relu = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU()
        self.depthwise, self.pool = nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.MaxPool2d(2)
        self.sums, self.linear = torch.ao.nn.quantized.FloatFunctional(), nn.Linear(8, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.relu(self.norm(self.conv(self.quant(x))))
        y = self.pool(self.sums.add_relu(self.depthwise(y), y))
        return self.dequant(self.linear(y.mean([2, 3])))


@pytest.fixture(params=["fbgemm", "qnnpack"])
def engine(request: pytest.FixtureRequest) -> Any:
    before, torch.backends.quantized.engine = torch.backends.quantized.engine, request.param
    yield request.param
    torch.backends.quantized.engine = before


def converted(model: Any, x: Any, folder: Path, traced: bool = True) -> tuple[nxconvert.ConversionReport, Any, Any]:
    """The report, what PyTorch returns and what the converted model returns."""
    source, target = folder / "model.pt", folder / "model.onnx"
    torch.jit.save(torch.jit.trace(model, x) if traced else torch.jit.script(model), source)
    report = nxconvert.convert(source, target, inputs=[x.numpy()])
    with torch.no_grad():
        expected = torch.jit.load(source)(x).numpy()
    return report, expected, next(iter(nxconvert.run(target, [x.numpy()]).values()))


@pytest.mark.parametrize("traced", [True, False])
def test_static_network(engine: str, traced: bool, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = ao.fuse_modules(Block().eval(), [["conv", "norm", "relu"]])
    model.qconfig = ao.get_default_qconfig(engine)
    model, x = ao.prepare(model), torch.randn(4, 3, 10, 12)
    model(x)
    model = ao.convert(model)
    report, expected, actual = converted(model, x, tmp_path, traced)
    step = float(model.linear.scale)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1.01 * step)
    (remark,) = report.warnings
    assert f"(of the outputs: output {step:.4g})" in remark


@pytest.mark.parametrize("cell", ["LSTMCell", "GRUCell", "RNNCell"])
def test_dynamic_cells_have_their_packed_biases(cell: str, tmp_path: Path) -> None:
    """Beside the packed ones, archives hold others that PyTorch does not read."""
    torch.manual_seed(0)
    model = ao.quantize_dynamic(nn.Sequential(getattr(nn, cell)(6, 5)).eval(), {getattr(nn, cell)})
    first = model if cell != "LSTMCell" else nn.Sequential(model, First())
    report, expected, actual = converted(first, torch.randn(3, 6), tmp_path)
    np.testing.assert_allclose(actual, expected, rtol=1e-3, atol=1e-4)
    assert "rounds to integers" in report.warnings[0]


class First(nn.Module):
    """The first of two."""

    def forward(self, pair: tuple[Any, Any]) -> Any:
        return pair[0]


def test_floats_are_not_remarked_on(tmp_path: Path) -> None:
    report, _, _ = converted(nn.Linear(3, 2), torch.randn(4, 3), tmp_path)
    assert report.warnings == ()

"""Layers in halves and in float64, through whole archives, against PyTorch.

ONNX Runtime's CPU provider has few kernels for bfloat16 and no convolution in float64: then the reference evaluator
runs what was converted.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import nxconvert

torch = pytest.importorskip("torch")
pytest.importorskip("onnxruntime")
nn = torch.nn
pytestmark = pytest.mark.filterwarnings("ignore")

LAYERS: dict[str, tuple[Any, tuple[int, ...]]] = {
    "Linear": (lambda: nn.Linear(6, 5), (4, 6)),
    "Conv1d": (lambda: nn.Conv1d(4, 6, 3, padding=1), (2, 4, 9)),
    "Conv2d": (lambda: nn.Conv2d(4, 8, 3, groups=2, dilation=2), (2, 4, 9, 8)),
    "ConvTranspose2d": (lambda: nn.ConvTranspose2d(4, 3, 3, 2, 1, 1), (2, 4, 5, 4)),
    "BatchNorm2d": (lambda: nn.BatchNorm2d(4), (2, 4, 5, 4)),
    "GroupNorm": (lambda: nn.GroupNorm(2, 4), (2, 4, 5, 4)),
    "InstanceNorm2d": (lambda: nn.InstanceNorm2d(4, affine=True), (2, 4, 5, 4)),
    "LSTM": (lambda: nn.LSTM(6, 5, 2, bidirectional=True), (4, 3, 6)),
    "GRU": (lambda: nn.GRU(6, 5, batch_first=True), (3, 4, 6)),
    "RNN": (lambda: nn.RNN(6, 5), (4, 3, 6)),
    "TransformerEncoderLayer": (lambda: nn.TransformerEncoderLayer(6, 2, 12, batch_first=True), (2, 4, 6)),
    "MaxPool2d": (lambda: nn.MaxPool2d(3, 2, 1), (2, 4, 9, 8)),
    "AvgPool2d": (lambda: nn.AvgPool2d(3, 2, 1), (2, 4, 9, 8)),
    "AdaptiveMaxPool2d": (lambda: nn.AdaptiveMaxPool2d(3), (2, 4, 9, 8)),
    "AdaptiveAvgPool2d": (lambda: nn.AdaptiveAvgPool2d(1), (2, 4, 9, 8)),
    "Upsample": (lambda: nn.Upsample(scale_factor=1.5, mode="bicubic"), (2, 4, 5, 4)),
    "Unfold": (lambda: nn.Unfold(3, padding=1), (2, 4, 5, 4)),
    "Softplus": (nn.Softplus, (4, 6)),
    "CELU": (nn.CELU, (4, 6)),
}
TOLERANCES = {torch.float16: 1e-2, torch.bfloat16: 3e-2, torch.float64: 1e-7}


@pytest.mark.parametrize("dtype", TOLERANCES, ids=str)
@pytest.mark.parametrize("layer", LAYERS)
def test_layer(layer: str, dtype: Any, tmp_path: Path) -> None:
    make, shape = LAYERS[layer]
    torch.manual_seed(0)
    model, x = make().to(dtype).eval(), torch.randn(shape).to(dtype)
    source, target = tmp_path / "model.pt", tmp_path / "model.onnx"
    torch.jit.save(torch.jit.trace(model, x, check_trace=False), source)
    feed = as_array(x)
    nxconvert.convert(source, target, inputs=[feed])
    with torch.no_grad():
        expected = model(x)
    first = expected[0] if isinstance(expected, tuple) else expected
    actual = next(iter(nxconvert.run(target, [feed]).values()))
    assert actual.dtype == as_array(first).dtype
    tolerance = TOLERANCES[dtype]
    np.testing.assert_allclose(actual.astype(float), first.double().numpy(), rtol=tolerance, atol=tolerance)


def as_array(x: Any) -> np.ndarray:
    return x.float().numpy().astype(ml_dtypes.bfloat16) if x.dtype == torch.bfloat16 else x.numpy()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_numbers_keep_their_precision_in_floor_division(dtype: Any, tmp_path: Path) -> None:
    def program(x: Any) -> Any:
        return x // 0.3

    x = torch.linspace(-3, 3, 61).to(dtype)
    source, target = tmp_path / "model.pt", tmp_path / "model.onnx"
    torch.jit.save(torch.jit.trace_module(Wrapped(program), {"forward": (x,)}), source)
    nxconvert.convert(source, target, inputs=[as_array(x)])
    actual = next(iter(nxconvert.run(target, [as_array(x)]).values()))
    np.testing.assert_array_equal(actual, as_array(program(x)))


class Wrapped(nn.Module):
    """A function as a module."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def forward(self, *args: Any) -> Any:
        return self.function(*args)

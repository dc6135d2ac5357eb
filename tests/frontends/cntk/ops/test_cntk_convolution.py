"""Convolutions against CNTK, and what it does not compute on CPUs."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx_ir as ir
import onnxruntime as ort
import pytest

from nxconvert.frontends.cntk.dynamic import Axes, Tensor
from nxconvert.frontends.cntk.ops.conv import convolution
from nxconvert.frontends.cntk.table import LoweringError
from nxconvert.graph.builder import Builder
from nxconvert.graph.finish import finish
from tests.frontends.cntk.harness import check, models


@pytest.mark.parametrize("model", models("convolution"))
def test_convolutions_are_cntks(model: str, recordings: Path) -> None:
    check("convolution", model, recordings)


def convolved(x: np.ndarray, kernel: np.ndarray, **attributes: Any) -> tuple[np.ndarray, list[str]]:
    """What the lowering makes of a batch and a kernel, and what it warns of."""
    op, warnings = Builder(), []
    context = SimpleNamespace(warn=warnings.append, node=SimpleNamespace(name="conv", uid="uid"))
    operand = Tensor(op.input("x", ir.DataType.FLOAT, [op.dim("batch"), *x.shape[1:]]), Axes(True))
    shape = kernel.shape[:0:-1]
    y = convolution(op, Tensor(op.const(kernel)), operand, kernelShape=shape, context=context, **attributes)
    model = ir.to_proto(finish(op, {"y": y.value})).SerializeToString()
    return ort.InferenceSession(model, providers=["CPUExecutionProvider"]).run(None, {"x": x})[0], warnings


@pytest.mark.parametrize("transpose", [False, True])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_a_dilated_window_is_one_with_zeros_in_it(stride: int, transpose: bool) -> None:
    random = np.random.default_rng(0)
    x, kernel = (random.standard_normal(shape).astype(np.float32) for shape in ((2, 3, 9, 8), (3, 3, 3, 2)))
    spread = np.zeros((3, 3, 5, 4), np.float32)
    spread[:, :, ::2, ::3] = kernel
    settings: dict[str, Any] = {
        "strides": (stride, stride, 3),
        "autoPadding": (True, True, False),
        "transpose": transpose,
    }
    dilated, _ = convolved(x, kernel, dilation=(3, 2, 1), **settings)
    whole, _ = convolved(x, spread, **settings)
    np.testing.assert_allclose(dilated, whole, rtol=1e-4, atol=1e-5)


def test_a_transposed_convolution_with_dilation_needs_padding() -> None:
    x, kernel = np.ones((1, 1, 4), np.float32), np.ones((1, 1, 3), np.float32)
    with pytest.raises(LoweringError, match="dilation"):
        convolved(x, kernel, dilation=(2, 1), autoPadding=(False,), transpose=True)


@pytest.mark.parametrize(("window", "warned"), [(3, False), (2, True)])
def test_groups_with_uneven_padding_are_computed_as_they_are_defined(window: int, warned: bool) -> None:
    x = np.arange(8, dtype=np.float32).reshape(1, 2, 4)
    y, warnings = convolved(x, np.ones((2, 1, window), np.float32), groups=2, autoPadding=(True, False))
    padded = np.pad(x, [(0, 0), (0, 0), ((window - 1) // 2, window // 2)])
    np.testing.assert_array_equal(y, sum(padded[..., i : i + 4] for i in range(window)))
    assert bool(warnings) == warned

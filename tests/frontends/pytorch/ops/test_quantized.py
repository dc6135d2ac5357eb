"""Quantization, quantized layers and what runs between them, against PyTorch.

A quantized result may differ by one step, where both lie on the border between two.
"""

from __future__ import annotations

import warnings
from typing import Any

import pytest
from nxconvert.frontends.pytorch.dtypes import DataType
from nxconvert.frontends.pytorch.table import aten

from nxconvert.graph.builder import Builder
from tests.frontends.pytorch.ops.harness import Weight, check, check_program

torch = pytest.importorskip("torch")
warnings.filterwarnings("ignore", message=".*quantized tensor creation.*")
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

QUINT8, QINT8, QINT32 = torch.quint8, torch.qint8, torch.qint32
SCALE, ZERO = 0.05, 60


def numbers(*shape: int) -> Any:
    torch.manual_seed(0)
    return torch.randn(shape)


# ---- quantizing and dequantizing ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("dtype", "zero"), [(QUINT8, 60), (QINT8, -3), (QINT32, 1000), (QUINT8, 0)])
@pytest.mark.parametrize("tensors", [False, True])
def test_per_tensor(dtype: Any, zero: int, tensors: bool) -> None:
    scale = torch.tensor([0.043]) if tensors else 0.043

    def program(call: Any, x: Any, dtype: Any, scale: Any, zero: Any) -> Any:
        q = call("quantize_per_tensor", x, scale, zero, dtype)
        return call("dequantize", q), call("int_repr", q)

    check_program(program, numbers(4, 5), dtype, scale, torch.tensor([zero]) if tensors else zero)


@pytest.mark.parametrize(("dtype", "axis"), [(QUINT8, 0), (QINT8, 1), (QINT8, -1)])
def test_per_channel(dtype: Any, axis: int) -> None:
    x = numbers(3, 4, 2)
    scales = torch.linspace(0.02, 0.05, x.shape[axis], dtype=torch.float64)

    def program(call: Any, x: Any, scales: Any, zeros: Any, axis: int, dtype: Any) -> Any:
        q = call("quantize_per_channel", x, scales, zeros, axis, dtype)
        return call("dequantize", q), call("int_repr", q)

    check_program(program, x, scales, torch.arange(x.shape[axis]), axis % 3 if axis < 0 else axis, dtype)


def test_parameters_are_read_back() -> None:
    op = Builder()
    x = op.input("x", DataType.FLOAT, [3])
    q = aten.find("quantize_per_tensor", (x, 0.25, 7, 13), {}).function(op, x, 0.25, 7, 13)
    assert aten.find("q_scale", (q,), {}).function(op, q) == 0.25
    assert aten.find("q_zero_point", (q,), {}).function(op, q) == 7
    assert (q.dims, q.dtype_code, q.is_quantized) == ((3,), 13, True)


@pytest.mark.parametrize("reduce_range", [False, True])
@pytest.mark.parametrize("x", [numbers(4, 5), numbers(4, 5).abs(), -numbers(4, 5).abs(), torch.zeros(2, 2)])
def test_dynamic(x: Any, reduce_range: bool) -> None:
    check("quantize_per_tensor_dynamic", x, QUINT8, reduce_range, atol=1e-4)


def test_make_quantized_tensor() -> None:
    integers = torch.arange(6, dtype=torch.uint8).reshape(2, 3)
    check("_make_per_tensor_quantized_tensor", integers, 0.1, 2)
    check(
        "_make_per_channel_quantized_tensor", integers, torch.tensor([0.1, 0.2]), torch.tensor([1, 2]), 0, free=(False,)
    )


# ---- fake quantization -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limits", [(0, 255), (-128, 127), (0, 127), (-7, 7), (0, 1000)])
def test_fake_quantize(limits: tuple[int, int]) -> None:
    check("fake_quantize_per_tensor_affine", numbers(6, 7), 0.031, 4, *limits)
    check(
        "fake_quantize_per_tensor_affine",
        numbers(6, 7),
        torch.tensor([0.031]),
        torch.tensor([4], dtype=torch.int32),
        *limits,
    )
    check("fake_quantize_per_tensor_affine_cachemask", numbers(6, 7), 0.011, 4, *limits)
    check(
        "fake_quantize_per_channel_affine",
        numbers(2, 7),
        torch.tensor([0.03, 0.07]),
        torch.tensor([1, 2], dtype=torch.int32),
        0,
        *limits,
    )


@pytest.mark.parametrize("observer", [0, 1])
@pytest.mark.parametrize(
    ("per_row", "symmetric", "limits"), [(False, False, (0, 127)), (True, True, (-128, 127)), (False, True, (0, 255))]
)
@pytest.mark.parametrize("running", [(-1.0, 2.0), (float("inf"), float("-inf"))])
def test_observed_fake_quantize(
    observer: int, per_row: bool, symmetric: bool, limits: Any, running: tuple[float, float]
) -> None:
    if observer == 0 and running[0] > 0:
        pytest.skip("PyTorch refuses extremes that were never set")
    low, high = (torch.full((3,) if per_row else (), value) for value in running)
    flags = [Weight(torch.tensor([flag])) for flag in (observer, 1)]
    state = (torch.ones(3 if per_row else 1), torch.zeros(3 if per_row else 1, dtype=torch.int32))
    arguments = (0.01, *limits, 0 if per_row else -1, per_row, symmetric)
    check(
        "fused_moving_avg_obs_fake_quant",
        numbers(3, 40),
        *flags,
        low,
        high,
        *state,
        *arguments,
        atol=1e-4,
        free=(False,),
    )


# ---- layers ------------------------------------------------------------------------------------------------------------


def quantized_weight(call: Any, weight: Any, per_channel: bool, axis: int = 0) -> Any:
    if not per_channel:
        return call("quantize_per_tensor", weight, 0.02, 0, QINT8 if isinstance(weight, torch.Tensor) else 12)
    channels = weight.shape[axis] if isinstance(weight, torch.Tensor) else weight.dims[axis]
    scales = [0.01 + 0.005 * i for i in range(channels)]
    return scales


def steps(call: Any, q: Any) -> Any:
    return call("dequantize", q)


@pytest.mark.parametrize("name", ["linear", "linear_relu", "linear_tanh"])
@pytest.mark.parametrize("shape", [(4, 6), (2, 3, 6)])
@pytest.mark.parametrize("per_channel", [False, True])
def test_linear(name: str, shape: tuple[int, ...], per_channel: bool) -> None:
    if name == "linear_tanh":
        torch.backends.quantized.engine = "onednn"

    def program(call: Any, x: Any, w: Any, b: Any, scales: Any, zeros: Any, quint8: Any, qint8: Any) -> Any:
        qx = call("quantize_per_tensor", x, SCALE, ZERO, quint8)
        qw = (
            call("quantize_per_channel", w, scales, zeros, 0, qint8)
            if per_channel
            else call("quantize_per_tensor", w, 0.02, 0, qint8)
        )
        packed = call("quantized::linear_prepack", qw, b)
        return call(f"quantized::{name}", qx, packed, 0.09, 40)

    x, w, b = numbers(*shape), numbers(5, 6), numbers(5)
    scales, zeros = torch.linspace(0.02, 0.04, 5), torch.zeros(5, dtype=torch.long)
    try:
        check_program(
            program, x, Weight(w), Weight(b), Weight(scales), Weight(zeros), QUINT8, QINT8, atol=0.0905, free=(False,)
        )
    finally:
        torch.backends.quantized.engine = "x86"

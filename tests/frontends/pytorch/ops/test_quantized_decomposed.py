"""``quantized_decomposed::*`` against PyTorch."""

from __future__ import annotations

from typing import Any

import pytest

from tests.frontends.pytorch.ops.harness import check

torch = pytest.importorskip("torch")
pytest.importorskip("torch.ao.quantization.fx._decomposed")

SPACE = "quantized_decomposed"
DTYPES = [(torch.uint8, 0, 255), (torch.int8, -128, 127), (torch.int8, -127, 127), (torch.int16, -3000, 3000)]


def numbers(*shape: int) -> Any:
    torch.manual_seed(0)
    return torch.randn(shape)


def integers(dtype: Any, low: int, high: int, *shape: int) -> Any:
    torch.manual_seed(0)
    return torch.randint(low, high + 1, shape, dtype=dtype)


@pytest.mark.parametrize(("dtype", "low", "high"), DTYPES)
@pytest.mark.parametrize("tensors", [False, True])
def test_per_tensor(dtype: Any, low: int, high: int, tensors: bool) -> None:
    scale, zero = (torch.tensor(0.013), torch.tensor(3)) if tensors else (0.013, 3)
    check(f"{SPACE}::quantize_per_tensor", numbers(4, 5), scale, zero, low, high, dtype)
    check(f"{SPACE}::dequantize_per_tensor", integers(dtype, low, high, 4, 5), scale, zero, low, high, dtype)


@pytest.mark.parametrize(("dtype", "low", "high"), DTYPES)
@pytest.mark.parametrize("axis", [0, 1])
def test_per_channel(dtype: Any, low: int, high: int, axis: int) -> None:
    scales, zeros = torch.linspace(0.01, 0.03, 4), torch.arange(4)
    check(f"{SPACE}::quantize_per_channel", numbers(4, 4), scales, zeros, axis, low, high, dtype)
    q = integers(dtype, low, high, 4, 4)
    for zero_points in (zeros, None):
        check(f"{SPACE}::dequantize_per_channel", q, scales, zero_points, axis, low, high, dtype, free=(False,))
    check(f"{SPACE}::fake_quant_per_channel", numbers(4, 4), scales, zeros.int(), axis, 0, 255)


def test_dequantize_to_another_dtype() -> None:
    q = integers(torch.int8, -128, 127, 4, 4)
    half = {"out_dtype": torch.float16, "rtol": 1e-3}
    check(f"{SPACE}::dequantize_per_tensor", q, 0.1, 0, -128, 127, torch.int8, **half)


@pytest.mark.parametrize("x", [numbers(3, 8), numbers(3, 8).abs(), torch.zeros(2, 2)])
def test_choose_parameters(x: Any) -> None:
    check(f"{SPACE}::choose_qparams", x, -128, 127, 1e-7, torch.int8)
    check(f"{SPACE}::choose_qparams", x, 0, 255, 1e-7, torch.uint8)
    check(f"{SPACE}::choose_qparams_symmetric", x, -127, 127, 1e-7, torch.int8)
    check(f"{SPACE}::choose_qparams_symmetric", x, 0, 255, 1e-7, torch.uint8)
    check(f"{SPACE}::choose_qparams_per_token", x, torch.int8)
    check(f"{SPACE}::_choose_qparams_per_token_asymmetric_impl", x, torch.int8)


def test_per_token() -> None:
    scales, zeros = torch.rand(3, 1, dtype=torch.float64) / 20 + 0.01, torch.tensor([[1], [0], [-3]])
    check(f"{SPACE}::quantize_per_token", numbers(3, 8), scales, zeros, -128, 127, torch.int8)
    q = integers(torch.int8, -128, 127, 3, 8)
    check(f"{SPACE}::dequantize_per_token", q, scales, zeros, -128, 127, torch.int8, torch.float32)


@pytest.mark.parametrize(("group", "groups"), [(4, 2), (16, 1)])
def test_per_channel_group(group: int, groups: int) -> None:
    """A group longer than a row is a row."""
    scales, zeros = torch.rand(3, groups) / 10 + 0.05, torch.zeros(3, groups, dtype=torch.int32)
    free = (False,)
    check(f"{SPACE}::quantize_per_channel_group", numbers(3, 8), scales, zeros, -8, 7, torch.int8, group, free=free)
    q = integers(torch.int8, -8, 7, 3, 8)
    for zero_points in (zeros, None):
        arguments = (scales, zero_points, -8, 7, torch.int8, group, torch.float32)
        check(f"{SPACE}::dequantize_per_channel_group", q, *arguments, free=free)

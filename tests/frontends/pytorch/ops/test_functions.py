"""Functions of one operand against PyTorch."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")

from tests.frontends.pytorch.ops.harness import check  # noqa: E402

INSIDE = torch.tensor([[-0.9, -0.5, -1e-4], [1e-6, 0.25, 0.99]])
ABOVE_ONE = INSIDE.abs() + 1
INTEGERS = torch.tensor([[0, 1, -1], [3, -4, 2]])
EXTREMES = torch.tensor([math.nan, math.inf, -math.inf, 0.0, -0.0])
HALVES = torch.tensor([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 3.2, -3.7])

ANYWHERE = """sin cos tan sinh cosh tanh asinh atan exp exp2 expm1 sigmoid erf erfc square neg abs sign sgn
    deg2rad rad2deg sinc reciprocal angle signbit positive"""


@pytest.mark.parametrize("name", ANYWHERE.split())
def test_anywhere(name: str) -> None:
    check(name, INSIDE)
    check(name, INSIDE.double(), rtol=1e-5)
    check(name, torch.tensor(0.5))
    if name != "reciprocal":
        check(name, INTEGERS)


@pytest.mark.parametrize("name", ["asin", "acos", "atanh", "arcsin", "arctan"])
def test_in_the_unit_interval(name: str) -> None:
    check(name, INSIDE)
    check(name, INSIDE.double(), rtol=1e-5)


@pytest.mark.parametrize("name", ["acosh", "log", "log2", "log10", "log1p", "sqrt", "rsqrt"])
def test_of_positive_numbers(name: str) -> None:
    check(name, ABOVE_ONE)
    check(name, ABOVE_ONE.half(), rtol=1e-2, atol=1e-3)
    check(name, INTEGERS.abs() + 1)


@pytest.mark.parametrize("name", ["expm1", "log1p"])
def test_near_zero(name: str) -> None:
    """The result has as many digits as the argument."""
    check(name, torch.tensor([1e-7, -3e-8, 1e-20, 0.0]), rtol=1e-5, atol=0)
    check(name, torch.tensor([math.inf, math.nan, -1.0, 50.0]), rtol=1e-5)


@pytest.mark.parametrize("name", ["exp", "log", "sqrt", "tanh", "abs", "log1p", "expm1", "isfinite", "trunc", "round"])
def test_extremes(name: str) -> None:
    check(name, EXTREMES)


@pytest.mark.parametrize("name", ["floor", "ceil", "trunc", "frac", "round", "fix"])
@pytest.mark.parametrize("x", [HALVES, HALVES.double(), torch.tensor(2.5)])
def test_rounding(name: str, x: torch.Tensor) -> None:
    check(name, x)
    if name != "frac":
        check(name, INTEGERS)


@pytest.mark.parametrize("decimals", [0, 1, 3, -1])
def test_decimals(decimals: int) -> None:
    check("round", HALVES * 12.3456, decimals=decimals)


def test_logit() -> None:
    p = torch.tensor([0.0, 0.01, 0.5, 0.99, 1.0])
    check("logit", p)
    check("logit", p, 0.1)
    check("logit", p, eps=1e-6)


def test_frexp() -> None:
    check("frexp", torch.tensor([0.0, 1.0, 0.5, 8.0, -3.7, 1e-5, 1e20, math.inf]))


@pytest.mark.parametrize("name", ["bitwise_and", "bitwise_or", "bitwise_xor", "__and__", "__or__", "__xor__"])
def test_bits(name: str) -> None:
    check(name, INTEGERS, torch.tensor([3, 6, 5]))
    check(name, INTEGERS.int(), 6)
    check(name, INTEGERS > 0, torch.tensor([True, False, True]))


def test_bitwise_not() -> None:
    check("bitwise_not", INTEGERS)
    check("bitwise_not", INTEGERS > 0)


@pytest.mark.parametrize("name", ["bitwise_left_shift", "bitwise_right_shift"])
@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.uint8])
def test_shifts(name: str, dtype: torch.dtype) -> None:
    x = torch.tensor([100, -100, 1, -1, 0, 77]).to(dtype)
    check(name, x, torch.tensor([0, 1, 2, 3, 4, 5]).to(dtype))
    check(name, x, 2)
    check("__lshift__" if "left" in name else "__rshift__", x, 1)


def test_bfloat16() -> None:
    for name in ("sin", "exp", "round", "atan", "erf"):
        check(name, INSIDE.bfloat16(), rtol=2e-2, atol=1e-2)

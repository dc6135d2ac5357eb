"""Arithmetic of two and more operands against PyTorch."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")

from tests.frontends.pytorch.ops.harness import check, lower  # noqa: E402

F = torch.tensor([[1.5, -2.5, 0.0], [3.0, -0.25, 7.0]])
G = torch.tensor([[2.0, 0.5, -1.5], [-3.0, 4.0, 0.1]])
I = torch.tensor([[7, -7, 0], [3, -5, 12]])  # noqa: E741
J = torch.tensor([[2, 2, -3], [-3, 4, 5]])
B = torch.tensor([[True, False, True], [False, False, True]])
C = torch.tensor([[True, True, False], [False, True, True]])
ROW = torch.tensor([2.0, -1.0, 0.5])
ZERO_DIM = torch.tensor(2.5)
NAN, INF = math.nan, math.inf
ODD = torch.tensor([NAN, INF, -INF, -0.0, 1.0])


@pytest.mark.parametrize(
    "name", ["add", "sub", "mul", "div", "maximum", "minimum", "fmax", "fmin", "remainder", "fmod"]
)
@pytest.mark.parametrize(
    ("a", "b"),
    [
        (F, G),
        (F, ROW),
        (I, J),
        (I, G),
        (F, J),
        (I.int(), J),
        (I.to(torch.uint8), J.abs().to(torch.uint8)),
        (I, ZERO_DIM),
    ],
)
def test_two_tensors(name: str, a: torch.Tensor, b: torch.Tensor) -> None:
    check(name, a, b)


@pytest.mark.parametrize("name", ["add", "sub", "rsub", "mul", "div", "remainder", "fmod", "floor_divide"])
@pytest.mark.parametrize("a", [F, I, F.half(), F.double(), torch.tensor(3)])
@pytest.mark.parametrize("number", [2, 2.5, -3])
def test_tensor_and_number(name: str, a: torch.Tensor, number: float) -> None:
    check(name, a, number, rtol=2e-3 if a.dtype == torch.half else 1e-4)


@pytest.mark.parametrize("name", ["add", "sub", "rsub"])
@pytest.mark.parametrize("alpha", [1, 3, -0.5])
def test_alpha(name: str, alpha: float) -> None:
    check(name, F, G, alpha=alpha)
    check(name, F, 2.0, alpha)
    if alpha != -0.5:
        check(name, I, J, alpha=alpha)


def test_bools_are_joined() -> None:
    check("add", B, C)
    check("mul", B, C)
    check("add", B, C, alpha=True)
    check("maximum", B, C)
    check("minimum", B, C)
    check("mul", B, 2)
    check("add", B, I)


@pytest.mark.parametrize("mode", [None, "trunc", "floor"])
@pytest.mark.parametrize(("a", "b"), [(F, G), (I, J), (F, 0.1), (I, -2), (I.to(torch.uint8), 3), (F, ODD[[1, 2, 4]])])
def test_rounding_modes(mode: str | None, a: torch.Tensor, b: torch.Tensor | float) -> None:
    check("div", a, b, rounding_mode=mode)


def test_floor_of_the_exact_quotient() -> None:
    """1.0 / 0.1 rounds to 10, though 0.1 goes into 1.0 nine times and leaves a rest."""
    check("floor_divide", torch.tensor([1.0, -1.0, 0.3]), torch.tensor([0.1, 0.1, 0.1]))
    check("remainder", torch.tensor([1.0, -1.0, 5.0, -1e-9]), 0.1)
    check("remainder", torch.tensor([1.0, -1.0, 5.0]), -3.0)
    check("remainder", 7, torch.tensor([2, -2, 3]))


@pytest.mark.parametrize("exponent", [2, 3, 0.5, -0.5, -1, 1, 0, 2.5])
def test_power(exponent: float) -> None:
    check("pow", F.abs() + 0.5, exponent)
    check("pow", F.abs().double() + 0.5, exponent)
    if exponent in (2, 3, 0, 2.5):
        check("pow", I.abs(), exponent)
        check("pow", I.abs().to(torch.int8), exponent)


def test_power_of_tensors() -> None:
    check("pow", F.abs(), G)
    check("pow", 2, I)
    check("pow", 2.5, F)
    check("pow", I, J.abs())
    check("float_power", I, 2)
    check("float_power", F.abs(), G)
    check("ldexp", F, I)
    check("pow", ODD, 2.0)


@pytest.mark.parametrize("x", [F, I, F.double(), I.short(), ODD])
@pytest.mark.parametrize(("low", "high"), [(-1, 2), (None, 1), (0, None), (3, 1)])
def test_clamp(x: torch.Tensor, low: int | None, high: int | None) -> None:
    check("clamp", x, low, high)


def test_clamp_by_tensors() -> None:
    check("clamp", F, ROW, None)
    check("clamp", F, ROW, ROW + 1)
    check("clamp", I, 0.5, 2.5)
    check("clamp", F, torch.tensor(0.0), torch.tensor(1.0))
    check("clamp_min", F, 0)
    check("clamp_max", F, ROW)
    check("clamp", F, NAN, 1.0)


def test_nan_is_passed_on_or_over() -> None:
    a, b = torch.tensor([NAN, 1.0, NAN, 2.0]), torch.tensor([1.0, NAN, NAN, 3.0])
    for name in ("maximum", "minimum", "fmax", "fmin"):
        check(name, a, b)


@pytest.mark.parametrize("name", ["hypot", "logaddexp", "logaddexp2", "copysign", "nextafter", "heaviside"])
def test_of_two(name: str) -> None:
    check(name, F, G)
    check(name, F, ROW)
    check(name, F.double(), G.double())


def test_atan2() -> None:
    y, x = torch.meshgrid(torch.tensor([-2.0, 0.0, 3.0]), torch.tensor([-1.0, 0.0, 5.0]), indexing="ij")
    check("atan2", y, x)
    check("atan2", I, J)
    check("atan2", torch.tensor([1.0, -1.0, 2.0, -2.0]), torch.tensor([-0.0, -0.0, 0.0, 0.0]))


def test_infinite_logaddexp() -> None:
    check("logaddexp", torch.tensor([-INF, -INF, INF]), torch.tensor([-INF, 0.0, 0.0]))


def test_signs() -> None:
    check("copysign", ODD[1:], torch.tensor([-0.0, 0.0, -3.0, 2.0]))
    check("copysign", F, -0.0)
    check("heaviside", torch.tensor([-1.0, 0.0, 2.0]), torch.tensor([0.5, 0.5, 0.5]))


@pytest.mark.parametrize("name", ["gcd", "lcm"])
def test_divisors(name: str) -> None:
    check(name, torch.tensor([12, -18, 0, 7]), torch.tensor([18, 12, 5, 0]))
    check(name, I, torch.tensor([4, 6, 9]))


def test_multiply_and_add() -> None:
    check("addcmul", F, G, ROW, value=0.5)
    check("addcdiv", F, G, ROW, value=2)
    check("lerp", F, G, 0.25)
    check("lerp", F, G, 0.75)
    check("lerp", F, G, ROW)


def test_nan_to_num() -> None:
    check("nan_to_num", ODD)
    check("nan_to_num", ODD, 1.0, 2.0, -3.0)
    check("nan_to_num", ODD.half())
    check("nan_to_num", I)


def test_few_nodes() -> None:
    """What is fast in PyTorch is one node."""
    for args, count in [(("add", F, 1.0), 1), (("clamp", F, 0, 1), 1), (("pow", F, 2), 1), (("div", F, 2.0), 1)]:
        model, _, _ = lower(args[0], args[1:], {}, free=True)
        assert len(model.graph) == count, args[0]


@pytest.mark.parametrize("exponent", [0, 1, 2, 3, 5, 13])
def test_powers_of_integers_wrap_around(exponent: int) -> None:
    check("pow", torch.tensor([3, -7, 0, 1, -(2**31) - 5, 10**9 + 7]), exponent)
    check("pow", torch.tensor([3, -7, 0, 1], dtype=torch.int32), exponent)


def test_powers_by_integers() -> None:
    """A negative power of what is neither 1 nor -1 is none."""
    base = torch.tensor([[-3], [-1], [0], [1], [2], [9]])
    check("pow", base, torch.tensor([-3, -2, -1, 0, 1, 2, 5, 40, 63, 64, 70]))
    check("pow", 3, torch.tensor([0, 1, 40, 41, 70]))
    check("pow", base.to(torch.int32), torch.tensor([-1, 0, 7, 33], dtype=torch.int32))
    check("pow", base.abs().to(torch.uint8), torch.tensor([0, 7, 200], dtype=torch.uint8))

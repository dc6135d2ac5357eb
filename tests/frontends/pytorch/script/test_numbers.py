"""Python's numbers, known and as inputs: signs of division, promotion, conversions, comparison, sizes."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'nxconvert[torch]'")

from torch import Tensor  # noqa: E402

from tests.frontends.pytorch.script.harness import check, trace  # noqa: E402

X = torch.tensor([[0.5, -1.5, 2.0], [1.0, 3.0, -0.5]])
N = torch.tensor([[5, -7, 2], [-1, 3, 0]])
PAIRS = [(7, 2), (-7, 2), (7, -2), (-7, -2), (6, 3), (-6, 3), (0, 5), (1, 1000), (-1, 1000)]


def test_division_of_ints() -> None:
    def program(a: int, b: int) -> tuple[int, int, float, int, int]:
        return a // b, a % b, a / b, a * b - a, divmod(a, b)[1]

    check(program, *PAIRS)


def test_division_of_floats() -> None:
    def program(a: float, b: float) -> tuple[float, float, float]:
        return a // b, a % b, a / b

    check(program, *((float(a), float(b)) for a, b in PAIRS), (2.5, 0.5), (-2.5, 0.75))


def test_division_of_a_tensor_by_a_number() -> None:
    def program(x: Tensor, a: int, f: float) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
        floor = torch.div(x, a, rounding_mode="floor")
        trunc = torch.div(x, a, rounding_mode="trunc")
        return x / a, x // a, x % a, floor, trunc, x * f

    for a in (2, -2, 3):
        check(program, (X * 3, a, 0.5), (X, a, 1.5))
        check(program, (N, a, 0.5))


def test_rounding() -> None:
    def program(f: float) -> tuple[int, int, int, float]:
        return int(f), math.floor(f), math.ceil(f), round(f)

    check(program, (2.5,), (-2.5,), (0.5,), (1.5,), (-0.7,), (3.0,))


def test_conversions() -> None:
    def program(n: int, f: float, b: bool) -> tuple[float, int, int, bool, bool, float]:
        return float(n), int(f), int(b), bool(n), bool(f), float(b)

    check(program, (3, 2.75, True), (0, 0.0, False), (-2, -2.75, True))


def test_numbers_from_tensors() -> None:
    def program(x: Tensor, n: Tensor) -> tuple[int, float, bool, int, float]:
        i = int(x[0, 2])
        f = float(n[0, 1])
        return i * 2, f / 2, bool(x[0, 0] > 0), n[0, 0].item() + n.sum().item(), x.max().item() * 2.0  # type: ignore

    check(program, (X, N), (-X * 1.7, -N))


def test_powers() -> None:
    def program(n: int, f: float, x: Tensor, k: Tensor) -> tuple[float, float, Tensor, Tensor, Tensor]:
        return n**2, f**3, x.abs() ** f, k**2, 2**x

    check(program, (3, 1.5, X, N), (-2, 0.5, X, N))


def test_known_powers() -> None:
    def program(n: Tensor) -> tuple[Tensor, Tensor]:
        return n * 2**3, n + 2**-1

    check(program, (N,))


def test_promotion_with_numbers() -> None:
    def program(n: Tensor, x: Tensor, i: int, f: float, b: bool) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        return n + i, n * f, x + i, n + b, (n > 0) + f

    check(program, (N, X, 2, 0.5, True), (N, X, -3, 1.25, False))


def test_promotion_with_tensors_of_rank_0() -> None:
    def program(n: Tensor, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        half = x.to(torch.float16)
        return n + x.sum().to(torch.float64), half * x.sum(), n * torch.tensor(2.5), torch.tensor(3) / n.sum()

    check(program, (N, X), rtol=1e-2)


def test_comparisons() -> None:
    def program(a: int, b: int, f: float) -> tuple[bool, bool, bool, bool, bool, bool, bool]:
        return a < b, a <= b, a == b, a != b, a > f, a >= f and b < f, (a < b) == (f > 0)

    check(program, *((a, b, f) for a, b in [(1, 2), (2, 1), (2, 2)] for f in (-1.0, 1.5, 2.0)))


def test_minimum_and_maximum() -> None:
    def program(a: int, b: int, f: float) -> tuple[int, int, float, int, float]:
        return min(a, b), max(a, b, 3), max(f, 1.5), abs(a), abs(f)

    check(program, (1, 2, 0.5), (5, -4, 2.5), (-7, -7, -3.5))


def test_functions_of_math() -> None:
    def program(f: float, n: int) -> tuple[float, float, float, float, float, float]:
        f = abs(f) + 0.1
        return math.sqrt(f), math.exp(f), math.log(f), math.sin(f), math.pow(f, 2.0), math.log10(n + 10)

    check(program, (0.5, 3), (2.0, 7))


def test_bits() -> None:
    def program(a: int, b: int) -> tuple[int, int, int, int, int]:
        return a & b, a | b, a ^ b, a << 2, a >> 1

    check(program, (12, 10), (7, 0), (-8, 3))


def test_an_int_shapes_a_tensor() -> None:
    def program(n: int, m: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        grid = torch.zeros(n, m) + torch.arange(m)
        return grid, torch.arange(n, n + m, 2), torch.linspace(0, 1, n), torch.eye(m)

    check(program, (3, 4), (1, 2), (5, 1))


def test_an_int_slices_a_tensor() -> None:
    def program(x: Tensor, i: int, j: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        return x[:, i:], x[:, :i], x[:, i:j], x[:, i]

    check(program, *((X, i, j) for i in (0, 1, 2, -1, -2) for j in (-1, 0, 1, 9)))


def test_shape_arithmetic() -> None:
    def program(x: Tensor) -> Tensor:
        b, c, h, w = x.shape
        y = x.view(b, c // 2, 2, h * w).mean(-1).reshape(b, -1)[:, : c - 1] * float(h) / w
        return y + (h - 1) // 2 + (w + 1) % 3 + max(h, w) + min(b, c) - int(h / w) + int(h > w)

    sizes = [(2, 4, 3, 5), (3, 6, 2, 2), (1, 2, 5, 1), (4, 8, 6, 7)]
    check(program, *((torch.randn(size),) for size in sizes))


def test_shape_arithmetic_with_negatives_and_rounding() -> None:
    def program(x: Tensor) -> tuple[int, int, int, int, int, float]:
        n = x.size(0)
        return (3 - n) // 2, (3 - n) % 4, -(-n // 2), -n % 3, (n - 7) // -2, n / 4

    check(program, *((torch.randn(n),) for n in range(1, 12)))


def test_padding_to_a_multiple() -> None:
    def program(x: Tensor, k: int) -> Tensor:
        pad = (k - x.size(-1) % k) % k
        y = torch.nn.functional.pad(x, [0, pad])
        return y.view(x.size(0), -1, k).sum(1)

    check(program, *((torch.randn(2, n), 4) for n in (1, 3, 4, 5, 8)), constants={"k": 4})
    check(program, *((torch.randn(2, n), k) for n in (1, 3, 4, 5, 8) for k in (1, 4)))


def test_traced_shape_arithmetic() -> None:
    def program(x: Tensor) -> Tensor:
        b, n = x.shape
        y = x.reshape(b, n // 2, 2).transpose(1, 2).reshape(b * 2, -1)
        return y * n + torch.arange(y.shape[1]) - y.shape[0] / 2

    check(trace(program, torch.randn(2, 6)), (torch.randn(2, 6),), (torch.randn(3, 4),), (torch.randn(1, 2),))


def test_traced_numbers_in_tensors() -> None:
    def program(x: Tensor) -> Tensor:
        n = torch.tensor(x.shape[0])
        scale = torch.sqrt(torch.tensor(x.shape[1], dtype=torch.float32))
        return x / scale + n * 2 + torch.full((x.shape[1],), x.shape[0])

    check(trace(program, torch.randn(2, 6), check=False), (torch.randn(2, 6),))


def test_size_zero() -> None:
    def program(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return x.sum(0), torch.cat([x, x + 1]), x.view(x.size(0), -1, 1) if x.size(0) > 0 else x.unsqueeze(-1)

    check(program, (X,), (X[:0],))


def test_special_floats() -> None:
    def program(x: Tensor) -> tuple[Tensor, Tensor, float, bool]:
        big = float("inf")
        nan = float("nan")
        return x * -0.0, torch.clamp(x, -big, 1.0), -big, nan == nan

    check(program, (X,))


def test_large_ints() -> None:
    def program(n: int) -> tuple[int, int, int]:
        return n * 1000003 + 2**40 // 1 if False else n * 1000003, n - 9007199254740993, n // 3

    check(program, (9007199254740993,), (-9007199254740995,))


def test_a_float_argument_is_compared_as_it_is() -> None:
    def program(x: Tensor, p: float) -> Tensor:
        if p == 0.0:
            return x
        if p < 0.5:
            return x * p
        return x / p

    check(program, (X, 0.0), (X, 0.25), (X, 0.5), (X, 2.0))


def test_bools_are_numbers() -> None:
    def program(x: Tensor, a: bool, b: bool) -> tuple[Tensor, int, Tensor]:
        return x * a, int(a) + int(b) * 2, x + (a and not b)

    flags = (True, False)
    check(program, *((X, a, b) for a in flags for b in flags))


def test_more_functions_of_math() -> None:
    def program(t: Tensor) -> list[float]:
        x = float(t)
        return [
            math.atan2(x, 2.0),
            math.atan2(-x, -1.0),
            math.atan2(x, x * 0),
            math.copysign(3.0, x),
            math.fmod(x, 2.0),
            math.degrees(x),
            math.radians(x),
            math.log1p(abs(x)),
            math.expm1(x),
            math.erf(x),
            math.erfc(x),
            math.tan(x),
            math.asin(x / 4),
            math.acosh(abs(x) + 1),
            math.sinh(x),
        ]

    check(program, (torch.tensor(2.7),), (torch.tensor(-2.5),), (torch.tensor(0.25),))


def test_complex_numbers_in_the_code():
    """``2.-1.j``: the only arithmetic that TorchScript's code writes with operators."""

    class Spin(torch.nn.Module):
        def forward(self, x):
            z = torch.view_as_complex(x)
            turned = (2 - 1j) - z * (1 + 2j)
            counted = torch.arange(3)[:, None] * 2j
            return torch.view_as_real((turned + counted) / (-0.5 + 1j)), torch.view_as_real(x[..., 0] * (-3j))

    x = torch.randn(3, 4, 2)
    check(torch.jit.trace(Spin(), x), (x,), free=(False,))

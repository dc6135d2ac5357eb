"""Arithmetic, comparisons, logic and casts against the real Caffe2: both ways of broadcasting, all dtypes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nxconvert.errors import UnsupportedError
from tests.frontends.caffe2.ops.harness import Op, Refused, Weight, check, run_caffe2, run_lowered

RNG = np.random.default_rng(0)
X = RNG.normal(size=(2, 3, 4)).astype(np.float32)

# Shapes of a second operand that go with X, and the arguments that say how.
LEGACY: list[tuple[tuple[int, ...], dict[str, Any]]] = [
    ((4,), {}),
    ((1, 4), {}),
    ((3, 4), {}),
    ((1, 3, 1), {}),
    ((2, 1, 1), {}),
    ((1,), {}),
    ((), {}),
    ((1, 1, 1, 1), {}),
    ((3,), {"axis": 1}),
    ((3, 1), {"axis": 1}),
    ((2,), {"axis": 0}),
    ((1, 3), {"axis": 0}),
    ((2, 3), {"axis": 0}),
    ((3,), {"axis_str": "C"}),
    ((4,), {"axis_str": "C", "order": "NHC"}),
]


@pytest.mark.parametrize(("shape", "args"), LEGACY)
def test_legacy_broadcast(shape: tuple[int, ...], args: dict[str, Any]) -> None:
    y = RNG.normal(size=shape).astype(np.float32)
    check("Sub", X, y, broadcast=1, **args)
    check("Mul", X, Weight(y), broadcast=1, **args)
    check("Pow", np.abs(X), y, broadcast=1, **args)
    check("LT", X, y, broadcast=1, **args)
    check("And", X > 0, y > 0, broadcast=1, **args)


@pytest.mark.parametrize(
    ("shape", "args"), [((3,), {}), ((2, 1, 4), {}), ((3,), {"axis": -2}), ((4,), {"axis": 3}), ((1, 2, 3, 4), {})]
)
def test_what_legacy_broadcast_refuses(shape: tuple[int, ...], args: dict[str, Any]) -> None:
    y = np.ones(shape, np.float32)
    with pytest.raises(UnsupportedError):
        run_lowered([Op("Add", ["x", "y"], ["z"], {"broadcast": 1, **args})], {"x": X, "y": y}, ["z"])
    with pytest.raises(Refused):
        run_caffe2("Add", [X, y], {"broadcast": 1, **args})


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32, np.int64])
def test_numpys_broadcast(dtype: type) -> None:
    a = np.array([[7, -7, 7, -7]]).astype(dtype)
    b = np.array([[2, 2, -2, -2], [3, -3, 1, 7]]).astype(dtype)
    for name in ["Add", "Sub", "Mul", "Div", "EQ", "NE", "LT", "LE", "GT", "GE"]:
        check(name, a, b)
        check(name, b, a[0])


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_integers(dtype: type) -> None:
    a = np.array([[7, -7, 7, -7]]).astype(dtype)
    for name in ("BitwiseAnd", "BitwiseOr", "BitwiseXor"):
        check(name, a, np.array([[2, 2, -2, -2], [3, -3, 1, 7]]).astype(dtype))
    for follow in (0, 1):
        check("Mod", a, divisor=3, sign_follow_divisor=follow)


def test_logic() -> None:
    p, q = np.array([True, True, False, False]), np.array([[True, False, True, False]])
    for name in ["And", "Or", "Xor", "EQ", "NE", "LT", "LE", "GT", "GE", "BitwiseAnd", "BitwiseOr", "BitwiseXor"]:
        check(name, p, q)
    check("Not", q)


def test_pow_of_a_number() -> None:
    for exponent in (2.0, 0.5, 0.0, -1.0, 3.0):
        check("Pow", np.array([-2, -0.0, 0, 2, np.nan, np.inf], np.float32), exponent=exponent)


@pytest.mark.parametrize("dtype", [np.float32, np.int32, np.int64])
def test_square_root_divide(dtype: type) -> None:
    check("SquareRootDivide", X, np.array([0, 4]).astype(dtype))
    check("SquareRootDivide", X, np.array([[3], [4]]).astype(dtype))
    check("SquareRootDivide", X[0, 0], np.arange(4).astype(dtype))


def test_rows() -> None:
    check("RowMul", X, np.array([[2], [3]], np.float32))
    check("RowMul", X[0, 0], np.arange(4, dtype=np.float32))
    for axis, size in ((0, 24), (1, 12), (2, 4), (-1, 4)):
        w = np.arange(size, dtype=np.float32)
        check("ElementwiseLinear", X, w, Weight(w[::-1].copy()), axis=axis)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_batch_box_cox(dtype: type) -> None:
    x = np.array([[-5, 0, 1, 2], [1, 1e-7, 3, 4]], dtype)
    check("BatchBoxCox", x, np.array([0, 0, 0.5, -1], dtype), Weight(np.array([1, 0, 2, 3], dtype)))
    check("BatchBoxCox", np.abs(X).astype(dtype), np.linspace(-1, 1, 12, dtype=dtype), np.ones(12, dtype))
    check("BatchBoxCox", x[0], np.full(1, 2, dtype), np.ones(1, dtype))


@pytest.mark.parametrize("count", [1, 2, 3])
def test_many_operands(count: int) -> None:
    for name in ("Sum", "SumInt", "SumRelu"):
        check(name, *[X] * count)
        check(name, *[np.arange(-3, 3, dtype=np.int32).reshape(2, 3)] * count)
    for name in ("Max", "Min", "Mean"):
        check(name, *[X, -X, X * 2][:count])


@pytest.mark.parametrize("name", ["Max", "Min"])
def test_nan_in_extremes(name: str) -> None:
    nan, one = np.full(19, np.nan, np.float32), np.ones(19, np.float32)
    for operands in ((nan, one), (one, nan), (one, one * 2, nan), (one * 3, nan, one * 2)):
        check(name, *operands)


def test_weighted_sum() -> None:
    w = np.array([2], np.float32)
    check("WeightedSum", X[0], w, X[1], w * 2, X[0], w)
    check("WeightedSum", X[0], w, X[1].ravel(), w.reshape(1, 1))
    check("WeightedSum", np.float32(2), w)


@pytest.mark.parametrize("to", [1, 2, 5, 6, 7, 8, 9, 10, 13, "FLOAT", "bool", "Int64"])
def test_cast(to: int | str) -> None:
    for dtype in (np.float32, np.float64, np.int32, np.int64, np.uint8, np.int8, np.int16, np.uint16):
        check("Cast", np.array([0, 1, -1.7, 300.9, 70000, -129]).astype(np.int64).astype(dtype), to=to)
    check("Cast", np.array([True, False]), to=to)
    outside = np.array([np.nan, np.inf, -np.inf, 1e10, -1e10, 3e9, 1e20, -3e9, 300.7, -1.5], np.float32)
    check("Cast", outside, to=to)
    check("Cast", outside.astype(np.float64), to=to)


def test_cast_to_text() -> None:
    for dtype in (np.int32, np.int64, np.bool_, np.uint8, np.int8, np.int16, np.uint16):
        check("Cast", np.array([0, 1, -1, 100]).astype(dtype), to=4)

"""Orthogonal polynomials, by their recurrences: the degree may differ from element to element."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from nxconvert.frontends.pytorch.dtypes import DataType
from nxconvert.frontends.pytorch.ops.common import promote
from nxconvert.frontends.pytorch.ops.shape import broadcast_all
from nxconvert.frontends.pytorch.table import Builder, Number, Value, aten
from nxconvert.graph.builder import TensorType
from nxconvert.graph.dims import product
from nxconvert.graph.widening import where

Recurrence = Callable[[Builder, Value, Value, Value, Value], Value]


class Family(NamedTuple):
    """A family of polynomials.

    Attributes:
        linear: the polynomial of degree 1 is ``linear[0] * x + linear[1]``; that of degree 0 is 1.
        following: of the builder, x, the degree k, and the polynomials of degree k and k - 1, the one of degree k + 1.
        shifted: whether it is taken at ``2 x - 1``.
    """

    linear: tuple[float, float]
    following: Recurrence
    shifted: bool = False


def _chebyshev(op: Builder, x: Value, k: Value, p: Value, q: Value) -> Value:
    return op.Sub(op.Mul(op.Mul(x, p), 2.0), q)


def _legendre(op: Builder, x: Value, k: Value, p: Value, q: Value) -> Value:
    odd = op.Add(op.Mul(k, 2.0), 1.0)
    return op.Div(op.Sub(op.Mul(op.Mul(odd, x), p), op.Mul(k, q)), op.Add(k, 1.0))


def _laguerre(op: Builder, x: Value, k: Value, p: Value, q: Value) -> Value:
    odd = op.Add(op.Mul(k, 2.0), 1.0)
    return op.Div(op.Sub(op.Mul(op.Sub(odd, x), p), op.Mul(k, q)), op.Add(k, 1.0))


def _hermite_h(op: Builder, x: Value, k: Value, p: Value, q: Value) -> Value:
    return op.Mul(op.Sub(op.Mul(x, p), op.Mul(k, q)), 2.0)


def _hermite_he(op: Builder, x: Value, k: Value, p: Value, q: Value) -> Value:
    return op.Sub(op.Mul(x, p), op.Mul(k, q))


_FAMILIES = {
    "chebyshev_polynomial_t": Family((1, 0), _chebyshev),
    "chebyshev_polynomial_u": Family((2, 0), _chebyshev),
    "chebyshev_polynomial_v": Family((2, -1), _chebyshev),
    "chebyshev_polynomial_w": Family((2, 1), _chebyshev),
    "shifted_chebyshev_polynomial_t": Family((1, 0), _chebyshev, shifted=True),
    "shifted_chebyshev_polynomial_u": Family((2, 0), _chebyshev, shifted=True),
    "shifted_chebyshev_polynomial_v": Family((2, -1), _chebyshev, shifted=True),
    "shifted_chebyshev_polynomial_w": Family((2, 1), _chebyshev, shifted=True),
    "legendre_polynomial_p": Family((1, 0), _legendre),
    "laguerre_polynomial_l": Family((-1, 1), _laguerre),
    "hermite_polynomial_h": Family((2, 0), _hermite_h),
    "hermite_polynomial_he": Family((1, 0), _hermite_he),
}


def _evaluate(op: Builder, family: Family, x: Value, degree: Value) -> Value:
    """Climbs to the highest degree; each element keeps what it had at its own. Below degree 0 there is 0."""
    x, degree = broadcast_all(op, [x, op.cast(degree, DataType.INT64)])
    dims = x.dims
    point = op.Sub(op.Mul(x, 2.0), 1.0) if family.shifted else x
    one = op.expand(op.const(1.0, x.etype), dims)
    linear = op.Add(op.Mul(point, float(family.linear[0])), float(family.linear[1]))
    start = where(op, op.Greater(degree, 0), linear, op.cast(op.Equal(degree, 0), x.etype))
    # A zero among them, because the largest of no degrees would be anything.
    degrees = op.Concat(op.reshape(degree, [product(dims)]), [0], axis=0)
    turns = op.Max(op.Sub(op.ReduceMax(degrees, keepdims=0), 1), 0)

    body = op.child()
    turn = body.input("turn", DataType.INT64, ())
    going_on = body.input("going_on", DataType.BOOL, ())
    p, q, result = (body.input(name, x.etype, dims) for name in ("p", "q", "result"))
    k = body.Add(turn, 1)
    higher = family.following(body, point, body.Cast(k, to=x.etype), p, q)
    kept = where(body, body.Greater(degree, k), higher, result)
    graph = body.graph([going_on, higher, p, kept], "climb")
    types = [TensorType(x.etype, dims)] * 3
    return op.node("Loop", [turns, op.const(True), linear, one, start], {"body": graph}, types)[2]


def _register_family(name: str, family: Family) -> None:
    @aten(name)
    def polynomial(op: Builder, x: Value | Number, n: Value | Number) -> Value:
        return _evaluate(op, family, *promote(op, x, n, to_float=True))


for _name, _family in _FAMILIES.items():
    _register_family(f"special_{_name}", _family)

"""Functions that ONNX has no operator for, as integrals and series: a last axis of terms, which one product sums.

Special functions are computed in float64, where sums may cancel, and rounded to the dtype of the result at the end.
What they need of numbers (nodes, weights, coefficients) is computed from definitions; none is copied from a table.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from nxconvert.frontends.pytorch.dtypes import DataType
from nxconvert.frontends.pytorch.ops.common import promote
from nxconvert.frontends.pytorch.table import Builder, Value

NODES = 64


def through_double(function: Callable[..., Value]) -> Callable[..., Value]:
    """A lowering whose operands are promoted to one float dtype, computes in float64, and returns that float dtype."""

    @functools.wraps(function)
    def lowering(op: Builder, *operands: Any) -> Value:
        values = promote(op, *operands, to_float=True)
        return op.cast(function(op, *(op.cast(x, DataType.DOUBLE) for x in values)), values[0].etype)

    return lowering


def double(op: Builder, data: Any) -> Value:
    """A float64 constant."""
    return op.const(np.asarray(data, np.float64))


def spread(op: Builder, x: Value) -> Value:
    """``x`` with a last axis of size 1, to broadcast against terms."""
    return op.Unsqueeze(x, [-1])


def weighted_sum(op: Builder, terms: Value, weights: np.ndarray) -> Value:
    """The sum over the last axis, each term times its weight."""
    return op.MatMul(terms, double(op, weights))


@functools.lru_cache(maxsize=4)
def legendre(count: int = NODES) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights on [0, 1] that integrate polynomials up to degree ``2 * count - 1`` exactly (Gauss)."""
    nodes, weights = np.polynomial.legendre.leggauss(count)
    return (nodes + 1) / 2, weights / 2


def integral(op: Builder, upper: Value, integrand: Callable[[Value], Value], count: int = NODES) -> Value:
    """The integral of a smooth function from 0 to ``upper``, element by element.

    Args:
        op: the builder.
        upper: any dims.
        integrand: takes points of dims [*dims of upper, count].
        count: the number of points.
    """
    nodes, weights = legendre(count)
    points = op.Mul(spread(op, upper), double(op, nodes))
    return op.Mul(weighted_sum(op, integrand(points), weights), upper)


def chebyshev_series(op: Builder, t: Value, coefficients: np.ndarray) -> Value:
    """The sum of ``coefficients[k] * T_k(t)`` for ``t`` in [-1, 1], with T_k(cos a) = cos(k a)."""
    angle = op.Cast(op.Acos(op.Cast(op.Clip(t, -1.0, 1.0), to=DataType.FLOAT)), to=DataType.DOUBLE)
    return weighted_sum(op, op.Cos(op.Mul(spread(op, angle), double(op, np.arange(len(coefficients))))), coefficients)

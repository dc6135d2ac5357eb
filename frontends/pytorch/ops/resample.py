"""Where the elements of a resampled axis come from: indices for the nearest one, matrices of weights for the rest.

Everything is computed by nodes, which fold where the sizes are known; the formulas are those of ATen's ``UpSample.h``
and ``UpSampleKernel.cpp``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import onnx_ir as ir

from nxconvert.frontends.pytorch.dtypes import DataType
from nxconvert.frontends.pytorch.table import Builder, Int, Value


class Axis(NamedTuple):
    """One resampled axis.

    Attributes:
        old: its size.
        new: its size afterwards.
        scale: the factor that positions go by; None for ``new / old``.
        align_corners: whether the centres of the first and last elements stay where they are.
    """

    old: Int
    new: Int
    scale: float | None = None
    align_corners: bool = False


def _number(op: Builder, size: Int, dtype: ir.DataType) -> Value:
    return op.cast(op.dim_value(size), dtype)


def _step(op: Builder, axis: Axis, dtype: ir.DataType) -> Value:
    """The distance between neighbours of the result, in elements of the source."""
    if axis.align_corners:
        gaps = op.Max(_number(op, axis.new - 1, dtype), op.const(1, dtype))
        # A single element is the first one.
        last = op.Where(op.Greater(op.dim_value(axis.new), 1), _number(op, axis.old - 1, dtype), op.const(0, dtype))
        return op.Div(last, gaps)
    if axis.scale is not None:
        return op.const(1 / axis.scale, dtype)
    return op.Div(_number(op, axis.old, dtype), _number(op, axis.new, dtype))


def counting(op: Builder, size: Int, dtype: ir.DataType) -> Value:
    """``0, 1, ..., size - 1``."""
    return op.cast(op.Range(0, op.dim_value(size), 1), dtype)


def _column(op: Builder, vector: Value) -> Value:
    return op.Unsqueeze(vector, [1])


def nearest_indices(op: Builder, axis: Axis, exact: bool) -> Value:
    """For each element of the result the index of its source; ``exact`` goes by the centres of elements."""
    places = counting(op, axis.new, DataType.FLOAT)
    if exact:
        places = op.Add(places, 0.5)
    floor = op.Cast(op.Floor(op.Mul(places, _step(op, axis, DataType.FLOAT))), to=DataType.INT64)
    return op.Min(floor, op.dim_value(axis.old - 1))


def _sources(op: Builder, axis: Axis, dtype: ir.DataType) -> Value:
    """The place in the source of each element of the result, a column; it may lie up to half an element outside."""
    places, step = counting(op, axis.new, dtype), _step(op, axis, dtype)
    if axis.align_corners:
        return _column(op, op.Mul(places, step))
    half = op.const(0.5, dtype)
    return _column(op, op.Sub(op.Mul(op.Add(places, half), step), half))


def linear_weights(op: Builder, axis: Axis, dtype: ir.DataType) -> Value:
    """``[new, old]``: the two neighbours, each by its nearness; beyond the ends the end itself."""
    last = _number(op, axis.old - 1, dtype)
    inside = op.Min(op.Max(_sources(op, axis, dtype), op.const(0, dtype)), last)
    distance = op.Abs(op.Sub(inside, counting(op, axis.old, dtype)))
    return triangle(op, distance)


def cubic_weights(op: Builder, axis: Axis, dtype: ir.DataType) -> Value:
    """``[new, old]``: four neighbours by Keys' cubic with a = -0.75; beyond the ends the end itself."""
    sources = _sources(op, axis, dtype)
    floor = op.Floor(sources)
    old, last = counting(op, axis.old, dtype), _number(op, axis.old - 1, dtype)
    weights: Value | None = None
    for offset in (-1, 0, 1, 2):
        neighbour = op.Add(floor, op.const(offset, dtype))
        weight = keys_cubic(op, op.Abs(op.Sub(sources, neighbour)), -0.75)
        clamped = op.Min(op.Max(neighbour, op.const(0, dtype)), last)
        term = op.Mul(weight, op.cast(op.Equal(clamped, old), dtype))
        weights = term if weights is None else op.Add(weights, term)
    assert weights is not None
    return weights


def smoothing_weights(op: Builder, axis: Axis, dtype: ir.DataType, kernel: Callable[[Builder, Value], Value]) -> Value:
    """``[new, old]``: a kernel as wide as an element of the result, if that is the larger one; rows add up to 1."""
    step = _step(op, axis, dtype)
    half, one = op.const(0.5, dtype), op.const(1, dtype)
    centres = _column(op, op.Mul(op.Add(counting(op, axis.new, dtype), half), step))
    distance = op.Abs(op.Sub(op.Add(counting(op, axis.old, dtype), half), centres))
    weights = kernel(op, op.Div(distance, op.Max(step, one)))
    return op.Div(weights, op.ReduceSum(weights, [1]))


def triangle(op: Builder, distance: Value) -> Value:
    """``1 - distance``, not below 0."""
    return op.Relu(op.Sub(op.const(1, distance.etype), distance))


def _polynomial(op: Builder, x: Value, *coefficients: float) -> Value:
    """By Horner's rule, the highest power first."""
    y = op.const(coefficients[0], x.etype)
    for coefficient in coefficients[1:]:
        y = op.Add(op.Mul(y, x), op.const(coefficient, x.etype))
    return y


def keys_cubic(op: Builder, distance: Value, a: float = -0.5) -> Value:
    """Keys' cubic convolution kernel, 0 from a distance of 2 on."""
    near = _polynomial(op, distance, a + 2, -(a + 3), 0, 1)
    far = _polynomial(op, distance, a, -5 * a, 8 * a, -4 * a)
    one, two, zero = (op.const(number, distance.etype) for number in (1, 2, 0))
    return op.Where(op.Less(distance, one), near, op.Where(op.Less(distance, two), far, zero))


def lanczos(op: Builder, distance: Value) -> Value:
    """``sinc(x) * sinc(x / 3)``, 0 from a distance of 3 on."""
    zero, three = op.const(0, distance.etype), op.const(3, distance.etype)
    product = op.Mul(_sinc(op, distance), _sinc(op, op.Div(distance, three)))
    return op.Where(op.Less(distance, three), product, zero)


def _sinc(op: Builder, x: Value) -> Value:
    zero = op.Equal(x, op.const(0, x.etype))
    angle = op.Mul(op.Where(zero, op.const(1, x.etype), x), op.const(math.pi, x.etype))
    return op.Where(zero, op.const(1, x.etype), op.Div(op.Sin(angle), angle))

"""Numbers sorted into buckets, and what is made of the buckets.

Semantics: ``caffe2/operators/bucketize_op.h``, ``batch_bucketize_op.cc``, ``piecewise_linear_transform_op.h``,
``ngram_ops.h``.
"""

from __future__ import annotations

from itertools import accumulate
from operator import mul

import numpy as np

from nxconvert.frontends.caffe2.ops.one_hot import boundaries_below
from nxconvert.frontends.caffe2.table import (
    Builder,
    DataType,
    Floats,
    Indices,
    Ints,
    Lengths,
    LoweringError,
    Matrix,
    Value,
    Vector,
    caffe2,
)
from nxconvert.graph.dims import floordiv, product
from nxconvert.graph.segments import counting


def _above(op: Builder, x: Value, boundaries: Value) -> Value:
    """How many of the boundaries (along their last axis) each number is above."""
    above = op.Greater(op.Unsqueeze(x, [-1]), boundaries)
    return op.ReduceSum(op.cast(above, DataType.INT64), [-1], keepdims=0)


@caffe2("Bucketize")
def bucketize(op: Builder, x: Value, *, boundaries: Floats = ()) -> Value:
    """The bucket of each number, int32; upper bounds belong to a bucket."""
    if not all(isinstance(b, float) for b in boundaries) or sorted(boundaries) != list(boundaries):
        raise LoweringError("its boundaries are to be floats in ascending order")
    if not boundaries:
        return op.expand(op.const(0, DataType.INT32), x.dims)
    return op.cast(_above(op, x, op.const(list(boundaries), x.etype)), DataType.INT32)


@caffe2("BatchBucketize")
def batch_bucketize(op: Builder, features: Matrix, indices: Indices, boundaries: Vector, lengths: Lengths) -> Value:
    """The buckets of the columns at ``indices``, each with boundaries of its own, int32; NaN is in the last one."""
    rows = op.Gather(op.Transpose(features, perm=[1, 0]), indices, axis=0)
    buckets = boundaries_below(op, rows, lengths, boundaries, _not_within)
    return op.Transpose(op.cast(buckets, DataType.INT32), perm=[1, 0])


def _not_within(op: Builder, x: Value, limits: Value) -> Value:
    return op.cast(op.Not(op.LessOrEqual(x, limits)), DataType.INT64)


@caffe2("PiecewiseLinearTransform")
def piecewise_linear_transform(
    op: Builder,
    x: Matrix,
    bounds_input: Vector | None = None,
    slopes_input: Vector | None = None,
    intercepts_input: Vector | None = None,
    *,
    bounds: Floats = (),
    slopes: Floats = (),
    intercepts: Floats = (),
    binary: int = 0,
) -> Value:
    """Each column by its own pieces of linear functions, which keep their last value outside their bounds.

    ``binary`` takes probabilities, of one class or of two, and transforms those of the last class by the only group of
    pieces; the first class has what is missing to 1.
    """
    if bounds and slopes and intercepts:
        parameters = [op.const([float(n) for n in numbers], x.etype) for numbers in (bounds, slopes, intercepts)]
    elif bounds_input is not None and slopes_input is not None and intercepts_input is not None:
        given = (bounds_input, slopes_input, intercepts_input)
        parameters = [op.reshape(value, [product(value.dims)]) for value in given]
    else:
        raise LoweringError("the bounds, slopes and intercepts are all to be given")
    if not binary:
        if x.rank != 2:
            raise LoweringError(f"it takes a matrix, not a tensor of rank {x.rank}")
        return _transformed(op, x, parameters)
    if x.rank == 1 or x.dims[1] == 1:
        return op.reshape(_transformed(op, op.reshape(x, [x.dims[0], 1]), parameters), x.dims)
    last = _transformed(op, op.Slice(x, [-1], [np.iinfo(np.int64).max], [1]), parameters)
    both = op.Concat(op.Sub(op.const(1.0, x.etype), last), last, axis=1)
    # Where it is not known which, the last class alone is what stands behind the first.
    return op.Slice(both, op.dims_tensor([2 - x.dims[1]]), [2], [1])


def _transformed(op: Builder, x: Value, parameters: list[Value]) -> Value:
    bounds, slopes, intercepts = parameters
    groups = x.dims[1]
    pieces = floordiv(slopes.dims[0], groups)
    bounds = op.reshape(bounds, [groups, pieces + 1])
    last = op.dims_tensor([pieces])
    least = op.Squeeze(op.Slice(bounds, [0], [1], [1]), [1])
    most = op.Squeeze(op.Slice(bounds, last, op.dims_tensor([pieces + 1]), [1]), [1])
    inside = op.Min(op.Max(x, least), most)
    # From the last bound on it is the last piece, also where bounds before it are equal.
    above = op.Greater(op.Unsqueeze(x, [-1]), op.Slice(bounds, [1], last, [1]))
    above = op.Or(above, op.Unsqueeze(op.GreaterOrEqual(x, most), [-1]))
    piece = op.ReduceSum(op.cast(above, DataType.INT64), [-1], keepdims=0)
    at = op.Add(piece, op.Mul(counting(op, groups), op.dim_value(pieces)))
    return op.Add(op.Mul(op.Gather(slopes, at, axis=0), inside), op.Gather(intercepts, at, axis=0))


@caffe2("NGramFromCategorical")
def n_gram_from_categorical(op: Builder, x: Matrix, *, col_ids: Ints, categorical_limits: Ints, vals: Ints) -> Value:
    """One number for the categories of several columns, int64[batch], the first column's in the lowest place.

    A column's category is the place of its number, rounded, among the values that are listed for it; of one that is
    not listed it is 0.
    """
    if len(col_ids) != len(categorical_limits) or sum(categorical_limits) != len(vals):
        raise LoweringError("its columns, limits and values do not fit together")
    bases = list(accumulate(categorical_limits, mul, initial=1))
    weights: dict[tuple[int, int], int] = {}
    position = 0
    for column, limit in enumerate(categorical_limits):
        for place, value in enumerate(vals[position : position + limit]):
            weights[column, value] = place * bases[column]
        position += limit
    table = op.reshape(x, [x.dims[0], product(x.dims[1:])])
    picked = op.Gather(table, np.array([col_ids[column] for column, _ in weights]), axis=1)
    values = op.const([float(value) for _, value in weights], x.etype)
    found = op.Equal(_rounded(op, picked), values)
    return op.ReduceSum(op.Where(found, np.array(list(weights.values()), np.int64), 0), [1], keepdims=0)


def _rounded(op: Builder, x: Value) -> Value:
    """To the nearest integer, halves away from zero, as C does it."""
    size = op.Abs(x)
    whole = op.Floor(size)
    up = op.GreaterOrEqual(op.Sub(size, whole), op.const(0.5, x.etype))
    return op.Mul(op.Sign(x), op.Add(whole, op.cast(up, x.etype)))

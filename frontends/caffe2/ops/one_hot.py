"""One of several places is set. Semantics: ``caffe2/operators/one_hot_ops.cc``."""

from __future__ import annotations

from collections.abc import Callable

from nxconvert.frontends.caffe2.ops.numbers import number_in
from nxconvert.frontends.caffe2.table import Builder, DataType, Indices, Lengths, Matrix, Value, Vector, caffe2
from nxconvert.graph.dims import product
from nxconvert.graph.segments import Segments, columns, reduce_segments


@caffe2("OneHot")
def one_hot(op: Builder, indices: Indices, size: Value) -> Value:
    """A row of float32 for each index, with 1 at its place."""
    depth = number_in(op, size, "classes", low=0)
    return op.OneHot(indices, op.dim_value(depth), op.const([0.0, 1.0]))


@caffe2("SegmentOneHot")
def segment_one_hot(op: Builder, lengths: Lengths, indices: Indices, size: Value) -> Value:
    """A row of float32 for each segment of indices, with 1 at their places."""
    depth = number_in(op, size, "classes", low=0)
    segments = Segments(op, lengths, indices.dims[0])
    places = op.Add(op.Mul(segments.ids, op.dim_value(depth)), op.cast(indices, DataType.INT64))
    blank = op.expand(op.const(0.0), [segments.size * depth])
    ones = op.expand(op.const(1.0), indices.dims)
    return op.reshape(op.ScatterElements(blank, places, ones, axis=0), [segments.size, depth])


def _table(op: Builder, x: Value) -> Value:
    return op.reshape(x, [x.dims[0], product(x.dims[1:])])


@caffe2("BatchOneHot")
def batch_one_hot(op: Builder, data: Matrix, lengths: Lengths, values: Value) -> Value:
    """Of each column as many as its length says, each 1 where the column has the value that stands there."""
    segments = Segments(op, lengths, values.dims[0])
    spread = op.Gather(_table(op, data), segments.ids, axis=1)
    return op.cast(op.Equal(spread, values), data.etype)


@caffe2("BatchBucketOneHot")
def batch_bucket_one_hot(op: Builder, data: Matrix, lengths: Lengths, boundaries: Vector) -> Value:
    """Of each column one more than it has boundaries: 1 for the bucket that the number falls in.

    Upper bounds belong to a bucket; a number that several boundaries are equal to is in the middle of their buckets.
    """
    rows = op.Transpose(_table(op, data), perm=[1, 0])
    buckets = op.Div(boundaries_below(op, rows, lengths, boundaries, _twice), 2)
    wider = Segments(op, op.Add(op.cast(lengths, DataType.INT64), 1), boundaries.dims[0] + lengths.dims[0])
    hit = op.Equal(op.Gather(buckets, wider.ids, axis=0), columns(op, wider.places, 2))
    return op.Transpose(op.cast(hit, DataType.FLOAT), perm=[1, 0])


def _twice(op: Builder, x: Value, limits: Value) -> Value:
    """2 where a number is above a limit, 1 where they are equal."""
    above = op.cast(op.Greater(x, limits), DataType.INT64)
    return op.Add(above, op.cast(op.Not(op.Less(x, limits)), DataType.INT64))


def boundaries_below(
    op: Builder,
    rows: Value,
    lengths: Value,
    boundaries: Value,
    below: Callable[[Builder, Value, Value], Value],
) -> Value:
    """How many of its feature's boundaries each number is above.

    Args:
        op: the builder.
        rows: [features, batch].
        lengths: how many boundaries each feature has.
        boundaries: those of all features, in a row.
        below: what a number and a boundary count, int64.

    Returns:
        int64[features, batch].
    """
    segments = Segments(op, lengths, boundaries.dims[0])
    counted = below(op, op.Gather(rows, segments.ids, axis=0), columns(op, boundaries, 2))
    return reduce_segments(op, counted, segments.ids, segments.size)

"""Rows of tables: looked up and summed up bag by bag, and scaled in place."""

from __future__ import annotations

from nxconvert.frontends.caffe2.ops.segments import segment_mean, segment_sum, weighted
from nxconvert.frontends.caffe2.table import Builder, DataType, Indices, Lengths, Matrix, Value, Vector, caffe2
from nxconvert.graph.dims import product
from nxconvert.graph.segments import Segments


def looked_up(op: Builder, data: Value, indices: Value, lengths: Value) -> tuple[Value, Segments]:
    """The rows of a table that indices ask for, in float32 if they are halves, and the bags that lengths make."""
    rows = op.Gather(data, indices, axis=0)
    rows = op.cast(rows, DataType.FLOAT) if data.etype == DataType.FLOAT16 else rows
    return rows, Segments(op, lengths, indices.dims[0])


@caffe2("SparseLengthsSum")
def sparse_lengths_sum(op: Builder, data: Matrix, indices: Indices, lengths: Lengths) -> Value:
    """``[bags, *rest]`` in float32; empty bags give 0."""
    rows, bags = looked_up(op, data, indices, lengths)
    return segment_sum(op, rows, bags.ids, bags.size)


@caffe2("SparseLengthsMean")
def sparse_lengths_mean(op: Builder, data: Matrix, indices: Indices, lengths: Lengths) -> Value:
    """Empty bags give 0."""
    rows, bags = looked_up(op, data, indices, lengths)
    return segment_mean(op, rows, bags.ids, bags.size, bags.lengths)


@caffe2("SparseLengthsWeightedSum")
def sparse_lengths_weighted_sum(op: Builder, data: Matrix, weight: Vector, indices: Indices, lengths: Lengths) -> Value:
    """A weight for each index."""
    rows, bags = looked_up(op, data, indices, lengths)
    return segment_sum(op, weighted(op, rows, weight), bags.ids, bags.size)


@caffe2("SparseLengthsPositionalWeightedSum")
def sparse_lengths_positional_weighted_sum(
    op: Builder, data: Matrix, weight: Vector, indices: Indices, lengths: Lengths
) -> Value:
    """A weight for each place in a bag."""
    rows, bags = looked_up(op, data, indices, lengths)
    return segment_sum(op, weighted(op, rows, op.Gather(weight, bags.places, axis=0)), bags.ids, bags.size)


@caffe2("SparseNormalize")
def sparse_normalize(
    op: Builder, param: Matrix, indices: Indices, grad: Value | None = None, *, use_max_norm: bool = True,
    norm: float = 1.0,
) -> Value:  # fmt: skip
    """The rows that indices name, scaled to a length of ``norm``, or down to it; the others as they are.

    A row that is named twice is scaled once: the second time its length is right already.
    """
    flat = op.reshape(param, [param.dims[0], product(param.dims[1:])])
    rows = op.Gather(flat, indices, axis=0)
    length = op.Add(op.Sqrt(op.ReduceSum(op.Mul(rows, rows), [1])), op.const(1e-12, param.etype))
    limit = op.const(norm, param.etype)
    scaled = op.Mul(rows, op.Div(limit, length))
    if use_max_norm:
        scaled = op.Where(op.Less(length, limit), rows, scaled)
    return op.reshape(op.ScatterND(flat, op.Unsqueeze(op.cast(indices, DataType.INT64), [1]), scaled), param.dims)

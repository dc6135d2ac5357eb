"""Lengths of segments and ids of segments: one as the other, and data that is laid out by them."""

from __future__ import annotations

from nxconvert.frontends.caffe2.ops.segments import id_count
from nxconvert.frontends.caffe2.table import (
    Builder,
    DataType,
    Indices,
    Int,
    Lengths,
    LoweringError,
    Matrix,
    Number,
    Value,
    Vector,
    caffe2,
)
from nxconvert.graph.dims import maximum, product
from nxconvert.graph.segments import Segments, counting, range_indices, reduce_segments

_INFINITY = float("inf")


# ---- one as the other ----------------------------------------------------------------------------------------------


@caffe2("LengthsToSegmentIds")
def lengths_to_segment_ids(op: Builder, lengths: Lengths) -> Value:
    """int32: 0, 0, 2 for the lengths 2, 0, 1."""
    return op.Cast(Segments(op, lengths).ids, to=DataType.INT32)


@caffe2("LengthsRangeFill")
def lengths_range_fill(op: Builder, lengths: Lengths) -> Value:
    """int32: 0, 1, 0, 1, 2 for the lengths 2, 3."""
    return op.Cast(Segments(op, lengths).places, to=DataType.INT32)


@caffe2("LengthsToRanges")
def lengths_to_ranges(op: Builder, lengths: Lengths) -> Value:
    """int32[segments, 2]: where each segment starts, and its length."""
    return _ranges(op, Segments(op, lengths).starts, lengths)


@caffe2("LengthsToShape")
def lengths_to_shape(op: Builder, lengths: Lengths) -> Value:
    """int32[2]: how many segments there are, and their length, which is the same for all."""
    length = op.symbol_of(op.Gather(lengths, 0, axis=0), "length", low=0)
    return op.cast(op.dims_tensor([lengths.dims[0], length]), DataType.INT32)


@caffe2("LengthsToWeights")
def lengths_to_weights(op: Builder, lengths: Lengths, *, power: float = 0.5) -> Value:
    """For each row one over the length of its segment, that to a power, in float32."""
    sizes = op.Cast(lengths, to=DataType.FLOAT)
    return Segments(op, lengths).of_rows(op.Reciprocal(op.Pow(sizes, op.const(float(power)))))


@caffe2("SegmentIdsToLengths")
def segment_ids_to_lengths(op: Builder, ids: Lengths, data: Value | None = None) -> Value:
    """int32: as many segments as ``data`` has rows, without it as the largest id says."""
    ids, size = _ids(op, ids), _id_count(op, ids, data)
    return op.Cast(_lengths(op, ids, size), to=DataType.INT32)


@caffe2("SegmentIdsToRanges")
def segment_ids_to_ranges(op: Builder, ids: Lengths, data: Value | None = None) -> Value:
    """int32[segments, 2]: starts and lengths; segments behind the last id start at 0."""
    ids, size = _ids(op, ids), _id_count(op, ids, data)
    lengths = _lengths(op, ids, size)
    starts = op.CumSum(lengths, 0, exclusive=1)
    if data is not None:
        starts = op.Where(op.Less(counting(op, size), op.dim_value(id_count(op, ids))), starts, 0)
    return _ranges(op, starts, lengths)


def _ids(op: Builder, ids: Value) -> Value:
    return op.cast(op.reshape(ids, [product(ids.dims)]), DataType.INT64)


def _id_count(op: Builder, ids: Value, data: Value | None) -> Int:
    return id_count(op, op.reshape(ids, [product(ids.dims)])) if data is None else data.dims[0]


def _lengths(op: Builder, ids: Value, size: Int) -> Value:
    return reduce_segments(op, op.expand(op.const(1), ids.dims), ids, size)


def _ranges(op: Builder, starts: Value, lengths: Value) -> Value:
    pair = [op.Unsqueeze(op.cast(part, DataType.INT32), [1]) for part in (starts, lengths)]
    return op.Concat(*pair, axis=1)


# ---- data that is laid out by them ---------------------------------------------------------------------------------


@caffe2("LengthsTile")
def lengths_tile(op: Builder, data: Matrix, lengths: Lengths) -> Value:
    """Each row as many times as its length says."""
    return Segments(op, lengths).of_rows(data)


@caffe2("LengthsGather")
def lengths_gather(op: Builder, items: Matrix, lengths: Lengths, indices: Indices) -> Value:
    """The rows of the segments that are asked for."""
    starts = op.Gather(Segments(op, lengths).starts, indices, axis=0)
    rows = range_indices(op, starts, op.Gather(lengths, indices, axis=0))
    return op.Gather(items, rows, axis=0)


@caffe2("LengthsPad")
def lengths_pad(
    op: Builder, data: Matrix, lengths: Lengths, *, padding_value: float = -1.0, target_length: int
) -> Value:
    """Segments of the same length, one after another; the value is cut off where the data are integers."""
    segments = Segments(op, lengths, data.dims[0])
    padded = segments.spread(data, target_length, padding_value)
    return op.reshape(padded, [segments.size * target_length, *data.dims[1:]])


@caffe2("LengthsTopK")
def lengths_top_k(op: Builder, data: Vector, lengths: Lengths, *, k: int) -> tuple[Value, Value]:
    """The largest of each segment and where in it they are (int32), [segments, k]; 0 and -1 where it has no more."""
    if k < 1:
        raise LoweringError(f"'k' is {k}; at least one element has to be asked for")
    segments = Segments(op, lengths, data.dims[0])
    # Of equal elements the first are taken, so none that only fills a segment up comes before one that is there.
    values, places = op.TopK(segments.spread(data, maximum(segments.longest, k), -_INFINITY), [k], axis=1)
    there = op.Less(places, op.Unsqueeze(segments.lengths, [1]))
    return op.Where(there, values, op.const(0, data.etype)), op.Cast(op.Where(there, places, -1), to=DataType.INT32)


@caffe2("LengthsSplit")
def lengths_split(op: Builder, lengths: Lengths, n: Number | None = None, *, n_split: int = 0) -> Value:
    """int32[segments * n_split]: each length in as equal parts as there are, larger ones first."""
    parts: Int = n_split
    if n is not None:
        parts = op.symbol_of(op.reshape(n, []), "parts", low=1)
    elif n_split < 1:
        raise LoweringError(f"'n_split' is {n_split}; it has to be positive")
    whole, count = op.Unsqueeze(op.cast(lengths, DataType.INT64), [1]), op.dim_value(parts)
    more = op.Less(counting(op, parts), op.Mod(whole, count))
    split = op.Add(op.Div(whole, count), op.Cast(more, to=DataType.INT64))
    return op.Cast(op.reshape(split, [lengths.dims[0] * parts]), to=DataType.INT32)

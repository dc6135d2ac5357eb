"""Reductions over segments of rows: those that lengths give, and those that an id for each row gives."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from nxconvert.frontends.caffe2.table import (
    Builder,
    DataType,
    Indices,
    Int,
    Lengths,
    Matrix,
    Value,
    Vector,
    caffe2,
)
from nxconvert.graph.dims import require
from nxconvert.graph.segments import Segments, columns, reduce_segments

Reduction = Callable[[Builder, Value, Value, Int, "Value | None"], Value]

_LOWEST = float(np.finfo(np.float32).min)
_INFINITY = float("inf")


# ---- the reductions: rows, the segment of each, the number of segments, the length of each or None ------------------


def segment_sum(op: Builder, rows: Value, ids: Value, size: Int, lengths: Value | None = None) -> Value:
    """The sum of each segment, 0 of an empty one."""
    return reduce_segments(op, rows, ids, size)


def segment_mean(op: Builder, rows: Value, ids: Value, size: Int, lengths: Value | None = None) -> Value:
    """The mean of each segment, 0 of an empty one."""
    total = reduce_segments(op, rows, ids, size)
    return op.Div(total, op.cast(columns(op, op.Max(_counts(op, ids, size, lengths), 1), rows.rank), rows.etype))


def segment_max(op: Builder, rows: Value, ids: Value, size: Int, lengths: Value | None = None) -> Value:
    """The maximum of each segment, 0 of an empty one; NaN counts as the least there is."""
    largest = _largest(op, rows, ids, size, -_INFINITY)
    filled = columns(op, op.Greater(_counts(op, ids, size, lengths), 0), rows.rank)
    return op.Where(filled, largest, op.const(0, rows.etype))


def _range_max(op: Builder, rows: Value, ids: Value, size: Int, lengths: Value | None = None) -> Value:
    """The maximum of segments none of which is empty, and nothing below the least finite number."""
    return _largest(op, rows, ids, size, _LOWEST)


def _log_sum_exp(op: Builder, rows: Value, ids: Value, size: Int, lengths: Value | None = None) -> Value:
    largest = _range_max(op, rows, ids, size)
    shifted = op.Exp(op.Sub(rows, op.Gather(largest, ids, axis=0)))
    return op.Add(op.Log(segment_sum(op, shifted, ids, size)), largest)


def _log_mean_exp(op: Builder, rows: Value, ids: Value, size: Int, lengths: Value | None = None) -> Value:
    count = op.cast(columns(op, _counts(op, ids, size, lengths), rows.rank), rows.etype)
    return op.Sub(_log_sum_exp(op, rows, ids, size), op.Log(count))


def _largest(op: Builder, rows: Value, ids: Value, size: Int, least: float) -> Value:
    # What comes after a NaN would count for more than what came before it.
    rows = op.Where(op.IsNaN(rows), op.const(least, rows.etype), rows)
    return reduce_segments(op, rows, ids, size, "max", least)


def _counts(op: Builder, ids: Value, size: Int, lengths: Value | None) -> Value:
    """How many rows each segment has, int64[size]."""
    if lengths is not None:
        return lengths
    return reduce_segments(op, op.expand(op.const(1), ids.dims), ids, size)


def weighted(op: Builder, rows: Value, weight: Value) -> Value:
    """Each row times its weight, in float32 where the rows are halves."""
    require(weight.dims[0], rows.dims[0])
    return op.Mul(op.cast(rows, weight.etype), columns(op, weight, rows.rank))


# ---- lengths -------------------------------------------------------------------------------------------------------


def _register_lengths(name: str, reduction: Reduction) -> None:
    @caffe2(name)
    def lengths_reduction(op: Builder, data: Matrix, lengths: Lengths) -> Value:
        """``[segments, *rest]`` of ``[n, *rest]``; empty segments give 0."""
        segments = Segments(op, lengths, data.dims[0])
        return reduction(op, data, segments.ids, segments.size, segments.lengths)


_register_lengths("LengthsSum", segment_sum)
_register_lengths("LengthsMean", segment_mean)
_register_lengths("LengthsMax", segment_max)


@caffe2("LengthsWeightedSum")
def lengths_weighted_sum(op: Builder, data: Matrix, scalars: Vector, lengths: Lengths) -> Value:
    segments = Segments(op, lengths, data.dims[0])
    return segment_sum(op, weighted(op, data, scalars), segments.ids, segments.size)


# ---- an id for each row --------------------------------------------------------------------------------------------


def id_count(op: Builder, ids: Value) -> Int:
    """The number of segments: one more than the largest id, 0 without any."""
    if ids.dims[0] == 0:
        return 0
    padded = op.Concat(op.const([-1]), op.cast(ids, DataType.INT64), axis=0)
    return op.symbol_of(op.Add(op.ReduceMax(padded, keepdims=0), 1), "segments", low=0)


def _register_ids(name: str, reduction: Reduction, *, indexed: bool = False, scaled: bool = False) -> None:
    """Registers a reduction over segments that ids give.

    Args:
        name: the operator.
        reduction: what it computes.
        indexed: whether it looks its rows up by indices.
        scaled: whether it weights its rows by scalars.
    """

    def reduce(op: Builder, rows: Value, scalars: Value | None, ids: Value, num_segments: int) -> Value:
        ids = op.cast(ids, DataType.INT64)
        size = id_count(op, ids) if num_segments < 0 else num_segments
        return reduction(op, rows if scalars is None else weighted(op, rows, scalars), ids, size, None)

    def plain(op: Builder, data: Matrix, ids: Lengths, *, num_segments: int = -1) -> Value:
        return reduce(op, data, None, ids, num_segments)

    def plain_scaled(op: Builder, data: Matrix, scalars: Vector, ids: Lengths, *, num_segments: int = -1) -> Value:
        return reduce(op, data, scalars, ids, num_segments)

    def sparse(op: Builder, data: Matrix, indices: Indices, ids: Lengths, *, num_segments: int = -1) -> Value:
        return reduce(op, op.Gather(data, indices, axis=0), None, ids, num_segments)

    def sparse_scaled(
        op: Builder, data: Matrix, scalars: Vector, indices: Indices, ids: Lengths, *, num_segments: int = -1
    ) -> Value:
        return reduce(op, op.Gather(data, indices, axis=0), scalars, ids, num_segments)

    forms: dict[tuple[bool, bool], Callable[..., Value]] = {
        (False, False): plain, (False, True): plain_scaled, (True, False): sparse, (True, True): sparse_scaled
    }  # fmt: skip
    caffe2(name)(forms[indexed, scaled])


for _kind in ("Sorted", "Unsorted"):
    for _sparse in ("", "Sparse"):
        _register_ids(f"{_sparse}{_kind}SegmentSum", segment_sum, indexed=bool(_sparse))
        _register_ids(f"{_sparse}{_kind}SegmentMean", segment_mean, indexed=bool(_sparse))
        _register_ids(f"{_sparse}{_kind}SegmentWeightedSum", segment_sum, indexed=bool(_sparse), scaled=True)

_register_ids("SortedSegmentRangeSum", segment_sum)
_register_ids("SortedSegmentRangeMean", segment_mean)
_register_ids("SortedSegmentRangeMax", _range_max)
_register_ids("SortedSegmentRangeLogSumExp", _log_sum_exp)
_register_ids("SortedSegmentRangeLogMeanExp", _log_mean_exp)

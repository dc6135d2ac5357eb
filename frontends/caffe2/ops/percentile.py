"""Ranks of numbers in sampled distributions.

Semantics: ``caffe2/operators/percentile_op.cc``, ``bisect_percentile_op.h``.
"""

from __future__ import annotations

from itertools import accumulate

import numpy as np

from nxconvert.frontends.caffe2.ops.numbers import counting
from nxconvert.frontends.caffe2.table import (
    Builder,
    DataType,
    Floats,
    Ints,
    Lengths,
    LoweringError,
    Matrix,
    Value,
    Weight,
    caffe2,
)  # fmt: skip
from nxconvert.graph.dims import require


@caffe2("Percentile")
def percentile(op: Builder, x: Matrix, pairs: Weight, lengths: Lengths) -> Value:
    """The percentile of each number, a distribution a column: the samples of all of them are ``pairs``, one after the
    other, sorted pairs of a value and its percentile.

    Below the first sample it is 0, above the last one 1, between two it is interpolated.
    """
    require(x.dims[1], lengths.dims[0])
    values, ranks = op.Split(op.Pad(pairs, [0, 0, 1, 0]), axis=1, num_outputs=2)
    values, ranks = op.Squeeze(values, [1]), op.Squeeze(ranks, [1])
    sizes = op.cast(lengths, DataType.INT64)
    ends = op.CumSum(sizes, 0)
    starts = op.Sub(ends, sizes)
    place = op.Add(starts, _smaller(op, x, op.Squeeze(op.Slice(pairs, [0], [1], [1]), [1]), starts, ends))
    above, below = op.Gather(values, place), op.Gather(values, op.Max(op.Sub(place, 1), 0))
    rank, rank_below = op.Gather(ranks, place), op.Gather(ranks, op.Max(op.Sub(place, 1), 0))
    share = op.Div(op.Sub(x, below), op.Sub(above, below))
    between = op.Add(rank_below, op.Mul(share, op.Sub(rank, rank_below)))
    inside = op.Where(op.Equal(x, above), rank, op.Where(op.Equal(place, starts), op.const(0.0, x.etype), between))
    return op.Where(op.Equal(place, ends), op.const(1.0, x.etype), inside)


def _smaller(op: Builder, x: Value, values: Value, starts: Value, ends: Value) -> Value:
    """How many values of its own distribution are smaller than each number; int64."""
    places = counting(op, values.dims[0])
    own = op.And(op.GreaterOrEqual(places, op.Unsqueeze(starts, [1])), op.Less(places, op.Unsqueeze(ends, [1])))
    smaller = op.And(op.Less(values, op.Unsqueeze(x, [2])), own)
    return op.ReduceSum(op.Cast(smaller, to=DataType.INT64), [2], keepdims=0)


@caffe2("BisectPercentile")
def bisect_percentile(
    op: Builder,
    x: Matrix,
    *,
    percentile_raw: Floats,
    percentile_mapping: Floats,
    percentile_lower: Floats,
    percentile_upper: Floats,
    lengths: Ints,
) -> Value:
    """The percentile of each number, a distribution a column: samples in increasing order, one column's after the
    other's.

    Below the first sample it is 0, above the last one 1. A sample's own is its ``mapping``, of equal ones the last;
    between two it is interpolated from the ``upper`` of the one below to the ``lower`` of the one above.
    """
    raw = np.array(percentile_raw, np.float32)
    if sum(lengths) != raw.size or not all(lengths):
        raise LoweringError(f"the lengths {list(lengths)} do not divide {raw.size} samples")
    require(x.dims[1], len(lengths))
    starts = np.array([0, *accumulate(lengths)][:-1])
    grid = np.full((len(lengths), max(lengths)), np.inf, np.float32)
    for row, start, length in zip(grid, starts, lengths, strict=True):
        row[:length] = raw[start : start + length]
    reached = op.ReduceSum(
        op.Cast(op.LessOrEqual(op.const(grid), op.Unsqueeze(x, [2])), to=DataType.INT64), [2], keepdims=0
    )
    at = op.Add(op.Max(op.Sub(reached, 1), 0), op.const(starts))
    first, last = op.const(raw[starts]), op.const(raw[starts + lengths - 1])
    gaps = np.append(raw[1:] - raw[:-1], np.float32(1)) + np.float32(1e-10)
    below, gap = op.Gather(op.const(raw), at), op.Gather(op.const(gaps), at)
    upper = _sampled(op, percentile_upper, at)
    lower = _sampled(op, [*percentile_lower[1:], percentile_lower[-1]], at)
    share = op.Div(op.Sub(x, below), gap)
    between = op.Add(op.Mul(op.Sub(1.0, share), upper), op.Mul(share, lower))
    inside = op.Where(op.Equal(x, below), _sampled(op, percentile_mapping, at), between)
    outside = op.Where(op.Greater(x, last), op.const(1.0), inside)
    return op.Where(op.Less(x, first), op.const(0.0), outside)


def _sampled(op: Builder, numbers: Floats, at: Value) -> Value:
    return op.Gather(op.const(np.array(numbers, np.float32)), at)

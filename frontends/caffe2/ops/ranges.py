"""Ranges of data: pairs of where they start and how long they are."""

from __future__ import annotations

from nxconvert.frontends.caffe2.table import Builder, DataType, Indices, Ints, LoweringError, Value, Vector, caffe2
from nxconvert.graph.dims import compare, require
from nxconvert.graph.segments import blank_rows, counting, range_indices


def _column(op: Builder, ranges: Value, which: int) -> Value:
    """The starts (0) or lengths (1) of ranges ``[*dims, 2]`` as int64[*dims]."""
    return op.cast(op.Gather(ranges, which, axis=ranges.rank - 1), DataType.INT64)


@caffe2("GatherRanges")
def gather_ranges(op: Builder, data: Vector, ranges: Value) -> tuple[Value, Value]:
    """All ranges (``[batch, n, 2]``) one after another, and how many elements each of the batch has, int32."""
    count = ranges.dims[0] * ranges.dims[1]
    starts, lengths = (_column(op, ranges, which) for which in (0, 1))
    picked = range_indices(op, op.reshape(starts, [count]), op.reshape(lengths, [count]))
    sizes = op.Cast(op.ReduceSum(lengths, [1], keepdims=0), to=DataType.INT32)
    return op.Gather(data, picked, axis=0), sizes


@caffe2("GatherRangesToDense")
def gather_ranges_to_dense(
    op: Builder, data: Vector, ranges: Value, key: Indices | None = None, *, lengths: Ints
) -> tuple[Value, ...]:
    """For each of the ranges ``[batch, n, 2]`` a matrix ``[batch, length]``, sorted by key where there is one.

    A range that does not have the length that it ought to have gives zeros.
    """
    if compare(len(lengths), "!=", ranges.dims[1]):
        raise LoweringError(f"there are {len(lengths)} lengths for {ranges.dims[1]} ranges")
    require(ranges.dims[1], len(lengths))
    starts, sizes = (_column(op, ranges, which) for which in (0, 1))
    padded = op.Concat(data, blank_rows(op, data, 1), axis=0)
    keys = None if key is None else op.Concat(key, blank_rows(op, key, 1), axis=0)
    results = []
    for i, length in enumerate(lengths):
        start, size = (op.Gather(part, [i], axis=1) for part in (starts, sizes))
        index = op.Add(start, counting(op, length))
        index = op.Where(op.Equal(size, length), index, op.dim_value(data.dims[0]))
        if keys is not None:
            _, order = op.TopK(op.Gather(keys, index, axis=0), [length], axis=1, largest=0)
            index = op.GatherElements(index, order, axis=1)
        results.append(op.Gather(padded, index, axis=0))
    return tuple(results)

"""Choices by masks: elementwise and by rows, rows kept and put back, masks of sequences for attention.

Semantics: ``caffe2/operators/elementwise_logical_ops.h``, ``conditional_op.cc``, ``boolean_mask_ops.cc``,
``boolean_unmask_ops.cc``.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from nxconvert.frontends.caffe2.ops.numbers import axis_of
from nxconvert.frontends.caffe2.table import Builder, DataType, Flags, Int, Lengths, LoweringError, Value, caffe2
from nxconvert.graph import widening
from nxconvert.graph.dims import compare, product
from nxconvert.graph.segments import Segments, columns, counting, reduce_segments

# ---- one or the other ------------------------------------------------------------------------------------------------


@caffe2("Where")
def where(op: Builder, condition: Value, x: Value, y: Value, *, broadcast_on_rows: int = 0) -> Value:
    """``x`` where the condition holds, else ``y``; a vector chooses rows if it is to be broadcast."""
    if broadcast_on_rows:
        if condition.rank != 1:
            raise LoweringError(f"rows are chosen by a vector, not by a tensor of rank {condition.rank}")
        condition = op.reshape(condition, [x.dims[0]])
        return widening.where(op, columns(op, condition, x.rank), x, y)
    if condition.rank != x.rank:
        raise LoweringError("its condition has another shape than what it chooses from")
    return widening.where(op, condition, x, y)


@caffe2("Conditional")
def conditional(op: Builder, condition: Flags, x: Value, y: Value) -> Value:
    """Row by row."""
    return widening.where(op, columns(op, op.reshape(condition, [x.dims[0]]), x.rank), x, y)


# ---- rows kept and put back ------------------------------------------------------------------------------------------


@caffe2("BooleanMask")
def boolean_mask(op: Builder, data: Value, mask: Flags, *, n_outputs: int) -> tuple[Value, ...]:
    """The rows where the mask holds, and their indices, int64[n]."""
    if n_outputs < 2:
        return (op.Compress(data, mask, axis=0),)
    kept = op.Squeeze(op.NonZero(op.reshape(mask, [data.dims[0]])), [0])
    return op.Gather(data, kept, axis=0), kept


@caffe2("BooleanMaskLengths")
def boolean_mask_lengths(op: Builder, lengths: Lengths, mask: Flags) -> Value:
    """How many elements of each segment the mask keeps."""
    segments = Segments(op, lengths, mask.dims[0])
    kept = reduce_segments(op, op.cast(mask, DataType.INT64), segments.ids, segments.size)
    return op.cast(kept, lengths.etype)


@caffe2("BooleanUnmask")
def boolean_unmask(op: Builder, mask: Flags, values: Value, *pairs: Value) -> Value:
    """What several masks have taken out of one tensor is put together again; the first mask that holds has it."""
    rest = (mask, values, *pairs)
    free: Value | None = None
    places, taken = [], []
    for flags, part in zip(rest[::2], rest[1::2], strict=True):
        places.append(op.Squeeze(op.NonZero(flags if free is None else op.And(flags, free)), [0]))
        taken.append(part)
        free = op.Not(flags) if free is None else op.And(free, op.Not(flags))
    order = op.Concat(*places, axis=0)
    # Where each element of the result stands among the values, one mask's after another's.
    blank = op.expand(op.const(0), mask.dims)
    source = op.ScatterElements(blank, order, counting(op, order.dims[0]), axis=0)
    return op.Gather(op.Concat(*taken, axis=0), source, axis=0)


# ---- masks of sequences ----------------------------------------------------------------------------------------------

_TRIANGLES: dict[str, Callable[[Builder, Value, Value], Value]] = {
    "upper": lambda op, column, row: op.Greater(column, row),
    "lower": lambda op, column, row: op.Less(column, row),
    "upperdiag": lambda op, column, row: op.GreaterOrEqual(column, row),
    "lowerdiag": lambda op, column, row: op.LessOrEqual(column, row),
}


@caffe2("SequenceMask")
def sequence_mask(
    op: Builder,
    x: Value,
    per_row: Lengths | None = None,
    *,
    mode: str,
    axis: int = 1,
    radius: int = 10,
    grad: int = 0,
    fill_val: float = -math.inf,
    batch: int | None = None,
    repeat_from_axis: int | None = None,
) -> Value:
    """Fills what a mask of rows and columns covers: the axes before ``axis`` count the rows, the others the columns.

    The mask is repeated over ``batch`` and the axes before it, and, of sequences, over those from
    ``repeat_from_axis`` on. It covers the columns behind a row's length, those further from its centre than the
    radius, or a triangle.
    """
    first = axis_of(axis, x.rank)
    start = 0 if batch is None or batch < 0 else axis_of(batch, x.rank) + 1
    if start > first:
        raise LoweringError(f"the batch of axis {batch} reaches up to axis {axis}, from where columns are counted")
    last = x.rank
    if repeat_from_axis is not None:
        last = axis_of(repeat_from_axis, x.rank)
        if mode != "sequence" or last < first:
            raise LoweringError("only a mask of sequences is repeated, over axes behind its columns")
    column = _along(op, counting(op, product(x.dims[first:last])), x, first, last)
    if mode in _TRIANGLES:
        row = _along(op, counting(op, product(x.dims[start:first])), x, start, first)
        covered = _TRIANGLES[mode](op, column, row)
    elif per_row is None:
        raise LoweringError(f"it needs an input with a number for each row in mode {mode!r}")
    else:
        row = _along(op, _first(op, per_row, product(x.dims[start:first])), x, start, first)
        covered = _covered(op, mode, column, row, radius)
    fill = op.const(0.0 if grad else fill_val, x.etype)
    return op.Where(covered, fill, x)


def _covered(op: Builder, mode: str, column: Value, row: Value, radius: int) -> Value:
    """Which columns are covered, from what an input says of each row."""
    if mode == "sequence":
        return op.GreaterOrEqual(column, row)
    if mode == "window":
        return op.Greater(op.Abs(op.Sub(column, row)), radius)
    raise LoweringError(f"there is no mode {mode!r}")


def _first(op: Builder, vector: Value, count: Int) -> Value:
    """The first numbers of a vector, which may have more than there are rows."""
    numbers = op.cast(vector, DataType.INT64)
    if compare(vector.dims[0], ">", count):
        numbers = op.Slice(numbers, [0], op.dims_tensor([count]), [0])
    return op.reshape(numbers, [count])


def _along(op: Builder, numbers: Value, x: Value, first: int, last: int) -> Value:
    """A vector as the axes from ``first`` to ``last`` of ``x``, so that it broadcasts to ``x``."""
    return op.reshape(numbers, [*x.dims[first:last], *[1] * (x.rank - last)])

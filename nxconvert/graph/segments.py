"""Segments of rows that stand one after another: which segment a row is in, and what each segment sums up to.

Nothing here builds a matrix of segments by rows, and segments may be empty. All integers are int64.
"""

from __future__ import annotations

from functools import cached_property

import onnx_ir as ir

from nxconvert.graph.builder import Builder, Value
from nxconvert.graph.dims import Int
from nxconvert.graph.schema import HALVES


def counting(op: Builder, size: Int) -> Value:
    """``0, 1, ..., size - 1``."""
    return op.Range(0, op.dim_value(size), 1)


def segment_ids(op: Builder, ends: Value, count: Int) -> Value:
    """For each of ``count`` rows the segment that it is in; the first segment starts at row 0.

    Args:
        op: the builder.
        ends: where segments end, int64[segments], ascending and none above ``count``. Rows behind the last end are in
            one segment more.
        count: how many rows there are.
    """
    blank = op.expand(op.const(0), [count + 1])
    steps = op.ScatterElements(blank, ends, op.expand(op.const(1), ends.dims), axis=0, reduction="add")
    return op.Slice(op.CumSum(steps, 0), [0], op.dims_tensor([count]), [0])


class Segments:
    """Consecutive segments of rows, given by their lengths; what is asked for is emitted once.

    Attributes:
        size: how many segments there are.
        lengths: of each of them, int64[size].
    """

    def __init__(self, op: Builder, lengths: Value, count: Int | None = None) -> None:
        """
        Args:
            op: the builder.
            lengths: a vector of any integer dtype.
            count: their sum, where it is known.
        """
        self._op = op
        self.lengths = op.cast(lengths, ir.DataType.INT64)
        self.size = lengths.dims[0]
        self._known = count

    @cached_property
    def count(self) -> Int:
        """How many rows they have together."""
        if self._known is not None:
            return self._known
        return self._op.symbol_of(self._op.ReduceSum(self.lengths, keepdims=0), "rows", low=0)

    @cached_property
    def ends(self) -> Value:
        """The row behind each segment, int64[size]."""
        return self._op.CumSum(self.lengths, 0)

    @cached_property
    def starts(self) -> Value:
        """The row where each segment starts, int64[size]."""
        return self._op.CumSum(self.lengths, 0, exclusive=1)

    @cached_property
    def ids(self) -> Value:
        """The segment of each row, int64[count]."""
        return segment_ids(self._op, self.ends, self.count)

    def of_rows(self, x: Value) -> Value:
        """For each row what ``x`` ([size, ...]) holds for its segment."""
        return self._op.Gather(x, self.ids, axis=0)

    @cached_property
    def places(self) -> Value:
        """The place of each row in its segment, from 0, int64[count]."""
        return self._op.Sub(counting(self._op, self.count), self.of_rows(self.starts))

    @cached_property
    def longest(self) -> Int:
        """The length of the longest segment, 0 if there is none."""
        padded = self._op.Concat(self._op.const([0]), self.lengths, axis=0)
        return self._op.symbol_of(self._op.ReduceMax(padded, keepdims=0), "longest", low=0)

    def present(self, width: Int) -> Value:
        """Which places of a row of ``width`` each segment reaches, bool[size, width]."""
        return self._op.Less(counting(self._op, width), self._op.Unsqueeze(self.lengths, [1]))

    def spread(self, rows: Value, width: Int, blank: float = 0.0) -> Value:
        """The rows of each segment side by side, ``[size, width, *rest]`` of ``[count, *rest]``.

        Args:
            rows: of all segments.
            width: how many rows of a segment there is room for; those of a longer one are cut off.
            blank: what is put where a segment has ended (an empty string, of strings).
        """
        op = self._op
        index = op.Add(op.Unsqueeze(self.starts, [1]), counting(op, width))
        index = op.Where(self.present(width), index, op.dim_value(rows.dims[0]))
        return op.Gather(op.Concat(rows, blank_rows(op, rows, 1, blank), axis=0), index, axis=0)


def range_indices(op: Builder, starts: Value, lengths: Value, count: Int | None = None) -> Value:
    """Ranges written out one after another, int64[count]: ``5, 6, 0, 1, 2`` for the starts 5, 0, the lengths 2, 3.

    Args:
        op: the builder.
        starts: int64[ranges].
        lengths: a vector of any integer dtype.
        count: the sum of the lengths, where it is known.
    """
    segments = Segments(op, lengths, count)
    shift = op.Sub(op.cast(starts, ir.DataType.INT64), segments.starts)
    return op.Add(counting(op, segments.count), segments.of_rows(shift))


def reduce_segments(
    op: Builder, rows: Value, ids: Value, size: Int, reduction: str = "add", blank: float = 0.0
) -> Value:
    """The rows of each segment summed up, ``[size, *rest]`` of ``[n, *rest]``.

    Args:
        op: the builder.
        rows: what is summed up.
        ids: the segment of each row, int64[n], in any order.
        size: how many segments there are.
        reduction: ``add``, ``mul``, ``max`` or ``min``.
        blank: what a segment without rows gives, and the others start from.
    """
    if rows.etype in HALVES:
        # ONNX Runtime adds no halves up there, and rounding every step would lose most of them.
        wide = reduce_segments(op, op.Cast(rows, to=ir.DataType.FLOAT), ids, size, reduction, blank)
        return op.Cast(wide, to=rows.etype)
    start = blank_rows(op, rows, size, blank)
    return op.ScatterND(start, op.Unsqueeze(ids, [1]), rows, reduction=reduction)


def columns(op: Builder, x: Value, rank: int) -> Value:
    """A vector as ``[n, 1, ...]`` of a rank, so that it broadcasts along rows."""
    return op.Unsqueeze(x, list(range(1, rank))) if rank > 1 else x


def blank_rows(op: Builder, like: Value, count: Int, number: float = 0.0) -> Value:
    """``count`` rows of the dtype and the form of others, all the same number (cut to integers), of strings the empty
    one.
    """
    if like.etype == ir.DataType.STRING:
        blank: float | str = ""
    else:
        blank = number if like.etype.is_floating_point() else int(number)
    return op.expand(op.const(blank, like.etype), [count, *like.dims[1:]])

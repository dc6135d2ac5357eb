"""Rows of padding around sequences that stand one after another."""

from __future__ import annotations

from nxconvert.frontends.caffe2.table import Builder, DataType, Lengths, LoweringError, Matrix, Value, caffe2
from nxconvert.graph.segments import Segments, blank_rows, counting


def _widths(padding_width: int, end_padding_width: int) -> tuple[int, int]:
    """How many rows of padding are before and behind each sequence."""
    if padding_width < 0:
        raise LoweringError(f"'padding_width' is {padding_width}; it must not be negative")
    return padding_width, padding_width if end_padding_width < 0 else end_padding_width


def _given(op: Builder, data: Value, lengths: Value | None) -> Value:
    """The lengths of sequences; without any, all rows are one."""
    return op.cast(op.dims_tensor([data.dims[0]]), DataType.INT32) if lengths is None else lengths


def _edge(op: Builder, edges: Value, width: int) -> Value:
    """The ``width`` rows from each of ``edges`` on, int64[edges, width]."""
    return op.Add(op.Unsqueeze(edges, [1]), counting(op, width))


@caffe2("AddPadding")
def add_padding(
    op: Builder, data: Matrix, lengths: Lengths | None = None, start_padding: Value | None = None,
    end_padding: Value | None = None, *, padding_width: int = 1, end_padding_width: int = -1,
) -> tuple[Value, Value]:  # fmt: skip
    """Copies of a row before and behind each sequence, zeros where none is given; and the new lengths, int32.

    Where only one row is given it stands on both sides.
    """
    before, behind = _widths(padding_width, end_padding_width)
    sizes = _given(op, data, lengths)
    if not before and not behind:
        return data, sizes
    sequences = Segments(op, sizes, data.dims[0])
    count = data.dims[0] + sequences.size * (before + behind)
    last = start_padding if end_padding is None or not behind else end_padding
    padded = blank_rows(op, data, count) if last is None else op.expand(last, [count, *data.dims[1:]])
    # A row moves by the paddings of the sequences before its own, and by the first of its own.
    moved = op.Add(op.Mul(sequences.ids, before + behind), counting(op, data.dims[0]))
    padded = op.ScatterND(padded, op.Unsqueeze(op.Add(moved, before), [1]), data)
    if start_padding is not None and last is not start_padding and before:
        first = op.Add(sequences.starts, op.Mul(counting(op, sequences.size), before + behind))
        places = op.Unsqueeze(_edge(op, first, before), [2])
        rows = op.expand(start_padding, [sequences.size, before, *data.dims[1:]])
        padded = op.ScatterND(padded, places, rows)
    return padded, op.Add(sizes, op.const(before + behind, sizes.etype))


@caffe2("RemovePadding")
def remove_padding(
    op: Builder, data: Matrix, lengths: Lengths | None = None, *, padding_width: int = 1, end_padding_width: int = -1
) -> tuple[Value, Value]:
    """The rows without those before and behind each sequence, and the new lengths, int32."""
    before, behind = _widths(padding_width, end_padding_width)
    sizes = _given(op, data, lengths)
    if not before and not behind:
        return data, sizes
    rest = op.Sub(sizes, op.const(before + behind, sizes.etype))
    if lengths is None:
        return op.Slice(data, [before], op.dims_tensor([data.dims[0] - behind]), [0]), rest
    sequences = Segments(op, rest)
    moved = op.Add(op.Mul(sequences.ids, before + behind), counting(op, sequences.count))
    return op.Gather(data, op.Add(moved, before), axis=0), rest


@caffe2("GatherPadding")
def gather_padding(
    op: Builder, data: Matrix, lengths: Lengths, *, padding_width: int = 1, end_padding_width: int = -1,
    n_outputs: int = 1,
) -> tuple[Value, ...]:  # fmt: skip
    """The sum of all rows of padding, or of those before and those behind the sequences, ``[*rest]``.

    Where there is no padding, one number without a dtype: those who look at it see an int64.
    """
    before, behind = _widths(padding_width, end_padding_width)
    if not before and not behind:
        return (op.const(0),) * n_outputs
    sequences = Segments(op, lengths, data.dims[0])
    first = _edge(op, sequences.starts, before)
    last = _edge(op, op.Sub(sequences.ends, behind), behind)
    if n_outputs < 2:
        return (_sum_of(op, data, op.Concat(first, last, axis=1)),)
    return _sum_of(op, data, first), _sum_of(op, data, last)


def _sum_of(op: Builder, data: Value, rows: Value) -> Value:
    return op.ReduceSum(op.Gather(data, rows, axis=0), [0, 1], keepdims=0)


@caffe2("PadEmptySamples")
def pad_empty_samples(op: Builder, lengths: Lengths, *features: Value) -> tuple[Value, ...]:
    """Lengths of at least 1, and features with a row of zeros for each sample that had none."""
    filled = op.Max(lengths, op.const(1, lengths.etype))
    if not features:
        return (filled,)
    samples = Segments(op, lengths, features[0].dims[0])
    count = Segments(op, filled).count
    empty = op.Cast(op.Equal(samples.lengths, 0), to=DataType.INT64)
    moved = op.Add(counting(op, samples.count), samples.of_rows(op.CumSum(empty, 0)))
    places = op.Unsqueeze(moved, [1])
    return filled, *(op.ScatterND(blank_rows(op, each, count), places, each) for each in features)

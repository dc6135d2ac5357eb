"""Segments side by side in one tensor, filled up to the length of the longest, and back."""

from __future__ import annotations

from nxconvert.frontends.caffe2.table import Builder, DataType, Int, Lengths, Matrix, Steps, Value, caffe2
from nxconvert.graph.segments import Segments, counting

_INFINITY = float("inf")


@caffe2("PackSegments")
def pack_segments(
    op: Builder, lengths: Lengths, data: Matrix, *, max_length: int = -1, pad_minf: bool = False,
    return_presence_mask: bool = False,
) -> tuple[Value, Value | None]:  # fmt: skip
    """``[segments, length, *rest]`` of ``[n, *rest]``, and which rows were there.

    Segments are filled up, and cut off, to ``max_length`` or else the length of the longest. What they are filled up
    with are zeros or minus infinity; for integers the runtime leaves it open, zeros are taken.
    """
    segments = Segments(op, lengths)
    width = segments.longest if max_length == -1 else max_length
    blank = -_INFINITY if pad_minf and data.etype == DataType.FLOAT else 0.0
    return segments.spread(data, width, blank), segments.present(width) if return_presence_mask else None


@caffe2("UnpackSegments")
def unpack_segments(op: Builder, lengths: Lengths, data: Steps, *, max_length: int = -1) -> Value:
    """``[n, *rest]`` of ``[segments, length, *rest]``: the rows that belong to segments."""
    count: Int = data.dims[0] * data.dims[1]
    present = op.reshape(Segments(op, lengths).present(data.dims[1]), [count])
    return op.Compress(op.reshape(data, [count, *data.dims[2:]]), present, axis=0)


@caffe2("ReversePackedSegs")
def reverse_packed_segs(op: Builder, data: Steps, lengths: Lengths) -> Value:
    """Each sequence of ``[length, batch, features]`` back to front, what it is filled up with stays where it is."""
    return op.ReverseSequence(data, op.cast(lengths, DataType.INT64), time_axis=0, batch_axis=1)


@caffe2("VariableLengthSequencePadding")
def variable_length_sequence_padding(op: Builder, data: Steps, lengths: Lengths) -> Value:
    """Zeros where a sequence of ``[length, batch, features]`` has ended."""
    place = op.Unsqueeze(counting(op, data.dims[0]), [1])
    there = op.Unsqueeze(op.Less(place, op.cast(lengths, DataType.INT64)), [2])
    return op.Where(there, data, op.const(0, data.etype))

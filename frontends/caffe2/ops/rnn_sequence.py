"""Sequences of one batch, one after the other or padded side by side.

Semantics: ``caffe2/operators/pack_rnn_sequence_op.h``.
"""

from __future__ import annotations

from nxconvert.frontends.caffe2.table import Builder, DataType, Lengths, Value, caffe2
from nxconvert.graph.dims import product


@caffe2("PackRNNSequence")
def pack_rnn_sequence(op: Builder, values: Value, lengths: Lengths) -> Value:
    """[sum of lengths, ...] to [longest, sequences, ...], zeros at the end of shorter ones."""
    lengths = op.cast(lengths, DataType.INT64)
    longest = op.ReduceMax(op.Concat(lengths, op.const([0]), axis=0), [0], keepdims=0)
    rows = op.Unsqueeze(op.Range(0, longest, 1), [1])
    first = op.CumSum(lengths, 0, exclusive=1)
    # Padding is a row of zeros behind all others.
    index = op.Where(op.Less(rows, lengths), op.Add(rows, first), values.dims[0])
    zeros = op.expand(op.const(0, values.etype), (1, *values.dims[1:]))
    return op.Gather(op.Concat(values, zeros, axis=0), index, axis=0)


@caffe2("UnpackRNNSequence")
def unpack_rnn_sequence(op: Builder, values: Value, lengths: Lengths) -> Value:
    """[longest, sequences, ...] to [sum of lengths, ...], without what stands behind the end of a sequence."""
    rows, columns = values.dims[:2]
    there = op.Less(op.Range(0, rows, 1), op.Unsqueeze(op.cast(lengths, DataType.INT64), [1]))
    by_sequence = op.Transpose(values, perm=[1, 0, *range(2, values.rank)])
    count = product((columns, rows))
    return op.Compress(op.reshape(by_sequence, (count, *values.dims[2:])), op.reshape(there, (count,)), axis=0)

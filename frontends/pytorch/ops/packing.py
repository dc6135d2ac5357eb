"""Packed sequences: the active rows of a batch of sequences, one time step after the other.

Sequences are sorted by falling length, so the rows of step ``t`` are those of the first ``batch_sizes[t]`` sequences.
Packing is one ``Compress`` of the padded [time, batch] rows, unpacking one ``Gather``.
"""

from __future__ import annotations

from typing import NamedTuple

import onnx_ir as ir

from nxconvert.frontends.pytorch.ops.common import as_tensor
from nxconvert.frontends.pytorch.table import Builder, Int, LoweringError, Number, Value, aten
from nxconvert.graph.builder import TensorType

INT64 = ir.DataType.INT64


class Packing(NamedTuple):
    """How a batch is packed.

    Attributes:
        batch_sizes: int64[time], the number of sequences that reach each step.
        mask: bool[time, batch], whether a sequence reaches a step.
    """

    batch_sizes: Value
    mask: Value

    def lengths(self, op: Builder) -> Value:
        """The length of each sequence, int64[batch]."""
        return op.ReduceSum(op.Cast(self.mask, to=INT64), [0], keepdims=0)


def packing_of(op: Builder, batch_sizes: Value, batch: Int) -> Packing:
    """The packing with the given sizes of ``batch`` sequences."""
    return Packing(batch_sizes, op.Less(op.Range(0, batch, 1), op.Unsqueeze(batch_sizes, [1])))


def pack(op: Builder, x: Value, mask: Value, total: Int) -> Value:
    """The ``total`` rows of ``x`` [time, batch, ...] where ``mask`` [time, batch] holds, as [total, ...]."""
    time, batch, *rest = x.dims
    rows = op.reshape(x, [time * batch, *rest])
    chosen = op.reshape(mask, [time * batch])
    return op.node("Compress", [rows, chosen], {"axis": 0}, [TensorType(x.etype, (total, *rest))])[0]


def padded(op: Builder, data: Value, packing: Packing, padding: Value | None = None) -> Value:
    """[time, batch, ...] of packed ``data``; ``padding`` (if None, some row) comes behind the end of a sequence."""
    starts = op.CumSum(packing.batch_sizes, 0, exclusive=1)
    positions = op.Add(op.Unsqueeze(starts, [1]), op.Range(0, packing.mask.dims[1], 1))
    rows = op.Gather(data, op.Where(packing.mask, positions, 0), axis=0)
    if padding is None:
        return rows
    mask = op.Unsqueeze(packing.mask, list(range(2, rows.rank))) if rows.rank > 2 else packing.mask
    return op.Where(mask, rows, padding)


@aten("_pack_padded_sequence")
def pack_padded_sequence(op: Builder, input: Value, lengths: Value, batch_first: bool) -> tuple[Value, Value]:
    """``lengths`` must not rise; there are as many steps as the first sequence has."""
    x = op.Transpose(input, perm=[1, 0, *range(2, input.rank)]) if batch_first else input
    if lengths.etype != INT64:
        raise LoweringError(f"the lengths have to be int64, not {lengths.etype.name}")
    mask = op.Less(op.Unsqueeze(op.Range(0, x.dims[0], 1), [1]), lengths)
    counts = op.ReduceSum(op.Cast(mask, to=INT64), [1], keepdims=0)
    time = int(lengths.array[0]) if lengths.array is not None else op.fresh("time", low=1)
    first = op.Slice(lengths, [0], [1])
    batch_sizes = op.node("Slice", [counts, op.const([0]), first], {}, [TensorType(INT64, (time,))])[0]
    return pack(op, x, mask, op.fresh("packed", low=1)), batch_sizes


@aten("_pad_packed_sequence")
def pad_packed_sequence(
    op: Builder, data: Value, batch_sizes: Value, batch_first: bool, padding_value: Number, total_length: Int
) -> tuple[Value, Value]:
    """The padded sequences and their lengths; a ``total_length`` of 0 or less means that of the longest."""
    batch = op.fresh("batch", low=1)
    op.bind(batch, op.Gather(batch_sizes, 0, axis=0))
    time = batch_sizes.dims[0]
    if total_length != time and not (isinstance(total_length, int) and total_length <= 0):
        batch_sizes = op.Pad(batch_sizes, [0, total_length - time])
    packing = packing_of(op, batch_sizes, batch)
    y = padded(op, data, packing, as_tensor(op, padding_value, data.etype))
    if batch_first:
        y = op.Transpose(y, perm=[1, 0, *range(2, y.rank)])
    return y, packing.lengths(op)

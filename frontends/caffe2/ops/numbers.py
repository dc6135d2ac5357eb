"""Numbers that arguments and inputs hold: sizes as dims, axes counted from the front."""

from __future__ import annotations

import onnx_ir as ir

from nxconvert.frontends.caffe2.table import Builder, DataType, Int, LoweringError, Value
from nxconvert.graph import segments
from nxconvert.graph.rules.common import integers


def axis_of(axis: int, rank: int, *, end: bool = False) -> int:
    """An axis counted from the front.

    Args:
        axis: negative ones count from the end.
        rank: of the tensor.
        end: the axis may also be the one behind the last.

    Raises:
        LoweringError: the tensor has no such axis.
    """
    if not -rank <= axis < rank + end:
        raise LoweringError(f"there is no axis {axis} in a tensor of rank {rank}")
    return axis + rank if axis < 0 else axis


def number_in(op: Builder, x: Value, hint: str, low: int | None = None) -> Int:
    """The integer that a tensor of one element holds, as a dim with ``low`` as its lower bound."""
    known = integers(x)
    if known is not None and len(known) == 1:
        return known[0]
    return op.symbol_of(op.Reshape(x, []) if x.rank else x, hint, low)


def numbers_in(op: Builder, x: Value, hint: str, low: int | None = None) -> list[Int]:
    """The integers that a vector holds, as dims.

    Raises:
        LoweringError: how many there are depends on data.
    """
    known = integers(x)
    if known is not None:
        return list(known)
    if x.rank != 1 or not isinstance(x.dims[0], int):
        raise LoweringError(f"how many numbers its input {hint} holds depends on the input")
    return [op.symbol_of(op.Gather(x, i, axis=0), hint, low) for i in range(x.dims[0])]


def counting(op: Builder, size: Int, dtype: ir.DataType = DataType.INT64) -> Value:
    """``0, 1, ..., size - 1`` in a dtype."""
    return op.cast(segments.counting(op, size), dtype)

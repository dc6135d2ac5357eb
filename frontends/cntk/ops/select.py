"""Functions that choose between values. Semantics: measured in CNTK 2.7."""

from __future__ import annotations

from nxconvert.frontends.cntk.dynamic import aligned
from nxconvert.frontends.cntk.table import Builder, DataType, Tensor, Value, cntk


@cntk("Select")
def select(op: Builder, flag: Tensor, then: Tensor, other: Tensor) -> Tensor:
    """``then`` where the flag is not 0, else ``other``."""
    (condition, a, b), axes = aligned(op, flag, then, other)
    compared = _compared(condition)
    if compared is not None:
        return Tensor(op.Where(compared, a, b), axes)
    return Tensor(op.Where(op.Equal(condition, 0.0), b, a), axes)


def _compared(flag: Value) -> Value | None:
    """The boolean that a flag is, if it is one as a number."""
    node = flag.producer()
    source = node.inputs[0] if node is not None and node.op_type == "Cast" else None
    return source if isinstance(source, Value) and source.etype == DataType.BOOL else None


@cntk("Clip")
def clip(op: Builder, x: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Bounded by ``low`` first: measured, [-1, 0.5, 2] between 1 and 0 is [1, 1, 0]."""
    (value, least, most), axes = aligned(op, x, low, high)
    if least.array is not None and most.array is not None and (least.array <= most.array).all():
        if least.rank == most.rank == 0:
            return Tensor(op.Clip(value, least, most), axes)
        return Tensor(op.Min(op.Max(value, least), most), axes)
    below = op.Where(op.Greater(value, most), most, value)
    return Tensor(op.Where(op.Less(value, least), least, below), axes)

"""Functions that choose between values. Semantics: measured in CNTK 2.7."""

from __future__ import annotations

from nxconvert.frontends.cntk.dynamic import aligned
from nxconvert.frontends.cntk.table import Builder, Tensor, cntk


@cntk("Select")
def select(op: Builder, flag: Tensor, then: Tensor, other: Tensor) -> Tensor:
    """``then`` where the flag is not 0, else ``other``."""
    (condition, a, b), axes = aligned(op, flag, then, other)
    return Tensor(op.Where(op.Equal(condition, 0.0), b, a), axes)


@cntk("Clip")
def clip(op: Builder, x: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Bounded by ``low`` first: measured, [-1, 0.5, 2] between 1 and 0 is [1, 1, 0]."""
    (value, least, most), axes = aligned(op, x, low, high)
    below = op.Where(op.Greater(value, most), most, value)
    return Tensor(op.Where(op.Less(value, least), least, below), axes)

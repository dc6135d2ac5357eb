"""Functions that choose between values, and the order of static axes. Semantics: measured in CNTK 2.7."""

from __future__ import annotations

from nxconvert.frontends.cntk.dynamic import aligned
from nxconvert.frontends.cntk.table import Axis, Builder, LoweringError, Tensor, axis, cntk


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


@cntk("TransposeAxes")
def transpose_axes(op: Builder, x: Tensor, *, axis1: Axis, axis2: Axis) -> Tensor:
    """``x`` with two static axes in each other's place."""
    if not (0 <= axis1.static < x.rank and 0 <= axis2.static < x.rank):
        raise LoweringError(f"a tensor of {x.rank} static axes has no axes {axis1.static} and {axis2.static}")
    order = list(range(x.value.rank))
    first, second = axis(axis1.static), axis(axis2.static)
    order[first], order[second] = order[second], order[first]
    return x.of(op.Transpose(x.value, perm=order))


@cntk("TransposeAxes")
def permute_axes(op: Builder, x: Tensor, *, axisVec: tuple[Axis, ...]) -> Tensor:
    """``x`` with its static axes in another order; both the order and the places in it are column-major."""
    if sorted(item.static for item in axisVec) != list(range(x.rank)):
        raise LoweringError(f"the order is none of {x.rank} static axes")
    order = [x.value.rank + axis(item.static) for item in reversed(axisVec)]
    return x.of(op.Transpose(x.value, perm=[*range(x.nd), *order]))

"""Reductions over static axes, the batch, or all there is.

Semantics: measured in CNTK 2.7. Static axes are kept with a size of 1 if asked for; a reduction over all static axes
gives a single number, whatever is asked for, and one over the batch gives what has no batch. Of equal numbers the first
one is the largest, and the smallest; over several axes positions count in Python's order. CNTK has no reduction of
sequences over the batch alone.
"""

from __future__ import annotations

from dataclasses import dataclass

from nxconvert.formats.cntk.dictionary import ALL, ALL_STATIC, DYNAMIC
from nxconvert.frontends.cntk.dynamic import packed
from nxconvert.frontends.cntk.table import Axes, Axis, Builder, LoweringError, Tensor, Value, axis, cntk
from nxconvert.graph import widening
from nxconvert.graph.dims import product

_OPERATORS = {
    "Sum": "ReduceSum", "Plus": "ReduceSum", "LogSum": "ReduceLogSumExp", "Mean": "ReduceMean", "Max": "ReduceMax",
    "Min": "ReduceMin", "Prod": "ReduceProd", "Argmax": "ArgMax", "Argmin": "ArgMin",
}  # fmt: skip


@dataclass(frozen=True)
class _Extent:
    """What a reduction runs over.

    Attributes:
        static: these static axes, counted from the end; None for all of them.
        batch: the batch.
        steps: the steps of sequences.
    """

    static: tuple[int, ...] | None
    batch: bool
    steps: bool


def _extent(axes: tuple[Axis, ...]) -> _Extent:
    kinds = {each.static for each in axes}
    if ALL in kinds:
        return _Extent(None, batch=True, steps=True)
    static = None if ALL_STATIC in kinds else tuple(axis(i) for i in sorted(kinds) if i != DYNAMIC)
    return _Extent(static, any(each.is_batch for each in axes), any(each.is_sequence for each in axes))


@cntk("ReduceElements")
def reduce_axes(
    op: Builder, x: Tensor, *, axisVec: tuple[Axis, ...], reductionOpName: str, reductionKeepDimensions: bool = True
) -> Tensor:
    """A reduction over several axes."""
    operator = _OPERATORS.get(reductionOpName)
    if operator is None:
        raise LoweringError(f"there is no reduction that is called {reductionOpName}")
    extent = _extent(axisVec)
    if extent.batch and x.axes.batch:
        return _over_batch(op, x, operator, extent, keepdims=reductionKeepDimensions)
    if extent.steps and x.axes.seq is not None:
        raise LoweringError("a reduction over the steps of sequences has them unpacked")
    static = _static(x, extent)
    if not static:
        # There is one number in each place, of which a position is 0, and everything else what it is.
        return x.of(widening.full(op, 0.0, x.dtype, x.value.dims)) if operator.startswith("Arg") else x
    keepdims = extent.static is not None and reductionKeepDimensions
    return x.of(_reduce(op, operator, x.value, [x.nd + i for i in static], keepdims=keepdims))


@cntk("ReduceElements")
def reduce_axis(
    op: Builder, x: Tensor, *, axis: Axis, reductionOpName: str, reductionKeepDimensions: bool = True
) -> Tensor:
    """A reduction over one axis, or one of the kinds of axes."""
    keep = reductionKeepDimensions
    return reduce_axes(op, x, axisVec=(axis,), reductionOpName=reductionOpName, reductionKeepDimensions=keep)


@cntk("SumAll")
def sum_all(op: Builder, x: Tensor) -> Tensor:
    """The sum of everything in a batch."""
    return _over_batch(op, x, "ReduceSum", _Extent(None, batch=True, steps=True), keepdims=False)


def _static(x: Tensor, extent: _Extent) -> list[int]:
    """The static axes that are reduced, counted from the first one."""
    chosen = range(-x.rank, 0) if extent.static is None else extent.static
    if any(i < -x.rank for i in chosen):
        raise LoweringError(f"a tensor of {x.rank} static axes has no axis {min(chosen)}, counted from the end")
    return sorted(i + x.rank for i in chosen)


def _over_batch(op: Builder, x: Tensor, operator: str, extent: _Extent, *, keepdims: bool) -> Tensor:
    """A reduction over the batch, of sequences over all their steps, and over static axes."""
    if x.axes.seq is not None and not extent.steps:
        raise LoweringError("sequences are reduced over the batch, yet not over their steps")
    rows = packed(op, x)
    static = _static(x, extent)
    keepdims = keepdims and bool(static)
    if len(static) == x.rank and not (keepdims and static and extent.static is not None):
        return Tensor(_reduce(op, operator, rows, list(range(rows.rank)), keepdims=False), Axes())
    value = _reduce(op, operator, rows, [0, *(1 + i for i in static)], keepdims=keepdims)
    return Tensor(op.Squeeze(value, [0]) if keepdims else value, Axes())


def _reduce(op: Builder, operator: str, x: Value, axes: list[int], *, keepdims: bool) -> Value:
    """A reduction over axes, sorted and not negative."""
    if not operator.startswith("Arg"):
        return widening.reduce(op, operator, x, axes, keepdims)
    kept = [dim for i, dim in enumerate(x.dims) if i not in axes]
    if len(axes) > 1:
        if axes != list(range(axes[0], axes[-1] + 1)):
            raise LoweringError("a position is along one axis, or along all of them")
        size = product(x.dims[i] for i in axes)
        x = op.reshape(x, (*x.dims[: axes[0]], size, *x.dims[axes[-1] + 1 :]))
        keepdims = False
    found = getattr(op, operator)(x, axis=axes[0], keepdims=int(keepdims))
    return op.cast(found if keepdims else op.reshape(found, kept), x.etype)

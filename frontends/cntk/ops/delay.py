"""Delays that are part of no loop: the steps of sequences, shifted."""

from __future__ import annotations

from nxconvert.frontends.cntk.delays import in_order, initial_steps
from nxconvert.frontends.cntk.dynamic import Tensor, broadcast, with_axes
from nxconvert.frontends.cntk.table import Context, DataType, LoweringError, Value, cntk
from nxconvert.graph.builder import Builder, TensorType


@cntk("PastValue")
def past_value(op: Builder, x: Tensor, initial: Tensor, *, context: Context, offset: int = 1) -> Tensor:
    """The steps of each sequence ``offset`` steps later; the initial state before the first one."""
    return _delayed(op, x, initial, context, offset, backwards=False)


@cntk("FutureValue")
def future_value(op: Builder, x: Tensor, initial: Tensor, *, context: Context, offset: int = 1) -> Tensor:
    """The steps of each sequence ``offset`` steps earlier; the initial state behind the last one."""
    return _delayed(op, x, initial, context, offset, backwards=True)


def _delayed(op: Builder, x: Tensor, initial: Tensor, m: Context, offset: int, *, backwards: bool) -> Tensor:
    """The steps of a sequence some steps later, or earlier; the initial state where there is none."""
    seq = x.axes.seq
    if seq is None:
        raise LoweringError("what is delayed is no sequence")
    dims = broadcast([x.dims, initial.dims])
    if dims != x.dims:  # the steps are like the initial state
        x = x.of(op.expand(with_axes(op, x, x.axes, len(dims)), (m.batch, seq.size, *dims)))
    value = x.of(in_order(op, x, seq, backwards))
    number = _number(initial)
    if number is not None and x.dtype in (DataType.FLOAT, DataType.DOUBLE):
        result = x.of(_padded(op, value, offset, number))
    else:
        first = initial_steps(m, initial.of(op.cast(initial.value, x.dtype)), offset, x.dims, seq, backwards)
        first = op.Unsqueeze(first, [1]) if offset == 1 else first
        shifted = op.Slice(op.Concat(first, value.value, axis=1), [0], op.dims_tensor([seq.size]), [1])
        result = x.of(op.reshape(shifted, (m.batch, seq.size, *x.dims)))
    return result.of(in_order(op, result, seq, backwards))


def _number(initial: Tensor) -> float | None:
    """The number that all of an initial state is, if that is known."""
    array = initial.value.array
    return float(array.flat[0]) if array is not None and array.size and (array == array.flat[0]).all() else None


def _padded(op: Builder, x: Tensor, offset: int, number: float) -> Value:
    """[batch, sequence, ...] with so many steps of a number before it, and without as many of its last ones."""
    rank = x.value.rank
    before = [0] * (2 * rank)
    before[1] = offset
    padded = op.Pad(x.value, before, op.const(number, x.dtype) if number else None)
    bounds = op.const([0]), op.const([-offset]), op.const([1])
    return op.node("Slice", [padded, *bounds], {}, [TensorType(x.dtype, x.value.dims)])[0]

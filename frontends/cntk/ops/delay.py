"""Delays that are part of no loop: the steps of sequences, shifted."""

from __future__ import annotations

from nxconvert.frontends.cntk.delays import in_order, initial_steps
from nxconvert.frontends.cntk.dynamic import Tensor, broadcast, with_axes
from nxconvert.frontends.cntk.table import Context, LoweringError, cntk
from nxconvert.graph.builder import Builder


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
    value = in_order(op, x, seq, backwards)
    first = initial_steps(m, initial.of(op.cast(initial.value, x.dtype)), offset, x.dims, seq, backwards)
    first = op.Unsqueeze(first, [1]) if offset == 1 else first
    value = op.Slice(op.Concat(first, value, axis=1), [0], op.dims_tensor([seq.size]), [1])
    value = op.reshape(value, (m.batch, seq.size, *x.dims))
    result = x.of(value)
    return result.of(in_order(op, result, seq, backwards))

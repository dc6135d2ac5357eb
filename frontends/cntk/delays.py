"""What delays and recurrences begin with, and sequences turned around."""

from __future__ import annotations

from collections.abc import Sequence

from nxconvert.frontends.cntk.dynamic import Axes, Seq, Tensor, with_axes
from nxconvert.frontends.cntk.table import Context
from nxconvert.graph.builder import Builder, Value
from nxconvert.graph.dims import Int


def reversed_steps(op: Builder, value: Value, seq: Seq) -> Value:
    """[batch, sequence, ...] with the steps of each sequence from its last one to its first; the rest stays."""
    return op.ReverseSequence(value, seq.lengths, batch_axis=0, time_axis=1)


def in_order(op: Builder, tensor: Tensor, seq: Seq, backwards: bool) -> Value:
    """[batch, sequence, ...] in the order in which a loop goes through the steps."""
    value = with_axes(op, tensor, Axes(True, seq))
    return reversed_steps(op, value, seq) if backwards else value


def initial_steps(m: Context, initial: Tensor, offset: int, dims: Sequence[Int], seq: Seq, backwards: bool) -> Value:
    """The steps before the first one, the oldest first: [batch, *dims], or [batch, offset, *dims] of several.

    An initial state may be the same for all steps; one that is a sequence gives its last steps, backwards its first
    ones. One of a single step is repeated.
    """
    op = m.op
    own = initial.axes.seq
    target = (m.batch, *((offset,) if offset > 1 else ()), *dims)
    if own is None:
        value = initial.value
        lead = 1 if initial.axes.batch else 0
        missing = [lead + i for i in range(len(dims) - initial.rank)]
        if offset > 1:
            missing = [lead, *(axis + 1 for axis in missing)]
        value = op.Unsqueeze(value, missing) if missing else value
        return op.expand(value if lead else op.Unsqueeze(value, [0]), target)
    return _last_steps(m, initial, own, offset, target, backwards)


def _last_steps(m: Context, initial: Tensor, own: Seq, offset: int, target: Sequence[Int], backwards: bool) -> Value:
    """The steps of a sequence that are nearest to the sequence it is the initial state of, in the order of the scan."""
    op = m.op
    steps = op.Range(0, offset, 1)
    last = op.Sub(own.lengths, 1)
    if backwards:
        # The scan begins at the end of the sequence, behind which the first steps of this one lie.
        index = op.Min(op.Sub(offset - 1, steps), op.Unsqueeze(last, [1]))
    else:
        index = op.Max(op.Add(op.Unsqueeze(op.Sub(own.lengths, offset), [1]), steps), 0)
    index = op.expand(index, (m.batch, offset)) if index.dims != (m.batch, offset) else index
    value = op.GatherND(initial.value, op.Unsqueeze(index, [2]), batch_dims=1)
    value = op.Squeeze(value, [1]) if offset == 1 else value
    return op.expand(value, target)

"""Loops that add up the steps of a sequence, as ``CumSum``.

Models count steps this way, number words, and keep the sums of all steps so far for their means and variances.
"""

from __future__ import annotations

from nxconvert.frontends.cntk.delays import initial_steps, reversed_steps
from nxconvert.frontends.cntk.dynamic import Axes, Seq, Tensor, broadcast, with_axes
from nxconvert.frontends.cntk.lower import Lowerer
from nxconvert.frontends.cntk.network import Result
from nxconvert.frontends.cntk.recurrence.loop import Loop
from nxconvert.frontends.cntk.table import DataType, Value

#: What only says on which axis a tensor is.
_SAME = ("ReconcileDynamicAxis",)


def recognize(m: Lowerer, loop: Loop, seq: Seq) -> bool:
    """Binds what is used of a loop whose state is the sum of itself and a sequence, and says whether it is one.

    Args:
        m: the lowerer.
        loop: the loop.
        seq: its axis.
    """
    members = {node.uid: node for node in loop.nodes}
    sums = [node for node in loop.nodes if node.op == "Plus"]
    rest = [node for node in loop.nodes if node.op not in ("Plus", *_SAME)]
    if len(sums) != 1 or rest != loop.delays or len(rest) != 1 or rest[0].attributes.get("offset", 1) != 1:
        return False
    added = [source for source in sums[0].inputs if not (isinstance(source, Result) and source.node in members)]
    if len(added) != 1:
        return False
    x, initial = m.tensor(added[0]), m.tensor(rest[0].inputs[1])
    if x.dtype != loop.dtype or x.dtype not in (DataType.FLOAT, DataType.DOUBLE) or x.axes.seq != seq:
        return False
    m.values[Result(sums[0].uid)] = Tensor(_sums(m, x, initial, seq, backwards=loop.backwards), Axes(True, seq))
    if set(loop.used) != {sums[0].uid}:
        for uid in members:
            m.lower(uid)
    return True


def _sums(m: Lowerer, x: Tensor, initial: Tensor, seq: Seq, *, backwards: bool) -> Value:
    """The sums of all steps so far and the initial state, [batch, sequence, ...]."""
    op = m.op
    dims = broadcast([x.dims, initial.dims])
    steps = with_axes(op, x, Axes(True, seq), len(dims))
    if x.dims != dims:
        steps = op.expand(steps, (m.batch, seq.size, *dims))
    sums = op.CumSum(reversed_steps(op, steps, seq) if backwards else steps, 1)
    known = initial.value.array
    if known is None or known.any():
        start = initial.of(op.cast(initial.value, x.dtype))
        sums = op.Add(sums, op.Unsqueeze(initial_steps(m, start, 1, dims, seq, backwards), [1]))
    return reversed_steps(op, sums, seq) if backwards else sums

"""Recurrences: the loops that delays make, each as ``Scan``, or as what it is known to be.

- :mod:`~nxconvert.frontends.cntk.recurrence.running_sums` knows sums of steps: ``CumSum``;
- :mod:`~nxconvert.frontends.cntk.recurrence.cells` knows LSTMs, GRUs and plain RNNs by what they compute;
- :mod:`~nxconvert.frontends.cntk.recurrence.scan` makes a ``Scan`` of all others.
"""

from __future__ import annotations

from collections.abc import Sequence

from nxconvert.frontends.cntk.lower import Lowerer
from nxconvert.frontends.cntk.recurrence import cells, running_sums, scan
from nxconvert.frontends.cntk.recurrence.loop import axis_of, loop_of
from nxconvert.frontends.cntk.recurrence.state_dims import state_dims


def lower_loop(m: Lowerer, group: Sequence[str]) -> None:
    """Lowers functions that depend on each other, and gives what is used outside of them."""
    with m.at(m.network.nodes[group[0]]):
        loop = loop_of(m, group)
    with m.at(loop.delays[0]):
        seq = axis_of(m, loop)
        if running_sums.recognize(m, loop, seq):
            return
        dims = state_dims(m, loop)
        if not cells.recognize(m, loop, seq, dims):
            scan.lower(m, loop, seq, dims)

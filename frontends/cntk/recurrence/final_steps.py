"""Recognises what looks at the end of a state: the last step of each sequence; backwards, the first."""

from __future__ import annotations

from typing import NamedTuple

from nxconvert.frontends.cntk.idioms import Bounds, single_step
from nxconvert.frontends.cntk.network import Network, Source
from nxconvert.frontends.cntk.recurrence.loop import Loop

#: Functions of which an input says on which axis they are, and nothing else.
_LAYOUTS = {"ReconcileDynamicAxis": 1, "PackedIndex": 0}


class FinalSteps(NamedTuple):
    """What takes the last step that is computed of a state.

    Attributes:
        functions: by uid.
        alone: whether nothing else is taken of the state.
    """

    functions: list[str]
    alone: bool


def final_steps(network: Network, state: Source, loop: Loop) -> FinalSteps:
    """The functions outside of a loop that take the last step that is computed of one of its states."""
    members = {node.uid for node in loop.nodes}
    last = Bounds(until=1) if loop.backwards else Bounds(last=1)
    found, alone = [], all(output.source != state for output in network.outputs)
    for node, place in network.users.get(state, ()):
        if node.uid in members or _LAYOUTS.get(node.op) == place:
            continue
        if place == 0 and single_step(network, node) == last:
            found.append(node.uid)
        else:
            alone = False
    return FinalSteps(found, alone)

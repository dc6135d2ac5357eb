"""Recognises that nothing but the end of a state is looked at: the last step of each sequence; backwards, the first."""

from __future__ import annotations

from nxconvert.frontends.cntk.idioms import Bounds, bounds, function_of
from nxconvert.frontends.cntk.network import Network, Node, Source
from nxconvert.frontends.cntk.recurrence.loop import Loop

#: Functions of which an input says on which axis they are, and nothing else.
_LAYOUTS = {"ReconcileDynamicAxis": 1, "PackedIndex": 0}


def final_steps(network: Network, state: Source, loop: Loop) -> list[str]:
    """The functions that take the last step that is computed of a state; none if something else is taken of it."""
    members = {node.uid for node in loop.nodes}
    if any(output.source == state for output in network.outputs):
        return []
    found = []
    for node in network.nodes.values():
        for place, source in enumerate(node.inputs):
            if source != state or node.uid in members or _LAYOUTS.get(node.op) == place:
                continue
            if not _is_final(network, node, place, loop.backwards):
                return []
            found.append(node.uid)
    return found


def _is_final(network: Network, node: Node, place: int, backwards: bool) -> bool:
    """Whether a function takes the step that a loop ends with."""
    if node.op != "GatherPacked" or place != 0:
        return False
    index = function_of(network, node.inputs[1])
    steps = function_of(network, index.inputs[1]) if index is not None and index.op == "PackedIndex" else None
    if steps is None or steps.op != "Where":
        return False
    if any(axis.is_sequence for axis in steps.attributes.get("newDynamicAxes", ())):
        return False
    return bounds(network, steps.inputs[0]) == (Bounds(until=1) if backwards else Bounds(last=1))

"""What a loop of functions is: its delays, what comes into it, what is used of it, the axis it runs along."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nxconvert.frontends.cntk.dynamic import Seq
from nxconvert.frontends.cntk.lower import Lowerer
from nxconvert.frontends.cntk.network import Node, Result, Source
from nxconvert.frontends.cntk.table import DataType, LoweringError

#: The delays, and whether a loop of them runs from the last step to the first.
DELAYS = {"PastValue": False, "FutureValue": True}


@dataclass(frozen=True)
class Loop:
    """A loop of functions.

    Attributes:
        nodes: in an order in which they can be computed once the delays are known.
        delays: those of them that are delays.
        external: what comes from outside, without the initial states.
        used: those whose results something outside of the loop uses.
        backwards: whether it runs from the last step to the first.
        dtype: of the states.
    """

    nodes: list[Node]
    delays: list[Node]
    external: list[Source]
    used: list[str]
    backwards: bool
    dtype: DataType


def loop_of(m: Lowerer, group: Sequence[str]) -> Loop:
    """The loop that functions make which depend on each other."""
    members = set(group)
    nodes = {uid: m.network.nodes[uid] for uid in group}
    delays = [node for node in nodes.values() if node.op in DELAYS]
    if not delays:
        raise LoweringError("functions of the model depend on themselves, with no delay between them")
    directions = {DELAYS[node.op] for node in delays}
    if len(directions) > 1:
        raise LoweringError("a recurrence goes through PastValue and FutureValue at once")
    ordered = _ordered(nodes)
    external = dict.fromkeys(
        source
        for node in ordered
        for source in (node.inputs[:1] if node.op in DELAYS else node.inputs)
        if not (isinstance(source, Result) and source.node in members)
    )
    # Sequences of doubles may begin with floats.
    given = [m.tensor(source) for source in external]
    dtypes = {tensor.dtype for tensor in given if tensor.axes.seq is not None}
    dtype = DataType.DOUBLE if DataType.DOUBLE in dtypes else m.tensor(delays[0].inputs[1]).dtype
    return Loop(ordered, delays, list(external), _used_outside(m, ordered), directions.pop(), dtype)


def _ordered(nodes: dict[str, Node]) -> list[Node]:
    """The functions of a loop, each after what it depends on in the same step."""
    ordered: dict[str, Node] = {}
    for start in nodes:
        stack = [(start, iter(_same_step(nodes, start)))]
        entered = {start}
        while stack:
            uid, rest = stack[-1]
            child = next(rest, None)
            if child is None:
                stack.pop()
                ordered.setdefault(uid, nodes[uid])
            elif child in entered and child not in ordered:
                raise LoweringError("functions of the model depend on themselves, with no delay between them")
            elif child not in ordered:
                entered.add(child)
                stack.append((child, iter(_same_step(nodes, child))))
    return list(ordered.values())


def _same_step(nodes: dict[str, Node], uid: str) -> list[str]:
    node = nodes[uid]
    if node.op in DELAYS:
        return []
    return [source.node for source in node.inputs if isinstance(source, Result) and source.node in nodes]


def _used_outside(m: Lowerer, nodes: Sequence[Node]) -> list[str]:
    """The functions of a loop whose result something outside of it uses."""
    members = {node.uid for node in nodes}
    used = {
        source.node
        for node in m.network.nodes.values()
        if node.uid not in members
        for source in node.inputs
        if isinstance(source, Result) and source.node in members
    }
    used |= {o.source.node for o in m.network.outputs if isinstance(o.source, Result) and o.source.node in members}
    return [node.uid for node in nodes if node.uid in used]


def axis_of(m: Lowerer, loop: Loop) -> Seq:
    """The sequence axis that a loop runs along: that of what comes from outside."""
    axes = dict.fromkeys(tensor.axes.seq for tensor in map(m.tensor, loop.external) if tensor.axes.seq is not None)
    if not axes:
        raise LoweringError("a recurrence runs along no sequence")
    names = {axis.name for axis in axes}
    if len(names) > 1:
        raise LoweringError(f"a recurrence runs along different sequence axes, {' and '.join(sorted(names))}")
    return next(iter(axes))

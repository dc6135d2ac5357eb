"""Conditions of ``sequence.first``, ``last`` and ``slice``, recognised in the network.

CNTK says "one of the first n steps" by delaying zeros by n steps, with ones before the first one, and "one of the last
n" likewise from the end; 1 minus those, and products, give the rest. Read as bounds, the steps are known without
looking for them, and the first ones without the lengths of the sequences.
"""

from __future__ import annotations

from dataclasses import dataclass

from nxconvert.formats.cntk.model import CONSTANT
from nxconvert.frontends.cntk.network import Leaf, Network, Node, Result, Source

#: A condition is a product of a few factors.
_DEPTH = 8


@dataclass(frozen=True, slots=True)
class Bounds:
    """The steps t of a sequence of L steps that a condition holds for, all four of which hold.

    Attributes:
        after: t is not one of the first so many.
        until: t is one of the first so many, if this is not None.
        last: t is one of the last so many, if this is not None.
        before: t is not one of the last so many.
    """

    after: int = 0
    until: int | None = None
    last: int | None = None
    before: int = 0

    @property
    def most(self) -> int | None:
        """How many steps there are at most, whatever the length of the sequence; None if it says nothing of it."""
        numbers = [self.until - self.after] if self.until is not None else []
        numbers += [self.last - self.before] if self.last is not None else []
        return min(numbers, default=None)

    def __and__(self, other: Bounds) -> Bounds:
        return Bounds(
            max(self.after, other.after),
            _least(self.until, other.until),
            _least(self.last, other.last),
            max(self.before, other.before),
        )


def _least(a: int | None, b: int | None) -> int | None:
    return b if a is None else a if b is None else min(a, b)


def bounds(network: Network, source: Source, depth: int = _DEPTH) -> Bounds | None:
    """The bounds that a condition is; None if it is something else."""
    node = function_of(network, source)
    if node is None or depth == 0:
        return None
    if node.op == "ElementTimes":
        a, b = (bounds(network, factor, depth - 1) for factor in node.inputs)
        return a & b if a is not None and b is not None else None
    if node.op == "Minus" and number_of(network, node.inputs[0]) == 1:
        edge = _edge(network, node.inputs[1])
        if edge is None:
            return None
        from_start, count = edge
        return Bounds(after=count) if from_start else Bounds(before=count)
    edge = _edge(network, source)
    if edge is None:
        return None
    from_start, count = edge
    return Bounds(until=count) if from_start else Bounds(last=count)


def _edge(network: Network, source: Source) -> tuple[bool, int] | None:
    """Whether a flag is of the first steps, rather than the last ones, and of how many."""
    node = function_of(network, source)
    if node is None or node.op not in ("PastValue", "FutureValue") or number_of(network, node.inputs[1]) != 1:
        return None
    zeros = function_of(network, node.inputs[0])
    if zeros is None or zeros.op != "ReconcileDynamicAxis" or number_of(network, zeros.inputs[0]) != 0:
        return None
    return node.op == "PastValue", int(node.attributes.get("offset", 1))


def function_of(network: Network, source: Source) -> Node | None:
    """The function that something is the result of; None for a variable."""
    return network.nodes[source.node] if isinstance(source, Result) else None


def number_of(network: Network, source: Source) -> float | None:
    """The number that a constant of one element is."""
    variable = network.variables[source.uid] if isinstance(source, Leaf) else None
    array = variable.value if variable is not None and variable.kind == CONSTANT else None
    if array is None or array.nbytes > 8:
        return None
    numbers = array.numpy().reshape(-1)
    return float(numbers[0]) if numbers.size == 1 else None


def single_step(network: Network, node: Node) -> Bounds | None:
    """The bounds of which a ``GatherPacked`` takes the first step, as no sequence; None if it takes something else."""
    steps = _steps_taken(network, node)
    if steps is None or any(axis.is_sequence for axis in steps.attributes.get("newDynamicAxes", ())):
        return None
    return bounds(network, steps.inputs[0])


def all_but_ends(network: Network, node: Node) -> Bounds | None:
    """The bounds of a ``Where``, or of what a ``GatherPacked`` takes, if it is all steps but the first and last few."""
    steps = node if node.op == "Where" else _steps_taken(network, node)
    if steps is None or not any(axis.is_sequence for axis in steps.attributes.get("newDynamicAxes", ())):
        return None
    found = bounds(network, steps.inputs[0])
    return found if found is not None and found.until is found.last is None else None


def _steps_taken(network: Network, node: Node) -> Node | None:
    """The ``Where`` that gives the steps that a ``GatherPacked`` takes."""
    index = function_of(network, node.inputs[1]) if node.op == "GatherPacked" else None
    steps = function_of(network, index.inputs[1]) if index is not None and index.op == "PackedIndex" else None
    return steps if steps is not None and steps.op == "Where" else None

"""A CNTK model as a graph of primitive functions: blocks and placeholders expanded, loops found.

Files hold the functions of all blocks in one list, in no reliable order. What a name stands for is found by following
it: a placeholder to what is passed to its block, an output of a block or of a ``Combine`` to the output inside. Loops
are the strongly connected components of what remains; they go through ``PastValue`` or ``FutureValue``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeAlias, TypeVar

from nxconvert.errors import ReadError
from nxconvert.formats.cntk.dictionary import Axis
from nxconvert.formats.cntk.model import INPUT, OUTPUT, PLACEHOLDER, Function, Model, Variable
from nxconvert.frontends.cntk.primitives import BLOCK, COMBINE, name_of

_T = TypeVar("_T", bound=Hashable)
_OUTPUT = re.compile(r"(?P<uid>.+)_Output_(?P<index>\d{1,9})", re.DOTALL)
#: How many functions in blocks are looked at for the names of the blocks.
_MOST_STEPS = 1_000_000


@dataclass(frozen=True, slots=True)
class Result:
    """An output of a primitive function: the function's uid, and which of its outputs."""

    node: str
    index: int = 0


@dataclass(frozen=True, slots=True)
class Leaf:
    """A variable, by its uid."""

    uid: str


Source: TypeAlias = "Result | Leaf"


@dataclass(frozen=True, slots=True)
class Node:
    """A primitive function, with what its inputs stand for.

    Attributes:
        uid: of the function.
        op: the name of the primitive, or of what is none.
        inputs: in CNTK's own order.
        attributes: by name.
        name: what the user called it.
        path: the blocks it is in, from the outermost to the innermost.
    """

    uid: str
    op: str
    inputs: tuple[Source, ...]
    attributes: Mapping[str, Any]
    name: str
    path: tuple[str, ...] = ()


@dataclass(frozen=True)
class Output:
    """An output of the model.

    Attributes:
        name: that it has in the graph.
        source: what it is.
    """

    name: str
    source: Source


@dataclass
class Network:
    """The primitive functions that some outputs depend on.

    Attributes:
        variables: by uid.
        nodes: by uid.
        groups: the uids in an order in which they can be computed; those of a loop are in one group.
        outputs: in order.
    """

    variables: dict[str, Variable]
    nodes: dict[str, Node]
    outputs: list[Output]
    groups: list[list[str]] = field(default_factory=list)

    def is_loop(self, group: Sequence[str]) -> bool:
        """Whether a group is a loop: several functions, or one that is its own input."""
        if len(group) > 1:
            return True
        return any(isinstance(source, Result) and source.node == group[0] for source in self.nodes[group[0]].inputs)

    @cached_property
    def users(self) -> dict[Source, list[tuple[Node, int]]]:
        """The functions that take a result or a variable, and as which of their inputs, in the order of the nodes."""
        found: dict[Source, list[tuple[Node, int]]] = {}
        for node in self.nodes.values():
            for place, source in enumerate(node.inputs):
                found.setdefault(source, []).append((node, place))
        return found


class Expansion:
    """Follows names of a model to what they stand for.

    Attributes:
        model: it.
    """

    def __init__(self, model: Model) -> None:
        self.model = model
        self._arguments: dict[str, str] = {}
        for function in model.functions.values():
            if function.block is not None:
                self._arguments.update(function.block.arguments)
        self._known: dict[str, Source] = {}

    def function_of(self, name: str) -> tuple[Function, int] | None:
        """The function that a name is an output of, and which; None for a variable."""
        match = _OUTPUT.fullmatch(name)
        function = self.model.functions.get(match["uid"]) if match else None
        return (function, int(match["index"])) if function is not None and match is not None else None

    def source(self, name: str) -> Source:
        """What a name stands for.

        Raises:
            ReadError: nothing has it, or it stands for itself.
        """
        trail: dict[str, None] = {}
        at = name
        while at not in self._known:
            if at in trail:
                raise ReadError(f"the model is damaged: {at} stands for itself.")
            trail[at] = None
            found = self._next(at)
            if not isinstance(found, str):
                self._known[at] = found
                break
            at = found
        source = self._known[at]
        self._known.update(dict.fromkeys(trail, source))
        return source

    def _next(self, name: str) -> Source | str:
        """One step from a name to what it stands for."""
        if name in self._arguments:
            return self._arguments[name]
        produced = self.function_of(name)
        if produced is not None:
            function, index = produced
            inner = self.output_name(function, index)
            if inner is not None:
                return inner
            if index >= outputs_count(name_of(function.op) if function.op is not None else "", function.attributes):
                raise ReadError(f"the model is damaged: {function.uid} has no output number {index}.")
            return Result(function.uid, index)
        variable = self.model.variables.get(name)
        if variable is None:
            raise ReadError(f"the model is damaged: nothing in it is called {name}.")
        if variable.kind in (OUTPUT, PLACEHOLDER):
            raise ReadError(f"the model is incomplete: {name} stands for nothing.")
        return Leaf(name)

    def output_name(self, function: Function, index: int) -> str | None:
        """The name inside that an output of a block or a Combine stands for; None for an output of its own."""
        if function.op == COMBINE:
            if index >= len(function.inputs):
                raise ReadError(f"the model is damaged: {function.uid} has no output number {index}.")
            return function.inputs[index]
        if function.op == BLOCK and function.block is not None:
            root = self.model.functions.get(function.block.root)
            if root is None:
                raise ReadError(
                    f"the model is damaged: {function.block.root}, the inside of {function.uid}, is missing."
                )
            inner = self.output_name(root, index) if root.op == COMBINE else None
            return inner if inner is not None else f"{root.uid}_Output_{index}"
        return None


def root_outputs(model: Model) -> list[str]:
    """The names of the outputs of a model's root.

    Raises:
        ReadError: there is no such function.
    """
    root = model.functions.get(model.root)
    if root is None:
        raise ReadError(f"the model is damaged: its root {model.root} is missing.")
    return outputs_of(model, root)


def outputs_of(model: Model, function: Function) -> list[str]:
    """The names of all outputs of a function; those of a Combine are its inputs.

    Raises:
        ReadError: a block is inside of itself.
    """
    if function.op == COMBINE:
        return list(function.inputs)
    inner, around = function, set[str]()
    while inner.block is not None:
        if inner.uid in around:
            raise ReadError(f"the model is damaged: the block {inner.uid} is inside of itself.")
        around.add(inner.uid)
        root = model.functions.get(inner.block.root)
        if root is None:
            break
        inner = root
    if inner.op == COMBINE:
        count = len(inner.inputs)
    else:
        count = outputs_count(name_of(inner.op) if inner.op is not None else "", inner.attributes)
    return [f"{function.uid}_Output_{index}" for index in range(count)]


def outputs_count(op: str, attributes: Mapping[str, Any]) -> int:
    """How many outputs a primitive function has."""
    if op == "UnpackSequence":
        return 1 if attributes.get("sequenceUnpackSuppressMaskOutput") else 2
    return 2 if op == "TopK" else 1


def expand(expansion: Expansion, wanted: Iterable[tuple[str, str]]) -> Network:
    """The primitive functions that outputs depend on.

    Args:
        expansion: the model.
        wanted: the outputs: their names in the graph, and what they are called in the model.

    Raises:
        ReadError: the model is inconsistent.
    """
    model = expansion.model
    outputs = [Output(name, expansion.source(of)) for name, of in wanted]
    paths = _paths(model)
    nodes: dict[str, Node] = {}
    variables: dict[str, Variable] = {}
    queue = [output.source for output in reversed(outputs)]
    while queue:
        source = queue.pop()
        if isinstance(source, Leaf):
            variables.setdefault(source.uid, model.variables[source.uid])
        elif source.node not in nodes:
            function = model.functions[source.node]
            inputs = tuple(map(expansion.source, function.inputs))
            op = name_of(function.op) if function.op is not None else function.type or "a function of its own"
            nodes[function.uid] = Node(
                function.uid, op, inputs, function.attributes, function.name, paths.get(function.uid, ())
            )
            queue.extend(reversed(inputs))
    order = {uid: i for i, uid in enumerate(model.variables)}
    variables = dict(sorted(variables.items(), key=lambda item: order[item[0]]))
    network = Network(variables, nodes, outputs)
    network.groups = components(network)
    return network


def _paths(model: Model) -> dict[str, tuple[str, ...]]:
    """The blocks that each function is in: what a block's root reaches without leaving through its arguments.

    They are for people to read, so that a model in which everything is in thousands of blocks goes without.
    """
    paths: dict[str, tuple[str, ...]] = {}
    left = _MOST_STEPS
    blocks = [function for function in model.functions.values() if function.block is not None]
    inside: dict[str, list[Function]] = {}
    for block in blocks:
        assert block.block is not None
        queue, seen = [block.block.root], set[str]()
        while queue:
            uid = queue.pop()
            function = model.functions.get(uid)
            if function is None or uid in seen:
                continue
            left -= 1
            if left < 0:
                return {}
            seen.add(uid)
            inside.setdefault(uid, []).append(block)
            for name in function.inputs:
                if name not in block.block.arguments:
                    match = _OUTPUT.fullmatch(name)
                    queue.extend([match["uid"]] if match else [])
    for uid, around in inside.items():
        # The innermost block reaches the fewest others.
        depth = {block.uid: len(inside.get(block.uid, ())) for block in around}
        labels = sorted(around, key=lambda block: depth[block.uid])
        paths[uid] = tuple(block.name or (block.block.op_name if block.block else "") for block in labels)
    return paths


def components(network: Network) -> list[list[str]]:
    """The strongly connected components in an order in which they can be computed (Tarjan's algorithm, without
    recursion); inputs come first.
    """
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    on_stack: set[str] = set()
    groups: list[list[str]] = []
    position = {uid: i for i, uid in enumerate(network.nodes)}

    def below(uid: str) -> Iterator[str]:
        return (source.node for source in network.nodes[uid].inputs if isinstance(source, Result))

    for start in [output.source.node for output in network.outputs if isinstance(output.source, Result)]:
        if start in index:
            continue
        work = [(start, below(start))]
        index[start] = low[start] = len(index)
        stack.append(start)
        on_stack.add(start)
        while work:
            uid, rest = work[-1]
            child = next(rest, None)
            if child is None:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[uid])
                if low[uid] == index[uid]:
                    group: list[str] = []
                    while not group or group[-1] != uid:
                        group.append(stack.pop())
                        on_stack.discard(group[-1])
                    groups.append(sorted(group, key=position.__getitem__))
            elif child not in index:
                index[child] = low[child] = len(index)
                stack.append(child)
                on_stack.add(child)
                work.append((child, below(child)))
            elif child in on_stack:
                low[uid] = min(low[uid], index[child])
    return groups


def reached(starts: Iterable[_T], below: Callable[[_T], Iterable[_T]]) -> set[_T]:
    """All that there is on the way down from some starts, themselves included."""
    found: set[_T] = set()
    queue = list(starts)
    while queue:
        item = queue.pop()
        if item not in found:
            found.add(item)
            queue.extend(below(item))
    return found


def inputs_of(network: Network) -> list[Variable]:
    """The variables that are inputs of the model, in the order of the file."""
    return [variable for variable in network.variables.values() if variable.kind == INPUT]


def base_name(variable: Variable) -> str:
    """What the user called a variable, or else its uid."""
    return variable.name or variable.uid


def sequence_axes(variable: Variable) -> list[Axis]:
    """The sequence axes of a variable: one at most in what CNTK makes."""
    return [axis for axis in variable.axes if axis.is_sequence]

"""Transposes around what does not care about the order of dims are taken away: nets with the channels last."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import onnx_ir as ir

from nxconvert.passes.emitter import Emitter
from nxconvert.passes.rewriting import (
    ELEMENTWISE,
    Names,
    all_graphs,
    change,
    constant,
    dims_of,
    int_attribute,
    integers,
    producer,
    put_behind,
    rank,
    remove,
    transpose_perm,
    used,
)

Perm = tuple[int, ...]

_WITH_AXIS = {"Concat": None, "Gather": 0, "LogSoftmax": -1, "Softmax": -1, "Split": 0}
_REDUCTIONS = frozenset(
    {"ReduceL1", "ReduceL2", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum", "ReduceSumSquare"}
)
#: Where the axes stand among the inputs.
_AXES = {"Slice": 3, **dict.fromkeys(_REDUCTIONS, 1)}
_QUANTIZATION = frozenset({"DequantizeLinear", "QuantizeLinear"})


@dataclass
class _Region:
    """Nodes that hand values of one rank to each other, whatever the order of their dims.

    Attributes:
        rank: this rank.
        nodes: in the order of the graph, with the inputs that have this rank.
        entries: what comes in, with the first node that takes it.
        exits: what is wanted outside, and the nodes that want it; a graph's outputs are wanted, too.
    """

    rank: int
    nodes: dict[ir.Node, tuple[int, ...]]
    entries: dict[ir.Value, ir.Node] = field(default_factory=dict)
    exits: dict[ir.Value, list[ir.Node]] = field(default_factory=dict)


class DropTransposes(ir.passes.InPlacePass):
    """Lets nodes that work in any order of dims work in the one in which fewer `Transpose`s are left.

    A region are elementwise operators, `Softmax`, `Concat`, `Split`, `Gather`, `Slice`, `Pad`, reductions that keep
    their dims and quantization by one scale, as far as they hand on values of the same rank, 3 or more. If what comes
    in has been transposed, or what goes out is, the region may do without: other values that come in or go out are
    transposed instead, constants when the file is written. It is left as it is unless fewer nodes remain.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        modified = False
        names = Names(model)
        for graph in list(all_graphs(model.graph)):
            for region in _regions(graph):
                perm = _best_order(region, graph)
                if perm is not None:
                    _Reordering(model.graph, graph, names, region, perm).apply()
                    modified = True
        return ir.passes.PassResult(model, modified)


# ---- which nodes work in any order -----------------------------------------------------------------------------------


def _moved_inputs(node: ir.Node) -> tuple[int, ...]:
    """The inputs of a node that have the rank of its outputs, if it works in any order of dims; else none."""
    dims = rank(node.outputs[0]) if node.outputs else None
    if dims is None or dims < 3 or node.domain != "" or any(rank(value) != dims for value in node.outputs):
        return ()
    op_type = node.op_type
    if op_type in ELEMENTWISE or op_type == "PRelu":
        moved = tuple(i for i, value in enumerate(node.inputs) if value is not None and not _stays(value))
        fits = all(constant(node.inputs[i]) is not None or rank(node.inputs[i]) == dims for i in moved)
    elif op_type in _QUANTIZATION:
        moved, fits = (0,), rank(node.inputs[1]) == 0
    elif op_type in _WITH_AXIS:
        moved = tuple(range(len(node.inputs))) if op_type == "Concat" else (0,)
        fits = op_type != "Gather" or rank(node.inputs[1]) == 1
    elif op_type in _AXES:
        place = _AXES[op_type]
        moved = (0,)
        fits = len(node.inputs) > place and integers(node.inputs[place]) is not None
    elif op_type == "Pad":
        moved, fits = (0,), len(node.inputs) < 4 and integers(node.inputs[1]) is not None
    else:
        return ()
    return moved if fits and any(rank(node.inputs[i]) == dims for i in moved) else ()


def _stays(value: ir.Value) -> bool:
    """Whether an operand is one number."""
    dims = dims_of(value)
    return dims is not None and all(dim == 1 for dim in dims)


def _regions(graph: ir.Graph) -> Iterator[_Region]:
    """The regions of a graph that transposed values enter or leave."""
    order = {node: index for index, node in enumerate(graph)}
    known: dict[ir.Node, tuple[int, ...]] = {}

    def moved(node: ir.Node | None) -> tuple[int, ...]:
        if node is None or node not in order:
            return ()
        if node not in known:
            known[node] = _moved_inputs(node)
        return known[node]

    seen: set[ir.Node] = set()
    for transpose in [node for node in graph if node.op_type == "Transpose" and node.domain == ""]:
        beside = [use.node for use in transpose.outputs[0].uses()]
        maker = transpose.inputs[0].producer() if transpose.inputs[0] is not None else None
        for seed in (*beside, *([maker] if maker is not None else [])):
            if seed not in seen and moved(seed):
                found = _connected(seed, moved)
                seen.update(found)
                yield _described({node: known[node] for node in sorted(found, key=order.__getitem__)})


def _connected(seed: ir.Node, moved: Callable[[ir.Node | None], tuple[int, ...]]) -> set[ir.Node]:
    """All nodes that are linked to one by values whose dims move."""
    found, waiting = {seed}, [seed]
    while waiting:
        node = waiting.pop()
        for value in (*(node.inputs[i] for i in moved(node)), *node.outputs):
            if value is None or constant(value) is not None:
                continue
            for other in (value.producer(), *(use.node for use in value.uses())):
                if other is None or other in found or not moved(other):
                    continue
                if value in other.outputs or any(other.inputs[i] is value for i in moved(other)):
                    found.add(other)
                    waiting.append(other)
    return found


def _described(nodes: dict[ir.Node, tuple[int, ...]]) -> _Region:
    first = next(iter(nodes))
    region = _Region(rank(first.outputs[0]) or 0, nodes)
    for node, moved in nodes.items():
        for i in moved:
            value = node.inputs[i]
            assert value is not None
            if value.producer() not in nodes and constant(value) is None:
                region.entries.setdefault(value, node)
        for value in node.outputs:
            outside = [use.node for use in value.uses() if use.node not in nodes]
            if outside or value.is_graph_output():
                region.exits[value] = outside
    return region


# ---- which order is best ---------------------------------------------------------------------------------------------


def _inverse(perm: Perm) -> Perm:
    return tuple(perm.index(axis) for axis in range(len(perm)))


def _perm_of(node: ir.Node, dims: int) -> Perm:
    return tuple(transpose_perm(node, dims))


def _best_order(region: _Region, graph: ir.Graph) -> Perm | None:
    """The order that values of a region are in, seen from that in which most nodes can go; None if none can."""
    candidates = [_perm_of(inner, region.rank) for value in region.entries if (inner := producer(value, "Transpose"))]
    for users in region.exits.values():
        candidates += [_inverse(_perm_of(user, region.rank)) for user in users if _is_transpose(user, graph)]
    best = max(dict.fromkeys(candidates), key=lambda perm: _saved(region, graph, perm), default=None)
    return best if best is not None and _saved(region, graph, best) > 0 else None


def _is_transpose(node: ir.Node, graph: ir.Graph) -> bool:
    return node.op_type == "Transpose" and node.domain == "" and node.graph is graph


def _saved(region: _Region, graph: ir.Graph, perm: Perm) -> int:
    """How many nodes are left fewer if what is in the order `perm` of something is that itself."""
    saved = 0
    for value in region.entries:
        inner = producer(value, "Transpose")
        goes = not value.is_graph_output() and all(use.node in region.nodes for use in value.uses())
        if inner is None:
            saved -= 1
        elif _perm_of(inner, region.rank) == perm:
            saved += goes
        else:
            saved -= not goes
    for value, users in region.exits.items():
        transposes = [user for user in users if _is_transpose(user, graph)]
        saved += sum(_inverse(_perm_of(user, region.rank)) == perm for user in transposes)
        saved -= len(transposes) < len(users) or value.is_graph_output()
    return saved


# ---- rewriting -------------------------------------------------------------------------------------------------------


class _Reordering:
    """Makes a region work on what its values are transposes of."""

    def __init__(self, home: ir.Graph, graph: ir.Graph, names: Names, region: _Region, perm: Perm) -> None:
        self._home = home
        self._graph = graph
        self._names = names
        self._region = region
        self._perm = perm
        self._inverse = _inverse(perm)

    def apply(self) -> None:
        region = self._region
        sources = {value: self._enter(value, user) for value, user in region.entries.items()}
        shapes = {value: value.shape for value in region.exits}
        for node, moved in region.nodes.items():
            self._reorder(node, moved, sources)
        for value, users in region.exits.items():
            self._leave(value, shapes[value], users)
        for value in region.entries:
            inner = producer(value, "Transpose")
            if inner is not None and not used(value):
                remove(inner)

    def _emitter(self, node: ir.Node) -> Emitter:
        return Emitter(node, self._home, self._names)

    def _source_dims(self, shape: ir.Shape | None) -> list[int | ir.SymbolicDim]:
        """The dims of what a value is a transpose of."""
        assert shape is not None
        return [shape[axis] for axis in self._inverse]

    def _enter(self, value: ir.Value, user: ir.Node) -> ir.Value:
        """What a value that comes in is a transpose of."""
        inner = producer(value, "Transpose")
        source, perm = value, self._inverse
        if inner is not None and inner.inputs[0] is not None:
            source, first = inner.inputs[0], _perm_of(inner, len(self._perm))
            if first == self._perm:
                return source
            perm = tuple(first[axis] for axis in self._inverse)
        emit = self._emitter(user)
        return emit("Transpose", source, dtype=value.dtype, shape=self._source_dims(value.shape), perm=perm)

    def _reorder(self, node: ir.Node, moved: tuple[int, ...], sources: dict[ir.Value, ir.Value]) -> None:
        """Lets a node work on what its inputs are transposes of."""
        emit = self._emitter(node)
        for i in moved:
            value = node.inputs[i]
            assert value is not None
            if constant(value) is not None:
                node.replace_input_with(i, self._constant(emit, value))
            elif value in sources:
                node.replace_input_with(i, sources[value])
        op_type, dims = node.op_type, len(self._perm)
        if op_type in _WITH_AXIS:
            axis = self._perm[int_attribute(node, "axis", _WITH_AXIS[op_type] or 0) % dims]
            node.attributes.add(ir.AttrInt64("axis", axis))
        elif op_type in _AXES:
            axes = integers(node.inputs[_AXES[op_type]]) or []
            node.replace_input_with(_AXES[op_type], emit.constant([self._perm[axis % dims] for axis in axes]))
        elif op_type == "Pad":
            pads = integers(node.inputs[1]) or []
            both = [[pads[start + axis] for axis in self._inverse] for start in (0, dims)]
            node.replace_input_with(1, emit.constant(both[0] + both[1]))
        for value in node.outputs:
            value.shape = ir.Shape(self._source_dims(value.shape))

    def _constant(self, emit: Emitter, value: ir.Value) -> ir.Value:
        """A constant operand in the other order; computed when the file is written."""
        dims = dims_of(value) or ()
        whole = (*[1] * (len(self._perm) - len(dims)), *dims)
        target = [whole[axis] for axis in self._inverse]
        if sum(dim != 1 for dim in whole) == 1:
            return emit("Reshape", value, emit.constant(target), dtype=value.dtype, shape=target)
        if whole != dims:
            value = emit("Reshape", value, emit.constant(list(whole)), dtype=value.dtype, shape=whole)
        return emit("Transpose", value, dtype=value.dtype, shape=target, perm=self._inverse)

    def _leave(self, value: ir.Value, shape: ir.Shape | None, users: Sequence[ir.Node]) -> None:
        """Gives what goes out to those who want it as it was, and to those who transpose it anyway."""
        rest = []
        for user in dict.fromkeys(users):
            if _is_transpose(user, self._graph):
                perm = [self._perm[axis] for axis in _perm_of(user, len(self._perm))]
                change(user, "Transpose", [value], [ir.AttrInt64s("perm", perm)])
            else:
                rest.append(user)
        if not rest and not value.is_graph_output():
            return
        order = ir.AttrInt64s("perm", self._perm)
        put_behind(value, "Transpose", [], [order], shape, rest, self._names)

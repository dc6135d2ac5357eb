"""Layers that work on the last axis alone work on a matrix: all axes but the last one made one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import onnx_ir as ir

from nxconvert.passes.emitter import Emitter
from nxconvert.passes.rewriting import (
    ELEMENTWISE,
    Names,
    all_graphs,
    constant,
    dims_of,
    int_attribute,
    integers,
    only_use,
    optional_outputs_unused,
    producer,
    put_behind,
    rank,
    remove,
    used,
)

_ALONG_AXIS = {"Concat": None, "LayerNormalization": -1, "LogSoftmax": -1, "Softmax": -1, "Split": 0}
_REDUCTIONS = frozenset({"ReduceL2", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceSum", "ReduceSumSquare"})
#: Where the axes stand among the inputs.
_AXES = {"Slice": 3, **dict.fromkeys(_REDUCTIONS, 1)}
_MULTIPLIED = frozenset({ir.DataType.FLOAT, ir.DataType.DOUBLE, ir.DataType.FLOAT16})

Lead = tuple[int | str, ...]


class _RowWise(NamedTuple):
    """How a node works on rows.

    Attributes:
        lead: the dims of its operands and results but for the last one.
        rows: which inputs have these dims. What the others hold is the same for all rows.
    """

    lead: Lead
    rows: tuple[int, ...]


@dataclass
class _Region:
    """Nodes that work on rows of the same dims and hand them to each other.

    Attributes:
        lead: these dims.
        nodes: in the order of the graph.
        entries: what comes in, with the first node that takes it.
        exits: what is wanted outside, and the nodes that want it; a graph's outputs are wanted, too.
        saved: how many nodes there are fewer inside.
        spent: how many there are more around.
    """

    lead: Lead
    nodes: dict[ir.Node, _RowWise]
    entries: dict[ir.Value, ir.Node] = field(default_factory=dict)
    exits: dict[ir.Value, list[ir.Node]] = field(default_factory=dict)
    saved: int = 0
    spent: int = 0


class FlattenRows(ir.passes.InPlacePass):
    """Makes matrices of what a chain of layers on the last axis hands on, where that takes fewer nodes.

    A region are the nodes around products with a matrix, ``[*lead, K] x [K, N]``, that work on each row alone:
    elementwise operators whose other operands are the same for all rows, norms, reductions, `Softmax`, `Split`,
    `Concat` and `Slice` along the last axis. In it ``[*lead, C]`` becomes ``[rows, C]``, so that a product and its
    bias are one `Gemm` (see `MatMulToGemm`), which runtimes compute faster, too.

    - What comes in is reshaped once, and what goes out again. A `Reshape` that stands there anyway costs nothing.
    - Every C is known and not 0. If more than one dim of `lead` is free, the shape that goes out is computed once.
    - A region is left as it is if fewer biases are saved than nodes spent.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        modified = False
        names = Names(model)
        for graph in list(all_graphs(model.graph)):
            for region in _regions(graph):
                _Flattening(model.graph, graph, names, region).apply()
                modified = True
        return ir.passes.PassResult(model, modified)


# ---- which nodes work on rows ----------------------------------------------------------------------------------------


def _lead(value: ir.Value | None) -> Lead | None:
    """All dims but the last one of a value that is made of rows of a known length, and is more than a matrix."""
    dims = dims_of(value)
    if dims is None or len(dims) < 3 or not isinstance(dims[-1], int) or 0 in dims:
        return None
    return dims[:-1]


def _row_wise(node: ir.Node) -> _RowWise | None:
    """How a node works on rows; None if it does not, or is not known to."""
    lead = _lead(node.outputs[0]) if node.outputs else None
    if lead is None or node.domain != "":
        return None
    op_type = node.op_type
    if op_type in ELEMENTWISE:
        rows = tuple(i for i, value in enumerate(node.inputs) if value is not None and not _same_for_rows(value))
    elif op_type == "MatMul":
        rows = (0,) if rank(node.inputs[1]) == 2 else ()
    elif op_type in _ALONG_AXIS:
        axis = int_attribute(node, "axis", _ALONG_AXIS[op_type] or 0)
        last = axis in (-1, len(lead)) and (op_type != "LayerNormalization" or optional_outputs_unused(node))
        rows = () if not last else tuple(range(len(node.inputs))) if op_type == "Concat" else (0,)
    elif op_type in _AXES:
        axes = integers(node.inputs[_AXES[op_type]]) if len(node.inputs) > _AXES[op_type] else None
        rows = (0,) if axes in ([-1], [len(lead)]) and int_attribute(node, "keepdims", 1) else ()
    else:
        return None
    fits = bool(rows) and all(_lead(value) == lead for value in (*(node.inputs[i] for i in rows), *node.outputs))
    return _RowWise(lead, rows) if fits else None


def _same_for_rows(value: ir.Value) -> bool:
    """Whether an operand of an elementwise node is a number or one row, or a constant that holds no more."""
    dims = dims_of(value)
    if dims is None:
        return False
    return len(dims) < 2 or (constant(value) is not None and all(dim == 1 for dim in dims[:-1]))


# ---- regions ---------------------------------------------------------------------------------------------------------


def _regions(graph: ir.Graph) -> Iterator[_Region]:
    """The regions of a graph that are worth it."""
    seeds = [node for node in graph if node.op_type == "MatMul" and _row_wise(node) is not None]
    if not seeds:
        return
    known: dict[ir.Node, _RowWise | None] = {}
    order = {node: index for index, node in enumerate(graph)}
    seen: set[ir.Node] = set()
    for seed in seeds:
        if seed not in seen:
            region = _grow(seed, order, known)
            seen.update(region.nodes)
            _weigh(region)
            if region.saved >= max(region.spent, 1):
                yield region


def _grow(seed: ir.Node, order: dict[ir.Node, int], known: dict[ir.Node, _RowWise | None]) -> _Region:
    """All nodes that are linked to a product by rows."""

    def row_wise(node: ir.Node | None) -> _RowWise | None:
        if node is None or node not in order:
            return None
        if node not in known:
            known[node] = _row_wise(node)
        return known[node]

    first = row_wise(seed)
    assert first is not None
    found, waiting = {seed: first}, [seed]
    while waiting:
        node = waiting.pop()
        for value in (*(node.inputs[i] for i in found[node].rows), *node.outputs):
            assert value is not None
            for other in (value.producer(), *(use.node for use in value.uses())):
                how = row_wise(other)
                if other is None or how is None or other in found or how.lead != first.lead:
                    continue
                handed_on = value in other.outputs or any(other.inputs[i] is value for i in how.rows)
                if handed_on and constant(value) is None:
                    found[other] = how
                    waiting.append(other)
    return _Region(first.lead, dict(sorted(found.items(), key=lambda item: order[item[0]])))


def _weigh(region: _Region) -> None:
    """Finds out what goes in and out, and counts nodes."""
    nodes = region.nodes
    for node, how in nodes.items():
        for i in how.rows:
            value = node.inputs[i]
            assert value is not None
            if value.producer() not in nodes:
                region.entries.setdefault(value, node)
        for value in node.outputs:
            outside = [use.node for use in value.uses() if use.node not in nodes]
            if outside or value.is_graph_output():
                region.exits[value] = outside
        region.saved += _takes_bias(node, nodes)
    for value in region.entries:
        inner = producer(value, "Reshape")
        goes = inner is not None and not value.is_graph_output() and all(use.node in nodes for use in value.uses())
        region.spent += not (goes or constant(value) is not None)
    targets: set[Lead] = set()
    for value, users in region.exits.items():
        needed = _wanted_shapes(region, value, users)
        region.spent += any(target is None for target in needed.values()) or not needed or value.is_graph_output()
        targets.update(dims_of(value) if target is None else target for target in needed.values())  # type: ignore[misc]
        if value.is_graph_output():
            targets.add(dims_of(value) or ())
    computed = sum(_is_computed(target) for target in targets)
    region.spent += computed + bool(computed)


def _takes_bias(node: ir.Node, nodes: dict[ir.Node, _RowWise]) -> bool:
    """Whether a node is a product that a `Gemm` computes together with the bias that is added to it."""
    product = node.outputs[0]
    if node.op_type != "MatMul" or product.dtype not in _MULTIPLIED or not only_use(product):
        return False
    (use,) = product.uses()
    bias = use.node.inputs[1 - use.idx] if use.node.op_type == "Add" and use.node in nodes else None
    if bias is None or not _same_for_rows(bias):
        return False
    return (dims_of(bias) or (1,))[-1] in (1, (dims_of(product) or ())[-1])


def _is_computed(target: Lead) -> bool:
    return sum(isinstance(dim, str) for dim in target) > 1


def _wanted_shapes(region: _Region, value: ir.Value, users: list[ir.Node]) -> dict[ir.Node, Lead | None]:
    """What the users of an exit make of it: dims if they reshape it whatever its shape, None if they need it as it is.

    The dims are what `Reshape` is to be told instead; they are empty if it can stay as it is.
    """
    wanted: dict[ir.Node, Lead | None] = {}
    for user in users:
        dims = dims_of(user.outputs[0]) if user.outputs else None
        wanted[user] = None
        if user.op_type != "Reshape" or user.domain != "" or user.inputs[0] is not value or user.inputs[1] is value:
            continue
        shape, lead = integers(user.inputs[1]), region.lead
        if int_attribute(user, "allowzero", 0) or (shape is not None and 0 not in shape):
            wanted[user] = ()
        elif dims is not None and 0 not in dims:
            computable = dims[: len(lead)] == lead and all(isinstance(dim, int) for dim in dims[len(lead) :])
            if not _is_computed(dims) or computable:
                wanted[user] = dims
    return wanted


# ---- rewriting -------------------------------------------------------------------------------------------------------


class _Flattening:
    """Makes matrices of the rows of one region."""

    def __init__(self, home: ir.Graph, graph: ir.Graph, names: Names, region: _Region) -> None:
        self._home = home
        self._graph = graph
        self._names = names
        self._region = region
        self._first = next(iter(region.nodes))
        self._vectors: dict[Lead, ir.Value] = {}
        self._lead_vector: ir.Value | None = None

    def apply(self) -> None:
        region = self._region
        wanted = {value: _wanted_shapes(region, value, users) for value, users in region.exits.items()}
        # Shapes are taken of what comes in, so before that is changed.
        vectors = {
            value: self._vector(dims_of(value) or ())
            for value, users in wanted.items()
            if None in users.values() or value.is_graph_output()
        }
        for users in wanted.values():
            for user, dims in users.items():
                if dims:
                    user.replace_input_with(1, self._vector(dims))
        matrices = {value: self._enter(value, user) for value, user in region.entries.items()}
        shapes = {value: dims_of(value) or () for value in vectors}
        for node, how in region.nodes.items():
            self._flatten(node, how, matrices)
        for value, vector in vectors.items():
            self._leave(value, vector, shapes[value], [u for u, dims in wanted[value].items() if dims is None])
        for value in region.entries:
            inner = producer(value, "Reshape")
            if inner is not None and not used(value):
                remove(inner)

    def _emitter(self, node: ir.Node) -> Emitter:
        return Emitter(node, self._home, self._names)

    def _rows(self, length: int | str) -> ir.Shape:
        """The dims of a matrix of all rows."""
        return ir.Shape([_product(self._region.lead), length])

    def _vector(self, dims: Lead) -> ir.Value:
        """A shape for `Reshape`, a constant if it can be."""
        if dims not in self._vectors:
            emit = self._emitter(self._first)
            if _is_computed(dims):
                rest = emit.constant(dims[len(self._region.lead) :])
                self._vectors[dims] = emit(
                    "Concat", self._sizes(emit), rest, dtype=ir.DataType.INT64, shape=[len(dims)], axis=0
                )
            else:
                self._vectors[dims] = emit.constant([dim if isinstance(dim, int) else -1 for dim in dims])
        return self._vectors[dims]

    def _sizes(self, emit: Emitter) -> ir.Value:
        """The dims that become one, as numbers: of an input of the graph that has them, or of what comes in first."""
        lead = self._region.lead
        count = len(lead)
        if self._lead_vector is None:
            source, start = next(iter(self._region.entries)), 0
            for value in self._graph.inputs:
                dims = dims_of(value) or ()
                found = [i for i in range(len(dims) - count + 1) if dims[i : i + count] == lead]
                if found:
                    source, start = value, found[0]
                    break
            self._lead_vector = emit(
                "Shape", source, dtype=ir.DataType.INT64, shape=[count], start=start, end=start + count
            )
        return self._lead_vector

    def _enter(self, value: ir.Value, user: ir.Node) -> ir.Value:
        """What comes in, as a matrix."""
        inner = producer(value, "Reshape")
        source = value if inner is None else inner.inputs[0]
        length = (dims_of(value) or (1,))[-1]
        emit = self._emitter(user)
        return emit("Reshape", source, emit.constant([-1, length]), dtype=value.dtype, shape=self._rows(length))

    def _flatten(self, node: ir.Node, how: _RowWise, matrices: dict[ir.Value, ir.Value]) -> None:
        """Lets a node work on matrices."""
        emit = self._emitter(node)
        for i, value in enumerate(node.inputs):
            if value is None:
                continue
            if i in how.rows:
                node.replace_input_with(i, matrices.get(value, value))
            elif node.op_type in ELEMENTWISE and (rank(value) or 0) > 1:
                length = (dims_of(value) or (1,))[-1]
                row = emit("Reshape", value, emit.constant([-1]), dtype=value.dtype, shape=[length])
                node.replace_input_with(i, row)
        if node.op_type in _ALONG_AXIS:
            node.attributes.add(ir.AttrInt64("axis", -1))
        elif node.op_type in _AXES and integers(node.inputs[_AXES[node.op_type]]) != [-1]:
            node.replace_input_with(_AXES[node.op_type], emit.constant([-1]))
        for value in node.outputs:
            dims = dims_of(value)
            assert dims is not None
            value.shape = self._rows(dims[-1])

    def _leave(self, value: ir.Value, vector: ir.Value, dims: Lead, users: list[ir.Node]) -> None:
        """Gives those who need it the value with all its dims."""
        put_behind(value, "Reshape", [vector], [], ir.Shape(dims), users, self._names)


def _product(dims: Lead) -> int | str:
    """The product of dims, as a number or a name."""
    number, names = 1, []
    for dim in dims:
        if isinstance(dim, int):
            number *= dim
            continue
        match = re.fullmatch(r"(?:(\d+)\*)?(\w+(?:\*\w+)*)", dim)
        if match is None:
            names.append(f"({dim})")
        else:
            number *= int(match[1] or 1)
            names += match[2].split("*")
    if not names:
        return number
    return "*".join([str(number)] * (number != 1) + sorted(names))

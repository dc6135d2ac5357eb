"""What passes have in common: reading constants, changing and removing nodes, noting where they came from."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import ClassVar

import numpy as np
import onnx_ir as ir

#: The key of a node's metadata under which its origin stands: source operator, file and line.
SOURCE_KEY = "nxconvert.source"
#: Constants up to this size may be looked into; larger ones are weights, which nobody reads before they are written.
SMALL_BYTES = 4096
#: What is computed of constants is stored up to this size even where that makes the file larger.
SMALL_RESULT = 1 << 20

#: What computes each element of its only result from the elements at the same place; operands are broadcast.
ELEMENTWISE = frozenset(
    {
        *("Abs", "Add", "And", "Cast", "Ceil", "Celu", "Clip", "Cos", "Div", "Elu", "Equal", "Erf", "Exp", "Floor"),
        *("Gelu", "Greater", "GreaterOrEqual", "HardSigmoid", "HardSwish", "LeakyRelu", "Less", "LessOrEqual", "Log"),
        *("Max", "Min", "Mish", "Mul", "Neg", "Not", "Or", "Pow", "Reciprocal", "Relu", "Round", "Selu", "Sigmoid"),
        *("Sign", "Sin", "Softplus", "Softsign", "Sqrt", "Sub", "Tanh", "ThresholdedRelu", "Where"),
    }
)


class NodePass(ir.passes.InPlacePass):
    """A pass that looks at the nodes of some operators, one by one, in the main graph and its subgraphs.

    Nodes come in topological order, producers first; a node added behind the current one is looked at as well.
    Functions are left alone: they hold no weights, and none of our frontends makes any.
    """

    #: The operators of the standard domain that `rewrite` is called for.
    op_types: ClassVar[frozenset[str]]
    #: The main graph: new initializers go there, where every subgraph sees them.
    home: ir.Graph
    #: Makes names for new values.
    names: Names

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        return Sweep([self]).call(model)

    def start(self, model: ir.Model, names: Names) -> None:
        """Is called before a walk over the nodes of `model`."""
        self.home, self.names = model.graph, names

    def new_constant(self, node: ir.Node, content: list[int] | np.ndarray) -> ir.Value:
        """A constant for `node`: a vector of int64, or an array."""
        array = np.array(content, np.int64) if isinstance(content, list) else content
        return add_initializer(self.home, ir.Tensor(array), self.names.unique(f"{node.name}/const"))

    @abstractmethod
    def rewrite(self, node: ir.Node) -> bool:
        """Changes the graph around `node` if the pass's rule applies; says whether it did."""


class Sweep(ir.passes.InPlacePass):
    """Several node passes in one walk over the graph: most of what a pass costs is getting to the nodes.

    At each node the passes come in the order given. Where one of them changes the node's operator, or removes the
    node, the others have their turn in the next walk.
    """

    def __init__(self, passes: Sequence[NodePass]) -> None:
        super().__init__()
        self.passes = tuple(passes)
        self._by_operator: dict[str, list[NodePass]] = {}
        for one in passes:
            for op_type in one.op_types:
                self._by_operator.setdefault(op_type, []).append(one)

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        names = Names(model)
        for one in self.passes:
            one.start(model, names)
        return ir.passes.PassResult(model, self._walk(model.graph))

    def _walk(self, graph: ir.Graph) -> bool:
        modified = False
        for node in graph:
            op_type = node.op_type
            for one in self._by_operator.get(op_type, ()) if node.domain == "" else ():
                if node.graph is graph and node.op_type == op_type:
                    modified |= one.rewrite(node)
            for inner in subgraphs(node):
                modified |= self._walk(inner)
        return modified


def constant(value: ir.Value | None) -> ir.TensorProtocol | None:
    """The tensor that `value` always is, or None: an initializer that no caller can override."""
    if value is None or value.const_value is None or not value.is_initializer() or value.is_graph_input():
        return None
    return value.const_value


def content_of(node: ir.Node) -> ir.TensorProtocol | None:
    """The tensor that a `Constant` makes; None for text and sparse tensors."""
    attribute = next(iter(node.attributes.values()), None)
    if attribute is None or attribute.is_ref():
        return None
    match attribute.name:
        case "value":
            return attribute.as_tensor()
        case "value_int" | "value_ints":
            return ir.Tensor(np.array(attribute.value, np.int64))
        case "value_float" | "value_floats":
            return ir.Tensor(np.array(attribute.value, np.float32))
        case _:
            return None


def small_constant(value: ir.Value | None) -> np.ndarray | None:
    """The content of a small constant, an initializer or made by a node, or None."""
    maker = producer(value, "Constant")
    tensor = constant(value) if maker is None else content_of(maker)
    if tensor is None or tensor.dtype == ir.DataType.STRING or tensor.nbytes > SMALL_BYTES:
        return None
    return tensor.numpy()


def integers(value: ir.Value | None) -> list[int] | None:
    """A small constant as a flat list of Python integers, or None."""
    array = small_constant(value)
    return None if array is None else [int(number) for number in array.reshape(-1)]


def ints_attribute(node: ir.Node, name: str, default: Sequence[int]) -> list[int]:
    """An attribute that is a list of integers."""
    attribute = node.attributes.get(name)
    return list(default) if attribute is None else list(attribute.as_ints())


def int_attribute(node: ir.Node, name: str, default: int) -> int:
    """An attribute that is an integer."""
    attribute = node.attributes.get(name)
    return default if attribute is None else attribute.as_int()


def string_attribute(node: ir.Node, name: str, default: str) -> str:
    """An attribute that is a string."""
    attribute = node.attributes.get(name)
    return default if attribute is None else attribute.as_string()


def transpose_perm(node: ir.Node, dims: int) -> list[int]:
    """The order of the dims that a `Transpose` of a tensor of rank `dims` asks for."""
    return ints_attribute(node, "perm", range(dims)[::-1])


def rank(value: ir.Value | None) -> int | None:
    """The number of dims, None where that is not known."""
    return None if value is None or value.shape is None else len(value.shape)


def dims_of(value: ir.Value | None) -> tuple[int | str, ...] | None:
    """All dims of a value, numbers or names; None if one is not known."""
    if value is None or value.shape is None:
        return None
    dims = tuple(dim if isinstance(dim, int) else dim.value for dim in value.shape)
    return None if None in dims else dims  # type: ignore[return-value]


def same_shape(left: ir.Value, right: ir.Value) -> bool:
    """Whether two values certainly have the same dims: equal integers, or equal names."""
    if left.shape is None or right.shape is None or len(left.shape) != len(right.shape):
        return False
    for a, b in zip(left.shape, right.shape, strict=True):
        if (a if isinstance(a, int) else a.value) != (b if isinstance(b, int) else b.value):
            return False
        if not isinstance(a, int) and a.value is None:
            return False
    return True


def producer(value: ir.Value | None, *op_types: str) -> ir.Node | None:
    """The node that computes `value` if it is one of the operators named."""
    node = None if value is None else value.producer()
    return node if node is not None and node.op_type in op_types and node.domain == "" else None


def only_use(value: ir.Value) -> bool:
    """Whether exactly one node reads `value`, once, and nothing else does."""
    return len(value.uses()) == 1 and not value.is_graph_output()


def used(value: ir.Value) -> bool:
    """Whether anything reads `value`."""
    return value.is_graph_output() or bool(value.uses())


def optional_outputs_unused(node: ir.Node) -> bool:
    """Whether only the first output of `node` is read."""
    return not any(used(value) for value in node.outputs[1:])


def inherit_source(node: ir.Node, *replaced: ir.Node) -> None:
    """Notes on `node` that it does the work of the nodes it replaces, too."""
    origins = [origin for other in (node, *replaced) if (origin := other.metadata_props.get(SOURCE_KEY))]
    parts = dict.fromkeys(part for origin in origins for part in origin.split("; "))
    if parts:
        node.metadata_props[SOURCE_KEY] = "; ".join(parts)


def change(
    node: ir.Node,
    op_type: str,
    inputs: Sequence[ir.Value | None],
    attributes: Iterable[ir.Attr] = (),
    *,
    absorbed: Iterable[ir.Node] = (),
) -> None:
    """Makes `node` another operator that computes the same outputs; its name, outputs and metadata stay.

    Args:
        node: the node to change.
        op_type: what it becomes.
        inputs: its new inputs; those at the end that are None are left out.
        attributes: its new attributes.
        absorbed: nodes whose work it does now, too, in the order of the graph. Those that nothing else reads go, and
            their origin is noted on `node`.
    """
    inputs = list(inputs)
    while inputs and inputs[-1] is None:
        inputs.pop()
    node.op_type = op_type
    node.resize_inputs(len(inputs))
    for index, value in enumerate(inputs):
        if node.inputs[index] is not value:
            node.replace_input_with(index, value)
    node.attributes.clear()
    for attribute in attributes:
        node.attributes.add(attribute)
    absorb(node, *absorbed)


def absorb(node: ir.Node, *absorbed: ir.Node) -> None:
    """Notes on `node` that it does the work of `absorbed`, and removes those of them that nothing reads any more.

    They stand in the order of the graph.
    """
    inherit_source(node, *absorbed)
    for other in reversed(absorbed):
        if not any(used(value) for value in other.outputs):
            remove(other)


def bypass(node: ir.Node, source: ir.Value) -> bool:
    """Removes `node`, whose first output always equals `source`; False where the graph's interface needs the node.

    That is so where its output is an output of its graph: one must be computed in this graph and stand there once. It
    keeps its name.
    """
    output = node.outputs[0]
    if not output.is_graph_output():
        output.replace_all_uses_with(source)
        _learn(source, output)
        remove(node)
        return True
    maker = source.producer()
    if maker is None or maker.graph is not node.graph or source.is_graph_output():
        return False
    name = output.name
    output.replace_all_uses_with(source, replace_graph_outputs=True)
    _learn(source, output)
    remove(node)
    source.name = name
    return True


def _learn(value: ir.Value, equal: ir.Value) -> None:
    """Keeps what was known of the type of a value that goes, in the one that is left."""
    if value.type is None:
        value.type = equal.type
    if value.shape is None:
        value.shape = equal.shape


_CONTROL_FLOW = frozenset({"If", "Loop", "Scan", "SequenceMap"})


def put_behind(
    value: ir.Value,
    op_type: str,
    operands: Sequence[ir.Value],
    attributes: Sequence[ir.Attr],
    shape: ir.Shape | None,
    users: Iterable[ir.Node],
    names: Names,
) -> None:
    """Puts a node behind a value, whose result `users` take instead; as a graph output it takes the value's name.

    Args:
        value: what some node computes.
        op_type: the new node's operator.
        operands: its inputs behind the value.
        attributes: its attributes.
        shape: of its result.
        users: nodes that read the value.
        names: of the model.
    """
    maker = value.producer()
    assert maker is not None
    assert maker.graph is not None
    graph = maker.graph
    name = names.unique(f"{maker.name or maker.op_type}/{op_type}")
    whole = ir.Value(name=name, type=value.type, shape=shape)
    node = ir.Node("", op_type, [value, *operands], attributes, outputs=[whole], name=name)
    node.metadata_props.update(maker.metadata_props)
    graph.insert_after(maker, node)
    for user in dict.fromkeys(users):
        for i, operand in enumerate(user.inputs):
            if operand is value:
                user.replace_input_with(i, whole)
    if value.is_graph_output():
        for i, output in enumerate(graph.outputs):
            if output is value:
                graph.outputs[i] = whole
        whole.name, value.name = value.name, name


def subgraphs(node: ir.Node) -> Sequence[ir.Graph]:
    """The graphs in the attributes of `node`."""
    if node.domain == "" and node.op_type not in _CONTROL_FLOW:
        return ()
    found: list[ir.Graph] = []
    for attribute in node.attributes.values():
        if attribute.type == ir.AttributeType.GRAPH and not attribute.is_ref():
            found.append(attribute.as_graph())
        elif attribute.type == ir.AttributeType.GRAPHS and not attribute.is_ref():
            found.extend(attribute.as_graphs())
    return found


def all_graphs(graph: ir.Graph) -> Iterator[ir.Graph]:
    """`graph` and all subgraphs in it."""
    yield graph
    for node in graph:
        for inner in subgraphs(node):
            yield from all_graphs(inner)


def remove(node: ir.Node) -> None:
    """Removes a node that nothing reads, and with it the uses that it and the nodes in its subgraphs made of others."""
    for inner_graph in subgraphs(node):
        inner_graph.outputs.clear()
        for inner in reversed(inner_graph):
            remove(inner)
    graph = node.graph
    assert graph is not None
    graph.remove(node, safe=True)


class Names:
    """The names of all values of a model; they are counted when the first new one is needed."""

    def __init__(self, model: ir.Model) -> None:
        self._model = model
        self._taken: Counter[str] | None = None

    def unique(self, name: str) -> str:
        """`name`, or with a number added where a value of the model has that name."""
        taken = self._count()
        unique, count = name, 0
        while taken[unique]:
            count += 1
            unique = f"{name}_{count}"
        taken[unique] = 1
        return unique

    def taken_over(self, name: str) -> str:
        """`name`, for a value that replaces the only one of that name; subgraphs side by side may have several."""
        return name if self._count()[name] == 1 else self.unique(name)

    def _count(self) -> Counter[str]:
        if self._taken is None:
            self._taken = Counter(_value_names(self._model))
        return self._taken


def _value_names(model: ir.Model) -> Iterator[str]:
    for graph in all_graphs(model.graph):
        yield from graph.initializers
        for value in graph.inputs:
            yield value.name or ""
        for node in graph:
            for value in node.outputs:
                yield value.name or ""


def add_initializer(graph: ir.Graph, tensor: ir.TensorProtocol, name: str) -> ir.Value:
    """A new initializer of `graph`, called `name`, which must be unique (see `Names`)."""
    tensor.name = name
    value = ir.Value(
        name=name,
        type=ir.TensorType(tensor.dtype),
        shape=ir.Shape(tensor.shape.numpy()),
        const_value=tensor,
    )
    graph.register_initializer(value)
    return value

"""Removing what computes nothing, and what is computed twice."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Hashable, MutableSequence, Sequence

import onnx_ir as ir

from nxconvert.formats.tensors import MappedTensor
from nxconvert.passes.rewriting import (
    NodePass,
    absorb,
    add_initializer,
    all_graphs,
    bypass,
    constant,
    content_of,
    int_attribute,
    integers,
    optional_outputs_unused,
    rank,
    remove,
    same_shape,
    small_constant,
    subgraphs,
    transpose_perm,
    used,
)

#: Operators whose outputs may be left out from the end: how many must stay.
_OPTIONAL_OUTPUTS = {
    "Dropout": 1,
    "GRU": 0,
    "LSTM": 0,
    "LayerNormalization": 1,
    "MaxPool": 1,
    "RNN": 0,
    "Unique": 1,
}


class RemoveUnused(ir.passes.InPlacePass):
    """Removes nodes and initializers whose value nothing reads, in the main graph, its subgraphs and the functions.

    - The graph's inputs and outputs stay as they are, inputs that nothing reads included.
    - Of `If` and `Loop`, unread outputs go with what computes them inside; a value carried from one turn of a `Loop`
      to the next goes if no turn reads it.
    - Optional outputs and inputs that stand last and are unused are left out, and the steps of a recurrence of which
      the last ones alone are used.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        modified = self._clean(model.graph)
        for function in model.functions.values():
            modified |= self._clean(function.graph)
        return ir.passes.PassResult(model, modified)

    def _clean(self, graph: ir.Graph) -> bool:
        modified = False
        for node in reversed(graph):
            if not any(used(value) for value in node.outputs):
                remove(node)
                modified = True
                continue
            modified |= _trim(node)
            if node.op_type in ("If", "Loop") and node.domain == "" and not all(used(value) for value in node.outputs):
                narrowed = _narrow(node)
                if narrowed is not None:
                    node, modified = narrowed, True
            for inner in subgraphs(node):
                modified |= self._clean(inner)
        for name, value in list(graph.initializers.items()):
            if not (used(value) or value.is_graph_input()):
                del graph.initializers[name]
                modified = True
        return modified


def _trim(node: ir.Node) -> bool:
    """Leaves out unused optional outputs and missing inputs at the end."""
    modified = False
    if node.domain == "" and node.op_type in _OPTIONAL_OUTPUTS:
        count = len(node.outputs)
        while count > _OPTIONAL_OUTPUTS[node.op_type] and not used(node.outputs[count - 1]):
            count -= 1
        if count < len(node.outputs):
            node.resize_outputs(count)
            modified = True
        # An output without a name is one that is not there.
        if count and not _OPTIONAL_OUTPUTS[node.op_type] and not used(node.outputs[0]) and node.outputs[0].name:
            node.outputs[0].name = ""
            modified = True
    count = len(node.inputs)
    while count and node.inputs[count - 1] is None:
        count -= 1
    if count < len(node.inputs) and node.op_type != "Loop":  # a Loop's first two inputs may be missing, not left out
        node.resize_inputs(count)
        modified = True
    return modified


def _narrow(node: ir.Node) -> ir.Node | None:
    """An `If` or `Loop` without those outputs that can go, in the place of `node`; None if all have to stay."""
    if node.op_type == "If":
        gone = {index for index, value in enumerate(node.outputs) if not used(value)}
        for branch in subgraphs(node):
            _keep(branch.outputs, lambda index: index not in gone)
        return _without_outputs(node, gone, node.inputs)
    (body,) = subgraphs(node)
    carried = len(body.inputs) - 2  # values, which are the first outputs; what each turn adds to comes behind
    gone = {
        index
        for index, value in enumerate(node.outputs)
        if not used(value) and (index >= carried or _only_passed_on(body, index))
    }
    if not gone:
        return None
    inputs = [value for index, value in enumerate(node.inputs) if index - 2 not in gone]
    _keep(body.outputs, lambda index: index - 1 not in gone)
    _keep(body.inputs, lambda index: index - 2 not in gone)
    return _without_outputs(node, gone, inputs)


def _only_passed_on(body: ir.Graph, index: int) -> bool:
    """Whether a value carried through a loop is read by nothing in the loop's body but by what passes it on."""
    users = body.inputs[index + 2].consumers()
    return all(
        user.op_type == "Identity" and user.graph is body and user.outputs[0] is body.outputs[index + 1]
        for user in users
    )


def _keep(values: MutableSequence[ir.Value], wanted: Callable[[int], bool]) -> None:
    """Keeps the graph inputs or outputs whose index is wanted."""
    kept = [value for index, value in enumerate(values) if wanted(index)]
    values.clear()
    values.extend(kept)


def _without_outputs(node: ir.Node, gone: set[int], inputs: Sequence[ir.Value | None]) -> ir.Node:
    """Puts a node without the outputs `gone` in the place of `node`; its subgraphs are the same objects."""
    kept = [value for index, value in enumerate(node.outputs) if index not in gone]
    outputs = [ir.Value(name=value.name, type=value.type, shape=value.shape) for value in kept]
    narrowed = ir.Node(
        node.domain,
        node.op_type,
        inputs,
        node.attributes.values(),
        outputs=outputs,
        name=node.name,
        doc_string=node.doc_string,
        metadata_props=dict(node.metadata_props),
    )
    graph = node.graph
    assert graph is not None
    graph.insert_after(node, narrowed)  # where a walk from the end does not meet it again
    for old, new in zip(kept, outputs, strict=True):
        old.replace_all_uses_with(new, replace_graph_outputs=True)
    graph.remove(node, safe=True)
    return narrowed


class LiftConstants(NodePass):
    """Turns `Constant` nodes into initializers, where other passes look for constants.

    A node that makes an output of a graph stays, and so does one that makes text or a sparse tensor.
    """

    op_types = frozenset({"Constant"})

    def rewrite(self, node: ir.Node) -> bool:
        output, tensor = node.outputs[0], content_of(node)
        if tensor is None or tensor.dtype == ir.DataType.STRING or output.is_graph_output():
            return False
        assert node.graph is not None
        assert output.name is not None
        lifted = add_initializer(node.graph, tensor, self.names.taken_over(output.name))
        output.replace_all_uses_with(lifted)
        remove(node)
        return True


class EliminateIdentities(NodePass):
    """Removes `Identity` and what amounts to it.

    - `Dropout` outside of training, `Cast` to the dtype that is there, `Transpose` that leaves the order, `Concat` of
      one tensor.
    - `Reshape`, `Expand`, `Flatten`, `Squeeze`, `Unsqueeze`, `Tile` and `Pad` whose result has the very dims of the
      input, integers or names. (`Tile` and `Pad` by nothing; a negative `Pad` on one side that is made good on the
      other is told by its constants.)
    - A node stays where the graph's interface needs it: between an input, an initializer or another output and an
      output.
    """

    op_types = frozenset(
        {
            "Cast",
            "Concat",
            "Dropout",
            "Expand",
            "Flatten",
            "Identity",
            "Pad",
            "Reshape",
            "Squeeze",
            "Tile",
            "Transpose",
            "Unsqueeze",
        }
    )

    def rewrite(self, node: ir.Node) -> bool:
        source = node.inputs[0]
        return source is not None and _is_identity(node, source) and bypass(node, source)


def _is_identity(node: ir.Node, source: ir.Value) -> bool:
    output = node.outputs[0]
    match node.op_type:
        case "Identity":
            return True
        case "Dropout":
            training = node.inputs[2] if len(node.inputs) > 2 else None
            switch = small_constant(training)
            return optional_outputs_unused(node) and (training is None or (switch is not None and not switch))
        case "Cast":
            return source.dtype is not None and source.dtype == int_attribute(node, "to", -1)
        case "Concat":
            return len(node.inputs) == 1
        case "Transpose":
            dims = rank(source)
            return dims is not None and transpose_perm(node, dims) == list(range(dims))
        case "Pad":
            return not any(integers(node.inputs[1]) or [1])
        case "Tile":
            return set(integers(node.inputs[1]) or [0]) == {1}
        case _:
            return same_shape(source, output)


class MergeEqualNodes(ir.passes.InPlacePass):
    """Computes once what is computed several times (common subexpressions).

    - Nodes are equal if operator, inputs and attributes are. Numbers are compared by their bits: 0.0 is not -0.0.
    - A node in a subgraph may be replaced by an equal one in front of the subgraph's node, outside.
    - Random operators, operators with subgraphs and those of other domains than ONNX's are left alone, and a node
      whose result is an output of a graph stays unless the one it equals can bear the output's name.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        return ir.passes.PassResult(model, _merge_equal_nodes(model.graph, ChainMap()))


_RANDOM = frozenset(
    {"Bernoulli", "Dropout", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"}
)


def _merge_equal_nodes(graph: ir.Graph, known: ChainMap[Hashable, ir.Node]) -> bool:
    modified = False
    for node in graph:
        inner = subgraphs(node)
        for inner_graph in inner:
            modified |= _merge_equal_nodes(inner_graph, known.new_child())
        if inner or node.domain not in ("", "ai.onnx.ml") or node.op_type in _RANDOM:
            continue
        key = _node_key(node)
        if key is None:
            continue
        first = known.setdefault(key, node)
        if first is not node and _can_replace(first, node):
            for old, new in zip(node.outputs, first.outputs, strict=True):
                name = old.name
                is_output = old.is_graph_output()
                old.replace_all_uses_with(new, replace_graph_outputs=True)
                if is_output:
                    new.name = name
            absorb(first, node)
            modified = True
    return modified


def _can_replace(first: ir.Node, node: ir.Node) -> bool:
    """Whether the outputs of `first` can bear the names of those outputs of `node` that are outputs of the graph."""
    return not any(
        old.is_graph_output() and (new.is_graph_output() or first.graph is not node.graph)
        for old, new in zip(node.outputs, first.outputs, strict=True)
    )


def _node_key(node: ir.Node) -> Hashable | None:
    """What equal nodes have in common; None for a node that has no equal."""
    attributes = []
    for name, attribute in node.attributes.items():
        value = attribute.value
        match attribute.type:
            case ir.AttributeType.FLOAT | ir.AttributeType.FLOATS:
                value = repr(value)  # -0.0 is not 0.0, and nan is nan
            case ir.AttributeType.INTS | ir.AttributeType.STRINGS:
                value = tuple(value)
            case ir.AttributeType.INT | ir.AttributeType.STRING:
                pass
            case _:
                return None
        attributes.append((name, attribute.ref_attr_name, value))
    return (
        node.domain,
        node.op_type,
        node.overload,
        tuple([id(value) for value in node.inputs]),
        tuple(sorted(attributes)) if len(attributes) > 1 else tuple(attributes),
        tuple([bool(value.name) for value in node.outputs]),
    )


#: Constants up to this size are numbers, axes and shapes rather than parameters.
_TINY = 64


class MergeEqualInitializers(ir.passes.InPlacePass):
    """Stores once what is stored several times, without reading weights.

    - Tensors that are the same bytes of the same file are one, whatever their size: tied weights.
    - Of constants so small that they are no parameters (up to 64 bytes), those with equal content are one. Larger ones
      are not compared: two biases that happen to be all zeros keep their names.
    - Inputs and outputs of the graph are left alone.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        modified = False
        for graph in all_graphs(model.graph):
            known: dict[Hashable, ir.Value] = {}
            for name, value in list(graph.initializers.items()):
                key = None if value.is_graph_output() else _content_key(constant(value))
                if key is not None and known.setdefault(key, value) is not value:
                    value.replace_all_uses_with(known[key])
                    del graph.initializers[name]
                    modified = True
        return ir.passes.PassResult(model, modified)


def _content_key(tensor: ir.TensorProtocol | None) -> Hashable | None:
    """What tensors of equal content have in common; None for those that are not compared."""
    if tensor is None or tensor.dtype == ir.DataType.STRING:
        return None
    shape = tuple(tensor.shape.numpy())
    if tensor.nbytes <= _TINY and not isinstance(tensor, ir.LazyTensor):
        return (tensor.dtype, shape, tensor.tobytes())
    return (tensor.dtype, shape, id(tensor.file), tensor.offset) if isinstance(tensor, MappedTensor) else None

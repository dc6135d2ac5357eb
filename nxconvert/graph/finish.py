"""From a builder to a model: outputs named, initializers registered, every value stamped with its shape."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import onnx_ir as ir

from nxconvert.graph.builder import Builder, Value
from nxconvert.graph.dims import Dim

IR_VERSION = 10


def finish(op: Builder, outputs: Mapping[str, Value], defaults: Iterable[Value] = ()) -> ir.Model:
    """The model that a builder has built.

    Args:
        op: the root builder.
        outputs: the graph's outputs by name, in order.
        defaults: inputs that carry a default in ``const_value``, so that a caller may leave them out.

    Returns:
        a model at the internal opset. Initializers that nothing uses are left out; every value has a dtype and a shape.
    """
    graph = op.graph(list(outputs.values()), "main")
    weights = [value for value in op.initializers() if value.uses()]
    _name_outputs(graph, weights, list(outputs))
    for value in (*weights, *defaults):
        graph.register_initializer(value)
    _stamp_all([*graph.inputs, *graph.initializers.values()])
    for node in ir.traversal.RecursiveGraphIterator(graph):
        _stamp_all(node.outputs)
        for attribute in node.attributes.values():
            if attribute.type == ir.AttributeType.GRAPH:
                _stamp_all(attribute.as_graph().inputs)
    return ir.Model(graph, ir_version=IR_VERSION)


def _stamp_all(values: Iterable[ir.Value]) -> None:
    """Writes the dims that the builder knows into the values' shapes."""
    for value in values:
        if isinstance(value, Value) and value.dims is not None:
            value.shape = ir.Shape([str(dim) if isinstance(dim, Dim) else dim for dim in value.dims])


def _name_outputs(graph: ir.Graph, weights: Iterable[ir.Value], names: list[str]) -> None:
    """Gives the outputs their names; whatever inside the graph has such a name steps aside."""
    wanted = dict.fromkeys(names)
    made = (value for node in ir.traversal.RecursiveGraphIterator(graph) for value in node.outputs)
    for value in (*weights, *made):
        if value.name in wanted:
            value.name = f"{value.name}/inner"
    taken = {value.name for value in graph.inputs}
    for value, name in zip(graph.outputs, names, strict=True):
        while name in taken:
            name = f"{name}_out"
        taken.add(name)
        value.name = name

"""The outputs that a caller wants, instead of those that the file declares."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from nxconvert.errors import UsageError
from nxconvert.graph.naming import no_such_output
from nxconvert.passes.cleanup import RemoveUnused


def select(model: ir.Model, names: Sequence[str]) -> None:
    """Makes results of the graph its outputs, and leaves out what they do not depend on.

    Raises:
        UsageError: the graph computes nothing of one of the names.
    """
    graph = model.graph
    results = {value.name or "": value for node in graph for value in node.outputs if value.name}
    for name in names:
        if any(name == value.name for value in graph.inputs):
            raise UsageError(f"'{name}' is an input of the model, and no result that could be an output.")
        if name not in results:
            raise no_such_output(name, results, (value.name or "" for value in graph.outputs))
        if results[name].dtype is None:
            raise UsageError(f"'{name}' cannot be an output: the file does not say what dtype it has.")
    read = [value for value in graph.inputs if value.uses()]
    graph.outputs[:] = [results[name] for name in dict.fromkeys(names)]
    RemoveUnused()(model)
    for value in read:
        if not value.uses() and not value.is_graph_output():
            graph.inputs.remove(value)

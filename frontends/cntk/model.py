"""From a file of CNTK's to the shared graph."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import onnx_ir as ir

from nxconvert.errors import Unsupported, UnsupportedError, counted
from nxconvert.formats.cntk.model import read_model
from nxconvert.formats.cntk.sniff import is_legacy
from nxconvert.frontends.cntk import ops  # noqa: F401  (fills the table)
from nxconvert.frontends.cntk.inputs import LENGTHS, name_variables, plan, word
from nxconvert.frontends.cntk.legacy import read_legacy
from nxconvert.frontends.cntk.lower import Lowerer, where
from nxconvert.frontends.cntk.network import Expansion, Network, Node, Result, expand, reached
from nxconvert.frontends.cntk.outputs import wanted_outputs
from nxconvert.frontends.cntk.recurrence import lower_loop
from nxconvert.frontends.cntk.table import cntk
from nxconvert.graph.builder import Value, detach
from nxconvert.graph.finish import finish
from nxconvert.graph.naming import Names
from nxconvert.interface import LENGTHS_KEY
from nxconvert.plugins import ReadOptions


def read(path: Path, options: ReadOptions) -> ir.Model:
    """The model in a file, lowered to the shared graph.

    Raises:
        ReadError: the file is damaged, or holds no model.
        UsageError: what the caller says of inputs or outputs does not fit.
        UnsupportedError: functions have no lowering; all of them are listed.
    """
    options.progress("reading", None)
    stored = read_legacy(path) if is_legacy(path) else read_model(path)
    options.progress("lowering", None)
    expansion = Expansion(stored)
    network = expand(expansion, wanted_outputs(expansion, options.outputs, options.warn))
    _check(network)
    names = name_variables(network)
    inputs = plan(network, names, options)
    m = Lowerer(network, names, stored.variables, options.warn, inputs)
    for group in network.groups:
        if network.is_loop(group):
            lower_loop(m, group)
        else:
            m.lower(group[0])
    model = finish(m.root, _outputs(m, network, names.values()))
    _drop_unused_lengths(model, m.lengths)
    kept = {value.name for value in model.graph.inputs}
    lengths = {name: size for name, size in zip(inputs.lengths, inputs.sizes.values(), strict=True) if name in kept}
    if lengths:
        model.metadata_props[LENGTHS_KEY] = json.dumps(lengths, separators=(",", ":"))
    model.graph.name = word(stored.name) or "main"
    return model


def _check(network: Network) -> None:
    """Refuses a network with functions that nothing can be made of, listing all of them."""
    missing = counted(
        Unsupported(each.op, _why(each), where(each)) for each in network.nodes.values() if each.op not in cntk
    )
    if missing:
        raise UnsupportedError(missing)


def _why(node: Node) -> str:
    """Why there is no lowering, where that is known."""
    own = node.op.startswith("UserDefinedFunction")
    return "it is code that the file has only the name of; outputs before it can be asked for by name" if own else ""


def _outputs(m: Lowerer, network: Network, taken: Iterable[str]) -> dict[str, Value]:
    """The outputs by name; one on an axis that the model has made comes with the lengths of its sequences."""
    names = Names(output.name for output in network.outputs)
    names.reserve((*taken, *(value.name or "" for value in m.lengths)))
    found: dict[str, Value] = {}
    for output in network.outputs:
        node = network.nodes[output.source.node] if isinstance(output.source, Result) else m.node
        with m.at(node):
            tensor = m.tensor(output.source)
            seq = tensor.axes.seq if tensor.axes.seq is not None and tensor.axes.seq.made else None
            name = names.give(output.name, beside=[LENGTHS] if seq else [])
            found[name] = tensor.value
            if seq is not None:
                found[f"{name}{LENGTHS}"] = seq.lengths
    return found


def _drop_unused_lengths(model: ir.Model, lengths: Iterable[ir.Value]) -> None:
    """Removes the inputs of lengths that no output depends on."""
    needed = reached(model.graph.outputs, _operands)
    unused = [value for value in lengths if value not in needed]
    if unused:
        for node in reversed(list(model.graph)):
            if needed.isdisjoint(node.outputs):
                detach(node)
                model.graph.remove(node)
    for value in unused:
        model.graph.inputs.remove(value)


def _operands(value: ir.Value) -> Iterable[ir.Value]:
    """What a value is computed from, in the bodies of its node too."""
    node = value.producer()
    return () if node is None else _reads(node)


def _reads(node: ir.Node) -> Iterable[ir.Value]:
    yield from (value for value in node.inputs if value is not None)
    for attribute in node.attributes.values():
        if attribute.type == ir.AttributeType.GRAPH:
            graph = attribute.as_graph()
            yield from graph.outputs
            for inner in graph:
                yield from _reads(inner)

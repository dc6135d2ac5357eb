"""From a file of CNTK's to the shared graph."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import onnx_ir as ir

from nxconvert.errors import Unsupported, UnsupportedError, counted
from nxconvert.formats.cntk.model import Model, read_model
from nxconvert.frontends.cntk import loops, ops  # noqa: F401  (fill the table)
from nxconvert.frontends.cntk.lower import Lowerer, where
from nxconvert.frontends.cntk.network import Network, Output, expand, root_outputs
from nxconvert.frontends.cntk.table import cntk
from nxconvert.graph.builder import Value
from nxconvert.graph.finish import finish
from nxconvert.plugins import ReadOptions

#: Functions and blocks that say how good a prediction is, rather than predict.
CRITERIA = frozenset(
    """
    CrossEntropyWithSoftmax SquaredError ClassificationError Logistic BinaryCrossEntropy WeightedBinaryCrossEntropy
    EditDistanceError LambdaRank NDCG ForwardBackward CosDistanceWithNegativeSamples LatticeSequenceWithSoftmax
    """.split()  # noqa: SIM905
)
LENGTHS = "_lengths"


def read(path: Path, options: ReadOptions) -> ir.Model:
    """The model in a file, lowered to the shared graph.

    Raises:
        ReadError: the file is damaged, or holds no model.
        UnsupportedError: functions have no lowering; all of them are listed.
    """
    options.progress("reading", None)
    stored = read_model(path)
    options.progress("lowering", None)
    network = expand(stored, _named(stored))
    network = _without_criteria(network, options)
    _check(network)
    m = Lowerer(network, _names(network), stored.variables, options.warn)
    for group in network.groups:
        if network.is_loop(group):
            loops.lower_loop(m, group)
        else:
            m.lower(group[0])
    model = finish(m.root, _outputs(m, network))
    _drop_unused_lengths(model)
    model.graph.name = _word(stored.name) or "main"
    return model


def _named(stored: Model) -> Iterator[tuple[str, str]]:
    """The outputs of the root: a name that is their own, and what they are called in the model."""
    taken: Counter[str] = Counter()
    for name in root_outputs(stored):
        uid, _, index = name.rpartition("_Output_")
        function = stored.functions.get(uid)
        variable = stored.variables.get(name)
        called = (
            (function.name if function is not None else variable.name if variable is not None else "") or uid or name
        )
        if function is not None and index != "0":
            called = f"{called}.{index}"
        taken[called] += 1
        yield (called if taken[called] == 1 else f"{called}_{taken[called] - 1}"), name


def _without_criteria(network: Network, options: ReadOptions) -> Network:
    """The network without the outputs that are criteria or metrics, if there are others."""
    kept = [output for output in network.outputs if not _is_criterion(output)]
    if not kept or len(kept) == len(network.outputs):
        return network
    dropped = [output.name for output in network.outputs if output not in kept]
    options.warn(f"left out, since they judge predictions and do not make them: {', '.join(dropped)}")
    return network.reduced(kept)


def _is_criterion(output: Output) -> bool:
    return any(kind.removeprefix("Block:") in CRITERIA for kind in output.kinds)


def _check(network: Network) -> None:
    """Refuses a network with functions that nothing can be made of, listing all of them."""
    missing = counted(Unsupported(each.op, "", where(each)) for each in network.nodes.values() if each.op not in cntk)
    if missing:
        raise UnsupportedError(missing)


def _names(network: Network) -> dict[str, str]:
    """A name of its own for each variable: what the user called it, or else its uid."""
    names: dict[str, str] = {}
    taken: set[str] = set()
    for variable in network.variables.values():
        base = variable.name or variable.uid
        name, number = base, 0
        while name in taken:
            number += 1
            name = f"{base}_{number}"
        taken.add(name)
        names[variable.uid] = name
    return names


def _outputs(m: Lowerer, network: Network) -> dict[str, Value]:
    """The outputs by name; one on an axis that the model has made comes with the lengths of its sequences."""
    found: dict[str, Value] = {}
    for output in network.outputs:
        tensor = m.tensor(output.source)
        found[output.name] = tensor.value
        if tensor.axes.seq is not None and tensor.axes.seq.made:
            found[f"{output.name}{LENGTHS}"] = tensor.axes.seq.lengths
    return found


def _drop_unused_lengths(model: ir.Model) -> None:
    """Removes the inputs of lengths that no output depends on."""
    needed: set[ir.Value] = set()
    queue = list(model.graph.outputs)
    while queue:
        value = queue.pop()
        if value in needed:
            continue
        needed.add(value)
        node = value.producer()
        if node is not None:
            queue.extend(_reads(node))
    for value in list(model.graph.inputs):
        if (value.name or "").endswith(LENGTHS) and value.dtype == ir.DataType.INT64 and value not in needed:
            _drop_uses(value)
            model.graph.inputs.remove(value)


def _reads(node: ir.Node) -> Iterable[ir.Value]:
    yield from (value for value in node.inputs if value is not None)
    for attribute in node.attributes.values():
        if attribute.type == ir.AttributeType.GRAPH:
            graph = attribute.as_graph()
            yield from graph.outputs
            for inner in graph:
                yield from _reads(inner)


def _drop_uses(value: ir.Value) -> None:
    """Removes the nodes that use a value, and what uses them: nothing does whose result is needed."""
    for node in [use.node for use in value.uses()]:
        for output in node.outputs:
            _drop_uses(output)
        if node.graph is not None:
            node.graph.remove(node, safe=True)


def _word(name: str) -> str:
    return re.sub(r"\W", "_", name)

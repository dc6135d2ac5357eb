"""From the shared graph's operator set to another one.

Towards newer sets nearly nothing is to do: of all the operators that changed after 20, most only take more dtypes or
got attributes whose default is what they did before; `opset_rules` has the few others. Towards older sets an operator
is put back version by version by the rules there, and checked against the schema of the set asked for: what has no
rule and does not fit is an error, never a guess.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import cache

import onnx
import onnx_ir as ir

from nxconvert.errors import Unsupported, UnsupportedError
from nxconvert.graph import IR_OPSET
from nxconvert.passes.rewriting import SOURCE_KEY, Names, all_graphs

#: The operator sets that can be asked for. The newest is the last one that ONNX Runtime 1.32 runs: it reads 28 as well,
#: but has no kernels for `QuantizeLinear` and `ReduceLogSum` as they are in it.
OLDEST_OPSET, NEWEST_OPSET = 17, 27


def convert_opset(model: ir.Model, opset: int) -> None:
    """Rewrites `model`, in place, from the shared graph's operator set to `opset`.

    Args:
        model: a model of opset `IR_OPSET`; subgraphs and functions are rewritten, too.
        opset: from `OLDEST_OPSET` to `NEWEST_OPSET`.

    Raises:
        UnsupportedError: `opset` cannot express the model; lists every operator, with the smallest opset that can. The
            model is of no use then.
    """
    if opset != IR_OPSET:
        ConvertOpset(opset)(model)


class ConvertOpset(ir.passes.InPlacePass):
    """Rewrites a model of opset `IR_OPSET` to another one; see `convert_opset`."""

    def __init__(self, opset: int) -> None:
        super().__init__()
        self.opset = opset

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        # The rules are many, and the usual conversion, to the shared graph's own opset, needs none of them.
        from nxconvert.passes.emitter import Emitter
        from nxconvert.passes.opset_rules import BACKWARD, FORWARD, InexpressibleError

        rules = FORWARD if self.opset > IR_OPSET else BACKWARD
        steps = range(IR_OPSET + 1, self.opset + 1) if self.opset > IR_OPSET else range(IR_OPSET, self.opset, -1)
        names = Names(model)
        failed: dict[ir.Node, tuple[str, int]] = {}
        for version in steps:
            for home, graph in _graphs(model):
                for node in graph:
                    rule = rules.get((node.op_type, version)) if node.domain == "" else None
                    if rule is None or node in failed:
                        continue
                    try:
                        rule(node, Emitter(node, home, names))
                    except InexpressibleError as error:
                        failed[node] = (str(error), version)
        if self.opset < IR_OPSET:
            for _, graph in _graphs(model):
                for node in graph:
                    if node.domain == "" and node not in failed and (problem := _misfit(node, self.opset)):
                        failed[node] = problem
        if failed:
            raise UnsupportedError(_listed(failed))
        for imports in (model.graph.opset_imports, *(function.opset_imports for function in model.functions.values())):
            if "" in imports:
                imports[""] = self.opset
        return ir.passes.PassResult(model, modified=True)


def _graphs(model: ir.Model) -> Iterator[tuple[ir.Graph | None, ir.Graph]]:
    """Every graph, with the one that its constants belong to; None in a function, which has no initializers."""
    for graph in all_graphs(model.graph):
        yield model.graph, graph
    for function in model.functions.values():
        for graph in all_graphs(function.graph):
            yield None, graph


def _misfit(node: ir.Node, opset: int) -> tuple[str, int] | None:
    """Why `opset` does not have this node, and the smallest opset that does; None if it fits."""
    if _schema(node.op_type, opset) is _schema(node.op_type, IR_OPSET):
        return None
    reason = _violation(node, opset)
    if reason is None:
        return None
    newer = range(opset + 1, IR_OPSET)
    return reason, next((version for version in newer if _violation(node, version) is None), IR_OPSET)


_REQUIRED = onnx.defs.OpSchema.FormalParameterOption.Single


def _violation(node: ir.Node, opset: int) -> str | None:
    """What about `node` the schema of `opset` does not allow."""
    schema = _schema(node.op_type, opset)
    if schema is None:
        return "the operator is newer"
    for name in node.attributes:
        if name not in schema.attributes:
            return f"its attribute {name} is newer"
    given = len(node.inputs)
    for index, formal in enumerate(schema.inputs):
        if formal.option == _REQUIRED and (index >= given or node.inputs[index] is None):
            return f"its input {formal.name} cannot be left out yet"
    allowed = {constraint.type_param_str: constraint.allowed_type_strs for constraint in schema.type_constraints}
    for formals, values in ((schema.inputs, node.inputs), (schema.outputs, node.outputs)):
        for index, value in enumerate(values):
            if value is None or value.type is None:
                continue
            formal = formals[min(index, len(formals) - 1)]
            text = _type_text(value.type)
            if text not in allowed.get(formal.type_str, [formal.type_str]):
                return f"it does not take {text} yet"
    return None


@cache
def _schema(op_type: str, opset: int) -> onnx.defs.OpSchema | None:
    """The schema of an operator as of `opset`: the same object for opsets that share it."""
    try:
        schema = onnx.defs.get_schema(op_type, opset, "")
    except onnx.defs.SchemaError:
        return None
    return schema if schema.since_version == opset else _schema(op_type, schema.since_version)


def _type_text(type_: ir.TypeProtocol) -> str:
    """A type as schemas spell it: ``seq(tensor(float))``."""
    if isinstance(type_, ir.SequenceType | ir.OptionalType):
        kind = "seq" if isinstance(type_, ir.SequenceType) else "optional"
        return f"{kind}({_type_text(type_.elem_type)})"
    return f"tensor({type_.dtype.name.lower()})"


def _listed(failed: dict[ir.Node, tuple[str, int]]) -> list[Unsupported]:
    """One entry for all nodes that fail in the same place for the same reason."""
    count: Counter[tuple[str, str, str]] = Counter()
    for node, (reason, smallest) in failed.items():
        origin, _, where = node.metadata_props.get(SOURCE_KEY, "").partition("; ")[0].partition(" ")
        why = f"{reason}; opset {smallest} is the smallest that can" if smallest <= IR_OPSET else reason
        what = f"{origin} (ONNX {node.op_type})" if origin else f"ONNX {node.op_type}"
        count[what, why, where or ("" if origin else node.name or "")] += 1
    return [Unsupported(what, why, where, times) for (what, why, where), times in count.items()]

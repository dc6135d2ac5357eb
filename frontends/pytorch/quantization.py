"""What the user is told of a quantized model."""

from __future__ import annotations

from collections.abc import Iterator

import onnx_ir as ir

from nxconvert.plugins import ReadOptions

_QUANTIZES = frozenset({"QuantizeLinear", "DynamicQuantizeLinear"})


def remark(model: ir.Model) -> str:
    """How far a model's results can be from PyTorch's, if it quantizes on the way; else nothing."""
    count = sum(node.op_type in _QUANTIZES for node in model.graph.all_nodes())
    if not count:
        return ""
    steps = ", ".join(f"{name} {step:.4g}" for name, step in _steps(model.graph))
    places = "1 place" if count == 1 else f"{count} places"
    return (
        f"the model rounds to integers in {places}. PyTorch's kernels may round a number half way between two steps to "
        "the other one, so each such result agrees to one step of its scale"
        f"{f' (of the outputs: {steps})' if steps else ''}"
    )


def _steps(graph: ir.Graph) -> Iterator[tuple[str, float]]:
    """The outputs that are quantized, with what lies between two steps of theirs."""
    for output in graph.outputs:
        node = output.producer()
        scale = node.inputs[1] if node is not None and node.op_type == "DequantizeLinear" else None
        if scale is not None and scale.const_value is not None:
            yield output.name or "", float(scale.const_value.numpy().max())


def remarked(model: ir.Model, options: ReadOptions) -> ir.Model:
    """The model, after the user was told what to expect of it."""
    message = remark(model)
    if message:
        options.warn(message)
    return model

"""What the user is told of a model as a whole: how far its results can be from PyTorch's."""

from __future__ import annotations

from collections.abc import Iterator

import onnx_ir as ir

from nxconvert.graph.builder import SOURCE_KEY
from nxconvert.plugins import ReadOptions

_QUANTIZES = frozenset({"QuantizeLinear", "DynamicQuantizeLinear"})


# Operators that draw; what they are made of is in their metadata.
_DRAWS = frozenset(
    ["Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"]
)


def _quantized(model: ir.Model) -> str:
    """That a model quantizes on the way; nothing if it does not."""
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


def _random(model: ir.Model) -> str:
    """That a model draws random numbers; nothing if it does not."""
    draws = [node for node in model.graph.all_nodes() if node.op_type in _DRAWS]
    if not draws:
        return ""
    places = dict.fromkeys(node.metadata_props.get(SOURCE_KEY, node.op_type) for node in draws)
    return (
        f"the model draws random numbers ({'; '.join(places)}): they differ from PyTorch's, and from run to run. Was "
        "it saved in training mode? model.eval() switches dropout off"
    )


def remarked(model: ir.Model, options: ReadOptions) -> ir.Model:
    """The model, after the user was told what to expect of it."""
    for message in (_quantized(model), _random(model)):
        if message:
            options.warn(message)
    return model

"""The weights of a model as values of the graph."""

from __future__ import annotations

from nxconvert.formats.caffe2 import Tensor
from nxconvert.graph.builder import Builder, Value


def weight_of(op: Builder, tensor: Tensor, name: str) -> Value:
    """The content of a stored tensor, as a weight of the graph with its name."""
    import onnx_ir as ir

    return op.weight(ir.Tensor(tensor.values, name=name), name)

"""Letting weights do what a number does to the operand they are multiplied with: images that are scaled first."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from nxconvert.formats.tensors import ComputedTensor
from nxconvert.passes.rewriting import (
    SMALL_BYTES,
    NodePass,
    absorb,
    add_initializer,
    constant,
    int_attribute,
    only_use,
    producer,
    rank,
    small_constant,
)
from nxconvert.passes.weights import release

_FLOATS = frozenset({ir.DataType.FLOAT, ir.DataType.DOUBLE})
#: What keeps all elements in their order.
_RESHAPING = ("Flatten", "Reshape", "Squeeze", "Unsqueeze")
#: Factors within these bounds keep weights within what floats are precise for.
_LEAST, _MOST = 1e-9, 1e9


class FoldOperandScalesIntoWeights(NodePass):
    """`Mul` or `Div` of an operand by constants goes into the weight that the operand is multiplied with.

    - The layer is `Conv`, `ConvTranspose`, `Gemm` or `MatMul` by a matrix, its weight float32 or float64, and nothing
      else reads the operand. Padding is no obstacle: zeros stay zeros.
    - The factor is one number; or one for each channel of a convolution without groups or of a transposed one, or for
      each column of a `Gemm`. One number may have `Reshape` and its like between it and the layer.
    - No other layer reads the weight, unless it is so small that it may be stored twice.
    """

    op_types = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})

    def rewrite(self, node: ir.Node) -> bool:
        weight = constant(node.inputs[1])
        if weight is None or weight.dtype not in _FLOATS or weight.size == 0 or not self._can_change(node, weight):
            return False
        scaling, reader = _scaling(node)
        found = None if scaling is None else _factor(scaling)
        if scaling is None or found is None:
            return False
        source, numbers = found
        factor = _spread(node, weight, source, numbers)
        if factor is None or (factor.ndim and reader is not node):
            return False
        self._scale(node, weight, factor)
        reader.replace_input_with(0, source)
        absorb(node, scaling)
        return True

    @staticmethod
    def _can_change(node: ir.Node, weight: ir.TensorProtocol) -> bool:
        value = node.inputs[1]
        assert value is not None
        return not value.is_graph_output() and (only_use(value) or weight.nbytes <= SMALL_BYTES)

    def _scale(self, node: ir.Node, weight: ir.TensorProtocol, factor: np.ndarray) -> None:
        """Multiplies the weight."""

        def compute() -> np.ndarray:
            array = weight.numpy()
            product: np.ndarray = array * factor.astype(array.dtype)
            release(weight)
            return product

        value, new = node.inputs[1], ComputedTensor(compute, weight.dtype, weight.shape.numpy(), weight.name)
        assert value is not None
        if only_use(value):
            value.const_value = new
        else:
            name = self.names.unique(f"{value.name}.scaled")
            node.replace_input_with(1, add_initializer(self.home, new, name))


def _scaling(node: ir.Node) -> tuple[ir.Node | None, ir.Node]:
    """The node that scales the operand of a layer, or None, and the one that reads it, which may only reshape it."""
    reader = node
    while True:
        value = reader.inputs[0]
        maker = None if value is None or not only_use(value) else producer(value, "Div", "Mul", *_RESHAPING)
        if maker is None or maker.graph is not node.graph:
            return None, reader
        if maker.op_type not in _RESHAPING:
            return maker, reader
        reader = maker


def _factor(node: ir.Node) -> tuple[ir.Value, np.ndarray] | None:
    """What is multiplied by constants, and these, in float64."""
    for index in (0, 1) if node.op_type == "Mul" else (0,):
        source, numbers = node.inputs[index], small_constant(node.inputs[1 - index])
        if source is None or numbers is None or constant(source) is not None or numbers.size == 0:
            continue
        wide = numbers.astype(np.float64)
        size = np.abs(wide)
        if not (np.isfinite(wide).all() and size.min() >= _LEAST and size.max() <= _MOST):
            return None
        return source, 1 / wide if node.op_type == "Div" else wide
    return None


def _spread(node: ir.Node, weight: ir.TensorProtocol, source: ir.Value, numbers: np.ndarray) -> np.ndarray | None:
    """The factors in a shape that the weight can be multiplied by; None if that is not the same."""
    dims = rank(source)
    if dims is None or numbers.ndim > dims or (node.op_type == "MatMul" and len(weight.shape) != 2):
        return None
    if numbers.size == 1:
        return numbers.reshape(())
    if dims < 2:
        return None
    shape = [1] * (dims - numbers.ndim) + list(numbers.shape)
    channels = None if source.shape is None else source.shape[1]
    if numbers.size != shape[1] or channels != shape[1]:
        return None
    ones = [1] * (len(weight.shape) - 2)
    match node.op_type:
        case "Conv" if int_attribute(node, "group", 1) == 1:
            return numbers.reshape(1, -1, *ones)
        case "ConvTranspose":
            return numbers.reshape(-1, 1, *ones)
        case "Gemm" if not int_attribute(node, "transA", 0):
            return numbers.reshape((1, -1) if int_attribute(node, "transB", 0) else (-1, 1))
    return None

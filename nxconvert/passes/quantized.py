"""Quantized layers, so that the integer kernels of runtimes compute what the graph says."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from nxconvert.formats.tensors import ComputedTensor
from nxconvert.passes.emitter import Emitter
from nxconvert.passes.rewriting import (
    Names,
    NodePass,
    add_initializer,
    change,
    constant,
    int_attribute,
    only_use,
    producer,
    small_constant,
)  # fmt: skip
from nxconvert.passes.weights import release

_SEVEN_BITS = 127
# What runtimes move a DequantizeLinear across, so that it stands before the layer.
_MOVERS = (
    "Concat", "Expand", "Flatten", "Gather", "MaxPool", "Pad", "Relu", "Reshape", "Slice", "Split", "Squeeze",
    "Transpose", "Unsqueeze",
)  # fmt: skip


class UnsignedWeights(NodePass):
    """Weights of int8 that uint8 activations are multiplied by become uint8, with a zero point that is 128 higher.

    The numbers that they stand for stay the same. But x86 processors without VNNI add two products of uint8 and int8 in
    16 bits, where they saturate (``vpmaddubsw``), and ONNX Runtime lets them; two of uint8 are added in 32 bits.

    - The layer is `Conv`, `Gemm` or `MatMul` of results of `DequantizeLinear`, or `MatMulInteger`.
    - Weight and zero point are constants.
    - Activations that are kept to 7 bits, by a `Clip`, cannot saturate: such a weight stays.
    """

    op_types = frozenset({"Conv", "Gemm", "MatMul", "MatMulInteger"})

    def start(self, model: ir.Model, names: Names) -> None:
        super().start(model, names)
        self._known: dict[ir.Value, ir.Value] = {}

    def rewrite(self, node: ir.Node) -> bool:
        if node.op_type == "MatMulInteger":
            return _is_byte(node.inputs[0]) and self._shift(node, 1, 3)
        weight = producer(node.inputs[1], "DequantizeLinear")
        return weight is not None and _stands_for_bytes(node.inputs[0]) and self._shift(weight, 0, 2)

    def _shift(self, node: ir.Node, at: int, zero_at: int) -> bool:
        """Makes the weight that `node` reads unsigned, and its zero point; False where they are something else."""
        weight, tensor = node.inputs[at], constant(node.inputs[at])
        if weight is None or tensor is None or tensor.dtype != ir.DataType.INT8:
            return False
        given = node.inputs[zero_at] if len(node.inputs) > zero_at else None
        zero = np.int8(0) if given is None else small_constant(given)
        if zero is None:
            return False
        alone = only_use(weight)
        if alone:
            weight.const_value, weight.dtype = _Unsigned(tensor), ir.DataType.UINT8
        else:
            node.replace_input_with(at, self._copy(weight, tensor))
        node.resize_inputs(max(len(node.inputs), zero_at + 1))
        node.replace_input_with(zero_at, self.new_constant(node, _unsigned(np.asarray(zero))))
        return True

    def _copy(self, weight: ir.Value, tensor: ir.TensorProtocol) -> ir.Value:
        """The unsigned form of a weight that others read as it is."""
        known = self._known.get(weight)
        if known is None:
            known = add_initializer(self.home, _Unsigned(tensor), self.names.unique(f"{weight.name}.unsigned"))
            self._known[weight] = known
        return known


class WidenLoneWeights(NodePass):
    """The weight of a `MatMul` that multiplies floats by a quantized weight is cast and scaled, not dequantized.

    ONNX Runtime makes `DequantizeLinear` and `MatMul` one node that quantizes the floats, too, to 8 bits of their own
    choice. The model says that they are floats; a `Cast` and a `Mul` are the same numbers, and taken at their word.

    - Weight, scale and zero point are constants; there may be a `Transpose` in between.
    - What is dequantized with a constant scale is no float: such a layer is computed in integers, as it should be.
    """

    op_types = frozenset({"MatMul"})

    def rewrite(self, node: ir.Node) -> bool:
        turned = producer(node.inputs[1], "Transpose")
        weight = producer(node.inputs[1] if turned is None else turned.inputs[0], "DequantizeLinear")
        if weight is None or _is_quantized(node.inputs[0]) or "block_size" in weight.attributes:
            return False
        integers, scale = constant(weight.inputs[0]), constant(weight.inputs[1])
        zero = constant(weight.inputs[2]) if len(weight.inputs) > 2 and weight.inputs[2] is not None else None
        if integers is None or scale is None or (zero is None and len(weight.inputs) > 2):
            return False
        emit = Emitter(weight, self.home, self.names)
        dims = integers.shape.numpy()
        axis = int_attribute(weight, "axis", 1) % len(dims)
        along = [-1 if i == axis and scale.size > 1 else 1 for i in range(len(dims))]
        y = emit("Cast", weight.inputs[0], dtype=scale.dtype, shape=dims, to=int(scale.dtype))
        if zero is not None and zero.numpy().any():
            y = emit("Sub", y, emit.constant(zero.numpy().reshape(along), scale.dtype), dtype=scale.dtype, shape=dims)
        change(weight, "Mul", [y, emit.constant(scale.numpy().reshape(along), scale.dtype)])
        return True


def _is_quantized(value: ir.Value | None) -> bool:
    """Whether floats are what integers of a constant scale stand for, moved about at most."""
    dequantize = _dequantizes(value)
    return dequantize is not None and constant(dequantize.inputs[1]) is not None


def _dequantizes(value: ir.Value | None) -> ir.Node | None:
    """The node whose results `value` is made of, by nodes that only move them."""
    while (mover := producer(value, *_MOVERS)) is not None:
        value = mover.inputs[0]
    return producer(value, "DequantizeLinear")


class UnsignedActivations(NodePass):
    """Tensors that `QuantizeLinear` makes int8 become uint8, with a zero point that is 128 higher.

    The numbers that they stand for stay the same. ONNX Runtime's kernels for int8 saturate as those for uint8 with
    int8 do (see `UnsignedWeights`), and two of uint8 do not.

    - Only `DequantizeLinear` reads the tensor, or a `Clip` that only it reads; zero points and limits are constants.
    - A zero point of 0 stays: symmetric quantization is what accelerators of int8 ask for.
    """

    op_types = frozenset({"QuantizeLinear"})

    def rewrite(self, node: ir.Node) -> bool:
        zero = _signed(node, 2)
        if zero is None or zero.size != 1 or not zero.any() or "output_dtype" in node.attributes:
            return False
        readers = _readers(node.outputs[0])
        if readers is None:
            return False
        for reader, places in [(node, (2,)), *readers]:
            for at in places:
                array = _signed(reader, at)
                assert array is not None
                reader.replace_input_with(at, self.new_constant(reader, _unsigned(array)))
            if reader.op_type != "DequantizeLinear":
                reader.outputs[0].dtype = ir.DataType.UINT8
        return True


def _signed(node: ir.Node, at: int) -> np.ndarray | None:
    """The input at that place, if it is a small constant of int8."""
    array = small_constant(node.inputs[at]) if len(node.inputs) > at else None
    return None if array is None or array.dtype != np.int8 else array


def _readers(value: ir.Value) -> list[tuple[ir.Node, tuple[int, ...]]] | None:
    """What reads quantized numbers, with the places of the constants that go with them; None if not all is known."""
    found: list[tuple[ir.Node, tuple[int, ...]]] = []
    if value.is_graph_output():
        return None
    for node, place in value.uses():
        places = {"DequantizeLinear": (2,), "Clip": (1, 2)}.get(node.op_type)
        if place or places is None or any(_signed(node, at) is None for at in places):
            return None
        found.append((node, places))
        if node.op_type == "Clip":
            further = _readers(node.outputs[0])
            if further is None:
                return None
            found += further
    return found


class _Unsigned(ComputedTensor):
    """A tensor of int8 as uint8, 128 higher."""

    def __init__(self, source: ir.TensorProtocol) -> None:
        def compute() -> np.ndarray:
            array = _unsigned(source.numpy())
            release(source)
            return array

        super().__init__(compute, ir.DataType.UINT8, source.shape.numpy(), source.name)


def _unsigned(array: np.ndarray) -> np.ndarray:
    flipped: np.ndarray = array.view(np.uint8) ^ np.uint8(0x80)
    return flipped


def _is_byte(value: ir.Value | None) -> bool:
    """Whether `value` is of uint8 and may need all 8 bits."""
    if value is None or value.dtype != ir.DataType.UINT8:
        return False
    clip = producer(value, "Clip")
    highest = small_constant(clip.inputs[2]) if clip is not None and len(clip.inputs) > 2 else None
    return highest is None or int(highest) > _SEVEN_BITS


def _stands_for_bytes(value: ir.Value | None) -> bool:
    """Whether floats are what uint8 stands for, moved about at most."""
    dequantize = _dequantizes(value)
    return dequantize is not None and _is_byte(dequantize.inputs[0])

"""Letting weights do the work of the nodes around them.

Nothing is computed here: a changed weight is a `ComputedTensor`, worked out when the file is written, one at a time.
Weights stay in their place and keep their names; no pass makes the model's weights larger.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import onnx_ir as ir

from nxconvert.formats.tensors import ComputedTensor
from nxconvert.passes.rewriting import (
    SMALL_RESULT,
    Names,
    NodePass,
    absorb,
    add_initializer,
    all_graphs,
    bypass,
    change,
    constant,
    dims_of,
    int_attribute,
    integers,
    ints_attribute,
    only_use,
    optional_outputs_unused,
    producer,
    rank,
    same_shape,
    small_constant,
    string_attribute,
    transpose_perm,
)
from nxconvert.passes.weights import TransposedTensor, release

_FLOATS = frozenset({ir.DataType.FLOAT, ir.DataType.DOUBLE, ir.DataType.FLOAT16, ir.DataType.BFLOAT16})


@dataclass(frozen=True)
class _Affine:
    """What is done to each channel c of a result: ``y[c] = x[c] * scale[c] + shift[c]``.

    Attributes:
        compute: returns (scale, shift) in float64, each of shape [channels] or a scalar.
        scales: whether the scale can be other than 1.
        shifts: whether the shift can be other than 0.
        shift: the initializer that is nothing but the shift, so that its name can be the bias's.
    """

    compute: Callable[[], tuple[np.ndarray, np.ndarray]]
    scales: bool = True
    shifts: bool = True
    shift: ir.Value | None = None


@dataclass(frozen=True)
class _Layer:
    """A layer whose weight multiplies and whose bias is added, both constants.

    Attributes:
        node: `Conv`, `ConvTranspose`, `Gemm`, `MatMul` of matrices or `BatchNormalization`.
        weight: the content of its second input.
        bias: the content of its third input, of shape [channels]; None where there is none.
        channels: the size of the result's second dim.
        split: the shape that the weight is given to be multiplied by `spread`.
        spread: the shape that a vector of channels is given.
    """

    node: ir.Node
    weight: ir.TensorProtocol
    bias: ir.TensorProtocol | None
    channels: int
    split: tuple[int, ...]
    spread: tuple[int, ...]

    @staticmethod
    def of(node: ir.Node) -> _Layer | None:
        """Describes `node`, or None if it is no such layer."""
        weight = constant(node.inputs[1])
        if weight is None or weight.dtype not in _FLOATS or weight.size == 0:
            return None
        shape = weight.shape.numpy()
        split: tuple[int, ...]
        spread: tuple[int, ...]
        if node.op_type == "Conv":
            channels = shape[0]
            split, spread = (channels, -1), (channels, 1)
        elif node.op_type == "ConvTranspose":
            groups = int_attribute(node, "group", 1)
            channels = shape[1] * groups
            split, spread = (groups, shape[0] // groups, shape[1], -1), (groups, 1, shape[1], 1)
        elif node.op_type == "BatchNormalization":
            if int_attribute(node, "training_mode", 0) or not optional_outputs_unused(node):
                return None
            channels = shape[0]
            split, spread = (channels,), (channels,)
        else:
            if any(name in node.attributes and node.attributes[name].as_float() != 1 for name in ("alpha", "beta")):
                return None
            transposed_weight = int_attribute(node, "transB", 0) == 1
            channels = shape[0 if transposed_weight else 1]
            split, spread = ((channels, -1), (channels, 1)) if transposed_weight else ((-1, channels), (1, channels))
        if len(node.inputs) < 3 or node.inputs[2] is None:
            return _Layer(node, weight, None, channels, split, spread)
        bias = constant(node.inputs[2])
        if bias is None or bias.shape.numpy() != (channels,):
            return None
        return _Layer(node, weight, bias, channels, split, spread)

    def scaled_weight(self, affine: _Affine) -> ComputedTensor:
        """The weight, each channel of it multiplied by the scale."""
        weight, split, spread, channels = self.weight, self.split, self.spread, self.channels

        def compute() -> np.ndarray:
            array = weight.numpy()
            working = np.float64 if array.dtype == np.float64 else np.float32
            scale = np.broadcast_to(affine.compute()[0], channels).astype(working).reshape(spread)
            product: np.ndarray = np.multiply(array.reshape(split).astype(working, copy=False), scale)
            release(weight)
            return product.reshape(array.shape).astype(array.dtype, copy=False)

        return ComputedTensor(compute, weight.dtype, weight.shape.numpy(), weight.name)

    def shifted_bias(self, affine: _Affine) -> ComputedTensor:
        """The bias, each channel of it scaled and shifted."""
        bias, channels, dtype = self.bias, self.channels, self.weight.dtype

        def compute() -> np.ndarray:
            scale, shift = affine.compute()
            start = np.zeros(channels) if bias is None else bias.numpy().astype(np.float64)
            return np.broadcast_to(start * scale + shift, channels).astype(dtype.numpy())

        return ComputedTensor(compute, dtype, (channels,), None if bias is None else bias.name)


class FoldAffineIntoWeights(NodePass):
    """Folds what scales and shifts each channel of a linear layer into the layer's weight and bias.

    The layer is `Conv`, `ConvTranspose`, `Gemm` (of `alpha` and `beta` 1) or `BatchNormalization` as in inference,
    whose scale is its weight; its weight and bias are constants, the weight belongs to it alone, and nothing but the
    affine node reads its result. A `MatMul` of matrices becomes a `Gemm` where it is normalized. The affine node is

    - `BatchNormalization` as in inference, with constant statistics: W' = W * s, b' = (b - mean) * s + B with
      s = scale / sqrt(var + epsilon);
    - `Mul` or `Add` of a constant that has one number a channel (``[C, 1, 1]``, ``[1, C, 1, 1]``; after `Gemm` ``[C]``,
      ``[1, C]``) or one in all, and does not broadcast the result to a larger shape.

    Between a `Gemm` or a `MatMul` and the affine node there may be a `Reshape` of its columns to an image or the like,
    of which every element has a number of its own: what generators of images begin with.

    The scale and the bias are computed in float64, the weight in its own precision, or in float32 if that is a half.
    """

    op_types = frozenset({"Add", "BatchNormalization", "Mul"})

    def rewrite(self, node: ir.Node) -> bool:
        layer, affine = _affine_after_layer(node)
        reshape = None
        if layer is None:
            layer, affine, reshape = _affine_after_reshape(node)
        if layer is None or affine is None:
            return False
        weight, result = layer.node.inputs[1], (reshape or layer.node).outputs[0]
        assert weight is not None
        if layer.node.graph is not node.graph or not only_use(result) or (affine.scales and not only_use(weight)):
            return False
        if affine.scales:
            weight.const_value = layer.scaled_weight(affine)
        if affine.shifts or layer.bias is not None:
            self._set_bias(layer, affine)
        absorb(layer.node, node)
        bypass(node, result)
        return True

    def _set_bias(self, layer: _Layer, affine: _Affine) -> None:
        """Gives the layer another bias: in the place of the old one, or of the shift, if that is nobody else's."""
        node, tensor = layer.node, layer.shifted_bias(affine)
        if node.op_type == "MatMul":
            change(node, "Gemm", node.inputs)
        old = affine.shift if layer.bias is None else node.inputs[2]
        if old is not None and only_use(old):
            tensor.name = old.name
            old.const_value = tensor
            old.shape = ir.Shape(tensor.shape.numpy())
            bias = old
        else:
            weight = node.inputs[1]
            assert weight is not None
            prefix = (weight.name or "").removesuffix("weight").removesuffix(".")
            bias = add_initializer(self.home, tensor, self.names.unique(f"{prefix}.bias" if prefix else "bias"))
        if len(node.inputs) < 3:
            node.resize_inputs(3)
        node.replace_input_with(2, bias)


def _affine_after_layer(node: ir.Node) -> tuple[_Layer | None, _Affine | None]:
    """The linear layer whose result `node` scales or shifts, and how."""
    for index in (0,) if node.op_type == "BatchNormalization" else (0, 1):
        maker = producer(node.inputs[index], "Conv", "ConvTranspose", "Gemm", "MatMul", "BatchNormalization")
        if maker is not None and maker.op_type == "MatMul":
            maker = maker if node.op_type == "BatchNormalization" and _is_matrix_product(maker) else None
        layer = None if maker is None else _Layer.of(maker)
        if layer is None:
            continue
        if node.op_type == "BatchNormalization":
            return layer, _normalization(node)
        return layer, _per_channel(node, layer, node.inputs[1 - index])
    return None, None


def _affine_after_reshape(node: ir.Node) -> tuple[_Layer | None, _Affine | None, ir.Node | None]:
    """The product of matrices whose columns are reshaped to what `node` scales or shifts, how, and the `Reshape`."""
    for index in (0,) if node.op_type == "BatchNormalization" else (0, 1):
        reshape = producer(node.inputs[index], "Reshape")
        product = None if reshape is None else producer(reshape.inputs[0], "Gemm", "MatMul")
        if reshape is None or product is None or not only_use(product.outputs[0]) or reshape.graph is not node.graph:
            continue
        layer = _Layer.of(product) if product.op_type == "Gemm" or _is_matrix_product(product) else None
        dims = _dims_of_columns(reshape)
        if layer is None or dims is None:
            continue
        if node.op_type == "BatchNormalization":
            affine = _normalization(node)
            return layer, None if affine is None else _spread(affine, (dims[0], *[1] * (len(dims) - 1)), dims), reshape
        tensor = constant(node.inputs[1 - index])
        shape = () if tensor is None else tuple(tensor.shape.numpy())[-len(dims) :]
        if tensor is not None and tensor.dtype == layer.weight.dtype and _is_broadcast(tensor.shape.numpy(), dims):
            return layer, _spread(_mul_or_add(node, tensor, node.inputs[1 - index]), shape, dims), reshape
    return None, None, None


def _dims_of_columns(reshape: ir.Node) -> tuple[int, ...] | None:
    """The dims that a `Reshape` of a matrix gives to its columns, if it leaves the rows alone."""
    source, result = dims_of(reshape.inputs[0]), dims_of(reshape.outputs[0])
    if source is None or result is None or len(source) != 2 or len(result) < 2 or source[0] != result[0]:
        return None
    columns = [dim for dim in result[1:] if isinstance(dim, int)]
    return tuple(columns) if len(columns) == len(result) - 1 and math.prod(columns) == source[1] else None


def _is_broadcast(shape: Sequence[int], dims: Sequence[int]) -> bool:
    """Whether a constant is broadcast to what has rows of `dims`, each of them alike."""
    padded = [1] * (len(dims) + 1 - len(shape)) + list(shape)
    return len(padded) == len(dims) + 1 and all(a in (1, b) for a, b in zip(padded, (1, *dims), strict=True))


def _spread(affine: _Affine, shape: tuple[int, ...], dims: tuple[int, ...]) -> _Affine:
    """An affine whose numbers, of `shape`, are broadcast to `dims` as one of all elements in a row."""

    def whole(numbers: np.ndarray) -> np.ndarray:
        return np.broadcast_to(numbers.reshape(shape if numbers.size > 1 else ()), dims).reshape(-1)

    def compute() -> tuple[np.ndarray, np.ndarray]:
        scale, shift = affine.compute()
        return whole(scale), whole(shift)

    return replace(affine, compute=compute)


def _normalization(node: ir.Node) -> _Affine | None:
    """What a `BatchNormalization` does, if that is the same for every input."""
    tensors = [constant(value) for value in node.inputs[1:]]
    if None in tensors or int_attribute(node, "training_mode", 0) or not optional_outputs_unused(node):
        return None
    scale, shift, mean, variance = (tensor for tensor in tensors if tensor is not None)
    epsilon = node.attributes.get_float("epsilon", 1e-5)

    def compute() -> tuple[np.ndarray, np.ndarray]:
        s, b, m, v = (tensor.numpy().astype(np.float64) for tensor in (scale, shift, mean, variance))
        factor = s / np.sqrt(v + epsilon)
        return factor, b - m * factor

    return _Affine(compute)


def _per_channel(node: ir.Node, layer: _Layer, operand: ir.Value | None) -> _Affine | None:
    """What `Mul` or `Add` does, if `operand` is a constant with a number for each channel, or one in all."""
    tensor = constant(operand)
    normalized = layer.node.op_type == "BatchNormalization"
    dims = rank(layer.node.inputs[0]) if normalized else 2 if layer.node.op_type == "Gemm" else len(layer.weight.shape)
    if tensor is None or dims is None or tensor.dtype != layer.weight.dtype or len(tensor.shape) > dims:
        return None
    shape = (1,) * (dims - len(tensor.shape)) + tuple(tensor.shape.numpy())
    if shape[1] not in (1, layer.channels) or any(size != 1 for axis, size in enumerate(shape) if axis != 1):
        return None
    return _mul_or_add(node, tensor, operand)


def _mul_or_add(node: ir.Node, tensor: ir.TensorProtocol, operand: ir.Value | None) -> _Affine:
    """What `Mul` or `Add` does with a constant, which is the content of `operand`."""
    is_mul = node.op_type == "Mul"

    def compute() -> tuple[np.ndarray, np.ndarray]:
        numbers = tensor.numpy().astype(np.float64).reshape(-1)
        one, zero = np.array(1.0), np.array(0.0)
        return (numbers, zero) if is_mul else (one, numbers)

    return _Affine(compute, scales=is_mul, shifts=not is_mul, shift=None if is_mul else operand)


#: So many bytes of weights are not transposed while they are written.
_LEFT_TO_THE_RUNTIME = 1 << 30


class TransposeWeights(NodePass):
    """`Transpose` of a weight is another weight, called ``<name>.T`` and computed when the file is written.

    Several readers of the same transposed weight share it. Weights above 1 MB stay, and are transposed at run time,

    - where something else reads the weight as it is: storing it twice (a tied embedding and output layer) would make
      the file larger;
    - where all of them together exceed 1 GB, so that writing them is copying them. Runtimes transpose constants once,
      when they load the model.
    """

    op_types = frozenset({"Transpose"})

    def start(self, model: ir.Model, names: Names) -> None:
        super().start(model, names)
        self._known: dict[tuple[ir.Value, tuple[int, ...]], ir.Value] = {}
        self._large: float | None = None

    def rewrite(self, node: ir.Node) -> bool:
        weight, result = node.inputs[0], node.outputs[0]
        tensor = constant(weight)
        if weight is None or tensor is None or tensor.dtype == ir.DataType.STRING or result.is_graph_output():
            return False
        perm = tuple(transpose_perm(node, len(tensor.shape)))
        if tensor.nbytes > SMALL_RESULT and (
            self._all_large() > _LEFT_TO_THE_RUNTIME or not all(_transposes(use.node, perm) for use in weight.uses())
        ):
            return False
        new = self._known.get((weight, perm))
        if new is None:
            name = self.names.unique(f"{weight.name}.T")
            new = add_initializer(self.home, TransposedTensor(tensor, perm, name), name)
            self._known[weight, perm] = new
        return bypass(node, new)

    def _all_large(self) -> float:
        """The bytes of all weights above 1 MB that are transposed; counted when the first of them is met."""
        if self._large is None:
            nodes = (node for graph in all_graphs(self.home) for node in graph if node.op_type == "Transpose")
            tensors = [constant(weight) for weight in {node.inputs[0]: None for node in nodes}]
            self._large = sum(
                tensor.nbytes for tensor in tensors if tensor is not None and tensor.nbytes > SMALL_RESULT
            )
        return self._large


def _transposes(node: ir.Node, perm: tuple[int, ...]) -> bool:
    return node.op_type == "Transpose" and node.domain == "" and tuple(transpose_perm(node, len(perm))) == perm


class MatMulToGemm(NodePass):
    """`MatMul` of matrices, and the `Add` of a bias behind it, is one `Gemm`.

    - Both operands have rank 2, and their dtype is float32, float64 or float16.
    - A `Transpose` of the second operand becomes `transB`, so that a weight can stay as it is in the source.
    - The bias is of shape ``[N]``, ``[1, N]`` or scalar, N being a known number of columns: it does not make the result
      larger. Without bias, only a `MatMul` with a `Transpose` is rewritten; there is nothing to gain otherwise.
    """

    op_types = frozenset({"Add", "MatMul"})

    def rewrite(self, node: ir.Node) -> bool:
        if node.op_type == "MatMul":
            flipped = _matrix_transpose(node)
            if flipped is None or flipped.inputs[0] is None:
                return False
            change(node, "Gemm", [node.inputs[0], flipped.inputs[0]], [ir.AttrInt64("transB", 1)], absorbed=[flipped])
            return True
        for index in (0, 1):
            product, bias = producer(node.inputs[index], "MatMul", "Gemm"), node.inputs[1 - index]
            if product is not None and product.graph is node.graph and _takes_bias(product, bias):
                attributes = [attribute for name, attribute in product.attributes.items() if name != "beta"]
                change(node, "Gemm", [*product.inputs[:2], bias], attributes, absorbed=[product])
                return True
        return False


def _is_matrix_product(node: ir.Node) -> bool:
    left, right = node.inputs[0], node.inputs[1]
    known = left is not None and rank(left) == 2 and rank(right) == 2
    return known and left is not None and left.dtype in _FLOATS - {ir.DataType.BFLOAT16}


def _matrix_transpose(node: ir.Node) -> ir.Node | None:
    """The `Transpose` of a matrix that makes the second operand of a product of matrices."""
    flipped = producer(node.inputs[1], "Transpose")
    return flipped if flipped is not None and _is_matrix_product(node) else None


def _takes_bias(product: ir.Node, bias: ir.Value | None) -> bool:
    """Whether `product`, which nothing else reads and which has no bias so far, can add `bias` itself."""
    if bias is None or bias.shape is None or not only_use(product.outputs[0]):
        return False
    if not _is_matrix_product(product) or len(product.inputs) > 2:
        return False
    columns = product.outputs[0].shape[1] if rank(product.outputs[0]) == 2 else None  # type: ignore[index]
    *outer, last = bias.shape if len(bias.shape) else (1,)
    return isinstance(last, int) and last in (1, columns) and outer in ([], [1])


class BiasIntoLayerNormalization(NodePass):
    """`Add` of a constant behind a `LayerNormalization` that has no bias is one, if it has the shape of the scale."""

    op_types = frozenset({"Add"})

    def rewrite(self, node: ir.Node) -> bool:
        for index in (0, 1):
            layer, bias = producer(node.inputs[index], "LayerNormalization"), node.inputs[1 - index]
            if (
                layer is None
                or layer.graph is not node.graph
                or (len(layer.inputs) > 2 and layer.inputs[2] is not None)
            ):
                continue
            scale, result = layer.inputs[1], layer.outputs[0]
            if constant(bias) is None or scale is None or bias is None or not only_use(result):
                continue
            if bias.dtype == scale.dtype and scale.shape is not None and same_shape(bias, scale):
                layer.resize_inputs(3)
                layer.replace_input_with(2, bias)
                absorb(layer, node)
                return bypass(node, result)
        return False


class PadIntoWindow(NodePass):
    """A `Pad` with what a convolution or a pool pads with anyway becomes the window's own padding.

    - `Conv` and zeros: always. `AveragePool` and zeros: if it does not pad itself; the zeros count
      (`count_include_pad`). `MaxPool` and -infinity: if the indices are not asked for.
    - The pads are constants, not negative, and leave batch and channels alone; `auto_pad` is not set. For pools the
      sum stays smaller than the window and `ceil_mode` is off, as every runtime wants it.
    """

    op_types = frozenset({"AveragePool", "Conv", "MaxPool"})

    def rewrite(self, node: ir.Node) -> bool:
        pad = producer(node.inputs[0], "Pad")
        dims = rank(node.inputs[0])
        if pad is None or dims is None or string_attribute(node, "auto_pad", "NOTSET") != "NOTSET":
            return False
        spatial = dims - 2
        added = _spatial_pads(pad, dims)
        own = ints_attribute(node, "pads", [0] * 2 * spatial)
        if added is None or len(own) != len(added) or not _pads_like(node, pad, own, added):
            return False
        attributes = {name: attribute for name, attribute in node.attributes.items() if name != "pads"}
        pads = [a + b for a, b in zip(own, added, strict=True)]
        attributes["pads"] = ir.AttrInt64s("pads", pads)
        if node.op_type == "AveragePool":
            attributes["count_include_pad"] = ir.AttrInt64("count_include_pad", 1)
        change(node, node.op_type, [pad.inputs[0], *node.inputs[1:]], list(attributes.values()), absorbed=[pad])
        return True


def _spatial_pads(pad: ir.Node, dims: int) -> list[int] | None:
    """The pads of the dims behind the second, beginnings first; None if they are not constant or others are padded."""
    pads = integers(pad.inputs[1])
    axes = integers(pad.inputs[3]) if len(pad.inputs) > 3 and pad.inputs[3] is not None else list(range(dims))
    if pads is None or axes is None or min(pads, default=0) < 0:
        return None
    whole = [0] * 2 * dims
    for index, axis in enumerate(axes):
        whole[axis % dims] = pads[index]
        whole[axis % dims + dims] = pads[index + len(axes)]
    if any(whole[:2]) or any(whole[dims : dims + 2]):
        return None
    return whole[2:dims] + whole[dims + 2 :]


def _pads_like(node: ir.Node, pad: ir.Node, own: list[int], added: list[int]) -> bool:
    """Whether the window of `node` pads with what `pad` pads with."""
    if string_attribute(pad, "mode", "constant") != "constant":
        return False
    filler = np.float64(0)
    if len(pad.inputs) > 2 and pad.inputs[2] is not None:
        content = small_constant(pad.inputs[2])
        if content is None:
            return False
        filler = np.float64(content.reshape(-1)[0])
    if node.op_type == "Conv":
        return bool(filler == 0)
    window = ints_attribute(node, "kernel_shape", [])
    fits = all(a + b < size for a, b, size in zip(own, added, window * 2, strict=True))
    if not fits or int_attribute(node, "ceil_mode", 0) or not optional_outputs_unused(node):
        return False
    if node.op_type == "AveragePool":
        return bool(filler == 0) and not any(own)
    return bool(filler == -np.inf)

"""Quantized layers: linear and convolution, static and dynamic, with their packed parameters.

A static layer is its float form between DequantizeLinear and QuantizeLinear, which runtimes fuse to integer kernels. A
dynamic one quantizes its input as PyTorch does, and multiplies integers.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nxconvert.errors import ReadError
from nxconvert.formats.tensors import ComputedTensor
from nxconvert.formats.torch_values import ScriptObject, TensorData
from nxconvert.frontends.pytorch.compound import QuantizedValue
from nxconvert.frontends.pytorch.dtypes import DataType
from nxconvert.frontends.pytorch.ops.common import known, static_ints
from nxconvert.frontends.pytorch.ops.linear import transposed
from nxconvert.frontends.pytorch.ops.quantize import parameters, quantize_dynamically
from nxconvert.frontends.pytorch.packed_params import (
    Packed,
    PackedConv,
    PackedLinear,
    Weight,
    as_half,
    lists_of,
    unpack,
)  # fmt: skip
from nxconvert.frontends.pytorch.table import Builder, Int, Ints, Number, Quantized, Value, aten

# ---- out of the archive ----------------------------------------------------------------------------------------------


def load_quantized(op: Builder, raw: TensorData, path: str) -> QuantizedValue:
    """A quantized tensor of an archive; its integers stay in the file.

    Args:
        op: the builder.
        raw: the tensor, with its quantizer.
        path: its name.

    Raises:
        ReadError: for a scheme that PyTorch does not quantize layers with.
    """
    quantizer = raw.quantizer
    assert quantizer is not None
    if quantizer.scheme not in _SCHEMES:
        raise ReadError(f"{path} is quantized by the scheme {quantizer.scheme}, which is not known.")
    scale, zero_point = (
        np.asarray(x.numpy() if isinstance(x, TensorData) else x) for x in (quantizer.scale, quantizer.zero_point)
    )
    # Embeddings have zero points that are floats.
    kind = np.float32 if "float_qparams" in quantizer.scheme else raw.dtype.numpy()
    parameters = op.const(scale.astype(np.float32)), op.const(zero_point.astype(kind))
    integers = op.weight(raw.to_ir(path), path, raw.key)
    return QuantizedValue(*parameters, quantizer.axis, integers=(op, integers))


_SCHEMES = (
    "per_tensor_affine", "per_tensor_symmetric", "per_channel_affine", "per_channel_symmetric",
    "per_channel_affine_float_qparams",
)  # fmt: skip


def load_packed(op: Builder, raw: ScriptObject, path: str) -> Packed:
    """The packed parameters of a quantized layer.

    Args:
        op: the builder.
        raw: an object of a class ``__torch__.torch.classes.quantized.*`` or ``...rnn.*``.
        path: its name.

    Raises:
        ReadError: if its class or the form of its state is not known.
    """
    count = 0

    def load(item: Any) -> Any:
        nonlocal count
        name = f"{path}.{count}"
        count += 1
        if isinstance(item, ScriptObject):
            return load_packed(op, item, name)
        return (
            load_quantized(op, item, name)
            if item.quantizer is not None
            else op.weight(item.to_ir(name), name, item.key)
        )

    return unpack(raw.qualname, raw.state, load)


# ---- packing and unpacking -------------------------------------------------------------------------------------------


@aten("quantized::linear_prepack", "quantized::linear_prepack_legacy")
def linear_prepack(op: Builder, W: Quantized, B: Value | None = None) -> Any:
    return PackedLinear(W, B)


@aten("quantized::linear_prepack_fp16", "quantized::linear_prepack_fp16_legacy")
def linear_prepack_fp16(op: Builder, W: Value, B: Value | None = None) -> Any:
    """The weight is rounded to what float16 holds."""
    source = W.const_value
    if source is None:
        return PackedLinear(op.Cast(op.Cast(W, to=DataType.FLOAT16), to=DataType.FLOAT), B)
    half = ComputedTensor(lambda: as_half(source.numpy()), DataType.FLOAT, static_ints(W.dims, "a weight's size"))
    return PackedLinear(op.weight(half, f"{W.name}.half", ("half", W.name)), B)


@aten("quantized::linear_unpack", "quantized::linear_unpack_fp16")
def linear_unpack(op: Builder, W_prepack: Any) -> tuple[Weight, Value | None]:
    return W_prepack.weight, W_prepack.bias


@aten(
    "quantized::conv_unpack", "quantized::conv1d_unpack", "quantized::conv2d_unpack", "quantized::conv3d_unpack",
    "quantized::conv_transpose1d_unpack", "quantized::conv_transpose2d_unpack", "quantized::conv_transpose3d_unpack",
)  # fmt: skip
def conv_unpack(op: Builder, packed_weights: Any) -> tuple[Weight, Value | None]:
    return packed_weights.weight, packed_weights.bias


def _register_prepack(space: int, *names: str) -> None:
    @aten(*(f"quantized::{name}_prepack" for name in names))
    def conv_prepack(
        op: Builder, weight: Quantized, bias: Value | None, stride: Ints, padding: Ints, dilation: Ints, groups: Int
    ) -> Any:
        return PackedConv(
            weight, bias, _geometry(stride, space), _geometry(padding, space), _geometry(dilation, space), [0] * space,
            static_ints(groups, "groups")[0], False,
        )  # fmt: skip

    @aten(f"quantized::conv_transpose{space}d_prepack")
    def conv_transpose_prepack(
        op: Builder, weight: Quantized, bias: Value | None, stride: Ints, padding: Ints, output_padding: Ints,
        dilation: Ints, groups: Int,
    ) -> Any:  # fmt: skip
        return PackedConv(
            weight, bias, _geometry(stride, space), _geometry(padding, space), _geometry(dilation, space),
            _geometry(output_padding, space), static_ints(groups, "groups")[0], True,
        )  # fmt: skip


for _space in (1, 2, 3):
    _register_prepack(_space, *((f"conv{_space}d", "conv") if _space == 2 else (f"conv{_space}d",)))


def _geometry(values: Ints, space: int) -> list[int]:
    return lists_of(static_ints(values, "the geometry of a convolution"), space)


# ---- layers ----------------------------------------------------------------------------------------------------------


def _real(op: Builder, x: Weight) -> Value:
    return x.reals(op) if isinstance(x, QuantizedValue) else x


def linear(op: Builder, x: Weight, packed: PackedLinear) -> Value:
    """The float form of a linear layer on what ``x`` and the weight stand for."""
    weight, bias, real = packed.weight, packed.bias, _real(op, x)
    if real.rank == 2:
        return op.Gemm(real, _real(op, weight), bias, transB=1)
    if isinstance(weight, QuantizedValue):
        integers = transposed(op, weight.integers(op))
        axis = None if weight.axis is None else 1
        matrix = op.DequantizeLinear(integers, weight.scale, weight.zero_point, axis=axis)
    else:
        matrix = transposed(op, weight)
    y = op.MatMul(real, matrix)
    return y if bias is None else op.Add(y, bias)


def convolution(op: Builder, x: Weight, packed: PackedConv) -> Value:
    """The float form of a convolution on what ``x`` and the weight stand for."""
    real = _real(op, x)
    # PyTorch packs one-dimensional kernels as two-dimensional ones of height 1.
    flat = real.rank == 3 and packed.weight.rank == 4
    geometry = (packed.stride, packed.padding, packed.dilation)
    args = (
        op.Unsqueeze(real, [2]) if flat else real, _real(op, packed.weight), packed.bias, *geometry, packed.transposed,
        packed.output_padding, packed.groups,
    )  # fmt: skip
    y = aten.find("convolution", args, {}).function(op, *args)
    return op.Squeeze(y, [2]) if flat else y


def requantized(
    op: Builder, y: Value, scale: Number, zero_point: Int, like: Quantized, relu: bool = False
) -> Quantized:
    """Reals as integers of the kind of ``like``, with another scale and zero point; negative ones as 0 if ``relu``."""
    chosen = parameters(op, scale, zero_point, like.zero_point.etype)
    zero = chosen.zero_point.array
    clips_at_zero = zero is not None and not zero and chosen.zero_point.etype == DataType.UINT8
    return chosen.quantize(op, op.Relu(y) if relu and not clips_at_zero else y)


@aten("quantized::linear")
def quantized_linear(
    op: Builder,
    X: Quantized,
    W_prepack: Any,
    Y_scale_i: float,
    Y_zero_point_i: Int,
) -> Quantized:
    return requantized(op, linear(op, X, W_prepack), Y_scale_i, Y_zero_point_i, X)


@aten("quantized::linear_relu")
def quantized_linear_relu(
    op: Builder,
    X: Quantized,
    W_prepack: Any,
    Y_scale_i: float,
    Y_zero_point_i: Int,
) -> Quantized:
    return requantized(op, linear(op, X, W_prepack), Y_scale_i, Y_zero_point_i, X, relu=True)


@aten("quantized::linear_leaky_relu")
def quantized_linear_leaky_relu(
    op: Builder,
    X: Quantized,
    W_prepack: Any,
    Y_scale_i: float,
    Y_zero_point_i: Int,
    negative_slope: float,
) -> Quantized:
    y = op.LeakyRelu(linear(op, X, W_prepack), alpha=known(negative_slope, "the slope"))
    return requantized(op, y, Y_scale_i, Y_zero_point_i, X)


@aten("quantized::linear_tanh")
def quantized_linear_tanh(
    op: Builder,
    X: Quantized,
    W_prepack: Any,
    Y_scale_i: float,
    Y_zero_point_i: Int,
) -> Quantized:
    return requantized(op, op.Tanh(linear(op, X, W_prepack)), Y_scale_i, Y_zero_point_i, X)


def _register_convolution(name: str, relu: bool) -> None:
    @aten(f"quantized::{name}.new" if name in _HAS_OLD_FORM else f"quantized::{name}")
    def quantized_conv(
        op: Builder, qx: Quantized, packed_weight: Any, output_scale: float, output_zero_point: Int
    ) -> Quantized:
        return requantized(op, convolution(op, qx, packed_weight), output_scale, output_zero_point, qx, relu)

    if name not in _HAS_OLD_FORM:
        return

    @aten(f"quantized::{name}")
    def quantized_conv_with_geometry(
        op: Builder, qx: Quantized, weight: Any, stride: Ints, padding: Ints, dilation: Ints, groups: Int,
        output_scale: float, output_zero_point: Int,
    ) -> Quantized:  # fmt: skip
        """The form of PyTorch 1.5, which repeats the geometry of the weight."""
        return requantized(op, convolution(op, qx, weight), output_scale, output_zero_point, qx, relu)


_HAS_OLD_FORM = ("conv2d", "conv2d_relu", "conv3d", "conv3d_relu")
for _space in (1, 2, 3):
    _register_convolution(f"conv{_space}d", relu=False)
    _register_convolution(f"conv{_space}d_relu", relu=True)
    _register_convolution(f"conv_transpose{_space}d", relu=False)


def _register_sum(name: str, relu: bool) -> None:
    @aten(f"quantized::{name}")
    def quantized_conv_add(
        op: Builder, qx: Quantized, qaccum: Quantized, packed_weight: Any, output_scale: float, output_zero_point: Int
    ) -> Quantized:
        total = op.Add(convolution(op, qx, packed_weight), qaccum.reals(op))
        return requantized(op, total, output_scale, output_zero_point, qx, relu)


_register_sum("conv2d_add", relu=False)
_register_sum("conv2d_add_relu", relu=True)


# ---- dynamic layers --------------------------------------------------------------------------------------------------


def integer_product(op: Builder, x: Quantized, matrix: Value, weight: Quantized) -> Value:
    """``x · weightᵀ`` by integers, as floats; ``matrix`` [in, out] holds the weight's integers transposed."""
    zero = weight.zero_point.array
    total = op.MatMulInteger(
        x.integers(op),
        matrix,
        x.zero_point,
        None if zero is not None and not zero.any() else weight.zero_point,
    )
    return op.Mul(op.Cast(total, to=DataType.FLOAT), op.Mul(x.scale, weight.scale))


def _register_dynamic(name: str, relu: bool) -> None:
    @aten(f"quantized::{name}")
    def dynamic_linear(op: Builder, X: Value, W_prepack: Any, reduce_range: bool = False) -> Value:
        """The input is quantized by its own range, and the result is a float."""
        weight = W_prepack.weight
        matrix = transposed(op, weight.integers(op))
        y = integer_product(op, quantize_dynamically(op, X, reduce_range), matrix, weight)
        y = y if W_prepack.bias is None else op.Add(y, W_prepack.bias)
        return op.Relu(y) if relu else y

    @aten(f"quantized::{name}_fp16")
    def half_linear(op: Builder, X: Value, W_prepack: Any) -> Value:
        """The weight has the precision of float16, the product is that of float32."""
        y = linear(op, X, W_prepack)
        return op.Relu(y) if relu else y


_register_dynamic("linear_dynamic", relu=False)
_register_dynamic("linear_relu_dynamic", relu=True)


@aten("_int_mm")
def int_mm(op: Builder, self: Value, mat2: Value) -> Value:
    """The product of matrices of int8, as int32."""
    return op.MatMulInteger(self, mat2)


@aten("_weight_int8pack_mm")
def weight_int8pack_mm(op: Builder, self: Value, mat2: Value, scales: Value) -> Value:
    """``self · mat2ᵀ`` for a weight of int8 with a scale for each row."""
    weight = op.DequantizeLinear(transposed(op, mat2), op.cast(scales, self.etype), axis=1)
    return op.MatMul(self, weight)


@aten("quantized::linear_dynamic_fp16_unpacked_weight")
def linear_dynamic_fp16_unpacked_weight(op: Builder, X: Value, weight: Value, bias: Value | None) -> Value:
    return linear(op, X, linear_prepack_fp16(op, weight, bias))


@aten(*(f"quantized::conv{kind}{space}d_dynamic" for kind in ("", "_transpose") for space in (1, 2, 3)))
def conv_dynamic(op: Builder, qx: Value, packed_weight: Any, reduce_range: bool = False) -> Value:
    """The result is rounded to the input's steps, and stays in the input's range (``qconv_dynamic.cpp``)."""
    x = quantize_dynamically(op, qx, reduce_range)
    return x.quantized_alike(op, convolution(op, x, packed_weight)).reals(op)

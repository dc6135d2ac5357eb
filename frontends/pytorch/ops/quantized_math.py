"""Operators between quantized layers: arithmetic, activations, normalisation, pooling, joining.

They compute with the numbers that the integers stand for and quantize the result; PyTorch's own kernels do the same, or
come to the same up to the last step. Ordinary ATen operators on quantized tensors follow the rules at the end.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nxconvert.frontends.pytorch import dtypes
from nxconvert.frontends.pytorch.compound import Lower, QuantizedValue, Rule, leaves, mapped
from nxconvert.frontends.pytorch.dtypes import DataType, is_float
from nxconvert.frontends.pytorch.ops.common import call, known
from nxconvert.frontends.pytorch.ops.quantize import constant, parameters
from nxconvert.frontends.pytorch.ops.quantized import requantized
from nxconvert.frontends.pytorch.table import Builder, Int, Ints, LoweringError, Number, Quantized, Value, aten

# ---- arithmetic ------------------------------------------------------------------------------------------------------


def _register_arithmetic(name: str, op_type: str, relu: bool) -> None:
    @aten(f"quantized::{name}")
    def of_tensors(op: Builder, qa: Quantized, qb: Quantized, scale: float, zero_point: Int) -> Quantized:
        y = getattr(op, op_type)(qa.reals(op), qb.reals(op))
        return requantized(op, y, scale, zero_point, qa, relu)


for _name, _op_type in {"add": "Add", "mul": "Mul"}.items():
    _register_arithmetic(_name, _op_type, relu=False)
    _register_arithmetic(f"{_name}_relu", _op_type, relu=True)
_register_arithmetic("matmul", "MatMul", relu=False)


def _known_parameters(x: Quantized) -> tuple[float, int, int, int]:
    """Scale, zero point, and the limits of the integers."""
    scale, zero_point = constant(x.scale), constant(x.zero_point)
    if scale is None or zero_point is None or scale.ndim:
        raise LoweringError("the scale of a quantized tensor that meets a number has to be a constant")
    return float(scale), int(zero_point), *dtypes.limits(x.zero_point.etype)


def _plus_number(op: Builder, x: Quantized, number: float) -> Quantized:
    """``x`` plus a number: the integers stay and the zero point moves, as long as it stays in range (``qadd.cpp``)."""
    scale, zero_point, low, high = _known_parameters(x)
    moved = zero_point - round(number / scale)
    if low <= moved <= high:
        return QuantizedValue(*parameters(op, scale, moved, x.zero_point.etype), integers=(op, x.integers(op)))
    reals = op.Add(x.reals(op), np.float32((zero_point - moved) * scale))
    if moved < low:
        return parameters(op, scale * (high - moved) / (high - low), low, x.zero_point.etype).quantize(op, reals)
    return parameters(op, scale * (moved - low) / (high - low), high, x.zero_point.etype).quantize(op, reals)


def _times_number(op: Builder, x: Quantized, number: float) -> Quantized:
    """``x`` times a number: the scale changes; for a negative one the integers are mirrored (``qmul.cpp``)."""
    scale, zero_point, low, high = _known_parameters(x)
    dtype = x.zero_point.etype
    if number == 0:
        return QuantizedValue(*parameters(op, 1.0, 0, dtype), reals=(op, op.Mul(x.reals(op), np.float32(0))))
    if number > 0:
        return QuantizedValue(*parameters(op, scale * number, zero_point, dtype), integers=(op, x.integers(op)))
    chosen = parameters(op, -scale * number, low + high - zero_point, dtype)
    return QuantizedValue(*chosen, reals=(op, op.Mul(x.reals(op), np.float32(number))))


def _number(b: Number | Value) -> float:
    if not isinstance(b, Value):
        return float(known(b, "the number"))
    array = constant(b)
    if array is None:
        raise LoweringError("a number that meets a quantized tensor has to be a constant")
    return float(array)


def _relu(op: Builder, x: Quantized) -> Quantized:
    return x.same_quantization(op, op.Relu(x.reals(op)))


def _register_with_number(name: str, relu: bool) -> None:
    compute = _plus_number if name == "add" else _times_number
    suffix = "_relu" if relu else ""

    @aten(f"quantized::{name}{suffix}.Scalar", f"quantized::{name}_scalar{suffix}")
    def with_number(op: Builder, qa: Quantized, b: Number | Value) -> Quantized:
        y = compute(op, qa, _number(b))
        return _relu(op, y) if relu else y

    @aten(f"quantized::{name}{suffix}.Scalar2")
    def with_number_first(op: Builder, b: Number, qa: Quantized) -> Quantized:
        return with_number(op, qa, b)


for _name in ("add", "mul"):
    _register_with_number(_name, relu=False)
    _register_with_number(_name, relu=True)


# ---- activations -----------------------------------------------------------------------------------------------------


def _register_activation(name: str) -> None:
    @aten(f"quantized::{name}")
    def activation(op: Builder, input: Quantized, output_scale: float, output_zero_point: Int) -> Quantized:
        return requantized(op, call(op, name, input.reals(op)), output_scale, output_zero_point, input)


_register_activation("hardswish")
_register_activation("sigmoid")


@aten("quantized::leaky_relu")
def leaky_relu(
    op: Builder, qx: Quantized, negative_slope: Number, inplace: bool, output_scale: float, output_zero_point: Int
) -> Quantized:
    y = call(op, "leaky_relu", qx.reals(op), negative_slope)
    return requantized(op, y, output_scale, output_zero_point, qx)


@aten("quantized::elu")
def elu(
    op: Builder, self: Quantized, output_scale: float, output_zero_point: Int, alpha: Number = 1, scale: Number = 1,
    input_scale: Number = 1,
) -> Quantized:  # fmt: skip
    y = call(op, "elu", self.reals(op), alpha, scale, input_scale)
    return requantized(op, y, output_scale, output_zero_point, self)


@aten("quantized::celu")
def celu(op: Builder, self: Quantized, output_scale: float, output_zero_point: Int, alpha: Number = 1) -> Quantized:
    return requantized(op, call(op, "celu", self.reals(op), alpha), output_scale, output_zero_point, self)


@aten("quantized::prelu")
def prelu(op: Builder, qx: Quantized, weight: Quantized, output_scale: float, output_zero_point: Int) -> Quantized:
    """What is positive is multiplied by what 1 is on the weight's scale, which may not reach that far (``qprelu``)."""
    scale, zero_point, low, high = _known_parameters(weight)
    one = (min(max(round(1 / scale) + zero_point, low), high) - zero_point) * scale
    slope = weight.reals(op)
    if one != 1:
        slope = op.Div(slope, np.float32(one))
    y = call(op, "prelu", qx.reals(op), slope)
    return requantized(op, y if one == 1 else op.Mul(y, np.float32(one)), output_scale, output_zero_point, qx)


@aten("quantized::softmax")
def softmax(op: Builder, qx: Quantized, dim: Int, output_scale: float, output_zero_point: Int) -> Quantized:
    return requantized(op, call(op, "softmax", qx.reals(op), dim), output_scale, output_zero_point, qx)


@aten("quantized::dropout")
def dropout(
    op: Builder, self: Quantized, output_scale: float, output_zero_point: Int, p: Number = 0.5, training: bool = False
) -> Quantized:
    """The scale and the zero point are not used."""
    return self if not training else self.quantized_alike(op, call(op, "dropout", self.reals(op), p, training))


@aten("quantized::relu6")
def relu6(op: Builder, qx: Quantized, inplace: bool = False) -> Quantized:
    return qx.quantized_alike(op, op.Clip(qx.reals(op), np.float32(0), np.float32(6)))


@aten("quantized::threshold")
def threshold(op: Builder, qx: Quantized, threshold: Number, value: Number) -> Quantized:
    return qx.quantized_alike(op, call(op, "threshold", qx.reals(op), threshold, value))


@aten("quantized::clamp")
def clamp(op: Builder, qx: Quantized, min: Number | None = None, max: Number | None = None) -> Quantized:
    return qx.quantized_alike(op, call(op, "clamp", qx.reals(op), min, max))


# ---- normalisation, pooling, joining ---------------------------------------------------------------------------------


def _register_batch_norm(name: str, relu: bool) -> None:
    @aten(name)
    def batch_norm(
        op: Builder, qx: Quantized, weight: Value | None, bias: Value | None, mean: Value, var: Value, eps: float,
        output_scale: float, output_zero_point: Int,
    ) -> Quantized:  # fmt: skip
        y = call(op, "batch_norm", qx.reals(op), weight, bias, mean, var, False, 0.0, eps, False)
        return requantized(op, y, output_scale, output_zero_point, qx, relu)


for _space in ("", "1d", "2d", "3d"):
    _register_batch_norm(f"quantized::batch_norm{_space}", relu=False)
    _register_batch_norm(f"quantized::batch_norm{_space}_relu", relu=True)
_register_batch_norm("quantized_batch_norm", relu=False)


@aten("quantized::layer_norm")
def layer_norm(
    op: Builder, input: Quantized, normalized_shape: Ints, weight: Value | None, bias: Value | None, eps: float,
    output_scale: float, output_zero_point: Int,
) -> Quantized:  # fmt: skip
    y = call(op, "layer_norm", input.reals(op), normalized_shape, weight, bias, eps)
    return requantized(op, y, output_scale, output_zero_point, input)


@aten("quantized::group_norm")
def group_norm(
    op: Builder, input: Quantized, num_groups: Int, weight: Value | None, bias: Value | None, eps: float,
    output_scale: float, output_zero_point: Int,
) -> Quantized:  # fmt: skip
    y = call(op, "group_norm", input.reals(op), num_groups, weight, bias, eps)
    return requantized(op, y, output_scale, output_zero_point, input)


@aten("quantized::instance_norm")
def instance_norm(
    op: Builder, input: Quantized, weight: Value | None, bias: Value | None, eps: float, output_scale: float,
    output_zero_point: Int,
) -> Quantized:  # fmt: skip
    y = call(op, "instance_norm", input.reals(op), weight, bias, None, None, True, 0.0, eps, False)
    return requantized(op, y, output_scale, output_zero_point, input)


def _register_max_pool(space: int) -> None:
    @aten(f"quantized::max_pool{space}d", f"quantized_max_pool{space}d")
    def max_pool(
        op: Builder, qx: Quantized, kernel_size: Ints, stride: Ints, padding: Ints, dilation: Ints, ceil_mode: bool
    ) -> Quantized:
        arguments = (kernel_size, stride, padding, dilation, ceil_mode)
        return qx.same_quantization(op, call(op, f"max_pool{space}d", qx.reals(op), *arguments))


_register_max_pool(1)
_register_max_pool(2)


def _joined(op: Builder, qx: Any, dim: Int, scale: float | None, zero_point: Int | None, relu: bool) -> Quantized:
    first = qx[0]
    y = call(op, "cat", [x.reals(op) for x in qx], dim)
    if scale is not None and zero_point is not None:
        return requantized(op, y, scale, zero_point, first, relu)
    return first.quantized_alike(op, op.Relu(y) if relu else y)


@aten("quantized::cat")
def cat(op: Builder, qx: Any, dim: Int, scale: float | None, zero_point: Int | None) -> Quantized:
    """Without a scale, that of the first one."""
    return _joined(op, qx, dim, scale, zero_point, relu=False)


@aten("quantized::cat_relu")
def cat_relu(op: Builder, qx: Any, dim: Int, scale: float | None, zero_point: Int | None) -> Quantized:
    return _joined(op, qx, dim, scale, zero_point, relu=True)


# ---- ordinary operators on quantized tensors -------------------------------------------------------------------------


def _on_reals(op: Builder, lower: Lower, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """The ordinary lowering on what the integers stand for."""

    def real(x: Any) -> Any:
        return x.reals(op) if isinstance(x, QuantizedValue) else x

    return lower(op, mapped(args, real), mapped(kwargs, real))


def _first(args: list[Any], kwargs: dict[str, Any]) -> QuantizedValue:
    return next(x for x in leaves([*args, *kwargs.values()]) if isinstance(x, QuantizedValue))


def _moves(op: Builder, lower: Lower, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """Operators whose results are among their operands' numbers: they keep the scale, and nothing is rounded."""
    like = _first(args, kwargs)
    result = _on_reals(op, lower, args, kwargs)
    if like.axis is not None:
        return result
    alike = all(
        x.scale is like.scale and x.zero_point is like.zero_point
        for x in leaves([*args, *kwargs.values()])
        if isinstance(x, QuantizedValue)
    )
    keep = like.same_quantization if alike else like.quantized_alike
    return mapped(result, lambda y: keep(op, y) if isinstance(y, Value) and is_float(y.etype) else y)


def _rounds(op: Builder, lower: Lower, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """Operators that compute new numbers, quantized with the scale of their operand."""
    like = _first(args, kwargs)
    result = _on_reals(op, lower, args, kwargs)
    return mapped(result, lambda y: like.quantized_alike(op, y) if isinstance(y, Value) and is_float(y.etype) else y)


def _onto(scale: float, unsigned: int) -> Rule:
    """An activation whose range is known, and so its scale; the zero point is ``unsigned`` for quint8."""

    def rule(op: Builder, lower: Lower, args: list[Any], kwargs: dict[str, Any]) -> QuantizedValue:
        like = _first(args, kwargs)
        zero_point = unsigned if like.zero_point.etype == DataType.UINT8 else unsigned - 128
        return requantized(op, _on_reals(op, lower, args, kwargs), scale, zero_point, like)

    return rule


_MOVING = """
    alias cat channel_shuffle chunk clone concat concatenate constant_pad_nd contiguous detach dropout expand expand_as
    feature_dropout flatten flip hstack index index_select masked_fill max max_pool1d max_pool2d max_pool3d min movedim
    narrow native_channel_shuffle pad permute pixel_shuffle pixel_unshuffle reflection_pad1d reflection_pad2d relu
    repeat reshape reshape_as select slice sort split split_with_sizes squeeze stack swapaxes t tensor_split topk
    transpose unbind unflatten unfold unsqueeze upsample_nearest1d upsample_nearest2d upsample_nearest3d view view_as
    vstack
"""
_ROUNDING = """
    adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d avg_pool1d avg_pool2d avg_pool3d clamp clamp_max
    clamp_min gelu hardtanh leaky_relu mean relu6 std threshold upsample_bilinear2d upsample_linear1d
    upsample_trilinear3d
"""
QuantizedValue.rules.update(
    {
        **dict.fromkeys(_MOVING.split(), _moves),
        **dict.fromkeys(_ROUNDING.split(), _rounds),
        "sigmoid": _onto(1 / 256, 0),
        "hardsigmoid": _onto(1 / 256, 0),
        "tanh": _onto(2 / 256, 128),
        "*": _on_reals,
    }
)

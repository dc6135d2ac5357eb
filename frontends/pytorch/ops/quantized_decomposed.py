"""The operators that PyTorch 2's quantization writes into exported programs, ``quantized_decomposed::*``.

They take and return plain integer tensors; limits, scale and zero point are arguments of every call. Semantics:
``torch/ao/quantization/fx/_decomposed.py``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nxconvert.frontends.pytorch.compound import dequantize, quantize
from nxconvert.frontends.pytorch.dtypes import DataType
from nxconvert.frontends.pytorch.ops.common import as_tensor, axis_of, dtype_of, known
from nxconvert.frontends.pytorch.ops.quantize import parameter
from nxconvert.frontends.pytorch.table import Builder, DType, Int, LoweringError, Number, Value, aten

_BYTES = (DataType.INT8, DataType.UINT8)
_EPS = np.float32(np.finfo(np.float32).eps)


def _limits(quant_min: Int | Value, quant_max: Int | Value) -> tuple[int, int]:
    values = [x.array if isinstance(x, Value) else x for x in (quant_min, quant_max)]
    if values[0] is None or values[1] is None:
        raise LoweringError("the limits of the integers are computed, they have to be constants")
    return int(known(values[0], "quant_min")), int(known(values[1], "quant_max"))


def _quantized(
    op: Builder, x: Value, scale: Value, zero_point: Value, limits: tuple[int, int], dtype: Any, axis: int | None = None
) -> Value:
    """``x`` as integers; those that are kept in other than bytes are limited in a wider integer first."""
    x = op.cast(x, DataType.FLOAT)
    wide = dtype if dtype in _BYTES else DataType.INT32
    return op.cast(quantize(op, x, scale, op.cast(zero_point, wide), axis, limits), dtype)


@aten(
    "quantized_decomposed::quantize_per_tensor", "quantized_decomposed::quantize_per_tensor.tensor",
    "quantized_decomposed::quantize_per_tensor.tensor2",
)  # fmt: skip
def quantize_per_tensor(
    op: Builder, input: Value, scale: Number | Value, zero_point: Number | Value, quant_min: Int | Value,
    quant_max: Int | Value, dtype: DType,
) -> Value:  # fmt: skip
    limits = _limits(quant_min, quant_max)
    parameters = parameter(op, scale, DataType.FLOAT), parameter(op, zero_point, DataType.INT32)
    return _quantized(op, input, *parameters, limits, dtype_of(dtype))


@aten(
    "quantized_decomposed::dequantize_per_tensor", "quantized_decomposed::dequantize_per_tensor.tensor",
    "quantized_decomposed::dequantize_per_tensor.tensor2",
)  # fmt: skip
def dequantize_per_tensor(
    op: Builder, input: Value, scale: Number | Value, zero_point: Number | Value, quant_min: Int | Value,
    quant_max: Int | Value, dtype: DType, *, out_dtype: DType | None = None,
) -> Value:  # fmt: skip
    y = dequantize(op, input, parameter(op, scale, DataType.FLOAT), parameter(op, zero_point, input.etype))
    return y if out_dtype is None else op.cast(y, dtype_of(out_dtype))


@aten("quantized_decomposed::quantize_per_channel")
def quantize_per_channel(
    op: Builder, input: Value, scales: Value, zero_points: Value, axis: Int, quant_min: Int, quant_max: Int,
    dtype: DType,
) -> Value:  # fmt: skip
    scale, zero_point = parameter(op, scales, DataType.FLOAT, True), parameter(op, zero_points, DataType.INT32, True)
    limits = _limits(quant_min, quant_max)
    return _quantized(op, input, scale, zero_point, limits, dtype_of(dtype), axis_of(axis, input.rank))


@aten("quantized_decomposed::dequantize_per_channel")
def dequantize_per_channel(
    op: Builder, input: Value, scales: Value, zero_points: Value | None, axis: Int, quant_min: Int, quant_max: Int,
    dtype: DType, *, out_dtype: DType | None = None,
) -> Value:  # fmt: skip
    scale = parameter(op, scales, DataType.FLOAT, True)
    zeros = op.expand(op.const(0), scales.dims) if zero_points is None else zero_points
    zero_point = parameter(op, zeros, input.etype, True)
    y = dequantize(op, input, scale, zero_point, axis_of(axis, input.rank))
    return y if out_dtype is None else op.cast(y, dtype_of(out_dtype))


# ---- parameters for every row or group -------------------------------------------------------------------------------


def _steps(op: Builder, x: Value, scales: Value, zero_points: Value, limits: tuple[int, int], dtype: Any) -> Value:
    """Integers by scales and zero points that broadcast to ``x``; the zero point is added before rounding."""
    wide = scales.etype
    exact = op.Add(op.Div(op.cast(x, wide), scales), op.cast(zero_points, wide))
    low, high = (op.const(float(limit), wide) for limit in limits)
    return op.Cast(op.Clip(op.Round(exact), low, high), to=dtype)


@aten("quantized_decomposed::quantize_per_token")
def quantize_per_token(
    op: Builder, input: Value, scales: Value, zero_points: Value, quant_min: Int, quant_max: Int, dtype: DType
) -> Value:
    return _steps(op, input, scales, zero_points, _limits(quant_min, quant_max), dtype_of(dtype))


@aten("quantized_decomposed::dequantize_per_token")
def dequantize_per_token(
    op: Builder, input: Value, scales: Value, zero_points: Value, quant_min: Int, quant_max: Int, dtype: DType,
    output_dtype: DType,
) -> Value:  # fmt: skip
    wide = scales.etype
    steps = op.Sub(op.cast(input, wide), op.cast(zero_points, wide))
    return op.cast(op.Mul(steps, scales), dtype_of(output_dtype))


def _grouped(op: Builder, x: Value, scales: Value, group_size: Int) -> Value:
    """The rows of ``x`` cut into groups, one a row; a group longer than a row is a row."""
    columns = x.dims[-1]
    one = isinstance(columns, int) and isinstance(group_size, int) and group_size > columns and scales.dims[-1] == 1
    return op.Reshape(x, [-1, columns if one else group_size])


@aten("quantized_decomposed::quantize_per_channel_group")
def quantize_per_channel_group(
    op: Builder, input: Value, scales: Value, zero_points: Value, quant_min: Int, quant_max: Int, dtype: DType,
    group_size: Int,
) -> Value:  # fmt: skip
    groups = _grouped(op, input, scales, group_size)
    scale, zero_point = (op.Reshape(x, [-1, 1]) for x in (scales, zero_points))
    steps = _steps(op, groups, scale, zero_point, _limits(quant_min, quant_max), dtype_of(dtype))
    return op.reshape(steps, input.dims)


@aten("quantized_decomposed::dequantize_per_channel_group")
def dequantize_per_channel_group(
    op: Builder, input: Value, scales: Value, zero_points: Value | None, quant_min: Int, quant_max: Int, dtype: DType,
    group_size: Int, output_dtype: DType,
) -> Value:  # fmt: skip
    steps = op.cast(_grouped(op, input, scales, group_size), scales.etype)
    if zero_points is not None:
        steps = op.Sub(steps, op.cast(op.Reshape(zero_points, [-1, 1]), scales.etype))
    y = op.cast(op.Mul(steps, op.Reshape(scales, [-1, 1])), dtype_of(output_dtype))
    return op.reshape(y, input.dims)


# ---- choosing the parameters -----------------------------------------------------------------------------------------


def _extremes(op: Builder, x: Value, axes: list[int] | None, keepdims: int) -> tuple[Value, Value]:
    """The least and the greatest number, 0 among them."""
    x = op.cast(x, DataType.FLOAT)
    low, high = op.ReduceMin(x, axes, keepdims=keepdims), op.ReduceMax(x, axes, keepdims=keepdims)
    return op.Min(low, np.float32(0)), op.Max(high, np.float32(0))


@aten("quantized_decomposed::choose_qparams")
def choose_qparams(
    op: Builder, input: Value, quant_min: Int, quant_max: Int, eps: float, dtype: DType
) -> tuple[Value, Value]:
    """A scale (float64) and a zero point (int64) so that the integers cover all numbers."""
    q_low, q_high = _limits(quant_min, quant_max)
    low, high = _extremes(op, input, None, 0)
    scale = op.Max(op.Div(op.Sub(high, low), np.float32(q_high - q_low)), as_tensor(op, eps, DataType.FLOAT))
    zero_point = op.Sub(np.float32(q_low), op.Round(op.Div(low, scale)))
    zero_point = op.Clip(zero_point, np.float32(q_low), np.float32(q_high))
    return _as_vectors(op, scale, zero_point)


@aten("quantized_decomposed::choose_qparams_symmetric")
def choose_qparams_symmetric(
    op: Builder, input: Value, quant_min: Int, quant_max: Int, eps: float, dtype: DType
) -> tuple[Value, Value]:
    """The same with 0 in the middle."""
    q_low, q_high = _limits(quant_min, quant_max)
    low, high = _extremes(op, input, None, 0)
    scale = op.Div(op.Max(op.Neg(low), high), np.float32((q_high - q_low) / 2))
    scale = op.Max(scale, as_tensor(op, eps, DataType.FLOAT))
    return _as_vectors(op, scale, op.const(128.0 if dtype_of(dtype) == DataType.UINT8 else 0.0))


def _as_vectors(op: Builder, scale: Value, zero_point: Value) -> tuple[Value, Value]:
    vectors = (op.Reshape(x, [1]) for x in (scale, zero_point))
    return op.Cast(next(vectors), to=DataType.DOUBLE), op.Cast(next(vectors), to=DataType.INT64)


@aten("quantized_decomposed::choose_qparams_per_token")
def choose_qparams_per_token(op: Builder, input: Value, dtype: DType) -> tuple[Value, Value]:
    """Scales for int8 with 0 in the middle, one for every row."""
    wide = DataType.FLOAT if input.etype == DataType.FLOAT16 else input.etype
    reach = op.cast(op.ReduceMax(op.Abs(input), [-1]), wide)
    scale = op.Div(op.Max(reach, op.const(1e-5, wide)), op.const(127.0, wide))
    return scale, op.Mul(scale, op.const(0.0, wide))


@aten(
    "quantized_decomposed::choose_qparams_per_token_asymmetric",
    "quantized_decomposed::_choose_qparams_per_token_asymmetric_impl",
)
def choose_qparams_per_token_asymmetric(op: Builder, input: Value, dtype: DType) -> tuple[Value, Value]:
    """Scales and zero points for int8, one for every row."""
    low, high = _extremes(op, input, [-1], 1)
    scale = op.Max(op.Div(op.Sub(high, low), np.float32(255)), _EPS)
    below, above = op.Div(low, scale), op.Div(high, scale)
    # The end of the range that the integers cover with the smaller error decides.
    from_low = op.Greater(op.Add(op.Add(below, np.float32(-128)), op.Add(above, np.float32(127))), np.float32(0))
    point = op.Where(from_low, op.Sub(np.float32(-128), below), op.Sub(np.float32(127), above))
    point = op.Round(op.Clip(point, np.float32(-128), np.float32(127)))
    return op.Cast(scale, to=DataType.DOUBLE), op.Cast(point, to=DataType.INT64)


@aten("quantized_decomposed::convert_element_type")
def convert_element_type(op: Builder, input: Value, dtype: DType) -> Value:
    return op.cast(input, dtype_of(dtype))

"""Quantizing and dequantizing tensors, and doing both at once (fake quantization).

PyTorch: ``q = clamp(round(x / scale) + zero_point)``, rounding half to even, and ``x = (q - zero_point) * scale``. It
multiplies by the reciprocal of the scale, so that a number half way between two steps may go to the other one.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from nxconvert.frontends.pytorch import dtypes
from nxconvert.frontends.pytorch.compound import QuantizedValue, along, quantize
from nxconvert.frontends.pytorch.dtypes import DataType
from nxconvert.frontends.pytorch.ops.common import as_tensor, axis_of, dtype_of, known
from nxconvert.frontends.pytorch.table import (
    Builder,
    DType,
    Int,
    LoweringError,
    Number,
    Quantized,
    Scalar,
    Value,
    Values,
    aten,
)  # fmt: skip
from nxconvert.graph.builder import FOLD_LIMIT

# Below this PyTorch widens the range rather than use a smaller scale (quant_utils.h).
_SMALLEST_SCALE = np.float32(6.1e-5)


def constant(value: Value) -> np.ndarray | None:
    """The content of a small constant or parameter, None for anything else."""
    if value.array is not None or value.const_value is None:
        return value.array
    return value.const_value.numpy() if value.const_value.size <= FOLD_LIMIT else None


def parameter(op: Builder, x: Value | Number, dtype: Any, per_channel: bool = False) -> Value:
    """A scale or zero point as ONNX wants it: rank 1 for one a channel, else rank 0.

    Args:
        op: the builder.
        x: a number, or a tensor of one number or of one a channel.
        dtype: its dtype there.
        per_channel: whether it has one number a channel.
    """
    if not isinstance(x, Value):
        return as_tensor(op, x, dtype)
    array = constant(x)
    if array is not None:
        return op.const(array.reshape(-1 if per_channel else ()).astype(dtype.numpy()), dtype)
    x = op.cast(x, dtype)
    return x if per_channel or x.rank == 0 else op.Squeeze(x)


class Parameters(NamedTuple):
    """Scale and zero point as values of the graph, and the channels' axis."""

    scale: Value
    zero_point: Value
    axis: int | None = None

    def quantize(self, op: Builder, x: Value, limits: tuple[int, int] | None = None) -> QuantizedValue:
        """``x`` with these parameters."""
        integers = quantize(op, x, self.scale, self.zero_point, self.axis, limits)
        return QuantizedValue(self.scale, self.zero_point, self.axis, integers=(op, integers))


def parameters(op: Builder, scale: Value | Number, zero_point: Value | Number, dtype: Any) -> Parameters:
    """One scale for the whole tensor, whose integers are of ``dtype``."""
    return Parameters(parameter(op, scale, DataType.FLOAT), parameter(op, zero_point, dtype))


def channel_parameters(op: Builder, x: Value, scales: Value, zero_points: Value, axis: Int, dtype: Any) -> Parameters:
    """One scale for every index along ``axis`` of ``x``."""
    scale, zero = parameter(op, scales, DataType.FLOAT, True), parameter(op, zero_points, dtype, True)
    return Parameters(scale, zero, axis_of(axis, x.rank))


# ---- quantized tensors -----------------------------------------------------------------------------------------------


@aten("quantize_per_tensor", "quantize_per_tensor.tensor_qparams")
def quantize_per_tensor(
    op: Builder, self: Value, scale: Number | Value, zero_point: Number | Value, dtype: DType
) -> Quantized:
    return parameters(op, scale, zero_point, dtype_of(dtype)).quantize(op, self)


@aten("quantize_per_tensor.tensors")
def quantize_tensors(op: Builder, tensors: Values, scales: Value, zero_points: Value, dtype: DType) -> list[Quantized]:
    pairs = [(op.Gather(scales, i, axis=0), op.Gather(zero_points, i, axis=0)) for i in range(len(tensors))]
    return [quantize_per_tensor(op, x, *pair, dtype) for x, pair in zip(tensors, pairs, strict=True)]


@aten("quantize_per_channel")
def quantize_per_channel(
    op: Builder, self: Value, scales: Value, zero_points: Value, axis: Int, dtype: DType
) -> Quantized:
    return channel_parameters(op, self, scales, zero_points, axis, dtype_of(dtype)).quantize(op, self)


@aten("quantize_per_tensor_dynamic")
def quantize_per_tensor_dynamic(op: Builder, self: Value, dtype: DType, reduce_range: bool) -> Quantized:
    return quantize_dynamically(op, self, reduce_range, dtype_of(dtype))


@aten("_make_per_tensor_quantized_tensor")
def make_per_tensor_quantized_tensor(op: Builder, self: Value, scale: float, zero_point: Int) -> Quantized:
    return QuantizedValue(*parameters(op, scale, zero_point, self.etype), integers=(op, self))


@aten("_make_per_channel_quantized_tensor")
def make_per_channel_quantized_tensor(
    op: Builder, self: Value, scale: Value, zero_point: Value, axis: Int
) -> Quantized:
    return QuantizedValue(*channel_parameters(op, self, scale, zero_point, axis, self.etype), integers=(op, self))


@aten("dequantize")
def dequantize(op: Builder, self: Quantized) -> Value:
    return self.reals(op)


@aten("dequantize")
def dequantize_float(op: Builder, self: Value) -> Value:
    """Floats are returned as they are."""
    return self


@aten("dequantize")
def dequantize_list(op: Builder, tensors: Any) -> list[Value]:
    return [x.reals(op) if isinstance(x, QuantizedValue) else x for x in tensors]


@aten("int_repr")
def int_repr(op: Builder, self: Quantized) -> Value:
    return self.integers(op)


@aten("q_scale")
def q_scale(op: Builder, self: Quantized) -> Number:
    if self.scale.array is not None:
        return float(self.scale.array)
    return Scalar(op.Cast(self.scale, to=DataType.DOUBLE))


@aten("q_zero_point")
def q_zero_point(op: Builder, self: Quantized) -> Int:
    return op.symbol_of(self.zero_point, "zero_point")


@aten("q_per_channel_scales")
def q_per_channel_scales(op: Builder, self: Quantized) -> Value:
    return op.Cast(self.scale, to=DataType.DOUBLE)


@aten("q_per_channel_zero_points")
def q_per_channel_zero_points(op: Builder, self: Quantized) -> Value:
    return op.Cast(self.zero_point, to=DataType.INT64)


@aten("q_per_channel_axis")
def q_per_channel_axis(op: Builder, self: Quantized) -> int:
    if self.axis is None:
        raise LoweringError("the tensor has one scale, not one a channel")
    return self.axis


# ---- choosing the parameters -----------------------------------------------------------------------------------------


def choose_parameters(
    op: Builder, low: Value, high: Value, limits: tuple[int, int], dtype: Any, symmetric: bool = False
) -> Parameters:
    """Scale and zero point so that the integers between ``limits`` cover the floats from ``low`` to ``high``, and 0.

    What ``quant_utils::ChooseQuantizationParams`` does, on tensors of any dims.

    Args:
        op: the builder.
        low: the least number.
        high: the greatest number.
        limits: the least and the greatest integer.
        dtype: the integers' dtype.
        symmetric: whether numbers of both signs are to have 0 in the middle (``preserve_sparsity``).
    """
    q_low, q_high = limits
    steps = q_high - q_low
    low, high = op.Min(low, np.float32(0)), op.Max(high, np.float32(0))
    zero: Value | None = None
    if symmetric:
        both = op.And(op.Less(low, np.float32(0)), op.Greater(high, np.float32(0)))
        half = steps // 2
        reach = op.Max(op.Div(op.Neg(low), np.float32(half + 1)), op.Div(high, np.float32(half)))
        low = op.Where(both, op.Mul(reach, np.float32(-half - 1)), low)
        high = op.Where(both, op.Mul(reach, np.float32(half)), high)
        zero = op.const(np.float32(np.rint((q_low + q_high) / 2)))
    # All zeros: any scale will do.
    exact = op.Max(op.Div(op.Sub(high, low), np.float32(steps)), np.float32(np.finfo(np.float32).tiny))
    point = op.Sub(np.float32(q_low), op.Round(op.Div(low, exact)))
    if zero is not None:
        point = op.Where(both, zero, point)
    point = op.Clip(point, np.float32(q_low), np.float32(q_high))
    return Parameters(op.Max(exact, _SMALLEST_SCALE), op.Cast(point, to=dtype))


def quantize_dynamically(op: Builder, x: Value, reduce_range: bool, dtype: Any = DataType.UINT8) -> QuantizedValue:
    """``x`` quantized by its own least and greatest number; to 7 bits if ``reduce_range``."""
    limits = dtypes.limits(dtype)
    if dtype == DataType.UINT8 and not reduce_range:
        integers, scale, zero_point = op.DynamicQuantizeLinear(x)
        return QuantizedValue(scale, zero_point, integers=(op, integers))
    if reduce_range:
        limits = (limits[0] // 2, limits[1] // 2)
    low, high = op.ReduceMin(x, keepdims=0), op.ReduceMax(x, keepdims=0)
    return choose_parameters(op, low, high, limits, dtype).quantize(op, x, limits)


@aten("_choose_qparams_per_tensor")
def choose_qparams_per_tensor(op: Builder, self: Value, reduce_range: bool = False) -> tuple[Number, Int]:
    low, high = op.ReduceMin(self, keepdims=0), op.ReduceMax(self, keepdims=0)
    scale, zero_point, _ = choose_parameters(op, low, high, (0, 127 if reduce_range else 255), DataType.INT64)
    return Scalar(op.Cast(scale, to=DataType.DOUBLE)), op.symbol_of(zero_point, "zero_point")


# ---- fake quantization -----------------------------------------------------------------------------------------------


def _storage(low: int, high: int) -> Any:
    """The dtype of integers between two limits: the narrowest."""
    for dtype in (DataType.UINT8, DataType.INT8, DataType.INT32):
        least, greatest = dtypes.limits(dtype)
        if least <= low and high <= greatest:
            return dtype
    raise LoweringError(f"integers from {low} to {high} are no quantization")


def _limits(quant_min: Int, quant_max: Int) -> tuple[int, int]:
    return known(quant_min, "quant_min"), known(quant_max, "quant_max")


def _fake(op: Builder, x: Value, chosen: Parameters, limits: tuple[int, int]) -> Value:
    return op.cast(chosen.quantize(op, op.cast(x, DataType.FLOAT), limits).reals(op), x.etype)


def _fits(op: Builder, x: Value, chosen: Parameters, limits: tuple[int, int]) -> Value:
    """Where the integers lie within the limits: the mask for gradients."""
    scale, zero_point = (along(op, parameter, chosen.axis, x.rank) for parameter in chosen[:2])
    q = op.Add(op.Round(op.Div(op.cast(x, DataType.FLOAT), scale)), op.Cast(zero_point, to=DataType.FLOAT))
    low, high = (op.const(float(limit)) for limit in limits)
    return op.And(op.GreaterOrEqual(q, low), op.LessOrEqual(q, high))


@aten("fake_quantize_per_tensor_affine", "fake_quantize_per_tensor_affine.tensor_qparams")
def fake_quantize_per_tensor(
    op: Builder, self: Value, scale: Number | Value, zero_point: Number | Value, quant_min: Int, quant_max: Int
) -> Value:
    limits = _limits(quant_min, quant_max)
    return _fake(op, self, parameters(op, scale, zero_point, _storage(*limits)), limits)


@aten("_fake_quantize_learnable_per_tensor_affine")
def fake_quantize_learnable_per_tensor(
    op: Builder, self: Value, scale: Value, zero_point: Value, quant_min: Int, quant_max: Int, grad_factor: float = 1.0
) -> Value:
    """The zero point is a float, which is rounded and kept within the limits."""
    low, high = _limits(quant_min, quant_max)
    nearest = op.Clip(op.Round(op.cast(zero_point, DataType.FLOAT)), np.float32(low), np.float32(high))
    return fake_quantize_per_tensor(op, self, scale, nearest, quant_min, quant_max)


@aten("fake_quantize_per_tensor_affine_cachemask")
def fake_quantize_per_tensor_cachemask(
    op: Builder, self: Value, scale: float, zero_point: Int, quant_min: Int, quant_max: Int
) -> tuple[Value, Value]:
    limits = _limits(quant_min, quant_max)
    chosen = parameters(op, scale, zero_point, _storage(*limits))
    return _fake(op, self, chosen, limits), _fits(op, self, chosen, limits)


@aten("_fake_quantize_per_tensor_affine_cachemask_tensor_qparams")
def fake_quantize_cachemask_tensor_qparams(
    op: Builder, self: Value, scale: Value, zero_point: Value, fake_quant_enabled: Value, quant_min: Int, quant_max: Int
) -> tuple[Value, Value]:
    if not _is_on(fake_quant_enabled, "fake_quant_enabled"):
        return op.Identity(self), op.expand(op.const(True), self.dims)
    return fake_quantize_per_tensor_cachemask(op, self, scale, zero_point, quant_min, quant_max)  # type: ignore[arg-type]


@aten("fake_quantize_per_channel_affine", "quantized_decomposed::fake_quant_per_channel")
def fake_quantize_per_channel(
    op: Builder, self: Value, scale: Value, zero_point: Value, axis: Int, quant_min: Int, quant_max: Int
) -> Value:
    limits = _limits(quant_min, quant_max)
    return _fake(op, self, channel_parameters(op, self, scale, zero_point, axis, _storage(*limits)), limits)


@aten("_fake_quantize_learnable_per_channel_affine")
def fake_quantize_learnable_per_channel(
    op: Builder, self: Value, scale: Value, zero_point: Value, axis: Int, quant_min: Int, quant_max: Int,
    grad_factor: float = 1.0,
) -> Value:  # fmt: skip
    low, high = _limits(quant_min, quant_max)
    nearest = op.Clip(op.Round(op.cast(zero_point, DataType.FLOAT)), np.float32(low), np.float32(high))
    return fake_quantize_per_channel(op, self, scale, nearest, axis, quant_min, quant_max)


@aten("fake_quantize_per_channel_affine_cachemask")
def fake_quantize_per_channel_cachemask(
    op: Builder, self: Value, scale: Value, zero_point: Value, axis: Int, quant_min: Int, quant_max: Int
) -> tuple[Value, Value]:
    limits = _limits(quant_min, quant_max)
    chosen = channel_parameters(op, self, scale, zero_point, axis, _storage(*limits))
    return _fake(op, self, chosen, limits), _fits(op, self, chosen, limits)


def _is_on(flag: Value, name: str) -> bool:
    """A switch that PyTorch keeps in a tensor.

    Raises:
        LoweringError: if it is no constant.
    """
    array = constant(flag)
    if array is None:
        raise LoweringError(f"{name} is computed, it has to be a constant of the model")
    return bool(array.any())


def _observed(op: Builder, x: Value, low: Value, high: Value, weight: float, per_row: bool) -> tuple[Value, Value]:
    """The running extremes, moved towards those of ``x``; infinite ones have not been set yet."""
    if per_row:
        axes = list(range(1, x.rank))
        extremes = op.ReduceMin(x, axes, keepdims=0), op.ReduceMax(x, axes, keepdims=0)
    else:
        extremes = op.ReduceMin(x, keepdims=0), op.ReduceMax(x, keepdims=0)
    moved = []
    for running, current in zip((low, high), extremes, strict=True):
        step = op.Mul(op.Sub(current, running), np.float32(weight))
        moved.append(op.Where(op.IsInf(running), current, op.Add(running, step)))
    return moved[0], moved[1]


@aten("fused_moving_avg_obs_fake_quant")
def fused_moving_avg_obs_fake_quant(
    op: Builder, self: Value, observer_on: Value, fake_quant_on: Value, running_min: Value, running_max: Value,
    scale: Value, zero_point: Value, averaging_const: float, quant_min: Int, quant_max: Int, ch_axis: Int,
    per_row_fake_quant: bool = False, symmetric_quant: bool = False,
) -> Value:  # fmt: skip
    """Fake quantization by the running extremes; the graph does not keep what an observer that is on adds to them."""
    if not _is_on(fake_quant_on, "fake_quant_on"):
        return self
    if _is_on(observer_on, "observer_on"):
        weight = known(averaging_const, "averaging_const")
        running_min, running_max = _observed(op, self, running_min, running_max, weight, per_row_fake_quant)
    limits = _limits(quant_min, quant_max)
    low, high = (parameter(op, x, DataType.FLOAT, per_row_fake_quant) for x in (running_min, running_max))
    chosen = choose_parameters(op, low, high, limits, _storage(*limits), symmetric_quant)
    return _fake(op, self, chosen._replace(axis=0) if per_row_fake_quant else chosen, limits)


@aten("_fused_moving_avg_obs_fq_helper")
def fused_moving_avg_obs_fq_helper(op: Builder, self: Value, *arguments: Any, **options: Any) -> tuple[Value, Value]:
    """The mask, which only gradients need, is left true."""
    y = fused_moving_avg_obs_fake_quant(op, self, *arguments, **options)
    return y, op.expand(op.const(True), self.dims)

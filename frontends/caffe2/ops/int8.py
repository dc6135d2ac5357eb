"""Quantized tensors: made of floats, given, made floats again, and what keeps their scale.

A quantized tensor is ``scale * (value - zero_point)``, with one scale and one zero point for all of it; images have
their channels last. Operators name the scale and the zero point of their result; those that only move elements demand
that these are their input's. Semantics: ``caffe2/operators/quantized/int8_*.h``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from nxconvert.frontends.caffe2.ops.fixed_point import checked, float32, in_layout, looked_up, quantized
from nxconvert.frontends.caffe2.table import Builder, DataType, Int, Int8, Ints, LoweringError, Value, caffe2
from nxconvert.graph.dims import floordiv, product

# ---- from floats and to floats ---------------------------------------------------------------------------------------


@caffe2("Int8Quantize")
def int8_quantize(op: Builder, x: Value, *, Y_scale: float = 1.0, Y_zero_point: int = 0) -> Int8:
    """Rounded to the nearest step, ties to even."""
    scale, zero_point = op.const(Y_scale, DataType.FLOAT), op.const(checked(Y_zero_point), DataType.UINT8)
    y = in_layout(op, lambda x: op.QuantizeLinear(x, scale, zero_point), x)
    return quantized(y, Y_scale, Y_zero_point)


@caffe2("Int8Dequantize")
def int8_dequantize(op: Builder, x: Int8) -> Value:
    scale, zero_point = op.const(x.scale, DataType.FLOAT), op.const(checked(x.zero_point), DataType.UINT8)
    return in_layout(op, lambda x: op.DequantizeLinear(x, scale, zero_point), x.value)


@caffe2("Int8GivenTensorFill")
def int8_given_tensor_fill(
    op: Builder, *, blob: str, values: Any = b"", shape: Ints = (), Y_scale: float = 1.0, Y_zero_point: int = 0
) -> Int8:
    """The bytes of a string."""
    data = np.frombuffer(values.encode() if isinstance(values, str) else values, np.uint8)
    return quantized(_given(op, data, shape, blob), Y_scale, Y_zero_point)


@caffe2("Int8GivenIntTensorFill")
def int8_given_int_tensor_fill(
    op: Builder, *, blob: str, values: Any = (), shape: Ints = (), Y_scale: float = 1.0, Y_zero_point: int = 0
) -> Int8:
    """Integers of 32 bits: a bias."""
    return Int8(_given(op, np.asarray(values, np.int32), shape, blob), float(float32(Y_scale)), Y_zero_point)


def _given(op: Builder, data: np.ndarray, shape: Ints, blob: str) -> Value:
    import onnx_ir as ir

    sizes = tuple(int(size) for size in shape)
    if data.size != product(sizes):
        raise LoweringError(f"it has {data.size} values for the shape {list(sizes)}")
    return op.weight(ir.Tensor(data.reshape(sizes)), blob)


# ---- elements go elsewhere -------------------------------------------------------------------------------------------


def kept(x: Int8, args: Mapping[str, Any]) -> None:
    """Says that an operator keeps its input's scale and zero point.

    Raises:
        LoweringError: its arguments ask for others.
    """
    scale, zero_point = float32(args.get("Y_scale", 1.0)), args.get("Y_zero_point", 0)
    if scale != float32(x.scale) or zero_point != x.zero_point:
        raise LoweringError(
            f"its result is to have scale {scale:g} and zero point {zero_point}, its input has {x.scale:g} and "
            f"{x.zero_point}; it cannot change them"
        )


def _register_moving(operator: str, plain: str) -> None:
    @caffe2(operator)
    def moving(op: Builder, x: Int8, *others: Value, n_outputs: int, blob: str, **args: Any) -> tuple[Any, ...]:
        """What the operator of tensors does, to the integers."""
        kept(x, args)
        given = {"n_outputs": n_outputs, "blob": blob, "random_seed": None}
        results = caffe2.bind(plain, [x.value, *others], args, given)(op)
        first, *more = results if isinstance(results, (tuple, list)) else (results,)
        return Int8(first, x.scale, x.zero_point), *more


for _plain in ("Flatten", "Reshape", "Slice", "Transpose"):
    _register_moving(f"Int8{_plain}", _plain)


@caffe2("Int8Concat")
def int8_concat(
    op: Builder, x: Int8, *others: Int8, order: str = "", axis: int | None = None, **args: Any
) -> tuple[Int8, None]:
    """Tensors side by side, all of which count as having the scale of the first. The sizes are left unset."""
    kept(x, args)
    usual = {"NHWC": 3, "NCHW": 1}.get(order, 0)
    y = op.Concat(x.value, *(y.value for y in others), axis=usual if axis is None else axis)
    return Int8(y, x.scale, x.zero_point), None


@caffe2("Int8ChannelShuffle")
def int8_channel_shuffle(op: Builder, x: Int8, *, group: int = 1, **args: Any) -> Int8:
    """The channels of groups in turn."""
    kept(x, args)
    *lead, channels = x.value.dims
    if isinstance(channels, int) and channels % group:
        raise LoweringError(f"{channels} channels are no multiple of {group} groups")
    rank = len(lead)
    grouped = op.reshape(x.value, [*lead, group, floordiv(channels, group)])
    turned = op.Transpose(grouped, perm=[*range(rank), rank + 1, rank])
    return Int8(op.reshape(turned, x.value.dims), x.scale, x.zero_point)


@caffe2("Int8ResizeNearest")
def int8_resize_nearest(
    op: Builder, x: Int8, *, width_scale: float = 1.0, height_scale: float = 1.0, **args: Any
) -> Int8:
    kept(x, args)
    wanted = {"order": "NHWC", "width_scale": width_scale, "height_scale": height_scale}
    given = {"n_outputs": 1, "blob": "", "random_seed": None}
    return Int8(caffe2.bind("ResizeNearest", [x.value], wanted, given)(op), x.scale, x.zero_point)


# ---- functions -------------------------------------------------------------------------------------------------------


@caffe2("Int8Relu")
def int8_relu(op: Builder, x: Int8, **args: Any) -> Int8:
    kept(x, args)
    if not x.zero_point:
        return x
    low = op.const(checked(x.zero_point), DataType.UINT8)
    return Int8(in_layout(op, lambda x: op.Max(x, low), x.value), x.scale, x.zero_point)


def _by_table(op: Builder, x: Int8, table: np.ndarray, scale: float, zero_point: int) -> Int8:
    return quantized(in_layout(op, lambda x: looked_up(op, x, table.astype(np.uint8)), x.value), scale, zero_point)


def _levels(x: Int8) -> np.ndarray:
    """Every number that a tensor can hold, less the zero point: float32[256]."""
    return np.arange(256, dtype=np.float32) - np.float32(checked(x.zero_point))


@caffe2("Int8LeakyRelu")
def int8_leaky_relu(op: Builder, x: Int8, *, alpha: float = 0.01, Y_scale: float = 1.0, Y_zero_point: int = 0) -> Int8:
    """``alpha * x`` below 0. Ties are rounded to even.

    Raises:
        LoweringError: ``alpha`` is not between 0 and 1.
    """
    if not 0 < alpha < 1:
        raise LoweringError(f"the alpha {alpha:g} is not between 0 and 1")
    values = float32(x.scale) / float32(Y_scale) * _levels(x)
    values = np.where(values < 0, values * float32(alpha), values)
    return _by_table(op, x, np.clip(np.rint(values) + Y_zero_point, 0, 255), Y_scale, Y_zero_point)


def _probabilities(scale: float, zero_point: int) -> None:
    if float32(scale) != float32(1 / 256) or zero_point:
        raise LoweringError(f"its result has scale 1/256 and zero point 0, never {scale:g} and {zero_point}")


@caffe2("Int8Sigmoid")
def int8_sigmoid(op: Builder, x: Int8, *, Y_scale: float = 1.0, Y_zero_point: int = 0) -> Int8:
    _probabilities(Y_scale, Y_zero_point)
    with np.errstate(over="ignore"):
        inverse = np.exp(-(float32(x.scale) * _levels(x)).astype(np.float64)).astype(np.float32)
    table = np.minimum(float32(256) / (float32(1) + inverse), float32(255))
    return _by_table(op, x, np.rint(table), Y_scale, Y_zero_point)


@caffe2("Int8Softmax")
def int8_softmax(op: Builder, x: Int8, *, Y_scale: float = 1.0, Y_zero_point: int = 0) -> Int8:
    """Softmax over all axes but the first, in integers: exponentials of differences from the largest, by a table."""
    _probabilities(Y_scale, Y_zero_point)
    dims = x.value.dims
    count = product(dims[1:])
    rows = op.cast(op.reshape(x.value, [dims[0], count]), DataType.INT32)
    shares = op.Gather(_exponentials(op, x.scale, count), op.Sub(op.ReduceMax(rows, [1], keepdims=1), rows))
    total = op.ReduceSum(shares, [1], keepdims=1)
    # Rounded to the nearest of the 256 steps, ties upwards.
    steps = op.Div(op.Add(op.Mul(shares, 256), op.Div(total, 2)), total)
    return quantized(op.reshape(op.cast(op.Min(steps, 255), DataType.UINT8), dims), Y_scale, Y_zero_point)


def _exponentials(op: Builder, scale: float, count: Int) -> Value:
    """``exp(-scale * i)`` for 256 numbers, as integers so large that a sum of ``count`` of them has 32 bits."""
    falling = op.const(np.exp(-np.arange(256.0) * scale))
    highest = op.Min(op.Div(float(2**32 - 1), op.cast(op.dim_value(count), DataType.DOUBLE)), 8388607.0)
    return op.cast(op.Round(op.Mul(falling, highest)), DataType.INT64)

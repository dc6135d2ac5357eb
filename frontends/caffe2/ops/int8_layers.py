"""Quantized layers: convolution, fully connected, addition, pooling.

They multiply and add integers, and round as the runtime does, so that their results are the runtime's integers.
Semantics: ``caffe2/operators/quantized/int8_{conv,conv_transpose,fc,add,average_pool,max_pool}_op.h`` and QNNPACK.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from nxconvert.frontends.caffe2.ops.fixed_point import (
    EXACT_TERMS,
    NUDGE,
    centred,
    checked,
    factor,
    float32,
    in_layout,
    quantized,
    rounded,
    times,
)  # fmt: skip
from nxconvert.frontends.caffe2.ops.int8 import kept
from nxconvert.frontends.caffe2.ops.window import channels_first, channels_last, per_axis, place, window
from nxconvert.frontends.caffe2.table import (
    Builder,
    DataType,
    Int,
    Int8,
    Int8Images,
    Int8Matrix,
    Int8Weight,
    LoweringError,
    Value,
    caffe2,
)
from nxconvert.graph.dims import product, require

# ---- convolution and fully connected ---------------------------------------------------------------------------------


def _layer(
    op: Builder, x: Int8, w: Int8, bias: Int8, accumulated: Value, scale: float, zero_point: int, relu: bool = False
) -> Value:
    """The products of a layer, ``[batch, out, *space]``, with its bias as uint8."""
    share = float32(x.scale) * float32(w.scale) / float32(scale)
    ones: list[Int] = [1] * (accumulated.rank - 2)
    added = op.cast(op.reshape(bias.value, [accumulated.dims[1], *ones]), DataType.DOUBLE)
    return times(op, accumulated, factor(float(share)), zero_point, added, relu)


def _zero(op: Builder, x: Int8) -> Value:
    return op.const(checked(x.zero_point), DataType.UINT8)


def _register_conv(operator: str, relu: bool) -> None:
    @caffe2(operator)
    def int8_conv(
        op: Builder, x: Int8Images, filter: Int8Weight, bias: Int8Weight, *, order: str = "NCHW", group: int = 1,
        Y_scale: float = 1.0, Y_zero_point: int = 0, **args: Any,
    ) -> Int8:  # fmt: skip
        """Convolution of ``[batch, height, width, channels]`` by ``[out, *kernel, channels / group]``."""
        _channels_last_only(order)
        source, weight = channels_first(op, x.value), channels_first(op, filter.value)
        source, attributes = place(op, source, window(args, 2), filler=x.zero_point)
        if weight.dims[1] == 1 and group > 1 and math.prod(attributes["kernel_shape"]) <= EXACT_TERMS:
            # Of one channel each, floats are exact, and ONNX Runtime is twice as fast with them.
            source, weight = centred(op, source, x.zero_point), _centred_weight(op, weight, filter.zero_point)
            products = op.Conv(source, weight, group=group, **attributes)
        else:
            products = op.ConvInteger(source, weight, _zero(op, x), _zero(op, filter), group=group, **attributes)
        y = _layer(op, x, filter, bias, products, Y_scale, Y_zero_point, relu)
        return quantized(channels_last(op, y), Y_scale, Y_zero_point)


def _centred_weight(op: Builder, weight: Value, zero_point: int) -> Value:
    """A filter in floats. Of these operators runtimes make a constant, of ``DequantizeLinear`` they do not."""
    return op.Sub(op.cast(weight, DataType.FLOAT), float(checked(zero_point)))


_register_conv("Int8Conv", relu=False)
_register_conv("Int8ConvRelu", relu=True)


def _channels_last_only(order: str) -> None:
    if order != "NHWC":
        raise LoweringError(f"it takes images in the order NHWC, not {order}")


@caffe2("Int8ConvTranspose")
def int8_conv_transpose(
    op: Builder, x: Int8Images, filter: Int8Weight, bias: Int8Weight, *, order: str = "NCHW", Y_scale: float = 1.0,
    Y_zero_point: int = 0, **args: Any,
) -> Int8:  # fmt: skip
    """The gradient of a convolution of ``[batch, height, width, channels]`` by ``[channels, *kernel, out]``.

    It is computed in floats, of so few channels at a time that no sum is beyond the integers that floats hold.
    """
    _channels_last_only(order)
    form = window({name: value for name, value in args.items() if not name.startswith("dilation")}, 2)
    more = per_axis(args, "adj", 0, 2)
    if any(added >= stride for added, stride in zip(more, form.strides, strict=True)):
        raise LoweringError(f"the adj {more} is not less than the strides {list(form.strides)}")
    source = centred(op, channels_first(op, x.value), x.zero_point)
    weight = _centred_weight(op, channels_first(op, filter.value), filter.zero_point)
    channels = weight.dims[0]
    if not isinstance(channels, int):
        raise LoweringError(f"the number of its filter's channels {channels} must be known")
    terms = math.prod(-(-k // s) for k, s in zip(form.kernel, form.strides, strict=True))
    step = max(EXACT_TERMS // terms, 1)
    parts = [
        op.cast(
            op.ConvTranspose(
                _channels(op, source, start, step, channels, 1), _channels(op, weight, start, step, channels, 0), None,
                kernel_shape=form.kernel, strides=form.strides, pads=form.pads,
                output_padding=more if any(more) else None,
            ),
            DataType.DOUBLE,
        )
        for start in range(0, channels, step)
    ]  # fmt: skip
    total = parts[0]
    for part in parts[1:]:
        total = op.Add(total, part)
    y = _layer(op, x, filter, bias, total, Y_scale, Y_zero_point)
    return quantized(channels_last(op, y), Y_scale, Y_zero_point)


def _channels(op: Builder, x: Value, start: int, step: int, count: int, axis: int) -> Value:
    return x if step >= count else op.Slice(x, [start], [min(start + step, count)], [axis])


@caffe2("Int8FC")
def int8_fc(
    op: Builder, x: Int8Matrix, w: Int8Weight, b: Int8Weight, *, Y_scale: float = 1.0, Y_zero_point: int = 0
) -> tuple[Int8, None, None, None]:
    """``x @ w.T + b`` of the rows of ``x``, over all of its axes but the first; ``[rows, out]``."""
    rows = op.reshape(x.value, [x.value.dims[0], product(x.value.dims[1:])])
    products = op.MatMulInteger(rows, op.Transpose(w.value, perm=[1, 0]), _zero(op, x), _zero(op, w))
    y = _layer(op, x, w, b, products, Y_scale, Y_zero_point)
    return quantized(y, Y_scale, Y_zero_point), None, None, None


# ---- addition --------------------------------------------------------------------------------------------------------


def _register_add(*operators: str, relu: bool) -> None:
    @caffe2(*operators)
    def int8_add(op: Builder, a: Int8, b: Int8, *, Y_scale: float = 1.0, Y_zero_point: int = 0) -> Int8:
        """The sum of two tensors of one shape.

        Both factors are taken as integers of 22 bits or less, of one shift; only the sum is rounded.
        """
        for have, want in zip(a.value.dims, b.value.dims, strict=True):
            require(have, want)
        shares = [float(float32(x.scale) / float32(Y_scale)) for x in (a, b)]
        if not all(2.0**-14 <= share < 2.0**8 for share in shares):
            raise LoweringError(f"the scales of its operands are {shares[0]:g} and {shares[1]:g} times the result's")
        shift = 22 - math.frexp(max(shares))[1]
        factors = [float(np.rint(share * 2.0**shift)) for share in shares]
        start = -sum(by * checked(x.zero_point) for by, x in zip(factors, (a, b), strict=True))

        def add(x: Value, y: Value) -> Value:
            terms = (op.Mul(op.cast(v, DataType.DOUBLE), by) for v, by in zip((x, y), factors, strict=True))
            total = op.Add(op.Add(*terms), start)
            return rounded(op, op.Mul(total, 2.0**-shift * NUDGE), checked(Y_zero_point), relu)

        return quantized(in_layout(op, add, a.value, b.value), Y_scale, Y_zero_point)


_register_add("Int8Add", "Int8Sum", relu=False)
_register_add("Int8AddRelu", "Int8SumRelu", relu=True)

# ---- pooling ---------------------------------------------------------------------------------------------------------


def _register_max_pool(operator: str, relu: bool) -> None:
    @caffe2(operator)
    def int8_max_pool(op: Builder, x: Int8Images, *, order: str = "NCHW", **args: Any) -> Int8:
        """The largest element of each window; padding is none."""
        _channels_last_only(order)
        kept(x, args)
        if args.get("global_pooling"):
            y = op.ReduceMax(x.value, [1, 2], keepdims=1)
        else:
            source, attributes = place(op, channels_first(op, x.value), window(args, 2), filler=0)
            y = channels_last(op, op.MaxPool(source, **attributes))
        y = op.Max(y, _zero(op, x)) if relu and x.zero_point else y
        return Int8(y, x.scale, x.zero_point)


_register_max_pool("Int8MaxPool", relu=False)
_register_max_pool("Int8MaxPoolRelu", relu=True)


def _register_average_pool(operator: str, relu: bool) -> None:
    @caffe2(operator)
    def int8_average_pool(
        op: Builder, x: Int8Images, *, order: str = "NCHW", Y_scale: float = 1.0, Y_zero_point: int = 0, **args: Any
    ) -> Int8:
        """The mean of each window; padding counts as zeros."""
        _channels_last_only(order)
        sums = _sum_of_all(op, x) if args.get("global_pooling") else _sums_of_windows(op, x, args)
        y = op.Mul(sums.total, _share(op, x.scale, Y_scale, sums.size))
        y = rounded(op, y, checked(Y_zero_point), relu)
        return quantized(y if args.get("global_pooling") else channels_last(op, y), Y_scale, Y_zero_point)


_register_average_pool("Int8AveragePool", relu=False)
_register_average_pool("Int8AveragePoolRelu", relu=True)


class _Sums(NamedTuple):
    """Sums of numbers less their zero point, in doubles, and of how many each of them is."""

    total: Value
    size: Int


def _sum_of_all(op: Builder, x: Int8) -> _Sums:
    """``[batch, 1, 1, channels]``."""
    count = product(x.value.dims[1:3])
    total = op.ReduceSum(op.cast(x.value, DataType.INT32), [1, 2], keepdims=1)
    zeros = op.cast(op.dim_value(count * checked(x.zero_point)), DataType.DOUBLE)
    return _Sums(op.Sub(op.cast(total, DataType.DOUBLE), zeros), count)


def _sums_of_windows(op: Builder, x: Int8, args: Mapping[str, Any]) -> _Sums:
    """``[batch, channels, height, width]``."""
    source, attributes = place(op, centred(op, channels_first(op, x.value), x.zero_point), window(args, 2))
    count = math.prod(attributes["kernel_shape"])
    mean = op.AveragePool(source, count_include_pad=1, **attributes)
    # What the mean lacks of the integer that the sum is, rounding brings back.
    return _Sums(op.cast(op.Round(op.Mul(mean, float(count))), DataType.DOUBLE), count)


def _share(op: Builder, x_scale: float, y_scale: float, count: Int) -> Value | float:
    """The factor from the sum of a window to its mean in the result's scale: a float32, nudged, as a double."""
    if isinstance(count, int):
        return float(float32(x_scale) / (float32(y_scale) * float32(count))) * NUDGE
    elements = op.cast(op.dim_value(count), DataType.FLOAT)
    half = op.Div(op.const(x_scale / 2, DataType.FLOAT), op.Mul(elements, op.const(y_scale, DataType.FLOAT)))
    return op.Mul(op.cast(half, DataType.DOUBLE), 2 * NUDGE)

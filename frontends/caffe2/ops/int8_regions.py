"""Regions of interest of quantized feature maps. Semantics: ``caffe2/operators/quantized/int8_roi_align_op.h``."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from nxconvert.frontends.caffe2.ops.fixed_point import NUDGE, checked, float32, quantized, rounded
from nxconvert.frontends.caffe2.ops.regions import regions
from nxconvert.frontends.caffe2.table import Builder, DataType, Int, Int8, LoweringError, Matrix, Value, caffe2
from nxconvert.graph.builder import TensorType


@caffe2("Int8RoIAlign")
def int8_roi_align(
    op: Builder, x: Int8, rois: Matrix, *, order: str = "NHWC", spatial_scale: float = 1.0, pooled_h: int = 1,
    pooled_w: int = 1, sampling_ratio: int = -1, aligned: int = 0, Y_scale: float = 1.0, Y_zero_point: int = 0,
) -> Int8:  # fmt: skip
    """The mean of bilinear samples in each bin of each region, ``[n, pooled_h, pooled_w, channels]``.

    The four weights of a sample are rounded to multiples of 1/255. A step of a ``Loop`` a region: how many samples a
    bin has follows from the region's size.
    """
    if order != "NHWC":
        raise LoweringError(f"it takes images in the order NHWC, not {order}")
    boxes, images = regions(op, rois, 4)
    boxes = op.Mul(boxes, op.const(spatial_scale, DataType.FLOAT))
    boxes = op.Sub(boxes, 0.5) if aligned else boxes
    # Malformed regions are one pixel, unless they are aligned.
    least = 0.0 if aligned else 1.0
    body = op.child()
    at = body.input("region", DataType.INT64, ())
    going = body.input("going", DataType.BOOL, ())
    one = body.Gather(x.value, body.Gather(images, at, axis=0), axis=0)
    box = body.Gather(boxes, at, axis=0)
    sums, count = _sums(body, one, box, least, (pooled_h, pooled_w), sampling_ratio)
    centred = body.Sub(sums, body.cast(body.dim_value(count * 255 * checked(x.zero_point)), DataType.INT32))
    share = float(float32(x.scale)) / (float(float32(Y_scale)) * 255.0)
    pooled = _times(body, centred, share, count, checked(Y_zero_point))
    (result,) = op.node(
        "Loop",
        [op.dim_value(rois.dims[0]), op.const(True)],
        {"body": body.graph([going, pooled], "region")},
        [TensorType(DataType.UINT8, (rois.dims[0], pooled_h, pooled_w, op.fresh("channels")))],
    )
    # A loop without a step does not know the number of channels, unless it is a number in the file.
    result = op.Reshape(result, [rois.dims[0], *pooled.dims], allowzero=1)
    return quantized(result, Y_scale, Y_zero_point)


class _Samples(NamedTuple):
    """Samples along one axis, in the order of the bins; vectors.

    Attributes:
        low: the place before each of them, int64.
        high: the place behind it.
        beyond: how far it is from the first of them, float32.
        inside: whether it lies on the map, or less than a pixel before it.
        per_bin: how many there are in a bin.
    """

    low: Value
    high: Value
    beyond: Value
    inside: Value
    per_bin: Int


def _sums(op: Builder, x: Value, box: Value, least: float, bins: tuple[int, int], samples: int) -> tuple[Value, Int]:
    """The weighted sums of bins, int32 ``[*bins, channels]`` of ``[height, width, channels]``, and of how many samples
    each is.
    """
    height, width, channels = x.dims
    left, top, right, bottom = (op.Gather(box, i, axis=0) for i in range(4))
    rows = _samples(op, top, op.Max(op.Sub(bottom, top), least), bins[0], samples, height)
    columns = _samples(op, left, op.Max(op.Sub(right, left), least), bins[1], samples, width)
    inside = op.cast(op.And(op.Unsqueeze(rows.inside, [1]), columns.inside), DataType.INT32)
    total: Value | None = None
    for row, row_share in ((rows.low, op.Sub(1.0, rows.beyond)), (rows.high, rows.beyond)):
        line = op.Gather(x, row, axis=0)
        for column, column_share in ((columns.low, op.Sub(1.0, columns.beyond)), (columns.high, columns.beyond)):
            share = op.Mul(op.Mul(op.Unsqueeze(row_share, [1]), column_share), 255.0)
            weight = op.Mul(op.cast(op.Round(share), DataType.INT32), inside)
            corner = op.cast(op.Gather(line, column, axis=1), DataType.INT32)
            term = op.Mul(corner, op.Unsqueeze(weight, [2]))
            total = term if total is None else op.Add(total, term)
    assert total is not None
    parts = op.reshape(total, [bins[0], rows.per_bin, bins[1], columns.per_bin, channels])
    return op.ReduceSum(parts, [1, 3], keepdims=0), rows.per_bin * columns.per_bin


def _samples(op: Builder, start: Value, length: Value, bins: int, samples: int, size: Int) -> _Samples:
    step = op.Div(length, float(bins))
    if samples > 0:
        count: Int = samples
    else:
        count = op.symbol_of(op.cast(op.Ceil(step), DataType.INT64), "samples", low=1)
    first = op.Add(start, op.Mul(op.const(np.arange(bins, dtype=np.float32)), step))
    within = op.Add(op.cast(op.Range(0, op.dim_value(count), 1), DataType.FLOAT), 0.5)
    within = op.Div(op.Mul(within, step), op.cast(op.dim_value(count), DataType.FLOAT))
    place = op.reshape(op.Add(op.Unsqueeze(first, [1]), within), [count * bins])
    inside = op.And(op.GreaterOrEqual(place, -1.0), op.LessOrEqual(place, op.cast(op.dim_value(size), DataType.FLOAT)))
    last = op.dim_value(size - 1)
    place = op.Min(op.Max(place, op.const(0.0)), op.cast(last, DataType.FLOAT))
    low = op.cast(op.Floor(place), DataType.INT64)
    return _Samples(low, op.Min(op.Add(low, 1), last), op.Sub(place, op.cast(low, DataType.FLOAT)), inside, count)


def _times(op: Builder, sums: Value, share: float, count: Int, zero_point: int) -> Value:
    """Sums times ``share / count`` as uint8, rounded twice as in :mod:`~nxconvert.frontends.caffe2.ops.fixed_point`."""
    real = op.Div(share, op.cast(op.dim_value(count), DataType.DOUBLE))
    if share >= 1:
        raise LoweringError(f"the scales of input and output make a factor of {share:g}, which is not less than 1")
    half = op.Pow(op.const(2.0, DataType.DOUBLE), op.Floor(op.Mul(op.Log(real), 1 / math.log(2.0))))
    mantissa = op.Div(op.Round(op.Mul(op.Div(real, half), 2.0**30)), 2.0**31)
    fraction = op.Floor(op.Add(op.Mul(op.cast(sums, DataType.DOUBLE), mantissa), 0.5))
    return rounded(op, op.Mul(fraction, op.Mul(half, 2 * NUDGE)), zero_point)

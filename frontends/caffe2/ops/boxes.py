"""Boxes: anchors and regions moved by what a network regresses, clipped to the image.

An upright box is ``x1, y1, x2, y2``, a rotated one ``x, y, width, height, degrees`` (centre; counter-clockwise). In the
old convention (``plus_one``) the corners of a box are pixels that belong to it, so that a size is ``x2 - x1 + 1``.

Semantics as in Caffe2's ``generate_proposals_op_util_boxes.h`` and ``bbox_transform_op.cc``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from nxconvert.frontends.caffe2.ops.regions import regions
from nxconvert.frontends.caffe2.table import Builder, DataType, Floats, LoweringError, Matrix, Value, caffe2
from nxconvert.graph.dims import floordiv, require

#: The logarithm of the most that a box may grow.
_MOST = math.log(1000.0 / 16.0)


class Angles(NamedTuple):
    """What becomes of the angles of rotated boxes.

    Attributes:
        bound: whether an angle is brought back between ``low`` and ``high``.
        low: degrees.
        high: degrees.
        clipped: boxes whose angle is no larger are clipped to the image as if they were upright; none if negative.
    """

    bound: bool
    low: int
    high: int
    clipped: float


class Pixels(NamedTuple):
    """The sides of boxes along one axis.

    Attributes:
        start: x1 or y1.
        end: x2 or y2.
    """

    start: Value
    end: Value


def numbers(op: Builder, boxes: Value) -> list[Value]:
    """The numbers of boxes, each with a last axis of 1."""
    count = boxes.dims[-1]
    assert isinstance(count, int)
    return list(op.Split(boxes, axis=-1, num_outputs=count))


def number(value: float) -> np.ndarray:
    """A float32 constant for operators whose schemas do not say the dtype."""
    return np.array(value, np.float32)


def moved(op: Builder, boxes: Value, deltas: Value, weights: Sequence[float], plus_one: bool, angles: Angles) -> Value:
    """Boxes after what was regressed for them: shifted by parts of their size, grown by exponents.

    Args:
        op: the builder.
        boxes: float32[..., 4 or 5].
        deltas: of the same shape, or with more boxes for each.
        weights: what the deltas are divided by: those of x, y, width, height.
        plus_one: the old convention.
        angles: what becomes of angles.
    """
    shifts = numbers(op, deltas)
    dx, dy, dw, dh = (
        shift if weight == 1 else op.Div(shift, float(weight))
        for shift, weight in zip(shifts[:4], weights, strict=True)
    )
    most = op.const(number(_MOST))
    growth = [op.Exp(op.Min(d, most)) for d in (dw, dh)]
    if boxes.dims[-1] == 5:
        x, y, width, height, degrees = numbers(op, boxes)
        turned = op.Add(op.Div(op.Mul(shifts[4], 180.0), math.pi), degrees)
        if angles.bound:
            turned = _bounded(op, turned, angles)
        centre = [op.Add(op.Mul(d, size), c) for d, size, c in ((dx, width, x), (dy, height, y))]
        sizes = [op.Mul(grown, size) for grown, size in zip(growth, (width, height), strict=True)]
        return op.Concat(*centre, *sizes, turned, axis=-1)
    x1, y1, x2, y2 = numbers(op, boxes)
    sides = [_moved_side(op, *side, plus_one) for side in ((x1, x2, dx, growth[0]), (y1, y2, dy, growth[1]))]
    return op.Concat(sides[0].start, sides[1].start, sides[0].end, sides[1].end, axis=-1)


def _moved_side(op: Builder, start: Value, end: Value, shift: Value, growth: Value, plus_one: bool) -> Pixels:
    size = length(op, start, end, plus_one)
    centre = op.Add(op.Mul(shift, size), op.Add(start, op.Mul(size, 0.5)))
    half = op.Mul(op.Mul(growth, size), 0.5)
    last = op.Add(centre, half)
    return Pixels(op.Sub(centre, half), op.Sub(last, 1.0) if plus_one else last)


def _bounded(op: Builder, degrees: Value, angles: Angles) -> Value:
    period = angles.high - angles.low
    if period <= 0 or period % 180:
        raise LoweringError(f"the angles may be from {angles.low} to {angles.high}: no multiple of 180")
    up = op.Where(op.Less(degrees, float(angles.low)), op.Add(degrees, float(period)), degrees)
    return op.Where(op.Greater(degrees, float(angles.high)), op.Sub(degrees, float(period)), up)


def length(op: Builder, start: Value, end: Value, plus_one: bool) -> Value:
    """The size of boxes along an axis."""
    size = op.Sub(end, start)
    return op.Add(size, 1.0) if plus_one else size


def clipped(op: Builder, boxes: Value, height: Value, width: Value, plus_one: bool, angles: Angles) -> Value:
    """Boxes clipped to their image; of rotated ones those that are almost upright.

    Args:
        op: the builder.
        boxes: float32[..., 4 or 5].
        height: of each box's image, a whole number; broadcast against the boxes' numbers.
        width: the same.
        plus_one: the old convention.
        angles: which rotated boxes are clipped.
    """
    if boxes.dims[-1] == 4:
        return op.Concat(*_clipped_corners(op, numbers(op, boxes), height, width, plus_one), axis=-1)
    if angles.clipped < 0:
        return boxes
    x, y, w, h, degrees = numbers(op, boxes)
    halves = [op.Div(op.Sub(size, 1.0) if plus_one else size, 2.0) for size in (w, h)]
    corners = [op.Sub(x, halves[0]), op.Sub(y, halves[1]), op.Add(x, halves[0]), op.Add(y, halves[1])]
    x1, y1, x2, y2 = _clipped_corners(op, corners, height, width, plus_one)
    sizes = [length(op, x1, x2, plus_one), length(op, y1, y2, plus_one)]
    upright = op.Concat(op.Div(op.Add(x1, x2), 2.0), op.Div(op.Add(y1, y2), 2.0), *sizes, degrees, axis=-1)
    return op.Where(op.LessOrEqual(op.Abs(degrees), float(angles.clipped)), upright, boxes)


def _clipped_corners(op: Builder, corners: Sequence[Value], height: Value, width: Value, plus_one: bool) -> list[Value]:
    last = [op.Sub(size, 1.0) if plus_one else size for size in (width, height)]
    return [op.Max(op.Min(corner, last[i % 2]), op.const(number(0))) for i, corner in enumerate(corners)]


@caffe2("BBoxTransform")
def bbox_transform(
    op: Builder, rois: Matrix, deltas: Matrix, im_info: Matrix, *, weights: Floats = (1.0, 1.0, 1.0, 1.0),
    apply_scale: bool = True, rotated: bool = False, angle_bound_on: bool = True, angle_bound_lo: int = -90,
    angle_bound_hi: int = 90, clip_angle_thresh: float = 1.0, legacy_plus_one: bool = True,
) -> tuple[Value, Value]:  # fmt: skip
    """Regions of scaled images as boxes of each class, in the image as it was unless ``apply_scale``.

    Regions are grouped by image: the first image's come first, as many as name it. ``im_info`` has height, width and
    scale of each image. Returns the boxes, float32[n, classes * 4 or 5], and how many regions an image has,
    float32[images].
    """
    if len(weights) != 4:
        raise LoweringError(f"{len(weights)} weights are given, not 4")
    box_dim = 5 if rotated else 4
    angles = Angles(bool(angle_bound_on), angle_bound_lo, angle_bound_hi, clip_angle_thresh)
    require(im_info.dims[1], 3)
    require(deltas.dims[0], rois.dims[0])
    info, counts = _info_of_regions(op, rois, im_info, box_dim)
    height, width, scale = op.Split(info, axis=1, num_outputs=3)
    boxes, _ = regions(op, rois, box_dim)
    plain = op.Div(boxes if box_dim == 4 else op.Slice(boxes, [0], [4], [1]), scale)
    if box_dim == 5:
        plain = op.Concat(plain, op.Slice(boxes, [4], [5], [1]), axis=1)
    classes = floordiv(deltas.dims[1], box_dim)
    shifts = op.reshape(deltas, [deltas.dims[0], classes, box_dim])
    found = moved(op, op.Unsqueeze(plain, [1]), shifts, weights, bool(legacy_plus_one), angles)
    tall, wide = (op.Unsqueeze(op.Floor(op.Add(op.Div(size, scale), 0.5)), [2]) for size in (height, width))
    found = clipped(op, found, tall, wide, bool(legacy_plus_one), angles)
    if apply_scale:
        factor = op.Unsqueeze(scale, [2])
        if box_dim == 5:
            ones = op.expand(op.const(1.0, DataType.FLOAT), [*scale.dims, 1])
            factor = op.Concat(factor, factor, factor, factor, ones, axis=2)
        found = op.Mul(found, factor)
    return op.reshape(found, deltas.dims), counts


def _info_of_regions(op: Builder, rois: Value, im_info: Value, box_dim: int) -> tuple[Value, Value]:
    """The row of ``im_info`` for each region (or one for all), and how many regions each image has."""
    if rois.dims[1] == box_dim or im_info.dims[0] == 1:
        require(im_info.dims[0], 1)
        count = op.cast(op.dim_value(rois.dims[0]), DataType.FLOAT)
        return im_info, op.Unsqueeze(count, [0])
    _, images = regions(op, rois, box_dim)
    named = op.Equal(op.Unsqueeze(images, [1]), op.Range(0, im_info.dims[0], 1))
    counts = op.ReduceSum(op.cast(named, DataType.INT64), [0], keepdims=0)
    # Regions are counted, not looked at, to tell whose they are.
    ends = op.CumSum(counts, 0)
    place = op.Unsqueeze(op.Range(0, rois.dims[0], 1), [1])
    image = op.ReduceSum(op.cast(op.GreaterOrEqual(place, ends), DataType.INT64), [1], keepdims=0)
    return op.Gather(im_info, image, axis=0), op.cast(counts, DataType.FLOAT)

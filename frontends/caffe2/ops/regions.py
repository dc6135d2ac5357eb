"""Regions of interest: what is pooled out of feature maps for each box, and keypoints found in it.

Semantics as in Caffe2's ``roi_align_op.cc``, ``roi_align_rotated_op.cc``, ``roi_pool_op.cc``, ``rmac_regions_op.cc``,
``heatmap_max_keypoint_op.cc`` and ``batch_permutation_op.cc``.
"""

from __future__ import annotations

import math

import numpy as np

from nxconvert.frontends.caffe2.table import (
    Builder,
    DataType,
    Images,
    Indices,
    Int,
    LoweringError,
    Matrix,
    Value,
    caffe2,
)
from nxconvert.graph.builder import TensorType
from nxconvert.graph.dims import require

LOWEST = float(np.finfo(np.float32).min)


def regions(op: Builder, rois: Value, box_dim: int) -> tuple[Value, Value]:
    """Rows of regions as boxes, float32[n, box_dim], and the index of each one's image, int64[n].

    A row is the box alone, then its image is the first one, or the image and the box.
    """
    if rois.rank != 2:
        raise LoweringError(f"the regions have rank {rois.rank}, not 2")
    if rois.dims[1] == box_dim:
        return rois, op.expand(op.const(0, DataType.INT64), [rois.dims[0]])
    if isinstance(rois.dims[1], int) and rois.dims[1] != box_dim + 1:
        raise LoweringError(f"the regions have {rois.dims[1]} columns, not {box_dim} or {box_dim + 1}")
    require(rois.dims[1], box_dim + 1)
    boxes = op.reshape(op.Slice(rois, [1], [box_dim + 1], [1]), [rois.dims[0], box_dim])
    return boxes, op.cast(op.Gather(rois, 0, axis=1), DataType.INT64)


def channels_first(op: Builder, x: Value, order: str) -> Value:
    """A batch of images as [batch, channels, height, width]."""
    if x.rank != 4:
        raise LoweringError(f"the images have rank {x.rank}, not 4")
    return op.Transpose(x, perm=[0, 3, 1, 2]) if order == "NHWC" else x


@caffe2("RoIAlign")
def roi_align(
    op: Builder, x: Images, rois: Matrix, *, order: str = "NCHW", spatial_scale: float = 1.0, pooled_h: int = 1,
    pooled_w: int = 1, sampling_ratio: int = -1, aligned: bool = False,
) -> Value:  # fmt: skip
    """The mean of bilinear samples in each bin of each region; float32[n, channels, pooled_h, pooled_w], or NHWC."""
    boxes, images = regions(op, rois, 4)
    pooled = op.RoiAlign(
        channels_first(op, x, order),
        boxes,
        images,
        coordinate_transformation_mode="half_pixel" if aligned else "output_half_pixel",
        output_height=pooled_h,
        output_width=pooled_w,
        sampling_ratio=max(sampling_ratio, 0),
        spatial_scale=float(spatial_scale),
    )
    return op.Transpose(pooled, perm=[0, 2, 3, 1]) if order == "NHWC" else pooled


@caffe2("RoIAlignRotated")
def roi_align_rotated(
    op: Builder, x: Images, rois: Matrix, *, order: str = "NCHW", spatial_scale: float = 1.0, pooled_h: int = 1,
    pooled_w: int = 1, sampling_ratio: int = -1, aligned: bool = False,
) -> Value:  # fmt: skip
    """The same for boxes (centre, size, degrees counter-clockwise): one step of a ``Loop`` a region.

    How many samples a bin has follows from the region's size, so that no two steps have tensors of one size.
    """
    boxes, images = regions(op, rois, 5)
    maps = channels_first(op, x, order)
    centre, size, degrees = op.Split(boxes, [2, 2, 1], axis=1)
    scale = op.const(np.float32(spatial_scale))
    centre, size = op.Mul(centre, scale), op.Mul(size, scale)
    if aligned:
        centre = op.Sub(centre, 0.5)
    else:
        # Malformed regions are one pixel.
        size = op.Max(size, op.const(np.float32(1)))
    angle = op.Mul(op.Squeeze(degrees, [1]), math.pi / 180)
    body = op.child()
    at = body.input("region", DataType.INT64, ())
    going = body.input("going", DataType.BOOL, ())
    items = [body.Gather(each, at, axis=0) for each in (images, centre, size, angle)]
    pooled = _pooled(body, maps, *items, bins=(pooled_h, pooled_w), samples=sampling_ratio)
    (result,) = op.node(
        "Loop",
        [op.dim_value(rois.dims[0]), op.const(True)],
        {"body": body.graph([going, pooled], "region")},
        [TensorType(maps.etype, (rois.dims[0], op.fresh("channels"), pooled_h, pooled_w))],
    )
    # A loop without a step does not know the number of channels, unless it is a number in the file.
    result = op.Reshape(result, [rois.dims[0], *pooled.dims], allowzero=1)
    return op.Transpose(result, perm=[0, 2, 3, 1]) if order == "NHWC" else result


def _pooled(
    op: Builder, maps: Value, image: Value, centre: Value, size: Value, angle: Value, *, bins: tuple[int, int],
    samples: int,
) -> Value:  # fmt: skip
    """One rotated region, [channels, rows, columns]."""
    channels, height, width = maps.dims[1:]
    cx, cy = op.Split(centre, axis=0, num_outputs=2)
    xs, columns = _samples(op, op.Gather(size, 0), bins[1], samples)
    ys, rows = _samples(op, op.Gather(size, 1), bins[0], samples)
    ys = op.Unsqueeze(ys, [1])
    cos, sin = op.Cos(angle), op.Sin(angle)
    x = op.Add(op.Add(op.Mul(xs, cos), op.Mul(ys, sin)), cx)
    y = op.Add(op.Sub(op.Mul(ys, cos), op.Mul(xs, sin)), cy)
    # GridSample takes places in -1..1 from border to border, and samples beyond the border at it.
    w, h = (op.cast(op.dim_value(d), DataType.FLOAT) for d in (width, height))
    places = [op.Sub(op.Div(op.Add(op.Mul(v, 2.0), 1.0), n), 1.0) for v, n in ((x, w), (y, h))]
    grid = op.Unsqueeze(op.Concat(*(op.Unsqueeze(v, [2]) for v in places), axis=2), [0])
    one = maps if maps.dims[0] == 1 else op.Gather(maps, op.Unsqueeze(image, [0]), axis=0)
    sampled = op.GridSample(one, grid, mode="linear", padding_mode="border", align_corners=0)
    inside = op.And(_within(op, x, w), _within(op, y, h))
    sampled = op.Where(inside, sampled, 0.0)
    bin_axes = op.reshape(sampled, [channels, bins[0], rows, bins[1], columns])
    # The mean of no sample is no number.
    total = op.ReduceSum(bin_axes, [2, 4], keepdims=0)
    return op.Div(total, op.cast(op.dim_value(rows * columns), DataType.FLOAT))


def _samples(op: Builder, size: Value, bins: int, samples: int) -> tuple[Value, Int]:
    """Where the samples of all bins of one axis lie, measured from the region's centre, and how many a bin has."""
    if samples > 0:
        count: Int = samples
    else:
        count = op.symbol_of(op.cast(op.Ceil(op.Div(size, float(bins))), DataType.INT64), "samples", low=0)
    steps = op.cast(op.Range(0, count * bins, 1), DataType.FLOAT)
    step = op.Div(op.Div(size, float(bins)), op.cast(op.dim_value(count), DataType.FLOAT))
    return op.Sub(op.Mul(op.Add(steps, 0.5), step), op.Div(size, 2.0)), count


def _within(op: Builder, place: Value, size: Value) -> Value:
    """Whether samples lie on a map, or less than a pixel before it: all others count as 0."""
    return op.And(op.GreaterOrEqual(place, -1.0), op.LessOrEqual(place, size))


@caffe2("RoIPool")
def roi_pool(
    op: Builder, x: Images, rois: Matrix, *, spatial_scale: float = 1.0, pooled_h: int = 1, pooled_w: int = 1,
    is_test: int = 0,
) -> tuple[Value, ...]:  # fmt: skip
    """The largest element of each bin, and unless ``is_test`` where on the map it is (int32, -1 for an empty bin)."""
    require(rois.dims[1], 5)
    pooled = op.MaxRoiPool(x, rois, pooled_shape=[pooled_h, pooled_w], spatial_scale=float(spatial_scale))
    if is_test:
        return (pooled,)
    return pooled, _largest_at(op, x, rois, float(spatial_scale), pooled_h, pooled_w)


def _largest_at(op: Builder, x: Value, rois: Value, scale: float, pooled_h: int, pooled_w: int) -> Value:
    boxes, images = regions(op, rois, 4)
    # To the nearest, halves away from zero.
    scaled = op.Mul(boxes, scale)
    corners = op.Mul(op.Sign(scaled), op.Floor(op.Add(op.Abs(scaled), 0.5)))
    x1, y1, x2, y2 = op.Split(corners, axis=1, num_outputs=4)
    rows = _in_bins(op, y1, y2, pooled_h, x.dims[2])
    columns = _in_bins(op, x1, x2, pooled_w, x.dims[3])
    count, channels = rois.dims[0], x.dims[1]
    inside = op.And(op.Unsqueeze(rows, [1, 3, 5]), op.Unsqueeze(columns, [1, 2, 4]))
    maps = op.Unsqueeze(op.Gather(x, images, axis=0), [2, 3])
    flat = [count, channels, pooled_h, pooled_w, x.dims[2] * x.dims[3]]
    inside = op.expand(inside, [count, channels, *inside.dims[2:]])
    candidates = op.reshape(op.Where(inside, maps, LOWEST), flat)
    at = op.ArgMax(candidates, axis=-1, keepdims=0)
    found = op.Greater(op.ReduceMax(candidates, [-1], keepdims=0), LOWEST)
    return op.cast(op.Where(found, at, -1), DataType.INT32)


def _in_bins(op: Builder, start: Value, end: Value, bins: int, size: Int) -> Value:
    """Which of the ``size`` places of an axis each bin of a region covers: bool[n, bins, size]."""
    length = op.Max(op.Add(op.Sub(end, start), 1.0), op.const(np.float32(1)))
    step = op.Div(length, float(bins))
    first = op.Add(op.Floor(op.Mul(op.const(np.arange(bins, dtype=np.float32)), step)), start)
    past = op.Add(op.Ceil(op.Mul(op.const(np.arange(1, bins + 1, dtype=np.float32)), step)), start)
    places = op.cast(op.Range(0, size, 1), DataType.FLOAT)
    return op.And(
        op.GreaterOrEqual(places, op.Unsqueeze(first, [2])),
        op.Less(places, op.Unsqueeze(past, [2])),
    )


@caffe2("BatchPermutation")
def batch_permutation(op: Builder, x: Value, indices: Indices) -> Value:
    """The rows of ``x`` in another order; as many as there are."""
    require(x.dims[0], indices.dims[0])
    return op.Gather(x, indices, axis=0)


@caffe2("HeatmapMaxKeypoint")
def heatmap_max_keypoint(op: Builder, heatmaps: Images, boxes: Matrix, *, should_output_softmax: bool = False) -> Value:
    """Where each heatmap [size, size] of a box is largest, between its pixels: a Taylor expansion around the largest.

    float32[n, 4, keypoints]: x, y in the image, the height of the fitted peak, and the softmax at the largest pixel
    (0 unless asked for).
    """
    count, keypoints, size = heatmaps.dims[:3]
    require(heatmaps.dims[3], size)
    require(boxes.dims[0], count)
    flat = op.reshape(heatmaps, [count, keypoints, size * size])
    at = op.ArgMax(flat, axis=-1, keepdims=1)
    best = op.ReduceMax(flat, [-1], keepdims=0)
    side = op.dim_value(size)
    row = op.Squeeze(op.Div(at, side), [2])
    column = op.Squeeze(op.Mod(at, side), [2])
    dx, dy, score = _peak(op, _neighbours(op, flat, row, column, size), best)
    x1, y1, x2, y2 = op.Split(op.Slice(boxes, [0], [4], [1]), axis=1, num_outputs=4)
    n = op.cast(side, DataType.FLOAT)
    places = [
        op.Add(start, op.Div(op.Mul(op.Add(op.Add(op.cast(pixel, DataType.FLOAT), 0.5), shift), length), n))
        for pixel, shift, start, length in (
            (column, dx, x1, op.Max(op.Sub(x2, x1), op.const(np.float32(1)))),
            (row, dy, y1, op.Max(op.Sub(y2, y1), op.const(np.float32(1)))),
        )
    ]
    if should_output_softmax:
        probability = op.Squeeze(op.GatherElements(op.Softmax(flat, axis=-1), at, axis=2), [2])
    else:
        probability = op.expand(op.const(0.0, DataType.FLOAT), best.dims)
    return op.Concat(*(op.Unsqueeze(part, [1]) for part in (*places, score, probability)), axis=1)


def _neighbours(op: Builder, flat: Value, row: Value, column: Value, size: Int) -> list[list[Value]]:
    """The 3 x 3 pixels around a pixel of each heatmap; those over the edge are their mirror images at the pixel."""
    last = op.dim_value(size - 1)
    # -1, 0, 1 from each pixel, reflected where that is outside.
    steps = op.const(np.array([-1, 0, 1]))

    def around(pixel: Value) -> Value:
        places = op.Add(op.Unsqueeze(pixel, [2]), steps)
        return op.Sub(last, op.Abs(op.Sub(last, op.Abs(places))))

    rows = op.Mul(op.Unsqueeze(around(row), [3]), op.dim_value(size))
    indices = op.Add(rows, op.Unsqueeze(around(column), [2]))
    pixels = op.GatherElements(flat, op.reshape(indices, [*flat.dims[:2], 9]), axis=2)
    parts = [op.Squeeze(part, [2]) for part in op.Split(pixels, axis=2, num_outputs=9)]
    return [parts[0:3], parts[3:6], parts[6:9]]


def _peak(op: Builder, f: list[list[Value]], best: Value) -> tuple[Value, Value, Value]:
    """The top of the parabola through 3 x 3 pixels: how far to the right, how far down, how high."""

    def total(*terms: tuple[float, Value]) -> Value:
        result: Value | None = None
        for factor, term in terms:
            scaled = term if factor == 1 else op.Mul(term, factor)
            result = scaled if result is None else op.Add(result, scaled)
        assert result is not None
        return result

    bx = op.Div(total((1, f[1][0]), (-1, f[1][2])), 2.0)
    by = op.Div(total((1, f[0][1]), (-1, f[2][1])), 2.0)
    xx = total((1, f[1][0]), (-2, f[1][1]), (1, f[1][2]))
    yy = total((1, f[0][1]), (-2, f[1][1]), (1, f[2][1]))
    xy = op.Div(total((1, f[2][2]), (-1, f[2][0]), (-1, f[0][2]), (1, f[0][0])), 4.0)
    determinant = op.Sub(op.Mul(xx, yy), op.Mul(xy, xy))
    flat = op.Less(op.Abs(determinant), 1e-4)
    safe = op.Where(flat, 1.0, determinant)
    dx = op.Div(op.Sub(op.Mul(yy, bx), op.Mul(xy, by)), safe)
    dy = op.Div(op.Sub(op.Mul(xx, by), op.Mul(xy, bx)), safe)
    # Not further than the pixels reach.
    reach = op.Div(1.5, op.Max(op.Abs(dx), op.Abs(dy), op.const(np.float32(1.5))))
    dx, dy = (op.Where(flat, 0.0, op.Mul(d, reach)) for d in (dx, dy))
    linear = op.Add(op.Mul(bx, dx), op.Mul(by, dy))
    bend = op.Add(
        op.Add(op.Mul(xx, op.Mul(dx, dx)), op.Mul(yy, op.Mul(dy, dy))), op.Mul(op.Mul(xy, 2.0), op.Mul(dx, dy))
    )
    height = op.Add(op.Sub(f[1][1], linear), op.Mul(bend, 0.5))
    return dx, dy, op.Where(flat, best, height)

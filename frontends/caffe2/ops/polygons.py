"""The area that two rotated rectangles share.

The corners of the shared polygon are where sides cross and the corners of one rectangle that lie in the other. It is
convex, so its corners sorted by angle around a point inside go around it. Semantics as in Caffe2's
``generate_proposals_op_util_nms.h``, which sorts them by a convex hull.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nxconvert.frontends.caffe2.table import Builder, DataType, Value

#: Rectangles whose corners are so close are one and the same.
_SAME = 0.00001
#: Sides whose cross product is no larger are parallel.
_PARALLEL = 1e-14
#: A key behind that of any angle.
_LAST = 4.0
#: Degrees to radians, with the digits that Caffe2 has.
_RADIANS = 0.01745329251
_POINTS = 24


class Rectangles(NamedTuple):
    """Rectangles in groups.

    Attributes:
        x: of the corners, float32[groups, n, 4].
        y: the same.
        area: float32[groups, n].
    """

    x: Value
    y: Value
    area: Value


def rectangles(op: Builder, boxes: Value) -> Rectangles:
    """Boxes ``x, y, width, height, degrees``, float32[groups, n, 5], as corners."""
    x, y, width, height, degrees = op.Split(boxes, axis=2, num_outputs=5)
    angle = op.Mul(degrees, -_RADIANS)
    a, b = op.Mul(op.Sin(angle), 0.5), op.Mul(op.Cos(angle), 0.5)
    ah, aw, bh, bw = op.Mul(a, height), op.Mul(a, width), op.Mul(b, height), op.Mul(b, width)
    x_offsets = [op.Neg(op.Add(ah, bw)), op.Sub(ah, bw)]
    y_offsets = [op.Sub(bh, aw), op.Neg(op.Add(bh, aw))]
    corners = [
        op.Add(centre, op.Concat(*offsets, *(op.Neg(o) for o in offsets), axis=2))
        for centre, offsets in ((x, x_offsets), (y, y_offsets))
    ]
    return Rectangles(corners[0], corners[1], op.Squeeze(op.Mul(width, height), [2]))


class _Sides(NamedTuple):
    """Corners, and the ways from each to the next: [groups, n or 1, 4], or with an axis of 1 for a partner's."""

    x: Value
    y: Value
    dx: Value
    dy: Value

    def at(self, op: Builder, axis: int) -> _Sides:
        """The same with an axis more."""
        return _Sides(*(op.Unsqueeze(v, [axis]) for v in self))


def _sides(op: Builder, x: Value, y: Value) -> _Sides:
    return _Sides(x, y, *(op.Sub(op.Gather(v, [1, 2, 3, 0], axis=2), v) for v in (x, y)))


def areas_shared(op: Builder, boxes: Rectangles, best: Value) -> Value:
    """The area that each rectangle shares with one of its group: float32[groups, n].

    Args:
        op: the builder.
        boxes: all rectangles.
        best: the index of the one, int64[groups, 1].
    """
    x, y = (op.GatherND(v, op.Unsqueeze(best, [2]), batch_dims=1) for v in (boxes.x, boxes.y))
    one, others = _sides(op, x, y), _sides(op, boxes.x, boxes.y)
    groups, count = boxes.area.dims
    crossing_x, crossing_y, crosses = _crossings(op, one.at(op, 3), others.at(op, 2))
    flat = [groups, count, 16]
    within_others, within_one = _inside(op, one, others), _inside(op, others, one)
    px = op.Concat(op.reshape(crossing_x, flat), op.expand(x, boxes.x.dims), boxes.x, axis=2)
    py = op.Concat(op.reshape(crossing_y, flat), op.expand(y, boxes.y.dims), boxes.y, axis=2)
    valid = op.Concat(op.reshape(crosses, flat), within_others, within_one, axis=2)
    area = _polygon_area(op, px, py, valid)
    apart = op.Max(op.Abs(op.Sub(boxes.x, x)), op.Abs(op.Sub(boxes.y, y)))
    same = op.LessOrEqual(op.ReduceMax(apart, [2], keepdims=0), np.array(_SAME, np.float32))
    smaller = op.Min(boxes.area, op.GatherElements(boxes.area, best, axis=1))
    return op.Where(same, smaller, area)


def _cross(op: Builder, ax: Value, ay: Value, bx: Value, by: Value) -> Value:
    return op.Sub(op.Mul(ax, by), op.Mul(bx, ay))


def _crossings(op: Builder, a: _Sides, b: _Sides) -> tuple[Value, Value, Value]:
    """Where sides of ``a`` cross sides of ``b``, and whether they do: [groups, n, 4, 4] each."""
    determinant = _cross(op, b.dx, b.dy, a.dx, a.dy)
    parallel = op.LessOrEqual(op.Abs(determinant), np.array(_PARALLEL, np.float32))
    safe = op.Where(parallel, 1.0, determinant)
    x, y = op.Sub(b.x, a.x), op.Sub(b.y, a.y)
    along_a = op.Div(_cross(op, b.dx, b.dy, x, y), safe)
    along_b = op.Div(_cross(op, a.dx, a.dy, x, y), safe)
    crosses = op.Not(parallel)
    for along in (along_a, along_b):
        crosses = op.And(crosses, op.And(op.GreaterOrEqual(along, 0.0), op.LessOrEqual(along, 1.0)))
    return op.Add(a.x, op.Mul(along_a, a.dx)), op.Add(a.y, op.Mul(along_a, a.dy)), crosses


def _inside(op: Builder, points: _Sides, boxes: _Sides) -> Value:
    """Whether corners of one rectangle lie in the other: bool[groups, n, 4]."""
    x = op.Sub(points.x, op.Slice(boxes.x, [0], [1], [2]))
    y = op.Sub(points.y, op.Slice(boxes.y, [0], [1], [2]))
    inside: Value | None = None
    # Along the first side, and against the last one.
    for side, sign in ((0, 1), (3, -1)):
        dx, dy = (op.Slice(v, [side], [side + 1], [2]) for v in (boxes.dx, boxes.dy))
        along = op.Add(op.Mul(x, dx), op.Mul(y, dy))
        along = along if sign > 0 else op.Neg(along)
        whole = op.Add(op.Mul(dx, dx), op.Mul(dy, dy))
        between = op.And(op.GreaterOrEqual(along, 0.0), op.LessOrEqual(along, whole))
        inside = between if inside is None else op.And(inside, between)
    assert inside is not None
    return inside


def _polygon_area(op: Builder, x: Value, y: Value, valid: Value) -> Value:
    """The area of convex polygons with corners in any order, some of them none: [groups, n, 24] to [groups, n]."""
    weights = op.cast(valid, DataType.FLOAT)
    corners = op.ReduceSum(weights, [2], keepdims=1)
    some = op.Max(corners, np.array(1, np.float32))
    x, y = (op.Sub(v, op.Div(op.ReduceSum(op.Where(valid, v, 0.0), [2], keepdims=1), some)) for v in (x, y))
    # Grows with the angle, from -2 to 2.
    size = op.Add(op.Abs(x), op.Abs(y))
    cosine = op.Div(x, op.Where(op.Equal(size, 0.0), 1.0, size))
    angle = op.Where(op.Less(y, 0.0), op.Sub(cosine, 1.0), op.Sub(1.0, cosine))
    keys, at = op.TopK(op.Where(valid, angle, _LAST), [_POINTS], axis=2, largest=0)
    real = op.Less(keys, _LAST)
    x, y = (op.GatherElements(v, at, axis=2) for v in (x, y))
    # What is no corner stands where the first one does.
    x, y = (op.Where(real, v, op.Slice(v, [0], [1], [2])) for v in (x, y))
    following = [op.Gather(v, [*range(1, _POINTS), 0], axis=2) for v in (x, y)]
    doubled = op.ReduceSum(_cross(op, x, y, *following), [2], keepdims=0)
    area = op.Div(op.Abs(doubled), 2.0)
    return op.Where(op.Greater(op.Squeeze(corners, [2]), 2.0), area, 0.0)

"""Suppression of boxes that overlap better ones: hard and soft, of upright and rotated boxes.

Boxes come in groups (an image, or a class of an image) that do not see each other; all groups are worked on at once.
Upright boxes that are dropped or kept are ONNX's ``NonMaxSuppression``; all else is a ``Loop`` that takes the best box
of every group in each step. Semantics as in Caffe2's ``generate_proposals_op_util_nms.h``.
"""

from __future__ import annotations

from typing import NamedTuple

from nxconvert.frontends.caffe2.ops.boxes import length, number, numbers
from nxconvert.frontends.caffe2.ops.polygons import Rectangles, areas_shared, rectangles
from nxconvert.frontends.caffe2.ops.sorting import NEVER, sorting_keys
from nxconvert.frontends.caffe2.table import Builder, DataType, Value
from nxconvert.graph.builder import TensorType
from nxconvert.graph.dims import Int

_UNLIMITED = 2**31 - 1


class Rule(NamedTuple):
    """What a box that is kept does to those that overlap it.

    Attributes:
        method: ``hard`` drops those that overlap more than ``overlap``, ``linear`` multiplies their scores by what is
            not shared, ``gaussian`` multiplies the scores of all boxes.
        overlap: the shared area over that of both boxes together.
        sigma: the width of the Gaussian, squared and doubled.
        lowest: boxes with lower scores after that are dropped.
        plus_one: the old convention of pixels that belong to a box.
    """

    method: str
    overlap: float
    sigma: float = 0.5
    lowest: float = NEVER
    plus_one: bool = True


class Kept(NamedTuple):
    """The boxes that are kept, in rows of ``m`` places: in the order in which they are, then empty places.

    Attributes:
        score: float32[groups, m]; minus infinity at empty places.
        box: the index of the box, int64[groups, m].
    """

    score: Value
    box: Value


def suppress(op: Builder, boxes: Value, scores: Value, rule: Rule, most: int) -> Kept:
    """The boxes that are kept.

    Args:
        op: the builder.
        boxes: float32[groups, n, 4 or 5].
        scores: float32[groups, n]; minus infinity where there is no box.
        rule: what overlapping boxes do to each other.
        most: how many boxes a group keeps; 0 for all.
    """
    if scores.dims[1] == 0:
        return Kept(scores, op.cast(scores, DataType.INT64))
    if rule.method == "hard" and boxes.dims[-1] == 4 and 0 <= rule.overlap <= 1:
        return _by_operator(op, boxes, scores, rule, most)
    return _by_loop(op, boxes, scores, rule, most)


# ---- ONNX's operator -------------------------------------------------------------------------------------------------


def _by_operator(op: Builder, boxes: Value, scores: Value, rule: Rule, most: int) -> Kept:
    keys = op.Unsqueeze(sorting_keys(op, scores), [1])
    selected = selected_by_operator(op, boxes, keys, rule, most)
    group, box = (op.Gather(selected, column, axis=1) for column in (0, 2))
    empty = op.expand(op.const(NEVER, DataType.FLOAT), scores.dims)
    found = op.GatherND(scores, op.Gather(selected, [0, 2], axis=1))
    # Places are counted from the first box of the group on.
    counts = op.ReduceSum(
        op.cast(op.Equal(op.Range(0, scores.dims[0], 1), op.Unsqueeze(group, [1])), DataType.INT64), [0], keepdims=0
    )
    first = op.Gather(op.CumSum(counts, 0, exclusive=1), group, axis=0)
    place = op.Sub(op.Range(0, group.dims[0], 1), first)
    places = op.Concat(op.Unsqueeze(group, [1]), op.Unsqueeze(place, [1]), axis=1)
    nothing = op.expand(op.const(0, DataType.INT64), scores.dims)
    return Kept(op.ScatterND(empty, places, found), op.ScatterND(nothing, places, box))


def selected_by_operator(op: Builder, boxes: Value, scores: Value, rule: Rule, most: int) -> Value:
    """Rows of group, 0 and box of those that are kept, best first: int64[kept, 3].

    ``scores`` are float32[groups, 1, n]; minus infinity where there is no box. No box ends before it starts.
    """
    if rule.plus_one:
        # The pixel that a box ends with belongs to it.
        boxes = op.Add(boxes, op.const([0.0, 0.0, 1.0, 1.0], DataType.FLOAT))
    else:
        scores = _one_empty_box(op, boxes, scores)
    limit = op.const([most if most > 0 else _UNLIMITED])
    threshold, lowest = (op.const([x], DataType.FLOAT) for x in (rule.overlap, NEVER))
    return op.NonMaxSuppression(boxes, scores, limit, threshold, lowest)


def _one_empty_box(op: Builder, boxes: Value, scores: Value) -> Value:
    """The scores without those of boxes of no area but for the best one of each group.

    What two of them share is 0 / 0 of them, which is not little enough for Caffe2; ONNX keeps them all.
    """
    starts, ends = op.Split(boxes, axis=2, num_outputs=2)
    empty = op.Equal(op.ReduceMin(op.Sub(ends, starts), [2], keepdims=0), 0.0)
    empty = op.Unsqueeze(empty, [1])
    # One place more, since there may be no box at all.
    candidates = op.Pad(op.Where(empty, scores, NEVER), [0, 0, 0, 0, 0, 1], NEVER)
    best = op.ArgMax(candidates, axis=2, keepdims=1)
    later = op.And(empty, op.Not(op.Equal(op.Range(0, scores.dims[2], 1), best)))
    return op.Where(later, NEVER, scores)


# ---- one step a box --------------------------------------------------------------------------------------------------


def _by_loop(op: Builder, boxes: Value, scores: Value, rule: Rule, most: int) -> Kept:
    groups, count = scores.dims
    keys = sorting_keys(op, scores) if rule.method == "hard" else scores
    pending = op.Greater(scores, NEVER)
    order = op.expand(op.Unsqueeze(op.Range(0, count, 1), [0]), scores.dims)
    states = {"score": keys, "pending": pending, "order": order}
    shape = _shapes(op, boxes, rule)
    body = op.child()
    body.input("step", DataType.INT64, ())
    body.input("going", DataType.BOOL, ())
    score, pending, order = (body.input(name, v.etype, v.dims) for name, v in states.items())
    best, alive, first = _best(body, score, pending, order)
    value = body.Where(alive, body.GatherElements(score, best, axis=1), NEVER)
    rest = body.And(pending, body.Not(body.Equal(op.Range(0, count, 1), best)))
    score, rest = _weakened(body, shape, best, score, rest, rule)
    if rule.method != "hard":
        # The first of those that are left takes the place of the one that goes.
        place = body.GatherElements(order, best, axis=1)
        order = body.Where(body.Equal(op.Range(0, count, 1), first), place, order)
    results = [_any(body, rest), score, rest, order, *(body.Squeeze(v, [1]) for v in (value, best))]
    steps = op.const(most) if most > 0 else None
    # A loop without a step says that its results have no groups where their number is not known: it has none to fill.
    kept: list[Int] = [op.fresh("kept"), groups if isinstance(groups, int) else op.fresh("groups")]
    types = [TensorType(v.etype, v.dims) for v in states.values()]
    types += [TensorType(value.etype, tuple(kept)), TensorType(best.etype, tuple(kept))]
    looped = op.node(
        "Loop", [steps, _any(op, states["pending"]), *states.values()], {"body": body.graph(results, "best")}, types
    )
    values, indices = looped[-2:]
    if not isinstance(groups, int):
        values, indices = (op.Reshape(v, [kept[0], groups], allowzero=1) for v in (values, indices))
    values, indices = (op.Transpose(v, perm=[1, 0]) for v in (values, indices))
    if keys is not scores:
        values = op.Where(op.Greater(values, NEVER), op.GatherElements(scores, indices, axis=1), NEVER)
    return Kept(values, indices)


def _any(op: Builder, flags: Value) -> Value:
    # The sum of nothing is defined, its maximum is not.
    return op.Greater(op.ReduceSum(op.cast(flags, DataType.INT64), keepdims=0), 0)


def _best(op: Builder, score: Value, pending: Value, order: Value) -> tuple[Value, Value, Value]:
    """The best pending box of each group, whether it has one, and its first pending box: all [groups, 1].

    Of equal boxes the first one in order is the best.
    """
    late = op.const(_UNLIMITED)
    candidates = op.Where(pending, score, NEVER)
    highest = op.ReduceMax(candidates, [1], keepdims=1)
    is_best = op.And(pending, op.Equal(candidates, highest))
    best = op.ArgMin(op.Where(is_best, order, late), axis=1, keepdims=1)
    first = op.ArgMin(op.Where(pending, order, late), axis=1, keepdims=1)
    alive = op.Greater(op.ReduceSum(op.cast(pending, DataType.INT64), [1], keepdims=1), 0)
    return best, alive, first


class _Upright(NamedTuple):
    """Corners and areas of boxes, each [groups, n]."""

    x1: Value
    y1: Value
    x2: Value
    y2: Value
    area: Value


def _shapes(op: Builder, boxes: Value, rule: Rule) -> _Upright | Rectangles:
    if boxes.dims[-1] == 5:
        return rectangles(op, boxes)
    x1, y1, x2, y2 = (op.Squeeze(x, [2]) for x in numbers(op, boxes))
    return _Upright(x1, y1, x2, y2, op.Mul(length(op, x1, x2, rule.plus_one), length(op, y1, y2, rule.plus_one)))


def _weakened(
    op: Builder, shape: _Upright | Rectangles, best: Value, score: Value, rest: Value, rule: Rule
) -> tuple[Value, Value]:
    """The scores of the boxes that are left, and those that still are, after one is kept."""
    shared = areas_shared(op, shape, best) if isinstance(shape, Rectangles) else _upright_shared(op, shape, best, rule)
    area = op.GatherElements(shape.area, best, axis=1)
    overlap = op.Div(shared, op.Sub(op.Add(area, shape.area), shared))
    limit = number(rule.overlap)
    if rule.method == "hard":
        return score, op.And(rest, op.LessOrEqual(overlap, limit))
    if rule.method == "linear":
        weight = op.Where(op.Greater(overlap, limit), op.Sub(1.0, overlap), 1.0)
    else:
        weight = op.Exp(op.Div(op.Neg(op.Mul(overlap, overlap)), number(rule.sigma)))
    score = op.Where(rest, op.Mul(score, weight), score)
    return score, op.And(rest, op.GreaterOrEqual(score, number(rule.lowest)))


def _upright_shared(op: Builder, boxes: _Upright, best: Value, rule: Rule) -> Value:
    """The area that each box shares with the best one."""
    x1, y1, x2, y2 = (op.GatherElements(x, best, axis=1) for x in boxes[:4])
    none = op.const(number(0))
    width = op.Max(length(op, op.Max(boxes.x1, x1), op.Min(boxes.x2, x2), rule.plus_one), none)
    height = op.Max(length(op, op.Max(boxes.y1, y1), op.Min(boxes.y2, y2), rule.plus_one), none)
    return op.Mul(width, height)

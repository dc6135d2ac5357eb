"""Detections: the boxes of all classes of all images that are left in the end.

Semantics as in Caffe2's ``box_with_nms_limit_op.cc``.
"""

from __future__ import annotations

from typing import NamedTuple

from nxconvert.frontends.caffe2.ops.sorting import NEVER, sorting_keys
from nxconvert.frontends.caffe2.ops.suppression import Kept, Rule, suppress
from nxconvert.frontends.caffe2.table import Builder, DataType, LoweringError, Matrix, Value, Vector, caffe2
from nxconvert.graph.dims import Int, maximum, minimum, require


class _Candidates(NamedTuple):
    """What there is of each class of each image, in rows of as many places as the image with the most boxes has.

    Attributes:
        scores: float32[images, classes, places]; minus infinity where there is nothing.
        boxes: float32[images, classes, places, 4 or 5].
    """

    scores: Value
    boxes: Value


@caffe2("BoxWithNMSLimit")
def box_with_nms_limit(
    op: Builder, scores: Matrix, boxes: Matrix, batch_splits: Vector | None = None, *, score_thresh: float = 0.05,
    nms: float = 0.3, detections_per_im: int = 100, soft_nms_enabled: bool = False, soft_nms_method: str = "linear",
    soft_nms_sigma: float = 0.5, soft_nms_min_score_thres: float = 0.001, rotated: bool = False,
    cls_agnostic_bbox_reg: bool = False, input_boxes_include_bg_cls: bool = True,
    output_classes_include_bg_cls: bool = True, legacy_plus_one: bool = True,
) -> tuple[Value, ...]:  # fmt: skip
    """Non-maximum suppression in each class but the background, and the best of what is left in each image.

    Returns six blobs, ordered by image, class and score: scores, float32[n]; boxes, float32[n, 4 or 5]; classes,
    float32[n]; the number of each image, float32[images]; the index of each among its image's boxes, int32[n]; the
    number of each class of each image, int32[images, classes].
    """
    if soft_nms_method not in ("linear", "gaussian"):
        raise LoweringError(f"the method '{soft_nms_method}' of soft suppression is neither linear nor gaussian")
    box_dim = 5 if rotated else 4
    found = _candidates(
        op, scores, boxes, batch_splits, box_dim, float(score_thresh), bool(cls_agnostic_bbox_reg),
        bool(input_boxes_include_bg_cls),
    )  # fmt: skip
    plus_one = bool(legacy_plus_one)
    if soft_nms_enabled:
        lowest = float(soft_nms_min_score_thres)
        rule = Rule(soft_nms_method, float(nms), float(soft_nms_sigma), lowest, plus_one)
    else:
        rule = Rule("hard", float(nms), plus_one=plus_one)
    images, classes, places = found.scores.dims
    kept = suppress(
        op,
        op.reshape(found.boxes, [images * classes, places, box_dim]),
        op.reshape(found.scores, [images * classes, places]),
        rule,
        0 if soft_nms_enabled else max(detections_per_im, 0),
    )
    return _results(op, found, kept, detections_per_im, bool(output_classes_include_bg_cls))


def _candidates(
    op: Builder, scores: Value, boxes: Value, splits: Value | None, box_dim: int, above: float, agnostic: bool,
    background: bool,
) -> _Candidates:  # fmt: skip
    """The candidates in rows; ``background`` is whether the first class is it, or else the last one."""
    scores, boxes = (op.reshape(x, x.dims[:2]) if x.rank == 4 else x for x in (scores, boxes))
    if scores.rank != 2 or boxes.rank != 2:
        raise LoweringError(f"scores of rank {scores.rank} and boxes of rank {boxes.rank}, not 2")
    count, all_classes = scores.dims
    classes = all_classes - 1
    require(boxes.dims[0], count)
    known = all_classes if background else classes
    require(boxes.dims[1], box_dim if agnostic else known * box_dim)
    first = 1 if background else 0
    scores = _part(op, scores, first, first + classes)
    boxes = op.reshape(boxes, [count, 1 if agnostic else known, box_dim])
    if not agnostic:
        boxes = _part(op, boxes, first, first + classes)
    scores = op.Where(op.Greater(scores, above), scores, NEVER)
    scores, boxes = _by_image(op, scores, boxes, splits)
    images, places = scores.dims[:2]
    boxes = op.expand(boxes, [images, places, classes, box_dim])
    return _Candidates(op.Transpose(scores, perm=[0, 2, 1]), op.Transpose(boxes, perm=[0, 2, 1, 3]))


def _part(op: Builder, x: Value, start: int, end: Int) -> Value:
    """Columns of ``x``."""
    if start == 0 and end == x.dims[1]:
        return x
    part = op.Slice(x, [start], [end], [1])
    return op.reshape(part, [x.dims[0], end - start, *x.dims[2:]])


def _by_image(op: Builder, scores: Value, boxes: Value, splits: Value | None) -> tuple[Value, Value]:
    """Rows of all images as rows of each: [images, places, ...]."""
    if splits is None:
        return op.Unsqueeze(scores, [0]), op.Unsqueeze(boxes, [0])
    counts = op.cast(splits, DataType.INT64)
    start = op.Unsqueeze(op.CumSum(counts, 0, exclusive=1), [1])
    # Zero is among them, so that there is a largest one.
    most = op.ReduceMax(op.Concat(counts, op.const([0]), axis=0), [0], keepdims=0)
    place = op.Unsqueeze(op.Range(0, op.symbol_of(most, "boxes", low=0), 1), [0])
    there = op.Less(place, op.Unsqueeze(counts, [1]))
    row = op.Where(there, op.Add(start, place), 0)
    scores = op.Where(op.Unsqueeze(there, [2]), op.Gather(scores, row, axis=0), NEVER)
    return scores, op.Gather(boxes, row, axis=0)


def _results(op: Builder, found: _Candidates, kept: Kept, most: int, count_background: bool) -> tuple[Value, ...]:
    images, classes, _ = found.scores.dims
    places = kept.score.dims[1]
    whole = [images, classes * places]
    limit = whole[1] if most <= 0 else minimum(most, whole[1])
    flat = op.reshape(kept.score, whole)
    _, at = op.TopK(flat if most <= 0 else _limited_keys(op, flat, most), [limit], axis=1)
    scores = op.GatherElements(flat, at, axis=1)
    # By class; in a class they stay as they are.
    each = op.dim_value(maximum(places, 1))
    class_, order = op.TopK(op.Div(at, each), [limit], axis=1, largest=0)
    scores, at = (op.GatherElements(v, order, axis=1) for v in (scores, at))
    is_kept = op.Greater(scores, NEVER)
    where = op.Transpose(op.NonZero(is_kept), perm=[1, 0])
    image = op.Gather(where, 0, axis=1)
    chosen_class = op.GatherND(class_, where)
    box = op.GatherND(op.GatherElements(op.reshape(kept.box, whole), at, axis=1), where)
    places_of_boxes = op.Concat(*(op.Unsqueeze(v, [1]) for v in (image, chosen_class, box)), axis=1)
    counts = op.ReduceSum(op.cast(is_kept, DataType.INT64), [1], keepdims=0)
    label = op.cast(chosen_class, DataType.FLOAT)
    return (
        op.GatherND(scores, where),
        op.GatherND(found.boxes, places_of_boxes),
        op.Add(label, 1.0) if count_background else label,
        op.cast(counts, DataType.FLOAT),
        op.cast(box, DataType.INT32),
        _class_counts(op, class_, is_kept, classes),
    )


def _limited_keys(op: Builder, scores: Value, most: int) -> Value:
    """Numbers that order what is kept in each image as scores do, equal ones as the runtime has them.

    It sorts what is kept in an image only if that is too much.
    """
    kept = op.ReduceSum(op.cast(op.Greater(scores, NEVER), DataType.INT64), [1], keepdims=1)
    too_much = op.Greater(kept, most)
    some = op.Greater(op.ReduceSum(op.cast(too_much, DataType.INT64), keepdims=0), 0)
    return op.Where(too_much, sorting_keys(op, scores, some), scores)


def _class_counts(op: Builder, class_: Value, is_kept: Value, classes: Int) -> Value:
    """How many of each class are kept in each image, 0 for the background: int32[images, classes + 1]."""
    named = op.Equal(op.Unsqueeze(class_, [1]), op.Unsqueeze(op.Range(-1, classes, 1), [1]))
    hits = op.And(named, op.Unsqueeze(is_kept, [1]))
    return op.ReduceSum(op.cast(hits, DataType.INT32), [2], keepdims=0)

"""Proposals: the regions that a network finds worth a second look, chosen, collected and dealt out to feature maps.

Semantics as in Caffe2's ``generate_proposals_op.cc``, ``collect_and_distribute_fpn_rpn_proposals_op.cc`` and
``rmac_regions_op.cc``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from nxconvert.frontends.caffe2.ops.boxes import Angles, clipped, length, moved, number, numbers
from nxconvert.frontends.caffe2.ops.regions import regions
from nxconvert.frontends.caffe2.ops.sorting import NEVER, sorting_keys
from nxconvert.frontends.caffe2.ops.suppression import Rule, selected_by_operator, suppress
from nxconvert.frontends.caffe2.table import Builder, DataType, Images, Int, LoweringError, Matrix, Value, caffe2
from nxconvert.graph.dims import compare, minimum, require


@caffe2("GenerateProposals", "GenerateProposalsCPP")
def generate_proposals(
    op: Builder, scores: Images, bbox_deltas: Images, im_info: Matrix, anchors: Matrix, *,
    spatial_scale: float = 1 / 16, pre_nms_topN: int = 6000, post_nms_topN: int = 300, nms_thresh: float = 0.7,
    min_size: float = 16.0, angle_bound_on: bool = True, angle_bound_lo: int = -90, angle_bound_hi: int = 90,
    clip_angle_thresh: float = 1.0, legacy_plus_one: bool = True,
) -> tuple[Value, Value]:  # fmt: skip
    """The best of the boxes that were regressed for each anchor at each place, those that overlap them dropped.

    Args:
        op: the builder.
        scores: of each anchor at each place, float32[images, anchors, height, width].
        bbox_deltas: float32[images, anchors * 4 or 5, height, width].
        im_info: height, width and scale of each image.
        anchors: float32[anchors, 4 or 5].
        spatial_scale: of the feature map.
        pre_nms_topN: how many boxes are looked at; all if not positive.
        post_nms_topN: how many are kept of each image; all if not positive.
        nms_thresh: boxes that overlap a better one more than that are dropped.
        min_size: boxes that are smaller are dropped, in pixels of the image before it was scaled.
        angle_bound_on: whether angles are brought back to the range of the next two.
        angle_bound_lo: degrees.
        angle_bound_hi: degrees.
        clip_angle_thresh: rotated boxes are clipped up to that angle.
        legacy_plus_one: the old convention of boxes.

    Returns:
        rows of image and box, float32[n, 5 or 6], by image and score; and their scores, float32[n].
    """
    images, count, height, width = scores.dims
    box_dim = _box_dim(anchors, bbox_deltas, count)
    anchors = op.reshape(anchors, [count, box_dim])
    require(im_info.dims[1], 3)
    for dim, want in zip(bbox_deltas.dims, (images, count * box_dim, height, width), strict=True):
        require(dim, want)
    require(im_info.dims[0], images)
    angles = Angles(bool(angle_bound_on), angle_bound_lo, angle_bound_hi, clip_angle_thresh)
    plus_one = bool(legacy_plus_one)
    total = count * height * width
    looked = total if pre_nms_topN <= 0 else minimum(pre_nms_topN, total)
    flat = op.reshape(scores, [images, total])
    _, at = op.TopK(_keys(op, flat, pre_nms_topN), [looked], axis=1)
    best = op.GatherElements(flat, at, axis=1)
    deltas = _deltas(op, bbox_deltas, at, count, box_dim)
    all_anchors = _anchors(op, anchors, height, width, float(np.float32(1) / np.float32(spatial_scale)))
    boxes = moved(op, op.Gather(all_anchors, at, axis=0), deltas, (1, 1, 1, 1), plus_one, angles)
    info = [op.Unsqueeze(part, [2]) for part in op.Split(im_info, axis=1, num_outputs=3)]
    boxes = clipped(op, boxes, op.Floor(info[0]), op.Floor(info[1]), plus_one, angles)
    fits = op.Squeeze(_fits(op, boxes, info, float(min_size), plus_one), [2])
    rule = Rule("hard", float(nms_thresh), plus_one=plus_one)
    places = _kept(op, boxes, fits, rule, post_nms_topN)
    image = op.cast(op.Slice(places, [0], [1], [1]), DataType.FLOAT)
    return op.Concat(image, op.GatherND(boxes, places), axis=1), op.GatherND(best, places)


def _keys(op: Builder, scores: Value, most: int) -> Value:
    """Numbers that order boxes as their scores do, equal ones as the runtime has them if it sorts all of them.

    Of more boxes than are looked at it sorts the best ones only, by a heap; equal ones are in the file's order here.
    """
    if most <= 0:
        return sorting_keys(op, scores)
    fits = compare(scores.dims[1], "<=", most)
    if fits is None:
        return sorting_keys(op, scores, op.LessOrEqual(op.dim_value(scores.dims[1]), most))
    return sorting_keys(op, scores) if fits else scores


def _box_dim(anchors: Value, deltas: Value, count: Int) -> int:
    known = anchors.dims[1]
    if not isinstance(known, int):
        channels = deltas.dims[1]
        known = channels // count if isinstance(channels, int) and isinstance(count, int) else 4
        require(anchors.dims[1], known)
    if known not in (4, 5):
        raise LoweringError(f"the anchors have {known} numbers, not 4 or 5")
    return known


def _deltas(op: Builder, deltas: Value, at: Value, count: Int, box_dim: int) -> Value:
    """What was regressed at some places, float32[images, places, box_dim]."""
    images, _, height, width = deltas.dims
    by_anchor = op.reshape(deltas, [images, count, box_dim, height * width])
    rows = op.reshape(op.Transpose(by_anchor, perm=[0, 1, 3, 2]), [images, count * height * width, box_dim])
    return op.GatherND(rows, op.Unsqueeze(at, [2]), batch_dims=1)


def _anchors(op: Builder, anchors: Value, height: Int, width: Int, stride: float) -> Value:
    """The anchors at every place of the feature map, by anchor, row and column: float32[all, 4 or 5]."""
    count, box_dim = anchors.dims

    def shifts(size: Int, axis: int) -> Value:
        places = op.Mul(op.cast(op.Range(0, size, 1), DataType.FLOAT), number(stride))
        which = np.zeros(5 if box_dim == 5 else 4, np.float32)
        which[axis::2] = 1
        which[2 if box_dim == 5 else 4 :] = 0
        return op.Mul(op.Unsqueeze(places, [1]), which)

    at_places = op.Add(op.Unsqueeze(shifts(height, 1), [1]), op.Unsqueeze(shifts(width, 0), [0]))
    everywhere = op.Add(op.Unsqueeze(anchors, [1, 2]), at_places)
    return op.reshape(everywhere, [count * height * width, box_dim])


def _fits(op: Builder, boxes: Value, info: Sequence[Value], min_size: float, plus_one: bool) -> Value:
    """Whether boxes are large enough and have their centre in the image."""
    height, width, scale = info
    parts = numbers(op, boxes)
    if len(parts) == 5:
        x, y, w, h = parts[:4]
    else:
        x1, y1, x2, y2 = parts
        w, h = length(op, x1, x2, plus_one), length(op, y1, y2, plus_one)
        x, y = op.Add(x1, op.Div(w, 2.0)), op.Add(y1, op.Div(h, 2.0))
    smallest = op.Mul(scale, number(min_size))
    large = op.And(op.GreaterOrEqual(w, smallest), op.GreaterOrEqual(h, smallest))
    return op.And(large, op.And(op.Less(x, width), op.Less(y, height)))


def _kept(op: Builder, boxes: Value, fits: Value, rule: Rule, most: int) -> Value:
    """Image and place of the boxes that are kept, of boxes that stand in the order of their scores: int64[n, 2]."""
    # Places are as good as scores, and no two are equal.
    ranks = op.Neg(op.cast(op.Range(0, boxes.dims[1], 1), DataType.FLOAT))
    ranks = op.Where(fits, ranks, NEVER)
    if boxes.dims[2] == 4 and 0 <= rule.overlap <= 1:
        selected = selected_by_operator(op, boxes, op.Unsqueeze(ranks, [1]), rule, most)
        return op.Gather(selected, [0, 2], axis=1)
    kept = suppress(op, boxes, ranks, rule, max(most, 0))
    where = op.Transpose(op.NonZero(op.Greater(kept.score, NEVER)), perm=[1, 0])
    place = op.Unsqueeze(op.GatherND(kept.box, where), [1])
    return op.Concat(op.Slice(where, [0], [1], [1]), place, axis=1)


# ---- feature pyramids ------------------------------------------------------------------------------------------------


@caffe2("CollectRpnProposals")
def collect_rpn_proposals(
    op: Builder, *inputs: Matrix, rpn_max_level: int = 6, rpn_min_level: int = 2, rpn_post_nms_topN: int = 2000
) -> Value:
    """The best regions of all levels: float32[n, 5]. The inputs are the regions of each level, then their scores."""
    return _collected(op, inputs, rpn_max_level - rpn_min_level + 1, rpn_post_nms_topN)


@caffe2("DistributeFpnProposals")
def distribute_fpn_proposals(
    op: Builder, rois: Matrix, *, roi_canonical_scale: int = 224, roi_canonical_level: int = 4,
    roi_max_level: int = 5, roi_min_level: int = 2, legacy_plus_one: bool = True,
) -> tuple[Value, ...]:  # fmt: skip
    """The regions of each level, float32[n, 5], then int32[regions]: where each one is if all levels are in a row."""
    if rois.dims[1] == 4:
        # Without images they are all of the first one.
        rois = op.Pad(rois, [0, 1, 0, 0])
    levels = range(roi_min_level, roi_max_level + 1)
    return _dealt(op, rois, levels, roi_canonical_scale, roi_canonical_level, bool(legacy_plus_one))


@caffe2("CollectAndDistributeFpnRpnProposals")
def collect_and_distribute(
    op: Builder, *inputs: Matrix, roi_canonical_scale: int = 224, roi_canonical_level: int = 4,
    roi_max_level: int = 5, roi_min_level: int = 2, rpn_max_level: int = 6, rpn_min_level: int = 2,
    rpn_post_nms_topN: int = 2000, legacy_plus_one: bool = True,
) -> tuple[Value, ...]:  # fmt: skip
    """The best regions of all levels of one pyramid, and what the operator before makes of them."""
    rois = _collected(op, inputs, rpn_max_level - rpn_min_level + 1, rpn_post_nms_topN)
    levels = range(roi_min_level, roi_max_level + 1)
    return rois, *_dealt(op, rois, levels, roi_canonical_scale, roi_canonical_level, bool(legacy_plus_one))


def _collected(op: Builder, inputs: Sequence[Value], levels: int, most: int) -> Value:
    if len(inputs) != 2 * levels:
        raise LoweringError(f"it has {len(inputs)} inputs for {levels} levels, not {2 * levels}")
    rois = list(inputs[:levels])
    for each in rois:
        require(each.dims[1], 5)
    scores = [op.reshape(score, [each.dims[0]]) for score, each in zip(inputs[levels:], rois, strict=True)]
    everything = op.Concat(*rois, axis=0)
    total = everything.dims[0]
    best = total if most <= 0 else minimum(most, total)
    _, at = op.TopK(op.Concat(*scores, axis=0), [best], axis=0)
    return op.Gather(everything, at, axis=0)


def _dealt(
    op: Builder, rois: Value, levels: range, canonical_scale: int, canonical_level: int, plus_one: bool
) -> tuple[Value, ...]:
    boxes, _ = regions(op, rois, 4)
    x1, y1, x2, y2 = numbers(op, boxes)
    area = op.Mul(length(op, x1, x2, plus_one), length(op, y1, y2, plus_one))
    ratio = op.Add(op.Div(op.Sqrt(area), number(canonical_scale)), number(1e-6))
    octaves = op.Div(op.Log(ratio), number(math.log(2)))
    level = op.Floor(op.Add(octaves, float(canonical_level)))
    level = op.Max(op.Min(level, number(levels[-1])), number(levels[0]))
    by_level, order = op.TopK(op.reshape(level, [rois.dims[0]]), [rois.dims[0]], axis=0, largest=0)
    results = []
    for each in levels:
        at = op.Compress(order, op.Equal(by_level, float(each)), axis=0)
        results.append(op.Gather(rois, at, axis=0))
    _, restore = op.TopK(order, [rois.dims[0]], axis=0, largest=0)
    return *results, op.cast(restore, DataType.INT32)

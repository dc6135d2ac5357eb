"""Boxes, proposals, detections and regions of interest, against the real Caffe2."""

from __future__ import annotations

import numpy as np
import pytest

from tests.frontends.caffe2.ops.harness import check


def floats(*rows: object) -> np.ndarray:
    return np.array(rows, np.float32)


def boxes(random: np.random.RandomState, count: int, *, rotated: bool = False, extent: float = 40) -> np.ndarray:
    """Boxes in an image, some of them on a coarse grid so that they coincide."""
    found = random.rand(count, 4) * extent
    found[::2] = np.round(found[::2] / 6) * 6
    if rotated:
        return np.concatenate([found, random.choice([0, 0.5, 30, -90, 120], (count, 1))], 1).astype(np.float32)
    found[:, 2:] += found[:, :2]
    return found.astype(np.float32)


def with_images(random: np.random.RandomState, rows: np.ndarray, images: int) -> np.ndarray:
    return np.concatenate([np.sort(random.randint(0, images, (len(rows), 1)), 0), rows], 1).astype(np.float32)


@pytest.mark.parametrize("rotated", [False, True])
@pytest.mark.parametrize(
    "args",
    [
        {},
        {"apply_scale": 0, "weights": [10.0, 10.0, 5.0, 5.0], "angle_bound_lo": -180, "angle_bound_hi": 180},
        {"legacy_plus_one": 0, "clip_angle_thresh": -1.0, "angle_bound_on": 0},
    ],
)
def test_boxes_are_moved(rotated: bool, args: dict) -> None:
    random = np.random.RandomState(0)
    rois = with_images(random, boxes(random, 12, rotated=rotated), 3)
    deltas = (random.randn(12, 3 * (5 if rotated else 4)) * 0.8).astype(np.float32)
    info = floats([60, 70, 1.5], [50, 50, 1], [33.3, 44.4, 0.7])
    check("BBoxTransform", rois, deltas, info, outputs=2, rotated=int(rotated), **args)


def test_regions_out_of_order_are_counted_by_image() -> None:
    rois = floats([1, 0, 0, 300, 7], [0, 0, 0, 300, 7], [0, 0, 0, 300, 7])
    check("BBoxTransform", rois, np.zeros((3, 4), np.float32), floats([10, 10, 1], [10, 300, 2]), outputs=2)


@pytest.mark.parametrize(
    "args",
    [
        {},
        {"detections_per_im": 5, "cls_agnostic_bbox_reg": 1, "legacy_plus_one": 0},
        {"soft_nms_enabled": 1, "detections_per_im": 6},
        {"soft_nms_enabled": 1, "soft_nms_method": "gaussian", "input_boxes_include_bg_cls": 0},
        {"nms": 1.5, "output_classes_include_bg_cls": 0, "detections_per_im": 0},
    ],
)
@pytest.mark.parametrize("rotated", [False, True])
def test_detections(args: dict, rotated: bool) -> None:
    """Scores are coarse, so that there are equal ones; one image has no box."""
    random = np.random.RandomState(1)
    splits = np.array([7, 0, 9], np.float32)
    classes = 1 if args.get("cls_agnostic_bbox_reg") else 3 - (not args.get("input_boxes_include_bg_cls", 1))
    scores = (np.round(random.rand(16, 3) * 8) / 8).astype(np.float32)
    candidates = np.concatenate([boxes(random, 16, rotated=rotated) for _ in range(classes)], 1)
    check("BoxWithNMSLimit", scores, candidates, splits, outputs=6, rotated=int(rotated), **args)


@pytest.mark.parametrize("count", [17, 60, 400])
def test_equal_scores(count: int) -> None:
    """Of equal scores come those first that come first in the runtime, which does not sort stably."""
    random = np.random.RandomState(count)
    scores = (np.round(random.rand(count, 3) * 6) / 6).astype(np.float32)
    candidates = np.concatenate([boxes(random, count, extent=200) for _ in range(3)], 1)
    splits = np.array([count // 3, count - count // 3], np.float32)
    check("BoxWithNMSLimit", scores, candidates, splits, outputs=6, nms=0.5, detections_per_im=12)
    rotated = np.concatenate([boxes(random, count, rotated=True, extent=200) for _ in range(3)], 1)
    check("BoxWithNMSLimit", scores, rotated, outputs=6, rotated=1, detections_per_im=30)
    maps = np.tile(scores[:, :1].reshape(1, 1, 1, count), (2, 3, 1, 1))
    deltas = np.zeros((2, 12, 1, count), np.float32)
    info = floats([9000, 9000, 1], [50, 9000, 1])
    check("GenerateProposals", maps, deltas, info, boxes(random, 3), outputs=2, min_size=1.0, post_nms_topN=0)


@pytest.mark.parametrize("soft", [0, 1])
def test_no_detections(soft: int) -> None:
    none = np.zeros((0, 3), np.float32), np.zeros((0, 12), np.float32)
    check("BoxWithNMSLimit", *none, outputs=6, soft_nms_enabled=soft)
    check("BoxWithNMSLimit", floats([0.1, 0.01]), np.zeros((1, 8), np.float32), outputs=6, soft_nms_enabled=soft)


@pytest.mark.parametrize("rotated", [False, True])
@pytest.mark.parametrize(
    "args",
    [
        {"min_size": 4.0},
        {"pre_nms_topN": 30, "post_nms_topN": 4, "nms_thresh": 0.3, "min_size": 0.0, "legacy_plus_one": 0},
        {"nms_thresh": 0.5, "pre_nms_topN": 0, "post_nms_topN": 0, "nms_thres": 0.1, "spatial_scale": 0.125},
        {"min_size": 1000.0},
    ],
)
def test_proposals(rotated: bool, args: dict) -> None:
    random = np.random.RandomState(2)
    box_dim = 5 if rotated else 4
    scores = random.permutation(2 * 3 * 4 * 5).reshape(2, 3, 4, 5).astype(np.float32)
    deltas = (random.randn(2, 3 * box_dim, 4, 5) * 0.5).astype(np.float32)
    anchors = boxes(random, 3, rotated=rotated)
    info = floats([60, 70, 1.5], [50, 90, 1])
    # Nothing says that anchors of any number of columns are rotated boxes.
    free = (False,) if rotated else (False, True)
    check("GenerateProposals", scores, deltas, info, anchors, outputs=2, free=free, rtol=1e-3, atol=1e-4, **args)


def test_pyramids() -> None:
    random = np.random.RandomState(3)
    levels = [with_images(random, boxes(random, n, extent=e), 2) for n, e in ((5, 400), (0, 1), (4, 50))]
    scores = [random.randint(0, 4, (len(rois), 1)).astype(np.float32) for rois in levels]
    rpn = {"rpn_min_level": 2, "rpn_max_level": 4, "rpn_post_nms_topN": 6}
    roi = {"roi_min_level": 2, "roi_max_level": 4, "roi_canonical_scale": 100, "roi_canonical_level": 3}
    check("CollectRpnProposals", *levels, *scores, **rpn)
    check("DistributeFpnProposals", levels[0], outputs=4, **roi)
    check("DistributeFpnProposals", levels[0][:, 1:], outputs=4, free=(False,), legacy_plus_one=0, **roi)
    check("CollectAndDistributeFpnRpnProposals", *levels, *scores, outputs=5, **rpn, **roi)


@pytest.mark.parametrize("order", ["NCHW", "NHWC"])
@pytest.mark.parametrize("samples", [0, 2])
@pytest.mark.parametrize("aligned", [0, 1])
@pytest.mark.parametrize("rotated", [False, True])
def test_aligned_regions(order: str, samples: int, aligned: int, rotated: bool) -> None:
    """Regions beyond the edges, smaller than a pixel, and larger than the map."""
    random = np.random.RandomState(4)
    maps = random.randn(3, 4, 9, 11).astype(np.float32)
    found = boxes(random, 20, rotated=rotated)
    found[:, :2] -= 5
    rois = with_images(random, found, 3)
    args = {"sampling_ratio": samples, "pooled_h": 3, "pooled_w": 2, "spatial_scale": 0.25, "order": order}
    kind = "RoIAlignRotated" if rotated else "RoIAlign"
    maps = maps if order == "NCHW" else maps.transpose(0, 2, 3, 1).copy()
    check(kind, maps, rois, aligned=aligned, **args)
    check(kind, maps[:1], rois[:, 1:], aligned=aligned, free=(False,), **args)
    check(kind, maps, rois[:0], aligned=aligned, **args)


def test_pooled_regions() -> None:
    """The first of equal elements is the largest; a bin outside of the map is 0 from nowhere."""
    random = np.random.RandomState(5)
    maps = np.round(random.randn(3, 2, 9, 11)).astype(np.float32)
    rois = with_images(random, boxes(random, 20), 3)
    rois[0, 1:] = [-30, -30, -20, -20]
    check("RoIPool", maps, rois, outputs=2, pooled_h=3, pooled_w=2, spatial_scale=0.25)
    check("RoIPool", maps, rois, is_test=1, pooled_h=3, pooled_w=2, spatial_scale=0.26)


@pytest.mark.parametrize("size", [2, 6])
def test_keypoints(size: int) -> None:
    random = np.random.RandomState(6)
    maps = random.randn(5, 3, size, size).astype(np.float32)
    check("HeatmapMaxKeypoint", maps, boxes(random, 5), should_output_softmax=1)
    check("HeatmapMaxKeypoint", np.round(maps), np.tile(boxes(random, 5), (1, 2)))


def test_permuted_batch() -> None:
    check("BatchPermutation", np.arange(12, dtype=np.float32).reshape(3, 4), np.array([2, 0, 1], np.int32))


@pytest.mark.parametrize("shape", [(2, 3, 4, 9), (1, 1, 13, 3), (3, 1, 5, 5), (1, 2, 1, 7)])
@pytest.mark.parametrize("scales", [1, 5])
def test_regions_on_a_grid(shape: tuple[int, ...], scales: int) -> None:
    check("RMACRegions", np.zeros(shape, np.float32), scales=scales, overlap=0.4)

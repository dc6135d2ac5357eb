"""torchvision's operators against straightforward implementations of what its documentation says."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tests.frontends.pytorch.ops.harness import compare, lower, run  # noqa: E402

RNG = np.random.default_rng(0)
IMAGES = RNG.standard_normal((2, 8, 9, 11)).astype(np.float32)
ROIS = np.array([[0, 1, 2, 6, 7], [1, 0, 0, 10, 8], [1, 4.3, 3.2, 5.1, 4.9], [0, 2.5, 1.5, 18, 15]], np.float32)


def check_against(name: str, expected: list[np.ndarray], *args: Any, free: tuple[bool, ...] = (False, True)) -> None:
    args = tuple(torch.from_numpy(x) if isinstance(x, np.ndarray) else x for x in args)
    for is_free in free:
        model, feeds, values = lower(f"torchvision::{name}", args, {}, free=is_free)
        values = [value for value in values if value is not None]
        compare(run(model, feeds), values, expected, 1e-4, 1e-4)


def suppressed(boxes: np.ndarray, scores: np.ndarray, threshold: float) -> np.ndarray:
    kept: list[int] = []
    for i in np.argsort(-scores, kind="stable"):
        if all(overlap(boxes[i], boxes[j]) <= threshold for j in kept):
            kept.append(int(i))
    return np.array(kept, np.int64)


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    width = max(min(a[2], b[2]) - max(a[0], b[0]), 0)
    height = max(min(a[3], b[3]) - max(a[1], b[1]), 0)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return width * height / (sum(areas) - width * height)


@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.9])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_nms(threshold: float, dtype: type) -> None:
    corners = RNG.random((40, 2)) * 10
    boxes = np.concatenate([corners, corners + RNG.random((40, 2)) * 6 + 0.1], axis=1).astype(dtype)
    scores = RNG.random(40).round(1).astype(dtype)
    check_against("nms", [suppressed(boxes, scores, threshold)], boxes, scores, threshold)


def sample(image: np.ndarray, y: float, x: float) -> np.ndarray:
    """Bilinear; outside by more than one pixel there is nothing, within one the edge counts."""
    _, height, width = image.shape
    if y < -1 or y > height or x < -1 or x > width:
        return np.zeros(len(image), np.float32)
    y, x = min(max(y, 0.0), height - 1), min(max(x, 0.0), width - 1)
    top, left = int(y), int(x)
    bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
    dy, dx = y - top, x - left
    upper = image[:, top, left] * (1 - dx) + image[:, top, right] * dx
    lower_ = image[:, bottom, left] * (1 - dx) + image[:, bottom, right] * dx
    return upper * (1 - dy) + lower_ * dy


def aligned(scale: float, rows: int, columns: int, ratio: int, half: bool) -> np.ndarray:
    result = np.zeros((len(ROIS), IMAGES.shape[1], rows, columns), np.float32)
    for n, (image, x1, y1, x2, y2) in enumerate(ROIS):
        x1, y1, x2, y2 = (v * scale - (0.5 if half else 0) for v in (x1, y1, x2, y2))
        width, height = (x2 - x1, y2 - y1) if half else (max(x2 - x1, 1), max(y2 - y1, 1))
        down, across = height / rows, width / columns
        ny, nx = (ratio, ratio) if ratio > 0 else (math.ceil(down), math.ceil(across))
        for i, j in np.ndindex(rows, columns):
            points = [
                sample(IMAGES[int(image)], y1 + (i + (a + 0.5) / ny) * down, x1 + (j + (b + 0.5) / nx) * across)
                for a, b in np.ndindex(ny, nx)
            ]
            result[n, :, i, j] = sum(points) / max(len(points), 1)
    return result


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("ratio", [-1, 0, 2])
@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_roi_align(half: bool, ratio: int, scale: float) -> None:
    check_against("roi_align", [aligned(scale, 3, 2, ratio, half)], IMAGES, ROIS, scale, 3, 2, ratio, half)


def test_ps_roi_align() -> None:
    every = aligned(0.5, 2, 2, 2, True).reshape(len(ROIS), 2, 2, 2, 2, 2)
    wanted = np.einsum("ncijij->ncij", every)
    check_against("ps_roi_align", [wanted], IMAGES, ROIS, 0.5, 2, 2, 2)


def pooled(scale: float, rows: int, columns: int) -> np.ndarray:
    result = np.zeros((len(ROIS), IMAGES.shape[1], rows, columns), np.float32)
    for n, (image, *corners) in enumerate(ROIS):
        x1, y1, x2, y2 = (math.floor(v * scale + 0.5) for v in corners)
        down, across = max(y2 - y1 + 1, 1) / rows, max(x2 - x1 + 1, 1) / columns
        for i, j in np.ndindex(rows, columns):
            bin_ = IMAGES[
                int(image),
                :,
                max(math.floor(i * down) + y1, 0) : max(math.ceil((i + 1) * down) + y1, 0),
                max(math.floor(j * across) + x1, 0) : max(math.ceil((j + 1) * across) + x1, 0),
            ]
            result[n, :, i, j] = bin_.max((1, 2)) if bin_.size else 0
    return result


@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_roi_pool(scale: float) -> None:
    check_against("roi_pool", [pooled(scale, 3, 2)], IMAGES, ROIS, scale, 3, 2)


def deformed(
    x: np.ndarray, w: np.ndarray, offset: np.ndarray, mask: np.ndarray, bias: np.ndarray, stride: int, pad: int,
    dilation: int, groups: int, offset_groups: int,
) -> np.ndarray:  # fmt: skip
    batch, channels, height, width = x.shape
    out, per_group, rows, columns = w.shape
    space = offset.shape[2:]
    result = np.zeros((batch, out, *space), np.float32)
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    offset = offset.reshape(batch, offset_groups, rows, columns, 2, *space)
    mask = mask.reshape(batch, offset_groups, rows, columns, *space)
    for n, g, a, b, i, j in np.ndindex(batch, offset_groups, rows, columns, *space):
        dy, dx = offset[n, g, a, b, :, i, j]
        y, x_ = i * stride - pad + a * dilation + dy, j * stride - pad + b * dilation + dx
        if not (-1 < y < height and -1 < x_ < width):
            continue
        span = slice(g * channels // offset_groups, (g + 1) * channels // offset_groups)
        # One ring of zeros: what lies outside is 0.
        value = sample(padded[n, span], y + 1, x_ + 1) * mask[n, g, a, b, i, j]
        for offset_in_span, v in enumerate(value):
            channel = span.start + offset_in_span
            group, inner = divmod(channel, per_group)
            outputs = slice(group * out // groups, (group + 1) * out // groups)
            result[n, outputs, i, j] += w[outputs, inner, a, b] * v
    return result + bias[:, None, None]


@pytest.mark.parametrize(
    ("stride", "pad", "dilation", "groups", "offset_groups"), [(1, 1, 1, 1, 1), (2, 1, 2, 2, 1), (1, 0, 1, 2, 4)]
)
@pytest.mark.parametrize("use_mask", [False, True])
def test_deform_conv2d(stride: int, pad: int, dilation: int, groups: int, offset_groups: int, use_mask: bool) -> None:
    x = IMAGES[:, :4, :6, :7]
    w = RNG.standard_normal((6, 4 // groups, 3, 2)).astype(np.float32)
    pairs = zip(x.shape[2:], w.shape[2:], strict=True)
    space = [(n + 2 * pad - dilation * (k - 1) - 1) // stride + 1 for n, k in pairs]
    offset = RNG.standard_normal((2, offset_groups * 12, *space)).astype(np.float32)
    mask = RNG.random((2, offset_groups * 6, *space)).astype(np.float32)
    bias = RNG.standard_normal(6).astype(np.float32)
    effective = mask if use_mask else np.ones_like(mask)
    wanted = deformed(x, w, offset, effective, bias, stride, pad, dilation, groups, offset_groups)
    settings = stride, stride, pad, pad, dilation, dilation, groups, offset_groups, use_mask
    args = np.ascontiguousarray(x), w, offset, mask, bias, *settings
    check_against("deform_conv2d", [wanted], *args, free=(False,))

"""Pooling and normalization over windows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx.reference.op_run import OpRun
from onnx.reference.ops import op_max_pool


class LRN(OpRun):  # type: ignore[misc]
    """Each element by the squares of those in the channels around it."""

    def _run(self, x: np.ndarray, alpha: float, beta: float, bias: float, size: int, **_: Any) -> tuple[np.ndarray]:
        before = (size - 1) // 2
        squares = np.zeros_like(x)
        for channel in range(x.shape[1]):
            begin = max(0, channel - before)
            squares[:, channel] = np.square(x[:, begin : channel - before + size]).sum(1)
        return ((x / (bias + alpha / size * squares) ** beta).astype(x.dtype),)


class MaxPool(op_max_pool.MaxPool):  # type: ignore[misc]
    """The largest elements, with pads that are said; the others are right as they are."""

    def _run(
        self,
        x: np.ndarray,
        auto_pad: str | None = None,
        ceil_mode: int | None = None,
        dilations: Sequence[int] | None = None,
        kernel_shape: Sequence[int] = (),
        pads: Sequence[int] | None = None,
        storage_order: int | None = None,
        strides: Sequence[int] | None = None,
    ) -> tuple[np.ndarray, ...]:
        if auto_pad not in (None, "NOTSET") or storage_order:
            return super()._run(x, auto_pad, ceil_mode, dilations, kernel_shape, pads, storage_order, strides)  # type: ignore[no-any-return]
        rank = len(kernel_shape)
        geometry = (
            kernel_shape, strides or [1] * rank, dilations or [1] * rank, pads or [0] * 2 * rank, bool(ceil_mode)
        )  # fmt: skip
        least = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
        windows = _windows(x, geometry, least)
        best = windows.argmax(-1)[..., None]
        result = np.take_along_axis(windows, best, -1)[..., 0]
        if len(self.onnx_node.output) < 2:
            return (result,)
        places = _windows(np.arange(x.size).reshape(x.shape), geometry, 0)
        return result, np.take_along_axis(places, best, -1)[..., 0]


def _windows(x: np.ndarray, geometry: tuple[Any, ...], fill: float) -> np.ndarray:
    """[batch, channels, *places, elements] of [batch, channels, *space]."""
    kernel, strides, dilations, pads, ceil = geometry
    rank = len(kernel)
    widths, reach, counts = [(0, 0), (0, 0)], [], []
    for axis in range(rank):
        size, low, high = x.shape[2 + axis], pads[axis], pads[rank + axis]
        extent = (kernel[axis] - 1) * dilations[axis] + 1
        room = (size + low + high - extent) / strides[axis]
        count = (math.ceil(room) if ceil else math.floor(room)) + 1
        if ceil and (count - 1) * strides[axis] >= size + low:  # a window that begins in the padding behind the end
            count -= 1
        widths.append((low, max(high, (count - 1) * strides[axis] + extent - size - low)))
        reach.append(extent)
        counts.append(count)
    padded = np.pad(x, widths, constant_values=fill)
    found = np.lib.stride_tricks.sliding_window_view(padded, reach, tuple(range(2, 2 + rank)))
    places = [slice(0, (n - 1) * stride + 1, stride) for n, stride in zip(counts, strides, strict=True)]
    elements = [slice(None, None, dilation) for dilation in dilations]
    found = found[(slice(None), slice(None), *places, *elements)]
    return found.reshape(*found.shape[: 2 + rank], -1)


class MaxRoiPool(OpRun):  # type: ignore[misc]
    """The largest elements of the parts of regions, 0 for parts without elements."""

    def _run(
        self, x: np.ndarray, rois: np.ndarray, pooled_shape: Sequence[int], spatial_scale: float = 1.0, **_: Any
    ) -> tuple[np.ndarray]:
        height, width = pooled_shape
        result = np.zeros((len(rois), x.shape[1], height, width), x.dtype)
        for region, (image, *corners) in enumerate(rois):
            left, top, right, bottom = (math.floor(corner * spatial_scale + 0.5) for corner in corners)
            rows = _parts(top, bottom, height, x.shape[2])
            columns = _parts(left, right, width, x.shape[3])
            for i, row in enumerate(rows):
                for j, column in enumerate(columns):
                    part = x[int(image), :, row, column]
                    if part.size:
                        result[region, :, i, j] = part.max((1, 2))
        return (result,)


def _parts(first: int, last: int, count: int, size: int) -> list[slice]:
    """The parts of a region along an axis, which may have elements in common."""
    step = max(last - first + 1, 1) / count
    bounds = [(first + math.floor(i * step), first + math.ceil((i + 1) * step)) for i in range(count)]
    return [slice(min(max(a, 0), size), min(max(b, 0), size)) for a, b in bounds]

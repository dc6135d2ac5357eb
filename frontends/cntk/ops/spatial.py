"""Padding, cropping and pooling in regions.

Semantics: measured in CNTK 2.7; of regions ``Source/Math/CPUMatrixImpl.h``.
"""

from __future__ import annotations

from enum import IntEnum

from nxconvert.frontends.cntk.dynamic import widest
from nxconvert.frontends.cntk.ops.crop import offsets
from nxconvert.frontends.cntk.ops.window import row_major
from nxconvert.frontends.cntk.table import Builder, Context, Int, LoweringError, Shape, Tensor, Value, cntk
from nxconvert.graph.builder import TensorType
from nxconvert.graph.dims import product
from nxconvert.graph.widening import emit


class Padding(IntEnum):
    """The attribute ``paddingMode``: what is padded with."""

    CONSTANT = 0
    REFLECT = 1  #: the elements next to the end, the one at the end is not said again
    SYMMETRIC = 2  #: the elements from the end on


@cntk("Pad")
def pad(
    op: Builder,
    x: Tensor,
    *,
    paddingHead: Shape,
    paddingFoot: Shape,
    paddingMode: int = Padding.CONSTANT,
    paddingConstantValue: float = 0.0,
) -> Tensor:
    """``x`` with more elements before and behind its static axes."""
    head = row_major(paddingHead, len(paddingHead), x.rank, 0)
    foot = row_major(paddingFoot, len(paddingFoot), x.rank, 0)
    mode = Padding(paddingMode)
    if mode == Padding.SYMMETRIC:
        value = x.value
        for axis, (before, after) in enumerate(zip(head, foot, strict=True), x.nd):
            if before or after:
                value = op.Gather(value, _mirrored(op, value.dims[axis], before, after), axis=axis)
        return x.of(value)
    pads = [*[0] * x.nd, *head, *[0] * x.nd, *foot]
    if mode == Padding.REFLECT:
        return x.of(op.Pad(x.value, pads, mode="reflect"))
    filler = op.const(paddingConstantValue, x.dtype) if paddingConstantValue else None
    return x.of(op.Pad(x.value, pads, filler))


def _mirrored(op: Builder, size: Int, before: int, after: int) -> Value:
    """The elements of an axis with as many more on either side, which go back from its ends."""
    period = size * 2
    index = op.Mod(op.Range(-before, size + after, 1), period)
    result: Value = op.Min(index, op.Sub(period - 1, index))
    return result


@cntk("Crop")
def crop(op: Builder, x: Tensor, reference: Tensor, *, offset: Shape = (), context: Context) -> Tensor:
    """As much of the last two axes of ``x`` as ``reference`` has, from an offset on, which is of the last one first."""
    return _cropped(op, x, reference, list(offset), context)


@cntk("Crop")
def crop_by_ancestors(
    op: Builder, x: Tensor, reference: Tensor, ancestor: Tensor, other: Tensor, *, context: Context
) -> Tensor:
    """The same, where ``ancestor`` of the one and ``other`` of the other are at the same place."""
    return _cropped(op, x, reference, [], context)


def _cropped(op: Builder, x: Tensor, reference: Tensor, first: list[int], context: Context) -> Tensor:
    if x.rank < 2 or reference.rank < 2:
        raise LoweringError("what is cropped has no two axes")
    starts = first[1::-1] if len(first) >= 2 else offsets(context, context.node)
    ends = [start + size for start, size in zip(starts, reference.dims[-2:], strict=True)]
    dims = (*x.value.dims[:-2], *reference.dims[-2:])
    if not any(starts) and dims == x.value.dims:
        return x
    bounds = op.const(starts), op.dims_tensor(ends), op.const([x.value.rank - 2, x.value.rank - 1])
    return x.of(op.node("Slice", [x.value, *bounds], {}, [TensorType(x.dtype, dims)])[0])


@cntk("ROIPooling")
def roi_pooling(
    op: Builder,
    x: Tensor,
    rois: Tensor,
    *,
    roiOutputShape: Shape,
    poolingType: int = 0,
    spatialScale: float = 1.0,
) -> Tensor:
    """[regions, channels, *window] of [channels, height, width] and of [regions, 4], corners as x, y, x, y.

    Each region is divided into a window of parts, which may have elements in common; of each the largest is taken, or
    0 where a part is empty. Regions are within the image: of parts of one that begins before it, CNTK on CPUs makes 0.
    """
    if poolingType:
        raise LoweringError("regions are pooled for the largest elements alone")
    if x.axes != rois.axes or x.rank != 3 or rois.rank != 2:
        raise LoweringError("there are not regions for each image of channels, height and width")
    samples, count, dtype = product(x.value.dims[: x.nd]), rois.dims[0], widest([x.dtype, rois.dtype])
    images = op.reshape(op.cast(x.value, dtype), (samples, *x.dims))
    sample = op.reshape(op.cast(op.Range(0, samples, 1), dtype), (samples, 1, 1))
    corners = op.reshape(op.cast(rois.value, dtype), (samples, count, 4))
    regions = op.Concat(op.expand(sample, (samples, count, 1)), corners, axis=2)
    y = emit(
        op, "MaxRoiPool", images, op.reshape(regions, (samples * count, 5)), pooled_shape=roiOutputShape[::-1],
        spatial_scale=spatialScale,
    )  # fmt: skip
    return x.of(op.reshape(y, (*x.value.dims[: x.nd], count, x.dims[0], *roiOutputShape[::-1])))

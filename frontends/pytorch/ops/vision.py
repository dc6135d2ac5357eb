"""The operators of torchvision: boxes, regions of interest, deformable convolution."""

from __future__ import annotations

from nxconvert.frontends.pytorch.dtypes import DataType
from nxconvert.frontends.pytorch.ops.common import known, static_ints
from nxconvert.frontends.pytorch.table import Builder, Int, Number, Value, aten
from nxconvert.graph.builder import GraphTypeError
from nxconvert.graph.dims import floordiv

_UNLIMITED = 2**63 - 1


@aten("torchvision::nms")
def nms(op: Builder, dets: Value, scores: Value, iou_threshold: Number) -> Value:
    """The indices of the boxes that no better one overlaps by more than the threshold, best first."""
    if dets.rank != 2 or scores.rank != 1:
        raise GraphTypeError(f"boxes of rank {dets.rank} and scores of rank {scores.rank}, not 2 and 1")
    boxes, ranking = (op.cast(x, DataType.FLOAT) for x in (dets, scores))
    threshold = op.const([float(known(iou_threshold, "the threshold"))], DataType.FLOAT)
    selected = op.NonMaxSuppression(
        op.Unsqueeze(boxes, [0]), op.Unsqueeze(ranking, [0, 1]), op.const([_UNLIMITED]), threshold
    )
    # A row is image, class, box.
    return op.Gather(selected, 2, axis=1)


def _regions(op: Builder, rois: Value) -> tuple[Value, Value]:
    """Rows of image, x1, y1, x2, y2 as corners, and the image as an index."""
    if rois.rank != 2:
        raise GraphTypeError(f"the regions have rank {rois.rank}, not 2")
    return op.Slice(rois, [1], [5], [1]), op.cast(op.Gather(rois, 0, axis=1), DataType.INT64)


def _align(
    op: Builder, x: Value, rois: Value, spatial_scale: Number, height: Int, width: Int, sampling_ratio: Int,
    aligned: bool,
) -> Value:  # fmt: skip
    rows, columns, samples = static_ints([height, width, sampling_ratio], "the size of the pooled region")
    corners, images = _regions(op, rois)
    return op.RoiAlign(
        x,
        op.cast(corners, x.etype),
        images,
        coordinate_transformation_mode="half_pixel" if aligned else "output_half_pixel",
        output_height=rows,
        output_width=columns,
        sampling_ratio=max(samples, 0),
        spatial_scale=float(known(spatial_scale, "the scale")),
    )


@aten("torchvision::roi_align")
def roi_align(
    op: Builder, input: Value, rois: Value, spatial_scale: Number, pooled_height: Int, pooled_width: Int,
    sampling_ratio: Int, aligned: bool,
) -> Value:  # fmt: skip
    return _align(op, input, rois, spatial_scale, pooled_height, pooled_width, sampling_ratio, aligned)


@aten("torchvision::ps_roi_align")
def ps_roi_align(
    op: Builder, input: Value, rois: Value, spatial_scale: Number, pooled_height: Int, pooled_width: Int,
    sampling_ratio: Int,
) -> tuple[Value, None]:  # fmt: skip
    """Each bin has channels of its own, ``[channels, rows, columns]``; where they came from is for gradients."""
    pooled = _align(op, input, rois, spatial_scale, pooled_height, pooled_width, sampling_ratio, True)
    count, channels, rows, columns = pooled.dims
    bins = op.reshape(pooled, [count, floordiv(channels, rows * columns), rows, columns, rows, columns])
    return op.Einsum(bins, equation="ncijij->ncij"), None


@aten("torchvision::roi_pool")
def roi_pool(
    op: Builder, input: Value, rois: Value, spatial_scale: Number, pooled_height: Int, pooled_width: Int
) -> tuple[Value, None]:
    """The largest element of each bin; where it came from is for gradients."""
    shape = static_ints([pooled_height, pooled_width], "the size of the pooled region")
    scale = float(known(spatial_scale, "the scale"))
    return op.MaxRoiPool(input, op.cast(rois, input.etype), pooled_shape=shape, spatial_scale=scale), None


@aten("torchvision::deform_conv2d")
def deform_conv2d(
    op: Builder, input: Value, weight: Value, offset: Value, mask: Value, bias: Value, stride_h: Int, stride_w: Int,
    pad_h: Int, pad_w: Int, dilation_h: Int, dilation_w: Int, groups: Int, offset_groups: Int, use_mask: bool,
) -> Value:  # fmt: skip
    strides, pads, dilations = (
        static_ints(pair, "a setting of the convolution")
        for pair in ([stride_h, stride_w], [pad_h, pad_w], [dilation_h, dilation_w])
    )
    group, offset_group = static_ints([groups, offset_groups], "the number of groups")
    return op.DeformConv(
        input,
        weight,
        offset,
        bias,
        mask if use_mask else None,
        kernel_shape=static_ints(weight.dims[2:], "the kernel size"),
        strides=strides,
        pads=pads * 2,
        dilations=dilations,
        group=group,
        offset_group=offset_group,
    )

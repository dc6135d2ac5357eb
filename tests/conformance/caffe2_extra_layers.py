"""The cases of `caffe2_extra.py` of layers and images: convolutions, pools, boxes. Runs under Python 3.6."""

import numpy as np


def make(c):
    pooling(c)
    convolutions(c)
    images(c)
    detection(c)


def pooling(c):
    for kind in ("MaxPool", "AveragePool"):
        c.op(kind, c.f(1, 2, 7, 8), kernel=3, stride=2)
        c.op(kind, c.f(1, 2, 7, 8), kernel=3, stride=2, pad=1)
        c.op(kind, c.f(1, 2, 7, 8), kernel_h=2, kernel_w=3, stride_h=1, stride_w=2)
        c.op(kind, c.f(1, 2, 7, 8), kernels=[2, 3], strides=[2, 1], pads=[1, 0, 0, 2])
        c.op(kind, c.f(1, 2, 7, 8), kernel=3, pad_t=1, pad_l=0, pad_b=2, pad_r=1, stride=2)
        c.op(kind, c.f(1, 2, 7, 8), global_pooling=1)
        c.op(kind, c.f(1, 2, 7, 8), global_pooling=1, kernel=3)
        for size in (5, 6, 7):
            for legacy in (1, 2, 3):
                c.op(kind, c.f(1, 2, size, size + 1), kernel=3, stride=2, legacy_pad=legacy)
            c.op(kind, c.f(1, 2, size, size), kernel=3, stride=2, pad=1, legacy_pad=3)
            c.op(kind, c.f(1, 2, size, size), kernel=2, stride=3, pad=1, legacy_pad=3)
        c.op(kind, c.f(1, 7, 8, 2), kernel=3, stride=2, pad=1, order="NHWC")
        c.op(kind, c.f(1, 7, 8, 2), global_pooling=1, order="NHWC")
        c.op(kind, c.f(1, 7, 8, 2), kernel=3, stride=2, legacy_pad=3, order="NHWC")
        c.op(kind, c.f(1, 2, 4, 5, 6), kernels=[2, 3, 2], strides=[1, 2, 2], pads=[0, 1, 1, 1, 0, 0])
        c.op(kind, c.f(1, 2, 4, 5, 6), global_pooling=1)
        c.op(kind, c.f(1, 4, 5, 6, 2), kernels=[2, 3, 2], order="NHWC")
        c.op(kind, c.f(2, 3, 9), kernels=[3], strides=[2], pads=[1, 0])
        c.op(kind, c.f(0, 2, 7, 8), kernel=3)
        for dimensions, size in ((1, (2, 3, 9)), (2, (1, 2, 7, 8)), (3, (1, 2, 4, 5, 6))):
            c.op("%s%dD" % (kind, dimensions), c.f(*size), kernels=[2] * dimensions, strides=[2] * dimensions)
            c.op("%s%dD" % (kind, dimensions), c.f(*size), kernels=[3] * dimensions, pads=[1] * (2 * dimensions))
            c.op("%s%dD" % (kind, dimensions), c.f(*size), global_pooling=1)
            last = (size[0],) + size[2:] + (size[1],)
            c.op("%s%dD" % (kind, dimensions), c.f(*last), kernels=[2] * dimensions, order="NHWC")
    c.op("AveragePool", c.f(1, 2, 7, 8), kernel=3, stride=2, pad=1, count_include_pad=1)
    c.op("AveragePool", c.f(1, 7, 8, 2), kernel=3, stride=2, pad=1, count_include_pad=1, order="NHWC")
    c.op("AveragePool", c.f(1, 2, 7, 7), kernel=3, stride=2, pad=1, count_include_pad=1, legacy_pad=3)
    c.op("MaxPool", c.f(1, 2, 9, 9), kernel=3, dilation=2)
    for p in (1.0, 2.0, 3.0):
        c.op("LpPool", c.f(1, 2, 7, 8), kernel=3, stride=2, p=p)
        c.op("LpPool", c.p(1, 7, 8, 2), kernel=3, stride=2, pad=1, p=p, order="NHWC")
    c.op("LpPool", c.f(1, 2, 7, 8), kernel=2)
    c.op("LpPool", c.f(1, 2, 7, 8), global_pooling=1)
    c.op("RoIPool", c.f(1, 2, 9, 9), np.array([[0, 1, 1, 7, 6], [0, 0, 0, 3, 8]], np.float32), outputs=2, pooled_h=3,
         pooled_w=2, spatial_scale=0.8)  # fmt: skip


def convolutions(c):
    for kind in ("Conv", "ConvRelu"):
        c.op(kind, c.f(1, 4, 7, 8), c.f(6, 4, 3, 3), c.f(6), kernel=3)
        c.op(kind, c.f(2, 4, 7, 8), c.f(6, 2, 3, 3), c.f(6), kernel=3, group=2, stride=2, pad=1)
        c.op(kind, c.f(1, 4, 7, 8), c.f(4, 1, 3, 3), kernel=3, group=4, dilation=2)
        c.op(kind, c.f(1, 4, 7, 8), c.f(6, 4, 2, 3), kernel_h=2, kernel_w=3, stride_h=2, stride_w=1, pad_t=1, pad_r=2)
        c.op(kind, c.f(1, 4, 7, 8), c.f(6, 4, 2, 3), kernels=[2, 3], strides=[2, 1], pads=[0, 1, 1, 2])
        c.op(kind, c.f(1, 7, 8, 4), c.f(6, 3, 3, 4), c.f(6), kernel=3, order="NHWC", pad=1)
        c.op(kind, c.f(1, 7, 8, 4), c.f(6, 3, 3, 2), c.f(6), kernel=3, order="NHWC", group=2)
    c.op("Conv", c.f(1, 4, 7, 8), c.f(6, 4, 1, 1), c.f(6), kernel=1)
    for legacy in (1, 2):
        c.op("Conv", c.f(1, 4, 7, 8), c.f(6, 4, 3, 3), c.f(6), kernel=3, stride=2, legacy_pad=legacy)
    c.op("Conv", c.f(2, 3, 9), c.f(4, 3, 3), c.f(4), kernels=[3], strides=[2], pads=[1, 0])
    c.op("Conv", c.f(2, 9, 3), c.f(4, 3, 3), c.f(4), kernels=[3], order="NHWC")
    c.op("Conv", c.f(1, 3, 4, 5, 6), c.f(4, 3, 2, 2, 3), c.f(4), kernels=[2, 2, 3], strides=[1, 2, 1], pads=[1] * 6)
    c.op("Conv", c.f(1, 4, 5, 6, 3), c.f(4, 2, 2, 3, 3), c.f(4), kernels=[2, 2, 3], order="NHWC")
    c.op("Conv", c.f(0, 4, 7, 8), c.f(6, 4, 3, 3), c.f(6), kernel=3)
    c.op("Conv", c.f(1, 4, 7, 8), c.f(6, 4, 3, 3), c.f(6), kernel=3, shared_buffer=1, exhaustive_search=1, alpha=0.1)
    for dimensions in (1, 2, 3):
        sizes = (7, 8, 6)[:dimensions]
        for arguments in ({}, {"strides": [2] * dimensions, "pads": [1] * (2 * dimensions)}, {"group": 2}):
            group = arguments.get("group", 1)
            c.op("Conv%dD" % dimensions, c.f(1, 4, *sizes), c.f(6, 4 // group, *[3] * dimensions), c.f(6),
                 kernels=[3] * dimensions, **arguments)  # fmt: skip
            c.op("LC%dD" % dimensions, c.f(2, 4, *sizes[:dimensions]),
                 c.f(*([size - 2 for size in sizes] + [6, 4 // group] + [3] * dimensions)),
                 c.f(*([size - 2 for size in sizes] + [6])), kernels=[3] * dimensions,
                 **{key: value for key, value in arguments.items() if key == "group"})  # fmt: skip
    c.op("ConvTranspose", c.f(1, 4, 5, 6), c.f(4, 3, 3, 3), c.f(3), kernel=3)
    c.op("ConvTranspose", c.f(1, 4, 5, 6), c.f(4, 3, 3, 3), c.f(3), kernel=3, stride=2, pad=1, adj=1)
    c.op("ConvTranspose", c.f(2, 4, 5, 6), c.f(4, 3, 2, 3), kernels=[2, 3], strides=[2, 3], pads=[0, 1, 1, 0],
         adjs=[1, 2])  # fmt: skip
    c.op("ConvTranspose", c.f(1, 5, 6, 4), c.f(4, 3, 3, 3), c.f(3), kernel=3, stride=2, order="NHWC")
    c.op("ConvTranspose", c.f(1, 4, 5, 6), c.f(4, 3, 3, 3), c.f(6), kernel=3, group=2)
    c.op("ConvTranspose", c.f(1, 4, 5), c.f(4, 3, 3), c.f(3), kernels=[3], strides=[2])
    c.op("ConvTranspose", c.f(0, 4, 5, 6), c.f(4, 3, 3, 3), c.f(3), kernel=3)
    for order, size in (("NCHW", (1, 2, 6, 7)), ("NHWC", (1, 6, 7, 2))):
        c.op("Im2Col", c.f(*size), kernel=3, stride=2, pad=1, order=order)
        c.op("Im2Col", c.f(*size), kernel=2, dilation=2, order=order)
    c.op("ChannelShuffle", c.f(1, 6, 2, 3), group=3)
    c.op("ChannelShuffle", c.f(1, 2, 3, 6), group=2, order="NHWC")
    c.op("ChannelShuffle", c.f(2, 6, 3, 3), group=2, kernel=1)
    for mode in ("constant", "reflect", "edge"):
        c.op("PadImage", c.f(1, 2, 4, 5), pad=2, mode=mode)
        c.op("PadImage", c.f(1, 2, 4, 5), pad_t=1, pad_l=2, pad_b=0, pad_r=3, mode=mode, value=1.5)
        c.op("PadImage", c.f(1, 4, 5, 2), pad_t=1, pad_l=2, pad_b=3, pad_r=0, mode=mode, order="NHWC")
    c.op("SpaceToBatch", c.f(2, 3, 4, 6), block_size=2)
    c.op("SpaceToBatch", c.f(2, 3, 4, 6), block_size=2, pad=2)
    c.op("SpaceToBatch", c.f(2, 3, 5, 6), block_size=2, pad_t=1, pad_l=1, pad_b=0, pad_r=1)
    c.op("BatchToSpace", c.f(8, 3, 2, 3), block_size=2)
    c.op("BatchToSpace", c.f(8, 3, 3, 4), block_size=2, pad=1)


def images(c):
    for width, height in ((2.0, 2.0), (1.7, 0.6), (0.5, 1.5), (1.0, 3.0)):
        for order, size in (("NCHW", (1, 2, 4, 5)), ("NHWC", (1, 4, 5, 2))):
            c.op("ResizeNearest", c.f(*size), width_scale=width, height_scale=height, order=order)
        c.op("UpsampleBilinear", c.f(1, 2, 4, 5), width_scale=width, height_scale=height)
        c.op("ResizeNearest3D", c.f(1, 2, 3, 4, 5), width_scale=2.0, height_scale=2.0, temporal_scale=1.0 + (width < 1))
    c.op("ResizeNearest", c.f(1, 2, 4, 5), np.array([1.5, 2.0], np.float32))
    c.op("UpsampleBilinear", c.f(1, 2, 4, 5), np.array([1.5, 2.0], np.float32))
    for size in ((1, 3, 4, 5), (2, 3, 2, 3)):
        c.op("BRGNCHWCToPackedInt8BGRAStylizerDeprocess", c.f(*size) * 100, c.p(3) * 100)
        packed = c.i(256, size[0], size[2], size[3], 4, dtype=np.uint8)
        c.op("PackedInt8BGRANHWCToNCHWCStylizerPreprocess", packed, c.p(3) * 100, noise_std=0.0)
        c.op("PackedInt8BGRANHWCToNCHWCStylizerPreprocess", packed, c.p(3) * 100, noise_std=1e-9, noise_size=7)
    c.op("BRGNCHWCToPackedInt8BGRAStylizerDeprocess", c.f(1, 3, 2, 2) * 0.1, np.array([0.5, 254.9, 300], np.float32))
    c.op("BRGNCHWCToPackedInt8BGRAStylizerDeprocess", c.f(1, 3, 1, 9) * 10, np.zeros(3, np.float32))
    c.op("IntegralImage", c.f(1, 2, 4, 5))
    c.op("SinusoidPositionEncoding", c.i(9, 4, 2, low=0, dtype=np.int64), embedding_size=6, alpha=100.0, amplitude=2.0)


def detection(c):
    rois = np.array([[0, 1.5, 1, 7.2, 6], [1, 0, 0, 3, 8.9], [0, 4, 4, 4.5, 4.2], [1, -3, -2, 20, 14]], np.float32)
    for order, size in (("NCHW", (2, 3, 9, 10)), ("NHWC", (2, 9, 10, 3))):
        for arguments in (
            {"sampling_ratio": 0}, {"sampling_ratio": 2, "spatial_scale": 0.5}, {"aligned": 1, "sampling_ratio": 0},
            {"aligned": 1, "sampling_ratio": 3},
        ):  # fmt: skip
            c.op("RoIAlign", c.f(*size), rois, pooled_h=3, pooled_w=2, order=order, **arguments)
    c.op("RoIAlign", c.f(1, 3, 9, 10), rois[:2, 1:], pooled_h=2, pooled_w=2, sampling_ratio=0)
    c.op("RoIAlign", c.f(1, 3, 9, 10), rois[:1], sampling_ratio=1)
    c.op("RoIAlign", c.f(1, 3, 9, 10), rois[:0], sampling_ratio=2, pooled_h=2)
    rotated = np.array([[0, 4, 4, 5, 3, 30], [1, 3, 5, 6, 2, -70], [0, 5, 5, 3, 3, 0]], np.float32)
    c.op("RoIAlignRotated", c.f(2, 3, 9, 10), rotated, pooled_h=2, pooled_w=3, sampling_ratio=2)
    c.op("RoIAlignRotated", c.f(2, 3, 9, 10), rotated, pooled_h=2, pooled_w=2, aligned=1,
         sampling_ratio=0)  # fmt: skip
    anchors = np.array([[-4, -4, 11, 11], [-8, -2, 15, 9], [-2, -8, 9, 15]], np.float32)
    for images_, arguments in (
        (1, {}), (2, {"spatial_scale": 0.25}), (1, {"nms_thresh": 0.3, "min_size": 4.0}), (1, {"legacy_plus_one": 0}),
        (2, {"pre_nms_topN": 7, "post_nms_topN": 3}), (1, {"correct_transform_coords": True}),
    ):  # fmt: skip
        arguments = dict({"spatial_scale": 0.0625, "nms_thresh": 0.7, "min_size": 0.0}, **arguments)
        info = np.array([[64, 80, 1.5]] * images_, np.float32)
        given = c.p(images_, 3, 4, 5), c.f(images_, 12, 4, 5) * 0.3, info, anchors
        for kind in ("GenerateProposals", "GenerateProposalsCPP"):
            c.op(kind, *given, outputs=2, **arguments)
    for arguments in ({}, {"legacy_plus_one": 0}, {"weights": [10.0, 10.0, 5.0, 5.0]}, {"apply_scale": 0},
                      {"correct_transform_coords": 1}):  # fmt: skip
        boxes = np.array([[0, 1, 2, 12, 14], [0, 5, 6, 30, 40]], np.float32)
        info = np.array([[64, 80, 1.5]], np.float32)
        c.op("BBoxTransform", boxes, c.f(2, 8) * 0.3, info, outputs=2, **arguments)
        c.op("BBoxTransform", boxes[:, 1:], c.f(2, 4) * 0.3, info, **arguments)
    boxes = (c.p(12, 12) * 30 + np.tile([0, 0, 30, 30], 3)).astype(np.float32)
    for arguments in (
        {}, {"nms": 0.2}, {"score_thresh": 0.5}, {"detections_per_im": 4}, {"soft_nms_enabled": 1},
        {"soft_nms_enabled": 1, "soft_nms_method": "gaussian", "soft_nms_sigma": 0.7}, {"legacy_plus_one": 0},
        {"cls_agnostic_bbox_reg": 1}, {"output_classes_include_bg_cls": 1}, {"input_boxes_include_bg_cls": 0},
    ):  # fmt: skip
        given = boxes[:, :4] if "cls_agnostic_bbox_reg" in arguments else boxes
        given = given[:, :8] if arguments.get("input_boxes_include_bg_cls") == 0 else given
        c.op("BoxWithNMSLimit", c.p(12, 3), given, outputs=6, **arguments)
        c.op("BoxWithNMSLimit", c.p(12, 3), given, np.array([7, 5], np.float32), outputs=6, **arguments)
    for size in ((2, 3, 6, 6), (1, 2, 5, 5), (3, 1, 3, 3), (1, 17, 8, 8)):
        heatmaps, count = c.f(*size), size[0]
        corners = (c.p(count, 4) * 10 + [0, 0, 20, 30]).astype(np.float32)
        c.op("HeatmapMaxKeypoint", heatmaps, corners)
        c.op("HeatmapMaxKeypoint", heatmaps, corners, should_output_softmax=True)

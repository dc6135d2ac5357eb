"""Images as a whole: resized, padded, cut into a batch, in another order of axes, summed up, normalised."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from nxconvert.frontends.caffe2.ops.window import Legacy, channels_first, channels_last, is_nhwc, window
from nxconvert.frontends.caffe2.table import (
    Builder,
    DataType,
    Images,
    Int,
    LoweringError,
    Value,
    Vector,
    Weight,
    caffe2,
)  # fmt: skip
from nxconvert.graph.rules.common import agree

# ---- resizing --------------------------------------------------------------------------------------------------------


def _scales(op: Builder, scales: Value | None, height: float, width: float) -> list[float | Value]:
    """The scales of height and width: numbers, or scalars where they depend on data."""
    if scales is None:
        return [height, width]
    agree(scales.dims[0], 2, "there are two scales, of height and width")
    known = scales.array if scales.const_value is None else scales.const_value.numpy()
    return [op.Gather(scales, axis, axis=0) if known is None else float(known[axis]) for axis in (0, 1)]


def _is_exact(scale: float | Value) -> bool:
    """Whether `Resize` does just what Caffe2 does by a scale.

    Sizes and places are multiplied and divided without being rounded across an integer, and an image of more than a
    pixel changes its size: ONNX Runtime leaves one as it is that does not.
    """
    if not isinstance(scale, (int, float)) or scale <= 0:
        return False
    ratio = Fraction(scale)
    return ratio.denominator <= 64 and ratio.numerator <= 1024 and (scale <= 1 or scale >= 1.5)


def _resized(op: Builder, size: Int, scale: float | Value) -> Int:
    """``size * scale`` in float32, cut off."""
    if isinstance(size, int) and isinstance(scale, (int, float)):
        return int(np.float32(size) * np.float32(scale))
    factor = scale if isinstance(scale, Value) else op.const(scale, DataType.FLOAT)
    product = op.Mul(op.cast(op.dim_value(size), DataType.FLOAT), factor)
    return op.symbol_of(op.cast(product, DataType.INT64), "resized", low=0)


def _nearest(op: Builder, x: Value, axis: int, scale: float | Value) -> Value:
    """The elements of an axis at ``int(place / scale)``, as far as there are any."""
    size = x.dims[axis]
    new = _resized(op, size, scale)
    places = op.cast(op.Range(0, op.dim_value(new), 1), DataType.FLOAT)
    factor = scale if isinstance(scale, Value) else op.const(scale, DataType.FLOAT)
    sources = op.cast(op.Div(places, factor), DataType.INT64)
    return op.Gather(x, op.Min(sources, op.dim_value(size - 1)), axis=axis)


@caffe2("ResizeNearest")
def resize_nearest(
    op: Builder, x: Images, scales: Vector | None = None, *, width_scale: float = 1.0, height_scale: float = 1.0,
    order: str = "NCHW",
) -> Value:  # fmt: skip
    """The pixel at ``int(place / scale)``, of ``int(size * scale)``; ``scales`` are of height and width.

    Semantics: ``caffe2/operators/resize_op.cc``, which computes in float32.
    """
    height, width = _scales(op, scales, height_scale, width_scale)
    if _is_exact(height) and _is_exact(width):
        return channels_last(op, _repeated(op, channels_first(op, x, order), [height, width]), order)
    first = 1 if is_nhwc(order) else 2
    return _nearest(op, _nearest(op, x, first, height), first + 1, width)


def _repeated(op: Builder, x: Value, scales: Sequence[float | Value]) -> Value:
    return op.Resize(
        x, None, op.const([1.0, 1.0, *scales], DataType.FLOAT), mode="nearest", nearest_mode="floor",
        coordinate_transformation_mode="asymmetric",
    )  # fmt: skip


@caffe2("ResizeNearest3D")
def resize_nearest_3d(
    op: Builder, x: Images, *, temporal_scale: float = 1.0, width_scale: float = 1.0, height_scale: float = 1.0,
    order: str = "NCHW",
) -> Value:  # fmt: skip
    """The same of ``[batch, channels, frames, height, width]``; Caffe2 has it for images twice as high and wide."""
    if (height_scale, width_scale, order) != (2, 2, "NCHW") or temporal_scale not in (1, 2):
        raise LoweringError("only images in NCHW are resized, by 2, and frames by 1 or 2")
    return _repeated(op, x, [temporal_scale, height_scale, width_scale])


@caffe2("UpsampleBilinear")
def upsample_bilinear(
    op: Builder, x: Images, scales: Vector | None = None, *, width_scale: float = 1.0, height_scale: float = 1.0
) -> Value:
    """Linear between pixels, of which the outermost ones keep their places; in NCHW, whatever the order says.

    Semantics: ``caffe2/operators/upsample_op.cc``.
    """
    factors = _scales(op, scales, height_scale, width_scale)
    form = {"mode": "linear", "coordinate_transformation_mode": "align_corners"}
    known = [
        _resized(op, size, factor) if isinstance(size, int) else size
        for size, factor in zip(x.dims[2:], factors, strict=True)
    ]
    if 0 in known:
        # ONNX Runtime refuses to resize to nothing.
        return op.expand(op.const(0.0, x.etype), [*x.dims[:2], *known])
    if all(map(_is_exact, factors)):
        return op.Resize(x, None, op.const([1.0, 1.0, *factors], DataType.FLOAT), **form)
    sizes = [_resized(op, size, factor) for size, factor in zip(x.dims[2:], factors, strict=True)]
    return op.Resize(x, None, None, sizes, axes=[2, 3], **form)


# ---- padding ---------------------------------------------------------------------------------------------------------


@caffe2("PadImage")
def pad_image(
    op: Builder, x: Images, *, mode: str = "constant", value: float = 0.0, order: str = "NCHW", **args: Any
) -> Value:
    """Pads height and width with a value, the edge or what is reflected at it; negative pads cut off."""
    x = channels_first(op, x, order)
    form = window({"kernels": [1] * (x.rank - 2), **{k: v for k, v in args.items() if "kernel" not in k}}, x.rank - 2)
    if form.legacy != Legacy.NOTSET or any(stride != 1 for stride in form.strides):
        raise LoweringError("an image is padded by explicit pads, with no stride")
    space = x.rank - 2
    added, cut = [max(pad, 0) for pad in form.pads], [max(-pad, 0) for pad in form.pads]
    if any(added):
        constant = op.const(value, x.etype) if mode == "constant" and value else None
        x = op.Pad(x, [0, 0, *added[:space], 0, 0, *added[space:]], constant, mode=mode)
    if any(cut):
        ends = [size - less for size, less in zip(x.dims[2:], cut[space:], strict=True)]
        x = op.Slice(x, cut[:space], ends, list(range(2, x.rank)))
    return channels_last(op, x, order)


# ---- space and batch -------------------------------------------------------------------------------------------------


def _block_pads(args: dict[str, Any]) -> tuple[int, int]:
    """What is padded at the top, and at each other side: Caffe2 reads no ``pad_l``, ``pad_b`` and ``pad_r``."""
    pad = args.get("pad", 0)
    return args.get("pad_t", pad), pad


@caffe2("SpaceToBatch")
def space_to_batch(op: Builder, x: Images, *, block_size: int = 2, order: str = "NCHW", **args: Any) -> Value:
    """``[block * block * batch, channels, height / block, width / block]``: an image for each place in a block."""
    _want_nchw(order)
    top, pad = _block_pads(args)
    if top or pad:
        x = op.Pad(x, [0, 0, top, pad, 0, 0, pad, pad])
    batch, channels = x.dims[:2]
    deep = op.SpaceToDepth(x, blocksize=block_size)
    places, size = block_size * block_size, deep.dims[2:]
    split = op.reshape(deep, [batch, places, channels, *size])
    return op.reshape(op.Transpose(split, perm=[1, 0, 2, 3, 4]), [places * batch, channels, *size])


@caffe2("BatchToSpace")
def batch_to_space(op: Builder, x: Images, *, block_size: int = 2, order: str = "NCHW", **args: Any) -> Value:
    """The inverse of ``SpaceToBatch``, whose padding it cuts off."""
    _want_nchw(order)
    top, pad = _block_pads(args)
    places = block_size * block_size
    images, channels, *size = x.dims
    batch = images // places
    if isinstance(images, int) and images % places:
        raise LoweringError(f"a batch of {images} is no multiple of the {places} places in a block")
    split = op.reshape(x, [places, batch, channels, *size])
    deep = op.reshape(op.Transpose(split, perm=[1, 0, 2, 3, 4]), [batch, places * channels, *size])
    y = op.DepthToSpace(deep, blocksize=block_size)
    if not top and not pad:
        return y
    return op.Slice(y, [top, pad], [y.dims[2] - pad, y.dims[3] - pad], [2, 3])


def _want_nchw(order: str) -> None:
    if order != "NCHW":
        raise LoweringError(f"Caffe2 has this operator in no order {order}")


# ---- order of axes ---------------------------------------------------------------------------------------------------


@caffe2("NCHW2NHWC")
def nchw_to_nhwc(op: Builder, x: Images) -> Value:
    """``[batch, channels, *space]`` as ``[batch, *space, channels]``."""
    return channels_last(op, x)


@caffe2("NHWC2NCHW")
def nhwc_to_nchw(op: Builder, x: Images) -> Value:
    """``[batch, *space, channels]`` as ``[batch, channels, *space]``."""
    return channels_first(op, x)


# ---- pixels ----------------------------------------------------------------------------------------------------------


@caffe2("IntegralImage")
def integral_image(op: Builder, x: Images) -> Value:
    """At each place, the sum of all pixels above and left of it; ``[batch, channels, height + 1, width + 1]``."""
    padded = op.Pad(x, [0, 0, 1, 1, 0, 0, 0, 0])
    return op.CumSum(op.CumSum(padded, op.const(3)), op.const(2))


@caffe2("NormalizePlanarYUV")
def normalize_planar_yuv(op: Builder, x: Images, mean: Weight, deviation: Weight) -> Value:
    """``(x - mean) / deviation``, which have a number a channel in their first row."""

    def per_channel(parameter: Value) -> Value:
        if parameter.dims[0] != 1:
            parameter = op.Slice(parameter, [0], [1], [0])
        return op.reshape(parameter, [1, parameter.dims[1], 1, 1])

    return op.Div(op.Sub(x, per_channel(mean)), per_channel(deviation))

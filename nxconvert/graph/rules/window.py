"""Operators that slide a window over space: convolution and pooling, and their inverses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import onnx_ir as ir

from nxconvert.graph.dims import Int, compare, floordiv, minimum, product
from nxconvert.graph.rules import infer_rule
from nxconvert.graph.rules.common import Dims, agree, ceil_div, integers, length_of, tensor, want_rank
from nxconvert.graph.values import GraphTypeError, TensorType, Value

if TYPE_CHECKING:
    from nxconvert.graph.builder import Builder


class _Window(NamedTuple):
    """How a window slides along one axis."""

    kernel: Int
    stride: int
    before: int
    after: int
    dilation: int

    @property
    def extent(self) -> Int:
        return (self.kernel - 1) * self.dilation + 1


def _windows(
    kernel: Sequence[Int], strides: Sequence[int] | None, pads: Sequence[int] | None, dilations: Sequence[int] | None
) -> list[_Window]:
    rank = len(kernel)
    strides, pads, dilations = strides or [1] * rank, pads or [0] * (2 * rank), dilations or [1] * rank
    if len(strides) != rank or len(dilations) != rank or len(pads) != 2 * rank:
        raise GraphTypeError(
            f"strides {list(strides)}, pads {list(pads)}, dilations {list(dilations)} are not for {rank} axes"
        )
    return [_Window(kernel[i], strides[i], pads[i], pads[i + rank], dilations[i]) for i in range(rank)]


def _slides(size: Int, window: _Window, auto_pad: str = "NOTSET", ceil_mode: int = 0) -> Int:
    """How many positions the window takes along an axis of ``size``."""
    if auto_pad in ("SAME_UPPER", "SAME_LOWER"):
        return ceil_div(size, window.stride)
    if auto_pad == "VALID":
        window = window._replace(before=0, after=0)
    room = size + (window.before + window.after) - window.extent
    if compare(room, "<", 0):
        raise GraphTypeError(
            f"a window of {window.extent} does not fit into {size} with pads {window.before} and {window.after}"
        )
    if not ceil_mode:
        return floordiv(room, window.stride) + 1
    positions = ceil_div(room, window.stride) + 1
    # A window starts inside the input or the padding before it, which only matters if it could start in the padding
    # after.
    if compare(window.after + window.stride, "<=", window.extent):
        return positions
    return minimum(positions, ceil_div(size + window.before, window.stride))


def _conv_dims(
    x: Dims,
    w: Dims,
    group: int,
    kernel_shape: Sequence[int] | None,
    strides: Any,
    pads: Any,
    dilations: Any,
    auto_pad: str,
) -> Dims:
    if len(x) < 3 or len(x) != len(w):
        raise GraphTypeError(
            f"the input has rank {len(x)}, the weight {len(w)}; both need a batch or output, a channel and space axes"
        )
    agree(x[1], w[1] * group, f"the input's channels do not fit the weight's (in {group} groups)")
    if isinstance(w[0], int) and w[0] % group:
        raise GraphTypeError(f"{w[0]} output channels are no multiple of {group} groups")
    kernel = [agree(k, d, "the kernel is not the weight's") for k, d in zip(kernel_shape or w[2:], w[2:], strict=True)]
    windows = _windows(kernel, strides, pads, dilations)
    return (x[0], w[0], *(_slides(size, window, auto_pad) for size, window in zip(x[2:], windows, strict=True)))


@infer_rule("Conv")
def _conv(
    op: Builder, x: Value, w: Value, b: Value | None = None, /, *, group: int = 1, kernel_shape: Any = None,
    strides: Any = None, pads: Any = None, dilations: Any = None, auto_pad: str = "NOTSET",
) -> list[TensorType]:  # fmt: skip
    dims = _conv_dims(x.dims, w.dims, group, kernel_shape, strides, pads, dilations, auto_pad)
    _check_bias(b, dims[1])
    return [TensorType(x.etype, dims)]


@infer_rule("ConvInteger")
def _conv_integer(
    op: Builder, x: Value, w: Value, /, *_: Value | None, group: int = 1, kernel_shape: Any = None, strides: Any = None,
    pads: Any = None, dilations: Any = None, auto_pad: str = "NOTSET",
) -> list[TensorType]:  # fmt: skip
    return [
        TensorType(
            ir.DataType.INT32, _conv_dims(x.dims, w.dims, group, kernel_shape, strides, pads, dilations, auto_pad)
        )
    ]


@infer_rule("QLinearConv")
def _q_linear_conv(
    op: Builder, x: Value, x_scale: Value, x_zero: Value, w: Value, w_scale: Value, w_zero: Value, y_scale: Value,
    y_zero: Value, b: Value | None = None, /, *, group: int = 1, kernel_shape: Any = None, strides: Any = None,
    pads: Any = None, dilations: Any = None, auto_pad: str = "NOTSET",
) -> list[TensorType]:  # fmt: skip
    return [
        TensorType(y_zero.etype, _conv_dims(x.dims, w.dims, group, kernel_shape, strides, pads, dilations, auto_pad))
    ]


def _check_bias(b: Value | None, channels: Int) -> None:
    if b is not None:
        want_rank(b, 1, "the bias")
        agree(b.dims[0], channels, "the bias does not fit the output channels")


@infer_rule("DeformConv")
def _deform_conv(
    op: Builder, x: Value, w: Value, offset: Value, b: Value | None = None, mask: Value | None = None, /, *,
    group: int = 1, offset_group: int = 1, kernel_shape: Any = None, strides: Any = None, pads: Any = None,
    dilations: Any = None,
) -> list[TensorType]:  # fmt: skip
    dims = _conv_dims(x.dims, w.dims, group, kernel_shape, strides, pads, dilations, "NOTSET")
    _check_bias(b, dims[1])
    kernel = product(w.dims[2:]) * offset_group
    for value, channels, what in ((offset, kernel * (len(dims) - 2), "the offset"), (mask, kernel, "the mask")):
        if value is not None:
            want_rank(value, len(dims), what)
            for have, want in zip(value.dims, (dims[0], channels, *dims[2:]), strict=True):
                agree(have, want, f"{what} does not fit the output")
    return [TensorType(x.etype, dims)]


@infer_rule("ConvTranspose")
def _conv_transpose(
    op: Builder, x: Value, w: Value, b: Value | None = None, /, *, group: int = 1, kernel_shape: Any = None,
    strides: Any = None, pads: Any = None, dilations: Any = None, auto_pad: str = "NOTSET",
    output_padding: Any = None, output_shape: Any = None,
) -> list[TensorType]:  # fmt: skip
    if len(x.dims) < 3 or len(x.dims) != len(w.dims):
        raise GraphTypeError(f"the input has rank {len(x.dims)}, the weight {len(w.dims)}")
    agree(x.dims[1], w.dims[0], "the input's channels do not fit the weight's")
    channels = w.dims[1] * group
    _check_bias(b, channels)
    windows = _windows(kernel_shape or w.dims[2:], strides, pads, dilations)
    extra = output_padding or [0] * len(windows)
    if output_shape:
        space: list[Int] = list(output_shape)[-len(windows) :]
    elif auto_pad in ("SAME_UPPER", "SAME_LOWER"):
        space = [size * window.stride for size, window in zip(x.dims[2:], windows, strict=True)]
    else:
        space = [_unslide(size, window, more) for size, window, more in zip(x.dims[2:], windows, extra, strict=True)]
    return tensor(x.etype, [x.dims[0], channels, *space])


def _unslide(size: Int, window: _Window, extra: int = 0) -> Int:
    return (size - 1) * window.stride + window.extent + extra - window.before - window.after


def _pooled(
    x: Value, kernel_shape: Sequence[int], strides: Any, pads: Any, dilations: Any, auto_pad: str, ceil_mode: int
) -> Dims:
    want_rank(x, 2 + len(kernel_shape), "the input")
    windows = _windows(kernel_shape, strides, pads, dilations)
    return (
        *x.dims[:2],
        *(_slides(size, window, auto_pad, ceil_mode) for size, window in zip(x.dims[2:], windows, strict=True)),
    )


@infer_rule("AveragePool", "LpPool")
def _pool(
    op: Builder, x: Value, /, *, kernel_shape: Sequence[int], strides: Any = None, pads: Any = None,
    dilations: Any = None, auto_pad: str = "NOTSET", ceil_mode: int = 0, **_: Any,
) -> list[TensorType]:  # fmt: skip
    return tensor(x.etype, _pooled(x, kernel_shape, strides, pads, dilations, auto_pad, ceil_mode))


@infer_rule("MaxPool")
def _max_pool(op: Builder, x: Value, /, **attributes: Any) -> list[TensorType]:
    (values,) = _pool(op, x, **attributes)
    return [values, TensorType(ir.DataType.INT64, values.dims)]


@infer_rule("GlobalAveragePool", "GlobalLpPool", "GlobalMaxPool")
def _global_pool(op: Builder, x: Value, /, **_: Any) -> list[TensorType]:
    want_rank(x, 3, "the input", at_least=True)
    return tensor(x.etype, [*x.dims[:2], *(1,) * (len(x.dims) - 2)])


@infer_rule("MaxUnpool")
def _max_unpool(
    op: Builder, x: Value, indices: Value, output_shape: Value | None = None, /, *, kernel_shape: Sequence[int],
    strides: Any = None, pads: Any = None,
) -> list[TensorType]:  # fmt: skip
    if output_shape is not None:
        known = integers(output_shape)
        return tensor(x.etype, known if known is not None else [op.fresh("unpool") for _ in x.dims])
    windows = _windows(kernel_shape, strides, pads, None)
    return tensor(
        x.etype, [*x.dims[:2], *(_unslide(size, window) for size, window in zip(x.dims[2:], windows, strict=True))]
    )


@infer_rule("Col2Im")
def _col2im(op: Builder, x: Value, image_shape: Value, block_shape: Value, /, **_: Any) -> list[TensorType]:
    want_rank(x, 3, "the input")
    image, block = integers(image_shape), integers(block_shape)
    channels = op.fresh("channels", low=1) if block is None else floordiv(x.dims[1], product(block))
    space = (
        image if image is not None else [op.fresh("image") for _ in range(length_of(image_shape, "the image's shape"))]
    )
    return tensor(x.etype, [x.dims[0], channels, *space])


@infer_rule("MaxRoiPool")
def _max_roi_pool(
    op: Builder, x: Value, rois: Value, /, *, pooled_shape: Sequence[int], spatial_scale: float = 1.0
) -> list[TensorType]:
    want_rank(x, 4, "the input")
    return tensor(x.etype, [rois.dims[0], x.dims[1], *pooled_shape])


@infer_rule("RoiAlign")
def _roi_align(
    op: Builder,
    x: Value,
    rois: Value,
    batch_indices: Value,
    /,
    *,
    output_height: int = 1,
    output_width: int = 1,
    **_: Any,
) -> list[TensorType]:
    want_rank(x, 4, "the input")
    want_rank(rois, 2, "the regions")
    agree(rois.dims[1], 4, "a region is 4 numbers")
    count = agree(rois.dims[0], batch_indices.dims[0], "there are not as many batch indices as regions")
    return tensor(x.etype, [count, x.dims[1], output_height, output_width])

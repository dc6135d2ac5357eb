"""Convolution and transposed convolution."""

from __future__ import annotations

from typing import Any

from nxconvert.frontends.caffe2.ops.window import channels_first, channels_last, per_axis, place, window
from nxconvert.frontends.caffe2.table import Builder, Filtered, LoweringError, Value, Weight, caffe2


@caffe2("Conv", "Conv1D", "Conv2D", "Conv3D")
def conv(
    op: Builder, x: Filtered, filter: Weight, bias: Weight | None = None, *, order: str = "NCHW", group: int = 1,
    **args: Any,
) -> Value:  # fmt: skip
    """Convolution of ``[batch, channels, *space]`` by ``[out, channels / group, *kernel]``; channels last in NHWC."""
    x, weight = channels_first(op, x, order), channels_first(op, filter, order)
    x, attributes = place(op, x, window(args, x.rank - 2))
    return channels_last(op, op.Conv(x, weight, bias, group=group, **attributes), order)


@caffe2("ConvRelu")
def conv_relu(op: Builder, x: Filtered, filter: Weight, bias: Weight | None = None, **args: Any) -> Value:
    """``max(conv(x), 0)``."""
    return op.Relu(conv(op, x, filter, bias, **args))


@caffe2("ConvTranspose")
def conv_transpose(
    op: Builder, x: Filtered, filter: Weight, bias: Weight | None = None, *, order: str = "NCHW", group: int = 1,
    **args: Any,
) -> Value:  # fmt: skip
    """The gradient of a convolution, by ``[channels, out / group, *kernel]``; dilations are not known.

    ``adj`` adds to the end of each axis. Semantics:
    ``caffe2/operators/conv_transpose_unpool_op_base.h``.
    """
    x, weight = channels_first(op, x, order), channels_first(op, filter, order)
    form = window({name: value for name, value in args.items() if not name.startswith("dilation")}, x.rank - 2)
    more = per_axis(args, "adj", 0, len(form.kernel))
    if any(added >= stride for added, stride in zip(more, form.strides, strict=True)):
        # Caffe2 takes one as large as the stride, and reads beyond its buffer then.
        raise LoweringError(f"the adj {more} is not less than the strides {list(form.strides)}")
    y = op.ConvTranspose(
        x, weight, bias, kernel_shape=form.kernel, strides=form.strides, pads=form.pads, group=group,
        output_padding=more if any(more) else None,
    )  # fmt: skip
    return channels_last(op, y, order)

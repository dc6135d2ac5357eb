"""Pooling: the largest element of each window, the mean, the p-norm."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from nxconvert.frontends.caffe2.ops.window import Legacy, Window, channels_first, channels_last, place, window
from nxconvert.frontends.caffe2.table import Builder, Images, LoweringError, Value, caffe2

Pool = Callable[[Builder, Value, Window], Value]


def _pooled(
    op: Builder, x: Value, args: dict[str, Any], over_all: Callable[[Builder, Value], Value], pool: Pool
) -> Value:
    """One pool over all of space, or one a place of the window.

    Args:
        op: the builder.
        x: what is pooled; a ``[batch, channels, *space]`` or, in NHWC, with the channels last.
        args: the operator's arguments.
        over_all: pools all of space.
        pool: pools in windows.
    """
    order = args.get("order", "NCHW")
    x = channels_first(op, x, order)
    if args.get("global_pooling"):
        return channels_last(op, over_all(op, x), order)
    form = window(args, x.rank - 2)
    if any(dilation != 1 for dilation in form.dilations):
        raise LoweringError("Caffe2 has no pooling with dilations")
    if any(pad >= size for pad, size in zip(form.pads, form.kernel * 2, strict=True)):
        raise LoweringError(f"the pads {list(form.pads)} are not smaller than the kernel {list(form.kernel)}")
    return channels_last(op, pool(op, x, form), order)


def _rounds_up(x: Value, form: Window) -> dict[str, Any] | None:
    """The attributes by which ONNX pools as Caffe does, if only they can: the sizes are free.

    They agree where windows overlap or lie side by side.
    """
    before, after = form.padding(x.dims[2:])
    if form.legacy != Legacy.CAFFE or not form.overlaps or all(isinstance(pad, int) for pad in after):
        return None
    return {"kernel_shape": form.kernel, "strides": form.strides, "pads": [*before, *before], "ceil_mode": 1}


@caffe2("MaxPool", "MaxPool1D", "MaxPool2D", "MaxPool3D")
def max_pool(op: Builder, x: Images, **args: Any) -> Value:
    """The largest element of each window; padding is none."""

    def pool(op: Builder, x: Value, form: Window) -> Value:
        attributes = _rounds_up(x, form)
        if attributes is None:
            x, attributes = place(op, x, form, filler=-math.inf)
        return op.MaxPool(x, **attributes)

    return _pooled(op, x, args, lambda op, x: op.GlobalMaxPool(x), pool)


@caffe2("AveragePool", "AveragePool1D", "AveragePool2D", "AveragePool3D")
def average_pool(op: Builder, x: Images, *, count_include_pad: int = 0, **args: Any) -> Value:
    """The mean of each window; padding counts as zeros with ``count_include_pad``, else not at all."""

    def pool(op: Builder, x: Value, form: Window) -> Value:
        attributes = None if count_include_pad else _rounds_up(x, form)
        if attributes is not None:
            return op.AveragePool(x, **attributes)
        whole, attributes = place(op, x, form)
        if count_include_pad or whole is x:
            return op.AveragePool(whole, count_include_pad=int(bool(count_include_pad)), **attributes)
        # What part of each window is no padding.
        ones = op.expand(op.const(1.0, x.etype), [1, 1, *x.dims[2:]])
        share = op.AveragePool(place(op, ones, form)[0], **attributes)
        return op.Div(op.AveragePool(whole, **attributes), share)

    return _pooled(op, x, args, lambda op, x: op.GlobalAveragePool(x), pool)


@caffe2("LpPool")
def lp_pool(op: Builder, x: Images, *, p: float = 2.0, **args: Any) -> Value:
    """The p-norm of each window."""

    def pool(op: Builder, x: Value, form: Window) -> Value:
        x, attributes = place(op, x, form)
        if p == int(p):
            return op.LpPool(x, p=int(p), **attributes)
        mean = op.AveragePool(op.Pow(op.Abs(x), p), count_include_pad=1, **attributes)
        return op.Pow(op.Mul(mean, float(math.prod(form.kernel))), 1 / p)

    def over_all(op: Builder, x: Value) -> Value:
        if p == int(p):
            return op.GlobalLpPool(x, p=int(p))
        return op.Pow(op.ReduceSum(op.Pow(op.Abs(x), p), list(range(2, x.rank))), 1 / p)

    return _pooled(op, x, args, over_all, pool)

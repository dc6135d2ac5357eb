"""What is done to the patches of an image one by one: locally connected layers, columns of patches and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nxconvert.frontends.caffe2.ops.numbers import counting
from nxconvert.frontends.caffe2.ops.window import Window, channels_first, channels_last, is_nhwc, window
from nxconvert.frontends.caffe2.table import Builder, Images, Int, LoweringError, Value, Weight, caffe2
from nxconvert.graph.dims import floordiv, product
from nxconvert.graph.rules.common import agree


def _positions(form: Window, sizes: Sequence[Int]) -> list[Int]:
    """How many places the window has along each axis of a padded image of these sizes."""
    return [
        floordiv(size - (kernel - 1) * dilation - 1, stride) + 1
        for size, kernel, stride, dilation in zip(sizes, form.kernel, form.strides, form.dilations, strict=True)
    ]


def _starts(op: Builder, count: Int, kernel: int, stride: int, dilation: int) -> Value:
    """``[positions, kernel]``: the place on the axis of each element of the window, at each position of it."""
    inside = np.arange(kernel) * dilation
    if isinstance(count, int):
        return op.const(np.add.outer(np.arange(count) * stride, inside))
    return op.Add(op.Mul(op.Unsqueeze(counting(op, count), [1]), stride), inside)


def _patches(op: Builder, x: Value, form: Window, positions: Sequence[Int]) -> Value:
    """``[batch, channels, positions, kernel, positions, kernel, ...]`` of a padded ``[batch, channels, *space]``."""
    settings = zip(positions, form.kernel, form.strides, form.dilations, strict=True)
    for i, (count, kernel, stride, dilation) in enumerate(settings):
        x = op.Gather(x, _starts(op, count, kernel, stride, dilation), axis=2 + 2 * i)
    return x


def _padded(op: Builder, x: Value, form: Window) -> Value:
    before, after = form.padding(x.dims[2:])
    return op.Pad(x, [0, 0, *before, 0, 0, *after]) if any([*before, *after]) else x


# ---- locally connected layers ----------------------------------------------------------------------------------------


@caffe2("LC", "LC1D", "LC2D", "LC3D")
def locally_connected(
    op: Builder, x: Images, filter: Weight, bias: Weight | None = None, *, order: str = "NCHW", group: int = 1,
    **args: Any,
) -> Value:  # fmt: skip
    """A convolution with a filter of its own at each place: ``[*places, out, channels, *kernel]``.

    In NHWC the channels of the filter come last. The bias is ``[*places, out]``. Semantics:
    ``caffe2/operators/locally_connected_op_impl.h``.
    """
    if group != 1:
        # Caffe2 writes beyond its buffer.
        raise LoweringError("Caffe2 has no locally connected layers in groups")
    x = _padded(op, channels_first(op, x, order), form := window(args, x.rank - 2))
    space = len(form.kernel)
    places, out = filter.dims[:space], filter.dims[space]
    for place, count in zip(places, _positions(form, x.dims[2:]), strict=True):
        agree(count, place, "there are not as many places as the filter has")
    if is_nhwc(order):
        filter = op.Transpose(filter, perm=[*range(space + 1), filter.rank - 1, *range(space + 1, filter.rank - 1)])
    batch, channels = x.dims[:2]
    columns = [channels, *form.kernel]
    patches = op.Transpose(
        _patches(op, x, form, places), perm=[*range(2, 2 + 2 * space, 2), 1, *range(3, 3 + 2 * space, 2), 0]
    )
    y = op.MatMul(
        op.reshape(filter, [product(places), out, product(columns)]),
        op.reshape(patches, [product(places), product(columns), batch]),
    )
    if bias is not None:
        y = op.Add(y, op.reshape(bias, [product(places), out, 1]))
    spread = op.reshape(y, [*places, out, batch])
    return channels_last(op, op.Transpose(spread, perm=[space + 1, space, *range(space)]), order)


# ---- columns of patches ----------------------------------------------------------------------------------------------


def _column_window(args: dict[str, Any]) -> Window:
    """The window of ``Im2Col``, whose arguments for one axis come before those for both; one pad is for all sides."""
    sides = ("h", "w")
    kernel, strides, dilations = (
        tuple(args.get(f"{name}_{side}", args.get(name, default)) for side in sides)
        for name, default in (("kernel", 0), ("stride", 1), ("dilation", 1))
    )
    if not all(kernel):
        raise LoweringError("the kernel is missing")
    return Window(kernel, strides, dilations, (args.get("pad", 0),) * 4)


@caffe2("Im2Col")
def im2col(op: Builder, x: Images, *, order: str = "NCHW", **args: Any) -> Value:
    """``[batch, channels * kernel, *places]``; ``[batch, *places, kernel * channels]`` in NHWC.

    Semantics: ``caffe2/operators/im2col_op.h``.
    """
    form = _column_window(args)
    x = _padded(op, channels_first(op, x, order), form)
    (rows, columns), batch = _positions(form, x.dims[2:]), x.dims[0]
    patches = _patches(op, x, form, [rows, columns])
    if is_nhwc(order):
        return op.reshape(
            op.Transpose(patches, perm=[0, 2, 4, 3, 5, 1]), [batch, rows, columns, product(form.kernel) * x.dims[1]]
        )
    return op.reshape(
        op.Transpose(patches, perm=[0, 1, 3, 5, 2, 4]), [batch, x.dims[1] * product(form.kernel), rows, columns]
    )


@caffe2("Col2Im")
def col2im(op: Builder, x: Images, like: Images, *, order: str = "NCHW", **args: Any) -> Value:
    """The inverse of ``Im2Col``, for the shape of an image; where patches overlap they are added up."""
    form = _column_window(args)
    batch, height, width, channels = like.dims if is_nhwc(order) else (like.dims[0], *like.dims[2:], like.dims[1])
    pad = form.pads[0]
    sizes = [height + 2 * pad, width + 2 * pad]
    rows, columns = _positions(form, sizes)
    kernel = product(form.kernel)
    if is_nhwc(order):
        split = op.reshape(x, [batch, rows, columns, kernel, channels])
        x = op.Transpose(split, perm=[0, 4, 3, 1, 2])
    blocks = op.reshape(x, [batch, channels * kernel, rows * columns])
    y = op.Col2Im(
        blocks, [height, width], list(form.kernel), pads=form.pads, strides=form.strides, dilations=form.dilations
    )
    return channels_last(op, y, order)

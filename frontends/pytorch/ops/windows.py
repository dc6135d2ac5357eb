"""Overlapping parts of tensors: sliding windows, patches of images and their sum, arbitrary strides."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from nxconvert.frontends.pytorch.ops.common import axis_of, repeat_to, static_ints
from nxconvert.frontends.pytorch.ops.create import filled, int_range
from nxconvert.frontends.pytorch.ops.shape import contiguous_strides, int_list, moved, transposed
from nxconvert.frontends.pytorch.table import Builder, Int, Ints, LoweringError, Value, aten
from nxconvert.graph.builder import FOLD_LIMIT
from nxconvert.graph.dims import compare, floordiv, product
from nxconvert.graph.widening import emit

# ---- sliding windows -------------------------------------------------------------------------------------------------


def window_index(op: Builder, count: Int, size: int, step: int, dilation: int = 1) -> Value:
    """The positions that the windows cover, as ``[count, size]``."""
    starts, inside = int_range(op, 0, count * step, step), int_range(op, 0, size * dilation, dilation)
    return op.Add(op.Unsqueeze(starts, [1]), op.Unsqueeze(inside, [0]))


@aten("unfold", "unfold_copy")
def unfold(op: Builder, self: Value, dimension: Int, size: Int, step: Int) -> Value:
    """All windows along an axis; the windows' own axis is the last one of the result."""
    (length, stride) = static_ints([size, step], "the window")
    if not self.rank:
        return op.Reshape(self, [-1]) if length else op.Slice(op.Reshape(self, [-1]), [0], [0])
    axis = axis_of(dimension, self.rank)
    if compare(length, ">", self.dims[axis]):
        raise LoweringError(f"a window of {length} slides along an axis of size {self.dims[axis]}")
    count = floordiv(self.dims[axis] - length, stride) + 1
    if length == stride:
        whole = self
        if count * length != self.dims[axis]:
            whole = op.Slice(self, [0], [count * length], [axis])
        windows = op.reshape(whole, [*self.dims[:axis], count, length, *self.dims[axis + 1 :]])
    else:
        windows = op.Gather(self, window_index(op, count, length, stride), axis=axis)
    return transposed(op, windows, moved(windows.rank, axis + 1, -1))


# ---- patches of images -----------------------------------------------------------------------------------------------


class _Patches:
    """The geometry of ``im2col`` and ``col2im``, per axis of the image."""

    def __init__(self, sizes: Sequence[Int], kernel: Ints, dilation: Ints, padding: Ints, stride: Ints) -> None:
        self.kernel = repeat_to(kernel, 2, "the kernel size")
        self.dilation = repeat_to(dilation, 2, "the dilation")
        self.padding = repeat_to(padding, 2, "the padding")
        self.stride = repeat_to(stride, 2, "the stride")
        self.padded = [size + 2 * p for size, p in zip(sizes, self.padding, strict=True)]
        self.counts = [
            floordiv(size - d * (k - 1) - 1, s) + 1
            for size, k, d, s in zip(self.padded, self.kernel, self.dilation, self.stride, strict=True)
        ]

    @property
    def tiling(self) -> bool:
        """Whether the patches lie side by side and cover all of the padded image."""
        return (
            self.kernel == self.stride
            and all(d == 1 or k == 1 for d, k in zip(self.dilation, self.kernel, strict=True))
            and all(n * k == size for n, k, size in zip(self.counts, self.kernel, self.padded, strict=True))
        )


@aten("im2col")
def im2col(op: Builder, self: Value, kernel_size: Ints, dilation: Ints, padding: Ints, stride: Ints) -> Value:
    """``[N, C, H, W]`` to ``[N, C * kernel, patches]``."""
    *lead, c, h, w = self.dims
    patches = _Patches([h, w], kernel_size, dilation, padding, stride)
    (kh, kw), (rows, columns), n = patches.kernel, patches.counts, len(lead)
    x = _padded(op, self, patches.padding)
    if patches.tiling:
        x = op.reshape(x, [*lead, c, rows, kh, columns, kw])
        order = [0, 2, 4, 1, 3]
    else:
        x = op.Gather(x, window_index(op, columns, kw, patches.stride[1], patches.dilation[1]), axis=n + 2)
        x = op.Gather(x, window_index(op, rows, kh, patches.stride[0], patches.dilation[0]), axis=n + 1)
        order = [0, 2, 4, 1, 3]
    x = transposed(op, x, [*range(n), *(n + axis for axis in order)])
    return op.reshape(x, [*lead, c * kh * kw, rows * columns])


def _padded(op: Builder, x: Value, padding: Sequence[int]) -> Value:
    if not any(padding):
        return x
    return emit(op, "Pad", x, [*padding, *padding], None, [-2, -1])


@aten("col2im")
def col2im(
    op: Builder, self: Value, output_size: Ints, kernel_size: Ints, dilation: Ints, padding: Ints, stride: Ints
) -> Value:
    """``[N, C * kernel, patches]`` to ``[N, C, H, W]``, adding up where patches overlap."""
    h, w = (int_list(output_size) * 2)[:2]
    *lead, channels, _ = self.dims
    patches = _Patches([h, w], kernel_size, dilation, padding, stride)
    (kh, kw), (rows, columns), n = patches.kernel, patches.counts, len(lead)
    c = floordiv(channels, kh * kw)
    x = op.reshape(self, [*lead, c, kh, kw, rows, columns])
    if patches.tiling:
        x = transposed(op, x, [*range(n), *(n + axis for axis in (0, 3, 1, 4, 2))])
        image = op.reshape(x, [*lead, c, *patches.padded])
    else:
        # Pixels first, so that one index a pixel adds whole [N, C] blocks.
        x = transposed(op, x, [*range(n + 1, n + 5), *range(n + 1)])
        ys = op.Transpose(window_index(op, rows, kh, patches.stride[0], patches.dilation[0]), perm=[1, 0])
        xs = op.Transpose(window_index(op, columns, kw, patches.stride[1], patches.dilation[1]), perm=[1, 0])
        pixel = op.Add(op.Unsqueeze(op.Mul(ys, patches.padded[1]), [1, 3]), op.Unsqueeze(xs, [0, 2]))
        blank = filled(op, [product(patches.padded), *lead, c], 0, self.etype)
        image = op.ScatterND(blank, op.Unsqueeze(pixel, [-1]), x, reduction="add")
        image = op.reshape(transposed(op, image, [*range(1, n + 2), 0]), [*lead, c, *patches.padded])
    (top, left) = patches.padding
    return op.Slice(image, [top, left], [h + top, w + left], [n + 1, n + 2]) if top or left else image


# ---- arbitrary strides -----------------------------------------------------------------------------------------------


@aten("as_strided", "as_strided_copy")
def as_strided(op: Builder, self: Value, size: Ints, stride: Ints, storage_offset: Int | None = None) -> Value:
    """Elements by their place in memory, where ``self`` is taken to lie without gaps and in order."""
    sizes, strides, offset = int_list(size), int_list(stride), storage_offset or 0
    if offset == 0 and sizes == list(self.dims) and strides == contiguous_strides(self.dims):
        return self
    flat = op.reshape(self, [product(self.dims)])
    if offset == 0 and strides == contiguous_strides(sizes) and product(sizes) == flat.dims[0]:
        return op.reshape(flat, sizes)
    return op.Gather(flat, strided_index(op, sizes, strides, offset), axis=0)


def strided_index(op: Builder, sizes: Sequence[Int], strides: Sequence[Int], offset: Int) -> Value:
    """The place in memory of each element of a tensor with these sizes and strides."""
    numbers = [x for x in (*sizes, *strides, offset) if isinstance(x, int)]
    if len(numbers) == 2 * len(sizes) + 1 and math.prod(numbers[: len(sizes)]) <= FOLD_LIMIT:
        counts, steps = numbers[: len(sizes)], numbers[len(sizes) : -1]
        places = [np.arange(n) * s for n, s in zip(counts, steps, strict=True)]
        return op.const(np.asarray(sum(np.ix_(*places), numbers[-1]), np.int64))
    total = op.dim_value(offset)
    for axis, (count, step) in enumerate(zip(sizes, strides, strict=True)):
        place = op.Mul(int_range(op, count), step)
        others = [i for i in range(len(sizes)) if i != axis]
        total = op.Add(total, op.Unsqueeze(place, others) if others else place)
    return total

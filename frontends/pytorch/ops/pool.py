"""Max and average pooling with a sliding window, and the inverse of max pooling."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from nxconvert.frontends.pytorch.dtypes import DataType, is_float
from nxconvert.frontends.pytorch.ops.common import known, repeat_to
from nxconvert.frontends.pytorch.ops.patches import CONVOLVED, patches
from nxconvert.frontends.pytorch.ops.spatial import batched, want_space
from nxconvert.frontends.pytorch.table import Builder, Int, Ints, Value, aten
from nxconvert.graph.dims import floordiv, maximum, minimum, product

_POOLED_INTEGERS = (DataType.INT8, DataType.UINT8)


def _window(space: int, kernel: Ints, stride: Ints | Int, padding: Ints | Int) -> dict[str, Any]:
    size = repeat_to(kernel, space, "the kernel size")
    return {
        "kernel_shape": size,
        # No stride means that windows lie side by side.
        "strides": size if stride == [] else repeat_to(stride, space, "the stride"),
        "pads": repeat_to(padding, space, "the padding") * 2,
    }


def _positions(size: Int, kernel: int, stride: int, pad: int, dilation: int = 1) -> Int:
    """How many windows there are with ``ceil_mode``: the last one starts inside the input or the padding before it."""
    extent = (kernel - 1) * dilation + 1
    count = floordiv(size + 2 * pad - extent + stride - 1, stride) + 1
    return count if pad + stride <= extent else minimum(count, floordiv(size + pad + stride - 1, stride))


def _round_up(x: Value, window: dict[str, Any], counted: bool) -> None:
    """Lets a window that covers the rest of an axis in; by padding after the axis where its size is known.

    Not by ``ceil_mode``, whose shape inference in ONNX forgets that windows may not start in the padding after an axis.

    Args:
        x: the input.
        window: the attributes, updated.
        counted: whether padding counts as elements; what lies beyond PyTorch's padding never does.
    """
    kernel, pads = window["kernel_shape"], window["pads"]
    space = len(kernel)
    dilations = window.get("dilations", [1] * space)
    axes = zip(x.dims[-space:], kernel, window["strides"], pads[:space], dilations, strict=True)
    for i, (size, k, stride, pad, dilation) in enumerate(axes):
        rest = (_positions(size, k, stride, pad, dilation) - 1) * stride + (k - 1) * dilation + 1 - size - 2 * pad
        # ONNX Runtime pads by less than the kernel only, even if that is dilated.
        if not isinstance(rest, int) or (rest > 0 and ((counted and any(pads)) or pad + rest >= k)):
            window["ceil_mode"] = 1
        elif counted and rest > 0:
            # Nothing is padded, so that nothing is left to count.
            window["count_include_pad"] = 0
            pads[space + i] = rest
        else:
            pads[space + i] = max(pad + rest, 0)


def _max_pool(
    op: Builder, x: Value, space: int, kernel: Ints, stride: Ints, padding: Ints | Int, dilation: Ints | Int,
    ceil_mode: bool, indices: bool,
) -> tuple[Value, ...]:  # fmt: skip
    """The largest element of each window; with ``indices``, its place within the plane ``[*space]`` too."""
    window = _window(space, kernel, stride, padding)
    window["dilations"] = repeat_to(dilation, space, "the dilation")
    if ceil_mode:
        _round_up(x, window, counted=False)
    want_space(x, space)
    whole = x if x.rank == space + 2 else op.Unsqueeze(x, [0])
    results = max_pooled(op, whole, indices, **window)
    return results if whole is x else tuple(op.Squeeze(result, [0]) for result in results)


def max_pooled(op: Builder, x: Value, indices: bool, **window: Any) -> tuple[Value, ...]:
    """``MaxPool`` of ``[batch, channels, *space]``, for all dtypes; with ``indices``, PyTorch's too."""
    fits = is_float(x.etype) or x.etype in _POOLED_INTEGERS
    widened = op.cast(x, x.etype if fits else DataType.DOUBLE)
    if not indices:
        return (op.cast(op.MaxPool(widened, **window), x.etype),)
    values, places = op.MaxPool(widened, _outputs=2, **window)
    if product(x.dims[:2]) != 1:
        # ONNX counts through the whole tensor, PyTorch through one channel of one image.
        places = op.Mod(places, op.dim_value(product(x.dims[2:])))
    return op.cast(values, x.etype), places


def _avg_pool(
    op: Builder, x: Value, space: int, kernel: Ints, stride: Ints, padding: Ints | Int, ceil_mode: bool,
    count_include_pad: bool, divisor: Int | None,
) -> Value:  # fmt: skip
    window = _window(space, kernel, stride, padding)
    if x.etype not in CONVOLVED:
        divide_by = None if divisor is None else known(divisor, "the divisor")
        rest = ceil_mode, count_include_pad, divide_by
        return batched(op, x, space, lambda x: _average_of_patches(op, x, window, *rest))
    if divisor is not None:
        divide_by = known(divisor, "the divisor")
        return batched(op, x, space, lambda x: _sum_pool(op, x, window, ceil_mode, divide_by))
    window["count_include_pad"] = int(count_include_pad)
    if ceil_mode:
        x = _padded_first(op, x, window) if count_include_pad else x
        _round_up(x, window, counted=count_include_pad)
    return batched(op, x, space, lambda x: op.AveragePool(x, **window))


def _padded_first(op: Builder, x: Value, window: dict[str, Any]) -> Value:
    """``x`` with the zeros that count around it, so that what ``ceil_mode`` adds, which does not, is all that is left.

    ONNX Runtime's average pooling of integers counts both. The number of windows stays where none can start in the
    padding after an axis.
    """
    kernel, strides, pads = window["kernel_shape"], window["strides"], window["pads"][: len(window["kernel_shape"])]
    if not any(pads) or any(p + s > k for p, s, k in zip(pads, strides, kernel, strict=True)):
        return x
    window["pads"] = [0] * len(window["pads"])
    outer = [0] * (x.rank - len(pads))
    return op.Pad(x, [*outer, *pads, *outer, *pads])


def _sum_pool(op: Builder, x: Value, window: dict[str, Any], ceil_mode: bool, divisor: int) -> Value:
    """The sum of each window by a divisor of its own; zeros fill up a window that reaches beyond the padding."""
    kernel = window["kernel_shape"]
    if ceil_mode:
        axes = zip(x.dims[2:], kernel, window["strides"], window["pads"], strict=False)
        rest = [maximum((_positions(size, k, s, pad) - 1) * s + k - size - 2 * pad, 0) for size, k, s, pad in axes]
        if any(rest):
            x = op.Pad(x, [0] * (x.rank + 2) + rest)
    mean = op.AveragePool(x, count_include_pad=1, **window)
    count = math.prod(kernel)
    return mean if count == divisor else op.Mul(mean, count / divisor)


def _average_of_patches(
    op: Builder, x: Value, window: dict[str, Any], ceil_mode: bool, count_include_pad: bool, divisor: int | None
) -> Value:
    """Average pooling for the dtypes that ONNX Runtime has none for; integers are divided towards zero."""
    kernel, strides = window["kernel_shape"], window["strides"]
    pads = window["pads"][: len(kernel)]
    space = [
        _positions(size, k, stride, pad) if ceil_mode else floordiv(size + 2 * pad - k, stride) + 1
        for size, k, stride, pad in zip(x.dims[2:], kernel, strides, pads, strict=True)
    ]

    def summed(x: Value, inside: Sequence[int]) -> Value:
        """The sums over windows of ``x``, which has ``inside`` of the padding already."""
        left = [pad - given for pad, given in zip(pads, inside, strict=True)]
        reach = [(n - 1) * s + k for n, s, k in zip(space, strides, kernel, strict=True)]
        right = [maximum(r - size - first, 0) for r, size, first in zip(reach, x.dims[2:], left, strict=True)]
        if any(left) or any(right):
            x = op.Pad(x, [0, 0, *left, 0, 0, *right])
        columns = patches(op, x, kernel, space, strides, [1] * len(kernel))
        return op.ReduceSum(columns, list(range(2, 2 + len(kernel))), keepdims=0)

    total = summed(x, [0] * len(pads))
    if divisor is not None:
        return op.Div(total, op.const(divisor, x.etype))
    inside = pads if count_include_pad else [0] * len(pads)
    ones = [size + 2 * more for size, more in zip(x.dims[2:], inside, strict=True)]
    return op.Div(total, summed(op.expand(op.const(1, x.etype), [1, 1, *ones]), inside))


def _register(space: int) -> None:
    @aten(f"max_pool{space}d")
    def max_pool(
        op: Builder, self: Value, kernel_size: Ints, stride: Ints = [],  # noqa: B006
        padding: Ints | Int = 0, dilation: Ints | Int = 1, ceil_mode: bool = False,
    ) -> Value:  # fmt: skip
        return _max_pool(op, self, space, kernel_size, stride, padding, dilation, ceil_mode, False)[0]

    @aten(f"max_pool{space}d_with_indices")
    def max_pool_with_indices(
        op: Builder, self: Value, kernel_size: Ints, stride: Ints = [],  # noqa: B006
        padding: Ints | Int = 0, dilation: Ints | Int = 1, ceil_mode: bool = False,
    ) -> tuple[Value, ...]:  # fmt: skip
        return _max_pool(op, self, space, kernel_size, stride, padding, dilation, ceil_mode, True)

    @aten(f"avg_pool{space}d")
    def avg_pool(
        op: Builder, self: Value, kernel_size: Ints, stride: Ints = [],  # noqa: B006
        padding: Ints | Int = 0, ceil_mode: bool = False, count_include_pad: bool = True,
        divisor_override: Int | None = None,
    ) -> Value:  # fmt: skip
        window = kernel_size, stride, padding, ceil_mode
        return _avg_pool(op, self, space, *window, count_include_pad, divisor_override)


for _space in (1, 2, 3):
    _register(_space)


def _scatter_planes(
    op: Builder, values: Value, indices: Value, space: int, size: Ints, reduction: str | None = None
) -> Value:
    """Zeros of ``[..., *size]``, and ``values`` at ``indices`` that count through one plane."""
    lead = values.dims[: values.rank - space]
    plane = product(size)
    blank = op.expand(op.const(0, values.etype), [*lead, plane])
    flat = [op.reshape(x, [*lead, product(x.dims[-space:])]) for x in (indices, values)]
    filled = op.ScatterElements(blank, *flat, axis=len(lead), reduction=reduction)
    return op.reshape(filled, [*lead, *size])


@aten("max_unpool2d")
def max_unpool2d(op: Builder, self: Value, indices: Value, output_size: Ints) -> Value:
    want_space(self, 2)
    return _scatter_planes(op, self, indices, 2, output_size)


@aten("max_unpool3d")
def max_unpool3d(op: Builder, self: Value, indices: Value, output_size: Ints, stride: Ints, padding: Ints) -> Value:
    want_space(self, 3)
    return _scatter_planes(op, self, indices, 3, output_size)


@aten("max_pool2d_with_indices_backward")
def max_pool2d_with_indices_backward(
    op: Builder, grad_output: Value, self: Value, kernel_size: Ints, stride: Ints, padding: Ints, dilation: Ints,
    ceil_mode: bool, indices: Value,
) -> Value:  # fmt: skip
    """Each gradient goes to where the largest element came from."""
    want_space(self, 2)
    return _scatter_planes(op, grad_output, indices, 2, list(self.dims[-2:]), reduction="add")

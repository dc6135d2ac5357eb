"""Convolution as a product of matrices, for the dtypes that ONNX or ONNX Runtime has no convolution for.

PyTorch convolves float64 and integers; ONNX has no integer ``Conv``, and ONNX Runtime none for float64.
"""

from __future__ import annotations

from collections.abc import Sequence

from nxconvert.frontends.pytorch.dtypes import DataType
from nxconvert.frontends.pytorch.ops.linear import matrix_product
from nxconvert.frontends.pytorch.ops.resample import counting
from nxconvert.frontends.pytorch.table import Builder, Int, Value
from nxconvert.graph.dims import floordiv, product
from nxconvert.graph.widening import emit

# Halves are cast to float32 by ONNX Runtime itself.
CONVOLVED = (DataType.FLOAT, DataType.FLOAT16, DataType.BFLOAT16)


def convolve(
    op: Builder, x: Value, weight: Value, bias: Value | None, strides: Sequence[int], before: Sequence[Int],
    after: Sequence[Int], dilations: Sequence[int], group: int,
) -> Value:  # fmt: skip
    """``Conv`` of ``[batch, channels, *space]`` by ``[out, channels / group, *kernel]``."""
    kernel = weight.dims[2:]
    if any(before) or any(after):
        x = emit(op, "Pad", x, [0, 0, *before, 0, 0, *after])
    spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    space = [floordiv(n - span, s) + 1 for n, span, s in zip(x.dims[2:], spans, strides, strict=True)]
    columns = op.reshape(
        patches(op, x, kernel, space, strides, dilations),
        [x.dims[0], group, product([floordiv(x.dims[1], group), *kernel]), product(space)],
    )
    rows = op.reshape(weight, [group, floordiv(weight.dims[0], group), product(weight.dims[1:])])
    y = op.reshape(matrix_product(op, rows, columns), [x.dims[0], weight.dims[0], *space])
    return y if bias is None else op.Add(y, op.Unsqueeze(bias, list(range(1, len(space) + 1))))


def patches(
    op: Builder, x: Value, kernel: Sequence[Int], space: Sequence[Int], strides: Sequence[int],
    dilations: Sequence[int],
) -> Value:  # fmt: skip
    """``[batch, channels, *kernel, *space]``: what lies under each element of the kernel, at each place of it."""
    for i, (k, n, stride, dilation) in enumerate(zip(kernel, space, strides, dilations, strict=True)):
        inner = op.Mul(counting(op, k, DataType.INT64), dilation)
        outer = op.Mul(counting(op, n, DataType.INT64), stride)
        # Axis 2 + 2·i becomes two: kernel, space.
        x = op.Gather(x, op.Add(op.Unsqueeze(inner, [1]), outer), axis=2 + 2 * i)
    return op.Transpose(x, perm=[0, 1, *range(2, x.rank, 2), *range(3, x.rank, 2)])


def convolve_transposed(
    op: Builder, x: Value, weight: Value, bias: Value | None, strides: Sequence[int], before: Sequence[Int],
    after: Sequence[Int], dilations: Sequence[int], group: int,
) -> Value:  # fmt: skip
    """``ConvTranspose`` by ``[channels, out / group, *kernel]``: a stretched input convolved by the mirrored kernel.

    Args:
        op: the builder.
        x: ``[batch, channels, *space]``.
        weight: the kernel.
        bias: ``[out]``.
        strides: how far the input is stretched.
        before: what is cut off before each axis of the result.
        after: what is cut off after each axis; less than nothing adds to it (output padding).
        dilations: of the kernel.
        group: the number of groups.
    """
    kernel = weight.dims[2:]
    spans = [(k - 1) * d for k, d in zip(kernel, dilations, strict=True)]
    first = [span - cut for span, cut in zip(spans, before, strict=True)]
    # Stretching leaves zeros behind the last element too.
    last = [span - cut - (s - 1) for span, cut, s in zip(spans, after, strides, strict=True)]
    stretched, mirrored = _stretched(op, x, strides), _mirrored(op, weight, group)
    return convolve(op, stretched, mirrored, bias, [1] * len(kernel), first, last, dilations, group)


def _stretched(op: Builder, x: Value, strides: Sequence[int]) -> Value:
    """``stride - 1`` zeros after every element."""
    dims = x.dims
    for i, stride in enumerate(strides):
        if stride == 1:
            continue
        split = op.Unsqueeze(x, [3 + i])
        pads = [0] * (2 * split.rank)
        pads[split.rank + 3 + i] = stride - 1
        dims = (*dims[: 2 + i], dims[2 + i] * stride, *dims[3 + i :])
        x = op.reshape(emit(op, "Pad", split, pads), dims)
    return x


def _mirrored(op: Builder, weight: Value, group: int) -> Value:
    """``[channels, out / group, *kernel]`` as ``[out, channels / group, *kernel]``, back to front."""
    channels, out, *kernel = weight.dims
    inner = floordiv(channels, group)
    grouped = op.reshape(weight, [group, inner, out, *kernel])
    swapped = op.Transpose(grouped, perm=[0, 2, 1, *range(3, grouped.rank)])
    axes = list(range(2, 2 + len(kernel)))
    flat = op.reshape(swapped, [group * out, inner, *kernel])
    return op.Slice(flat, [-1] * len(axes), [-(2**31)] * len(axes), axes, [-1] * len(axes))

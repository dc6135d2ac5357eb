"""Convolution and transposed convolution, in all the names that PyTorch has for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nxconvert.frontends.pytorch.ops import patches
from nxconvert.frontends.pytorch.ops.common import all_static, repeat_to, static_ints
from nxconvert.frontends.pytorch.ops.spatial import batched
from nxconvert.frontends.pytorch.table import Builder, Dim, Int, Ints, LoweringError, Value, aten
from nxconvert.graph.builder import GraphTypeError
from nxconvert.graph.dims import floordiv


def _window(weight: Value, stride: Int | Sequence[Int], dilation: Int | Sequence[Int], groups: Int) -> dict[str, Any]:
    """The attributes that Conv and ConvTranspose share."""
    space = weight.rank - 2
    kernel = weight.dims[2:]
    return {
        "kernel_shape": kernel if all_static(kernel) else None,
        "strides": repeat_to(stride, space, "the stride"),
        "dilations": repeat_to(dilation, space, "the dilation"),
        "group": static_ints(groups, "the number of groups")[0],
    }


def convolve(
    op: Builder, x: Value, weight: Value, bias: Value | None, stride: Int | Ints, padding: Int | Ints | str,
    dilation: Int | Ints, groups: Int,
) -> Value:  # fmt: skip
    """Convolution over as many axes as the weight has beyond two; ``[out, in / groups, *kernel]``."""
    window = _window(weight, stride, dilation, groups)
    space = weight.rank - 2
    before, after = _pads(weight, padding, window["dilations"])
    if x.etype not in patches.CONVOLVED:
        form = window["strides"], before, after, window["dilations"], window["group"]
        return batched(op, x, space, lambda x: patches.convolve(op, x, weight, bias, *form))
    if all_static([*before, *after]):
        window["pads"] = [*before, *after]
        return batched(op, x, space, lambda x: op.Conv(x, weight, bias, **window))
    # Conv takes no computed pads, Pad does.
    return batched(op, x, space, lambda x: op.Conv(op.Pad(x, [0, 0, *before, 0, 0, *after]), weight, bias, **window))


def _pads(weight: Value, padding: Int | Ints | str, dilations: Sequence[int]) -> tuple[list[Int], list[Int]]:
    """Padding before and after each axis; "same" pads an odd total more at the end (``torch/nn/modules/conv.py``)."""
    if padding == "same":
        totals = [(size - 1) * d for size, d in zip(weight.dims[2:], dilations, strict=True)]
        before = [floordiv(total, 2) for total in totals]
        return before, [total - first for total, first in zip(totals, before, strict=True)]
    pads = repeat_to(0 if isinstance(padding, str) else padding, len(dilations), "the padding")
    return [*pads], [*pads]


def convolve_transposed(
    op: Builder, x: Value, weight: Value, bias: Value | None, stride: Int | Ints, padding: Int | Ints,
    output_padding: Int | Ints, groups: Int, dilation: Int | Ints,
) -> Value:  # fmt: skip
    """The gradient of convolution; weight ``[in, out / groups, *kernel]``."""
    window = _window(weight, stride, dilation, groups)
    space = weight.rank - 2
    before = repeat_to(padding, space, "the padding")
    more = _repeated(output_padding, space)
    after = [cut - added for cut, added in zip(before, more, strict=True)]
    # Less padding after an axis means the same as output padding; ONNX Runtime refuses one as large as the stride.
    settings = zip(after, more, window["strides"], strict=True)
    beyond = any(isinstance(less, int) and less < 0 and added >= s for less, added, s in settings)
    if beyond or x.etype not in patches.CONVOLVED:
        form = window["strides"], before, after, window["dilations"], window["group"]
        return batched(op, x, space, lambda x: patches.convolve_transposed(op, x, weight, bias, *form))
    return batched(op, x, space, lambda x: _transposed(op, x, weight, bias, window, before, more))


def _transposed(
    op: Builder, x: Value, weight: Value, bias: Value | None, window: dict[str, Any], before: list[int], more: list[Int]
) -> Value:
    """``ConvTranspose`` with ``more`` after each axis."""
    after, extra = [*before], [0] * len(more)
    cut: dict[int, Int] = {}
    for i, added in enumerate(more):
        if isinstance(added, Dim):
            # It is less than the stride; what is too much is cut off.
            extra[i] = window["strides"][i] - 1
            cut[2 + i] = added - extra[i]
        elif added >= window["strides"][i]:
            after[i] -= added
        else:
            extra[i] = added
    y = op.ConvTranspose(x, weight, bias, pads=before + after, output_padding=extra, **window)
    if not cut:
        return y
    return op.Slice(y, [0] * len(cut), [y.dims[axis] + less for axis, less in cut.items()], list(cut))


def _repeated(values: Int | Sequence[Int], count: int) -> list[Int]:
    """A single number stands for all axes."""
    items: list[Int] = [values] if isinstance(values, (int, Dim)) else list(values)
    return items * count if len(items) == 1 else items


def _want_weight(weight: Value, space: int) -> None:
    if weight.rank != space + 2:
        raise GraphTypeError(f"the weight has rank {weight.rank}, not {space + 2}")


def _register(space: int) -> None:
    @aten(f"conv{space}d")
    def conv(
        op: Builder, input: Value, weight: Value, bias: Value | None = None, stride: Ints | Int = 1,
        padding: Ints | Int | str = 0, dilation: Ints | Int = 1, groups: Int = 1,
    ) -> Value:  # fmt: skip
        _want_weight(weight, space)
        return convolve(op, input, weight, bias, stride, padding, dilation, groups)

    @aten(f"conv_transpose{space}d")
    def conv_transpose(
        op: Builder, input: Value, weight: Value, bias: Value | None = None, stride: Ints | Int = 1,
        padding: Ints | Int = 0, output_padding: Ints | Int = 0, groups: Int = 1, dilation: Ints | Int = 1,
    ) -> Value:  # fmt: skip
        _want_weight(weight, space)
        return convolve_transposed(op, input, weight, bias, stride, padding, output_padding, groups, dilation)


for _space in (1, 2, 3):
    _register(_space)


@aten("convolution", "convolution_overrideable", "_convolution")
def convolution(
    op: Builder, input: Value, weight: Value, bias: Value | None, stride: Ints, padding: Ints, dilation: Ints,
    transposed: bool, output_padding: Ints, groups: Int, benchmark: bool = False, deterministic: bool = False,
    cudnn_enabled: bool = True, allow_tf32: bool = True,
) -> Value:  # fmt: skip
    """What every convolution becomes when it is traced; the last four say which implementation to run."""
    if transposed:
        return convolve_transposed(op, input, weight, bias, stride, padding, output_padding, groups, dilation)
    return convolve(op, input, weight, bias, stride, padding, dilation, groups)


@aten("_convolution_mode")
def convolution_mode(
    op: Builder, input: Value, weight: Value, bias: Value | None, stride: Ints, padding: str, dilation: Ints,
    groups: Int,
) -> Value:  # fmt: skip
    return convolve(op, input, weight, bias, stride, padding, dilation, groups)


@aten("thnn_conv2d", "slow_conv3d")
def slow_conv(
    op: Builder, self: Value, weight: Value, kernel_size: Ints, bias: Value | None = None, stride: Ints | Int = 1,
    padding: Ints | Int = 0,
) -> Value:  # fmt: skip
    return convolve(op, self, weight, bias, stride, padding, 1, 1)


@aten("slow_conv_dilated2d", "slow_conv_dilated3d")
def slow_conv_dilated(
    op: Builder, self: Value, weight: Value, kernel_size: Ints, bias: Value | None = None, stride: Ints | Int = 1,
    padding: Ints | Int = 0, dilation: Ints | Int = 1,
) -> Value:  # fmt: skip
    return convolve(op, self, weight, bias, stride, padding, dilation, 1)


@aten("_conv_depthwise2d", "conv_depthwise3d")
def conv_depthwise(
    op: Builder, self: Value, weight: Value, kernel_size: Ints, bias: Value | None, stride: Ints, padding: Ints,
    dilation: Ints,
) -> Value:  # fmt: skip
    """A group for each input channel."""
    channels = self.dims[1 - weight.rank]
    if not isinstance(channels, int):
        raise LoweringError("the number of channels of a depthwise convolution is not known")
    return convolve(op, self, weight, bias, stride, padding, dilation, channels)


@aten("slow_conv_transpose2d", "slow_conv_transpose3d")
def slow_conv_transpose(
    op: Builder, self: Value, weight: Value, kernel_size: Ints, bias: Value | None = None, stride: Ints | Int = 1,
    padding: Ints | Int = 0, output_padding: Ints | Int = 0, dilation: Ints | Int = 1,
) -> Value:  # fmt: skip
    return convolve_transposed(op, self, weight, bias, stride, padding, output_padding, 1, dilation)


@aten("mkldnn_convolution")
def mkldnn_convolution(
    op: Builder, self: Value, weight: Value, bias: Value | None, padding: Ints, stride: Ints, dilation: Ints,
    groups: Int,
) -> Value:  # fmt: skip
    return convolve(op, self, weight, bias, stride, padding, dilation, groups)


@aten("cudnn_convolution_relu")
def cudnn_convolution_relu(
    op: Builder, self: Value, weight: Value, bias: Value | None, stride: Ints, padding: Ints, dilation: Ints,
    groups: Int,
) -> Value:  # fmt: skip
    """What PyTorch's graph optimisation makes of a convolution and a ReLU on a GPU."""
    return op.Relu(convolve(op, self, weight, bias, stride, padding, dilation, groups))


@aten("conv_tbc")
def conv_tbc(op: Builder, self: Value, weight: Value, bias: Value, pad: Int = 0) -> Value:
    """Convolution of ``[time, batch, channels]`` by ``[kernel, in, out]``."""
    x = op.Transpose(self, perm=[1, 2, 0])
    y = convolve(op, x, op.Transpose(weight, perm=[2, 1, 0]), bias, 1, pad, 1, 1)
    return op.Transpose(y, perm=[2, 0, 1])

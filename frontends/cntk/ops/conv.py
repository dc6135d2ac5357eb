"""Convolution and transposed convolution.

Files list the kernel before the operand: ``[out, in / groups, *window]`` for samples of ``[in, *space]``; of a
transposed one ``[in, out, *window]``. Semantics: ``Source/Math/ConvolveGeometry.h`` and
``Source/ComputationNetworkLib/ConvolutionalNodes.h``, measured in CNTK 2.7. Dilations, which it does not compute on
CPUs, follow the former.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from nxconvert.frontends.cntk.ops.window import (
    Slide,
    centered,
    extent,
    per_sample,
    place,
    row_major,
    shape_of,
    shared,
)
from nxconvert.frontends.cntk.table import (
    Axes,
    Bools,
    Builder,
    Context,
    Int,
    LoweringError,
    Shape,
    Tensor,
    Value,
    cntk,
)
from nxconvert.graph.dims import compare, floordiv, mod, product
from nxconvert.graph.widening import emit


class Form(NamedTuple):
    """A convolution's attributes, with one value for each static axis of the operand, the first one first.

    Attributes:
        kernel: the sizes of the window.
        strides: its steps.
        dilations: the distances between its elements.
        centers: whether an axis is padded so that the window's center goes to its ends.
        low: what is padded before the axis otherwise.
        high: and behind it.
    """

    kernel: list[int]
    strides: list[int]
    dilations: list[int]
    centers: list[bool]
    low: list[int]
    high: list[int]

    def slide(self, axis: int, size: Int) -> Slide:
        """The window along an axis of some size."""
        kernel, stride, dilation = self.kernel[axis], self.strides[axis], self.dilations[axis]
        if self.centers[axis]:
            return centered(size, kernel, stride, dilation)
        return Slide(kernel, stride, self.low[axis], self.high[axis], dilation)


def form(
    x: Tensor,
    *,
    kernelShape: Shape,
    strides: Shape = (1,),
    dilation: Shape = (1,),
    autoPadding: Bools = (True,),
    lowerPad: Shape = (0,),
    upperPad: Shape = (0,),
    groups: int = 1,
    **_: Any,
) -> Form:
    """The attributes of a convolution of `x`; a window without channels has all of them, and moves by as many."""
    window, rank = len(kernelShape), x.rank
    channels = x.dims[0] if rank and isinstance(x.dims[0], int) else 1
    return Form(
        [size if size > 0 else channels // groups for size in row_major(kernelShape, window, rank, -1)],
        [step if step > 0 else channels for step in row_major(strides, window, rank, -1)],
        row_major(dilation, window, rank, 1),
        row_major(autoPadding, window, rank, False),
        row_major(lowerPad, window, rank, 0),
        row_major(upperPad, window, rank, 0),
    )


@cntk("Convolution")
def convolution(
    op: Builder,
    kernel: Tensor,
    x: Tensor,
    *,
    kernelShape: Shape,
    groups: int = 1,
    transpose: bool = False,
    outputShape: Shape = (0,),
    sharing: Bools = (True,),
    context: Context,
    **attributes: Any,
) -> Tensor:
    """Each step of a sequence is convolved alone: where time is an axis of space, it has been made static before."""
    if kernel.nd:
        raise LoweringError("the kernel is another one for each sample")
    if not x.rank:
        raise LoweringError("samples that are single numbers have no axis to convolve over")
    windows = form(x, kernelShape=kernelShape, groups=groups, **attributes)
    maps = floordiv(product(kernel.dims), product(windows.kernel))
    weight = op.reshape(op.cast(kernel.value, x.dtype), (maps, *windows.kernel))
    if groups > 1 and any(_is_uneven(windows, axis, size) for axis, size in enumerate(x.dims[1:], 1)):
        context.warn(
            f"on CPUs, CNTK computes all groups of {context.node.name or context.node.uid} from the channels of the "
            "first, since its padding is uneven; here each group has its own channels"
        )
    if transpose:
        if groups != 1:
            raise LoweringError("a transposed convolution has no groups")
        size = outputShape if any(outputShape) else ()
        result = per_sample(op, x, lambda value: _transposed(op, value, weight, windows, size[::-1]))
    else:
        result = per_sample(op, x, lambda value: _convolved(op, value, weight, windows, groups))
    if not all(sharing) and product((result if not transpose else x).dims[1:]) != 1:
        raise LoweringError("there is a kernel for each place, none that all places share")
    return result


def _is_uneven(windows: Form, axis: int, size: Int) -> bool:
    """Whether more is padded on one side of an axis, which the library that CNTK has for CPUs does not do."""
    if not windows.centers[axis]:
        return windows.low[axis] != windows.high[axis]
    left = mod(size - 1, windows.strides[axis])
    return windows.kernel[axis] % 2 == 0 and not (isinstance(left, int) and left % 2)


def _convolved(op: Builder, x: Value, weight: Value, windows: Form, groups: int) -> Value:
    """[samples, in, *space] by [out, in / groups, *window]."""
    channels = x.dims[1]
    moves = windows.centers[0] and compare(windows.strides[0], "<", channels) is not False
    if channels == windows.kernel[0] * groups and not moves:
        slides = [windows.slide(axis, size) for axis, size in enumerate(x.dims[2:], 1)]
        return _conv(op, x, weight, slides, groups)
    if groups != 1:
        raise LoweringError(f"{channels} channels are not {groups} groups of {windows.kernel[0]}")
    # The window moves along the channels too. They are the first axis of space then, and each of the maps goes on
    # where the one before it ends.
    slides = [windows.slide(axis, size) for axis, size in enumerate(x.dims[1:])]
    y = _conv(op, op.Unsqueeze(x, [1]), op.Unsqueeze(weight, [1]), slides)
    return op.reshape(y, (y.dims[0], y.dims[1] * y.dims[2], *y.dims[3:]))


def _conv(op: Builder, x: Value, weight: Value, slides: list[Slide], groups: int = 1) -> Value:
    if not slides:  # ONNX wants at least one axis of space
        y: Value = _conv(op, op.Unsqueeze(x, [2]), op.Unsqueeze(weight, [2]), [Slide(1)], groups)
        return op.Squeeze(y, [2])
    x, attributes = place(op, x, slides)
    if groups != 1:
        attributes["group"] = groups
    result: Value = emit(op, "Conv", x, weight, **attributes)
    return result


# ---- transposed ------------------------------------------------------------------------------------------------------


def _transposed(op: Builder, x: Value, weight: Value, windows: Form, size: Shape) -> Value:
    """[samples, in, *space] by [in, out, *window]: what a convolution with that window makes [in, *space] of.

    Args:
        op: the builder.
        x: the operand.
        weight: the kernel.
        windows: the window, of the convolution that this one reverses.
        size: of each axis of the result, the channels first, where several would do; else none.
    """
    if x.dims[1] != weight.dims[0]:
        raise LoweringError(f"there are {x.dims[1]} channels for a kernel of {weight.dims[0]}")
    channels = size[0] if size else 1 if windows.centers[0] else windows.kernel[0]
    if channels != windows.kernel[0]:
        raise LoweringError(f"{channels} channels do not come out of a kernel for {windows.kernel[0]}")
    if len(x.dims) == 2:
        return op.MatMul(x, weight)
    slides, more = [], []
    for axis, positions in enumerate(x.dims[2:], 1):
        slide, added = reverse(windows, axis, positions, size[axis] if size else None)
        slides.append(slide)
        more.append(added)
    attributes = shape_of(slides)
    pads = [slide.before for slide in slides] + [slide.after for slide in slides]
    if all(isinstance(n, int) and n >= 0 for n in pads) and all(isinstance(n, int) for n in more):
        attributes |= {"pads": pads} if any(pads) else {}
        attributes |= {"output_padding": more} if any(more) else {}
        result: Value = emit(op, "ConvTranspose", x, weight, **attributes)
        return result
    whole = emit(op, "ConvTranspose", x, weight, **attributes)
    ends = [added - slide.after for slide, added in zip(slides, more, strict=True)]
    return op.Pad(whole, [0, 0, *[-slide.before for slide in slides], 0, 0, *ends], op.const(0.0, whole.etype))


def reverse(windows: Form, axis: int, positions: Int, size: Int | None) -> tuple[Slide, Int]:
    """The window along an axis of the result, which has so many positions; and what the result is longer than it."""
    kernel, stride, dilation = windows.kernel[axis], windows.strides[axis], windows.dilations[axis]
    if dilation != 1 and kernel != 1 and not windows.centers[axis]:
        # CNTK takes the size of a kernel without dilation then, which its own computation does not fit.
        raise LoweringError(
            "a transposed convolution with dilation and without automatic padding has no size of its own"
        )
    reach = (positions - 1) * stride
    whole = reach + extent(kernel, dilation)
    if size is None:
        size = reach + 1 if windows.centers[axis] else reach + kernel - windows.low[axis] - windows.high[axis]
    before: Int = windows.low[axis]
    if windows.centers[axis]:
        before = shared(size - 1 - reach, kernel, stride, dilation).before
    after = whole - before - size
    if isinstance(after, int) and after < 0:
        return Slide(kernel, stride, before, 0, dilation), -after
    return Slide(kernel, stride, before, after, dilation), 0


# ---- over time -------------------------------------------------------------------------------------------------------


@cntk("ConvolutionSequenceShape")
def convolution_sequence_shape(
    op: Builder, kernel: Tensor, x: Tensor, *, context: Context, **attributes: Any
) -> Tensor:
    """How many steps a convolution over time leaves of each sequence of ``x``, [1]."""
    steps = steps_left(op, x, **attributes)
    return Tensor(op.cast(op.reshape(steps, (context.batch, 1)), x.dtype), Axes(True))


def steps_left(
    op: Builder,
    x: Tensor,
    *,
    kernelShape: Shape,
    strides: Shape = (1,),
    autoPadding: Bools = (True,),
    lowerPad: Shape = (0,),
    upperPad: Shape = (0,),
    dilation: Shape = (1,),
    **_: Any,
) -> Value:
    """The steps that a convolution over time leaves of each sequence, int64[batch].

    Time is the axis of space before those of ``x``, that is between its channels and its axes of space.
    """
    if x.axes.seq is None:
        raise LoweringError("what is convolved over time is no sequence")
    axis, window = x.rank - 1, len(kernelShape)
    kernel_size, stride, spacing, centers, low, high = (
        row_major(values, window, window, default)[window - 1 - axis]
        for values, default in (
            (kernelShape, 1), (strides, 1), (dilation, 1), (autoPadding, False), (lowerPad, 0), (upperPad, 0)
        )
    )  # fmt: skip
    room = -1 if centers else low + high - extent(kernel_size, spacing)
    lengths = x.axes.seq.lengths
    result: Value = op.Div(op.Add(lengths, room + stride), stride) if stride != 1 else op.Add(lengths, room + 1)
    return result

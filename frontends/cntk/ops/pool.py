"""Pooling, and putting back what it took out.

Semantics: ``Source/Math/ConvolveGeometry.h`` and ``Source/Math/CPUMatrixImpl.h``, measured in CNTK 2.7. Padding is
none of the elements, neither of a largest one nor, unless it is to be included, of a mean.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import numpy as np

from nxconvert.frontends.cntk.ops.window import Slide, ceil_div, centered, is_said, place, row_major
from nxconvert.frontends.cntk.steps import sequences_of, steps_of
from nxconvert.frontends.cntk.table import (
    Axes,
    Bools,
    Builder,
    Context,
    DataType,
    Int,
    LoweringError,
    Shape,
    Tensor,
    Value,
    cntk,
)
from nxconvert.graph.dims import maximum, product
from nxconvert.graph.widening import emit

_MAX, _AVERAGE = 0, 1
#: To how many axes ONNX Runtime's pooling is limited.
_AXES = 3


def slides_over(
    x: Tensor,
    window: Shape,
    *,
    strides: Shape = (1,),
    autoPadding: Bools = (False,),
    lowerPad: Shape = (0,),
    upperPad: Shape = (0,),
    ceilOutDim: bool = False,
    **_: Any,
) -> list[Slide]:
    """The window along each static axis."""
    rank = len(window)
    return [
        _slide(*along, ceil=ceilOutDim)
        for along in zip(
            x.dims,
            row_major(window, rank, x.rank, 1),
            row_major(strides, rank, x.rank, 1),
            row_major(autoPadding, rank, x.rank, False),
            row_major(lowerPad, rank, x.rank, 0),
            row_major(upperPad, rank, x.rank, 0),
            strict=True,
        )
    ]


def _slide(size: Int, kernel: int, stride: int, center: bool, low: int, high: int, *, ceil: bool) -> Slide:
    if kernel < 1 or stride < 1:
        raise LoweringError(f"a window of {kernel} in steps of {stride} is none")
    if center:
        return centered(size, kernel, stride, ceil=ceil)
    if ceil:  # the last window may go beyond the axis
        positions = ceil_div(size + (low + high - kernel), stride) + 1
        return Slide(kernel, stride, low, (positions - 1) * stride + kernel - size - low)
    return Slide(kernel, stride, low, high)


@cntk("Pooling")
def pooling(
    op: Builder,
    x: Tensor,
    *,
    poolingType: int,
    poolingWindowShape: Shape,
    includePad: bool = False,
    context: Context,
    **attributes: Any,
) -> Tensor:
    """The largest element or the mean of each window; steps of a sequence are pooled alone."""
    if poolingType not in (_MAX, _AVERAGE):
        raise LoweringError(f"there is no pooling {poolingType}")
    slides = slides_over(x, poolingWindowShape, **attributes)

    def pool(value: Value, along: Sequence[Slide]) -> Value:
        if poolingType == _MAX:
            return _largest(op, value, along, places=_is_put_back(context))
        return _mean(op, value, along, include_pad=includePad)

    steps = steps_of(x)
    if steps is None:
        return _over_axes(op, x, slides, pool)
    return sequences_of(op, _over_axes(op, Tensor(steps, Axes(True)), slides, pool).value, x)


def _is_put_back(context: Context) -> bool:
    """Whether an unpooling asks where the largest elements are."""
    source = context.node.inputs[0]
    return any(node.op == "Unpooling" and node.inputs[1] == source for node in context.network.nodes.values())


def _over_axes(op: Builder, x: Tensor, slides: list[Slide], pool: Callable[[Value, Sequence[Slide]], Value]) -> Tensor:
    """Pools by [samples, channels, *space]: what comes before the axes with a window are samples and channels.

    More axes than ONNX Runtime pools at once are pooled one after another, which comes to the same.
    """
    moving = [axis for axis, slide in enumerate(slides) if not slide.is_trivial]
    if not moving:
        return x
    first, last = moving[0], moving[-1]
    if last - first + 1 + (last < len(slides) - 1) > _AXES:
        last = first + _AXES - 2
    before, space, kept = x.value.dims[: x.nd + first], x.dims[first : last + 1], x.dims[last + 1 :]
    # What is kept is one axis that no window moves along.
    along = [*slides[first : last + 1], *([Slide(1)] if kept else [])]
    value = op.reshape(x.value, (*_samples(before), *space, *([product(kept)] if kept else [])))
    y = pool(value, along)
    y = op.reshape(y, (*before, *y.dims[2 : 2 + len(space)], *kept))
    return _over_axes(op, x.of(y), [Slide(1)] * (last + 1) + slides[last + 1 :], pool)


def _samples(before: Sequence[Int]) -> tuple[Int, Int]:
    """The axes before those of space as one of samples and one of channels."""
    return (before[0] if before else 1), product(before[1:])


def _covers(value: Value, slides: Sequence[Slide]) -> bool:
    """Whether there is one window, over all of space."""
    return all(slide.covers(size) for slide, size in zip(slides, value.dims[2:], strict=True))


def _largest(op: Builder, x: Value, slides: Sequence[Slide], *, places: bool) -> Value:
    """The largest element of each window; `places` has the node say where they are, too, for who looks for it."""
    if _covers(x, slides) and not places:
        return _over_space(op, x, "GlobalMaxPool", "ReduceMax")
    value, attributes = place(op, x, slides, -math.inf, inside=True)
    result: Value = op.MaxPool(value, **attributes, _outputs=2)[0] if places else op.MaxPool(value, **attributes)
    if not is_said(slides) or is_said(slides, inside=True):
        return result
    # For the largest of no elements ONNX Runtime has the least number.
    least = float(np.finfo(x.etype.numpy()).min)
    whole: Value = op.Where(op.Equal(result, op.const(least, x.etype)), op.const(-math.inf, x.etype), result)
    return whole


def _over_space(op: Builder, x: Value, pool: str, reduction: str) -> Value:
    """One window over all of space; pooling in float64 is a reduction, which ONNX Runtime knows."""
    if x.etype == DataType.DOUBLE:
        result: Value = getattr(op, reduction)(x, list(range(2, x.rank)), keepdims=1)
        return result
    whole: Value = getattr(op, pool)(x)
    return whole


def _mean(op: Builder, x: Value, slides: Sequence[Slide], *, include_pad: bool) -> Value:
    if _covers(x, slides):
        return _over_space(op, x, "GlobalAveragePool", "ReduceMean")
    value, attributes = place(op, x, slides, inside=True)
    if "pads" in attributes and include_pad:
        attributes["count_include_pad"] = 1
    y: Value = emit(op, "AveragePool", value, **attributes)
    if include_pad or is_said(slides, inside=True):
        return y
    # What part of each window is no padding, if the operator has not been told.
    ones = op.expand(op.const(1.0, x.etype), (1, 1, *x.dims[2:]))
    return op.Div(y, emit(op, "AveragePool", place(op, ones, slides, inside=True)[0], **attributes))


# ---- unpooling -------------------------------------------------------------------------------------------------------


@cntk("Unpooling")
def unpooling(
    op: Builder,
    x: Tensor,
    source: Tensor,
    *,
    poolingType: int,
    unpoolingWindowShape: Shape,
    **attributes: Any,
) -> Tensor:
    """``x`` at the places at which pooling with that window finds the largest elements of ``source``, else zeros."""
    if poolingType != _MAX:
        raise LoweringError("only the largest elements can be put back")
    if x.axes != source.axes or x.rank != source.rank:
        raise LoweringError("what is put back and where are not of the same axes")
    slides = slides_over(source, unpoolingWindowShape, **attributes)
    first = next((axis for axis, slide in enumerate(slides) if not slide.is_trivial), max(len(slides) - 1, 0))
    along, before = slides[first:], _samples(source.value.dims[: source.nd + first])
    if not 1 <= len(along) <= _AXES:
        raise LoweringError(f"a window over {len(along)} axes, of more than {_AXES}")
    where = op.reshape(source.value, (*before, *source.dims[first:]))
    values = op.reshape(x.value, (*before, *x.dims[first:]))
    return source.of(op.reshape(_put_back(op, values, where, along), source.value.dims))


def _places(op: Builder, x: Value, attributes: Mapping[str, Any]) -> Value:
    """Where the largest elements are: as pooling has said already, or by pooling."""
    for use in x.uses():
        node = use.node
        if node.op_type != "MaxPool" or len(node.outputs) != 2 or node not in op.nodes:
            continue
        if {name: list(attribute.as_ints()) for name, attribute in node.attributes.items()} == attributes:
            return cast(Value, node.outputs[1])
    _, indices = op.MaxPool(x, **attributes, _outputs=2)
    return cast(Value, indices)


def _leaves_over(values: Value, placed: Value, slides: Sequence[Slide], pads: Sequence[int]) -> bool:
    """Whether the last window does not end where the axis does, padding included."""
    space = zip(placed.dims[2:], values.dims[2:], slides, strict=True)
    return any(
        size + sum(pads[axis :: len(slides)]) != (n - 1) * slide.stride + slide.kernel
        for axis, (size, n, slide) in enumerate(space)
    )


def _put_back(op: Builder, values: Value, source: Value, slides: Sequence[Slide]) -> Value:
    """[samples, channels, *space] with the values of [samples, channels, *positions]."""
    placed, attributes = place(op, source, slides, -math.inf, inside=True)
    indices = _places(op, placed, attributes)
    if values.etype == DataType.FLOAT:
        sizes = (
            op.dims_tensor(placed.dims) if _leaves_over(values, placed, slides, attributes.get("pads", ())) else None
        )
        whole = op.MaxUnpool(values, indices, sizes, **attributes)
    else:  # which ONNX Runtime does not put back, but scatters
        zeros = op.expand(op.const(0.0, values.etype), (product(placed.dims),))
        flat = (op.reshape(value, (product(values.dims),)) for value in (indices, values))
        whole = op.reshape(op.ScatterElements(zeros, *flat, axis=0), placed.dims)
    if placed is source:
        result: Value = whole
        return result
    told = is_said(slides, inside=True)
    before = [maximum(-slide.before, 0) if told else -slide.before for slide in slides]
    after = [0 if told else -slide.after for slide in slides]
    back: Value = op.Pad(whole, [0, 0, *before, 0, 0, *after], op.const(0.0, whole.etype))
    return back

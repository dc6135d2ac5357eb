"""How a window slides over static axes: where CNTK puts it, and how ONNX is told.

Semantics: ``Source/Math/ConvolveGeometry.h``, measured in CNTK 2.7. Attributes are column-major, the last axis first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

from nxconvert.frontends.cntk.table import Builder, Int, Tensor, Value
from nxconvert.graph.dims import floordiv, maximum, mod, product

T = TypeVar("T")


class Slide(NamedTuple):
    """How a window slides along an axis.

    Attributes:
        kernel: the number of elements in the window.
        stride: the step.
        before: what is padded before the axis; less than nothing where it is cut off.
        after: what is padded behind it, or at least what is.
        dilation: the distance between elements.
    """

    kernel: int
    stride: int = 1
    before: Int = 0
    after: Int = 0
    dilation: int = 1

    @property
    def extent(self) -> int:
        return extent(self.kernel, self.dilation)

    @property
    def is_trivial(self) -> bool:
        """Whether it leaves the axis as it is."""
        return self.kernel == self.stride == 1 and self.before == self.after == 0

    def covers(self, size: Int) -> bool:
        """Whether there is one window, and that is the whole axis."""
        return self.kernel == size and self.before == self.after == 0


def extent(kernel: int, dilation: int) -> int:
    """The distance from the first element of a window to behind its last."""
    return (kernel - 1) * dilation + 1


def ceil_div(a: Int, b: int) -> Int:
    return floordiv(a + (b - 1), b)


def row_major(values: Sequence[T], window: int, rank: int, default: T) -> list[T]:
    """An attribute with one value for each static axis, from the first to the last.

    Args:
        values: of the attribute; its last one also stands for what is missing up to the rank of the window.
        window: the rank of the window.
        rank: the number of static axes.
        default: for axes that the window does not have.
    """
    given = [*values, *[values[-1]] * (window - len(values))] if values else []
    return [*given, *[default] * (rank - len(given))][:rank][::-1]


def centered(size: Int, kernel: int, stride: int, dilation: int = 1, *, ceil: bool = False) -> Slide:
    """A window whose center goes over an axis of some size, from its first element to where the last step leads.

    With `ceil` there is one step more where the last one does not lead to the last element.
    """
    if stride <= 2 and not ceil:  # what the steps leave over is none of the padding before the axis
        reach = extent(kernel, dilation) - 1
        return Slide(kernel, stride, reach // 2, reach - reach // 2, dilation)
    left = -mod(1 - size, stride) if ceil else mod(size - 1, stride)
    return shared(left, kernel, stride, dilation, ceil=ceil)


def shared(left: Int, kernel: int, stride: int, dilation: int = 1, *, ceil: bool = False) -> Slide:
    """A window whose center goes over an axis and leaves `left` elements over, half of them at either end.

    Args:
        left: their number; with `ceil` what is missing, as a negative number.
        kernel: of the window.
        stride: of the window.
        dilation: of the window.
        ceil: whether there is one step too much rather than too few.
    """
    reach = extent(kernel, dilation) - 1
    half = -floordiv(-left, 2) if ceil else floordiv(left, 2)
    before, after = reach // 2 - half, reach - reach // 2 - (left - half)
    # What is left over behind the last window needs not be cut off.
    return Slide(kernel, stride, before, max(after, 0) if isinstance(after, int) else after, dilation)


# ---- in the graph ----------------------------------------------------------------------------------------------------


def is_said(slides: Sequence[Slide], *, inside: bool = False) -> bool:
    """Whether attributes can say where windows are, if need be after something has been cut off.

    Args:
        slides: one for each axis.
        inside: whether an operator asks that no window is in the padding alone.
    """
    pads = [n for slide in slides for n in (slide.before, slide.after)]
    most = [slide.kernel - 1 for slide in slides for _ in range(2)]
    return all(isinstance(n, int) and (not inside or n <= limit) for n, limit in zip(pads, most, strict=True))


def place(
    op: Builder, x: Value, slides: Sequence[Slide], fill: float = 0.0, *, inside: bool = False
) -> tuple[Value, dict[str, Any]]:
    """An operator's input and the attributes by which its window finds its places.

    Args:
        op: the builder.
        x: [batch, channels, *space].
        slides: one for each axis of space.
        fill: what to pad with where attributes cannot say how much.
        inside: whether the operator asks that no window is in the padding alone.

    Returns:
        `x`, padded or cut if need be, and ``kernel_shape``; ``strides``, ``dilations`` and ``pads`` where they are not
        the default.
    """
    attributes = shape_of(slides)
    before, after = [slide.before for slide in slides], [slide.after for slide in slides]
    if not is_said(slides, inside=inside):
        return op.Pad(x, [0, 0, *before, 0, 0, *after], op.const(fill, x.etype)), attributes
    x = _cut(op, x, [maximum(-n, 0) for n in before])
    pads = [maximum(n, 0) for n in (*before, *after)]
    return x, attributes | ({"pads": pads} if any(pads) else {})


def shape_of(slides: Sequence[Slide]) -> dict[str, Any]:
    """The attributes that say how large a window is and how it moves."""
    attributes: dict[str, Any] = {"kernel_shape": [slide.kernel for slide in slides]}
    if any(slide.stride != 1 for slide in slides):
        attributes["strides"] = [slide.stride for slide in slides]
    if any(slide.dilation != 1 for slide in slides):
        attributes["dilations"] = [slide.dilation for slide in slides]
    return attributes


def _cut(op: Builder, x: Value, firsts: Sequence[Int]) -> Value:
    """``x`` without the first elements of each axis of space."""
    axes = [axis for axis, first in enumerate(firsts, 2) if first]
    if not axes:
        return x
    return op.Slice(x, [firsts[axis - 2] for axis in axes], [x.dims[axis] for axis in axes], axes)


def per_sample(op: Builder, x: Tensor, function: Callable[[Value], Value]) -> Tensor:
    """What a function of [samples, *static] makes of each sample of a tensor, whatever dynamic axes it has."""
    leading = x.value.dims[: x.nd]
    y = function(op.reshape(x.value, (product(leading), *x.dims)))
    return x.of(op.reshape(y, (*leading, *y.dims[1:])))

"""How a window slides over the axes of space: its kernel, strides, dilations and padding, however a net spells them.

Semantics: ``caffe2/operators/conv_pool_op_base.h``. ``kernel`` stands for both axes of an image and comes before
``kernel_h`` and ``kernel_w``, which are read together or not at all; ``kernels`` has a number an axis.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Any, NamedTuple

from nxconvert.frontends.caffe2.table import Builder, Int, LoweringError, Value
from nxconvert.graph.dims import compare, floordiv, maximum, minimum, static

_SIDES = ("pad_t", "pad_l", "pad_b", "pad_r")


class Legacy(IntEnum):
    """The argument ``legacy_pad``: where padding comes from."""

    NOTSET = 0  #: the arguments
    VALID = 1  #: there is none
    SAME = 2  #: as many positions as strides fit into the axis; the odd one of the padding is behind it
    CAFFE = 3  #: the first pad of each axis, and behind it what lets a last, partial window in


class Window(NamedTuple):
    """A window over some axes of space.

    Attributes:
        kernel: the size along each axis.
        strides: the steps.
        dilations: the distances between elements of the kernel.
        pads: what is padded before each axis, then after each; as it is given, see :meth:`padding`.
        legacy: what the padding is instead.
    """

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    pads: tuple[int, ...]
    legacy: Legacy = Legacy.NOTSET

    def padding(self, sizes: Sequence[Int]) -> tuple[list[Int], list[Int]]:
        """What is padded before and after axes of these sizes, less than nothing where something is cut off."""
        space = len(self.kernel)
        pairs = [self._padding(axis, size, self.pads[axis], self.pads[axis + space]) for axis, size in enumerate(sizes)]
        return [before for before, _ in pairs], [after for _, after in pairs]

    def _padding(self, axis: int, size: Int, before: int, after: int) -> tuple[Int, Int]:
        kernel, stride = self.kernel[axis], self.strides[axis]
        if self.legacy == Legacy.SAME:
            needed = (_ceil_div(size, stride) - 1) * stride + kernel - size
            first = _half(needed, never_negative=kernel >= stride)
            return first, needed - first
        if self.legacy == Legacy.CAFFE:
            positions = _caffe_positions(size, kernel, stride, before)
            return before, maximum((positions - 1) * stride + kernel - size - before, 0)
        return before, after

    @property
    def overlaps(self) -> bool:
        """Whether windows leave no gaps between them."""
        return all(k >= s for k, s in zip(self.kernel, self.strides, strict=True))


def window(args: Mapping[str, Any], space: int) -> Window:
    """The window that an operator's arguments describe.

    Args:
        args: the arguments.
        space: the number of axes it slides over.

    Raises:
        LoweringError: if they do not describe one for so many axes.
    """
    legacy = Legacy(args.get("legacy_pad", 0))
    kernel = per_axis(args, "kernel", None, space)
    pads = _spelled(args, "pad", _SIDES) if legacy in (Legacy.NOTSET, Legacy.CAFFE) else []
    pads = pads or [0] * (2 * space)
    if len(pads) != 2 * space:
        raise LoweringError(f"the {len(pads)} pads {pads} are not for {space} axes")
    strides, dilations = per_axis(args, "stride", 1, space), per_axis(args, "dilation", 1, space)
    if legacy in (Legacy.SAME, Legacy.CAFFE) and any(dilation != 1 for dilation in dilations):
        # With the one Caffe2 refuses it, with the other it reads beyond its buffer.
        raise LoweringError(f"the legacy_pad {legacy.name} and the dilations {dilations} do not go together")
    return Window(tuple(kernel), tuple(strides), tuple(dilations), tuple(pads), legacy)


def per_axis(args: Mapping[str, Any], name: str, default: int | None, space: int) -> list[int]:
    """A number for each axis of space: ``name`` (for two axes), ``name_h`` and ``name_w``, or the list ``names``.

    Raises:
        LoweringError: if there are not as many as axes.
    """
    found = _spelled(args, name, (f"{name}_h", f"{name}_w"))
    if not found and default is not None:
        return [default] * space
    if len(found) != space:
        raise LoweringError(f"the {name} {found or 'is missing, it'} is not for {space} axes")
    return found


def _spelled(args: Mapping[str, Any], name: str, sides: Sequence[str]) -> list[int]:
    values = list(args.get(f"{name}s", ()))
    if name in args:
        return (values + [args[name]] * len(sides))[: len(sides)]
    if all(side in args for side in sides):
        values += [args[side] for side in sides]
    return values


def _ceil_div(a: Int, b: int) -> Int:
    return floordiv(a + (b - 1), b)


def _half(needed: Int, *, never_negative: bool) -> Int:
    """``needed / 2`` towards zero."""
    if never_negative or compare(needed, ">=", 0):
        return floordiv(needed, 2)
    return floordiv(maximum(needed, 0), 2) - floordiv(maximum(-needed, 0), 2)


def _caffe_positions(size: Int, kernel: int, stride: int, pad: int) -> Int:
    """How many windows there are in Caffe: the last one may reach beyond the padding, but starts in front of it."""
    positions = _ceil_div(size + 2 * pad - kernel, stride) + 1
    return minimum(positions, _ceil_div(size + pad, stride)) if pad else positions


# ---- in the graph ----------------------------------------------------------------------------------------------------


def place(op: Builder, x: Value, form: Window, filler: float | None = None) -> tuple[Value, dict[str, Any]]:
    """An operator's input and the attributes by which its window finds its places.

    Args:
        op: the builder.
        x: ``[batch, channels, *space]``.
        form: the window.
        filler: what to pad with where the attributes cannot say how much; None for zeros.

    Returns:
        ``x``, padded if need be, and ``kernel_shape``, ``strides``, and ``pads`` or ``auto_pad``. ``dilations`` are
        there where they are not 1, since some operators know none.
    """
    before, after = form.padding(x.dims[2:])
    attributes: dict[str, Any] = {"kernel_shape": form.kernel, "strides": form.strides}
    if any(d != 1 for d in form.dilations):
        attributes["dilations"] = form.dilations
    pads = static([*before, *after])
    if pads is not None and min(pads, default=0) >= 0:
        attributes["pads"] = pads
    elif form.legacy == Legacy.SAME and form.overlaps:
        attributes["auto_pad"] = "SAME_UPPER"
    else:
        constant = None if filler is None else op.const(filler, x.etype)
        x = op.Pad(x, [0, 0, *before, 0, 0, *after], constant)
    return x, attributes


def is_nhwc(order: str) -> bool:
    """Whether the channels come last.

    Raises:
        LoweringError: if there is no such order.
    """
    if order not in ("NCHW", "NHWC"):
        raise LoweringError(f"there is no order of axes '{order}'")
    return order == "NHWC"


def channels_first(op: Builder, x: Value, order: str = "NHWC") -> Value:
    """``[batch, *space, channels]`` as ``[batch, channels, *space]``; as it is where ``order`` says that it is so."""
    return op.Transpose(x, perm=[0, x.rank - 1, *range(1, x.rank - 1)]) if is_nhwc(order) else x


def channels_last(op: Builder, x: Value, order: str = "NHWC") -> Value:
    """``[batch, channels, *space]`` as ``[batch, *space, channels]``; as it is where ``order`` says otherwise."""
    return op.Transpose(x, perm=[0, *range(2, x.rank), 1]) if is_nhwc(order) else x

"""Padding, and cropping by negative padding, with a constant, by reflection, by the edge and around the corner."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nxconvert.frontends.pytorch.ops.common import as_tensor, convert_number
from nxconvert.frontends.pytorch.ops.create import filled
from nxconvert.frontends.pytorch.ops.shape import int_list
from nxconvert.frontends.pytorch.table import Builder, Dim, Int, Ints, LoweringError, Number, Scalar, Value, aten
from nxconvert.graph.dims import compare
from nxconvert.graph.widening import emit

# PyTorch's names of the modes, in the order of its enum, and ONNX's.
MODES = {"reflect": "reflect", "replicate": "edge", "circular": "wrap", "constant": "constant"}


Pairs = dict[int, tuple[Int, Int]]


def padded(op: Builder, x: Value, pad: Int | Sequence[Int], mode: str, value: Number | None = None) -> Value:
    """``x`` padded by the amounts before and after each axis, the last axis first; negative amounts crop.

    Raises:
        LoweringError: for a mode that PyTorch does not have, and for amounts that do not come in pairs.
    """
    if mode not in MODES:
        raise LoweringError(f"there is no padding mode '{mode}'")
    amounts = int_list(pad)
    if len(amounts) % 2 or len(amounts) > 2 * x.rank:
        raise LoweringError(f"{len(amounts)} amounts of padding are given for a tensor of rank {x.rank}")
    pairs: Pairs = {x.rank - 1 - i: (amounts[2 * i], amounts[2 * i + 1]) for i in range(len(amounts) // 2)}
    more, less = _signs(pairs)
    if mode == "constant" and more:
        return _grown(op, x, _without_zeros(pairs), mode, value)
    if mode in ("replicate", "reflect"):
        # The edge, and what is reflected, is that of the tensor before it is cropped: nothing may be left of it.
        return _cropped(op, _grown(op, x, more, mode), less)
    return _grown(op, _cropped(op, x, less), more, mode)


def _signs(pairs: Pairs) -> tuple[Pairs, Pairs]:
    """The axes that are padded and those that are cropped, with amounts of 0 or more."""
    more: Pairs = {}
    less: Pairs = {}
    for axis, (before, after) in pairs.items():
        cut_before, cut_after = compare(before, "<", 0), compare(after, "<", 0)
        more[axis] = (0 if cut_before else before, 0 if cut_after else after)
        less[axis] = (-before if cut_before else 0, -after if cut_after else 0)
    return _without_zeros(more), _without_zeros(less)


def _without_zeros(pairs: Pairs) -> Pairs:
    return {axis: pair for axis, pair in pairs.items() if pair != (0, 0)}


def _grown(op: Builder, x: Value, pairs: Pairs, mode: str, value: Number | None = None) -> Value:
    if not pairs:
        return x
    if mode == "circular" and 0 in x.dims:
        return filled(op, [d + sum(pairs.get(axis, (0, 0))) for axis, d in enumerate(x.dims)], 0, x.etype)
    around = [pairs.get(axis, (0, 0))[end] for end in (0, 1) for axis in range(x.rank)]
    filler: Any
    if isinstance(value, (Dim, Scalar)):
        filler = as_tensor(op, value, x.etype)
    else:
        filler = convert_number(value, x.etype) if value else None
    name = None if mode == "constant" else MODES[mode]
    return emit(op, "Pad", x, around, filler, mode=name)


def _cropped(op: Builder, x: Value, pairs: Pairs) -> Value:
    if not pairs:
        return x
    axes = sorted(pairs)
    ends = [x.dims[axis] - pairs[axis][1] for axis in axes]
    return op.Slice(x, [pairs[axis][0] for axis in axes], ends, axes)


@aten("constant_pad_nd")
def constant_pad_nd(op: Builder, self: Value, pad: Ints, value: Number = 0) -> Value:
    return padded(op, self, pad, "constant", value)


@aten("pad")
def pad(op: Builder, self: Value, pad: Ints, mode: str = "constant", value: Number | None = None) -> Value:
    return padded(op, self, pad, mode, value)


@aten("_pad_enum")
def pad_enum(op: Builder, self: Value, pad: Ints, mode: Int, value: Number | None = None) -> Value:
    return padded(op, self, pad, list(MODES)[mode], value)  # type: ignore[index]


@aten("_pad_circular")
def pad_circular(op: Builder, self: Value, pad: Ints) -> Value:
    return padded(op, self, pad, "circular")


@aten("reflection_pad1d", "reflection_pad2d", "reflection_pad3d")
def reflection_pad(op: Builder, self: Value, padding: Ints) -> Value:
    return padded(op, self, padding, "reflect")


@aten("replication_pad1d", "replication_pad2d", "replication_pad3d")
def replication_pad(op: Builder, self: Value, padding: Ints) -> Value:
    return padded(op, self, padding, "replicate")

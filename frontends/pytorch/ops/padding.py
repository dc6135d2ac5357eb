"""Padding, and cropping by negative padding, with a constant, by reflection, by the edge and around the corner."""

from __future__ import annotations

from collections.abc import Sequence

from nxconvert.frontends.pytorch.ops.common import as_tensor, convert_number
from nxconvert.frontends.pytorch.ops.shape import int_list
from nxconvert.frontends.pytorch.ops.widening import emit
from nxconvert.frontends.pytorch.table import Builder, Dim, Int, Ints, LoweringError, Number, Scalar, Value, aten

from nxconvert.graph.dims import compare

# PyTorch's names of the modes, in the order of its enum, and ONNX's.
MODES = {"reflect": "reflect", "replicate": "edge", "circular": "wrap", "constant": "constant"}


def padded(op: Builder, x: Value, pad: Int | Sequence[Int], mode: str, value: Number | None = None) -> Value:
    """``x`` padded by the amounts before and after each axis, the last axis first; negative amounts crop.

    Raises:
        LoweringError: for a mode that PyTorch does not have.
    """
    if mode not in MODES:
        raise LoweringError(f"there is no padding mode '{mode}'")
    amounts = int_list(pad)
    if len(amounts) % 2 or len(amounts) > 2 * x.rank:
        raise LoweringError(f"{len(amounts)} amounts of padding are given for a tensor of rank {x.rank}")
    pairs = {x.rank - 1 - i: (amounts[2 * i], amounts[2 * i + 1]) for i in range(len(amounts) // 2)}
    if mode != "constant" or all(compare(amount, "<=", 0) for amount in amounts):
        x, pairs = _cropped(op, x, pairs)
    axes = sorted(axis for axis, pair in pairs.items() if pair != (0, 0))
    if not axes:
        return x
    around = [pairs[axis][0] for axis in axes] + [pairs[axis][1] for axis in axes]
    if isinstance(value, (Dim, Scalar)):
        filler = as_tensor(op, value, x.etype)
    else:
        filler = convert_number(value, x.etype) if value else None
    every = None if axes == list(range(x.rank)) else axes
    return emit(  # type: ignore[no-any-return]
        op, "Pad", x, around, filler, every, mode=None if mode == "constant" else MODES[mode]
    )


def _cropped(op: Builder, x: Value, pairs: dict[int, tuple[Int, Int]]) -> tuple[Value, dict[int, tuple[Int, Int]]]:
    """Takes off what negative amounts say; returns the amounts that are left."""
    axes = [axis for axis, pair in pairs.items() if any(compare(amount, "<", 0) for amount in pair)]
    if not axes:
        return x, pairs
    cuts = [tuple(-amount if compare(amount, "<", 0) else 0 for amount in pairs[axis]) for axis in axes]
    x = op.Slice(
        x, [cut[0] for cut in cuts], [x.dims[axis] - cut[1] for axis, cut in zip(axes, cuts, strict=True)], axes
    )
    left = {
        axis: (0 if compare(before, "<", 0) else before, 0 if compare(after, "<", 0) else after)
        for axis, (before, after) in pairs.items()
    }
    return x, left


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

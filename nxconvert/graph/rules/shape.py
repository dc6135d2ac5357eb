"""Operators that change a shape and move no element out of it: reshape, transpose, expand, tile, pad, concat, split."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import onnx_ir as ir

from nxconvert.graph.dims import Int, compare, floordiv, product, require
from nxconvert.graph.rules import infer_rule
from nxconvert.graph.rules.common import (
    Dims,
    agree,
    broadcast_dims,
    ceil_div,
    count_ratio,
    integers,
    length_of,
    normal_axes,
    normal_axis,
    same,
    show,
    static_integers,
    tensor,
    total,
    want_rank,
)
from nxconvert.graph.values import GraphTypeError, TensorType, Value

if TYPE_CHECKING:
    from nxconvert.graph.builder import Builder


@infer_rule("Reshape")
def _reshape(op: Builder, x: Value, shape: Value, /, *, allowzero: int = 0) -> list[TensorType]:
    target = integers(shape)
    if target is None:
        return tensor(x.etype, [op.fresh("reshape") for _ in range(length_of(shape, "the shape"))])
    return tensor(x.etype, reshaped_dims(x.dims, target, allowzero))


def reshaped_dims(dims: Dims, target: Dims, allowzero: int = 0) -> Dims:
    """What ``Reshape`` makes of ``dims``: 0 copies a size (unless ``allowzero``), one -1 takes what is left."""
    result: list[Int] = []
    for i, size in enumerate(target):
        if size == 0 and not allowzero:
            if i >= len(dims):
                raise GraphTypeError(f"the shape {show(target)} copies axis {i}, which there is not")
            size = dims[i]
        elif isinstance(size, int) and size < -1:
            raise GraphTypeError(f"the shape {show(target)} has a negative size")
        result.append(size)
    open_axes = [i for i, size in enumerate(target) if size == -1]
    if len(open_axes) > 1:
        raise GraphTypeError(f"the shape {show(target)} leaves two sizes open")
    have, want = count_ratio(dims, [size for i, size in enumerate(result) if i not in open_axes])
    mismatch = GraphTypeError(f"a tensor of shape {show(dims)} cannot be reshaped to {show(target)}")
    if not open_axes:
        if compare(have, "==", want) is False:
            raise mismatch
        require(have, want)
    elif isinstance(want, int):
        if want == 0 or (isinstance(have, int) and have % want):
            raise mismatch
        result[open_axes[0]] = floordiv(have, want)
    else:
        if isinstance(have, int) and have and compare(want, ">", have):
            raise mismatch
        result[open_axes[0]] = floordiv(have, want)
    return tuple(result)


@infer_rule("Transpose")
def _transpose(op: Builder, x: Value, /, *, perm: Sequence[int] | None = None) -> list[TensorType]:
    if perm is None:
        return tensor(x.etype, reversed(x.dims))
    if sorted(perm) != list(range(len(x.dims))):
        raise GraphTypeError(f"{list(perm)} is no permutation of the axes of {show(x.dims)}")
    return tensor(x.etype, [x.dims[axis] for axis in perm])


@infer_rule("Flatten")
def _flatten(op: Builder, x: Value, /, *, axis: int = 1) -> list[TensorType]:
    rank = len(x.dims)
    axis = rank if axis == rank else normal_axis(axis, rank) if rank or axis else 0
    return tensor(x.etype, [product(x.dims[:axis]), product(x.dims[axis:])])


@infer_rule("Squeeze")
def _squeeze(op: Builder, x: Value, axes: Value | None = None, /) -> list[TensorType]:
    given = static_integers(axes, "the axes")
    if given is None:
        return tensor(x.etype, [d for d in x.dims if d != 1])
    gone = normal_axes(given, len(x.dims))
    for axis in gone:
        agree(x.dims[axis], 1, f"axis {axis} of {show(x.dims)} cannot be squeezed")
    return tensor(x.etype, [d for axis, d in enumerate(x.dims) if axis not in gone])


@infer_rule("Unsqueeze")
def _unsqueeze(op: Builder, x: Value, axes: Value, /) -> list[TensorType]:
    given = static_integers(axes, "the axes") or ()
    rank = len(x.dims) + len(given)
    new = normal_axes(given, rank)
    old = iter(x.dims)
    return tensor(x.etype, [1 if axis in new else next(old) for axis in range(rank)])


@infer_rule("Expand")
def _expand(op: Builder, x: Value, shape: Value, /) -> list[TensorType]:
    target = integers(shape)
    if target is not None:
        return tensor(x.etype, broadcast_dims(op, x.dims, target))
    wanted: list[Int] = [op.fresh("expand") for _ in range(length_of(shape, "the shape"))]
    padded: list[Int] = [*[1] * (len(wanted) - len(x.dims)), *x.dims]
    wanted = [*[1] * (len(padded) - len(wanted)), *wanted]
    # A size that is neither 0 nor 1 stays, whatever is asked for.
    return tensor(
        x.etype, [d if w == 1 or (isinstance(d, int) and d > 1) else w for d, w in zip(padded, wanted, strict=True)]
    )


@infer_rule("Tile")
def _tile(op: Builder, x: Value, repeats: Value, /) -> list[TensorType]:
    times = integers(repeats)
    if len(repeats.dims) == 1:
        agree(repeats.dims[0], len(x.dims), "the number of repeats is not the rank")
    if times is None:
        return tensor(x.etype, [op.fresh("tile") for _ in x.dims])
    return tensor(x.etype, [d * n for d, n in zip(x.dims, times, strict=True)])


@infer_rule("Pad")
def _pad(
    op: Builder,
    x: Value,
    pads: Value,
    value: Value | None = None,
    axes: Value | None = None,
    /,
    *,
    mode: str = "constant",
) -> list[TensorType]:
    chosen = static_integers(axes, "the axes")
    which = list(range(len(x.dims))) if chosen is None else normal_axes(chosen, len(x.dims))
    if len(pads.dims) == 1:
        agree(pads.dims[0], 2 * len(which), "the number of pads is not twice the number of axes")
    amounts = integers(pads)
    dims = list(x.dims)
    for i, axis in enumerate(which):
        dims[axis] = op.fresh("pad") if amounts is None else dims[axis] + amounts[i] + amounts[i + len(which)]
        if compare(dims[axis], "<", 0):
            raise GraphTypeError(f"axis {axis} of {show(x.dims)} is cropped to less than nothing")
    return tensor(x.etype, dims)


@infer_rule("CenterCropPad")
def _center_crop_pad(op: Builder, x: Value, shape: Value, /, *, axes: Sequence[int] | None = None) -> list[TensorType]:
    which = list(range(len(x.dims))) if axes is None else normal_axes(axes, len(x.dims))
    wanted = integers(shape)
    dims = list(x.dims)
    for i, axis in enumerate(which):
        dims[axis] = op.fresh("crop") if wanted is None else wanted[i]
    return tensor(x.etype, dims)


@infer_rule("Concat")
def _concat(op: Builder, first: Value, /, *others: Value, axis: int) -> list[TensorType]:
    rank = len(first.dims)
    axis = normal_axis(axis, rank)
    dims = list(first.dims)
    for other in others:
        if len(other.dims) != rank:
            raise GraphTypeError("tensors of different ranks are joined")
        for i, size in enumerate(other.dims):
            dims[i] = dims[i] + size if i == axis else agree(dims[i], size, f"sizes of axis {i} differ")
    return tensor(first.etype, dims)


@infer_rule("Split")
def _split(
    op: Builder, x: Value, split: Value | None = None, /, *, axis: int = 0, num_outputs: int | None = None
) -> list[TensorType]:
    axis = normal_axis(axis, len(x.dims))
    return [
        TensorType(x.etype, (*x.dims[:axis], size, *x.dims[axis + 1 :]))
        for size in _split_sizes(op, x.dims[axis], split, num_outputs)
    ]


def _split_sizes(op: Builder, size: Int, split: Value | None, parts: int | None) -> Dims:
    if split is not None:
        sizes = integers(split)
        if sizes is None:
            return tuple(op.fresh("split") for _ in range(length_of(split, "the sizes")))
        agree(total(sizes), size, "the parts do not add up to the size")
        return sizes
    if not parts:
        raise GraphTypeError("neither the sizes of the parts nor their number is given")
    chunk = ceil_div(size, parts)
    return (*(chunk,) * (parts - 1), size - chunk * (parts - 1))


@infer_rule("Shape")
def _shape(op: Builder, x: Value, /, *, start: int = 0, end: int | None = None) -> list[TensorType]:
    dims = x.dims[start:end]
    return [TensorType(ir.DataType.INT64, (len(dims),), content=dims)]


@infer_rule("Size")
def _size(op: Builder, x: Value, /) -> list[TensorType]:
    return [TensorType(ir.DataType.INT64, (), content=(product(x.dims),))]


@infer_rule("DepthToSpace")
def _depth_to_space(op: Builder, x: Value, /, *, blocksize: int, mode: str = "DCR") -> list[TensorType]:
    want_rank(x, 4, "the input")
    n, c, h, w = x.dims
    if isinstance(c, int) and c % (blocksize * blocksize):
        raise GraphTypeError(f"{c} channels are no multiple of {blocksize} squared")
    return tensor(x.etype, [n, floordiv(c, blocksize * blocksize), h * blocksize, w * blocksize])


@infer_rule("SpaceToDepth")
def _space_to_depth(op: Builder, x: Value, /, *, blocksize: int) -> list[TensorType]:
    want_rank(x, 4, "the input")
    n, c, h, w = x.dims
    if any(isinstance(d, int) and d % blocksize for d in (h, w)):
        raise GraphTypeError(f"{h} x {w} is no multiple of {blocksize}")
    return tensor(x.etype, [n, c * blocksize * blocksize, floordiv(h, blocksize), floordiv(w, blocksize)])


@infer_rule("ReverseSequence")
def _reverse_sequence(
    op: Builder, x: Value, lengths: Value, /, *, time_axis: int = 0, batch_axis: int = 1
) -> list[TensorType]:
    want_rank(x, 2, "the input", at_least=True)
    want_rank(lengths, 1, "the lengths")
    agree(x.dims[batch_axis], lengths.dims[0], "the number of lengths is not the batch size")
    return same(x)

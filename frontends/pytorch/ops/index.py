"""Elements at positions that are data: indexing with tensors and masks, gathering, finding what is not zero."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nxconvert.frontends.pytorch.dtypes import DataType
from nxconvert.frontends.pytorch.ops.common import as_tensor, axis_of
from nxconvert.frontends.pytorch.ops.create import filled
from nxconvert.frontends.pytorch.ops.shape import broadcast_all, transposed
from nxconvert.frontends.pytorch.table import Builder, Int, LoweringError, Number, Value, Values, aten
from nxconvert.graph.dims import Dim, product
from nxconvert.graph.widening import emit, where

MASKS = (DataType.BOOL, DataType.UINT8)


def as_index(op: Builder, x: Value) -> Value:
    """An index tensor in a dtype that ONNX takes for one."""
    return x if x.etype in (DataType.INT32, DataType.INT64) else op.Cast(x, to=DataType.INT64)


# ---- indexing, x[i, :, mask] -----------------------------------------------------------------------------------------


def positions(op: Builder, mask: Value) -> list[Value]:
    """The indices of the true elements of a mask, a vector for each of its axes (one, of size 0 or 1, for rank 0)."""
    if not mask.rank:
        mask = op.Reshape(mask, [1])
    if mask.array is not None:
        return [op.const(axis.astype(np.int64)) for axis in mask.array.nonzero()]
    found = emit(op, "NonZero", mask)
    if mask.rank == 1:
        return [op.Squeeze(found, [0])]
    return [op.Gather(found, axis, axis=0) for axis in range(mask.rank)]


def integer_indices(op: Builder, x: Value, indices: Sequence[Value | None]) -> tuple[Value, list[Value | None]]:
    """Indices as integers, one (or None) for each axis of ``x``; a mask of rank 0 indexes an axis of its own."""
    result: list[Value | None] = []
    for index in indices:
        if index is None:
            result.append(None)
        elif index.etype in MASKS:
            if not index.rank:
                x = op.Unsqueeze(x, [len(result)])
            result.extend(positions(op, index))
        else:
            result.append(as_index(op, index))
    if len(result) > x.rank:
        raise LoweringError(f"{len(result)} indices are given for a tensor of rank {x.rank}")
    return x, result + [None] * (x.rank - len(result))


@aten("index", "_unsafe_index")
def index(op: Builder, self: Value, indices: Values) -> Value:
    """The axes of the indices' broadcast stand where the indexed axes stood, or in front where these lie apart."""
    given = [(axis, item) for axis, item in enumerate(indices) if item is not None]
    if len(given) == 1 and given[0][1].etype in MASKS and given[0][1].array is None:
        return masked(op, self, given[0][0], given[0][1])
    x, integers = integer_indices(op, self, list(indices))
    axes = [axis for axis, item in enumerate(integers) if item is not None]
    chosen = [item for item in integers if item is not None]
    if not axes:
        return x
    if len(axes) == 1:
        return op.Gather(x, chosen[0], axis=axes[0])
    if axes == list(range(axes[0], axes[0] + len(axes))):
        return _adjacent(op, x, axes[0], chosen)
    front = transposed(op, x, [*axes, *(axis for axis in range(x.rank) if axis not in axes)])
    return op.GatherND(front, coordinates(op, chosen))


def masked(op: Builder, x: Value, axis: int, mask: Value) -> Value:
    """``x`` where a mask holds that covers the axes from ``axis`` on."""
    if not mask.rank:
        x, mask = op.Unsqueeze(x, [axis]), op.Reshape(mask, [1])
    elif mask.rank > 1:
        x = op.reshape(x, [*x.dims[:axis], product(x.dims[axis : axis + mask.rank]), *x.dims[axis + mask.rank :]])
        mask = op.reshape(mask, [product(mask.dims)])
    return op.Compress(x, op.cast(mask, DataType.BOOL), axis=axis)


def coordinates(op: Builder, indices: Sequence[Value]) -> Value:
    """Indices broadcast together and stacked along a new last axis, as ``GatherND`` and ``ScatterND`` take them."""
    same = [op.cast(item, DataType.INT64) for item in indices]
    return op.Concat(*(op.Unsqueeze(item, [-1]) for item in broadcast_all(op, same)), axis=-1)


def _adjacent(op: Builder, x: Value, first: int, indices: Sequence[Value]) -> Value:
    """Indexes the axes from ``first`` on, with several indices."""
    blocks = _outer_blocks(indices)
    if blocks is not None:
        # x[rows[:, None], columns] is x[rows][:, columns]; taken from the last axis on, earlier ones keep their number.
        for axis, (item, dims) in reversed(list(enumerate(zip(indices, blocks, strict=True), start=first))):
            x = op.Gather(x, op.reshape(item, dims), axis=axis)
        return x
    if first == 0 and not all(item.array is not None for item in indices):
        return op.GatherND(x, coordinates(op, indices))
    sizes = x.dims[first : first + len(indices)]
    flat = op.reshape(x, [*x.dims[:first], product(sizes), *x.dims[first + len(indices) :]])
    return op.Gather(flat, linear_index(op, sizes, indices), axis=first)


def linear_index(op: Builder, sizes: Sequence[Int], indices: Sequence[Value]) -> Value:
    """The index into the flattened axes of ``sizes``; ``Mod``, which has its divisor's sign, counts from the end."""
    total: Value | None = None
    for size, item in zip(sizes, indices, strict=True):
        normal = op.Mod(op.cast(item, DataType.INT64), size)
        total = normal if total is None else op.Add(op.Mul(total, size), normal)
    assert total is not None
    return total


def _outer_blocks(indices: Sequence[Value]) -> list[list[Int]] | None:
    """Divides the broadcast's axes among the indices, in order, if each axis is that of one index.

    Returns:
        for each index the dims of its block of axes, all together those of the broadcast; None if axes are shared.
    """
    rank = max(item.rank for item in indices)
    blocks: list[list[Int]] = []
    start = 0
    for number, item in enumerate(indices):
        dims = [1] * (rank - item.rank) + list(item.dims)
        wide = [axis for axis, size in enumerate(dims) if size != 1]
        end = rank if number == len(indices) - 1 else max([start, *(axis + 1 for axis in wide)])
        if any(axis < start for axis in wide):
            return None
        blocks.append(dims[start:end])
        start = end
    return blocks


def clamped_indices(op: Builder, x: Value, indices: Values) -> list[Value | None]:
    """Indices limited to the range of the axes they index."""
    return [
        None if item is None else op.Min(op.Max(op.cast(item, DataType.INT64), 0 - size), size - 1)
        for item, size in zip(indices, x.dims, strict=False)
    ]


@aten("_unsafe_masked_index")
def unsafe_masked_index(op: Builder, self: Value, mask: Value, indices: Values, fill: Number) -> Value:
    """``self[indices]``, but ``fill`` where ``mask`` is false; the index may be out of range there."""
    found = index(op, self, clamped_indices(op, self, indices))  # type: ignore[arg-type]
    return where(op, op.cast(mask, DataType.BOOL), found, as_tensor(op, fill, self.etype))


# ---- along one axis --------------------------------------------------------------------------------------------------


@aten("index_select")
def index_select(op: Builder, self: Value, dim: Int, index: Value) -> Value:
    if not self.rank:
        return self
    return op.Gather(
        self, as_index(op, op.Reshape(index, [1]) if not index.rank else index), axis=axis_of(dim, self.rank)
    )


@aten("gather")
def gather(op: Builder, self: Value, dim: Int, index: Value, *, sparse_grad: bool = False) -> Value:
    index = as_index(op, index)
    if product(index.dims) == 0:
        return filled(op, index.dims, 0, self.etype)
    if not self.rank or not index.rank:
        picked = op.Gather(op.Reshape(self, [-1]), op.Reshape(index, [-1]), axis=0)
        return op.reshape(picked, index.dims)
    return op.GatherElements(self, index, axis=axis_of(dim, self.rank))


@aten("take")
def take(op: Builder, self: Value, index: Value) -> Value:
    return op.Gather(op.reshape(self, [product(self.dims)]), as_index(op, index), axis=0)


@aten("take_along_dim")
def take_along_dim(op: Builder, self: Value, indices: Value, dim: Int | None = None) -> Value:
    if dim is None:
        return take(op, self, op.reshape(indices, [product(indices.dims)]))
    axis = axis_of(dim, self.rank)
    # All axes but the one indexed are broadcast; with that one cut to size 1 on either side they can be compared.
    x, at = along_together(op, axis, self, as_index(op, indices))
    return op.GatherElements(x, at, axis=axis)


def along_together(op: Builder, axis: int, x: Value, index: Value) -> tuple[Value, Value]:
    """``x`` and an index along ``axis``, broadcast to each other along all other axes."""
    if x.dims[:axis] + x.dims[axis + 1 :] == index.dims[:axis] + index.dims[axis + 1 :]:
        return x, index
    values = []
    for value, other in ((x, index), (index, x)):
        sizes = [1 if i == axis else size for i, size in enumerate(other.dims)]
        values.append(op.Expand(value, op.dims_tensor(sizes)))
    return values[0], values[1]


# ---- by a mask -------------------------------------------------------------------------------------------------------


@aten("masked_select")
def masked_select(op: Builder, self: Value, mask: Value) -> Value:
    x, condition = self, op.cast(mask, DataType.BOOL)
    if x.dims != condition.dims:
        x, condition = broadcast_all(op, [x, condition])
    return op.Compress(op.reshape(x, [product(x.dims)]), op.reshape(condition, [product(x.dims)]))


@aten("nonzero", "argwhere")
def nonzero(op: Builder, self: Value) -> Value:
    """One row for each element that is not zero, its indices; a tensor of rank 0 gives rows of no columns."""
    if not self.rank:
        (found,) = positions(op, self)
        return op.Slice(op.Unsqueeze(found, [1]), [0], [0], [1])
    return op.Transpose(emit(op, "NonZero", self), perm=[1, 0])


@aten("nonzero_numpy")
def nonzero_numpy(op: Builder, self: Value) -> list[Value]:
    return positions(op, self)


@aten("nonzero_static")
def nonzero_static(op: Builder, self: Value, *, size: Int, fill_value: Int = -1) -> Value:
    """The first ``size`` rows of ``nonzero``, filled up with ``fill_value``."""
    found = nonzero(op, self)
    if isinstance(size, Dim) and not op.knows(size):
        raise LoweringError(f"the size {size} is not known")
    filler = filled(op, [size, self.rank], fill_value, DataType.INT64)
    return op.Slice(op.Concat(found, filler, axis=0), [0], [size], [0])

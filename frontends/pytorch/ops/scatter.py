"""Writing to parts of tensors: at positions that are data, where a mask holds, and into slices, rows and diagonals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from nxconvert.frontends.pytorch.dtypes import DataType, is_float, limits
from nxconvert.frontends.pytorch.ops.common import all_static, as_tensor, axis_of, static_ints
from nxconvert.frontends.pytorch.ops.create import filled, int_range
from nxconvert.frontends.pytorch.ops.index import (
    MASKS,
    as_index,
    clamped_indices,
    coordinates,
    integer_indices,
    positions,
)
from nxconvert.frontends.pytorch.ops.regions import fill_slice
from nxconvert.frontends.pytorch.ops.select import END, diagonal_length, on_diagonal, sliced
from nxconvert.frontends.pytorch.ops.shape import broadcast_all, int_list, inverse, moved, transposed
from nxconvert.frontends.pytorch.ops.windows import strided_index
from nxconvert.frontends.pytorch.table import Builder, Int, Ints, LoweringError, Number, Value, Values, aten
from nxconvert.graph.builder import TensorType
from nxconvert.graph.dims import compare, maximum, minimum, product
from nxconvert.graph.rules.index import slice_size
from nxconvert.graph.widening import where

# ---- index_put: x[i, :, mask] = y ------------------------------------------------------------------------------------


@aten("index_put", "_unsafe_index_put", "_index_put_impl")
def index_put(
    op: Builder, self: Value, indices: Values, values: Value, accumulate: bool = False, unsafe: bool = False
) -> Value:
    values = op.cast(values, self.etype)
    given = [(axis, item) for axis, item in enumerate(indices) if item is not None]
    if not given:
        return _combined(op, self, op.expand(values, self.dims), accumulate)
    if len(given) == 1 and given[0][1].etype in MASKS:
        axis, mask = given[0]
        after = self.rank - axis - mask.rank
        if values.rank <= after or (values.rank == after + 1 and values.dims[0] == 1):
            # One row of values for all that the mask selects.
            row = op.Squeeze(values, [0]) if values.rank > after else values
            reach = op.Unsqueeze(mask, list(range(mask.rank, mask.rank + after))) if after else mask
            return where(op, op.cast(reach, DataType.BOOL), _combined(op, self, row, accumulate), self)
    x, integers = integer_indices(op, self, list(indices))
    axes = [axis for axis, item in enumerate(integers) if item is not None]
    order = [*axes, *(axis for axis in range(x.rank) if axis not in axes)]
    at = coordinates(op, [item for item in integers if item is not None])
    target = transposed(op, x, order)
    updates = _as_indexed(op, values, at.dims[:-1], target.dims[len(axes) :], _leading(axes))
    return op.reshape(transposed(op, _scatter_nd(op, target, at, updates, accumulate), inverse(order)), self.dims)


def _combined(op: Builder, x: Value, values: Value, accumulate: bool) -> Value:
    """The values written: added to ``x`` if they accumulate (of bools, "or")."""
    if not accumulate:
        return values
    return op.Or(x, values) if x.etype == DataType.BOOL else op.Add(x, values)


def _leading(axes: Sequence[int]) -> int:
    """How many axes of the indexed tensor stand before those of the indices: none if the indexed axes lie apart."""
    return axes[0] if list(axes) == list(range(axes[0], axes[0] + len(axes))) else 0


def _as_indexed(op: Builder, values: Value, picked: Sequence[Int], rest: Sequence[Int], before: int) -> Value:
    """``values`` broadcast to the dims of ``x[indices]``, with the axes of the indices first.

    Args:
        op: the builder.
        values: what is written; broadcasts to ``rest[:before] + picked + rest[before:]``.
        picked: the dims of the indices' broadcast.
        rest: the dims that are not indexed.
        before: how many of those stand before the indices' axes.
    """
    if not before or values.rank <= len(rest) - before:
        return op.expand(values, [*picked, *rest])
    whole = op.expand(values, [*rest[:before], *picked, *rest[before:]])
    n = len(picked)
    return transposed(op, whole, [*range(before, before + n), *range(before), *range(before + n, whole.rank)])


# Scatters that combine what they write have no kernels for these. Of bools a sum is "or", a product "and".
_WIDER = {DataType.BOOL: DataType.INT32, DataType.FLOAT16: DataType.FLOAT, DataType.BFLOAT16: DataType.FLOAT}


def _combine(op: Builder, op_type: str, x: Value, at: Value, updates: Value, reduction: str, **axis: int) -> Value:
    """``ScatterND`` or ``ScatterElements`` with a reduction, which is "none" where what is written replaces."""
    emit = getattr(op, op_type)
    if reduction == "none":
        return emit(x, at, updates, **axis)
    wide = _WIDER.get(x.etype, x.etype)
    return op.cast(emit(op.cast(x, wide), at, op.cast(updates, wide), reduction=reduction, **axis), x.etype)


def _scatter_nd(op: Builder, x: Value, at: Value, updates: Value, accumulate: bool) -> Value:
    return _combine(op, "ScatterND", x, at, updates, "add" if accumulate else "none")


@aten("_unsafe_masked_index_put_accumulate")
def unsafe_masked_index_put_accumulate(op: Builder, self: Value, mask: Value, indices: Values, values: Value) -> Value:
    """Adds ``values`` at ``indices`` where ``mask`` holds; the index may be out of range elsewhere."""
    kept = where(op, op.cast(mask, DataType.BOOL), values, op.const(0, values.etype))
    return index_put(op, self, clamped_indices(op, self, indices), kept, True)  # type: ignore[arg-type]


@aten("put")
def put(op: Builder, self: Value, index: Value, source: Value, accumulate: bool = False) -> Value:
    """Writes to the flattened tensor."""
    count = product(index.dims)
    at = op.reshape(op.cast(index, DataType.INT64), [count, 1])
    flat, updates = op.reshape(self, [product(self.dims)]), op.reshape(source, [count])
    return op.reshape(_scatter_nd(op, flat, at, updates, accumulate), self.dims)


# ---- along one axis --------------------------------------------------------------------------------------------------


def _at_least_1d(op: Builder, *values: Value) -> tuple[Value, ...]:
    return tuple(value if value.rank else op.Reshape(value, [1]) for value in values)


def _row(op: Builder, index: Value, rank: int, axis: int) -> Value:
    """An index vector along ``axis`` of a tensor of ``rank``."""
    return op.reshape(index, [index.dims[0] if i == axis else 1 for i in range(rank)])


@aten("index_add")
def index_add(op: Builder, self: Value, dim: Int, index: Value, source: Value, *, alpha: Number = 1) -> Value:
    scaled = source
    if alpha != 1:
        factor = as_tensor(op, alpha, source.etype)
        scaled = op.And(source, factor) if source.etype == DataType.BOOL else op.Mul(source, factor)
    return _index_write(op, self, dim, index, scaled, accumulate=True)


@aten("index_copy")
def index_copy(op: Builder, self: Value, dim: Int, index: Value, source: Value) -> Value:
    return _index_write(op, self, dim, index, source, accumulate=False)


def _index_write(op: Builder, self: Value, dim: Int, index: Value, source: Value, *, accumulate: bool) -> Value:
    axis = axis_of(dim, self.rank)
    x, at, updates = _at_least_1d(op, self, as_index(op, index), source)
    if axis == 0:
        at = op.Unsqueeze(op.cast(at, DataType.INT64), [1])
        updates = op.reshape(updates, [at.dims[0], *x.dims[1:]])
        result = _scatter_nd(op, x, at, updates, accumulate)
    else:
        spread = op.expand(_row(op, at, x.rank, axis), updates.dims)
        result = _scatter_elements(op, x, axis, spread, updates, "add" if accumulate else "none")
    return op.reshape(result, self.dims)


@aten("index_fill.int_Tensor", "index_fill.int_Scalar")
def index_fill(op: Builder, self: Value, dim: Int, index: Value, value: Number | Value) -> Value:
    axis = axis_of(dim, self.rank)
    x, at = _at_least_1d(op, self, as_index(op, index))
    unmarked = filled(op, [x.dims[axis]], False, DataType.BOOL)
    marked = op.ScatterElements(unmarked, at, filled(op, at.dims, True, DataType.BOOL), axis=0)
    filler = op.cast(as_tensor(op, value), self.etype)
    return op.reshape(where(op, _row(op, marked, x.rank, axis), filler, x), self.dims)


@aten("index_reduce")
def index_reduce(
    op: Builder, self: Value, dim: Int, index: Value, source: Value, reduce: str, *, include_self: bool = True
) -> Value:
    axis = axis_of(dim, self.rank)
    x, at, updates = _at_least_1d(op, self, as_index(op, index), source)
    spread = op.expand(_row(op, at, x.rank, axis), updates.dims)
    return op.reshape(_reduced(op, x, axis, spread, updates, reduce, include_self), self.dims)


# ---- scatter ---------------------------------------------------------------------------------------------------------

_REDUCTIONS = {
    "add": "add", "sum": "add", "mean": "add", "multiply": "mul", "prod": "mul", "amax": "max", "amin": "min",
}  # fmt: skip


def _scatter_elements(op: Builder, x: Value, axis: int, index: Value, updates: Value, reduction: str) -> Value:
    return _combine(op, "ScatterElements", x, index, updates, reduction, axis=axis)


def _window(op: Builder, src: Value, index: Value) -> Value:
    """The part of ``src`` that an index of the same rank, and of no greater sizes, refers to."""
    cut = [axis for axis, (a, b) in enumerate(zip(src.dims, index.dims, strict=True)) if a != b]
    if not cut:
        return src
    return op.Slice(src, [0] * len(cut), [index.dims[axis] for axis in cut], cut)


@aten("scatter.src", "scatter.reduce")
def scatter(op: Builder, self: Value, dim: Int, index: Value, src: Value, *, reduce: str | None = None) -> Value:
    if reduce is not None:
        return scatter_reduce(op, self, dim, index, src, reduce)
    axis = axis_of(dim, self.rank)
    x, at, updates = _at_least_1d(op, self, as_index(op, index), src)
    updates = _window(op, op.cast(updates, self.etype), at)
    return op.reshape(_scatter_elements(op, x, axis, at, updates, "none"), self.dims)


@aten("scatter.value", "scatter.value_reduce")
def scatter_value(
    op: Builder, self: Value, dim: Int, index: Value, value: Number, *, reduce: str | None = None
) -> Value:
    return scatter(op, self, dim, index, filled(op, index.dims, value, self.etype), reduce=reduce)


@aten("scatter_add")
def scatter_add(op: Builder, self: Value, dim: Int, index: Value, src: Value) -> Value:
    return scatter_reduce(op, self, dim, index, src, "sum")


@aten("scatter_reduce.two")
def scatter_reduce(
    op: Builder, self: Value, dim: Int, index: Value, src: Value, reduce: str, *, include_self: bool = True
) -> Value:
    axis = axis_of(dim, self.rank)
    x, at, updates = _at_least_1d(op, self, as_index(op, index), src)
    result = _reduced(op, x, axis, at, _window(op, op.cast(updates, self.etype), at), reduce, include_self)
    return op.reshape(result, self.dims)


def _reduced(op: Builder, x: Value, axis: int, index: Value, updates: Value, reduce: str, include_self: bool) -> Value:
    """Combines ``updates`` with each other and, if ``include_self``, with what ``x`` holds where they are written."""
    if reduce not in _REDUCTIONS:
        raise LoweringError(f"'{reduce}' is no reduction of a scatter")
    if not include_self:
        blank = filled(op, index.dims, _neutral(reduce, x.etype), x.etype)
        x = op.ScatterElements(x, index, blank, axis=axis)
    result = _scatter_elements(op, x, axis, index, updates, _REDUCTIONS[reduce])
    if reduce != "mean":
        return result
    ones = filled(op, index.dims, 1, DataType.INT64)
    start = filled(op, x.dims, int(include_self), DataType.INT64)
    count = op.ScatterElements(start, index, ones, axis=axis, reduction="add")
    count = count if include_self else op.Max(count, 1)
    if is_float(x.etype):
        return op.Div(result, op.cast(count, x.etype))
    # The mean of integers is rounded down.
    total = op.cast(result, DataType.INT64)
    return op.cast(op.Div(op.Sub(total, op.Mod(total, count)), count), x.etype)


def _neutral(reduce: str, dtype: ir.DataType) -> float:
    """What a reduction starts from."""
    if reduce not in ("amax", "amin"):
        return int(reduce == "prod")
    if is_float(dtype):
        return -np.inf if reduce == "amax" else np.inf
    low, high = (0, 1) if dtype == DataType.BOOL else limits(dtype)
    return low if reduce == "amax" else high


# ---- by a mask -------------------------------------------------------------------------------------------------------


@aten("masked_fill")
def masked_fill(op: Builder, self: Value, mask: Value, value: Number | Value) -> Value:
    filler = op.cast(value, self.etype) if isinstance(value, Value) else as_tensor(op, value, self.etype)
    return where(op, op.cast(mask, DataType.BOOL), filler, self)


@aten("masked_scatter")
def masked_scatter(op: Builder, self: Value, mask: Value, source: Value) -> Value:
    """The elements where ``mask`` holds take those of ``source``, in order."""
    x, condition = broadcast_all(op, [self, op.cast(mask, DataType.BOOL)])
    count = product(x.dims)
    (at,) = positions(op, op.reshape(condition, [count]))
    taken = op.Slice(op.reshape(source, [product(source.dims)]), [0], [at.dims[0]], [0])
    return op.reshape(op.ScatterElements(op.reshape(x, [count]), at, taken, axis=0), x.dims)


# ---- into slices, rows, diagonals: what a view shows -----------------------------------------------------------------


def write_slice(
    op: Builder, x: Value, new: Value, axis: int, start: Int | None = None, end: Int | None = None, step: Int = 1
) -> Value:
    """``x`` after ``x[start:end:step] = new`` along an axis; ``new`` has the slice's dims and the dtype of ``x``."""
    start, end, size = start or 0, END if end is None else end, x.dims[axis]
    length = slice_size(size, start, end, step)
    chosen = fill_slice(op, x, new, axis, start, end, step) if length != size else None
    if chosen is not None:
        return chosen
    if step == 1 and length is not None:
        begin = maximum(start + size, 0) if compare(start, "<", 0) else minimum(start, size)
        return write_region(op, x, new, axis, begin, length)
    if length is not None and all_static([size, start, length, step]):
        return _write_static(op, x, new, axis, np.arange(size)[start:end:step])  # type: ignore[arg-type]
    return write_rows(op, x, new, axis, sliced(op, int_range(op, size), 0, start, end, step))


def write_region(op: Builder, x: Value, new: Value, axis: int, start: Int, length: Int) -> Value:
    """``x`` with the ``length`` rows from ``start`` on replaced: what lies before, ``new``, and what lies behind."""
    size, end = x.dims[axis], start + length
    if length == 0:
        return x
    parts = [new]
    if start != 0:
        parts.insert(0, op.Slice(x, [0], [start], [axis]))
    if end != size:
        parts.append(op.Slice(x, [end], [END], [axis]))
    if len(parts) == 1 or all(part.array is not None for part in parts):
        return op.Concat(*parts, axis=axis) if len(parts) > 1 else new
    return op.node("Concat", parts, {"axis": axis}, [TensorType(x.etype, x.dims)])[0]


def _write_static(op: Builder, x: Value, new: Value, axis: int, rows: np.ndarray) -> Value:
    """Writes to known rows: every row of ``new`` is brought to its place, and a mask chooses between it and ``x``."""
    size = int(x.dims[axis])  # type: ignore[arg-type]
    if not rows.size:
        return x
    if axis == 0:
        return op.ScatterND(x, rows[:, None], new)
    source, chosen = np.zeros(size, np.int64), np.zeros(size, np.bool_)
    source[rows], chosen[rows] = np.arange(rows.size), True
    mask = chosen.reshape([size if i == axis else 1 for i in range(x.rank)])
    return where(op, op.const(mask), op.Gather(new, source, axis=axis), x)


def write_rows(op: Builder, x: Value, new: Value, axis: int, rows: Value) -> Value:
    """Writes the rows of ``new`` along an axis to those of ``x`` that a vector of indices names."""
    order = moved(x.rank, axis, 0)
    target, updates = transposed(op, x, order), transposed(op, new, order)
    return transposed(op, op.ScatterND(target, op.Unsqueeze(rows, [1]), updates), inverse(order))


def write_select(op: Builder, x: Value, new: Value, axis: int, index: Int) -> Value:
    """``x`` after ``x[index] = new`` along an axis."""
    size, row = x.dims[axis], op.Unsqueeze(new, [axis])
    if isinstance(index, int) and (index >= 0 or isinstance(size, int)):
        return write_region(op, x, row, axis, index % size if index < 0 else index, 1)
    if isinstance(index, int):
        return write_region(op, x, row, axis, size + index, 1)
    if axis == 0:
        return op.ScatterND(x, op.Reshape(op.dim_value(index), [1, 1]), row)
    # Mod takes its divisor's sign: a negative index counts from the end.
    hit = op.Equal(int_range(op, size), op.Mod(op.dim_value(index), size))
    return where(op, _row(op, hit, x.rank, axis), row, x)


def write_diagonal(op: Builder, x: Value, new: Value, offset: Int = 0, dim1: Int = 0, dim2: Int = 1) -> Value:
    """``x`` with ``new``, whose last axis runs along it, on a diagonal."""
    (offset,) = static_ints(offset, "the offset of the diagonal")
    order = moved(x.rank, [dim1, dim2], [-2, -1])
    matrices = transposed(op, x, order)
    rows, columns = matrices.dims[-2:]
    if diagonal_length(rows, columns, offset) == 0:
        return x
    return transposed(op, on_diagonal(op, new, offset, rows, columns, matrices), inverse(order))


def write_strided(
    op: Builder, x: Value, new: Value, size: Ints, stride: Ints, storage_offset: Int | None = None
) -> Value:
    """``x`` with ``new`` at the places in memory that sizes and strides say."""
    at = strided_index(op, int_list(size), int_list(stride), storage_offset or 0)
    flat = op.reshape(x, [product(x.dims)])
    count = product(at.dims)
    written = op.ScatterElements(flat, op.reshape(at, [count]), op.reshape(new, [count]), axis=0)
    return op.reshape(written, x.dims)


@aten("slice_scatter")
def slice_scatter(
    op: Builder, self: Value, src: Value, dim: Int = 0, start: Int | None = None, end: Int | None = None, step: Int = 1
) -> Value:
    axis = axis_of(dim, self.rank)
    length = slice_size(self.dims[axis], start or 0, END if end is None else end, step)
    part = op.cast(src, self.etype)
    if length is not None:
        part = op.expand(part, [*self.dims[:axis], length, *self.dims[axis + 1 :]])
    return write_slice(op, self, part, axis, start, end, step)


@aten("select_scatter")
def select_scatter(op: Builder, self: Value, src: Value, dim: Int, index: Int) -> Value:
    axis = axis_of(dim, self.rank)
    part = op.expand(op.cast(src, self.etype), [*self.dims[:axis], *self.dims[axis + 1 :]])
    return write_select(op, self, part, axis, index)


@aten("diagonal_scatter")
def diagonal_scatter(op: Builder, self: Value, src: Value, offset: Int = 0, dim1: Int = 0, dim2: Int = 1) -> Value:
    return write_diagonal(op, self, op.cast(src, self.etype), offset, dim1, dim2)


@aten("as_strided_scatter")
def as_strided_scatter(
    op: Builder, self: Value, src: Value, size: Ints, stride: Ints, storage_offset: Int | None = None
) -> Value:
    return write_strided(op, self, op.cast(src, self.etype), size, stride, storage_offset)

"""Parts of tensors at positions that are known: select, slice, diagonals and triangles, flipping and rolling."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nxconvert.frontends.pytorch.dtypes import DataType, is_float
from nxconvert.frontends.pytorch.ops.common import axis_of, static_ints
from nxconvert.frontends.pytorch.ops.create import diagonal_mask
from nxconvert.frontends.pytorch.ops.shape import int_list, inverse, moved, swapped, transposed
from nxconvert.frontends.pytorch.table import Builder, Int, Ints, LoweringError, Value, aten
from nxconvert.graph.builder import TensorType
from nxconvert.graph.dims import compare, maximum, minimum, mod, product
from nxconvert.graph.rules.index import slice_size
from nxconvert.graph.widening import emit, reduce, where

# TorchScript writes "to the end" as the largest int64.
END = 2**63 - 1

# ---- slices ----------------------------------------------------------------------------------------------------------


def sliced(op: Builder, x: Value, axis: int, start: Int | None, end: Int | None, step: Int = 1) -> Value:
    """``x[start:end:step]`` along an axis, by Python's rules; ``x`` itself where that is all of it."""
    start, end = 0 if start is None else start, END if end is None else end
    if step == 1:
        count = slice_size(x.dims[axis], start, end, 1)
        if count == x.dims[axis]:
            return x
    return op.Slice(x, [start], [end], [axis], None if step == 1 else [step])


@aten("slice.Tensor", "slice_copy.Tensor")
def slice(
    op: Builder, self: Value, dim: Int = 0, start: Int | None = None, end: Int | None = None, step: Int = 1
) -> Value:
    if compare(step, ">", 0) is False:
        raise LoweringError(f"the step of a slice is {step}, it must be positive")
    return sliced(op, self, axis_of(dim, self.rank), start, end, step)


@aten("narrow", "narrow.Tensor", "narrow_copy")
def narrow(op: Builder, self: Value, dim: Int, start: Int | Value, length: Int) -> Value:
    axis = axis_of(dim, self.rank)
    begin = narrow_start(op, self.dims[axis], start)
    if begin == 0 and length == self.dims[axis]:
        return self
    return op.Slice(self, [begin], [begin + length], [axis])


def narrow_start(op: Builder, size: Int, start: Int | Value) -> Int:
    """Where a ``narrow`` begins, counted from the front."""
    begin = (
        op.symbol_of(op.Reshape(start, []) if start.rank else start, "start", low=0)
        if isinstance(start, Value)
        else start
    )
    return begin + size if compare(begin, "<", 0) else begin


@aten("select.int", "select_copy.int")
def select(op: Builder, self: Value, dim: Int, index: Int) -> Value:
    if not self.rank:
        raise LoweringError("an element is selected of a tensor of rank 0")
    axis = axis_of(dim, self.rank)
    size = self.dims[axis]
    if size == 1 and index in (0, -1):
        return op.Squeeze(self, [axis])
    if compare(index, ">=", size) or compare(index + size, "<", 0):
        raise LoweringError(f"index {index} is out of range for axis {axis} of size {size}")
    return op.Gather(self, index, axis=axis)


# ---- diagonals -------------------------------------------------------------------------------------------------------


def diagonal_length(rows: Int, columns: Int, offset: int) -> Int:
    """The number of elements on a diagonal of a matrix, ``offset`` above the main one."""
    length = minimum(rows, columns - offset) if offset >= 0 else minimum(rows + offset, columns)
    return maximum(length, 0)


@aten("diagonal", "diagonal_copy")
def diagonal_of(op: Builder, self: Value, offset: Int = 0, dim1: Int = 0, dim2: Int = 1) -> Value:
    """The diagonal is the new last axis; its elements lie one row and one column apart in the flattened matrix."""
    (offset,) = static_ints(offset, "the offset of the diagonal")
    x = transposed(op, self, moved(self.rank, [dim1, dim2], [-2, -1]))
    *lead, rows, columns = x.dims
    length = diagonal_length(rows, columns, offset)
    start = offset if offset >= 0 else columns * -offset
    flat, axis = op.reshape(x, [*lead, rows * columns]), len(lead)
    # Ending a whole step behind the last element never reaches another one, and is right for an empty diagonal too.
    step = columns + 1
    bounds: list[list[Int]] = [[start], [start + length * step], [axis], [step]]
    if isinstance(length, int) and isinstance(step, int):
        return op.Slice(flat, *bounds)
    vectors = [op.dims_tensor(bound) for bound in bounds]
    return op.node("Slice", [flat, *vectors], {}, [TensorType(flat.etype, (*lead, length))])[0]


@aten("trace")
def trace(op: Builder, self: Value) -> Value:
    """The sum of the diagonal; sums of integers are int64."""
    elements = diagonal_of(op, self)
    return reduce(op, "ReduceSum", elements if is_float(self.etype) else op.cast(elements, DataType.INT64), [0], False)


@aten("diag")
def diag(op: Builder, self: Value, diagonal: Int = 0) -> Value:
    """A vector becomes a matrix, a matrix gives its diagonal."""
    return diag_embed(op, self, diagonal) if self.rank == 1 else diagonal_of(op, self, diagonal)


@aten("diagflat")
def diagflat(op: Builder, self: Value, offset: Int = 0) -> Value:
    return diag_embed(op, op.reshape(self, [product(self.dims)]), offset)


@aten("diag_embed")
def diag_embed(op: Builder, self: Value, offset: Int = 0, dim1: Int = -2, dim2: Int = -1) -> Value:
    (offset,) = static_ints(offset, "the offset of the diagonal")
    size = self.dims[-1] + abs(offset)
    zeros = op.const(0, self.etype)
    matrix = on_diagonal(op, self, offset, size, size, zeros)
    return transposed(op, matrix, inverse(moved(matrix.rank, [dim1, dim2], [-2, -1])))


def on_diagonal(op: Builder, x: Value, offset: int, rows: Int, columns: Int, others: Value) -> Value:
    """Matrices with the last axis of ``x`` on a diagonal and the elements of ``others`` elsewhere."""
    # Element (i, j) of the diagonal is written into column j of a row that is repeated; `j` starts at the offset.
    before = max(offset, 0)
    row = padded(op, x, before, columns - before - x.dims[-1])
    return where(op, diagonal_mask(op, rows, columns, offset), op.Unsqueeze(row, [-2]), others)


def padded(op: Builder, x: Value, before: Int, after: Int) -> Value:
    """``x`` with zeros around its last axis."""
    if before == 0 and after == 0:
        return x
    return emit(op, "Pad", x, [before, after], None, [-1])


def _triangle(op: Builder, x: Value, diagonal: Int, *, upper: bool) -> Value:
    return emit(op, "Trilu", x, None if diagonal == 0 else op.dim_value(diagonal), upper=int(upper))


@aten("tril")
def tril(op: Builder, self: Value, diagonal: Int = 0) -> Value:
    return _triangle(op, self, diagonal, upper=False)


@aten("triu")
def triu(op: Builder, self: Value, diagonal: Int = 0) -> Value:
    return _triangle(op, self, diagonal, upper=True)


# ---- other orders ----------------------------------------------------------------------------------------------------


def reversed_along(op: Builder, x: Value, axes: Sequence[int]) -> Value:
    """``x`` with the elements along ``axes`` in reverse order."""
    turned = [axis for axis in axes if x.dims[axis] not in (0, 1)]
    if not turned:
        return x
    count = len(turned)
    return op.Slice(x, [-1] * count, [-END] * count, turned, [-1] * count)


@aten("flip")
def flip(op: Builder, self: Value, dims: Ints) -> Value:
    axes = [axis_of(dim, self.rank) for dim in int_list(dims)] if self.rank else []
    return reversed_along(op, self, axes)


@aten("fliplr")
def fliplr(op: Builder, self: Value) -> Value:
    return flip(op, self, [1])


@aten("flipud")
def flipud(op: Builder, self: Value) -> Value:
    return flip(op, self, [0])


@aten("rot90")
def rot90(op: Builder, self: Value, k: Int = 1, dims: Ints = (0, 1)) -> Value:  # type: ignore[assignment]
    (turns,) = static_ints(k, "the number of quarter turns")
    a, b = (axis_of(dim, self.rank) for dim in int_list(dims))
    swap = swapped(self.rank, a, b)
    return {
        0: lambda: self,
        1: lambda: transposed(op, reversed_along(op, self, [b]), swap),
        2: lambda: reversed_along(op, self, [a, b]),
        3: lambda: reversed_along(op, transposed(op, self, swap), [b]),
    }[turns % 4]()


@aten("roll")
def roll(op: Builder, self: Value, shifts: Ints, dims: Ints = ()) -> Value:  # type: ignore[assignment]
    axes = int_list(dims)
    if not axes:
        flat = rolled(op, op.reshape(self, [product(self.dims)]), 0, int_list(shifts)[0])
        return op.reshape(flat, self.dims)
    result = self
    for shift, dim in zip(int_list(shifts), axes, strict=True):
        result = rolled(op, result, axis_of(dim, self.rank), shift)
    return result


def rolled(op: Builder, x: Value, axis: int, shift: Int) -> Value:
    """``x`` with the elements along an axis moved by ``shift``, those that leave coming in at the other end."""
    size = x.dims[axis] if x.rank else 1
    if size in (0, 1) or shift == 0:
        return x
    start = mod(-shift, size)
    if start == 0:
        return x
    if isinstance(size, int) and isinstance(start, int) and axis < x.rank - 1:
        # Rows are moved with one node; along the last axis two copies of runs are faster than single elements.
        return op.Gather(x, np.roll(np.arange(size), -start), axis=axis)
    if isinstance(shift, int) and compare(abs(shift), "<=", size):
        start = -shift
    return op.Concat(op.Slice(x, [start], [END], [axis]), op.Slice(x, [0], [start], [axis]), axis=axis)

"""Tensors out of nothing: filled, counted, spaced, literal ones. (Random ones are in ``sampling``.)

``**_`` takes ``layout``, ``device``, ``pin_memory``, ``memory_format``, ``requires_grad``: they say nothing of values.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

from nxconvert.frontends.pytorch.dtypes import DataType, is_float
from nxconvert.frontends.pytorch.ops.common import (
    DEFAULT_FLOAT,
    as_tensor,
    convert_number,
    dtype_of,
    number_dtype,
)
from nxconvert.frontends.pytorch.table import Builder, Dim, DType, Int, Ints, LoweringError, Number, Scalar, Value, aten
from nxconvert.graph.builder import FOLD_LIMIT
from nxconvert.graph.dims import maximum
from nxconvert.graph.widening import where


def filled(op: Builder, dims: Int | Sequence[Int], value: Value | Number, dtype: ir.DataType) -> Value:
    """A tensor of ``dims``, every element of which is ``value`` (a number or a tensor of one element)."""
    return op.expand(as_tensor(op, value, dtype), [dims] if isinstance(dims, (int, Dim)) else dims)


def int_range(op: Builder, start: Int, end: Int | None = None, step: int = 1) -> Value:
    """``range(start, end, step)``, or ``range(start)``, as an int64 vector whose size is known exactly."""
    if end is None:
        start, end = 0, start
    if isinstance(start, int) and isinstance(end, int) and abs(end - start) <= FOLD_LIMIT * abs(step):
        return op.const(np.arange(start, end, step, dtype=np.int64))
    return op.Range(start, end, step)


def _dtype_or(dtype: DType | None, default: ir.DataType) -> ir.DataType:
    return default if dtype is None else dtype_of(dtype)


# ---- filled ----------------------------------------------------------------------------------------------------------


def _register_filled(name: str, value: int) -> None:
    """``zeros`` has three forms: of a size, of a size like a tensor's dtype, of a tensor's size and dtype."""

    @aten(name)
    def of_size(op: Builder, size: Ints, *, dtype: DType | None = None, **_: Any) -> Value:
        return filled(op, size, value, _dtype_or(dtype, DEFAULT_FLOAT))

    @aten(f"new_{name}")
    def new(op: Builder, self: Value, size: Ints, *, dtype: DType | None = None, **_: Any) -> Value:
        return filled(op, size, value, _dtype_or(dtype, self.etype))

    @aten(f"{name}_like")
    def like(op: Builder, self: Value, *, dtype: DType | None = None, **_: Any) -> Value:
        return filled(op, self.dims, value, _dtype_or(dtype, self.etype))


_register_filled("zeros", 0)
_register_filled("ones", 1)
# The content of an empty tensor is anything; zeros are as good and the same each time.
_register_filled("empty", 0)


@aten("empty_strided", "empty_permuted")
def empty_strided(op: Builder, size: Ints, stride: Ints, *, dtype: DType | None = None, **_: Any) -> Value:
    return filled(op, size, 0, _dtype_or(dtype, DEFAULT_FLOAT))


@aten("new_empty_strided")
def new_empty_strided(
    op: Builder, self: Value, size: Ints, stride: Ints, *, dtype: DType | None = None, **_: Any
) -> Value:
    return filled(op, size, 0, _dtype_or(dtype, self.etype))


@aten("full")
def full(op: Builder, size: Ints, fill_value: Number | Value, *, dtype: DType | None = None, **_: Any) -> Value:
    default = fill_value.etype if isinstance(fill_value, Value) else number_dtype(fill_value)
    return filled(op, size, fill_value, _dtype_or(dtype, default))


@aten("new_full")
def new_full(
    op: Builder, self: Value, size: Ints, fill_value: Number | Value, *, dtype: DType | None = None, **_: Any
) -> Value:
    return filled(op, size, fill_value, _dtype_or(dtype, self.etype))


@aten("full_like")
def full_like(op: Builder, self: Value, fill_value: Number | Value, *, dtype: DType | None = None, **_: Any) -> Value:
    return filled(op, self.dims, fill_value, _dtype_or(dtype, self.etype))


@aten("fill")
def fill(op: Builder, self: Value, value: Number | Value) -> Value:
    return filled(op, self.dims, value, self.etype)


@aten("zero")
def zero(op: Builder, self: Value) -> Value:
    return filled(op, self.dims, 0, self.etype)


@aten("copy")
def copy(op: Builder, self: Value, src: Value, non_blocking: bool = False) -> Value:
    """``src`` broadcast to the size, and cast to the dtype, of ``self``."""
    return op.expand(op.cast(src, self.etype), self.dims)


# ---- counted and spaced ----------------------------------------------------------------------------------------------


@aten("arange")
def arange(op: Builder, end: Number, *, dtype: DType | None = None, **_: Any) -> Value:
    return _arange(op, 0, end, 1, dtype)


@aten("arange.start", "arange.start_step")
def arange_from(
    op: Builder, start: Number, end: Number, step: Number = 1, *, dtype: DType | None = None, **_: Any
) -> Value:
    return _arange(op, start, end, step, dtype)


@aten("range", "range.step")
def range_(op: Builder, start: Number, end: Number, step: Number = 1, *, dtype: DType | None = None, **_: Any) -> Value:
    """As ``arange``, with ``end`` in it, and of floats by default."""
    target = _dtype_or(dtype, DEFAULT_FLOAT)
    if not (isinstance(start, (int, float)) and isinstance(end, (int, float)) and isinstance(step, (int, float))):
        raise LoweringError("range of numbers that depend on data")
    values = start + np.arange(math.floor((end - start) / step) + 1, dtype=np.float64) * step
    return op.const(values.astype(target.numpy()), target)


def _arange(op: Builder, start: Number, end: Number, step: Number, dtype: DType | None) -> Value:
    """Float arguments give the default float dtype, integers int64; values are computed in double."""
    bounds = [start, end, step]
    whole = all(isinstance(x, (int, Dim)) for x in bounds)
    target = _dtype_or(dtype, DataType.INT64 if whole else DEFAULT_FLOAT)
    if target == DataType.INT64:
        bounds = [int(x) if isinstance(x, float) else x for x in bounds]
    first, last, stride = bounds
    if isinstance(stride, int) and all(isinstance(x, (int, Dim)) for x in bounds):
        return op.cast(int_range(op, first, last, stride), target)  # type: ignore[arg-type]
    if isinstance(first, (int, float)) and isinstance(last, (int, float)) and isinstance(stride, (int, float)):
        count = max(0, math.ceil((last - first) / stride))
        # The count is that of the numbers as they are, the elements of another integer dtype are whole.
        base, pace = (first, stride) if is_float(target) else (int(first), int(stride))
        if count <= FOLD_LIMIT:
            return op.const((base + np.arange(count, dtype=np.float64) * pace).astype(target.numpy()), target)
        counted = op.Cast(int_range(op, count), to=DataType.DOUBLE)
        return op.cast(op.Add(op.Mul(counted, float(pace)), float(base)), target)
    working = DataType.INT64 if whole else DataType.DOUBLE
    return op.cast(op.Range(*(as_tensor(op, x, working) for x in bounds)), target)


@aten("linspace", "linspace.Tensor_Tensor", "linspace.Tensor_Scalar", "linspace.Scalar_Tensor")
def linspace(
    op: Builder, start: Number | Value, end: Number | Value, steps: Int, *, dtype: DType | None = None, **_: Any
) -> Value:
    return spaced(op, start, end, steps, _dtype_or(dtype, DEFAULT_FLOAT))


@aten("logspace", "logspace.Tensor_Tensor", "logspace.Tensor_Scalar", "logspace.Scalar_Tensor")
def logspace(
    op: Builder,
    start: Number | Value,
    end: Number | Value,
    steps: Int,
    base: Number = 10.0,
    *,
    dtype: DType | None = None,
    **_: Any,
) -> Value:
    target = _dtype_or(dtype, DEFAULT_FLOAT)
    exponents = spaced(op, start, end, steps, DataType.DOUBLE)
    return op.cast(op.Pow(as_tensor(op, base, DataType.DOUBLE), exponents), target)


def spaced(op: Builder, start: Number | Value, end: Number | Value, steps: Int, dtype: ir.DataType) -> Value:
    """The first half counts up from ``start``, the second one down from ``end``, as PyTorch's kernel does."""
    working = dtype if is_float(dtype) else DataType.DOUBLE
    first, last = as_tensor(op, start, working), as_tensor(op, end, working)
    counted = int_range(op, steps)
    up = op.cast(counted, working)
    down = op.cast(op.Sub(steps - 1, counted), working)
    stride = op.Div(op.Sub(last, first), as_tensor(op, maximum(steps - 1, 1), working))
    rising = op.Less(counted, as_tensor(op, maximum(steps // 2, 1)))
    return op.cast(where(op, rising, op.Add(first, op.Mul(up, stride)), op.Sub(last, op.Mul(down, stride))), dtype)


@aten("eye", "eye.m")
def eye(op: Builder, n: Int, m: Int | None = None, *, dtype: DType | None = None, **_: Any) -> Value:
    return op.cast(diagonal_mask(op, n, n if m is None else m), _dtype_or(dtype, DEFAULT_FLOAT))


def diagonal_mask(op: Builder, rows: Int, columns: Int, offset: Int = 0) -> Value:
    """Bools of ``[rows, columns]``, true on the diagonal that lies ``offset`` above the main one."""
    shifted = int_range(op, offset, rows + offset)
    return op.Equal(op.Unsqueeze(shifted, [1]), op.Unsqueeze(int_range(op, columns), [0]))


@aten("fill_diagonal")
def fill_diagonal(op: Builder, self: Value, fill_value: Number, wrap: bool = False) -> Value:
    """``self`` with a number wherever all indices are the same; ``wrap`` begins again below a square."""
    first, *others = self.dims
    if wrap and len(others) == 1:
        rows = op.Mod(int_range(op, first), op.dim_value(others[0] + 1))
        mask = op.Equal(op.Unsqueeze(rows, [1]), op.Unsqueeze(int_range(op, others[0]), [0]))
    else:
        mask = diagonal_mask(op, first, others[0])
        for axis in range(2, self.rank):
            same = diagonal_mask(op, first, self.dims[axis])
            mask = op.And(op.Unsqueeze(mask, [axis]), op.Unsqueeze(same, list(range(1, axis))))
    return op.Where(mask, as_tensor(op, fill_value, self.etype), self)


@aten("tril_indices")
def tril_indices(op: Builder, row: Int, col: Int, offset: Int = 0, *, dtype: DType | None = 4, **_: Any) -> Value:
    return op.cast(_triangle(op, row, col, offset, lower=True), _dtype_or(dtype, DataType.INT64))


@aten("triu_indices")
def triu_indices(op: Builder, row: Int, col: Int, offset: Int = 0, *, dtype: DType | None = 4, **_: Any) -> Value:
    return op.cast(_triangle(op, row, col, offset, lower=False), _dtype_or(dtype, DataType.INT64))


def _triangle(op: Builder, rows: Int, columns: Int, offset: Int, *, lower: bool) -> Value:
    if isinstance(rows, int) and isinstance(columns, int) and isinstance(offset, int):
        indices = np.tril_indices(rows, offset, columns) if lower else np.triu_indices(rows, offset, columns)
        return op.const(np.stack(indices).astype(np.int64))
    shifted, counted = (
        op.Unsqueeze(int_range(op, offset, rows + offset), [1]),
        op.Unsqueeze(int_range(op, columns), [0]),
    )
    return op.NonZero(op.GreaterOrEqual(shifted, counted) if lower else op.LessOrEqual(shifted, counted))


# ---- literal ---------------------------------------------------------------------------------------------------------


@aten("scalar_tensor")
def scalar_tensor(op: Builder, s: Number, *, dtype: DType | None = None, **_: Any) -> Value:
    return as_tensor(op, s, _dtype_or(dtype, DEFAULT_FLOAT))


@aten("tensor", "as_tensor")
def tensor(op: Builder, data: Any, *, dtype: DType | None = None, **_: Any) -> Value:
    """A number or nested lists of numbers; a tensor is cast."""
    if isinstance(data, Value):
        return op.cast(data, _dtype_or(dtype, data.etype))
    shape, items = _unnested(data)
    default = DEFAULT_FLOAT
    if items:
        default = max((number_dtype(item) for item in items), key=[DataType.BOOL, DataType.INT64, DEFAULT_FLOAT].index)
    target = _dtype_or(dtype, default)
    if all(isinstance(item, (int, float)) for item in items):
        return op.const(
            np.reshape(np.array([convert_number(item, target) for item in items], target.numpy()), shape), target
        )
    if all(isinstance(item, (int, Dim)) for item in items):
        vector = op.cast(op.dims_tensor(items), target)
    else:
        vector = op.Concat(*(op.Reshape(as_tensor(op, item, target), [1]) for item in items), axis=0)
    return op.reshape(vector, shape)


def _unnested(data: Any) -> tuple[list[int], list[Any]]:
    """The shape and the numbers of nested lists."""
    if not isinstance(data, (list, tuple)):
        if not isinstance(data, (int, float, Dim, Scalar, Value)):
            raise LoweringError(f"a tensor cannot be made of {type(data).__name__}")
        return [], [data]
    parts = [_unnested(item) for item in data]
    if any(shape != parts[0][0] for shape, _ in parts):
        raise LoweringError("the lists that a tensor is made of differ in length")
    return [len(parts), *(parts[0][0] if parts else [])], [item for _, items in parts for item in items]

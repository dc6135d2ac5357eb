"""Norms of vectors and matrices."""

from __future__ import annotations

import math
from typing import Any

from nxconvert.frontends.pytorch.ops.common import axis_of, dtype_of, float_input, known, static_ints
from nxconvert.frontends.pytorch.ops.math import sub
from nxconvert.frontends.pytorch.ops.norm import p_norm
from nxconvert.frontends.pytorch.ops.reduce import reduced_axes
from nxconvert.frontends.pytorch.table import Builder, DType, Int, Ints, LoweringError, Number, Value, aten


def _as(op: Builder, x: Value, dtype: DType | None) -> Value:
    return float_input(op, x) if dtype is None else op.cast(x, dtype_of(dtype))


@aten("linalg_vector_norm")
def vector_norm(
    op: Builder,
    self: Value,
    ord: Number = 2,
    dim: Ints | None = None,
    keepdim: bool = False,
    *,
    dtype: DType | None = None,
) -> Value:
    """The norm of the vectors that several axes together make; of everything by default."""
    return p_norm(op, _as(op, self, dtype), ord, reduced_axes(dim, self), keepdims=int(keepdim))


@aten("norm.Scalar")
def norm(op: Builder, self: Value, p: Number = 2) -> Value:
    return vector_norm(op, self, p)


@aten("norm.ScalarOpt_dim", "norm.ScalarOpt_dim_dtype", "native_norm.ScalarOpt_dim_dtype", "native_norm")
def norm_dim(
    op: Builder, self: Value, p: Number | None, dim: Ints, keepdim: bool = False, dtype: DType | None = None
) -> Value:
    return vector_norm(op, self, 2 if p is None else p, dim, keepdim, dtype=dtype)


@aten("norm.ScalarOpt_dtype")
def norm_dtype(op: Builder, self: Value, p: Number | None, *, dtype: DType | None) -> Value:
    return vector_norm(op, self, 2 if p is None else p, dtype=dtype)


@aten("frobenius_norm.dim")
def frobenius_norm(op: Builder, self: Value, dim: Ints | None = None, keepdim: bool = False) -> Value:
    return vector_norm(op, self, 2, dim, keepdim)


@aten("dist")
def dist(op: Builder, self: Value, other: Value, p: Number = 2) -> Value:
    """The norm of the difference."""
    return vector_norm(op, sub(op, self, other), p)


# ---- matrices ------------------------------------------------------------------------------------------------------


def _matrix_axes(dim: Ints, x: Value) -> tuple[int, int]:
    dims = static_ints(dim, "the axes of the matrix")
    if len(dims) != 2 or x.rank < 2:
        raise LoweringError(f"a matrix norm needs two axes, not {dims} of a tensor of rank {x.rank}")
    rows, columns = (axis_of(d, x.rank) for d in dims)
    return rows, columns


def _matrix_norm(op: Builder, x: Value, ord: Number | str, dim: Ints, keepdim: bool) -> Value:
    rows, columns = _matrix_axes(dim, x)
    if ord == "fro":
        return p_norm(op, x, 2, sorted([rows, columns]), keepdims=int(keepdim))
    if ord == "nuc" or abs(known(ord, "the order of the norm")) == 2:
        return _spectral_norm(op, x, ord, rows, columns, keepdim)
    # The largest (or smallest) sum of magnitudes of a column for 1, of a row for infinity.
    summed, extreme = (columns, rows) if math.isinf(ord) else (rows, columns)  # type: ignore[arg-type]
    if not math.isinf(ord) and abs(ord) != 1:  # type: ignore[arg-type]
        raise LoweringError(f"there is no matrix norm of order {ord}")
    sums = op.ReduceL1(x, [summed], keepdims=1)
    if x.dims[extreme] == 0:
        # PyTorch has 0 for the largest of nothing, and no smallest.
        sums = op.expand(op.const(0.0, x.etype), [1 if d == 0 else d for d in sums.dims])
    reduced = getattr(op, "ReduceMax" if ord > 0 else "ReduceMin")(sums, [extreme], keepdims=1)  # type: ignore[operator]
    return reduced if keepdim else op.Squeeze(reduced, sorted([rows, columns]))


def _spectral_norm(op: Builder, x: Value, ord: Any, rows: int, columns: int, keepdim: bool) -> Value:
    """The largest or smallest singular value, or the sum of all."""
    others = [axis for axis in range(x.rank) if axis not in (rows, columns)]
    lowerings = aten.lowerings("linalg_svdvals")
    if not lowerings:
        raise LoweringError(f"the matrix norm of order {ord} needs singular values, for which ONNX has no operator")
    values = lowerings[0].function(op, op.Transpose(x, perm=[*others, rows, columns]))
    kind = "ReduceSum" if ord == "nuc" else "ReduceMax" if ord > 0 else "ReduceMin"
    result = getattr(op, kind)(values, [-1], keepdims=0)
    return op.Unsqueeze(result, sorted([rows, columns])) if keepdim else result


@aten("linalg_matrix_norm", "linalg_matrix_norm.str_ord")
def matrix_norm(
    op: Builder,
    self: Value,
    ord: Number | str = "fro",
    dim: Ints = [-2, -1],  # noqa: B006 (ATen's own default)
    keepdim: bool = False,
    *,
    dtype: DType | None = None,
) -> Value:
    return _matrix_norm(op, _as(op, self, dtype), ord, dim, keepdim)


@aten("nuclear_norm")
def nuclear_norm(op: Builder, self: Value, keepdim: bool = False) -> Value:
    return _matrix_norm(op, float_input(op, self), "nuc", [-2, -1], keepdim)


@aten("nuclear_norm.dim")
def nuclear_norm_dim(op: Builder, self: Value, dim: Ints, keepdim: bool = False) -> Value:
    return _matrix_norm(op, float_input(op, self), "nuc", dim, keepdim)


@aten("linalg_norm", "linalg_norm.ord_str")
def linalg_norm(
    op: Builder,
    self: Value,
    ord: Number | str | None = None,
    dim: Ints | None = None,
    keepdim: bool = False,
    *,
    dtype: DType | None = None,
) -> Value:
    """Without an order the 2-norm of everything; with one a matrix norm over two axes, a vector norm otherwise."""
    axes: list[Int] = reduced_axes(dim, self) if dim is None or not isinstance(dim, list) else dim  # type: ignore[assignment]
    if ord is None:
        return vector_norm(op, self, 2, dim, keepdim, dtype=dtype)
    if isinstance(ord, str) or len(axes) == 2:
        return _matrix_norm(op, _as(op, self, dtype), ord, axes, keepdim)
    return vector_norm(op, self, ord, dim, keepdim, dtype=dtype)

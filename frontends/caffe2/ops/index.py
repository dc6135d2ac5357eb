"""Rows picked and rows written, at places that are data.

Semantics: ``caffe2/operators/gather_op.h``, ``batch_gather_ops.h``, ``scatter_op.h``, ``utility_ops.h``
(``ScatterAssign``, ``ScatterWeightedSum``), ``copy_rows_to_tensor_op.h``, ``quant_decode_op.h``.
"""

from __future__ import annotations

from nxconvert.frontends.caffe2.ops.numbers import axis_of
from nxconvert.frontends.caffe2.table import (
    Builder,
    DataType,
    Indices,
    LoweringError,
    Matrix,
    Value,
    Vector,
    caffe2,
)
from nxconvert.graph.dims import product, require
from nxconvert.graph.segments import counting


def as_index(op: Builder, x: Value) -> Value:
    """An index in a dtype that ONNX takes for one."""
    return x if x.etype in (DataType.INT32, DataType.INT64) else op.Cast(x, to=DataType.INT64)


# ---- picked ----------------------------------------------------------------------------------------------------------


@caffe2("Gather")
def gather(op: Builder, data: Value, indices: Indices, *, axis: int = 0, match_outer: int = 0) -> Value:
    """``data[:axis] + indices + data[axis + 1:]``; with ``match_outer`` the axes before ``axis`` go together."""
    along = axis_of(axis, data.rank)
    if not match_outer:
        return op.Gather(data, as_index(op, indices), axis=along)
    if not 1 <= along <= indices.rank:
        raise LoweringError(f"outer axes are matched from axis 1 on, not {along}")
    for mine, other in zip(data.dims[:along], indices.dims[:along], strict=True):
        require(mine, other)
    return op.GatherND(data, op.Unsqueeze(op.cast(indices, DataType.INT64), [-1]), batch_dims=along)


@caffe2("BatchGather")
def batch_gather(op: Builder, data: Matrix, indices: Indices, *, match_outer: int = 0) -> Value:
    """Along axis 1, the same for the whole batch, or an index for each."""
    return gather(op, data, indices, axis=1, match_outer=match_outer)


@caffe2("ConcatBatchMatMulBatchGatherOp")
def concat_batch_mat_mul_batch_gather(op: Builder, indices: Indices, *vectors: Matrix) -> Value:
    """Of several vectors a row, [batch, features] each, the products of all pairs; of these the ones at ``indices``."""
    table = op.Concat(*(op.Unsqueeze(x, [1]) for x in vectors), axis=1)
    products = op.MatMul(table, op.Transpose(table, perm=[0, 2, 1]))
    pairs = op.reshape(products, [products.dims[0], len(vectors) ** 2])
    return op.Gather(pairs, as_index(op, indices), axis=1)


@caffe2("QuantDecode")
def quant_decode(op: Builder, codebook: Vector, *codes: Indices) -> tuple[Value, ...]:
    """What each code stands for; codes are unsigned bytes or 16-bit numbers, or int32."""
    book = op.reshape(codebook, [product(codebook.dims)])
    return tuple(op.Gather(book, as_index(op, code), axis=0) for code in codes)


# ---- written ---------------------------------------------------------------------------------------------------------


def write_rows(op: Builder, x: Value, indices: Value, rows: Value, reduction: str = "none") -> Value:
    """``x`` with rows written to it, or combined with its own; of several for one place the last one stays.

    Element by element: ONNX Runtime writes whole rows from several threads, in any order.
    """
    width = product(x.dims[1:])
    count = product(indices.dims)
    if count == 0:
        return x
    at = op.reshape(op.cast(indices, DataType.INT64), [count])
    if width != 1:
        first = op.Unsqueeze(op.Mul(at, op.dim_value(width)), [1])
        at = op.reshape(op.Add(first, counting(op, width)), [count * width])
    flat = op.reshape(x, [product(x.dims)])
    updates = op.reshape(rows, [count * width])
    attributes = {} if reduction == "none" else {"reduction": reduction}
    return op.reshape(op.ScatterElements(flat, at, updates, axis=0, **attributes), x.dims)


@caffe2("ScatterAssign")
def scatter_assign(op: Builder, data: Value, indices: Indices, slices: Value) -> Value:
    return write_rows(op, data, indices, slices)


@caffe2("CopyRowsToTensor")
def copy_rows_to_tensor(op: Builder, data: Matrix, indices: Indices, row: Vector) -> Value:
    """One row, written to several places."""
    spread = op.expand(op.reshape(row, [1, *data.dims[1:]]), [product(indices.dims), *data.dims[1:]])
    return write_rows(op, data, indices, spread)


@caffe2("ScatterWeightedSum")
def scatter_weighted_sum(op: Builder, data: Value, weight: Value, indices: Indices, *pairs: Value) -> Value:
    """``data[indices] = weight * data[indices] + sum of (rows, weight) pairs``, one place after the other.

    A place that is named twice is multiplied twice, and then gets both rows.
    """
    if not pairs or len(pairs) % 2:
        raise LoweringError("it needs a weight for each tensor")
    rows = [product(indices.dims), *data.dims[1:]]
    scale = op.reshape(weight, [])
    known = scale.array is not None and scale.array == 1
    result = data if known else write_rows(op, data, indices, op.expand(scale, rows), "mul")
    for x, factor in zip(pairs[::2], pairs[1::2], strict=True):
        result = write_rows(op, result, indices, op.Mul(x, op.reshape(factor, [])), "add")
    return result


@caffe2("Scatter")
def scatter(op: Builder, data: Value, indices: Value, updates: Value, *, axis: int = 1) -> Value:
    """Elements written along an axis: ``data[i][indices[i][j]] = updates[i][j]``."""
    return op.ScatterElements(data, as_index(op, indices), updates, axis=axis_of(axis, data.rank))

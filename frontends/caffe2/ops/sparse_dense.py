"""Tensors of which only some elements are given, and back.

Semantics: ``caffe2/operators/sparse_to_dense_op.h``, ``sparse_to_dense_mask_op.h``, ``batch_sparse_to_dense_op.cc``,
``dense_vector_to_id_list_op.h``.
"""

from __future__ import annotations

import numpy as np

from nxconvert.frontends.caffe2.table import (
    Builder,
    DataType,
    Indices,
    Int,
    Ints,
    Lengths,
    LoweringError,
    Matrix,
    Value,
    Vector,
    caffe2,
)
from nxconvert.graph.dims import product
from nxconvert.graph.segments import Segments, reduce_segments


def _places(op: Builder, lengths: Value, indices: Value, width: Int) -> tuple[Value, Int]:
    """Where elements of rows, given row after row, stand in the flattened matrix; and how many rows there are."""
    segments = Segments(op, lengths, indices.dims[0])
    first = op.Mul(segments.ids, op.dim_value(width))
    return op.Add(first, op.cast(indices, DataType.INT64)), segments.size


@caffe2("BatchDenseToSparse")
def batch_dense_to_sparse(op: Builder, lengths: Lengths, indices: Indices, dense: Matrix) -> Value:
    """The elements at the indices of each row, one row after another."""
    places, _ = _places(op, lengths, indices, dense.dims[1])
    return op.Gather(op.reshape(dense, [product(dense.dims)]), places, axis=0)


@caffe2("BatchSparseToDense")
def batch_sparse_to_dense(
    op: Builder,
    lengths: Lengths,
    indices: Indices,
    values: Vector,
    like: Matrix | None = None,
    *,
    dense_last_dim: int = -1,
    default_value: float = 0.0,
) -> Value:
    """Rows with values at the indices of each, and the default elsewhere; of several for one place the last stays."""
    if like is None and dense_last_dim < 1:
        raise LoweringError("how wide the result is to be is not said")
    width: Int = dense_last_dim if like is None else like.dims[1]
    places, rows = _places(op, lengths, indices, width)
    blank = op.expand(op.const(default_value, values.etype), [rows * width])
    return op.reshape(op.ScatterElements(blank, places, values, axis=0), [rows, width])


@caffe2("SparseToDense")
def sparse_to_dense(
    op: Builder, indices: Indices, values: Value, like: Value | None = None, *, output_first_dim: int = 0
) -> Value:
    """Rows at the places that the indices say, those for one place summed up; 0 elsewhere."""
    places = op.cast(indices, DataType.INT64)
    rows: Int
    if output_first_dim > 0:
        rows = output_first_dim
    elif like is not None:
        rows = like.dims[0]
    else:
        last = op.ReduceMax(op.Concat([-1], places, axis=0), keepdims=0)
        rows = op.symbol_of(op.Add(last, 1), "rows", low=0)
    return reduce_segments(op, values, places, rows)


@caffe2("SparseToDenseMask")
def sparse_to_dense_mask(
    op: Builder,
    indices: Indices,
    values: Value,
    default: Value,
    lengths: Lengths | None = None,
    *,
    mask: Ints,
    return_presence_mask: int = 0,
) -> tuple[Value, Value | None]:
    """A row, or one for each length, of the values whose indices the mask lists, in its order.

    Where an index occurs several times its last value stays, where it does not the default. The second output says
    which have been there.
    """
    if not mask or len(set(mask)) != len(mask) or min(mask) < 0:
        raise LoweringError("its mask is to list different indices that are not negative")
    width = len(mask)
    rows: Int = 1
    column = _column(op, indices, mask)
    cell = column
    if lengths is not None:
        segments = Segments(op, lengths, indices.dims[0])
        rows = segments.size
        cell = op.Add(op.Mul(segments.ids, width), column)
    # What the mask does not list goes to a place behind the last, which is cut off.
    target = op.Where(op.Less(column, 0), op.dim_value(rows * width), cell)
    count = values.dims[0]
    blank = op.expand(op.dim_value(count), [rows * width + 1])
    written = op.ScatterElements(blank, target, op.Range(0, op.dim_value(count), 1), axis=0)
    source = op.Slice(written, [0], op.dims_tensor([rows * width]), [0])
    shape = [width] if lengths is None else [rows, width]
    source = op.reshape(source, shape)
    found = op.Gather(op.Concat(values, op.Unsqueeze(default, [0]), axis=0), source, axis=0)
    return found, op.Less(source, op.dim_value(count)) if return_presence_mask else None


def _column(op: Builder, indices: Value, mask: Ints) -> Value:
    """Where the mask lists each index, int64[n]; -1 where it does not."""
    listed = op.Equal(op.Unsqueeze(op.cast(indices, DataType.INT64), [1]), np.array(mask, np.int64))
    return op.ReduceMax(op.Where(listed, np.arange(len(mask)), -1), [1], keepdims=0)


@caffe2("DenseVectorToIdList")
def dense_vector_to_id_list(op: Builder, x: Matrix) -> tuple[Value, Value]:
    """How many elements of each row are set, and the columns of those, one row after another, both int32.

    One is set if it is not 0 after 1/2 was added and the fraction taken off.
    """
    moved = op.Add(op.cast(x, DataType.DOUBLE), op.const(0.5, DataType.DOUBLE))
    is_set = op.Not(op.Less(op.Abs(moved), op.const(1.0, DataType.DOUBLE)))
    lengths = op.ReduceSum(op.cast(is_set, DataType.INT32), [1], keepdims=0)
    return lengths, op.cast(op.Gather(op.NonZero(is_set), 1, axis=0), DataType.INT32)

"""The largest elements. Semantics: ``caffe2/operators/top_k.cc``, ``flexible_top_k.cc``."""

from __future__ import annotations

from nxconvert.frontends.caffe2.ops.numbers import axis_of
from nxconvert.frontends.caffe2.table import Builder, DataType, Int, LoweringError, Matrix, Value, caffe2
from nxconvert.graph.dims import minimum, product
from nxconvert.graph.segments import counting


@caffe2("TopK")
def top_k(op: Builder, x: Matrix, *, n_outputs: int, k: int = -1, axis: int = -1) -> tuple[Value, ...]:
    """The ``k`` largest along an axis, the first of equal ones first; their indices; these in the flattened input.

    Where there are not as many, values end with 0 and indices with -1.
    """
    if k < 1:
        raise LoweringError(f"the {k} largest elements are none")
    along = axis_of(axis, x.rank)
    size = x.dims[along]
    found = minimum(k, size)
    values, indices = op.TopK(x, op.dims_tensor([found]), axis=along)
    if found != k:
        pads = op.dims_tensor([k - found])
        values = op.Pad(values, _behind(op, pads), op.const(0.0, x.etype), [along])
        indices = op.Pad(indices, _behind(op, pads), op.const(-1), [along])
    if n_outputs < 3:
        return values, indices
    return values, indices, _flattened(op, x, indices, along, padded=found != k)


def _behind(op: Builder, pads: Value) -> Value:
    return op.Concat([0], pads, axis=0)


def _flattened(op: Builder, x: Value, indices: Value, axis: int, padded: bool) -> Value:
    """Indices along an axis as indices of the flattened tensor, in a row; -1 stays."""
    before, inner = product(x.dims[:axis]), product(x.dims[axis + 1 :])
    table = op.reshape(indices, [before, indices.dims[axis], inner])
    flat: Value = op.Mul(table, inner) if inner != 1 else table
    if before != 1:
        flat = op.Add(flat, op.Mul(op.reshape(counting(op, before), [before, 1, 1]), x.dims[axis] * inner))
    if inner != 1:
        flat = op.Add(flat, counting(op, inner))
    if padded:
        flat = op.Where(op.Less(table, 0), -1, flat)
    return op.reshape(flat, [product(indices.dims)])


@caffe2("FlexibleTopK")
def flexible_top_k(op: Builder, x: Value, k: Value) -> tuple[Value, Value]:
    """Of each row of the last axis as many of the largest as ``k`` says for it, and their indices, one row after
    another.
    """
    rows, size = product(x.dims[:-1]), x.dims[-1]
    table = op.reshape(x, [rows, size])
    values, indices = op.TopK(table, op.dims_tensor([size]))
    wanted = op.reshape(op.cast(k, DataType.INT64), [rows, 1])
    kept = op.reshape(op.Less(counting(op, size), wanted), [rows * size])
    count: Int = rows * size
    places = op.Squeeze(op.NonZero(kept), [0])
    return (
        op.Gather(op.reshape(values, [count]), places, axis=0),
        op.Gather(op.reshape(indices, [count]), places, axis=0),
    )

"""Products of matrices in groups of rows or columns, as mixtures of experts use them."""

from __future__ import annotations

from nxconvert.frontends.pytorch.dtypes import DataType
from nxconvert.frontends.pytorch.ops.common import dtype_of
from nxconvert.frontends.pytorch.ops.linear import bmm, transposed
from nxconvert.frontends.pytorch.ops.loops import repeat
from nxconvert.frontends.pytorch.table import Builder, DType, LoweringError, Value, aten
from nxconvert.graph.builder import GraphTypeError


def _span(op: Builder, ends: Value, group: Value) -> tuple[Value, Value]:
    """Where a group starts and ends, vectors of one; groups lie one behind the other, ``ends`` starts with a 0."""
    at = op.Unsqueeze(group, [0])
    return op.Gather(ends, at, axis=0), op.Gather(ends, op.Add(at, 1), axis=0)


def _rows_by_group(op: Builder, x: Value, weights: Value, ends: Value) -> Value:
    """``[rows, k]`` by ``[groups, k, n]``, each row by the matrix of its group."""
    rows, width = x.dims[0], weights.dims[2]

    def step(b: Builder, group: Value, y: Value) -> list[Value]:
        start, end = _span(b, ends, group)
        own = b.MatMul(b.Slice(x, start, end, [0]), b.Gather(weights, group, axis=0))
        after = b.Sub(b.dims_tensor([rows]), end)
        # A group has its own rows: what is around them is 0.
        placed = b.Pad(own, b.Concat(start, [0], after, [0], axis=0))
        return [b.Add(y, b.reshape(placed, y.dims))]

    blank = op.expand(op.const(0, x.etype), [rows, width])
    return repeat(op, weights.dims[0], [blank], step)[0]


def _inner_by_group(op: Builder, x: Value, y: Value, ends: Value) -> Value:
    """``[m, k]`` by ``[k, n]`` over the columns and rows of each group: ``[groups, m, n]``."""
    groups = op.dims_tensor([ends.dims[0] - 1])
    places = op.Range(0, op.dim_value(x.dims[1]), 1)
    starts, stops = op.Slice(ends, [0], groups, [0]), op.Slice(ends, [1], [2**31], [0])
    place = op.Unsqueeze(places, [0])
    inside = op.And(op.GreaterOrEqual(place, op.Unsqueeze(starts, [1])), op.Less(place, op.Unsqueeze(stops, [1])))
    return op.MatMul(op.Mul(op.Unsqueeze(x, [0]), op.cast(op.Unsqueeze(inside, [1]), x.etype)), y)


@aten("_grouped_mm")
def grouped_mm(
    op: Builder, self: Value, mat2: Value, offs: Value | None = None, bias: Value | None = None,
    out_dtype: DType | None = None,
) -> Value:  # fmt: skip
    """Two batches multiply as usual; ``offs`` says where each group of an operand without a batch ends."""
    dtype = self.etype if out_dtype is None else dtype_of(out_dtype)
    if bias is not None:
        raise LoweringError("a grouped product with a bias")
    if (self.rank, mat2.rank) == (3, 3):
        return op.cast(bmm(op, self, mat2), dtype)
    if offs is None or self.rank not in (2, 3) or mat2.rank not in (2, 3):
        raise GraphTypeError(f"operands of rank {self.rank} and {mat2.rank} need offsets, and 2 or 3 axes each")
    ends = op.Concat([0], op.cast(offs, DataType.INT64), axis=0)
    if mat2.rank == 3:
        y = _rows_by_group(op, self, mat2, ends)
    elif self.rank == 3:
        y = transposed(op, _rows_by_group(op, transposed(op, mat2), transposed(op, self), ends))
    else:
        y = _inner_by_group(op, self, mat2, ends)
    return op.cast(y, dtype)


@aten("transformers::grouped_mm_fallback")
def grouped_mm_fallback(op: Builder, input: Value, weight: Value, offs: Value) -> Value:
    """The same, as the transformers library calls it where PyTorch has no grouped product."""
    return grouped_mm(op, input, weight, offs)

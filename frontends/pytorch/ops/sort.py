"""Order: sorting, the best few, places in sorted sequences."""

from __future__ import annotations

from nxconvert.frontends.pytorch.dtypes import DataType
from nxconvert.frontends.pytorch.ops.common import as_tensor, axis_of
from nxconvert.frontends.pytorch.table import Builder, Int, Number, Value, aten
from nxconvert.graph.widening import emit

# ---- sorting ---------------------------------------------------------------------------------------------------------


def best(op: Builder, x: Value, k: Int, axis: int, largest: bool) -> tuple[Value, Value]:
    """The ``k`` largest or smallest elements along an axis and their indices, in order; equal ones stay in order."""
    if not x.rank:
        return x, op.const(0, DataType.INT64)
    return emit(op, "TopK", x, [k], axis=axis, largest=int(largest), sorted=1)


def _sorted(op: Builder, x: Value, dim: Int, descending: bool) -> tuple[Value, Value]:
    axis = axis_of(dim, x.rank)
    return best(op, x, x.dims[axis] if x.rank else 1, axis, descending)


@aten("sort")
def sort(op: Builder, self: Value, dim: Int = -1, descending: bool = False) -> tuple[Value, Value]:
    return _sorted(op, self, dim, descending)


@aten("sort.stable")
def sort_stable(
    op: Builder, self: Value, *, stable: bool | None, dim: Int = -1, descending: bool = False
) -> tuple[Value, Value]:
    return _sorted(op, self, dim, descending)


@aten("argsort")
def argsort(op: Builder, self: Value, dim: Int = -1, descending: bool = False) -> Value:
    return _sorted(op, self, dim, descending)[1]


@aten("argsort.stable")
def argsort_stable(op: Builder, self: Value, *, stable: bool, dim: Int = -1, descending: bool = False) -> Value:
    return _sorted(op, self, dim, descending)[1]


@aten("msort")
def msort(op: Builder, self: Value) -> Value:
    return _sorted(op, self, 0, False)[0]


@aten("topk")
def topk(
    op: Builder, self: Value, k: Int, dim: Int = -1, largest: bool = True, sorted: bool = True
) -> tuple[Value, Value]:
    return best(op, self, k, axis_of(dim, self.rank), largest)


# ---- places in sorted sequences --------------------------------------------------------------------------------------


@aten("searchsorted.Tensor", "searchsorted.Scalar")
def searchsorted(
    op: Builder,
    sorted_sequence: Value,
    self: Value | Number,
    *,
    out_int32: bool = False,
    right: bool = False,
    side: str | None = None,
    sorter: Value | None = None,
) -> Value:
    sequence = sorted_sequence
    if sorter is not None:
        sequence = op.GatherElements(sequence, sorter, axis=-1)
    values = self if isinstance(self, Value) else as_tensor(op, self, sequence.etype)
    return _places(op, sequence, values, right or side == "right", out_int32)


@aten("bucketize.Tensor", "bucketize.Scalar")
def bucketize(
    op: Builder, self: Value | Number, boundaries: Value, *, out_int32: bool = False, right: bool = False
) -> Value:
    values = self if isinstance(self, Value) else as_tensor(op, self, boundaries.etype)
    return _places(op, boundaries, values, right, out_int32)


def _places(op: Builder, sequence: Value, values: Value, right: bool, out_int32: bool) -> Value:
    """How many elements of ``sequence`` come before each value; ``right``: equal ones do.

    What does not come after counts, as in PyTorch's kernel: so all elements come before a NaN.
    """
    # A vector serves values of any shape; otherwise the leading axes are those of the values.
    row = sequence if sequence.rank <= 1 else op.Unsqueeze(sequence, [-2])
    column = op.Unsqueeze(op.cast(values, sequence.etype), [-1])
    after = emit(op, "Greater" if right else "GreaterOrEqual", row, column)
    before = op.Cast(op.Not(after), to=DataType.INT32 if out_int32 else DataType.INT64)
    return op.ReduceSum(before, [-1], keepdims=0)

"""Order: sorting, the best few, places in sorted sequences, histograms."""

from __future__ import annotations

from nxconvert.frontends.pytorch.dtypes import DataType
from nxconvert.frontends.pytorch.ops.common import as_tensor, axis_of
from nxconvert.frontends.pytorch.ops.create import filled, spaced
from nxconvert.frontends.pytorch.ops.widening import emit, where
from nxconvert.frontends.pytorch.table import Builder, Dim, Int, LoweringError, Number, Numbers, Scalar, Value, aten
from nxconvert.graph.dims import product

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


# ---- histograms ------------------------------------------------------------------------------------------------------


@aten("histc")
def histc(op: Builder, self: Value, bins: Int = 100, min: Number = 0, max: Number = 0) -> Value:
    return _histogram(op, self, _even_edges(op, self, bins, min, max, 1.0), None)


@aten("histogram.bins_tensor")
def histogram(
    op: Builder, self: Value, bins: Value, *, weight: Value | None = None, density: bool = False
) -> tuple[Value, Value]:
    return _with_density(op, _histogram(op, self, bins, weight), bins, density)


@aten("histogram.bin_ct")
def histogram_of_count(
    op: Builder,
    self: Value,
    bins: Int = 100,
    *,
    range: Numbers | None = None,
    weight: Value | None = None,
    density: bool = False,
) -> tuple[Value, Value]:
    low, high = range or (0, 0)
    edges = _even_edges(op, self, bins, low, high, 0.5)
    return _with_density(op, _histogram(op, self, edges, weight), edges, density)


def _even_edges(op: Builder, x: Value, bins: Int, low: Number, high: Number, margin: float) -> Value:
    """The edges of ``bins`` bins from ``low`` to ``high``.

    If these are equal, over the range of the data; if that is a single number, by ``margin`` around it.
    """
    if isinstance(low, (Dim, Scalar)) or isinstance(high, (Dim, Scalar)):
        raise LoweringError("the range of a histogram depends on data")
    if low != high:
        return spaced(op, low, high, bins + 1, x.etype)
    least, most = (op.ReduceMin(x, keepdims=0), op.ReduceMax(x, keepdims=0)) if product(x.dims) != 0 else (low, high)
    least, most = as_tensor(op, least, x.etype), as_tensor(op, most, x.etype)
    widening = op.Mul(op.cast(op.Equal(least, most), x.etype), margin)
    return spaced(op, op.Sub(least, widening), op.Add(most, widening), bins + 1, x.etype)


def _histogram(op: Builder, x: Value, edges: Value, weight: Value | None) -> Value:
    """The number, or the total weight, of the elements in each bin; to the last bin its upper edge belongs too."""
    count = edges.dims[0] - 1
    lower, upper = (op.Unsqueeze(op.Slice(edges, [i], [count + i], [0]), [1]) for i in (0, 1))
    flat = op.reshape(x, [1, product(x.dims)])
    last = op.Equal(upper, op.Gather(edges, -1, axis=0))
    below = op.Or(op.Less(flat, upper), op.And(last, op.Equal(flat, upper)))
    inside = op.And(op.GreaterOrEqual(flat, lower), below)
    if weight is None:
        return op.ReduceSum(op.Cast(inside, to=x.etype), [1], keepdims=0)
    weights = where(op, inside, op.reshape(weight, flat.dims), op.const(0, weight.etype))
    return op.ReduceSum(weights, [1], keepdims=0)


def _with_density(op: Builder, counts: Value, edges: Value, density: bool) -> tuple[Value, Value]:
    if not density:
        return counts, edges
    count = edges.dims[0] - 1
    widths = op.Sub(op.Slice(edges, [1], [count + 1], [0]), op.Slice(edges, [0], [count], [0]))
    return op.Div(op.Div(counts, op.ReduceSum(counts)), widths), edges


@aten("bincount")
def bincount(op: Builder, self: Value, weights: Value | None = None, minlength: Int = 0) -> Value:
    """How often each integer occurs, or the sum of the weights at its occurrences."""
    values = op.cast(self, DataType.INT64)
    # With one more element that stands for the least length, an empty tensor has a maximum too.
    greatest = op.ReduceMax(op.Concat(values, op.dims_tensor([minlength - 1]), axis=0), keepdims=0)
    length = op.symbol_of(op.Add(greatest, 1), "bins", low=0)
    if weights is None:
        ones = filled(op, values.dims, 1, DataType.INT64)
    else:
        ones = op.cast(weights, DataType.FLOAT if weights.etype == DataType.FLOAT else DataType.DOUBLE)
    return op.ScatterElements(filled(op, [length], 0, ones.etype), values, ones, axis=0, reduction="add")

"""Order statistics: medians, quantiles, the k-th smallest, the most frequent."""

from __future__ import annotations

from nxconvert.frontends.pytorch.dtypes import DataType, is_float, limits
from nxconvert.frontends.pytorch.ops.common import as_tensor, axis_of
from nxconvert.frontends.pytorch.ops.reduce import count
from nxconvert.frontends.pytorch.table import Builder, Int, LoweringError, Number, Value, aten
from nxconvert.graph.dims import product
from nxconvert.graph.widening import emit, where


def smallest(op: Builder, x: Value, number: Int, axis: int) -> tuple[Value, Value]:
    """The ``number`` smallest elements along an axis in ascending order, and where they are."""
    return emit(op, "TopK", x, [number], axis=axis, largest=0)


def _kth(op: Builder, x: Value, k: Int, axis: int, keepdim: bool) -> tuple[Value, Value]:
    """The k-th smallest element along an axis (from 1), and where it is."""
    place = op.const([-1] if keepdim else -1)
    values, indices = smallest(op, x, k, axis)
    return op.Gather(values, place, axis=axis), op.Gather(indices, place, axis=axis)


def _any_nan(op: Builder, x: Value, axis: int, keepdim: bool) -> Value:
    return op.ReduceMax(op.IsNaN(x), [axis], keepdims=int(keepdim))


def _nan_if(op: Builder, condition: Value, x: Value) -> Value:
    return where(op, condition, op.const(float("nan"), x.etype), x)


def _flat(op: Builder, x: Value) -> Value:
    return op.reshape(x, [product(x.dims)])


@aten("kthvalue")
def kthvalue(op: Builder, self: Value, k: Int, dim: Int = -1, keepdim: bool = False) -> tuple[Value, Value]:
    if not self.rank:
        return self, op.const(0)
    return _kth(op, self, k, axis_of(dim, self.rank), keepdim)


# ---- medians -------------------------------------------------------------------------------------------------------


@aten("median.dim")
def median_dim(op: Builder, self: Value, dim: Int, keepdim: bool = False) -> tuple[Value, Value]:
    """The lower of the two middle elements; NaN if any element is."""
    if not self.rank:
        return self, op.const(0)
    axis = axis_of(dim, self.rank)
    value, place = _kth(op, self, (self.dims[axis] + 1) // 2, axis, keepdim)
    return (_nan_if(op, _any_nan(op, self, axis, keepdim), value) if is_float(self.etype) else value), place


@aten("median")
def median(op: Builder, self: Value) -> Value:
    return median_dim(op, _flat(op, self), 0)[0]


@aten("nanmedian.dim")
def nanmedian_dim(op: Builder, self: Value, dim: Int, keepdim: bool = False) -> tuple[Value, Value]:
    """The median of what is no NaN."""
    if not self.rank or not is_float(self.etype):
        return median_dim(op, self, dim, keepdim)
    axis = axis_of(dim, self.rank)
    values, indices, numbers = _sorted_numbers(op, self, axis)
    middle = op.Div(op.Max(op.Sub(numbers, 1), 0), 2)
    value = _nan_if(op, op.Equal(numbers, 0), op.GatherElements(values, middle, axis=axis))
    place = op.GatherElements(indices, middle, axis=axis)
    return (value, place) if keepdim else (op.Squeeze(value, [axis]), op.Squeeze(place, [axis]))


@aten("nanmedian")
def nanmedian(op: Builder, self: Value) -> Value:
    return nanmedian_dim(op, _flat(op, self), 0)[0]


def _sorted_numbers(op: Builder, x: Value, axis: int) -> tuple[Value, Value, Value]:
    """Sorted along an axis with NaN last (as infinity), where it all was, and the number of those that are no NaN."""
    missing = op.IsNaN(x)
    filled = where(op, missing, op.const(float("inf"), x.etype), x)
    values, indices = smallest(op, filled, x.dims[axis], axis)
    return values, indices, op.ReduceSum(op.Cast(op.Not(missing), to=DataType.INT64), [axis], keepdims=1)


# ---- the most frequent ---------------------------------------------------------------------------------------------


@aten("mode")
def mode(op: Builder, self: Value, dim: Int = -1, keepdim: bool = False) -> tuple[Value, Value]:
    """The most frequent element (the smallest of several), and the last place where it is: all pairs are compared."""
    if not self.rank:
        return self, op.const(0)
    axis = axis_of(dim, self.rank)
    x = op.cast(self, DataType.UINT8) if self.etype == DataType.BOOL else self
    pairs = op.Equal(op.Unsqueeze(x, [axis]), op.Unsqueeze(x, [axis + 1]))
    times = op.ReduceSum(op.Cast(pairs, to=DataType.INT32), [axis + 1], keepdims=0)
    frequent = op.Equal(times, op.ReduceMax(times, [axis], keepdims=1))
    top = float("inf") if is_float(x.etype) else limits(x.etype)[1]
    best = emit(op, "ReduceMin", where(op, frequent, x, op.const(top, x.etype)), [axis], keepdims=1)
    found = op.Cast(op.Equal(x, best), to=DataType.UINT8)
    place = op.ArgMax(found, axis=axis, keepdims=int(keepdim), select_last_index=1)
    return op.cast(best if keepdim else op.Squeeze(best, [axis]), self.etype), place


# ---- quantiles -----------------------------------------------------------------------------------------------------


@aten("quantile", "quantile.scalar")
def quantile(
    op: Builder,
    self: Value,
    q: Value | Number,
    dim: Int | None = None,
    keepdim: bool = False,
    *,
    interpolation: str = "linear",
) -> Value:
    """NaN if any element is."""
    return _quantile(op, self, q, dim, keepdim, interpolation, ignore_nan=False)


@aten("nanquantile", "nanquantile.scalar")
def nanquantile(
    op: Builder,
    self: Value,
    q: Value | Number,
    dim: Int | None = None,
    keepdim: bool = False,
    *,
    interpolation: str = "linear",
) -> Value:
    return _quantile(op, self, q, dim, keepdim, interpolation, ignore_nan=True)


def _quantile(
    op: Builder, x: Value, q: Value | Number, dim: Int | None, keepdim: bool, interpolation: str, *, ignore_nan: bool
) -> Value:
    """The axis of the quantiles comes first if ``q`` is a vector."""
    rows, axis = (_flat(op, x), 0) if dim is None or not x.rank else (x, axis_of(dim, x.rank))
    last = [i for i in range(rows.rank) if i != axis]
    rows = op.Transpose(rows, perm=[*last, axis])
    fraction = as_tensor(op, q, x.etype)
    result = _of_rows(
        op, rows, op.reshape(fraction, [count(fraction, [0])] if fraction.rank else [1]), interpolation, ignore_nan
    )
    kept: list[Int] = (
        ([1] * x.rank if dim is None else [1 if i == axis else d for i, d in enumerate(x.dims)])
        if keepdim
        else [rows.dims[i] for i in range(rows.rank - 1)]
    )
    result = op.Transpose(result, perm=[rows.rank - 1, *range(rows.rank - 1)])
    return op.reshape(result, [*fraction.dims, *kept])


def _of_rows(op: Builder, rows: Value, q: Value, interpolation: str, ignore_nan: bool) -> Value:
    """Quantiles [..., Q] of rows [..., n]."""
    size, axis = rows.dims[-1], rows.rank - 1
    if ignore_nan:
        ordered, _, numbers = _sorted_numbers(op, rows, axis)
        spoilt = op.Equal(numbers, 0)
        last = op.Max(op.Sub(op.Cast(numbers, to=rows.etype), 1.0), 0.0)
    else:
        ordered, _ = smallest(op, rows, size, axis)
        spoilt = _any_nan(op, rows, axis, True)
        last = as_tensor(op, size - 1, rows.etype)
    rank = op.Mul(last, q)
    if interpolation == "nearest":
        rank = op.Round(rank)
    below, above = op.Floor(rank), op.Ceil(rank)

    def pick(at: Value) -> Value:
        place = op.Cast(at, to=DataType.INT64)
        return op.GatherElements(ordered, place, axis=axis) if ignore_nan else op.Gather(ordered, place, axis=axis)

    if interpolation in ("lower", "higher", "nearest"):
        return _nan_if(op, spoilt, pick(above if interpolation == "higher" else below))
    if interpolation not in ("linear", "midpoint"):
        raise LoweringError(f"there is no interpolation {interpolation!r} of quantiles")
    weight = op.const(0.5, rows.etype) if interpolation == "midpoint" else op.Sub(rank, below)
    start, end = pick(below), pick(above)
    return _nan_if(op, spoilt, op.Add(start, op.Mul(op.Sub(end, start), weight)))

"""Histograms: how many elements, or how much weight, lies in each bin."""

from __future__ import annotations

from nxconvert.frontends.pytorch.dtypes import DataType
from nxconvert.frontends.pytorch.ops.create import filled, spaced
from nxconvert.frontends.pytorch.table import (
    Builder,
    Dim,
    Int,
    Ints,
    LoweringError,
    Number,
    Numbers,
    Scalar,
    Value,
    Values,
    aten,
)
from nxconvert.graph.dims import product
from nxconvert.graph.widening import where


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
    if product(x.dims) == 0:
        return spaced(op, 0, 1, bins + 1, x.etype)
    least, most = op.ReduceMin(x, keepdims=0), op.ReduceMax(x, keepdims=0)
    widening = op.Mul(op.cast(op.Equal(least, most), x.etype), margin)
    return spaced(op, op.Sub(least, widening), op.Add(most, widening), bins + 1, x.etype)


def _membership(op: Builder, x: Value, edges: Value) -> Value:
    """Bool ``[bins, n]``: which elements of a vector each bin has; to the last bin its upper edge belongs too."""
    count = edges.dims[0] - 1
    lower, upper = (op.Unsqueeze(op.Slice(edges, [i], [count + i], [0]), [1]) for i in (0, 1))
    flat = op.reshape(x, [1, product(x.dims)])
    last = op.Equal(upper, op.Gather(edges, -1, axis=0))
    below = op.Or(op.Less(flat, upper), op.And(last, op.Equal(flat, upper)))
    return op.And(op.GreaterOrEqual(flat, lower), below)


def _histogram(op: Builder, x: Value, edges: Value, weight: Value | None) -> Value:
    """The number, or the total weight, of the elements in each bin."""
    inside = _membership(op, x, edges)
    if weight is None:
        return op.ReduceSum(op.Cast(inside, to=x.etype), [1], keepdims=0)
    weights = where(op, inside, op.reshape(weight, [1, product(weight.dims)]), op.const(0, weight.etype))
    return op.ReduceSum(weights, [1], keepdims=0)


def _with_density(op: Builder, counts: Value, edges: Value, density: bool) -> tuple[Value, Value]:
    if not density:
        return counts, edges
    return op.Div(op.Div(counts, op.ReduceSum(counts)), _widths(op, edges)), edges


def _widths(op: Builder, edges: Value) -> Value:
    count = edges.dims[0] - 1
    return op.Sub(op.Slice(edges, [1], [count + 1], [0]), op.Slice(edges, [0], [count], [0]))


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


# ---- several dimensions ----------------------------------------------------------------------------------------------


def _coordinates(op: Builder, x: Value, width: int) -> list[Value]:
    """Of points ``[..., width]``, a vector each."""
    points = op.reshape(x, [product(x.dims[:-1]), x.dims[-1]])
    return [op.Gather(points, i, axis=1) for i in range(width)]


def _edges_of_all(op: Builder, x: Value, bins: Int | Ints, range: Numbers | None) -> list[Value]:
    """The range is the least and greatest coordinate of every dimension in turn."""
    width = x.dims[-1] if isinstance(bins, (int, Dim)) else len(bins)
    if not isinstance(width, int):
        raise LoweringError(f"the number of coordinates ({width}) depends on the input")
    counts = [bins] * width if isinstance(bins, (int, Dim)) else list(bins)
    coordinates = _coordinates(op, x, width)
    limits: list[tuple[Number, Number]] = (
        [(0, 0)] * width if range is None else list(zip(range[::2], range[1::2], strict=True))
    )
    return [
        _even_edges(op, column, count, *limit, 0.5)
        for column, count, limit in zip(coordinates, counts, limits, strict=True)
    ]


def _joint_histogram(op: Builder, x: Value, edges: list[Value], weight: Value | None, density: bool) -> Value:
    """A point is in a bin if each of its coordinates is."""
    coordinates, count = _coordinates(op, x, len(edges)), product(x.dims[:-1])
    weights = op.const(1, x.etype) if weight is None else op.reshape(op.cast(weight, x.etype), [count])
    inside = op.expand(weights, [1, count])
    sizes: list[Int] = []
    for column, bounds in zip(coordinates, edges, strict=True):
        sizes.append(bounds.dims[0] - 1)
        own = op.Cast(_membership(op, column, bounds), to=x.etype)
        if len(sizes) < len(edges):
            inside = op.reshape(op.Mul(op.Unsqueeze(inside, [1]), own), [product(sizes), count])
        else:
            inside = op.MatMul(inside, op.Transpose(own, perm=[1, 0]))
    totals = op.reshape(inside, sizes)
    if not density:
        return totals
    for axis, bounds in enumerate(edges):
        widths = _widths(op, bounds)
        after = list(range(1, len(sizes) - axis))
        totals = op.Div(totals, op.Unsqueeze(widths, after) if after else widths)
    return op.Div(totals, op.ReduceSum(inside, keepdims=0))


@aten("histogramdd", "histogramdd.int_bins")
def histogramdd(
    op: Builder, self: Value, bins: Int | Ints, range: Numbers | None = None, weight: Value | None = None,
    density: bool = False,
) -> tuple[Value, list[Value]]:  # fmt: skip
    """Points ``[..., D]`` counted in bins of D dimensions, and the edges of these."""
    edges = _edges_of_all(op, self, bins, range)
    return _joint_histogram(op, self, edges, weight, density), edges


@aten("histogramdd.TensorList_bins")
def histogramdd_of_edges(
    op: Builder, self: Value, bins: Values, range: Numbers | None = None, weight: Value | None = None,
    density: bool = False,
) -> tuple[Value, list[Value]]:  # fmt: skip
    return _joint_histogram(op, self, bins, weight, density), list(bins)


@aten("_histogramdd_bin_edges")
def histogramdd_bin_edges(
    op: Builder, self: Value, bins: Ints, *, range: Numbers | None = None, weight: Value | None = None,
    density: bool = False,
) -> list[Value]:  # fmt: skip
    return _edges_of_all(op, self, bins, range)


@aten("_histogramdd_from_bin_cts")
def histogramdd_from_bin_cts(
    op: Builder, self: Value, bins: Ints, *, range: Numbers | None = None, weight: Value | None = None,
    density: bool = False,
) -> Value:  # fmt: skip
    return histogramdd(op, self, bins, range, weight, density)[0]


@aten("_histogramdd_from_bin_tensors")
def histogramdd_from_bin_tensors(
    op: Builder, self: Value, bins: Values, *, weight: Value | None = None, density: bool = False
) -> Value:
    return _joint_histogram(op, self, bins, weight, density)

"""Running sums, products and extremes along an axis; differences and integrals of samples."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from nxconvert.frontends.pytorch.dtypes import DataType
from nxconvert.frontends.pytorch.ops.common import axis_of, promote, static_ints
from nxconvert.frontends.pytorch.ops.math import is_bool, logaddexp, true_divide
from nxconvert.frontends.pytorch.ops.reduce import summed
from nxconvert.frontends.pytorch.table import (
    Builder,
    DType,
    Int,
    Ints,
    LoweringError,
    Number,
    Numbers,
    Value,
    Values,
    aten,
)
from nxconvert.graph.builder import TensorType
from nxconvert.graph.widening import emit, where

END = 2**63 - 1

Step = Callable[[Builder, "list[Value]", "list[Value]"], "list[Value]"]


def scan_along(op: Builder, axis: int, elements: Sequence[Value], initial: Sequence[Value], step: Step) -> list[Value]:
    """Runs ``step`` along an axis; its new state at each element makes the results.

    Args:
        op: the builder.
        axis: the axis along which ``elements`` are taken one by one.
        elements: tensors of one shape.
        initial: the state before the first element, each of the shape of an element.
        step: takes a builder, the state and the elements at one position, and returns the new state.
    """
    if 0 in elements[0].dims:
        return [op.cast(elements[0], x.etype) for x in initial]
    body = op.child()
    slice_dims = tuple(d for i, d in enumerate(elements[0].dims) if i != axis)
    state = [body.input("state", x.etype, slice_dims) for x in initial]
    items = [body.input("element", x.etype, slice_dims) for x in elements]
    results = step(body, state, items)
    graph = body.graph([*results, *results], "scan")
    attributes = {
        "body": graph,
        "num_scan_inputs": len(elements),
        "scan_input_axes": [axis] * len(elements),
        "scan_output_axes": [axis] * len(initial),
    }
    types = [TensorType(x.etype, slice_dims) for x in initial] + [
        TensorType(x.etype, elements[0].dims) for x in initial
    ]
    return list(op.node("Scan", [*initial, *elements], attributes, types)[len(initial) :])


def _first(op: Builder, x: Value, axis: int) -> Value:
    return op.Squeeze(op.Slice(x, [0], [1], [axis]), [axis])


def _slice_dims(x: Value, axis: int) -> list[Int]:
    return [d for i, d in enumerate(x.dims) if i != axis]


# ---- running results -----------------------------------------------------------------------------------------------


@aten("cumsum")
def cumsum(op: Builder, self: Value, dim: Int, *, dtype: DType | None = None) -> Value:
    x = op.cast(self, summed(self, dtype))
    return emit(op, "CumSum", x, axis_of(dim, x.rank)) if x.rank else x


@aten("cumprod")
def cumprod(op: Builder, self: Value, dim: Int, *, dtype: DType | None = None) -> Value:
    x = op.cast(self, summed(self, dtype))
    if not x.rank:
        return x
    axis = axis_of(dim, x.rank)
    ones = op.expand(op.const(1, x.etype), _slice_dims(x, axis))
    return scan_along(op, axis, [x], [ones], lambda body, state, item: [body.Mul(state[0], item[0])])[0]


@aten("logcumsumexp", "_logcumsumexp")
def logcumsumexp(op: Builder, self: Value, dim: Int) -> Value:
    if not self.rank:
        return self
    axis = axis_of(dim, self.rank)
    none = op.expand(op.const(float("-inf"), self.etype), _slice_dims(self, axis))
    return scan_along(op, axis, [self], [none], lambda body, state, item: [logaddexp(body, state[0], item[0])])[0]


def _running_extreme(op: Builder, x: Value, dim: Int, op_type: str, relation: str) -> tuple[Value, Value]:
    """The extreme so far and where it is: the last one of equal ones; from a NaN on, the latest NaN."""
    if not x.rank:
        return x, op.const(0)
    if 0 in x.dims:
        return x, op.cast(x, DataType.INT64)
    axis = axis_of(dim, x.rank)
    values = op.cast(x, DataType.UINT8) if is_bool(x) else x

    def step(body: Builder, state: list[Value], item: list[Value]) -> list[Value]:
        (best, at, counter), (element,) = state, item
        better = emit(body, relation, element, best)
        if element.etype.is_floating_point():
            better = body.Or(better, body.IsNaN(element))
        return [where(body, better, element, best), where(body, better, counter, at), body.Add(counter, 1)]

    dims = _slice_dims(x, axis)
    zeros = op.expand(op.const(0), dims)
    best, at, _ = scan_along(op, axis, [values], [_first(op, values, axis), zeros, zeros], step)
    return op.cast(best, x.etype), at


@aten("cummax")
def cummax(op: Builder, self: Value, dim: Int) -> tuple[Value, Value]:
    return _running_extreme(op, self, dim, "Max", "GreaterOrEqual")


@aten("cummin")
def cummin(op: Builder, self: Value, dim: Int) -> tuple[Value, Value]:
    return _running_extreme(op, self, dim, "Min", "LessOrEqual")


# ---- differences ---------------------------------------------------------------------------------------------------


def _part(op: Builder, x: Value, axis: int, start: int, end: int) -> Value:
    return op.Slice(x, [start], [end], [axis])


def _steps(op: Builder, x: Value, axis: int, op_type: str) -> Value:
    """An operator between each element and the one before it."""
    return getattr(op, op_type)(_part(op, x, axis, 1, END), _part(op, x, axis, 0, -1))


@aten("diff")
def diff(
    op: Builder, self: Value, n: Int = 1, dim: Int = -1, prepend: Value | None = None, append: Value | None = None
) -> Value:
    """Differences of neighbours, ``n`` times over; of bools, whether they differ."""
    (times,) = static_ints(n, "the order of the difference")
    axis = axis_of(dim, self.rank)
    pieces = [x for x in (prepend, self, append) if x is not None]
    if times == 0:
        return self
    x = op.Concat(*promote(op, *pieces), axis=axis) if len(pieces) > 1 else self
    for _ in range(times):
        x = _steps(op, x, axis, "Xor" if is_bool(x) else "Sub")
    return x


def _areas(op: Builder, y: Value, x: Value | Number, dim: Int) -> tuple[Value, int]:
    """Twice the area below each pair of neighbours, and their axis. ``x``: their positions, or the distance."""
    axis = axis_of(dim, y.rank)
    if not isinstance(x, Value):
        return op.Mul(*promote(op, _steps(op, y, axis, "Add"), x)), axis
    if x.rank == 1:
        x = op.reshape(x, [*x.dims, *[1] * (y.rank - 1 - axis)])
    widths = _steps(op, x, x.rank - (y.rank - axis), "Sub")
    return op.Mul(*promote(op, widths, _steps(op, y, axis, "Add"))), axis


def _trapezoid(op: Builder, y: Value, x: Value | Number, dim: Int) -> Value:
    areas, axis = _areas(op, y, x, dim)
    return true_divide(op, emit(op, "ReduceSum", areas, [axis - y.rank], keepdims=0), 2.0)


def _cumulative_trapezoid(op: Builder, y: Value, x: Value | Number, dim: Int) -> Value:
    areas, axis = _areas(op, y, x, dim)
    return true_divide(op, emit(op, "CumSum", areas, axis - y.rank), 2.0)


@aten("trapezoid.x", "trapz.x")
def trapezoid(op: Builder, y: Value, x: Value, *, dim: Int = -1) -> Value:
    return _trapezoid(op, y, x, dim)


@aten("trapezoid.dx", "trapz.dx")
def trapezoid_dx(op: Builder, y: Value, *, dx: Number = 1, dim: Int = -1) -> Value:
    return _trapezoid(op, y, dx, dim)


@aten("cumulative_trapezoid.x")
def cumulative_trapezoid(op: Builder, y: Value, x: Value, *, dim: Int = -1) -> Value:
    return _cumulative_trapezoid(op, y, x, dim)


@aten("cumulative_trapezoid.dx")
def cumulative_trapezoid_dx(op: Builder, y: Value, *, dx: Number = 1, dim: Int = -1) -> Value:
    return _cumulative_trapezoid(op, y, dx, dim)


# ---- gradient ------------------------------------------------------------------------------------------------------


@aten("gradient.scalarint", "gradient.scalararray", "gradient.array")
def gradient(
    op: Builder, self: Value, *, spacing: Number | None = None, dim: Ints | None = None, edge_order: Int = 1
) -> list[Value]:
    """Central differences inside, one-sided ones of order ``edge_order`` at the edges; samples are evenly spaced."""
    axes = _gradient_axes(self, dim)
    return [_even_gradient(op, self, axis, 1 if spacing is None else spacing, edge_order) for axis in axes]


@aten("gradient.scalarrayint", "gradient.scalarrayarray")
def gradient_spaced(
    op: Builder, self: Value, *, spacing: Numbers, dim: Ints | None = None, edge_order: Int = 1
) -> list[Value]:
    axes = _gradient_axes(self, dim)
    return [_even_gradient(op, self, axis, step, edge_order) for axis, step in zip(axes, spacing, strict=True)]


@aten("gradient.tensorarrayint", "gradient.tensorarray")
def gradient_at(
    op: Builder, self: Value, *, spacing: Values, dim: Ints | None = None, edge_order: Int = 1
) -> list[Value]:
    """Samples lie at the coordinates that ``spacing`` gives for each axis."""
    axes = _gradient_axes(self, dim)
    return [_uneven_gradient(op, self, axis, at, edge_order) for axis, at in zip(axes, spacing, strict=True)]


def _gradient_axes(x: Value, dim: Ints | None) -> list[int]:
    dims = list(range(x.rank)) if dim is None else static_ints(dim, "the axes of the gradient")
    return [axis_of(d, x.rank) for d in dims]


def _even_gradient(op: Builder, self: Value, axis: int, spacing: Number, edge_order: Int) -> Value:
    """Second-order edges: (-3 f0 + 4 f1 - f2) / 2h, which is f1 - f0 - (f2 - 2 f1 + f0) / 2 over h."""
    x, step = promote(op, self, spacing, to_float=True)
    inner = op.Div(op.Sub(_part(op, x, axis, 2, END), _part(op, x, axis, 0, -2)), op.Mul(step, 2.0))
    first = _edge(op, x, axis, (0, 1, 2), edge_order, 1.0)
    last = _edge(op, x, axis, (-1, -2, -3), edge_order, -1.0)
    return op.Concat(op.Div(first, step), inner, op.Div(last, step), axis=axis)


def _edge(op: Builder, x: Value, axis: int, places: tuple[int, int, int], edge_order: Int, sign: float) -> Value:
    (order,) = static_ints(edge_order, "the order of the gradient's edges")
    at = [op.Gather(x, [place], axis=axis) for place in places[: order + 1]]
    if order == 1:
        return op.Mul(op.Sub(at[1], at[0]), sign)
    if order != 2:
        raise LoweringError(f"the gradient's edges are of order {order}, it must be 1 or 2")
    return op.Mul(op.Sub(op.Mul(op.Sub(at[1], at[0]), 2.0), op.Mul(op.Sub(at[2], at[0]), 0.5)), sign)


def _uneven_gradient(op: Builder, self: Value, axis: int, coordinates: Value, edge_order: Int) -> Value:
    """Slopes left and right of a sample, weighted by the other side's distance."""
    x, at = promote(op, self, coordinates, to_float=True)
    at = op.reshape(at, [*at.dims, *[1] * (x.rank - 1 - axis)])
    widths = _steps(op, at, 0, "Sub")
    slopes = op.Div(_steps(op, x, axis, "Sub"), widths)
    left_width, right_width = _part(op, widths, 0, 0, -1), _part(op, widths, 0, 1, END)
    left, right = _part(op, slopes, axis, 0, -1), _part(op, slopes, axis, 1, END)
    both = op.Add(left_width, right_width)
    inner = op.Div(op.Add(op.Mul(left, right_width), op.Mul(right, left_width)), both)
    first, last = op.Gather(slopes, [0], axis=axis), op.Gather(slopes, [-1], axis=axis)
    if edge_order == 2:
        first = _outward(op, first, op.Gather(slopes, [1], axis=axis), op.Gather(widths, [0]), op.Gather(widths, [1]))
        last = _outward(op, last, op.Gather(slopes, [-2], axis=axis), op.Gather(widths, [-1]), op.Gather(widths, [-2]))
    return op.Concat(first, inner, last, axis=axis)


def _outward(op: Builder, near: Value, far: Value, near_width: Value, far_width: Value) -> Value:
    """The slope at the edge of the parabola through three samples."""
    bend = op.Div(op.Sub(near, far), op.Add(near_width, far_width))
    return op.Add(near, op.Mul(bend, near_width))

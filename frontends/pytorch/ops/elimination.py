"""Matrices taken apart column by column: LU, Cholesky, triangular and general systems. Batched, in any size.

ONNX has none of this but ``Det``; each algorithm is a ``Loop`` over the columns, whose body works on whole matrices and
masks what it should not touch.
"""

from __future__ import annotations

from nxconvert.frontends.pytorch.dtypes import DataType
from nxconvert.frontends.pytorch.ops.loops import repeat
from nxconvert.frontends.pytorch.ops.resample import counting
from nxconvert.frontends.pytorch.table import Builder, Int, Value
from nxconvert.graph.builder import GraphTypeError
from nxconvert.graph.dims import minimum


def want_matrices(x: Value, square: bool = False) -> None:
    """Raises GraphTypeError unless ``x`` is a matrix, or a batch of them."""
    if x.rank < 2:
        raise GraphTypeError(f"a matrix is needed, not a tensor of rank {x.rank}")
    if square and isinstance(x.dims[-1], int) and isinstance(x.dims[-2], int) and x.dims[-1] != x.dims[-2]:
        raise GraphTypeError(f"a square matrix is needed, not one of {x.dims[-2]} by {x.dims[-1]}")


def column(op: Builder, a: Value, index: Value) -> Value:
    """Column ``index`` of matrices, ``[..., rows]``."""
    return op.Gather(a, index, axis=a.rank - 1)


def row(op: Builder, a: Value, index: Value) -> Value:
    """Row ``index`` of matrices, ``[..., columns]``."""
    return op.Gather(a, index, axis=a.rank - 2)


def upright(op: Builder, x: Value) -> Value:
    """Vectors as columns."""
    return op.Unsqueeze(x, [-1])


def lying(op: Builder, x: Value) -> Value:
    """Vectors as rows."""
    return op.Unsqueeze(x, [-2])


def zero(op: Builder, like: Value) -> Value:
    """0 in the dtype of ``like``."""
    return op.const(0, like.etype)


def broadcast_batch(op: Builder, x: Value, other: Value) -> Value:
    """Matrices repeated for the common batch with others."""
    batch, own = other.dims[:-2], x.dims[:-2]
    if own[len(own) - len(batch) :] == batch:
        return x
    return op.Expand(x, op.dims_tensor([*batch, 1, 1]))


def identity(op: Builder, size: Int, dtype: DataType) -> Value:
    """``[size, size]``."""
    places = counting(op, size, DataType.INT64)
    return op.cast(op.Equal(upright(op, places), places), dtype)


# ---- LU -------------------------------------------------------------------------------------------------------------


def with_pivot_first(op: Builder, sizes: Value, turn: Value, rows: Value) -> tuple[Value, Value]:
    """The order of rows that brings the largest element of a column, from the diagonal on, up to it; and its row.

    Args:
        op: the builder.
        sizes: the magnitudes of the column's elements, ``[..., rows]``.
        turn: the number of the column.
        rows: the numbers of the rows.
    """
    size = op.Where(op.GreaterOrEqual(rows, turn), sizes, op.const(-1, sizes.etype))
    best = op.ArgMax(size, axis=-1, keepdims=1)
    order = op.Where(op.Equal(rows, turn), best, op.Where(op.Equal(rows, best), turn, rows))
    return order, best


def reordered(op: Builder, a: Value, order: Value) -> Value:
    """The rows of matrices in another order."""
    return op.GatherElements(a, op.expand(upright(op, order), a.dims), axis=-2)


def lu(op: Builder, a: Value, pivot: bool = True) -> tuple[Value, Value, Value]:
    """``L`` (below the diagonal, which is 1) and ``U`` in one matrix; LAPACK's pivots, from 1; the order of rows."""
    want_matrices(a)
    batch, count = a.dims[:-2], minimum(*a.dims[-2:])
    rows, columns, places = (counting(op, n, DataType.INT64) for n in (*a.dims[-2:], count))
    start = [a, op.expand(op.Add(places, 1), [*batch, count]), op.expand(rows, [*batch, a.dims[-2]])]

    def step(b: Builder, turn: Value, a: Value, pivots: Value, order: Value) -> list[Value]:
        if pivot:
            swap, best = with_pivot_first(b, b.Abs(column(b, a, turn)), turn, rows)
            a, order = reordered(b, a, swap), b.GatherElements(order, swap, axis=-1)
            pivots = b.Where(b.Equal(places, turn), b.Add(best, 1), pivots)
        own = column(b, a, turn)
        head = b.Unsqueeze(b.Gather(own, turn, axis=own.rank - 1), [-1])
        below = b.Greater(rows, turn)
        # A column of zeros stays: it has nothing to eliminate.
        divisor = b.Where(b.Equal(head, zero(b, a)), b.const(1, a.etype), head)
        factor = upright(b, b.Where(below, b.Div(own, divisor), zero(b, a)))
        rest = lying(b, b.Where(b.Greater(columns, turn), row(b, a, turn), zero(b, a)))
        reduced = b.Sub(a, b.Mul(factor, rest))
        here = b.And(upright(b, below), b.Equal(columns, turn))
        return [b.Where(here, factor, reduced), pivots, order]

    combined, pivots, order = repeat(op, count, start, step)
    return combined, op.Cast(pivots, to=DataType.INT32), order


def order_of_pivots(op: Builder, pivots: Value, rows: Int) -> Value:
    """The order of rows, ``[..., rows]``, that LAPACK's swaps (from 1) make one after the other."""
    places = counting(op, rows, DataType.INT64)
    swaps = op.Sub(op.Cast(pivots, to=DataType.INT64), 1)
    start = op.expand(places, [*pivots.dims[:-1], rows])

    def step(b: Builder, turn: Value, order: Value) -> list[Value]:
        other = b.Unsqueeze(b.Gather(swaps, turn, axis=swaps.rank - 1), [-1])
        swap = b.Where(b.Equal(places, turn), other, b.Where(b.Equal(places, other), turn, places))
        return [b.GatherElements(order, swap, axis=-1)]

    return repeat(op, pivots.dims[-1], [start], step)[0]


def permutation(op: Builder, order: Value, dtype: DataType) -> Value:
    """The matrix ``P`` with ``A = P · A[order]``."""
    places = counting(op, order.dims[-1], DataType.INT64)
    return op.cast(op.Equal(upright(op, places), lying(op, order)), dtype)


def lower_and_upper(op: Builder, combined: Value) -> tuple[Value, Value]:
    """``L`` with ones on its diagonal, and ``U``."""
    rows, columns = combined.dims[-2:]
    count = minimum(rows, columns)
    left = op.Slice(combined, [0], [count], [-1]) if columns != count else combined
    upper = op.Slice(combined, [0], [count], [-2]) if rows != count else combined
    down, across = counting(op, rows, DataType.INT64), counting(op, count, DataType.INT64)
    diagonal = op.cast(op.Equal(upright(op, down), across), combined.etype)
    return op.Add(op.Trilu(left, op.const(-1), upper=0), diagonal), op.Trilu(upper, upper=1)


# ---- systems --------------------------------------------------------------------------------------------------------


def solve_triangular(op: Builder, a: Value, b: Value, upper: bool, unit: bool = False) -> Value:
    """``x`` with ``a · x = b``, where only a triangle of ``a`` counts (without its diagonal if that is ``unit``)."""
    want_matrices(a, square=True)
    start, size = broadcast_batch(op, b, a), a.dims[-1]
    rows = counting(op, size, DataType.INT64)

    def step(body: Builder, turn: Value, x: Value) -> list[Value]:
        index = body.Sub(body.dim_value(size - 1), turn) if upper else turn
        own = column(body, a, index)
        value = row(body, x, index)
        if not unit:
            value = body.Div(value, body.Unsqueeze(body.Gather(own, index, axis=own.rank - 1), [-1]))
        ahead = body.Less(rows, index) if upper else body.Greater(rows, index)
        rest = upright(body, body.Where(ahead, own, zero(body, own)))
        here = upright(body, body.Equal(rows, index))
        return [body.Where(here, lying(body, value), body.Sub(x, body.Mul(rest, lying(body, value))))]

    return repeat(op, size, [start], step)[0]


def solve(op: Builder, a: Value, b: Value) -> Value:
    """``x`` with ``a · x = b``, by Gauss-Jordan elimination with row pivoting."""
    want_matrices(a, square=True)
    size = a.dims[-1]
    both = op.Concat(broadcast_batch(op, a, b), broadcast_batch(op, b, a), axis=-1)
    rows = counting(op, size, DataType.INT64)

    def step(body: Builder, turn: Value, x: Value) -> list[Value]:
        x = reordered(body, x, with_pivot_first(body, body.Abs(column(body, x, turn)), turn, rows)[0])
        own, head = column(body, x, turn), row(body, x, turn)
        head = lying(body, body.Div(head, body.Unsqueeze(body.Gather(own, turn, axis=own.rank - 1), [-1])))
        here = upright(body, body.Equal(rows, turn))
        return [body.Where(here, head, body.Sub(x, body.Mul(upright(body, own), head)))]

    (result,) = repeat(op, size, [both], step)
    return op.Slice(result, [size], [size + b.dims[-1]], [-1])


# ---- Cholesky -------------------------------------------------------------------------------------------------------


def cholesky(op: Builder, a: Value) -> Value:
    """``L`` with ``L · Lᵀ = a``; only the lower triangle of ``a`` is read. NaN where ``a`` is not positive definite."""
    want_matrices(a, square=True)
    places = counting(op, a.dims[-1], DataType.INT64)

    def step(b: Builder, turn: Value, rest: Value, factor: Value) -> list[Value]:
        own = column(b, rest, turn)
        root = b.Sqrt(b.Unsqueeze(b.Gather(own, turn, axis=own.rank - 1), [-1]))
        new = b.Where(b.GreaterOrEqual(places, turn), b.Div(own, root), zero(b, own))
        rest = b.Sub(rest, b.Mul(upright(b, new), lying(b, new)))
        return [rest, b.Where(b.Equal(places, turn), upright(b, new), factor)]

    blank = op.expand(zero(op, a), a.dims)
    return repeat(op, a.dims[-1], [a, blank], step)[1]

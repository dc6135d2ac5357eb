"""Symmetric matrices that need not be positive definite: ``L · D · Lᵀ`` with blocks of 1 or 2 on the diagonal of ``D``.

This is LAPACK's ``sytf2`` (Bunch and Kaufman's pivoting, lower triangle), column by column for a whole batch: where a
matrix takes a block of 2, its next turn is idle. A negative pivot, twice, marks such a block.
"""

from __future__ import annotations

import math

from nxconvert.frontends.pytorch.dtypes import DataType
from nxconvert.frontends.pytorch.ops import elimination as el
from nxconvert.frontends.pytorch.ops.linear import transposed
from nxconvert.frontends.pytorch.ops.loops import repeat
from nxconvert.frontends.pytorch.ops.resample import counting
from nxconvert.frontends.pytorch.table import Builder, Int, Value, aten

_ALPHA = (1 + math.sqrt(17)) / 8


def _at(op: Builder, x: Value, index: Value) -> Value:
    """The element of vectors at ``index``, one for all or ``[..., 1]``: ``[..., 1]``."""
    if not index.rank:
        return op.Unsqueeze(op.Gather(x, index, axis=x.rank - 1), [-1])
    return op.GatherElements(x, index, axis=-1)


def _exchange(op: Builder, places: Value, a: Value, b: Value) -> Value:
    """The order of places with two of them exchanged."""
    return op.Where(op.Equal(places, a), b, op.Where(op.Equal(places, b), a, places))


def _rows_in(op: Builder, x: Value, order: Value) -> Value:
    return op.GatherElements(x, op.expand(el.upright(op, order), x.dims), axis=-2)


def _next(op: Builder, turn: Value, size: Int) -> Value:
    """The column after this one; at the end the last one, where it is not used."""
    return op.Min(op.Add(turn, 1), op.dim_value(size - 1))


# ---- the factors ----------------------------------------------------------------------------------------------------


def _pivot(op: Builder, a: Value, turn: Value, places: Value) -> tuple[Value, Value]:
    """Which row comes to the diagonal, and whether it takes a block of 2; both ``[..., 1]``."""
    nothing = el.zero(op, a)
    magnitudes = op.Abs(a)
    own = el.column(op, magnitudes, turn)
    below = op.Where(op.Greater(places, turn), own, nothing)
    largest = op.ReduceMax(below, [-1])
    best = op.ArgMax(op.Where(op.Greater(places, turn), own, op.const(-1, a.etype)), axis=-1, keepdims=1)
    chosen = op.ReduceSum(
        op.Where(op.Equal(el.upright(op, places), el.lying(op, best)), magnitudes, nothing), [-2], keepdims=0
    )
    others = op.And(op.GreaterOrEqual(places, turn), op.Not(op.Equal(places, best)))
    across = op.ReduceMax(op.Where(others, chosen, nothing), [-1])
    alpha, head = op.const(_ALPHA, a.etype), _at(op, own, turn)
    bound = op.Mul(alpha, largest)
    stays = op.Or(op.GreaterOrEqual(head, bound), op.GreaterOrEqual(op.Mul(head, across), op.Mul(bound, largest)))
    alone = op.GreaterOrEqual(_at(op, chosen, best), op.Mul(alpha, across))
    return op.Where(stays, turn, best), op.And(op.Not(stays), op.Not(alone))


def _nonzero(op: Builder, x: Value) -> Value:
    return op.Where(op.Equal(x, el.zero(op, x)), op.const(1, x.etype), x)


def factorise(op: Builder, a: Value) -> tuple[Value, Value]:
    """``L`` and ``D`` in one lower triangle, and LAPACK's pivots (from 1, int32)."""
    el.want_matrices(a, square=True)
    size, batch = a.dims[-1], a.dims[:-2]
    places = counting(op, size, DataType.INT64)
    lower = op.Trilu(a, upper=0)
    whole = op.Add(lower, transposed(op, op.Trilu(a, op.const(-1), upper=0)))

    def step(b: Builder, turn: Value, a: Value, result: Value, pivots: Value, idle: Value) -> list[Value]:
        after = _next(b, turn, size)
        best, double = _pivot(b, a, turn, places)
        order = _exchange(b, places, b.Where(double, after, turn), best)
        swapped = transposed(b, _rows_in(b, transposed(b, _rows_in(b, a, order)), order))
        one, two = el.column(b, swapped, turn), el.column(b, swapped, after)
        first, mixed, second = _at(b, one, turn), _nonzero(b, _at(b, one, after)), _at(b, two, after)
        # The inverse of the block, as LAPACK computes it.
        d11, d22 = b.Div(second, mixed), b.Div(first, mixed)
        scale = b.Div(b.Reciprocal(_nonzero(b, b.Sub(b.Mul(d11, d22), b.const(1, a.etype)))), mixed)
        left = b.Mul(scale, b.Sub(b.Mul(d11, one), two))
        right = b.Mul(scale, b.Sub(b.Mul(d22, two), one))
        nothing = el.zero(b, a)
        left = b.Where(double, left, b.Div(one, _nonzero(b, first)))
        right = b.Where(double, right, nothing)
        change = b.Add(b.Mul(el.upright(b, one), el.lying(b, left)), b.Mul(el.upright(b, two), el.lying(b, right)))
        rest = b.Greater(places, b.Where(double, after, turn))
        new_one = b.Where(rest, left, one)
        new_two = b.Where(rest, right, two)
        here, there = b.Equal(places, turn), b.And(double, b.Equal(places, after))
        below = b.GreaterOrEqual(el.upright(b, places), places)
        written = b.Where(el.lying(b, there), el.upright(b, new_two), result)
        written = b.Where(here, el.upright(b, new_one), written)
        written = b.Where(below, written, result)
        label = b.Where(double, b.Neg(b.Add(best, 1)), b.Add(best, 1))
        busy = b.Not(idle)
        wide = el.upright(b, busy)
        return [
            b.Where(wide, b.Sub(swapped, change), a),
            b.Where(wide, written, result),
            b.Where(b.And(busy, b.Or(here, there)), label, pivots),
            b.And(busy, double),
        ]

    start = [whole, lower, op.expand(op.const(0), [*batch, size]), op.expand(op.const(False), [*batch, 1])]
    _, result, pivots, _ = repeat(op, size, start, step)
    return result, op.Cast(pivots, to=DataType.INT32)


# ---- systems --------------------------------------------------------------------------------------------------------


class _Substitution:
    """The bodies of the two loops that solve a system, a column of the factors a turn."""

    def __init__(self, op: Builder, factors: Value, pivots: Value) -> None:
        self._factors = factors
        self._size = factors.dims[-1]
        self._places = counting(op, self._size, DataType.INT64)
        self._labels = op.Cast(pivots, to=DataType.INT64)

    def _block(self, body: Builder, index: Value, idle: Value) -> tuple[Value, Value, Value]:
        """Whether a block of 2 is met, which row its pivot is, and whether this turn does anything; ``[..., 1]``."""
        label = _at(body, self._labels, index)
        busy = body.Not(idle)
        return body.And(busy, body.Less(label, 0)), body.Sub(body.Abs(label), 1), busy

    def forward(self, body: Builder, turn: Value, x: Value, idle: Value) -> list[Value]:
        """``L`` and ``D`` undone: the new ``x``, and whether the next turn is idle."""
        after = _next(body, turn, self._size)
        double, row, busy = self._block(body, turn, idle)
        order = _exchange(body, self._places, body.Where(double, after, turn), row)
        swapped = _rows_in(body, x, body.expand(order, x.dims[:-1]))
        one, two = el.column(body, self._factors, turn), el.column(body, self._factors, after)
        x1, x2 = (el.lying(body, el.row(body, swapped, at)) for at in (turn, after))
        nothing = el.zero(body, x)
        rest = body.Greater(self._places, body.Where(double, after, turn))
        left = el.upright(body, body.Where(rest, one, nothing))
        right = el.upright(body, body.Where(body.And(rest, double), two, nothing))
        reduced = body.Sub(swapped, body.Add(body.Mul(left, x1), body.Mul(right, x2)))
        # D, of one or two rows.
        a, m, c = (el.upright(body, d) for d in (_at(body, one, turn), _at(body, one, after), _at(body, two, after)))
        m = _nonzero(body, m)
        ratio1, ratio2, y1, y2 = (body.Div(value, m) for value in (a, c, x1, x2))
        scale = body.Reciprocal(_nonzero(body, body.Sub(body.Mul(ratio1, ratio2), body.const(1, x.etype))))
        wide = el.upright(body, double)
        z1 = body.Where(wide, body.Mul(scale, body.Sub(body.Mul(ratio2, y1), y2)), body.Div(x1, _nonzero(body, a)))
        z2 = body.Mul(scale, body.Sub(body.Mul(ratio1, y2), y1))
        at = el.upright(body, self._places)
        y = body.Where(body.Equal(at, turn), z1, reduced)
        y = body.Where(body.And(wide, body.Equal(at, after)), z2, y)
        return [body.Where(el.upright(body, busy), y, x), double]

    def backward(self, body: Builder, turn: Value, x: Value, idle: Value) -> list[Value]:
        """``Lᵀ`` undone, from the last column to the first; the same two."""
        index = body.Sub(body.dim_value(self._size - 1), turn)
        before = body.Max(body.Sub(index, 1), 0)
        double, row, busy = self._block(body, index, idle)
        rest = body.Greater(self._places, index)
        y = x
        for at, needed in ((index, busy), (before, double)):
            own = body.Where(rest, el.column(body, self._factors, at), el.zero(body, x))
            known = body.MatMul(el.lying(body, own), x)
            here = body.And(el.upright(body, needed), el.upright(body, body.Equal(self._places, at)))
            y = body.Where(here, body.Sub(y, known), y)
        order = _exchange(body, self._places, index, row)
        y = _rows_in(body, y, body.expand(order, y.dims[:-1]))
        return [body.Where(el.upright(body, busy), y, x), double]


def solve(op: Builder, factors: Value, pivots: Value, b: Value) -> Value:
    """``A · x = b`` from the factors of ``A``: LAPACK's ``sytrs``."""
    el.want_matrices(factors, square=True)
    size = factors.dims[-1]
    turns = _Substitution(op, factors, pivots)
    start = el.broadcast_batch(op, b, factors)
    never = op.expand(op.const(False), [*pivots.dims[:-1], 1])
    (half, _) = repeat(op, size, [start, never], turns.forward)
    return repeat(op, size, [half, never], turns.backward)[0]


# ---- the operators --------------------------------------------------------------------------------------------------


@aten("linalg_ldl_factor")
def ldl_factor(op: Builder, self: Value, *, hermitian: bool = False) -> tuple[Value, Value]:
    return factorise(op, self)


@aten("linalg_ldl_factor_ex")
def ldl_factor_ex(
    op: Builder, self: Value, *, hermitian: bool = False, check_errors: bool = False
) -> tuple[Value, Value, Value]:
    """With LAPACK's word for success."""
    return *factorise(op, self), op.expand(op.const(0, DataType.INT32), self.dims[:-2])


@aten("linalg_ldl_solve")
def ldl_solve(op: Builder, LD: Value, pivots: Value, B: Value, *, hermitian: bool = False) -> Value:
    return solve(op, LD, pivots, B)

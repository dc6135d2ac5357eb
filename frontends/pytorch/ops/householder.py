"""QR by Householder's reflections ``I - tau · v · vᵀ``, with LAPACK's signs; and products of such reflections."""

from __future__ import annotations

from nxconvert.frontends.pytorch.dtypes import DataType
from nxconvert.frontends.pytorch.ops import elimination as el
from nxconvert.frontends.pytorch.ops.linear import transposed
from nxconvert.frontends.pytorch.ops.loops import repeat
from nxconvert.frontends.pytorch.ops.resample import counting
from nxconvert.frontends.pytorch.table import Builder, Int, LoweringError, Value, aten
from nxconvert.graph.dims import minimum


def _reflected(op: Builder, v: Value, tau: Value, a: Value) -> Value:
    """``(I - tau · v · vᵀ) · a``; ``v`` as columns, ``tau`` as ``[..., 1, 1]``."""
    return op.Sub(a, op.Mul(tau, op.MatMul(v, op.MatMul(transposed(op, v), a))))


def factorise(op: Builder, a: Value) -> tuple[Value, Value]:
    """``R`` with the vectors of the reflections below its diagonal, and their factors: LAPACK's ``geqrf``."""
    el.want_matrices(a)
    count = minimum(*a.dims[-2:])
    rows, columns, places = (counting(op, n, DataType.INT64) for n in (*a.dims[-2:], count))

    def step(b: Builder, turn: Value, a: Value, taus: Value) -> list[Value]:
        nothing, one = el.zero(b, a), b.const(1, a.etype)
        own = el.column(b, a, turn)
        below = b.Greater(rows, turn)
        rest = b.Where(below, own, nothing)
        alpha = b.Unsqueeze(b.Gather(own, turn, axis=own.rank - 1), [-1])
        square = b.ReduceSumSquare(rest, [-1])
        norm = b.Sqrt(b.Add(b.Mul(alpha, alpha), square))
        beta = b.Where(b.Less(alpha, nothing), norm, b.Neg(norm))
        # Nothing to bring to zero: no reflection.
        idle = b.Equal(square, nothing)
        tau = b.Where(idle, nothing, b.Div(b.Sub(beta, alpha), b.Where(idle, one, beta)))
        scaled = b.Div(rest, b.Where(idle, one, b.Sub(alpha, beta)))
        v = b.Where(b.Equal(rows, turn), one, scaled)
        reduced = _reflected(b, el.upright(b, v), el.upright(b, tau), a)
        # Columns before this one have their vectors below the diagonal already.
        later = b.GreaterOrEqual(columns, turn)
        here = b.And(el.upright(b, below), b.Equal(columns, turn))
        a = b.Where(here, el.upright(b, scaled), b.Where(later, reduced, a))
        return [a, b.Where(b.Equal(places, turn), tau, taus)]

    blank = op.expand(el.zero(op, a), [*a.dims[:-2], count])
    combined, taus = repeat(op, count, [a, blank], step)
    return combined, taus


def apply_reflections(op: Builder, vectors: Value, tau: Value, a: Value, backwards: bool) -> Value:
    """``Hk · ... · H2 · H1 · a``; ``H1 · H2 · ... · Hk · a`` if ``backwards``."""
    rows = counting(op, vectors.dims[-2], DataType.INT64)
    count = tau.dims[-1]

    def step(b: Builder, turn: Value, a: Value) -> list[Value]:
        index = b.Sub(b.dim_value(count - 1), turn) if backwards else turn
        own = b.Where(b.Greater(rows, index), el.column(b, vectors, index), el.zero(b, vectors))
        v = b.Where(b.Equal(rows, index), b.const(1, vectors.etype), own)
        factor = b.Unsqueeze(b.Gather(tau, index, axis=tau.rank - 1), [-1, -2])
        return [_reflected(b, el.upright(b, v), factor, a)]

    return repeat(op, count, [a], step)[0]


def orthogonal(op: Builder, vectors: Value, tau: Value, columns: Int) -> Value:
    """The first columns of the product of all reflections."""
    rows = vectors.dims[-2]
    down, across = counting(op, rows, DataType.INT64), counting(op, columns, DataType.INT64)
    start = op.cast(op.Equal(el.upright(op, down), across), vectors.etype)
    return apply_reflections(op, vectors, tau, op.expand(start, [*vectors.dims[:-2], rows, columns]), backwards=True)


# ---- the operators --------------------------------------------------------------------------------------------------


@aten("geqrf")
def geqrf(op: Builder, self: Value) -> tuple[Value, Value]:
    return factorise(op, self)


@aten("linalg_householder_product")
def householder_product(op: Builder, input: Value, tau: Value) -> Value:
    return orthogonal(op, input, tau, input.dims[-1])


@aten("orgqr")
def orgqr(op: Builder, self: Value, input2: Value) -> Value:
    return householder_product(op, self, input2)


@aten("ormqr")
def ormqr(op: Builder, self: Value, input2: Value, input3: Value, left: bool = True, transpose: bool = False) -> Value:
    """``Q · input3``, ``Qᵀ · input3``, or the same from the right."""
    if left:
        return apply_reflections(op, self, input2, input3, backwards=not transpose)
    flipped = apply_reflections(op, self, input2, transposed(op, input3), backwards=transpose)
    return transposed(op, flipped)


@aten("linalg_qr")
def linalg_qr(op: Builder, A: Value, mode: str = "reduced") -> tuple[Value, Value]:
    """``reduced``, ``complete``, or ``r`` without ``Q``."""
    if mode not in ("reduced", "complete", "r"):
        raise LoweringError(f"QR has no mode {mode!r}")
    combined, tau = factorise(op, A)
    rows, columns = A.dims[-2:]
    size = rows if mode == "complete" else minimum(rows, columns)
    kept = combined if size == rows else op.Slice(combined, [0], [size], [-2])
    upper = op.Trilu(kept, upper=1)
    return op.const([], A.etype) if mode == "r" else orthogonal(op, combined, tau, size), upper


@aten("qr")
def qr(op: Builder, self: Value, some: bool = True) -> tuple[Value, Value]:
    return linalg_qr(op, self, "reduced" if some else "complete")

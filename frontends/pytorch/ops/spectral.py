"""Eigenvalues of symmetric matrices and singular values of any, by Jacobi's rotations, and what follows from them.

All columns are rotated in disjoint pairs at once: in turn ``r``, column ``i`` meets column ``(r - i) mod n``, so that
in ``n`` turns each meets each. The signs of eigenvectors and singular vectors are not determined by the problem; they
are not LAPACK's.
"""

from __future__ import annotations

import numpy as np

from nxconvert.frontends.pytorch.dtypes import DataType
from nxconvert.frontends.pytorch.ops import elimination as el
from nxconvert.frontends.pytorch.ops.common import as_tensor, known
from nxconvert.frontends.pytorch.ops.householder import factorise, orthogonal
from nxconvert.frontends.pytorch.ops.linear import matrix_product, transposed
from nxconvert.frontends.pytorch.ops.loops import repeat
from nxconvert.frontends.pytorch.ops.resample import counting
from nxconvert.frontends.pytorch.ops.select import diagonal_of
from nxconvert.frontends.pytorch.table import Builder, LoweringError, Number, Value, aten
from nxconvert.graph.dims import compare, maximum

# Convergence is quadratic in the end: these are a few sweeps more than matrices of some hundred columns need.
_SWEEPS = {DataType.FLOAT: 8, DataType.DOUBLE: 11}


def _diagonal(op: Builder, a: Value) -> Value:
    return diagonal_of(op, a, 0, -2, -1)


def _rotation(op: Builder, gram: Value, turn: Value, places: Value) -> Value:
    """The rotation of all pairs of one turn that brings their elements of a symmetric matrix to zero."""
    dtype = gram.etype
    # Twice the matrix turns by the same angles. Both partners must see one number, or where two eigenvalues are equal
    # rounding makes the rotation none.
    gram = op.Add(gram, transposed(op, gram))
    nothing, one = op.const(0, dtype), op.const(1, dtype)
    partner = op.Mod(op.Sub(turn, places), op.Squeeze(op.Shape(places), [0]))
    paired = op.Equal(el.upright(op, partner), places)
    own = op.Mul(gram, op.cast(paired, dtype))
    between = op.ReduceSum(own, [-1], keepdims=0)
    diagonal = _diagonal(op, gram)
    other = op.Gather(diagonal, partner, axis=diagonal.rank - 1)
    first = op.Less(places, partner)
    alone = op.Or(op.Equal(places, partner), op.Equal(between, nothing))
    # tan of the angle: the smaller root of t² + 2·tau·t = 1. Of two partners, one turns by the opposite angle.
    tau = op.Div(op.Sub(other, diagonal), op.Where(alone, one, op.Add(between, between)))
    sign = op.Where(op.Equal(tau, nothing), op.Where(first, one, op.Neg(one)), op.Sign(tau))
    root = op.Sqrt(op.Add(op.Mul(tau, tau), one))
    tangent = op.Where(alone, nothing, op.Div(sign, op.Add(op.Abs(tau), root)))
    cosine = op.Reciprocal(op.Sqrt(op.Add(op.Mul(tangent, tangent), one)))
    turned = op.Where(paired, el.upright(op, op.Mul(tangent, cosine)), nothing)
    return op.Where(op.Equal(el.upright(op, places), places), el.upright(op, cosine), turned)


def _sorted(op: Builder, values: Value, descending: bool, *vectors: Value) -> list[Value]:
    """The values in order, and the columns that belong to them."""
    size = op.Unsqueeze(op.dim_value(values.dims[-1]), [0])
    ranked, order = op.TopK(values, size, axis=-1, largest=int(descending))
    return [ranked, *(op.GatherElements(v, op.expand(el.lying(op, order), v.dims), axis=-1) for v in vectors)]


def eigen(op: Builder, a: Value) -> tuple[Value, Value]:
    """The eigenvalues of symmetric matrices, ascending, and their vectors as columns."""
    el.want_matrices(a, square=True)
    size = a.dims[-1]
    if size == 0:
        return op.expand(el.zero(op, a), a.dims[:-1]), op.Identity(a)
    places = counting(op, size, DataType.INT64)

    def step(b: Builder, turn: Value, a: Value, vectors: Value) -> list[Value]:
        rotation = _rotation(b, a, turn, places)
        turned = b.MatMul(b.MatMul(transposed(b, rotation), a), rotation)
        return [turned, b.MatMul(vectors, rotation)]

    start = op.expand(el.identity(op, size, a.etype), a.dims)
    diagonalised, vectors = repeat(op, size * _sweeps(a), [a, start], step)
    values, ordered = _sorted(op, _diagonal(op, diagonalised), False, vectors)
    return values, ordered


def _sweeps(a: Value) -> int:
    if a.etype not in _SWEEPS:
        raise LoweringError(f"a decomposition of matrices of {a.etype.name}")
    return _SWEEPS[a.etype]


def singular(op: Builder, a: Value) -> tuple[Value, Value, Value]:
    """``U``, the singular values, descending, and ``V`` (not transposed), as many columns as the shorter side has."""
    el.want_matrices(a)
    rows, columns = a.dims[-2:]
    if compare(rows, "<", columns) is not False:
        if compare(rows, "<", columns) is None:
            raise LoweringError("whether the matrix is wide or tall is not known")
        u, values, v = singular(op, transposed(op, a))
        return v, values, u
    if columns == 0:
        blank = el.zero(op, a)
        return tuple(op.expand(blank, [*a.dims[:-2], *d]) for d in ([rows, 0], [0], [0, 0]))  # type: ignore[return-value]
    places = counting(op, columns, DataType.INT64)

    def step(b: Builder, turn: Value, u: Value, v: Value) -> list[Value]:
        rotation = _rotation(b, b.MatMul(transposed(b, u), u), turn, places)
        return [b.MatMul(u, rotation), b.MatMul(v, rotation)]

    start = op.expand(el.identity(op, columns, a.etype), [*a.dims[:-2], columns, columns])
    scaled, v = repeat(op, columns * _sweeps(a), [a, start], step)
    values, scaled, v = _sorted(op, op.ReduceL2(scaled, [-2], keepdims=0), True, scaled, v)
    length = el.lying(op, values)
    safe = op.Where(op.Equal(length, el.zero(op, a)), op.const(1, a.etype), length)
    return op.Div(scaled, safe), values, v


# ---- eigenvalues ----------------------------------------------------------------------------------------------------


def _symmetric(op: Builder, a: Value, triangle: str) -> Value:
    """The matrix that one triangle stands for."""
    upper = triangle.upper() == "U"
    kept = op.Trilu(a, upper=int(upper))
    other = op.Trilu(a, op.const(1 if upper else -1), upper=int(upper))
    return op.Add(kept, transposed(op, other))


@aten("linalg_eigh")
def linalg_eigh(op: Builder, self: Value, UPLO: str = "L") -> tuple[Value, Value]:
    return eigen(op, _symmetric(op, self, UPLO))


@aten("_linalg_eigh")
def core_eigh(op: Builder, A: Value, UPLO: str = "L", compute_v: bool = True) -> tuple[Value, Value]:
    return linalg_eigh(op, A, UPLO)


@aten("linalg_eigvalsh")
def linalg_eigvalsh(op: Builder, self: Value, UPLO: str = "L") -> Value:
    return linalg_eigh(op, self, UPLO)[0]


# ---- singular values ------------------------------------------------------------------------------------------------


def _completed(op: Builder, u: Value) -> Value:
    """Orthonormal columns with more of them, until there are as many as rows."""
    rows, columns = u.dims[-2:]
    if rows == columns:
        return u
    whole = orthogonal(op, *factorise(op, u), rows)
    return op.Concat(u, op.Slice(whole, [columns], [rows], [-1]), axis=-1)


@aten("linalg_svd")
def linalg_svd(
    op: Builder, A: Value, full_matrices: bool = True, *, driver: str | None = None
) -> tuple[Value, Value, Value]:
    u, values, v = singular(op, A)
    if full_matrices:
        u, v = _completed(op, u), _completed(op, v)
    return u, values, transposed(op, v)


@aten("_linalg_svd")
def core_svd(
    op: Builder, A: Value, full_matrices: bool = False, compute_uv: bool = True, *, driver: str | None = None
) -> tuple[Value, Value, Value]:
    return linalg_svd(op, A, full_matrices)


@aten("svd")
def svd(op: Builder, self: Value, some: bool = True, compute_uv: bool = True) -> tuple[Value, Value, Value]:
    """``V`` comes as it is, not transposed."""
    u, values, vh = linalg_svd(op, self, not some)
    return u, values, transposed(op, vh)


@aten("linalg_svdvals")
def linalg_svdvals(op: Builder, A: Value, *, driver: str | None = None) -> Value:
    return singular(op, A)[1]


# ---- what follows ---------------------------------------------------------------------------------------------------


def _threshold(op: Builder, a: Value, values: Value, atol: Value | Number | None, rtol: Value | Number | None) -> Value:
    """Below this a singular value counts as 0: ``max(atol, rtol · largest)``, ``[..., 1]``."""
    dtype = values.etype
    if rtol is None:
        # With an absolute tolerance alone nothing is relative.
        longest = as_tensor(op, maximum(*a.dims[-2:]), dtype)
        relative = op.Mul(longest, op.const(float(np.finfo(dtype.numpy()).eps), dtype))
        if isinstance(atol, Value):
            relative = op.Where(op.Greater(atol, el.zero(op, atol)), el.zero(op, values), relative)
        elif atol is not None and known(atol, "atol") > 0:
            relative = el.zero(op, values)
    else:
        relative = as_tensor(op, rtol, dtype)
    absolute = as_tensor(op, 0.0 if atol is None else atol, dtype)
    relative, absolute = (op.Unsqueeze(t, [-1]) if t.rank else t for t in (relative, absolute))
    return op.Max(absolute, op.Mul(relative, op.ReduceMax(values, [-1])))


def _rank(op: Builder, a: Value, atol: Value | Number | None, rtol: Value | Number | None, hermitian: bool) -> Value:
    if 0 in a.dims[-2:]:
        return op.expand(op.const(0), a.dims[:-2])
    values = op.Abs(linalg_eigvalsh(op, a)) if hermitian else singular(op, a)[1]
    above = op.Greater(values, _threshold(op, a, values, atol, rtol))
    return op.ReduceSum(op.Cast(above, to=DataType.INT64), [-1], keepdims=0)


@aten("linalg_matrix_rank")
def matrix_rank(op: Builder, self: Value, tol: Number, hermitian: bool = False) -> Value:
    return _rank(op, self, tol, 0.0, hermitian)


@aten("linalg_matrix_rank.tol_tensor")
def matrix_rank_tensor(op: Builder, input: Value, tol: Value, hermitian: bool = False) -> Value:
    return _rank(op, input, tol, 0.0, hermitian)


@aten("linalg_matrix_rank.atol_rtol_tensor")
def matrix_rank_tensors(
    op: Builder, input: Value, *, atol: Value | None = None, rtol: Value | None = None, hermitian: bool = False
) -> Value:
    return _rank(op, input, atol, rtol, hermitian)


@aten("linalg_matrix_rank.atol_rtol_float")
def matrix_rank_floats(
    op: Builder, self: Value, *, atol: Number | None = None, rtol: Number | None = None, hermitian: bool = False
) -> Value:
    return _rank(op, self, atol, rtol, hermitian)


def _pseudo_inverse(
    op: Builder, a: Value, atol: Value | Number | None, rtol: Value | Number | None, hermitian: bool = False
) -> Value:
    """``V · S⁺ · Uᵀ``; of a symmetric matrix the lower triangle counts."""
    if 0 in a.dims[-2:]:
        return op.expand(el.zero(op, a), [*a.dims[:-2], a.dims[-1], a.dims[-2]])
    u, values, v = singular(op, _symmetric(op, a, "L") if hermitian else a)
    kept = op.Greater(values, _threshold(op, a, values, atol, rtol))
    nothing, one = el.zero(op, values), op.const(1, values.etype)
    inverted = op.Where(kept, op.Div(one, op.Where(kept, values, one)), nothing)
    return matrix_product(op, op.Mul(v, el.lying(op, inverted)), transposed(op, u))


@aten("linalg_pinv")
def pinv(op: Builder, self: Value, rcond: Number, hermitian: bool = False) -> Value:
    return _pseudo_inverse(op, self, 0.0, rcond, hermitian)


@aten("linalg_pinv.rcond_tensor")
def pinv_tensor(op: Builder, self: Value, rcond: Value, hermitian: bool = False) -> Value:
    return _pseudo_inverse(op, self, 0.0, rcond, hermitian)


@aten("linalg_pinv.atol_rtol_tensor")
def pinv_tensors(
    op: Builder, self: Value, *, atol: Value | None = None, rtol: Value | None = None, hermitian: bool = False
) -> Value:
    return _pseudo_inverse(op, self, atol, rtol, hermitian)


@aten("linalg_pinv.atol_rtol_float")
def pinv_floats(
    op: Builder, self: Value, *, atol: Number | None = None, rtol: Number | None = None, hermitian: bool = False
) -> Value:
    return _pseudo_inverse(op, self, atol, rtol, hermitian)


@aten("pinverse")
def pinverse(op: Builder, self: Value, rcond: Number = 1e-15) -> Value:
    return _pseudo_inverse(op, self, 0.0, rcond)


@aten("linalg_lstsq")
def lstsq(
    op: Builder, self: Value, b: Value, rcond: Number | None = None, *, driver: str | None = None
) -> tuple[Value, Value, Value, Value]:
    """The solution of the least norm; and what LAPACK's driver returns of residuals, rank and singular values."""
    vectors = b.rank == 1 or (b.rank == self.rank - 1 and b.dims == self.dims[:-1])
    right = op.Unsqueeze(b, [-1]) if vectors else b
    solution = matrix_product(op, _pseudo_inverse(op, self, 0.0, rcond), right)
    driver = driver or "gelsy"
    nothing = op.const(np.zeros(0), self.etype)
    residuals, rank, values = nothing, op.const(np.zeros(0, np.int64)), nothing
    if driver != "gelsy" and compare(self.dims[-2], ">", self.dims[-1]):
        difference = op.Sub(matrix_product(op, self, solution), right)
        residuals = op.ReduceSumSquare(difference, [-2], keepdims=0)
    if driver != "gels":
        rank = _rank(op, self, 0.0, rcond, False)
    if driver in ("gelsd", "gelss"):
        values = singular(op, self)[1]
    return op.Squeeze(solution, [-1]) if vectors else solution, residuals, rank, values


@aten("linalg_cond", "linalg_cond.p_str")
def cond(op: Builder, self: Value, p: Number | str | None = None) -> Value:
    """The norm times that of the inverse; for the 2-norm the ratio of the extreme singular values."""
    order = 2 if p is None else p
    if order in (2, -2):
        values = singular(op, self)[1]
        largest, smallest = (extreme(values, [-1], keepdims=0) for extreme in (op.ReduceMax, op.ReduceMin))
        return op.Div(largest, smallest) if order == 2 else op.Div(smallest, largest)
    norm = aten.find("linalg_matrix_norm", (self, order), {}).function
    inverse = aten.find("linalg_inv", (self,), {}).function(op, self)
    return op.Mul(norm(op, self, order), norm(op, inverse, order))

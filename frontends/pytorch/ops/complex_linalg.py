"""Linear algebra with complex matrices.

A complex matrix behaves as a real one in which each number ``x + iy`` is a block ``[[x, -y], [y, x]]``: sums, products,
inverses and functions of such matrices are such matrices again, and a triangular one with a real diagonal stays
triangular. So the real algorithms serve. Singular values, and eigenvalues of Hermitian matrices, come in pairs.
Determinants are those of the elimination.
"""

from __future__ import annotations

from typing import Any

from nxconvert.frontends.pytorch.compound import ComplexValue, Lower
from nxconvert.frontends.pytorch.dtypes import DataType, is_float
from nxconvert.frontends.pytorch.ops import complex as cx
from nxconvert.frontends.pytorch.ops import elimination as el
from nxconvert.frontends.pytorch.ops.common import axes_of
from nxconvert.frontends.pytorch.ops.complex_composed import Operators, composed
from nxconvert.frontends.pytorch.ops.complex_rules import on_magnitude
from nxconvert.frontends.pytorch.ops.loops import repeat
from nxconvert.frontends.pytorch.ops.resample import counting
from nxconvert.frontends.pytorch.ops.select import diagonal_of
from nxconvert.frontends.pytorch.table import Builder, Complex, Value, aten
from nxconvert.graph.dims import floordiv

# ---- as real matrices ------------------------------------------------------------------------------------------------


def blocks(op: Builder, z: Any) -> Value:
    """``[..., 2 n, 2 m]``: a matrix with a block for each number."""
    z = cx.as_complex(op, z)
    el.want_matrices(z.real)
    upper = ComplexValue(z.real, op.Neg(z.imag)).plain(op)
    lower = ComplexValue(z.imag, z.real).plain(op)
    stacked = op.Concat(op.Unsqueeze(upper, [-3]), op.Unsqueeze(lower, [-3]), axis=-3)
    *batch, rows, columns = z.dims
    return op.reshape(stacked, [*batch, rows * 2, columns * 2])


def numbers(op: Builder, x: Value) -> Complex:
    """The complex matrix that a matrix of blocks stands for: the first columns of the blocks."""
    *batch, rows, columns = x.dims
    parted = op.reshape(x, [*batch, floordiv(rows, 2), 2, floordiv(columns, 2), 2])
    first = op.Gather(parted, 0, axis=-1)
    return ComplexValue(op.Gather(first, 0, axis=-2), op.Gather(first, 1, axis=-2))


def _from_blocks(op: Builder, x: Any) -> Any:
    if isinstance(x, tuple):
        return tuple(_from_blocks(op, item) for item in x)
    return numbers(op, x) if isinstance(x, Value) and is_float(x.etype) else x


def _hermitian(op: Builder, z: Complex) -> Complex:
    """The matrix without the imaginary part of its diagonal, which does not count in a Hermitian one."""
    diagonal = el.identity(op, z.dims[-1], DataType.BOOL)
    return ComplexValue(z.real, op.Where(diagonal, op.const(0.0, z.etype), z.imag))


def _in_blocks(op: Builder, lower: Lower, args: list[Any], kwargs: dict[str, Any]) -> Any:
    if kwargs.get("hermitian"):
        args = [_hermitian(op, args[0]), *args[1:]]
    changed = [blocks(op, x) if isinstance(x, (ComplexValue, Value)) else x for x in args]
    return _from_blocks(op, lower(op, changed, kwargs))


def _solved(op: Builder, lower: Lower, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """The right-hand side may be vectors: matrices of one column."""
    a, b, *rest = args
    if b.rank != 1 and not (b.rank == a.rank - 1 and b.dims == a.dims[:-1]):
        return _in_blocks(op, lower, args, kwargs)
    column = ComplexValue(*(op.Unsqueeze(part, [-1]) for part in cx.as_complex(op, b, a.etype).parts()))
    result = _in_blocks(op, lower, [a, column, *rest], kwargs)
    first, *others = result if isinstance(result, tuple) else (result,)
    vectors = ComplexValue(*(op.Squeeze(part, [-1]) for part in first.parts()))
    return (vectors, *others) if isinstance(result, tuple) else vectors


@composed("linalg_solve_triangular")
def solve_triangular(
    do: Operators, self: Any, B: Any, *, upper: bool, left: bool = True, unitriangular: bool = False
) -> Any:
    """A general system of the triangle; what else there is in the matrix does not count."""
    return do.linalg_solve(_triangle(do, self, upper, unitriangular), B, left=left)


@composed("triangular_solve")
def triangular_solve(
    do: Operators, self: Any, A: Any, upper: bool = True, transpose: bool = False, unitriangular: bool = False
) -> Any:
    triangle = _triangle(do, A, upper, unitriangular)
    return do.linalg_solve(do.mT(triangle) if transpose else triangle, self), A


def _triangle(do: Operators, a: Any, upper: bool, unit: bool) -> Any:
    kept = do.triu(a, int(unit)) if upper else do.tril(a, -int(unit))
    return do.add(kept, el.identity(do.op, a.dims[-1], a.etype)) if unit else kept


# ---- singular values and what follows from them ----------------------------------------------------------------------


def _singular_values(op: Builder, lower: Lower, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """Values that come in pairs, in order."""
    return _every_second(op, lower(op, [blocks(op, args[0]), *args[1:]], kwargs))


def _eigenvalues(op: Builder, lower: Lower, args: list[Any], kwargs: dict[str, Any]) -> Any:
    return _every_second(op, lower(op, [blocks(op, _hermitian(op, args[0])), *args[1:]], kwargs))


def _every_second(op: Builder, values: Value) -> Value:
    return op.Slice(values, [0], op.dims_tensor([values.dims[-1]]), [-1], [2])


def _rank(op: Builder, lower: Lower, args: list[Any], kwargs: dict[str, Any]) -> Any:
    matrix = _hermitian(op, args[0]) if kwargs.get("hermitian") else args[0]
    return op.Div(lower(op, [blocks(op, matrix), *args[1:]], kwargs), 2)


def _spectral(order: Any) -> bool:
    """Whether a norm is one of singular values; all others are norms of magnitudes."""
    return order == "nuc" or (not isinstance(order, str) and order in (2, -2))


@composed("linalg_matrix_norm")
def matrix_norm(
    do: Operators, self: Any, ord: Any = "fro", dim: Any = (-2, -1), keepdim: bool = False, *, dtype: Any = None
) -> Any:
    op = do.op
    if not _spectral(ord):
        return do.linalg_matrix_norm(cx.magnitude(op, self), ord, list(dim), keepdim)
    axes = axes_of(dim, self.rank)
    norm = do.linalg_matrix_norm(blocks(op, do.movedim(self, axes, [-2, -1])), ord)
    norm = op.Div(norm, op.const(2.0, norm.etype)) if ord == "nuc" else norm
    return op.Unsqueeze(norm, axes) if keepdim else norm


@composed("linalg_norm")
def linalg_norm(
    do: Operators, self: Any, ord: Any = None, dim: Any = None, keepdim: bool = False, *, dtype: Any = None
) -> Any:
    matrices = self.rank == 2 if dim is None else isinstance(dim, (list, tuple)) and len(dim) == 2
    if matrices and _spectral(ord):
        return matrix_norm(do, self, ord, (-2, -1) if dim is None else dim, keepdim)
    return do.linalg_norm(cx.magnitude(do.op, self), ord, dim, keepdim)


def _norm(op: Builder, lower: Lower, args: list[Any], kwargs: dict[str, Any]) -> Any:
    if "nuc" in [*args, *kwargs.values()]:
        return matrix_norm(Operators(op), args[0], "nuc")
    return on_magnitude(op, lower, args, kwargs)


@composed("linalg_cond")
def linalg_cond(do: Operators, self: Any, p: Any = None) -> Any:
    if p is None or p in (2, -2):
        return do.linalg_cond(blocks(do.op, self), p)
    return do.mul(do.linalg_matrix_norm(self, p), do.linalg_matrix_norm(do.linalg_inv(self), p))


# ---- determinants ----------------------------------------------------------------------------------------------------


def _eliminated(op: Builder, z: Complex) -> tuple[Complex, Value]:
    """The diagonal of ``U`` in ``P A = L U``, and the sign of the permutation."""
    el.want_matrices(z.real, square=True)
    rows = counting(op, z.dims[-1], DataType.INT64)
    zero, one = op.const(0.0, z.etype), op.const(1.0, z.etype)

    def step(b: Builder, turn: Value, real: Value, imag: Value, sign: Value) -> list[Value]:
        order, best = el.with_pivot_first(b, _sizes(b, real, imag, turn), turn, rows)
        swapped = b.Not(b.Equal(b.Squeeze(best, [-1]), turn))
        real, imag = (el.reordered(b, part, order) for part in (real, imag))
        columns = ComplexValue(el.column(b, real, turn), el.column(b, imag, turn))
        pivot_row = ComplexValue(el.row(b, real, turn), el.row(b, imag, turn))
        pivot = ComplexValue(*(b.Gather(part, b.Unsqueeze(turn, [0]), axis=-1) for part in pivot_row.parts()))
        nothing = b.And(b.Equal(pivot.real, zero), b.Equal(pivot.imag, zero))
        factors = cx.div(b, columns, ComplexValue(b.Where(nothing, one, pivot.real), pivot.imag))
        below = b.Greater(rows, turn)
        factors = ComplexValue(*(el.upright(b, b.Where(below, part, zero)) for part in factors.parts()))
        lying = ComplexValue(*(el.lying(b, part) for part in pivot_row.parts()))
        change = cx.product(b, factors, lying)
        return [b.Sub(real, change.real), b.Sub(imag, change.imag), b.Where(swapped, b.Neg(sign), sign)]

    signs = op.expand(one, z.dims[:-2])
    real, imag, sign = repeat(op, z.dims[-1], [z.real, z.imag, signs], step)
    return ComplexValue(*(diagonal_of(op, part, 0, -2, -1) for part in (real, imag))), sign


def _sizes(op: Builder, real: Value, imag: Value, turn: Value) -> Value:
    x, y = el.column(op, real, turn), el.column(op, imag, turn)
    return op.Add(op.Mul(x, x), op.Mul(y, y))


@aten("linalg_det", "det")
def det(op: Builder, A: Complex) -> Complex:
    diagonal, sign = _eliminated(op, A)
    result: Complex = cx.product(op, Operators(op).prod(diagonal, -1), sign)
    return result


@aten("_linalg_det")
def det_with_factors(op: Builder, A: Complex) -> tuple[Complex, None, None]:
    return det(op, A), None, None


@aten("linalg_slogdet", "slogdet")
def slogdet(op: Builder, A: Complex) -> tuple[Complex, Value]:
    diagonal, sign = _eliminated(op, A)
    turned = cx.product(op, Operators(op).prod(cx.sgn(op, diagonal), -1), sign)
    return turned, op.ReduceSum(op.Log(cx.magnitude(op, diagonal)), [-1], keepdims=0)


@aten("_linalg_slogdet")
def slogdet_with_factors(op: Builder, A: Complex) -> tuple[Complex, Value, None, None]:
    return *slogdet(op, A), None, None


@aten("logdet")
def logdet(op: Builder, A: Complex) -> Complex:
    sign, size = slogdet(op, A)
    return ComplexValue(size, cx.angle(op, sign))


_IN_BLOCKS = """
    linalg_inv inverse linalg_inv_ex linalg_pinv pinverse linalg_matrix_exp matrix_exp linalg_matrix_power matrix_power
    linalg_cholesky cholesky linalg_cholesky_ex cholesky_solve cholesky_inverse
"""
ComplexValue.rules.update(
    {
        **dict.fromkeys(_IN_BLOCKS.split(), _in_blocks),
        **dict.fromkeys(("linalg_solve", "linalg_solve_ex", "_linalg_solve_ex"), _solved),
        "linalg_svdvals": _singular_values,
        "linalg_eigvalsh": _eigenvalues,
        "linalg_matrix_rank": _rank,
        "norm": _norm,
    }
)

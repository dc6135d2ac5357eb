"""Determinants, inverses, systems of equations and factorisations of matrices."""

from __future__ import annotations

import math

import numpy as np

from nxconvert.frontends.pytorch.dtypes import DataType
from nxconvert.frontends.pytorch.ops import elimination as el
from nxconvert.frontends.pytorch.ops.common import axis_of, static_ints
from nxconvert.frontends.pytorch.ops.linear import matrix_product, transposed
from nxconvert.frontends.pytorch.ops.loops import repeat
from nxconvert.frontends.pytorch.ops.resample import counting
from nxconvert.frontends.pytorch.ops.select import diagonal_of
from nxconvert.frontends.pytorch.table import Builder, Int, Ints, Value, aten
from nxconvert.graph.dims import product


def _info(op: Builder, a: Value) -> Value:
    """LAPACK's word for success, a matrix each."""
    return op.expand(op.const(0, DataType.INT32), a.dims[:-2])


def _diagonal(op: Builder, a: Value) -> Value:
    return diagonal_of(op, a, 0, -2, -1)


# ---- determinants ---------------------------------------------------------------------------------------------------


def _triangular(op: Builder, a: Value) -> tuple[Value, Value]:
    """The diagonal of ``U``, and the sign of the permutation."""
    el.want_matrices(a, square=True)
    combined, pivots, _ = el.lu(op, a)
    moved = op.Not(op.Equal(pivots, op.Cast(op.Add(counting(op, a.dims[-1], DataType.INT64), 1), to=DataType.INT32)))
    signs = op.Where(moved, op.const(-1, a.etype), op.const(1, a.etype))
    return _diagonal(op, combined), op.ReduceProd(signs, [-1], keepdims=0)


@aten("linalg_det", "det")
def det(op: Builder, A: Value) -> Value:
    el.want_matrices(A, square=True)
    if A.etype != DataType.DOUBLE:
        return op.Det(A)
    diagonal, sign = _triangular(op, A)
    return op.Mul(op.ReduceProd(diagonal, [-1], keepdims=0), sign)


@aten("_linalg_det")
def det_with_factors(op: Builder, A: Value) -> tuple[Value, None, None]:
    """The factors serve the gradient, and which ones they are depends on strides."""
    return det(op, A), None, None


@aten("linalg_slogdet", "slogdet")
def slogdet(op: Builder, A: Value) -> tuple[Value, Value]:
    diagonal, sign = _triangular(op, A)
    sign = op.Mul(sign, op.ReduceProd(op.Sign(diagonal), [-1], keepdims=0))
    return sign, op.ReduceSum(op.Log(op.Abs(diagonal)), [-1], keepdims=0)


@aten("_linalg_slogdet")
def slogdet_with_factors(op: Builder, A: Value) -> tuple[Value, Value, None, None]:
    return *slogdet(op, A), None, None


@aten("logdet")
def logdet(op: Builder, self: Value) -> Value:
    """NaN for a negative determinant."""
    sign, logarithm = slogdet(op, self)
    return op.Add(op.Log(sign), logarithm)


# ---- inverses and systems -------------------------------------------------------------------------------------------


@aten("linalg_inv", "inverse")
def inverse(op: Builder, A: Value) -> Value:
    el.want_matrices(A, square=True)
    return el.solve(op, A, el.identity(op, A.dims[-1], A.etype))


@aten("linalg_inv_ex")
def inverse_ex(op: Builder, A: Value, *, check_errors: bool = False) -> tuple[Value, Value]:
    return inverse(op, A), _info(op, A)


def _solve(op: Builder, a: Value, b: Value, left: bool) -> Value:
    """``a · x = b``, or ``x · a = b``; ``b`` may be a batch of vectors (``torch.linalg.solve``)."""
    vectors = b.rank == 1 or (b.rank == a.rank - 1 and b.dims == a.dims[:-1])
    if vectors:
        return op.Squeeze(_solve(op, a, op.Unsqueeze(b, [-1]), left), [-1])
    if left:
        return el.solve(op, a, b)
    return transposed(op, el.solve(op, transposed(op, a), transposed(op, b)))


@aten("linalg_solve")
def linalg_solve(op: Builder, A: Value, B: Value, *, left: bool = True) -> Value:
    return _solve(op, A, B, left)


@aten("linalg_solve_ex")
def linalg_solve_ex(
    op: Builder, A: Value, B: Value, *, left: bool = True, check_errors: bool = False
) -> tuple[Value, Value]:
    return _solve(op, A, B, left), _info(op, A)


@aten("_linalg_solve_ex")
def solve_with_factors(
    op: Builder, A: Value, B: Value, *, left: bool = True, check_errors: bool = False
) -> tuple[Value, None, None, Value]:
    return _solve(op, A, B, left), None, None, _info(op, A)


@aten("linalg_solve_triangular")
def linalg_solve_triangular(
    op: Builder, self: Value, B: Value, *, upper: bool, left: bool = True, unitriangular: bool = False
) -> Value:
    if left:
        return el.solve_triangular(op, self, B, upper, unitriangular)
    flipped = el.solve_triangular(op, transposed(op, self), transposed(op, B), not upper, unitriangular)
    return transposed(op, flipped)


@aten("triangular_solve")
def triangular_solve(
    op: Builder, self: Value, A: Value, upper: bool = True, transpose: bool = False, unitriangular: bool = False
) -> tuple[Value, Value]:
    a, triangle = (transposed(op, A), not upper) if transpose else (A, upper)
    return el.solve_triangular(op, a, self, triangle, unitriangular), el.broadcast_batch(op, A, self)


@aten("linalg_tensorinv")
def tensorinv(op: Builder, self: Value, ind: Int = 2) -> Value:
    """The inverse of the map from the axes after ``ind`` to those before."""
    split = static_ints(ind, "the number of axes")[0]
    front, back = self.dims[:split], self.dims[split:]
    matrix = op.reshape(self, [product(front), product(front)])
    return op.reshape(inverse(op, matrix), [*back, *front])


@aten("linalg_tensorsolve")
def tensorsolve(op: Builder, self: Value, other: Value, dims: Ints | None = None) -> Value:
    """``x`` whose product with the last axes of ``self`` is ``other``."""
    if dims is not None:
        moved = [axis_of(dim, self.rank) for dim in static_ints(dims, "an axis")]
        self = op.Transpose(self, perm=[*(axis for axis in range(self.rank) if axis not in moved), *moved])
    size = product(other.dims)
    matrix = op.reshape(self, [size, size])
    solution = el.solve(op, matrix, op.reshape(other, [size, 1]))
    return op.reshape(solution, self.dims[other.rank :])


# ---- LU -------------------------------------------------------------------------------------------------------------


@aten("linalg_lu_factor")
def lu_factor(op: Builder, A: Value, *, pivot: bool = True) -> tuple[Value, Value]:
    return el.lu(op, A, pivot)[:2]


@aten("linalg_lu_factor_ex")
def lu_factor_ex(
    op: Builder, A: Value, *, pivot: bool = True, check_errors: bool = False
) -> tuple[Value, Value, Value]:
    return *lu_factor(op, A, pivot=pivot), _info(op, A)


@aten("_lu_with_info")
def lu_with_info(op: Builder, self: Value, pivot: bool = True, check_errors: bool = True) -> tuple[Value, Value, Value]:
    return lu_factor_ex(op, self, pivot=pivot)


@aten("linalg_lu")
def linalg_lu(op: Builder, A: Value, *, pivot: bool = True) -> tuple[Value, Value, Value]:
    """The permutation (empty without pivoting), ``L`` and ``U``."""
    combined, _, order = el.lu(op, A, pivot)
    p = el.permutation(op, order, A.etype) if pivot else op.const(np.zeros(0), A.etype)
    return p, *el.lower_and_upper(op, combined)


@aten("lu_unpack")
def lu_unpack(
    op: Builder, LU_data: Value, LU_pivots: Value, unpack_data: bool = True, unpack_pivots: bool = True
) -> tuple[Value, Value, Value]:
    """The permutation, ``L`` and ``U``; empty where they are not wanted."""
    nothing = op.const(np.zeros(0), LU_data.etype)
    p, parts = nothing, (nothing, nothing)
    if unpack_pivots:
        order = el.order_of_pivots(op, LU_pivots, LU_data.dims[-2])
        p = el.permutation(op, order, LU_data.etype)
    if unpack_data:
        parts = el.lower_and_upper(op, LU_data)
    return p, *parts


@aten("linalg_lu_solve")
def linalg_lu_solve(
    op: Builder, LU: Value, pivots: Value, B: Value, *, left: bool = True, adjoint: bool = False
) -> Value:
    """``A · X = B`` with ``A = P · L · U``; ``X · A = B`` and transposes by way of the transposed system."""
    if not left:
        return transposed(op, linalg_lu_solve(op, LU, pivots, transposed(op, B), adjoint=not adjoint))
    order = el.order_of_pivots(op, pivots, LU.dims[-2])
    p = el.permutation(op, order, LU.etype)
    if adjoint:
        flipped = transposed(op, LU)
        y = el.solve_triangular(op, flipped, B, upper=False)
        return matrix_product(op, p, el.solve_triangular(op, flipped, y, upper=True, unit=True))
    y = el.solve_triangular(op, LU, matrix_product(op, transposed(op, p), B), upper=False, unit=True)
    return el.solve_triangular(op, LU, y, upper=True)


@aten("lu_solve")
def lu_solve(op: Builder, self: Value, LU_data: Value, LU_pivots: Value) -> Value:
    return linalg_lu_solve(op, LU_data, LU_pivots, self)


# ---- Cholesky -------------------------------------------------------------------------------------------------------


@aten("linalg_cholesky")
def linalg_cholesky(op: Builder, self: Value, *, upper: bool = False) -> Value:
    """Of the triangle that is asked for; the other one is not read."""
    if upper:
        return transposed(op, el.cholesky(op, transposed(op, self)))
    return el.cholesky(op, self)


@aten("cholesky")
def cholesky(op: Builder, self: Value, upper: bool = False) -> Value:
    return linalg_cholesky(op, self, upper=upper)


@aten("linalg_cholesky_ex")
def cholesky_ex(op: Builder, self: Value, *, upper: bool = False, check_errors: bool = False) -> tuple[Value, Value]:
    return linalg_cholesky(op, self, upper=upper), _info(op, self)


@aten("cholesky_solve")
def cholesky_solve(op: Builder, self: Value, input2: Value, upper: bool = False) -> Value:
    """``A · x = self``, given the Cholesky factor of ``A``."""
    flipped = transposed(op, input2)
    lower, over = (flipped, input2) if upper else (input2, flipped)
    return el.solve_triangular(op, over, el.solve_triangular(op, lower, self, upper=False), upper=True)


@aten("cholesky_inverse")
def cholesky_inverse(op: Builder, self: Value, upper: bool = False) -> Value:
    return cholesky_solve(op, el.identity(op, self.dims[-1], self.etype), self, upper)


# ---- powers and the rest --------------------------------------------------------------------------------------------


@aten("linalg_matrix_power", "matrix_power")
def matrix_power(op: Builder, self: Value, n: Int) -> Value:
    """By squaring; a negative power is one of the inverse."""
    el.want_matrices(self, square=True)
    power = static_ints(n, "the power")[0]
    if power == 0:
        return op.expand(el.identity(op, self.dims[-1], self.etype), self.dims)
    square = inverse(op, self) if power < 0 else self
    result: Value | None = None
    for bit in bin(abs(power))[:1:-1]:
        if bit == "1":
            result = square if result is None else matrix_product(op, result, square)
        # Of the last square nothing is taken: it is left to the cleanup.
        square = matrix_product(op, square, square)
    assert result is not None
    return op.Identity(result) if result is self else result


@aten("linalg_matrix_exp", "matrix_exp")
def matrix_exp(op: Builder, self: Value) -> Value:
    """A Taylor polynomial of the matrix scaled down below a norm of 1/2, squared as often as it was halved."""
    el.want_matrices(self, square=True)
    dtype = self.etype
    sums = op.reshape(op.ReduceL1(self, [-2], keepdims=0), [product((*self.dims[:-2], self.dims[-1]))])
    # One more number, for a batch of nothing and for a matrix of zeros.
    norm = op.ReduceMax(op.Concat(sums, op.const([0.25], dtype), axis=0), keepdims=0)
    doublings = op.Div(op.Log(norm), op.const(math.log(2), dtype))
    halvings = op.Relu(op.Ceil(op.Add(doublings, op.const(1, dtype))))
    scaled = op.Div(self, op.Pow(op.const(2, dtype), halvings))
    one = el.identity(op, self.dims[-1], dtype)
    terms = 18

    def horner(b: Builder, turn: Value, y: Value) -> list[Value]:
        divisor = b.cast(b.Sub(terms, turn), dtype)
        return [b.Add(one, b.Div(b.MatMul(scaled, y), divisor))]

    (y,) = repeat(op, terms, [op.expand(one, self.dims)], horner)
    count = op.symbol_of(op.Cast(halvings, to=DataType.INT64), "halvings", low=0)
    return repeat(op, count, [y], lambda b, turn, y: [b.MatMul(y, y)])[0]


@aten("linalg_vander")
def vander(op: Builder, x: Value, *, N: Int | None = None) -> Value:
    """The powers of each element, from 0 to ``N - 1``."""
    vectors = x if x.rank else op.Unsqueeze(x, [0])
    dtype = DataType.INT64 if vectors.etype not in (DataType.FLOAT, DataType.DOUBLE, DataType.FLOAT16) else x.etype
    powers = counting(op, vectors.dims[-1] if N is None else N, DataType.INT64)
    return op.Pow(op.Unsqueeze(op.cast(vectors, dtype), [-1]), op.cast(powers, dtype))


@aten("linalg_diagonal")
def linalg_diagonal(op: Builder, A: Value, *, offset: Int = 0, dim1: Int = -2, dim2: Int = -1) -> Value:
    return diagonal_of(op, A, offset, dim1, dim2)

"""The gamma function's relatives: logarithm, derivatives, incomplete integrals, and Hurwitz's zeta function."""

from __future__ import annotations

import math

import numpy as np

from nxconvert.frontends.pytorch.ops.common import float_input, static_ints
from nxconvert.frontends.pytorch.ops.quadrature import double, spread, through_double, weighted_sum
from nxconvert.frontends.pytorch.table import Builder, Int, Number, Value, aten
from nxconvert.graph.widening import where

# Asymptotic series are evaluated at x + _SHIFT, recurrences lead back to x.
_SHIFT = 10
_BERNOULLI = {2: 1 / 6, 4: -1 / 30, 6: 1 / 42, 8: -1 / 30, 10: 5 / 66}


def _steps(op: Builder, x: Value, count: int = _SHIFT) -> Value:
    """``x, x + 1, ...`` along a new last axis."""
    return op.Add(spread(op, x), double(op, np.arange(count)))


def _sum(op: Builder, terms: Value) -> Value:
    return op.ReduceSum(terms, [-1], keepdims=0)


def _polynomial(op: Builder, x: Value, coefficients: list[float]) -> Value:
    """Horner's scheme, the highest power first."""
    result = double(op, coefficients[0])
    for coefficient in coefficients[1:]:
        result = op.Add(op.Mul(result, x), coefficient)
    return result


def _fraction(op: Builder, x: Value) -> Value:
    """The part above the floor: sin and cos of pi times it are those of x but for the sign, and exact at integers."""
    return op.Sub(x, op.Floor(x))


# ---- log gamma -----------------------------------------------------------------------------------------------------


def _log_gamma_right(op: Builder, x: Value) -> Value:
    """The logarithm of gamma for x >= 1/2, by Stirling's series."""
    y = op.Add(x, float(_SHIFT))
    inverse = op.Reciprocal(y)
    terms = [_BERNOULLI[k] / (k * (k - 1)) for k in (6, 4, 2)]
    correction = op.Mul(_polynomial(op, op.Mul(inverse, inverse), terms), inverse)
    main = op.Sub(op.Mul(op.Sub(y, 0.5), op.Log(y)), y)
    stirling = op.Add(op.Add(main, correction), 0.5 * math.log(2 * math.pi))
    return op.Sub(stirling, _sum(op, op.Log(_steps(op, x))))


def log_gamma(op: Builder, x: Value) -> Value:
    """The logarithm of |gamma(x)|, in float64; left of 1/2 by reflection: gamma(x) gamma(1 - x) = pi / sin(pi x)."""
    mirrored = op.Less(x, 0.5)
    right = _log_gamma_right(op, where(op, mirrored, op.Sub(1.0, x), x))
    sine = op.Abs(op.Sin(op.Mul(_fraction(op, x), math.pi)))
    return where(op, mirrored, op.Sub(op.Sub(math.log(math.pi), op.Log(sine)), right), right)


@aten("lgamma", "special_gammaln")
@through_double
def lgamma(op: Builder, self: Value) -> Value:
    return log_gamma(op, self)


@aten("mvlgamma", "special_multigammaln")
def mvlgamma(op: Builder, self: Value, p: Int) -> Value:
    """The logarithm of the multivariate gamma function of dimension ``p``."""
    (order,) = static_ints(p, "the dimension of the gamma function")

    @through_double
    def lowering(op: Builder, x: Value) -> Value:
        terms = log_gamma(op, op.Sub(spread(op, x), double(op, np.arange(order) / 2)))
        return op.Add(_sum(op, terms), order * (order - 1) / 4 * math.log(math.pi))

    return lowering(op, self)


# ---- derivatives ---------------------------------------------------------------------------------------------------


def _digamma(op: Builder, x: Value) -> Value:
    """Left of zero by reflection: psi(1 - x) - psi(x) = pi / tan(pi x)."""
    mirrored = op.LessOrEqual(x, 0.0)
    right = where(op, mirrored, op.Sub(1.0, x), x)
    y = op.Add(right, float(_SHIFT))
    inverse = op.Reciprocal(y)
    square = op.Mul(inverse, inverse)
    tail = op.Mul(_polynomial(op, square, [_BERNOULLI[k] / k for k in (8, 6, 4, 2)]), square)
    asymptotic = op.Sub(op.Sub(op.Log(y), op.Mul(inverse, 0.5)), tail)
    psi = op.Sub(asymptotic, _sum(op, op.Reciprocal(_steps(op, right))))
    angle = op.Mul(_fraction(op, x), math.pi)
    reflected = op.Sub(psi, op.Div(op.Mul(op.Cos(angle), math.pi), op.Sin(angle)))
    pole = op.And(op.Less(x, 0.0), op.Equal(angle, 0.0))
    reflected = where(op, pole, double(op, math.nan), reflected)
    return where(op, mirrored, reflected, psi)


@aten("digamma", "special_digamma", "special_psi")
@through_double
def digamma(op: Builder, self: Value) -> Value:
    """The logarithmic derivative of gamma: minus infinity at zero, NaN at the other poles."""
    return _digamma(op, self)


@aten("polygamma", "special_polygamma")
def polygamma(op: Builder, n: Int, self: Value) -> Value:
    """The n-th derivative of digamma: (-1)^(n + 1) n! zeta(n + 1, x)."""
    (order,) = static_ints(n, "the order of the polygamma function")
    if order == 0:
        return digamma(op, self)
    factor = (-1) ** (order + 1) * math.factorial(order)

    @through_double
    def lowering(op: Builder, x: Value) -> Value:
        right = op.Mul(_zeta(op, double(op, order + 1), x), float(factor))
        if order > 1:
            return right
        # Left of zero: psi'(x) + psi'(1 - x) = (pi / sin(pi x))^2.
        mirrored = op.Less(x, 0.5)
        value = _zeta(op, double(op, 2), where(op, mirrored, op.Sub(1.0, x), x))
        ratio = op.Div(math.pi, op.Sin(op.Mul(_fraction(op, x), math.pi)))
        return where(op, mirrored, op.Sub(op.Mul(ratio, ratio), value), value)

    return lowering(op, float_input(op, self))


# ---- Hurwitz's zeta function ---------------------------------------------------------------------------------------

_ZETA_TERMS = 24


def _zeta(op: Builder, s: Value, q: Value) -> Value:
    """The sum of (q + k)^-s: the first terms, and the rest by Euler's and Maclaurin's formula."""
    negative = op.Neg(s)
    head = _sum(op, op.Pow(_steps(op, q, _ZETA_TERMS), spread(op, negative)))
    y = op.Add(q, float(_ZETA_TERMS))
    last = op.Pow(y, negative)
    rest = op.Add(op.Div(op.Mul(last, y), op.Sub(s, 1.0)), op.Mul(last, 0.5))
    rising, power = s, op.Div(last, y)
    for k in (2, 4, 6):
        rest = op.Add(rest, op.Mul(op.Mul(rising, power), _BERNOULLI[k] / math.factorial(k)))
        rising = op.Mul(rising, op.Mul(op.Add(s, float(k - 1)), op.Add(s, float(k))))
        power = op.Div(power, op.Mul(y, y))
    return op.Add(head, rest)


@through_double
def _zeta_everywhere(op: Builder, s: Value, q: Value) -> Value:
    """Infinite at the poles (s = 1; q a whole number up to zero), NaN left of s = 1."""
    pole = op.And(op.LessOrEqual(q, 0.0), op.Equal(q, op.Floor(q)))
    pole = op.Or(pole, op.Equal(s, 1.0))
    value = where(op, pole, double(op, math.inf), _zeta(op, s, q))
    return where(op, op.Less(s, 1.0), double(op, math.nan), value)


@aten("special_zeta")
def zeta(op: Builder, self: Value | Number, other: Value | Number) -> Value:
    return _zeta_everywhere(op, self, other)


# ---- incomplete gamma functions ------------------------------------------------------------------------------------

_SERIES_TERMS = 256
_SERIES_REACH = 100.0
_LAGUERRE_NODES = 32


def _lower_gamma(op: Builder, a: Value, x: Value) -> Value:
    """The regularized lower incomplete gamma function.

    The power series (for x up to 100, or up to a + 1), x^a exp(-x) / gamma(a + 1) times the sum of the products of
    x / (a + k); beyond, one less the upper function, its integral by the rule of Gauss and Laguerre.
    """
    growth = op.Sub(op.Mul(a, op.Log(x)), x)
    steps = op.Add(spread(op, a), double(op, np.arange(1, _SERIES_TERMS)))
    products = op.Exp(op.CumSum(op.Log(op.Div(spread(op, x), steps)), -1))
    series = op.Mul(op.Add(_sum(op, products), 1.0), op.Exp(op.Sub(growth, log_gamma(op, op.Add(a, 1.0)))))
    nodes, weights = np.polynomial.laguerre.laggauss(_LAGUERRE_NODES)
    ratio = op.Add(op.Div(double(op, nodes), spread(op, x)), 1.0)
    upper = weighted_sum(op, op.Pow(ratio, spread(op, op.Sub(a, 1.0))), weights)
    upper = op.Mul(op.Div(upper, x), op.Exp(op.Sub(growth, log_gamma(op, a))))
    near = op.Or(op.LessOrEqual(x, _SERIES_REACH), op.LessOrEqual(x, op.Add(a, 1.0)))
    undefined = op.Or(op.Less(a, 0.0), op.Less(x, 0.0))
    return where(op, undefined, double(op, math.nan), where(op, near, series, op.Sub(1.0, upper)))


@aten("igamma", "special_gammainc")
@through_double
def igamma(op: Builder, self: Value, other: Value) -> Value:
    return _lower_gamma(op, self, other)


@aten("igammac", "special_gammaincc")
@through_double
def igammac(op: Builder, self: Value, other: Value) -> Value:
    return op.Sub(1.0, _lower_gamma(op, self, other))

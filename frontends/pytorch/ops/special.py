"""The error function's relatives, entropies and the like. (Gamma, Bessel and polynomials have files of their own.)"""

from __future__ import annotations

import functools
import math

import numpy as np

from nxconvert.frontends.pytorch.ops.common import float_input, promote
from nxconvert.frontends.pytorch.ops.functions import log1p
from nxconvert.frontends.pytorch.ops.quadrature import chebyshev_series, double, through_double
from nxconvert.frontends.pytorch.table import Builder, Number, Value, aten
from nxconvert.graph.widening import emit, where

SQRT_HALF = math.sqrt(0.5)


# ---- x log y -------------------------------------------------------------------------------------------------------


def _times_log(op: Builder, x: Value, y: Value, log: Value) -> Value:
    """``x * log``; zero times anything but NaN is zero."""
    zero = op.And(op.Equal(x, 0.0), op.Not(op.IsNaN(y)))
    return where(op, zero, op.const(0.0, x.etype), op.Mul(x, log))


@aten("xlogy", "special_xlogy")
def xlogy(op: Builder, self: Value | Number, other: Value | Number) -> Value:
    x, y = promote(op, self, other, to_float=True)
    return _times_log(op, x, y, op.Log(y))


@aten("special_xlog1py")
def xlog1py(op: Builder, self: Value | Number, other: Value | Number) -> Value:
    x, y = promote(op, self, other, to_float=True)
    return _times_log(op, x, y, log1p(op, y))


@aten("special_entr")
def entr(op: Builder, self: Value) -> Value:
    """``-x log(x)``: 0 at zero, minus infinity below."""
    x = float_input(op, self)
    inside = where(op, op.Equal(x, 0.0), x, op.Neg(op.Mul(x, op.Log(x))))
    return where(op, op.Less(x, 0.0), op.const(float("-inf"), x.etype), inside)


# ---- the normal distribution ---------------------------------------------------------------------------------------


@aten("special_ndtr")
def ndtr(op: Builder, self: Value) -> Value:
    """The probability of at most x."""
    x = float_input(op, self)
    return op.Mul(op.Add(emit(op, "Erf", op.Mul(x, SQRT_HALF)), 1.0), 0.5)


@aten("special_log_ndtr")
@through_double
def log_ndtr(op: Builder, self: Value) -> Value:
    """The logarithm of ``ndtr``, which below zero is that of the tail: exp(-x^2/2) erfcx(-x/sqrt(2)) / 2."""
    exponent = op.Mul(op.Mul(self, self), -0.5)
    tail = op.Mul(_scaled_erfc(op, op.Mul(op.Abs(self), SQRT_HALF)), 0.5)
    above = op.Log(op.Sub(1.0, op.Mul(tail, op.Exp(exponent))))
    return where(op, op.Less(self, 0.0), op.Add(op.Log(tail), exponent), above)


def _scaled_erfc(op: Builder, x: Value) -> Value:
    """``exp(x^2) erfc(x)`` for x >= 0: (1 + 2x) times it is smooth in (x - K) / (x + K) up to infinity.

    M. Shepherd and J. Laframboise, "Chebyshev approximation of (1 + 2x) exp(x^2) erfc x" (1981).
    """
    # K / (x + K) goes to zero where a quotient of infinities would be NaN.
    t = op.Sub(1.0, op.Div(2 * _MIDDLE, op.Add(x, _MIDDLE)))
    return op.Div(chebyshev_series(op, t, _scaled_erfc_series()), op.Add(op.Mul(x, 2.0), 1.0))


_MIDDLE = 3.75


@functools.lru_cache(maxsize=1)
def _scaled_erfc_series() -> np.ndarray:
    def function(t: float) -> float:
        x = _MIDDLE * (1 + t) / (1 - t)
        if x < 20:
            return (1 + 2 * x) * math.exp(x * x) * math.erfc(x)
        y = 1 / (2 * x * x)
        return (1 + 2 * x) / (x * math.sqrt(math.pi)) * (1 - y + 3 * y**2 - 15 * y**3)

    return np.polynomial.chebyshev.chebinterpolate(np.vectorize(function), 24)


@aten("special_erfcx")
@through_double
def erfcx(op: Builder, self: Value) -> Value:
    """``exp(x^2) erfc(x)``; below zero it is 2 exp(x^2) less its reflection."""
    scaled = _scaled_erfc(op, op.Abs(self))
    return where(op, op.Less(self, 0.0), op.Sub(op.Mul(op.Exp(op.Mul(self, self)), 2.0), scaled), scaled)


# ---- inverses of the error function --------------------------------------------------------------------------------


@aten("erfinv", "special_erfinv")
@through_double
def erfinv(op: Builder, self: Value) -> Value:
    return _inverse_erf(op, self, op.Mul(op.Sub(1.0, self), op.Add(self, 1.0)))


@aten("special_ndtri")
@through_double
def ndtri(op: Builder, self: Value) -> Value:
    """The x that ``ndtr`` takes to ``self``: sqrt(2) erfinv(2 p - 1), where 1 - (2 p - 1)^2 is 4 p (1 - p)."""
    complement = op.Mul(op.Mul(self, 4.0), op.Sub(1.0, self))
    return op.Mul(_inverse_erf(op, op.Sub(op.Mul(self, 2.0), 1.0), complement), math.sqrt(2.0))


def _inverse_erf(op: Builder, x: Value, complement: Value) -> Value:
    """The inverse of erf at ``x``, whose ``complement`` is 1 - x^2: its ratio to x is smooth in sqrt(-log(1 - x^2))."""
    s = op.Sqrt(op.Neg(op.Log(complement)))
    ratio = chebyshev_series(op, op.Sub(op.Mul(s, 2 / _FAR), 1.0), _inverse_erf_series())
    infinite = op.Mul(x, double(op, math.inf))
    return where(op, op.Equal(complement, 0.0), infinite, op.Mul(x, ratio))


# The complement of float32's least number is exp(-_FAR**2).
_FAR = 10.5


@functools.lru_cache(maxsize=1)
def _inverse_erf_series() -> np.ndarray:
    def function(t: float) -> float:
        s = (t + 1) / 2 * _FAR
        complement = math.exp(-s * s)
        x = math.sqrt(1 - complement)
        target = math.log(complement / (1 + x))  # log(erfc(y)), by Newton's method
        y = s
        for _ in range(30):
            tail = math.erfc(y)
            y += (math.log(tail) - target) * tail * math.sqrt(math.pi) / 2 * math.exp(y * y)
        return y / x

    return np.polynomial.chebyshev.chebinterpolate(np.vectorize(function), 48)

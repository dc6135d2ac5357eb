"""Bessel's functions of order 0 and 1, modified and not, and Airy's function: their integral representations.

Sources of the formulas: NIST Digital Library of Mathematical Functions, 9.5, 9.7, 10.9, 10.17, 10.32.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from nxconvert.frontends.pytorch.ops.quadrature import double, integral, through_double
from nxconvert.frontends.pytorch.table import Builder, Value, aten
from nxconvert.graph.widening import where

# An integrand that has fallen to exp(-_NOTHING) is over.
_NOTHING = 40.0
# Beyond this the oscillations outrun the quadrature's points, and the asymptotic expansions are exact to float32.
_FAR = 50.0


# ---- J and Y -------------------------------------------------------------------------------------------------------


def _quarter(op: Builder, x: Value, function: Callable[[Value, Value], Value]) -> Value:
    """2/pi times the integral over [0, pi/2] of ``function(sin a, x sin a)``."""
    scale = op.Unsqueeze(x, [-1])

    def integrand(angle: Value) -> Value:
        sine = op.Sin(angle)
        return function(sine, op.Mul(scale, sine))

    return op.Mul(integral(op, op.const(math.pi / 2, x.etype), integrand), 2 / math.pi)


def _expansion(op: Builder, x: Value, order: int) -> tuple[Value, Value, Value, Value]:
    """Hankel's expansion for large x (10.17.3): amplitude times P, times Q, cosine and sine of the phase."""
    mu = 4.0 * order * order
    inverse = op.Reciprocal(op.Mul(x, 8.0))
    square = op.Mul(inverse, inverse)
    p = op.Sub(1.0, op.Mul(square, (mu - 1) * (mu - 9) / 2))
    q = op.Mul(inverse, op.Sub(mu - 1, op.Mul(square, (mu - 1) * (mu - 9) * (mu - 25) / 6)))
    amplitude = op.Sqrt(op.Div(2 / math.pi, x))
    phase = op.Sub(x, (order / 2 + 0.25) * math.pi)
    return op.Mul(amplitude, p), op.Mul(amplitude, q), op.Cos(phase), op.Sin(phase)


def _near_or_far(op: Builder, x: Value, near: Callable[[Value], Value], far: Callable[[Value], Value]) -> Value:
    """Both representations, each computed where it is good and at a harmless point elsewhere."""
    is_near = op.Less(x, _FAR)
    limit = double(op, _FAR)
    return where(op, is_near, near(op.Min(x, limit)), far(op.Max(x, limit)))


def _first_kind(op: Builder, x: Value, order: int) -> Value:
    """J of |x|."""

    def near(x: Value) -> Value:
        if order == 0:
            return _quarter(op, x, lambda sine, product: op.Cos(product))
        return _quarter(op, x, lambda sine, product: op.Mul(sine, op.Sin(product)))

    def far(x: Value) -> Value:
        p, q, cosine, sine = _expansion(op, x, order)
        return op.Sub(op.Mul(p, cosine), op.Mul(q, sine))

    return _near_or_far(op, op.Abs(x), near, far)


@aten("special_bessel_j0")
@through_double
def bessel_j0(op: Builder, self: Value) -> Value:
    return _first_kind(op, self, 0)


@aten("special_bessel_j1")
@through_double
def bessel_j1(op: Builder, self: Value) -> Value:
    return op.Mul(op.Sign(self), _first_kind(op, self, 1))


def _second_kind(op: Builder, x: Value, order: int) -> Value:
    """Y by Schlaefli's integral (10.9.7); minus infinity at zero, NaN below."""

    def near(x: Value) -> Value:
        if order == 0:
            oscillating = _quarter(op, x, lambda sine, product: op.Sin(product))
        else:
            oscillating = op.Neg(_quarter(op, x, lambda sine, product: op.Mul(sine, op.Cos(product))))
        # asinh(z) is less than log(1 + 2 z).
        upper = op.Log(op.Add(op.Div(2 * _NOTHING, x), 1.0))
        scale = op.Unsqueeze(x, [-1])

        def decaying(t: Value) -> Value:
            grown = op.Exp(t)
            sinh = op.Mul(op.Sub(grown, op.Reciprocal(grown)), 0.5)
            fallen = op.Exp(op.Neg(op.Mul(scale, sinh)))
            return op.Mul(sinh, fallen) if order else fallen

        return op.Sub(oscillating, op.Mul(integral(op, upper, decaying), 2 / math.pi))

    def far(x: Value) -> Value:
        p, q, cosine, sine = _expansion(op, x, order)
        return op.Add(op.Mul(p, sine), op.Mul(q, cosine))

    return where(op, op.Equal(x, 0.0), double(op, -math.inf), _near_or_far(op, x, near, far))


@aten("special_bessel_y0")
@through_double
def bessel_y0(op: Builder, self: Value) -> Value:
    return _second_kind(op, self, 0)


@aten("special_bessel_y1")
@through_double
def bessel_y1(op: Builder, self: Value) -> Value:
    return _second_kind(op, self, 1)


@aten("special_spherical_bessel_j0")
@through_double
def spherical_bessel_j0(op: Builder, x: Value) -> Value:
    """``sin(x) / x``."""
    return where(op, op.Equal(x, 0.0), double(op, 1.0), op.Div(op.Sin(x), x))


# ---- I and K -------------------------------------------------------------------------------------------------------


def _modified_first_kind(op: Builder, x: Value, order: int) -> Value:
    """``exp(-|x|) I(x)`` (10.32.1), 2/pi times the integral of exp(-2 |x| sin^2 a) [cos 2a] over [0, pi/2]."""
    size = op.Abs(x)
    # sin(a) is at least 2 a / pi.
    upper = op.Mul(op.Min(op.Sqrt(op.Div(_NOTHING / 2, size)), 1.0), math.pi / 2)
    scale = op.Unsqueeze(size, [-1])

    def integrand(angle: Value) -> Value:
        sine = op.Sin(angle)
        square = op.Mul(op.Mul(sine, sine), 2.0)
        fallen = op.Exp(op.Neg(op.Mul(scale, square)))
        return op.Mul(fallen, op.Sub(1.0, square)) if order else fallen

    result = op.Mul(integral(op, upper, integrand), 2 / math.pi)
    return op.Mul(result, op.Sign(x)) if order else result


def _register_first_kind(order: int, scaled: str, *names: str) -> None:
    @aten(scaled)
    @through_double
    def exponentially_scaled(op: Builder, self: Value) -> Value:
        return _modified_first_kind(op, self, order)

    @aten(*names)
    @through_double
    def plain(op: Builder, self: Value) -> Value:
        return op.Mul(_modified_first_kind(op, self, order), op.Exp(op.Abs(self)))


_register_first_kind(0, "special_i0e", "i0", "special_i0", "special_modified_bessel_i0")
_register_first_kind(1, "special_i1e", "special_i1", "special_modified_bessel_i1")


def _modified_second_kind(op: Builder, x: Value, order: int) -> Value:
    """``exp(x) K(x)`` (10.32.9): the integral of exp(-x (cosh t - 1)) [cosh t]; infinite at zero, NaN below."""
    z = op.Div(_NOTHING, x)
    upper = op.Log(op.Add(op.Add(z, 1.0), op.Sqrt(op.Mul(z, op.Add(z, 2.0)))))
    scale = op.Unsqueeze(x, [-1])

    def integrand(t: Value) -> Value:
        grown = op.Exp(op.Mul(t, 0.5))
        twice_sinh = op.Sub(grown, op.Reciprocal(grown))
        excess = op.Mul(op.Mul(twice_sinh, twice_sinh), 0.5)  # cosh t - 1 without cancellation
        fallen = op.Exp(op.Neg(op.Mul(scale, excess)))
        return op.Mul(fallen, op.Add(excess, 1.0)) if order else fallen

    return where(op, op.Equal(x, 0.0), double(op, math.inf), integral(op, upper, integrand))


def _register_second_kind(order: int) -> None:
    @aten(f"special_scaled_modified_bessel_k{order}")
    @through_double
    def exponentially_scaled(op: Builder, x: Value) -> Value:
        return _modified_second_kind(op, x, order)

    @aten(f"special_modified_bessel_k{order}")
    @through_double
    def plain(op: Builder, self: Value) -> Value:
        return op.Mul(_modified_second_kind(op, self, order), op.Exp(op.Neg(self)))


_register_second_kind(0)
_register_second_kind(1)


# ---- Airy ----------------------------------------------------------------------------------------------------------


@aten("special_airy_ai")
@through_double
def airy_ai(op: Builder, x: Value) -> Value:
    """Airy's function Ai: its contour integral (9.5.4) along a line c + i s; far left the expansion 9.7.9.

    With c = sqrt(x) the line runs through the saddle point.
    """

    def near(x: Value) -> Value:
        c = op.Sqrt(op.Max(x, 1.0))
        square = op.Mul(c, c)
        detuned, narrow = op.Unsqueeze(op.Sub(square, x), [-1]), op.Unsqueeze(c, [-1])

        def integrand(s: Value) -> Value:
            squared = op.Mul(s, s)
            phase = op.Mul(s, op.Sub(detuned, op.Mul(squared, 1 / 3)))
            return op.Mul(op.Exp(op.Neg(op.Mul(narrow, squared))), op.Cos(phase))

        total = integral(op, op.Sqrt(op.Div(_NOTHING, c)), integrand, 128)
        height = op.Exp(op.Mul(c, op.Sub(op.Mul(square, 1 / 3), x)))
        return op.Mul(op.Mul(total, height), 1 / math.pi)

    def far(z: Value) -> Value:
        root = op.Sqrt(z)
        phase = op.Mul(op.Mul(z, root), 2 / 3)
        inverse = op.Reciprocal(phase)
        angle = op.Sub(phase, math.pi / 4)
        p = op.Mul(op.Cos(angle), op.Sub(1.0, op.Mul(op.Mul(inverse, inverse), 385 / 10368)))
        q = op.Mul(op.Sin(angle), op.Mul(inverse, 5 / 72))
        return op.Div(op.Add(p, q), op.Mul(op.Sqrt(root), math.sqrt(math.pi)))

    limit = 15.0
    is_far = op.Less(x, -limit)
    return where(op, is_far, far(op.Max(op.Neg(x), limit)), near(op.Max(x, -limit)))

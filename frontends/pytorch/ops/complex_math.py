"""Functions of complex numbers: exponentials, powers, circular and hyperbolic functions and their inverses.

The inverse functions and their cuts: W. Kahan, Branch Cuts for Complex Elementary Functions (1987).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from nxconvert.frontends.pytorch.compound import ComplexValue
from nxconvert.frontends.pytorch.dtypes import DataType
from nxconvert.frontends.pytorch.ops import complex as cx
from nxconvert.frontends.pytorch.ops.common import call, known
from nxconvert.frontends.pytorch.ops.compare import all_true
from nxconvert.frontends.pytorch.table import Builder, Complex, Number, Scalar, Value, aten


def _times_i(op: Builder, z: Complex) -> Complex:
    return ComplexValue(op.Neg(z.imag), z.real)


def _over_i(op: Builder, z: Complex) -> Complex:
    return ComplexValue(z.imag, op.Neg(z.real))


def _is_zero(op: Builder, z: Complex) -> Value:
    return op.Not(truth(op, z))


def truth(op: Builder, z: Complex) -> Value:
    """Which numbers are other than 0."""
    zero = op.const(0.0, z.etype)
    return op.Not(op.And(op.Equal(z.real, zero), op.Equal(z.imag, zero)))


def _chosen(op: Builder, condition: Value, a: Complex, b: Complex) -> Complex:
    return ComplexValue(op.Where(condition, a.real, b.real), op.Where(condition, a.imag, b.imag))


# ---- exponentials and logarithms -------------------------------------------------------------------------------------


@aten("exp")
def exp(op: Builder, self: Complex) -> Complex:
    return cx.polar(op, op.Exp(self.real), self.imag)


@aten("exp2")
def exp2(op: Builder, self: Complex) -> Complex:
    return exp(op, cx.product(op, self, math.log(2)))


@aten("expm1", "special_expm1")
def expm1(op: Builder, self: Complex) -> Complex:
    """``exp(x) cos(y) - 1`` is written so that small numbers lose no digits."""
    half = op.Sin(op.Mul(self.imag, op.const(0.5, self.etype)))
    lost = op.Mul(op.Mul(half, half), op.const(2.0, self.etype))
    real = op.Sub(op.Mul(call(op, "expm1", self.real), op.Cos(self.imag)), lost)
    return ComplexValue(real, op.Mul(op.Exp(self.real), op.Sin(self.imag)))


@aten("log")
def log(op: Builder, self: Complex) -> Complex:
    return ComplexValue(op.Log(cx.magnitude(op, self)), cx.angle(op, self))


@aten("log1p", "special_log1p")
def log1p(op: Builder, self: Complex) -> Complex:
    """``|1 + z|² - 1`` is ``x (2 + x) + y²``."""
    x, y = self.real, self.imag
    beyond = op.Add(op.Mul(x, op.Add(x, op.const(2.0, x.etype))), op.Mul(y, y))
    size = op.Mul(call(op, "log1p", beyond), op.const(0.5, x.etype))
    return ComplexValue(size, cx.angle(op, ComplexValue(op.Add(x, op.const(1.0, x.etype)), y)))


def _register_log(name: str, base: float) -> None:
    @aten(name)
    def logarithm(op: Builder, self: Complex) -> Complex:
        return cx.product(op, log(op, self), 1 / math.log(base))


_register_log("log2", 2)
_register_log("log10", 10)


# ---- powers ----------------------------------------------------------------------------------------------------------


@aten("sqrt")
def sqrt(op: Builder, self: Complex) -> Complex:
    """The part of the root that is sure comes from a sum, the other one from ``2 re im = y``."""
    x, half = self.real, op.const(0.5, self.etype)
    larger = op.Sqrt(op.Mul(op.Add(cx.magnitude(op, self), op.Abs(x)), half))
    nothing = op.Equal(larger, op.const(0.0, x.etype))
    divisor = op.Where(nothing, op.const(1.0, x.etype), larger)
    smaller = op.Div(op.Mul(op.Abs(self.imag), half), divisor)
    left = op.Less(x, op.const(0.0, x.etype))
    imag = call(op, "copysign", op.Where(left, larger, smaller), self.imag)
    return ComplexValue(op.Where(left, smaller, larger), imag)


@aten("rsqrt")
def rsqrt(op: Builder, self: Complex) -> Complex:
    return cx.reciprocal(op, sqrt(op, self))


@aten("pow")
def pow_(op: Builder, self: Complex, exponent: Number) -> Complex:
    """Small whole powers are products, others go through the angle."""
    power = known(exponent, "the exponent")
    if power == 0.5:
        return sqrt(op, self)
    if int(power) == power and 1 <= abs(power) <= 4:
        result = self
        for _ in range(int(abs(power)) - 1):
            result = cx.product(op, result, self)
        return result if power > 0 else cx.reciprocal(op, result)
    factor = op.const(float(power), self.etype)
    return cx.polar(op, op.Pow(cx.magnitude(op, self), factor), op.Mul(cx.angle(op, self), factor))


@aten("pow")
def general_power(op: Builder, self: Complex, exponent: Value | Complex) -> Complex:
    return _power(op, self, exponent)


@aten("pow")
def power_of_real(op: Builder, self: Value | Number, exponent: Complex) -> Complex:
    return _power(op, self, exponent)


def _power(op: Builder, base: Any, exponent: Any) -> Complex:
    """``exp(exponent log(base))``; a power of 0 is 0."""
    base, exponent = (cx.as_complex(op, x) for x in cx.pair(op, base, exponent))
    nothing = _is_zero(op, base)
    one, zero = (ComplexValue(op.const(x, base.etype), op.const(0.0, base.etype)) for x in (1.0, 0.0))
    y = exp(op, cx.product(op, exponent, log(op, _chosen(op, nothing, one, base))))
    return _chosen(op, op.And(nothing, truth(op, exponent)), zero, y)


@aten("float_power")
def float_power(op: Builder, self: Any, exponent: Complex) -> Complex:
    return _float_power(op, self, exponent)


@aten("float_power")
def float_power_of_complex(op: Builder, self: Complex, exponent: Any) -> Complex:
    return _float_power(op, self, exponent)


def _float_power(op: Builder, base: Any, exponent: Any) -> Complex:
    """In double precision."""
    wide = [x if isinstance(x, (int, float)) else cx.as_complex(op, x, DataType.DOUBLE) for x in (base, exponent)]
    result: Complex = call(op, "pow", *wide)
    return result


# ---- circular and hyperbolic functions -------------------------------------------------------------------------------


@aten("sin")
def sin(op: Builder, self: Complex) -> Complex:
    x, y = self.real, self.imag
    return ComplexValue(op.Mul(op.Sin(x), call(op, "cosh", y)), op.Mul(op.Cos(x), call(op, "sinh", y)))


@aten("cos")
def cos(op: Builder, self: Complex) -> Complex:
    x, y = self.real, self.imag
    imag = op.Neg(op.Mul(op.Sin(x), call(op, "sinh", y)))
    return ComplexValue(op.Mul(op.Cos(x), call(op, "cosh", y)), imag)


@aten("sinh")
def sinh(op: Builder, self: Complex) -> Complex:
    return _over_i(op, sin(op, _times_i(op, self)))


@aten("cosh")
def cosh(op: Builder, self: Complex) -> Complex:
    return cos(op, _times_i(op, self))


@aten("tanh")
def tanh(op: Builder, self: Complex) -> Complex:
    # With t = tanh(x) and n = tan(y) it is (t + i n) / (1 + i t n), and 1 - t² is 1 / cosh(x)².
    one = op.const(1.0, self.etype)
    t, n, wide = op.Tanh(self.real), call(op, "tan", self.imag), call(op, "cosh", self.real)
    mixed = op.Mul(t, n)
    size = op.Add(op.Mul(mixed, mixed), one)
    real = op.Div(op.Mul(t, op.Add(op.Mul(n, n), one)), size)
    return ComplexValue(real, op.Div(op.Div(n, op.Mul(wide, wide)), size))


@aten("tan")
def tan(op: Builder, self: Complex) -> Complex:
    return _over_i(op, tanh(op, _times_i(op, self)))


@aten("sigmoid", "special_expit")
def sigmoid(op: Builder, self: Complex) -> Complex:
    """``(1 + tanh(z / 2)) / 2``, which never overflows."""
    turned = tanh(op, cx.product(op, self, 0.5))
    return cx.product(op, cx.add(op, turned, 1), 0.5)


@aten("silu")
def silu(op: Builder, self: Complex) -> Complex:
    return cx.product(op, self, sigmoid(op, self))


@aten("sinc", "special_sinc")
def sinc(op: Builder, self: Complex) -> Complex:
    z = cx.product(op, self, math.pi)
    nothing = _is_zero(op, z)
    one = ComplexValue(op.const(1.0, z.etype), op.const(0.0, z.etype))
    return _chosen(op, nothing, one, cx.div(op, sin(op, z), _chosen(op, nothing, one, z)))


# ---- their inverses --------------------------------------------------------------------------------------------------


def _roots(op: Builder, z: Complex) -> tuple[Complex, Complex]:
    """The roots of ``1 - z`` and ``1 + z``."""
    return sqrt(op, cx.sub_from_real(op, 1.0, z)), sqrt(op, cx.add(op, z, 1.0))


def _wedge(op: Builder, a: Complex, b: Complex) -> Value:
    """The imaginary part of ``conj(a) b``."""
    return op.Sub(op.Mul(a.real, b.imag), op.Mul(a.imag, b.real))


@aten("asin", "arcsin")
def asin(op: Builder, self: Complex) -> Complex:
    below, above = _roots(op, self)
    real = op.Sub(op.Mul(below.real, above.real), op.Mul(below.imag, above.imag))
    return ComplexValue(call(op, "atan2", self.real, real), call(op, "asinh", _wedge(op, below, above)))


@aten("acos", "arccos")
def acos(op: Builder, self: Complex) -> Complex:
    below, above = _roots(op, self)
    real = op.Mul(call(op, "atan2", below.real, above.real), op.const(2.0, self.etype))
    return ComplexValue(real, call(op, "asinh", _wedge(op, above, below)))


@aten("asinh", "arcsinh")
def asinh(op: Builder, self: Complex) -> Complex:
    return _over_i(op, asin(op, _times_i(op, self)))


@aten("acosh", "arccosh")
def acosh(op: Builder, self: Complex) -> Complex:
    below, above = sqrt(op, cx.sub(op, self, 1.0)), sqrt(op, cx.add(op, self, 1.0))
    inner = op.Add(op.Mul(below.real, above.real), op.Mul(below.imag, above.imag))
    imag = op.Mul(call(op, "atan2", below.imag, above.real), op.const(2.0, self.etype))
    return ComplexValue(call(op, "asinh", inner), imag)


@aten("atanh", "arctanh")
def atanh(op: Builder, self: Complex) -> Complex:
    """The logarithm of ``(1 + z) / (1 - z)``, halved."""
    x, y = self.real, self.imag
    one = op.const(1.0, x.etype)
    below, square = op.Sub(one, x), op.Mul(y, y)
    ratio = op.Div(op.Mul(x, op.const(4.0, x.etype)), op.Add(op.Mul(below, below), square))
    real = op.Mul(call(op, "log1p", ratio), op.const(0.25, x.etype))
    turn = call(op, "atan2", op.Abs(op.Add(y, y)), op.Sub(op.Mul(below, op.Add(one, x)), square))
    return ComplexValue(real, call(op, "copysign", op.Mul(turn, op.const(0.5, x.etype)), y))


@aten("atan", "arctan")
def atan(op: Builder, self: Complex) -> Complex:
    return _over_i(op, atanh(op, _times_i(op, self)))


# ---- questions -------------------------------------------------------------------------------------------------------


def _register_question(name: str, join: Callable[[Builder, Value, Value], Value]) -> None:
    @aten(name)
    def question(op: Builder, self: Complex) -> Value:
        return join(op, *(call(op, name, part) for part in self.parts()))


_register_question("isnan", lambda op, a, b: op.Or(a, b))
_register_question("isinf", lambda op, a, b: op.Or(a, b))
_register_question("isfinite", lambda op, a, b: op.And(a, b))


@aten("isreal")
def isreal(op: Builder, self: Complex) -> Value:
    return op.Equal(self.imag, op.const(0.0, self.etype))


@aten("isclose")
def isclose(
    op: Builder, self: Complex, other: Complex, rtol: Number = 1e-05, atol: Number = 1e-08, equal_nan: bool = False
) -> Value:
    """Equal, or finite and within a distance that grows with ``other``."""
    a, b = (cx.as_complex(op, x) for x in cx.pair(op, self, other))
    allowed = op.Add(op.Mul(cx.magnitude(op, b), op.const(rtol, b.etype)), op.const(atol, b.etype))
    distance = cx.magnitude(op, cx.sub(op, a, b))
    finite = call(op, "isfinite", distance)
    close = op.Or(cx.eq(op, a, b), op.And(finite, op.LessOrEqual(distance, allowed)))
    if equal_nan:
        close = op.Or(close, op.And(call(op, "isnan", a), call(op, "isnan", b)))
    return close


@aten("allclose")
def allclose(
    op: Builder, self: Complex, other: Complex, rtol: Number = 1e-05, atol: Number = 1e-08, equal_nan: bool = False
) -> Scalar:
    return Scalar(all_true(op, isclose(op, self, other, rtol, atol, equal_nan)))

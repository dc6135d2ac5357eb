"""Functions of one operand, element by element: roots, exponentials, trigonometry, rounding, bits."""

from __future__ import annotations

import math

import onnx_ir as ir

from nxconvert.frontends.pytorch.dtypes import INTEGERS, SIGNED, UNSIGNED, DataType, is_float
from nxconvert.frontends.pytorch.ops.common import as_tensor, float_input, promote
from nxconvert.frontends.pytorch.ops.math import LN2, is_bool, sign_bit, truncate
from nxconvert.frontends.pytorch.table import Builder, Int, LoweringError, Number, Value, aten
from nxconvert.graph.widening import emit, where

# Operators of ONNX that take floats and mean the same; integers go in as the default float.
_FLOAT_FUNCTIONS = {
    "sqrt": "Sqrt", "exp": "Exp", "log": "Log", "reciprocal": "Reciprocal", "erf": "Erf", "special_erf": "Erf",
    "sin": "Sin", "cos": "Cos", "tan": "Tan", "asin": "Asin", "arcsin": "Asin", "acos": "Acos", "arccos": "Acos",
    "atan": "Atan", "arctan": "Atan", "sinh": "Sinh", "cosh": "Cosh", "tanh": "Tanh", "asinh": "Asinh",
    "arcsinh": "Asinh", "acosh": "Acosh", "arccosh": "Acosh", "atanh": "Atanh", "arctanh": "Atanh",
    "sigmoid": "Sigmoid", "special_expit": "Sigmoid",
}  # fmt: skip


def _register_float_function(name: str, op_type: str) -> None:
    @aten(name)
    def function(op: Builder, self: Value) -> Value:
        return emit(op, op_type, float_input(op, self))


for _name, _op_type in _FLOAT_FUNCTIONS.items():
    _register_float_function(_name, _op_type)


@aten("rsqrt")
def rsqrt(op: Builder, self: Value) -> Value:
    return op.Reciprocal(op.Sqrt(float_input(op, self)))


@aten("exp2", "special_exp2")
def exp2(op: Builder, self: Value) -> Value:
    x = float_input(op, self)
    return op.Pow(op.const(2.0, x.etype), x)


@aten("expm1", "special_expm1")
def expm1(op: Builder, self: Value) -> Value:
    """``exp(x) - 1`` without cancellation near zero: tanh(x/2) (exp(x) + 1)."""
    x = float_input(op, self)
    return op.Mul(op.Tanh(op.Mul(x, 0.5)), op.Add(op.Exp(x), 1.0))


@aten("log1p", "special_log1p")
def log1p(op: Builder, self: Value) -> Value:
    """``log(1 + x)``; the rounding error of u = 1 + x cancels in log(u) x / (u - 1)."""
    x = float_input(op, self)
    u = op.Add(x, 1.0)
    rounded = op.Sub(u, 1.0)
    # Where the sum is exact (x infinite or large too) the quotient is 1.
    exact = op.Equal(rounded, x)
    ratio = where(op, exact, op.const(1.0, x.etype), op.Div(x, rounded))
    return where(op, op.Equal(rounded, 0.0), x, op.Mul(op.Log(u), ratio))


@aten("log2")
def log2(op: Builder, self: Value) -> Value:
    return op.Mul(op.Log(float_input(op, self)), 1.0 / LN2)


@aten("log10")
def log10(op: Builder, self: Value) -> Value:
    return op.Mul(op.Log(float_input(op, self)), 1.0 / math.log(10.0))


@aten("erfc", "special_erfc")
def erfc(op: Builder, self: Value) -> Value:
    return op.Sub(1.0, emit(op, "Erf", float_input(op, self)))


@aten("sinc", "special_sinc")
def sinc(op: Builder, self: Value) -> Value:
    """``sin(pi x) / (pi x)``, 1 at zero."""
    x = op.Mul(float_input(op, self), math.pi)
    return where(op, op.Equal(x, 0.0), op.const(1.0, x.etype), op.Div(op.Sin(x), x))


@aten("logit", "special_logit")
def logit(op: Builder, self: Value, eps: Number | None = None) -> Value:
    """``log(x / (1 - x))``, with x first moved into [eps, 1 - eps]."""
    x = float_input(op, self)
    if isinstance(eps, (int, float)):
        x = op.Clip(x, eps, 1.0 - eps)
    elif eps is not None:
        low = as_tensor(op, eps, x.etype)
        x = op.Clip(x, low, op.Sub(1.0, low))
    return op.Log(op.Div(x, op.Sub(1.0, x)))


@aten("square")
def square(op: Builder, self: Value) -> Value:
    x = op.cast(self, DataType.INT64) if is_bool(self) else self
    return op.Mul(x, x)


@aten("deg2rad")
def deg2rad(op: Builder, self: Value) -> Value:
    return op.Mul(float_input(op, self), math.pi / 180.0)


@aten("rad2deg")
def rad2deg(op: Builder, self: Value) -> Value:
    return op.Mul(float_input(op, self), 180.0 / math.pi)


# ---- sign and magnitude --------------------------------------------------------------------------------------------


@aten("neg", "negative")
def neg(op: Builder, self: Value) -> Value:
    return op.Sub(op.const(0, self.etype), self) if self.etype in UNSIGNED else op.Neg(self)


@aten("abs", "absolute")
def absolute(op: Builder, self: Value) -> Value:
    return self if is_bool(self) else op.Abs(self)


@aten("sign", "sgn")
def sign(op: Builder, self: Value) -> Value:
    return self if is_bool(self) else op.Sign(self)


@aten("signbit")
def signbit(op: Builder, self: Value) -> Value:
    return sign_bit(op, self)


@aten("angle")
def angle(op: Builder, self: Value) -> Value:
    """The angle of a real number in the complex plane: pi below zero, NaN stays."""
    x = float_input(op, self)
    half_turn = where(op, op.Less(x, 0.0), op.const(math.pi, x.etype), op.const(0.0, x.etype))
    return where(op, op.IsNaN(x), x, half_turn)


@aten("positive")
def positive(op: Builder, self: Value) -> Value:
    return self


# ---- rounding ------------------------------------------------------------------------------------------------------


def _register_rounding(names: tuple[str, ...], op_type: str) -> None:
    """Floats are rounded, integers are whole already."""

    @aten(*names)
    def function(op: Builder, self: Value) -> Value:
        return getattr(op, op_type)(self) if is_float(self.etype) else self


_register_rounding(("floor",), "Floor")
_register_rounding(("ceil",), "Ceil")


@aten("trunc", "fix")
def trunc(op: Builder, self: Value) -> Value:
    return truncate(op, self) if is_float(self.etype) else self


@aten("frac")
def frac(op: Builder, self: Value) -> Value:
    return op.Mod(self, op.const(1.0, self.etype), fmod=1)


@aten("round", "round.decimals", "special_round")
def round_(op: Builder, self: Value, *, decimals: Int = 0) -> Value:
    """Halves go to the even neighbour; ``decimals`` scales first, by a power of ten as PyTorch computes it."""
    if not is_float(self.etype):
        return self
    if not isinstance(decimals, int):
        raise LoweringError("the number of decimals depends on data")
    if decimals == 0:
        return op.Round(self)
    scale = 10.0 ** abs(decimals)
    if decimals > 0:
        return op.Div(op.Round(op.Mul(self, scale)), scale)
    return op.Mul(op.Round(op.Div(self, scale)), scale)


@aten("frexp")
def frexp(op: Builder, self: Value) -> tuple[Value, Value]:
    """Mantissa in [0.5, 1) and exponent (int32).

    The logarithm may miss a power of two by one, which two comparisons mend.
    """
    magnitude = op.Abs(self)
    regular = op.And(op.Greater(magnitude, 0.0), op.Less(magnitude, float("inf")))
    safe = where(op, regular, magnitude, op.const(1.0, self.etype))
    exponent = op.Add(op.Floor(log2(op, safe)), 1.0)
    scaled = op.Mul(safe, exp2(op, op.Neg(exponent)))
    one = op.const(1.0, self.etype)
    exponent = op.Add(exponent, op.cast(op.GreaterOrEqual(scaled, one), self.etype))
    exponent = op.Sub(exponent, op.cast(op.Less(scaled, 0.5), self.etype))
    mantissa = where(op, regular, op.Mul(self, exp2(op, op.Neg(exponent))), self)
    exponent = where(op, regular, exponent, op.const(0.0, self.etype))
    return mantissa, op.Cast(exponent, to=DataType.INT32)


# ---- bits ----------------------------------------------------------------------------------------------------------


def _register_bitwise(names: tuple[str, ...], on_bools: str, on_integers: str) -> None:
    @aten(*names)
    def function(op: Builder, self: Value | Number, other: Value | Number) -> Value:
        a, b = promote(op, self, other)
        return getattr(op, on_bools if is_bool(a) else on_integers)(a, b)


_register_bitwise(("bitwise_and", "__and__"), "And", "BitwiseAnd")
_register_bitwise(("bitwise_or", "__or__"), "Or", "BitwiseOr")
_register_bitwise(("bitwise_xor", "__xor__"), "Xor", "BitwiseXor")


@aten("bitwise_not")
def bitwise_not(op: Builder, self: Value) -> Value:
    return op.Not(self) if is_bool(self) else op.BitwiseNot(self)


_UNSIGNED_TWIN: dict[ir.DataType, ir.DataType] = dict(zip(SIGNED, UNSIGNED, strict=True))


def _bits(op: Builder, self: Value | Number, other: Value | Number) -> tuple[Value, Value, ir.DataType]:
    """Both operands as unsigned integers, which ONNX shifts, and the dtype of the result."""
    a, b = promote(op, self, other)
    if a.etype not in INTEGERS:
        raise LoweringError(f"bits of dtype {a.etype.name} cannot be shifted")
    twin = _UNSIGNED_TWIN.get(a.etype, a.etype)
    return a, op.cast(b, twin), twin


def _beyond(op: Builder, shift: Value) -> Value:
    """Where a shift moves every bit out, which ONNX leaves undefined; a negative one counts as that, as in PyTorch."""
    return op.GreaterOrEqual(shift, op.const(shift.etype.bitwidth, shift.etype))


@aten("bitwise_left_shift", "__lshift__")
def left_shift(op: Builder, self: Value | Number, other: Value | Number) -> Value:
    value, shift, twin = _bits(op, self, other)
    shifted = op.BitShift(op.cast(value, twin), shift, direction="LEFT")
    return op.cast(where(op, _beyond(op, shift), op.const(0, twin), shifted), value.etype)


@aten("bitwise_right_shift", "__rshift__")
def right_shift(op: Builder, self: Value | Number, other: Value | Number) -> Value:
    """The sign fills the left: a negative number is shifted as its complement."""
    value, shift, twin = _bits(op, self, other)
    if value.etype == twin:
        return where(op, _beyond(op, shift), op.const(0, twin), op.BitShift(value, shift, direction="RIGHT"))
    mask = op.Neg(op.cast(op.Less(value, op.const(0, value.etype)), value.etype))
    shifted = op.BitShift(op.cast(op.BitwiseXor(value, mask), twin), shift, direction="RIGHT")
    shifted = where(op, _beyond(op, shift), op.const(0, twin), shifted)
    return op.BitwiseXor(op.cast(shifted, value.etype), mask)

"""Arithmetic of two and more operands: sums, quotients with their rounding, powers, bounds.

Operands are promoted as in PyTorch (three tiers, see ``common.result_type``); numbers take part as they are.
"""

from __future__ import annotations

import math
from typing import Any

import ml_dtypes

from nxconvert.frontends.pytorch.dtypes import UNSIGNED, DataType, is_float
from nxconvert.frontends.pytorch.ops.common import as_tensor, promote, result_type
from nxconvert.frontends.pytorch.ops.loops import repeat
from nxconvert.frontends.pytorch.ops.shape import broadcast_all
from nxconvert.frontends.pytorch.table import Builder, Number, Value, aten
from nxconvert.graph.builder import TensorType
from nxconvert.graph.schema import HALVES
from nxconvert.graph.widening import emit, where

LN2 = math.log(2.0)


def is_bool(x: Value) -> bool:
    """Whether the tensor holds bools."""
    return x.etype == DataType.BOOL


def constant(x: Any) -> float | None:
    """The number that ``x`` is everywhere, if that is known: a Python number, or a constant of one element."""
    if isinstance(x, (int, float)):
        return x
    if isinstance(x, Value) and x.array is not None and x.array.size == 1:
        return x.array.item()
    return None


# ---- sums and products ---------------------------------------------------------------------------------------------


def _scaled(op: Builder, other: Value | Number, alpha: Number) -> Value | Number:
    """``alpha * other``, in the dtype of ``other``."""
    if constant(alpha) == 1:
        return other
    return mul(op, other, alpha)


@aten("add")
def add(op: Builder, self: Value | Number, other: Value | Number, alpha: Number = 1) -> Value:
    """``self + alpha * other``; the sum of bools is their disjunction."""
    a, b = promote(op, self, _scaled(op, other, alpha))
    return op.Or(a, b) if is_bool(a) else op.Add(a, b)


@aten("sub", "subtract")
def sub(op: Builder, self: Value | Number, other: Value | Number, alpha: Number = 1) -> Value:
    """``self - alpha * other``."""
    return op.Sub(*promote(op, self, _scaled(op, other, alpha)))


@aten("rsub")
def rsub(op: Builder, self: Value | Number, other: Value | Number, alpha: Number = 1) -> Value:
    """``other - alpha * self``."""
    return sub(op, other, self, alpha)


@aten("mul", "multiply")
def mul(op: Builder, self: Value | Number, other: Value | Number) -> Value:
    """``self * other``; the product of bools is their conjunction."""
    a, b = promote(op, self, other)
    return op.And(a, b) if is_bool(a) else op.Mul(a, b)


@aten("addcmul")
def addcmul(op: Builder, self: Value, tensor1: Value, tensor2: Value, value: Number = 1) -> Value:
    """``self + value * tensor1 * tensor2``."""
    return add(op, self, mul(op, tensor1, tensor2), value)


@aten("addcdiv")
def addcdiv(op: Builder, self: Value, tensor1: Value, tensor2: Value, value: Number = 1) -> Value:
    """``self + value * tensor1 / tensor2``."""
    return add(op, self, true_divide(op, tensor1, tensor2), value)


@aten("lerp")
def lerp(op: Builder, self: Value, end: Value, weight: Value | Number) -> Value:
    """Linear interpolation, from the nearer end where the weight is known (as PyTorch does, for the rounding)."""
    start, end, weight_ = promote(op, self, end, weight)
    span = op.Sub(end, start)
    known = constant(weight)
    if known is not None and known >= 0.5:
        return op.Sub(end, op.Mul(span, 1.0 - known))
    return op.Add(start, op.Mul(span, weight_))


# ---- quotients -----------------------------------------------------------------------------------------------------


@aten("div", "divide", "true_divide")
def true_divide(op: Builder, self: Value | Number, other: Value | Number, rounding_mode: str | None = None) -> Value:
    """``self / other``, as a float unless rounded (``trunc`` towards zero, ``floor`` downwards)."""
    if rounding_mode == "floor":
        return floor_divide(op, self, other)
    a, b = promote(op, self, other, to_float=rounding_mode is None)
    quotient = op.Div(a, b)
    return truncate(op, quotient) if rounding_mode == "trunc" and is_float(a.etype) else quotient


@aten("floor_divide")
def floor_divide(op: Builder, self: Value | Number, other: Value | Number) -> Value:
    """``floor(self / other)`` of the exact quotient: the rounded one may lie on the next integer (1.0 // 0.1 is 9)."""
    dtype = result_type(self, other)
    if dtype in HALVES:
        # A number keeps its precision, as in PyTorch.
        wide = (op.cast(x, DataType.FLOAT) if isinstance(x, Value) else x for x in (self, other))
        return op.cast(floor_divide(op, *wide), dtype)
    a, b = promote(op, self, other)
    if not is_float(a.etype):
        # ONNX divides integers towards zero and takes the remainder with the divisor's sign.
        return op.Div(a, b) if a.etype in UNSIGNED else op.Div(op.Sub(a, op.Mod(a, b)), b)
    divisor = constant(b)
    if divisor is not None and divisor == int(divisor):
        return op.Floor(op.Div(a, b))
    # The numerator is a multiple of b up to rounding, so the nearest integer is the one meant.
    return op.Round(op.Div(op.Sub(a, remainder(op, a, b)), b))


@aten("remainder")
def remainder(op: Builder, self: Value | Number, other: Value | Number) -> Value:
    """The remainder with the divisor's sign."""
    a, b = promote(op, self, other)
    if not is_float(a.etype):
        return op.Mod(a, b)
    rest = op.Mod(a, b, fmod=1)
    divisor = constant(b)
    if divisor is not None:
        wrong = op.Less(rest, 0.0) if divisor > 0 else op.Greater(rest, 0.0)
    else:
        wrong = op.Less(op.Mul(op.Sign(rest), b), 0.0)
    return where(op, wrong, op.Add(rest, b), rest)


@aten("fmod")
def fmod(op: Builder, self: Value | Number, other: Value | Number) -> Value:
    """The remainder with the dividend's sign, as C has it."""
    return op.Mod(*promote(op, self, other), fmod=1)


def truncate(op: Builder, x: Value) -> Value:
    """Rounds floats towards zero."""
    return op.Mul(op.Sign(x), op.Floor(op.Abs(x)))


# ---- powers --------------------------------------------------------------------------------------------------------


@aten("pow")
def power(op: Builder, self: Value | Number, exponent: Value | Number) -> Value:
    """``self ** exponent``; the exponents for which PyTorch has a function of its own use that one."""
    base, exponent_ = promote(op, self, exponent)
    known = constant(exponent)
    if isinstance(self, Value) and known is not None:
        if known == 1:
            return op.Identity(base)
        if is_float(base.etype):
            if known == 0.5:
                return op.Sqrt(base)
            if known == -0.5:
                return op.Reciprocal(op.Sqrt(base))
            if known == -1:
                return op.Reciprocal(base)
    if not is_float(base.etype):
        return _integer_power(op, base, exponent_)
    return emit(op, "Pow", base, exponent_)


def _integer_power(op: Builder, base: Value, exponent: Value) -> Value:
    """Products of squares, which wrap around as PyTorch's do; ONNX Runtime's ``Pow`` computes integers in float64."""
    power = constant(exponent)
    if power is not None and power >= 0:
        result, square, rest = None, base, int(power)
        while rest:
            if rest % 2:
                result = square if result is None else mul(op, result, square)
            rest //= 2
            square = op.Mul(square, square) if rest else square
        return op.expand(op.const(1, base.etype), base.dims) if result is None else result
    base, exponent = broadcast_all(op, [base, exponent])
    one, two = op.const(1, base.etype), op.const(2, base.etype)

    def step(body: Builder, _: Value, result: Value, square: Value, rest: Value) -> list[Value]:
        odd = body.Equal(body.Mod(rest, two), one)
        return [where(body, odd, body.Mul(result, square), result), body.Mul(square, square), body.Div(rest, two)]

    result = repeat(op, base.etype.bitwidth, [op.expand(one, base.dims), base, exponent], step)[0]
    if base.etype in UNSIGNED:
        return result
    # Of the integers, only 1 and -1 have a reciprocal that is none too small to be one.
    odd = op.Equal(op.Mod(exponent, two), one)
    unit = op.Equal(op.Abs(base), one)
    reciprocal = where(op, unit, where(op, odd, base, one), op.const(0, base.etype))
    return where(op, op.Less(exponent, op.const(0, base.etype)), reciprocal, result)


@aten("float_power")
def float_power(op: Builder, self: Value | Number, exponent: Value | Number) -> Value:
    """``self ** exponent`` in float64."""
    return power(op, as_tensor(op, self, DataType.DOUBLE), as_tensor(op, exponent, DataType.DOUBLE))


@aten("ldexp")
def ldexp(op: Builder, self: Value, other: Value) -> Value:
    """``self * 2**other``."""
    return mul(op, self, power(op, 2.0, other))


# ---- the larger and the smaller ------------------------------------------------------------------------------------


def extreme(op: Builder, op_type: str, a: Value, b: Value) -> Value:
    """``Max`` or ``Min`` of two tensors of one dtype, NaN if either is."""
    if is_bool(a):
        return op.Or(a, b) if op_type == "Max" else op.And(a, b)
    return emit(op, op_type, a, b)


@aten("maximum", "max.other")
def maximum(op: Builder, self: Value, other: Value) -> Value:
    """The larger of two, NaN if either is."""
    return extreme(op, "Max", *promote(op, self, other))


@aten("minimum", "min.other")
def minimum(op: Builder, self: Value, other: Value) -> Value:
    """The smaller of two, NaN if either is."""
    return extreme(op, "Min", *promote(op, self, other))


def _number_over_nan(op: Builder, op_type: str, self: Value, other: Value) -> Value:
    a, b = promote(op, self, other)
    result = extreme(op, op_type, a, b)
    if not is_float(a.etype):
        return result
    return where(op, op.IsNaN(a), b, where(op, op.IsNaN(b), a, result))


@aten("fmax")
def fmax(op: Builder, self: Value, other: Value) -> Value:
    """The larger of two; a number goes before NaN."""
    return _number_over_nan(op, "Max", self, other)


@aten("fmin")
def fmin(op: Builder, self: Value, other: Value) -> Value:
    """The smaller of two; a number goes before NaN."""
    return _number_over_nan(op, "Min", self, other)


@aten("clamp", "clip")
def clamp(op: Builder, self: Value, min: Value | Number | None = None, max: Value | Number | None = None) -> Value:
    """Bounds from below, then from above, so that the upper bound wins where they cross; a NaN bound makes NaN."""
    bounds = [bound for bound in (min, max) if bound is not None]
    dtype = result_type(self, *bounds)
    x = op.cast(self, dtype)
    low, high = (None if bound is None else as_tensor(op, bound, dtype) for bound in (min, max))
    numbers = constant(low), constant(high)
    # Clip wants scalars, takes a bound that is left out for the largest finite number, and has no meaning for NaN.
    if (
        low is not None
        and high is not None
        and low.rank == high.rank == 0
        and not any(n is not None and n != n for n in numbers)
    ):
        return emit(op, "Clip", x, low, high)
    if high is None and numbers[0] == 0 and is_float(dtype):
        return op.Relu(x)
    if low is not None:
        x = emit(op, "Max", x, low)
    return x if high is None else emit(op, "Min", x, high)


@aten("clamp_min")
def clamp_min(op: Builder, self: Value, min: Value | Number) -> Value:
    """Bounds from below."""
    return clamp(op, self, min)


@aten("clamp_max")
def clamp_max(op: Builder, self: Value, max: Value | Number) -> Value:
    """Bounds from above."""
    return clamp(op, self, None, max)


# ---- others of two operands ----------------------------------------------------------------------------------------


@aten("hypot")
def hypot(op: Builder, self: Value, other: Value) -> Value:
    """``sqrt(self**2 + other**2)``."""
    a, b = promote(op, self, other, to_float=True)
    return op.Sqrt(op.Add(op.Mul(a, a), op.Mul(b, b)))


@aten("atan2", "arctan2")
def atan2(op: Builder, self: Value, other: Value) -> Value:
    """The angle of the point (other, self); zeros count as positive."""
    y, x = promote(op, self, other, to_float=True)
    turned = op.Less(x, 0.0)
    half_turn = where(op, op.Less(y, 0.0), op.const(-math.pi, x.etype), op.const(math.pi, x.etype))
    # Of the positive size of x: a zero without a sign keeps that of y.
    angle = emit(op, "Atan", op.Div(y, op.Abs(x)))
    angle = where(op, turned, op.Sub(half_turn, angle), angle)
    on_axis = where(op, turned, op.const(math.pi, x.etype), op.const(0.0, x.etype))
    return where(op, op.Equal(y, 0.0), on_axis, angle)


@aten("logaddexp")
def logaddexp(op: Builder, self: Value, other: Value) -> Value:
    """``log(exp(self) + exp(other))``; for equal operands (infinite ones too) it is ``self + log(2)``."""
    a, b = promote(op, self, other, to_float=True)
    distance = where(op, op.Equal(a, b), op.const(0.0, a.etype), op.Neg(op.Abs(op.Sub(a, b))))
    return op.Add(emit(op, "Max", a, b), emit(op, "Softplus", distance))


@aten("logaddexp2")
def logaddexp2(op: Builder, self: Value, other: Value) -> Value:
    """``log2(2**self + 2**other)``."""
    a, b = promote(op, self, other, to_float=True)
    return op.Div(logaddexp(op, op.Mul(a, LN2), op.Mul(b, LN2)), LN2)


@aten("heaviside")
def heaviside(op: Builder, self: Value, values: Value) -> Value:
    """0 below zero, ``values`` at zero, 1 above."""
    x, at_zero = promote(op, self, values)
    zero = op.const(0, x.etype)
    return where(op, emit(op, "Equal", x, zero), at_zero, op.cast(emit(op, "Greater", x, zero), x.etype))


def sign_bit(op: Builder, x: Value) -> Value:
    """Whether ``x`` is negative, -0.0 included."""
    if not is_float(x.etype):
        return emit(op, "Less", x, op.const(0, x.etype))
    return op.Or(op.Less(x, 0.0), op.Less(op.Reciprocal(x), 0.0))


@aten("copysign")
def copysign(op: Builder, self: Value, other: Value | Number) -> Value:
    """The magnitude of ``self`` with the sign of ``other``."""
    x, sign = promote(op, self, other, to_float=True)
    magnitude = op.Abs(x)
    known = constant(other)
    if known is not None:
        return op.Neg(magnitude) if math.copysign(1.0, known) < 0 else magnitude
    return where(op, sign_bit(op, sign), op.Neg(magnitude), magnitude)


@aten("nextafter")
def nextafter(op: Builder, self: Value, other: Value) -> Value:
    """The next float from ``self`` towards ``other``.

    S. Rump et al., "Computing predecessor and successor in rounding to nearest" (2009): adding u(1 + 2u)|x| + eta,
    u the unit roundoff and eta the least positive number, rounds to the neighbour.
    """
    x, target = promote(op, self, other)
    info = ml_dtypes.finfo(x.etype.numpy())
    unit = float(info.eps) / 2
    step = op.Add(op.Mul(op.Abs(x), unit * (1 + 2 * unit)), float(info.smallest_subnormal))
    return where(op, op.Equal(x, target), target, op.Add(x, op.Mul(op.Sign(op.Sub(target, x)), step)))


@aten("gcd")
def gcd(op: Builder, self: Value, other: Value) -> Value:
    """The greatest common divisor, by Euclid's algorithm on all elements until every remainder is zero."""
    a, b = promote(op, self, other)
    a, b = broadcast_all(op, [op.Abs(a), op.Abs(b)])
    dims = a.dims
    body = op.child()
    body.input("iteration", DataType.INT64, ())
    body.input("condition", DataType.BOOL, ())
    large, small = (body.input(name, a.etype, dims) for name in ("large", "small"))
    done = body.Equal(small, 0)
    rest = body.Mod(large, where(body, done, body.const(1, a.etype), small))
    large_, small_ = where(body, done, large, small), where(body, done, small, rest)
    graph = body.graph([_any_nonzero(body, small_), large_, small_], "euclid")
    return op.node("Loop", [None, _any_nonzero(op, b), a, b], {"body": graph}, [TensorType(a.etype, dims)] * 2)[0]


def _any_nonzero(op: Builder, x: Value) -> Value:
    return op.Greater(op.ReduceSum(op.Cast(op.Cast(x, to=DataType.BOOL), to=DataType.INT64), keepdims=0), 0)


@aten("lcm")
def lcm(op: Builder, self: Value, other: Value) -> Value:
    """The least common multiple; 0 where an operand is."""
    a, b = promote(op, self, other)
    divisor = gcd(op, a, b)
    divisor = where(op, op.Equal(divisor, 0), op.const(1, divisor.etype), divisor)
    return op.Abs(op.Mul(op.Div(a, divisor), b))


@aten("nan_to_num")
def nan_to_num(
    op: Builder, self: Value, nan: Number | None = None, posinf: Number | None = None, neginf: Number | None = None
) -> Value:
    """Replaces NaN (by 0) and the infinities (by the largest finite numbers)."""
    if not is_float(self.etype):
        return op.Identity(self)
    info = ml_dtypes.finfo(self.etype.numpy())
    x = where(op, op.IsNaN(self), as_tensor(op, 0.0 if nan is None else nan, self.etype), self)
    if posinf is None and neginf is None:
        return op.Clip(x, float(info.min), float(info.max))
    high = as_tensor(op, float(info.max) if posinf is None else posinf, self.etype)
    low = as_tensor(op, float(info.min) if neginf is None else neginf, self.etype)
    x = where(op, op.IsInf(self, detect_negative=0), high, x)
    return where(op, op.IsInf(self, detect_positive=0), low, x)

"""Functions of each element, of one operand and of two."""

from __future__ import annotations

from collections.abc import Callable

from nxconvert.frontends.cntk.dynamic import aligned
from nxconvert.frontends.cntk.table import Builder, DataType, Tensor, Value, cntk

# What the logarithm of a number that is not positive, or too small, is taken of: its result was measured as -85.1.
_LEAST = 1.1754943508222875e-37


def _unary(name: str, function: Callable[[Builder, Value], Value]) -> None:
    cntk(name)(lambda op, x: x.of(function(op, x.value)))


def _clamped_log(op: Builder, x: Value) -> Value:
    """The logarithm, of the smallest number that CNTK takes it of at least."""
    return op.Log(op.Max(x, op.const(_LEAST, x.etype)))


def _reciprocal(op: Builder, x: Value) -> Value:
    """1 / x, and 0 for what is next to 0."""
    return op.Where(op.Equal(x, 0.0), op.const(0.0, x.etype), op.Reciprocal(x))


def _round_like_sqrt(op: Builder, x: Value) -> Value:
    return op.Sqrt(op.Max(x, op.const(0.0, x.etype)))


for _name, _function in {
    "Negate": lambda op, x: op.Neg(x), "Sigmoid": lambda op, x: op.Sigmoid(x), "Tanh": lambda op, x: op.Tanh(x),
    "StableSigmoid": lambda op, x: op.Sigmoid(x), "ReLU": lambda op, x: op.Relu(x), "Exp": lambda op, x: op.Exp(x),
    "Floor": lambda op, x: op.Floor(x), "Abs": lambda op, x: op.Abs(x), "Sin": lambda op, x: op.Sin(x),
    "Cos": lambda op, x: op.Cos(x), "Tan": lambda op, x: op.Tan(x), "Asin": lambda op, x: op.Asin(x),
    "Acos": lambda op, x: op.Acos(x), "Atan": lambda op, x: op.Atan(x), "Sinh": lambda op, x: op.Sinh(x),
    "Cosh": lambda op, x: op.Cosh(x), "Asinh": lambda op, x: op.Asinh(x), "Atanh": lambda op, x: op.Atanh(x),
    "Log": _clamped_log, "Sqrt": _round_like_sqrt, "Reciprocal": _reciprocal,
    **{name: lambda op, x: x for name in ("Dropout", "StopGradient", "Pass", "NoOp", "CustomProxyOp")},
}.items():  # fmt: skip
    _unary(_name, _function)


def _binary(name: str, function: Callable[[Builder, Value, Value], Value]) -> None:
    @cntk(name)
    def lowering(op: Builder, a: Tensor, b: Tensor) -> Tensor:
        (x, y), axes = aligned(op, a, b)
        return Tensor(function(op, x, y), axes)


def _flag(function: Callable[[Builder, Value, Value], Value]) -> Callable[[Builder, Value, Value], Value]:
    """A comparison, whose result is 1 or 0 of the operands' dtype."""
    return lambda op, x, y: op.cast(function(op, x, y), x.etype)


for _name, _two in {
    "Plus": lambda op, x, y: op.Add(x, y), "Minus": lambda op, x, y: op.Sub(x, y),
    "ElementTimes": lambda op, x, y: op.Mul(x, y),
    "Equal": _flag(lambda op, x, y: op.Equal(x, y)), "Less": _flag(lambda op, x, y: op.Less(x, y)),
    "NotEqual": _flag(lambda op, x, y: op.Not(op.Equal(x, y))),
    "LessEqual": _flag(lambda op, x, y: op.LessOrEqual(x, y)),
    "Greater": _flag(lambda op, x, y: op.Greater(x, y)),
    "GreaterEqual": _flag(lambda op, x, y: op.GreaterOrEqual(x, y)),
}.items():  # fmt: skip
    _binary(_name, _two)


@cntk("Cast")
def cast(op: Builder, x: Tensor, *, newDataType: int) -> Tensor:
    return x.of(op.cast(x.value, {1: DataType.FLOAT, 2: DataType.DOUBLE, 4: DataType.FLOAT16}[newDataType]))

"""Functions of each element, of one operand and of two."""

from __future__ import annotations

from collections.abc import Callable

from nxconvert.frontends.cntk.dynamic import aligned
from nxconvert.frontends.cntk.network import Network, Source
from nxconvert.frontends.cntk.primitives import IDENTITIES
from nxconvert.frontends.cntk.signs import is_not_negative, is_positive
from nxconvert.frontends.cntk.steps import on_steps, on_steps_of_both
from nxconvert.frontends.cntk.table import Builder, Context, DataType, Tensor, Value, cntk
from nxconvert.graph import widening

# What the logarithm of a number that is not positive, or less than 1e-37, is, and a number of which it is that.
_LOG_OF_LEAST = -85.1
_LEAST = 1.1003e-37


def _unary(name: str, function: Callable[[Builder, Value], Value]) -> None:
    cntk(name)(lambda op, x: on_steps(op, x, lambda value: function(op, value)))


def clamped_log(op: Builder, x: Value) -> Value:
    """The logarithm, of the smallest number that CNTK takes it of at least."""
    if x.etype == DataType.FLOAT16:  # which has no number as small as that
        return op.Where(op.Greater(x, 0.0), op.Log(x), op.const(_LOG_OF_LEAST, x.etype))
    return op.Log(op.Max(x, op.const(_LEAST, x.etype)))


def _reciprocal(op: Builder, x: Value) -> Value:
    """1 / x, and 0 for what is next to 0."""
    return op.Where(op.Equal(x, 0.0), op.const(0.0, x.etype), op.Reciprocal(x))


def _clamped_sqrt(op: Builder, x: Value) -> Value:
    """The square root, and 0 for what is negative."""
    return op.Sqrt(op.Max(x, op.const(0.0, x.etype)))


def _elu(op: Builder, x: Value) -> Value:
    if x.etype != DataType.DOUBLE:
        return op.Elu(x)
    return op.Where(op.Less(x, 0.0), op.Sub(op.Exp(x), 1.0), x)


def _sign(op: Builder, x: Value) -> Value:
    """1 for what is positive, else -1."""
    return op.Where(op.Greater(x, 0.0), op.const(1.0, x.etype), op.const(-1.0, x.etype))


def _tan(op: Builder, x: Value) -> Value:
    return op.Div(op.Sin(x), op.Cos(x)) if x.etype == DataType.DOUBLE else op.Tan(x)


def _sinh(op: Builder, x: Value) -> Value:
    return op.Mul(op.Sub(op.Exp(x), op.Exp(op.Neg(x))), 0.5) if x.etype == DataType.DOUBLE else op.Sinh(x)


def _cosh(op: Builder, x: Value) -> Value:
    return op.Mul(op.Add(op.Exp(x), op.Exp(op.Neg(x))), 0.5) if x.etype == DataType.DOUBLE else op.Cosh(x)


def _unary_widened(operator: str) -> Callable[[Builder, Value], Value]:
    """A function that ONNX Runtime has no kernel in float64 for."""

    def function(op: Builder, x: Value) -> Value:
        value: Value = widening.emit(op, operator, x)
        return value

    return function


for _name, _function in {
    "Negate": lambda op, x: op.Neg(x), "Sigmoid": lambda op, x: op.Sigmoid(x), "Tanh": lambda op, x: op.Tanh(x),
    "StableSigmoid": lambda op, x: op.Sigmoid(x), "ReLU": lambda op, x: op.Relu(x), "Exp": lambda op, x: op.Exp(x),
    "Floor": lambda op, x: op.Floor(x), "Abs": lambda op, x: op.Abs(x), "Sin": lambda op, x: op.Sin(x),
    "Cos": lambda op, x: op.Cos(x),
    "ELU": _elu, "StraightThrough": _sign, "Tan": _tan, "Sinh": _sinh, "Cosh": _cosh,
    **{name: _unary_widened(name) for name in ("Asin", "Acos", "Atan", "Asinh", "Atanh")},
    **{name: lambda op, x: x for name in IDENTITIES},
}.items():  # fmt: skip
    _unary(_name, _function)


def _guarded(
    name: str,
    function: Callable[[Builder, Value], Value],
    plain: str,
    is_safe: Callable[[Network, Source], bool],
) -> None:
    """Registers a function that guards against some numbers, unless there are none of them."""

    @cntk(name)
    def lowering(op: Builder, x: Tensor, *, context: Context) -> Tensor:
        safe = x.value.array is None and is_safe(context.network, context.node.inputs[0])
        return x.of(getattr(op, plain)(x.value) if safe else function(op, x.value))


_guarded("Log", clamped_log, "Log", is_positive)
_guarded("Sqrt", _clamped_sqrt, "Sqrt", is_not_negative)
_guarded("Reciprocal", _reciprocal, "Reciprocal", is_positive)


def _binary(name: str, function: Callable[[Builder, Value, Value], Value]) -> None:
    @cntk(name)
    def lowering(op: Builder, a: Tensor, b: Tensor) -> Tensor:
        result = on_steps_of_both(op, a, b, lambda x, y: function(op, x, y))
        if result is not None:
            return result
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


@cntk("LogPlus")
def log_plus(op: Builder, a: Tensor, b: Tensor) -> Tensor:
    """log(exp(a) + exp(b))."""
    (x, y), axes = aligned(op, a, b)
    if y.array is not None and y.rank == 0 and not y.array.any():
        return Tensor(_softplus(op, x), axes)
    # Either may be -inf, or nothing next to the other one.
    return Tensor(op.Add(op.Max(x, y), _softplus(op, op.Neg(op.Abs(op.Sub(x, y))))), axes)


def _softplus(op: Builder, x: Value) -> Value:
    if x.etype == DataType.DOUBLE:
        return op.Add(op.Max(x, 0.0), op.Log(op.Add(op.Exp(op.Neg(op.Abs(x))), 1.0)))
    return op.Softplus(x)


@cntk("Pow")
def power(op: Builder, base: Tensor, exponent: Tensor) -> Tensor:
    """A power; 0 where the base is 0 and the exponent negative."""
    (x, y), axes = aligned(op, base, exponent)
    if y.array is not None and y.array.size == 1 and y.rank <= x.rank and y.array.item() == 0.5:
        return Tensor(op.Sqrt(x), axes)
    value = op.Pow(x, y)
    if y.array is not None and not (y.array < 0).any():
        return Tensor(value, axes)
    infinite = op.And(op.Equal(x, 0.0), op.Less(y, 0.0))
    return Tensor(op.Where(infinite, op.const(0.0, x.etype), value), axes)


@cntk("Cast")
def cast(op: Builder, x: Tensor, *, newDataType: int) -> Tensor:
    return x.of(op.cast(x.value, {1: DataType.FLOAT, 2: DataType.DOUBLE, 4: DataType.FLOAT16}[newDataType]))


@cntk("Assign")
def assign(op: Builder, reference: Tensor, value: Tensor, *, context: Context) -> Tensor:
    """The value. In CNTK, the parameter has it from the next call on."""
    context.warn("parameters that the model assigns to have their stored values in each call")
    return value

"""Arithmetic on Python numbers, known or traced: ``torch.add(n, 1)``, ``torch.lt(i, n)``, ``int(x)``.

Ints that depend on sizes or data stay symbolic (:class:`~nxconvert.graph.dims.Dim`), so that a size computed from sizes
reaches the graph only if a node needs it; floats and bools are float64 and bool scalars of the graph, as in Python.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any, cast

from nxconvert.frontends.pytorch.dtypes import DataType
from nxconvert.frontends.pytorch.ops.common import as_tensor
from nxconvert.frontends.pytorch.table import Builder, LoweringError, Scalar
from nxconvert.graph.builder import Value
from nxconvert.graph.dims import Dim, Int, compare, floordiv, maximum, minimum, mod

_INT_OPERATIONS: dict[str, Callable[[Any, Any], Int]] = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "floordiv": floordiv,
    "floor_divide": floordiv,
    "remainder": mod,
    "mod": mod,
    "min": minimum,
    "max": maximum,
}
_RELATIONS = {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}
_STATIC: dict[str, Callable[..., Any]] = {
    "add": operator.add, "sub": operator.sub, "mul": operator.mul, "div": operator.truediv,
    "floordiv": operator.floordiv, "floor_divide": operator.floordiv, "remainder": operator.mod, "mod": operator.mod,
    "pow": operator.pow, "min": min, "max": max, "eq": operator.eq, "ne": operator.ne, "lt": operator.lt,
    "le": operator.le, "gt": operator.gt, "ge": operator.ge, "__and__": operator.and_, "__or__": operator.or_,
    "__xor__": operator.xor, "__lshift__": operator.lshift, "__rshift__": operator.rshift, "neg": operator.neg,
    "abs": abs, "floor": math.floor, "ceil": math.ceil, "round": lambda x: float(round(x)), "trunc": math.trunc,
    "sqrt": math.sqrt, "exp": math.exp, "log": math.log, "log2": math.log2, "log10": math.log10, "log1p": math.log1p,
    "expm1": math.expm1, "sin": math.sin, "cos": math.cos, "tan": math.tan, "asin": math.asin, "acos": math.acos,
    "atan": math.atan, "atan2": math.atan2, "sinh": math.sinh, "cosh": math.cosh, "tanh": math.tanh,
    "asinh": math.asinh, "acosh": math.acosh, "atanh": math.atanh, "erf": math.erf, "erfc": math.erfc,
    "gamma": math.gamma, "lgamma": math.lgamma, "fabs": math.fabs, "fmod": math.fmod, "divmod": divmod,
    "hypot": math.hypot,
    "copysign": math.copysign, "degrees": math.degrees, "radians": math.radians, "gcd": math.gcd, "isnan": math.isnan,
    "isinf": math.isinf, "isfinite": math.isfinite, "ldexp": math.ldexp, "mathremainder": math.remainder,
    "__not__": operator.not_, "frexp": math.frexp, "modf": math.modf, "factorial": math.factorial,
    "bitwise_not": operator.invert,
}  # fmt: skip
_ONNX_UNARY = {
    "neg": "Neg", "abs": "Abs", "fabs": "Abs", "sqrt": "Sqrt", "exp": "Exp", "log": "Log", "sin": "Sin", "cos": "Cos",
    "tan": "Tan", "asin": "Asin", "acos": "Acos", "atan": "Atan", "sinh": "Sinh", "cosh": "Cosh", "tanh": "Tanh",
    "asinh": "Asinh", "acosh": "Acosh", "atanh": "Atanh", "erf": "Erf",
}  # fmt: skip
_SINGLE_PRECISION = frozenset({"Tan", "Asin", "Acos", "Atan", "Sinh", "Cosh", "Asinh", "Acosh", "Atanh", "Erf"})
"""ONNX Runtime computes these for floats, but not for doubles."""
_ONNX_BINARY = {"add": "Add", "sub": "Sub", "mul": "Mul", "div": "Div", "pow": "Pow", "min": "Min", "max": "Max"}
_ONNX_RELATIONS = {"eq": "Equal", "lt": "Less", "le": "LessOrEqual", "gt": "Greater", "ge": "GreaterOrEqual"}
_ONNX_LOGIC = {"__and__": "And", "__or__": "Or", "__xor__": "Xor", "eq": "Equal"}
_ONNX_BITWISE = {"__and__": "BitwiseAnd", "__or__": "BitwiseOr", "__xor__": "BitwiseXor"}
_TO_INT = {"floor": "Floor", "ceil": "Ceil", "trunc": "", "round": "Round"}

OPERATIONS = frozenset(_STATIC)

_LEAST, _GREATEST = -(2**63), 2**63 - 1
# A polynomial that grows beyond this is cheaper to compute than to reason about.
MAX_TERMS = 24


def calculate(op: Builder, name: str, *operands: Any) -> Any:
    """The result of an operator on numbers.

    Args:
        op: emits what depends on data.
        name: the operator as TorchScript spells it.
        operands: ints, floats, bools; known or traced.

    Raises:
        LoweringError: if traced operands of these kinds have no such operator.
    """
    if not any(isinstance(x, (Dim, Scalar)) for x in operands):
        return _static(name, operands)
    if name == "__not__":
        return logical_not(op, to_bool(op, operands[0]))
    if all(_is_int(x) for x in operands):
        result = _integers(op, name, *operands)
        if result is not NotImplemented:
            return _bounded(op, result)
    if all(_is_bool(x) for x in operands) and name in (*_ONNX_LOGIC, "ne"):
        return _logic(op, name, *operands)
    return _floats(op, name, *operands)


def _static(name: str, operands: tuple[Any, ...]) -> Any:
    if name in ("__lshift__", "factorial") and not 0 <= operands[-1] < 64:
        raise LoweringError(f"{name} of {operands[-1]}")
    try:
        result = _compute(name, operands)
    except OverflowError:
        return math.inf
    if isinstance(result, int) and not _LEAST <= result <= _GREATEST:
        raise LoweringError(f"{name} overflows an int")
    return result


def _compute(name: str, operands: tuple[Any, ...]) -> Any:
    if name == "pow":  # of ints, too: TorchScript gives a float
        return float(operands[0]) ** operands[1]
    if name in ("div", "floordiv", "floor_divide", "remainder", "mod") and operands[1] == 0:
        raise LoweringError(f"{name} divides by zero")
    return _STATIC[name](*operands)


def dtype_of(x: Any) -> DataType:
    """The dtype that carries a number, known or traced."""
    if _is_bool(x):
        return DataType.BOOL
    return DataType.INT64 if _is_int(x) else DataType.DOUBLE


def kind_of(dtype: DataType) -> str:
    """``bool``, ``float`` or ``int``: what a number out of a tensor of ``dtype`` is."""
    return "bool" if dtype == DataType.BOOL else "float" if dtype.is_floating_point() else "int"


def _is_int(x: Any) -> bool:
    return isinstance(x, (int, Dim)) and not isinstance(x, bool)


def _is_bool(x: Any) -> bool:
    return isinstance(x, bool) or (isinstance(x, Scalar) and x.value.etype == DataType.BOOL)


def _bounded(op: Builder, result: Any) -> Any:
    """A polynomial that has grown too long becomes a symbol of its own."""
    return op.symbol_of(op.dim_value(result)) if isinstance(result, Dim) and len(result.terms) > MAX_TERMS else result


def _integers(op: Builder, name: str, a: Int, b: Int | None = None) -> Any:
    if b is None:
        if name in ("neg", "abs"):
            return -a if name == "neg" else maximum(a, -a)
        return a if name in _TO_INT else NotImplemented
    if name in _INT_OPERATIONS:
        return _INT_OPERATIONS[name](a, b)
    if name in _RELATIONS:
        decided = compare(a, _RELATIONS[name], b)
        if decided is not None:
            return decided
        return _relation(op, name, op.dim_value(a), op.dim_value(b))
    if name == "divmod":
        return floordiv(a, b), mod(a, b)
    if name in _ONNX_BITWISE:
        return op.symbol_of(getattr(op, _ONNX_BITWISE[name])(op.dim_value(a), op.dim_value(b)))
    if name in ("__lshift__", "__rshift__"):
        factor = op.Pow(op.const(2), op.dim_value(b))
        return (
            op.symbol_of(op.Mul(op.dim_value(a), factor))
            if name == "__lshift__"
            else floordiv(a, op.symbol_of(factor, low=1))
        )
    return NotImplemented


def _relation(op: Builder, name: str, a: Value, b: Value) -> Scalar:
    if name == "ne":
        return Scalar(op.Not(op.Equal(a, b)))
    return Scalar(getattr(op, _ONNX_RELATIONS[name])(a, b))


def _logic(op: Builder, name: str, a: Any, b: Any) -> Any:
    """``and``, ``or``, ``==`` of bools of which one may be known."""
    known, other = (a, b) if isinstance(a, bool) else (b, a)
    if isinstance(known, bool):
        if name == "__and__":
            return other if known else False
        if name == "__or__":
            return True if known else other
        flips = known if name in ("ne", "__xor__") else not known
        return logical_not(op, other) if flips else other
    emitted = "Xor" if name == "ne" else _ONNX_LOGIC[name]
    return Scalar(getattr(op, emitted)(a.value, b.value))


def logical_not(op: Builder, x: bool | Scalar) -> bool | Scalar:
    """``not x``."""
    return Scalar(op.Not(x.value)) if isinstance(x, Scalar) else not x


def _floats(op: Builder, name: str, *operands: Any) -> Any:
    values = [as_tensor(op, x, DataType.DOUBLE) for x in operands]
    if name in _RELATIONS:
        return _relation(op, name, *values)
    if name in _ONNX_BINARY and len(values) == 2:
        return Scalar(getattr(op, _ONNX_BINARY[name])(*values))
    if name in _TO_INT and len(values) == 1:
        whole = getattr(op, _TO_INT[name])(values[0]) if _TO_INT[name] else values[0]
        # Python's round gives an int, TorchScript's keeps a float.
        return Scalar(whole) if name == "round" else op.symbol_of(op.Cast(whole, to=DataType.INT64))
    if name in ("floordiv", "floor_divide"):
        return Scalar(op.Floor(op.Div(*values)))
    if name in ("remainder", "mod"):
        return Scalar(op.Sub(values[0], op.Mul(op.Floor(op.Div(*values)), values[1])))
    if name in _ONNX_UNARY and len(values) == 1:
        return Scalar(_unary(op, _ONNX_UNARY[name], values[0]))
    if name in ("isnan", "isinf", "isfinite"):
        return _classify(op, name, values[0])
    composed = _COMPOSED.get(name)
    if composed is not None:
        return Scalar(composed(op, *values))
    if name in ("log2", "log10"):
        return Scalar(op.Div(op.Log(values[0]), math.log(2 if name == "log2" else 10)))
    raise LoweringError(f"{name} of a number that depends on data")


def _unary(op: Builder, name: str, x: Value) -> Value:
    if name not in _SINGLE_PRECISION:
        return cast(Value, getattr(op, name)(x))
    return op.cast(getattr(op, name)(op.cast(x, DataType.FLOAT)), DataType.DOUBLE)


def _atan2(op: Builder, y: Value, x: Value) -> Value:
    turned = op.Where(op.Less(x, 0.0), _copysign(op, op.const(math.pi, DataType.DOUBLE), y), 0.0)
    on_axis = _copysign(op, op.const(math.pi / 2, DataType.DOUBLE), y)
    return op.Where(
        op.Equal(x, 0.0), op.Where(op.Equal(y, 0.0), 0.0, on_axis), op.Add(_unary(op, "Atan", op.Div(y, x)), turned)
    )


def _copysign(op: Builder, x: Value, sign: Value) -> Value:
    return op.Where(op.Less(sign, 0.0), op.Neg(op.Abs(x)), op.Abs(x))


_COMPOSED: dict[str, Callable[..., Value]] = {
    "atan2": _atan2,
    "copysign": _copysign,
    "fmod": lambda op, x, y: op.Mod(x, y, fmod=1),
    "mathremainder": lambda op, x, y: op.Sub(x, op.Mul(op.Round(op.Div(x, y)), y)),
    "hypot": lambda op, x, y: op.Sqrt(op.Add(op.Mul(x, x), op.Mul(y, y))),
    "degrees": lambda op, x: op.Mul(x, 180 / math.pi),
    "radians": lambda op, x: op.Mul(x, math.pi / 180),
    "log1p": lambda op, x: op.Log(op.Add(x, 1.0)),
    "expm1": lambda op, x: op.Sub(op.Exp(x), 1.0),
    "erfc": lambda op, x: op.Sub(1.0, _unary(op, "Erf", x)),
}


def _classify(op: Builder, name: str, value: Value) -> Scalar:
    if name == "isnan":
        return Scalar(op.IsNaN(value))
    if name == "isinf":
        return Scalar(op.IsInf(value))
    return Scalar(op.Not(op.Or(op.IsNaN(value), op.IsInf(value))))


def to_bool(op: Builder, x: Any) -> bool | Scalar:
    """``bool(x)`` of a number."""
    if isinstance(x, Dim):
        return calculate(op, "ne", x, 0)
    if isinstance(x, Scalar) and x.value.etype != DataType.BOOL:
        return Scalar(op.Cast(x.value, to=DataType.BOOL))
    return x if isinstance(x, Scalar) else bool(x)


def to_int(op: Builder, x: Any) -> Int:
    """``int(x)`` of a number: truncated towards zero."""
    if isinstance(x, Scalar):
        return op.symbol_of(op.Cast(x.value, to=DataType.INT64))
    return x if isinstance(x, Dim) else int(x)


def to_float(op: Builder, x: Any) -> float | Scalar:
    """``float(x)`` of a number."""
    if isinstance(x, (Dim, Scalar)):
        return Scalar(as_tensor(op, x, DataType.DOUBLE))
    return float(x)


def from_tensor(op: Builder, value: Value, kind: str) -> Any:
    """The only element of a tensor as an int, float or bool."""
    if value.array is not None:
        return {"int": int, "float": float, "bool": bool}[kind](value.array.reshape(()).item())
    if value.rank:
        value = op.reshape(value, ())
    if kind == "int":
        return op.symbol_of(op.cast(value, DataType.INT64))
    dtype = DataType.BOOL if kind == "bool" else DataType.DOUBLE
    return Scalar(op.cast(value, dtype))

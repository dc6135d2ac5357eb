"""Operators that work element by element: arithmetic, comparison, logic, activations, casts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import onnx_ir as ir

from nxconvert.graph import IR_OPSET
from nxconvert.graph.rules import infer_rule
from nxconvert.graph.rules.common import broadcast_dims, broadcastable_to, dtype_of, same, tensor
from nxconvert.graph.schema import schema
from nxconvert.graph.values import GraphTypeError, TensorType, Value

if TYPE_CHECKING:
    from nxconvert.graph.builder import Builder

_UNARY = (
    "Abs", "Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "BitwiseNot", "Ceil", "Celu", "Clip", "Cos", "Cosh",
    "Elu", "Erf", "Exp", "Floor", "Gelu", "HardSigmoid", "HardSwish", "Identity", "LeakyRelu", "Log", "Mish", "Neg",
    "Not", "Reciprocal", "Relu", "Round", "Selu", "Shrink", "Sigmoid", "Sign", "Sin", "Sinh", "Softplus", "Softsign",
    "Sqrt", "Tan", "Tanh", "ThresholdedRelu",
)  # fmt: skip
_BINARY = (
    "Add", "And", "BitShift", "BitwiseAnd", "BitwiseOr", "BitwiseXor", "Div", "Max", "Mean", "Min", "Mod", "Mul",
    "Or", "Pow", "Sub", "Sum", "Xor",
)  # fmt: skip


@infer_rule(*_UNARY)
def _unary(op: Builder, x: Value, /, *_: Value | None, **__: Any) -> list[TensorType]:
    return [TensorType(x.etype, x.dims, x.is_sequence)]


@infer_rule(*_BINARY)
def _broadcast(op: Builder, x: Value, /, *others: Value, **_: Any) -> list[TensorType]:
    return [TensorType(x.etype, broadcast_dims(op, x.dims, *[value.dims for value in others]))]


@infer_rule("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual")
def _comparison(op: Builder, a: Value, b: Value, /) -> list[TensorType]:
    return [TensorType(ir.DataType.BOOL, broadcast_dims(op, a.dims, b.dims))]


@infer_rule("IsInf", "IsNaN")
def _predicate(op: Builder, x: Value, /, **_: Any) -> list[TensorType]:
    return tensor(ir.DataType.BOOL, x.dims)


@infer_rule("Where")
def _where(op: Builder, condition: Value, x: Value, y: Value, /) -> list[TensorType]:
    return [TensorType(x.etype, broadcast_dims(op, condition.dims, x.dims, y.dims))]


@infer_rule("PRelu")
def _prelu(op: Builder, x: Value, slope: Value, /) -> list[TensorType]:
    broadcastable_to(slope.dims, x.dims, "the slope")
    return same(x)


@infer_rule("Cast")
def _cast(op: Builder, x: Value, /, *, to: Any, saturate: int = 1) -> list[TensorType]:
    dtype = ir.DataType(to)
    if dtype not in schema("Cast").inputs[0].tensors:
        raise GraphTypeError(f"{dtype.name} is no dtype of opset {IR_OPSET}")
    return tensor(dtype, x.dims)


@infer_rule("CastLike")
def _cast_like(op: Builder, x: Value, like: Value, /, *, saturate: int = 1) -> list[TensorType]:
    return tensor(like.etype, x.dims)


@infer_rule("Dropout")
def _dropout(
    op: Builder, x: Value, ratio: Value | None = None, training: Value | None = None, /, *, seed: int = 0
) -> list[TensorType]:
    return [*same(x), *tensor(ir.DataType.BOOL, x.dims)]


@infer_rule("Bernoulli", "RandomNormalLike", "RandomUniformLike")
def _random_like(op: Builder, x: Value, /, *, dtype: Any = None, **_: Any) -> list[TensorType]:
    return tensor(dtype_of(dtype, x.etype), x.dims)

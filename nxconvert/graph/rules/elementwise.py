"""Operators that work element by element: arithmetic, comparison, logic, activations, casts."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir

from nxconvert.graph.builder import Builder, GraphTypeError, TensorType, Value
from nxconvert.graph.dims import Dim, Int, compare
from nxconvert.graph.rules import FOLD, fold_rule, infer_rule, simplify_rule


def broadcast_dims(op: Builder, *shapes: tuple[Int, ...]) -> tuple[Int, ...]:
    """The dims of the broadcast of several shapes (numpy's rule).

    Two different symbols may be equal, or one of them 1: the result is then a symbol of its own.

    Raises:
        GraphTypeError: if two sizes can never match.
    """
    rank = max(len(shape) for shape in shapes)
    result: list[Int] = []
    for axis in range(-rank, 0):
        sizes = [shape[axis] for shape in shapes if len(shape) >= -axis]
        result.append(_broadcast_axis(op, sizes, shapes))
    return tuple(result)


def _broadcast_axis(op: Builder, sizes: list[Int], shapes: tuple[tuple[Int, ...], ...]) -> Int:
    known: Int = 1
    for size in sizes:
        if size == known or size == 1:
            continue
        if known == 1:
            known = size
        elif isinstance(size, int) and isinstance(known, int) or compare(size, "==", known) is False and _never_one(size, known):
            raise GraphTypeError(f"shapes {', '.join(map(str, shapes))} cannot be broadcast: {known} against {size}")
        elif isinstance(size, int) or isinstance(known, int):
            known = size if isinstance(size, int) else known
        else:
            known = op.fresh("broadcast", low=0)
    return known


def _never_one(*sizes: Int) -> bool:
    return all(compare(size, "==", 1) is False for size in sizes)


_SAME_TYPE = (
    "Abs", "Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "BitwiseNot", "Ceil", "Celu", "Clip", "Cos", "Cosh", "Elu", "Erf", "Exp",
    "Floor", "Gelu", "HardSigmoid", "HardSwish", "Identity", "LeakyRelu", "Log", "LogSoftmax", "Mish", "Neg", "Not", "Reciprocal", "Relu",
    "Round", "Selu", "Shrink", "Sigmoid", "Sign", "Sin", "Sinh", "Softmax", "Softplus", "Softsign", "Sqrt", "Tan", "Tanh", "ThresholdedRelu",
)  # fmt: skip


@infer_rule(*_SAME_TYPE)
def _same(op: Builder, inputs: list[Any], attributes: dict[str, Any]) -> list[TensorType]:
    return [TensorType(inputs[0].etype, inputs[0].dims)]


@infer_rule("Add", "Sub", "Mul", "Div", "Mod", "BitwiseAnd", "BitwiseOr", "BitwiseXor", "BitShift", "And", "Or", "Xor", "Max", "Min", "Sum", "Mean")
def _broadcast(op: Builder, inputs: list[Any], attributes: dict[str, Any]) -> list[TensorType]:
    dtypes = {value.etype for value in inputs}
    if len(dtypes) > 1:
        raise GraphTypeError(f"operands of different dtypes: {', '.join(sorted(d.name for d in dtypes))}")
    return [TensorType(inputs[0].etype, broadcast_dims(op, *(value.dims for value in inputs)))]

"""Comparisons, logic and bits of two operands, with Caffe2's broadcasting (:mod:`.arithmetic`)."""

from __future__ import annotations

from collections.abc import Callable

from nxconvert.frontends.caffe2.ops.arithmetic import emitting, register_binary
from nxconvert.frontends.caffe2.table import Builder, DataType, Flags, Value, caffe2

_COMPARISONS = {"EQ": "Equal", "LT": "Less", "LE": "LessOrEqual", "GT": "Greater", "GE": "GreaterOrEqual"}
_LOGIC = {"And": "And", "Or": "Or", "Xor": "Xor"}


def _comparison(op_type: str) -> Callable[[Builder, Value, Value], Value]:
    def compare(op: Builder, a: Value, b: Value) -> Value:
        """False is less than true."""
        if a.etype == DataType.BOOL and op_type != "Equal":
            a, b = op.Cast(a, to=DataType.INT32), op.Cast(b, to=DataType.INT32)
        return getattr(op, op_type)(a, b)

    return compare


def _bitwise(op_type: str) -> Callable[[Builder, Value, Value], Value]:
    def bitwise(op: Builder, a: Value, b: Value) -> Value:
        """The bits of a bool are one."""
        return getattr(op, op_type if a.etype == DataType.BOOL else f"Bitwise{op_type}")(a, b)

    return bitwise


for _name, _op_type in _COMPARISONS.items():
    register_binary([_name], _comparison(_op_type))
register_binary(["NE"], lambda op, a, b: op.Not(op.Equal(a, b)))
for _name, _op_type in _LOGIC.items():
    register_binary([_name], emitting(_op_type), kind="Flags")
    register_binary([f"Bitwise{_name}"], _bitwise(_op_type), kind="Indices")


@caffe2("Not")
def not_(op: Builder, x: Flags) -> Value:
    return op.Not(x)

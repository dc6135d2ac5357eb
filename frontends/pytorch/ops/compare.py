"""Comparison and logic: results are bools."""

from __future__ import annotations

from nxconvert.frontends.pytorch.dtypes import DataType, is_float
from nxconvert.frontends.pytorch.ops.common import as_tensor, promote
from nxconvert.frontends.pytorch.table import Builder, Number, Scalar, Value, aten
from nxconvert.graph.builder import TensorType
from nxconvert.graph.dims import compare, product
from nxconvert.graph.widening import emit, full, where

_RELATIONS = {
    "eq": "Equal", "lt": "Less", "less": "Less", "le": "LessOrEqual", "less_equal": "LessOrEqual", "gt": "Greater",
    "greater": "Greater", "ge": "GreaterOrEqual", "greater_equal": "GreaterOrEqual",
}  # fmt: skip


def _register_relation(name: str, op_type: str) -> None:
    @aten(name)
    def relation(op: Builder, self: Value | Number, other: Value | Number) -> Value:
        return emit(op, op_type, *promote(op, self, other))


for _name, _op_type in _RELATIONS.items():
    _register_relation(_name, _op_type)


@aten("ne", "not_equal")
def ne(op: Builder, self: Value | Number, other: Value | Number) -> Value:
    return op.Not(op.Equal(*promote(op, self, other)))


def as_bool(op: Builder, x: Value | Number) -> Value:
    """Whether each element is not zero; NaN is not."""
    return as_tensor(op, x, DataType.BOOL)


def _register_logic(name: str, op_type: str) -> None:
    @aten(name)
    def logic(op: Builder, self: Value, other: Value) -> Value:
        return getattr(op, op_type)(as_bool(op, self), as_bool(op, other))


for _name, _op_type in {"logical_and": "And", "logical_or": "Or", "logical_xor": "Xor"}.items():
    _register_logic(_name, _op_type)


@aten("logical_not")
def logical_not(op: Builder, self: Value) -> Value:
    return op.Not(as_bool(op, self))


# ---- kinds of numbers ----------------------------------------------------------------------------------------------


@aten("isnan")
def isnan(op: Builder, self: Value) -> Value:
    return op.IsNaN(self) if is_float(self.etype) else full(op, False, DataType.BOOL, self.dims)


def _infinite(op: Builder, x: Value, negative: int, positive: int) -> Value:
    if not is_float(x.etype):
        return full(op, False, DataType.BOOL, x.dims)
    if x.etype == DataType.BFLOAT16:  # exact, and IsInf is defined for float16 and wider only
        x = op.Cast(x, to=DataType.FLOAT)
    return op.IsInf(x, detect_negative=negative, detect_positive=positive)


@aten("isinf")
def isinf(op: Builder, self: Value) -> Value:
    return _infinite(op, self, 1, 1)


@aten("isposinf")
def isposinf(op: Builder, self: Value) -> Value:
    return _infinite(op, self, 0, 1)


@aten("isneginf")
def isneginf(op: Builder, self: Value) -> Value:
    return _infinite(op, self, 1, 0)


@aten("isfinite")
def isfinite(op: Builder, self: Value) -> Value:
    if not is_float(self.etype):
        return full(op, True, DataType.BOOL, self.dims)
    return op.Less(op.Abs(self), op.const(float("inf"), self.etype))


@aten("isreal")
def isreal(op: Builder, self: Value) -> Value:
    return full(op, True, DataType.BOOL, self.dims)


# ---- whole tensors -------------------------------------------------------------------------------------------------


@aten("isclose")
def isclose(
    op: Builder, self: Value, other: Value, rtol: Number = 1e-05, atol: Number = 1e-08, equal_nan: bool = False
) -> Value:
    """``|self - other| <= atol + rtol |other|``, and equal infinities; NaNs only if asked for."""
    a, b = promote(op, self, other)
    same = op.Equal(a, b)
    if equal_nan and is_float(a.etype):
        same = op.Or(same, op.And(op.IsNaN(a), op.IsNaN(b)))
    if not is_float(a.etype):
        a, b = op.Cast(a, to=DataType.DOUBLE), op.Cast(b, to=DataType.DOUBLE)
    distance = op.Abs(op.Sub(a, b))
    allowed = op.Add(op.Mul(op.Abs(b), as_tensor(op, rtol, b.etype)), as_tensor(op, atol, b.etype))
    near = op.And(op.Less(distance, op.const(float("inf"), a.etype)), op.LessOrEqual(distance, allowed))
    return op.Or(same, near)


def all_true(op: Builder, x: Value) -> Value:
    """Whether every element is true (of none: yes), as a bool of rank 0."""
    return op.Not(op.Cast(op.ReduceSum(op.Cast(op.Not(x), to=DataType.INT32), keepdims=0), to=DataType.BOOL))


@aten("allclose")
def allclose(
    op: Builder, self: Value, other: Value, rtol: Number = 1e-05, atol: Number = 1e-08, equal_nan: bool = False
) -> Scalar:
    return Scalar(all_true(op, isclose(op, self, other, rtol, atol, equal_nan)))


@aten("equal")
def equal(op: Builder, self: Value, other: Value) -> bool | Scalar:
    """Whether both tensors have the same size and elements; sizes that differ are no error."""
    if self.rank != other.rank or any(compare(a, "==", b) is False for a, b in zip(self.dims, other.dims, strict=True)):
        return False
    if any(a != b for a, b in zip(self.dims, other.dims, strict=True)):
        return Scalar(_equal_when_run(op, *promote(op, self, other)))
    return Scalar(all_true(op, op.Equal(*promote(op, self, other))))


def _equal_when_run(op: Builder, a: Value, b: Value) -> Value:
    """Compares the elements only where the sizes turn out to be equal."""
    sizes = all_true(op, op.Equal(op.dims_tensor(a.dims), op.dims_tensor(b.dims)))
    then, otherwise = op.child(), op.child()
    branches = {
        "then_branch": then.graph(
            [all_true(then, then.Equal(then.node("Identity", [a], {}, [TensorType(a.etype, b.dims)])[0], b))], "same"
        ),
        "else_branch": otherwise.graph([otherwise.const(False)], "different"),
    }
    return op.node("If", [sizes], branches, [TensorType(DataType.BOOL, ())])[0]


@aten("is_nonzero")
def is_nonzero(op: Builder, self: Value) -> Scalar:
    return Scalar(op.reshape(as_bool(op, self), []))


@aten("isin")
def isin(
    op: Builder,
    elements: Value | Number,
    test_elements: Value | Number,
    *,
    assume_unique: bool = False,
    invert: bool = False,
) -> Value:
    """Whether each element is among the others, each compared with each."""
    return _isin(op, elements, test_elements, invert)


@aten("isin.Tensor_Scalar")
def isin_scalar(
    op: Builder, elements: Value, test_element: Number, *, assume_unique: bool = False, invert: bool = False
) -> Value:
    return _isin(op, elements, test_element, invert)


@aten("isin.Scalar_Tensor")
def scalar_isin(
    op: Builder, element: Number, test_elements: Value, *, assume_unique: bool = False, invert: bool = False
) -> Value:
    return _isin(op, element, test_elements, invert)


def _isin(op: Builder, elements: Value | Number, others: Value | Number, invert: bool) -> Value:
    a, b = promote(op, elements, others)
    if not b.rank:
        found = op.Equal(a, b)
    else:
        pairs = op.Equal(op.Unsqueeze(a, [-1]), op.reshape(b, [product(b.dims)]))
        found = op.Cast(op.ReduceSum(op.Cast(pairs, to=DataType.INT32), [-1], keepdims=0), to=DataType.BOOL)
    return op.Not(found) if invert else found


# ---- choosing ------------------------------------------------------------------------------------------------------


@aten("where.self", "where.ScalarOther", "where.ScalarSelf", "where.Scalar")
def where_(op: Builder, condition: Value, self: Value | Number, other: Value | Number) -> Value:
    return where(op, as_bool(op, condition), *promote(op, self, other))


@aten("where")
def where_true(op: Builder, condition: Value) -> list[Value]:
    """The positions of what is not zero: an int64 vector for each axis."""
    x = op.reshape(condition, [1]) if not condition.rank else condition
    found = emit(op, "NonZero", x)
    return [op.Gather(found, axis, axis=0) for axis in range(x.rank)]

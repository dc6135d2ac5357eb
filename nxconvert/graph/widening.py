"""Operators in the dtypes they run in.

Where ONNX Runtime's CPU provider has no kernel for a dtype, the node computes in a wider one. Every cast here is exact
but one: functions that exist for float32 alone (``Erf``, ``Atan``, ...) take float64 through float32, because a result
of seven digits serves better than a model that does not load. float16 is not listed, ONNX Runtime widens it itself; nor
are halves that an operator is not defined for, the builder widens those.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import onnx_ir as ir

from nxconvert.graph.builder import Builder, Value
from nxconvert.graph.dims import Int

DataType = ir.DataType


class _Form(NamedTuple):
    """From and to which dtypes an operator is widened, which operands have them, and whether the first result has."""

    wider: Mapping[ir.DataType, ir.DataType]
    operands: slice = slice(None)
    returned: bool = True


_BOOL = {DataType.BOOL: DataType.UINT8}
_SHORT = {DataType.INT16: DataType.INT32, DataType.UINT16: DataType.INT32}
_SMALL = dict.fromkeys(
    (DataType.BOOL, DataType.INT8, DataType.UINT8, DataType.INT16, DataType.UINT16, DataType.UINT32), DataType.INT64
)
_DOUBLE = {DataType.DOUBLE: DataType.FLOAT}
_FIRST = slice(0, 1)

_FORMS: dict[str, _Form] = {
    "Where": _Form({**_BOOL, **_SHORT, DataType.UINT64: DataType.INT64}, slice(1, None)),
    "TopK": _Form({**_BOOL, DataType.UINT16: DataType.INT32, DataType.UINT32: DataType.INT64}, _FIRST),
    "NonZero": _Form(
        dict.fromkeys((DataType.INT8, DataType.INT16, DataType.UINT16, DataType.DOUBLE), DataType.BOOL), _FIRST, False
    ),
    "Pad": _Form(_SHORT, _FIRST),
    "Trilu": _Form({**_SHORT, DataType.INT8: DataType.INT32, DataType.UINT8: DataType.INT32}, _FIRST),
    "Unique": _Form({**_SMALL, DataType.INT32: DataType.INT64}, _FIRST),
    "Pow": _Form(_SMALL),
    "CumSum": _Form(_SMALL, _FIRST),
    "Abs": _Form(_BOOL),
    "Sign": _Form(_BOOL),
    **dict.fromkeys(("Max", "Min", "Clip"), _Form({**_BOOL, **_SHORT})),
    **dict.fromkeys(("Less", "LessOrEqual", "Greater", "GreaterOrEqual"), _Form(_BOOL, returned=False)),
    **dict.fromkeys(("ReduceSum", "ReduceProd"), _Form(_SMALL, _FIRST)),
    **dict.fromkeys(("ReduceMax", "ReduceMin"), _Form({**_SHORT, DataType.UINT32: DataType.INT64}, _FIRST)),
    **dict.fromkeys(("ArgMax", "ArgMin"), _Form({**_BOOL, **_SHORT, DataType.UINT32: DataType.INT64}, _FIRST, False)),
    "Erf": _Form(_DOUBLE),
    **dict.fromkeys(
        ("Tan", "Asin", "Acos", "Atan", "Sinh", "Cosh", "Asinh", "Acosh", "Atanh", "Softplus"),
        _Form(_DOUBLE),
    ),
    **dict.fromkeys(("Conv", "ConvTranspose", "AveragePool", "MaxRoiPool"), _Form(_DOUBLE)),
}


def emit(op: Builder, op_type: str, *operands: Any, **attributes: Any) -> Any:
    """``op.<op_type>(*operands, **attributes)``, computed in a wider dtype where the operands' own has no kernel."""
    form = _FORMS.get(op_type)
    if form is None:
        return getattr(op, op_type)(*operands, **attributes)
    dtype = next(x.etype for x in operands[form.operands] if isinstance(x, Value))
    wider = form.wider.get(dtype)
    if wider is None:
        return getattr(op, op_type)(*operands, **attributes)
    inputs = list(operands)
    inputs[form.operands] = [op.cast(x, wider) if isinstance(x, Value) else x for x in inputs[form.operands]]
    results = getattr(op, op_type)(*inputs, **attributes)
    if not form.returned:
        return results
    if isinstance(results, tuple):
        return op.cast(results[0], dtype), *results[1:]
    return op.cast(results, dtype)


def where(op: Builder, condition: Value, a: Value, b: Value) -> Value:
    """``a`` where ``condition`` holds, else ``b``; both of one dtype."""
    if a.etype != DataType.BOOL:
        return emit(op, "Where", condition, a, b)
    for value, other, whole in ((a, b, True), (b, a, False)):
        if value.array is None or value.array.size != 1:
            continue
        if bool(value.array.item()):
            return op.Or(condition if whole else op.Not(condition), other)
        return op.And(op.Not(condition) if whole else condition, other)
    return emit(op, "Where", condition, a, b)


def reduce(op: Builder, op_type: str, x: Value, axes: list[int], keepdims: bool) -> Value:
    """A reduction over ``axes`` (sorted, non-negative); over none of them it is ``x`` itself."""
    if not axes:
        return x
    every = len(axes) == x.rank
    return emit(op, op_type, x, None if every else op.const(axes), keepdims=int(keepdims))


def full(op: Builder, number: float, dtype: ir.DataType, dims: tuple[Int, ...]) -> Value:
    """A tensor of ``dims`` filled with one number."""
    return op.expand(op.const(number, dtype), dims)

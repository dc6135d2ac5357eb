"""What many lowerings share: promotion of operands, axes, lists of sizes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

from nxconvert.frontends.pytorch.dtypes import BY_CODE, COMPLEX_CODES, DataType, category, is_float, promote_types
from nxconvert.frontends.pytorch.table import (
    Builder,
    Dim,
    DType,
    Int,
    LoweringError,
    Number,
    NumberConstant,
    Scalar,
    Value,
    aten,
)

DEFAULT_FLOAT = DataType.FLOAT


def dtype_of(code: DType) -> ir.DataType:
    """The dtype behind PyTorch's number for it.

    Raises:
        LoweringError: for complex dtypes.
    """
    if code in COMPLEX_CODES:
        raise LoweringError(f"dtype {COMPLEX_CODES[code]} has no counterpart in ONNX")
    return BY_CODE[code]


def number_dtype(number: Number) -> ir.DataType:
    """The dtype that a Python number has as a tensor of its own (``torch.tensor(number)``)."""
    if isinstance(number, Scalar):
        return DataType.BOOL if number.value.etype == DataType.BOOL else DEFAULT_FLOAT
    if isinstance(number, bool):
        return DataType.BOOL
    return DEFAULT_FLOAT if isinstance(number, float) else DataType.INT64


def as_tensor(op: Builder, x: Value | Number, dtype: ir.DataType | None = None) -> Value:
    """A tensor, or a number as a tensor of rank 0, as ``dtype`` (by default its own)."""
    if isinstance(x, Value):
        return op.cast(x, dtype or x.etype)
    dtype = dtype or number_dtype(x)
    if isinstance(x, Scalar):
        return op.cast(x.value, dtype)
    if isinstance(x, Dim):
        return op.cast(op.dim_value(x), dtype)
    return op.const(convert_number(x, dtype), dtype)


def convert_number(number: float, dtype: ir.DataType) -> Any:
    """A Python number as PyTorch converts it to a dtype: for integers, without a fraction and without higher bits."""
    if dtype == DataType.BOOL:
        return bool(number)
    if is_float(dtype):
        return float(number)
    if not math.isfinite(number):
        raise LoweringError(f"{number} is no integer")
    low, high = np.iinfo(dtype.numpy()).min, np.iinfo(dtype.numpy()).max
    return (int(number) - int(low)) % (int(high) - int(low) + 1) + int(low)


def result_type(*operands: Value | Number) -> ir.DataType:
    """``torch.result_type``: tensors with dims go before tensors of rank 0, and those before numbers, unless of a
    higher category.
    """
    tiers: list[ir.DataType | None] = [None, None, None]
    for x in operands:
        if isinstance(x, NumberConstant):
            tier, dtype = 2, DEFAULT_FLOAT if is_float(x.etype) else x.etype
        elif isinstance(x, Value):
            tier, dtype = 0 if x.rank else 1, x.etype
        else:
            tier, dtype = 2, number_dtype(x)
        known = tiers[tier]
        tiers[tier] = dtype if known is None else promote_types(known, dtype)
    result: ir.DataType | None = None
    for winner in tiers:
        if winner is not None and (result is None or category(winner) > category(result)):
            result = winner
    assert result is not None
    return result


def promote(op: Builder, *operands: Value | Number, to_float: bool = False) -> tuple[Value, ...]:
    """The operands in their common dtype.

    Args:
        op: the builder.
        operands: tensors and numbers.
        to_float: integers and bools become the default float dtype, as in true division and in ``sqrt``.
    """
    dtype = result_type(*operands)
    if to_float and not is_float(dtype):
        dtype = DEFAULT_FLOAT
    return tuple(as_tensor(op, x, dtype) for x in operands)


def float_input(op: Builder, x: Value) -> Value:
    """``x``, or ``x`` in the default float dtype if it holds integers or bools."""
    return x if is_float(x.etype) else op.Cast(x, to=DEFAULT_FLOAT)


def axis_of(dim: Int, rank: int) -> int:
    """A dim argument as a non-negative axis; a tensor of rank 0 has axis 0, as in PyTorch.

    Raises:
        LoweringError: if it is not known, or out of range.
    """
    if isinstance(dim, Dim):
        raise LoweringError(f"the axis depends on data ({dim})")
    span = max(rank, 1)
    if not -span <= dim < span:
        raise LoweringError(f"axis {dim} is out of range for a tensor of rank {rank}")
    return dim % span


def axes_of(dims: Int | Sequence[Int] | None, rank: int) -> list[int]:
    """A list of dims as sorted non-negative axes; None and an empty list mean all axes."""
    items = [dims] if isinstance(dims, (int, Dim)) else list(dims or [])
    if not items:
        return list(range(rank))
    return sorted({axis_of(dim, rank) for dim in items})


def static_ints(values: Int | Sequence[Int], what: str) -> list[int]:
    """A list of ints that must be known.

    Raises:
        LoweringError: naming ``what``, if one depends on sizes or data.
    """
    items = [values] if isinstance(values, (int, Dim)) else list(values)
    for item in items:
        if isinstance(item, Dim):
            raise LoweringError(f"{what} depends on the input's size or on data ({item})")
    return [int(item) for item in items]  # type: ignore[arg-type]


def repeat_to(values: Int | Sequence[Int], count: int, what: str) -> list[int]:
    """A list of ``count`` known ints; a single one is repeated, as PyTorch does for kernel sizes, strides, paddings."""
    items = static_ints(values, what)
    if len(items) == 1:
        return items * count
    if len(items) != count:
        raise LoweringError(f"{what} has {len(items)} numbers, {count} are needed")
    return items


def known(value: Any, what: str) -> Any:
    """``value``, which must not depend on data.

    Raises:
        LoweringError: naming ``what``, if it does.
    """
    if isinstance(value, (Dim, Scalar, Value)):
        raise LoweringError(f"{what} depends on data")
    return value


def all_static(dims: Iterable[Int]) -> bool:
    """Whether every dim is a number."""
    return all(isinstance(d, int) for d in dims)


def call(op: Builder, name: str, *args: Any, **kwargs: Any) -> Any:
    """The result of an ATen operator."""
    return aten.find(name, args, kwargs).function(op, *args, **kwargs)

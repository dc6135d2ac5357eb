"""PyTorch's dtypes: the integers that stand for them in archives, and how operands of different dtypes are promoted.

Source: ``c10/core/ScalarType.h`` for the numbers, https://docs.pytorch.org/docs/stable/tensor_attributes.html for
    promotion.
"""

from __future__ import annotations

import onnx_ir as ir

DataType = ir.DataType

# Index = c10::ScalarType. Complex dtypes have no counterpart in the standard operators and are left out.
BY_CODE: dict[int, ir.DataType] = {
    0: DataType.UINT8,
    1: DataType.INT8,
    2: DataType.INT16,
    3: DataType.INT32,
    4: DataType.INT64,
    5: DataType.FLOAT16,
    6: DataType.FLOAT,
    7: DataType.DOUBLE,
    11: DataType.BOOL,
    12: DataType.INT8,
    13: DataType.UINT8,
    14: DataType.INT32,
    15: DataType.BFLOAT16,
    23: DataType.FLOAT8E5M2,
    24: DataType.FLOAT8E4M3FN,
    25: DataType.FLOAT8E5M2FNUZ,
    26: DataType.FLOAT8E4M3FNUZ,
    27: DataType.UINT16,
    28: DataType.UINT32,
    29: DataType.UINT64,
}
CODES: dict[ir.DataType, int] = {dtype: code for code, dtype in reversed(BY_CODE.items())}
COMPLEX_CODES = {8: "complex32", 9: "complex64", 10: "complex128"}

COMPLEX = (DataType.COMPLEX64, DataType.COMPLEX128)
FLOATS = (DataType.FLOAT16, DataType.BFLOAT16, DataType.FLOAT, DataType.DOUBLE)
SIGNED = (DataType.INT8, DataType.INT16, DataType.INT32, DataType.INT64)
UNSIGNED = (DataType.UINT8, DataType.UINT16, DataType.UINT32, DataType.UINT64)
INTEGERS = SIGNED + UNSIGNED

_BITS = {
    DataType.UINT8: 8, DataType.INT8: 8, DataType.INT16: 16, DataType.UINT16: 16, DataType.INT32: 32,
    DataType.UINT32: 32, DataType.INT64: 64, DataType.UINT64: 64, DataType.FLOAT16: 16, DataType.BFLOAT16: 16,
    DataType.FLOAT: 32, DataType.DOUBLE: 64,
}  # fmt: skip


def is_float(dtype: ir.DataType) -> bool:
    """Whether the dtype is floating point."""
    return dtype in FLOATS


def is_integer(dtype: ir.DataType) -> bool:
    """Whether the dtype is an integer; bool is not."""
    return dtype in INTEGERS


def category(dtype: ir.DataType) -> int:
    """The rank of the dtype's category in promotion: 0 bool, 1 integer, 2 floating point."""
    return 0 if dtype == DataType.BOOL else 2 if is_float(dtype) else 1


def promote_types(a: ir.DataType, b: ir.DataType) -> ir.DataType:
    """``torch.promote_types``: the smallest dtype of the higher category that holds both."""
    if a == b:
        return a
    if category(a) != category(b):
        return a if category(a) > category(b) else b
    if is_float(a):
        if {a, b} == {DataType.FLOAT16, DataType.BFLOAT16}:
            return DataType.FLOAT
        return a if _BITS[a] > _BITS[b] else b
    if (a in SIGNED) == (b in SIGNED):
        return a if _BITS[a] > _BITS[b] else b
    signed, unsigned = (a, b) if a in SIGNED else (b, a)
    if _BITS[signed] > _BITS[unsigned]:
        return signed
    return {8: DataType.INT16, 16: DataType.INT32, 32: DataType.INT64, 64: DataType.INT64}[_BITS[unsigned]]


def limits(dtype: ir.DataType) -> tuple[int, int]:
    """The least and the greatest value of an integer dtype."""
    bits = _BITS[dtype]
    return (0, 2**bits - 1) if dtype in UNSIGNED else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)

"""Changes of dtype and device, copies, and what only autograd or the device would notice."""

from __future__ import annotations

from typing import Any

import onnx_ir as ir

from nxconvert.frontends.pytorch.dtypes import DataType
from nxconvert.frontends.pytorch.ops.complex import converted
from nxconvert.frontends.pytorch.table import Builder, Complex, ComplexDType, DType, NumberConstant, Value, aten

# ---- to ------------------------------------------------------------------------------------------------------------
# Layout, device, pinning and memory format say nothing about values. Whether the result shares memory is the reader's
# business.


@aten("to.other")
def to_other(
    op: Builder, self: Value, other: Value, non_blocking: bool = False, copy: bool = False, memory_format: Any = None
) -> Value:
    return op.cast(self, other.etype)


@aten("to.dtype", "to.prim_dtype")
def to_dtype(
    op: Builder,
    self: Value,
    dtype: DType | ComplexDType | None = None,
    non_blocking: bool = False,
    copy: bool = False,
    memory_format: Any = None,
) -> Value | Complex:
    return self if dtype is None else converted(op, self, dtype)


@aten("to.device", "to.prim_Device", "to.dtype_layout")
def to_device(
    op: Builder,
    self: Value,
    device: Any = None,
    dtype: DType | ComplexDType | None = None,
    non_blocking: bool = False,
    copy: bool = False,
    memory_format: Any = None,
    *,
    layout: Any = None,
    pin_memory: Any = None,
) -> Value | Complex:
    return self if dtype is None else converted(op, self, dtype)


@aten("to.prim_other")
def to_nothing(op: Builder, self: Value, non_blocking: bool = False, copy: bool = False) -> Value:
    return self


@aten("_to_copy")
def to_copy(op: Builder, self: Value, *, dtype: DType | ComplexDType | None = None, **_: Any) -> Value | Complex:
    return self if dtype is None else converted(op, self, dtype)


@aten("type_as")
def type_as(op: Builder, self: Value, other: Value) -> Value:
    return op.cast(self, other.etype)


def _register_cast(name: str, dtype: ir.DataType) -> None:
    @aten(name)
    def cast(op: Builder, self: Value, non_blocking: bool = False) -> Value:
        return op.cast(self, dtype)


_register_cast("_cast_Float", DataType.FLOAT)
_register_cast("_cast_Double", DataType.DOUBLE)
_register_cast("_cast_Half", DataType.FLOAT16)
_register_cast("_cast_Long", DataType.INT64)
_register_cast("_cast_Int", DataType.INT32)
_register_cast("_cast_Short", DataType.INT16)
_register_cast("_cast_Char", DataType.INT8)
_register_cast("_cast_Byte", DataType.UINT8)


# ---- the same values -----------------------------------------------------------------------------------------------


_SAME = """
    contiguous lift lift_fresh cpu cuda pin_memory requires_grad resolve_conj resolve_neg conj _conj conj_physical
    _conj_physical real
"""
_ANEW = "clone detach detach_copy alias alias_copy lift_fresh_copy data prim::data _conj_copy"


@aten(*_SAME.split())
def same(op: Builder, self: Value, *_: Any, **__: Any) -> Value:
    return self


@aten(*_ANEW.split())
def anew(op: Builder, self: Value, *_: Any, **__: Any) -> Value:
    """Another tensor of the same values; only the program's own constants are promoted as numbers are."""
    return op.const(self.array, self.etype) if isinstance(self, NumberConstant) else self

"""Quantisation: the pair of QuantizeLinear and DequantizeLinear, and the integer products."""

from __future__ import annotations

from typing import TYPE_CHECKING

import onnx_ir as ir

from nxconvert.graph.rules import infer_rule
from nxconvert.graph.rules.common import agree, normal_axis, tensor
from nxconvert.graph.rules.linear import matmul_dims
from nxconvert.graph.values import GraphTypeError, TensorType, Value

if TYPE_CHECKING:
    from nxconvert.graph.builder import Builder


def _check_scale(x: Value, scale: Value, zero: Value | None, axis: int) -> None:
    if len(scale.dims) > 1:
        raise GraphTypeError("the scale is neither one number nor one a channel")
    if len(scale.dims) == 1 and scale.dims[0] != 1:
        agree(scale.dims[0], x.dims[normal_axis(axis, len(x.dims))], "the scale does not fit the axis")
    if zero is not None and len(zero.dims) <= 1:
        # A vector of one stands for a scalar.
        agree(
            zero.dims[0] if zero.dims else 1, scale.dims[0] if scale.dims else 1, "scale and zero point differ in size"
        )


@infer_rule("QuantizeLinear")
def _quantize(
    op: Builder, x: Value, scale: Value, zero: Value | None = None, /, *, axis: int = 1, saturate: int = 1
) -> list[TensorType]:
    _check_scale(x, scale, zero, axis)
    return tensor(ir.DataType.UINT8 if zero is None else zero.etype, x.dims)


@infer_rule("DequantizeLinear")
def _dequantize(
    op: Builder, x: Value, scale: Value, zero: Value | None = None, /, *, axis: int = 1
) -> list[TensorType]:
    _check_scale(x, scale, zero, axis)
    return tensor(scale.etype, x.dims)


@infer_rule("DynamicQuantizeLinear")
def _dynamic_quantize(op: Builder, x: Value, /) -> list[TensorType]:
    return [TensorType(ir.DataType.UINT8, x.dims), *tensor(ir.DataType.FLOAT, ()), *tensor(ir.DataType.UINT8, ())]


@infer_rule("QLinearMatMul")
def _q_linear_matmul(
    op: Builder,
    a: Value,
    a_scale: Value,
    a_zero: Value,
    b: Value,
    b_scale: Value,
    b_zero: Value,
    y_scale: Value,
    y_zero: Value,
    /,
) -> list[TensorType]:
    return tensor(y_zero.etype, matmul_dims(op, a.dims, b.dims))

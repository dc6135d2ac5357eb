"""Operators that make tensors: ranges, filled tensors, random numbers, windows of signal processing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import onnx_ir as ir

from nxconvert.graph.dims import Int, floordiv, maximum
from nxconvert.graph.rules import infer_rule
from nxconvert.graph.rules.common import attribute_array, ceil_div, dtype_of, integers, length_of, tensor, want_rank
from nxconvert.graph.values import TensorType, Value

if TYPE_CHECKING:
    from nxconvert.graph.builder import Builder


@infer_rule("Constant")
def _constant(op: Builder, /, **attributes: Any) -> list[TensorType]:
    ((name, value),) = attributes.items()
    if name == "value":
        return tensor(_tensor_dtype(value), attribute_array(value).shape)
    dtype = ir.DataType.INT64 if "int" in name else ir.DataType.FLOAT if "float" in name else ir.DataType.STRING
    return tensor(dtype, [len(value)] if name.endswith("s") else [])


@infer_rule("ConstantOfShape")
def _constant_of_shape(op: Builder, shape: Value, /, *, value: Any = None) -> list[TensorType]:
    dtype = ir.DataType.FLOAT if value is None else _tensor_dtype(value)
    dims = integers(shape)
    return tensor(
        dtype, dims if dims is not None else [op.fresh("filled") for _ in range(length_of(shape, "the shape"))]
    )


def _tensor_dtype(value: Any) -> ir.DataType:
    return value.dtype if isinstance(value.dtype, ir.DataType) else ir.DataType.from_numpy(value.dtype)


@infer_rule("Range")
def _range(op: Builder, start: Value, limit: Value, delta: Value, /) -> list[TensorType]:
    for value in (start, limit, delta):
        want_rank(value, 0, "a bound")
    return tensor(start.etype, [_range_size(op, start, limit, delta)])


def _range_size(op: Builder, start: Value, limit: Value, delta: Value) -> Int:
    first, last, step = integers(start), integers(limit), integers(delta)
    if first is not None and last is not None and step is not None and isinstance(step[0], int) and step[0]:
        span = last[0] - first[0] if step[0] > 0 else first[0] - last[0]
        return maximum(ceil_div(span, abs(step[0])), 0)
    if start.array is not None and limit.array is not None and delta.array is not None and delta.array:
        return max(math.ceil((float(limit.array) - float(start.array)) / float(delta.array)), 0)
    return op.fresh("range")


@infer_rule("EyeLike")
def _eye_like(op: Builder, x: Value, /, *, dtype: Any = None, k: int = 0) -> list[TensorType]:
    want_rank(x, 2, "the input")
    return tensor(dtype_of(dtype, x.etype), x.dims)


@infer_rule("RandomNormal", "RandomUniform")
def _random(op: Builder, /, *, shape: Sequence[int], dtype: Any = None, **_: Any) -> list[TensorType]:
    return tensor(dtype_of(dtype, ir.DataType.FLOAT), shape)


@infer_rule("Multinomial")
def _multinomial(
    op: Builder, x: Value, /, *, dtype: Any = None, sample_size: int = 1, seed: float = 0.0
) -> list[TensorType]:
    want_rank(x, 2, "the input")
    return tensor(dtype_of(dtype, ir.DataType.INT32), [x.dims[0], sample_size])


@infer_rule("BlackmanWindow", "HammingWindow", "HannWindow")
def _window(op: Builder, size: Value, /, *, output_datatype: Any = None, periodic: int = 1) -> list[TensorType]:
    known = integers(size)
    return tensor(dtype_of(output_datatype, ir.DataType.FLOAT), [known[0] if known else op.fresh("window")])


@infer_rule("MelWeightMatrix")
def _mel_weight_matrix(
    op: Builder, bins: Value, dft_length: Value, rate: Value, low: Value, high: Value, /, *, output_datatype: Any = None
) -> list[TensorType]:
    rows, columns = integers(dft_length), integers(bins)
    spectrum = floordiv(rows[0], 2) + 1 if rows else op.fresh("spectrum")
    return tensor(dtype_of(output_datatype, ir.DataType.FLOAT), [spectrum, columns[0] if columns else op.fresh("mel")])

"""Tables of bytes with a scale and a bias for each row, ``scale * byte + bias``: made, read, looked up in bags.

The scale and the bias are floats in a tensor beside the table, or eight bytes at the end of each row: "fused".
Semantics: ``caffe2/operators/{fused_rowwise_8bit_conversion,lengths_reducer_fused_8bit_rowwise,
lengths_reducer_rowwise_8bit,gather_fused_8bit_rowwise,fused_rowwise_random_quantization,byte_weight_dequant}_op*``.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from nxconvert.frontends.caffe2.ops.segments import segment_mean, segment_sum, weighted
from nxconvert.frontends.caffe2.table import (
    Builder,
    Bytes,
    DataType,
    Indices,
    Int,
    Ints,
    Lengths,
    LoweringError,
    Matrix,
    Value,
    Vector,
    caffe2,
)
from nxconvert.graph.bits import bytes_of_float32, float32_of_bytes
from nxconvert.graph.dims import product
from nxconvert.graph.segments import Segments

#: The bytes of a scale and a bias, behind those of a row.
_FUSED = 8

# ---- rows become bytes ---------------------------------------------------------------------------------------------


def _ranges(op: Builder, x: Value, axes: list[int]) -> tuple[Value, Value]:
    """The least element of rows, and how far the largest is from it."""
    least = op.ReduceMin(x, axes, keepdims=1)
    return least, op.Sub(op.ReduceMax(x, axes, keepdims=1), least)


def _steps(op: Builder, x: Value) -> Value:
    """Floats that are not negative as bytes, ties upwards."""
    return op.cast(op.Floor(op.Add(op.cast(x, DataType.DOUBLE), 0.5)), DataType.UINT8)


@caffe2("FloatToFused8BitRowwiseQuantized", "HalfFloatToFused8BitRowwiseQuantized")
def float_to_fused_8bit_rowwise(op: Builder, x: Matrix) -> Value:
    """``[*rows, columns + 8]`` of ``[*rows, columns]``."""
    x = op.cast(x, DataType.FLOAT)
    least, extent = _ranges(op, x, [x.rank - 1])
    data = _steps(op, op.Mul(op.Sub(x, least), op.Div(255.0, op.Add(extent, 1e-8))))
    tail = bytes_of_float32(op, op.Concat(op.Div(extent, 255.0), least, axis=-1))
    return op.Concat(data, op.reshape(tail, [*x.dims[:-1], _FUSED]), axis=-1)


@caffe2("FloatToRowwiseQuantized8Bits")
def float_to_rowwise_8bits(op: Builder, x: Matrix) -> tuple[Value, Value]:
    """Bytes of the dims of ``x``, and the scale and bias of each ``x[i]``; a constant one has scale 1."""
    least, extent = _ranges(op, x, list(range(1, x.rank)))
    flat = op.Less(extent, 1e-10)
    scale = op.Where(flat, 1.0, op.Div(extent, 255.0))
    data = _steps(op, op.Where(flat, 0.0, op.Mul(op.Sub(x, least), op.Reciprocal(scale))))
    columns = [op.reshape(part, [x.dims[0], 1]) for part in (scale, least)]
    return data, op.Concat(*columns, axis=1)


# ---- bytes become rows ---------------------------------------------------------------------------------------------


def _fused_rows(op: Builder, data: Value) -> Value:
    """float32 ``[*rows, columns]`` of ``[*rows, columns + 8]``."""
    *lead, width = data.dims
    columns = width - _FUSED
    if isinstance(columns, int) and columns <= 0:
        raise LoweringError(f"its rows have {width} bytes, and eight of them are the scale and the bias")
    elements = op.Slice(data, [0], [-_FUSED], [-1])
    tail = op.reshape(op.Slice(data, [-_FUSED], [_END], [-1]), [*lead, 2, 4])
    return _scaled(op, elements, *op.Split(float32_of_bytes(op, tail), axis=-1, num_outputs=2, _outputs=2))


_END = np.iinfo(np.int64).max


def _scaled(op: Builder, data: Value, scale: Value, bias: Value) -> Value:
    return op.Add(op.Mul(op.cast(data, DataType.FLOAT), scale), bias)


def _rows(op: Builder, data: Value, scale_bias: Value) -> Value:
    """float32 of the dims of ``data``; ``scale_bias`` is ``[n, 2]``."""
    parts = op.Split(scale_bias, axis=1, num_outputs=2, _outputs=2)
    ones: list[Int] = [1] * (data.rank - 1)
    return _scaled(op, data, *(op.reshape(part, [data.dims[0], *ones]) for part in parts))


@caffe2("Fused8BitRowwiseQuantizedToFloat")
def fused_8bit_rowwise_to_float(op: Builder, data: Bytes) -> Value:
    return _fused_rows(op, data)


@caffe2("Fused8BitRowwiseQuantizedToHalfFloat")
def fused_8bit_rowwise_to_half(op: Builder, data: Bytes) -> Value:
    return op.cast(_fused_rows(op, data), DataType.FLOAT16)


@caffe2("Rowwise8BitQuantizedToFloat")
def rowwise_8bit_to_float(op: Builder, data: Bytes, scale_bias: Matrix) -> Value:
    return _rows(op, data, scale_bias)


@caffe2("GatherFused8BitRowwise")
def gather_fused_8bit_rowwise(op: Builder, data: Bytes, indices: Indices) -> Value:
    return _fused_rows(op, op.Gather(data, indices, axis=0))


# ---- bags of rows --------------------------------------------------------------------------------------------------


def _bags(op: Builder, rows: Value, weight: Value | None, lengths: Value, mean: bool) -> Value:
    """``[bags, *rest]`` of the rows of all bags; empty bags give 0."""
    bags = Segments(op, lengths, rows.dims[0])
    rows = rows if weight is None else weighted(op, rows, weight)
    reduction: Callable[..., Value] = segment_mean if mean else segment_sum
    return reduction(op, rows, bags.ids, bags.size, bags.lengths)


def _register_fused_bags(operator: str, *, mean: bool = False) -> None:
    @caffe2(operator)
    def bags(op: Builder, data: Bytes, indices: Indices, lengths: Lengths) -> Value:
        return _bags(op, _fused_rows(op, op.Gather(data, indices, axis=0)), None, lengths, mean)


_register_fused_bags("SparseLengthsSumFused8BitRowwise")
_register_fused_bags("SparseLengthsMeanFused8BitRowwise", mean=True)


@caffe2("SparseLengthsWeightedSumFused8BitRowwise")
def weighted_fused_bags(op: Builder, data: Bytes, weight: Vector, indices: Indices, lengths: Lengths) -> Value:
    return _bags(op, _fused_rows(op, op.Gather(data, indices, axis=0)), weight, lengths, False)


def _looked_up(op: Builder, data: Value, scale_bias: Value, indices: Value) -> Value:
    return _rows(op, op.Gather(data, indices, axis=0), op.Gather(scale_bias, indices, axis=0))


def _register_bags(operator: str, *, mean: bool = False) -> None:
    @caffe2(operator)
    def bags(op: Builder, data: Bytes, indices: Indices, lengths: Lengths, scale_bias: Matrix) -> Value:
        return _bags(op, _looked_up(op, data, scale_bias, indices), None, lengths, mean)


_register_bags("SparseLengthsSum8BitsRowwise")
_register_bags("SparseLengthsMean8BitsRowwise", mean=True)


def _register_weighted_bags(operator: str, *, mean: bool = False) -> None:
    @caffe2(operator)
    def bags(op: Builder, data: Bytes, weight: Vector, indices: Indices, lengths: Lengths, scale_bias: Matrix) -> Value:
        return _bags(op, _looked_up(op, data, scale_bias, indices), weight, lengths, mean)


_register_weighted_bags("SparseLengthsWeightedSum8BitsRowwise")
_register_weighted_bags("SparseLengthsWeightedMean8BitsRowwise", mean=True)


# ---- other forms ---------------------------------------------------------------------------------------------------


@caffe2("FusedRandRowwiseQuantizedToFloat")
def fused_rand_rowwise_to_float(op: Builder, data: Bytes) -> Value:
    """Rows of 1, 2, 4 or 8 bits an element: ``[rows, columns]``.

    A row is the number of bits, how many elements are missing in the last bytes, the minimum and the maximum, and then
    the bytes: the lowest bits of all of them, then the next ones. How many columns there are stands in the first row.
    """
    rows, width = data.dims
    head = op.cast(op.Slice(data, [0, 0], [1, 2], [0, 1]), DataType.INT64)
    bits, missing = (op.reshape(part, []) for part in op.Split(head, axis=1, num_outputs=2, _outputs=2))
    groups = op.symbol_of(op.Div(8, bits), "groups", low=1)
    ends = float32_of_bytes(op, op.reshape(op.Slice(data, [2], [10], [1]), [rows, 2, 4]))
    least, largest = op.Split(ends, axis=1, num_outputs=2, _outputs=2)
    levels = op.Pow(op.const(2, DataType.INT64), bits)
    step = op.Add(op.Div(op.Sub(largest, least), op.cast(op.Sub(levels, 1), DataType.FLOAT)), 1e-8)
    # [rows, 1, bytes] by the weight of the lowest bit of each group, [groups, 1].
    places = op.Pow(levels, op.Unsqueeze(op.Range(0, op.dim_value(groups), 1), [1]))
    packed = op.Unsqueeze(op.cast(op.Slice(data, [10], [_END], [1]), DataType.INT64), [1])
    elements = op.reshape(op.Mod(op.Div(packed, places), levels), [rows, groups * (width - 10)])
    columns = op.symbol_of(op.Sub(op.dim_value(elements.dims[1]), missing), "columns", low=0)
    return _scaled(op, op.Slice(elements, [0], op.dims_tensor([columns]), [1]), step, least)


@caffe2("ByteWeightDequant")
def byte_weight_dequant(op: Builder, x: Value, *, shape: Ints = (), min: float = -3.0, max: float = 3.0) -> Value:
    """The first bytes of a tensor, or of a string of the model, between a minimum and a maximum."""
    sizes = [int(size) for size in shape]
    count = product(sizes)
    flat = _string(op, x) if x.etype == DataType.STRING else op.reshape(x, [product(x.dims)])
    if flat.dims[0] != count:
        flat = op.Slice(flat, [0], [count], [0])
    step = np.float32((float(np.float32(max)) - float(np.float32(min))) / 255.0)
    return op.reshape(_scaled(op, flat, op.const(step), op.const(np.float32(min))), sizes)


def _string(op: Builder, x: Value) -> Value:
    """The bytes of a string that the model holds."""
    if x.const_value is None:
        raise LoweringError("the bytes of a string that is computed cannot be read")
    first = np.asarray(x.const_value.numpy()).ravel()[0]
    return op.const(
        np.frombuffer(first if isinstance(first, bytes) else first.encode("utf-8", "surrogateescape"), np.uint8)
    )

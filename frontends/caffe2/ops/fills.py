"""Tensors out of nothing: given values, one number everywhere, diagonals, ranges.

What a net fills without looking at an input is a parameter of the model, with the blob's name. Semantics:
``caffe2/operators/filler_op.h``, ``given_tensor_fill_op.h``, ``utility_ops.h`` (``Range``).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from operator import mul
from typing import Any

import numpy as np
import onnx_ir as ir

from nxconvert.frontends.caffe2.dtypes import dtype_of
from nxconvert.frontends.caffe2.ops.numbers import counting, number_in, numbers_in
from nxconvert.frontends.caffe2.table import Builder, DataType, Int, Ints, LoweringError, Value, caffe2
from nxconvert.frontends.caffe2.weights import filled, weight_of_values
from nxconvert.graph.dims import maximum, product, static
from nxconvert.graph.rules.common import integers


def fill_dims(
    op: Builder, like: Value | None, shape: Sequence[int], input_as_shape: int, extra_shape: Sequence[int]
) -> list[Int]:
    """The dims of what a fill makes: those it is given, or those of its input (or the numbers in it) and some more.

    Raises:
        LoweringError: they are said twice, or not at all.
    """
    if like is None:
        if extra_shape or input_as_shape:
            raise LoweringError("it has no input that would give the shape")
        return list(shape)
    if shape:
        raise LoweringError("it has both a shape and an input that gives one")
    if not input_as_shape:
        return [*like.dims, *extra_shape]
    if like.rank != 1:
        raise LoweringError(f"the input that holds the shape is of rank {like.rank}")
    return [*numbers_in(op, like, "size", low=0), *extra_shape]


# ---- given values ----------------------------------------------------------------------------------------------------


def _register_given(operator: str, fixed: ir.DataType | None) -> None:
    @caffe2(operator)
    def given_tensor_fill(
        op: Builder,
        like: Value | None = None,
        *,
        blob: str,
        values: Any = (),
        dtype: int | str | None = None,
        shape: Ints = (),
        input_as_shape: int = 0,
        extra_shape: Ints = (),
    ) -> Value:
        wanted = fixed or (DataType.FLOAT if dtype is None else dtype_of(dtype))
        dims = fill_dims(op, like, shape, input_as_shape, extra_shape)
        sizes = static(dims)
        if sizes is not None:
            return weight_of_values(op, values, wanted, sizes, blob)
        return op.reshape(weight_of_values(op, values, wanted, [len(values)], blob), dims)


for _operator, _dtype in {
    "GivenTensorFill": None,
    "GivenTensorBoolFill": DataType.BOOL,
    "GivenTensorDoubleFill": DataType.DOUBLE,
    "GivenTensorIntFill": DataType.INT32,
    "GivenTensorInt16Fill": DataType.INT16,
    "GivenTensorInt64Fill": DataType.INT64,
    "GivenTensorStringFill": DataType.STRING,
}.items():
    _register_given(_operator, _dtype)


@caffe2("GivenTensorByteStringToUInt8Fill")
def given_tensor_byte_string_to_uint8_fill(
    op: Builder,
    like: Value | None = None,
    *,
    blob: str,
    values: Any,
    shape: Ints = (),
    input_as_shape: int = 0,
    extra_shape: Ints = (),
) -> Value:
    """The bytes of one string."""
    if len(values) != 1:
        raise LoweringError(f"it has {len(values)} strings, not one")
    data = np.frombuffer(values[0].encode() if isinstance(values[0], str) else values[0], np.uint8)
    dims = fill_dims(op, like, shape, input_as_shape, extra_shape)
    sizes = static(dims)
    flat = weight_of_values(op, data, DataType.UINT8, sizes if sizes is not None else [len(data)], blob)
    return op.reshape(flat, dims)


# ---- one number ------------------------------------------------------------------------------------------------------

_FILLABLE = frozenset(
    {
        DataType.FLOAT, DataType.DOUBLE, DataType.BOOL, DataType.INT8, DataType.INT16, DataType.INT32, DataType.INT64,
        DataType.UINT8, DataType.UINT16, DataType.STRING,
    }
)  # fmt: skip


def _number(value: Any, dtype: int | str | None) -> tuple[Any, ir.DataType]:
    """What a fill writes, and its dtype: the one that is asked for, or that of the number.

    Raises:
        LoweringError: the number does not fit, or there is no such fill.
    """
    if dtype is None:
        wanted = DataType.INT64 if isinstance(value, int) else DataType.FLOAT
    else:
        wanted = dtype_of(dtype)
    if wanted not in _FILLABLE:
        raise LoweringError(f"nothing is filled with numbers of dtype {wanted.name}")
    if wanted == DataType.STRING:
        return ("" if value is None else value), wanted
    if isinstance(value, (str, bytes)):
        raise LoweringError(f"the value {value!r} is no number")
    number = 0 if value is None else value
    if wanted == DataType.BOOL:
        return bool(number), wanted
    if wanted.is_integer():
        limits = np.iinfo(wanted.numpy())
        if number != int(number) or not limits.min <= number <= limits.max:
            raise LoweringError(f"the value {number} is none of dtype {wanted.name}")
        return int(number), wanted
    return float(number), wanted


@caffe2("ConstantFill")
def constant_fill(
    op: Builder,
    like: Value | None = None,
    *,
    blob: str,
    value: Any = None,
    dtype: int | str | None = None,
    shape: Ints = (),
    input_as_shape: int = 0,
    extra_shape: Ints = (),
) -> Value:
    number, wanted = _number(value, dtype)
    dims = fill_dims(op, like, shape, input_as_shape, extra_shape)
    if like is None:
        return filled(op, number, wanted, static(dims) or (), blob)
    return op.expand(op.const(number, wanted), dims)


@caffe2("Float16ConstantFill")
def float16_constant_fill(op: Builder, *, blob: str, value: float = 0.0, shape: Ints = ()) -> Value:
    return filled(op, float(value), DataType.FLOAT16, shape, blob)


@caffe2("DiagonalFill")
def diagonal_fill(
    op: Builder,
    like: Value | None = None,
    *,
    value: Any = None,
    dtype: int | str | None = None,
    shape: Ints = (),
    input_as_shape: int = 0,
    extra_shape: Ints = (),
) -> Value:
    """The value on the main diagonal, 0 elsewhere.

    A matrix that is higher than wide has further diagonals, each starting below the row in which the last one ended:
    every (columns + 1)-th element is set.
    """
    number, wanted = _number(value, dtype)
    dims = fill_dims(op, like, shape, input_as_shape, extra_shape)
    if len(dims) < 2 or wanted == DataType.STRING:
        raise LoweringError("it takes two dims or more, and numbers")
    if len(dims) == 2:
        step = dims[1] + 1
    else:
        cube = {*dims}
        if len(cube) > 1:
            raise LoweringError(f"a diagonal of more than two axes needs them to be of one size, not {dims}")
        step = sum(accumulate(dims[1:], mul, initial=1))
    place = counting(op, product(dims))
    on = op.Equal(op.Mod(place, step), 0)
    line = op.cast(on, DataType.BOOL) if wanted == DataType.BOOL and number else None
    if line is None:
        line = _chosen(op, on, number, wanted)
    return op.reshape(line, dims)


def _chosen(op: Builder, where: Value, number: Any, dtype: ir.DataType) -> Value:
    """``number`` where a mask holds, else 0; in a dtype for which there is a ``Where``."""
    kernel = dtype if dtype in (DataType.FLOAT, DataType.DOUBLE, DataType.INT32) else DataType.INT64
    return op.cast(op.Where(where, op.const(number, kernel), op.const(0, kernel)), dtype)


# ---- ranges ----------------------------------------------------------------------------------------------------------


@caffe2("RangeFill")
def range_fill(
    op: Builder, like: Value | None = None, *, shape: Ints = (), input_as_shape: int = 0, extra_shape: Ints = ()
) -> Value:
    """0, 1, 2, ... in float32."""
    dims = fill_dims(op, like, shape, input_as_shape, extra_shape)
    return op.reshape(counting(op, product(dims), DataType.FLOAT), dims)


@caffe2("Range")
def range_(op: Builder, first: Value, second: Value | None = None, third: Value | None = None) -> Value:
    """(stop), (start, stop) or (start, stop, step), one element each, all of one dtype; the numbers before ``stop``.

    Of integers with a negative step the last one is missing where the step does not divide the distance: the runtime
    rounds the number of steps towards zero, and adds one only if what is covered is *less* than the distance.
    """
    dtype = first.etype
    start, stop = (None, first) if second is None else (first, second)
    if dtype.is_integer():
        length = _integer_steps(op, start, stop, third)
    else:
        length = _float_steps(op, start, stop, third)
    values = counting(op, length, dtype)
    if third is not None:
        values = op.Mul(values, _scalar(op, third))
    return values if start is None else op.Add(values, _scalar(op, start))


def _scalar(op: Builder, x: Value) -> Value:
    return op.reshape(x, [])


def _integer_steps(op: Builder, start: Value | None, stop: Value, step: Value | None) -> Int:
    first = 0 if start is None else number_in(op, start, "start")
    last = number_in(op, stop, "stop")
    distance = last - first
    if step is None:
        return maximum(distance, 0)
    known = integers(step)
    if known == (0,):
        raise LoweringError("its step is 0")
    if isinstance(distance, int) and known is not None and isinstance(known[0], int):
        return _step_count(distance, known[0])
    span, by = (op.cast(op.dim_value(n), DataType.INT64) for n in (distance, number_in(op, step, "step")))
    whole = op.Div(span, by)
    more = op.cast(op.Less(op.Mul(whole, by), span), DataType.INT64)
    return op.symbol_of(op.Max(op.Add(whole, more), 0), "range", 0)


def _step_count(distance: int, step: int) -> int:
    whole = abs(distance) // abs(step) * (1 if (distance < 0) == (step < 0) else -1)
    return max(whole + (whole * step < distance), 0)


def _float_steps(op: Builder, start: Value | None, stop: Value, step: Value | None) -> Int:
    span = _scalar(op, stop)
    span = span if start is None else op.Sub(span, _scalar(op, start))
    span = span if step is None else op.Div(span, _scalar(op, step))
    return op.symbol_of(op.Max(op.cast(op.Ceil(span), DataType.INT64), 0), "range", 0)

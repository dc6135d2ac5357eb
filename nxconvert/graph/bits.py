"""The four bytes of a float32, lowest first, in a graph: no operator of ONNX takes the bits of a number for another.

Both ways are exact for every number, subnormal ones, -0.0 and infinities included; all NaNs are one.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from nxconvert.graph.builder import Builder, Value

_PLACES = np.array([1, 1 << 8, 1 << 16, 1 << 24], np.int64)
_MANTISSA, _INFINITY = 1 << 23, 0x7F800000


def float32_of_bytes(op: Builder, x: Value) -> Value:
    """The floats that bytes stand for.

    Args:
        op: the builder.
        x: uint8[..., 4].

    Returns:
        float32[...].
    """
    bits = op.ReduceSum(op.Mul(op.cast(x, ir.DataType.INT64), _PLACES), [-1], keepdims=0)
    sign_exponent, mantissa = op.Div(bits, _MANTISSA), op.cast(op.Mod(bits, _MANTISSA), ir.DataType.DOUBLE)
    step, start = (op.Gather(op.const(table), sign_exponent) for table in _binades())
    number = op.cast(op.Add(op.Mul(mantissa, step), start), ir.DataType.FLOAT)
    result: Value = op.Where(op.Greater(op.Mod(bits, 1 << 31), _INFINITY), op.const(float("nan")), number)
    return result


def _binades() -> tuple[np.ndarray, np.ndarray]:
    """For the sign and the exponent together (512 of them): the distance of numbers, and the first one."""
    exponent = np.arange(256)
    step = 2.0 ** (np.maximum(exponent, 1) - 150.0)
    start = np.where(exponent > 0, _MANTISSA * step, 0.0)
    step[255], start[255] = 0.0, np.inf
    return np.concatenate([step, -step]), np.concatenate([start, -start])


def bytes_of_float32(op: Builder, x: Value) -> Value:
    """The bytes that floats are kept in.

    Args:
        op: the builder.
        x: float32[...].

    Returns:
        uint8[..., 4].
    """
    size = op.Min(op.Abs(op.cast(x, ir.DataType.DOUBLE)), 2.0**128)
    size = op.Where(op.IsNaN(x), 1.25 * 2.0**128, size)
    # It may be one too small, for a power of two: what is then 1 << 24 in the mantissa is carried into the exponent.
    exponent = op.Clip(op.Floor(op.Mul(op.Log(size), 1 / np.log(2.0))), -126.0, 127.0)
    place = op.Add(exponent, 126.0)
    scales = op.const(2.0 ** (149.0 - np.arange(254)))
    mantissa = op.Mul(size, op.Gather(scales, op.cast(place, ir.DataType.INT32)))
    bits = op.cast(op.Add(op.Mul(place, float(_MANTISSA)), mantissa), ir.DataType.INT64)
    # 1 / -0.0 is negative.
    negative = op.cast(op.Less(op.Add(x, op.Reciprocal(x)), 0.0), ir.DataType.INT64)
    bits = op.Add(bits, op.Mul(negative, 1 << 31))
    return op.cast(op.Mod(op.Div(op.Unsqueeze(bits, [-1]), _PLACES), 256), ir.DataType.UINT8)

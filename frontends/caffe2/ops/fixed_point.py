"""The integer arithmetic of quantized operators, to the bit.

A runtime that multiplies integers by a real factor takes an integer of 31 bits and a shift for it, and rounds twice:
the product to a fraction of the result, ties upwards, and then that to an integer, ties away from zero. Doubles hold
every number on the way exactly, so rounding is all that is left to do in the graph. Semantics:
``QNNPACK/src/qnnpack/requantization.h``, ``gemmlowp/fixedpoint/fixedpoint.h``,
``caffe2/operators/quantized/int8_utils.h``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from nxconvert.frontends.caffe2.blobs import Int8
from nxconvert.frontends.caffe2.table import Builder, DataType, LoweringError, Value

#: Times this, ties move away from zero and are rounded there; nothing else moves as far as to the next tie.
#: It has to be part of another factor: ONNX Runtime leaves a multiplication by what is 1 in float32 out.
NUDGE = 1 + 2.0**-40
# The same for floats.
_FLOAT_NUDGE = 1 + 2.0**-22
#: So many products of centred integers add up to one that floats hold.
EXACT_TERMS = (1 << 24) // (255 * 255)
# The largest shift at which what lies next to a tie is far enough for floats: results are less than 2**8.
_FLOAT_SHIFT = 13


class Factor(NamedTuple):
    """``mantissa * 2**-31 * 2**-shift``, the mantissa at least ``2**30`` and less than ``2**31``."""

    mantissa: int
    shift: int


def factor(scale: float) -> Factor:
    """A real factor as the runtime takes it.

    Raises:
        LoweringError: it is not between 0 and 1; the runtime refuses it, too.
    """
    if not 2.0**-32 <= scale < 1:
        raise LoweringError(f"the scales of inputs and output make a factor of {scale:g}, which is not between 0 and 1")
    part, exponent = math.frexp(scale)
    mantissa = int(np.rint(part * 2**31))
    return Factor(2**30, -exponent - 1) if mantissa == 2**31 else Factor(mantissa, -exponent)


def float32(value: float) -> np.float32:
    """A number in the runtime's precision."""
    return np.float32(value)


def quantized(y: Value, scale: float, zero_point: int) -> Int8:
    """A quantized tensor.

    Raises:
        LoweringError: the zero point is none of the numbers that the tensor can hold.
    """
    return Int8(y, float(float32(scale)), checked(zero_point))


def checked(zero_point: int) -> int:
    """A zero point.

    Raises:
        LoweringError: it is none of the numbers that a quantized tensor can hold.
    """
    if not 0 <= zero_point <= 255:
        raise LoweringError(f"the zero point {zero_point} is not between 0 and 255")
    return zero_point


def times(
    op: Builder, accumulated: Value, by: Factor, zero_point: int, added: Value | None = None, relu: bool = False
) -> Value:
    """Integers times a factor, as uint8.

    Args:
        op: the builder.
        accumulated: the integers, in any dtype that holds them.
        by: the factor.
        zero_point: what is added to the result.
        added: doubles that are added to the integers first.
        relu: whether the result is at least the zero point.
    """
    share = by.mantissa / 2**31
    half: Value | float = 0.5 if added is None else op.Add(op.Mul(added, share), 0.5)
    product = op.Mul(op.cast(accumulated, DataType.DOUBLE), share)
    fraction = op.Floor(op.Add(product, half))
    if by.shift > _FLOAT_SHIFT:
        return rounded(op, op.Mul(fraction, 2.0**-by.shift * NUDGE), zero_point, relu)
    # Fractions that floats do not hold are beyond the range of the result.
    return _into_range(op, op.cast(fraction, DataType.FLOAT), float(2**by.shift / _FLOAT_NUDGE), zero_point, relu)


def rounded(op: Builder, y: Value, zero_point: int, relu: bool = False) -> Value:
    """Doubles as uint8, rounded to the next integer; of those that are nudged, ties go away from zero."""
    return _into_range(op, op.cast(op.Round(y), DataType.FLOAT), 1.0, zero_point, relu)


def _into_range(op: Builder, y: Value, scale: float, zero_point: int, relu: bool) -> Value:
    # What is less than a zero point of 0 is cut off anyway.
    y = op.Relu(y) if relu and zero_point > 0 else y
    return op.QuantizeLinear(y, op.const(scale, DataType.FLOAT), op.const(zero_point, DataType.UINT8))


def centred(op: Builder, x: Value, zero_point: int) -> Value:
    """Integers of a quantized tensor less its zero point, in float32."""
    return op.DequantizeLinear(x, op.const(1.0), op.const(checked(zero_point), DataType.UINT8))


def looked_up(op: Builder, x: Value, table: np.ndarray) -> Value:
    """What a table of 256 entries holds for each integer of a tensor of uint8."""
    return op.Gather(op.const(table), op.cast(x, DataType.INT32))


def in_layout(op: Builder, function: Callable[..., Value], *operands: Value) -> Value:
    """A function of elements of tensors; transposed tensors stay as they were before, and the result is transposed."""
    perms = {_perm(x) for x in operands}
    perm = perms.pop()
    if perms or perm is None:
        return function(*operands)
    sources = [x.producer().inputs[0] for x in operands]  # type: ignore[union-attr]
    return op.Transpose(function(*sources), perm=perm)


def _perm(x: Value) -> tuple[int, ...] | None:
    node = x.producer()
    return tuple(node.attributes["perm"].as_ints()) if node is not None and node.op_type == "Transpose" else None

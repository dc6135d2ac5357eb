"""Hashes of tensors: the exclusive or of the bits of all elements."""

from __future__ import annotations

from nxconvert.frontends.pytorch.dtypes import DataType, is_float
from nxconvert.frontends.pytorch.ops.functions import frexp
from nxconvert.frontends.pytorch.ops.math import sign_bit
from nxconvert.frontends.pytorch.ops.reduce import reduced_axes
from nxconvert.frontends.pytorch.ops.resample import counting
from nxconvert.frontends.pytorch.table import Builder, Int, Ints, LoweringError, Value, aten

_FRACTION_BITS, _EXPONENT_BIAS, _SPECIAL_EXPONENT = 52, 1023, 2047


def _bits_of_double(op: Builder, x: Value) -> Value:
    """The bits of float64 as int64: sign, eleven bits of exponent, 52 of fraction."""
    mantissa, exponent = frexp(op, x)
    exponent = op.Cast(exponent, to=DataType.INT64)
    # Subnormal numbers are whole multiples of 2 ** -1074, which is none that a single factor can undo.
    subnormal = op.Less(exponent, 2 - _EXPONENT_BIAS)
    scaled = op.Mul(op.Mul(op.Abs(x), 2.0**537), 2.0**537)
    fraction = op.Where(subnormal, scaled, op.Mul(op.Abs(mantissa), 2.0 ** (_FRACTION_BITS + 1)))
    # The leading one of the fraction is not stored: it counts the exponent up.
    biased = op.Where(subnormal, op.const(0), op.Add(exponent, _EXPONENT_BIAS - 2))
    missing, infinite = op.IsNaN(x), op.IsInf(x)
    special = op.Or(missing, infinite)
    fraction = op.Where(special, op.const(0.0, DataType.DOUBLE), fraction)
    bits = op.Add(op.Mul(biased, 1 << _FRACTION_BITS), op.Cast(fraction, to=DataType.INT64))
    quiet = op.Mul(op.Cast(missing, to=DataType.INT64), 1 << (_FRACTION_BITS - 1))
    bits = op.Where(special, op.Add(quiet, _SPECIAL_EXPONENT << _FRACTION_BITS), bits)
    zero = op.Equal(x, 0.0)
    bits = op.Where(zero, op.const(0), bits)
    negative = op.And(sign_bit(op, x), op.Not(missing))
    return op.Where(negative, op.Add(bits, -(1 << 63)), bits)


@aten("hash_tensor")
def hash_tensor(op: Builder, self: Value, dim: Ints = [], *, keepdim: bool = False, mode: Int = 0) -> Value:  # noqa: B006
    """The exclusive or of the elements' bits, after floats became float64 and all others int64; uint64."""
    if mode != 0:
        raise LoweringError(f"there is no hash of mode {mode}")
    floats = is_float(self.etype)
    bits = _bits_of_double(op, op.cast(self, DataType.DOUBLE)) if floats else op.cast(self, DataType.INT64)
    place = counting(op, 64, DataType.UINT64)
    single = op.BitShift(op.Unsqueeze(op.Cast(bits, to=DataType.UINT64), [bits.rank]), place, direction="RIGHT")
    ones = op.Cast(op.BitwiseAnd(single, op.const(1, DataType.UINT64)), to=DataType.INT64)
    axes = reduced_axes(dim, self)
    parity = op.Mod(op.ReduceSum(ones, axes, keepdims=int(keepdim)) if axes else ones, 2)
    # ONNX Runtime adds integers up as float64, which holds either half of the bits.
    halves = op.reshape(parity, [*parity.dims[:-1], 2, 32])
    powers = op.const([1 << i for i in range(32)], DataType.INT64)
    low, high = (
        op.Cast(op.ReduceSum(op.Mul(op.Gather(halves, i, axis=-2), powers), [-1], keepdims=0), to=DataType.UINT64)
        for i in (0, 1)
    )
    return op.BitwiseOr(low, op.BitShift(high, op.const(32, DataType.UINT64), direction="LEFT"))

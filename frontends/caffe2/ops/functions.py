"""Functions of one operand, element by element: roots, exponentials, trigonometry, signs; hashes.

Semantics: ``caffe2/operators/*_op.h`` of each name, and what the runtime computes for infinities and NaN.
"""

from __future__ import annotations

import numpy as np

from nxconvert.frontends.caffe2.table import Builder, DataType, Indices, Value, caffe2

# Operators of ONNX that mean the same.
_SAME = {
    "Abs": "Abs", "Acos": "Acos", "Asin": "Asin", "Atan": "Atan", "Ceil": "Ceil", "Cos": "Cos", "Cosh": "Cosh",
    "Erf": "Erf", "Exp": "Exp", "Floor": "Floor", "Log": "Log", "Negative": "Neg", "Reciprocal": "Reciprocal",
    "Sin": "Sin", "Sinh": "Sinh", "Sqrt": "Sqrt", "Tan": "Tan", "Tanh": "Tanh", "Sigmoid": "Sigmoid",
    "Softsign": "Softsign",
}  # fmt: skip


def _register_function(name: str, op_type: str) -> None:
    @caffe2(name)
    def function(op: Builder, x: Value) -> Value:
        return getattr(op, op_type)(x)


for _name, _op_type in _SAME.items():
    _register_function(_name, _op_type)


@caffe2("Rsqrt")
def rsqrt(op: Builder, x: Value) -> Value:
    return op.Reciprocal(op.Sqrt(x))


@caffe2("Sqr")
def sqr(op: Builder, x: Value) -> Value:
    return op.Mul(x, x)


@caffe2("Cube")
def cube(op: Builder, x: Value) -> Value:
    return op.Mul(op.Mul(x, x), x)


@caffe2("Cbrt")
def cbrt(op: Builder, x: Value) -> Value:
    """The real cube root, of negative numbers too."""
    return op.Mul(op.Sign(x), op.Pow(op.Abs(x), 1.0 / 3.0))


@caffe2("Sign")
def sign(op: Builder, x: Value) -> Value:
    """-1, 0 or 1; 0 of NaN."""
    signs = op.Sign(x)
    return op.Where(op.IsNaN(x), op.const(0.0, x.etype), signs) if x.etype.is_floating_point() else signs


@caffe2("Logit")
def logit(op: Builder, x: Value, *, eps: float = 1e-6) -> Value:
    """``log(x / (1 - x))``, with x first moved into [eps, 1 - eps]."""
    inside = op.Clip(x, eps, np.float32(1) - np.float32(eps))
    return op.Log(op.Div(inside, op.Sub(1.0, inside)))


@caffe2("ReplaceNaN")
def replace_nan(op: Builder, x: Value, *, value: float = 0.0) -> Value:
    return op.Where(op.IsNaN(x), op.const(value, x.etype), x)


@caffe2("IsNaN")
def is_nan(op: Builder, x: Value) -> Value:
    """As uint8."""
    return op.Cast(op.IsNaN(x), to=DataType.UINT8)


@caffe2("IndexHash")
def index_hash(op: Builder, x: Indices, *, modulo: int, seed: int = 0) -> Value:
    """A polynomial in the bytes of an index, modulo 2^32 or 2^64, then brought into [0, modulo).

    Each byte counts as a signed number; the products wrap around as the integers of the index's dtype do.
    """
    bits = x.etype.bitwidth
    size = bits // 8
    # In int64 the products of 32 bits do not overflow; those of 64 bits wrap as they should.
    factors = [_signed(pow(65537, size - 1 - i, 1 << bits), 64) for i in range(size)]
    start = _signed(seed * 0xDEADBEEF * pow(65537, size, 1 << bits), bits)
    wide = op.Cast(op.Cast(op.Unsqueeze(x, [-1]), to=DataType.INT64), to=DataType.UINT64)
    shifts = op.const(np.arange(0, bits, 8, dtype=np.uint64))
    digits = op.Cast(op.Cast(op.BitShift(wide, shifts, direction="RIGHT"), to=DataType.INT8), to=DataType.INT64)
    # Not ReduceSum, which runtimes do in floating point.
    total = op.Add(op.MatMul(digits, op.const(factors)), start)
    # A cast to int32 keeps the lower 32 bits.
    hashed = op.Cast(op.Cast(total, to=x.etype), to=DataType.INT64)
    return op.cast(op.Mod(hashed, modulo), x.etype)


def _signed(number: int, bits: int) -> int:
    """The integer of so many bits that ``number`` wraps around to."""
    half = 1 << (bits - 1)
    return (number + half) % (1 << bits) - half

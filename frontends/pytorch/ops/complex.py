"""Complex tensors: made from real ones and taken apart, and arithmetic.

A complex tensor is a pair of real ones (:class:`~nxconvert.frontends.pytorch.compound.ComplexValue`). What a model
returns is its view as real numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nxconvert.formats.tensors import ComputedTensor
from nxconvert.formats.torch_values import TensorData
from nxconvert.frontends.pytorch.compound import ComplexValue
from nxconvert.frontends.pytorch.dtypes import CODES, DataType, is_float
from nxconvert.frontends.pytorch.ops.common import as_tensor, call, dtype_of, known, promote
from nxconvert.frontends.pytorch.table import Builder, Complex, ComplexDType, DType, Ints, Number, Value, aten
from nxconvert.graph.dims import Int

PARTS = {8: DataType.FLOAT16, 9: DataType.FLOAT, 10: DataType.DOUBLE}
"""The dtype of the parts, by PyTorch's number of the complex dtype."""


def load_complex(op: Builder, raw: TensorData, path: str) -> ComplexValue:
    """A complex tensor of an archive: two parameters, whose parts are taken when they are read."""
    dtype = DataType.FLOAT if raw.dtype == DataType.COMPLEX64 else DataType.DOUBLE

    def part(name: str, take: Callable[[np.ndarray], np.ndarray]) -> Value:
        def compute() -> np.ndarray:
            return np.require(take(raw.numpy()), requirements="C")

        return op.weight(ComputedTensor(compute, dtype, raw.shape), f"{path}.{name}", (name, raw.key))

    return ComplexValue(part("real", np.real), part("imag", np.imag))


def as_complex(op: Builder, x: Any, dtype: Any = None) -> ComplexValue:
    """A tensor or a number, real or complex, as a complex tensor whose parts are of ``dtype``."""
    if isinstance(x, ComplexValue):
        return x if dtype is None else ComplexValue(op.cast(x.real, dtype), op.cast(x.imag, dtype))
    if isinstance(x, complex):
        dtype = dtype or DataType.FLOAT
        return ComplexValue(op.const(x.real, dtype), op.const(x.imag, dtype))
    real = as_tensor(op, x, dtype)
    real = real if is_float(real.etype) else op.Cast(real, to=DataType.FLOAT)
    return ComplexValue(real, zeros_like(op, real))


def converted(op: Builder, x: Any, dtype: DType) -> Any:
    """A tensor in PyTorch's ``dtype``, which may be complex."""
    return as_complex(op, x, PARTS[dtype]) if dtype in PARTS else op.cast(x, dtype_of(dtype))


def zeros_like(op: Builder, x: Value) -> Value:
    """Zeros in the dims of ``x``."""
    return op.expand(op.const(0.0, x.etype), x.dims)


# ---- made and taken apart --------------------------------------------------------------------------------------------


@aten("complex")
def complex_(op: Builder, real: Value, imag: Value) -> Complex:
    dims = op.Add(real, imag).dims
    return ComplexValue(op.expand(real, dims), op.expand(imag, dims))


@aten("polar")
def polar(op: Builder, abs: Value, angle: Value) -> Complex:
    return ComplexValue(op.Mul(abs, op.Cos(angle)), op.Mul(abs, op.Sin(angle)))


def complex_input(op: Builder, name: str, dtype: DataType, dims: Sequence[Int]) -> ComplexValue:
    """An argument of a complex dtype: a graph input of pairs, as ``torch.view_as_real`` has them."""
    part = DataType.FLOAT if dtype == DataType.COMPLEX64 else DataType.DOUBLE
    return view_as_complex(op, op.input(name, part, [*dims, 2]))


@aten("view_as_complex")
def view_as_complex(op: Builder, self: Value) -> Complex:
    return ComplexValue(op.Gather(self, 0, axis=-1), op.Gather(self, 1, axis=-1))


@aten("view_as_real", "view_as_real_copy")
def view_as_real(op: Builder, self: Complex) -> Value:
    return self.plain(op)


@aten("real")
def real(op: Builder, self: Complex) -> Value:
    return self.real


@aten("imag")
def imag(op: Builder, self: Complex) -> Value:
    return self.imag


@aten("chalf")
def chalf(op: Builder, self: Value | Complex, *, memory_format: Any = None) -> Complex:
    return as_complex(op, self, DataType.FLOAT16)


@aten("is_complex")
def is_complex(op: Builder, self: Complex) -> bool:
    return True


@aten("is_conj", "is_neg")
def is_lazy(op: Builder, self: Complex) -> bool:
    """Parts are computed at once, never marked as conjugated."""
    return False


@aten("conj", "_conj", "conj_physical", "_conj_physical")
def conj(op: Builder, self: Complex) -> Complex:
    return ComplexValue(self.real, op.Neg(self.imag))


@aten("conj", "_conj", "conj_physical", "_conj_physical", "resolve_conj", "resolve_neg", "real")
def conj_of_real(op: Builder, self: Value) -> Value:
    """Real tensors are their own conjugates, and their own real parts."""
    return self


@aten("abs")
def magnitude(op: Builder, self: Complex) -> Value:
    return op.Sqrt(_square(op, self))


@aten("angle")
def angle(op: Builder, self: Complex) -> Value:
    result: Value = call(op, "atan2", self.imag, self.real)
    return result


def _square(op: Builder, x: Complex) -> Value:
    return op.Add(op.Mul(x.real, x.real), op.Mul(x.imag, x.imag))


# ---- created ---------------------------------------------------------------------------------------------------------


def _register_creation(name: str) -> None:
    @aten(name)
    def create(
        op: Builder, first: Value | Number | Ints | Complex, *rest: Any, dtype: ComplexDType, **options: Any
    ) -> Complex:
        """Real numbers, in a complex tensor."""
        first = first.real if isinstance(first, ComplexValue) else first
        return as_complex(op, call(op, name, first, *rest, dtype=CODES[PARTS[dtype]], **options))


_CREATED = """
    zeros ones empty empty_strided empty_permuted eye scalar_tensor linspace logspace arange
    zeros_like ones_like empty_like rand_like new_zeros new_ones new_empty new_empty_strided
"""
for _name in _CREATED.split():
    _register_creation(_name)


def _filled(op: Builder, size: Int | Sequence[Int], number: Any, dtype: Any) -> Complex:
    z = as_complex(op, number, dtype)
    dims = size if isinstance(size, Sequence) else [size]
    return ComplexValue(op.expand(z.real, dims), op.expand(z.imag, dims))


@aten("full")
def full(op: Builder, size: Ints, fill_value: Number | Complex, *, dtype: ComplexDType, **_: Any) -> Complex:
    return _filled(op, size, fill_value, PARTS[dtype])


@aten("full")
def full_of_complex(op: Builder, size: Ints, fill_value: Complex, *, dtype: Any = None, **_: Any) -> Complex:
    return _filled(op, size, fill_value, None)


@aten("full_like")
def full_like(op: Builder, self: Complex, fill_value: Number | Complex, *, dtype: Any = None, **options: Any) -> Any:
    if dtype is None or dtype in PARTS:
        return _filled(op, self.dims, fill_value, self.etype if dtype is None else PARTS[dtype])
    return call(op, "full_like", self.real, fill_value, dtype=dtype, **options)


@aten("new_full")
def new_full(
    op: Builder, self: Complex, size: Ints, fill_value: Number | Complex, *, dtype: Any = None, **options: Any
) -> Any:
    if dtype is None or dtype in PARTS:
        return _filled(op, size, fill_value, self.etype if dtype is None else PARTS[dtype])
    return call(op, "new_full", self.real, size, fill_value, dtype=dtype, **options)


def _register_new(name: str, number: int) -> None:
    @aten(name)
    def new(op: Builder, self: Complex, size: Ints, *, dtype: Any = None, **options: Any) -> Any:
        return new_full(op, self, size, number, dtype=dtype, **options)


for _name, _number in (("new_zeros", 0), ("new_ones", 1), ("new_empty", 0)):
    _register_new(_name, _number)


@aten("ones_like")
def ones_like(op: Builder, self: Complex, *, dtype: Any = None, **options: Any) -> Any:
    return full_like(op, self, 1, dtype=dtype, **options)


# ---- arithmetic ------------------------------------------------------------------------------------------------------


def _operand(op: Builder, x: Any, like: Complex) -> Complex | Value:
    """An operand of complex arithmetic, its parts in the dtype of ``like``; real ones stay one value."""
    if isinstance(x, (ComplexValue, complex)):
        return as_complex(op, x, like.etype)
    return as_tensor(op, x, like.etype)


def pair(op: Builder, a: Any, b: Any) -> tuple[Complex | Value, Complex | Value]:
    """Two operands, at least one of them complex, with parts of one dtype."""
    parts = [x.real for x in (a, b) if isinstance(x, ComplexValue)]
    reals = [x for x in (a, b) if isinstance(x, Value)]
    like = promote(op, *parts, *reals, to_float=True)[0]
    return _operand(op, a, ComplexValue(like, like)), _operand(op, b, ComplexValue(like, like))


def _sum(op: Builder, a: Any, b: Any, op_type: str) -> Complex:
    a, b = pair(op, a, b)
    add = getattr(op, op_type)
    if isinstance(b, Value):
        total = add(a.real, b)
        return ComplexValue(total, op.expand(a.imag, total.dims))
    if isinstance(a, Value):
        total = add(a, b.real)
        imag = b.imag if op_type == "Add" else op.Neg(b.imag)
        return ComplexValue(total, op.expand(imag, total.dims))
    return ComplexValue(add(a.real, b.real), add(a.imag, b.imag))


def product(op: Builder, a: Any, b: Any, multiply: Callable[[Value, Value], Value] | None = None) -> Complex:
    """``a * b``, or another bilinear product of the two, of which one may be real."""
    mul = multiply or op.Mul
    a, b = pair(op, a, b)
    if isinstance(b, Value):
        return ComplexValue(mul(a.real, b), mul(a.imag, b))
    if isinstance(a, Value):
        return ComplexValue(mul(a, b.real), mul(a, b.imag))
    real = op.Sub(mul(a.real, b.real), mul(a.imag, b.imag))
    return ComplexValue(real, op.Add(mul(a.real, b.imag), mul(a.imag, b.real)))


def _scaled(op: Builder, x: Any, alpha: Number) -> Any:
    if isinstance(alpha, (int, float)) and alpha == 1:
        return x
    if isinstance(x, ComplexValue):
        factor = as_tensor(op, alpha, x.etype)
        return ComplexValue(op.Mul(x.real, factor), op.Mul(x.imag, factor))
    return op.Mul(*promote(op, x, alpha)) if isinstance(x, Value) else x * known(alpha, "alpha")


@aten("add")
def add(op: Builder, self: Complex, other: Any, *, alpha: Number = 1) -> Complex:
    return _sum(op, self, _scaled(op, other, alpha), "Add")


@aten("add")
def add_to_real(op: Builder, self: Value | Number, other: Complex, *, alpha: Number = 1) -> Complex:
    return _sum(op, self, _scaled(op, other, alpha), "Add")


@aten("sub", "subtract")
def sub(op: Builder, self: Complex, other: Any, *, alpha: Number = 1) -> Complex:
    return _sum(op, self, _scaled(op, other, alpha), "Sub")


@aten("sub", "subtract")
def sub_from_real(op: Builder, self: Value | Number, other: Complex, *, alpha: Number = 1) -> Complex:
    return _sum(op, self, _scaled(op, other, alpha), "Sub")


@aten("rsub")
def rsub(op: Builder, self: Complex, other: Any, alpha: Number = 1) -> Complex:
    return _sum(op, other, _scaled(op, self, alpha), "Sub")


@aten("mul", "multiply")
def mul(op: Builder, self: Complex, other: Any) -> Complex:
    return product(op, self, other)


@aten("mul", "multiply")
def mul_by_complex(op: Builder, self: Value | Number, other: Complex) -> Complex:
    return product(op, self, other)


@aten("div", "divide", "true_divide")
def div(op: Builder, self: Complex, other: Any) -> Complex:
    a, b = pair(op, self, other)
    if isinstance(b, Value):
        a = as_complex(op, a)
        return ComplexValue(op.Div(a.real, b), op.Div(a.imag, b))
    return _times_reciprocal(op, a, b)


@aten("div", "divide", "true_divide")
def div_of_real(op: Builder, self: Value | Number, other: Complex) -> Complex:
    a, b = pair(op, self, other)
    return _times_reciprocal(op, a, as_complex(op, b))


def _times_reciprocal(op: Builder, a: Any, b: Complex) -> Complex:
    size = _square(op, b)
    scaled = product(op, a, ComplexValue(b.real, op.Neg(b.imag)))
    return ComplexValue(op.Div(scaled.real, size), op.Div(scaled.imag, size))


@aten("reciprocal")
def reciprocal(op: Builder, self: Complex) -> Complex:
    size = _square(op, self)
    return ComplexValue(op.Div(self.real, size), op.Neg(op.Div(self.imag, size)))


@aten("square")
def square(op: Builder, self: Complex) -> Complex:
    return product(op, self, self)


@aten("sgn")
def sgn(op: Builder, self: Complex) -> Complex:
    """``x / |x|``, and 0 for 0."""
    size = magnitude(op, self)
    size = op.Where(op.Equal(size, op.const(0.0, size.etype)), op.const(1.0, size.etype), size)
    return ComplexValue(op.Div(self.real, size), op.Div(self.imag, size))


@aten("eq")
def eq(op: Builder, self: Complex, other: Any) -> Value:
    other = as_complex(op, other, self.etype)
    return op.And(op.Equal(self.real, other.real), op.Equal(self.imag, other.imag))


@aten("ne")
def ne(op: Builder, self: Complex, other: Any) -> Value:
    return op.Not(eq(op, self, other))

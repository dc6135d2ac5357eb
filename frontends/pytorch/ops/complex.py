"""Complex tensors: made from real ones and taken apart, arithmetic, and the rules for all other operators.

A complex tensor is a pair of real ones (:class:`~nxconvert.frontends.pytorch.compound.ComplexValue`). What a model
returns is its view as real numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nxconvert.formats.tensors import ComputedTensor
from nxconvert.formats.torch_values import TensorData
from nxconvert.frontends.pytorch.compound import ComplexValue, Lower, Rule, leaves
from nxconvert.frontends.pytorch.dtypes import CODES, COMPLEX_CODES, DataType, is_float
from nxconvert.frontends.pytorch.ops.common import as_tensor, dtype_of, known, promote
from nxconvert.frontends.pytorch.table import Builder, Complex, ComplexDType, DType, Number, Value, aten
from nxconvert.graph.dims import Int

_PARTS = {8: DataType.FLOAT16, 9: DataType.FLOAT, 10: DataType.DOUBLE}
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
    return as_complex(op, x, _PARTS[dtype]) if dtype in _PARTS else op.cast(x, dtype_of(dtype))


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
    result: Value = aten.find("atan2", (self.imag, self.real), {}).function(op, self.imag, self.real)
    return result


def _square(op: Builder, x: Complex) -> Value:
    return op.Add(op.Mul(x.real, x.real), op.Mul(x.imag, x.imag))


# ---- arithmetic ------------------------------------------------------------------------------------------------------


def _operand(op: Builder, x: Any, like: Complex) -> Complex | Value:
    """An operand of complex arithmetic, its parts in the dtype of ``like``; real ones stay one value."""
    if isinstance(x, (ComplexValue, complex)):
        return as_complex(op, x, like.etype)
    return as_tensor(op, x, like.etype)


def _pair(op: Builder, a: Any, b: Any) -> tuple[Complex | Value, Complex | Value]:
    """Two operands, at least one of them complex, with parts of one dtype."""
    parts = [x.real for x in (a, b) if isinstance(x, ComplexValue)]
    reals = [x for x in (a, b) if isinstance(x, Value)]
    like = promote(op, *parts, *reals, to_float=True)[0]
    return _operand(op, a, ComplexValue(like, like)), _operand(op, b, ComplexValue(like, like))


def _sum(op: Builder, a: Any, b: Any, op_type: str) -> Complex:
    a, b = _pair(op, a, b)
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
    a, b = _pair(op, a, b)
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
    a, b = _pair(op, self, other)
    if isinstance(b, Value):
        a = as_complex(op, a)
        return ComplexValue(op.Div(a.real, b), op.Div(a.imag, b))
    return _times_reciprocal(op, a, b)


@aten("div", "divide", "true_divide")
def div_of_real(op: Builder, self: Value | Number, other: Complex) -> Complex:
    a, b = _pair(op, self, other)
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


@aten("pow")
def pow_(op: Builder, self: Complex, exponent: Number) -> Complex:
    """Small whole powers are products, others go through the angle."""
    power = known(exponent, "the exponent")
    if isinstance(power, int) and 1 <= power <= 4:
        result = self
        for _ in range(power - 1):
            result = product(op, result, self)
        return result
    size, phase = op.Pow(magnitude(op, self), op.const(float(power), self.etype)), angle(op, self)
    return polar(op, size, op.Mul(phase, op.const(float(power), self.etype)))


@aten("exp")
def exp(op: Builder, self: Complex) -> Complex:
    return polar(op, op.Exp(self.real), self.imag)


@aten("log")
def log(op: Builder, self: Complex) -> Complex:
    return ComplexValue(op.Log(magnitude(op, self)), angle(op, self))


@aten("sqrt")
def sqrt(op: Builder, self: Complex) -> Complex:
    return pow_(op, self, 0.5)


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


def _register_product(*names: str) -> None:
    def multiply(op: Builder) -> Callable[[Value, Value], Value]:
        return lambda a, b: aten.find(names[0], (a, b), {}).function(op, a, b)

    @aten(*names)
    def of_complex(op: Builder, self: Complex, other: Complex | Value) -> Complex:
        return product(op, self, other, multiply(op))

    @aten(*names)
    def with_complex(op: Builder, self: Value, other: Complex) -> Complex:
        return product(op, self, other, multiply(op))


for _names in (("matmul",), ("mm",), ("bmm",), ("mv",), ("dot",), ("outer",), ("inner",)):
    _register_product(*_names)


# ---- other operators -------------------------------------------------------------------------------------------------


def _combined(real: Any, imag: Any) -> Any:
    """The results of an operator on both parts, as complex tensors; what is no float is the same for both."""
    if isinstance(real, (list, tuple)):
        return type(real)(_combined(*pair) for pair in zip(real, imag, strict=True))
    return ComplexValue(real, imag) if isinstance(real, Value) and is_float(real.etype) else real


def _part(x: Any, name: str) -> Any:
    if isinstance(x, (list, tuple)):
        return type(x)(_part(item, name) for item in x)
    if isinstance(x, int) and not isinstance(x, bool):
        return x
    return getattr(x, name) if isinstance(x, ComplexValue) else x


def _partwise(op: Builder, lower: Lower, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """Operators that move elements or add them up work on both parts alike."""
    results = []
    for name in ("real", "imag"):
        options = {key: _part(value, name) for key, value in kwargs.items()}
        results.append(lower(op, [_part(value, name) for value in args], options))
    return _combined(*results)


def _joining(*operands: int) -> Rule:
    """Operators that join tensors, or put one into another: what is real among them becomes complex first.

    Args:
        operands: the positions of the arguments that are joined.
    """

    def rule(op: Builder, lower: Lower, args: list[Any], kwargs: dict[str, Any]) -> Any:
        first = next(x for x in leaves([*args, *kwargs.values()]) if isinstance(x, ComplexValue))

        def widened(x: Any) -> Any:
            if isinstance(x, (list, tuple)):
                return type(x)(widened(item) for item in x)
            return x if isinstance(x, ComplexValue) else as_complex(op, x, first.etype)

        changed = [widened(x) if i in operands else x for i, x in enumerate(args)]
        return _partwise(op, lower, changed, kwargs)

    return rule


def _einsum(op: Builder, lower: Lower, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """A product of two tensors at most is bilinear."""
    equation, tensors, *rest = args
    if len(tensors) != 2:
        return _partwise(op, lower, args, kwargs)
    a, b = tensors
    return product(op, a, b, lambda x, y: lower(op, [equation, [x, y], *rest], kwargs))


def _adjoint(op: Builder, lower: Lower, args: list[Any], kwargs: dict[str, Any]) -> Any:
    return conj(op, _partwise(op, lower, args, kwargs))


def _ones_like(op: Builder, lower: Lower, args: list[Any], kwargs: dict[str, Any]) -> Any:
    return as_complex(op, lower(op, [args[0].real, *args[1:]], {k: v for k, v in kwargs.items() if k != "dtype"}))


def _converted(op: Builder, lower: Lower, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """``to``: another complex dtype, or none; a real one would drop the imaginary part."""
    codes = [x for x in [*args[1:], *kwargs.values()] if isinstance(x, int) and not isinstance(x, bool)]
    code = kwargs.get("dtype", codes[0] if codes else None)
    if code is None:
        return args[0]
    if code in COMPLEX_CODES:
        return as_complex(op, args[0], _PARTS[code])
    return lower(op, [args[0].real, *args[1:]], kwargs)


def _on_magnitude(op: Builder, lower: Lower, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """Norms are those of the magnitudes."""
    return lower(op, [magnitude(op, x) if isinstance(x, ComplexValue) else x for x in args], kwargs)


_MOVING = """
    alias as_strided atleast_1d atleast_2d atleast_3d broadcast_to chunk clone contiguous cumsum detach diag diag_embed
    diagonal diff dropout dsplit expand expand_as feature_dropout flatten flip fliplr flipud gather hsplit index
    index_select lift_fresh mT mean movedim moveaxis narrow neg numpy_T permute positive ravel repeat
    repeat_interleave reshape reshape_as resolve_conj resolve_neg roll rot90 select slice split split_with_sizes
    squeeze sum swapaxes swapdims t take_along_dim tensor_split tile trace transpose tril triu unbind unflatten unfold
    unsqueeze vsplit view view_as zeros_like empty_like _unsafe_view _reshape_alias
"""
_JOINING = "block_diag cat column_stack concat concatenate dstack hstack stack vstack"
ComplexValue.rules.update(
    {
        **dict.fromkeys(_MOVING.split(), _partwise),
        **dict.fromkeys(_JOINING.split(), _joining(0)),
        **dict.fromkeys(("copy", "fill"), _joining(0, 1)),
        **dict.fromkeys(("masked_fill", "index_put"), _joining(0, 2)),
        "where": _joining(1, 2),
        **dict.fromkeys(("constant_pad_nd", "pad"), _partwise),
        **dict.fromkeys(("norm", "linalg_vector_norm", "linalg_norm"), _on_magnitude),
        **dict.fromkeys(("mH", "adjoint", "matrix_H"), _adjoint),
        "einsum": _einsum,
        "ones_like": _ones_like,
        "to": _converted,
        "_to_copy": _converted,
    }
)


def _register_creation(name: str) -> None:
    @aten(name)
    def create(op: Builder, size: Any, *rest: Any, dtype: ComplexDType, **options: Any) -> Complex:
        """Real numbers, in a complex tensor."""
        options["dtype"] = CODES[_PARTS[dtype]]
        return as_complex(op, aten.find(name, (size, *rest), options).function(op, size, *rest, **options))


for _name in ("zeros", "ones", "empty", "full", "zeros_like", "ones_like", "empty_like", "new_zeros", "new_ones"):
    _register_creation(_name)

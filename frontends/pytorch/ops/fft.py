"""Discrete Fourier transforms.

A transform of a known length is a product with a constant matrix, which every runtime computes quickly and exactly;
ONNX Runtime's ``DFT`` is off by 1e-3 at lengths that are no powers of two. ``DFT`` is left for long powers of two,
where the matrix would be large, and for lengths that are not known.
PyTorch's rules: https://docs.pytorch.org/docs/stable/fft.html
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nxconvert.formats.tensors import ComputedTensor
from nxconvert.frontends.pytorch.compound import ComplexValue
from nxconvert.frontends.pytorch.dtypes import DataType, is_float
from nxconvert.frontends.pytorch.ops.common import as_tensor, axis_of, dtype_of, known, static_ints
from nxconvert.frontends.pytorch.ops.complex import conj, zeros_like
from nxconvert.frontends.pytorch.table import Builder, Complex, DType, Int, Ints, LoweringError, Number, Value, aten
from nxconvert.graph.dims import Dim, floordiv, maximum

# The longest transform that becomes a matrix: for powers of two, which DFT computes well, and for others.
_LONGEST_POWER_OF_TWO = 512
_LONGEST = 4096

NONE, BY_ROOT, BY_LENGTH = range(3)
"""How a transform is normalised, in the numbers of ATen's internal operators."""


def _normalisation(norm: str | None, inverse: bool) -> int:
    if norm == "ortho":
        return BY_ROOT
    return BY_LENGTH if inverse == (norm in (None, "backward")) else NONE


# ---- matrices --------------------------------------------------------------------------------------------------------


def _turns(rows: int, columns: int, length: int) -> np.ndarray:
    """The angles ``2 pi j k / length``; the product is reduced first, so that large ones lose no digits."""
    return np.outer(np.arange(rows), np.arange(columns)) % length * (2 * np.pi / length)


def analysis_matrix(size: int, bins: int, length: int, sign: int) -> np.ndarray:
    """[size, 2 * bins]: real numbers to real and imaginary parts."""
    turns = _turns(size, bins, length)
    return np.concatenate([np.cos(turns), sign * np.sin(turns)], axis=1)


def complex_matrix(size: int, bins: int, length: int, sign: int) -> np.ndarray:
    """[2 * size, 2 * bins]: real and imaginary parts to the same."""
    turns = _turns(size, bins, length)
    cos, sin = np.cos(turns), sign * np.sin(turns)
    return np.block([[cos, sin], [-sin, cos]])


def synthesis_matrix(bins: int, length: int) -> np.ndarray:
    """[2 * bins, length]: one half of a Hermitian spectrum to real numbers; all but the ends stand for two bins."""
    turns = _turns(bins, length, length)
    weight = np.full((bins, 1), 2.0)
    weight[0] = 1
    if length % 2 == 0 and bins == length // 2 + 1:
        weight[-1] = 1
    return np.concatenate([weight * np.cos(turns), -weight * np.sin(turns)])


def scale_of(length: int, normalisation: int) -> float:
    return {NONE: 1.0, BY_ROOT: 1 / math.sqrt(length), BY_LENGTH: 1 / length}[normalisation]


def _matrix(
    op: Builder, key: tuple[Any, ...], compute: Callable[[], np.ndarray], shape: Sequence[int], dtype: Any
) -> Value:
    """A constant that is computed when it is written."""
    tensor = ComputedTensor(lambda: compute().astype(dtype.numpy()), dtype, tuple(shape))
    return op.weight(tensor, "dft." + ".".join(str(part) for part in key), ("dft", dtype, *key))


def _matrix_length(length: Int) -> int | None:
    """The length, if a matrix is to be used."""
    if not isinstance(length, int):
        return None
    return length if length <= (_LONGEST if length & (length - 1) else _LONGEST_POWER_OF_TWO) else None


# ---- one axis --------------------------------------------------------------------------------------------------------


def _along(op: Builder, parts: Sequence[Value], axis: int, matrix: Value) -> Value:
    """The parts side by side along ``axis``, multiplied by a matrix [sum of sizes, outputs]; the axis comes last."""
    x = parts[0] if len(parts) == 1 else op.Concat(*parts, axis=axis)
    if axis != x.rank - 1:
        x = op.Transpose(x, perm=[*(i for i in range(x.rank) if i != axis), axis])
    return op.MatMul(x, matrix)


def _back(op: Builder, x: Value, axis: int) -> Value:
    """The last axis moved to where it belongs."""
    last = x.rank - 1
    return x if axis == last else op.Transpose(x, perm=[*range(axis), last, *range(axis, last)])


def _halves(op: Builder, y: Value, axis: int) -> Complex:
    real, imag = op.Split(y, axis=-1, num_outputs=2)
    return ComplexValue(_back(op, real, axis), _back(op, imag, axis))


def _at_most(op: Builder, x: Value, axis: int, length: Int) -> Value:
    """``x`` without what lies behind ``length``; a size that is not known is made ``length``."""
    size = x.dims[axis]
    if size == length or (isinstance(size, int) and isinstance(length, int) and size < length):
        return x
    if isinstance(size, Dim) and isinstance(length, int):
        missing: list[Int] = [0] * (2 * x.rank)
        missing[x.rank + axis] = maximum(length - size, 0)
        x = op.Pad(x, op.dims_tensor(missing))
    x = op.Slice(x, [0], op.dims_tensor([length]), [axis])
    return op.reshape(x, [length if i == axis else d for i, d in enumerate(x.dims)])


def _dft(op: Builder, x: Value, length: Int, axis: int, factor: int, **attributes: int) -> Complex:
    """ONNX's operator on parts along the last axis; it pads and trims by itself."""
    y = op.DFT(x, None if x.dims[axis] == length else op.dim_value(length), op.const(axis), **attributes)
    parts = [op.Gather(y, i, axis=-1) for i in range(2)]
    inverse = attributes.get("inverse", 0)
    # DFT divides by the length when it inverts, and never otherwise.
    done = BY_LENGTH if inverse else NONE
    if factor != done:
        count = as_tensor(op, length, x.etype)
        wanted = {NONE: op.const(1.0, x.etype), BY_ROOT: op.Sqrt(count), BY_LENGTH: count}
        ratio = op.Div(wanted[done], wanted[factor])
        parts = [op.Mul(part, ratio) for part in parts]
    return ComplexValue(*parts)


def transform(op: Builder, x: Value | Complex, length: Int, axis: int, forward: bool, factor: int) -> Complex:
    """All bins of the transform of ``x``, padded with zeros or trimmed to ``length`` along ``axis``."""
    parts = [x.real, x.imag] if isinstance(x, ComplexValue) else [x]
    n = _matrix_length(length)
    if n is None:
        pairs = (x if isinstance(x, ComplexValue) else ComplexValue(x, zeros_like(op, x))).plain(op)
        return _dft(op, pairs, length, axis, factor, inverse=0 if forward else 1)
    parts = [_at_most(op, part, axis, n) for part in parts]
    rows = static_ints(parts[0].dims[axis], "the length")[0]
    make = analysis_matrix if len(parts) == 1 else complex_matrix

    def compute() -> np.ndarray:
        return make(rows, n, n, -1 if forward else 1) * scale_of(n, factor)

    key = ("forward" if forward else "inverse", "real" if len(parts) == 1 else "complex", rows, n, factor)
    matrix = _matrix(op, key, compute, (rows * len(parts), 2 * n), x.etype)
    return _halves(op, _along(op, parts, axis, matrix), axis)


def real_transform(op: Builder, x: Value, length: Int, axis: int, factor: int) -> Complex:
    """The first half of the bins of the transform of real ``x``."""
    n = _matrix_length(length)
    if n is None:
        return _dft(op, op.Unsqueeze(x, [-1]), length, axis, factor, onesided=1)
    x = _at_most(op, x, axis, n)
    rows, bins = static_ints(x.dims[axis], "the length")[0], n // 2 + 1

    def compute() -> np.ndarray:
        return analysis_matrix(rows, bins, n, -1) * scale_of(n, factor)

    matrix = _matrix(op, ("half", rows, n, factor), compute, (rows, 2 * bins), x.etype)
    return _halves(op, _along(op, [x], axis, matrix), axis)


def real_inverse(op: Builder, x: Complex, length: Int, axis: int, factor: int) -> Value:
    """Real numbers from the first half of the bins of their transform; missing bins are zeros."""
    parts = [_at_most(op, part, axis, floordiv(length, 2) + 1) for part in (x.real, x.imag)]
    n = _matrix_length(length)
    if n is None:
        return _real_inverse_by_dft(op, ComplexValue(*parts), length, axis, factor)
    rows, bins = static_ints(parts[0].dims[axis], "the length")[0], n // 2 + 1

    def compute() -> np.ndarray:
        matrix = synthesis_matrix(bins, n)
        return np.concatenate([matrix[:rows], matrix[bins : bins + rows]]) * scale_of(n, factor)

    matrix = _matrix(op, ("real", rows, n, factor), compute, (2 * rows, n), x.etype)
    return _back(op, _along(op, parts, axis, matrix), axis)


def _real_inverse_by_dft(op: Builder, x: Complex, length: Int, axis: int, factor: int) -> Value:
    """The second half of the bins mirrors the first one without its ends."""
    bins = floordiv(length, 2) + 1
    pairs = x.plain(op)
    if x.dims[axis] != bins:
        missing: list[Int] = [0] * (2 * pairs.rank)
        missing[pairs.rank + axis] = bins - x.dims[axis]
        pairs = op.Pad(pairs, op.dims_tensor(missing))
    mirrored = op.Slice(pairs, op.dims_tensor([length - bins]), [0], [axis], [-1])
    mirrored = op.Mul(mirrored, np.array([1, -1], x.etype.numpy()))
    return _dft(op, op.Concat(pairs, mirrored, axis=axis), length, axis, factor, inverse=1).real


# ---- the operators ---------------------------------------------------------------------------------------------------


def _float(op: Builder, x: Value | Complex) -> Value | Complex:
    return x if isinstance(x, ComplexValue) or is_float(x.etype) else op.Cast(x, to=DataType.FLOAT)


def _real(op: Builder, x: Value | Complex) -> Value:
    x = _float(op, x)
    if isinstance(x, ComplexValue):
        raise LoweringError("a transform of real numbers is given complex ones")
    return x


def _full(op: Builder, x: Value | Complex) -> Complex:
    x = _float(op, x)
    return x if isinstance(x, ComplexValue) else ComplexValue(x, zeros_like(op, x))


def _axes(x: Value | Complex, s: Any, dim: Any) -> tuple[list[int], list[Int | None]]:
    """The axes of an n-dimensional transform, and for each the length that was asked for."""
    sizes = None if s is None else list(s) if isinstance(s, (list, tuple)) else [s]
    if dim is None:
        axes = list(range(x.rank) if sizes is None else range(x.rank - len(sizes), x.rank))
    else:
        axes = [axis_of(d, x.rank) for d in (dim if isinstance(dim, (list, tuple)) else [dim])]
    if sizes is None:
        return axes, [None] * len(axes)
    return axes, [None if isinstance(size, int) and size == -1 else size for size in sizes]


def _length(x: Value | Complex, axis: int, wanted: Int | None) -> Int:
    return x.dims[axis] if wanted is None else wanted


def _each(
    op: Builder, x: Value | Complex, axes: Sequence[int], lengths: Sequence[Any], forward: bool, factor: int
) -> Value | Complex:
    """The transform along one axis after the other; ``x`` itself for none."""
    for axis, wanted in zip(axes, lengths, strict=True):
        x = transform(op, x, _length(x, axis, wanted), axis, forward, factor)
    return x


def _half_length(x: Complex, axis: int, wanted: Int | None) -> Int:
    """The length that half a spectrum stands for: an even one, unless told otherwise."""
    return (x.dims[axis] - 1) * 2 if wanted is None else wanted


def _fft(op: Builder, x: Value | Complex, s: Any, dim: Any, norm: str | None, inverse: bool) -> Complex:
    """All bins along every axis."""
    axes, lengths = _axes(x, s, dim)
    return _full(op, _each(op, _float(op, x), axes, lengths, not inverse, _normalisation(norm, inverse)))


def _rfft(op: Builder, x: Value | Complex, s: Any, dim: Any, norm: str | None, inverse: bool) -> Complex:
    """Half the bins along the last axis, and all along the others; ``ihfft`` has them conjugated."""
    x = _real(op, x)
    axes, lengths = _axes(x, s, dim)
    factor = _normalisation(norm, inverse)
    y = real_transform(op, x, _length(x, axes[-1], lengths[-1]), axes[-1], factor)
    y = conj(op, y) if inverse else y
    return _full(op, _each(op, y, axes[:-1], lengths[:-1], not inverse, factor))


def _irfft(op: Builder, x: Value | Complex, s: Any, dim: Any, norm: str | None, inverse: bool) -> Value:
    """Real numbers from half their bins along the last axis; ``hfft`` takes them conjugated."""
    axes, lengths = _axes(x, s, dim)
    factor = _normalisation(norm, inverse)
    y = _full(op, _each(op, _full(op, x), axes[:-1], lengths[:-1], not inverse, factor))
    y = y if inverse else conj(op, y)
    return real_inverse(op, y, _half_length(y, axes[-1], lengths[-1]), axes[-1], factor)


def _register(name: str, function: Callable[..., Any], inverse: bool) -> None:
    @aten(f"fft_{name}")
    def along_one(
        op: Builder, self: Value | Complex, n: Int | None = None, dim: Int = -1, norm: str | None = None
    ) -> Any:
        return function(op, self, n, dim, norm, inverse)

    @aten(f"fft_{name}2")
    def along_two(
        op: Builder, self: Value | Complex, s: Ints | None = None, dim: Any = (-2, -1), norm: str | None = None
    ) -> Any:
        return function(op, self, s, dim, norm, inverse)

    @aten(f"fft_{name}n")
    def along_several(
        op: Builder, self: Value | Complex, s: Ints | None = None, dim: Ints | None = None, norm: str | None = None
    ) -> Any:
        return function(op, self, s, dim, norm, inverse)


for _name, _function, _inverse in (
    ("fft", _fft, False), ("ifft", _fft, True), ("rfft", _rfft, False), ("ihfft", _rfft, True), ("hfft", _irfft, False),
    ("irfft", _irfft, True),
):  # fmt: skip
    _register(_name, _function, _inverse)


@aten("_fft_r2c")
def fft_r2c(op: Builder, self: Value, dim: Ints, normalization: Int, onesided: bool) -> Complex:
    axes = [axis_of(d, self.rank) for d in dim]
    factor, x = known(normalization, "normalization"), _real(op, self)
    last = axes[-1]
    if onesided:
        y = real_transform(op, x, x.dims[last], last, factor)
    else:
        y = transform(op, x, x.dims[last], last, True, factor)
    return _full(op, _each(op, y, axes[:-1], [None] * (len(axes) - 1), True, factor))


@aten("_fft_c2r")
def fft_c2r(op: Builder, self: Complex, dim: Ints, normalization: Int, last_dim_size: Int) -> Value:
    axes = [axis_of(d, self.rank) for d in dim]
    factor = known(normalization, "normalization")
    x = _full(op, _each(op, self, axes[:-1], [None] * (len(axes) - 1), False, factor))
    return real_inverse(op, x, last_dim_size, axes[-1], factor)


@aten("_fft_c2c")
def fft_c2c(op: Builder, self: Complex, dim: Ints, normalization: Int, forward: bool) -> Complex:
    axes = [axis_of(d, self.rank) for d in dim]
    factor = known(normalization, "normalization")
    return _full(op, _each(op, self, axes, [None] * len(axes), forward, factor))


def _shifted(op: Builder, self: Value | Complex, dim: Any, forward: bool) -> Any:
    axes = list(range(self.rank)) if dim is None else [axis_of(d, self.rank) for d in _listed(dim)]
    shifts = [floordiv(self.dims[a] + (0 if forward else 1), 2) for a in axes]
    return aten.find("roll", (self, shifts, axes), {}).function(op, self, shifts, axes)


def _listed(dim: Any) -> list[Any]:
    return list(dim) if isinstance(dim, (list, tuple)) else [dim]


@aten("fft_fftshift")
def fftshift(op: Builder, self: Value | Complex, dim: Any = None) -> Any:
    """The zero bin to the middle."""
    return _shifted(op, self, dim, forward=True)


@aten("fft_ifftshift")
def ifftshift(op: Builder, self: Value | Complex, dim: Any = None) -> Any:
    return _shifted(op, self, dim, forward=False)


def _frequencies(op: Builder, values: np.ndarray, n: int, d: Number, dtype: DType | None) -> Value:
    chosen = DataType.FLOAT if dtype is None else dtype_of(dtype)
    step = 1.0 / (n * known(d, "the spacing"))
    return op.const((values * step).astype(chosen.numpy()), chosen)


@aten("fft_fftfreq")
def fftfreq(
    op: Builder, n: Int, d: float = 1.0, *, dtype: DType | None = None, layout: Any = None, device: Any = None,
    pin_memory: bool | None = None,
) -> Value:  # fmt: skip
    count = static_ints(n, "the number of frequencies")[0]
    return _frequencies(op, np.fft.ifftshift(np.arange(count) - count // 2), count, d, dtype)


@aten("fft_rfftfreq")
def rfftfreq(
    op: Builder, n: Int, d: float = 1.0, *, dtype: DType | None = None, layout: Any = None, device: Any = None,
    pin_memory: bool | None = None,
) -> Value:  # fmt: skip
    count = static_ints(n, "the number of frequencies")[0]
    return _frequencies(op, np.arange(count // 2 + 1), count, d, dtype)

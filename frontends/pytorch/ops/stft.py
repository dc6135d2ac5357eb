"""Short-time Fourier transforms, and the windows they use.

A short-time transform is a convolution with the transform's matrix times the window, its inverse a transposed one: the
layout of the result, [batch, bins, frames], is PyTorch's without any transposition. For long frames, whose matrix would
be large, ONNX's ``STFT`` computes the transform. Semantics: ``aten/src/ATen/native/SpectralOps.cpp``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from nxconvert.formats.tensors import ComputedTensor
from nxconvert.frontends.pytorch.compound import ComplexValue
from nxconvert.frontends.pytorch.dtypes import DataType
from nxconvert.frontends.pytorch.ops.common import dtype_of, known, static_ints
from nxconvert.frontends.pytorch.ops.fft import analysis_matrix, complex_matrix, synthesis_matrix
from nxconvert.frontends.pytorch.table import Builder, Complex, DType, Int, LoweringError, Number, Value, aten
from nxconvert.graph.dims import Dim, compare, maximum

# Frames of a power of two beyond this are left to ONNX's operator.
_LONGEST_FRAME = 1024


class _Frames(NamedTuple):
    """How a signal is cut into frames.

    Attributes:
        length: of a frame.
        step: from one to the next.
        window: [window length] or None for a rectangle; it stands in the middle of the frame.
        window_length: its length.
    """

    length: int
    step: int
    window: Value | None
    window_length: int

    @property
    def margins(self) -> tuple[int, int]:
        """The zeros on both sides of the window."""
        left = (self.length - self.window_length) // 2
        return left, self.length - self.window_length - left

    def window_array(self) -> Callable[[], np.ndarray] | None:
        """Reads the window, as long as a frame; None if it is computed by the graph."""
        if self.window is None:
            return lambda: np.pad(np.ones(self.window_length), self.margins)
        source = self.window.const_value
        return None if source is None else lambda: np.pad(source.numpy().astype(np.float64), self.margins)

    def window_value(self, op: Builder, dtype: Any) -> Value:
        """The window as long as a frame."""
        if self.window is None:
            return op.const(np.pad(np.ones(self.window_length), self.margins).astype(dtype.numpy()), dtype)
        window = op.cast(self.window, dtype)
        return window if self.margins == (0, 0) else op.Pad(window, list(self.margins))

    def times_window(
        self, op: Builder, name: str, matrix: Callable[[], np.ndarray], shape: tuple[int, ...], dtype: Any
    ) -> Value:
        """A constant [..., length] times the window, computed when it is written."""
        window = self.window_array()
        key = ("stft", name, self.length, shape, dtype)
        if window is None:
            plain = ComputedTensor(lambda: matrix().astype(dtype.numpy()).reshape(shape), dtype, shape)
            return op.Mul(op.weight(plain, f"stft.{name}.{self.length}", key), self.window_value(op, dtype))
        taken = ComputedTensor(lambda: (matrix().reshape(shape) * window()).astype(dtype.numpy()), dtype, shape)
        source = None if self.window is None else self.window.name
        return op.weight(taken, f"stft.{name}.{self.length}", (*key, source, self.window_length))


def _frames(n_fft: Int, hop_length: Int | None, win_length: Int | None, window: Value | None) -> _Frames:
    length = static_ints(n_fft, "n_fft")[0]
    step = length // 4 if hop_length is None else static_ints(hop_length, "hop_length")[0]
    return _Frames(length, step, window, length if win_length is None else static_ints(win_length, "win_length")[0])


# ---- forwards --------------------------------------------------------------------------------------------------------


def _spectrum(op: Builder, x: Value, frames: _Frames, bins: int, scale: float) -> Complex:
    """[batch, bins, frames] of real ``x`` [batch, 1, time]."""
    power_of_two = not frames.length & (frames.length - 1)
    if power_of_two and (frames.length > _LONGEST_FRAME or x.etype == DataType.DOUBLE):
        return _spectrum_by_stft(op, x, frames, bins, scale)
    if x.etype == DataType.DOUBLE:
        # ONNX Runtime has no convolution of float64, and its STFT is less exact than float32 here.
        y = _spectrum(op, op.Cast(x, to=DataType.FLOAT), frames, bins, scale)
        return ComplexValue(op.Cast(y.real, to=x.etype), op.Cast(y.imag, to=x.etype))

    def matrix() -> np.ndarray:
        return analysis_matrix(frames.length, bins, frames.length, -1).T * scale

    shape = (2 * bins, 1, frames.length)
    weight = frames.times_window(op, f"{'half' if bins < frames.length else 'all'}.{scale:.6g}", matrix, shape, x.etype)
    y = op.Conv(x, weight, strides=[frames.step])
    return ComplexValue(*op.Split(y, axis=1, num_outputs=2))


def _spectrum_by_stft(op: Builder, x: Value, frames: _Frames, bins: int, scale: float) -> Complex:
    signal = op.Transpose(x, perm=[0, 2, 1])
    window = frames.window_value(op, x.etype)
    y = op.STFT(signal, frames.step, window, frames.length, onesided=int(bins < frames.length))
    if scale != 1:
        y = op.Mul(y, op.const(scale, y.etype))
    y = op.Transpose(y, perm=[0, 2, 1, 3])
    return ComplexValue(*(op.Gather(y, i, axis=-1) for i in range(2)))


def _stft(
    op: Builder, self: Value | Complex, frames: _Frames, center: bool, pad_mode: str, normalized: bool,
    onesided: bool | None, return_complex: bool | None, align_to_window: bool | None,
) -> Complex | Value:  # fmt: skip
    is_complex = isinstance(self, ComplexValue)
    half = not is_complex if onesided is None else onesided
    if half and is_complex:
        raise LoweringError("half a spectrum of complex numbers")
    bins = frames.length // 2 + 1 if half else frames.length
    scale = 1 / math.sqrt(frames.length) if normalized else 1.0
    batched = self.rank > 1
    if center:
        padding, mode = [frames.length // 2] * 2, pad_mode
    else:
        padding, mode = list(frames.margins) if align_to_window else [0, 0], "constant"

    def spectrum(x: Value) -> Complex:
        x = op.Unsqueeze(x, [1] if batched else [0, 1])
        if any(padding):
            x = aten.find("pad", (x, padding, mode), {}).function(op, x, padding, mode)
        y = _spectrum(op, x, frames, bins, scale)
        return y if batched else ComplexValue(op.Squeeze(y.real, [0]), op.Squeeze(y.imag, [0]))

    if isinstance(self, ComplexValue):
        # The transform of i times a signal is i times its transform.
        a, b = spectrum(self.real), spectrum(self.imag)
        result = ComplexValue(op.Sub(a.real, b.imag), op.Add(a.imag, b.real))
    else:
        result = spectrum(self)
    return result if return_complex or (is_complex and return_complex is None) else result.plain(op)


@aten("stft")
def stft(
    op: Builder, self: Value | Complex, n_fft: Int, hop_length: Int | None = None, win_length: Int | None = None,
    window: Value | None = None, normalized: bool = False, onesided: bool | None = None,
    return_complex: bool | None = None, align_to_window: bool | None = None,
) -> Complex | Value:  # fmt: skip
    frames = _frames(n_fft, hop_length, win_length, window)
    return _stft(op, self, frames, False, "", normalized, onesided, return_complex, align_to_window)


@aten("stft.center")
def stft_center(
    op: Builder, self: Value | Complex, n_fft: Int, hop_length: Int | None = None, win_length: Int | None = None,
    window: Value | None = None, center: bool = True, pad_mode: str = "reflect", normalized: bool = False,
    onesided: bool | None = None, return_complex: bool | None = None, align_to_window: bool | None = None,
) -> Complex | Value:  # fmt: skip
    frames = _frames(n_fft, hop_length, win_length, window)
    return _stft(op, self, frames, center, pad_mode, normalized, onesided, return_complex, align_to_window)


# ---- backwards -------------------------------------------------------------------------------------------------------


def _envelope(op: Builder, frames: _Frames, count: Int, dtype: Any) -> Value:
    """The sum of the squared windows of all frames, [1, 1, time]."""
    window = frames.window_array()
    if window is None or isinstance(count, Dim):
        square = frames.window_value(op, dtype)
        square = op.reshape(op.Mul(square, square), [1, 1, frames.length])
        ones = op.expand(op.const(1.0, dtype), [1, 1, count])
        return op.ConvTranspose(ones, square, strides=[frames.step])
    total = frames.length + frames.step * (count - 1)

    def compute() -> np.ndarray:
        result, square = np.zeros(total), window() ** 2
        for start in range(0, frames.step * count, frames.step):
            result[start : start + frames.length] += square
        return result.reshape(1, 1, total).astype(dtype.numpy())

    source = None if frames.window is None else frames.window.name
    key = ("stft", "envelope", frames.length, frames.step, count, source, frames.window_length, dtype)
    return op.weight(ComputedTensor(compute, dtype, (1, 1, total)), f"stft.envelope.{frames.length}", key)


def _signal(op: Builder, x: Complex, frames: _Frames, onesided: bool, return_complex: bool, factor: float) -> Value:
    """The frames' signals added up, [batch, 1 or 2, time], for [batch, bins, frames]."""
    bins = frames.length // 2 + 1
    parts = [x.real, x.imag]
    if return_complex:
        kind, bins = "complex", frames.length
    else:
        kind = "real"
        parts = parts if onesided else [op.Slice(part, [0], [bins], [1]) for part in parts]

    def matrix() -> np.ndarray:
        if not return_complex:
            return synthesis_matrix(bins, frames.length) * factor
        both = complex_matrix(bins, frames.length, frames.length, 1) * factor
        return both.reshape(2 * bins, 2, frames.length)

    shape = (2 * bins, 2 if return_complex else 1, frames.length)
    weight = frames.times_window(op, f"{kind}.{factor:.6g}", matrix, shape, x.etype)
    return op.ConvTranspose(op.Concat(*parts, axis=1), weight, strides=[frames.step])


@aten("istft")
def istft(
    op: Builder, self: Complex, n_fft: Int, hop_length: Int | None = None, win_length: Int | None = None,
    window: Value | None = None, center: bool = True, normalized: bool = False, onesided: bool | None = None,
    length: Int | None = None, return_complex: bool = False,
) -> Complex | Value:  # fmt: skip
    """Signals that overlap are added and divided by the sum of their squared windows."""
    frames = _frames(n_fft, hop_length, win_length, window)
    batched = self.rank > 2
    x = self if batched else ComplexValue(op.Unsqueeze(self.real, [0]), op.Unsqueeze(self.imag, [0]))
    half = x.dims[1] != frames.length if onesided is None else onesided
    factor = 1 / math.sqrt(frames.length) if normalized else 1 / frames.length
    count = x.dims[2]
    y = op.Div(
        _signal(op, x, frames, half, return_complex, factor),
        _envelope(op, frames, count, x.etype),
    )
    total = frames.length + frames.step * (count - 1)
    start = frames.length // 2 if center else 0
    end = start + length if length is not None else total - start
    y = op.Slice(y, [start], op.dims_tensor([end]), [2])
    if compare(end, "<=", total) is not True:
        y = op.Pad(y, op.dims_tensor([0, 0, 0, 0, 0, maximum(end - total, 0)]))
    parts = op.Split(y, axis=1, num_outputs=2) if return_complex else (y,)
    parts = [op.Squeeze(part, [1] if batched else [0, 1]) for part in parts]
    return ComplexValue(*parts) if return_complex else parts[0]


# ---- windows ---------------------------------------------------------------------------------------------------------


def _cosines(*weights: float) -> Callable[[np.ndarray, int], np.ndarray]:
    """Windows that are sums of cosines of ascending frequencies."""
    return lambda n, last: sum(w * np.cos(k * n * (2 * np.pi / last)) for k, w in enumerate(weights))  # type: ignore[return-value]


def _triangle(n: np.ndarray, last: int) -> np.ndarray:
    return 1 - np.abs(2 * n / last - 1)


def _kaiser(beta: float) -> Callable[[np.ndarray, int], np.ndarray]:
    return lambda n, last: np.i0(beta * np.sqrt(np.maximum(1 - (2 * n / last - 1) ** 2, 0))) / np.i0(beta)


def _window(
    op: Builder, window_length: Int, periodic: bool, shape: Callable[[np.ndarray, int], np.ndarray], dtype: DType | None
) -> Value:
    """A window; a periodic one is one longer and loses its last number."""
    length = static_ints(window_length, "the length of the window")[0]
    chosen = DataType.FLOAT if dtype is None else dtype_of(dtype)
    if length <= 1:
        return op.const(np.ones(length, chosen.numpy()), chosen)
    last = length if periodic else length - 1
    return op.const(shape(np.arange(length, dtype=np.float64), last).astype(chosen.numpy()), chosen)


def _register_window(name: str, shape: Callable[[np.ndarray, int], np.ndarray]) -> None:
    @aten(f"{name}_window")
    def window(
        op: Builder, window_length: Int, *, dtype: DType | None = None, layout: Any = None, device: Any = None,
        pin_memory: bool | None = None,
    ) -> Value:  # fmt: skip
        return _window(op, window_length, True, shape, dtype)

    @aten(f"{name}_window.periodic")
    def window_periodic(
        op: Builder, window_length: Int, periodic: bool, *, dtype: DType | None = None, layout: Any = None,
        device: Any = None, pin_memory: bool | None = None,
    ) -> Value:  # fmt: skip
        return _window(op, window_length, periodic, shape, dtype)


for _name, _shape in {
    "hann": _cosines(0.5, -0.5),
    "hamming": _cosines(0.54, -0.46),
    "blackman": _cosines(0.42, -0.5, 0.08),
    "bartlett": _triangle,
    "kaiser": _kaiser(12.0),
}.items():
    _register_window(_name, _shape)


@aten("hamming_window.periodic_alpha", "hamming_window.periodic_alpha_beta")
def hamming_window(
    op: Builder, window_length: Int, periodic: bool, alpha: Number, beta: Number = 0.46, *, dtype: DType | None = None,
    layout: Any = None, device: Any = None, pin_memory: bool | None = None,
) -> Value:  # fmt: skip
    weights = float(known(alpha, "alpha")), -float(known(beta, "beta"))
    return _window(op, window_length, periodic, _cosines(*weights), dtype)


@aten("kaiser_window.beta")
def kaiser_window(
    op: Builder, window_length: Int, periodic: bool, beta: Number, *, dtype: DType | None = None, layout: Any = None,
    device: Any = None, pin_memory: bool | None = None,
) -> Value:  # fmt: skip
    return _window(op, window_length, periodic, _kaiser(float(known(beta, "beta"))), dtype)

"""Resampling of space axes: nearest, linear, cubic, with and without smoothing (antialias).

``Resize`` has PyTorch's formulas for nearly everything. What is left (nearest positions that round differently, sizes
that are not the scaled ones, dtypes without a kernel) goes through indices and matrices of weights.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from nxconvert.frontends.pytorch.dtypes import DataType
from nxconvert.frontends.pytorch.ops import resample
from nxconvert.frontends.pytorch.ops.adaptive import adaptive_average
from nxconvert.frontends.pytorch.ops.common import known
from nxconvert.frontends.pytorch.ops.resample import Axis
from nxconvert.frontends.pytorch.ops.spatial import weigh_axis
from nxconvert.frontends.pytorch.table import Builder, Int, Ints, LoweringError, Number, Numbers, Value, aten
from nxconvert.graph.builder import GraphTypeError
from nxconvert.graph.dims import divide_exactly, floordiv

_NEAREST = ("nearest", "nearest-exact")
# The dtypes that ONNX Runtime resizes; halves are cast by it.
_RESIZED = (DataType.FLOAT, DataType.FLOAT16, DataType.BFLOAT16, DataType.INT32, DataType.INT8, DataType.UINT8)
_KERNELS = {"linear": resample.triangle, "cubic": resample.keys_cubic, "lanczos": resample.lanczos}


def interpolate(
    op: Builder, x: Value, mode: str, sizes: Sequence[Int] | None, scales: Sequence[Number | None] | None,
    align_corners: bool = False, antialias: bool = False,
) -> Value:  # fmt: skip
    """Resamples ``[batch, channels, *space]``.

    Args:
        op: the builder.
        x: the input.
        mode: ``nearest``, ``nearest-exact``, ``linear``, ``cubic`` or ``lanczos``, whatever the number of axes.
        sizes: of the result; None if scales are given.
        scales: what sizes are multiplied with, and positions divided by.
        align_corners: see :class:`~nxconvert.frontends.pytorch.ops.resample.Axis`.
        antialias: whether a smaller result takes all elements into account.
    """
    axes = _axes(op, x, sizes, scales, align_corners, mode)
    if antialias:
        return _smoothed(op, x, mode, axes)
    bytes_blend = x.etype == DataType.UINT8 and mode not in _NEAREST
    if bytes_blend or x.etype not in _RESIZED or not _resizable(axes, mode):
        return _composed(op, x, mode, axes)
    return _resize(op, x, mode, axes)


def _axes(
    op: Builder, x: Value, sizes: Sequence[Int] | None, scales: Sequence[Number | None] | None, align_corners: bool,
    mode: str,
) -> list[Axis]:  # fmt: skip
    space = x.rank - 2
    given = [None if s is None else float(known(s, "a scale factor")) for s in scales or [None] * space]
    if len(given) != space or (sizes is not None and len(sizes) != space):
        raise GraphTypeError(f"the input has {space} axes to resample, {len(sizes or given)} are given")
    given = [scale if scale is not None and scale > 0 else None for scale in given]
    axes = []
    for i, (old, scale) in enumerate(zip(x.dims[2:], given, strict=True)):
        new = sizes[i] if sizes is not None else scaled_size(op, old, scale)
        if align_corners or _ignores_scale(space, mode, old, new):
            scale = None
        axes.append(Axis(old, new, scale, align_corners))
    return axes


def _ignores_scale(space: int, mode: str, old: Int, new: Int) -> bool:
    """Whether PyTorch copies or doubles elements, whatever the scale: ``UpSample.h``, ``UpSampleKernel.cpp``."""
    return (mode == "linear" and new == old) or (mode == "nearest" and space == 2 and new in (old, 2 * old))


def scaled_size(op: Builder, size: Int, scale: float | None) -> Int:
    """``floor(size * scale)`` in double; computed by the graph if the factor is not a simple fraction."""
    if scale is None:
        raise LoweringError("neither sizes nor scale factors are given")
    if isinstance(size, int):
        return int(size * scale)
    exact = Fraction(scale)
    if exact.denominator <= 64:
        return floordiv(size * exact.numerator, exact.denominator)
    scaled = op.Mul(op.Cast(op.dim_value(size), to=DataType.DOUBLE), op.const(scale, DataType.DOUBLE))
    return op.symbol_of(op.Cast(op.Floor(scaled), to=DataType.INT64), "scaled", low=0)


# ---- Resize ---------------------------------------------------------------------------------------------------------


def _resizable(axes: list[Axis], mode: str) -> bool:
    """Whether ``Resize`` goes by the same positions as PyTorch, as far as can be known."""
    factors = [_factor(axis) for axis in axes]
    scaled = any(axis.scale not in (None, 1.0) for axis in axes)
    # ONNX Runtime copies what keeps its size, even if it is scaled by a little.
    if scaled and (None in factors or all(axis.new == axis.old for axis in axes)):
        return False
    if mode not in _NEAREST:
        return True
    return all(_same_neighbours(*pair, mode == "nearest-exact") for pair in zip(axes, factors, strict=True))


def _factor(axis: Axis) -> float | None:
    """The scale to give to ``Resize``; None where only the sizes give the right size."""
    if isinstance(axis.old, int) and isinstance(axis.new, int):
        scale = np.float32(axis.new / axis.old if axis.scale is None else axis.scale)
        for candidate in (scale, np.nextafter(scale, np.float32(np.inf))):
            # Runtimes multiply in float32 or in double.
            if int(axis.old * candidate) == int(axis.old * float(candidate)) == axis.new:
                return float(candidate)
        return None
    if axis.scale is not None:
        return axis.scale
    times = divide_exactly(axis.new, axis.old)
    return float(times) if isinstance(times, int) else None


def _same_neighbours(axis: Axis, factor: float | None, exact: bool) -> bool:
    """Whether multiplying by the step (PyTorch) and dividing by the scale (Resize) round to the same indices."""
    if not isinstance(axis.old, int) or not isinstance(axis.new, int):
        return True
    old, new = np.float32(axis.old), np.float32(axis.new)
    step = old / new if axis.scale is None else np.float32(1 / axis.scale)
    half = np.float32(0.5 if exact else 0)
    places = np.arange(axis.new, dtype=np.float32) + half
    wanted = np.minimum(np.floor(places * step), old - 1)
    divided = places / np.float32(factor or new / old)
    return bool((np.clip(np.floor(divided - half + half), 0, old - 1) == wanted).all())


def _resize(op: Builder, x: Value, mode: str, axes: list[Axis], **more: float) -> Value:
    corners = "align_corners" if axes[0].align_corners else "half_pixel"
    settings: dict[str, Any] = {"mode": mode, "coordinate_transformation_mode": corners, **more}
    if mode == "nearest":
        settings |= {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    elif mode == "nearest-exact":
        settings |= {"mode": "nearest", "nearest_mode": "round_prefer_ceil"}
    elif mode == "cubic":
        settings.setdefault("cubic_coeff_a", -0.75)
    factors = [_factor(axis) for axis in axes]
    if None not in factors:
        return op.Resize(x, None, op.const([1.0, 1.0, *factors], DataType.FLOAT), **settings)
    return op.Resize(x, None, None, [axis.new for axis in axes], axes=list(range(2, x.rank)), **settings)


# ---- everything else ------------------------------------------------------------------------------------------------


def _smoothed(op: Builder, x: Value, mode: str, axes: list[Axis]) -> Value:
    fits = mode != "lanczos" and x.etype in (DataType.FLOAT, DataType.FLOAT16) and not axes[0].align_corners
    if fits and _resizable(axes, mode):
        return _resize(op, x, mode, axes, antialias=1, exclude_outside=1, cubic_coeff_a=-0.5)
    return _weighed(op, x, axes, functools.partial(resample.smoothing_weights, kernel=_KERNELS[mode]))


def _composed(op: Builder, x: Value, mode: str, axes: list[Axis]) -> Value:
    if mode not in _NEAREST:
        weights = resample.linear_weights if mode == "linear" else resample.cubic_weights
        return _weighed(op, x, axes, weights)
    for i, axis in enumerate(axes):
        x = op.Gather(x, resample.nearest_indices(op, axis, mode == "nearest-exact"), axis=2 + i)
    return x


def _weighed(op: Builder, x: Value, axes: list[Axis], weights: Callable[..., Value]) -> Value:
    """Axis by axis, the last one first; bytes are rounded in between, as PyTorch does."""
    dtype = DataType.DOUBLE if x.etype == DataType.DOUBLE else DataType.FLOAT
    y = op.cast(x, dtype)
    for i, axis in reversed(list(enumerate(axes))):
        y = weigh_axis(op, y, 2 + i, weights(op, axis, dtype))
        if x.etype == DataType.UINT8:
            y = op.Clip(op.Floor(op.Add(y, 0.5)), 0.0, 255.0)
    return op.cast(y, x.etype)


# ---- the operators --------------------------------------------------------------------------------------------------


def _sizes(x: Value, space: int, sizes: Ints | None) -> list[Int] | None:
    if x.rank != space + 2:
        raise GraphTypeError(f"the input has rank {x.rank}, not {space + 2}")
    if sizes is None:
        return None
    items = list(sizes) if isinstance(sizes, (list, tuple)) else [sizes]
    return items * space if len(items) == 1 else items


def _scales(space: int, given: Sequence[Any], named: dict[str, Any]) -> list[Any]:
    """``scales_d, scales_h, scales_w`` as far as there are axes, called ``scales`` if there is one."""
    names = ["scales"] if space == 1 else [f"scales_{axis}" for axis in "dhw"[-space:]]
    return [*given, *(named.get(name) for name in names[len(given) :])]


def _register_nearest(name: str, space: int, mode: str) -> None:
    @aten(name)
    def upsample(op: Builder, self: Value, output_size: Ints, *scales: Any, **named: Any) -> Value:
        return interpolate(op, self, mode, _sizes(self, space, output_size), _scales(space, scales, named))

    @aten(f"{name}.vec")
    def upsample_vec(op: Builder, input: Value, output_size: Ints | None, scale_factors: Numbers | None) -> Value:
        return interpolate(op, input, mode, _sizes(input, space, output_size), scale_factors)


def _register(name: str, space: int, mode: str, antialias: bool = False) -> None:
    @aten(name)
    def upsample(op: Builder, self: Value, output_size: Ints, align_corners: bool, *scales: Any, **named: Any) -> Value:
        factors = _scales(space, scales, named)
        return interpolate(op, self, mode, _sizes(self, space, output_size), factors, align_corners, antialias)

    @aten(f"{name}.vec")
    def upsample_vec(
        op: Builder, input: Value, output_size: Ints | None, align_corners: bool, scale_factors: Numbers | None
    ) -> Value:
        sizes = _sizes(input, space, output_size)
        return interpolate(op, input, mode, sizes, scale_factors, align_corners, antialias)


for _space in (1, 2, 3):
    _register_nearest(f"upsample_nearest{_space}d", _space, "nearest")
    _register_nearest(f"_upsample_nearest_exact{_space}d", _space, "nearest-exact")
_register("upsample_linear1d", 1, "linear")
_register("upsample_bilinear2d", 2, "linear")
_register("upsample_trilinear3d", 3, "linear")
_register("upsample_bicubic2d", 2, "cubic")
_register("_upsample_bilinear2d_aa", 2, "linear", antialias=True)
_register("_upsample_bicubic2d_aa", 2, "cubic", antialias=True)
_register("_upsample_lanczos2d_aa", 2, "lanczos", antialias=True)


_MODES = {"nearest": "nearest", "nearest-exact": "nearest-exact", "bicubic": "cubic"}


@aten("__interpolate")
def interpolate_by_name(
    op: Builder, input: Value, size: Ints | None = None, scale_factor: Number | Numbers | None = None,
    mode: str = "nearest", align_corners: bool | None = None, recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Value:  # fmt: skip
    """``torch.nn.functional.interpolate`` as old archives call it: positions go by the sizes unless told otherwise."""
    space = input.rank - 2
    scales = scale_factor if scale_factor is None or isinstance(scale_factor, (list, tuple)) else [scale_factor] * space
    sizes = _sizes(input, space, size)
    if scales is not None and (recompute_scale_factor is not False or mode == "area"):
        pairs = zip(input.dims[2:], scales, strict=True)
        sizes, scales = [scaled_size(op, old, known(scale, "a scale factor")) for old, scale in pairs], None
    if mode == "area":
        return adaptive_average(op, input, space, sizes or [])
    kind = _MODES.get(mode, "linear")
    return interpolate(op, input, kind, sizes, scales, bool(align_corners), antialias)


@aten("__upsample")
def upsample_by_name(
    op: Builder, input: Value, size: Ints | None = None, scale_factor: Number | None = None, mode: str = "nearest",
    align_corners: bool | None = None,
) -> Value:  # fmt: skip
    return interpolate_by_name(op, input, size, scale_factor, mode, align_corners)


@aten("__upsample_nearest")
def upsample_nearest_by_name(
    op: Builder, input: Value, size: Ints | None = None, scale_factor: Number | None = None
) -> Value:
    return interpolate_by_name(op, input, size, scale_factor)


@aten("__upsample_bilinear")
def upsample_bilinear_by_name(
    op: Builder, input: Value, size: Ints | None = None, scale_factor: Number | Numbers | None = None
) -> Value:
    return interpolate_by_name(op, input, size, scale_factor, "bilinear", True)

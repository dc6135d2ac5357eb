"""Resampling of images: Resize, GridSample, AffineGrid."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from nxconvert.graph.dims import Int, floordiv
from nxconvert.graph.rules import infer_rule
from nxconvert.graph.rules.common import Dims, agree, integers, normal_axes, tensor, want_rank
from nxconvert.graph.values import GraphTypeError, TensorType, Value

if TYPE_CHECKING:
    from nxconvert.graph.builder import Builder


@infer_rule("Resize", "Upsample")
def _resize(
    op: Builder, x: Value, roi: Value | None = None, scales: Value | None = None, sizes: Value | None = None, /, *,
    axes: Sequence[int] | None = None, keep_aspect_ratio_policy: str = "stretch",
    coordinate_transformation_mode: str = "half_pixel", **_: Any,
) -> list[TensorType]:  # fmt: skip
    which = list(range(len(x.dims))) if axes is None else normal_axes(axes, len(x.dims))
    dims = list(x.dims)
    if (scales is None) == (sizes is None):
        raise GraphTypeError("either scales or sizes are needed")
    crop = coordinate_transformation_mode == "tf_crop_and_resize"
    given = sizes if sizes is not None else scales
    agree(given.dims[0], len(which), "there are not as many sizes as axes")  # type: ignore[union-attr]
    old = [dims[axis] for axis in which]
    new = (
        _scaled(op, old, scales, crop)
        if scales is not None
        else _sized(op, old, integers(sizes), keep_aspect_ratio_policy)
    )
    for axis, size in zip(which, new, strict=True):
        dims[axis] = size
    return tensor(x.etype, dims)


def _scaled(op: Builder, sizes: list[Int], scales: Value, crop: bool) -> list[Int]:
    factors = scales.array
    if factors is None or crop:
        return [
            size if factors is not None and factors[i] == 1 and not crop else op.fresh("resize")
            for i, size in enumerate(sizes)
        ]
    return [scaled_size(op, size, factor) for size, factor in zip(sizes, factors, strict=True)]


def scaled_size(op: Builder, size: Int, scale: Any) -> Int:
    """``floor(size * scale)`` as runtimes compute it, in float32."""
    if isinstance(size, int):
        return int(np.floor(np.float32(size) * np.float32(scale)))
    exact = Fraction(float(scale))
    # A power of two below scales without rounding; other fractions may round either way in float32.
    if exact.denominator <= 64 and exact.numerator <= 1024:
        return floordiv(size * exact.numerator, exact.denominator)
    return op.fresh("resize")


def _sized(op: Builder, old: list[Int], sizes: Dims | None, policy: str) -> list[Int]:
    if sizes is None:
        return [op.fresh("resize") for _ in old]
    if policy == "stretch":
        return list(sizes)
    if not all(isinstance(d, int) for d in (*old, *sizes)):
        return [op.fresh("resize") for _ in old]
    pick = min if policy == "not_larger" else max
    scale = pick(new / size for new, size in zip(sizes, old, strict=True))  # type: ignore[operator]
    return [math.floor(scale * size + 0.5) for size in old]  # type: ignore[operator]


@infer_rule("GridSample")
def _grid_sample(op: Builder, x: Value, grid: Value, /, **_: Any) -> list[TensorType]:
    want_rank(x, 3, "the input", at_least=True)
    want_rank(grid, len(x.dims), "the grid")
    agree(grid.dims[-1], len(x.dims) - 2, "the grid's points do not have the input's number of coordinates")
    batch = agree(x.dims[0], grid.dims[0], "input and grid differ in batch size")
    return tensor(x.etype, [batch, x.dims[1], *grid.dims[1:-1]])


@infer_rule("AffineGrid")
def _affine_grid(op: Builder, theta: Value, size: Value, /, *, align_corners: int = 0) -> list[TensorType]:
    want_rank(theta, 3, "theta")
    count = size.dims[0]
    if not isinstance(count, int):
        raise GraphTypeError("the size must be a vector of a known length")
    agree(theta.dims[1], count - 2, "theta does not fit the size")
    known = integers(size)
    space = known[2:] if known is not None else [op.fresh("grid") for _ in range(count - 2)]
    return tensor(theta.etype, [theta.dims[0], *space, count - 2])

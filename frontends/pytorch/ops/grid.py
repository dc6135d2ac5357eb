"""Images sampled at points of a grid, and the grids of affine maps."""

from __future__ import annotations

from nxconvert.frontends.pytorch.dtypes import DataType
from nxconvert.frontends.pytorch.table import Builder, Int, Ints, LoweringError, Value, aten
from nxconvert.graph.builder import GraphTypeError
from nxconvert.graph.schema import HALVES

_MODES = ("linear", "nearest", "cubic")
_PADDINGS = ("zeros", "border", "reflection")


def _grid_sample(op: Builder, x: Value, grid: Value, mode: Int, padding: Int, align_corners: bool) -> Value:
    if mode not in (0, 1, 2) or padding not in (0, 1, 2):
        raise LoweringError(f"grid_sampler has no interpolation mode {mode} with padding mode {padding}")
    if x.rank not in (4, 5) or grid.rank != x.rank:
        raise GraphTypeError(f"an input of rank {x.rank} and a grid of rank {grid.rank}; both 4, or both 5, are needed")
    if mode == 2 and x.rank == 5:
        raise LoweringError("cubic interpolation is for images, not for volumes")
    settings = {"mode": _MODES[mode], "padding_mode": _PADDINGS[padding], "align_corners": int(align_corners)}  # type: ignore[index]
    return op.GridSample(x, grid, **settings)


@aten("grid_sampler", "grid_sampler_2d", "grid_sampler_3d", "_grid_sampler_2d_cpu_fallback", "cudnn_grid_sampler")
def grid_sampler(
    op: Builder, input: Value, grid: Value, interpolation_mode: Int, padding_mode: Int, align_corners: bool
) -> Value:
    """``[batch, channels, *space]`` at ``[batch, *points, coordinate]``, from -1 to 1, the last axis first."""
    return _grid_sample(op, input, grid, interpolation_mode, padding_mode, align_corners)


@aten("affine_grid_generator")
def affine_grid_generator(op: Builder, theta: Value, size: Ints, align_corners: bool) -> Value:
    """``theta`` (``[batch, 2, 3]`` or ``[batch, 3, 4]``) applied to every point of an image of ``size``."""
    narrow = theta.etype in HALVES
    wide = op.cast(theta, DataType.FLOAT) if narrow else theta
    sizes = list(size) if isinstance(size, (list, tuple)) else [size]
    single = [axis for axis, n in enumerate(sizes) if axis > 1 and n == 1 and align_corners]
    # The only point of an axis is its middle, which ONNX leaves open; three points have it in between.
    sizes = [3 if axis in single else n for axis, n in enumerate(sizes)]
    grid = op.AffineGrid(wide, sizes, align_corners=int(align_corners))
    if single:
        count = len(single)
        grid = op.Slice(grid, [1] * count, [2] * count, [axis - 1 for axis in single])
    return op.cast(grid, theta.etype)

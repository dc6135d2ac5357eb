"""Images sampled at points of a grid, and the grids of affine maps."""

from __future__ import annotations

import numpy as np

from nxconvert.frontends.pytorch.dtypes import DataType
from nxconvert.frontends.pytorch.table import Builder, Int, Ints, LoweringError, Value, aten
from nxconvert.graph.builder import GraphTypeError

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
    narrow = theta.etype in (DataType.FLOAT16, DataType.BFLOAT16)
    wide = op.cast(theta, DataType.FLOAT) if narrow else theta
    space = list(size)[2:] if isinstance(size, (list, tuple)) else []
    if align_corners and 1 in space:
        # The only point of an axis is its middle in PyTorch and its start in ONNX: one unit apart.
        shift = np.eye(len(space) + 1)
        shift[:-1, -1] = [int(n == 1) for n in reversed(space)]
        wide = op.MatMul(wide, op.const(shift, wide.etype))
    return op.cast(op.AffineGrid(wide, size, align_corners=int(align_corners)), theta.etype)

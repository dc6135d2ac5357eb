"""Max pooling by windows whose places are drawn at random: where they lie is given by samples in [0, 1)."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from nxconvert.frontends.pytorch.dtypes import DataType
from nxconvert.frontends.pytorch.ops.common import repeat_to
from nxconvert.frontends.pytorch.ops.resample import counting
from nxconvert.frontends.pytorch.ops.spatial import want_space
from nxconvert.frontends.pytorch.table import Builder, Int, Ints, Value, aten
from nxconvert.graph.dims import product


def _starts(op: Builder, size: Int, new: int, kernel: int, sample: Value) -> Value:
    """Where the windows of one axis start, ``[batch, channels, new]``; the last one ends where the axis does."""
    last = op.dim_value(size - kernel)
    if new == 1:
        return op.expand(last, [*sample.dims, 1])
    dtype = sample.etype
    step = op.Div(op.cast(last, dtype), op.const(new - 1, dtype))
    offset = op.Unsqueeze(sample, [2])
    shifted = op.Mul(op.Add(counting(op, new, dtype), offset), step)
    starts = op.Sub(op.Cast(shifted, to=DataType.INT64), op.Cast(op.Mul(offset, step), to=DataType.INT64))
    return op.Where(op.Equal(counting(op, new, DataType.INT64), new - 1), last, starts)


def _windows(op: Builder, x: Value, kernel: Sequence[int], sizes: Sequence[int], samples: Value) -> Value:
    """The places within the plane of the elements of all windows: ``[batch, channels, *sizes, *kernel]``."""
    space = len(kernel)
    plane = op.const(0)
    for i, (size, new, width) in enumerate(zip(x.dims[2:], sizes, kernel, strict=True)):
        starts = op.Unsqueeze(_starts(op, size, new, width, op.Gather(samples, i, axis=2)), [3])
        places = op.Add(starts, counting(op, width, DataType.INT64))
        others = [2 + axis for axis in range(2 * space) if axis not in (i, space + i)]
        plane = op.Add(op.Mul(plane, op.dim_value(size)), op.Unsqueeze(places, others) if others else places)
    return plane


def _pooled(op: Builder, x: Value, kernel: Sequence[int], sizes: Sequence[int], samples: Value) -> tuple[Value, Value]:
    plane = op.reshape(_windows(op, x, kernel, sizes, samples), [*x.dims[:2], product(sizes), product(kernel)])
    flat = op.reshape(x, [*x.dims[:2], product(x.dims[2:])])
    row = op.reshape(plane, [*x.dims[:2], product(sizes) * product(kernel)])
    elements = op.reshape(op.GatherElements(flat, row, axis=2), plane.dims)
    best = op.ArgMax(elements, axis=3, keepdims=1)
    dims = [*x.dims[:2], *sizes]
    values, indices = (op.reshape(op.GatherElements(y, best, axis=3), dims) for y in (elements, plane))
    return values, indices


def _register(space: int, order: Sequence[int]) -> None:
    """``order`` is the one in which the samples of the axes are given."""

    @aten(f"fractional_max_pool{space}d")
    def fractional_max_pool(
        op: Builder, self: Value, kernel_size: Ints, output_size: Ints, random_samples: Value
    ) -> tuple[Value, Value]:
        """The largest elements, and their places within the plane."""
        want_space(self, space)
        kernel = repeat_to(kernel_size, space, "the kernel size")
        sizes = repeat_to(output_size, space, "the output size")
        samples = op.cast(random_samples, _sampled(self.etype))
        samples = samples if order == sorted(order) else op.Gather(samples, list(order), axis=2)
        whole = self if self.rank == space + 2 else op.Unsqueeze(self, [0])
        values, indices = _pooled(op, whole, kernel, sizes, samples)
        return (values, indices) if whole is self else (op.Squeeze(values, [0]), op.Squeeze(indices, [0]))


def _sampled(dtype: ir.DataType) -> ir.DataType:
    """PyTorch computes the places in the dtype of the input; halves are refused by it."""
    return dtype if dtype == DataType.DOUBLE else DataType.FLOAT


_register(2, [1, 0])
_register(3, [0, 1, 2])

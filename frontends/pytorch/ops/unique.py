"""Elements without repetition."""

from __future__ import annotations

from nxconvert.frontends.pytorch.dtypes import DataType
from nxconvert.frontends.pytorch.ops.common import axis_of
from nxconvert.frontends.pytorch.table import Builder, Int, Value, aten
from nxconvert.graph.dims import product
from nxconvert.graph.widening import emit

Found = tuple[Value, Value, Value]


def _nothing(op: Builder) -> Value:
    """What PyTorch returns for a result that was not asked for."""
    return op.dims_tensor([])


def _unique(op: Builder, x: Value, axis: int | None, inverse: bool, counts: bool) -> Found:
    """``Unique`` always sorts here, as PyTorch does on the CPU whatever is asked for."""
    wanted = 4 if counts else 3 if inverse else 1
    results = emit(op, "Unique", x, axis=axis, sorted=1, _outputs=wanted)
    found, *others = results if wanted > 1 else (results,)
    return found, others[1] if inverse else _nothing(op), others[2] if counts else _nothing(op)


@aten("_unique2")
def unique2(
    op: Builder, self: Value, sorted: bool = True, return_inverse: bool = False, return_counts: bool = False
) -> Found:
    found, inverse, counts = _unique(op, op.reshape(self, [product(self.dims)]), None, return_inverse, return_counts)
    return found, op.reshape(inverse, self.dims) if return_inverse else inverse, counts


@aten("_unique")
def unique(op: Builder, self: Value, sorted: bool = True, return_inverse: bool = False) -> tuple[Value, Value]:
    return unique2(op, self, sorted, return_inverse)[:2]


@aten("unique_dim")
def unique_dim(
    op: Builder,
    self: Value,
    dim: Int,
    sorted: bool = True,
    return_inverse: bool = False,
    return_counts: bool = False,
) -> Found:
    """All three results, whatever is asked for, as PyTorch's kernel returns them."""
    return _unique(op, self, axis_of(dim, self.rank), True, True)


@aten("unique_consecutive")
def unique_consecutive(
    op: Builder, self: Value, return_inverse: bool = False, return_counts: bool = False, dim: Int | None = None
) -> Found:
    """The first of every run of equal elements, or of equal slices along ``dim``."""
    x = op.reshape(self, [product(self.dims)]) if dim is None else self
    axis = axis_of(dim or 0, x.rank)
    size = x.dims[axis]
    if size == 0:
        return x, _nothing(op), _nothing(op)
    changed = op.Not(op.Equal(op.Slice(x, [1], [size], [axis]), op.Slice(x, [0], [size - 1], [axis])))
    others = [other for other in range(x.rank) if other != axis]
    if others:
        changed = op.Cast(op.ReduceMax(op.Cast(changed, to=DataType.INT32), others, keepdims=0), to=DataType.BOOL)
    starts = op.Concat([True], changed, axis=0)
    found = op.Compress(x, starts, axis=axis)
    inverse = counts = _nothing(op)
    # Along an axis PyTorch's kernel returns all three results, whatever is asked for.
    if return_inverse or dim is not None:
        inverse = op.Sub(op.CumSum(op.Cast(starts, to=DataType.INT64), 0), 1)
        inverse = op.reshape(inverse, self.dims if dim is None else [size])
    if return_counts or dim is not None:
        begins = op.Squeeze(op.NonZero(starts), [0])
        ends = op.Concat(op.Slice(begins, [1], [begins.dims[0]], [0]), op.dims_tensor([size]), axis=0)
        counts = op.Sub(ends, begins)
    return found, inverse, counts

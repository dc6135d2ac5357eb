"""Functions of indices, which are floating-point numbers in CNTK: those that are asked for, and those that are found.

Semantics: measured in CNTK 2.7. What is behind the end of sequences may be anything, also where an index is expected.
"""

from __future__ import annotations

from nxconvert.frontends.cntk.dynamic import widest
from nxconvert.frontends.cntk.ops.shape import places
from nxconvert.frontends.cntk.table import Axis, Builder, DataType, Int, LoweringError, Tensor, Value, cntk


@cntk("Gather")
def gather(op: Builder, indices: Tensor, reference: Tensor) -> Tensor:
    """The entries of the reference's first static axis at the indices, cut to integers: [*indices, *rest of it].

    Like all operands, both are of one dtype for CNTK, also where a file has constants in float32.
    """
    if reference.nd:
        raise LoweringError("what is gathered from has dynamic axes, which CNTK does not take")
    entries = op.Gather(reference.value, _indices(op, indices.value, reference.dims[0]), axis=0)
    return indices.of(op.cast(entries, widest([indices.dtype, reference.dtype])))


def _indices(op: Builder, x: Value, size: Int) -> Value:
    """Indices that an axis of this size has; NaN becomes some integer, and then one of them."""
    value: Value = op.Clip(op.cast(x, DataType.INT64), 0, size - 1)
    return value


@cntk("OneHot")
def one_hot(op: Builder, x: Tensor, *, numClass: int, onehotAxis: Axis) -> Tensor:
    """1 in the place that an index, rounded down, says on a new axis, and 0 in all others."""
    (place,) = places([onehotAxis], x.rank + 1)
    new = x.value.rank + 1 + place
    classes = op.cast(op.Range(0, numClass, 1), x.dtype)
    classes = op.reshape(classes, (numClass, *[1] * (x.value.rank - new)))
    return x.of(op.cast(op.Equal(op.Unsqueeze(op.Floor(x.value), [new]), classes), x.dtype))


@cntk("TopK")
def top_k(op: Builder, x: Tensor, *, axis: Axis, numItems: int) -> tuple[Tensor, Tensor]:
    """The largest numbers along a static axis, the largest one first, and their indices.

    Of equal numbers, the largest of all is CNTK's first one; which others it takes depends on how its sort goes.
    """
    values, indices = op.TopK(x.value, [numItems], axis=x.value.rank + places([axis], x.rank)[0])
    return x.of(values), x.of(op.cast(indices, x.dtype))

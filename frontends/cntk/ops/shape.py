"""Functions of static axes: parts of them, other sizes, another order, tensors next to each other.

Semantics: measured in CNTK 2.7. Shapes and places of axes in files are column-major: the first one is Python's last.
"""

from __future__ import annotations

from collections.abc import Sequence

from nxconvert.frontends.cntk.dynamic import joined, leading_dims, widest, with_axes
from nxconvert.frontends.cntk.table import (
    Axis,
    Builder,
    Context,
    Int,
    Ints,
    LoweringError,
    Shape,
    Tensor,
    Value,
    axis,
    cntk,
)
from nxconvert.graph import widening
from nxconvert.graph.dims import floordiv, product, require

_ALL_STATIC, _END = 2147483646, 2147483644
# Behind the end of every axis; its negative is before the beginning of every one.
_LAST = 2**31 - 1


#: How many axes a splice may add.
_MOST_AXES = 64


def place(each: Axis, rank: int) -> int:
    """The axis of a tensor of so many static ones, counted from the end; negative places in files are counted from
    Python's first axis.
    """
    return axis(each.static if each.static >= 0 else each.static + rank)


def places(axes: Sequence[Axis], rank: int) -> list[int]:
    """Axes that a tensor of so many static ones has, counted from the end."""
    found = [place(each, rank) for each in axes]
    for at in found:
        if not -rank <= at < 0:
            raise LoweringError(f"a tensor of {rank} static axes has no axis {at}, counted from the end")
    return found


# ---- parts -----------------------------------------------------------------------------------------------------------


@cntk("Slice")
def slice_axis(op: Builder, x: Tensor, *, axis: Axis, beginIndex: int, endIndex: int, sliceStrides: int = 1) -> Tensor:
    """A part of one static axis."""
    return slice_axes(
        op, x, axisVec=(axis,), beginIndexVec=[beginIndex], endIndexVec=[endIndex], sliceStridesVec=[sliceStrides]
    )


@cntk("Slice")
def slice_axes(
    op: Builder,
    x: Tensor,
    *,
    axisVec: tuple[Axis, ...],
    beginIndexVec: Ints,
    endIndexVec: Ints,
    sliceStridesVec: Ints = (),
) -> Tensor:
    """A part of static axes, each from its begin to before its end.

    Indices below 0, and an end of 0, count from the end of the axis. A negative stride goes through the same part
    backwards, from its last element.
    """
    strides = [*sliceStridesVec] or [1] * len(axisVec)
    spans = [
        (begin, end or _LAST, stride) if stride > 0 else (end - 1, begin - 1 if begin else -_LAST, stride)
        for begin, end, stride in zip(beginIndexVec, endIndexVec, strides, strict=True)
    ]
    starts, ends, steps = (list(column) for column in zip(*spans, strict=True))
    return x.of(op.Slice(x.value, starts, ends, [x.value.rank + at for at in places(axisVec, x.rank)], steps))


# ---- sizes and order -------------------------------------------------------------------------------------------------


@cntk("Reshape")
def reshape(
    op: Builder,
    x: Tensor,
    *,
    newShape: Shape,
    beginAxis: Axis | None = None,
    endAxis: Axis | None = None,
) -> Tensor:
    """Other sizes for the static axes, or for some next to each other; one of them may be inferred."""
    rank = x.rank
    first, last = (0 if beginAxis is None else _bound(beginAxis, rank)), rank
    if endAxis is not None:
        last = _bound(endAxis, rank)
    if not 0 <= first <= last <= rank:
        raise LoweringError(f"a tensor of {rank} static axes has no axes from {first} to {last}, counted from the end")
    replaced = x.dims[rank - last : rank - first]
    sizes = _inferred(tuple(reversed(newShape)), replaced)
    dims = (*x.dims[: rank - last], *sizes, *x.dims[rank - first :])
    return x.of(op.reshape(x.value, (*x.value.dims[: x.nd], *dims)))


def _bound(each: Axis, rank: int) -> int:
    if each.static == _END:
        return rank
    return each.static if each.static >= 0 else each.static + rank


def _inferred(sizes: Sequence[int], replaced: Sequence[Int]) -> list[Int]:
    """Sizes of as many elements as those that they replace: the one that is free or to be inferred says no number."""
    known = [size for size in sizes if size >= 0]
    if len(sizes) - len(known) > 1:
        raise LoweringError("more than one size of a shape is to be inferred")
    return [size if size >= 0 else floordiv(product(replaced), product(known)) for size in sizes]


@cntk("Squeeze")
def squeeze(op: Builder, x: Tensor, *, axisVec: tuple[Axis, ...] = ()) -> Tensor:
    """``x`` without static axes that have a size of 1: without all of those if none are named."""
    if not axisVec or any(each.static == _ALL_STATIC for each in axisVec):
        axes = [x.nd + i for i, size in enumerate(x.dims) if size == 1]
    else:
        axes = [x.value.rank + at for at in places(axisVec, x.rank)]
    return x.of(op.Squeeze(x.value, axes)) if axes else x


@cntk("TransposeAxes")
def swap_axes(op: Builder, x: Tensor, *, axis1: Axis, axis2: Axis) -> Tensor:
    """``x`` with two static axes in each other's place."""
    first, second = places([axis1, axis2], x.rank)
    order = list(range(x.value.rank))
    order[first], order[second] = order[second], order[first]
    return x.of(_permuted(op, x.value, order))


@cntk("TransposeAxes")
def permute_axes(op: Builder, x: Tensor, *, axisVec: tuple[Axis, ...]) -> Tensor:
    """``x`` with its static axes in another order; both the order and the places in it are column-major."""
    order = [x.value.rank + at for at in reversed(places(axisVec, x.rank))]
    if sorted(order) != list(range(x.nd, x.value.rank)):
        raise LoweringError(f"the order is none of {x.rank} static axes")
    return x.of(_permuted(op, x.value, [*range(x.nd), *order]))


def _permuted(op: Builder, x: Value, order: Sequence[int]) -> Value:
    """A tensor with its axes in another order; where only axes of size 1 move, its elements stay where they are."""
    longer = [i for i in order if x.dims[i] != 1]
    moved = [i for i, to in zip(order, range(x.rank), strict=True) if i != to and not isinstance(x.dims[i], int)]
    if longer == sorted(longer) and len(moved) <= 1:
        return op.reshape(x, [x.dims[i] for i in order])
    value: Value = op.Transpose(x, perm=order)
    return value


# ---- several tensors -------------------------------------------------------------------------------------------------


@cntk("Splice")
def splice(op: Builder, *tensors: Tensor, axis: Axis, context: Context) -> Tensor:
    """Tensors next to each other along a static axis, which may be a new one before all of theirs.

    All other axes are broadcast, static ones from the right, dynamic ones to those that any has.
    """
    axes = joined(tensors)
    rank = max(tensor.rank for tensor in tensors)
    at = place(axis, rank)
    if not -rank - _MOST_AXES <= at < 0:
        raise LoweringError(f"tensors of {rank} static axes cannot be put together along axis {at} from the end")
    rank = max(rank, -at)
    dtype = widest(tensor.dtype for tensor in tensors)
    values = [_with_rank(op, op_cast, rank) for op_cast in (t.of(op.cast(t.value, dtype)) for t in tensors)]
    many = [value.dims[value.rank - rank :] for value in values]
    common = [_common(sizes) for sizes in zip(*many, strict=True)]
    # A batch that the model makes of a static axis has a size of its own.
    lead = leading_dims(axes, next((t.value.dims[0] for t in tensors if t.axes.batch), context.batch))
    parts = []
    for tensor, value, dims in zip(tensors, values, many, strict=True):
        spread = with_axes(op, tensor.of(value), axes)
        target = [*common]
        target[at] = dims[at]
        parts.append(op.expand(spread, (*lead, *target)))
    return Tensor(parts[0] if len(parts) == 1 else op.Concat(*parts, axis=len(lead) + rank + at), axes)


def _with_rank(op: Builder, x: Tensor, rank: int) -> Value:
    """A value with more static axes, of size 1, before its own."""
    missing = list(range(x.nd, x.nd + rank - x.rank))
    return op.Unsqueeze(x.value, missing) if missing else x.value


def _common(sizes: Sequence[Int]) -> Int:
    """The size that sizes are broadcast to."""
    chosen: Int = next((size for size in sizes if size != 1), 1)
    for size in sizes:
        if size != 1:
            require(chosen, size)
    return chosen


# ---- tensors with the sizes of others --------------------------------------------------------------------------------


@cntk("ConstantOp")
def constant_like(op: Builder, x: Tensor, *, fillValue: float) -> Tensor:
    """The same number everywhere, as large as ``x``."""
    return x.of(widening.full(op, fillValue, x.dtype, x.value.dims))


@cntk("EyeLikeOp")
def eye_like(op: Builder, x: Tensor) -> Tensor:
    """Ones on the diagonal of a matrix as large as ``x``; the batch, if there is one, are its rows."""
    if x.value.rank != 2:
        raise LoweringError(f"an identity matrix has two axes, and what it is to be like {x.value.rank}")
    rows, columns = x.value.dims
    here = op.Equal(op.Unsqueeze(op.Range(0, rows, 1), [1]), op.Range(0, columns, 1))
    return x.of(op.cast(here, x.dtype))

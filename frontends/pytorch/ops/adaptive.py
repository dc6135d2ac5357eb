"""Pooling to a given size: element ``i`` is taken from the elements ``floor(i·old/new)`` up to ``ceil((i+1)·old/new)``.

Where the sizes divide this is an ordinary pool, for a size of 1 a global one; otherwise averages are products with a
matrix, and maxima are gathered. Both are computed from the sizes by nodes that fold if those are known.
"""

from __future__ import annotations

from collections.abc import Sequence

from nxconvert.frontends.pytorch.dtypes import DataType
from nxconvert.frontends.pytorch.ops.pool import max_pooled
from nxconvert.frontends.pytorch.ops.resample import counting
from nxconvert.frontends.pytorch.ops.spatial import batched, want_space, weigh_axis
from nxconvert.frontends.pytorch.table import Builder, Dim, Int, Ints, Value, aten
from nxconvert.graph.builder import GraphTypeError
from nxconvert.graph.dims import floordiv, maximum, product


def _targets(x: Value, space: int, sizes: Int | Sequence[Int | None]) -> list[Int]:
    want_space(x, space)
    items: list[Int | None] = [sizes] if isinstance(sizes, (int, Dim)) else list(sizes)
    items = items * space if len(items) == 1 else items
    if len(items) != space:
        raise GraphTypeError(f"{len(items)} sizes are given for {space} axes")
    return [old if new is None else new for old, new in zip(x.dims[-space:], items, strict=True)]


def _divides(old: Int, new: Int) -> bool:
    return isinstance(old, int) and isinstance(new, int) and new > 0 and old % new == 0


def _bounds(op: Builder, old: Int, new: Int) -> tuple[Value, Value]:
    """Where each window starts, and where it ends (exclusively): int64 ``[new]``."""
    places = op.Mul(counting(op, new, DataType.INT64), op.dim_value(old))
    ends = op.Add(places, op.dim_value(old + new - 1))
    return op.Div(places, op.dim_value(new)), op.Div(ends, op.dim_value(new))


# ---- averages -------------------------------------------------------------------------------------------------------


def adaptive_average(op: Builder, x: Value, space: int, sizes: Int | Sequence[Int | None]) -> Value:
    """The mean of each window of the last ``space`` axes."""
    targets = _targets(x, space, sizes)
    first = x.rank - space
    if all(new == 1 for new in targets):
        if x.rank == space + 2 and x.etype != DataType.DOUBLE:
            return op.GlobalAveragePool(x)
        return op.ReduceMean(x, list(range(first, x.rank)))
    olds = x.dims[first:]
    if olds == tuple(targets):
        return op.Identity(x)
    even = all(_divides(old, new) or old == new for old, new in zip(olds, targets, strict=True))
    if even and x.etype != DataType.DOUBLE:
        # ONNX Runtime has no average pool in double.
        return _divided(op, x, space, targets)
    single = [first + i for i, new in enumerate(targets) if new == 1]
    y = op.ReduceMean(x, single) if single else x
    for i, (old, new) in enumerate(zip(olds, targets, strict=True)):
        if new not in (1, old):
            y = weigh_axis(op, y, first + i, average_weights(op, old, new, x))
    return y


def _divided(op: Builder, x: Value, space: int, targets: Sequence[Int]) -> Value:
    olds = x.dims[-space:]
    window = [1 if old == new else floordiv(old, new) for old, new in zip(olds, targets, strict=True)]
    return batched(op, x, space, lambda x: op.AveragePool(x, kernel_shape=window, strides=window))


def average_weights(op: Builder, old: Int, new: Int, like: Value) -> Value:
    """``[new, old]``: 1 by the number of elements inside each window, 0 outside."""
    start, end = (op.Unsqueeze(bound, [1]) for bound in _bounds(op, old, new))
    place = counting(op, old, DataType.INT64)
    inside = op.And(op.GreaterOrEqual(place, start), op.Less(place, end))
    return op.Div(op.cast(inside, like.etype), op.cast(op.Sub(end, start), like.etype))


# ---- maxima ---------------------------------------------------------------------------------------------------------


def adaptive_maximum(op: Builder, x: Value, space: int, sizes: Int | Sequence[Int | None]) -> tuple[Value, Value]:
    """The largest element of each window of the last ``space`` axes, and its index within the plane of them all."""
    targets = _targets(x, space, sizes)
    whole = x if x.rank == space + 2 else op.Unsqueeze(x, [0])
    if all(_divides(old, new) for old, new in zip(whole.dims[2:], targets, strict=True)):
        window = [floordiv(old, new) for old, new in zip(whole.dims[2:], targets, strict=True)]
        results = max_pooled(op, whole, True, kernel_shape=window, strides=window)
    elif all(new == 1 for new in targets):
        results = _global_maximum(op, whole)
    else:
        results = _gathered_maximum(op, whole, targets)
    values, places = results if whole is x else [op.Squeeze(result, [0]) for result in results]
    return values, places


def _global_maximum(op: Builder, x: Value) -> tuple[Value, Value]:
    flat = op.reshape(x, [*x.dims[:2], product(x.dims[2:])])
    place = op.ArgMax(flat, axis=2, keepdims=1)
    values = op.GlobalMaxPool(x) if x.etype != DataType.DOUBLE else op.ReduceMax(x, list(range(2, x.rank)))
    return values, op.Unsqueeze(place, list(range(3, x.rank))) if x.rank > 3 else place


def _gathered_maximum(op: Builder, x: Value, targets: Sequence[Int]) -> tuple[Value, Value]:
    """All windows side by side; a shorter one repeats its last element, which changes no maximum and no first index."""
    space = x.rank - 2
    y, plane = x, op.const(0)
    lengths: list[Int] = []
    for i, (old, new) in enumerate(zip(x.dims[2:], targets, strict=True)):
        start, end = (op.Unsqueeze(bound, [1]) for bound in _bounds(op, old, new))
        length = maximum(floordiv(old + new - 1, new) + (0 if _divides(old, new) else 1), 1)
        place = op.Min(op.Add(start, counting(op, length, DataType.INT64)), op.Sub(end, 1))
        lengths.append(length)
        # Axis 2 + 2·i becomes two: windows, elements of a window.
        y = op.Gather(y, place, axis=2 + 2 * i)
        plane = op.Add(op.Mul(plane, op.dim_value(old)), op.Unsqueeze(place, _beside(i, space)))
    order = [0, 1, *range(2, 2 + 2 * space, 2), *range(3, 3 + 2 * space, 2)]
    count = product(lengths)
    y = op.reshape(op.Transpose(y, perm=order), [*x.dims[:2], *targets, count])
    inner = op.Transpose(plane, perm=[axis - 2 for axis in order[2:]])
    places = op.expand(op.reshape(inner, [*targets, count]), y.dims)
    last = y.rank - 1  # the reference evaluator gathers along no negative axis
    best = op.ArgMax(y, axis=last, keepdims=1)
    return tuple(op.Squeeze(op.GatherElements(z, best, axis=last), [last]) for z in (y, places))


def _beside(axis: int, space: int) -> list[int]:
    """The axes to insert so that ``[windows, elements]`` of one axis stands in ``[windows, elements] * space``."""
    return [i for i in range(2 * space) if i // 2 != axis]


def _register(space: int) -> None:
    @aten(f"adaptive_avg_pool{space}d", f"_adaptive_avg_pool{space}d")
    def adaptive_avg_pool(op: Builder, self: Value, output_size: Ints) -> Value:
        return adaptive_average(op, self, space, output_size)

    @aten(f"adaptive_max_pool{space}d")
    def adaptive_max_pool(op: Builder, self: Value, output_size: Ints) -> tuple[Value, Value]:
        return adaptive_maximum(op, self, space, output_size)


for _space in (1, 2, 3):
    _register(_space)

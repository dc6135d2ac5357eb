"""Tensors joined along an axis, and parts of them: concatenation, splits, slices.

Semantics: ``caffe2/operators/concat_split_op.h``, ``slice_op.h``.
"""

from __future__ import annotations

import numpy as np

from nxconvert.frontends.caffe2.ops.numbers import axis_of
from nxconvert.frontends.caffe2.table import Builder, DataType, Int, Ints, Lengths, LoweringError, Value, caffe2
from nxconvert.graph.dims import floordiv, require
from nxconvert.graph.rules.common import integers

_CHANNELS = {"NCHW": 1, "NHWC": 3}
# Beyond every axis.
_END = np.iinfo(np.int64).max


def join_axis(axis: int | None, order: str | None, rank: int) -> int:
    """The axis along which is joined or split: the one that is named, or that of the channels.

    Raises:
        LoweringError: there is no such axis.
    """
    if axis is not None and order is not None:
        raise LoweringError("it has both an axis and an order")
    if axis is None:
        axis = _CHANNELS.get(order or "NCHW")
        if axis is None:
            raise LoweringError(f"there is no order {order!r}")
    return axis_of(axis, rank)


# ---- joined ----------------------------------------------------------------------------------------------------------


@caffe2("Concat", "DepthConcat")
def concat(
    op: Builder, first: Value, *others: Value, axis: int | None = None, order: str | None = None, add_axis: int = 0
) -> tuple[Value, Value]:
    """Joined along an axis, a new one with ``add_axis`` if it is named; and the size of each along it, int32[n]."""
    add_axis = add_axis if axis is not None else 0
    along = join_axis(axis, order, first.rank + bool(add_axis))
    parts = [op.Unsqueeze(x, [along]) if add_axis else x for x in (first, *others)]
    sizes = op.dims_tensor([x.dims[along] for x in parts])
    return op.Concat(*parts, axis=along), op.cast(sizes, DataType.INT32)


# ---- split -----------------------------------------------------------------------------------------------------------


@caffe2("Split", "DepthSplit")
def split_(
    op: Builder,
    x: Value,
    lengths: Lengths | None = None,
    *,
    n_outputs: int,
    split: Ints = (),
    axis: int | None = None,
    order: str | None = None,
    add_axis: int = 0,
) -> tuple[Value, ...]:
    """Parts of the sizes that an argument or an input lists, or of equal size.

    With ``add_axis`` the axis, if it is named, is taken away: it undoes the joining of that name.
    """
    along = join_axis(axis, order, x.rank)
    if lengths is not None:
        if split:
            raise LoweringError("the sizes of the parts are given as an argument and as an input")
        parts = _parts(op, x, op.reshape(lengths, [n_outputs]), along)
    else:
        sizes: list[Int] = list(split) if split else [floordiv(x.dims[along], n_outputs)] * n_outputs
        if len(sizes) != n_outputs:
            raise LoweringError(f"it has {n_outputs} outputs, and the sizes of {len(sizes)} parts")
        require(sum(sizes), x.dims[along])
        parts = _parts(op, x, op.dims_tensor(sizes), along)
    return tuple(op.Squeeze(part, [along]) for part in parts) if add_axis and axis is not None else parts


def _parts(op: Builder, x: Value, sizes: Value, axis: int) -> tuple[Value, ...]:
    parts = op.Split(x, op.cast(sizes, DataType.INT64), axis=axis)
    return parts if isinstance(parts, tuple) else (parts,)


@caffe2("SplitByLengths")
def split_by_lengths(
    op: Builder, x: Value, lengths: Lengths, *, n_outputs: int, axis: int | None = None, order: str | None = None
) -> tuple[Value, ...]:
    """Each part is as long as its share of the lengths, of which all parts have equally many, is together."""
    share = floordiv(lengths.dims[0], n_outputs)
    table = op.reshape(op.cast(lengths, DataType.INT64), [n_outputs, share])
    return _parts(op, x, op.ReduceSum(table, [1], keepdims=0), join_axis(axis, order, x.rank))


# ---- sliced ----------------------------------------------------------------------------------------------------------


@caffe2("Slice")
def slice_(
    op: Builder,
    x: Value,
    starts_input: Value | None = None,
    ends_input: Value | None = None,
    *,
    starts: Ints | None = None,
    ends: Ints | None = None,
) -> Value:
    """From ``starts`` up to ``ends``, along the first axes.

    Negative numbers count from behind the last element: -1 as an end takes all of the axis, and as a start nothing.
    """
    if starts_input is not None and ends_input is not None:
        first, last = (integers(bound) for bound in (starts_input, ends_input))
        if not first or not last or not all(isinstance(n, int) for n in (*first, *last)):
            return _sliced_by_data(op, x, starts_input, ends_input)
    elif starts is not None and ends is not None:
        first, last = tuple(starts), tuple(ends)
    else:
        raise LoweringError("where it starts and ends is not said")
    if len(first) != len(last) or len(first) > x.rank:
        raise LoweringError(f"{len(first)} starts and {len(last)} ends are given for a tensor of rank {x.rank}")
    low = [_END if n == -1 else n + 1 if n < 0 else n for n in first]  # type: ignore[operator]
    high = [_END if n == -1 else n + 1 if n < 0 else n for n in last]  # type: ignore[operator]
    cut = [i for i in range(len(low)) if (low[i], high[i]) != (0, _END)]
    return op.Slice(x, [low[i] for i in cut], [high[i] for i in cut], cut) if cut else x


def _sliced_by_data(op: Builder, x: Value, starts: Value, ends: Value) -> Value:
    # The runtime needs a number for each axis: with fewer it writes where it may not.
    count = starts.dims[0] if starts.rank == 1 and isinstance(starts.dims[0], int) else x.rank
    bounds = []
    for given in (starts, ends):
        bound = op.reshape(op.cast(given, DataType.INT64), [count])
        behind = op.Where(op.Equal(bound, -1), _END, op.Add(bound, 1))
        bounds.append(op.Where(op.Less(bound, 0), behind, bound))
    return op.Slice(x, *bounds, list(range(count)))

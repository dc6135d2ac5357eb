"""The order in which ``std::sort`` leaves what compares equal.

Networks with quantized scores have many equal ones, and which of them come first decides what is suppressed. Caffe2
sorts by ``std::sort`` of GNU's library, which is not stable: it partitions around the median of three until parts have
no more than 16 elements, then sorts by insertion, which is stable. All parts of one round are partitioned at once here;
there are about ``log2(n / 16)`` rounds. (After ``2 * log2(n)`` of them it would go on by a heap, which takes an order
made for that.)
"""

from __future__ import annotations

from typing import NamedTuple

from nxconvert.frontends.caffe2.table import Builder, DataType, Value
from nxconvert.graph.builder import TensorType

NEVER = float("-inf")
_SMALL = 16


def sorting_keys(op: Builder, scores: Value, applies: Value | None = None) -> Value:
    """Numbers whose order, the first of equal ones being the first, is that of ``std::sort`` by descending scores.

    They are the scores themselves where no two of a row are equal.

    Args:
        op: the builder.
        scores: float32[rows, n]; minus infinity at places that hold nothing and are not sorted.
        applies: whether there is such an order at all; a bool of rank 0.

    Returns:
        float32[rows, n]; minus infinity at the same places.
    """
    count = scores.dims[1]
    if isinstance(count, int) and count <= _SMALL:
        return scores
    equal = _has_equal(op, scores)
    if applies is not None:
        equal = op.And(equal, applies)
    then, otherwise = op.child(), op.child()
    graphs = {
        "then_branch": then.graph([_keys(then, scores)], "sorted"),
        "else_branch": otherwise.graph([scores], "as_they_are"),
    }
    return op.node("If", [equal], graphs, [TensorType(scores.etype, scores.dims)])[0]


def _has_equal(op: Builder, scores: Value) -> Value:
    """Whether any two scores of a row are equal."""
    ordered, _ = op.TopK(scores, [scores.dims[1]], axis=1)
    a, b = op.Slice(ordered, [1], [2**31 - 1], [1]), op.Slice(ordered, [0], [-1], [1])
    equal = op.And(op.Equal(a, b), op.Greater(a, NEVER))
    return op.Greater(op.ReduceSum(op.cast(equal, DataType.INT64), keepdims=0), 0)


def _keys(op: Builder, scores: Value) -> Value:
    rows, count = scores.dims
    present = op.Greater(scores, NEVER)
    flat = op.reshape(scores, [rows * count])
    places = op.NonZero(op.reshape(present, [rows * count]))
    places = op.reshape(places, [places.dims[1]])
    values = op.Gather(flat, places, axis=0)
    row = op.Div(places, op.dim_value(count))
    sizes = op.ReduceSum(op.cast(present, DataType.INT64), [1], keepdims=0)
    ends = op.CumSum(sizes, 0)
    end = op.Gather(ends, row, axis=0)
    start = op.Sub(end, op.Gather(sizes, row, axis=0))
    shuffled = _partitioned(op, values, start, end)
    # What is left is stable: by score, then by row.
    total = values.dims[0]
    _, by_score = op.TopK(op.Gather(values, shuffled, axis=0), [total], axis=0)
    shuffled = op.Gather(shuffled, by_score, axis=0)
    _, by_row = op.TopK(op.Gather(row, shuffled, axis=0), [total], axis=0, largest=0)
    order = op.Gather(places, op.Gather(shuffled, by_row, axis=0), axis=0)
    ranks = op.Neg(op.cast(op.Range(0, total, 1), DataType.FLOAT))
    nothing = op.expand(op.const(NEVER, DataType.FLOAT), flat.dims)
    return op.reshape(op.ScatterElements(nothing, order, ranks, axis=0), scores.dims)


class _Parts(NamedTuple):
    """The parts that are being sorted, by place.

    Attributes:
        order: the element at each place.
        start: where the part of the place starts.
        end: where it ends.
    """

    order: Value
    start: Value
    end: Value


def _partitioned(op: Builder, values: Value, start: Value, end: Value) -> Value:
    """The elements after all rounds, int64[n]."""
    (count,) = values.dims
    state = _Parts(op.Range(0, count, 1), start, end)
    body = op.child()
    body.input("round", DataType.INT64, ())
    body.input("going", DataType.BOOL, ())
    parts = _Parts(*(body.input(name, v.etype, v.dims) for name, v in zip(_Parts._fields, state, strict=True)))
    new = _round(body, values, parts)
    types = [TensorType(v.etype, v.dims) for v in state]
    graph = body.graph([_unsorted(body, new), *new], "round")
    return op.node("Loop", [None, _unsorted(op, state), *state], {"body": graph}, types)[0]


def _unsorted(op: Builder, parts: _Parts) -> Value:
    """Whether a part is to be partitioned further."""
    large = op.cast(_large(op, parts), DataType.INT64)
    return op.Greater(op.ReduceSum(large, keepdims=0), 0)


def _large(op: Builder, parts: _Parts) -> Value:
    return op.Greater(op.Sub(parts.end, parts.start), _SMALL)


def _round(op: Builder, values: Value, parts: _Parts) -> _Parts:
    """Partitions every large part around a pivot, which stands at its start.

    From both sides, what is not before the pivot on the left is exchanged for what is not behind it on the right.
    """
    (count,) = values.dims
    place = op.Range(0, count, 1)
    large = _large(op, parts)
    head = op.And(large, op.Equal(place, parts.start))
    order = _with_pivots(op, values, parts, _where(op, head))
    scores = op.Gather(values, order, axis=0)
    pivot = op.Gather(scores, parts.start, axis=0)
    inside = op.And(large, op.Greater(place, parts.start))
    left, right = op.And(inside, op.LessOrEqual(scores, pivot)), op.And(inside, op.GreaterOrEqual(scores, pivot))
    # How many stop on the left of a place, and how many on its right.
    before, until = _counted(op, left), _counted(op, right)
    rank = op.Sub(op.Gather(before, place, axis=0), op.Gather(before, parts.start, axis=0))
    back = op.Sub(op.Gather(until, parts.end, axis=0), op.Gather(until, op.Add(place, 1), axis=0))
    goes_right, goes_left = op.And(left, op.Greater(back, rank)), op.And(right, op.Greater(rank, back))
    order = _exchanged(op, order, parts, goes_right, goes_left)
    # The parts are cut where the sides have met.
    met = op.Or(op.And(left, op.Not(goes_right)), goes_left)
    so_far = _counted(op, met)
    first = op.Equal(op.Gather(so_far, place, axis=0), op.Gather(so_far, parts.start, axis=0))
    cuts = _where(op, op.And(met, first))
    number = op.Sub(op.CumSum(op.cast(head, DataType.INT64), 0), 1)
    # There is one cut more, so that places before the first large part have one to look at.
    cut = op.Gather(op.Concat(cuts, op.const([0]), axis=0), op.Max(number, 0), axis=0)
    behind = op.GreaterOrEqual(place, cut)
    start = op.Where(op.And(large, behind), cut, parts.start)
    end = op.Where(op.And(large, op.Not(behind)), cut, parts.end)
    return _Parts(order, start, end)


def _where(op: Builder, flags: Value) -> Value:
    found = op.NonZero(flags)
    return op.reshape(found, [found.dims[1]])


def _counted(op: Builder, flags: Value) -> Value:
    """How many flags are set before each place, and before the end: int64[n + 1]."""
    return op.Concat(op.const([0]), op.CumSum(op.cast(flags, DataType.INT64), 0), axis=0)


def _with_pivots(op: Builder, values: Value, parts: _Parts, heads: Value) -> Value:
    """The order after the median of three elements of each part has been exchanged for its first one."""
    start, end = (op.Gather(v, heads, axis=0) for v in (parts.start, parts.end))
    places = op.Add(start, 1), op.Add(start, op.Div(op.Sub(end, start), 2)), op.Sub(end, 1)
    x, y, z = (op.Gather(values, op.Gather(parts.order, p, axis=0), axis=0) for p in places)
    xy, yz, xz = op.Greater(x, y), op.Greater(y, z), op.Greater(x, z)
    falling = op.Where(yz, places[1], op.Where(xz, places[2], places[0]))
    rising = op.Where(xz, places[0], op.Where(yz, places[2], places[1]))
    median = op.Where(xy, falling, rising)
    return _swapped(op, parts.order, start, median)


def _exchanged(op: Builder, order: Value, parts: _Parts, goes_right: Value, goes_left: Value) -> Value:
    """The order after the first to go right has been exchanged for the last to go left in each part, and so on."""
    sources, targets = _where(op, goes_right), _where(op, goes_left)
    counts = _counted(op, goes_right)
    ends = [op.Gather(counts, op.Gather(v, sources, axis=0), axis=0) for v in (parts.start, parts.end)]
    partner = op.Sub(op.Sub(op.Add(*ends), 1), op.Range(0, sources.dims[0], 1))
    return _swapped(op, order, sources, op.Gather(targets, partner, axis=0))


def _swapped(op: Builder, order: Value, a: Value, b: Value) -> Value:
    """The elements at places ``a`` exchanged for those at ``b``."""
    moved = [op.Gather(order, places, axis=0) for places in (b, a)]
    return op.ScatterElements(order, op.Concat(a, b, axis=0), op.Concat(*moved, axis=0), axis=0)

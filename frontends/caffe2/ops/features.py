"""Sparse features of examples, merged: lists of ids, and features by key that are scalars, lists or maps.

A feature of one kind comes as a few tensors over the examples; those of "single" operators hold one feature each, which
examples may lack, those of "multi" operators hold any number of features by key. What comes out holds for each example
the features of all inputs, in the order of the inputs.
"""

from __future__ import annotations

from collections.abc import Sequence

from nxconvert.frontends.caffe2.table import (
    Builder,
    DataType,
    Flags,
    Indices,
    Ints,
    Lengths,
    LoweringError,
    Value,
    caffe2,
)
from nxconvert.graph.dims import Int, product
from nxconvert.graph.segments import Segments, range_indices, reduce_segments


@caffe2("MergeIdLists")
def merge_id_lists(op: Builder, lengths: Lengths, values: Indices, *more: Value) -> tuple[Value, Value]:
    """The ids that each example has in any of the lists, ascending and none twice; their number (int32), and they."""
    lists = _grouped(op, (lengths, values, *more), 2)
    size = lengths.dims[0]
    pairs = []
    for sizes, ids in lists:
        owner = Segments(op, sizes, ids.dims[0]).ids
        pairs.append(op.Concat(*(op.Unsqueeze(op.cast(x, DataType.INT64), [1]) for x in (owner, ids)), axis=1))
    # Rows in order of the example, then of the id.
    merged = op.Unique(op.Concat(*pairs, axis=0), axis=0)
    owner, ids = (op.Gather(merged, i, axis=1) for i in (0, 1))
    counts = reduce_segments(op, op.expand(op.const(1), owner.dims), owner, size)
    return op.Cast(counts, to=DataType.INT32), op.cast(ids, values.etype)


def _grouped(op: Builder, inputs: Sequence[Value], count: int) -> list[tuple[Value, ...]]:
    """The inputs of an operator, ``count`` for each feature, all as vectors."""
    if not inputs or len(inputs) % count:
        raise LoweringError(f"{len(inputs)} inputs are no multiple of {count}")
    flat = [op.reshape(x, [product(x.dims)]) for x in inputs]
    return [tuple(flat[i : i + count]) for i in range(0, len(flat), count)]


def _side_by_side(op: Builder, vectors: Sequence[Value]) -> Value:
    """Vectors over the examples as the columns of a matrix."""
    return op.Concat(*(op.Unsqueeze(x, [1]) for x in vectors), axis=1)


def _joined(op: Builder, vectors: Sequence[Value]) -> Value:
    return op.Concat(*vectors, axis=0)


def _in_order(op: Builder, lengths: Sequence[Value], parts: Sequence[Value]) -> Value:
    """Places in the joined parts, in order of the example and then of the part, int64.

    Args:
        op: the builder.
        lengths: how many elements of a part each example has, a vector of integers a part.
        parts: vectors.
    """
    starts: list[Value] = []
    before: Int = 0
    for sizes, part in zip(lengths, parts, strict=True):
        start = op.CumSum(op.cast(sizes, DataType.INT64), 0, exclusive=1)
        starts.append(op.Add(start, op.dim_value(before)) if starts else start)
        before = before + part.dims[0]
    count = lengths[0].dims[0] * len(parts)
    start, size = (op.reshape(_side_by_side(op, x), [count]) for x in (starts, lengths))
    return range_indices(op, start, size)


# ---- one feature an input ------------------------------------------------------------------------------------------


class _Presence:
    """Which examples have which of some features, and what follows from that."""

    def __init__(self, op: Builder, flags: Sequence[Value], feature_ids: Sequence[int]) -> None:
        if len(feature_ids) < len(flags):
            raise LoweringError(f"{len(feature_ids)} 'feature_ids' are given for {len(flags)} features")
        self._op = op
        self._shape = [flags[0].dims[0], len(flags)]
        self._count = flags[0].dims[0] * len(flags)
        matrix = _side_by_side(op, flags)
        self._places = op.Squeeze(op.NonZero(op.reshape(matrix, [self._count])), [0])
        self.lengths = op.ReduceSum(op.Cast(matrix, to=DataType.INT32), [1], keepdims=0)
        ids = op.expand(op.const(list(feature_ids[: len(flags)]), DataType.INT64), self._shape)
        self.keys = self._picked(ids)

    def _picked(self, matrix: Value) -> Value:
        return self._op.Gather(self._op.reshape(matrix, [self._count]), self._places, axis=0)

    def of(self, vectors: Sequence[Value]) -> Value:
        """What vectors over the examples, one a feature, hold where the feature is there."""
        return self._picked(_side_by_side(self._op, vectors))


@caffe2("MergeSingleScalarFeatureTensors")
def merge_single_scalar(
    op: Builder, value: Value, presence: Flags, *more: Value, feature_ids: Ints
) -> tuple[Value, ...]:
    """Of (values, presence) a feature: the number of features (int32), their ids, their values."""
    values, flags = zip(*_grouped(op, (value, presence, *more), 2), strict=True)
    there = _Presence(op, flags, feature_ids)
    return there.lengths, there.keys, there.of(values)


def _merge_single(op: Builder, inputs: Sequence[Value], feature_ids: Sequence[int], count: int) -> tuple[Value, ...]:
    sizes, *parts, flags = zip(*_grouped(op, inputs, count), strict=True)
    there = _Presence(op, flags, feature_ids)
    # An example that lacks a feature has none of its values, whatever its length says.
    taken = [op.Mul(n, op.Cast(flag, to=n.etype)) for n, flag in zip(sizes, flags, strict=True)]
    order = _in_order(op, taken, parts[0])
    contents = (op.Gather(_joined(op, part), order, axis=0) for part in parts)
    return there.lengths, there.keys, op.cast(there.of(sizes), DataType.INT32), *contents


@caffe2("MergeSingleListFeatureTensors")
def merge_single_list(
    op: Builder, lengths: Lengths, values: Value, presence: Flags, *more: Value, feature_ids: Ints
) -> tuple[Value, ...]:
    """Of (lengths, values, presence) a feature: how many, their ids, the lengths of their lists, these."""
    return _merge_single(op, (lengths, values, presence, *more), feature_ids, 3)


@caffe2("MergeSingleMapFeatureTensors")
def merge_single_map(
    op: Builder, lengths: Lengths, keys: Value, values: Value, presence: Flags, *more: Value, feature_ids: Ints
) -> tuple[Value, ...]:
    """Of (lengths, keys, values, presence) a feature: how many, their ids, the lengths of their maps, these."""
    return _merge_single(op, (lengths, keys, values, presence, *more), feature_ids, 4)


# ---- features by key -----------------------------------------------------------------------------------------------


def _merge_multi(op: Builder, inputs: Sequence[Value], count: int) -> tuple[tuple[Value, ...], list[tuple[Value, ...]]]:
    """The lengths and what stands by feature, merged; and what remains of the inputs."""
    sizes, keys, *rest = zip(*_grouped(op, inputs, count), strict=True)
    order = _in_order(op, sizes, keys)
    total = sizes[0]
    for each in sizes[1:]:
        total = op.Add(total, each)
    return (total, order, op.Gather(_joined(op, keys), order, axis=0)), rest


@caffe2("MergeMultiScalarFeatureTensors")
def merge_multi_scalar(op: Builder, lengths: Lengths, keys: Indices, values: Value, *more: Value) -> tuple[Value, ...]:
    """Of (lengths, keys, values) an input the same."""
    (total, order, merged), (scalars,) = _merge_multi(op, (lengths, keys, values, *more), 3)
    return total, merged, op.Gather(_joined(op, scalars), order, axis=0)


def _merge_multi_ragged(op: Builder, inputs: Sequence[Value], count: int) -> tuple[Value, ...]:
    (total, order, merged), (sizes, *parts) = _merge_multi(op, inputs, count)
    lengths = _joined(op, sizes)
    starts = op.CumSum(op.cast(lengths, DataType.INT64), 0, exclusive=1)
    own = op.Gather(lengths, order, axis=0)
    places = range_indices(op, op.Gather(starts, order, axis=0), own)
    return total, merged, own, *(op.Gather(_joined(op, part), places, axis=0) for part in parts)


@caffe2("MergeMultiListFeatureTensors")
def merge_multi_list(
    op: Builder, lengths: Lengths, keys: Indices, values_lengths: Lengths, values: Value, *more: Value
) -> tuple[Value, ...]:
    """Of (lengths, keys, lengths of lists, lists) an input the same."""
    return _merge_multi_ragged(op, (lengths, keys, values_lengths, values, *more), 4)


@caffe2("MergeMultiMapFeatureTensors")
def merge_multi_map(
    op: Builder, lengths: Lengths, keys: Indices, values_lengths: Lengths, values_keys: Value, values: Value,
    *more: Value,
) -> tuple[Value, ...]:  # fmt: skip
    """Of (lengths, keys, lengths of maps, their keys, their values) an input the same."""
    return _merge_multi_ragged(op, (lengths, keys, values_lengths, values_keys, values, *more), 5)

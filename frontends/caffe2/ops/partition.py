"""Rows dealt out by keys, and put together again."""

from __future__ import annotations

from nxconvert.frontends.caffe2.table import Builder, DataType, Indices, Lengths, LoweringError, Value, caffe2
from nxconvert.graph.dims import product
from nxconvert.graph.segments import Segments, reduce_segments


def _where(op: Builder, condition: Value) -> Value:
    """The places where a vector of bools is true, int64."""
    return op.Squeeze(op.NonZero(condition), [0])


def _shards(op: Builder, keys: Value, count: int) -> list[Value]:
    """For each of ``count`` shards which keys (a vector) belong to it: the remainder of the key says so."""
    shard = op.Mod(keys, op.const(count, keys.etype))
    return [op.Equal(shard, op.const(i, keys.etype)) for i in range(count)]


def _dealt(op: Builder, keys: Value, others: tuple[Value, ...], shards: list[Value], packed: bool) -> list[list[Value]]:
    """For each shard its keys, divided by the number of shards if ``packed``, and its rows of the others.

    The axes of the keys are leading axes of the others, and one in what is dealt out.
    """
    size, rank = product(keys.dims), keys.rank
    flat = op.reshape(keys, [size])
    rows = [op.reshape(other, [size, *other.dims[rank:]]) for other in others]
    dealt = []
    for i, chosen in enumerate(shards):
        places = _where(op, chosen)
        own = op.Gather(flat, places, axis=0)
        if packed:
            own = op.Div(op.Sub(own, op.const(i, own.etype)), op.const(len(shards), own.etype))
        dealt.append([own, *(op.Gather(each, places, axis=0) for each in rows)])
    return dealt


def _shard_count(inputs: int, outputs: int) -> int:
    if outputs % inputs or not outputs:
        raise LoweringError(f"{outputs} outputs are no multiple of {inputs} inputs")
    return outputs // inputs


@caffe2("Partition")
def partition(
    op: Builder, keys: Indices, *others: Value, pack_first_input: bool = False, n_outputs: int = 1
) -> tuple[Value, ...]:
    """For each shard its keys, then its rows of the other inputs."""
    shards = _shards(op, op.reshape(keys, [product(keys.dims)]), _shard_count(1 + len(others), n_outputs))
    return tuple(part for parts in _dealt(op, keys, others, shards, pack_first_input) for part in parts)


@caffe2("LengthsPartition")
def lengths_partition(
    op: Builder, lengths: Lengths, keys: Indices, *others: Value, pack_first_input: bool = False, n_outputs: int = 1
) -> tuple[Value, ...]:
    """For each shard how many keys of each segment it has (int32), these, then its rows of the other inputs."""
    count = _shard_count(2 + len(others), n_outputs)
    if count == 1:
        return lengths, keys, *others
    segments = Segments(op, lengths, keys.dims[0])
    shards = _shards(op, keys, count)
    results: list[Value] = []
    for chosen, parts in zip(shards, _dealt(op, keys, others, shards, pack_first_input), strict=True):
        own = op.Cast(chosen, to=DataType.INT32)
        results += [reduce_segments(op, own, segments.ids, segments.size), *parts]
    return tuple(results)


@caffe2("GatherByKey")
def gather_by_key(op: Builder, keys: Indices, *parts: Value) -> Value:
    """What ``Partition`` has dealt out, in the order of the keys again."""
    places = [_where(op, chosen) for chosen in _shards(op, keys, len(parts))]
    rows = op.Concat(*parts, axis=0)
    rows = op.reshape(rows, [keys.dims[0], *rows.dims[1:]])
    return op.ScatterND(rows, op.Unsqueeze(op.Concat(*places, axis=0), [1]), rows)


@caffe2("KeySplit")
def key_split(op: Builder, keys: Indices, *, categorical_limit: int, n_outputs: int = 1) -> tuple[Value | None, ...]:
    """For each key below the limit the places where it stands, int32."""
    if categorical_limit < 1 or n_outputs < categorical_limit:
        raise LoweringError(f"there are {n_outputs} outputs for {categorical_limit} keys")
    flat = op.reshape(keys, [product(keys.dims)])
    found = [_where(op, op.Equal(flat, op.const(key, keys.etype))) for key in range(categorical_limit)]
    unset = [None] * (n_outputs - categorical_limit)
    return *(op.Cast(places, to=DataType.INT32) for places in found), *unset

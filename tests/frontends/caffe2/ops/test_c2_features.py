"""Rows dealt out by keys, and features that are merged, against the real Caffe2."""

from __future__ import annotations

import numpy as np
import pytest

from tests.frontends.caffe2.ops.harness import check

ROWS = np.arange(1, 13, dtype=np.float32).reshape(4, 3)
TEXTS = np.array(["a", "bb", "c", "d"])


def _ints(*numbers, dtype=np.int32):
    return np.array(numbers, dtype)


def _longs(*numbers):
    return np.array(numbers, np.int64)


def _flags(*flags):
    return np.array(flags, bool)


# ---- keys ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("packed", [0, 1])
@pytest.mark.parametrize("shards", [1, 2, 3])
def test_rows_are_dealt_out(shards, packed):
    keys = _ints(5, -2, 7, 3)
    for dtype in (np.int32, np.int64):
        check("Partition", keys.astype(dtype), ROWS, TEXTS, outputs=3 * shards, pack_first_input=packed)
        check("LengthsPartition", _ints(2, 0, 2), keys.astype(dtype), ROWS, outputs=3 * shards, pack_first_input=packed)
    check("Partition", keys.reshape(2, 2), ROWS.reshape(2, 2, 3), outputs=2 * shards, pack_first_input=packed)
    check("Partition", keys[:0], ROWS[:0], outputs=2 * shards)
    check("Partition", _longs(2**33 + 1, -(2**33) - 1, -5), outputs=shards, pack_first_input=packed)


def test_rows_are_put_together_again():
    check("GatherByKey", _longs(1, -1, 4, 0, 5), ROWS[:1], ROWS[:2], ROWS[1:3])
    check("GatherByKey", _ints(0, 1, 2, 3), TEXTS[:2], TEXTS[2:])
    check("GatherByKey", _ints(7, 7), ROWS[:2])


def test_places_of_keys():
    check("KeySplit", _longs(0, 2, 2, 1, 0), outputs=4, categorical_limit=4)
    check("KeySplit", _longs(0, 2, 2, 1, 0), outputs=4, categorical_limit=3)
    check("KeySplit", _longs(), outputs=2, categorical_limit=2)
    check("KeySplit", _longs(0, 1, 1, 0).reshape(2, 2), outputs=2, categorical_limit=2)


# ---- features ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_lists_of_ids(dtype):
    ids, others = np.array([9, 3, 5, 5, -1], dtype), np.array([3, 7, 5], dtype)
    check("MergeIdLists", _ints(2, 0, 3), ids, _ints(1, 0, 2), others, outputs=2)
    check("MergeIdLists", _ints(0, 0), ids[:0], outputs=2)
    check("MergeIdLists", _ints(), ids[:0], outputs=2)


VALUES = [np.array([1.5, 2, 3], np.float32), _longs(1, 2, 2**40), np.array(["x", "", "zz"]), _flags(1, 0, 1)]


@pytest.mark.parametrize("values", VALUES)
def test_one_feature_an_input(values):
    there, also = _flags(1, 0, 1), _flags(0, 1, 1)
    ids = [11, 2**40]
    check("MergeSingleScalarFeatureTensors", values, there, values[::-1], also, outputs=3, feature_ids=ids)
    check("MergeSingleScalarFeatureTensors", values[:0], there[:0], outputs=3, feature_ids=[7])
    # The middle example of the first feature is missing: its length does not count.
    first = [_ints(1, 9, 2), values, there]
    second = [_ints(5, 1, 0), values[:1], also]
    check("MergeSingleListFeatureTensors", *first, *second, outputs=4, feature_ids=ids)
    first.insert(1, _longs(5, 6, 7))
    second.insert(1, _longs(8))
    check("MergeSingleMapFeatureTensors", *first, *second, outputs=5, feature_ids=ids)
    check("MergeSingleMapFeatureTensors", *first, outputs=5, feature_ids=ids)


@pytest.mark.parametrize("values", VALUES)
def test_features_by_key(values):
    first, second = [_ints(1, 0, 2), _longs(5, 6, 7)], [_ints(0, 1, 0), _longs(1)]
    check("MergeMultiScalarFeatureTensors", *first, values, *second, values[1:2], outputs=3)
    check("MergeMultiScalarFeatureTensors", *first, values, outputs=3)
    first.append(_ints(1, 0, 2))
    second.append(_ints(2))
    check("MergeMultiListFeatureTensors", *first, values, *second, values[1:], outputs=4)
    keys = _longs(3, 2, 1)
    check("MergeMultiMapFeatureTensors", *first, keys, values, *second, keys[1:], values[1:], outputs=5)
    none = [_ints(0, 0), _longs(), _ints(), keys[:0], values[:0]]
    check("MergeMultiMapFeatureTensors", *none, outputs=5)

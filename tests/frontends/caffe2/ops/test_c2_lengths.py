"""Lengths, ids, ranges and what they lay out, against the real Caffe2."""

from __future__ import annotations

import numpy as np
import pytest

from tests.frontends.caffe2.ops.harness import Op, check, check_net

INF = np.inf
ROWS = np.arange(1, 13, dtype=np.float32).reshape(4, 3)
LONGS = np.array([1, -2, 3, 4], np.int64)
TEXTS = np.array([["a", "A"], ["bb", ""], ["c", "C"], ["d", "D"]])


def _ints(*numbers, dtype=np.int32):
    return np.array(numbers, dtype)


# ---- lengths and ids -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lengths", [[2, 0, 3], [0], [], [0, 0, 1, 0]])
def test_lengths_as_something_else(lengths):
    lengths = _ints(*lengths)
    for operator in ("LengthsToSegmentIds", "LengthsRangeFill", "LengthsToRanges", "LengthsToWeights"):
        check(operator, lengths)
    check("LengthsToWeights", lengths.astype(np.int64), power=0.3)
    check("LengthsToWeights", lengths, power=-1.0)


def test_lengths_that_are_the_same():
    check("LengthsToShape", _ints(3, 3))
    check("LengthsToShape", _ints(0))


@pytest.mark.parametrize("ids", [[0, 0, 2, 2], [1, 3], [2, 2, 5], [0]])
@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_ids_as_something_else(ids, dtype):
    ids = np.array(ids, dtype)
    for operator in ("SegmentIdsToLengths", "SegmentIdsToRanges"):
        check(operator, ids)
        check(operator, ids, np.zeros((8, 2), np.float32))
    check("SegmentIdsToLengths", ids[None])


def test_no_ids():
    for operator in ("SegmentIdsToLengths", "SegmentIdsToRanges"):
        check(operator, _ints())
    check("SegmentIdsToLengths", _ints(), ROWS)


def test_lengths_are_split():
    check("LengthsSplit", _ints(9, 4, 0, 1), n_split=3)
    check("LengthsSplit", _ints(9, 4, 0, 1), _ints(2), n_split=3)


# ---- data laid out by them -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [ROWS, LONGS, TEXTS, ROWS[:, 0] > 5])
def test_rows_are_repeated_and_picked(data):
    if data is not TEXTS:  # these break Caffe2's memory
        check("LengthsTile", data, _ints(2, 0, 1, 3))
        check("LengthsTile", data, _ints(0, 0, 0, 0))
    check("LengthsGather", data, _ints(2, 0, 2), _ints(2, 0, 1, 2, dtype=np.int64))
    check("LengthsGather", data, _ints(3, 0, 1), _ints())


@pytest.mark.parametrize("data", [ROWS, LONGS, LONGS.astype(np.int32), ROWS[:, 0].astype(np.float64)])
def test_segments_are_filled_up(data):
    check("LengthsPad", data, _ints(1, 0, 3), target_length=3, padding_value=-2.7)
    check("LengthsPad", data[:0], _ints(0, 0), target_length=2)


@pytest.mark.parametrize("k", [1, 2, 4])
def test_the_largest_of_segments(k):
    data = np.array([3, 1, 3, 2, -INF, 5, 5, -7, 5], np.float32)
    check("LengthsTopK", data, _ints(4, 1, 0, 4), outputs=2, k=k)
    check("LengthsTopK", data[:0], _ints(0, 0), outputs=2, k=k)
    check("LengthsTopK", data[:0], _ints(), outputs=2, k=k)


# ---- ranges --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [ROWS[:, 0], LONGS, TEXTS[:, 0]])
def test_ranges_are_gathered(data):
    ranges = np.array([[[0, 1], [2, 2]], [[1, 0], [0, 1]], [[3, 1], [1, 3]]], np.int32)
    for dtype in (np.int32, np.int64):
        check("GatherRanges", data, ranges.astype(dtype), outputs=2)
        check("GatherRanges", data, ranges.astype(dtype)[:0], outputs=2)
    check("GatherRanges", data[:0], ranges * 0, outputs=2)


@pytest.mark.parametrize("data", [ROWS[:, 0], LONGS, LONGS > 2])
def test_ranges_that_all_have_a_length(data):
    """A range of another length gives zeros."""
    ranges = np.array([[[0, 2], [2, 1]], [[1, 2], [0, 0]], [[0, 1], [3, 1]]], np.int32)
    keys = _ints(5, 4, 9, 4, dtype=np.int64)
    check("GatherRangesToDense", data, ranges, outputs=2, lengths=[2, 1])
    check("GatherRangesToDense", data, ranges, keys, outputs=2, lengths=[2, 1])
    check("GatherRangesToDense", data[:0], ranges * 0, outputs=2, lengths=[2, 1])


# ---- side by side --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [{}, {"max_length": 2}, {"max_length": 5}, {"pad_minf": 1}])
@pytest.mark.parametrize("data", [ROWS, ROWS[:, 0], TEXTS])
def test_segments_side_by_side(data, arguments):
    for lengths in (_ints(1, 0, 3), _ints(4, dtype=np.int64)):
        check("PackSegments", lengths, data, **arguments)
        check("PackSegments", lengths, data, outputs=2, return_presence_mask=1, **arguments)
    if "max_length" not in arguments:
        check("PackSegments", _ints(0, 0), data[:0], outputs=2, return_presence_mask=1, **arguments)
        check("PackSegments", _ints(), data[:0], **arguments)


@pytest.mark.parametrize("data", [ROWS.reshape(2, 2, 3), LONGS.reshape(2, 2), TEXTS.reshape(2, 2, 2)])
def test_segments_one_after_another(data):
    for lengths in (_ints(1, 2), _ints(2, 0, dtype=np.int64), _ints(0, 0)):
        check("UnpackSegments", lengths, data)
    check("UnpackSegments", _ints(1, 9), data, max_length=2)
    check("UnpackSegments", _ints(), data[:0])


def test_sequences_back_to_front_and_cut_off():
    steps = np.arange(12).reshape(3, 2, 2)
    for dtype in (np.float32, np.float64, np.int32, np.int64, bool):
        check("ReversePackedSegs", (steps % 5).astype(dtype), _ints(2, 3))
    check("ReversePackedSegs", steps, _ints(0, 1, dtype=np.int64))
    net = [Op("VariableLengthSequencePadding", ["x", "lengths"], ["x"])]
    steps = np.where(steps == 6, np.nan, steps).astype(np.float32)
    check_net(net, {"x": steps, "lengths": _ints(1, 3)}, ["x"])


# ---- padding -------------------------------------------------------------------------------------------------------

WIDTHS = [{}, {"padding_width": 2, "end_padding_width": 1}, {"padding_width": 0, "end_padding_width": 2},
          {"padding_width": 1, "end_padding_width": 0}, {"padding_width": 0}]  # fmt: skip


@pytest.mark.parametrize("widths", WIDTHS)
@pytest.mark.parametrize("data", [ROWS, LONGS, LONGS > 2])
def test_padding_is_added(data, widths):
    first, last = data[2], data[1]
    for lengths in (_ints(0, 1, 3), _ints(4)):
        check("AddPadding", data, lengths, outputs=2, **widths)
        check("AddPadding", data, lengths, first, outputs=2, **widths)
        check("AddPadding", data, lengths, first, last, outputs=2, **widths)
    check("AddPadding", data, **widths)
    check("AddPadding", data[:0], _ints(0, 0), outputs=2, **widths)


@pytest.mark.parametrize("widths", WIDTHS)
@pytest.mark.parametrize("data", [np.arange(20).reshape(10, 2).astype(np.float32), np.arange(10)])
def test_padding_is_removed_and_summed_up(data, widths):
    for lengths in (_ints(4, 6), _ints(3, 4, 3)):
        check("RemovePadding", data, lengths, outputs=2, **widths)
        for outputs in (1, 2):
            check("GatherPadding", data, lengths, outputs=outputs, **widths)
    check("RemovePadding", data, **widths)


def test_empty_samples_are_filled():
    check("PadEmptySamples", _ints(0, 2, 0, 2, 0), ROWS, LONGS, TEXTS[:, 0], outputs=4)
    check("PadEmptySamples", _ints(0, 2, 0))
    check("PadEmptySamples", _ints(0, 0), ROWS[:0], outputs=2)
    check("PadEmptySamples", _ints(), ROWS[:0], outputs=2)

"""Reductions over segments, against the real Caffe2."""

from __future__ import annotations

import numpy as np
import pytest

from tests.frontends.caffe2.ops.harness import Op, check, check_net

ROWS = np.array([[1, -2, 3], [0.5, 4, -1], [-3, -3, -3], [7, 0, 2]], np.float32)
NONE = ROWS[:0]
SCALARS = np.array([1, -2, 3, 0.5], np.float32)
NAN, INF = np.nan, np.inf


def _ints(*numbers, dtype=np.int32):
    return np.array(numbers, dtype)


@pytest.mark.parametrize("operator", ["LengthsSum", "LengthsMean", "LengthsMax"])
@pytest.mark.parametrize(
    ("data", "lengths"),
    [(ROWS, [0, 1, 0, 3, 0]), (-ROWS[:, 0], [2, 2]), (NONE, [0, 0]), (NONE, []), (ROWS.reshape(2, 2, 3), [1, 1])],
)
def test_lengths_give_segments(operator, data, lengths):
    check(operator, data, np.array(lengths, np.int32))


def test_scalars_weight_rows():
    check("LengthsWeightedSum", ROWS, SCALARS, _ints(3, 0, 1))


@pytest.mark.parametrize("operator", ["SparseLengthsSum", "SparseLengthsMean"])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize(("indices", "lengths"), [([3, 0, 0, 1], [0, 3, 0, 1, 0]), ([], [0, 0]), ([], [])])
def test_bags_of_rows(operator, dtype, indices, lengths):
    for index in (np.int32, np.int64):
        check(operator, ROWS.astype(dtype), np.array(indices, index), np.array(lengths, np.int32))


def test_weights_of_indices_and_of_places():
    for dtype in (np.float32, np.float16):
        table, indices, lengths = ROWS.astype(dtype), _ints(3, 0, 0, 1), _ints(0, 3, 0, 1)
        check("SparseLengthsWeightedSum", table, SCALARS, indices, lengths)
        check("SparseLengthsPositionalWeightedSum", table, SCALARS, indices, lengths)
    check("SparseLengthsSum", ROWS[:, 0], indices, lengths)


@pytest.mark.parametrize("reduction", ["Sum", "Mean", "WeightedSum"])
def test_ids_give_segments(reduction):
    scalars = [SCALARS] if reduction == "WeightedSum" else []
    none = [SCALARS[:0]] if scalars else []
    indices = _ints(3, 3, 0, 1, dtype=np.int64)
    check(f"SortedSegment{reduction}", ROWS, *scalars, _ints(0, 0, 1, 2))
    check(f"SparseSortedSegment{reduction}", ROWS, *scalars, indices, _ints(0, 0, 1, 2))
    check(f"SortedSegment{reduction}", NONE, *none, _ints())
    # Unsorted segments may be empty, and be as many as an argument says.
    check(f"UnsortedSegment{reduction}", ROWS, *scalars, _ints(3, 1, 1, 0))
    check(f"SparseUnsortedSegment{reduction}", ROWS, *scalars, indices, _ints(3, 1, 1, 0), num_segments=6)
    check(f"UnsortedSegment{reduction}", NONE, *none, _ints())
    check(f"UnsortedSegment{reduction}", NONE, *none, _ints(), num_segments=2)


@pytest.mark.parametrize("reduction", ["Sum", "Mean", "Max", "LogSumExp", "LogMeanExp"])
@pytest.mark.parametrize(
    "data", [ROWS, ROWS[:, 0], np.array([-INF, -INF, 80, 90], np.float32), np.array([1, NAN, NAN, NAN], np.float32)]
)
def test_ranges(reduction, data):
    check(f"SortedSegmentRange{reduction}", data, _ints(0, 0, 1, 1))


def test_no_rows_make_no_ranges():
    for reduction in ("Sum", "Mean", "Max", "LogSumExp", "LogMeanExp"):
        check(f"SortedSegmentRange{reduction}", NONE, _ints())


@pytest.mark.parametrize("arguments", [{}, {"use_max_norm": 0}, {"use_max_norm": 0, "norm": 3.0}, {"norm": 5.0}])
def test_rows_of_a_table_are_normalised(arguments):
    table = np.concatenate([ROWS, np.zeros((1, 3), np.float32)])
    net = [Op("SparseNormalize", ["table", "indices"], ["table"], arguments)]
    for indices in ([0, 4, 3], [1, 1], []):
        check_net(net, {"table": table, "indices": np.array(indices, np.int64)}, ["table"])

"""Rows picked and written at places that are data, against the real Caffe2."""

from __future__ import annotations

import numpy as np
import pytest

from tests.frontends.caffe2.ops.harness import Op, Weight, check, check_net

X = np.arange(12, dtype=np.float32).reshape(3, 4)
Y = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
TEXTS = np.array(["a", "bc", "d"])


def ints(values: object, dtype: type = np.int64) -> np.ndarray:
    return np.array(values, dtype)


def in_place(operator: str, *inputs: object) -> None:
    names = [f"x{i}" for i in range(len(inputs))]
    check_net([Op(operator, names, ["x0"])], dict(zip(names, inputs, strict=True)), ["x0"])


@pytest.mark.parametrize("data", [X, X > 3, TEXTS, X.astype(np.int64)], ids=["float", "bool", "text", "int"])
def test_gather(data: np.ndarray) -> None:
    check("Gather", data, ints([-1, 0], np.int32))
    check("Gather", data, ints([[0, 1], [2, 2]]))
    check("Gather", data, ints(1))
    check("Gather", data, ints([]))


def test_gather_along_an_axis() -> None:
    check("Gather", X, ints([[1, 3], [0, 0]]), axis=1)
    check("Gather", X, ints([[0, 1], [1, 2], [3, 1]]), axis=1, match_outer=1)
    check("Gather", Y, ints([1, 0]), axis=1, match_outer=1)
    check("Gather", Y, ints([[[0], [1], [3]], [[2], [3], [1]]], np.int32), axis=2, match_outer=1)
    check("BatchGather", Y, ints([[2, 0]]))
    check("BatchGather", X, ints([[0, 1], [1, 2], [3, 1]]), match_outer=1)


def test_products_of_pairs() -> None:
    check("ConcatBatchMatMulBatchGatherOp", ints([0, 1, 5, 8], np.int32), X, X + 1, X[::-1].copy())


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32])
def test_codes(dtype: type) -> None:
    check("QuantDecode", X[0], ints([[0, 2], [1, 1]], dtype), ints([3], dtype), outputs=2)


def test_rows_are_written_in_order() -> None:
    in_place("ScatterAssign", X, ints([2, 0]), X[:2] * 10)
    in_place("ScatterAssign", X, ints([1, 1], np.int32), X[:2] * 10)
    in_place("ScatterAssign", X[:, 0], ints([1]), X[:1, 1])
    in_place("ScatterAssign", X, ints([]), X[:0])
    in_place("CopyRowsToTensor", X, ints([2, 0]), X[0] + 7)


def test_a_place_that_is_named_twice_is_weighted_twice() -> None:
    in_place("ScatterWeightedSum", X, np.float32([0.5]), ints([2, 2]), X[:2] * 10, np.float32([2]))
    rows = X[:2], np.float32([2]), X[1:], np.float32([-1])
    in_place("ScatterWeightedSum", X, Weight(np.float32([1])), ints([2, 0], np.int32), *rows)


def test_elements_written_along_an_axis() -> None:
    check("Scatter", X, ints([[0, 1, 2, 0]]), X[:1] * 10)
    check("Scatter", X, ints([[0, 1, 2, 0]]), X[:1] * 10, axis=0)
    check("Scatter", X, ints([[1, 0], [0, 0], [3, 3]]), X[:, :2] * 10, axis=1)

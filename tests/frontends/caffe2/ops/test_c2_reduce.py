"""Reductions against the real Caffe2: of nothing, of numbers, over lengths, in all dtypes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.frontends.caffe2.ops.harness import check

RNG = np.random.default_rng(0)
X = RNG.normal(size=(2, 3, 4)).astype(np.float32)
DTYPES = [np.float32, np.float64, np.int32, np.int64]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["ReduceSum", "ReduceMax", "ReduceMin", "ReduceMean", "ReduceL1", "ReduceL2"])
def test_axes(name: str, dtype: type) -> None:
    if dtype is not np.float32 and name in ("ReduceMean", "ReduceL1", "ReduceL2"):
        pytest.skip("Caffe2 has it for float32 alone")
    args: list[dict[str, Any]] = [
        {},
        {"axes": [1]},
        {"axes": [0, -1], "keepdims": 0},
        {"keepdims": 0},
        {"axes": [2, 2], "keepdims": 0},
    ]
    for each in args:
        check(name, (X * 5).astype(dtype), **each)
    check(name, np.array(-3, dtype))
    check(name, np.zeros((2, 0), dtype), axes=[1])
    check(name, np.zeros((0, 2), dtype), axes=[1])
    check(name, np.zeros((2, 0, 3), dtype), axes=[1, 2], keepdims=0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["ArgMax", "ArgMin"])
def test_positions(name: str, dtype: type) -> None:
    check(name, np.array([[1, 3, 3, 0, 0]], dtype))
    check(name, (X * 5).astype(dtype), axis=1, keepdims=0)
    check(name, (X * 5).astype(dtype), axis=0)
    check(name, (X[0, 0] * 5).astype(dtype), keepdims=0)


@pytest.mark.parametrize("edge", ["Front", "Back"])
@pytest.mark.parametrize("kind", ["Sum", "Mean", "Max"])
def test_edges(edge: str, kind: str) -> None:
    for dtype in DTYPES if kind != "Max" else [np.float32]:
        for count in (0, 1, 2, 3):
            check(f"Reduce{edge}{kind}", (X * 5).astype(dtype), num_reduce_dim=count)
        check(f"Reduce{edge}{kind}", np.zeros((2, 0), dtype))
        check(f"Reduce{edge}{kind}", np.zeros((0, 2), dtype))


@pytest.mark.parametrize("kind", ["Sum", "Mean", "Max"])
def test_lengths(kind: str) -> None:
    """A length of 0 leaves the first element; of means it is the divisor, too."""
    check(f"ReduceFront{kind}", X - 10, np.array([2, 0, 1, 0, 1, 2, 2, 1, 0, 0, 1, 2], np.int32))
    lengths = np.array([4, 0, 2, 3, 1, 2], np.int32)
    check(f"ReduceBack{kind}", X - 10, lengths)
    check(f"ReduceBack{kind}", X - 10, lengths.reshape(2, 3))
    check(f"ReduceBack{kind}", X[0], lengths[:3])


def test_rows_and_matrices() -> None:
    check("ReduceTailSum", X)
    check("ReduceTailSum", X[0, 0])
    check("ReduceFrontWeightedSum", X, np.array([2, 3], np.float32))
    check("ReduceFrontWeightedSum", np.zeros((0, 3), np.float32), np.zeros(0, np.float32))
    check("RowwiseMax", X)
    check("ColwiseMax", X)


@pytest.mark.parametrize(
    ("shape", "args"),
    [
        ((4,), {}),
        ((3, 4), {}),
        ((2, 3, 4), {}),
        ((1, 3, 1), {}),
        ((2, 1, 1), {}),
        ((1,), {}),
        ((), {}),
        ((3,), {"axis": 1}),
        ((3, 1), {"axis": 1}),
        ((2, 3), {"axis": 0}),
        ((4,), {"axis_str": "C", "order": "NHC"}),
    ],
)
def test_sum_reduce_like(shape: tuple[int, ...], args: dict[str, Any]) -> None:
    check("SumReduceLike", X, np.zeros(shape, np.float32), **args)


@pytest.mark.parametrize("name", ["SumElements", "SumSqrElements"])
def test_elements(name: str) -> None:
    for average in (0, 1):
        for x in (X, np.zeros(0, np.float32), np.float32(3)):
            check(name, x, average=average)


def test_all_elements() -> None:
    check("SumElementsInt", (X * 5).astype(np.int32))
    check("AveragedLoss", X)
    check("AveragedLoss", np.zeros(0, np.float32))
    for p in (1, 2):
        for average in (0, 1):
            check("LpNorm", X, p=p, average=average)


def test_normalize() -> None:
    x = np.array([[0, 0, 0], [1, -2, 2]], np.float32)
    for each in (x, x * np.float32(1e-13)):
        check("Normalize", each)
        check("Normalize", each, axis=0)
    check("Normalize", X, axis=1)
    # What the runtime writes for a row of zeros is whatever was there.
    check("NormalizeL1", x[1:] * np.float32(1e-20))
    check("NormalizeL1", X, axis=1)


def test_moments() -> None:
    for args in ({}, {"axes": [1]}, {"axes": [0, 2], "keepdims": 0}, {"keepdims": 0}):
        check("Moments", X, outputs=2, **args)
    check("Moments", np.float32(3), outputs=2)
    check("Moments", np.zeros((2, 0), np.float32), outputs=2, axes=[1])


@pytest.mark.parametrize("name", ["BatchMoments", "ChannelStats"])
@pytest.mark.parametrize("order", ["NCHW", "NHWC"])
def test_channels(name: str, order: str) -> None:
    images = RNG.normal(size=(2, 3, 4, 5)).astype(np.float32)
    for x in (images, images[0], images[0, 0]):
        check(name, x, outputs=2, order=order)

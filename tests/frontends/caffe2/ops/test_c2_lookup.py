"""One-hot rows, buckets, unique elements and look-ups, sparse and dense forms, against the real Caffe2."""

from __future__ import annotations

import numpy as np
import pytest

from tests.frontends.caffe2.ops.harness import Weight, check

NAN, INF = np.nan, np.inf
X = np.float32([[3, 1, 2], [2, 2.5, 5]])
DENSE = np.float32([[6, 7, 0, 0], [0, 0, 8, 9]])


def i32(*values: int) -> np.ndarray:
    return np.array(values, np.int32)


def i64(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def f32(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


# ---- one-hot ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [np.asarray, Weight])
def test_one_hot(kind: type) -> None:
    check("OneHot", i64(0, 2), kind(i64(3)))
    check("SegmentOneHot", i32(2, 0, 3), i64(0, 2, 1, 1, 1), kind(i64(3)))
    columns = np.array([[2, 3], [4, 1], [2, 5]])
    check("BatchOneHot", columns, kind(i32(2, 3)), kind(i64(2, 4, 1, 3, 5)))
    check("BatchOneHot", columns.astype(np.int32)[..., None], kind(i32(0, 3)), kind(i32(1, 3, 5)))


@pytest.mark.parametrize("kind", [np.asarray, Weight])
def test_one_hot_of_buckets(kind: type) -> None:
    """Also of a number that several boundaries are equal to, and of NaN."""
    limits = f32(1, 3, 5, 5, 5, 7, 2, 2)
    numbers = np.float32([[n, n] for n in (0, 1, 2, 3, 5, 6, NAN, INF, -INF)])
    check("BatchBucketOneHot", numbers, kind(i32(6, 2)), kind(limits))


# ---- buckets ---------------------------------------------------------------------------------------------------------


def test_buckets() -> None:
    numbers = f32(0, 1, 1.5, 2, 5, NAN, INF, -INF)
    for limits in ([1.0, 2.0, 2.0, 5.0], [1.0], []):
        check("Bucketize", numbers, boundaries=limits)
    check("BatchBucketize", numbers[:, None], i32(0, 0), f32(1, 2, 2, 5, 1), i32(4, 1))
    check("BatchBucketize", X, i32(2, 0, 1), f32(1, 2.5, 2), i32(2, 0, 1))


@pytest.mark.parametrize("shape", [(5, 2), (5, 1), (5,)])
def test_piecewise_linear_of_classes(shape: tuple[int, ...]) -> None:
    x = np.linspace(-0.5, 1.5, 5 * 2, dtype=np.float32)[: np.prod(shape)].reshape(shape)
    parameters = {"bounds": [0.0, 0.5, 1.0], "slopes": [1.0, 2.0], "intercepts": [0.1, 0.2]}
    check("PiecewiseLinearTransform", x, binary=1, **parameters)
    check("PiecewiseLinearTransform", x, *(f32(*p) for p in parameters.values()), binary=1)


def test_piecewise_linear_of_columns() -> None:
    bounds, slopes = [0.0, 0.5, 1.0, 0.0, 0.2, 0.8], [1.0, 2.0, 3.0, 4.0]
    x = np.float32([[0.1, 0.6], [0.5, 0.9], [2, -1], [NAN, INF], [-INF, 0.2]])
    check("PiecewiseLinearTransform", x, bounds=bounds, slopes=slopes, intercepts=[0.1, 0.2, 0.3, 0.4])
    check("PiecewiseLinearTransform", x, f32(*bounds), f32(*slopes), f32(0.1, 0.2, 0.3, 0.4))
    check("PiecewiseLinearTransform", x[:, :1], bounds=[0.0, 1.0], slopes=[2.0], intercepts=[0.5])


def test_piecewise_linear_of_equal_bounds() -> None:
    x = np.float32([[-3, -3], [-2, -2], [0, 1], [1, 0], [5, 0.5]])
    bounds, slopes = [-2.0, -2.0, 1.0, 1.0, -2.0, 0.5, 0.5, 1.0], [3.0, 0.1, -1.0, 1.0, -2.0, 0.5]
    check("PiecewiseLinearTransform", x, bounds=bounds, slopes=slopes, intercepts=[0.1, 0.2, 0.3, 0.4, 0.5, 0.6])


def test_categories() -> None:
    x = np.float32([[1, 5], [2, 7.4], [9, 6.6], [2.5, -0.5], [0.49999997, 1.5]])
    check("NGramFromCategorical", x, col_ids=[0, 1], categorical_limits=[2, 3], vals=[1, 2, 5, 6, 7])
    check("NGramFromCategorical", x, col_ids=[1, 0], categorical_limits=[3, 3], vals=[5, -1, 2, 2, 1, 3])
    check("NGramFromCategorical", x, col_ids=[1], categorical_limits=[3], vals=[5, 5, 7])


# ---- elements and their places ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_unique(dtype: type) -> None:
    x = np.array([3, -1, 3, 2, -1, 3], dtype)
    check("Unique", x, outputs=2)
    check("Unique", x[:0], outputs=2)
    check("FindDuplicateElements", x)
    check("Find", x, np.array([[3, 7], [-1, 2]], dtype))
    check("Find", x.reshape(2, 3), np.array([3, 7], dtype), missing_value=9)
    check("Find", x[:0], np.array([3], dtype))
    check("IsMemberOf", x, value=[3, 2])
    check("IsMemberOf", x, value=[3])
    check("IsMemberOf", x, value=[3], dtype=2)
    check("IsMemberOf", x, value=[])


def test_other_elements() -> None:
    check("FindDuplicateElements", f32(0.5, -0.0, 0.5, 0.0))
    check("FindDuplicateElements", np.array(["a", "b", "a"]))
    check("IsMemberOf", np.array(["a", "b", "c"]), value=["a", "c"])
    check("IsMemberOf", np.array(["a", "b", "c"]), value=["a"])
    check("IsMemberOf", np.array(["a"]), value="a")
    check("IsMemberOf", np.array([True, False]), value=[1])


# ---- sparse and dense ------------------------------------------------------------------------------------------------


def test_rows_of_elements() -> None:
    check("BatchDenseToSparse", i64(2, 1), i64(0, 1, 3), DENSE)
    check("BatchSparseToDense", i64(2, 1), i64(0, 1, 3), f32(1, 2, 3), dense_last_dim=5)
    check("BatchSparseToDense", i64(2, 1), i64(0, 0, 3), f32(1, 2, 3), DENSE, default_value=-1.0)
    check("DenseVectorToIdList", DENSE, outputs=2)
    check("DenseVectorToIdList", np.float32([[-1, NAN, 0.5, 0.49999997, -1.4999999, -1.5, -3]]), outputs=2)


@pytest.mark.parametrize("dtype", [np.float32, np.int32, np.int64])
def test_rows_summed_up(dtype: type) -> None:
    values = np.array([[1, 2], [2, 3], [3, 4]], dtype)
    check("SparseToDense", i64(2, 0, 2), values)
    check("SparseToDense", i32(2, 0, 2), values[:, 0], np.zeros((5, 1), np.float32))
    check("SparseToDense", i64(2, 0, 2), values, output_first_dim=7)
    check("SparseToDense", i64(), values[:0])


@pytest.mark.parametrize("values", [f32(1, 2, 3), np.array(["a", "b", "c"]), np.array([True, False, True])], ids=str)
def test_listed_indices(values: np.ndarray) -> None:
    default = values[1]
    check("SparseToDenseMask", i64(2, 9, 4), values, default, mask=[4, 2, 7])
    check("SparseToDenseMask", i32(2, -1, 4), values, default, i32(2, 1), mask=[4, 2, 7])
    args = {"mask": [4, 200000], "return_presence_mask": 1}
    check("SparseToDenseMask", i64(200000, 4, 4), values, default, i32(2, 0, 1), outputs=2, **args)


def test_listed_indices_of_rows() -> None:
    values = np.float32([[1, 2], [3, 4], [5, 6]])
    check("SparseToDenseMask", i64(2, 2, 4), values, f32(0, 9), i32(2, 0, 1), mask=[4, 2, 7])
    check("SparseToDenseMask", i64(), values[:0], f32(0, 9), i32(0, 0), mask=[4, 2], free=(False,))

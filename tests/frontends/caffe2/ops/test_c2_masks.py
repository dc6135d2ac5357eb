"""Choices by masks, rows kept and put back, masks of sequences and the largest elements, against the real Caffe2."""

from __future__ import annotations

import numpy as np
import pytest

from nxconvert import NxConvertError
from tests.frontends.caffe2.ops.harness import Op, check, run_lowered

X = np.arange(6, dtype=np.float32).reshape(3, 2)
W = np.arange(12, dtype=np.float32).reshape(3, 4)
Y = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
TEXTS = np.array([["a", "b"], ["c", "d"], ["e", "f"]])


def flags(*values: int) -> np.ndarray:
    return np.array(values, bool)


def int32(*values: int) -> np.ndarray:
    return np.array(values, np.int32)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32, np.int64, bool, "U1"])
def test_one_or_the_other(dtype: type) -> None:
    x, y = (TEXTS, TEXTS[::-1]) if dtype == "U1" else ((X > 2).astype(dtype), (X < 4).astype(dtype))
    check("Where", X > 2, x, y)
    check("Where", flags(1, 0, 1), x, y, broadcast_on_rows=1)
    check("Conditional", flags(1, 0, 1), x, y)
    check("Where", np.array(True), x[0, 0], y[0, 0])


@pytest.mark.parametrize("mask", [(1, 0, 1), (0, 0, 0), (1, 1, 1)])
def test_rows_kept(mask: tuple[int, ...]) -> None:
    for data in (X, TEXTS):
        check("BooleanMask", data, flags(*mask), outputs=2)
        check("BooleanMask", data, flags(*mask))
    check("BooleanMaskLengths", int32(2, 0, 1), flags(*mask))
    check("BooleanMaskLengths", np.array([0, 3]), flags(*mask))


def test_rows_put_back() -> None:
    check("BooleanUnmask", flags(1, 0, 1), np.float32([1, 3]), flags(0, 1, 0), np.float32([2]))
    check("BooleanUnmask", flags(1, 0, 1), np.float32([1, 3]), flags(1, 1, 0), np.float32([2]))


@pytest.mark.parametrize("mode", ["upper", "lower", "upperdiag", "lowerdiag"])
def test_triangles(mode: str) -> None:
    for axis in (0, 1, 2):
        check("SequenceMask", Y, mode=mode, axis=axis, fill_val=-9.0)
    for batch in (0, 1):
        check("SequenceMask", Y, mode=mode, axis=2, batch=batch, fill_val=-9.0)
    check("SequenceMask", W, mode=mode)
    check("SequenceMask", W, mode=mode, grad=1)


@pytest.mark.parametrize("args", [{"mode": "sequence"}, {"mode": "window", "radius": 1}, {"mode": "window"}], ids=str)
def test_numbers_for_each_row(args: dict) -> None:
    wide = np.arange(39, dtype=np.float32).reshape(1, 39)
    check("SequenceMask", W, int32(1, 0, 4), fill_val=-9.0, **args)
    check("SequenceMask", wide, int32(17), **args)
    check("SequenceMask", Y, int32(1, 2, 3, 4, 0, 1), axis=2, fill_val=-9.0, **args)
    check("SequenceMask", Y, int32(1, 2, 3), axis=2, batch=0, fill_val=-9.0, **args)
    check("SequenceMask", Y, int32(1, 2, 3), axis=2, batch=1, fill_val=-9.0, free=(False,), **args)


def test_lengths_repeated_over_the_last_axes() -> None:
    check("SequenceMask", Y, int32(1, 2), mode="sequence", repeat_from_axis=-1)
    with pytest.raises(NxConvertError, match="repeated"):
        run_lowered([Op("SequenceMask", ["x"], ["y"], {"mode": "upper", "repeat_from_axis": 1})], {"x": W}, ["y"])


@pytest.mark.parametrize(("k", "axis"), [(2, -1), (2, 0), (5, -1), (3, 1), (7, 1)])
def test_largest(k: int, axis: int) -> None:
    ties = np.float32([[[1, 1, 0, 1], [2, 1, 2, 1], [1, 3, 2, 1]], [[0, 0, 0, 0], [5, 6, 7, 8], [5, 6, 9, 8]]])
    check("TopK", ties, outputs=3, k=k, axis=axis)
    check("TopK", ties[0], outputs=2, k=k, axis=axis)
    check("TopK", ties[0, 1], outputs=3, k=k)


def test_as_many_of_the_largest_as_each_row_says() -> None:
    check("FlexibleTopK", W, np.array([1, 4, 2]), outputs=2)
    check("FlexibleTopK", Y, np.array([[[1], [2], [3]], [[4], [1], [2]]]), outputs=2)
    check("FlexibleTopK", W[0], np.array([2]), outputs=2)

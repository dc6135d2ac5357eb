"""Shapes and tensors of other shapes, joined and split, against the real Caffe2: the edges of each."""

from __future__ import annotations

import numpy as np
import pytest

from nxconvert import NxConvertError
from nxconvert.graph.builder import Builder
from tests.frontends.caffe2.ops.harness import Op, Weight, check, run_lowered

X = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
NONE = X[:0]
TEXTS = np.array(["a", "bc"])


def ints(*numbers: int, dtype: type = np.int64) -> np.ndarray:
    return np.array(numbers, dtype)


def refused(operator: str, *inputs: np.ndarray, outputs: int = 1, **args: object) -> None:
    names = [f"x{i}" for i in range(len(inputs))]
    results = [f"y{i}" for i in range(outputs)]
    with pytest.raises(NxConvertError):
        run_lowered([Op(operator, names, results, args)], dict(zip(names, inputs, strict=True)), results)


# ---- shapes ----------------------------------------------------------------------------------------------------------


def test_what_a_shape_is() -> None:
    check("Shape", X)
    check("Shape", X, axes=[1, 0, 1])
    check("Shape", np.float32(1))
    check("Size", X)
    check("Size", np.float32(1))
    check("IsEmpty", NONE)
    check("IsEmpty", X)
    check("HasElements", NONE, X)
    check("HasElements", NONE)
    refused("Shape", X, axes=[-1])


def test_a_free_size_may_be_none_for_who_asks() -> None:
    op = Builder()
    x = op.input("x", op.const(0.0).etype, [op.dim("n")])
    from nxconvert.frontends.caffe2.ops.shape import has_elements, is_empty

    assert has_elements(op, x).array is None
    assert is_empty(op, x).array is None


@pytest.mark.parametrize("sizes", [[4, -1], [0, -1], [-1], [0, 0, 4], [6, 4], [0, 4, -1]], ids=str)
def test_reshape(sizes: list[int]) -> None:
    check("Reshape", X, outputs=2, shape=sizes)
    for dtype in (np.int32, np.int64):
        check("Reshape", X, Weight(ints(*sizes, dtype=dtype)), outputs=2)
    check("Reshape", X, ints(*sizes), outputs=2, free=(False,))


@pytest.mark.parametrize("sizes", [[0, -1], [-1, 3], [5, -1, 0], [5, 0]], ids=str)
def test_reshape_of_nothing(sizes: list[int]) -> None:
    check("Reshape", NONE, outputs=2, shape=sizes)


def test_other_reshapes() -> None:
    check("Reshape", X[:1, 0, 0], outputs=2, shape=[])
    check("Reshape", TEXTS, outputs=2, shape=[1, 2])
    refused("Reshape", X, outputs=2, shape=[-1, -1])
    refused("Reshape", X, outputs=2, shape=[5, 5])
    for axis in range(4):
        check("Flatten", X, axis=axis)
    check("Flatten", X[0, 0])
    check("Flatten", NONE)
    refused("Flatten", X, axis=4)
    check("FlattenToVec", X)
    check("ResizeLike", X, ints(*range(24)).reshape(4, 6))
    check("Squeeze", X[:1, :1], dims=[1, 0, 1])
    refused("Squeeze", X, dims=[1])
    check("ExpandDims", X, dims=[4, 0, 1, 0])
    refused("ExpandDims", X, dims=[4])
    check("PrependDim", X, dim_size=2)
    check("MergeDim", X)


@pytest.mark.parametrize("kind", [np.asarray, Weight])
def test_repeated(kind: type) -> None:
    free = (False, True) if kind is Weight else (False,)
    for sizes in ([3, 1], [3, 4], [5, -1, 1, 0]):
        check("Expand", X[:, :1], kind(ints(*sizes)), free=free)
    check("Expand", X[0, 0], kind(ints()), free=free)
    check("NumpyTile", X, kind(ints(2, 1, 0)))
    check("NumpyTile", TEXTS, kind(ints(2)))
    check("Tile", X, kind(ints(2, dtype=np.int32)), kind(ints(-1, dtype=np.int32)))
    check("Tile", X, kind(ints(2, dtype=np.int32)), axis=1, tiles=7)
    check("Tile", X, kind(ints(2)), axis=1, tiles=7)


def test_repeated_as_arguments_say() -> None:
    check("Tile", X, tiles=2, axis=-1)
    check("Tile", X, tiles=0, axis=0)
    check("Tile", TEXTS, tiles=3, axis=0)
    refused("Tile", X, tiles=2)


def test_transposed() -> None:
    check("Transpose", X)
    check("Transpose", X.astype(np.int64), axes=[1, 0, 2])
    check("Transpose", np.float32(1))
    refused("Transpose", X, axes=[0, -1, 1])


# ---- joined and split ------------------------------------------------------------------------------------------------


def test_joined() -> None:
    check("Concat", X, X[:, :2], outputs=2)
    check("Concat", X, X, NONE, outputs=2, axis=0)
    check("Concat", X, X, outputs=2, axis=-1)
    check("Concat", X, outputs=2)
    check("Concat", X, X, outputs=2, axis=3, add_axis=1)
    check("Concat", X, X, outputs=2, axis=-1, add_axis=1)
    check("Concat", X, X, outputs=2, add_axis=1)
    check("Concat", X[None], X[None, ..., :1], outputs=2, order="NHWC")
    check("DepthConcat", X[None], X[None], outputs=2)
    check("Concat", TEXTS, TEXTS, outputs=2, axis=0)
    refused("Concat", X[0, 0], X[0, 0], outputs=2)
    refused("Concat", X, X, outputs=2, axis=0, order="NHWC")


@pytest.mark.parametrize("kind", [np.asarray, Weight])
def test_split(kind: type) -> None:
    check("Split", X, kind(ints(0, 1, 2, dtype=np.int32)), outputs=3)
    check("Split", X, kind(ints(1, 1, 1, dtype=np.int32)), outputs=3, axis=1, add_axis=1)
    check("SplitByLengths", X, kind(ints(1, 2, 1, 0, dtype=np.int32)), outputs=2, axis=-1)
    check("SplitByLengths", X, kind(ints(1, 0, 2, dtype=np.int32)), outputs=3)


def test_split_as_arguments_say() -> None:
    check("Split", X, outputs=3)
    check("Split", X, outputs=2, axis=-1)
    check("Split", X, outputs=1)
    check("Split", X, outputs=3, split=[2, 0, 1])
    check("Split", X, outputs=3, add_axis=1)
    check("Split", X, outputs=3, axis=1, add_axis=1)
    check("Split", X[None], outputs=2, order="NHWC")
    check("DepthSplit", X[:, :2, :, None], outputs=2)
    refused("Split", X, outputs=2, split=[1, 1])
    refused("Split", X, outputs=3, axis=-1)


@pytest.mark.parametrize(
    "starts, ends",
    [
        ([1, 0], [3, -1]),
        ([0, 1], [-1, 3]),
        ([0, 1], [4, 3]),
        ([0, -3], [-1, -2]),
        ([0, 0], [-1, -1]),
        ([0, 0], [0, -1]),
        ([-1, 0], [-1, -1]),
        ([9, 0], [20, -1]),
        ([0, 0], [-5, -1]),
    ],
    ids=str,
)
def test_sliced(starts: list[int], ends: list[int]) -> None:
    x = X.reshape(4, 6)
    check("Slice", x, starts=starts, ends=ends)
    check("Slice", NONE[:, 0], starts=starts, ends=ends)
    check("Slice", x, Weight(ints(*starts)), Weight(ints(*ends)))
    check("Slice", x, ints(*starts, dtype=np.int32), ints(*ends, dtype=np.int32))

"""Products of matrices: where tensors are cut into matrices, vectors, batches, tensor trains."""

from __future__ import annotations

import numpy as np
import pytest

from nxconvert.errors import UnsupportedError
from tests.frontends.caffe2.ops.harness import Op as Operator
from tests.frontends.caffe2.ops.harness import Weight, check, run_lowered

RNG = np.random.default_rng(0)


def normal(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize(
    ("x", "weight", "args"),
    [
        ((2, 12), (5, 12), {}),
        ((2, 3, 4), (5, 12), {}),
        ((2, 3, 4), (5, 4), {"axis": 2}),
        ((2, 3, 4, 5), (5, 20), {"axis": -2}),
        ((4,), (5, 4), {"axis": 0}),
        ((2, 3, 4), (1, 1, 5, 12), {"axis_w": 3}),
        ((2, 12), (5, 3, 4), {"axis_w": -2}),
        ((0, 3), (5, 3), {}),
    ],
)
def test_fully_connected(x: tuple[int, ...], weight: tuple[int, ...], args: dict[str, int]) -> None:
    check("FC", normal(*x), Weight(normal(*weight)), Weight(normal(5)), **args)


def test_fully_connected_transposed() -> None:
    check("FCTransposed", normal(2, 3, 4), Weight(normal(12, 5)), Weight(normal(5)))
    check("FCTransposed", normal(2, 12), Weight(normal(3, 4, 5)), Weight(normal(5)), axis_w=2)
    check("FCTransposed", normal(2, 3, 4), normal(4, 5), normal(5), axis=2)


def test_products_of_matrices() -> None:
    check("MatMul", normal(2, 3, 4), normal(4, 5, 6), axis_a=2)
    check("MatMul", normal(3), normal(3, 4), axis_a=0)
    check("MatMul", normal(3, 2), normal(4, 3), trans_a=1, trans_b=1)
    check("MatMul", normal(2, 3), normal(2, 4), normal(4, 3), trans_a=1)


@pytest.mark.parametrize(
    ("a", "b", "args"),
    [
        ((3,), (3,), {"trans_a": 1, "trans_b": 1}),
        ((3,), (2, 4, 3), {"trans_b": 1}),
        ((2, 2, 3), (3,), {}),
        ((3, 3), (3,), {"trans_a": 1}),
        ((5, 3, 2), (5, 4, 3), {"trans_a": 1, "trans_b": 1}),
        ((2, 3), (5, 3, 4), {"broadcast": 1}),
        ((5, 1, 2, 3), (6, 3, 4), {"broadcast": 1}),
        ((1, 2, 0), (1, 0, 4), {}),
    ],
)
def test_batches_of_products(a: tuple[int, ...], b: tuple[int, ...], args: dict[str, int]) -> None:
    check("BatchMatMul", normal(*a), normal(*b), **args)


@pytest.mark.parametrize(
    ("a", "b", "args", "text"),
    [((2, 3), (5, 3, 4), {}, "broadcast"), ((3, 2), (3,), {"trans_a": 1}, "square")],
)
def test_what_is_refused(a: tuple[int, ...], b: tuple[int, ...], args: dict[str, int], text: str) -> None:
    with pytest.raises(UnsupportedError, match=text):
        run_lowered([Operator("BatchMatMul", ["a", "b"], ["y"], args)], {"a": normal(*a), "b": normal(*b)}, ["y"])


def test_tensor_train() -> None:
    form = {"inp_sizes": [2, 3, 4], "out_sizes": [2, 5, 3], "tt_ranks": [1, 2, 3, 1]}
    cores = Weight(normal(4 * 1 * 3 * 3 + 3 * 3 * 2 * 5 + 2 * 2 * 1 * 2))
    check("TT", normal(3, 24), Weight(normal(30)), cores, **form)

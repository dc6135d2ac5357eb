"""Norms of vectors and matrices against PyTorch."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")

from tests.frontends.pytorch.ops.harness import check  # noqa: E402

X = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(5))
ORDERS = [0, 1, 2, 3, 0.5, -1, math.inf, -math.inf]


@pytest.mark.parametrize("order", ORDERS)
def test_vectors(order: float) -> None:
    check("linalg_vector_norm", X, order)
    check("linalg_vector_norm", X, order, [1], True)
    check("linalg_norm", X, order, [-1])
    check("norm", X, order)
    check("norm", X, order, [0, 2], False)
    check("dist", X, X.flip(1), order)


def test_defaults() -> None:
    check("linalg_vector_norm", X, dtype=torch.float64)
    check("linalg_norm", X)
    check("linalg_norm", X, None, [0, 1], True)
    check("norm", X, None, [1])
    check("norm", X, 2, [1], False, dtype=torch.float64)
    check("frobenius_norm", X, [1, 2])


@pytest.mark.parametrize("order", [1, -1, math.inf, -math.inf, "fro"])
@pytest.mark.parametrize("keepdim", [False, True])
def test_matrices(order: float | str, keepdim: bool) -> None:
    check("linalg_matrix_norm", X, order, [-2, -1], keepdim)
    check("linalg_matrix_norm", X, order, [2, 0], keepdim)
    check("linalg_norm", X[0], order, None, keepdim)

"""Distances against PyTorch."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")

from tests.frontends.pytorch.ops.harness import check  # noqa: E402


def _rand(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


ORDERS = [0.0, 0.5, 1.0, 2.0, 3.0, math.inf]


@pytest.mark.parametrize("p", ORDERS)
def test_distances(p: float) -> None:
    check("pairwise_distance", _rand(3, 4), _rand(3, 4), p)
    check("pairwise_distance", _rand(2, 3, 4), _rand(4), p, 0.0, True)
    check("cdist", _rand(2, 3, 4), _rand(2, 5, 4), p)
    check("cdist", _rand(30, 4), _rand(2, 5, 4), p)
    check("pdist", _rand(5, 3), p)


@pytest.mark.parametrize("mode", [None, 0, 1, 2])
def test_ways_to_compute(mode: int | None) -> None:
    check("cdist", _rand(30, 4), _rand(40, 4), 2.0, mode, atol=1e-4)
    check("_euclidean_dist", _rand(30, 4), _rand(40, 4), atol=1e-4)


def test_cosine_similarity() -> None:
    check("cosine_similarity", _rand(3, 4), _rand(3, 4))
    check("cosine_similarity", _rand(2, 3, 4), _rand(4), -1, 1e-3)
    check("cosine_similarity", _rand(2, 3, 4), _rand(2, 3, 4) * 1e-9, 0)
    check("cosine_similarity", _rand(1, 2, 3), _rand(2, 1, 3), -2)
    check("cosine_similarity", _rand(2, 3), _rand(3), 0)
    check("cosine_similarity", _rand(), _rand(), 0)

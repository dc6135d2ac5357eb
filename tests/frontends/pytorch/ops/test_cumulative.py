"""Running results, differences and integrals against PyTorch."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")

from tests.frontends.pytorch.ops.harness import check  # noqa: E402

X = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(11))
INTEGERS = torch.tensor([[3, -1, 3], [0, 5, 5]])


@pytest.mark.parametrize("name", ["cumsum", "cumprod", "cummax", "cummin", "logcumsumexp"])
@pytest.mark.parametrize("dim", [0, 1, -1])
def test_running(name: str, dim: int) -> None:
    check(name, X, dim)
    check(name, X.double(), dim)
    check(name, torch.tensor(2.0), 0)
    check(name, torch.zeros(0, 2), dim if dim < 1 else 0)
    if name != "logcumsumexp":
        check(name, INTEGERS, min(dim, 1))
        check(name, INTEGERS > 2, min(dim, 1))


def test_running_dtype() -> None:
    check("cumsum", INTEGERS.int(), 1)
    check("cumsum", INTEGERS, 1, dtype=torch.float32)
    check("cumprod", X, 1, dtype=torch.float64)


def test_running_extremes_of_equals_and_nan() -> None:
    x = torch.tensor([1.0, 1.0, math.nan, 5.0, math.nan])
    check("cummax", x, 0)
    check("cummin", x, 0)
    check("logcumsumexp", torch.tensor([-math.inf, -math.inf, 0.0, 1000.0]), 0)


def test_diff() -> None:
    check("diff", X)
    check("diff", X, 2, 1)
    check("diff", X, 0)
    check("diff", X, 1, 0, X[:1], X[:2])
    check("diff", INTEGERS > 0, 1, 1)
    check("diff", INTEGERS)


@pytest.mark.parametrize("name", ["trapezoid", "trapz", "cumulative_trapezoid"])
def test_areas(name: str) -> None:
    check(name, X)
    check(name, X, dx=0.5, dim=1)
    check(name, X, torch.tensor([0.0, 1.0, 3.0, 4.0, 4.5]))
    check(name, X, torch.tensor([0.0, 1.0, 3.0, 4.0]), dim=1)
    check(name, X, X.abs().cumsum(2))
    check(name, INTEGERS)


@pytest.mark.parametrize("edge_order", [1, 2])
def test_gradient(edge_order: int) -> None:
    check("gradient", X, edge_order=edge_order)
    check("gradient", X, spacing=0.5, dim=1, edge_order=edge_order)
    check("gradient", X, spacing=2.0, dim=[0, 2], edge_order=edge_order)
    check("gradient", X, spacing=[2.0, 0.5], dim=[0, 2], edge_order=edge_order)
    check("gradient", X, spacing=[torch.tensor([0.0, 1.0, 3.0, 3.5])], dim=[1], edge_order=edge_order)

"""Covariance and correlation against PyTorch."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from tests.frontends.pytorch.ops.harness import check  # noqa: E402

X = torch.randn(3, 7, generator=torch.Generator().manual_seed(2))
TIMES = torch.tensor([1, 2, 1, 3, 1, 1, 2])
IMPORTANCE = torch.tensor([0.5, 1.0, 2.0, 0.1, 1.0, 0.3, 0.7])


@pytest.mark.parametrize("x", [X, X[0], X[:1], (X * 5).long()])
@pytest.mark.parametrize("correction", [0, 1, 2])
def test_cov(x: torch.Tensor, correction: int) -> None:
    check("cov", x, correction=correction)
    check("cov", x, correction=correction, fweights=TIMES)
    check("cov", x, correction=correction, aweights=IMPORTANCE)
    check("cov", x, correction=correction, fweights=TIMES, aweights=IMPORTANCE)


@pytest.mark.parametrize("x", [X, X[0], X[:1], (X * 5).long(), X.double()])
def test_corrcoef(x: torch.Tensor) -> None:
    check("corrcoef", x)

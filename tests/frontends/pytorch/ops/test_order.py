"""Order statistics against PyTorch."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")

from tests.frontends.pytorch.ops.harness import check  # noqa: E402

X = torch.randn(3, 6, 5, generator=torch.Generator().manual_seed(7))
WITH_NAN = torch.tensor([[3.0, math.nan, 1.0, 2.0], [math.nan] * 4, [4.0, 3.0, 2.0, 1.0]])
REPEATED = torch.tensor([[3, 1, 3, 2, 2], [0, 0, 5, 5, 1]])


@pytest.mark.parametrize("name", ["median", "nanmedian"])
def test_medians(name: str) -> None:
    check(name, X)
    check(name, X, 1)
    check(name, X, -1, True)
    check(name, WITH_NAN[2:], 0)
    check(name, torch.tensor(2.0))
    check(name, torch.arange(6))


def test_medians_and_nan() -> None:
    check("median", WITH_NAN)
    check("nanmedian", WITH_NAN)
    check("nanmedian", WITH_NAN[[0, 2]], 1, True)


@pytest.mark.parametrize("k", [1, 3, 5])
def test_kthvalue(k: int) -> None:
    check("kthvalue", X, k)
    check("kthvalue", X, k, 1, True)
    check("kthvalue", torch.tensor(3.0), 1)


def test_mode() -> None:
    check("mode", REPEATED)
    check("mode", REPEATED, 0, True)
    check("mode", REPEATED.float(), 1)
    check("mode", REPEATED > 2)


@pytest.mark.parametrize("interpolation", ["linear", "lower", "higher", "nearest", "midpoint"])
@pytest.mark.parametrize("q", [0.3, torch.tensor([0.0, 0.25, 1.0]), torch.tensor(0.6)])
def test_quantiles(interpolation: str, q: torch.Tensor | float) -> None:
    check("quantile", X, q, interpolation=interpolation)
    check("quantile", X, q, 1, True, interpolation=interpolation)
    check("nanquantile", WITH_NAN, q, 1, interpolation=interpolation)


def test_quantiles_and_nan() -> None:
    check("quantile", WITH_NAN, 0.5, 1)
    check("nanquantile", WITH_NAN, 0.5, None, True)

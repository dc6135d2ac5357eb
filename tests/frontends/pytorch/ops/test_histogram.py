"""Histograms against PyTorch."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")

from nxconvert.frontends.pytorch.table import LoweringError, Scalar  # noqa: E402
from tests.frontends.pytorch.ops.harness import check, lower  # noqa: E402

NAN = math.nan
GENERATOR = torch.Generator().manual_seed(0)
X = torch.randn(50, generator=GENERATOR)


@pytest.mark.parametrize(
    ("x", "args"),
    [
        (X, (10, -2, 2)),
        (X, ()),
        (X, (7,)),
        (X.double(), (7, -1.5, 0)),
        (torch.ones(5), (4,)),
        (torch.arange(5.0), (4, 0, 4)),
        (torch.tensor([NAN, 1, 2]), (4, 0, 4)),
        (torch.zeros(0), (4,)),
    ],
)
def test_histc(x: torch.Tensor, args: tuple) -> None:
    check("histc", x, *args)


def test_histogram() -> None:
    check("histogram", X, 5)
    check("histogram", torch.ones(3), 5)
    check("histogram", X, 5, range=[-1.0, 1.0])
    check("histogram", X, 5, weight=X.abs(), density=True, rtol=1e-3)
    check("histogram", X, torch.tensor([-1.0, 0, 0.5, 2]), density=True)
    check("histogram", X[:0], 3, free=(False,))


POINTS = torch.randn(20, 3, generator=GENERATOR)


@pytest.mark.parametrize("density", [False, True])
@pytest.mark.parametrize("weight", [None, torch.arange(20.0)])
@pytest.mark.parametrize("bins", [4, [2, 3, 1], [torch.tensor([-1.0, 0, 0.5]), torch.arange(3.0), torch.arange(4.0)]])
def test_several_dimensions(bins: object, weight: torch.Tensor | None, density: bool) -> None:
    check("histogramdd", POINTS, bins, None, weight, density, free=(False, bins != 4))


def test_range_of_several_dimensions() -> None:
    check("histogramdd", POINTS, [2, 3, 4], [-1.0, 1.0, 0.0, 2.0, -2.0, 0.5])
    check("histogramdd", POINTS.reshape(4, 5, 3), [2, 3, 4])
    check("histogramdd", POINTS[:, :1], [5])
    check("histogramdd", torch.ones(4, 2), [2, 3])
    check("_histogramdd_bin_edges", POINTS, [2, 3, 4])
    check("_histogramdd_from_bin_cts", POINTS, [2, 3, 4])
    check("_histogramdd_from_bin_tensors", POINTS[:, :2], [torch.arange(3.0), torch.arange(4.0)])


@pytest.mark.parametrize("weights", [None, torch.float32, torch.float64, torch.int64], ids=str)
def test_bincount(weights: torch.dtype | None) -> None:
    x = torch.randint(0, 7, (20,), generator=GENERATOR)
    weight = None if weights is None else (X[:20] * 9).to(weights)
    check("bincount", x, weight)
    check("bincount", x, weight, 12)
    check("bincount", x.to(torch.uint8), weight, 3)
    check("bincount", x[:0])


def test_a_range_that_is_data() -> None:
    with pytest.raises(LoweringError, match="range"):
        lower("histc", (X, 10, Scalar(None), 2.0), {}, free=False)  # type: ignore[arg-type]

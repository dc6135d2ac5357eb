"""Sorting, searching and counting against PyTorch."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from nxconvert.frontends.pytorch.table import LoweringError, Scalar  # noqa: E402
from tests.frontends.pytorch.ops.harness import check, lower  # noqa: E402

GENERATOR = torch.Generator().manual_seed(0)
DISTINCT = torch.randperm(60, generator=GENERATOR).float().reshape(3, 4, 5)
TIES = torch.randint(0, 6, (3, 4, 5), generator=GENERATOR)
NAN = float("nan")


@pytest.mark.parametrize(
    "dtype", [torch.float32, torch.int64, torch.bool, torch.int16, torch.uint8, torch.float16, torch.int32], ids=str
)
@pytest.mark.parametrize("descending", [False, True])
def test_stable(dtype: torch.dtype, descending: bool) -> None:
    for x in (TIES.to(dtype), TIES.to(dtype) % 2):
        for dim in (0, -1):
            check("sort", x, stable=True, dim=dim, descending=descending)
            check("argsort", x, stable=True, dim=dim, descending=descending, free=(False,))
    check("msort", TIES.to(dtype))


@pytest.mark.parametrize("dim", [0, 1, -1])
def test_distinct(dim: int) -> None:
    check("sort", DISTINCT, dim, True)
    check("argsort", DISTINCT, dim)
    check("topk", DISTINCT, 2, dim)
    check("topk", DISTINCT, 3, dim, False)


def test_of_rank_0() -> None:
    check("sort", torch.tensor(3.0), 0)
    check("argsort", torch.tensor(3.0))
    check("topk", torch.tensor(3.0), 1)


@pytest.mark.parametrize("right", [False, True])
@pytest.mark.parametrize("out_int32", [False, True])
def test_places(right: bool, out_int32: bool) -> None:
    edges = torch.tensor([1.0, 3, 5, 7, 9])
    values = torch.tensor([[3.0, 6, 9], [0, 10, NAN]])
    options = {"right": right, "out_int32": out_int32}
    check("searchsorted", edges, values, **options)
    check("searchsorted", torch.stack([edges, edges + 1]), values, **options)
    check("searchsorted", edges, 4, **options)
    check("searchsorted", edges.long(), values[:1].long(), **options)
    check("bucketize", values, edges, **options)
    check("bucketize", 3, edges, **options)


def test_places_with_a_side_and_a_sorter() -> None:
    values = torch.tensor([7.0, 1, 9, 3, 5])
    check("searchsorted", values.sort()[0], values, side="right")
    check("searchsorted", values, values, sorter=values.argsort())


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

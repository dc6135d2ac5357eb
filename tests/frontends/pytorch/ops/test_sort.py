"""Sorting, searching and counting against PyTorch."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from tests.frontends.pytorch.ops.harness import check  # noqa: E402

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

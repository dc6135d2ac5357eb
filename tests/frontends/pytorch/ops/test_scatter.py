"""Writing to parts of tensors against PyTorch."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from nxconvert.frontends.pytorch.table import LoweringError  # noqa: E402
from tests.frontends.pytorch.ops.harness import check, lower  # noqa: E402
from tests.frontends.pytorch.ops.test_index import INDICES, A, B, M, N, X  # noqa: E402

DTYPES = [torch.float32, torch.int64, torch.bool]


def _values(dtype: torch.dtype) -> torch.Tensor:
    return (X * 9).to(dtype)


@pytest.mark.parametrize("accumulate", [False, True])
@pytest.mark.parametrize("indices", INDICES[:-1], ids=lambda x: str([None if i is None else list(i.shape) for i in x]))
def test_index_put(indices: list, accumulate: bool) -> None:
    for dtype in [*DTYPES, torch.float16] if accumulate else [torch.float32]:
        x = _values(dtype)
        picked = torch.ops.aten.index(x, indices)
        close = {"rtol": 1e-2, "atol": 1e-2} if dtype == torch.float16 else {}
        check(
            "index_put",
            x,
            indices,
            picked.flip(0) if picked.dim() else picked,
            accumulate,
            free=(dtype == torch.float32,),
            **close,
        )
        check("index_put", x, indices, x[0, 0, 0, 0], accumulate, free=(False,), **close)
        check("index_put", x, indices, x[:1, 0, 0, 0], accumulate, free=(False,), **close)


def test_index_put_of_broadcast_values() -> None:
    check("index_put", X, [N, A, B], X[:1, 0, :3, :1])
    check("index_put", X, [N, A[:, None], B], X[0, 0, 0])
    check("index_put", X, [A, N, B], X[0, :1, 0, :1])
    check("index_put", X, [X > 0], torch.tensor([2.0]))
    check("index_put", X, [N, X[0, :, :, 0] > 0], X[0, 0, 0])


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_masked_index_put(dtype: torch.dtype) -> None:
    x, mask = _values(dtype), torch.tensor([True, False, True])[:, None, None, None]
    check("_unsafe_masked_index_put_accumulate", x, mask, [torch.tensor([0, 9, 1])], x[:1])


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(("dim", "index"), [(2, [4, 0, 2]), (-1, [1, 5, 0]), (0, [2, 0, 1])])
def test_along_an_axis(dtype: torch.dtype, dim: int, index: list[int]) -> None:
    x, at = _values(dtype), torch.tensor(index)
    source = x.narrow(dim, 0, 3).flip(dim)
    check("index_copy", x, dim, at, source)
    check("index_fill", x, dim, at, 1)
    check("index_fill", x, dim, at, torch.ones((), dtype=dtype))
    check("index_add", x, dim, at, source)
    if dtype == torch.bool:
        return
    check("index_add", x, dim, at % 2, source, alpha=2)
    for reduce in ("prod", "mean", "amax", "amin"):
        for include_self in (True, False):
            check("index_reduce", x, dim, at % 2, source, reduce, include_self=include_self, rtol=1e-3, free=(False,))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_scatter(dtype: torch.dtype) -> None:
    x = _values(dtype)
    once = torch.arange(5).roll(2)[:4].expand(2, 3, 6, 4).transpose(2, 3).contiguous()
    check("scatter", x, 2, once, x.flip(2))
    check("scatter", x, 2, once, x[:2, :3, :4])
    check("scatter", x, 2, once, 1)
    check("scatter", x, 2, once[:0], x)
    check("put", x, torch.tensor([[1, -2]]), x[0, 0, 0, :2])
    if dtype != torch.bool:
        check("put", x, torch.tensor([[1, 1]]), x[0, 0, 0, :2], True)
        check("scatter", x, 2, once % 2, x, reduce="add")
        check("scatter", x, 2, once % 2, 2, reduce="multiply")
        check("scatter_add", x, 2, once % 2, x)


@pytest.mark.parametrize("reduce", ["sum", "prod", "mean", "amax", "amin"])
@pytest.mark.parametrize("include_self", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.int64, torch.float16], ids=str)
def test_scatter_reduce(reduce: str, include_self: bool, dtype: torch.dtype) -> None:
    x = _values(dtype)
    index = torch.arange(4)[:, None].expand(2, 3, 4, 6).contiguous() % 3
    check("scatter_reduce", x, 2, index, x.flip(2), reduce, include_self=include_self, rtol=1e-2, atol=1e-2)


def test_of_rank_0() -> None:
    check("scatter", torch.tensor(3.0), 0, torch.tensor(0), torch.tensor(4.0))
    check("scatter_add", torch.tensor(3.0), 0, torch.tensor(0), torch.tensor(4.0))
    check("index_add", torch.tensor(3.0), 0, torch.tensor([0]), torch.tensor(4.0))
    check("index_fill", torch.tensor(3.0), 0, torch.tensor([0]), 4)


@pytest.mark.parametrize("dtype", [*DTYPES, torch.int16, torch.float16], ids=str)
def test_by_a_mask(dtype: torch.dtype) -> None:
    x = _values(dtype)
    check("masked_fill", x, M, 1)
    check("masked_fill", x, M[0, 0, 0], 0)
    check("masked_fill", x[:1], M, 1)
    check("masked_fill", x, M, torch.ones((), dtype=dtype))
    check("masked_scatter", x, M, x.flip(0))
    check("masked_scatter", x, M[0], x.flip(0))


@pytest.mark.parametrize("bounds", [(None, None), (1, 3), (0, 9, 2), (-3, -1), (1, None, 3), (2, 2), (-9, 2), (0, 2)])
@pytest.mark.parametrize("dim", [0, 2])
def test_slice_scatter(bounds: tuple, dim: int) -> None:
    for dtype in DTYPES:
        x = _values(dtype)
        source = x.narrow(dim, 0, len(range(x.shape[dim])[slice(*bounds)])).flip(3)
        check("slice_scatter", x, source, dim, *bounds)


def test_other_scatters() -> None:
    check("select_scatter", X, X[:, 0].flip(0), 1, -1)
    check("select_scatter", X, X[0].flip(0), 0, 1)
    for offset in (-2, 0, 1, 3, 9):
        source = torch.diagonal(X, offset, 0, 2).flip(0)
        check("diagonal_scatter", X, source, offset, 0, 2)
    check("as_strided_scatter", X, X[0, 0, :2, :3], [2, 3], [7, 2], 1)


def test_an_unknown_reduction() -> None:
    with pytest.raises(LoweringError, match="no reduction"):
        lower("scatter_reduce", (X, 0, torch.zeros(1, 4, 5, 6).long(), X, "median"), {}, free=False)

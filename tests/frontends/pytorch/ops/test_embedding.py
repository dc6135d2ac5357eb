"""Embeddings against PyTorch."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")

from tests.frontends.pytorch.ops.harness import check, check_program  # noqa: E402


def _rand(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


INDICES = torch.tensor([3, 1, 2, 2, 0, 3, 1, 2])
OFFSETS = torch.tensor([0, 2, 2, 5, 8])


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32])
def test_embedding(dtype: torch.dtype) -> None:
    check("embedding", _rand(4, 5), torch.tensor([[0, 3], [2, 1]], dtype=dtype))
    check("embedding", _rand(4, 5), torch.tensor(2, dtype=dtype), 1)


def _first(name: str) -> Any:
    return lambda call, *args, **kwargs: call(name, *args, **kwargs)[0]


@pytest.mark.parametrize("mode", [0, 1, 2])
@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("padding", [None, 2])
def test_embedding_bag(mode: int, last: bool, padding: int | None) -> None:
    weights = torch.rand(8) if mode == 0 else None
    args = _rand(4, 5), INDICES, OFFSETS, False, mode, False
    check_program(_first("embedding_bag"), *args, None, last)
    check_program(_first("embedding_bag"), *args, weights, last, padding)
    check_program(_first("_embedding_bag"), *args, weights, last, -1 if padding is None else padding)
    check_program(_first("_embedding_bag_forward_only"), *args, weights, last)
    check_program(_first("embedding_bag"), args[0].half(), *args[1:], None, last, padding, rtol=1e-2, atol=1e-2)


def test_one_hot() -> None:
    indices = torch.tensor([[0, 3], [2, 1]])
    check("one_hot", indices, 5)
    check("one_hot", indices)
    check("one_hot", torch.tensor(3), 5)


def test_embedding_renorm() -> None:
    check("embedding_renorm", _rand(4, 5), torch.tensor([[0, 2], [2, 0]]), 0.5, 2.0)

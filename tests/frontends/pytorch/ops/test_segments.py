"""Reductions over segments, and hashes, against PyTorch."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")

from tests.frontends.pytorch.ops.harness import check  # noqa: E402

DATA = torch.tensor([[1.0, -2.0], [3.5, 0.25], [0.5, 4.0], [-1.0, 2.0], [7.0, -3.0]])
LENGTHS = torch.tensor([2, 0, 3])


@pytest.mark.parametrize("reduction", ["sum", "mean", "max", "min", "prod"])
@pytest.mark.parametrize("initial", [None, 2.0])
def test_lengths(reduction: str, initial: float | None) -> None:
    check("segment_reduce", DATA, reduction, lengths=LENGTHS, initial=initial)


@pytest.mark.parametrize("reduction", ["sum", "mean", "max"])
def test_offsets(reduction: str) -> None:
    check("segment_reduce", DATA, reduction, offsets=torch.tensor([0, 2, 2, 5]))


@pytest.mark.parametrize("initial", [None, 1.0])
def test_batch(initial: float | None) -> None:
    lengths = torch.tensor([[1, 4], [5, 0]])
    data = torch.stack([DATA, DATA * 2])
    check("segment_reduce", data, "mean", lengths=lengths, axis=1, initial=initial, unsafe=True)


ODD = [0.0, -0.0, 1.0, -1.5, math.inf, -math.inf, math.nan, 1e-42, 3e38, 0.1]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16])
@pytest.mark.parametrize("number", ODD)
def test_hash_of_one_float(number: float, dtype: torch.dtype) -> None:
    check("hash_tensor", torch.tensor([number], dtype=dtype))


def test_hash_of_subnormal_double() -> None:
    check("hash_tensor", torch.tensor([5e-324, 3e-310, 2.2250738585072014e-308], dtype=torch.float64))


@pytest.mark.parametrize("keepdim", [False, True])
@pytest.mark.parametrize("dim", [[], [1], [0]])
def test_hash(dim: list[int], keepdim: bool) -> None:
    check("hash_tensor", DATA, dim, keepdim=keepdim)
    check("hash_tensor", torch.tensor([[5, -1], [1 << 62, -(1 << 40) - 3]]), dim, keepdim=keepdim)
    check("hash_tensor", DATA > 0, dim, keepdim=keepdim)

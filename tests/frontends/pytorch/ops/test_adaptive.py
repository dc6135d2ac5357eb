"""Pooling to a given size against PyTorch."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from tests.frontends.pytorch.ops.harness import check  # noqa: E402


def _image(space: int, batch: bool = True) -> torch.Tensor:
    generator = torch.Generator().manual_seed(space)
    return torch.randn(*((2, 3) if batch else (3,)), *(6, 8, 4)[:space], generator=generator)


SIZES = [(1, 1, 1), (2, 4, 2), (6, 8, 4), (4, 3, 3), (1, 8, 4), (6, 1, 2), (5, 1, 4), (7, 9, 6), (1, 3, 1)]


@pytest.mark.parametrize("space", [1, 2, 3])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("batch", [True, False])
def test_adaptive_pools(space: int, size: tuple[int, ...], batch: bool) -> None:
    check(f"adaptive_avg_pool{space}d", _image(space, batch), list(size[:space]))
    check(f"adaptive_max_pool{space}d", _image(space, batch), list(size[:space]))


def test_double_and_ties() -> None:
    check("adaptive_avg_pool2d", _image(2).double(), [1, 1])
    check("adaptive_avg_pool2d", _image(2).double(), [4, 5])
    check("adaptive_avg_pool2d", _image(2).double(), [3, 4])
    check("adaptive_max_pool2d", _image(2).round().double(), [4, 5])
    check("adaptive_max_pool2d", _image(2).double(), [1, 1])
    check("adaptive_max_pool2d", _image(2).round(), [1, 1])
    check("_adaptive_avg_pool2d", _image(2), [3, 2])

"""Grid sampling against PyTorch."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from tests.frontends.pytorch.ops.harness import check  # noqa: E402


def _rand(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


@pytest.mark.parametrize("mode", [0, 1, 2])
@pytest.mark.parametrize("padding", [0, 1, 2])
@pytest.mark.parametrize("align", [False, True])
def test_grid_sampler(mode: int, padding: int, align: bool) -> None:
    image, grid = _rand(2, 3, 5, 6), _rand(2, 4, 3, 2)
    check("grid_sampler", image, grid, mode, padding, align)
    check("grid_sampler_2d", image.double(), grid.double(), mode, padding, align)
    if mode < 2:
        check("grid_sampler", _rand(2, 3, 4, 5, 6), _rand(2, 4, 3, 2, 3), mode, padding, align)


@pytest.mark.parametrize("align", [False, True])
@pytest.mark.parametrize("size", [(2, 3, 4, 5), (1, 3, 1, 7), (2, 1, 3, 4, 5)])
def test_affine_grid(align: bool, size: tuple[int, ...]) -> None:
    space = len(size) - 2
    check("affine_grid_generator", _rand(size[0], space, space + 1), list(size), align)
    check("affine_grid_generator", _rand(size[0], space, space + 1).double(), list(size), align)

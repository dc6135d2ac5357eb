"""Sliding windows, patches and strides against PyTorch."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from nxconvert.frontends.pytorch.table import LoweringError  # noqa: E402
from tests.frontends.pytorch.ops.harness import check, check_program, lower  # noqa: E402

X = torch.arange(360.0).reshape(3, 4, 5, 6)
IMAGE = torch.randn(2, 3, 8, 9, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    "args", [(2, 2, 1), (2, 2, 2), (3, 3, 3), (3, 2, 3), (0, 3, 1), (-1, 4, 2), (1, 1, 2), (2, 5, 1)]
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bool], ids=str)
def test_unfold(args: tuple, dtype: torch.dtype) -> None:
    check("unfold", X.to(dtype), *args)


def test_unfold_of_rank_0_and_too_far() -> None:
    check("unfold", torch.tensor(2.0), 0, 1, 1)
    check("unfold_copy", X, 0, 2, 1)
    with pytest.raises(LoweringError, match="slides"):
        lower("unfold", (X, 0, 4, 1), {}, free=False)


PATCHES = [
    ([2, 3], [1, 1], [0, 0], [2, 3]),
    ([2, 3], [1, 1], [1, 2], [1, 2]),
    ([3, 2], [2, 1], [0, 1], [2, 2]),
    ([2, 2], [1, 1], [0, 0], [1, 1]),
    ([1, 1], [1, 1], [0, 0], [2, 2]),
    ([5, 5], [1, 1], [1, 3], [5, 5]),
]


@pytest.mark.parametrize("patches", PATCHES)
def test_patches(patches: tuple) -> None:
    for image in (IMAGE, IMAGE[0]):
        check("im2col", image, *patches)
        check("col2im", torch.ops.aten.im2col(image, *patches), [8, 9], *patches)


@pytest.mark.parametrize(
    ("size", "stride", "offset"),
    [([2, 3], [7, 2], 1), ([360], [1], 0), ([3, 4, 5, 6], [120, 30, 6, 1], 0), ([6, 60], [60, 1], None),
    ([4, 5, 2], [6, 6, 1], 3),
     ([2, 2], [0, 1], 0), ([], [], 5)],
)  # fmt: skip
def test_as_strided(size: list[int], stride: list[int], offset: int | None) -> None:
    check("as_strided", X, size, stride, offset)


def test_strides_that_follow_sizes() -> None:
    def windows(call, x):
        rows, columns = call("size", x)
        row, column = call("stride", x)
        return call("as_strided", x, [rows, columns - 2, 3], [row, column, column])

    check_program(windows, X[0, :, :, 0].contiguous())

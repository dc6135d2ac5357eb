"""Padding and cropping against PyTorch."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from nxconvert.frontends.pytorch.table import LoweringError  # noqa: E402
from tests.frontends.pytorch.ops.harness import check, lower  # noqa: E402

X = torch.arange(252.0).reshape(2, 3, 6, 7)
DTYPES = [torch.float32, torch.int64, torch.int32, torch.bool, torch.int16, torch.uint8, torch.float64, torch.float16]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("pad", [[1, 2], [1, 2, -1, 0, 0, 3], [-1, -2], [0, 0, 1, 0], [1, -1, 2, 0], [0, 0], [1] * 8])
def test_constant(dtype: torch.dtype, pad: list[int]) -> None:
    x = X.to(dtype)
    check("constant_pad_nd", x, pad, free=(False,))
    check("constant_pad_nd", x, pad, 1, free=(True,))
    check("pad", x, pad, "constant", 2.5, free=(False,))


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
@pytest.mark.parametrize("pad", [[2, 3], [2, 3, 1, 2], [2, 0], [-1, 2, 1, -2], [-1, -2], [-4, 4], [0, 0, 1, 1], [0, 0]])
def test_of_images(mode: str, pad: list[int]) -> None:
    x = X if len(pad) == 4 else X[0]
    check("pad", x, pad, mode)
    check("pad", x.long(), pad, mode, free=(False,))


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_of_volumes(mode: str) -> None:
    check("pad", X[None], [1, 2, 0, 1, 2, 1], mode)


def test_other_names() -> None:
    check("reflection_pad1d", X[0], [2, 3])
    check("reflection_pad2d", X, [2, 3, 1, 0])
    check("reflection_pad3d", X[None], [2, 3, 1, 0, 1, 1])
    check("replication_pad1d", X[0], [9, 3])
    check("replication_pad2d", X, [1, 9, 2, 3])
    check("replication_pad3d", X[None], [2, 3, 1, 0, 1, 7])
    check("_pad_circular", X, [1, 2, 3, 4])
    for mode in range(4):
        check("_pad_enum", X, [1, 1, 2, 0], mode)


def test_edges() -> None:
    check("constant_pad_nd", X, [1, 1], float("-inf"))
    check("pad", X, [-7, 5, 0, 0], "replicate")
    check("pad", X[:0, 0], [1, 2], "circular", free=(False,))
    check("constant_pad_nd", X[:0], [1, 2], 3)


@pytest.mark.parametrize(("pad", "mode", "why"), [([1, 2], "mirror", "no padding mode"), ([1], "constant", "amounts")])
def test_what_cannot_be(pad: list[int], mode: str, why: str) -> None:
    with pytest.raises(LoweringError, match=why):
        lower("pad", (X, pad, mode), {}, free=False)

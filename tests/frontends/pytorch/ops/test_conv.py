"""Convolutions against PyTorch."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from tests.frontends.pytorch.ops.harness import check  # noqa: E402


def _rand(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    generator = torch.Generator().manual_seed(sum(shape))
    return torch.randn(*shape, generator=generator).to(dtype)


@pytest.mark.parametrize("space", [1, 2, 3])
@pytest.mark.parametrize(
    ("groups", "rest"),
    [
        (1, ()),
        (1, (2, 1)),
        (2, (1, 1, 2, 2)),
        (4, (1, "valid", 1, 4)),
        (1, (1, "same", 1, 1)),
        (1, (1, "same", 3, 1)),
    ],
)
def test_conv(space: int, groups: int, rest: tuple) -> None:
    x, w = _rand(2, 4, *(8, 9, 7)[:space]), _rand(8, 4 // groups, *(3, 2, 3)[:space])
    rest = tuple([r] * space if isinstance(r, int) and i < 3 else r for i, r in enumerate(rest))
    check(f"conv{space}d", x, w, _rand(8), *rest)


@pytest.mark.parametrize("space", [1, 2, 3])
def test_conv_without_batch_and_bias(space: int) -> None:
    check(f"conv{space}d", _rand(4, *(8, 9, 7)[:space]), _rand(8, 4, *[3] * space))
    check(f"conv_transpose{space}d", _rand(4, *(5, 6, 7)[:space]), _rand(4, 2, *[3] * space))


def test_half() -> None:
    x, w = _rand(1, 2, 5, 5, dtype=torch.float16), _rand(3, 2, 3, 3, dtype=torch.float16)
    check("conv2d", x, w, rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("dtype", [torch.float64, torch.int64])
@pytest.mark.parametrize("space", [1, 2, 3])
@pytest.mark.parametrize(("stride", "padding", "groups", "dilation"), [(1, 0, 1, 1), (2, 1, 2, 1), (1, 2, 4, 2)])
def test_dtypes_without_convolution(
    dtype: torch.dtype, space: int, stride: int, padding: int, groups: int, dilation: int
) -> None:
    x, b = (_rand(2, 4, *(5, 6, 7)[:space]) * 5).to(dtype), (_rand(8) * 5).to(dtype)
    w, wt = ((_rand(*shape, *(3, 2, 3)[:space]) * 5).to(dtype) for shape in ((8, 4 // groups), (4, 8 // groups)))
    window = [stride] * space, [padding] * space
    tolerance = {"rtol": 1e-10, "atol": 1e-10}
    check(f"conv{space}d", x, w, b, *window, [dilation] * space, groups, **tolerance)
    check(f"conv_transpose{space}d", x, wt, b, *window, [stride - 1] * space, groups, [dilation] * space, **tolerance)


@pytest.mark.parametrize("space", [1, 2, 3])
@pytest.mark.parametrize(
    ("stride", "padding", "output_padding", "groups", "dilation"),
    [(1, 0, 0, 1, 1), (2, 1, 1, 2, 1), (3, 0, 2, 1, 1), (1, 1, 1, 1, 2), (2, 2, 0, 4, 2), (2, 0, 3, 1, 4)],
)
def test_conv_transpose(space: int, stride: int, padding: int, output_padding: int, groups: int, dilation: int) -> None:
    x, w = _rand(2, 4, *(5, 6, 7)[:space]), _rand(4, 3, *(3, 3, 3)[:space])
    args = [stride] * space, [padding] * space, [output_padding] * space, groups, [dilation] * space
    check(f"conv_transpose{space}d", x, w, _rand(3 * groups), *args)


def test_underlying_operators() -> None:
    x, w, b = _rand(2, 4, 8, 9), _rand(6, 2, 3, 3), _rand(6)
    check("_convolution", x, w, b, [2, 2], [1, 1], [1, 1], False, [0, 0], 2, False, False, True, True)
    check("_convolution", x, w, b, [2, 2], [1, 1], [1, 1], False, [0, 0], 2, False, False, True)
    check("convolution", x, w, None, [1, 2], [1, 0], [1, 2], False, [0, 0], 2)
    check("convolution", x, _rand(4, 3, 3, 3), b, [2, 2], [1, 1], [1, 1], True, [1, 0], 2)
    check("_convolution_mode", x, w, b, [1, 1], "same", [2, 1], 2)
    check("thnn_conv2d", x, _rand(6, 4, 3, 3), [3, 3], b, [2, 2], [1, 1])
    check("slow_conv_dilated2d", x, _rand(6, 4, 3, 3), [3, 3], b, [2, 2], [1, 1], [2, 2])
    check("slow_conv_transpose2d", x, _rand(4, 6, 3, 3), [3, 3], b, [2, 2], [1, 1], [1, 1], [1, 1])
    check("mkldnn_convolution", x, w, b, [1, 1], [2, 2], [1, 1], 2)
    check("conv_tbc", _rand(7, 2, 4), _rand(3, 4, 5), _rand(5), 1)

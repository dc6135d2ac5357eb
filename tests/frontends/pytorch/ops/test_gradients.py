"""The gradients among the core operators against PyTorch."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from tests.frontends.pytorch.ops.harness import check  # noqa: E402

ALL = [True, True, True]


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize("padding_idx", [-1, 2])
@pytest.mark.parametrize("by_frequency", [False, True])
def test_embedding(padding_idx: int, by_frequency: bool) -> None:
    indices = torch.tensor([[1, 2, 1], [0, 2, 4]])
    check("embedding_dense_backward", torch.randn(2, 3, 5), indices, 6, padding_idx, by_frequency)


@pytest.mark.parametrize("size", [(3, 5), (1, 1), (8, 7)])
@pytest.mark.parametrize("batch", [(2,), ()])
def test_adaptive_average(size: tuple[int, int], batch: tuple[int, ...]) -> None:
    check("_adaptive_avg_pool2d_backward", torch.randn(*batch, 3, *size), torch.randn(*batch, 3, 8, 7))


@pytest.mark.parametrize("divisor", [None, 3])
@pytest.mark.parametrize("counted", [False, True])
@pytest.mark.parametrize(
    "kernel, stride, padding, ceil", [([2], [], [0], False), ([3, 2], [2, 2], [1, 1], True), ([3], [2], [1], False)]
)
def test_average(
    kernel: list[int], stride: list[int], padding: list[int], ceil: bool, counted: bool, divisor: int | None
) -> None:
    x = torch.randn(2, 3, 8, 7)
    settings = kernel, stride, padding, ceil, counted, divisor
    grad = torch.randn_like(torch.ops.aten.avg_pool2d(x, *settings))
    check("avg_pool2d_backward", grad, x, *settings)


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("stride, padding, dilation", [([1, 1], [0, 0], [1, 1]), ([2, 3], [1, 2], [2, 1])])
@pytest.mark.parametrize("mask", [ALL, [False, True, False]])
def test_convolution(
    transposed: bool, groups: int, stride: list[int], padding: list[int], dilation: list[int], mask: list[bool]
) -> None:
    x = torch.randn(2, 4, 9, 10)
    weight = torch.randn(4, 6 // groups, 3, 2) if transposed else torch.randn(6, 4 // groups, 3, 2)
    form = stride, padding, dilation, transposed, [0, 0], groups
    grad = torch.randn_like(torch.ops.aten.convolution(x, weight, None, *form))
    check("convolution_backward", grad, x, weight, [6], *form, mask, rtol=1e-3, atol=1e-4, free=(False,))


@pytest.mark.parametrize("shape", [[5], [4, 5]])
@pytest.mark.parametrize("weighted", [False, True])
def test_layer_norm(shape: list[int], weighted: bool) -> None:
    x = torch.randn(3, 4, 5)
    weight, bias = (torch.randn(shape), torch.randn(shape)) if weighted else (None, None)
    _, mean, rstd = torch.ops.aten.native_layer_norm(x, shape, weight, bias, 1e-5)
    mask = [True, weighted, weighted]
    check("native_layer_norm_backward", torch.randn_like(x), x, shape, mean, rstd, weight, bias, mask, atol=1e-4)


@pytest.mark.parametrize("weighted", [False, True])
def test_group_norm(weighted: bool) -> None:
    x, weight = torch.randn(2, 6, 3, 4), torch.randn(6) if weighted else None
    _, mean, rstd = torch.ops.aten.native_group_norm(x, weight, None, 2, 6, 12, 3, 1e-5)
    sizes = 2, 6, 12, 3
    mask = [True, weighted, weighted]
    check(
        "native_group_norm_backward", torch.randn_like(x), x, mean, rstd, weight, *sizes, mask, atol=1e-4, free=(False,)
    )

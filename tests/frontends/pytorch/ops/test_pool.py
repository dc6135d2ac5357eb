"""Pooling against PyTorch."""

from __future__ import annotations

import itertools

import pytest

torch = pytest.importorskip("torch")

from tests.frontends.pytorch.ops.harness import check  # noqa: E402


def _rand(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    generator = torch.Generator().manual_seed(sum(shape))
    return torch.randn(*shape, generator=generator).to(dtype)


def _image(space: int, batch: bool = True) -> torch.Tensor:
    return _rand(*((2, 3) if batch else (3,)), *(11, 8, 9)[:space])


@pytest.mark.parametrize("space", [1, 2, 3])
@pytest.mark.parametrize(
    "window",
    [(2,), (3, 2, 1), (3, 2, 1, 1, True), (2, 3, 0, 1, True), (3, 1, 1, 2), (2, 3, 1, 2, True), (2, [])],
)
def test_max_pool(space: int, window: tuple) -> None:
    kernel, *rest = window
    rest = [[r] * space if type(r) is int else r for r in rest]
    check(f"max_pool{space}d", _image(space), [kernel] * space, *rest)
    check(f"max_pool{space}d_with_indices", _image(space), [kernel] * space, *rest)


@pytest.mark.parametrize("space", [1, 2, 3])
def test_without_batch(space: int) -> None:
    x = _image(space, batch=False)
    check(f"max_pool{space}d", x, [2] * space)
    check(f"max_pool{space}d_with_indices", x, [2] * space)
    check(f"avg_pool{space}d", x, [2] * space)


@pytest.mark.parametrize("dtype", [torch.float64, torch.int64, torch.int32, torch.uint8, torch.float16])
def test_max_pool_dtype(dtype: torch.dtype) -> None:
    check("max_pool2d", _rand(1, 2, 6, 7).mul(10).abs().to(dtype), [2, 2])


@pytest.mark.parametrize("space", [1, 2, 3])
@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "ceil_mode", "count_include_pad"),
    [
        (2, [], 0, False, True),
        (3, 2, 1, False, True),
        (3, 2, 1, False, False),
        *((k, s, k // 2, True, include) for k, s, include in itertools.product([2, 3], [2, 3], [True, False])),
    ],
)
def test_avg_pool(
    space: int, kernel: int, stride: int | list, padding: int, ceil_mode: bool, count_include_pad: bool
) -> None:
    stride = [stride] * space if stride else []
    args = [kernel] * space, stride, [padding] * space, ceil_mode, count_include_pad
    check(f"avg_pool{space}d", _image(space), *args)
    check(f"avg_pool{space}d", _image(space).double(), *args)
    if space == 2:
        check("avg_pool2d", _image(2).mul(10).long(), *args)


@pytest.mark.parametrize("space", [2, 3])
@pytest.mark.parametrize("divisor", [1, 5, 8])
@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "ceil_mode"), [(2, 2, 0, False), (3, 2, 1, True), (2, 3, 1, True)]
)
def test_avg_pool_divisor(space: int, divisor: int, kernel: int, stride: int, padding: int, ceil_mode: bool) -> None:
    args = [kernel] * space, [stride] * space, [padding] * space, ceil_mode, True, divisor
    check(f"avg_pool{space}d", _image(space), *args)
    check(f"avg_pool{space}d", _image(space).double(), *args)


@pytest.mark.parametrize("batch", [True, False])
def test_max_unpool(batch: bool) -> None:
    x = _image(2, batch)
    values, indices = torch.ops.aten.max_pool2d_with_indices(x, [2, 2])
    check("max_unpool2d", values, indices, list(x.shape[-2:]))
    x = _image(3, batch)
    values, indices = torch.ops.aten.max_pool3d_with_indices(x, [2, 2, 2])
    check("max_unpool3d", values, indices, list(x.shape[-3:]), [2, 2, 2], [0, 0, 0])


def test_max_pool_backward() -> None:
    x = _image(2)
    values, indices = torch.ops.aten.max_pool2d_with_indices(x, [3, 3], [1, 1])
    args = [3, 3], [1, 1], [0, 0], [1, 1], False, indices
    check("max_pool2d_with_indices_backward", _rand(*values.shape), x, *args)


@pytest.mark.parametrize("batch", [True, False])
@pytest.mark.parametrize("space, sizes", [(2, [5, 1]), (2, [4, 3]), (3, [4, 3, 2])])
def test_fractional_max_pool(space: int, sizes: list[int], batch: bool) -> None:
    torch.manual_seed(0)
    x = torch.randn(*([2] if batch else []), 3, *[11, 9, 8][:space])
    samples = torch.rand(2 if batch else 1, 3, space)
    check(f"fractional_max_pool{space}d", x, [2, 3, 2][:space], sizes, samples)

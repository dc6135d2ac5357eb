"""Normalisations against PyTorch."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")

from tests.frontends.pytorch.ops.harness import check  # noqa: E402

HALVES = {"rtol": 2e-2, "atol": 2e-2}


def _rand(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    generator = torch.Generator().manual_seed(sum(shape))
    return torch.randn(*shape, generator=generator).to(dtype)


def _channels(count: int, dtype: torch.dtype = torch.float32) -> list[torch.Tensor]:
    """Weight, bias, running mean, running variance."""
    return [_rand(count, dtype=dtype) for _ in range(3)] + [_rand(count, dtype=dtype).abs() + 0.5]


SHAPES = [(5, 4), (2, 4, 6), (2, 4, 5, 3), (2, 4, 3, 2, 2)]


@pytest.mark.parametrize("shape", SHAPES)
def test_batch_norm(shape: tuple[int, ...]) -> None:
    x, (w, b, mean, var) = _rand(*shape), _channels(4)
    check("batch_norm", x, w, b, mean, var, False, 0.1, 1e-5, True)
    check("batch_norm", x, None, None, mean, var, False, 0.1, 1e-3, True)
    check("batch_norm", x, w, b, mean, var, True, 0.1, 1e-5, True)
    check("batch_norm", x, None, b, None, None, True, 0.1, 1e-5, True)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16])
def test_batch_norm_dtypes(dtype: torch.dtype) -> None:
    x = _rand(2, 4, 5, dtype=dtype)
    check("batch_norm", x, *_channels(4, dtype), False, 0.1, 1e-5, True, **HALVES)
    check("batch_norm", x, *_channels(4), False, 0.1, 1e-5, True, **HALVES) if dtype == torch.float16 else None


def test_batch_norm_variants() -> None:
    x, (w, b, mean, var) = _rand(2, 4, 6), _channels(4)
    for training in (False, True):
        check("native_batch_norm", x, w, b, mean, var, training, 0.1, 1e-5)
        check("_native_batch_norm_legit", x, w, b, mean, var, training, 0.1, 1e-5)
        check("_native_batch_norm_legit_functional", x, w, b, mean, var, training, 0.1, 1e-5)
    check("_native_batch_norm_legit", x, w, b, True, 0.1, 1e-5)
    check("_native_batch_norm_legit_no_training", x, w, b, mean, var, 0.1, 1e-5)
    check("_batch_norm_with_update", x, w, b, mean, var, 0.1, 1e-5)
    check("_batch_norm_no_update", x, w, b, mean, var, 0.1, 1e-5)


@pytest.mark.parametrize("shape", SHAPES[1:])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_instance_norm(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    x, (w, b, mean, var) = _rand(*shape, dtype=dtype), _channels(4, dtype)
    check("instance_norm", x, w, b, None, None, True, 0.1, 1e-5, True)
    check("instance_norm", x, None, None, None, None, True, 0.1, 1e-5, True)
    check("instance_norm", x, w, b, mean, var, False, 0.1, 1e-5, True)


@pytest.mark.parametrize("shape", [(3, 4), (2, 4, 6), (2, 4, 5, 3), (1, 4, 3, 2, 2)])
@pytest.mark.parametrize("groups", [1, 2, 4])
def test_group_norm(shape: tuple[int, ...], groups: int) -> None:
    if len(shape) == 2 and groups == 4:
        pytest.skip("PyTorch refuses groups of one element")
    x, (w, b, *_) = _rand(*shape), _channels(4)
    check("group_norm", x, groups, w, b)
    check("group_norm", x, groups, None, None, 1e-3)
    check("group_norm", x.double(), groups, w.double(), b.double())
    count = math.prod(shape[2:])
    check("native_group_norm", x, w, b, shape[0], 4, count, groups, 1e-5, free=(False,))


@pytest.mark.parametrize("count", [1, 2])
def test_layer_norm(count: int) -> None:
    x = _rand(2, 3, 4, 5)
    shape = list(x.shape[-count:])
    w, b = _rand(*shape), _rand(*shape)
    check("layer_norm", x, shape, w, b)
    check("layer_norm", x, shape, w, None, 1e-3)
    check("layer_norm", x, shape, None, b)
    check("layer_norm", x.double(), shape, w.double(), b.double())
    check("layer_norm", x.half(), shape, w.half(), b.half(), **HALVES)
    check("native_layer_norm", x, shape, w, b, 1e-5)
    check("native_layer_norm", x.double(), shape, w.double(), b.double(), 1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16])
def test_rms_norm(dtype: torch.dtype) -> None:
    x, w = _rand(2, 3, 4, dtype=dtype), _rand(4, dtype=dtype)
    tolerance = HALVES if dtype == torch.float16 else {}
    check("rms_norm", x, [4], w, **tolerance)
    check("rms_norm", x * 1e-3, [4], None, **tolerance)
    check("rms_norm", x, [3, 4], None, 1e-3, **tolerance)
    check("_fused_rms_norm", x, [4], w, 1e-5, **tolerance)


@pytest.mark.parametrize("p", [0.5, 1, 2, 3, math.inf])
def test_renorm(p: float) -> None:
    check("renorm", _rand(3, 4, 5), p, 1, 1.5)


@pytest.mark.parametrize("dim", [0, 1, -1])
def test_weight_norm(dim: int) -> None:
    v = _rand(3, 4, 5)
    g = torch.norm_except_dim(v, 2, dim) * 2
    check("_weight_norm", v, g, dim)
    check("norm_except_dim", v, 2, dim)

"""Resampling against PyTorch."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from tests.frontends.pytorch.ops.harness import check, lower  # noqa: E402

LINEAR = {1: "upsample_linear1d", 2: "upsample_bilinear2d", 3: "upsample_trilinear3d"}


def _image(space: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    generator = torch.Generator().manual_seed(space)
    return torch.randn(2, 3, *(7, 5, 4)[:space], generator=generator).to(dtype)


SIZES = [(14, 10, 8), (3, 2, 5), (7, 5, 4), (1, 13, 2), (21, 1, 3)]
FACTORS = [2.0, 0.5, 1.5, 3.0, 1.1, 0.7]


@pytest.mark.parametrize("space", [1, 2, 3])
@pytest.mark.parametrize("sizes", SIZES)
def test_sizes(space: int, sizes: tuple[int, ...]) -> None:
    size = list(sizes[:space])
    for name in (f"upsample_nearest{space}d", f"_upsample_nearest_exact{space}d"):
        check(name, _image(space), size)
        check(name, _image(space), size, None)
    for align in (False, True):
        check(LINEAR[space], _image(space), size, align, atol=1e-4)
        if space == 2:
            check("upsample_bicubic2d", _image(2), size, align, atol=1e-4)


@pytest.mark.parametrize("space", [1, 2, 3])
@pytest.mark.parametrize("factor", FACTORS)
def test_factors(space: int, factor: float) -> None:
    scales = [factor, 2.0, factor][:space]
    # With free sizes, ONNX Runtime's shortcut for an image that keeps its size cannot be avoided.
    free = {"free": (False,)} if factor == 1.1 else {}
    for name in (f"upsample_nearest{space}d", f"_upsample_nearest_exact{space}d"):
        check(name, _image(space), None, scales, **free)
    for align in (False, True):
        check(LINEAR[space], _image(space), None, align, scales, atol=1e-4, **free)
        if space == 2:
            check("upsample_bicubic2d", _image(2), None, align, scales, atol=1e-4, **free)


@pytest.mark.parametrize("kind", ["bilinear", "bicubic", "lanczos"])
@pytest.mark.parametrize("align", [False, True])
def test_smoothing(kind: str, align: bool) -> None:
    x = torch.randn(2, 3, 17, 13, generator=torch.Generator().manual_seed(0))
    if kind == "lanczos" and not hasattr(torch.ops.aten, "_upsample_lanczos2d_aa"):
        pytest.skip("this PyTorch has no lanczos")
    for size in ([8, 6], [5, 20], [1, 1], [34, 26]):
        check(f"_upsample_{kind}2d_aa", x, size, align, atol=1e-4)
    check(f"_upsample_{kind}2d_aa", x, None, align, [0.5, 0.3], atol=1e-4)
    check(f"_upsample_{kind}2d_aa", x.double(), [8, 6], align, atol=1e-4)


@pytest.mark.parametrize("name", ["upsample_nearest2d", "_upsample_nearest_exact2d"])
@pytest.mark.parametrize("old", [1, 3, 7, 10, 41, 49])
def test_nearest_rounds_like_pytorch(name: str, old: int) -> None:
    x = torch.arange(4.0 * old).reshape(1, 2, 2, old)
    for new in (1, 2, 5, 13, 49, 2 * old, 3 * old, 49 * old, 100):
        check(name, x, [2, new], free=(False,))
    for factor in (1.7, 2.3, 49.0, 0.9):
        if int(old * factor):
            check(name, x, None, [1.0, factor], free=(False,))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.uint8])
def test_dtypes(dtype: torch.dtype) -> None:
    x = _image(2).mul(50).abs().to(dtype)
    tolerance = {"rtol": 1e-2, "atol": 1e-1} if dtype == torch.float16 else {}
    for name in ("upsample_nearest2d", "_upsample_nearest_exact2d"):
        check(name, x, [9, 3])
    if dtype != torch.uint8:
        check("upsample_bilinear2d", x, [9, 3], False, **tolerance)
        check("upsample_bicubic2d", x, [9, 3], True, **tolerance)


def test_by_name() -> None:
    x = _image(2)
    check("__interpolate", x, [9, 3])
    check("__interpolate", x, 9, None, "bilinear", True, atol=1e-4)
    check("__interpolate", x, None, 1.3, "bilinear", False, True, atol=1e-4)
    check("__interpolate", x, None, [2.0, 1.5], "bicubic", False, None, atol=1e-4)
    check("__interpolate", x, None, [2.0, 1.5], "bicubic", False, False, atol=1e-4)
    check("__interpolate", x, [3, 3], None, "area")
    check("__interpolate", x, None, 0.5, "area")
    check("__upsample_nearest", x, 9)
    check("__upsample_bilinear", x, [9, 4], atol=1e-4)
    check("__upsample", x, [9, 4], None, "nearest")


@pytest.mark.parametrize("free", [False, True])
def test_doubling_is_one_node(free: bool) -> None:
    for name, rest in (("upsample_nearest2d", ()), ("upsample_bilinear2d", (False,)), ("upsample_bicubic2d", (True,))):
        model, _, _ = lower(name, (_image(2), None, *rest, [2.0, 2.0]), {}, free=free)
        assert [node.op_type for node in model.graph] == ["Resize"]

"""Products of vectors and matrices against PyTorch."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from tests.frontends.pytorch.ops.harness import check  # noqa: E402


def _rand(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    generator = torch.Generator().manual_seed(sum(shape))
    return (torch.randn(shape, generator=generator) * (1 if dtype.is_floating_point else 5)).to(dtype)


DTYPES = [torch.float32, torch.float64, torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8]


@pytest.mark.parametrize("shape", [(4,), (3, 4), (2, 3, 4), (2, 1, 3, 4)])
def test_linear(shape: tuple[int, ...]) -> None:
    check("linear", _rand(*shape), _rand(5, 4), _rand(5))
    check("linear", _rand(*shape), _rand(5, 4))
    check("linear", _rand(*shape, dtype=torch.int64), _rand(5, 4, dtype=torch.int64))
    if len(shape) != 2:
        check("linear", _rand(*shape), _rand(4), _rand())


@pytest.mark.parametrize("left", [(4,), (3, 4), (2, 3, 4), (5, 2, 3, 4), (5, 1, 3, 4)])
@pytest.mark.parametrize("right", [(4,), (4, 6), (2, 4, 6), (5, 1, 4, 6)])
def test_matmul(left: tuple[int, ...], right: tuple[int, ...]) -> None:
    check("matmul", _rand(*left), _rand(*right))


@pytest.mark.parametrize("dtype", DTYPES)
def test_dtypes(dtype: torch.dtype) -> None:
    a, b = _rand(3, 4, dtype=dtype), _rand(4, 5, dtype=dtype)
    check("matmul", a, b)
    check("mm", a, b)
    check("bmm", a[None], b[None])
    check("mv", a, b[:, 0].contiguous())
    check("dot", a[0], b[:, 0].contiguous())
    check("vdot", a[0], b[:, 0].contiguous())
    check("outer", a[0], b[0])
    check("inner", a, b.T.contiguous())
    check("addmm", _rand(5, dtype=dtype), a, b, beta=2, alpha=3)
    check("addmv", _rand(3, dtype=dtype), a, b[:, 0].contiguous(), beta=2, alpha=3)
    check("addr", _rand(4, 5, dtype=dtype), a[0], b[0], beta=2, alpha=3)
    check("baddbmm", _rand(1, 3, 5, dtype=dtype), a[None], b[None], beta=2, alpha=3)
    check("addbmm", _rand(3, 5, dtype=dtype), _rand(2, 3, 4, dtype=dtype), _rand(2, 4, 5, dtype=dtype), alpha=2)
    check("linalg_multi_dot", [a, b, b.T.contiguous(), b[:, 0].contiguous()])


@pytest.mark.parametrize("shape", [(), (1,), (5,), (3, 1), (1, 5), (3, 5)])
def test_addmm(shape: tuple[int, ...]) -> None:
    check("addmm", _rand(*shape), _rand(3, 4), _rand(4, 5))
    check("addmm", _rand(*shape), _rand(3, 4), _rand(4, 5), beta=0.5, alpha=1.5)
    check("_addmm_activation", _rand(*shape), _rand(3, 4), _rand(4, 5), use_gelu=True)


def test_addend_without_weight() -> None:
    nan = torch.full((3, 5), float("nan"))
    check("addmm", nan, _rand(3, 4), _rand(4, 5), beta=0)
    check("baddbmm", nan[None], _rand(1, 3, 4), _rand(1, 4, 5), beta=0, alpha=2.5)


def test_wide_results() -> None:
    a, b = _rand(3, 4, dtype=torch.int8), _rand(4, 5, dtype=torch.int8)
    check("_int_mm", *(torch.zeros(17 if i == 0 else 8, 8, dtype=torch.int8) + 100 for i in range(2)))
    check("chain_matmul", [a.float(), b.float()])
    check("ger", a[0], b[:, 0].contiguous())


@pytest.mark.parametrize("left", [(), (4,), (3, 4)])
@pytest.mark.parametrize("right", [(4,), (5, 4), (2, 3, 4)])
def test_inner(left: tuple[int, ...], right: tuple[int, ...]) -> None:
    if not left:
        right = ()
    check("inner", _rand(*left), _rand(*right))

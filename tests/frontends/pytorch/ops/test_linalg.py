"""Determinants, inverses, systems and factorisations against PyTorch."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from tests.frontends.pytorch.ops.harness import check  # noqa: E402

BATCHES = [(), (2,), (2, 1)]
LOOSE = {"rtol": 1e-3, "atol": 1e-4}


def _rand(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape))).to(dtype)


def _positive(*batch: int, size: int = 4) -> torch.Tensor:
    a = _rand(*batch, size, size)
    return a @ a.mT + torch.eye(size)


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_determinants(batch: tuple[int, ...], dtype: torch.dtype) -> None:
    for size in (1, 2, 5):
        a = _rand(*batch, size, size, dtype=dtype)
        check("linalg_det", a, **LOOSE)
        check("linalg_slogdet", a, **LOOSE)
    check("logdet", _positive(*batch).to(dtype), **LOOSE)


@pytest.mark.parametrize("batch", BATCHES)
def test_systems(batch: tuple[int, ...]) -> None:
    a, b = _rand(*batch, 4, 4), _rand(*batch, 4, 3)
    check("linalg_inv", a, **LOOSE)
    check("linalg_inv_ex", a.double(), **LOOSE)
    check("linalg_solve", a, b, **LOOSE)
    check("linalg_solve", a, b.mT.contiguous(), left=False, **LOOSE)
    check("linalg_solve", a, _rand(4), **LOOSE)
    check("linalg_solve_ex", a, _rand(*batch, 4), free=(False,), **LOOSE)
    check("linalg_tensorinv", _rand(2, 3, 6), 2, free=(False,), **LOOSE)
    check("linalg_tensorsolve", _rand(2, 3, 6), _rand(2, 3), free=(False,), **LOOSE)


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("upper", [False, True])
@pytest.mark.parametrize("unit", [False, True])
def test_triangles(batch: tuple[int, ...], upper: bool, unit: bool) -> None:
    a, b = _rand(*batch, 4, 4) + 3 * torch.eye(4), _rand(4, 3)
    a = a.triu() if upper else a.tril()
    check("linalg_solve_triangular", a, b, upper=upper, unitriangular=unit, **LOOSE)
    check("linalg_solve_triangular", a, b.T.contiguous(), upper=upper, left=False, unitriangular=unit, **LOOSE)
    check("triangular_solve", b, a, upper, not unit, unit, **LOOSE)


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("shape", [(4, 4), (3, 5), (5, 3), (1, 1)])
def test_lu(batch: tuple[int, ...], shape: tuple[int, int]) -> None:
    a = _rand(*batch, *shape)
    check("linalg_lu", a, **LOOSE)
    check("linalg_lu_factor_ex", a, **LOOSE)
    check("_lu_with_info", a, **LOOSE)
    factors, pivots = torch.linalg.lu_factor(a)
    check("lu_unpack", factors, pivots, **LOOSE)
    if shape[0] == shape[1]:
        check("lu_solve", _rand(*batch, shape[0], 2), factors, pivots, **LOOSE)
        for adjoint in (False, True):
            check("linalg_lu_solve", factors, pivots, _rand(*batch, shape[0], 2), adjoint=adjoint, **LOOSE)
            check("linalg_lu_solve", factors, pivots, _rand(*batch, 2, shape[0]), left=False, adjoint=adjoint, **LOOSE)


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("upper", [False, True])
def test_cholesky(batch: tuple[int, ...], upper: bool) -> None:
    a = _positive(*batch)
    check("linalg_cholesky", a.triu() if upper else a.tril(), upper=upper)
    check("cholesky", a, upper)
    check("linalg_cholesky_ex", a.double(), upper=upper)
    factor = torch.linalg.cholesky(a, upper=upper)
    check("cholesky_solve", _rand(*batch, 4, 2), factor, upper, **LOOSE)
    check("cholesky_inverse", factor, upper, **LOOSE)


@pytest.mark.parametrize("batch", BATCHES)
def test_powers(batch: tuple[int, ...]) -> None:
    a = _rand(*batch, 3, 3)
    for n in (-2, 0, 1, 2, 5):
        check("linalg_matrix_power", a, n, **LOOSE)
    check("linalg_matrix_exp", a, **LOOSE)
    check("linalg_matrix_exp", a * 10, rtol=1e-2)
    check("linalg_matrix_exp", a.double() * 1e-3, rtol=1e-9)


def test_small_ones() -> None:
    check("linalg_vander", _rand(2, 4))
    check("linalg_vander", _rand(4), N=6)
    check("linalg_vander", _rand(), N=2)
    check("linalg_vander", torch.tensor([1, -2, 3]), N=4)
    check("linalg_diagonal", _rand(2, 3, 4), offset=1)

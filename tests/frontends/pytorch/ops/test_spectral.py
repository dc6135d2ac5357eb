"""QR, eigenvalues and singular values against PyTorch; the signs of vectors are free."""

from __future__ import annotations

import math
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from tests.frontends.pytorch.ops.harness import check, check_program  # noqa: E402

BATCHES = [(), (2,), (2, 1)]
LOOSE = {"rtol": 1e-3, "atol": 1e-4}


def _rand(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape))).to(dtype)


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("shape", [(4, 4), (5, 3), (3, 5), (1, 1)])
def test_qr(batch: tuple[int, ...], shape: tuple[int, int]) -> None:
    a = _rand(*batch, *shape)
    check("geqrf", a, **LOOSE)
    for mode in ("reduced", "complete"):
        check("linalg_qr", a, mode, **LOOSE)
    check("qr", a.double(), True, **LOOSE)
    if shape[0] >= shape[1]:
        vectors, tau = torch.geqrf(a)
        check("linalg_householder_product", vectors, tau, **LOOSE)
        check("orgqr", vectors, tau, **LOOSE)


@pytest.mark.parametrize("transpose", [False, True])
@pytest.mark.parametrize("left", [False, True])
def test_ormqr(left: bool, transpose: bool) -> None:
    vectors, tau = torch.geqrf(_rand(2, 5, 3))
    check("ormqr", vectors, tau, _rand(2, 5, 4) if left else _rand(2, 4, 5), left, transpose, **LOOSE)


def test_triangular_matrix_has_no_reflections() -> None:
    check("geqrf", _rand(4, 4).triu())


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("size", [1, 2, 5])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_eigenvalues(batch: tuple[int, ...], size: int, dtype: torch.dtype) -> None:
    a = _rand(*batch, size, size, dtype=dtype)
    check("linalg_eigvalsh", a, **LOOSE)
    check("linalg_eigvalsh", a, "U", **LOOSE)
    check("linalg_svdvals", a, free=(False,), **LOOSE)

    def vectors(call: Any, a: Any) -> Any:
        return call("abs", call("linalg_eigh", a)[1])

    check_program(vectors, a, **LOOSE)


def test_eigenvalues_that_come_twice() -> None:
    """As those of a Hermitian matrix written as a real one."""
    x, y = _rand(6, 6), _rand(6, 6).flip(0)
    x, y = x + x.mT, y - y.mT
    doubled = torch.cat([torch.cat([x, -y], 1), torch.cat([y, x], 1)])
    check("linalg_eigvalsh", doubled, **LOOSE)
    check("linalg_svdvals", doubled, free=(False,), **LOOSE)


def test_repeated_eigenvalues() -> None:
    check("linalg_eigvalsh", torch.eye(4))
    check("linalg_eigvalsh", torch.ones(4, 4), **LOOSE)
    check("linalg_svdvals", torch.ones(4, 3), free=(False,), **LOOSE)
    check("linalg_svdvals", torch.zeros(4, 3), free=(False,), **LOOSE)


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("shape", [(4, 4), (5, 3), (3, 5)])
@pytest.mark.parametrize("full", [False, True])
def test_svd(batch: tuple[int, ...], shape: tuple[int, int], full: bool) -> None:
    a = _rand(*batch, *shape)

    def rebuilt(call: Any, a: Any) -> Any:
        u, values, vh = call("linalg_svd", a, full)
        left = call("narrow", u, -1, 0, 3) if full and 3 in shape else u
        right = call("narrow", vh, -2, 0, 3) if full and 3 in shape else vh
        product = call("matmul", call("mul", left, call("unsqueeze", values, -2)), right)
        gram = call("matmul", call("transpose", u, -1, -2), u)
        return product, gram, values

    check_program(rebuilt, a, free=(False,), **LOOSE)


@pytest.mark.parametrize("batch", BATCHES)
def test_ranks_and_pseudo_inverses(batch: tuple[int, ...]) -> None:
    known = {"free": (False,), **LOOSE}
    a = _rand(*batch, 5, 2) @ _rand(2, 4)
    check("linalg_matrix_rank", a, **known)
    check("linalg_matrix_rank", a, 0.5, **known)
    check_program(lambda call, a: call("linalg_matrix_rank", a, atol=0.5, rtol=0.1), a, **known)
    check("linalg_matrix_rank", a[..., :4, :] + a[..., :4, :].mT, hermitian=True, **known)
    check_program(lambda call, a: call("linalg_pinv", a, rtol=1e-3), a, **known)
    check("linalg_pinv", a, 1e-3, **known)
    tolerances = torch.tensor(1e-2), torch.tensor(1e-3)
    check_program(lambda call, a, t, r: call("linalg_pinv", a, atol=t, rtol=r), a, *tolerances, **known)
    check("pinverse", _rand(*batch, 4, 3), **known)
    for driver in (None, "gels", "gelsd"):
        check("linalg_lstsq", _rand(*batch, 5, 3), _rand(*batch, 5, 2), driver=driver, **known)
        check("linalg_lstsq", _rand(*batch, 3, 5), _rand(*batch, 3, 2), driver=driver, **known)


@pytest.mark.parametrize("p", [None, 2, -2, 1, -1, math.inf, "fro", "nuc"])
def test_cond(p: Any) -> None:
    check("linalg_cond", _rand(2, 4, 4), p, free=(False,), **LOOSE)

"""Factors of symmetric matrices against PyTorch, with blocks of 1 and 2."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from tests.frontends.pytorch.ops.harness import check  # noqa: E402

LOOSE = {"rtol": 1e-3, "atol": 1e-4}


def _symmetric(*batch: int, size: int, seed: int, hollow: bool) -> torch.Tensor:
    a = torch.randn(*batch, size, size, generator=torch.Generator().manual_seed(seed))
    a = a + a.mT
    return a - torch.diag_embed(torch.diagonal(a, dim1=-2, dim2=-1)) if hollow else a


@pytest.mark.parametrize("batch", [(), (3,), (2, 1)])
@pytest.mark.parametrize("size", [1, 2, 3, 6])
@pytest.mark.parametrize("hollow", [False, True])
def test_factors_and_systems(batch: tuple[int, ...], size: int, hollow: bool) -> None:
    if size == 1 and hollow:
        pytest.skip("singular")
    for seed in range(2):
        a = _symmetric(*batch, size=size, seed=seed, hollow=hollow and size % 2 == 0)
        check("linalg_ldl_factor", a, **LOOSE)
        check("linalg_ldl_factor_ex", a.tril() if seed else a.double(), **LOOSE)
        factors, pivots = torch.linalg.ldl_factor(a)
        b = torch.randn(*batch, size, 2, generator=torch.Generator().manual_seed(9))
        check("linalg_ldl_solve", factors, pivots, b, rtol=1e-2, atol=1e-3)

"""Special functions against PyTorch, whose own float32 kernels are exact to about 1e-6."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")

from tests.frontends.pytorch.ops.harness import check  # noqa: E402

WIDE = torch.cat([torch.linspace(-30, 30, 61), torch.tensor([0.3, -0.7, 1e-3, 75.5, 120.0])])
RIGHT = torch.tensor([1e-4, 0.02, 0.3, 1.0, 2.0, 3.7, 9.0, 17.5, 40.0, 49.9, 50.1, 80.0])
PROBABILITIES = torch.tensor([0.0, 1e-30, 1e-8, 0.01, 0.3, 0.5, 0.77, 0.999, 1.0])
INTEGERS = torch.tensor([[1, 2, 5], [3, 4, 9]])

EVERYWHERE = """special_bessel_j0 special_bessel_j1 special_i0e special_i1e special_spherical_bessel_j0 special_ndtr
    special_log_ndtr special_erf special_expit special_sinc"""
GROWING = """i0 special_i1 special_modified_bessel_i0 special_modified_bessel_i1 special_airy_ai special_erfcx"""
RIGHT_OF_ZERO = """special_bessel_y0 special_bessel_y1 special_modified_bessel_k0 special_modified_bessel_k1
    special_scaled_modified_bessel_k0 special_scaled_modified_bessel_k1 special_entr"""


@pytest.mark.parametrize(
    "name",
    EVERYWHERE.split(),
)
def test_everywhere(name: str) -> None:
    check(name, WIDE)
    check(name, WIDE.double())
    check(name, INTEGERS)


@pytest.mark.parametrize("name", GROWING.split())
def test_growing(name: str) -> None:
    check(name, torch.linspace(-8, 8, 33))
    check(name, torch.tensor([-14.0, -40.3, 0.0]) if name == "special_airy_ai" else torch.tensor([0.0, 20.0]))


@pytest.mark.parametrize(
    "name",
    RIGHT_OF_ZERO.split(),
)
def test_right_of_zero(name: str) -> None:
    check(name, RIGHT)
    check(name, torch.tensor([0.0, -1.0]))


@pytest.mark.parametrize("name", ["lgamma", "digamma", "special_gammaln", "special_psi"])
def test_gamma(name: str) -> None:
    check(name, torch.tensor([0.01, 0.5, 1.0, 1.46, 2.0, 7.3, 1e4, -0.5, -2.7, -7.01]))
    check(name, torch.tensor([0.0, -1.0, -5.0]))
    check(name, INTEGERS)
    check(name, RIGHT.double())


@pytest.mark.parametrize("order", [0, 1, 2, 4])
def test_polygamma(order: int) -> None:
    check("polygamma", order, RIGHT)
    check("special_polygamma", order, INTEGERS)
    if order < 2:
        check("polygamma", order, torch.tensor([-0.3, -2.6]))


def test_more_gamma() -> None:
    check("mvlgamma", RIGHT + 3, 3)
    check("special_multigammaln", INTEGERS + 2, 2)
    check("special_zeta", torch.tensor([2.0, 1.5, 5.0, 1.0, 0.5, 3.0]), torch.tensor([1.0, 0.5, 3.0, 2.0, 1.0, 0.0]))
    check("special_zeta", 2.0, RIGHT)
    check("special_zeta", RIGHT[4:], 1.5)


@pytest.mark.parametrize("name", ["igamma", "igammac", "special_gammainc", "special_gammaincc"])
def test_incomplete_gamma(name: str) -> None:
    a, x = torch.meshgrid(
        torch.tensor([0.1, 1.0, 4.5, 30.0, 90.0]), torch.tensor([0.0, 0.2, 5.0, 31.0, 150.0]), indexing="ij"
    )
    check(name, a.contiguous(), x.contiguous())
    check(name, torch.tensor([-1.0, 1.0]), torch.tensor([1.0, -1.0]))


def test_inverses() -> None:
    check("erfinv", torch.tensor([-1.0, -0.999, -0.5, 0.0, 1e-6, 0.3, 0.97, 1.0, 1.5]))
    check("special_ndtri", PROBABILITIES)
    check("special_logit", PROBABILITIES[3:-1], 1e-3)


@pytest.mark.parametrize("name", ["xlogy", "special_xlog1py"])
def test_times_logarithm(name: str) -> None:
    check(name, torch.tensor([0.0, 1.5, 2.0, 0.0]), torch.tensor([0.0, 2.0, 0.5, math.nan]))
    check(name, 2.0, RIGHT)
    check(name, RIGHT, 3)


FAMILIES = """chebyshev_polynomial_t chebyshev_polynomial_u chebyshev_polynomial_v chebyshev_polynomial_w
    shifted_chebyshev_polynomial_t shifted_chebyshev_polynomial_u shifted_chebyshev_polynomial_v
    shifted_chebyshev_polynomial_w legendre_polynomial_p laguerre_polynomial_l hermite_polynomial_h
    hermite_polynomial_he"""


@pytest.mark.parametrize("name", FAMILIES.split())
def test_polynomials(name: str) -> None:
    x = torch.tensor([[-0.9], [0.1], [0.95], [1.7]])
    check(f"special_{name}", x, torch.tensor([-1, 0, 1, 2, 5]))
    check(f"special_{name}", x, 3)
    check(f"special_{name}", 0.3, torch.tensor([0.0, 4.0, 7.0]))
    check(f"special_{name}", torch.zeros(0, 2), torch.zeros(2))

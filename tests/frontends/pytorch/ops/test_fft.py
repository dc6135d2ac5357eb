"""Fourier transforms and complex arithmetic against PyTorch."""

from __future__ import annotations

from typing import Any

import pytest

from nxconvert.frontends.pytorch.views import write_back
from tests.frontends.pytorch.ops.harness import check, check_program

torch = pytest.importorskip("torch")


def real(*shape: int, **options: Any) -> Any:
    torch.manual_seed(0)
    return torch.randn(shape, **options)


def complex_(*shape: int, dtype: Any = torch.complex64) -> Any:
    torch.manual_seed(1)
    return torch.randn(shape, dtype=dtype)


ONE = ["fft_fft", "fft_ifft", "fft_irfft", "fft_hfft"]
REAL = ["fft_rfft", "fft_ihfft", "fft_fft", "fft_ifft"]


@pytest.mark.parametrize("name", ONE)
@pytest.mark.parametrize("length", [None, 6, 9, 5])
@pytest.mark.parametrize(("dim", "norm"), [(-1, None), (0, "ortho"), (1, "forward"), (-1, "backward")])
def test_complex_transforms(name: str, length: int | None, dim: int, norm: str | None) -> None:
    check(name, complex_(7, 6, 5), length, dim, norm)


@pytest.mark.parametrize("name", REAL)
@pytest.mark.parametrize("length", [None, 6, 9, 5])
@pytest.mark.parametrize(("dim", "norm"), [(-1, None), (0, "ortho"), (1, "forward")])
def test_real_transforms(name: str, length: int | None, dim: int, norm: str | None) -> None:
    check(name, real(7, 6, 5), length, dim, norm)


@pytest.mark.parametrize("name", ["fft_irfft", "fft_hfft"])
def test_real_numbers_as_half_a_spectrum(name: str) -> None:
    check(name, real(3, 5))


@pytest.mark.parametrize("name", [name + suffix for name in [*ONE, "fft_rfft", "fft_ihfft"] for suffix in ("2", "n")])
@pytest.mark.parametrize("s", [None, [4, 6], [-1, 5]])
@pytest.mark.parametrize("norm", [None, "ortho"])
def test_several_axes(name: str, s: Any, norm: str | None) -> None:
    x = real(3, 4, 5) if ("rfft" in name and "irfft" not in name) or "ihfft" in name else complex_(3, 4, 5)
    check(name, x, s, norm=norm)
    if s is None:
        check(name, x, None, [0, 2], norm)


@pytest.mark.parametrize("name", ["fft_fft", "fft_ifft"])
@pytest.mark.parametrize("length", [100, 513, 1024])
def test_long_transforms(name: str, length: int) -> None:
    check(name, complex_(2, length), atol=1e-3, free=(False,))


@pytest.mark.parametrize("length", [100, 601, 1024])
def test_long_real_transforms(length: int) -> None:
    check("fft_rfft", real(2, length), atol=1e-3, free=(False,))
    check("fft_irfft", complex_(2, length // 2 + 1), length, atol=1e-3, free=(False,))


def test_integers_and_doubles() -> None:
    check("fft_rfft", torch.arange(12).reshape(2, 6), atol=1e-4)
    check("fft_fft", real(2, 6, dtype=torch.float64))


@pytest.mark.parametrize("forward", [False, True])
def test_internal_forms(forward: bool) -> None:
    check("_fft_c2c", complex_(3, 4), [0, 1], 2, forward)
    check("_fft_r2c", real(3, 4), [0, 1], 0, forward)
    check("_fft_c2r", complex_(3, 4), [0, 1], 1, 6)


@pytest.mark.parametrize("dim", [None, [1], [0, -1]])
def test_shifts(dim: Any) -> None:
    for name in ("fft_fftshift", "fft_ifftshift"):
        check(name, real(3, 4, 5), dim)
        check(name, complex_(3, 4, 5), dim)


@pytest.mark.parametrize("n", [6, 7])
def test_frequencies(n: int) -> None:
    check("fft_fftfreq", n, 0.5)
    check("fft_rfftfreq", n)


# ---- complex arithmetic ----------------------------------------------------------------------------------------------

UNARY = [
    "abs", "angle", "real", "imag", "conj", "conj_physical", "resolve_conj", "view_as_real", "neg", "exp", "log",
    "sqrt", "sgn", "reciprocal", "square", "sum", "mean", "clone", "detach", "trace",
]  # fmt: skip


@pytest.mark.parametrize("name", UNARY)
def test_functions(name: str) -> None:
    check(name, complex_(4, 4), atol=1e-4)


@pytest.mark.parametrize("name", ["add", "sub", "mul", "div", "rsub"])
@pytest.mark.parametrize("other", [complex_(4).flip(0), real(3, 1), 2.5, real(4, dtype=torch.float64)])
def test_arithmetic(name: str, other: Any) -> None:
    check(name, complex_(3, 4), other)
    if isinstance(other, torch.Tensor) and name != "rsub":
        check(name, other, complex_(3, 4))


def test_arithmetic_with_a_factor() -> None:
    check("add", complex_(3, 4), complex_(4), alpha=2)
    check("sub", real(3, 4), complex_(4), alpha=0.5)


@pytest.mark.parametrize("exponent", [1, 2, 3, -1, 0.5, 7])
def test_powers(exponent: float) -> None:
    check("pow", complex_(3, 4), exponent, rtol=1e-3)


@pytest.mark.parametrize("name", ["matmul", "mm", "dot", "outer"])
def test_products(name: str) -> None:
    shape = (4,) if name in ("dot", "outer") else (4, 4)
    check(name, complex_(*shape), complex_(*shape).flip(0))


def test_comparison() -> None:
    check("eq", complex_(4, 4), complex_(4, 4).flip(0))
    check("ne", complex_(4, 4), real(4, 4))


MOVED: dict[str, tuple[Any, ...]] = {
    "permute": ([1, 0],),
    "reshape": ([-1],),
    "select": (0, 1),
    "slice": (1, 1, 3),
    "cumsum": (0,),
    "flip": ([0],),
    "unsqueeze": (0,),
    "expand": ([2, 3, 4],),
    "chunk": (2, 1),
    "index_select": (0, torch.tensor([2, 0])),
    "roll": ([1], [0]),
    "sum": ([1], True),
    "linalg_vector_norm": (),
}


@pytest.mark.parametrize("name", MOVED)
def test_moving(name: str) -> None:
    check(name, complex_(3, 4), *MOVED[name])


def test_joining_real_and_complex() -> None:
    check("stack", [complex_(3), complex_(3).flip(0)], 1)
    check("where", complex_(3).real > 0, complex_(3), complex_(3).flip(0))
    check_program(lambda call, x, y: call("cat", [call("complex", y, y), x], 0), complex_(3), real(2))


def test_filling() -> None:
    """A real number has no imaginary part."""
    check("masked_fill", complex_(3), torch.tensor([True, False, True]), 2.5)
    check("where", torch.tensor([True, False, True]), complex_(3), 2.5)
    check("constant_pad_nd", complex_(3), [1, 2])


def test_contraction() -> None:
    check("einsum", "ij,kj->ik", [complex_(3, 4), complex_(2, 4)])
    check("einsum", "ij->j", [complex_(3, 4)])
    check("adjoint", complex_(3, 4))


def test_created() -> None:
    check("zeros", [2, 3], dtype=torch.complex64)
    check("full", [2], 1.5, dtype=torch.complex128)
    check("ones_like", complex_(3))


def test_made_of_real_tensors() -> None:
    check("complex", real(3, 4), real(3, 4).flip(0))
    check("polar", real(3, 4).abs(), real(3, 4))
    check("view_as_complex", real(3, 4, 2))


def test_dtypes() -> None:
    check("to", complex_(3, 4), torch.complex128)
    check("to", real(3, 4), torch.complex64)
    check("is_complex", complex_(2))


def test_rotary_embedding() -> None:
    """Pairs of features, turned by a table of complex numbers."""

    def program(call: Any, x: Any, table: Any) -> Any:
        z = call("view_as_complex", call("reshape", x, [2, 3, 4, 2]))
        return call("flatten", call("view_as_real", call("mul", z, table)), 2)

    check_program(program, real(2, 3, 8), complex_(3, 4))


def test_writing_to_a_part() -> None:
    """Both parts are written; a real number takes the imaginary part away."""

    def program(call: Any, z: Any, new: Any, real_column: Any) -> Any:
        if isinstance(z, torch.Tensor):
            z = z.clone()
            z[:, 1] = new
            z[:, 2] = real_column
            return z
        z = write_back("select", call.op, z, new, (1, 1), {})
        return write_back("select", call.op, z, real_column, (1, 2), {})

    check_program(program, complex_(3, 4), complex_(3).flip(0), real(3))

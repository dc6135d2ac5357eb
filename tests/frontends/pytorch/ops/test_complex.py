"""Operators on complex tensors against PyTorch; arithmetic and what moves elements are tested with the transforms."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")

from tests.frontends.pytorch.ops.harness import check, check_program  # noqa: E402

LOOSE = {"rtol": 1e-3, "atol": 1e-4}
INF, NAN = float("inf"), float("nan")


def rand(*shape: int, dtype: Any = torch.complex64, seed: int = 0) -> Any:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


# Zeros, the real and the imaginary axis within and beyond the unit circle, and all quadrants.
POINTS = torch.tensor(
    [0, 0.5, -0.5, 2, -3, 0.5j, -0.25j, 2j, -3j, 1 + 2j, -1 + 0.5j, 0.3 - 0.2j, -2 - 1j, 1e-4 + 1e-4j, 9 - 7j]
)
FUNCTIONS = """
    exp exp2 expm1 log1p sqrt rsqrt reciprocal sin cos tan sinh cosh tanh asin acos asinh acosh atanh sigmoid silu sinc
    abs sgn square log log2 log10 atan
"""


@pytest.mark.parametrize("name", FUNCTIONS.split())
@pytest.mark.parametrize("dtype", [torch.complex64, torch.complex128])
def test_functions(name: str, dtype: Any) -> None:
    points = POINTS.to(dtype)
    if name in ("rsqrt", "reciprocal", "log", "log2", "log10"):
        points = points[1:]
    if name == "atan":
        points = points[points != 0.0]
    check(name, points, **LOOSE)


@pytest.mark.parametrize("exponent", [0, 1, 3, -2, 0.5, -1.5, 7, torch.tensor([2.0, -1.0, 0.5]), rand(3), 1.5 - 1j])
def test_powers(exponent: Any) -> None:
    check("pow", rand(2, 3), exponent, **LOOSE)
    check("float_power", rand(2, 3), exponent, **LOOSE)


@pytest.mark.parametrize("base", [2.0, -1.5, torch.tensor([0.0, 3.0, -2.0])])
def test_powers_of_real_numbers(base: Any) -> None:
    check("pow", base, rand(3), **LOOSE)


ODD = torch.tensor([complex(1, 2), complex(NAN, 0), complex(0, NAN), complex(INF, 1), complex(1, -INF), 0, 3])


@pytest.mark.parametrize("name", ["isnan", "isinf", "isfinite", "isreal", "logical_not"])
def test_questions(name: str) -> None:
    check(name, ODD)


@pytest.mark.parametrize("equal_nan", [False, True])
def test_closeness(equal_nan: bool) -> None:
    near = torch.where(torch.arange(7) % 2 == 0, ODD, ODD + 1e-6)
    check("isclose", ODD, near, 1e-5, 1e-8, equal_nan)
    check("allclose", ODD[5:], near[5:])
    check("equal", ODD[5:], near[5:])


def test_what_is_not_zero() -> None:
    x = torch.tensor([[0, 1j, 2], [0, 0, -1 - 1j]])
    for name, args in (("nonzero", ()), ("count_nonzero", ([1],)), ("any", (0,)), ("all", (1,)), ("logical_and", (x,))):
        check(name, x, *args)
    check("to", x, torch.bool)
    check("to", x, torch.float64)


# ---- reductions ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["var", "std", "var_mean", "std_mean"])
def test_spread(name: str) -> None:
    check(name, rand(3, 5), [1], correction=0)
    check(name, rand(3, 5), [0], correction=1, keepdim=True)


@pytest.mark.parametrize("size", [1, 2, 5, 8])
def test_products_along_an_axis(size: int) -> None:
    check("prod", rand(3, size), 1, **LOOSE)
    check("prod", rand(size), **LOOSE)
    check("cumprod", rand(3, size), -1, **LOOSE)


def test_dtypes_of_sums() -> None:
    check("sum", torch.randn(3, 4), [1], dtype=torch.complex64)
    check("cumsum", rand(3, 4), 0, dtype=torch.complex128)


def test_normalisation() -> None:
    """A real norm is spread over complex numbers."""

    def program(call: Any, x: Any) -> Any:
        norm = call("linalg_vector_norm", x, 2.0, [1], True)
        return call("div", x, call("expand_as", call("clamp_min", norm, 1e-12), x))

    check_program(program, rand(3, 4))
    check("renorm", rand(3, 4) * 3, 2, 0, 1.5)
    check("pairwise_distance", rand(3, 4), rand(3, 4, seed=1))
    check("dist", rand(3, 4), rand(4, seed=1))


# ---- created and filled ----------------------------------------------------------------------------------------------


def test_filled() -> None:
    check("full", [2, 3], 1 - 2j, dtype=torch.complex64)
    check("full", [2], 1.5 + 1j)
    check("full_like", rand(3), 2.5)
    check("full_like", rand(3), 2 - 1j)
    check("new_full", rand(3), [2, 2], 1j)
    for name in ("new_zeros", "new_ones"):
        check(name, rand(3, dtype=torch.complex128), [2, 2])
    check("ones_like", rand(2, 3))
    check("eye", 3, dtype=torch.complex64)
    check("linspace", 0, 1, 5, dtype=torch.complex64)


def test_padding_has_no_imaginary_part() -> None:
    check("constant_pad_nd", rand(3), [1, 2], 1.5)
    check("constant_pad_nd", rand(3), [1, 2], 1 - 2j)
    check("pad", rand(2, 3), [1, 1], "constant", 2.0)


def test_written() -> None:
    index = torch.tensor([[0, 2], [1, 0]])
    check("scatter", rand(3, 4), 1, index, rand(2, 2, seed=1))
    check("scatter_add", rand(3, 4), 1, index, rand(2, 2, seed=1))
    check("index_copy", rand(3, 4), 0, torch.tensor([2, 0]), rand(2, 4, seed=1))
    check("index_add", rand(3, 4), 0, torch.tensor([2, 0]), rand(2, 4, seed=1))
    check("index_fill", rand(3, 4), 0, torch.tensor([2, 0]), 1.5)
    check("select_scatter", rand(3, 4), rand(4, seed=1), 0, 1)
    check("masked_scatter", rand(3), torch.tensor([True, False, True]), rand(3, seed=1))


def test_several_tensors() -> None:
    """Real ones among them stay real where they only move; where they are joined, the wider parts count."""
    check("broadcast_tensors", [rand(3, 1), torch.randn(4)])
    check("block_diag", [rand(2, 2), torch.randn(1, 2, dtype=torch.float64)])
    check("meshgrid", [rand(2), rand(3)], indexing="ij")
    check("diff", rand(3, 4), 1, -1, rand(3, 1), rand(3, 2))
    check("trapezoid", rand(3, 4), rand(4))
    check("trapezoid", rand(3, 4), dx=0.5)


# ---- products --------------------------------------------------------------------------------------------------------

M, N, V = rand(3, 4), rand(4, 2, seed=1), rand(4, seed=2)
B = rand(2, 3, 4, seed=3), rand(2, 4, 2, seed=4)


@pytest.mark.parametrize(
    ("name", "args", "kwargs"),
    [
        ("addmm", (rand(2), M, N), {"beta": 0.5, "alpha": 2}), ("addmv", (rand(3), M, V), {}),
        ("baddbmm", (rand(3, 2), *B), {"alpha": 1.5}), ("addbmm", (rand(3, 2), *B), {}),
        ("addr", (rand(3, 4), rand(3), V), {}), ("addcmul", (M, M, M.real), {"value": 0.5}),
        ("addcdiv", (M, M, M + 3), {}), ("lerp", (M, M.flip(0), 0.25), {}), ("vdot", (V, V.flip(0)), {}),
        ("linalg_vecdot", (M, M.flip(0)), {"dim": 0}), ("linalg_multi_dot", ([M, N, rand(2)],), {}),
        ("kron", (M, N), {}), ("tensordot", (M, N, [1], [0]), {}),
        ("linalg_cross", (rand(2, 3), rand(2, 3, seed=1)), {}),
        ("linear", (M, rand(5, 4), rand(5)), {}), ("linear", (M, rand(5, 4)), {}),
        ("conv1d", (rand(1, 2, 9), rand(3, 2, 4), rand(3), [2], [1]), {}),
        ("conv2d", (rand(1, 2, 5, 6), rand(3, 2, 2, 2)), {}),
        ("bmm", B, {}), ("mv", (M, V), {}), ("einsum", ("ij,jk->ki", [M, N]), {}),
    ],
)  # fmt: skip
def test_products(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    check(name, *args, **kwargs, **LOOSE)


# ---- matrices --------------------------------------------------------------------------------------------------------

SQUARE = rand(2, 4, 4) + 2 * torch.eye(4)
HERMITIAN = SQUARE @ SQUARE.mH + torch.eye(4)
PAIRS = [("linalg_inv", 0), ("inverse", 0), ("linalg_matrix_exp", 0), ("linalg_det", 0), ("linalg_slogdet", 0)]


@pytest.mark.parametrize(
    "name", ["linalg_inv", "inverse", "linalg_matrix_exp", "linalg_det", "linalg_slogdet", "logdet"]
)
def test_functions_of_matrices(name: str) -> None:
    check(name, SQUARE, **LOOSE)


def test_determinant_of_a_singular_matrix() -> None:
    check("linalg_det", torch.tensor([[1 + 1j, 2 + 2j], [0.5j, 1j]]))
    check("linalg_det", torch.tensor([[0, 2j, 1], [1, 0, 1j], [3, 1, 1]]))


@pytest.mark.parametrize("power", [0, 1, 3, -2])
def test_matrix_power(power: int) -> None:
    check("linalg_matrix_power", SQUARE, power, **LOOSE)


@pytest.mark.parametrize("left", [True, False])
def test_systems(left: bool) -> None:
    b = rand(2, 4, 3) if left else rand(2, 3, 4)
    check("linalg_solve", SQUARE, b, left=left, free=(False,), **LOOSE)
    for upper in (True, False):
        check("linalg_solve_triangular", SQUARE, b, upper=upper, left=left, free=(False,), **LOOSE)
    check("linalg_solve", SQUARE[0], rand(4), free=(False,), **LOOSE)
    check("linalg_solve", SQUARE, rand(2, 4), free=(False,), **LOOSE)


@pytest.mark.parametrize("upper", [True, False])
def test_cholesky(upper: bool) -> None:
    check("linalg_cholesky", HERMITIAN, upper=upper, **LOOSE)
    factor = torch.linalg.cholesky(HERMITIAN, upper=upper)
    check("cholesky_solve", rand(2, 4, 3), factor, upper, free=(False,), **LOOSE)
    check("cholesky_inverse", factor, upper, free=(False,), **LOOSE)


def test_singular_values_and_eigenvalues() -> None:
    check("linalg_svdvals", rand(3, 5), free=(False,), **LOOSE)
    for triangle in "LU":
        check("linalg_eigvalsh", SQUARE, triangle, free=(False,), **LOOSE)
    check("linalg_pinv", rand(3, 5), 1e-5, free=(False,), **LOOSE)
    check("linalg_pinv", SQUARE, 1e-5, hermitian=True, free=(False,), **LOOSE)
    check("linalg_matrix_rank", rand(3, 1) @ rand(1, 5), 1e-4, free=(False,))


@pytest.mark.parametrize("order", ["fro", "nuc", 2, -2, 1, -1, INF])
@pytest.mark.parametrize("keepdim", [False, True])
def test_matrix_norms(order: Any, keepdim: bool) -> None:
    check("linalg_matrix_norm", rand(2, 3, 5), order, [-2, -1], keepdim, free=(False,), **LOOSE)
    check("linalg_matrix_norm", rand(4, 2, 3), order, [2, 0], keepdim, free=(False,), **LOOSE)
    check("linalg_norm", rand(3, 5), order, None, keepdim, free=(False,), **LOOSE)
    check("linalg_cond", SQUARE, order, free=(False,), **LOOSE)

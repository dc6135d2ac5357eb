"""Products along chosen axes against PyTorch."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from tests.frontends.pytorch.ops.harness import check, lower  # noqa: E402


def _rand(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    generator = torch.Generator().manual_seed(sum(shape))
    return (torch.randn(shape, generator=generator) * (1 if dtype.is_floating_point else 5)).to(dtype)


@pytest.mark.parametrize(
    ("equation", "shapes"),
    [
        ("ij,jk->ik", [(2, 3), (3, 4)]),
        ("bij,bjk->bik", [(5, 2, 3), (5, 3, 4)]),
        ("bhid,bhjd->bhij", [(2, 3, 4, 5), (2, 3, 6, 5)]),
        ("i,j->ij", [(3,), (4,)]),
        ("ij->ji", [(3, 4)]),
        ("ii->i", [(3, 3)]),
        ("ii", [(3, 3)]),
        ("ba", [(3, 4)]),
        ("Zb,bA", [(3, 4), (4, 5)]),
        (" i j , j -> i ", [(3, 4), (4,)]),
        ("...ij,...jk->...ik", [(2, 5, 2, 3), (5, 3, 4)]),
        ("...ij,jk", [(2, 5, 2, 3), (3, 4)]),
        ("i...->...", [(3, 4, 5)]),
        ("...i->i", [(3, 4, 5)]),
        ("a...b,b...->...a", [(3, 4, 5), (5, 4)]),
        ("bn,anm,bm->ba", [(2, 5), (3, 5, 4), (2, 4)]),
        ("bi,bi->b", [(1, 3), (4, 3)]),
        ("ij,->ij", [(3, 4), ()]),
        ("", [()]),
    ],
)
def test_einsum(equation: str, shapes: list[tuple[int, ...]]) -> None:
    check("einsum", equation, [_rand(*shape) for shape in shapes])


@pytest.mark.parametrize("dtype", [torch.float64, torch.int64, torch.int16])
def test_einsum_dtypes(dtype: torch.dtype) -> None:
    check("einsum", "ij,kj->ik", [_rand(2, 3, dtype=dtype), _rand(4, 3, dtype=dtype)])


def test_einsum_may_be_a_matrix_product() -> None:
    model, _, _ = lower("einsum", ("zij,zjk->zik", [_rand(2, 3, 4), _rand(2, 4, 5)]), {}, free=True)
    assert [node.op_type for node in model.graph] == ["MatMul"]


@pytest.mark.parametrize(("dims", "others"), [([2], [0]), ([1, 2], [1, 0]), ([], []), ([-1], [-2])])
def test_tensordot(dims: list[int], others: list[int]) -> None:
    check("tensordot", _rand(2, 3, 4), _rand(4, 3), dims, others)


@pytest.mark.parametrize("batch", [(), (5,), (2, 3)])
def test_bilinear(batch: tuple[int, ...]) -> None:
    check("bilinear", _rand(*batch, 3), _rand(*batch, 4), _rand(6, 3, 4), _rand(6))
    check("bilinear", _rand(*batch, 3), _rand(*batch, 4), _rand(6, 3, 4))


def test_trilinear() -> None:
    check("_trilinear", _rand(5, 3), _rand(6, 3, 4), _rand(5, 4), [1, 3], [0], [1, 2], [2, 3])


@pytest.mark.parametrize("shapes", [((2, 3), (4, 5)), ((2,), (3, 4)), ((2, 1, 3), (5,)), ((), (3,))])
def test_kron(shapes: tuple[tuple[int, ...], ...]) -> None:
    check("kron", *[_rand(*shape) for shape in shapes])
    check("kron", *[_rand(*shape) > 0 for shape in shapes])


def test_cross() -> None:
    check("cross", _rand(2, 3, 3), _rand(2, 3, 3), free=(False,))
    check("cross", _rand(2, 3, 3), _rand(2, 3, 3), 2)
    check("cross", _rand(3, 4), _rand(3, 4), 0)
    check("linalg_cross", _rand(1, 2, 3), _rand(5, 2, 3))
    check("linalg_cross", _rand(3, 4), _rand(3, 4), dim=0)


def test_vecdot() -> None:
    check("linalg_vecdot", _rand(2, 3), _rand(5, 2, 3))
    check("linalg_vecdot", _rand(2, 3), _rand(2, 3), dim=0)

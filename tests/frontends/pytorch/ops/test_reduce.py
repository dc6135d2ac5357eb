"""Reductions against PyTorch."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")

from tests.frontends.pytorch.ops.harness import check  # noqa: E402

X = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(3))
INTEGERS = torch.tensor([[3, -1, 2], [0, 5, 5]])
BOOLS = INTEGERS > 1
SCALAR = torch.tensor(1.5)
WITH_NAN = torch.tensor([[1.0, math.nan, 3.0], [math.nan, math.nan, math.nan]])
EMPTY = torch.zeros(0, 3)


@pytest.mark.parametrize("name", ["sum", "mean", "nansum", "nanmean", "logsumexp", "amax", "amin", "var", "std"])
@pytest.mark.parametrize("dims", [[0], [1, 2], [-1], [0, 1, 2]])
@pytest.mark.parametrize("keepdim", [False, True])
def test_over_axes(name: str, dims: list[int], keepdim: bool) -> None:
    check(name, X, dims, keepdim=keepdim)
    check(name, X.double(), dims, keepdim=keepdim)


@pytest.mark.parametrize(
    "name", ["sum", "mean", "prod", "max", "min", "any", "all", "nansum", "argmax", "argmin", "var", "std"]
)
def test_over_everything(name: str) -> None:
    check(name, X)
    if name not in ("var", "std"):
        check(name, SCALAR)


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.uint8, torch.int16])
def test_integers(dtype: torch.dtype) -> None:
    x = INTEGERS.abs().to(dtype)
    for name in ("sum", "prod", "max", "min", "any", "all", "argmax", "count_nonzero"):
        check(name, x)
    for name in ("amax", "amin", "sum"):
        check(name, x, [1], keepdim=True)
    check("max", x, 1)
    check("mean", x, dtype=torch.float32)


def test_bools() -> None:
    for name in ("sum", "prod", "max", "min", "any", "all", "count_nonzero"):
        check(name, BOOLS)
    check("sum", BOOLS, [1])
    check("amax", BOOLS, [0])


def test_dtypes_asked_for() -> None:
    check("sum", INTEGERS, dtype=torch.float32)
    check("sum", X, [1], dtype=torch.float64)
    check("mean", X.half(), [1], True, dtype=torch.float32)
    check("prod", INTEGERS, 0, dtype=torch.float32)


@pytest.mark.parametrize("name", ["max", "min"])
@pytest.mark.parametrize("keepdim", [False, True])
def test_extremes_with_places(name: str, keepdim: bool) -> None:
    check(name, X, 1, keepdim)
    check(name, X, -1, keepdim)
    check(name, SCALAR, 0, keepdim)
    check(f"arg{name}", X, 1, keepdim)
    check(f"arg{name}", X, None, keepdim)
    check(name, X, X.flip(0))


def test_both_extremes() -> None:
    check("aminmax", X)
    check("aminmax", X, dim=1, keepdim=True)


@pytest.mark.parametrize("name", ["any", "all"])
def test_quantifiers(name: str) -> None:
    check(name, BOOLS, 1)
    check(name, BOOLS, -1, True)
    check(name, X, [0, 1])
    check(name, INTEGERS.to(torch.uint8))
    check(name, EMPTY > 0)
    check(name, EMPTY > 0, 0)


def test_of_nothing() -> None:
    for name in ("sum", "mean", "prod", "nansum", "count_nonzero"):
        check(name, EMPTY)
    check("sum", EMPTY, [0])
    check("mean", EMPTY, [0])


@pytest.mark.parametrize("name", ["var", "std", "var_mean", "std_mean"])
def test_variance(name: str) -> None:
    check(name, X, False)
    check(name, X, True)
    check(name, X, [1], True, True)
    check(name, X, [0, 2], False, False)
    for correction in (0, 1, 2, 1.5, 7):
        check(name, X, [1], correction=correction, keepdim=True)
    check(name, X, None, correction=0)
    check(name, X, correction=None)


def test_nan() -> None:
    check("nansum", WITH_NAN, [1])
    check("nanmean", WITH_NAN, [1])
    check("nanmean", WITH_NAN)
    check("sum", WITH_NAN, [0])


def test_logsumexp() -> None:
    check("logsumexp", torch.tensor([[1000.0, 1000.0], [-math.inf, -math.inf], [math.inf, 0.0]]), [1])
    check("logsumexp", INTEGERS, [0, 1], True)


def test_sum_to_size() -> None:
    check("sum_to_size", X, [3, 1])
    check("sum_to_size", X, [2, 3, 4])

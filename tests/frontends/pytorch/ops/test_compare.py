"""Comparison and logic against PyTorch."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")

from tests.frontends.pytorch.ops.harness import check, lower  # noqa: E402

F = torch.tensor([[1.0, 2.0, -3.0], [0.0, math.nan, math.inf]])
G = torch.tensor([[1.0, 2.5, -3.0], [-0.0, 1.0, math.inf]])
I = torch.tensor([[0, 1, 2], [-3, 4, 0]])  # noqa: E741
B = torch.tensor([[True, False, True], [False, False, True]])
C = torch.tensor([True, True, False])


@pytest.mark.parametrize("name", ["eq", "ne", "lt", "le", "gt", "ge", "greater", "less_equal", "not_equal"])
def test_relations(name: str) -> None:
    check(name, F, G)
    check(name, F, I)
    check(name, I, 1)
    check(name, I, 0.5)
    check(name, I.to(torch.uint8), 3)
    check(name, B, C)
    check(name, F, torch.tensor(1.0))
    check(name, F.half(), 2.0)


@pytest.mark.parametrize("name", ["logical_and", "logical_or", "logical_xor"])
def test_logic(name: str) -> None:
    check(name, B, C)
    check(name, F, I)


@pytest.mark.parametrize("name", ["logical_not", "isnan", "isinf", "isposinf", "isneginf", "isfinite", "isreal"])
def test_kinds_of_numbers(name: str) -> None:
    check(name, F)
    check(name, F.double())
    check(name, I)
    check(name, B)


@pytest.mark.parametrize("equal_nan", [False, True])
def test_isclose(equal_nan: bool) -> None:
    other = torch.tensor([[1.001, 2.0, -3.0], [1e-9, math.nan, math.inf]])
    check("isclose", F, other, 1e-2, 1e-8, equal_nan)
    check("isclose", I, I + 1, 0.3, 0.0)
    check("allclose", F, other, 1e-2, 1e-8, equal_nan)


def test_equal() -> None:
    check("equal", I, I.clone())
    check("equal", I, I + 1)
    check("equal", I, I[:1])
    check("equal", torch.tensor(1), torch.tensor([1]))
    check("is_nonzero", torch.tensor([2.0]))
    check("is_nonzero", torch.tensor(0))


@pytest.mark.parametrize("invert", [False, True])
def test_isin(invert: bool) -> None:
    check("isin", I, torch.tensor([0, 4, 7]), invert=invert)
    check("isin", I, 4, invert=invert)
    check("isin", 4, I, invert=invert)
    check("isin", I, torch.tensor([[0], [2]]), assume_unique=True, invert=invert)
    check("isin", torch.tensor(2.0), torch.tensor([2.0, 3.0]), invert=invert)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.int64, torch.int16, torch.uint8, torch.half])
def test_where(dtype: torch.dtype) -> None:
    a, b = I.to(dtype), (I + 5).to(dtype)
    check("where", B, a, b)
    check("where", C, a, b[0])
    check("where", B, a, 3)
    check("where", B, 3.5, b)


def test_where_of_numbers_and_bools() -> None:
    check("where", B, 1.0, 0.0)
    check("where", B, 1, 0.5)
    check("where", B, I, G)
    for a, b in [(C, ~C), (True, C), (False, C), (C, True), (C, False)]:
        check("where", B, a, b)


def test_where_true() -> None:
    check("where", B)
    check("where", I)
    check("where", F.nan_to_num().double())
    check("where", torch.tensor(3))


def test_sizes_that_differ_are_known() -> None:
    _, _, values = lower("equal", (I, I.reshape(3, 2)), {}, free=False)
    assert values == [False]

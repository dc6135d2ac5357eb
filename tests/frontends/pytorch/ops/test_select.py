"""Slices, diagonals, triangles, flips and rolls against PyTorch."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from nxconvert.frontends.pytorch.dtypes import DataType  # noqa: E402
from nxconvert.frontends.pytorch.table import LoweringError, aten  # noqa: E402
from nxconvert.graph.builder import Builder  # noqa: E402
from nxconvert.graph.dims import Dim  # noqa: E402
from tests.frontends.pytorch.ops.harness import check, lower, run, to_model  # noqa: E402

X = torch.arange(60.0).reshape(3, 4, 5)
DTYPES = [torch.float32, torch.int64, torch.bool, torch.int16, torch.uint8]
END = 2**63 - 1

PARTS = [
    ("select", 1, -1), ("select", 0, 1), ("select_copy", 2, 0),
    ("slice",), ("slice", 1), ("slice", 1, 1), ("slice", 1, 1, None), ("slice", 2, -3, END, 2), ("slice", 2, 3, 1),
    ("slice", 1, -100, 2), ("slice", 1, 0, END), ("slice", 0, 1, -1), ("slice", 2, 4, 100), ("slice_copy", 0, 0, 2),
    ("narrow", 2, 1, 2), ("narrow", 2, -2, 2), ("narrow", 0, 0, 3), ("narrow_copy", 1, 1, 2),
    ("diagonal",), ("diagonal", 1), ("diagonal", -1), ("diagonal", 2, 0, 2), ("diagonal", -2, 0, 2),
    ("diagonal", 9, 0, 2), ("diagonal", -9, 0, 2), ("diagonal", 0, 2, 0), ("diagonal", 1, -1, 1), ("diagonal_copy", 1),
    ("diag_embed",), ("diag_embed", 1), ("diag_embed", -2), ("diag_embed", 1, 0, 2), ("diag_embed", -1, 1, 0),
    ("diagflat",), ("diagflat", 1), ("tril",), ("tril", 1), ("tril", -2), ("triu",), ("triu", 1), ("triu", -2),
    ("flip", [0, 2]), ("flip", [-1]), ("flip", []), ("fliplr",), ("flipud",),
    ("roll", [1], [1]), ("roll", [-1, 2], [0, 2]), ("roll", [5]), ("roll", [7, 0], [1, 2]), ("roll", [-2], [-1]),
]  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(("name", "args"), [(name, args) for name, *args in PARTS], ids=str)
def test_of_one_tensor(name: str, args: list, dtype: torch.dtype) -> None:
    if dtype == torch.float32 or (dtype == torch.int64 and args) or name in ("tril", "triu", "diag_embed"):
        check(name, X.to(dtype), *args)


def test_trace() -> None:
    for dtype in (torch.float32, torch.int64, torch.uint8):
        check("trace", X[0].to(dtype))


@pytest.mark.parametrize("k", range(-1, 5))
def test_rot90(k: int) -> None:
    check("rot90", X, k, [0, 1])
    check("rot90", X, k, [2, 0])


@pytest.mark.parametrize("offset", [-4, -1, 0, 1, 4])
def test_diag(offset: int) -> None:
    check("diag", X[0], offset)
    check("diag", X[0, 0], offset)


@pytest.mark.parametrize(("name", "args"), [("flip", ([0, 1],)), ("roll", ([1], [1])), ("diagonal", ()), ("triu", ())])
def test_of_nothing(name: str, args: tuple) -> None:
    check(name, X[:, :0], *args)


def test_narrow_from_a_tensor() -> None:
    check("narrow", X, 2, torch.tensor(1), 2)


def test_index_that_is_out_of_range() -> None:
    with pytest.raises(LoweringError, match="out of range"):
        lower("select", (X, 1, 4), {}, free=False)


def _slice_dims(size: Dim, *args: object) -> object:
    op = Builder()
    x = op.input("x", DataType.FLOAT, [size])
    return aten.find("slice", [x, 0, *args], {}).function(op, x, 0, *args)


def test_sizes_of_slices_are_exact() -> None:
    n = Dim.symbol("n")
    assert _slice_dims(n, 1, END).dims == (n - 1,)
    assert _slice_dims(n, 0, -1).dims == (n - 1,)
    assert _slice_dims(n, 0, n).producer() is None  # all of it: no node
    assert _slice_dims(n, n - 1, n).dims == (1,)
    assert _slice_dims(2 * n, 0, END, 2).dims == (n,)
    assert _slice_dims(n + 5, 2, 5).dims == (3,)


@pytest.mark.parametrize("bounds", [(1, 3), (-3, -1), (0, 3), (-9, 9), (3, 1)])
def test_bounds_that_are_data(bounds: tuple) -> None:
    op = Builder()
    dims = [op.dim("a"), op.dim("b"), op.dim("c")]
    x, i, j = op.input("x", DataType.FLOAT, dims), op.input("i", DataType.INT64, []), op.input("j", DataType.INT64, [])
    start, end = op.symbol_of(i), op.symbol_of(j)
    part = aten.find("slice", [x, 1, start, end], {}).function(op, x, 1, start, end)
    model = to_model(op, [part])
    feeds = {"x": X.numpy(), "i": np.array(bounds[0]), "j": np.array(bounds[1])}
    np.testing.assert_array_equal(run(model, feeds)[0], X[:, bounds[0] : bounds[1]].numpy())

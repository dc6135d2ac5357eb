"""Writes through views: PyTorch changes the base in place, the graph puts the new base together."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from nxconvert.frontends.pytorch import ops  # noqa: E402, F401  (fills the table)
from nxconvert.frontends.pytorch.dtypes import DataType  # noqa: E402
from nxconvert.frontends.pytorch.table import LoweringError, aten  # noqa: E402
from nxconvert.frontends.pytorch.views import VIEWS, write_back  # noqa: E402
from nxconvert.graph.builder import Builder, Value  # noqa: E402
from nxconvert.graph.dims import Dim  # noqa: E402
from tests.frontends.pytorch.ops.harness import compare, run, to_model  # noqa: E402

X = torch.arange(60.0).reshape(3, 4, 5)
END = 2**63 - 1
OTHER = torch.zeros(5, 12)


def _graph_input(op: Builder, name: str, tensor: torch.Tensor, free: bool) -> Value:
    dims = [op.dim(f"{name}{axis}") if free and size > 1 else size for axis, size in enumerate(tensor.shape)]
    return op.input(name, DataType.from_numpy(tensor.numpy().dtype), dims)


def _write(
    base: torch.Tensor, name: str, args: tuple, kwargs: dict[str, Any], index: int | None, *, free: bool
) -> list[str]:
    """Negates (or inverts) what a view shows, in both worlds; returns the types of the nodes that this took."""
    change = torch.Tensor.logical_not_ if base.dtype == torch.bool else torch.Tensor.neg_
    changed = base.clone()
    views = getattr(torch.ops.aten, name)(changed, *args, **kwargs)
    change(views if index is None else views[index])

    op = Builder()
    x = _graph_input(op, "x", base, free)
    given = [op.const(a.numpy()) if isinstance(a, torch.Tensor) else a for a in args]
    view = aten.find(name, [x, *given], kwargs).function(op, x, *given, **kwargs)
    view = view if index is None else view[index]
    new = op.Not(view) if base.dtype == torch.bool else op.Neg(view)
    before = len(op.nodes)
    result = write_back(name, op, x, new, given, kwargs, index)
    assert (result.etype, result.rank) == (x.etype, x.rank)
    kinds = [node.op_type for node in op.nodes[before:]]
    compare(run(to_model(op, [result]), {"x": base.numpy()}), [result], [changed.numpy()], 0, 0)
    return kinds


CASES: list[tuple[str, tuple, int | None]] = [
    ("view", ([6, 10],), None), ("view", ([-1],), None), ("_unsafe_view", ([20, 3],), None),
    ("reshape", ([15, -1],), None),
    ("view_as", (OTHER,), None), ("reshape_as", (OTHER,), None), ("flatten", (), None), ("flatten", (1,), None),
    ("unflatten", (1, [2, 2]), None), ("ravel", (), None), ("squeeze", (), None), ("squeeze", (0,), None),
    ("unsqueeze", (1,), None), ("atleast_3d", (), None), ("detach", (), None), ("alias", (), None),
    ("expand", ([3, 4, 5],), None), ("expand", ([1, -1, -1, -1],), None), ("expand_as", (X,), None),
    ("permute", ([2, 0, 1],), None), ("transpose", (0, 2), None), ("transpose", (-1, -2), None),
    ("swapaxes", (0, 1), None),
    ("swapdims", (0, 1), None), ("movedim", (0, 2), None), ("movedim", ([0, 1], [2, 0]), None),
    ("moveaxis", (0, 1), None),
    ("mT", (), None), ("adjoint", (), None), ("numpy_T", (), None),
    ("select", (0, 1), None), ("select", (1, -1), None), ("select", (2, 0), None),
    ("slice", (), None), ("slice", (0, 1, END), None), ("slice", (1, 1, 3), None), ("slice", (2, 0, 2), None),
    ("slice", (1, -2, END), None), ("slice", (0, 0, END, 2), None), ("slice", (2, 1, END, 2), None),
    ("slice", (2, 1, 4, 3), None), ("slice", (1, 3, 1), None), ("slice", (1, 0, 99), None),
    ("slice", (1, -99, 2), None),
    ("narrow", (1, 1, 2), None), ("narrow", (2, -2, 2), None), ("narrow", (0, 0, 3), None),
    ("narrow", (1, torch.tensor(2), 2), None),
    ("diagonal", (), None), ("diagonal", (1,), None), ("diagonal", (-1,), None), ("diagonal", (2, 0, 2), None),
    ("diagonal", (-1, 2, 0), None), ("diagonal", (9,), None),
    ("as_strided", ([2, 3], [7, 2], 1), None), ("as_strided", ([3, 4, 5], [20, 5, 1]), None),
    ("split", (2, 1), 1), ("split", (2, 2), 2), ("split", ([1, 3], 1), 0), ("split_with_sizes", ([1, 1, 3], 2), 2),
    ("chunk", (2, 1), 1), ("chunk", (2, 2), 1), ("unsafe_chunk", (2, 2), 0), ("unsafe_split", (1,), 1),
    ("tensor_split", (2, 2), 1), ("tensor_split", ([1, 3], 2), 1), ("tensor_split", ([3, 1], 2), 0),
    ("tensor_split", (torch.tensor([1, 2]), 1), 2), ("hsplit", (2,), 1), ("vsplit", ([1],), 1),
    ("dsplit", ([2, 4],), 1),
    ("unbind", (), 2), ("unbind", (2,), 3), ("unbind", (-1,), 0),
]  # fmt: skip


@pytest.mark.parametrize("dtype", [torch.float32, torch.int64, torch.bool], ids=str)
@pytest.mark.parametrize(("name", "args", "index"), CASES, ids=lambda x: str(x)[:30])
def test_write(name: str, args: tuple, index: int | None, dtype: torch.dtype) -> None:
    _write(X.to(dtype), name, args, {}, index, free=False)


def _takes_free_sizes(name: str, args: tuple) -> bool:
    """Not what names sizes, nor what cuts into a number of parts that depends on the size."""
    if name in ("unflatten", "as_strided", "unbind", "hsplit", "vsplit") or "view" in name or "_as" in name:
        return False
    return name not in ("split", "unsafe_split", "reshape", "expand") or isinstance(args[0], list)


@pytest.mark.parametrize(
    ("name", "args", "index"), [case for case in CASES if _takes_free_sizes(*case[:2])], ids=lambda x: str(x)[:30]
)
def test_write_of_free_sizes(name: str, args: tuple, index: int | None) -> None:
    _write(X, name, args, {}, index, free=True)


@pytest.mark.parametrize(
    ("name", "kwargs", "index"),
    [
        ("select", {"dim": 1, "index": 2}, None),
        ("slice", {"dim": 1, "start": 1, "end": 3}, None),
        ("transpose", {"dim0": 0, "dim1": 1}, None),
        ("permute", {"dims": [1, 2, 0]}, None),
        ("movedim", {"source": 0, "destination": 1}, None),
        ("narrow", {"dim": 1, "start": 1, "length": 2}, None),
        ("diagonal", {"offset": 1, "dim1": 1, "dim2": 2}, None),
        ("linalg_diagonal", {"offset": 1}, None),
        ("linalg_diagonal", {"dim1": 0, "dim2": 1}, None),
        ("split", {"split_size": 2, "dim": 1}, 1),
        ("tensor_split", {"sections": 2, "dim": 1}, 1),
        ("tensor_split", {"indices": [1], "dim": 1}, 1),
        ("hsplit", {"sections": 2}, 1),
        ("unbind", {"dim": 1}, 1),
        ("chunk", {"chunks": 2, "dim": 1}, 1),
    ],
)
def test_arguments_by_name(name: str, kwargs: dict[str, Any], index: int | None) -> None:
    _write(X, name, (), kwargs, index, free=False)


@pytest.mark.parametrize(
    ("name", "args", "index", "nodes"),
    [
        ("slice", (1, 0, END), None, []),
        ("view", ([6, 10],), None, ["Reshape"]),
        ("permute", ([2, 0, 1],), None, ["Transpose"]),
        ("select", (0, 0), None, ["Unsqueeze", "Slice", "Concat"]),
        ("select", (1, 2), None, ["Unsqueeze", "Slice", "Slice", "Concat"]),
        ("slice", (2, 3, END), None, ["Slice", "Concat"]),
        ("slice", (0, 0, END, 2), None, ["ScatterND"]),
        ("slice", (2, 0, END, 2), None, ["Gather", "Where"]),
        ("split", (2, 1), 1, ["Slice", "Concat"]),
    ],
)
def test_few_nodes(name: str, args: tuple, index: int | None, nodes: list[str]) -> None:
    assert _write(X, name, args, {}, index, free=False) == nodes


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("index", [0, 2, -1])
def test_an_index_that_is_data(axis: int, index: int) -> None:
    op = Builder()
    x, at = _graph_input(op, "x", X, True), op.input("at", DataType.INT64, [])
    number = op.symbol_of(at)
    assert isinstance(number, Dim)
    view = aten.find("select", [x, axis, number], {}).function(op, x, axis, number)
    result = write_back("select", op, x, op.Neg(view), [axis, number], {})
    want = X.clone()
    want.select(axis, index).neg_()
    got = run(to_model(op, [result]), {"x": X.numpy(), "at": np.array(index)})
    np.testing.assert_array_equal(got[0], want.numpy())


@pytest.mark.parametrize("axis", [0, 2])
@pytest.mark.parametrize("bounds", [(0, 2), (1, 3), (-2, 3), (-2, -1), (2, 1), (0, 99)])
def test_bounds_that_are_data(axis: int, bounds: tuple[int, int]) -> None:
    op = Builder()
    x = _graph_input(op, "x", X, True)
    start, end = (op.symbol_of(op.input(name, DataType.INT64, [])) for name in ("start", "end"))
    view = aten.find("slice", [x, axis, start, end], {}).function(op, x, axis, start, end)
    result = write_back("slice", op, x, op.Neg(view), [axis, start, end], {})
    want = X.clone()
    torch.ops.aten.slice(want, axis, *bounds).neg_()
    feeds = {"x": X.numpy(), "start": np.array(bounds[0]), "end": np.array(bounds[1])}
    np.testing.assert_array_equal(run(to_model(op, [result]), feeds)[0], want.numpy())


@pytest.mark.parametrize(
    ("name", "x", "args", "why"),
    [
        ("expand", X[:1], ([2, 4, 5],), "expansion"),
        ("broadcast_to", X, ([2, 3, 4, 5],), "expansion"),
        ("unfold", X, (0, 2, 1), "overlap"),
    ],
)
def test_views_that_show_an_element_twice(name: str, x: torch.Tensor, args: tuple, why: str) -> None:
    op = Builder()
    base = _graph_input(op, "x", x, False)
    view = aten.find(name, [base, *args], {}).function(op, base, *args)
    with pytest.raises(LoweringError, match=why):
        write_back(name, op, base, view, args, {})


def test_every_view_has_a_lowering() -> None:
    assert [name for name in VIEWS if name not in aten] == []

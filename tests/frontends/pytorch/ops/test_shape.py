"""Views, permutations, broadcasting and repeating against PyTorch."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from nxconvert.frontends.pytorch.dtypes import DataType  # noqa: E402
from nxconvert.frontends.pytorch.table import LoweringError, aten  # noqa: E402
from nxconvert.graph.builder import Builder  # noqa: E402
from nxconvert.graph.dims import evaluate  # noqa: E402
from tests.frontends.pytorch.ops.harness import Weight, check, lower, run  # noqa: E402

X = torch.arange(24.0).reshape(2, 3, 4)
DTYPES = [torch.float32, torch.int64, torch.bool, torch.float16, torch.int16, torch.uint8]

VIEWS = [
    ("view", [6, 4]), ("view", [-1]), ("view", [2, -1, 2]), ("reshape", [3, 8]), ("_unsafe_view", [4, -1]),
    ("view_copy", [24]), ("flatten",), ("flatten", 1), ("flatten", 0, 1), ("flatten", -2, -1), ("ravel",),
    ("unflatten", 2, [2, -1]), ("unflatten", 0, [1, 2]), ("unflatten", -2, [3, 1]),
    ("permute", [2, 0, 1]), ("permute", [-1, 0, 1]), ("permute_copy", [0, 2, 1]), ("transpose", 0, -1),
    ("transpose", 1, 1), ("transpose_copy", 0, 2), ("swapaxes", 0, 1), ("swapdims", 1, 2), ("movedim", 0, 2),
    ("movedim", [0, 1], [-1, 0]), ("moveaxis", -1, 0), ("mT",), ("adjoint",), ("numpy_T",),
    ("unsqueeze", 0), ("unsqueeze", -1), ("unsqueeze", 2), ("unsqueeze_copy", 1), ("squeeze",), ("squeeze", 1),
    ("expand", [2, 3, 4]), ("expand", [5, -1, -1, -1]), ("expand_copy", [2, 2, 3, 4]), ("broadcast_to", [2, 2, 3, 4]),
    ("repeat", [2, 1, 2]), ("repeat", [2, 1, 1, 3]), ("repeat", [1, 1, 1]), ("tile", [2]), ("tile", [2, 1, 1, 2]),
    ("repeat_interleave", 2, 1), ("repeat_interleave", 3), ("repeat_interleave", 1, -1),
]  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(("name", "args"), [(name, args) for name, *args in VIEWS], ids=str)
def test_of_one_tensor(name: str, args: list, dtype: torch.dtype) -> None:
    if dtype in (torch.float32, torch.bool) or "repeat" in name:
        check(name, X.to(dtype), *args)


@pytest.mark.parametrize(
    ("name", "x", "args"),
    [
        ("squeeze", X[:1], ()),
        ("squeeze", X[:1], (0,)),
        ("squeeze", X[:1], (-1,)),
        ("squeeze", X[:1, :, :1], ([0, 2],)),
        ("squeeze", X[:1, :, :1], ([0, 1],)),
        ("squeeze_copy", X[:1], (0,)),
        ("expand", X[:1], ([5, -1, 4],)),
        ("expand", X[:, :1, :1], ([2, 3, 5],)),
        ("expand", X[0, 0, 0], ([2, 3],)),
        ("repeat", X[:1, :, :1], ([3, 1, 2],)),
        ("t", X[0], ()),
        ("t", X[0, 0], ()),
        ("numpy_T", X[0, 0, 0], ()),
        ("flatten", X[0, 0, 0], ()),
        ("view", X[0, 0, 0], ([1, 1],)),
        ("view", X[:0], ([3, 0, 4],)),
        ("unsqueeze", X[0, 0, 0], (0,)),
        ("permute", X[0, 0, 0], ([],)),
        ("transpose", X[:1], (0, 1)),
        ("pixel_shuffle", torch.randn(1, 8, 3, 2), (2,)),
        ("pixel_shuffle", torch.arange(48).reshape(8, 3, 2), (2,)),
        ("pixel_shuffle", torch.arange(96).reshape(1, 2, 8, 3, 2), (2,)),
        ("pixel_unshuffle", torch.randn(1, 2, 4, 6), (2,)),
        ("pixel_unshuffle", torch.randn(2, 4, 6), (2,)),
        ("channel_shuffle", torch.randn(2, 6, 3, 3), (3,)),
        ("native_channel_shuffle", torch.randn(2, 6, 5), (2,)),
    ],
)
def test_of_special_shapes(name: str, x: torch.Tensor, args: tuple) -> None:
    check(name, x, *args)


@pytest.mark.parametrize("name", ["view_as", "reshape_as", "expand_as"])
def test_of_the_shape_of_another(name: str) -> None:
    other = torch.zeros(3, 2, 4) if name != "expand_as" else torch.zeros(5, 2, 3, 4)
    check(name, X, other)


@pytest.mark.parametrize("dim", [None, 0, 1, -1])
@pytest.mark.parametrize("static", [False, True])
def test_repeat_interleave_of_each(dim: int | None, static: bool) -> None:
    count = 24 if dim is None else X.shape[dim]
    repeats = torch.arange(count) % 3
    check("repeat_interleave", X, Weight(repeats) if static else repeats, dim)
    check("repeat_interleave", X, Weight(repeats) if static else repeats, dim, output_size=int(repeats.sum()))


def test_repeat_interleave_of_one_number() -> None:
    check("repeat_interleave", X, torch.tensor([2]), 1)
    check("repeat_interleave", X, torch.tensor(2), 1)
    check("repeat_interleave", torch.tensor([2, 0, 3], dtype=torch.int32))


def test_broadcast_tensors() -> None:
    check("broadcast_tensors", [X, X[:1], X[0, :, :1]])
    check("broadcast_tensors", [X[:, :1], X[:1]])


def test_broadcast_of_unknown_sizes_that_are_one() -> None:
    op = Builder()
    a = op.input("a", DataType.FLOAT, [op.dim("n"), op.dim("m")])
    b = op.input("b", DataType.FLOAT, [op.dim("k"), op.dim("l")])
    first, second = aten.find("broadcast_tensors", [[a, b]], {}).function(op, [a, b])
    assert first.dims == second.dims


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("size", ()), ("size", (1,)), ("size", (-1,)), ("sym_size", (0,)), ("numel", ()), ("sym_numel", ()),
        ("stride", ()), ("stride", (0,)), ("sym_stride", (1,)), ("dim", ()), ("storage_offset", ()),
        ("is_floating_point", ()), ("is_complex", ()), ("is_contiguous", ()), ("element_size", ()), ("is_signed", ()),
    ],
)  # fmt: skip
def test_numbers(name: str, args: tuple) -> None:
    check(name, X, *args)


def test_sizes_stay_symbolic() -> None:
    model, _, _ = lower("view", (torch.zeros(2, 6, 5), [2, 3, 2, 5]), {}, free=False)
    assert [node.op_type for node in model.graph] == ["Reshape"]
    op = Builder()
    batch, width = op.dim("batch"), op.dim("width")
    x = op.input("x", DataType.FLOAT, [batch, 4, width])
    merged = aten.find("view", [x, [batch, -1]], {}).function(op, x, [batch, -1])
    assert merged.dims == (batch, 4 * width)
    split = aten.find("view", [x, [-1, 2, width]], {}).function(op, x, [-1, 2, width])
    assert split.dims == (2 * batch, 2, width)
    odd = aten.find("view", [x, [-1, 3]], {}).function(op, x, [-1, 3])
    assert evaluate(odd.dims[0], {"batch": 3, "width": 5}) == 20


@pytest.mark.parametrize(
    ("name", "args"),
    [("view", ([5, 5],)), ("view", ([-1, 5],)), ("expand", ([2, 2, 4],)), ("expand", ([4],)),
    ("permute", ([0, 1],)), ("transpose", (0, 3))],
)  # fmt: skip
def test_what_cannot_be(name: str, args: tuple) -> None:
    with pytest.raises(LoweringError):
        lower(name, (X, *args), {}, free=False)


@pytest.mark.parametrize("size", [[4, 6], [2, 5], [24], [0]])
def test_resize(size: list[int]) -> None:
    model, feeds, _ = lower("resize", (X, size), {}, free=False)
    np.testing.assert_array_equal(run(model, feeds)[0], X.clone().resize_(size).numpy())
    with pytest.raises(LoweringError, match="undefined"):
        lower("resize", (X, [5, 5]), {}, free=False)


def test_a_view_in_other_bits_is_refused() -> None:
    with pytest.raises(LoweringError, match="bits"):
        lower("view", (X, torch.int32), {}, free=False)
    model, feeds, _ = lower("view", (X, torch.float32), {}, free=False)
    assert run(model, feeds)[0].shape == (2, 3, 4)

"""Joining, splitting and grids against PyTorch."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tests.frontends.pytorch.ops.harness import Weight, check, check_program, lower_program, run  # noqa: E402

X = torch.arange(24.0).reshape(2, 3, 4)
DTYPES = [torch.float32, torch.int64, torch.bool]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("cat", (0,)), ("cat", (1,)), ("cat", (-1,)), ("concat", (2,)), ("concatenate", ()),
        ("stack", ()), ("stack", (1,)), ("stack", (-1,)), ("stack", (2,)), ("hstack", ()), ("vstack", ()),
        ("dstack", ()), ("column_stack", ()), ("block_diag", ()), ("_chunk_cat", (1, 2)), ("_chunk_cat", (0, 2)),
    ],
)  # fmt: skip
def test_one_of_several(name: str, args: tuple, dtype: torch.dtype) -> None:
    x = X.to(dtype)
    tensors = [x[0], x[1], x[0]] if name == "block_diag" else [x, x.flip(0), x]
    check(name, tensors, *args)
    check(name, tensors[:1], *args)


@pytest.mark.parametrize(
    ("name", "tensors"),
    [
        ("cat", [X, X.long()]),
        ("cat", [X > 3, X.to(torch.uint8)]),
        ("cat", [X.half(), X]),
        ("cat", [X, torch.zeros(0)]),
        ("cat", [torch.zeros(0), torch.zeros(0)]),
        ("cat", [X[:0], X]),
        ("stack", [X, X.long()]),
        ("stack", [X[0, 0, 0], X[1, 1, 1]]),
        ("hstack", [X[0, 0], X[0, 1]]),
        ("hstack", [X[0, 0, 0], X[0, 1, 1]]),
        ("vstack", [X[0, 0], X[0]]),
        ("dstack", [X[0], X[0]]),
        ("dstack", [X[0, 0], X[0, 0]]),
        ("column_stack", [X[0, 0], X[0].T]),
        ("block_diag", [X[0], X[0, 0], X[0, 0, 0]]),
    ],
)
def test_several_of_other_shapes_and_dtypes(name: str, tensors: list) -> None:
    check(name, tensors)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("split", (2, 2)), ("split", (3, 2)), ("split", (9, 1)), ("split", ([1, 2], 1)),
        ("split_with_sizes", ([1, 3], -1)),
        ("split_with_sizes_copy", ([1, 1], 0)), ("unsafe_split", (1, 1)), ("unsafe_chunk", (2, 2)), ("chunk", (2, 2)),
        ("chunk", (3, 2)), ("chunk", (2, 1)), ("tensor_split", (2, 1)), ("tensor_split", (3, 2)),
        ("tensor_split", ([1, 3], 2)),
        ("tensor_split", ([3, 1], 2)), ("tensor_split", ([-1, 9], 2)), ("hsplit", (3,)), ("hsplit", ([1],)),
        ("vsplit", (2,)),
        ("dsplit", (2,)), ("dsplit", ([1, 2],)), ("unbind", ()), ("unbind", (1,)), ("unbind_copy", (-1,)),
    ],
)  # fmt: skip
def test_several_of_one(name: str, args: tuple, dtype: torch.dtype) -> None:
    check(name, X.to(dtype), *args, free=(False,))


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("split", ([1, 2], 1)),
        ("chunk", (2, 2)),
        ("tensor_split", (2, 1)),
        ("tensor_split", (3, 2)),
        ("tensor_split", ([1], 2)),
    ],
)
def test_parts_of_free_sizes(name: str, args: tuple) -> None:
    check(name, X, *args, free=(True,))


def test_tensor_split_at_known_tensors() -> None:
    check("tensor_split", X, Weight(torch.tensor([1, 3])), 2)
    check("tensor_split", X, Weight(torch.tensor(2)), 2)


@pytest.mark.parametrize("parts", [1, 2, 3, 7])
def test_tensor_split_into_a_number_of_parts_that_depends_on_data(parts: int) -> None:
    def first_and_all(call, x, n):
        found = call("tensor_split", x, n)
        return call("select", call("cat", found, 0), 0, 0), call("cat", found, 0)

    check_program(first_and_all, X, torch.tensor(parts))


@pytest.mark.parametrize(("name", "args"), [("unbind", (1,)), ("split", (2, 2)), ("split", (3, 2)), ("split", (1, 1))])
def test_an_unknown_number_of_parts_is_a_sequence(name: str, args: tuple) -> None:
    def there_and_back(call, x):
        parts = call(name, x, *args)
        assert parts.is_sequence
        joined = call("stack" if name == "unbind" else "cat", parts, args[-1])
        return joined, call("len", parts)

    model, feeds, values = lower_program(there_and_back, (X,), {}, free=True)
    joined, length = run(model, feeds)
    np.testing.assert_array_equal(joined, X.numpy())
    assert length == len(getattr(torch, name)(X, *args))
    assert len(values) == 2


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_atleast(rank: int) -> None:
    for x in (X[0, 0, 0], X[0, 0], X[0], X):
        check(f"atleast_{rank}d", x)
    check(f"atleast_{rank}d", [X[0, 0, 0], X[0]])


@pytest.mark.parametrize("indexing", ["ij", "xy"])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_meshgrid(indexing: str, count: int) -> None:
    check("meshgrid", [X[0, 0], X[0, :, 0], X[:, 0, 0]][:count], indexing=indexing)


def test_grids_of_numbers() -> None:
    check("meshgrid", [X[0, 0], X[0, 0, 0]])
    check("cartesian_prod", [X[0, 0], X[0, :, 0]])
    check("cartesian_prod", [X[0, 0]])
    for r in (1, 2, 3):
        check("combinations", X[0, 0], r)
        check("combinations", X[0, 0], r, True)

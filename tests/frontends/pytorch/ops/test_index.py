"""Indexing with tensors and masks, gathering and finding against PyTorch."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from tests.frontends.pytorch.ops.harness import Weight, check, lower  # noqa: E402

GENERATOR = torch.Generator().manual_seed(0)


def _random(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, generator=GENERATOR)


X = _random(3, 4, 5, 6) - 0.5
A, B, C = torch.tensor([0, 2, -1]), torch.tensor([3, 1, -2]), torch.tensor([[0], [1]])
M3, M4, M6, M34, M45, M = (_random(*shape) > 0.5 for shape in [(3,), (4,), (6,), (3, 4), (4, 5), (3, 4, 5, 6)])
N = None

# As in Python: x[a], x[:, a], x[a, :, b], ...
INDICES = [
    [A], [N, A], [N, N, C], [A, B], [N, A, B], [N, N, A, B], [A, N, B], [N, A, N, B], [A, B, A], [C, A], [A, C],
    [N, C, A], [N, N, A[:, None], B], [A[:, None], B], [A[:, None], N, B], [N, C[:, :, None], B[:, None], A],
    [N, torch.tensor(1)], [torch.tensor(1), torch.tensor(2)], [torch.tensor(0), A], [A.int()], [A.int(), B],
    [M3], [M34], [N, M4], [N, N, N, M6], [M], [N, M45], [M3, N, torch.tensor([1])], [M3, torch.tensor(1)],
    [M3.to(torch.uint8)],
]  # fmt: skip


@pytest.mark.parametrize("indices", INDICES, ids=lambda x: str([None if i is None else list(i.shape) for i in x]))
def test_index(indices: list) -> None:
    check("index", X, indices)
    check("index", (X * 9).long(), indices)
    check("index", X > 0, [i if i is None else Weight(i) for i in indices], free=(True,))


@pytest.mark.parametrize(
    ("indices", "nodes"),
    [
        ([A], ["Gather"]),
        ([N, A], ["Gather"]),
        ([A[:, None], B], ["Gather", "Gather"]),
        ([N, A[:, None], B], ["Gather", "Gather"]),
        ([A, B], ["Reshape", "Gather"]),
        ([N, A, B], ["Reshape", "Gather"]),
    ],
)
def test_known_indices_take_few_nodes(indices: list, nodes: list[str]) -> None:
    weights = [i if i is None else Weight(i) for i in indices]
    model, _, _ = lower("index", (X, weights), {}, free=False)
    assert [node.op_type for node in model.graph] == nodes


def test_masked_index() -> None:
    check("_unsafe_index", X, [N, A])
    mask, at = torch.tensor([True, False, True])[:, None, None, None], torch.tensor([0, 9, 1])
    check("_unsafe_masked_index", X, mask, [at], 7.0)
    check("_unsafe_masked_index", X, mask[:, 0], [N, at], 7.0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.int64, torch.bool, torch.float64], ids=str)
def test_along_an_axis(dtype: torch.dtype) -> None:
    x = (X * 9).to(dtype)
    check("index_select", x, 1, torch.tensor([0, 3, 0]))
    check("index_select", x, -1, torch.tensor(2))
    check("gather", x, 2, (_random(2, 4, 7, 6) * 5).long())
    check("gather", x, -4, (_random(1, 4, 2, 6) * 3).long())
    check("take", x, torch.tensor([[1, -2]]))
    check("take_along_dim", x, (_random(3, 1, 2, 6) * 5).long(), 2)
    check("take_along_dim", x, torch.tensor([1, 3]))
    check("masked_select", x, M)
    check("masked_select", x, _random(5, 1) > 0.5)
    check("nonzero", x)
    check("argwhere", x)
    check("nonzero_numpy", x)
    check("nonzero_static", x, size=7)
    check("nonzero_static", x, size=700, fill_value=3)


def test_of_rank_0_and_of_nothing() -> None:
    check("gather", torch.tensor(3.0), 0, torch.tensor(0))
    check("gather", torch.tensor(3.0), 0, torch.tensor([0, 0]))
    check("gather", X[0, 0, 0], 0, torch.zeros(2, 0, dtype=torch.int64))
    check("index_select", torch.tensor(3.0), 0, torch.tensor([0]))
    check("nonzero", torch.tensor(3))
    check("nonzero", torch.tensor(0))
    check("masked_select", torch.tensor(3), torch.tensor(True))
    check("masked_select", X[:, :1, 0, 0], M4)

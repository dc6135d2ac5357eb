# The programs are written as TorchScript takes them.
# ruff: noqa: PERF401, RUF005
"""Lists whose length or whose numbers depend on data: searched, sorted, sliced and joined by the graph."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'nxconvert[torch]'")

from torch import Tensor  # noqa: E402

from tests.frontends.pytorch.script.harness import check, refused  # noqa: E402

torch.manual_seed(0)
MATRIX = torch.randn(4, 6)


def test_numbers_that_a_loop_collected() -> None:
    def program(x: Tensor) -> tuple[int, int, int, int, int, bool, Tensor, Tensor, Tensor]:
        items: list[int] = []
        for i in range(x.size(0)):
            if int(x[i]) >= 0:
                items.append(int(x[i]))
        down = items.copy()
        down.sort(reverse=True)
        more = items + [3, 4]
        more.remove(3)
        return (
            items.index(3),
            items.count(3),
            max(items),
            min(items),
            sum(items),
            7 in items,
            torch.tensor(sorted(items)),
            torch.tensor(down),
            torch.tensor(more),
        )

    check(program, (torch.tensor([3, 1, 2, 3]),), (torch.tensor([3]),), (torch.tensor([5, -1, 3, 3, 1, 7]),))


def test_known_lists_of_numbers_that_depend_on_data() -> None:
    def program(x: Tensor) -> tuple[int, int, Tensor, list[float], bool]:
        a, b = int(x[0]), int(x[1])
        items = [a, 5, b, 3]
        place, count = items.index(3), items.count(3)
        items.remove(3)
        floats = [float(x.sum()), 0.5]
        floats.sort()
        return place, count, torch.tensor(sorted(items)), floats, b in items

    check(program, (torch.tensor([3, 1, 2]),), (torch.tensor([0, 5]),))


def test_flags_and_comparisons() -> None:
    def program(x: Tensor) -> tuple[bool, bool, bool, bool, bool]:
        items: list[int] = []
        for i in range(x.size(0)):
            if x[i].sum() > 0:
                items.append(i)
        flags: list[bool] = []
        for item in items:
            flags.append(item > 1)
        return items == [0, 1], items == items[:], items != [0], any(flags), all(flags)

    check(program, (MATRIX,), (-MATRIX,), (torch.zeros(2, 2),), (torch.tensor([[1.0], [2.0]]),))


def test_slices_and_joins() -> None:
    def program(x: Tensor, place: int) -> tuple[Tensor, Tensor, Tensor, Tensor, int]:
        items: list[Tensor] = []
        for i in range(x.size(0)):
            if x[i].sum() > -20:
                items.append(x[i])
        joined = items[:-1] + items[1:]
        joined.extend(items[-2:])
        total = torch.zeros(6)
        for item in items[place:]:
            total = total + item
        for item in [x[0], x[1], x[2]][:place]:
            total = total * 2 + item
        for item in items[1:100:2]:
            total = total - item
        return torch.stack(items[::-1]), torch.stack(items[-2:]), torch.stack(joined), total, len(items[place:])

    check(program, (MATRIX, 2), (-MATRIX, -1), (MATRIX, 9), (MATRIX, -7))


def test_repeated_as_often_as_data_says() -> None:
    def program(x: Tensor, times: int) -> tuple[Tensor, int]:
        zeros = [0] * (times + 2)
        zeros[1] = 5
        return torch.tensor(zeros), len([x[0]] * times)

    check(program, (MATRIX, 2), (MATRIX, 0))


def test_the_numbers_in_a_tensor() -> None:
    def program(x: Tensor) -> tuple[float, int, int]:
        values: list[float] = x[:, 0].tolist()
        signs: list[int] = (x[:, 0] > 0).long().tolist()
        total = 0.0
        for value in values:
            total += value
        return total, sum(signs), len(values)

    check(program, (MATRIX,), (torch.randn(7, 2),))


def test_breadth_first() -> None:
    def program(x: Tensor) -> Tensor:
        seen = [0] * 4
        order: list[int] = []
        queue = [0]
        seen[0] = 1
        while len(queue) > 0:
            node = queue.pop(0)
            order.append(node)
            for other in range(x.size(0)):
                if seen[other] == 0 and x[node, other] > -0.5:
                    seen[other] = 1
                    queue.append(other)
        return torch.tensor(order)

    check(program, (MATRIX,), (-MATRIX,))


def test_parts_of_various_lengths_are_joined() -> None:
    def program(x: Tensor) -> Tensor:
        items: list[Tensor] = []
        for i in range(x.size(0)):
            part: list[Tensor] = []
            for j in range(i):
                if x[i, j] > 0:
                    part.append(x[j])
            items.extend(part)
            items += [x[i]]
        return torch.stack(items)

    check(program, (MATRIX,), (-MATRIX,))


def test_lists_that_the_graph_cannot_hold() -> None:
    def tuples(x: Tensor) -> Tensor:
        items: list[tuple[Tensor, list[Tensor]]] = []
        for i in range(x.size(0)):
            items.append((x[i], [x[i]]))
        return items[0][0]

    def complex_tensors(x: Tensor) -> Tensor:
        items: list[Tensor] = []
        for i in range(x.size(0)):
            items.append(torch.complex(x[i], x[i]))
        return items[0].abs()

    for program in (tuples, complex_tensors):
        refused(program, MATRIX, match=r"test_sequences\.py:\d+: a list whose length")
        check(program, (MATRIX,), free=(False,))

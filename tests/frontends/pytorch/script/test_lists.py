# The programs are written as TorchScript takes them.
# ruff: noqa: PERF401, RUF005
"""Lists: of known length, grown in loops, changed at places that depend on data, nested, of numbers."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'nxconvert[torch]'")

from torch import Tensor  # noqa: E402

from tests.frontends.pytorch.script.harness import check, never_wrong, refused  # noqa: E402

torch.manual_seed(0)
ROWS = torch.tensor([[0.5, -1.5], [1.0, 3.0], [2.5, 0.1], [-4.0, 1.0], [0.3, 0.2]])


def test_methods_of_a_list_of_known_length() -> None:
    def program(x: Tensor) -> Tensor:
        items = [x, x + 1, x * 2]
        items.append(x - 1)
        items.insert(1, x * 3)
        last = items.pop()
        first = items.pop(0)
        items.extend([last, first])
        items += [x * 5]
        items.reverse()
        items[0] = items[-1] + 1
        items[-2] = items[1] * 7
        del items[2]
        both = items + [x]
        twice = [x, x * 2] * 2
        copied = items.copy()
        items.clear()
        return torch.stack(both + twice + copied + items[1:] + both[::-1][1:4:2] + both[-2:])

    check(program, (ROWS,))


def test_scanned() -> None:
    def program(x: Tensor) -> tuple[Tensor, Tensor]:
        outs: list[Tensor] = []
        h = torch.zeros(x.size(1))
        for t in range(x.size(0)):
            h = torch.tanh(x[t] + h)
            outs.append(h)
        return torch.stack(outs, 1), torch.cat(outs)

    check(program, (ROWS,), (ROWS[:1],))


def test_scanned_backwards_and_stacked_in_the_other_order() -> None:
    def program(x: Tensor) -> Tensor:
        outs: list[Tensor] = []
        h = torch.zeros(x.size(1))
        for t in range(x.size(0) - 1, -1, -1):
            h = torch.tanh(x[t] + h)
            outs.append(h)
        outs.reverse()
        return torch.stack(outs)

    check(program, (ROWS,), (ROWS[:1],))


def test_scanned_with_plus() -> None:
    def program(x: Tensor) -> Tensor:
        outs: list[Tensor] = []
        for t in range(x.size(0)):
            outs += [x[t] * t]
        return torch.stack(outs)

    check(program, (ROWS,), (ROWS[:1],))


def test_several_grow_in_one_loop() -> None:
    def program(x: Tensor) -> tuple[Tensor, Tensor, int]:
        up: list[Tensor] = []
        down: list[Tensor] = []
        for i in range(x.size(0)):
            up.append(x[i] + 1)
            down.append(x[i].sum())
        return torch.stack(up), torch.stack(down), len(up) + len(down)

    check(program, (ROWS,), (ROWS[:2],))


def test_grown_twice_a_round_or_not_at_all() -> None:
    def program(x: Tensor) -> Tensor:
        outs = [x[0] * 0]
        for i in range(x.size(0)):
            outs.append(x[i])
            if bool(x[i].sum() < 0):
                continue
            outs.append(-x[i])
        return torch.stack(outs)

    check(program, (ROWS,), (-ROWS,), (ROWS[:1],))


def test_items_of_different_sizes() -> None:
    def program(x: Tensor) -> Tensor:
        outs: list[Tensor] = []
        for i in range(x.size(0)):
            outs.append(x[i:])
        return torch.cat(outs)

    check(program, (ROWS,), (ROWS[:1],))


def test_a_queue() -> None:
    def program(x: Tensor) -> Tensor:
        queue = [x[0]]
        for i in range(1, x.size(0)):
            queue.append(x[i])
            if len(queue) > 2:
                queue.pop(0)
        return torch.stack(queue)

    check(program, (ROWS,), (ROWS[:1],), (ROWS[:2],))


def test_a_stack() -> None:
    def program(x: Tensor) -> tuple[Tensor, int]:
        stack = [x[0]]
        most = 1
        while len(stack) > 0:
            top = stack.pop()
            if bool(top.abs().sum() > 1):
                stack.append(top / 2)
                stack.append(top / 4)
            if len(stack) > most:
                most = len(stack)
            x = x + top
        return x, most

    check(program, (ROWS,), (ROWS[3:],))


def test_indexed_by_numbers_that_depend_on_data() -> None:
    def program(x: Tensor, i: int) -> tuple[Tensor, Tensor, Tensor]:
        items = [x, x * 2, x * 3]
        grown: list[Tensor] = []
        for t in range(x.size(0)):
            grown.append(x[t])
        items[i] = items[i] + 100
        grown[i] = grown[i] * 10
        return items[i - 1], items[0] + items[1] + items[2], torch.stack(grown)

    check(program, *((ROWS, i) for i in (0, 1, 2, -1, -2)))


def test_inserted_at_places_that_depend_on_data() -> None:
    def program(x: Tensor, i: int) -> Tensor:
        items = [x[0], x[1]]
        items.insert(i, x[2])
        return torch.stack(items)

    check(program, *((ROWS, i) for i in (0, 1, 2, -1)))


def test_inserted_beyond_the_ends() -> None:
    """Python clamps the place."""

    def program(x: Tensor, i: int) -> Tensor:
        items = [x[0], x[1]]
        items.insert(i, x[2])
        return torch.stack(items)

    check(program, (ROWS, 7), (ROWS, -7))


def test_iterated_after_it_grew() -> None:
    def program(x: Tensor) -> Tensor:
        rows: list[Tensor] = []
        for i in range(x.size(0)):
            rows.append(x[i] * i)
        total = torch.zeros(x.size(1))
        for row in rows:
            total = total * 0.5 + row
        for i, row in enumerate(rows):
            total = total + row * i
        return total + len(rows)

    check(program, (ROWS,), (ROWS[:1],))


def test_comprehensions() -> None:
    def program(x: Tensor) -> Tensor:
        rows = [row * 2 for row in x.unbind(0)]
        sizes = [row.size(0) for row in rows]
        numbers = [n * n for n in range(4)]
        return torch.stack(rows) * sizes[0] + numbers[-1]

    check(program, (ROWS,), free=(False,))


def test_lists_of_lists() -> None:
    def program(x: Tensor) -> Tensor:
        table = [[x, x + 1], [x * 2]]
        table[1].append(x * 3)
        for i in range(2):
            table[i][0] = table[i][0] + i
        row = table[0]
        row[1] = row[1] - 5
        table.append(row)
        row.append(x)
        if bool(x.sum() > 0):
            table[1][1] = table[1][1] * 2
        return torch.stack(table[0] + table[1] + table[2])

    check(program, (ROWS,), (-ROWS,))


def test_the_same_list_under_two_names() -> None:
    def program(x: Tensor) -> Tensor:
        a = [x]
        b = a
        b.append(x * 2)
        a[0] = x + 1
        c = list(a)
        c.append(x)
        return torch.stack(a + b + c)

    check(program, (ROWS,))


def test_one_of_two_lists_leaves_a_branch() -> None:
    def program(x: Tensor) -> tuple[Tensor, Tensor]:
        a, b = [x], [x * 2]
        c = a if bool(x.sum() > 0) else b
        c[0] = x * 100
        return a[0], b[0]

    never_wrong(program, (ROWS,), (-ROWS,))


def test_one_of_two_lists_in_a_loop() -> None:
    def program(x: Tensor, n: int) -> tuple[Tensor, Tensor]:
        a, b = [x], [x * 2]
        c = a
        for i in range(n):
            c[0] = c[0] + i + 1
            c = b
        return a[0], b[0]

    never_wrong(program, (ROWS, 0), (ROWS, 1), (ROWS, 3))


def test_changed_in_branches() -> None:
    def program(x: Tensor) -> Tensor:
        items = [x, x * 2]
        if bool(x.sum() > 0):
            items.append(x * 3)
        else:
            items[0] = -x
            items.pop()
        total = torch.zeros_like(x)
        for item in items:
            total = total * 0.5 + item
        return total + len(items)

    check(program, (ROWS,), (-ROWS,))


def test_numbers() -> None:
    def program(x: Tensor, n: int) -> tuple[int, int, int, int, bool, bool]:
        sizes = [x.size(0), x.size(1), n]
        sizes.append(3)
        sizes[0] += 1
        return sum(sizes), max(sizes), min(sizes), sizes[n], n in sizes, 77 in sizes

    check(program, (ROWS, 0), (ROWS, 3), (ROWS, -2))


def test_numbers_collected_in_a_loop() -> None:
    def program(x: Tensor) -> tuple[Tensor, int]:
        places: list[int] = []
        values: list[float] = []
        flags: list[bool] = []
        for i in range(x.size(0)):
            if bool(x[i].sum() > 0):
                places.append(i)
                values.append(float(x[i, 0]))
            flags.append(bool(x[i, 0] > 1))
        total = 0
        for place in places:
            total += place
        return torch.tensor(places) * 10 + torch.tensor(values), total + len(flags)

    check(program, (ROWS,), (-ROWS,))


def test_sorted_and_compared() -> None:
    def program(x: Tensor) -> tuple[int, bool, bool]:
        numbers = [3, 1, 2]
        numbers.sort()
        other = sorted([9, 7, 8])
        other.sort(reverse=True)
        return numbers[0] * 100 + other[0] * 10 + numbers.index(2), numbers == [1, 2, 3], other != [9, 8, 7]

    check(program, (ROWS,))


def test_compared_to_sizes() -> None:
    def program(x: Tensor, y: Tensor) -> Tensor:
        if x.shape == y.shape:
            return x + y
        if x.size() != [5, 2] and list(x.shape)[-1] == 2:
            return x - 1
        return x * 2

    check(program, (ROWS, ROWS * 2), (ROWS, ROWS[:1]), (ROWS[:3], ROWS[:2]))


def test_tensors_are_compared_by_value() -> None:
    def program(x: Tensor, y: Tensor) -> tuple[bool, bool]:
        return [x, y] == [y, x], [x] == [x + 0]

    check(program, (ROWS[0, :1], ROWS[0, :1] * 1), (ROWS[0, :1], ROWS[1, :1]))


def test_pop_of_nothing_is_an_error() -> None:
    def program(x: Tensor) -> Tensor:
        items = [x]
        items.pop(3)
        return torch.stack(items)

    refused(program, ROWS, match="item 3|range")


def test_a_list_is_emptied_in_a_loop() -> None:
    def program(x: Tensor) -> Tensor:
        batch: list[Tensor] = []
        total = torch.zeros(x.size(1))
        for i in range(x.size(0)):
            batch.append(x[i])
            if len(batch) == 2:
                total = total + batch[0] * batch[1]
                batch.clear()
        for item in batch:
            total = total - item
        return total

    check(program, (ROWS,), (ROWS[:4],), (ROWS[:1],))


def test_nested_loops_that_collect() -> None:
    def program(x: Tensor) -> Tensor:
        outer: list[Tensor] = []
        for i in range(x.size(0)):
            inner: list[Tensor] = []
            for j in range(x.size(1)):
                inner.append(x[i, j] * (i + j))
            outer.append(torch.stack(inner))
        return torch.stack(outer)

    check(program, (ROWS,), (ROWS[:1],))


def test_one_list_filled_by_nested_loops() -> None:
    def program(x: Tensor) -> Tensor:
        out: list[Tensor] = []
        for i in range(x.size(0)):
            for j in range(x.size(1)):
                out.append(x[i, j] * (i + j))
        for i in range(x.size(0)):
            out.append(x[i, 0])
        return torch.stack(out)

    check(program, (ROWS,), (ROWS[:1],))


def test_returned() -> None:
    def program(x: Tensor) -> list[Tensor]:
        return [x, x + 1, x * 2]

    check(program, (ROWS,))


def test_dealt_out() -> None:
    def program(x: Tensor) -> Tensor:
        a, b = [x, x * 2]
        first, second = x.chunk(2, 1)
        (c, d), e = (first, second), x.sum()
        return a * b + c * d + e

    check(program, (ROWS,))


def test_a_list_with_a_list_of_indices() -> None:
    def program(x: Tensor, lengths: Tensor) -> Tensor:
        sizes: list[int] = lengths.tolist()
        parts = x.split([1, 4])
        return parts[0] + parts[1].sum(0) + sum(sizes)

    check(program, (ROWS, torch.tensor([1, 4])), free=(False,))

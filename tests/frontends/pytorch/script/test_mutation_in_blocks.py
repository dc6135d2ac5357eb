# The programs are written as TorchScript takes them.
# ruff: noqa: B007, PERF401
"""What is changed in place inside of branches and loops, and what leaves them as one of several tensors."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'nxconvert[torch]'")

from torch import Tensor  # noqa: E402

from tests.frontends.pytorch.script.harness import check, never_wrong  # noqa: E402

torch.manual_seed(0)
MATRIX = torch.randn(4, 6)
BOX = torch.randn(3, 4, 2)


def test_loops_that_write() -> None:
    def program(x: Tensor) -> Tensor:
        out = torch.zeros_like(x)
        for i in range(x.size(0)):
            for j in range(x.size(1)):
                if bool(x[i, j] > 0):
                    out[i, j] = x[i, j] * i
                else:
                    out[i, j] += j
            out[i] *= 2
        return out

    check(program, (MATRIX,), (MATRIX[:2, :3],))


def test_a_view_from_before_the_loop() -> None:
    def program(x: Tensor) -> tuple[Tensor, Tensor]:
        y = x.clone()
        v = y[0]
        w = y.t()
        for i in range(y.size(0)):
            v.add_(y[i])
            w[i] = v.sum()
        return y, w

    check(program, (MATRIX,), (torch.randn(2, 3),))


def test_in_a_branch() -> None:
    def program(x: Tensor) -> tuple[Tensor, Tensor]:
        x = x.clone()
        v = x[1]
        if bool(x.sum() > 0):
            x[0] = 5
            v.mul_(2)
        else:
            x.neg_()
        v += 1
        return x, v

    check(program, (MATRIX.abs(),), (-MATRIX.abs(),))


def test_a_view_that_leaves_a_branch() -> None:
    def program(y: Tensor, c: Tensor) -> Tensor:
        y = y.clone()
        z = y[0] if bool(c.sum() > 0) else y[1]
        z.mul_(3)
        return y

    check(program, (MATRIX, torch.ones(1)), (MATRIX, -torch.ones(1)))


def test_one_of_two_tensors_leaves_a_branch() -> None:
    def program(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        a, b = a.clone(), b.clone()
        z = a if bool(a.sum() > b.sum()) else b
        z.mul_(3)
        a.add_(1)
        w = z + 0
        z[0] = 9
        return a, b, w

    never_wrong(program, (MATRIX, MATRIX * 2), (MATRIX, -MATRIX))


def test_one_of_two_tensors_of_different_sizes_leaves_a_branch() -> None:
    def program(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        a, b = a.clone(), b.clone()
        z = a if bool(a.sum() > 0) else b
        z.mul_(3)
        return a, b

    never_wrong(program, (MATRIX.abs(), MATRIX[:1]), (-MATRIX.abs(), MATRIX[:1]))


def test_tensors_in_a_tuple_that_leaves_a_branch() -> None:
    def program(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        a, b = a.clone(), b.clone()
        pair = (a, b) if bool(a.sum() > 0) else (b, a)
        pair[0].mul_(3)
        return a, b

    never_wrong(program, (MATRIX.abs(), MATRIX), (-MATRIX.abs(), MATRIX))


def test_tensors_in_a_list_that_leaves_a_branch() -> None:
    def program(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        a, b = a.clone(), b.clone()
        items = [a, b] if bool(a.sum() > 0) else [b, a]
        items[0].mul_(3)
        return a, b

    never_wrong(program, (MATRIX.abs(), MATRIX), (-MATRIX.abs(), MATRIX))


def test_a_tensor_under_two_names_in_a_loop() -> None:
    """The variable is another tensor from the second round on; the first is still changed in the first."""

    def program(x: Tensor, n: int) -> tuple[Tensor, Tensor]:
        a, b = x.clone(), x * 2
        y = a
        for _ in range(n):
            y.add_(1)
            y = b
        return a, b

    never_wrong(program, (MATRIX, 0), (MATRIX, 1), (MATRIX, 3))


def test_swapped_tensors_are_written_in_a_loop() -> None:
    def program(x: Tensor, n: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        a, b = x.clone(), x * 2
        first, second = a, b
        for i in range(n):
            first.add_(i + 1)
            first, second = second, first
        return a, b, first, second

    never_wrong(program, (MATRIX, 0), (MATRIX, 1), (MATRIX, 2), (MATRIX, 3))


def test_a_tensor_made_in_the_loop_is_written_in_the_next_round() -> None:
    def program(x: Tensor, n: int) -> tuple[Tensor, Tensor]:
        y = x.clone()
        total = torch.zeros_like(x)
        for i in range(n):
            y.mul_(2)
            total += y
            y = y + 1
        return y, total

    check(program, (MATRIX, 0), (MATRIX, 1), (MATRIX, 3))


def test_a_row_picked_in_a_loop_is_written_after_it() -> None:
    def program(x: Tensor) -> Tensor:
        x = x.clone()
        row = x[0]
        for i in range(x.size(0)):
            if bool(x[i].sum() > row.sum()):
                row = x[i]
        row.zero_()
        return x

    never_wrong(program, (MATRIX,), (-MATRIX,))


def test_items_of_a_list_that_grew_in_a_loop_are_written() -> None:
    def program(x: Tensor) -> Tensor:
        rows: list[Tensor] = []
        for i in range(x.size(0)):
            rows.append(x[i] * 2)
        for i in range(len(rows)):
            rows[i].add_(i)
        rows[0].zero_()
        return torch.stack(rows)

    never_wrong(program, (MATRIX,), (MATRIX[:2],))


def test_a_tensor_is_written_after_it_was_appended_in_a_loop() -> None:
    def program(x: Tensor) -> tuple[Tensor, Tensor]:
        rows: list[Tensor] = []
        h = torch.zeros(x.size(1))
        for i in range(x.size(0)):
            h.add_(x[i])
            rows.append(h)
        return torch.stack(rows), h

    never_wrong(program, (MATRIX,))


def test_a_tensor_that_was_appended_is_written_in_the_same_round() -> None:
    def program(x: Tensor) -> Tensor:
        rows: list[Tensor] = []
        for i in range(x.size(0)):
            row = x[i] * 1
            rows.append(row)
            row.add_(i)
        return torch.stack(rows)

    check(program, (MATRIX,))


def test_views_that_a_loop_collects_show_later_writes() -> None:
    def program(x: Tensor) -> tuple[Tensor, Tensor]:
        y = x.clone()
        rows: list[Tensor] = []
        for i in range(y.size(0)):
            rows.append(y[i])
        y.add_(1)
        return torch.stack(rows), y

    never_wrong(program, (MATRIX,))


def test_chained_writes_in_nested_loops_and_branches() -> None:
    def program(x: Tensor) -> Tensor:
        board = torch.zeros(x.size(0), x.size(0), dtype=torch.int64)
        for i in range(x.size(0)):
            row = board[i]
            for j in range(x.size(0)):
                cell = row[j]
                if bool(x[i].sum() > x[j].sum()):
                    cell.add_(i + 1)
                    board[j, i] -= 1
                elif i == j:
                    row.fill_(7)
        return board

    check(program, (MATRIX,), (MATRIX[:2],))


def test_a_choice_made_inside_a_branch_leaves_it() -> None:
    def program(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        x, y = x.clone(), y.clone()
        z = x + 1
        if bool(x.sum() > 0):
            if bool(y.sum() > 0):
                z = y.view(-1).view(4, 6)
        z.add_(1)
        return y, z

    signs = (MATRIX.abs(), -MATRIX.abs())
    never_wrong(program, *((x, y) for x in signs for y in signs))


def test_a_row_found_inside_a_branch_leaves_it() -> None:
    def program(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        y = y.clone()
        row = x[0] + 0
        if bool(x.sum() > 0):
            row = y[int(y[0, 0] > 0)]
        row.add_(1)
        return y, row

    signs = (MATRIX.abs(), -MATRIX.abs())
    never_wrong(program, *((x, y) for x in signs for y in signs))


def test_what_a_loop_leaves_leaves_a_branch() -> None:
    def program(x: Tensor, n: int) -> tuple[Tensor, Tensor]:
        x = x.clone()
        row = x[0].clone()
        if bool(x.sum() > 0):
            for _ in range(n):
                row = x[1]
        row.add_(row)
        return x, row

    never_wrong(program, *((x, n) for x in (MATRIX.abs(), -MATRIX.abs()) for n in (0, 2)))


def test_two_variables_that_leave_a_branch_as_one_tensor() -> None:
    def program(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        if bool(x.sum() > 0):
            made = x * 2
            a, b, c = made, made, made[0]
        else:
            a, b, c = x + 1, x + 2, x[0] + 3
        a.add_(5)
        c.mul_(2)
        return a, b, c

    never_wrong(program, (MATRIX.abs(),), (-MATRIX.abs(),))


def test_two_variables_that_leave_a_loop_as_one_tensor() -> None:
    def program(x: Tensor, n: int) -> tuple[Tensor, Tensor]:
        a, b = x * 1, x * 2
        for i in range(n):
            a = b * (i + 1)
            b = a
        a.add_(5)
        return a, b

    never_wrong(program, (MATRIX, 0), (MATRIX, 3))


def test_two_variables_that_a_loop_carries_as_one_tensor() -> None:
    def program(x: Tensor, n: int) -> tuple[Tensor, Tensor]:
        a, b = x * 1, x * 2
        for i in range(n):
            a.add_(1)
            b.mul_(2)
            a = b * (i + 1)
            b = a
        return a, b

    never_wrong(program, (MATRIX, 0), (MATRIX, 1), (MATRIX, 3))


def test_one_tensor_enters_a_loop_as_two_variables() -> None:
    def program(x: Tensor, n: int) -> tuple[Tensor, Tensor]:
        a = x * 1
        b = a
        for _ in range(n):
            a.add_(1)
            b = b * 1
            b.mul_(2)
        return a, b

    never_wrong(program, (MATRIX, 0), (MATRIX, 1), (MATRIX, 3))


def test_tensors_in_a_tuple_that_a_loop_carries() -> None:
    def program(x: Tensor, n: int) -> tuple[Tensor, Tensor]:
        a, b = x * 1, x * 2
        pair = (a, b)
        for _ in range(n):
            pair[0].add_(1)
            pair = (pair[1], pair[0])
        pair[0].mul_(3)
        return a, b

    never_wrong(program, (MATRIX, 0), (MATRIX, 1), (MATRIX, 2))


def test_a_tensor_that_may_be_missing_leaves_a_branch() -> None:
    def program(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        y = y.clone()
        z: Tensor | None = None
        if bool(x.sum() > 0):
            z = y[0]
        if z is not None:
            z.add_(1)
        return x, y

    never_wrong(program, (MATRIX.abs(), MATRIX), (-MATRIX.abs(), MATRIX))

# The programs are written as TorchScript takes them.
# ruff: noqa: B905, RUF007
"""`for` and `while`: unrolled and traced, nested, left early, over what can be iterated."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'nxconvert[torch]'")

from torch import Tensor, nn  # noqa: E402

from tests.frontends.pytorch.script.harness import check  # noqa: E402

ROWS = torch.tensor([[0.5, -1.5, 2.0], [1.0, 3.0, -0.5], [2.5, 0.1, 0.2], [-4.0, 1.0, 1.0]])


def test_a_known_number_of_times() -> None:
    def program(x: Tensor) -> Tensor:
        for i in range(3):
            x = x * i + 1
        for i in range(5, 0, -2):
            x = x - i
        for _ in range(2, 2):
            x = x * 0
        return x

    check(program, (ROWS,))


def test_many_known_times() -> None:
    def program(x: Tensor) -> Tensor:
        for i in range(500):
            x = x * 0.99 + i
        return x

    check(program, (ROWS,))


@pytest.mark.parametrize("step", [1, 2, -1, -3])
def test_ranges_of_numbers_that_are_inputs(step: int) -> None:
    def program(x: Tensor, start: int, end: int, step: int) -> tuple[Tensor, int]:
        last = -100
        for i in range(start, end, step):
            x = x + i
            last = i
        return x, last

    calls = [(ROWS, 0, 5), (ROWS, 5, 0), (ROWS, -3, 4), (ROWS, 2, 2), (ROWS, 4, -4)]
    check(program, *((*call, step) for call in calls), constants={"step": step})
    check(program, *((*call, step) for call in calls))


def test_as_many_times_as_rows() -> None:
    def program(x: Tensor) -> Tensor:
        total = torch.zeros(x.size(1))
        for i in range(x.size(0)):
            total = total * 0.5 + x[i] * i
        return total

    check(program, (ROWS,), (ROWS[:1, :2],), (ROWS[:0],))


def test_over_a_tensor() -> None:
    def program(x: Tensor) -> Tensor:
        total = torch.zeros(x.size(1))
        for row in x:
            total = torch.tanh(total + row)
        return total

    check(program, (ROWS,), (ROWS[:2],))


def test_enumerate_zip_reversed_of_lists() -> None:
    def program(x: Tensor) -> Tensor:
        items = [x, x + 1, x * 2]
        for i, item in enumerate(items):
            x = x + item * i
        for i, (a, b) in enumerate(zip(items, items[1:])):
            x = x + a * b * i
        for item in items[::-1]:
            x = x * 0.5 + item
        return x

    check(program, (ROWS,))


def test_fibonacci() -> None:
    def program(n: int) -> tuple[int, int]:
        a, b = 0, 1
        for _ in range(n):
            a, b = b, a + b
        return a, b

    check(program, (0,), (1,), (10,), (50,))


def test_swapped_each_time() -> None:
    def program(x: Tensor, n: int) -> tuple[Tensor, Tensor]:
        a, b = x, x + 1
        for _ in range(n):
            a, b = b, a
        return a, b

    check(program, (ROWS, 0), (ROWS, 1), (ROWS, 2))


def test_a_delay_line() -> None:
    """Each variable takes the old value of the next, invariant ones stay, some are only read afterwards."""

    def program(x: Tensor, n: int) -> Tensor:
        a, b, c, d = x, x * 2, x * 3, x * 4
        unused = x
        for i in range(n):
            unused = c
            a = b
            b = c
            c = d * i
        return a + b * 10 + c * 100 + unused * 1000

    check(program, *((ROWS, n) for n in range(5)))


def test_break_and_continue() -> None:
    def program(x: Tensor, limit: int) -> tuple[Tensor, int]:
        count = 0
        for i in range(x.size(0)):
            if bool(x[i].sum() < 0):
                continue
            if count >= limit:
                break
            x = x + x[i]
            count += 1
        return x, count

    check(program, *((x, limit) for x in (ROWS, -ROWS, ROWS[:1]) for limit in (0, 1, 2, 9)))


def test_return_from_within() -> None:
    def program(x: Tensor) -> tuple[Tensor, int]:
        for i in range(x.size(0)):
            for j in range(x.size(1)):
                if bool(x[i, j] < 0):
                    return x[i], i * 10 + j
        return x.sum(0), -1

    check(program, (ROWS,), (ROWS[1:],), (ROWS[2:3],), (ROWS.abs(),))


def test_while_true() -> None:
    def program(x: Tensor) -> tuple[Tensor, int]:
        n = 0
        while True:
            x = x / 2
            n += 1
            if bool(x.abs().max() < 0.1):
                break
        return x, n

    check(program, (ROWS,), (ROWS * 100,), (ROWS / 100,))


def test_while_conditions_of_several_kinds() -> None:
    def program(x: Tensor, n: int) -> tuple[Tensor, int]:
        i = 0
        while i < n and bool(x.sum() < 50):
            x = x + x.abs()
            i += 1
        while i > 3:
            i -= 3
        return x, i

    check(program, *((x, n) for x in (ROWS, ROWS * 100) for n in (0, 1, 4, 10)))


def test_a_while_that_is_known() -> None:
    def program(x: Tensor) -> Tensor:
        i = 0
        while i < 4:
            x = x + i
            i += 1
        return x

    check(program, (ROWS,))


def test_nested_loops_with_ways_out() -> None:
    def program(x: Tensor) -> Tensor:
        total = torch.zeros(1)
        i = 0
        while i < x.size(0):
            j = 0
            while j < x.size(1):
                if bool(x[i, j] < 0):
                    j += 1
                    continue
                if bool(x[i, j] > 2):
                    break
                total = total + x[i, j] * (i + 1)
                j += 1
            i += 1
        return total

    check(program, (ROWS,), (ROWS.abs(),), (ROWS[:1, :1],))


def test_triangular_loops() -> None:
    def program(x: Tensor) -> tuple[Tensor, int]:
        total = torch.zeros(x.size(1))
        count = 0
        for i in range(x.size(0)):
            for j in range(i + 1, x.size(0)):
                total = total + x[i] * x[j]
                count += 1
            for _ in range(i):
                total = total * 0.5
        return total, count

    check(program, (ROWS,), (ROWS[:1],))


def test_a_tensor_that_grows() -> None:
    def program(x: Tensor, n: int) -> Tensor:
        y = x
        for i in range(n):
            y = torch.cat([y, x * i])
        return y

    check(program, (ROWS, 0), (ROWS, 1), (ROWS, 3))


def test_a_tensor_that_shrinks() -> None:
    def program(x: Tensor) -> Tensor:
        while x.size(0) > 1:
            half = x.size(0) // 2
            rest = x[2 * half :]
            x = torch.cat([x[:half] + x[half : 2 * half], rest])
        return x

    check(program, *((torch.randn(n, 2),) for n in (1, 2, 3, 7, 8)))


def test_a_dtype_that_settles() -> None:
    """What begins as an integer becomes a float in the loop; where the loop does not run, PyTorch keeps the integer."""

    def program(x: Tensor) -> Tensor:
        total = 0.0
        for i in range(x.size(0)):
            total = total + float(x[i, 0]) * i
        return x * total

    check(program, (ROWS,), (ROWS[:1],))


def test_zero_dim_accumulator() -> None:
    def program(x: Tensor) -> tuple[Tensor, Tensor]:
        total = torch.tensor(0)
        best = torch.tensor(float("-inf"))
        for i in range(x.size(0)):
            total = total + 1
            best = torch.maximum(best, x[i].max())
        return total, best

    check(program, (ROWS,), (ROWS[:1],))


def test_booleans_carried() -> None:
    def program(x: Tensor) -> tuple[bool, bool, int]:
        seen, alternating, first = False, True, -1
        for i in range(x.size(0)):
            if not seen and bool(x[i].sum() < 0):
                seen = True
                first = i
            alternating = not alternating
        return seen, alternating, first

    check(program, (ROWS,), (ROWS[:3],), (-ROWS,))


def test_loops_in_branches_and_branches_in_loops() -> None:
    def program(x: Tensor, n: int) -> Tensor:
        if bool(x.sum() > 0):
            for i in range(n):
                if i % 2 == 0:
                    x = x + i
                elif i % 3 == 0:
                    x = x * 2
        else:
            k = n
            while k > 0:
                x = x - k
                k = k // 2
        return x

    check(program, *((x, n) for x in (ROWS, -ROWS) for n in (0, 1, 5)))


def test_optional_carried() -> None:
    def program(x: Tensor) -> Tensor:
        h: Tensor | None = None
        for i in range(x.size(0)):
            if h is None:
                h = x[i]
            else:
                h = h * 0.5 + x[i]
        return torch.zeros(x.size(1)) if h is None else h

    check(program, (ROWS,), (ROWS[:1],), (ROWS[:0],))


def test_tuples_carried() -> None:
    def program(x: Tensor) -> Tensor:
        state = (x[0], (x[0] * 0, 1))
        for i in range(x.size(0)):
            state = (state[1][0] + x[i], (state[0], state[1][1] + i))
        return state[0] - state[1][0] * state[1][1]

    check(program, (ROWS,), (ROWS[:1],))


def test_modules_called_in_loops() -> None:
    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell = nn.GRUCell(3, 5)
            self.head = nn.Linear(5, 3)

        def forward(self, x: Tensor, steps: int) -> Tensor:
            h = torch.zeros(x.size(0), 5)
            for _ in range(steps):
                h = self.cell(x, h)
                x = self.head(h)
            return x

    check(Recurrent(), (ROWS, 3), (ROWS[:1], 0), (ROWS, 1))


def test_a_loop_that_only_counts() -> None:
    def program(x: Tensor) -> int:
        n = int(x.abs().sum())
        steps = 0
        while n != 1:
            n = n // 2 if n % 2 == 0 else 3 * n + 1
            steps += 1
        return steps

    check(program, (ROWS,), (ROWS[:2],))


def test_inner_loops_use_what_outer_ones_carry() -> None:
    def program(x: Tensor) -> Tensor:
        n = 1
        y = x[0] * 0
        for i in range(x.size(0)):
            scale = x[i].sum()
            for j in range(n):
                y = y + x[i] * j * scale
                if bool(y.sum() > 20):
                    n = 0
            n += 1
        return y * n

    check(program, (ROWS,), (ROWS.abs() * 3,))


def test_sizes_that_change_in_a_loop() -> None:
    def program(x: Tensor, n: int) -> tuple[Tensor, int]:
        total = 0
        for i in range(n):
            x = torch.nn.functional.pad(x, [0, i])
            total += x.size(1)
        return x.view(-1), total

    check(program, (ROWS, 0), (ROWS, 1), (ROWS, 3))


def test_newton() -> None:
    def program(a: float, tolerance: float) -> tuple[float, int]:
        x = a
        n = 0
        while abs(x * x - a) > tolerance:
            x = 0.5 * (x + a / x)
            n += 1
        return x, n

    check(program, (2.0, 1e-3), (100.0, 1e-2), (1.0, 1.0))

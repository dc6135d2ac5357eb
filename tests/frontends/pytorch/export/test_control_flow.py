"""Control flow that torch.export keeps: cond, while_loop, scan, map, nested in each other."""

from __future__ import annotations

import pytest

from tests.frontends.pytorch.export.harness import check, torch

nn = torch.nn
Dim = torch.export.Dim


def rand(*shape):
    return torch.randn(*shape)


def test_cond_takes_either_branch():
    def program(x):
        return torch.cond(x.sum() > 0, lambda x: x + 1, lambda x: x * 2, (x,))

    check(program, (torch.ones(3, 2),), (-torch.ones(3, 2),))


def test_cond_on_sizes_and_weights():
    class Choice(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two = nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, x):
            return torch.cond(x.mean() > 0, self.one, self.two, (x,)) + 1

    check(Choice(), (torch.ones(3, 4),), (-torch.ones(5, 4),), dynamic=({0: Dim("n")},))


def test_nested_cond_with_several_results():
    def program(x, y):
        def inner(x, y):
            return torch.cond(y.sum() > 1, lambda x, y: (x.sin(), y + 0), lambda x, y: (x.cos(), y * 3), (x, y))

        return torch.cond(x.sum() > 0, inner, lambda x, y: (x - 1, y - 1), (x, y))

    one = torch.ones(2)
    check(program, (one, one), (one, -one), (-one, one))


def test_while_loop_with_a_counter():
    from torch._higher_order_ops.while_loop import while_loop

    def program(n, x):
        return while_loop(lambda n, x: n > 0, lambda n, x: (n - 1, x * 1.5 + 1), (n, x))

    check(program, (torch.tensor(3), rand(2)), (torch.tensor(0), rand(2)), (torch.tensor(7), rand(2)))


def test_while_loop_with_weights_and_a_cond_inside():
    from torch._higher_order_ops.while_loop import while_loop

    class Iterated(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell = nn.Linear(3, 3)

        def forward(self, x, n):
            def body(i, x):
                y = self.cell(x)
                return i + 1, torch.cond(y.sum() > 0, lambda y: y.tanh(), lambda y: y.sigmoid(), (y,))

            return while_loop(lambda i, x: i < n, body, (torch.tensor(0), x))

    check(Iterated(), (rand(2, 3), torch.tensor(4)), (rand(2, 3), torch.tensor(1)), atol=1e-5)


def test_scan_carries_and_stacks():
    from torch._higher_order_ops.scan import scan

    class Scanned(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.randn(3))

        def forward(self, x):
            return scan(lambda c, x: (c * 0.9 + x * self.w, (c * x).sum()), torch.zeros(3), x, dim=0)

    check(Scanned(), (rand(6, 3),), (rand(1, 3),), (rand(9, 3),), dynamic=({0: Dim("t")},), atol=1e-5)


@pytest.mark.parametrize("reverse", [False, True])
def test_scan_of_several_along_another_axis(reverse):
    from torch._higher_order_ops.scan import scan

    def program(x, y):
        def step(carry, row):
            a, b = carry
            x, y = row
            return (a + x, b * y), (a * 2, y - b)

        return scan(step, (torch.zeros(2), torch.ones(4)), (x, y), dim=1, reverse=reverse)

    check(program, (rand(2, 5), rand(4, 5)), atol=1e-5)


def test_map_over_rows():
    from torch._higher_order_ops.map import map as map_rows

    def program(x, w):
        return map_rows(lambda row, w: (row * w).sin(), x, w)

    check(program, (rand(5, 3), rand(3)), (rand(2, 3), rand(3)), dynamic=(({0: Dim("n")}, None),))


def test_associative_scan():
    from torch._higher_order_ops.associative_scan import associative_scan

    def program(x):
        return associative_scan(lambda a, b: a * b + 0.5 * b, x, dim=0, combine_mode="generic")

    check(program, (rand(6, 3),), atol=1e-5, decomposed=(True,))

# The programs are written as TorchScript takes them.
# ruff: noqa: RET506
"""`if`: known and traced conditions, what branches assign, return, raise and leave alone."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'nxconvert[torch]'")

from torch import Tensor, nn  # noqa: E402

from tests.frontends.pytorch.script.harness import check, convert, refused, save  # noqa: E402

UP, DOWN = torch.tensor([0.5, 1.5, 2.0]), torch.tensor([-0.5, -1.5, 1.0])


def test_both_branches_assign() -> None:
    def program(x: Tensor) -> Tensor:
        if bool(x.sum() > 0):
            y = x * 2
            z = x + 1
        else:
            y = x - 3
            z = x
        return y * z

    check(program, (UP,), (DOWN,))


def test_one_branch_assigns() -> None:
    def program(x: Tensor) -> Tensor:
        if bool(x.sum() > 0):
            x = x * 2
        return x + 1

    check(program, (UP,), (DOWN,))


def test_branches_return() -> None:
    def program(x: Tensor) -> Tensor:
        if bool(x.max() > 5):
            return x * 10
        if bool(x.sum() > 0):
            y = x + 1
            if bool(y.min() > 1):
                return y
            x = y * 3
        elif bool(x.min() < -1):
            return -x
        return x / 2

    check(program, (UP,), (DOWN,), (UP * 10,), (UP - 0.6,), (DOWN / 10 - 0.1,))


def test_swapped_by_a_branch() -> None:
    def program(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        if bool(a.sum() > b.sum()):
            a, b = b, a
        return a, b

    check(program, (UP, DOWN), (DOWN, UP))


def test_a_branch_returns_the_input_itself() -> None:
    def program(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        if bool(x.sum() > 0):
            return x, x
        return y, x

    check(program, (UP, DOWN), (DOWN, UP))


def test_numbers_from_branches() -> None:
    def program(x: Tensor) -> tuple[Tensor, int, float, bool]:
        if bool(x.sum() > 0):
            n, f, flag = 2, 0.5, True
        else:
            n, f, flag = 7, -1.5, False
        return x * n + f, n + 1, f * 2, not flag

    check(program, (UP,), (DOWN,))


def test_a_number_from_a_branch_shapes_a_tensor() -> None:
    def program(x: Tensor) -> Tensor:
        n = 1
        if bool(x.sum() > 0):
            n = 3
        return torch.zeros(n, x.size(0)) + x

    check(program, (UP,), (DOWN,))


def test_branches_of_other_sizes() -> None:
    def program(x: Tensor) -> Tensor:
        if bool(x.sum() > 0):
            y = x[:2]
        else:
            y = torch.cat([x, x])
        return y * 2

    check(program, (UP,), (DOWN,))


def test_sizes_decide() -> None:
    def program(x: Tensor) -> Tensor:
        y = x[:2] if x.size(0) > 2 else x
        if x.size(0) % 2 == 0:
            y = y + 10
        if x.size(0) == 1:
            y = y - 1
        return y

    check(program, (torch.randn(1),), (torch.randn(2),), (torch.randn(3),), (torch.randn(4),))


def test_ranks_decide() -> None:
    def program(x: Tensor) -> Tensor:
        if x.dim() == 3:
            return x.sum(1)
        if x.dim() == 1:
            x = x.unsqueeze(0)
        return x * x.ndim

    check(program, (torch.randn(4),))
    check(program, (torch.randn(4, 2),))
    check(program, (torch.randn(4, 2, 3),))


def test_conditions_of_conditions() -> None:
    def program(x: Tensor, a: bool, b: bool) -> Tensor:
        positive = bool(x.sum() > 0)
        if (a and not b) or (positive and b):
            return x + 1
        if a != b or (a == positive) is True:
            return x + 2
        return x + 3

    flags = (True, False)
    check(program, *((x, a, b) for x in (UP, DOWN) for a in flags for b in flags))


def test_short_circuit() -> None:
    """The second half of a condition may not be evaluated where the first has decided."""

    def program(x: Tensor, i: int) -> Tensor:
        if i < x.size(0) and bool(x[i] > 0):
            return x[i] * 2
        if i >= x.size(0) or bool(x[i] < -1):
            return x.sum()
        return -x[i]

    check(program, *((x, i) for x in (UP, DOWN) for i in (0, 1, 2, 3, 9)))


def test_chained_ternaries() -> None:
    def program(x: Tensor, n: int) -> Tensor:
        k = 1 if n > 10 else (2 if n > 5 else (3 if n > 0 else 4))
        y = x if k == 1 else (x * 2 if k < 4 else -x)
        return y * k

    check(program, *((UP, n) for n in (11, 10, 6, 5, 1, 0, -3)))


def test_nested_branches() -> None:
    def program(x: Tensor) -> Tensor:
        total = x.sum()
        if bool(total > 0):
            if bool(x[0] > 0):
                if bool(x[1] > 1):
                    x = x * 2
                else:
                    total = total + 1
            else:
                x = x + 1
                total = total * 2
        else:
            if bool(x[0] > 0):
                x = -x
            total = total - 5
        return x * total

    signs = torch.cartesian_prod(*[torch.tensor([-1.0, 2.0])] * 3)
    check(program, *((row,) for row in signs))


def test_a_branch_that_raises() -> None:
    def program(x: Tensor) -> Tensor:
        if bool(x.sum() < -100):
            raise ValueError("too small")
        elif bool(x.sum() > 100):
            y = x / 2
        else:
            y = x * 2
        assert bool(y.max() < 1000), "too large"
        return y

    check(program, (UP,), (DOWN,), (UP * 100,))


def test_a_program_that_always_raises() -> None:
    def program(x: Tensor) -> Tensor:
        if x.dim() == 1:
            raise ValueError("not for vectors")
        return x

    check(program, (torch.randn(2, 2),))
    refused(program, UP, match="not for vectors")


def test_both_branches_raise() -> None:
    def program(x: Tensor) -> Tensor:
        if bool(x.sum() > 0):
            raise ValueError("up")
        else:
            raise ValueError("down")
        return x

    refused(program, UP, match="up|down")


def test_optional_results_of_branches() -> None:
    def program(x: Tensor) -> Tensor:
        m: Tensor | None = None
        if bool(x.sum() > 0):
            m = x * 2
        y = x + 1
        if m is not None:
            y = y * m
        return y

    check(program, (UP,), (DOWN,))


def test_optional_numbers() -> None:
    def program(x: Tensor, n: int) -> Tensor:
        k: int | None = None
        if n > 2:
            k = n * 2
        if k is None:
            k = -1
        return x * k

    check(program, (UP, 1), (UP, 2), (UP, 3))


def test_none_again() -> None:
    def program(x: Tensor) -> Tensor:
        m: Tensor | None = x * 3
        if bool(x.sum() > 0):
            m = None
        if bool(x[0] > 1) and m is not None:
            m = m + 1
        return x if m is None else m

    check(program, (UP,), (DOWN,), (torch.tensor([2.0, -9, 1]),))


class Point(NamedTuple):
    x: Tensor
    n: int


def test_compound_values_from_branches() -> None:
    def program(x: Tensor) -> tuple[Tensor, int]:
        if bool(x.sum() > 0):
            p = Point(x, 1)
            pair = (x, [x + 1, x * 2])
            d = {"a": x, "b": x * 5}
        else:
            p = Point(x * 2, 5)
            pair = (x * 3, [x, x * 4])
            d = {"a": x * 6, "b": x}
        return p.x + pair[0] * pair[1][1] - pair[1][0] + d["a"] / d["b"], p.n

    check(program, (UP,), (DOWN,))


def test_strings_from_branches() -> None:
    def program(x: Tensor, fast: bool) -> Tensor:
        mode = "fast" if fast else "slow"
        if mode == "fast":
            return x * 2
        return x * 3

    check(program, (UP, True), constants={"fast": True})
    check(program, (UP, False), constants={"fast": False})


def test_branches_of_another_dtype() -> None:
    """As PyTorch promotes afterwards, so does the graph, or it refuses: one value has one dtype."""

    def program(x: Tensor) -> Tensor:
        if bool(x.sum() > 0):
            y = x.to(torch.int64)
        else:
            y = x
        return y

    refused(program, UP, match="dtype")


def test_branches_of_another_rank() -> None:
    def program(x: Tensor) -> Tensor:
        y = x.unsqueeze(0) if bool(x.sum() > 0) else x
        return y.sum() + y.size(-1)

    refused(program, UP, match="rank|dims")


def test_a_condition_of_a_one_element_tensor() -> None:
    def program(x: Tensor, c: Tensor) -> Tensor:
        if c:
            x = x + 1
        if c.any():
            x = x * 2
        while (c > 0).all():
            c = c - 1
        return x + c

    check(program, (UP, torch.tensor([2])), (UP, torch.tensor([0])))


def test_modules_called_in_branches() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = nn.Linear(3, 3)
            self.b = nn.Linear(3, 3)

        def forward(self, x: Tensor) -> Tensor:
            if bool(x.sum() > 0):
                x = self.a(x)
            else:
                x = self.b(self.a(x))
            return self.b(x)

    check(Two(), (UP.unsqueeze(0),), (DOWN.unsqueeze(0),))


def test_a_result_is_used_in_one_branch_only() -> None:
    """What a branch uses of the outside is not computed in a way that the outside would notice."""

    def program(x: Tensor) -> Tensor:
        expensive = x.exp().cumsum(0)
        parts = expensive.split(1)
        if bool(x.sum() > 0):
            return parts[0] + parts[-1]
        return x.sum().unsqueeze(0)

    check(program, (UP,), (DOWN,), free=(False,))


def test_unused_branches_of_known_flags_need_no_lowering() -> None:
    class Flag(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.flag = False

        def forward(self, x: Tensor) -> Tensor:
            if self.training or self.flag:
                return torch.linalg.lu(x)[0]
            return x

    check(Flag(), (torch.randn(2, 2),))


def test_compounds_that_may_be_missing() -> None:
    def program(x: Tensor) -> Tensor:
        pair: tuple[Tensor, int] | None = None
        items: list[Tensor] | None = None
        named: dict[str, Tensor] | None = None
        if x.sum() > 0:
            pair = (x * 2, 3)
            named = {"a": x * 5}
        else:
            items = [x * 2, x + 1]
        y = x
        if pair is not None:
            y = pair[0] + pair[1]
        if items is not None:
            y = items[0] + items[1] * len(items)
        if named is not None:
            y = y - named["a"]
        return y

    check(program, (UP,), (-UP,))


def test_complex_tensors_through_branches_and_loops() -> None:
    def program(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        z = torch.complex(a, b)
        start = z
        for _ in range(20):
            z = z * z * 0.3 + start
            if z.abs().max() > 2:
                z = z / z.abs()
        y = torch.complex(b, a)
        if a.sum() > 0:
            y = y.conj()
        rounds = 0
        while y.abs().sum() < 50 and rounds < 9:
            y = y * torch.polar(torch.full_like(a, 1.5), b)
            rounds += 1
        return z.abs(), torch.view_as_real(y)

    check(program, (UP[0], UP[1]), (-UP[0], UP[2]), rtol=1e-4, atol=1e-4)


def test_what_a_branch_only_passes_on_needs_no_if(tmp_path: Path) -> None:
    def program(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, int]:
        a, b, n = x, y, 1
        if x.sum() > 0:
            a, b, n = y, x, 2
            c = torch.relu(x).sum()
        else:
            c = y.sum()
        return a + c, b, n

    model = convert(save(program, str(tmp_path)), tmp_path / "model.onnx", {"x": "float32[3]", "y": "float32[3]"}, None)
    (branch,) = (node for node in model.graph.node if node.op_type == "If")
    assert len(branch.output) == 1
    check(program, (UP, DOWN), (DOWN, UP))

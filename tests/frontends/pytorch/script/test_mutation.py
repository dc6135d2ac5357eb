# The programs are written as TorchScript takes them.
# ruff: noqa: RUF059
"""What is changed in place: through views of views, in branches and loops, under other names."""

from __future__ import annotations

import inspect
import re
import tempfile
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'nxconvert[torch]'")

from torch import Tensor, nn  # noqa: E402

from tests.frontends.pytorch.script import harness  # noqa: E402
from tests.frontends.pytorch.script.harness import check, check_sequence, never_wrong, trace  # noqa: E402

torch.manual_seed(0)
MATRIX = torch.randn(4, 6)
BOX = torch.randn(3, 4, 2)


def test_operators_with_an_underscore() -> None:
    def program(x: Tensor, y: Tensor) -> Tensor:
        z = x.clone()
        z.add_(y).mul_(2).sub_(1, alpha=3)
        z.clamp_(-1, 1).exp_()
        z += y
        z *= 0.5
        z /= 3
        z.masked_fill_(y > 0, 7.0)
        return z

    check(program, (MATRIX, MATRIX * 2), (MATRIX, torch.randn(1, 6)))


def test_the_dtype_stays() -> None:
    def program(x: Tensor, n: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        n = n.clone()
        n.mul_(2)
        n.copy_(x[0])
        flags = n > 0
        flags.copy_(x[1])
        half = torch.zeros(6, dtype=torch.float64)
        half.copy_(n).add_(x[0])
        return n, flags, half

    check(program, (MATRIX * 3, torch.arange(6)))


def test_views_of_views() -> None:
    def program(x: Tensor) -> Tensor:
        x = x.clone()
        x[:, 1:3].t().add_(1)
        x[0].view(-1)[::2].mul_(2)
        a, b = x.chunk(2, 1)
        b.sub_(5)
        x.transpose(0, 1)[0] = 7
        c = x[1:]
        d = c[:, 2:]
        d[0].fill_(3)
        c[1, 1] = -4
        x[0, 0] = 9
        return x + d.sum() + c[0, 0]

    check(program, (MATRIX,), (torch.randn(3, 4),))


def test_a_view_shows_what_happens_to_its_base() -> None:
    def program(x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        x = x.clone()
        v = x[1]
        w = x.t()
        before = v + 0
        x.mul_(10)
        u = w[0]
        x[1, 0] = 100
        return before, v, w, u

    check(program, (MATRIX,))


def test_a_base_shows_what_happens_to_its_views() -> None:
    def program(x: Tensor) -> tuple[Tensor, Tensor]:
        x = x.clone()
        first = x.view(-1)
        second = first[2:8].view(2, 3)
        second[1] += 5
        first[0] = second[1, 2]
        return x, second

    check(program, (MATRIX,))


@pytest.mark.parametrize("kind", range(18))
def test_every_kind_of_view_can_be_written(kind: int) -> None:
    def program(x: Tensor, kind: int) -> Tensor:
        x = x.clone()
        if kind == 0:
            x.select(1, 2).fill_(1)
        elif kind == 1:
            x.narrow(1, 1, 2).fill_(2)
        elif kind == 2:
            x.transpose(0, 2)[1] = 3
        elif kind == 3:
            x.permute(2, 0, 1)[0, 1] += 4
        elif kind == 4:
            x.unsqueeze(1)[0, 0] = 5
        elif kind == 5:
            x[:1].squeeze(0).mul_(6)
        elif kind == 6:
            x.view(3, 8)[:, ::3] = 7
        elif kind == 7:
            x.flatten(1)[1].mul_(8)
        elif kind == 8:
            x.split(2, 1)[1].add_(9)
        elif kind == 9:
            x.unbind(0)[2].sub_(10)
        elif kind == 10:
            x[0].diagonal().fill_(11)
        elif kind == 11:
            x.movedim(0, 2)[1, 1, 1] = 12
        elif kind == 12:
            x.unflatten(1, (2, 2))[:, 1, 0].neg_()
        elif kind == 13:
            x.swapaxes(0, 1)[2].zero_()
        elif kind == 14:
            x.mT[0, 1] = 15
        elif kind == 15:
            x.detach().add_(16)
        elif kind == 16:
            x.tensor_split(2, 1)[0].mul_(17)
        else:
            x.view_as(x)[1].copy_(x[0])
        return x

    check(program, (BOX, kind), constants={"kind": kind})


class Written(nn.Module):
    """Writes through what may be a view of its argument, or a copy. All sizes are even: PyTorch's rules see strides."""

    def __init__(self, case: str) -> None:
        super().__init__()
        self.case = case

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = x.clone()
        if self.case == "reshape of a transpose":
            y = x.t().reshape(-1)
        elif self.case == "reshape of a transpose of a column":
            y = x[:, :1].t().reshape(-1)
        elif self.case == "reshape there and back":
            y = x.reshape(4, 6, 1).permute(2, 0, 1).reshape(4, 6)
        elif self.case == "reshape of columns":
            y = x[:, 1:5].reshape(-1)
        elif self.case == "reshape of rows":
            y = x[1:3].reshape(-1)
        elif self.case == "reshape of every other row":
            y = x[::2].reshape(-1)
        elif self.case == "reshape of every other row by row":
            y = x[::2].reshape(2, 2, 3)
        elif self.case == "reshape of one column":
            y = x[:, :1].reshape(4)
        elif self.case == "flatten of one column":
            y = x.select(1, 0).flatten()
        elif self.case == "reshape of a part of the rows":
            y = x.chunk(2, 0)[0].reshape(-1)
        elif self.case == "reshape of a part of the columns":
            y = x.chunk(2, 1)[0].reshape(-1)
        elif self.case == "reshape of a row":
            y = x.unbind(0)[1].reshape(2, 3)
        elif self.case == "reshape of a column":
            y = x.unbind(1)[1].reshape(2, 2)
        elif self.case == "reshape of a diagonal":
            y = x.diagonal().reshape(-1)
        elif self.case == "reshape of an expanded tensor":
            y = x.expand(2, 4, 6)[0].reshape(-1)
        elif self.case == "reshape that splits a strided axis":
            y = x.t().reshape(2, 3, 4)
        elif self.case == "flatten of swapped axes":
            y = x.view(2, 2, 6).transpose(0, 1).flatten(1)
        elif self.case == "contiguous after expanding":
            y = x.expand(1, 4, 6).contiguous()
        elif self.case == "contiguous after a transpose":
            y = x.t().contiguous()
        elif self.case == "contiguous after two transposes":
            y = x.t().t().contiguous()
        elif self.case == "ravel":
            y = x.ravel()
        elif self.case == "a copy by name":
            y = x.to(torch.float32, copy=True)
        elif self.case == "another dtype":
            y = x.to(torch.float64)
        elif self.case == "the same dtype":
            y = x.to(torch.float32)
        elif self.case == "picked rows":
            y = x[torch.tensor([0, 1])]
        elif self.case == "picked elements":
            y = x[x > 0]
        elif self.case == "repeated":
            y = x.repeat(1, 1)
        elif self.case == "joined":
            y = torch.cat([x])
        elif self.case == "unchanged by arithmetic":
            y = x + 0
        elif self.case == "unchanged by activation":
            y = x.abs().relu()
        else:
            y = x.detach()
        y.add_(100)
        return x, y


CASES = re.findall(r'self\.case == "([^"]+)"', inspect.getsource(Written))


@pytest.mark.parametrize("case", [*CASES, "detached"])
def test_a_view_or_a_copy(case: str) -> None:
    never_wrong(Written(case), (MATRIX,))


def test_what_may_be_the_same_tensor_is_the_same_tensor() -> None:
    def program(x: Tensor) -> Tensor:
        x = x.clone()
        x.contiguous().add_(1)
        x.float().add_(2)
        x.to(torch.float32).add_(4)
        x.reshape(-1).add_(8)
        x.flatten().add_(16)
        x.view(-1).reshape(x.size(0), -1).add_(32)
        x.expand_as(x).add_(64)
        return x

    check(program, (MATRIX,))


def test_slices_of_all_kinds_are_assigned() -> None:
    def program(x: Tensor, y: Tensor) -> Tensor:
        x = x.clone()
        x[0] = 1
        x[-1] = y
        x[:, -2:] = 0.5
        x[1:3, ::2] = y[:3]
        x[..., 1] = x[..., 2]
        x[None, 2] += 1
        x[x > 1] = -1.0
        x[torch.tensor([0, 2]), torch.tensor([1, 1])] = y[:2]
        x[torch.tensor([3, 1])] += 10
        x[:, torch.tensor([True, False, False, True, False, False])] *= 2
        x[torch.tensor([0, 0])] = 4
        return x

    check(program, (MATRIX, torch.randn(6)))


def test_operators_that_scatter_through_views() -> None:
    def program(x: Tensor, index: Tensor) -> Tensor:
        x = x.clone()
        x[:3].scatter_(1, index, 5.0)
        x[1:].index_add_(0, index[:, 0], torch.ones(3, 6))
        x.t().index_fill_(0, torch.tensor([5]), 3.0)
        x[:, 1:].masked_fill_(x[:, 1:] < 0, 0.25)
        x.view(-1).index_copy_(0, torch.tensor([1, 0]), torch.tensor([8.0, 9.0]))
        x[:4, :4].diagonal().fill_(6.0)
        x[2].put_(torch.tensor([1]), torch.tensor([12.0]))
        return x

    check(program, (MATRIX, torch.tensor([[0, 1], [1, 2], [2, 0]])), free=(False,))


def test_what_was_read_before_a_write_stays() -> None:
    def program(x: Tensor) -> tuple[Tensor, Tensor]:
        x = x.clone()
        y = x * 1
        z = x[0] + 0
        x.zero_()
        return y, z

    check(program, (MATRIX,))


def test_items_of_a_list_are_written() -> None:
    def program(x: Tensor) -> tuple[Tensor, Tensor]:
        a, b = x.clone(), x * 2
        items = [a, b]
        items[0].add_(1)
        items[1][0] = 5
        for item in items:
            item.mul_(2)
        items[0] = x
        items.append(a)
        items[-1].sub_(3)
        return a, b

    check(program, (MATRIX,))


def test_items_of_a_list_are_written_at_a_place_that_depends_on_data() -> None:
    def program(x: Tensor, i: int) -> tuple[Tensor, Tensor, Tensor]:
        a, b = x.clone(), x * 2
        items = [a, b]
        items[i].add_(1)
        return a, b, items[0]

    never_wrong(program, (MATRIX, 0), (MATRIX, 1), (MATRIX, -1))


def test_tensors_in_dicts_and_tuples_are_written() -> None:
    def program(x: Tensor) -> tuple[Tensor, Tensor]:
        d = {"a": x.clone(), "b": x * 2}
        t = (d["a"], d["b"])
        t[0].add_(1)
        d["b"].mul_(2)
        d["a"] = t[1]
        d["a"].sub_(1)
        return t[0], t[1]

    check(program, (MATRIX,))


def test_a_function_writes_its_argument() -> None:
    class Caller(nn.Module):
        def change(self, x: Tensor, n: int) -> Tensor:
            x[0] = n
            if bool(x.sum() > 0):
                x.mul_(2)
            return x[1]

        def forward(self, x: Tensor) -> Tensor:
            x = x.clone()
            y = self.change(x, 3)
            y.add_(1)
            self.change(x[1:], 4)
            return x

    check(Caller(), (MATRIX,), (-MATRIX,))


def test_an_input_is_changed() -> None:
    def program(x: Tensor, y: Tensor) -> Tensor:
        x[0] = 1
        x.add_(y)
        y = y * 2
        return x.sum() + y.sum()

    assert check_sequence_of_inputs(program, MATRIX, MATRIX * 3) == {"x_out"}


def check_sequence_of_inputs(program: object, *call: Tensor) -> set[str]:
    """What a program leaves in its arguments, as outputs: their names; their content is compared."""
    check(program, call)
    with tempfile.TemporaryDirectory() as folder:
        source, target = harness.save(program, folder), Path(folder) / "model.onnx"
        feeds = harness.arguments(source, call, None)
        harness.convert(source, target, harness.declare(feeds, free=True), None)
        outputs = harness.run(target, feeds)
        given = {name: value.clone() for name, value in zip(feeds, call, strict=True)}
        torch.jit.load(source)(*given.values())
        left = {name for name in outputs if name.endswith("_out")}
        for name in left:
            np.testing.assert_allclose(outputs[name], given[name.removesuffix("_out")].numpy(), rtol=1e-5)
        changed = {f"{name}_out" for name, value in given.items() if not np.array_equal(value.numpy(), feeds[name])}
        assert left == changed
        return left


def test_an_input_is_changed_through_a_view_in_a_branch() -> None:
    def program(x: Tensor, y: Tensor) -> Tensor:
        if bool(y.sum() > 0):
            x.t()[0].add_(1)
        return x * 2

    assert check_sequence_of_inputs(program, MATRIX, MATRIX.abs()) == {"x_out"}


def test_traced_mutation() -> None:
    def program(x: Tensor) -> Tensor:
        y = x.clone()
        y[:, 0] = 1
        y[1:3, 2:].mul_(2)
        y.transpose(0, 1)[3] += x[:, 0]
        z = y.view(-1)
        z[5] = 7
        y[y > 1] = 0
        return y

    check(trace(program, MATRIX), (MATRIX,), (torch.randn(4, 6),))


def test_parameters_and_buffers_are_not_changed_by_a_view_of_a_copy() -> None:
    class Bias(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.randn(6))
            self.register_buffer("table", torch.randn(4, 6))

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            w = self.weight.clone()
            w[0] = 5
            t = self.table + 0
            t[1:, 0] = x[1:, 0]
            return w * x, t + self.table

    check(Bias(), (MATRIX,))


def test_a_buffer_is_changed_through_a_view() -> None:
    class Ring(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("ring", torch.zeros(4, 3))
            self.at = 0

        def forward(self, x: Tensor) -> Tensor:
            row = self.ring[self.at % 4]
            row.copy_(x)
            row[0] += 1
            self.at += 1
            return self.ring.sum(0) * self.at

    assert set(check_sequence(Ring(), *[(torch.randn(3),) for _ in range(6)])) == {"ring", "at"}


def test_results_share_memory_with_nothing_that_is_written_later() -> None:
    def program(x: Tensor) -> tuple[Tensor, Tensor]:
        y = x.clone()
        outs = (y, y[0])
        y.add_(1)
        return outs

    check(program, (MATRIX,))


def test_cumulative_updates_of_slices() -> None:
    """A step of dynamic programming reads what the step before wrote."""

    def program(x: Tensor) -> Tensor:
        n, m = x.size(0), x.size(1)
        table = torch.full((n + 1, m + 1), 1e9)
        table[0, 0] = 0
        for i in range(1, n + 1):
            for j in range(1, m + 1):
                best = torch.min(torch.min(table[i - 1, j], table[i, j - 1]), table[i - 1, j - 1])
                table[i, j] = x[i - 1, j - 1].abs() + best
        return table[1:, 1:]

    check(program, (MATRIX,), (torch.randn(2, 3),))


def test_numbers_written_to_regions_whose_bounds_are_arguments() -> None:
    """Slices of slices, bounds of both signs, and outside of the tensor."""

    def program(x: Tensor, a: int, b: int) -> Tensor:
        y = x.clone()
        y[a:b] = 1
        y[a:b, -3:b] = 2
        y[:, a:] = 3
        y[:-2, :a][:, -b:] = 4
        y[a:] = 5
        y[b:a] = 6
        y[:, 1:3] = 7
        y[::2, 1::2] = 8
        return y

    bounds = [(1, 3), (-2, 9), (0, -1), (-9, -4), (7, 7), (3, 0)]
    check(program, *((torch.randn(4, 6), a, b) for a, b in bounds))
    check(program, (torch.randn(0, 5), -1, 2))


def test_other_parts_of_a_tensor_are_no_region() -> None:
    """What is chosen where the number is not written comes from elsewhere, or is not a number."""

    def program(x: Tensor, k: int) -> Tensor:
        y = x.clone()
        mask = torch.arange(x.size(1)) > 2
        y[k : k + 2] = torch.where(mask, torch.tensor(5.0), y[k + 1 : k + 3])
        y[k:] = torch.where(y[k:] > 0, torch.tensor(9.0), y[k:])
        y[:k] = torch.where(mask, y[1:2], y[:k])
        return y

    check(program, (MATRIX, 1), (MATRIX, 0))


def test_regions_of_bools_and_halves() -> None:
    def program(x: Tensor, k: int) -> tuple[Tensor, Tensor, Tensor]:
        flags, halves, numbers = x > 0, x.half(), (x * 4).int()
        flags[k:, :k] = True
        flags[:k] = False
        halves[k:, 1:] = 0.5
        numbers[:k, k:] = -7
        return flags, halves, numbers

    check(program, (MATRIX, 2), (MATRIX, -1))

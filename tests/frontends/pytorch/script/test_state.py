"""Attributes and buffers that `forward` changes: what one call leaves is what the next one begins with."""

import contextlib

import numpy as np
import pytest

import nxconvert

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'nxconvert[torch]'")

from torch import Tensor, nn  # noqa: E402

from tests.frontends.pytorch.script import harness  # noqa: E402
from tests.frontends.pytorch.script.harness import check_sequence  # noqa: E402

torch.manual_seed(0)


def calls(*shape: int, count: int = 4) -> list[tuple[Tensor]]:
    return [(torch.randn(shape),) for _ in range(count)]


def test_a_buffer_that_is_assigned() -> None:
    class Mean(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("mean", torch.ones(3))

        def forward(self, x: Tensor) -> Tensor:
            self.mean = self.mean * 0.9 + x.mean(0) * 0.1
            return x - self.mean

    assert check_sequence(Mean(), *calls(2, 3)) == ["mean"]


def test_a_buffer_that_is_written_in_place() -> None:
    class Count(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("count", torch.zeros((), dtype=torch.int64))

        def forward(self, x: Tensor) -> Tensor:
            self.count += 1
            if bool(x.sum() > 0):
                self.count.add_(10)
            return x * self.count

    assert check_sequence(Count(), *calls(3)) == ["count"]


def test_numbers_and_flags() -> None:
    class Numbers(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.n = 3
            self.f = 0.5
            self.odd = False

        def forward(self, x: Tensor) -> Tensor:
            self.n += 2
            self.f = self.f * 1.5
            self.odd = not self.odd
            if self.odd:
                x = -x
            return x * self.n + self.f

    assert set(check_sequence(Numbers(), *calls(3))) == {"n", "f", "odd"}


def test_a_rank_that_changes_after_the_first_call() -> None:
    class Hidden(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.h = torch.zeros(0)
            self.layer = nn.Linear(3, 3)

        def forward(self, x: Tensor) -> Tensor:
            if self.h.numel() == 0:
                self.h = torch.zeros(x.size(0), 3)
            self.h = torch.tanh(self.layer(x) + self.h)
            return self.h

    assert check_sequence(Hidden(), *calls(2, 3), steady_from=1) == ["h"]


def test_a_first_call_that_makes_the_state_by_rank() -> None:
    class Hidden(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.h = torch.zeros(0)

        def forward(self, x: Tensor) -> Tensor:
            if self.h.dim() == 1:
                self.h = x * 0
            self.h = self.h * 0.5 + x
            return self.h.sum(0)

    assert check_sequence(Hidden(), *calls(2, 3), steady_from=1) == ["h"]


def test_an_optional_state() -> None:
    class Previous(nn.Module):
        previous: Tensor | None

        def __init__(self) -> None:
            super().__init__()
            self.previous = None

        def forward(self, x: Tensor) -> Tensor:
            last = self.previous
            y = x if last is None else x + last
            self.previous = x
            return y

    assert check_sequence(Previous(), *calls(2, 3), steady_from=1) == ["previous"]


def test_a_flag_that_is_set_once() -> None:
    class Once(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.started = False
            self.register_buffer("scale", torch.ones(3))

        def forward(self, x: Tensor) -> Tensor:
            if not self.started:
                self.scale.copy_(x.abs().mean(0))
                self.started = True
            return x / self.scale

    check_sequence(Once(), *calls(2, 3), steady_from=1)


def test_state_of_children() -> None:
    class Delay(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("last", torch.zeros(3))

        def forward(self, x: Tensor) -> Tensor:
            y = self.last
            self.last = x
            return y

    class Chain(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.delays = nn.ModuleList([Delay(), Delay(), Delay()])
            self.calls = 0

        def forward(self, x: Tensor) -> Tensor:
            total = x
            for delay in self.delays:
                x = delay(x)
                total = total * 2 + x
            self.calls += 1
            return total

    names = check_sequence(Chain(), *calls(3, count=6))
    assert set(names) == {"calls", "delays.0.last", "delays.1.last", "delays.2.last"}


def test_lists_of_tensors() -> None:
    class History(nn.Module):
        history: list[Tensor]

        def __init__(self) -> None:
            super().__init__()
            self.history = [torch.zeros(2), torch.ones(2)]

        def forward(self, x: Tensor) -> Tensor:
            self.history[0] = self.history[1]
            self.history[1] = x
            return self.history[0] * 10 + self.history[1]

    names = check_sequence(History(), *calls(2))
    assert names == ["history.0", "history.1"]


def test_a_list_that_shifts() -> None:
    class Window(nn.Module):
        window: list[Tensor]

        def __init__(self) -> None:
            super().__init__()
            self.window = [torch.zeros(2) for _ in range(3)]

        def forward(self, x: Tensor) -> Tensor:
            self.window.append(x)
            self.window.pop(0)
            return torch.stack(self.window)

    check_sequence(Window(), *calls(2))


def test_a_dict_of_tensors() -> None:
    class Store(nn.Module):
        store: dict[str, Tensor]

        def __init__(self) -> None:
            super().__init__()
            self.store = {"a": torch.zeros(2), "b": torch.ones(2)}

        def forward(self, x: Tensor) -> Tensor:
            self.store["a"] = self.store["b"] + x
            self.store["b"] = x
            return self.store["a"]

    check_sequence(Store(), *calls(2))


def test_state_that_grows() -> None:
    class Cache(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.keys = torch.zeros(1, 0, 4)

        def forward(self, x: Tensor) -> Tensor:
            self.keys = torch.cat([self.keys, x], 1)
            return x @ self.keys.transpose(1, 2)

    check_sequence(Cache(), *calls(1, 2, 4), steady_from=1)


def test_a_fixed_cache_with_a_position() -> None:
    class Cache(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("keys", torch.zeros(1, 8, 4))
            self.position = 0

        def forward(self, x: Tensor) -> Tensor:
            n = x.size(1)
            self.keys[:, self.position : self.position + n] = x
            self.position += n
            return x @ self.keys[:, : self.position].transpose(1, 2)

    assert set(check_sequence(Cache(), *calls(1, 2, 4))) == {"keys", "position"}


def test_state_that_is_read_only_is_a_weight() -> None:
    class Table(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("table", torch.randn(3))
            self.n = 2

        def forward(self, x: Tensor) -> Tensor:
            return x * self.table + self.n

    assert check_sequence(Table(), *calls(3)) == []


def test_state_that_is_written_with_what_it_was() -> None:
    class Same(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("table", torch.randn(3))
            self.n = 2

        def forward(self, x: Tensor) -> Tensor:
            self.table = self.table
            self.n = 2
            return x * self.table + self.n

    check_sequence(Same(), *calls(3))


def test_state_that_is_saved_and_restored_within_a_call() -> None:
    class Scratch(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("scratch", torch.zeros(3))

        def forward(self, x: Tensor) -> Tensor:
            self.scratch.copy_(x)
            self.scratch.mul_(2)
            y = self.scratch + 1
            self.scratch.zero_()
            return y

    check_sequence(Scratch(), *calls(3))


def test_two_states_swap() -> None:
    class Swap(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("a", torch.zeros(3))
            self.register_buffer("b", torch.ones(3))

        def forward(self, x: Tensor) -> Tensor:
            self.a, self.b = self.b, self.a + x
            return self.a * 10 + self.b

    check_sequence(Swap(), *calls(3))


def test_two_states_swap_after_one_was_written() -> None:
    class Swap(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("a", torch.zeros(3))
            self.register_buffer("b", torch.ones(3))

        def forward(self, x: Tensor) -> Tensor:
            self.b.add_(x)
            self.a, self.b = self.b, self.a
            return self.a * 10 + self.b

    check_sequence(Swap(), *calls(3))


def test_a_view_of_a_buffer_is_state() -> None:
    class Last(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("ring", torch.zeros(2, 3))
            self.last = torch.zeros(3)

        def forward(self, x: Tensor) -> Tensor:
            y = self.last + x
            self.ring[0] = x
            self.ring[1] = self.ring[1] * 0.5 + x
            self.last = self.ring[1] * 1
            return y

    check_sequence(Last(), *calls(3))


def test_items_of_a_list_that_are_written_and_moved() -> None:
    class Items(nn.Module):
        items: list[Tensor]

        def __init__(self) -> None:
            super().__init__()
            self.items = [torch.zeros(3), torch.ones(3)]

        def forward(self, x: Tensor) -> Tensor:
            self.items[1].add_(x)
            first = self.items[0]
            self.items[0] = self.items[1]
            self.items[1] = first
            return self.items[0] * 10 + self.items[1]

    check_sequence(Items(), *calls(3))


def test_attributes_that_a_call_leaves_as_one_tensor() -> None:
    class Last(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("ring", torch.zeros(2, 3))
            self.last = torch.zeros(3)

        def forward(self, x: Tensor) -> Tensor:
            self.ring[1] = self.ring[1] * 0.5 + x
            y = x + self.last
            self.last = self.ring[1]
            return y

    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = torch.zeros(3)
            self.b = torch.zeros(3)

        def forward(self, x: Tensor) -> Tensor:
            self.a.add_(x)
            y = self.a * 10 + self.b
            self.a = x * 2
            self.b = self.a
            return y

    for program in (Last(), Both()):
        with contextlib.suppress(nxconvert.UnsupportedError):
            check_sequence(program, *calls(3))


def test_an_attribute_and_a_list_that_a_call_leaves_with_one_tensor() -> None:
    class Listed(nn.Module):
        history: list[Tensor]

        def __init__(self) -> None:
            super().__init__()
            self.a = torch.zeros(3)
            self.history = [torch.zeros(3)]

        def forward(self, x: Tensor) -> Tensor:
            self.a.add_(x)
            self.history[0] = self.a
            return self.history[0] + self.a

    check_sequence(Listed(), *calls(3))


def test_state_changed_in_branches_and_loops() -> None:
    class Busy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("total", torch.zeros(2))
            self.steps = 0

        def forward(self, x: Tensor) -> Tensor:
            for i in range(x.size(0)):
                if bool(x[i].sum() > 0):
                    self.total += x[i]
                    self.steps += 1
                else:
                    self.total = self.total * 0.5
            return self.total * self.steps

    check_sequence(Busy(), *calls(4, 2))


def test_tuples_of_state() -> None:
    class Recurrent(nn.Module):
        state: tuple[Tensor, Tensor]

        def __init__(self) -> None:
            super().__init__()
            self.cell = nn.LSTMCell(3, 4)
            self.state = (torch.zeros(1, 4), torch.zeros(1, 4))

        def forward(self, x: Tensor) -> Tensor:
            self.state = self.cell(x, self.state)
            return self.state[0]

    check_sequence(Recurrent(), *calls(1, 3))


def test_batch_norm_in_training_writes_its_statistics() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.BatchNorm1d(3)

        def forward(self, x: Tensor) -> Tensor:
            return self.norm(x)

    net = torch.jit.script(Net().train())
    names = check_sequence(net, *calls(5, 3), rtol=1e-4, atol=1e-5)
    assert set(names) == {"norm.running_mean", "norm.running_var", "norm.num_batches_tracked"}


def test_the_first_call_alone(tmp_path: object) -> None:
    class Count(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.n = 3
            self.register_buffer("total", torch.ones(2))

        def forward(self, x: Tensor) -> Tensor:
            self.n += 1
            self.total += x
            return self.total * self.n

    folder = str(tmp_path)
    source = harness.save(Count(), folder)
    target = f"{folder}/out.nx"
    nxconvert.convert(source, target, inputs={"x": "float32[2]"}, state="first")
    x = np.array([2.0, 3.0], np.float32)
    result = nxconvert.run(target, {"x": x}, runtime="onnxruntime")
    assert list(result) == ["output"]
    np.testing.assert_allclose(result["output"], (x + 1) * 4)


def test_state_begins_as_saved_where_it_is_not_given() -> None:
    class Count(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.n = 3
            self.register_buffer("total", torch.ones(2))

        def forward(self, x: Tensor) -> Tensor:
            self.n += 1
            self.total += x
            return self.total * self.n

    harness.check(Count(), (torch.tensor([2.0, 3.0]),), free=(False,))


def test_what_is_only_written_again_is_no_state() -> None:
    class Anchors(nn.Module):
        anchors: list[Tensor]

        def __init__(self) -> None:
            super().__init__()
            self.anchors = [torch.ones(2), torch.ones(3)]
            self.n = 2
            self.register_buffer("scale", torch.ones(3))

        def forward(self, x: Tensor) -> Tensor:
            self.anchors = [anchor.to(x.dtype) for anchor in self.anchors]
            self.n = len(self.anchors)
            self.scale = self.scale.to(x.dtype)
            return x * self.anchors[1] * self.n + self.scale

    assert check_sequence(Anchors(), *calls(2, 3)) == []


def test_a_list_that_is_written_again_with_a_tensor_that_changed() -> None:
    class Growing(nn.Module):
        anchors: list[Tensor]

        def __init__(self) -> None:
            super().__init__()
            self.anchors = [torch.ones(2), torch.ones(3)]

        def forward(self, x: Tensor) -> Tensor:
            self.anchors = [anchor.to(x.dtype) for anchor in self.anchors]
            self.anchors[1] += 1
            return x * self.anchors[1]

    assert len(check_sequence(Growing(), *calls(2, 3))) == 2

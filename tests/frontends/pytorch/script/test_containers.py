# The programs are written as TorchScript takes them.
# ruff: noqa: RET504, SIM905
"""Tuples, named tuples, dicts, strings, enums, optionals, script classes."""

from enum import Enum
from typing import NamedTuple

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'nxconvert[torch]'")

from torch import Tensor, nn  # noqa: E402

from tests.frontends.pytorch.script.harness import check, refused, trace  # noqa: E402

torch.manual_seed(0)
X = torch.tensor([[0.5, -1.5, 2.0], [1.0, 3.0, -0.5]])


class Output(NamedTuple):
    logits: Tensor
    count: int
    hidden: Tensor | None


class Shade(Enum):
    LIGHT = "light"
    DARK = "dark"


class Level(Enum):
    LOW = 1
    HIGH = 2


@torch.jit.script
class Accumulator:
    def __init__(self, start: Tensor, scale: float) -> None:
        self.total = start
        self.scale = scale
        self.calls = 0

    def add(self, x: Tensor) -> Tensor:
        self.total = self.total + x * self.scale
        self.calls += 1
        return self.total


@torch.jit.interface
class Layer(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        pass


def test_tuples() -> None:
    def program(x: Tensor) -> tuple[Tensor, tuple[Tensor, int]]:
        pair = (x, (x * 2, 3))
        a, (b, n) = pair
        triple = (a, b, n)
        c = triple[-1] * triple[0]
        swapped = triple[1:]
        return c, (swapped[0], len(triple))

    check(program, (X,))


def test_named_tuples() -> None:
    def program(x: Tensor) -> Output:
        out = Output(logits=x, count=2, hidden=None)
        out = Output(out.logits * out.count, out[1] + 1, out.logits if out.hidden is None else out.hidden)
        return out

    check(program, (X,))


def test_named_tuples_through_modules() -> None:
    class Inner(nn.Module):
        def forward(self, x: Tensor, n: int) -> Output:
            return Output(x * n, n, None)

    class Outer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = Inner()

        def forward(self, x: Tensor) -> tuple[Tensor, Output]:
            a = self.inner(x, 2)
            b = self.inner(a.logits, a.count + 1)
            hidden = b.hidden
            if hidden is not None:
                return hidden, a
            return b.logits, Output(a.logits, b.count, x)

    check(Outer(), (X,))


def test_dicts() -> None:
    def program(x: Tensor) -> dict[str, Tensor]:
        d = {"a": x}
        for i in range(3):
            d["a"] = d["a"] + i
        if bool(x.sum() > 0):
            d["b"] = x * 2
        else:
            d["b"] = x * 3
        d["c"] = d.get("zz", x) + d.pop("b")
        d.update({"e": x * 9})
        if "a" in d and "q" not in d:
            d["f"] = d["a"] * len(d)
        return d

    check(program, (X,), (-X,))


def test_a_dict_of_pairs() -> None:
    def program(x: Tensor) -> dict[str, Tensor]:
        pairs = [(name, x * n) for n, name in enumerate(["a", "b", "a"])]
        d = dict(pairs)
        d["c"] = d["a"] + d["b"]
        return d

    check(program, (X,))


def test_iteration_over_dicts() -> None:
    def program(x: Tensor) -> tuple[Tensor, int]:
        d = {"a": x, "b": x * 2, "c": x * 3}
        total = torch.zeros_like(x)
        letters = 0
        for key in d.keys():  # noqa: SIM118
            letters += len(key)
            total = total * 0.5 + d[key]
        for value in d.values():
            total = total * 0.5 - value
        for key, value in d.items():
            if key != "b":
                total = total + value
        del d["a"]
        for key in d:
            total = total + d[key]
        return total, letters + len(d)

    check(program, (X,))


def test_dicts_with_numbers_for_keys() -> None:
    def program(x: Tensor) -> Tensor:
        d = {1: x, 5: x * 2}
        d[3] = x * 3
        counts = {"n": 1, "m": 2}
        counts["n"] += x.size(0)
        return d[1] + d[5] * d[3] + counts["n"] * counts["m"]

    check(program, (X,), (X[:1],))


def test_dicts_in_traced_loops() -> None:
    def program(x: Tensor) -> dict[str, Tensor]:
        d = {"sum": x[0] * 0, "product": x[0] * 0 + 1}
        for i in range(x.size(0)):
            d["sum"] = d["sum"] + x[i]
            if bool(x[i].sum() > 0):
                d["product"] = d["product"] * x[i]
        return d

    check(program, (X,), (-X[:1],))


def test_setdefault_and_copies() -> None:
    def program(x: Tensor) -> Tensor:
        d = {"a": x}
        e = d
        f = d.copy()
        e["a"] = x * 2
        d.setdefault("a", x * 100)
        d.setdefault("b", x * 10)
        return d["a"] + f["a"] * e["b"]

    check(program, (X,))


def test_a_dict_of_lists() -> None:
    def program(x: Tensor) -> Tensor:
        d: dict[str, list[Tensor]] = {"a": [], "b": []}
        for i in range(4):
            d["a" if i % 2 == 0 else "b"].append(x * i)
        return torch.stack(d["a"]).sum(0) * torch.stack(d["b"]).sum(0)

    check(program, (X,))


def test_strings() -> None:
    def program(x: Tensor) -> Tensor:
        name = "{}-{}".format(x.dim(), "abc")
        if name == "2-abc" and name.startswith("2") and "bc" in name and len(name) == 5:
            x = x + 1
        parts = "a,b,c".split(",")
        for part in parts:
            if part in ["b", "c"]:
                x = x * 2
        text = "-".join(parts).upper() + f"{x.dim()}"
        if text == "A-B-C2" and text[0] == "A" and text[-1:] == "2" and text.replace("-", "").lower() == "abc2":
            x = x - 5
        return x * int("3") + float("0.5") + ord("a")

    check(program, (X,))


def test_enums() -> None:
    class Shaded(nn.Module):
        def __init__(self, shade: Shade) -> None:
            super().__init__()
            self.shade = shade
            self.level = Level.HIGH

        def pick(self, level: Level) -> int:
            return level.value * 10 if level == Level.HIGH else 1

        def forward(self, x: Tensor) -> Tensor:
            if self.shade == Shade.DARK:
                x = x * 2
            elif self.shade.value == "light":
                x = x * 3
            if self.shade != Shade.DARK:
                x = x + 1
            return x * self.pick(self.level) + self.pick(Level.LOW)

    check(Shaded(Shade.DARK), (X,))
    check(Shaded(Shade.LIGHT), (X,))


def test_optional_arguments_of_methods() -> None:
    class Attention(nn.Module):
        def scores(self, x: Tensor, mask: Tensor | None = None, scale: float | None = None) -> Tensor:
            y = x @ x.t()
            if scale is not None:
                y = y * scale
            if mask is not None:
                y = y.masked_fill(mask, -1e9)
            return y.softmax(-1)

        def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
            return self.scores(x) + self.scores(x, mask) + self.scores(x, scale=0.5)

    mask = torch.tensor([[False, True], [False, False]])
    check(Attention(), (X, mask))
    check(Attention(), (X, None))


def test_isinstance_and_unions() -> None:
    def program(x: Tensor) -> Tensor:
        value: int | float = 3
        if isinstance(value, int):
            x = x * value
        any_list: list[Tensor] | None = [x]
        if isinstance(any_list, list):
            x = x + any_list[0]
        if torch.jit.isinstance(any_list, list[Tensor]):
            x = x + 1
        return x

    check(program, (X,))


def test_objects_of_script_classes() -> None:
    def program(x: Tensor) -> tuple[Tensor, int]:
        acc = Accumulator(torch.zeros(3), 0.5)
        other = acc
        for i in range(x.size(0)):
            acc.add(x[i])
            if bool(x[i].sum() > 0):
                other.add(x[i] * 10)
        return acc.total, other.calls

    check(program, (X,), (-X,), (X[:1],))


def test_interfaces() -> None:
    class Double(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x * 2

    class Uses(nn.Module):
        layer: Layer

        def __init__(self) -> None:
            super().__init__()
            self.layer = Double()

        def forward(self, x: Tensor) -> Tensor:
            return self.layer.forward(x) + 1

    check(Uses(), (X,))


def test_results_of_every_kind() -> None:
    def program(x: Tensor) -> tuple[Tensor, list[Tensor], dict[str, Tensor], Tensor | None, int, float, bool]:
        return x, [x + 1, x + 2], {"k": x * 2}, None, 3, 0.25, True

    check(program, (X,))


def test_an_optional_result_that_is_open() -> None:
    def program(x: Tensor) -> Tensor | None:
        return x if bool(x.sum() > 0) else None

    refused(program, X, match="None")


def test_traced_containers() -> None:
    def program(x: Tensor, pair: tuple[Tensor, Tensor], d: dict[str, Tensor]) -> dict[str, Tensor]:
        return {"a": x + pair[0], "b": pair[1] * d["k"]}

    call = (X, (X * 2, X * 3), {"k": X - 1})
    traced = torch.jit.trace(program, call, strict=False)
    check(traced, call)


def test_nested_optional_refinement() -> None:
    class Cache(NamedTuple):
        key: Tensor | None
        length: int

    def program(x: Tensor) -> Tensor:
        key: Tensor | None = None
        total = 0
        for i in range(3):
            if key is None:
                key = x
            else:
                key = torch.cat([key, x * i])
                total += key.size(0)
        assert key is not None
        return key * total

    check(program, (X,))


def test_trace_keeps_no_branches() -> None:
    def program(x: Tensor) -> Tensor:
        return x * 2 if x.shape[0] > 1 else x * 3

    check(trace(program, X), (X,))

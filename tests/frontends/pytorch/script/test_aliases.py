# The programs are written as TorchScript takes them.
# ruff: noqa: PERF401, RUF005
"""Attributes, lists and dicts, and what they hold, that are one with others as data says: right, or refused."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'nxconvert[torch]'")

from torch import Tensor, nn  # noqa: E402

from tests.frontends.pytorch.script.harness import check, check_sequence, never_wrong  # noqa: E402

torch.manual_seed(0)
UP = torch.randn(4, 6).abs()
DOWN = -UP


class Current(nn.Module):
    """Keeps a row of one of its arguments."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("row", torch.zeros(6))
        self.rows = [torch.zeros(6)]


class Written(Current):
    def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        x, y = x.clone(), y.clone()
        if x.sum() > 0:
            self.row = x[0]
        else:
            self.row = y[1]
        self.row.add_(100)
        return x, y


class Shown(Current):
    def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        x, y = x.clone(), y.clone()
        if x.sum() > 0:
            self.row = x[0]
        x.add_(100)
        return self.row + 1, y


class WrittenInList(Current):
    def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        x, y = x.clone(), y.clone()
        if x.sum() > 0:
            self.rows = [x[0]]
        else:
            self.rows = [y[0]]
        self.rows[0].add_(100)
        return x, y


@pytest.mark.parametrize("module", [Written, Shown, WrittenInList])
def test_an_attribute_is_a_view_that_a_branch_made(module: Any) -> None:
    check_sequence(module(), (UP, UP * 2), (DOWN, UP), (UP, UP), free=False)


def test_items_of_containers_leave_a_branch_as_views() -> None:
    def program(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        x, y = x.clone(), y.clone()
        rows, named = [y[0]], {"row": y[2]}
        if x.sum() > 0:
            rows.append(x[0])
            named["row"] = x[1]
        else:
            rows.append(y[1])
        rows[1].add_(100)
        named["row"].mul_(2)
        return x, y

    check(program, (UP, UP * 2), (DOWN, UP))


def test_one_of_two_dicts_leaves_a_branch() -> None:
    def program(x: Tensor) -> Tensor:
        a, b = {"x": x}, {"x": x * 2}
        chosen = a
        if x.sum() > 0:
            chosen = b
        chosen["x"] = x * 5
        return a["x"] + b["x"] * 10

    never_wrong(program, (UP,), (DOWN,))


def test_one_of_two_dicts_in_a_loop() -> None:
    def program(x: Tensor) -> Tensor:
        a, b = {"x": x[0]}, {"x": x[1]}
        chosen = a
        for i in range(x.size(0)):
            if x[i].sum() > 0:
                chosen = b
            chosen["x"] = chosen["x"] + 1
        return a["x"] + b["x"] * 10

    never_wrong(program, (UP,), (DOWN,))


def test_two_names_of_what_a_branch_made() -> None:
    def lists(x: Tensor) -> tuple[int, int]:
        a, b = [x], [x]
        if x.sum() > 0:
            a = [x * 2]
            b = a
        else:
            a, b = [x], [x]
        a.append(x)
        return len(a), len(b)

    def dicts(x: Tensor) -> tuple[int, int]:
        a, b = {"n": 1}, {"n": 1}
        if x.sum() > 0:
            a = {"n": 2}
            b = a
        else:
            a, b = {"n": 2}, {"n": 2}
        a["n"] = 3
        return a["n"], b["n"]

    never_wrong(lists, (UP,), (DOWN,))
    never_wrong(dicts, (UP,), (DOWN,))


def test_a_list_in_a_list_or_dict_is_replaced_in_a_branch() -> None:
    def in_list(x: Tensor) -> int:
        lists = [[1], [2]]
        one = lists[0]
        if x.sum() > 0:
            one = lists[1]
        one.append(5)
        return len(lists[0]) * 10 + len(lists[1])

    def in_dict(x: Tensor) -> int:
        named = {"a": [1]}
        one = named["a"]
        if x.sum() > 0:
            named["a"] = [1, 2]
        one.append(9)
        return len(named["a"]) * 10 + len(one)

    never_wrong(in_list, (UP,), (DOWN,))
    never_wrong(in_dict, (UP,), (DOWN,))


def test_a_dict_that_a_loop_carries() -> None:
    def program(x: Tensor) -> Tensor:
        state = {"h": x[0].clone(), "c": x[1].clone()}
        for i in range(x.size(0)):
            state["h"] = torch.tanh(state["h"] + x[i])
            state["c"].add_(state["h"])
            if state["c"].sum() > 3:
                state = {"h": state["c"], "c": state["h"] * 0.5}
        return state["h"] + state["c"]

    never_wrong(program, (UP,), (DOWN,))


def test_a_known_list_that_is_changed_at_a_place_that_depends_on_data() -> None:
    def inserted(x: Tensor, place: int) -> Tensor:
        a = x[0].clone()
        items = [a, x[1].clone()]
        items.insert(place, x[2].clone())
        items[0].add_(1)
        return a

    def replaced(x: Tensor, place: int) -> Tensor:
        a = x[0].clone()
        items = [a, x[1].clone()]
        items[place] = x[2].clone()
        items[0].add_(1)
        return a

    def removed(x: Tensor, place: int) -> Tensor:
        a = x[0].clone()
        items = [a, x[1].clone()]
        items.pop(place)
        items[0].add_(1)
        return a

    for program in (inserted, replaced, removed):
        never_wrong(program, (UP, 1), (UP, 0))


def test_items_of_a_list_that_may_have_grown_are_written() -> None:
    def in_loop(x: Tensor) -> Tensor:
        a = x[0].clone()
        items = [a]
        for i in range(x.size(0)):
            if x[i].sum() > 0:
                items.append(x[i].clone())
        items[0].add_(1)
        return a

    def in_branch(x: Tensor) -> Tensor:
        a, b = x[0].clone(), x[1].clone()
        items = [a]
        if x.sum() > 0:
            items.append(b)
        items[-1].add_(1)
        return a + b

    def replaced_in_branch(x: Tensor) -> Tensor:
        a = x[0].clone()
        items = [a]
        if x.sum() > 0:
            items = items + [x[1].clone()]
        items[0].add_(1)
        return a

    def replaced_in_loop(x: Tensor) -> Tensor:
        items = [x[0].clone()]
        others = items
        for i in range(x.size(0)):
            if x[i].sum() > 0:
                others = others + [x[i].clone()]
        others[0].add_(1)
        return items[0]

    for program in (in_loop, in_branch, replaced_in_branch, replaced_in_loop):
        never_wrong(program, (UP,), (DOWN,))


def test_items_of_a_copied_list_are_written() -> None:
    def copied(x: Tensor) -> Tensor:
        items: list[Tensor] = []
        for i in range(x.size(0)):
            if x[i, 0] > 0:
                items.append(x[i].clone())
        items.append(x[0].clone())
        copy = items.copy()
        copy[0].add_(1)
        return items[0]

    def extended(x: Tensor) -> Tensor:
        items: list[Tensor] = []
        for i in range(x.size(0)):
            if x[i, 0] > -5:
                items.append(x[i] * 2)
        if x.sum() > 0:
            more = items + [x[0]]
        else:
            more = items + [x[1]]
        more[0].add_(1)
        return torch.stack(items)

    never_wrong(copied, (UP,), (DOWN,))
    never_wrong(extended, (UP,), (DOWN,))


def test_what_was_put_into_a_list_is_written_afterwards() -> None:
    def collected(x: Tensor) -> Tensor:
        items: list[Tensor] = []
        last = x[0] * 1
        for i in range(x.size(0)):
            last = x[i] * 2
            items.append(last)
        last.add_(1)
        return torch.stack(items)

    def now_and_then(x: Tensor) -> Tensor:
        items = [x[0] * 3]
        last = x[0] * 1
        for i in range(x.size(0)):
            if x[i, 0] > 0:
                last = x[i] * 2
                items.append(last)
        last.add_(1)
        return torch.stack(items)

    def in_branch(x: Tensor) -> Tensor:
        items = [x[0] * 3]
        last = x[0] * 1
        if x.sum() > 0:
            last = x[1] * 2
            items.append(last)
        last.add_(1)
        return torch.stack(items)

    for program in (collected, now_and_then, in_branch):
        never_wrong(program, (UP,), (DOWN,))


def test_what_only_one_list_held_can_be_written_once_it_is_taken_out() -> None:
    def program(x: Tensor) -> Tensor:
        items = [x[0] * 3]
        for i in range(x.size(0)):
            if x[i, 0] > 0:
                items.append(x[i] * 2)
        last = items.pop()
        last.add_(1)
        return last

    check(program, (UP,), (DOWN,))


def test_a_list_or_dict_is_changed_in_one_branch_and_replaced_in_the_other() -> None:
    def item(x: Tensor) -> Tensor:
        v = x[0] * 1
        items, named = [v], {"a": v}
        if x.sum() > 0:
            items[0] = x[1] * 2
            named["a"] = x[2] * 2
        else:
            items, named = [v], {"a": v}
        return items[0] + named["a"]

    def length(x: Tensor) -> Tensor:
        items = [x[0], x[1]]
        if x.sum() > 0:
            items.insert(0, x[2])
        else:
            items = items.copy()
        return torch.stack(items)

    def view(x: Tensor) -> Tensor:
        x = x.clone()
        items = [x[0]]
        if x.sum() > 0:
            items[0] = x[1]
        else:
            items = [x[2]]
        items[0].add_(100)
        return x

    def nested(x: Tensor) -> Tensor:
        v = x[0] * 1
        lists = [[v], [v]]
        if x.sum() > 0:
            lists[0][0] = x[1]
        else:
            lists = [[v], [x[2]]]
        return torch.stack([lists[0][0], lists[1][0]])

    def in_tuple(x: Tensor) -> Tensor:
        items = [x[0] * 1]
        pair = (items, 1)
        if x.sum() > 0:
            items[0] = x[1] * 2
            pair = (items, 2)
        else:
            pair = (items, 3)
        pair[0].append(x[2])
        return torch.stack(items) * pair[1]

    for program in (item, length, view, nested, in_tuple):
        check(program, (UP,), (DOWN,))


def test_a_list_that_a_loop_changes_is_bound_to_another_name() -> None:
    def program(x: Tensor) -> Tensor:
        v = x[0] * 1
        items, chosen = [v], [v]
        for i in range(x.size(0)):
            items[0] = items[0] + x[i]
            if x[i].sum() > 0:
                chosen = items
            else:
                chosen = [v]
        return chosen[0]

    check(program, (UP,), (DOWN,), (torch.randn(5, 3),))

# The programs are written as TorchScript takes them.
"""Texts and members of enums that depend on data."""

from __future__ import annotations

import enum

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'nxconvert[torch]'")

from torch import Tensor, nn  # noqa: E402

from tests.frontends.pytorch.script.harness import check, refused  # noqa: E402

torch.manual_seed(0)
MATRIX = torch.randn(4, 6)


class Mode(enum.Enum):
    IDLE = 0
    RUN = 1
    STOP = 2


class Speed(enum.Enum):
    SLOW = 0.5
    FAST = 2.5


def test_a_state_machine() -> None:
    def program(x: Tensor) -> tuple[Tensor, int]:
        mode = Mode.IDLE
        out = torch.zeros(x.size(1))
        trace = 0
        for i in range(x.size(0)):
            total = float(x[i].sum())
            if mode == Mode.IDLE:
                if total > 0:
                    mode = Mode.RUN
            elif mode == Mode.RUN:
                out = out + x[i]
                if total < -1:
                    mode = Mode.STOP
            else:
                mode = Mode.IDLE
            trace = trace * 3 + mode.value
        if mode != Mode.STOP:
            out = out * 2
        return out, trace

    check(program, (MATRIX,), (-MATRIX,), (torch.randn(9, 2),))


def test_texts_decide() -> None:
    def program(x: Tensor) -> Tensor:
        mode = "mean"
        if x.sum() > 0:
            mode = "sum"
        elif x[0, 0] > 0:
            mode = "max"
        speed = Speed.SLOW
        if x[0, 1] > 0:
            speed = Speed.FAST
        if mode == "sum":
            return x.sum(0) * speed.value
        if mode.startswith("me"):
            return x.mean(0) + len(mode + "!") + len(speed.name)
        factors = {"max": 2.0, "mean": 5.0}
        return x.amax(0) * factors[mode]

    check(program, (MATRIX,), (-MATRIX,), (MATRIX - 5,), (torch.full((4, 6), -1.0),))


def test_texts_that_are_only_shown() -> None:
    def program(x: Tensor) -> Tensor:
        message = "fine"
        if x.sum() > 0:
            message = f"{x.size(0)} rows"
        for i in range(x.size(0)):
            if x[i, 0] > 9:
                message = message + "!"
        if x.size(0) == 0:
            raise ValueError(message)
        return x * 2

    check(program, (MATRIX,), (-MATRIX,))


def test_texts_in_lists_and_tuples() -> None:
    def program(x: Tensor) -> Tensor:
        pair = ("a", 1)
        names = ["x", "y"]
        if x.sum() > 0:
            pair = ("b", 2)
            names[0] = "z"
        if pair[0] == "b" and "z" in names:
            return x * pair[1]
        return x + names.count("x")

    check(program, (MATRIX,), (-MATRIX,))


def test_an_attribute_that_is_a_text() -> None:
    class Remembers(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.mode = "first"

        def forward(self, x: Tensor) -> Tensor:
            y = x * 2 if self.mode == "first" else x
            if x.sum() > 0:
                self.mode = "positive"
            return y

    refused(Remembers(), MATRIX, match=r"mode, a text or a member of an enum")


def test_a_text_says_which_item_of_a_dict_is_replaced() -> None:
    def program(x: Tensor) -> Tensor:
        named = {"a": x, "b": x * 2}
        key = "a"
        if x.sum() > 0:
            key = "b"
        named[key] = named[key] * 5
        return named["a"] - named["b"]

    check(program, (MATRIX,), (-MATRIX,))

"""Modules for the tests of the torch runtime; TorchScript compiles from source, so they cannot live in a string."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn


class Pair(NamedTuple):
    first: Tensor
    second: int


class Containers(nn.Module):
    def forward(
        self,
        x: Tensor,
        t: tuple[Tensor, int],
        d: dict[str, Tensor],
        l: list[Tensor],  # noqa: E741
        sizes: list[int],
        nested: dict[str, tuple[Tensor, Tensor]],
        o: Tensor | None = None,
        k: int = 3,
        f: float = 1.5,
        b: bool = False,
    ) -> tuple[Tensor, dict[str, Tensor], list[Tensor], int, float, bool, Tensor | None, Pair]:
        total = x + t[0] * t[1]
        for item in l:
            total = total + item
        for pair in nested.values():
            total = total + pair[0] - pair[1]
        for size in sizes:
            total = total + size
        if o is not None:
            total = total + o
        if b:
            total = -total
        return total, {"a": d["a"], "c.d": d["c.d"]}, [x, total], k, f, b, o, Pair(x, k)


class Counter(nn.Module):
    """Keeps state: a sum that is an attribute, a count of calls in a buffer that is written in place, a flag."""

    def __init__(self) -> None:
        super().__init__()
        self.total = torch.zeros(0)
        self.started = False
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        if not self.started:
            self.total = torch.zeros_like(x)
            self.started = True
        self.total = self.total + x
        self.calls.add_(1)
        return self.total * self.calls


class Sums(nn.Module):
    """Adds up what it is given, in a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("total", torch.tensor([1.0, 2.0]))

    def forward(self, x: Tensor) -> Tensor:
        self.total.add_(x)
        return -self.total


class Doubler(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        x.mul_(2)
        return x


class Dicts(nn.Module):
    def forward(self, x: Tensor, extra: dict[str, Tensor]) -> dict[str, Tensor]:
        return {"sum": x + extra["a"], "difference": x - extra["b"]}


class Square(nn.Module):
    """Takes square images only."""

    def forward(self, x: Tensor) -> Tensor:
        return x + x.transpose(-1, -2)

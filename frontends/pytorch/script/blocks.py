"""Blocks of control flow: run in a builder of their own and under the journal.

What a block assigned and what it changed in place are known at its end, and nothing outside has changed yet.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nxconvert.frontends.pytorch.script.abstract import Content
from nxconvert.frontends.pytorch.script.frames import Frame
from nxconvert.frontends.pytorch.script.values import (
    Box,
    Cell,
    DictCell,
    EnumMember,
    ListCell,
    Maybe,
    Named,
)  # fmt: skip
from nxconvert.graph.builder import Builder

if TYPE_CHECKING:
    from nxconvert.frontends.pytorch.script.machine import Machine

Key = tuple[Any, "str | None"]
"""What a block can change: (name, None) of a variable, or (cell, slot)."""


@dataclass
class Outcome:
    """How a block ended.

    Attributes:
        op: the builder that holds what it emitted.
        frame: its variables.
        changed: the cells from outside that it changed, with their new content.
        born: cells that are younger than this were made in the block.
    """

    op: Builder
    frame: Frame
    changed: dict[tuple[Cell, str | None], Any]
    born: int


def run_block(ip: Machine, frame: Frame, action: Callable[[Frame], None]) -> Outcome:
    """Runs ``action`` in a child builder and under the journal; the cells outside are as before when it returns."""
    op, block = ip.op.child(), ip.journal.open()
    local = type(frame)(frame.path, dict(frame.variables))
    done = False
    try:
        with ip.building(op):
            action(local)
            for value in local.variables.values():
                settle(ip, value)
        done = True
    finally:
        changed = ip.journal.close(block)
        if not done:
            op.discard()
    return Outcome(op, local, changed, block.born)


def settle(ip: Machine, value: Any) -> None:
    """Reads again every view that ``value`` holds, so that its content is that at the end of the block."""
    if isinstance(value, Box):
        if value.source is not None:
            ip.content(value)
    elif isinstance(value, (tuple, Named)):
        for item in value:
            settle(ip, item)
    elif isinstance(value, ListCell) and isinstance(value.content, tuple):
        for item in value.content:
            settle(ip, item)
    elif isinstance(value, DictCell) and isinstance(value.content, dict):
        for item in value.content.values():
            settle(ip, item)
    elif isinstance(value, Maybe):
        settle(ip, value.content)


@contextmanager
def at_end_of(ip: Machine, outcome: Outcome) -> Iterator[None]:
    """Emits into the block once more, with the cells outside as the block left them."""
    before = {key: key[0].read(key[1]) for key in outcome.changed}
    for (cell, slot), content in outcome.changed.items():
        cell.store(slot, content)
    try:
        with ip.building(outcome.op):
            yield
    finally:
        for (cell, slot), content in before.items():
            cell.store(slot, content)


def assigned_names(body: list[ast.stmt]) -> list[str]:
    """The variables that statements assign, in order, those of nested blocks included."""
    names: dict[str, None] = {}
    for statement in body:
        for node in ast.walk(statement):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                names[node.id] = None
    return list(names)


def joinable(key: Key, content: Any) -> Any:
    """The content of a cell, or a variable's value, as a value to join."""
    return Content(content, key[0].elem) if isinstance(key[0], ListCell) else content


def content_for(cell: Cell, value: Any) -> Any:
    """A joined value as the content of ``cell``."""
    if isinstance(value, ListCell) and isinstance(cell, ListCell):
        cell.elem = cell.elem or value.elem
    if isinstance(value, (Box, ListCell)) and isinstance(cell, (Box, ListCell)):
        return value.content
    return value


def final(outcome: Outcome, key: Key) -> Any:
    """What ``key`` stands for at the end of a block."""
    if isinstance(key[0], str):
        return outcome.frame.variables.get(key[0])
    return joinable(key, outcome.changed[key] if key in outcome.changed else key[0].read(key[1]))


def content_at_end(outcome: Outcome, cell: Cell) -> Any:
    """What a cell, from outside or not, holds at the end of a block."""
    key = (cell, None)
    return outcome.changed[key] if key in outcome.changed else cell.read(None)


def at_end(outcome: Outcome, value: Any) -> Any:
    """``value`` as it is at the end of a block: a list or dict from outside that the block changed as a copy."""
    if isinstance(value, (ListCell, DictCell)):
        before = value.content
        content = at_end(outcome, content_at_end(outcome, value))
        if content is before:
            return value
        copy = ListCell(content, value.elem) if isinstance(value, ListCell) else DictCell(content)
        copy.born, copy.kin = value.born, value.kin
        return copy
    if isinstance(value, Content):
        return Content(at_end(outcome, value.value), value.elem)
    if isinstance(value, Maybe):
        content = at_end(outcome, value.content)
        return value if content is value.content else Maybe(value.present, content)
    if isinstance(value, (tuple, dict)) and not isinstance(value, EnumMember):
        old = list(value.values() if isinstance(value, dict) else value)
        new = [at_end(outcome, item) for item in old]
        if all(x is y for x, y in zip(old, new, strict=True)):
            return value
        if isinstance(value, dict):
            return dict(zip(value, new, strict=True))
        return value.like(new) if isinstance(value, Named) else tuple(new)
    return value


def at_both_ends(then: Outcome, otherwise: Outcome, a: Any, b: Any) -> tuple[Any, Any]:
    """Two values as they are at the ends of two branches; what both hold stays the object that it is."""
    if a is b:
        return a, b
    if type(a) is tuple and type(b) is tuple and len(a) == len(b):
        pairs = [at_both_ends(then, otherwise, x, y) for x, y in zip(a, b, strict=True)]
        return tuple(x for x, _ in pairs), tuple(y for _, y in pairs)
    if isinstance(a, Content) and isinstance(b, Content):
        x, y = at_both_ends(then, otherwise, a.value, b.value)
        return Content(x, a.elem), Content(y, b.elem)
    return at_end(then, a), at_end(otherwise, b)

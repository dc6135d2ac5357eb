"""Tensors and lists that may be the same object as others, depending on data.

What a loop leaves in a variable may be what was there before it; an item of a sequence is the tensor that was once put
into it; a list that leaves a traced ``if`` may be either of two. As long as none of them is changed in place that makes
no difference. Where one is, the graph cannot say which of the others change with it: these become *doubtful*, and are
refused only if the program goes on to use them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from nxconvert.frontends.pytorch.script.values import Box, Cell, Kin, ListCell
from nxconvert.frontends.pytorch.table import LoweringError

if TYPE_CHECKING:
    from nxconvert.frontends.pytorch.script.interpreter import Interpreter


class Doubtful:
    """The content of a cell of which it depends on data whether it has changed."""

    __slots__ = ()


DOUBTFUL = Doubtful()


def relate(cell: Box | ListCell, others: Iterable[Cell], also_changed: Iterable[Cell] = ()) -> None:
    """Says that ``cell`` may be one of ``others``; ``also_changed`` would change with it, but may change without it."""
    direct = [other for other in others if other is not cell]
    # What one of the others may be, `cell` may be, too.
    others = dict.fromkeys((*direct, *(kin for other in direct for kin in _kin_of(other) if kin is not cell)))
    _extend(cell, [*others, *also_changed], list(others))


def contains(cell: ListCell, item: Any) -> None:
    """Says that ``item`` is one of the tensors in a list that the graph holds."""
    _extend(cell, [], roots_of(item))


def _extend(cell: Box | ListCell, changed: list[Cell], watched: list[Cell]) -> None:
    if changed or watched:
        before = cell.kin or Kin((), ())
        contents = tuple((other, other.read(None)) for other in watched)
        cell.kin = Kin((*before.changed, *changed), (*before.watched, *contents))


def roots_of(value: Any) -> list[Cell]:
    """The cells that changing ``value`` in place would change."""
    if isinstance(value, Box):
        return list(value.roots())
    return [value] if isinstance(value, ListCell) else []


def outside(value: Any, born: int) -> list[Cell]:
    """The cells from before the block that was opened at ``born`` that changing ``value`` in place may change."""
    cells = dict.fromkeys(cell for root in roots_of(value) for cell in (root, *_kin_of(root)))
    return [cell for cell in cells if cell.born < born]


def _kin_of(cell: Cell) -> tuple[Cell, ...]:
    kin: Kin | None = getattr(cell, "kin", None)
    return kin.changed if kin is not None else ()


def check(cell: Box | ListCell) -> None:
    """Refuses to read what may have changed with something else.

    Raises:
        LoweringError: if it depends on data what ``cell`` holds.
    """
    if cell.content is DOUBTFUL:
        raise LoweringError("a tensor or list is used of which it depends on data whether it was changed in place")
    if cell.kin is not None and any(other.read(None) is not content for other, content in cell.kin.watched):
        raise LoweringError(
            "a tensor or list is used that, depending on data, is another one that has been changed in place"
        )


def changed(ip: Interpreter, cell: Box | ListCell) -> None:
    """What ``cell`` may be is doubtful from now on, since ``cell`` was changed."""
    kin = cell.kin
    if kin is None:
        return
    for other in kin.changed:
        ip.journal.write(other, None, DOUBTFUL)
    cell.kin = Kin(kin.changed, tuple((other, other.read(None)) for other, _ in kin.watched))

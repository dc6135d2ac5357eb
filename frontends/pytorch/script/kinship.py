"""Tensors and lists that may be the same object as others, depending on data.

What a loop leaves in a variable may be what was there before it; an item of a sequence is the tensor that was once put
into it; a list that leaves a traced ``if`` may be either of two. As long as none of them is changed in place that makes
no difference. Where one is, the graph cannot say which of the others change with it: these become *doubtful*, and are
refused only if the program goes on to use them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from nxconvert.frontends.pytorch.script.values import Box, Cell, DictCell, Kin, ListCell, Maybe
from nxconvert.frontends.pytorch.table import LoweringError

if TYPE_CHECKING:
    from nxconvert.frontends.pytorch.script.machine import Machine


class Doubtful:
    """The content of a cell of which it depends on data whether it has changed.

    Attributes:
        by: the cell that was changed and may be the same object; None where there are several.
    """

    __slots__ = ("by",)

    def __init__(self, by: Cell | None = None) -> None:
        self.by = by


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


def relate_all(
    values: Mapping[Any, Any], origins: Mapping[Any, Iterable[Cell]], twins: Iterable[Iterable[Any]]
) -> None:
    """Says of the variables that a loop carries what they may be.

    Args:
        values: the variables' values, by key.
        origins: for each key, the cells from outside that what it holds may be, or show.
        twins: pairs of keys, or a key by itself, that may hold one tensor twice.
    """
    cells = {key: list(cells_in(value)) for key, value in values.items()}
    others: dict[Box | ListCell, dict[Cell, None]] = {
        cell: dict.fromkeys(origins.get(key, ())) for key, held in cells.items() for cell in held
    }
    for pair in twins:
        held = [cell for key in pair for cell in cells.get(key, ())]
        for cell in held:
            others[cell] |= dict.fromkeys(other for other in held if other is not cell)
    for cell, known in others.items():
        tensors = [other for other in known if not isinstance(other, ListCell)]
        lists = [other for other in known if isinstance(other, ListCell)]
        # Items that are known have kin of their own; what the graph holds of a list changes with any item.
        if isinstance(cell, Box):
            relate(cell, [*tensors, *(other for other in lists if not isinstance(other.content, tuple))])
        else:
            relate(cell, lists)
            _extend(cell, [], [] if isinstance(cell.content, tuple) else tensors)


def cells_in(value: Any) -> Iterator[Box | ListCell]:
    """The tensors and lists in a variable's value, or in the content of a list or dict."""
    if isinstance(value, (Box, ListCell)):
        yield value
    if isinstance(value, Maybe):
        yield from cells_in(value.content)
        return
    items = value.content if isinstance(value, (ListCell, DictCell)) else value
    if isinstance(items, (tuple, dict)):
        for item in items.values() if isinstance(items, dict) else items:
            yield from cells_in(item)


def origins(cell: Box | ListCell) -> dict[Cell, None]:
    """The cells that ``cell`` is a view of, or may be, or that a list may hold."""
    roots = roots_of(cell)
    return dict.fromkeys((*roots, *(other for root in roots for other in _watched_by(root))))


def _watched_by(cell: Cell) -> list[Cell]:
    kin: Kin | None = getattr(cell, "kin", None)
    return [other for other, _ in kin.watched] if kin is not None else []


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
    if isinstance(cell.content, Doubtful):
        raise LoweringError("a tensor or list is used of which it depends on data whether it was changed in place")
    for other, content in cell.kin.watched if cell.kin is not None else ():
        now = other.read(None)
        # What is in doubt because this cell was changed leaves no doubt about this cell.
        if now is not content and not (isinstance(now, Doubtful) and now.by is cell):
            raise LoweringError(
                "a tensor or list is used that, depending on data, is another one that has been changed in place"
            )


def changed(ip: Machine, cell: Box | ListCell) -> None:
    """What ``cell`` may be is doubtful from now on, since ``cell`` was changed."""
    for other in _kin_of(cell):
        ip.journal.write(other, None, Doubtful(cell))

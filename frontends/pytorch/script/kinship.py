"""Tensors, lists and dicts that may be the same object as others, depending on data.

What a loop leaves in a variable may be what was there before it; an item of a sequence is the tensor that was once put
into it; a list or dict that leaves a traced ``if`` may be either of two. As long as none of them is changed in place
that makes no difference. Where one is, the graph cannot say which of the others change with it: these become
*doubtful*, and are refused only if the program goes on to use them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from nxconvert.frontends.pytorch.script.values import Box, Cell, Collected, DictCell, Kin, ListCell, Maybe
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
Held = Box | ListCell | DictCell
"""What a variable may hold that can be changed in place; objects are never joined."""


def relate(cell: Held, others: Iterable[Cell], also_changed: Iterable[Cell] = ()) -> None:
    """Says that ``cell`` may be one of ``others``; ``also_changed`` would change with it, but may change without it."""
    direct = [other for other in others if other is not cell]
    # What one of the others may be, `cell` may be, too.
    others = dict.fromkeys((*direct, *(kin for other in direct for kin in _kin_of(other) if kin is not cell)))
    _extend(cell, [*others, *also_changed], list(others))


def contains(cell: ListCell, *items: Any) -> None:
    """Says that ``items`` are among the tensors in a list that the graph holds."""
    _extend(cell, [], [root for item in items if isinstance(item, Box) for root in item.roots()])


def held_by(value: Any) -> list[Box]:
    """The tensors in a list or in its content, as far as they are not the graph's alone."""
    content = value.content if isinstance(value, ListCell) else value
    if isinstance(content, Collected):
        content = content.items
    if isinstance(content, tuple):
        return [root for item in content if isinstance(item, Box) for root in item.roots()]
    return [other for other in _watched_by(value) if isinstance(other, Box)] if isinstance(value, ListCell) else []


def copied(copy: ListCell, *sources: ListCell) -> ListCell:
    """Says that a list has the items of others."""
    if not isinstance(copy.content, tuple):
        contains(copy, *(item for source in sources for item in held_by(source)))
        for cell in (copy, *sources):
            cell.copied = True
    return copy


def take(item: Box, cell: ListCell) -> Box:
    """Says that ``item`` is one of the tensors in a list, of which only the graph knows which."""
    # Of a list of known items the items are what changes.
    also: list[Cell] = [] if isinstance(cell.content, tuple) else [cell, *_kin_of(cell)]
    relate(item, held_by(cell), also)
    return item


def _extend(cell: Held, changed: list[Cell], watched: list[Cell]) -> None:
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
    others: dict[Held, dict[Cell, None]] = {
        cell: dict.fromkeys(origins.get(key, ())) for key, held in cells.items() for cell in held
    }
    for pair in twins:
        held = [cell for key in pair for cell in cells.get(key, ())]
        for cell in held:
            others[cell] |= dict.fromkeys(other for other in held if other is not cell)
    for cell, known in others.items():
        tensors = [other for other in known if isinstance(other, Box)]
        lists = [other for other in known if isinstance(other, ListCell)]
        # Items that are known have kin of their own; what the graph holds of a list changes with any item.
        if isinstance(cell, Box):
            relate(cell, [*tensors, *(other for other in lists if not isinstance(other.content, tuple))])
        elif isinstance(cell, ListCell):
            relate(cell, lists)
            if not isinstance(cell.content, tuple):
                _extend(cell, [], [*tensors])
        else:
            relate(cell, [other for other in known if isinstance(other, DictCell)])


def cells_in(value: Any) -> Iterator[Held]:
    """The tensors, lists and dicts in a variable's value, or in the content of a list or dict."""
    if isinstance(value, (Box, ListCell, DictCell)):
        yield value
    if isinstance(value, Maybe):
        yield from cells_in(value.content)
        return
    items = value.content if isinstance(value, (ListCell, DictCell)) else value
    if isinstance(items, (tuple, dict)):
        for item in items.values() if isinstance(items, dict) else items:
            yield from cells_in(item)


def origins(cell: Held) -> dict[Cell, None]:
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
    return [value] if isinstance(value, (ListCell, DictCell)) else []


def outside(value: Any, born: int) -> list[Cell]:
    """The cells from before the block that was opened at ``born`` that changing ``value`` in place may change."""
    cells = dict.fromkeys(cell for root in roots_of(value) for cell in (root, *_kin_of(root)))
    return [cell for cell in cells if cell.born < born]


def _kin_of(cell: Cell) -> tuple[Cell, ...]:
    kin: Kin | None = getattr(cell, "kin", None)
    return kin.changed if kin is not None else ()


def check(cell: Held) -> None:
    """Refuses to read what may have changed with something else.

    Raises:
        LoweringError: if it depends on data what ``cell`` holds.
    """
    if isinstance(cell.content, Doubtful):
        raise LoweringError(
            "a tensor, list or dict is used of which it depends on data whether it was changed in place"
        )
    for other, content in cell.kin.watched if cell.kin is not None else ():
        now = other.read(None)
        # What is in doubt because this cell was changed leaves no doubt about this cell.
        if now is not content and not (isinstance(now, Doubtful) and now.by is cell):
            raise LoweringError(
                "a tensor, list or dict is used that, depending on data, is another one that has been changed in place"
            )


def changed(ip: Machine, cell: Held) -> None:
    """What ``cell`` may be is doubtful from now on, since ``cell`` was changed.

    Raises:
        LoweringError: if it may be an item of lists that are not all known.
    """
    for other in _kin_of(cell):
        if isinstance(cell, Box) and isinstance(other, ListCell) and other.copied:
            raise LoweringError("an item of a list, which may be one of others' too, is changed in place")
        ip.journal.write(other, None, Doubtful(cell))

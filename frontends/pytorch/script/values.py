"""What the interpreter computes with.

*Static* values are Python's own: ints, floats, bools, strings, None, tuples. *Traced* ones are in the graph:
:class:`Box` for a tensor, :class:`~nxconvert.graph.dims.Dim` for an int,
:class:`~nxconvert.frontends.pytorch.table.Scalar` for a float or a bool. Everything that the program can change in
place is a :class:`Cell`: boxes, lists, dicts, objects. A cell's identity is aliasing, and every change goes through
:meth:`Journal.write`, so that a block of control flow knows what was changed inside it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from nxconvert.frontends.pytorch.table import Scalar
from nxconvert.graph.builder import Value
from nxconvert.graph.dims import Dim, Int

_serial = itertools.count()


class Cell:
    """Something that can be changed in place.

    Attributes:
        born: cells that existed when a block was opened have a smaller number than the block.
    """

    __slots__ = ("born",)

    def __init__(self) -> None:
        self.born = next(_serial)

    def read(self, slot: str | None) -> Any:
        """The content, or that of one slot."""
        return getattr(self, "content")  # noqa: B009  (every kind of cell but objects has it)

    def store(self, slot: str | None, content: Any) -> None:
        """Replaces the content, without a word to the journal."""
        setattr(self, "content", content)  # noqa: B010


class Number(NamedTuple):
    """The content of a tensor of rank 0 that is known as a number: it becomes a node only if a node needs it."""

    number: Any
    dtype: Any


class Unknown(NamedTuple):
    """The content of an input of which neither dtype nor rank is known."""

    name: str


class ViewOf(NamedTuple):
    """How a box looks at another one: the operator that made the view, with its arguments."""

    base: Box
    operator: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    output: int | None


class EitherOf(NamedTuple):
    """A box that a traced ``if`` bound to one of two boxes; None stands for one that nothing else can see."""

    condition: Value
    then: Box | None
    otherwise: Box | None


class Kin(NamedTuple):
    """The cells that one may be the same object as, see :mod:`~nxconvert.frontends.pytorch.script.kinship`.

    Attributes:
        changed: what may change when it is changed.
        watched: what it may change with, with the contents these have as long as it has not.
    """

    changed: tuple[Cell, ...]
    watched: tuple[tuple[Cell, Any], ...]


class Box(Cell):
    """A tensor variable: its value, or the view or choice of other boxes that it is.

    Attributes:
        content: a graph value, or a :class:`Number`. Of a view, what was last read.
        source: for a view or a choice, what it looks at.
        seen: for a view or a choice, the contents of its roots that ``content`` was computed from, and the builder that
            did it.
        kin: what else this may be.
        viewed: whether there are views of it.
    """

    __slots__ = ("content", "kin", "seen", "source", "viewed")

    def __init__(self, content: Any, source: ViewOf | EitherOf | None = None, seen: Any = None) -> None:
        super().__init__()
        self.content = content
        self.source = source
        self.seen = seen
        self.kin: Kin | None = None
        self.viewed = False

    def roots(self) -> Iterator[Box]:
        """The boxes whose content this one shows."""
        if isinstance(self.source, ViewOf):
            yield from self.source.base.roots()
        elif isinstance(self.source, EitherOf):
            for side in (self.source.then, self.source.otherwise):
                if side is not None:
                    yield from side.roots()
        else:
            yield self


@dataclass(frozen=True, eq=False)
class Stacked:
    """The content of a list that a loop filled, one tensor a round: all of them, stacked along axis 0."""

    value: Value


@dataclass(frozen=True, eq=False)
class Unbound:
    """The content of the list that ``unbind``, ``split`` or ``chunk`` makes of an axis of unknown size.

    Attributes:
        base: what the items are views of.
        axis: the axis that is taken apart.
        size: of each part but the last; None for ``unbind``, whose parts do not have the axis.
    """

    base: Box
    axis: int
    size: Int | None = None


@dataclass(frozen=True, eq=False)
class Collected:
    """The content, inside a loop, of a list that the loop only appends to: what this round has appended so far."""

    items: tuple[Any, ...] = ()


class ListCell(Cell):
    """A list.

    Attributes:
        content: a tuple of items; a sequence value of the graph; a :class:`Stacked`, :class:`Unbound` or
            :class:`Collected`.
        elem: the item type in the source's words, if it was annotated.
        reads: how often anything but the end of the list was asked for, for loops to find lists that only grow.
        appends: the serial numbers of the blocks in which items were appended.
        kin: what else this may be, and the tensors that its items are.
        copied: whether other lists may hold the same tensors.
    """

    __slots__ = ("appends", "content", "copied", "elem", "kin", "reads")

    def __init__(self, content: Any, elem: str | None = None) -> None:
        super().__init__()
        self.content = content
        self.elem = elem
        self.reads = 0
        self.kin: Kin | None = None
        self.copied = False
        self.appends: list[int] = []


class DictCell(Cell):
    """A dict; its keys are always known.

    Attributes:
        content: the items.
        kin: what else this may be.
    """

    __slots__ = ("content", "kin")

    def __init__(self, content: dict[Any, Any]) -> None:
        super().__init__()
        self.content = content
        self.kin: Kin | None = None


class ObjectCell(Cell):
    """A module or an object of a script class; its slots are its attributes.

    Attributes:
        qualname: the class.
        attributes: by name, as the interpreter's values.
        path: where it hangs in the module tree, e.g. ``layer1.0.conv1``; empty for the root and for objects made while
            running.
    """

    __slots__ = ("attributes", "path", "qualname")

    def __init__(self, qualname: str, attributes: dict[str, Any], path: str = "") -> None:
        super().__init__()
        self.qualname = qualname
        self.attributes = attributes
        self.path = path

    def read(self, slot: str | None) -> Any:
        return self.attributes.get(slot or "")

    def store(self, slot: str | None, content: Any) -> None:
        self.attributes[slot or ""] = content


class Named(tuple):
    """A named tuple of the source."""

    qualname: str
    fields: tuple[str, ...]

    @staticmethod
    def make(qualname: str, fields: tuple[str, ...], items: Any) -> Named:
        named = Named(items)
        named.qualname, named.fields = qualname, fields
        return named

    def like(self, items: Any) -> Named:
        return Named.make(self.qualname, self.fields, items)


class OpenText(str):
    """A text that shows what depends on sizes or data, with an ellipsis in its place."""

    __slots__ = ()


class EnumMember(NamedTuple):
    """A member of an enum of the source."""

    qualname: str
    name: str
    value: Any


@dataclass(frozen=True, eq=False)
class Choice:
    """A text, or a member of an enum, of which it depends on data which it is.

    Attributes:
        options: what it may be.
        index: the place among them.
    """

    options: tuple[Any, ...]
    index: Dim

    @staticmethod
    def at(options: tuple[Any, ...], index: Int) -> Any:
        """What is at a place among ``options``, which may be known."""
        return options[index] if isinstance(index, int) else Choice(options, index)


@dataclass(frozen=True, eq=False)
class Maybe:
    """None or something, which is known only when the graph runs.

    Attributes:
        present: bool, rank 0: whether it is there.
        content: it; where it is absent, something of the same dtype and rank that must not be used.
    """

    present: Value
    content: Any


@dataclass(frozen=True)
class Uninitialized:
    """A variable that no value is read from."""

    type: str = ""


def is_number(x: Any) -> bool:
    """Whether ``x`` is an int, float or bool, known or traced."""
    return isinstance(x, (int, float, Dim, Scalar))


def is_static(x: Any) -> bool:
    """Whether ``x`` is known and cannot change."""
    return x is None or (isinstance(x, (bool, int, float, complex, str, EnumMember)) and not isinstance(x, OpenText))


class Journal:
    """What the open blocks have changed: one log a block, kept so that a block can be taken back."""

    def __init__(self) -> None:
        self._blocks: list[Block] = []

    def open(self) -> Block:
        block = Block(next(_serial))
        self._blocks.append(block)
        return block

    def close(self, block: Block) -> dict[tuple[Cell, str | None], Any]:
        """Ends ``block`` and takes back what it changed.

        Returns:
            the changed cells that existed before the block, with the content they had at its end.
        """
        assert self._blocks[-1] is block
        self._blocks.pop()
        changed = {}
        for (cell, slot), old in block.log.items():
            changed[cell, slot] = cell.read(slot)
            cell.store(slot, old)
        return {key: content for key, content in changed.items() if content is not block.log[key]}

    def write(self, cell: Cell, slot: str | None, content: Any) -> None:
        """Changes a cell. The innermost block that is younger than the cell remembers what was there before."""
        for block in reversed(self._blocks):
            if cell.born < block.born:
                if (cell, slot) not in block.log:
                    block.log[cell, slot] = cell.read(slot)
                break
        cell.store(slot, content)

    @property
    def depth(self) -> int:
        """The serial number of the innermost open block."""
        return self._blocks[-1].born if self._blocks else -1


class Block:
    """One open block: a branch, a loop's body, or a call of ``forward``."""

    __slots__ = ("born", "log")

    def __init__(self, born: int) -> None:
        self.born = born
        self.log: dict[tuple[Cell, str | None], Any] = {}


def dims_of(value: Any) -> tuple[Int, ...]:
    """The dims of what a box holds."""
    return () if isinstance(value, Number) else value.dims

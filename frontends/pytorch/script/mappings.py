"""Operators on dicts; their keys are known, what is looked up in them need not be."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from nxconvert.frontends.pytorch.script import branches, kinship, lists, numbers
from nxconvert.frontends.pytorch.script.frames import ScriptRaise
from nxconvert.frontends.pytorch.script.registry import DICTS, LISTS, register
from nxconvert.frontends.pytorch.script.values import Choice, DictCell, ListCell, is_number, is_static
from nxconvert.frontends.pytorch.table import LoweringError, Scalar

if TYPE_CHECKING:
    from nxconvert.frontends.pytorch.script.machine import Machine


def read(cell: DictCell) -> dict[Any, Any]:
    """A dict's items."""
    kinship.check(cell)
    return cell.content


def make(ip: Machine, items: Iterable[tuple[Any, Any]]) -> DictCell:
    """A dict of keys and values."""
    cell = DictCell({})
    for key, value in items:
        set_key(ip, cell, key, value)
    return cell


@register(LISTS, "dict")
def _of_pairs(ip: Machine, pairs: ListCell) -> DictCell:
    return make(ip, lists.iterate(ip, pairs))


def _store(ip: Machine, cell: DictCell, entries: dict[Any, Any]) -> None:
    kinship.check(cell)
    ip.journal.write(cell, None, entries)
    kinship.changed(ip, cell)


def _matches(ip: Machine, cell: DictCell, key: Any) -> dict[Any, bool | Scalar]:
    """The keys of a dict that ``key`` is, or may be, with the condition under which it is."""
    entries = read(cell)
    if is_static(key):
        return {key: True} if key in entries else {}
    if not is_number(key):
        raise LoweringError("the key of a dict depends on data")
    found = {}
    for existing in entries:
        equal = numbers.calculate(ip.op, "eq", key, existing)
        if equal is True:
            return {existing: True}
        if equal is not False:
            found[existing] = equal
    return found


def _known_key(ip: Machine, cell: DictCell, key: Any) -> Any:
    """``key``, or the one of a dict's keys that it is, to change what the dict holds there."""
    matches = _matches(ip, cell, key)
    if is_static(key):
        return key
    for existing, condition in matches.items():
        if condition is True:
            return existing
    raise LoweringError("a dict is changed at a key that depends on data")


@register(DICTS, "__getitem__", "get")
def get_key(ip: Machine, cell: DictCell, key: Any, *default: Any) -> Any:
    """``cell[key]``; or ``default``, if there is one and the dict has no such key."""
    matches = _matches(ip, cell, key)
    if not matches and not default:
        raise ScriptRaise(f"KeyError: the dict has no key {key!r}")
    return _choose(ip, cell.content, list(matches.items()), default)


def _choose(ip: Machine, entries: dict[Any, Any], matches: list[tuple[Any, bool | Scalar]], default: Any) -> Any:
    if not matches:
        return default[0]
    (key, condition), *rest = matches
    # A key that is not there raises: without a default it is the last one if it is none of the others.
    if condition is True or not (rest or default):
        return entries[key]
    assert isinstance(condition, Scalar)
    return branches.choose(ip, condition.value, lambda: entries[key], lambda: _choose(ip, entries, rest, default))


@register(DICTS, "_set_item")
def set_key(ip: Machine, cell: DictCell, key: Any, item: Any) -> None:
    """``cell[key] = item``."""
    if isinstance(key, Choice):
        _set_chosen(ip, cell, key, item)
        return
    _store(ip, cell, {**read(cell), _known_key(ip, cell, key): item})


def _set_chosen(ip: Machine, cell: DictCell, key: Choice, item: Any) -> None:
    entries = dict(read(cell))
    for number, option in enumerate(key.options):
        if option not in entries:
            raise LoweringError("it depends on data whether a dict gets another key")
        chosen = ip.op.Equal(ip.op.dim_value(key.index), number)
        entries[option] = branches.choose(ip, chosen, lambda: item, functools.partial(entries.get, option))
    _store(ip, cell, entries)


@register(DICTS, "pop", "Delete")
def _pop_key(ip: Machine, cell: DictCell, key: Any, *default: Any) -> Any:
    entries, key = read(cell), _known_key(ip, cell, key)
    if key not in entries and not default:
        raise ScriptRaise(f"KeyError: the dict has no key {key!r}")
    _store(ip, cell, {k: v for k, v in entries.items() if k != key})
    return entries.get(key, *default)


@register(DICTS, "popitem")
def _pop_item(ip: Machine, cell: DictCell) -> Any:
    key = next(iter(read(cell)), None)  # the first one, where Python takes the last
    return key, _pop_key(ip, cell, key)


@register(DICTS, "update")
def _update(ip: Machine, cell: DictCell, other: DictCell) -> None:
    _store(ip, cell, {**read(cell), **read(other)})


@register(DICTS, "setdefault")
def _set_default(ip: Machine, cell: DictCell, key: Any, default: Any) -> Any:
    key = _known_key(ip, cell, key)
    if key not in read(cell):
        set_key(ip, cell, key, default)
    return cell.content[key]


@register(DICTS, "__contains__")
def _contains(ip: Machine, cell: DictCell, key: Any) -> Any:
    result: Any = False
    for condition in _matches(ip, cell, key).values():
        result = numbers.calculate(ip.op, "__or__", result, condition)
    return result


DICTS.update(
    {
        "keys": lambda ip, cell: ListCell(tuple(read(cell))),
        "values": lambda ip, cell: ListCell(tuple(read(cell).values())),
        "items": lambda ip, cell: ListCell(tuple(read(cell).items())),
        "copy": lambda ip, cell: DictCell(dict(read(cell))),
        "dict": lambda ip, cell: DictCell(dict(read(cell))),
        "clear": lambda ip, cell: _store(ip, cell, {}),
    }
)

"""Operators on dicts; their keys are known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nxconvert.frontends.pytorch.script.registry import DICTS, register
from nxconvert.frontends.pytorch.script.values import DictCell, ListCell
from nxconvert.frontends.pytorch.table import LoweringError

if TYPE_CHECKING:
    from nxconvert.frontends.pytorch.script.machine import Machine


@register(DICTS, "_set_item")
def _set_key(ip: Machine, cell: DictCell, key: Any, item: Any) -> None:
    ip.journal.write(cell, None, {**cell.content, key: item})


@register(DICTS, "__getitem__")
def _get_key(ip: Machine, cell: DictCell, key: Any) -> Any:
    if key not in cell.content:
        raise LoweringError(f"the dict has no key {key!r}")
    return cell.content[key]


@register(DICTS, "pop", "Delete")
def _pop_key(ip: Machine, cell: DictCell, key: Any, *default: Any) -> Any:
    item = cell.content.get(key, default[0]) if default else cell.content[key]
    ip.journal.write(cell, None, {k: v for k, v in cell.content.items() if k != key})
    return item


@register(DICTS, "update")
def _update(ip: Machine, cell: DictCell, other: DictCell) -> None:
    ip.journal.write(cell, None, {**cell.content, **other.content})


@register(DICTS, "setdefault")
def _set_default(ip: Machine, cell: DictCell, key: Any, default: Any) -> Any:
    if key not in cell.content:
        _set_key(ip, cell, key, default)
    return cell.content[key]


DICTS.update(
    {
        "__contains__": lambda ip, cell, key: key in cell.content,
        "get": lambda ip, cell, key, default=None: cell.content.get(key, default),
        "keys": lambda ip, cell: ListCell(tuple(cell.content)),
        "values": lambda ip, cell: ListCell(tuple(cell.content.values())),
        "items": lambda ip, cell: ListCell(tuple(cell.content.items())),
        "copy": lambda ip, cell: DictCell(dict(cell.content)),
        "dict": lambda ip, cell: DictCell(dict(cell.content)),
        "clear": lambda ip, cell: ip.journal.write(cell, None, {}),
    }
)

"""Operators that are computed while reading, by the kind of their first argument."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from nxconvert.frontends.pytorch.script.values import DictCell, ListCell

if TYPE_CHECKING:
    from nxconvert.frontends.pytorch.script.machine import Machine

Handler = Callable[..., Any]

LISTS: dict[str, Handler] = {}
DICTS: dict[str, Handler] = {}
STRINGS: dict[str, Handler] = {}
ANYTHING: dict[str, Handler] = {}
"""Tried first. A handler that does not take the arguments after all returns NotImplemented."""


def register(table: dict[str, Handler], *names: str) -> Callable[[Handler], Handler]:
    """Registers the decorated function for the operators ``names``: it gets the interpreter and the arguments."""

    def add(handler: Handler) -> Handler:
        table.update(dict.fromkeys(names, handler))
        return handler

    return add


def handles(name: str) -> bool:
    """Whether an operator is computed here for some kind of value."""
    return any(name in table for table in (ANYTHING, LISTS, DICTS, STRINGS))


def call(ip: Machine, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The result of an operator on known things; NotImplemented if it is none of these."""
    handler = ANYTHING.get(name)
    if handler is not None:
        result = handler(ip, *args, **kwargs)
        if result is not NotImplemented:
            return result
    handler = _table_for(args[0]).get(name) if args else None
    return handler(ip, *args, **kwargs) if handler is not None else NotImplemented


def _table_for(value: Any) -> dict[str, Handler]:
    if isinstance(value, ListCell):
        return LISTS
    if isinstance(value, DictCell):
        return DICTS
    return STRINGS if isinstance(value, str) else {}

"""Operators that are computed while reading, by the kind of their first argument."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from nxconvert.frontends.pytorch.script.values import DictCell, ListCell

if TYPE_CHECKING:
    from nxconvert.frontends.pytorch.script.machine import Machine

Handler = Callable[..., Any]

LISTS: dict[str, Handler] = {}
SEQUENCES: dict[str, Handler] = {}
"""For lists, too: tried before `LISTS`, and return NotImplemented unless the graph holds the list or a number."""
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
    return any(name in table for table in (ANYTHING, LISTS, SEQUENCES, DICTS, STRINGS))


def call(ip: Machine, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The result of an operator on known things; NotImplemented if it is none of these."""
    handler = ANYTHING.get(name)
    if handler is not None:
        result = handler(ip, *args, **kwargs)
        if result is not NotImplemented:
            return result
    for table in _tables_for(args[0]) if args else ():
        handler = table.get(name)
        if handler is not None:
            result = handler(ip, *args, **kwargs)
            if result is not NotImplemented:
                return result
    return NotImplemented


def _tables_for(value: Any) -> tuple[dict[str, Handler], ...]:
    if isinstance(value, ListCell):
        return SEQUENCES, LISTS
    if isinstance(value, DictCell):
        return (DICTS,)
    return (STRINGS,) if isinstance(value, str) else ()

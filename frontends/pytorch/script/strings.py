"""Operators on strings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nxconvert.frontends.pytorch.script.lists import read
from nxconvert.frontends.pytorch.script.registry import ANYTHING, STRINGS, Handler, register
from nxconvert.frontends.pytorch.script.values import Box, EnumMember, ListCell, Maybe
from nxconvert.frontends.pytorch.table import LoweringError, Scalar

if TYPE_CHECKING:
    from nxconvert.frontends.pytorch.script.machine import Machine


MAX_LENGTH = 1 << 20
"""Longer strings no model needs."""


def to_text(value: Any) -> str:
    """``str(value)``; what depends on data is shown as an ellipsis (it can only end up in a message)."""
    if isinstance(value, (Box, Scalar, Maybe)):
        return "..."
    if isinstance(value, ListCell):
        return "[" + ", ".join(map(to_text, value.content)) + "]" if isinstance(value.content, tuple) else "[...]"
    if isinstance(value, EnumMember):
        return f"{value.qualname.rpartition('.')[2]}.{value.name}"
    return str(value)


def _method(name: str) -> Handler:
    def call_method(ip: Machine, text: str, *args: Any) -> Any:
        result = getattr(text, name)(*(read(ip, a) if isinstance(a, ListCell) else a for a in args))
        return ListCell(tuple(result)) if isinstance(result, list) else result

    return call_method


for _name in [
    "lower",
    "upper",
    "strip",
    "lstrip",
    "rstrip",
    "startswith",
    "endswith",
    "find",
    "rfind",
    "replace",
    "split",
    "rsplit",
    "join",
    "capitalize",
    "title",
    "isdigit",
    "isalpha",
    "count",
    "index",
    "center",
    "ljust",
    "rjust",
    "zfill",
    "swapcase",
    "splitlines",
    "isupper",
    "islower",
    "isspace",
]:
    STRINGS[_name] = _method(_name)


@register(STRINGS, "format")
def _format(ip: Machine, text: str, *args: Any) -> str:
    try:
        return text.format(*map(to_text, args))
    except (IndexError, ValueError, KeyError):
        return text


def _bounded(text: str, more: int) -> str:
    if len(text) + more > MAX_LENGTH:
        raise LoweringError(f"a string of {len(text) + more} characters")
    return text


STRINGS.update(
    {
        "add": lambda ip, a, b: _bounded(a, len(b)) + b,
        "mul": lambda ip, a, b: _bounded(a, len(a) * b) * b,
        "eq": lambda ip, a, b: a == b,
        "ne": lambda ip, a, b: a != b,
        "__contains__": lambda ip, a, b: b in a,
        "__getitem__": lambda ip, a, b: a[b],
        "slice": lambda ip, a, start=None, end=None, step=1: a[slice(start, end, step)],
        "ord": lambda ip, a: ord(a),
        "list": lambda ip, a: ListCell(tuple(a)),
        "percentFormat": lambda ip, a, *args: a % args,
    }
)
ANYTHING["prim::percentFormat"] = ANYTHING["percentFormat"] = STRINGS["percentFormat"]

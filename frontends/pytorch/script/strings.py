"""Operators on strings.

What depends on sizes or data can be put into a message and nothing else: it is shown there as an ellipsis, and what
looks at such a text is refused.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from nxconvert.frontends.pytorch.script.frames import ScriptRaise
from nxconvert.frontends.pytorch.script.lists import read
from nxconvert.frontends.pytorch.script.registry import ANYTHING, STRINGS, Handler, register
from nxconvert.frontends.pytorch.script.values import DictCell, EnumMember, ListCell, OpenText, is_static
from nxconvert.frontends.pytorch.table import LoweringError

if TYPE_CHECKING:
    from nxconvert.frontends.pytorch.script.machine import Machine


MAX_LENGTH = 1 << 20
"""Longer strings no model needs."""


def to_text(value: Any) -> str:
    """``str(value)`` as TorchScript writes it."""
    if isinstance(value, float):
        return _float_text(value)
    if isinstance(value, EnumMember):
        return f"{value.qualname.rpartition('.')[2]}.{value.name}"
    if isinstance(value, str):
        return value
    if is_static(value):
        return str(value)
    if isinstance(value, ListCell) and isinstance(value.content, tuple):
        return _joined(value.content, "[", "]")
    if isinstance(value, DictCell) and isinstance(value.content, dict):
        return _joined([_concatenated([to_text(k), ": ", to_text(v)]) for k, v in value.content.items()], "{", "}")
    if isinstance(value, tuple):
        return _joined(value, "(", ",)" if len(value) == 1 else ")")
    return OpenText("...")


def _float_text(value: float) -> str:
    return f"{int(value)}." if value.is_integer() and abs(value) < 2**63 else f"{value:.17g}"


def _joined(items: Any, before: str, after: str) -> str:
    parts = [part for item in items for part in (", ", to_text(item))][1:]
    return _concatenated([before, *parts, after])


def _concatenated(parts: list[str]) -> str:
    """The parts as one text, which is open if one of them is."""
    length = sum(map(len, parts))
    if length > MAX_LENGTH:
        raise LoweringError(f"a string of {length} characters")
    text = "".join(parts)
    return OpenText(text) if any(isinstance(part, OpenText) for part in parts) else text


def known(name: str, *values: Any) -> None:
    """Says no to a text that shows what depends on data, and to what is no static value."""
    if not all(map(is_static, values)):
        raise LoweringError(f"{name} of a string that depends on sizes or data")


def _function(name: str, function: Callable[..., Any]) -> Handler:
    def call(ip: Machine, text: str, *args: Any) -> Any:
        known(name, text, *args)
        try:
            result = function(text, *args)
        except (ValueError, IndexError, TypeError) as error:
            raise LoweringError(str(error)) from None
        return ListCell(tuple(result)) if isinstance(result, (list, tuple)) else result

    return call


_METHODS = (
    "lower", "upper", "capitalize", "title", "swapcase", "strip", "lstrip", "rstrip", "startswith", "endswith", "find",
    "rfind", "index", "rindex", "count", "replace", "split", "rsplit", "splitlines", "partition", "rpartition",
    "center", "ljust", "rjust", "zfill", "expandtabs", "isdigit", "isdecimal", "isnumeric", "isalpha", "isalnum",
    "isidentifier", "isprintable", "isupper", "islower", "isspace", "istitle",
)  # fmt: skip
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{name: getattr(str, name) for name in _METHODS},
    **{name: getattr(operator, name) for name in ("eq", "ne", "lt", "le", "gt", "ge")},
    "__contains__": operator.contains,
    "__getitem__": operator.getitem,
    "slice": lambda text, start=None, end=None, step=1: text[slice(start, end, step)],
    "ord": ord,
    "list": list,
    "hash": hash,
}
STRINGS.update({name: _function(name, function) for name, function in _FUNCTIONS.items()})
STRINGS["add"] = lambda ip, a, b: _concatenated([a, b])


@register(STRINGS, "join")
def _join(ip: Machine, separator: str, items: Any) -> str:
    texts = read(ip, items)
    assert isinstance(texts, tuple)  # the graph holds no texts
    return _concatenated([part for text in texts for part in (separator, text)][1:])


@register(STRINGS, "format")
def _format(ip: Machine, text: str, *args: Any) -> str:
    """Every pair of braces stands for the next argument."""
    literals = text.split("{}")
    if len(literals) - 1 > len(args):
        raise ScriptRaise(f"too few arguments for the format string {text}")
    shown = [part for literal, arg in zip(literals, args, strict=False) for part in (literal, to_text(arg))]
    return _concatenated([*shown[: 2 * len(literals) - 2], literals[-1]])


_SPECIFIER = re.compile("(%[%dieEfFcs])")


@register(STRINGS, "percentFormat")
def _percent_format(ip: Machine, text: str, *args: Any) -> str:
    """``text % args``; numbers are cut off to ints by ``%d``."""
    given = iter(args[0] if len(args) == 1 and isinstance(args[0], tuple) else args)
    return _concatenated([_shown(part, given) if _SPECIFIER.match(part) else part for part in _SPECIFIER.split(text)])


def _shown(specifier: str, given: Iterator[Any]) -> str:
    kind = specifier[1]
    if kind == "%":
        return "%"
    value = next(given, None)
    if kind == "s" or not isinstance(value, (int, float)):
        return to_text(value)
    return str(int(value)) if kind in "di" else specifier % value


ANYTHING["prim::percentFormat"] = ANYTHING["percentFormat"] = STRINGS["percentFormat"]

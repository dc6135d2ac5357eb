"""What the pages of operators have in common."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from pathlib import Path

from nxconvert.graph.optable import OpTable

ROOT = Path(__file__).resolve().parents[2]


def signatures(table: OpTable, name: str, hidden: Iterable[str] = ()) -> str:
    """How an operator of a table may be called, one line a lowering; without the parameters that are no arguments."""
    lines = (f"{each.name}({', '.join(_parameters(each.function, set(hidden)))})" for each in table.lowerings(name))
    return "<br>".join(f"`{line}`".replace("|", "\\|") for line in dict.fromkeys(lines))


def _parameters(function: object, hidden: set[str]) -> Iterator[str]:
    """The parameters after the builder; ``*`` comes before those that are given by name alone."""
    parameters = list(inspect.signature(function).parameters.values())[1:]  # type: ignore[arg-type]
    parameters = [parameter for parameter in parameters if parameter.name not in hidden]
    starred = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    for parameter in parameters:
        if parameter.kind is parameter.KEYWORD_ONLY and not starred:
            starred = True
            yield "*"
        stars = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
        kind = "" if stars or parameter.annotation is parameter.empty else f": {parameter.annotation}"
        default = "" if parameter.default is parameter.empty else f" = {parameter.default!r}"
        yield f"{stars}{parameter.name}{kind}{default}"


def rows(pairs: Iterable[tuple[str, ...]]) -> str:
    """Lines of a table."""
    return "".join(f"| {' | '.join(cells)} |\n" for cells in pairs)

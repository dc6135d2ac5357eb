"""Operator tables: a lowering is a function, and its signature is the operator's schema.

``table("addmm")`` registers a lowering; names may carry an overload (``"max.dim"``), and an operator may have several
lowerings. A call is bound as Python binds calls, positions and names, with the defaults of the signature; the first
lowering whose parameters accept the *kinds* of the arguments is taken, in the order of registration. The kinds are the
annotations: each table gives every word it uses in annotations (``Value``, ``Int``, ``Ints``, ...) a predicate, ``X |
None`` accepts None, a parameter without an annotation accepts anything, and ``*rest`` and ``**rest`` take what is left.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])
Predicate = Callable[[Any], bool]


class Lowering:
    """One function of a table, with its signature made ready for binding when it is first called.

    Attributes:
        name: the operator as registered, with its overload if one was given.
        function: the lowering; its first parameter is the builder.
    """

    __slots__ = ("_checks", "_keyword_only", "_positional", "_required", "_rest", "_table", "function", "name")

    def __init__(self, table: OpTable, name: str, function: Callable[..., Any]) -> None:
        self._table = table
        self.name = name
        self.function = function
        self._checks: dict[str, Predicate | None] | None = None

    def _compile(self) -> dict[str, Predicate | None]:
        parameters = list(inspect.signature(self.function).parameters.values())[1:]
        named = [p for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
        self._positional = [p.name for p in named if p.kind != p.KEYWORD_ONLY]
        self._keyword_only = [p.name for p in named if p.kind == p.KEYWORD_ONLY]
        self._required = frozenset(p.name for p in named if p.default is p.empty)
        rest = {p.kind for p in parameters}
        self._rest = (inspect.Parameter.VAR_POSITIONAL in rest, inspect.Parameter.VAR_KEYWORD in rest)
        self._checks = {p.name: self._table.predicate(p.annotation) for p in named}
        return self._checks

    def mismatch(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str | None:
        """Why the arguments do not fit the signature, or None if they do."""
        checks = self._checks if self._checks is not None else self._compile()
        more_positions, more_names = self._rest
        if len(args) > len(self._positional) and not more_positions:
            return f"takes {len(self._positional)} positions, {len(args)} are given"
        given = dict(zip(self._positional, args, strict=False))
        for name, value in kwargs.items():
            if name in given:
                return f"'{name}' is given twice"
            if name not in checks:
                if more_names:
                    continue
                return f"has no parameter '{name}'"
            given[name] = value
        for name in self._required:
            if name not in given:
                return f"'{name}' is missing"
        for name, value in given.items():
            check = checks[name]
            if check is not None and not check(value):
                return f"'{name}' does not take {_kind(value)}"
        return None

    def parameters(self) -> list[str]:
        """The names of the operator's parameters, positional ones first."""
        if self._checks is None:
            self._compile()
        return [*self._positional, *self._keyword_only]


class OpTable:
    """The lowerings of one framework's operators.

    Args:
        name: the framework's own prefix for operators, for messages: ``aten``.
        kinds: a predicate for every word that annotations use.
    """

    def __init__(self, name: str, kinds: Mapping[str, Predicate]) -> None:
        self.name = name
        self._kinds = dict(kinds)
        self._entries: dict[str, list[Lowering]] = {}

    def __call__(self, *names: str) -> Callable[[Function], Function]:
        """Registers the decorated function as a lowering of the operators ``names``."""

        def register(function: Function) -> Function:
            for name in names:
                self._entries.setdefault(name.partition(".")[0], []).append(Lowering(self, name, function))
            return function

        return register

    def __contains__(self, operator: str) -> bool:
        return operator in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._entries))

    def lowerings(self, operator: str) -> list[Lowering]:
        """The lowerings of an operator, in the order in which they are tried."""
        return self._entries.get(operator, [])

    def find(
        self, operator: str, args: Sequence[Any], kwargs: Mapping[str, Any], overload: str | None = None
    ) -> Lowering:
        """The lowering that takes these arguments.

        Args:
            operator: name without overload.
            args: positional arguments.
            kwargs: arguments by name.
            overload: prefer the lowering registered under this overload, where the source format records it.

        Raises:
            LookupError: if the operator has no lowering, or none that takes arguments of these kinds; the text says
                why.
        """
        candidates = self._entries.get(operator)
        if not candidates:
            raise LookupError("")
        if overload:
            named = f"{operator}.{overload}"
            candidates = sorted(candidates, key=lambda lowering: lowering.name != named)
        reasons = []
        for lowering in candidates:
            reason = lowering.mismatch(args, kwargs)
            if reason is None:
                return lowering
            reasons.append(reason)
        raise LookupError("; ".join(dict.fromkeys(reasons)))

    def predicate(self, annotation: Any) -> Predicate | None:
        """The test that an annotation, in its source form, stands for; None where anything goes."""
        if annotation is inspect.Parameter.empty or annotation in ("Any", Any):
            return None
        words = [word.strip() for word in str(annotation).split("|")]
        tests = [self._kinds[word] for word in words if word != "None"]
        optional = "None" in words
        if len(tests) == 1:
            test = tests[0]
            return (lambda value: value is None or test(value)) if optional else test
        return lambda value: (optional and value is None) or any(test(value) for test in tests)


def _kind(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        inner = sorted({_kind(item) for item in value})
        return f"a list of {' and '.join(inner)}" if inner else "an empty list"
    return (
        f"{type(value).__name__} {value!r}"
        if isinstance(value, (int, float, str, bool, type(None)))
        else type(value).__name__
    )

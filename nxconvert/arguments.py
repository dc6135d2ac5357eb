"""From flat names to the arguments of a Python function: the way back from ``x``, ``x.0``, ``x.key``."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from nxconvert.errors import UsageError

_BY_POSITION = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Values by flat name, put together: ``{"x.0": a, "x.1": b, "y.key": c}`` is ``{"x": (a, b), "y": {"key": c}}``."""
    tree: dict[str, Any] = {}
    for name, value in flat.items():
        *path, last = name.split(".")
        inner = tree
        for part in path:
            inner = inner.setdefault(part, {})
            if not isinstance(inner, dict):
                raise UsageError(f"'{name}' cannot be inside of an input that is given itself.")
        inner[last] = value
    return {name: _sequences(value) for name, value in tree.items()}


def _sequences(value: Any) -> Any:
    """Dicts whose keys count from 0 are tuples."""
    if not isinstance(value, dict):
        return value
    inside = {key: _sequences(item) for key, item in value.items()}
    counted = [str(index) for index in range(len(inside))]
    return tuple(inside[key] for key in counted) if sorted(inside) == sorted(counted) else inside


def bind_named(function: Callable[..., Any], values: Mapping[str, Any]) -> inspect.BoundArguments:
    """The arguments of a call.

    Args:
        function: what is to be called.
        values: by the name of the parameter.

    Raises:
        UsageError: it has no parameter of such a name, or needs another.
    """
    signature = inspect.signature(function)
    values = dict(values)
    parameters = signature.parameters
    open_ended = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values())
    unknown = [name for name in values if name not in parameters]
    if unknown and not open_ended:
        raise UsageError(
            f"the model has no argument called {', '.join(map(repr, unknown))}; "
            f"it takes {', '.join(parameters) or 'nothing'}."
        )
    args: list[Any] = []
    for name, parameter in parameters.items():
        if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            args.extend(values.pop(name, ()))
        elif parameter.kind not in _BY_POSITION or name not in values:
            break
        else:
            args.append(values.pop(name))
    try:
        return signature.bind(*args, **values)
    except TypeError as error:
        raise UsageError(f"the inputs do not fit the model's arguments {signature}: {error}.") from None

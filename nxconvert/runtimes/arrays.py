"""Results by name, as the runtimes return them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np


def select(known: list[str], wanted: Sequence[str] | None) -> list[str]:
    """Of the outputs that there are, those that are wanted."""
    return known if wanted is None else [name for name in known if name in wanted]


def named(names: Iterable[str], values: Iterable[Any]) -> dict[str, np.ndarray]:
    """Arrays by output name. A sequence becomes one array an element, ``name.0``, ``name.1``; nothing stays nothing."""
    results: dict[str, np.ndarray] = {}
    for name, value in zip(names, values, strict=True):
        if isinstance(value, list | tuple):
            results.update(named((f"{name}.{index}" for index in range(len(value))), value))
        elif value is not None:
            results[name] = np.asarray(value)
    return results


def reason(error: BaseException) -> str:
    """The line of a framework's message that says what happened; the last one, above which are the stack traces."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__

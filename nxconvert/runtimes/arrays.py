"""Results by name, as the runtimes return them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np


def is_wanted(name: str, wanted: Sequence[str] | None) -> bool:
    """Whether an output of this name is asked for, by its name or by that of the container it is in."""
    return wanted is None or any(name == each or name.startswith(f"{each}.") for each in wanted)


def named(names: Iterable[str], values: Iterable[Any]) -> dict[str, np.ndarray]:
    """Arrays by output name. A sequence becomes one array an element, ``name.0``, ``name.1``; nothing stays nothing."""
    import numpy as np

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

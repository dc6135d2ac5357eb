"""Results by name, as the runtimes return them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
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


def pairs(array: np.ndarray) -> np.ndarray:
    """Complex numbers as pairs of a real and an imaginary part along a new last axis, as graphs have them."""
    import numpy as np

    return np.stack([array.real, array.imag], axis=-1)


def fed(inputs: Mapping[str, Any], complex_names: Collection[str]) -> dict[str, Any]:
    """The inputs of a graph, complex arrays as pairs but for those inputs that are complex themselves."""
    return {
        name: pairs(value)
        if getattr(value, "dtype", None) is not None and value.dtype.kind == "c" and name not in complex_names
        else value
        for name, value in inputs.items()
    }


def reason(error: BaseException) -> str:
    """The line of a framework's message that says what happened; the last one, above which are the stack traces."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__

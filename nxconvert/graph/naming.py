"""Names in a graph: no two equal, and found again by who asks for them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

from nxconvert.errors import UsageError

_SUGGESTIONS = 5


class Names:
    """Gives names of which no two are equal: the first to want one has it, others get a number after it."""

    def __init__(self, wanted: Iterable[str]) -> None:
        """`wanted` are names that no numbered one is to be, since somebody may have one of them as it is."""
        self._wanted = set(wanted)
        self._taken: set[str] = set()
        self._numbers: dict[str, int] = {}

    def reserve(self, names: Iterable[str]) -> None:
        """Takes note of names that something else has."""
        self._taken.update(names)

    def give(self, base: str, beside: Sequence[str] = ()) -> str:
        """A name like `base`; the same with each of the suffixes `beside` is given with it."""
        number = self._numbers.get(base, 0)
        name = f"{base}_{number}" if number else base
        while (number and name in self._wanted) or any(f"{name}{suffix}" in self._taken for suffix in ("", *beside)):
            number += 1
            name = f"{base}_{number}"
        self._numbers[base] = number + 1
        self._taken.update(f"{name}{suffix}" for suffix in ("", *beside))
        return name


def no_such_output(asked: str, known: Iterable[str], outputs: Iterable[str]) -> UsageError:
    """The error of who asks for an output that there is not: says what sounds like it, or else the model's outputs."""
    close = get_close_matches(asked, dict.fromkeys(known), n=_SUGGESTIONS)
    hint = f"Similar names are {', '.join(close)}" if close else f"The model's outputs are {', '.join(outputs)}"
    return UsageError(f"nothing in the model is called '{asked}'. {hint}.")

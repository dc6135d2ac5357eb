"""The exceptions nxconvert raises, one small family.

Every message is a paragraph for a person: what is wrong, where it is, and what to do about it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace


class NxConvertError(Exception):
    """Base of every error that nxconvert raises on purpose.

    Attributes:
        source: the file that was being read, where that is known; the message need not name it.
    """

    source: str = ""


class UsageError(NxConvertError, ValueError):
    """What was asked for makes no sense: a malformed input spec, an unknown format, an opset nobody can write."""


class ReadError(NxConvertError):
    """The source is no model that can be read: wrong kind of file, truncated, inconsistent or hostile."""


class InputError(ReadError):
    """The file is sound, but its inputs cannot be told from it: they have to be declared.

    Attributes:
        hints: one ``NAME=DTYPE[DIMS]`` line for every input that has to be declared, ready to paste after ``--input``.
    """

    def __init__(self, message: str, hints: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.hints = tuple(hints)


@dataclass(frozen=True)
class Unsupported:
    """One operator, or one construct of the source language, that cannot be lowered.

    Attributes:
        what: the source's own name for it, e.g. ``aten::linalg_svd``.
        why: what about it is not supported; empty when there is no lowering at all.
        where: the user's file and line, as far as the source format records it.
        count: how often it occurs.
    """

    what: str
    why: str = ""
    where: str = ""
    count: int = 1

    def __str__(self) -> str:
        times = f" (x{self.count})" if self.count > 1 else ""
        why = f": {self.why}" if self.why else ""
        where = f" at {self.where}" if self.where else ""
        return f"{self.what}{times}{where}{why}"


def counted(items: Iterable[Unsupported]) -> list[Unsupported]:
    """One item for each operator, the first of it, with how often it occurs."""
    found: dict[str, Unsupported] = {}
    counts: Counter[str] = Counter()
    for item in items:
        found.setdefault(item.what, item)
        counts[item.what] += 1
    return [replace(item, count=counts[what]) for what, item in found.items()]


class UnsupportedError(NxConvertError):
    """The model is sound but uses what cannot be expressed; lists *every* such operator, not only the first.

    Attributes:
        items: what is not supported, one entry an operator.
    """

    def __init__(self, items: Iterable[Unsupported] | str) -> None:
        self.items = (Unsupported(items),) if isinstance(items, str) else tuple(items)
        if len(self.items) == 1:
            super().__init__(f"not supported: {self.items[0]}")
        else:
            listing = "".join(f"\n  - {item}" for item in self.items)
            super().__init__(f"{len(self.items)} operators are not supported:{listing}")


class WriteError(NxConvertError):
    """The target cannot be written, or the graph has something that the target format cannot hold."""


class MismatchError(NxConvertError):
    """A conversion ran but its outputs differ from the source framework's by more than the tolerance."""


class RuntimeMissingError(NxConvertError):
    """Running a model was asked for, and the framework that runs it is not installed."""


class RunError(NxConvertError):
    """A runtime loaded the model but could not run it on the given inputs."""

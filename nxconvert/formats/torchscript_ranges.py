"""Where TorchScript code comes from: the ``*.debug_pkl`` members of an archive.

Such a pickle maps offsets in a source file of the archive to pieces of the user's source.  Two layouts exist
(``torch/csrc/jit/serialization/source_range_serialization.cpp``): a tuple of ``(offset, (source, start, end))`` with
``source = (text, file, first line)``; and, since PyTorch 1.9, ``("FORMAT_WITH_STRING_TABLE", strings, entries)`` with
entries ``(offset, (source, start, end), tag)`` and ``source = ([string indices], file's index, first line)``.
For a traced operator the text is no source but a Python stack, one ``file(line): function`` a line, innermost first.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

__all__ = ["Frame", "SourceRanges"]

_STRING_TABLE = "FORMAT_WITH_STRING_TABLE"
# A function's source, or a stack: a line of the table may be named any number of times.
_MAX_TEXT = 16 << 20
# What indexing and unpacking values of another shape than expected raises.
_MISFITS = (TypeError, IndexError, ValueError, AttributeError)
_STACK_LINE = re.compile(r"(.+)\((\d+)\): (.+)")
_TORCH_FILE = re.compile(r"[/\\](?:site|dist)-packages[/\\]torch[/\\]|[/\\]torch[/\\](?:nn|jit|_\w+|autograd|ao)[/\\]")


@dataclass(frozen=True, slots=True)
class Frame:
    """A place in the user's code; `function` is empty for scripted code, which does not record it."""

    file: str
    line: int
    function: str = ""

    @property
    def is_torch(self) -> bool:
        """Whether the file is part of PyTorch itself."""
        return _TORCH_FILE.search(self.file) is not None


class SourceRanges:
    """The decoded ranges of one source file.

    Nothing but messages depends on them, so ranges of an unknown layout count as none.
    """

    def __init__(self, decoded: Any) -> None:
        """`decoded` is the unpickled member, None if there is none."""
        self._strings: tuple[str, ...] | None = None
        entries = decoded or ()
        if isinstance(entries, tuple) and len(entries) == 3 and entries[0] == _STRING_TABLE:
            _, self._strings, entries = entries
        try:
            self._offsets = [int(entry[0]) for entry in entries]
            self._ranges = [entry[1] for entry in entries]
        except _MISFITS:
            self._offsets, self._ranges = [], []
        self._cache: dict[tuple[int, Any], tuple[Frame, ...]] = {}

    def frames(self, offset: int) -> tuple[Frame, ...]:
        """The user's stack for the code at `offset` (in bytes), innermost first; empty if none is recorded."""
        index = bisect_right(self._offsets, offset) - 1
        if index < 0:
            return ()
        try:
            source, start, _ = self._ranges[index]
            # Equal sources are one object, thanks to the pickle's memo.
            key = (id(source), start)
            if key not in self._cache:
                self._cache[key] = self._decode(source, start)
            return self._cache[key]
        except _MISFITS:
            return ()

    def _decode(self, source: tuple[Any, Any, int], start: int) -> tuple[Frame, ...]:
        lines, file, first = source
        if self._strings is not None:
            pieces = [self._strings[index] for index in lines]
            if sum(map(len, pieces)) > _MAX_TEXT:
                return ()
            lines, file = "".join(pieces), self._strings[file]
        if not (isinstance(file, str) and file):
            return ()
        stack = [_frame(line) for line in lines.split("\n") if line]
        if stack and None not in stack:
            return tuple(frame for frame in stack if frame)
        return (Frame(file, first + lines.encode()[:start].count(b"\n")),)


@lru_cache(maxsize=4096)
def _frame(line: str) -> Frame | None:
    """A line of a Python stack.  The outer ones are the same for every operator of a model."""
    match = _STACK_LINE.fullmatch(line)
    return Frame(match[1], int(match[2]), match[3]) if match else None

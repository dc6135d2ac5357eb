"""Telling files of CNTK's by their first bytes, without decoding them."""

from __future__ import annotations

from pathlib import Path

from nxconvert.formats.cntk.dictionary import LARGE_MAGIC

#: What a file of CNTK 1 begins with.
LEGACY_MAGIC = "BCN\0".encode("utf-16-le")
_HEAD = 1 << 16
#: How a serialized Dictionary begins: its version, 1 or 2, and the first of its entries.
_STARTS = (b"\x08\x01\x12", b"\x08\x02\x12")


def is_legacy(path: Path) -> bool:
    """Whether a file is one of CNTK 1. Never raises."""
    return _head(path).startswith(LEGACY_MAGIC)


def looks_like_cntk(path: Path) -> bool:
    """Whether a file is a Dictionary of CNTK's, or a file of CNTK 1. Reads little of it and never raises."""
    head = _head(path)
    if head.startswith(LEGACY_MAGIC):
        return True
    if head.startswith(LARGE_MAGIC):
        head = head[8:]
    # An entry is a key and a value; keys are short words.
    return head.startswith(_STARTS) and any(
        word in head
        for word in (b"CompositeFunction", b"primitive_functions", b"Learners", b"version", b"root", b"uid")
    )


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_HEAD)
    except OSError:
        return b""

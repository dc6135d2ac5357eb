"""Telling a file of CNTK's by its first bytes, without decoding it."""

from __future__ import annotations

from pathlib import Path

from nxconvert.formats.cntk.dictionary import LARGE_MAGIC

_HEAD = 1 << 16
#: How a serialized Dictionary begins: its version, 1 or 2, and the first of its entries.
_STARTS = (b"\x08\x01\x12", b"\x08\x02\x12")


def looks_like_cntk(path: Path) -> bool:
    """Whether a file is a Dictionary of CNTK's. Reads little of it and never raises."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError:
        return False
    if head.startswith(LARGE_MAGIC):
        head = head[8:]
    # An entry is a key and a value; keys are short words.
    return head.startswith(_STARTS) and any(
        word in head
        for word in (b"CompositeFunction", b"primitive_functions", b"Learners", b"version", b"root", b"uid")
    )

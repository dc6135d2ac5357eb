"""Variable-length integers of protocol buffers, read from a file that is only looked into. Imports nothing heavy."""

from __future__ import annotations

from typing import BinaryIO


def read_varint(file: BinaryIO) -> int | None:
    """The next variable-length integer, or None where the file ends or there is none."""
    result = 0
    for shift in range(0, 70, 7):
        byte = file.read(1)
        if not byte:
            return None
        result |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return result
    return None

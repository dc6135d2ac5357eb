"""The protobuf wire format, as far as writing ONNX files needs it.

A protobuf message is preceded by its length, so whoever builds one out of objects holds all of it in memory, twice. A
`Message` here knows its encoded length at any time, while the weights inside it stay where they are: it is a list of
encoded bytes and of tensors whose bytes are to follow later.

https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import TypeAlias

import onnx_ir as ir

#: Encoded bytes, or a tensor whose bytes stand here.
Part: TypeAlias = bytes | bytearray | ir.TensorProtocol

VARINT = 0
LENGTH_DELIMITED = 2
FIXED32 = 5

_BYTE = tuple(bytes((i,)) for i in range(128))


def varint(number: int) -> bytes:
    """Encodes an integer; a negative one as the 64-bit two's complement that int32, int64 and enum fields use."""
    if 0 <= number < 128:
        return _BYTE[number]
    number &= 0xFFFF_FFFF_FFFF_FFFF
    encoded = bytearray()
    while number > 127:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def tag(field: int, wire_type: int) -> bytes:
    """What stands before a field's content."""
    return varint(field << 3 | wire_type)


def float32(number: float) -> bytes:
    """Encodes a float field; what is beyond its range becomes infinite, as in a C cast."""
    try:
        return struct.pack("<f", number)
    except OverflowError:
        return struct.pack("<f", float("inf") if number > 0 else float("-inf"))


_DELIMITED = tuple(tag(field, LENGTH_DELIMITED) for field in range(32))  # ONNX numbers no field higher
_INTEGER = tuple(tag(field, VARINT) for field in range(32))


def delimited(field: int, content: bytes) -> bytes:
    """A field of strings, bytes or an encoded message."""
    size = len(content)
    return b"%b%b%b" % (_DELIMITED[field], _BYTE[size] if size < 128 else varint(size), content)


def integer(field: int, number: int) -> bytes:
    """A field of an integer, enum or bool."""
    return _INTEGER[field] + varint(number)


class Message:
    """A message under construction. Fields are added in the order in which they are to stand in the file."""

    __slots__ = ("_encoded", "_parts", "_size")

    def __init__(self) -> None:
        self._parts: list[Part] = []  # what comes before `_encoded`; empty in the usual message without tensors
        self._encoded = bytearray()
        self._size = 0  # of the parts

    @property
    def size(self) -> int:
        """The length of the encoded message in bytes."""
        return self._size + len(self._encoded)

    def parts(self) -> Iterator[Part]:
        """What to write, in order."""
        yield from self._parts
        if self._encoded:
            yield self._encoded

    def add(self, encoded: bytes | bytearray) -> None:
        """Appends fields that are encoded already."""
        self._encoded += encoded

    def string(self, field: int, text: str) -> None:
        """Appends a string field."""
        self._encoded += delimited(field, text.encode())

    def message(self, field: int, message: Message) -> None:
        """Appends a message field."""
        self._encoded += _DELIMITED[field]
        self._encoded += varint(message.size)
        if message._parts:
            self._flush()
            self._parts += message._parts
            self._size += message._size
        self._encoded += message._encoded

    def payload(self, field: int, tensor: ir.TensorProtocol, nbytes: int) -> None:
        """Appends a bytes field whose `nbytes` bytes are the tensor's, to be fetched when the file is written."""
        self._encoded += _DELIMITED[field]
        self._encoded += varint(nbytes)
        self._flush()
        self._parts.append(tensor)
        self._size += nbytes

    def _flush(self) -> None:
        self._parts.append(self._encoded)
        self._size += len(self._encoded)
        self._encoded = bytearray()

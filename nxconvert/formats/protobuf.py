"""Protocol buffers: the wire format, decoded by small schemas into plain Python and numpy views.

A schema is a `Message` of `Field`s. Decoding a message gives a dict of the fields that are there: numbers, `bytes`,
`str`, dicts for messages; lists of these for repeated ones, and for repeated numbers one numpy array. Long arrays are
views of the file. Where a field of one message occurs twice, the rules of the format hold: the last number or string
counts, messages are merged.

The wire format: https://protobuf.dev/programming-guides/encoding/. Groups, which it has given up, are refused.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from nxconvert.errors import ReadError
from nxconvert.formats.tensors import MappedFile, release

__all__ = ["MAX_DEPTH", "MAX_MESSAGES", "NUMBERS", "Field", "Kind", "Message", "Reader", "varint"]

#: What a field holds. A `text` that is not UTF-8 is an error, a `label` is only for people to read; `data` are bytes
#: too, but stay in the file: uint8[n].
Kind: TypeAlias = Literal[
    "int32", "int64", "uint32", "uint64", "bool", "float", "double", "bytes", "data", "text", "label", "message"
]

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_WIRE_NAMES = {0: "varint", 1: "64-bit", 2: "length-delimited", 3: "group", 4: "end of group", 5: "32-bit"}
#: Of each kind of number, its wire type and its dtype.
NUMBERS: dict[Kind, tuple[int, np.dtype]] = {
    "int32": (VARINT, np.dtype("<i4")),
    "int64": (VARINT, np.dtype("<i8")),
    "uint32": (VARINT, np.dtype("<u4")),
    "uint64": (VARINT, np.dtype("<u8")),
    "bool": (VARINT, np.dtype("?")),
    "float": (FIXED32, np.dtype("<f4")),
    "double": (FIXED64, np.dtype("<f8")),
}
MAX_DEPTH = 64
# What a hostile file can make us do: a message costs some hundred bytes of memory, any field a few hundred nanoseconds.
MAX_MESSAGES = 2_000_000
_MAX_FIELDS = 30_000_000
#: Arrays up to this many elements are copied out of the file.
_SMALL = 1024
# Elements, and bytes of varints, that are looked at together: few at first, for most runs are short.
_FIRST_RUN = 256
_RUN = 1 << 20
_MAX_VARINT = 10


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """A field of a message.

    Attributes:
        number: its number on the wire.
        name: its name in text, and the key in what is decoded.
        kind: what it holds.
        repeated: whether there may be several.
        message: of a field of kind ``message``, the schema.
        labels: of a number, the names that the text form has for some of its values.
    """

    number: int
    name: str
    kind: Kind
    repeated: bool = False
    message: Message | None = None
    labels: dict[str, int] | None = None


class Message:
    """The schema of a message.

    Attributes:
        name: of the message.
        by_name: its fields by their names.
        by_number: its fields by their numbers.
        by_tag: its fields by the tags they may have on the wire; a repeated number has two, packed or one by one.
    """

    def __init__(self, name: str, fields: Iterable[Field] = ()) -> None:
        self.name = name
        self.by_name: dict[str, Field] = {}
        self.by_number: dict[int, Field] = {}
        self.by_tag: dict[int, Field] = {}
        self.define(fields)

    def define(self, fields: Iterable[Field]) -> None:
        """Add fields; for messages that hold themselves."""
        for field in fields:
            self.by_name[field.name] = self.by_number[field.number] = field
            number = NUMBERS.get(field.kind)
            if number is None or field.repeated:
                self.by_tag[field.number << 3 | BYTES] = field
            if number is not None:
                self.by_tag[field.number << 3 | number[0]] = field


class Reader:
    """Decodes messages out of one file, or out of bytes.

    Every length is compared with what is there before it is used, nesting is bounded, and so is the number of fields.
    """

    def __init__(self, source: MappedFile | bytes | np.ndarray, label: str) -> None:
        """Read `source`, bytes or uint8[n], which messages call `label`."""
        self.label = label
        self._array = np.frombuffer(source.mmap if isinstance(source, MappedFile) else source, np.uint8)
        self.bytes = self._array.data
        self.size = len(self.bytes)
        self._messages = MAX_MESSAGES
        self._fields = _MAX_FIELDS

    def decode(self, message: Message, start: int = 0, end: int | None = None) -> dict[str, Any]:
        """The message that is in the bytes from `start` to `end`.

        Raises:
            ReadError: the bytes are no such message.
        """
        return self._message(message, start, self.size if end is None else end, 0)

    def damaged(self, what: str, offset: int) -> ReadError:
        """The error that says what is wrong at `offset`."""
        return ReadError(f"{self.label} is damaged, or no file of its kind: {what}, at byte {offset:,}.")

    def _message(self, message: Message, start: int, end: int, depth: int) -> dict[str, Any]:
        self._enter(message, start, depth)
        data, by_tag = self.bytes, message.by_tag
        values: dict[str, Any] = {}
        spans: dict[Field, list[tuple[int, int]]] = {}  # of messages that are not repeated: merged if there are several
        parts: dict[Field, list[np.ndarray]] = {}  # of repeated numbers
        pos = start
        while pos < end:
            at = pos
            tag = data[pos]
            pos += 1
            if tag >= 0x80:
                tag, pos = self._varint(at, end)
            self._fields -= 1
            if self._fields < 0:
                raise self.damaged(f"there are more than {_MAX_FIELDS:,} fields", start)
            field = by_tag.get(tag)
            if field is None:
                pos = self._skip(message, tag, at, pos, end)
            elif tag & 7 != BYTES:
                if field.repeated:
                    array, pos = self._run(field, tag, at, end)
                    self._part(parts, field, array, at)
                else:
                    values[field.name], pos = self._number(field, pos, end)
            else:
                pos, stop = self._span(message, field.number, pos, end)
                if field.kind in NUMBERS:
                    self._part(parts, field, self._packed(field, pos, stop), at)
                elif field.message is None and field.repeated:
                    strings, stop = self._strings(message, field, at, end)
                    values.setdefault(field.name, []).extend(strings)
                elif field.message is None:
                    values[field.name] = self._string(message, field, pos, stop)
                elif field.repeated:
                    inner = self._message(field.message, pos, stop, depth + 1)
                    values.setdefault(field.name, []).append(inner)
                else:
                    spans.setdefault(field, []).append((pos, stop))
                pos = stop
        for field, pieces in parts.items():
            values[field.name] = _joined(pieces)
        for field, places in spans.items():
            values[field.name] = self._merged(field, places, depth + 1)
        return values

    def _enter(self, message: Message, start: int, depth: int) -> None:
        self._messages -= 1
        if self._messages < 0:
            raise self.damaged(f"there are more than {MAX_MESSAGES:,} messages", start)
        if depth > MAX_DEPTH:
            raise self.damaged(f"messages are nested more than {MAX_DEPTH} deep ({message.name})", start)

    def _part(self, parts: dict[Field, list[np.ndarray]], field: Field, array: np.ndarray, at: int) -> None:
        self._messages -= 1
        if self._messages < 0:
            raise self.damaged("it is made of far too many pieces", at)
        parts.setdefault(field, []).append(array)

    def _merged(self, field: Field, places: list[tuple[int, int]], depth: int) -> dict[str, Any]:
        """The message in several places, which is that of their bytes in a row."""
        assert field.message is not None
        if len(places) == 1:
            return self._message(field.message, *places[0], depth)
        other = Reader(b"".join(bytes(self.bytes[start:stop]) for start, stop in places), self.label)
        other._messages, other._fields = self._messages, self._fields
        merged = other._message(field.message, 0, other.size, depth)
        self._messages, self._fields = other._messages, other._fields
        return merged

    def _skip(self, message: Message, tag: int, at: int, pos: int, end: int) -> int:
        """The end of a field that the schema does not have."""
        number, wire = tag >> 3, tag & 7
        known = message.by_number.get(number)
        if known is not None:
            raise self.damaged(f"{message.name}.{known.name} is {_WIRE_NAMES.get(wire, 'of an unknown kind')}", at)
        if number == 0 or number >= 1 << 29 or wire not in (VARINT, FIXED64, BYTES, FIXED32):
            raise self.damaged(f"{message.name} goes on with what is no field", at)
        if wire == VARINT:
            return self._varint(pos, end)[1]
        if wire == BYTES:
            return self._span(message, number, pos, end)[1]
        stop = pos + (8 if wire == FIXED64 else 4)
        if stop > end:
            raise self._truncated(f"field {number} of {message.name}", stop - pos, pos, end)
        return stop

    def _truncated(self, what: str, size: int, pos: int, end: int) -> ReadError:
        if end == self.size:
            return ReadError(
                f"{self.label} is truncated: {what}, at byte {pos:,}, is said to have {size:,} bytes, "
                f"and the file ends after {end - pos:,}."
            )
        return self.damaged(f"{what} is said to have {size:,} bytes, where only {end - pos:,} are left", pos)

    def _varint(self, pos: int, end: int) -> tuple[int, int]:
        """The variable-length integer at `pos`, below 2⁶⁴, and where it ends."""
        if pos < end and (result := self.bytes[pos]) < 0x80:  # nearly all
            return result, pos + 1
        result = 0
        stop = min(end, pos + _MAX_VARINT)
        for shift, at in enumerate(range(pos, stop)):
            byte = self.bytes[at]
            result |= (byte & 0x7F) << 7 * shift
            if byte < 0x80:
                return result & 0xFFFFFFFFFFFFFFFF, at + 1
        if stop == end:
            raise self._truncated("a number", stop - pos + 1, pos, end)
        raise self.damaged("a number has more than ten bytes", pos)

    def _span(self, message: Message, number: int, pos: int, end: int) -> tuple[int, int]:
        """The bytes of the length-delimited field whose length is at `pos`."""
        size, pos = self._varint(pos, end)
        if size > end - pos:
            field = message.by_number.get(number)
            name = f"{message.name}.{field.name}" if field else f"field {number} of {message.name}"
            raise self._truncated(name, size, pos, end)
        return pos, pos + size

    def _strings(self, message: Message, field: Field, at: int, end: int) -> tuple[list[Any], int]:
        """Strings each of which has its tag before it, from the tag at `at` on as long as there are more."""
        data, tag = self.bytes, self.bytes[at]
        found: list[bytes] = []
        most = self._fields + 1  # with the one that has been counted
        if field.number < 16 and field.kind != "data":  # a tag of one byte
            # Lengths of one byte, too, are what nearly all have.
            while at + 1 < end and data[at] == tag and (size := data[at + 1]) < 0x80 and size <= end - at - 2:
                at += 2 + size
                found.append(bytes(data[at - size : at]))
                if len(found) >= most:
                    break
        if not found:
            start, at = self._span(message, field.number, self._varint(at, end)[1], end)
            return [self._string(message, field, start, at)], at
        self._fields -= len(found) - 1
        if field.kind == "bytes":
            return found, at
        return [self._decoded(message, field, raw, at) for raw in found], at

    def _string(self, message: Message, field: Field, start: int, stop: int) -> str | bytes | np.ndarray:
        if field.kind == "data":
            return self._array[start:stop]
        raw = bytes(self.bytes[start:stop])
        return raw if field.kind == "bytes" else self._decoded(message, field, raw, start)

    def _decoded(self, message: Message, field: Field, raw: bytes, at: int) -> str:
        try:
            return raw.decode("utf-8", "replace" if field.kind == "label" else "strict")
        except UnicodeDecodeError:
            raise self.damaged(f"{message.name}.{field.name} is no UTF-8 text ({raw[:20]!r})", at) from None

    def _number(self, field: Field, pos: int, end: int) -> tuple[Any, int]:
        wire, dtype = NUMBERS[field.kind]
        if wire == VARINT:
            value, pos = self._varint(pos, end)
            return _narrow(value, field.kind), pos
        stop = pos + dtype.itemsize
        if stop > end:
            raise self._truncated(field.name, dtype.itemsize, pos, end)
        return struct.unpack_from("<f" if field.kind == "float" else "<d", self.bytes, pos)[0], stop

    def _packed(self, field: Field, start: int, stop: int) -> np.ndarray:
        """Numbers one directly after the other."""
        wire, dtype = NUMBERS[field.kind]
        if wire != VARINT:
            count, rest = divmod(stop - start, dtype.itemsize)
            if rest:
                raise self.damaged(f"{field.name} has {rest} bytes too many", start)
            return self._view(dtype, start, count, dtype.itemsize)
        return self._varints(field, b"", start, stop)[0]

    def _run(self, field: Field, tag: int, at: int, end: int) -> tuple[np.ndarray, int]:
        """Numbers each of which has its tag before it, from the tag at `at` on as long as there are more."""
        wire, dtype = NUMBERS[field.kind]
        prefix = varint(tag)
        if wire == VARINT:
            return self._varints(field, prefix, at, end)
        stride = len(prefix) + dtype.itemsize
        limit = (end - at) // stride
        count, window = 0, _FIRST_RUN
        while count < limit:
            step = min(window, limit - count)
            start = at + count * stride
            same = np.ones(step, bool)
            for index, byte in enumerate(prefix):
                same &= self._array[start + index : start + step * stride : stride] == byte
            if not same.all():
                count += int(same.argmin())
                break
            count += step
            if window == _RUN:
                release(self._array[start : start + step * stride])
            window = min(16 * window, _RUN)
        if count == 0:
            raise self._truncated(field.name, dtype.itemsize, at + len(prefix), end)
        return self._view(dtype, at + len(prefix), count, stride), at + count * stride

    def _view(self, dtype: np.dtype, start: int, count: int, stride: int) -> np.ndarray:
        if count == 0:
            return np.empty(0, dtype)
        view: np.ndarray = np.ndarray((count,), dtype, self._array, start, (stride,))
        return view if count > _SMALL else view.copy()

    def _varints(self, field: Field, prefix: bytes, at: int, end: int) -> tuple[np.ndarray, int]:
        """Variable-length integers, each after `prefix`, and where they end.

        The last byte of each is the one below 0x80, and so is the last one of a prefix: that splits a whole block at
        once.
        """
        found = []
        pos, window = at, _FIRST_RUN
        width = 2 if prefix else 1
        while pos < end:
            block = self._array[pos : min(end, pos + window)]
            ends = np.flatnonzero(block < 0x80)
            whole = count = len(ends) // width
            ends = ends[: count * width]
            starts = np.concatenate(([0], ends[:-1] + 1))[: len(ends)]
            if prefix:
                count = _prefixed(block, starts[::2], ends[::2], prefix)
                starts, ends = starts[1 : 2 * count : 2], ends[1 : 2 * count : 2]
            if count == 0:
                break
            if int((ends - starts).max()) >= _MAX_VARINT:
                raise self.damaged(f"a number of {field.name} has more than ten bytes", pos)
            found.append(_narrowed(_assembled(block, starts, ends), field.kind))
            pos += int(ends[-1]) + 1
            if count < whole:
                return _joined(found), pos
            window = min(16 * window, _RUN)
        if pos < end and (not prefix or not found):
            self._varint(pos + len(prefix), end)
            raise self.damaged(f"a number of {field.name} cannot be read", pos)
        return _joined(found) if found else np.empty(0, NUMBERS[field.kind][1]), pos


def _joined(parts: list[np.ndarray]) -> np.ndarray:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def varint(value: int) -> bytes:
    """The variable-length form of a number that is not negative."""
    result = bytearray()
    while value >= 0x80:
        result.append(value & 0x7F | 0x80)
        value >>= 7
    result.append(value)
    return bytes(result)


def _prefixed(block: np.ndarray, starts: np.ndarray, ends: np.ndarray, prefix: bytes) -> int:
    """How many of the varints at `starts` are `prefix`, counted up to the first that is not."""
    same = ends - starts == len(prefix) - 1
    for index, byte in enumerate(prefix):
        same &= block[np.minimum(starts + index, len(block) - 1)] == byte
    return len(same) if same.all() else int(same.argmin())


def _assembled(block: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """uint64[n]: the numbers whose bytes begin at `starts` and end with those at `ends`."""
    values: np.ndarray = (block[starts] & 0x7F).astype(np.uint64)
    extra = ends - starts
    for index in range(1, int(extra.max()) + 1):
        longer = np.flatnonzero(extra >= index)
        values[longer] |= (block[starts[longer] + index] & 0x7F).astype(np.uint64) << np.uint64(7 * index)
    return values


def _narrowed(values: np.ndarray, kind: Kind) -> np.ndarray:
    """The numbers of a field of `kind`: what goes beyond its bits is dropped, as every reader of the format does."""
    if kind == "bool":
        return values.astype(bool)
    dtype = NUMBERS[kind][1]
    narrow: np.ndarray = values.astype(f"<u{dtype.itemsize}").view(dtype)
    return narrow


def _narrow(value: int, kind: Kind) -> int | bool:
    if kind == "bool":
        return value != 0
    if value < 0x80:
        return value
    bits = 32 if kind in ("int32", "uint32") else 64
    value &= (1 << bits) - 1
    return value - (1 << bits) if kind in ("int32", "int64") and value >> bits - 1 else value

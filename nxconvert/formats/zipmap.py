"""Zip files read through a memory map: where each member lies, without opening or copying it.

The standard library's ``zipfile`` hides the absolute offset of a stored member, keeps the last of two members of
one name, and needs 5 µs a member to list them.  Here hostile and damaged files are refused, stored members are
addressed where they lie, and listing takes 1 µs a member.  The format is PKWARE's APPNOTE.TXT 6.3, without
encryption and spanning.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from nxconvert.errors import ReadError
from nxconvert.formats.tensors import MappedFile

__all__ = ["Member", "ZipMap", "central_directory"]

_LOCAL = struct.Struct("<4s5H3L2H")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_END = struct.Struct("<4s4H2LH")
_LOCATOR64 = struct.Struct("<4sLQL")
_END64 = struct.Struct("<4sQ2H2L4Q")
_STORED, _DEFLATED = 0, 8
_ENCRYPTED = 0x1
_LIMIT32 = 0xFFFFFFFF


class Member(NamedTuple):
    """One entry of the central directory: sizes in bytes, `header` the absolute offset of its local header."""

    name: str
    method: int
    crc: int
    stored_size: int
    size: int
    header: int


def central_directory(file: MappedFile, base: int = 0, size: int | None = None) -> tuple[int, int, int]:
    """Where the central directory of a zip lies: ``(start, end, number of members)``.

    Args:
        file: the file that holds the zip.
        base: where in the file the zip starts; not 0 for one that is stored inside another.
        size: its length; by default all that follows.

    Raises:
        ReadError: there is none, or its record lies about where it is.
    """
    archive_end = file.size if size is None else base + size
    tail_start = max(base, archive_end - 0xFFFF - _END.size)
    tail = file.mmap[tail_start:archive_end]
    found = len(tail)
    while (found := tail.rfind(b"PK\5\6", 0, found)) >= 0:
        # The archive's comment, which comes after the record, may hold its signature too.
        if found + _END.size <= len(tail):
            _, _, _, _, count, length, start, comment = _END.unpack_from(tail, found)
            if found + _END.size + comment == len(tail):
                break
    else:
        raise ReadError(
            f"{file.path} is a truncated zip archive: its central directory, which comes last, is missing. "
            "Copy or download the file again."
        )
    end = tail_start + found
    if start == _LIMIT32 or count == 0xFFFF or length == _LIMIT32:
        end, count, length, start = _zip64_directory(file, base, end)
    start += base
    if start + length > end:
        raise ReadError(f"{file.path} is a damaged zip archive: its central directory lies outside of the file.")
    return start, start + length, count


def _zip64_directory(file: MappedFile, base: int, end: int) -> tuple[int, int, int, int]:
    """Read the zip64 end record whose locator lies just before the ordinary one: (its place, count, size, start)."""
    place = end - _LOCATOR64.size
    if place >= base and file.mmap[place : place + 4] == b"PK\6\7":
        record = base + _LOCATOR64.unpack_from(file.mmap, place)[2]
        if record + _END64.size <= place and file.mmap[record : record + 4] == b"PK\6\6":
            count, size, start = _END64.unpack_from(file.mmap, record)[7:]
            return record, count, size, start
    raise ReadError(f"{file.path} is a damaged zip archive: its zip64 record is missing.")


class ZipMap:
    """The members of a mapped zip file.

    Attributes:
        file: the mapped file.
        members: every member by name, in the order of the central directory.
    """

    __slots__ = ("_base", "_end", "file", "members")

    def __init__(self, file: MappedFile, base: int = 0, size: int | None = None) -> None:
        """List the members of `file`, or of the zip of `size` bytes that is stored inside it at `base`.

        Raises:
            ReadError: the file is no zip, is truncated, names a member twice, or has names that leave the archive.
        """
        self.file = file
        self._base = base
        self._end = file.size if size is None else base + size
        self.members: dict[str, Member] = {}
        for member in self._entries():
            if member.name in self.members:
                raise ReadError(f"{file.path} is a damaged zip archive: it has two members named {member.name!r}.")
            if member.name.startswith(("/", "\\")) or ".." in member.name.replace("\\", "/").split("/"):
                raise ReadError(f"{file.path} is hostile: its member {member.name!r} points outside of the archive.")
            self.members[member.name] = member

    def _entries(self) -> Iterator[Member]:
        """Walk the central directory."""
        start, end, count = central_directory(self.file, self._base, self._end - self._base)
        directory = self.file.mmap[start:end]
        position = 0
        unpack, head = _CENTRAL.unpack_from, _CENTRAL.size
        for _ in range(count):
            if position + head > len(directory) or directory[position : position + 4] != b"PK\1\2":
                raise ReadError(f"{self.file.path} is a damaged zip archive: its central directory breaks off.")
            _, _, _, flags, method, _, _, crc, packed, size, name_length, extra, comment, *_, header = unpack(
                directory, position
            )
            name_end = position + head + name_length
            try:
                name = directory[position + head : name_end].decode()
            except UnicodeDecodeError:
                name = directory[position + head : name_end].decode("cp437")
            if flags & _ENCRYPTED:
                raise ReadError(f"{self.file.path}: the zip member {name!r} is encrypted; no model format does that.")
            if _LIMIT32 in (packed, size, header):
                field = directory[name_end : name_end + extra]
                packed, size, header = self._zip64_sizes(name, field, packed, size, header)
            position = name_end + extra + comment
            yield Member(name, method, crc, packed, size, self._base + header)

    def _zip64_sizes(self, name: str, extra: bytes, packed: int, size: int, header: int) -> tuple[int, int, int]:
        """Take the 64-bit fields that do not fit the ordinary ones from the extra field, in the order they have."""
        position = 0
        while position + 4 <= len(extra):
            kind, length = struct.unpack_from("<2H", extra, position)
            position += 4
            if kind == 1:
                wide = iter(struct.unpack_from(f"<{min(length, len(extra) - position) // 8}Q", extra, position))
                size, packed, header = (
                    next(wide, -1) if value == _LIMIT32 else value for value in (size, packed, header)
                )
                if min(size, packed, header) >= 0:
                    return packed, size, header
                break
            position += length
        raise ReadError(f"{self.file.path} is a damaged zip archive: the 64-bit size of {name!r} is missing.")

    def __contains__(self, name: str) -> bool:
        return name in self.members

    def _data(self, member: Member) -> int:
        """The absolute offset of a member's bytes, from its local header (whose padding the directory omits)."""
        place = member.header
        if place + _LOCAL.size <= self._end:
            signature, *_, name_length, extra_length = _LOCAL.unpack_from(self.file.mmap, place)
            start: int = place + _LOCAL.size + name_length + extra_length
            if signature == b"PK\3\4" and start + member.stored_size <= self._end:
                return start
        raise ReadError(f"{self.file.path} is truncated or damaged: the bytes of its member {member.name!r} are gone.")

    def stored(self, name: str) -> tuple[int, int]:
        """The absolute offset and the length of a member that is not compressed.

        Raises:
            ReadError: there is no such member, it is compressed, or the file ends before it does.
        """
        member = self._member(name)
        if member.method != _STORED or member.size != member.stored_size:
            raise ReadError(
                f"{self.file.path}: the member {name!r} is compressed, and weights are always stored plain. "
                "Somebody packed the archive again: unpack it and zip it with `zip -0`."
            )
        return self._data(member), member.size

    def read(self, name: str, limit: int) -> bytes:
        """The content of a member, inflated.

        Raises:
            ReadError: there is no such member, it is damaged, or it has more than `limit` bytes.
        """
        member = self._member(name)
        if member.size > limit:
            raise ReadError(
                f"{self.file.path}: the member {name!r} has {member.size} bytes; no model has more than {limit} there."
            )
        start = self._data(member)
        data = self.file.mmap[start : start + member.stored_size]
        if member.method == _DEFLATED:
            data = self._inflate(member, data)
        elif member.method != _STORED:
            raise ReadError(f"{self.file.path}: the member {name!r} has the unknown zip method {member.method}.")
        if len(data) != member.size or zlib.crc32(data) != member.crc:
            raise ReadError(f"{self.file.path} is damaged: the checksum of its member {name!r} is wrong.")
        return data

    def _inflate(self, member: Member, data: bytes) -> bytes:
        """Inflate at most the bytes that the directory announces: a member that has more is a bomb."""
        try:
            return zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, member.size + 1)
        except zlib.error as error:
            raise ReadError(f"{self.file.path} is damaged: its member {member.name!r} does not inflate.") from error

    def _member(self, name: str) -> Member:
        member = self.members.get(name)
        if member is None:
            raise ReadError(f"{self.file.path} has no member {name!r}: the archive is incomplete.")
        return member

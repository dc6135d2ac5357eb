"""Telling Caffe2's files by a look at their beginning.

Other frameworks' protocol buffers begin with fields of the same numbers, so it takes an operator in a net: a message
that has the type of an operator and nothing that an ``OperatorDef`` has not.
"""

from __future__ import annotations

import os
import re
import struct
from enum import Enum
from pathlib import Path
from typing import BinaryIO

from nxconvert.formats.caffe2.schema import NET, OPERATOR
from nxconvert.formats.protobuf import NUMBERS, Message
from nxconvert.formats.varints import read_varint

__all__ = ["Kind", "detect", "is_text"]

_HEAD = 1 << 16
_MAX_FIELDS = 64
_CONTROLS = re.compile(rb"[\x00-\x08\x0e-\x1f]")
_TOKEN = re.compile(
    r"""(?P<space>\s+|\#[^\n]*)|(?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')|(?P<name>[A-Za-z_][\w.+-]*)"""
    r"""|(?P<sign>[][{}<>:,;])|(?P<other>[^\s\w]|[\w.+-]+)""",
    re.VERBOSE,
)
_OPERATOR_TYPE = re.compile(rb"[A-Za-z_][A-Za-z0-9_:.]{0,99}")
_TYPE = OPERATOR.by_name["type"].number
_LENGTHS = struct.Struct("<ii")
_MAX_KEY = 1 << 12


class Kind(Enum):
    """What a file is."""

    NET = "a net"
    TEXT = "a net in text form"
    MINIDB = "a minidb database"


def detect(path: str | os.PathLike[str]) -> Kind | None:
    """What the file at `path` is, told by its first bytes; None for anything that is not Caffe2's. Never raises.

    A net that is damaged further on, or cut off, is a net.
    """
    try:
        with Path(path).open("rb") as file:
            head = file.read(_HEAD)
            if _is_minidb(head):
                return Kind.MINIDB
            if is_text(head):
                return Kind.TEXT if _is_text_net(head.decode("utf-8", "replace")) else None
            return Kind.NET if _has_operator(file, os.fstat(file.fileno()).st_size) else None
    except (OSError, ValueError):
        return None


def is_text(head: bytes | memoryview) -> bool:
    """Whether a file that begins so is text. In a binary net every operator begins with a control character."""
    return not _CONTROLS.search(head)


def _is_minidb(head: bytes) -> bool:
    """Whether it begins with an entry whose value is a blob that has the name of the key."""
    if len(head) < _LENGTHS.size:
        return False
    key_size, value_size = _LENGTHS.unpack_from(head)
    if not 0 < key_size <= _MAX_KEY or value_size <= 0:
        return False
    key, value = head[_LENGTHS.size :][:key_size], head[_LENGTHS.size + key_size :]
    if len(value) < 2 or value[0] != 0x0A or _CONTROLS.search(key):
        return False
    size = value[1] if value[1] < 0x80 or len(value) < 3 else value[1] & 0x7F | value[2] << 7
    name = value[2 if value[1] < 0x80 else 3 :][:size]
    return bool(name) and key.startswith(name)


def _is_text_net(head: str) -> bool:
    """Whether the fields of the outermost message are a net's, as far as they are there, and one is an operator."""
    depth, named, inside, operators = 0, "", "", 0
    for found in _TOKEN.finditer(head):
        kind, token = found.lastgroup, found.group()
        if kind == "name" and found.end() < len(head):
            named = token
        elif kind == "sign" and token in "{<":
            if not _may_be(named, depth, inside):
                return False
            inside = inside if depth else named
            depth += 1
        elif kind == "sign" and token in "}>":
            depth -= 1
        elif token == ":" and named:
            if not _may_be(named, depth, inside):
                return False
            operators += depth == 1 and inside == "op"
    return operators > 0


def _may_be(name: str, depth: int, inside: str) -> bool:
    """Whether a field may have this name, in the outermost message or one message further in."""
    return name in NET.by_name if depth == 0 else depth > 1 or inside != "op" or name in OPERATOR.by_name


def _has_operator(file: BinaryIO, size: int) -> bool:
    """Whether the outermost fields are those of a net up to its first operator, and that is one."""
    file.seek(0)
    for _ in range(_MAX_FIELDS):
        field = _field(file, NET)
        if field is None:
            return False
        number, wire, length = field
        if wire != 2:
            continue
        if number == NET.by_name["op"].number:
            return _is_operator(file, min(size, file.tell() + length))
        file.seek(length, 1)
    return False


def _is_operator(file: BinaryIO, end: int) -> bool:
    typed = False
    for _ in range(_MAX_FIELDS * _MAX_FIELDS):
        field = _field(file, OPERATOR) if file.tell() < end else None
        if field is None:
            return typed and file.tell() >= end  # its end, or that of a file that was cut off
        number, wire, length = field
        if number == _TYPE:
            typed = length <= _MAX_KEY and _OPERATOR_TYPE.fullmatch(file.read(length)) is not None
            if not typed:
                return False
        elif wire == 2:
            file.seek(length, 1)
    return typed


def _field(file: BinaryIO, message: Message) -> tuple[int, int, int] | None:
    """The next field's number, wire type, and length or value; None where there is none of `message`."""
    tag, value = read_varint(file), None
    if tag is not None:
        field = message.by_tag.get(tag)
        if field is not None and tag & 7 in (0, 2) and (tag & 7 == 2 or field.kind in NUMBERS):
            value = read_varint(file)
    return None if tag is None or value is None else (tag >> 3, tag & 7, value)

"""Telling an ONNX file by its outermost fields, without decoding it.

A file is a `ModelProto`: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto. Other frameworks' protobufs begin
with fields of the same numbers, so it takes the graph (field 7), which none of them has, and no field that is not
ONNX's.
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from nxconvert.formats.varints import read_varint

_VARINT, _BYTES = 0, 2
_GRAPH = 7
#: The wire type of each field of `ModelProto`.
_FIELDS = {1: _VARINT, 2: _BYTES, 3: _BYTES, 4: _BYTES, 5: _VARINT, 6: _BYTES, 7: _BYTES, 8: _BYTES, 14: _BYTES}
_FIELDS |= {20: _BYTES, 25: _BYTES, 26: _BYTES}
_MAX_FIELDS = 10_000


def looks_like_onnx(path: Path) -> bool:
    """Whether the file's outermost fields are those of an ONNX model, up to the end or to the graph."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            return _has_graph(file, size)
    except (OSError, ValueError):  # a field may be said to be larger than files can be
        return False


def _has_graph(file: BinaryIO, size: int) -> bool:
    versioned = False
    for _ in range(_MAX_FIELDS):
        tag = read_varint(file)
        if tag is None:
            return False
        field, wire_type = tag >> 3, tag & 7
        if _FIELDS.get(field) != wire_type:
            return False
        value = read_varint(file)
        if value is None:
            return False
        if wire_type == _VARINT:
            versioned = versioned or field == 1
        elif field == _GRAPH:
            # A graph that goes beyond the end is one that was cut off, and still a graph if the rest looks right.
            return versioned or file.tell() + value <= size
        else:
            file.seek(value, 1)
    return False

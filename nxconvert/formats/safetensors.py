"""Safetensors files: how to tell one, and the names and shapes in its header. The tensors themselves are not read here.

A file is the length of the header (8 bytes, little-endian), the header in JSON, and the bytes of the tensors.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from nxconvert.errors import ReadError

_LENGTH = 8
_MAX_HEADER = 100 << 20
#: In the header beside the tensors: texts of whoever wrote the file.
_METADATA = "__metadata__"


def is_safetensors(path: str | os.PathLike[str]) -> bool:
    """Whether a file looks like one. Never raises."""
    try:
        with Path(path).open("rb") as file:
            head = file.read(_LENGTH + 2)
    except OSError:
        return False
    length = int.from_bytes(head[:_LENGTH], "little")
    return head[_LENGTH:] in (b'{"', b"{ ", b"{}") and 2 <= length <= _MAX_HEADER


def read_shapes(path: str | os.PathLike[str]) -> Mapping[str, tuple[int, ...]]:
    """The shape of each tensor, by name.

    Raises:
        ReadError: the header is damaged.
    """
    try:
        with Path(path).open("rb") as file:
            length = int.from_bytes(file.read(_LENGTH), "little")
            header = json.loads(file.read(min(length, _MAX_HEADER)))
        return {name: tuple(map(int, item["shape"])) for name, item in header.items() if name != _METADATA}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ReadError(f"{os.fspath(path)} is damaged: its header is none of a safetensors file ({error}).") from error

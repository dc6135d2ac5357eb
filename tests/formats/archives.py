"""Small PyTorch archives written by hand: pickles opcode by opcode, so that hostile ones can be made too."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path

NONE, TRUE, FALSE = b"N", b"\x88", b"\x89"


def text(value: str) -> bytes:
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def number(value: int) -> bytes:
    if 0 <= value < 256:
        return b"K" + bytes([value])
    if -(1 << 31) <= value < 1 << 31:
        return b"J" + struct.pack("<i", value)
    data = value.to_bytes(9, "little", signed=True)
    return b"\x8a" + bytes([len(data)]) + data


def real(value: float) -> bytes:
    return b"G" + struct.pack(">d", value)


def tuple_of(*items: bytes) -> bytes:
    return b"(" + b"".join(items) + b"t"


def list_of(*items: bytes) -> bytes:
    return b"](" + b"".join(items) + b"e"


def dict_of(**items: bytes) -> bytes:
    return b"}(" + b"".join(text(key) + value for key, value in items.items()) + b"u"


def named(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n".encode()


def call(module: str, name: str, *arguments: bytes) -> bytes:
    return named(module, name) + tuple_of(*arguments) + b"R"


def script_object(qualname: str, state: bytes | None = None, **attributes: bytes) -> bytes:
    module, _, name = qualname.rpartition(".")
    return named(module, name) + b")\x81" + (dict_of(**attributes) if state is None else state) + b"b"


def storage(kind: str, key: str, size: int) -> bytes:
    return tuple_of(text("storage"), named("torch", f"{kind}Storage"), text(key), text("cpu"), number(size)) + b"Q"


def sizes(*values: int) -> bytes:
    return tuple_of(*map(number, values))


def tensor(
    kind: str, key: str, shape: tuple[int, ...], strides: tuple[int, ...], offset: int = 0, *more: bytes
) -> bytes:
    hooks = call("collections", "OrderedDict")
    where = storage(kind, key, 0)
    return call(
        "torch._utils", "_rebuild_tensor_v2", where, number(offset), sizes(*shape), sizes(*strides), FALSE, hooks, *more
    )


def pickled(value: bytes) -> bytes:
    return b"\x80\x02" + value + b"."


def members(data: bytes = NONE, code: str = "", more: Mapping[str, bytes] | None = None) -> dict[str, bytes]:
    """The members of a TorchScript archive whose root is the pickled `data`."""
    contents = {
        "data.pkl": pickled(data),
        "code/__torch__.py": code.encode(),
        "constants.pkl": pickled(b")"),
        "version": b"3\n",
        "byteorder": b"little",
    }
    return contents | dict(more or {})


def write(path: Path, contents: dict[str, bytes], top: str = "model/") -> Path:
    """Write an archive as PyTorch lays it out: code deflated, the rest stored and padded by an extra field."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in contents.items():
            info = zipfile.ZipInfo(top + name)
            info.compress_type = zipfile.ZIP_DEFLATED if name.startswith("code/") else zipfile.ZIP_STORED
            info.extra = b"FB" + struct.pack("<H", 21) + bytes(21)
            archive.writestr(info, data)
    return path


def zip_bytes(contents: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, data in contents.items():
            archive.writestr(name, data)
    return stream.getvalue()

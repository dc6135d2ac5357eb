"""Caffe2's files: nets in binary or text, and databases of tensors. Bytes to plain Python, no semantics.

What is heavy is imported when a file is read, not when formats are told apart.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nxconvert.formats.caffe2.minidb import MetaNet, MiniDb, read_minidb
    from nxconvert.formats.caffe2.netdef import DeviceOption, NetDef, OperatorDef
    from nxconvert.formats.caffe2.sniff import Kind, detect
    from nxconvert.formats.caffe2.tensor import QTensor, Tensor
    from nxconvert.formats.caffe2.weights import weight_tensor

__all__ = [
    "DeviceOption",
    "Kind",
    "MetaNet",
    "MiniDb",
    "NetDef",
    "OperatorDef",
    "QTensor",
    "Tensor",
    "detect",
    "parse_net",
    "read_minidb",
    "read_net",
    "weight_tensor",
]

_HOMES = {
    "DeviceOption": "netdef",
    "Kind": "sniff",
    "MetaNet": "minidb",
    "MiniDb": "minidb",
    "NetDef": "netdef",
    "OperatorDef": "netdef",
    "QTensor": "tensor",
    "Tensor": "tensor",
    "detect": "sniff",
    "read_minidb": "minidb",
    "weight_tensor": "weights",
}
_HEAD = 1 << 16


def read_net(path: str | os.PathLike[str]) -> NetDef:
    """The net in a file, in binary or text form. Long arrays of floats stay views of the file (see `netdef`).

    Raises:
        ReadError: there is no sound net in it.
    """
    from nxconvert.errors import ReadError
    from nxconvert.formats.caffe2.netdef import build_net
    from nxconvert.formats.caffe2.schema import NET
    from nxconvert.formats.caffe2.sniff import is_text
    from nxconvert.formats.caffe2.text import parse_text
    from nxconvert.formats.protobuf import Reader
    from nxconvert.formats.tensors import MappedFile

    label = os.fspath(path)
    file = MappedFile(path)
    if is_text(file.mmap[:_HEAD]):
        values = parse_text(file.mmap[:].decode("utf-8", "surrogateescape"), NET, label)
    else:
        values = Reader(file, label).decode(NET)
    if not values:
        raise ReadError(f"{label} holds nothing of a Caffe2 net: it is damaged, or another kind of file.")
    return build_net(values, label)


def parse_net(text: str, label: str) -> NetDef:
    """The net that a text spells, such as an argument that holds one; `label` is what messages call it.

    Raises:
        ReadError: it spells no net.
    """
    from nxconvert.formats.caffe2.netdef import build_net
    from nxconvert.formats.caffe2.schema import NET
    from nxconvert.formats.caffe2.text import parse_text

    return build_net(parse_text(text, NET, label), label)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value

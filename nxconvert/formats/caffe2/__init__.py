"""Caffe2's files: nets in binary or text, and databases of tensors. Bytes to plain Python, no semantics."""

from __future__ import annotations

import os

from .netdef import DeviceOption, NetDef, OperatorDef
from .tensor import QTensor, Tensor

__all__ = ["DeviceOption", "NetDef", "OperatorDef", "QTensor", "Tensor", "read_net"]


def read_net(path: str | os.PathLike[str]) -> NetDef:
    """The net in a file. Long arrays of floats stay views of it (see `netdef`).

    Raises:
        ReadError: there is no net in it.
    """
    from nxconvert.formats.protobuf import Reader
    from nxconvert.formats.tensors import MappedFile

    from .netdef import build_net
    from .schema import NET

    label = os.fspath(path)
    return build_net(Reader(MappedFile(path), label).decode(NET), label)

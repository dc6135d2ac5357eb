"""Caffe2's ``minidb`` databases: tensors by name, and the description of a predictor among them.

A database is a row of entries: the length of the key and of the value, int32 each, then the key and the value
(``caffe2/core/db.cc``). A value is a ``BlobProto``. Large tensors are kept in pieces, under the keys ``name#%0``,
``name#%1`` and so on, in whatever order (``caffe2/core/blob_serialization.cc``).

A predictor has an entry ``!!META_NET_DEF``: the text of a ``MetaNetDef``, which holds nets and lists of blob names
(``caffe2/python/predictor/predictor_exporter.py``).
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from nxconvert.errors import ReadError
from nxconvert.formats.caffe2.netdef import NetDef, build_net
from nxconvert.formats.caffe2.schema import BLOB, META_NET
from nxconvert.formats.caffe2.tensor import Tensor, assembled, build_tensor
from nxconvert.formats.protobuf import Reader
from nxconvert.formats.tensors import MappedFile

__all__ = ["META_NET_DEF", "MetaNet", "MiniDb", "read_minidb"]

META_NET_DEF = "!!META_NET_DEF"
PIECE = "#%"
_MAX_ENTRIES = 1_000_000
_LENGTHS = struct.Struct("<ii")
_STRING = "std::string"
_TENSOR = "Tensor"


@dataclass(slots=True)
class MetaNet:
    """A predictor's ``MetaNetDef``.

    Attributes:
        nets: by their keys: ``PREDICT_NET_TYPE``, ``PREDICT_INIT_NET_TYPE``, ``GLOBAL_INIT_NET_TYPE``. A predictor that
            was given a name has it behind each of them: ``PREDICT_NET_TYPE_name``.
        blobs: lists of names by their keys, likewise: ``INPUTS_BLOB_TYPE``, ``OUTPUTS_BLOB_TYPE``,
            ``PARAMETERS_BLOB_TYPE``.
    """

    nets: dict[str, NetDef]
    blobs: dict[str, list[str]]


@dataclass(slots=True)
class MiniDb:
    """What is in a database.

    Attributes:
        tensors: by their names.
        meta: the description of the predictor, if it is one.
        others: what else there is: the type by the name.
    """

    tensors: dict[str, Tensor]
    meta: MetaNet | None
    others: dict[str, str]


def read_minidb(path: str | os.PathLike[str]) -> MiniDb:
    """The database in a file. Tensors stay views of it as far as that is possible.

    Raises:
        ReadError: it is no such database, or damaged.
    """
    label = os.fspath(path)
    pieces: dict[str, list[Tensor]] = {}
    meta = None
    others: dict[str, str] = {}
    for key, value in _entries(MappedFile(path), label):
        blob = Reader(value, f"{label}, entry {key!r},").decode(BLOB)
        name = key.partition(PIECE)[0]
        type = blob.get("type", "")
        if name == META_NET_DEF and type == _STRING:
            meta = _meta_net(blob.get("content", np.empty(0, np.uint8)), f"{label}, entry {key!r},")
        elif type == _TENSOR:
            pieces.setdefault(name, []).append(build_tensor(blob.get("tensor", {}), label, f"tensor {name!r}"))
        else:
            others[name] = type
    return MiniDb({name: assembled(found, label) for name, found in pieces.items()}, meta, others)


def _entries(file: MappedFile, label: str) -> Iterator[tuple[str, np.ndarray]]:
    """The keys, and the bytes of their values."""
    data = file.flat(0, file.size)
    position = count = 0
    while position < file.size:
        count += 1
        if count > _MAX_ENTRIES:
            raise ReadError(f"{label} is no database of a model: it has more than {_MAX_ENTRIES:,} entries.")
        if file.size - position < _LENGTHS.size:
            raise ReadError(f"{label} is truncated: it ends within the lengths of an entry.")
        key_size, value_size = _LENGTHS.unpack_from(file.mmap, position)
        start = position + _LENGTHS.size
        if key_size <= 0 or value_size <= 0:
            raise ReadError(f"{label} is damaged, or no database: the entry at byte {position:,} has no length.")
        if key_size + value_size > file.size - start:
            raise ReadError(
                f"{label} is truncated: the entry at byte {position:,} is said to have {key_size + value_size:,} "
                f"bytes, and the file ends after {file.size - start:,}."
            )
        try:
            key = data[start : start + key_size].tobytes().decode()
        except UnicodeDecodeError:
            raise ReadError(f"{label} is damaged, or no database: the key at byte {start:,} is no text.") from None
        yield key, data[start + key_size : start + key_size + value_size]
        position = start + key_size + value_size


def _meta_net(content: np.ndarray, label: str) -> MetaNet:
    values: dict[str, Any] = Reader(content, label).decode(META_NET)
    return MetaNet(
        nets={each.get("key", ""): build_net(each.get("value", {}), label) for each in values.get("nets", ())},
        blobs={each.get("key", ""): each.get("value", []) for each in values.get("blobs", ())},
    )

"""Files of CNTK 1, which begin with "BCN": nodes, each with what its own class has written, and what they are fed.

Numbers are little-endian; names and the words between sections are UTF-16 that ends with a zero. What a node has
written depends on its class and on the version of the file, from 1 to 31: `nodes` has the classes. The numbers of
parameters stay in the file. Sources: CNTK's public sources, the library of CNTK 2.7, and files that it wrote.
"""

from __future__ import annotations

import math
import os
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx_ir as ir

from nxconvert.errors import ReadError, Unsupported, UnsupportedError
from nxconvert.formats.cntk.dictionary import Array
from nxconvert.formats.cntk.nodes import CLASSES
from nxconvert.formats.tensors import MappedFile

#: The newest version, that of CNTK 2.7.
NEWEST = 31
#: The first version that says of each node what numbers it computes with, and of inputs on which axis they are.
TYPED = 7
#: The sections at the end, each a list of nodes: their names, and the names that older files have for them.
GROUPS = {"Feature": (), "Label": (), "Criterion": ("Criteria",), "NodesReqMultiSeqHandling": (), "Eval": (),
          "Output": (), "Pair": ()}  # fmt: skip
_DTYPES = {"float": ir.DataType.FLOAT, "double": ir.DataType.DOUBLE, "half": ir.DataType.FLOAT16}
_OF_SIZE = {4: ir.DataType.FLOAT, 8: ir.DataType.DOUBLE, 2: ir.DataType.FLOAT16}
_MAX_TEXT, _MAX_RANK = 1 << 15, 64
_CLASS = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
# What kinds of storage a matrix has (the byte before it), and the formats of sparse ones: by columns, by rows.
_DENSE, _SPARSE = ord("d"), ord("s")
_BY_COLUMNS, _BY_ROWS = 6, 7
#: The most elements that a matrix which is stored sparsely may have.
_MAX_SPARSE = 1 << 28


@dataclass(frozen=True, slots=True)
class Node:
    """A node.

    Attributes:
        name: its own.
        kind: the name of its class.
        dtype: of what it computes.
        fields: what its class has written, by name.
        inputs: the names of the nodes it is fed by.
    """

    name: str
    kind: str
    dtype: ir.DataType
    fields: Mapping[str, Any]
    inputs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Network:
    """What a file holds.

    Attributes:
        path: of the file.
        version: of the file.
        nodes: by name, in the order of the file.
        groups: of each section at the end, ``"Output"`` and so on, the names of its nodes.
    """

    path: str
    version: int
    nodes: Mapping[str, Node]
    groups: Mapping[str, tuple[str, ...]]


class Cursor:
    """Reads a file from its start to its end.

    Attributes:
        version: of the file.
        dtype: of what the node computes that is being read.
    """

    def __init__(self, file: MappedFile) -> None:
        self.file = file
        self.version = 1
        self.dtype = ir.DataType.FLOAT
        self._at = 0
        self._what = "the start"

    # ---- errors ------------------------------------------------------------------------------------------------------

    def reading(self, what: str) -> None:
        """Says what is read from here on; for messages."""
        self._what = what

    def damaged(self, text: str) -> ReadError:
        """The error that says what is wrong here."""
        return ReadError(f"{self.file.path} is damaged: in {self._what}, at byte {self._at:,}, {text}.")

    def _take(self, nbytes: int) -> int:
        """The place of the next bytes, which are then read."""
        at = self._at
        if nbytes > self.file.size - at:
            raise ReadError(
                f"{self.file.path} is truncated: in {self._what}, at byte {at:,}, {nbytes:,} bytes are to follow, and "
                f"the file has {self.file.size:,} in all."
            )
        self._at = at + nbytes
        return at

    # ---- numbers and text --------------------------------------------------------------------------------------------

    def _number(self, code: str, nbytes: int) -> Any:
        return struct.unpack_from(code, self.file.mmap, self._take(nbytes))[0]

    def bool(self) -> bool:
        return bool(self._number("<B", 1))

    def int32(self) -> int:
        return int(self._number("<i", 4))

    def uint32(self) -> int:
        return int(self._number("<I", 4))

    def int64(self) -> int:
        return int(self._number("<q", 8))

    def uint64(self) -> int:
        return int(self._number("<Q", 8))

    def float32(self) -> float:
        return float(self._number("<f", 4))

    def float64(self) -> float:
        return float(self._number("<d", 8))

    def element(self) -> float:
        """A number of the kind the node computes with; halves are stored as float32."""
        return self.float64() if self.dtype == ir.DataType.DOUBLE else self.float32()

    def count(self, what: str, least: int) -> int:
        """How many there are of something that takes at least so many bytes each."""
        number = self.uint64()
        if number * least > self.file.size - self._at:
            raise self.damaged(f"there are said to be {number:,} {what}")
        return number

    def bools(self) -> list[bool]:
        return [self.bool() for _ in range(self.count("flags", 1))]

    def sizes(self) -> list[int]:
        return [self.uint64() for _ in range(self.count("numbers", 8))]

    def text(self) -> str:
        """Text up to the zero at its end."""
        data, end = self.file.mmap, self._at
        limit = min(self.file.size, self._at + 2 * _MAX_TEXT)
        while True:
            end = data.find(b"\0\0", end, limit)
            if end < 0:
                raise self.damaged("text has no end")
            if (end - self._at) % 2 == 0:
                break
            end += 1
        raw = data[self._at : end]
        self._at = end + 2
        try:
            return raw.decode("utf-16-le")
        except UnicodeDecodeError:
            self._at -= len(raw) + 2
            raise self.damaged("text is no UTF-16") from None

    def skips(self, word: str) -> bool:
        """Whether a word comes next, which is then read."""
        raw = f"{word}\0".encode("utf-16-le")
        found = self.file.mmap[self._at : self._at + len(raw)] == raw
        self._at += len(raw) if found else 0
        return found

    def expect(self, word: str) -> None:
        """Reads a word that has to come."""
        if not self.skips(word):
            left = self.file.size - self._at
            if left < 2 * len(word) + 2:
                self._take(2 * len(word) + 2)
            raise self.damaged(f"{word!r} is expected, and {self._seen()} is there")

    def follows(self, offset: int, words: tuple[str, ...]) -> bool:
        """Whether one of these words is so many bytes further on."""
        at = self._at + offset
        return any(
            self.file.mmap[at : at + 2 * len(word) + 2] == f"{word}\0".encode("utf-16-le") for word in words
        )

    def _seen(self) -> str:
        return bytes(self.file.mmap[self._at : self._at + 8]).hex(" ")

    # ---- shapes and matrices -----------------------------------------------------------------------------------------

    def shape(self, *, old: bool = False) -> tuple[int, ...]:
        """Sizes, in CNTK's order. Old files have three of 64 bits: width, height, channels; channels come first."""
        rank = self.uint32()
        if old and rank and self.follows_zero():
            self.uint32()
            height, channels = self.uint64(), self.uint64()
            return (channels, rank, height)
        if rank > _MAX_RANK:
            raise self.damaged(f"a shape is said to have {rank:,} axes")
        return tuple(self.uint32() for _ in range(rank))

    def follows_zero(self) -> bool:
        """Whether the next 32 bits are zero."""
        return bytes(self.file.mmap[self._at : self._at + 4]) == b"\0\0\0\0"

    def matrix(self) -> tuple[Array, int, int]:
        """A matrix: its elements as a vector, column by column, and how many rows and columns it has."""
        storage = int(self._number("<B", 1))
        self.expect("BMAT")
        itemsize = self.uint64()
        dtype = _OF_SIZE.get(itemsize)
        if dtype is None or storage not in (_DENSE, _SPARSE):
            raise self.damaged(f"a matrix has elements of {itemsize} bytes and the storage {storage}")
        self.text()
        kind = self.int32()
        read = self._dense if storage == _DENSE else self._sparse
        found = read(kind, dtype)
        self.expect("EMAT")
        return found

    def _dense(self, kind: int, dtype: ir.DataType) -> tuple[Array, int, int]:
        rows, columns = self.uint64(), self.uint64()
        array = Array(dtype, (rows * columns,), False, np.dtype(dtype.numpy()).newbyteorder("<"))
        at = self._take(array.nbytes)
        array.place(np.frombuffer(self.file.mmap, array.stored_dtype, rows * columns, at), self.file, at)
        return array, rows, columns

    def _sparse(self, kind: int, dtype: ir.DataType) -> tuple[Array, int, int]:
        """A sparse matrix, of which the elements that are not zero are stored, and where they are."""
        elements, columns, rows = self.uint64(), self.uint64(), self.uint64()
        if kind not in (_BY_COLUMNS, _BY_ROWS):
            raise self.damaged(f"a sparse matrix has the format {kind}")
        stored = np.dtype(dtype.numpy()).newbyteorder("<")
        outer = columns if kind == _BY_COLUMNS else rows
        inner = rows if kind == _BY_COLUMNS else columns
        if rows * columns > _MAX_SPARSE:
            raise self.damaged(f"a sparse matrix is said to have {rows:,} rows and {columns:,} columns")
        dense = np.zeros((outer, inner), stored)
        if elements:
            values = self._vector(stored, elements)
            places, starts = self._vector(np.dtype("<i8"), elements), self._vector(np.dtype("<i8"), outer + 1)
            counts = np.diff(starts)
            ordered = starts[0] == 0 and starts[-1] == elements and (counts >= 0).all()
            if not ordered or not ((places >= 0) & (places < inner)).all():
                raise self.damaged("the places of the elements of a sparse matrix make no sense")
            dense[np.repeat(np.arange(outer), counts), places] = values
        flat = dense.ravel() if kind == _BY_COLUMNS else dense.T.ravel()
        array = Array(dtype, (rows * columns,), False, stored)
        array.place(flat, None, 0)
        return array, rows, columns

    def _vector(self, dtype: np.dtype, count: int) -> np.ndarray:
        return np.frombuffer(self.file.mmap, dtype, count, self._take(count * dtype.itemsize))

    @property
    def at(self) -> int:
        """The place of the next byte."""
        return self._at


def read_network(path: str | os.PathLike[str]) -> Network:
    """The network in a file of CNTK 1.

    Raises:
        ReadError: the file is none, or is damaged.
        UnsupportedError: there is a node of which nobody knows what it has written, and so where the next one is.
    """
    cursor = Cursor(MappedFile(path))
    cursor.expect("BCN")
    if cursor.skips("BVersion"):
        cursor.version = cursor.uint64()
        cursor.expect("EVersion")
    if not 1 <= cursor.version <= NEWEST:
        raise ReadError(
            f"{os.fspath(path)} has the version {cursor.version} of CNTK 1's format; those that CNTK 2.7 reads, up to "
            f"{NEWEST}, can be read. The file is newer, or damaged."
        )
    count = cursor.count("nodes", 4)
    default = cursor.dtype if cursor.version >= TYPED else _stored_dtype(cursor)
    cursor.expect("BNodeList")
    nodes: dict[str, Node] = {}
    for _ in range(count):
        node = _node(cursor, default)
        if node.name in nodes:
            raise cursor.damaged(f"there is a second node {node.name!r}")
        nodes[node.name] = node
    cursor.reading("the list of nodes")
    cursor.expect("ENodeList")
    inputs = _relations(cursor, nodes)
    nodes = {name: replace(node, inputs=inputs.get(name, ())) for name, node in nodes.items()}
    return Network(os.fspath(path), cursor.version, nodes, _groups(cursor, nodes))


def _stored_dtype(cursor: Cursor) -> ir.DataType:
    """What numbers an old file has, which does not say it: those of its first matrix."""
    mark = "BMAT\0".encode("utf-16-le")
    at = cursor.file.mmap.find(mark)
    if 0 <= at <= cursor.file.size - len(mark) - 8:
        return _OF_SIZE.get(struct.unpack_from("<Q", cursor.file.mmap, at + len(mark))[0], ir.DataType.FLOAT)
    return ir.DataType.FLOAT


def _node(cursor: Cursor, default: ir.DataType) -> Node:
    cursor.reading("the list of nodes")
    cursor.dtype = default
    if cursor.version >= TYPED:
        precision = cursor.text()
        if precision and precision not in _DTYPES:
            raise cursor.damaged(f"a node computes with {precision[:20]!r}")
        cursor.dtype = _DTYPES.get(precision, default)
    kind, name = cursor.text(), cursor.text()
    read = CLASSES.get(kind)
    if read is None:
        if not _CLASS.fullmatch(kind):
            raise cursor.damaged(f"a node is of the class {kind[:20]!r}")
        why = "nothing is known of the data it has in the file, so that what follows cannot be read"
        raise UnsupportedError([Unsupported(kind, why, name[:80])])
    cursor.reading(f"the node {name[:80]!r} ({kind})")
    return Node(name, kind, cursor.dtype, read(cursor))


def _relations(cursor: Cursor, nodes: Mapping[str, Node]) -> dict[str, tuple[str, ...]]:
    """What each node is fed by."""
    cursor.reading("the list of inputs")
    cursor.expect("BRelation")
    inputs: dict[str, tuple[str, ...]] = {}
    for _ in range(len(nodes)):
        name = _known(cursor, nodes)
        inputs[name] = tuple(_known(cursor, nodes) for _ in range(cursor.count("inputs", 2)))
    cursor.expect("ERelation")
    return inputs


def _known(cursor: Cursor, nodes: Mapping[str, Node]) -> str:
    name = cursor.text()
    if name not in nodes:
        raise cursor.damaged(f"there is no node {name[:80]!r}")
    return name


def _groups(cursor: Cursor, nodes: Mapping[str, Node]) -> dict[str, tuple[str, ...]]:
    cursor.reading("the lists of root nodes")
    cursor.expect("BRootNodes")
    groups: dict[str, tuple[str, ...]] = {}
    for group, others in GROUPS.items():
        words = [group if group.startswith("Nodes") else f"{group}Nodes", *(f"{other}Nodes" for other in others)]
        if any(cursor.skips(f"B{word}") for word in words):
            groups[group] = tuple(_known(cursor, nodes) for _ in range(cursor.count("names", 2)))
            if not any(cursor.skips(f"E{word}") for word in words):
                cursor.expect(f"E{words[0]}")
    cursor.expect("ERootNodes")
    cursor.expect("ECN")
    return groups


def elements(shape: tuple[int, ...]) -> int:
    """How many elements something has of these sizes."""
    return math.prod(shape)

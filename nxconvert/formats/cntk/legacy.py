"""Files of CNTK 1, which begin with "BCN": nodes, each with what its own class has written, and what they are fed.

Numbers are little-endian; names and the words between sections are UTF-16 that ends with a zero. What a node has
written depends on its class and on the version of the file, from 1 to 31: `nodes` has the classes. The numbers of
parameters stay in the file. Sources: CNTK's public sources, the library of CNTK 2.7, and files that it wrote.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import onnx_ir as ir

from nxconvert.errors import ReadError, Unsupported, UnsupportedError
from nxconvert.formats.cntk.cursor import OF_SIZE, Cursor
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
_CLASS = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


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
        return OF_SIZE.get(struct.unpack_from("<Q", cursor.file.mmap, at + len(mark))[0], ir.DataType.FLOAT)
    return ir.DataType.FLOAT


def _node(cursor: Cursor, default: ir.DataType) -> Node:
    cursor.reading("the list of nodes")
    cursor.dtype = default
    if cursor.version >= TYPED:
        precision = cursor.text().partition(",")[0]  # what a Cast makes, and what it takes
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

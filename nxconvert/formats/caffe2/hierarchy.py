"""Hierarchies of words, as hierarchical softmax has them in an argument: paths from the root, or a tree.

Field numbers are those of ``caffe2/proto/hsm.proto``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nxconvert.errors import ReadError
from nxconvert.formats.protobuf import Field, Message, Reader

__all__ = ["Step", "Tree", "read_paths", "read_tree"]

_STEP = Message("PathNodeProto", [Field(1, "index", "int32"), Field(2, "length", "int32"), Field(3, "target", "int32")])
_PATH = Message("PathProto", [Field(1, "word_id", "int32"), Field(2, "path_nodes", "message", True, message=_STEP)])
_PATHS = Message("HierarchyProto", [Field(1, "size", "int32"), Field(2, "paths", "message", True, message=_PATH)])

_NODE = Message("NodeProto")
_NODE.define(
    [
        Field(1, "children", "message", True, message=_NODE),
        Field(2, "word_ids", "int32", True),
        Field(3, "offset", "int32"),
        Field(4, "name", "bytes"),
        Field(5, "scores", "float", True),
    ]
)
_TREE = Message("TreeProto", [Field(1, "root_node", "message", message=_NODE)])


@dataclass(frozen=True, slots=True)
class Step:
    """A step from a node of the hierarchy to the next one.

    Attributes:
        index: the first of the outputs that stand for what the node leads to.
        length: how many there are.
        target: the one that the path takes.
    """

    index: int
    length: int
    target: int


@dataclass(frozen=True, slots=True)
class Tree:
    """A node and what is below it.

    Attributes:
        offset: the first of the outputs that stand for its children and then its words.
        name: its name.
        children: the nodes below it.
        words: the words below it.
    """

    offset: int
    name: bytes
    children: tuple[Tree, ...]
    words: tuple[int, ...]


def read_paths(data: bytes) -> dict[int, tuple[Step, ...]]:
    """The path to each word.

    Raises:
        ReadError: the bytes are no such message.
    """
    paths: dict[int, tuple[Step, ...]] = {}
    for path in Reader(data, "The hierarchy").decode(_PATHS).get("paths", ()):
        steps = tuple(
            Step(int(step.get("index", 0)), int(step.get("length", 0)), int(step.get("target", 0)))
            for step in path.get("path_nodes", ())
        )
        # Of two paths to a word the first one counts.
        paths.setdefault(int(path.get("word_id", 0)), steps)
    return paths


def read_tree(data: bytes) -> Tree:
    """The tree.

    Raises:
        ReadError: the bytes are no such message, or a node of it has no offset or no name.
    """
    return _node(Reader(data, "The tree").decode(_TREE).get("root_node", {}))


def _node(values: dict[str, Any]) -> Tree:
    if "offset" not in values or "name" not in values:
        raise ReadError("a node of the tree has no offset or no name")
    children = tuple(_node(child) for child in values.get("children", ()))
    return Tree(
        int(values["offset"]), values["name"], children, tuple(int(word) for word in values.get("word_ids", ()))
    )

"""Hierarchical softmax: the probability of a word is that of the path to it, a softmax a step.

Semantics as in Caffe2's ``h_softmax_op.cc``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from nxconvert.errors import ReadError
from nxconvert.formats.caffe2.hierarchy import Step, Tree, read_paths, read_tree
from nxconvert.frontends.caffe2.table import Builder, DataType, Lengths, LoweringError, Matrix, Value, caffe2
from nxconvert.graph.dims import product, require

T = TypeVar("T")

#: Probabilities are not smaller where their logarithms are taken.
_LEAST = np.array(1e-20, np.float32)
_NEVER = float("inf")


@caffe2("HSoftmax")
def h_softmax(
    op: Builder, x: Matrix, weights: Matrix, bias: Value, labels: Lengths, *, hierarchy: bytes = b""
) -> tuple[Value, Value]:
    """The negative logarithm of the probability of each label, float32[batch].

    The second result has, for each label and each step to it, the outputs of the step and their softmax: float32[n].
    """
    paths = _decoded(read_paths, hierarchy)
    words = sorted(paths)
    if not words:
        raise LoweringError("its hierarchy has no words")
    depth = max(len(path) for path in paths.values())
    width = max((step.length for path in paths.values() for step in path), default=0)
    columns, targets = _tables([paths[word] for word in words], depth, width)
    word = op.ArgMax(op.cast(_is_word(op, labels, words), DataType.INT64), axis=1, keepdims=0)
    batch = labels.dims[0]
    outputs = _outputs(op, x, weights, bias)
    require(outputs.dims[0], batch)
    at = op.Gather(op.const(columns), word, axis=0)
    real = op.GreaterOrEqual(at, 0)
    flat = op.reshape(op.Max(at, 0), [batch, depth * width])
    picked = op.reshape(op.GatherElements(outputs, flat, axis=1), [batch, depth, width])
    shares = op.Softmax(op.Where(real, picked, -_NEVER), axis=2)
    target = op.Gather(op.const(targets), word, axis=0)
    share = op.GatherElements(shares, op.Unsqueeze(op.Max(target, 0), [2]), axis=2)
    cost = op.Neg(op.Log(op.Max(op.Squeeze(share, [2]), _LEAST)))
    # A step that is none costs nothing.
    loss = op.ReduceSum(op.Where(op.GreaterOrEqual(target, 0), cost, 0.0), [1], keepdims=0)
    both = op.Concat(op.Unsqueeze(picked, [2]), op.Unsqueeze(shares, [2]), axis=2)
    shown = op.expand(op.Unsqueeze(real, [2]), both.dims)
    return loss, op.Compress(both, op.reshape(shown, [product(both.dims)]))


def _decoded(read: Callable[[bytes], T], data: str | bytes) -> T:
    """What an argument holds that is a message; it may have come as text."""
    try:
        return read(data.encode() if isinstance(data, str) else data)
    except ReadError as error:
        raise LoweringError(str(error)) from error


def _tables(paths: Sequence[Sequence[Step]], depth: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """The outputs of each step of each path, int64[paths, depth, width], and which is taken; -1 where there is none."""
    columns = np.full((len(paths), depth, width), -1, np.int64)
    targets = np.full((len(paths), depth), -1, np.int64)
    for row, path in enumerate(paths):
        for at, step in enumerate(path):
            columns[row, at, : step.length] = np.arange(step.index, step.index + step.length)
            targets[row, at] = step.target
    return columns, targets


def _is_word(op: Builder, labels: Value, words: Sequence[int]) -> Value:
    return op.Equal(op.Unsqueeze(op.cast(labels, DataType.INT64), [1]), op.const(np.array(words, np.int64)))


def _outputs(op: Builder, x: Value, weights: Value, bias: Value) -> Value:
    """``x · weightsᵀ + bias``: float32[batch, outputs]; a vector is a batch of one."""
    count = weights.dims[0]
    batch = x.dims[0] if x.rank > 1 else 1
    x = op.reshape(x, [batch, product(x.dims[1:] if x.rank > 1 else x.dims)])
    weights = op.reshape(weights, [count, product(weights.dims[1:])])
    return op.Gemm(x, weights, bias, transB=1)


# ---- search ----------------------------------------------------------------------------------------------------------


class _Level:
    """The nodes of one depth.

    Attributes:
        nodes: the nodes, in the order of their parents.
        parents: where each comes from: the place of its parent in the level above times `width`, plus its own in that.
        width: the most outputs that a node of this level has.
    """

    def __init__(self, nodes: Sequence[Tree], parents: Sequence[int]) -> None:
        self.nodes = nodes
        self.parents = parents
        self.width = max(len(node.children) + len(node.words) for node in nodes)

    def below(self) -> _Level | None:
        """The level below; None if there is none."""
        pairs = [
            (child, row * self.width + at)
            for row, node in enumerate(self.nodes)
            for at, child in enumerate(node.children)
        ]
        return _Level([node for node, _ in pairs], [place for _, place in pairs]) if pairs else None

    def columns(self) -> np.ndarray:
        """The outputs of each node, int64[nodes, width]; -1 where there is none."""
        found = np.full((len(self.nodes), self.width), -1, np.int64)
        for row, node in enumerate(self.nodes):
            size = len(node.children) + len(node.words)
            found[row, :size] = np.arange(node.offset, node.offset + size)
        return found


@caffe2("HSoftmaxSearch")
def h_softmax_search(
    op: Builder, x: Matrix, weights: Matrix, bias: Value, *, tree: bytes = b"", topN: int = 5, beam: float = 0.01
) -> tuple[Value, Value]:
    """The most probable nodes and words, without those that are too improbable given the node above.

    Returns their names, string[batch, topN] (a word's is its number), and the negative logarithms of their
    probabilities, float32[batch, topN]; empty names and 0 where there are no more.
    """
    outputs = _outputs(op, x, weights, bias)
    batch = outputs.dims[0]
    level: _Level | None = _Level([_decoded(read_tree, tree)], [0])
    levels: list[_Level] = []
    scores, kept = [], []
    above = op.expand(op.const(0.0, DataType.FLOAT), [batch, 1])
    reached = op.expand(op.const(True), [batch, 1])
    while level is not None:
        score, keep = _searched(op, outputs, level, above, reached, float(beam))
        levels.append(level)
        scores.append(score)
        kept.append(keep)
        level = level.below()
        if level is not None:
            above, reached = (op.Gather(v, np.array(level.parents), axis=1) for v in (score, keep))
    order, names = _listed(levels)
    score = op.Gather(op.Where(op.Concat(*kept, axis=1), op.Concat(*scores, axis=1), _NEVER), order, axis=1)
    best, at = op.TopK(score, [min(topN, len(names))], axis=1, largest=0)
    missing = max(topN - len(names), 0)
    if missing:
        best, at = op.Pad(best, [0, 0, 0, missing], _NEVER), op.Pad(at, [0, 0, 0, missing])
    found = op.Less(best, _NEVER)
    texts = op.const(np.array([*names, ""], object), DataType.STRING)
    return op.Gather(texts, op.Where(found, at, len(names)), axis=0), op.Where(found, best, 0.0)


def _searched(
    op: Builder, outputs: Value, level: _Level, above: Value, reached: Value, beam: float
) -> tuple[Value, Value]:
    """The scores of what the nodes of a level lead to, and whether it is kept: [batch, nodes * width]."""
    columns = level.columns()
    picked = op.Gather(outputs, np.maximum(columns, 0), axis=1)
    shares = op.Softmax(op.Where(op.const(columns >= 0), picked, -_NEVER), axis=2)
    parent = op.Unsqueeze(above, [2])
    score = op.Add(op.Neg(op.Log(op.Max(shares, _LEAST))), parent)
    keep = op.And(op.Less(score, op.Add(parent, beam)), op.Unsqueeze(reached, [2]))
    keep = op.And(keep, op.const(columns >= 0))
    flat = [outputs.dims[0], columns.size]
    return op.reshape(score, flat), op.reshape(keep, flat)


def _listed(levels: Sequence[_Level]) -> tuple[np.ndarray, list[str]]:
    """Where all nodes and words but the root stand in the levels, node by node from the root on, and their names."""
    starts = np.cumsum([0] + [len(level.nodes) * level.width for level in levels])
    rows = [{place: row for row, place in enumerate(level.parents)} for level in levels]
    places: list[int] = []
    names: list[str] = []

    def visit(depth: int, row: int) -> None:
        level = levels[depth]
        node = level.nodes[row]
        texts = [child.name.decode("utf-8", "surrogateescape") for child in node.children]
        texts += [str(word) for word in node.words]
        first = int(starts[depth]) + row * level.width
        places.extend(range(first, first + len(texts)))
        names.extend(texts)
        for at in range(len(node.children)):
            visit(depth + 1, rows[depth + 1][row * level.width + at])

    visit(0, 0)
    return np.array(places, np.int64), names

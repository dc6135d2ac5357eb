"""Blocks of pixels that become channels, and channels that become blocks of pixels, as one operator."""

from __future__ import annotations

import onnx_ir as ir

from nxconvert.passes.rewriting import NodePass, change, dims_of, only_use, producer, transpose_perm

_WIDE = frozenset({ir.DataType.FLOAT, ir.DataType.DOUBLE})
#: How six dims are ordered by what makes blocks of pixels of channels, by its mode, and by the opposite.
_DEPTH_TO_SPACE = {"DCR": [0, 3, 4, 1, 5, 2], "CRD": [0, 1, 4, 2, 5, 3]}
_SPACE_TO_DEPTH = [0, 3, 5, 1, 2, 4]

_Dims = tuple[int | str, ...]


class RecognizePixelShuffles(NodePass):
    """`Reshape` to six dims, `Transpose` and `Reshape` back to four are `DepthToSpace` or `SpaceToDepth`.

    - The orders of dims are those of the operators' documentation, blocks are squares of a known size, and nothing else
      reads what is between. The dims of images are known, as numbers or names; the last step may be two.
    - Of float32 and float64, which ONNX Runtime has both operators for.
    """

    op_types = frozenset({"Reshape"})

    def rewrite(self, node: ir.Node) -> bool:
        chain = _chain(node)
        if chain is None:
            return False
        first, transpose, *_ = chain
        before, between, after = dims_of(first.inputs[0]), dims_of(first.outputs[0]), dims_of(node.outputs[0])
        if before is None or between is None or after is None or not len(before) == len(after) == 4:
            return False
        if first.inputs[0] is None or first.inputs[0].dtype not in _WIDE or len(between) != 6:
            return False
        perm = transpose_perm(transpose, 6)
        operator, attributes = "SpaceToDepth", []
        size = _unshuffled(before, between, after) if perm == _SPACE_TO_DEPTH else None
        for mode, order in _DEPTH_TO_SPACE.items():
            if perm == order:
                operator, attributes = "DepthToSpace", [ir.AttrString("mode", mode)]
                size = _shuffled(before, between, after, mode)
        if size is None:
            return False
        change(node, operator, first.inputs[:1], [ir.AttrInt64("blocksize", size), *attributes], absorbed=chain)
        return True


def _chain(node: ir.Node) -> list[ir.Node] | None:
    """What a `Reshape` gets its input from, first first: a `Reshape`, a `Transpose` and perhaps one more `Reshape`."""
    found: list[ir.Node] = []
    value = node.inputs[0]
    for kinds in (("Reshape", "Transpose"), ("Reshape", "Transpose"), ("Reshape",)):
        maker = producer(value, *kinds)
        if maker is None or not only_use(maker.outputs[0]) or maker.graph is not node.graph:
            return None
        found.insert(0, maker)
        value = maker.inputs[0]
        if [each.op_type for each in found[:2]] == ["Reshape", "Transpose"]:
            return found
    return None


def _shuffled(before: _Dims, between: _Dims, after: _Dims, mode: str) -> int | None:
    """The size of the blocks that channels become; None if they become something else."""
    depth, *block = between[1:4] if mode == "CRD" else (between[3], *between[1:3])
    size = block[0]
    if not isinstance(size, int) or size < 2 or block[1] != size:
        return None
    whole = _times(depth, size * size) == before[1] and (between[0], *between[4:]) == (before[0], *before[2:])
    large = (before[0], depth, *(_times(each, size) for each in before[2:]))
    return size if whole and after == large else None


def _unshuffled(before: _Dims, between: _Dims, after: _Dims) -> int | None:
    """The size of the blocks that become channels; None if something else does."""
    samples, depth, height, size, width, other = between
    if not isinstance(size, int) or size < 2 or other != size:
        return None
    whole = before == (samples, depth, _times(height, size), _times(width, size))
    return size if whole and after == (samples, _times(depth, size * size), height, width) else None


def _times(dim: int | str, factor: int) -> int | str:
    """A product as dims are written."""
    if isinstance(dim, int):
        return dim * factor
    return f"{factor}*{dim}" if dim.isidentifier() else ""

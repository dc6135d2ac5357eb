"""Several tensors made one, one made several, several of one shape: concatenation, splitting, grids."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from nxconvert.frontends.pytorch.ops.common import all_static, axis_of, result_type
from nxconvert.frontends.pytorch.ops.create import int_range
from nxconvert.frontends.pytorch.ops.select import sliced
from nxconvert.frontends.pytorch.ops.shape import int_list, ravel
from nxconvert.frontends.pytorch.table import Builder, Dim, Int, Ints, LoweringError, Value, Values, aten
from nxconvert.graph.dims import compare, divide_exactly, floordiv, maximum, minimum
from nxconvert.graph.widening import emit

# ---- one out of several ----------------------------------------------------------------------------------------------


@aten("cat", "concat", "concatenate")
def cat(op: Builder, tensors: Values, dim: Int = 0) -> Value:
    sequence = _as_sequence(tensors)
    if sequence is not None:
        return op.ConcatFromSequence(sequence, axis=axis_of(dim, sequence_rank(sequence)))
    values = _without_legacy_empties(tensors)
    if len(values) == 1:
        return op.cast(values[0], result_type(*tensors))
    return op.Concat(*_promoted(op, values, tensors), axis=axis_of(dim, values[0].rank))


def _as_sequence(tensors: Any) -> Value | None:
    """A list of tensors if it is a sequence of the graph."""
    return tensors if isinstance(tensors, Value) else None


def sequence_rank(sequence: Value) -> int:
    """The rank of a sequence's elements.

    Raises:
        LoweringError: if it is not known.
    """
    if sequence.dims is None:
        raise LoweringError("the ranks of a list's tensors differ, or are not known")
    return sequence.rank


def _without_legacy_empties(tensors: Sequence[Value]) -> list[Value]:
    """PyTorch ignores vectors of size 0 among tensors of any rank."""
    rank = max((value.rank for value in tensors), default=0)
    kept = [value for value in tensors if value.dims != (0,) and not (value.rank == 1 and rank > 1)]
    return kept or list(tensors[:1])


def _promoted(op: Builder, values: Sequence[Value], among: Sequence[Value] | None = None) -> list[Value]:
    dtype = result_type(*(among or values))
    return [op.cast(value, dtype) for value in values]


@aten("stack")
def stack(op: Builder, tensors: Values, dim: Int = 0) -> Value:
    sequence = _as_sequence(tensors)
    if sequence is not None:
        return op.ConcatFromSequence(sequence, axis=axis_of(dim, sequence_rank(sequence) + 1), new_axis=1)
    return stacked(op, tensors, axis_of(dim, tensors[0].rank + 1))


def stacked(op: Builder, tensors: Sequence[Value], axis: int) -> Value:
    """The tensors along a new axis. Those joined along the axis behind it need no axis of their own."""
    values = _promoted(op, tensors)
    dims = next((value.dims for value in values if all_static(value.dims)), values[0].dims)
    if len(values) > 1 and axis < len(dims) and sum(isinstance(d, Dim) for d in dims[axis:]) <= 1:
        joined = op.Concat(*values, axis=axis)
        return op.reshape(joined, [*dims[:axis], len(values), *dims[axis:]])
    widened = [op.Unsqueeze(value, [axis]) for value in values]
    return widened[0] if len(widened) == 1 else op.Concat(*widened, axis=axis)


@aten("_chunk_cat")
def chunk_cat(op: Builder, tensors: Values, dim: Int, num_chunks: Int) -> Value:
    """Each tensor, padded with zeros, is cut into chunks along ``dim`` and flattened from there; all are joined."""
    rows = []
    for value in _promoted(op, list(tensors)):
        axis = axis_of(dim, value.rank)
        size = value.dims[axis]
        chunk = floordiv(size + num_chunks - 1, num_chunks)
        padding = chunk * num_chunks - size
        if padding != 0:
            value = emit(op, "Pad", value, [0, padding], None, [axis])
        lead = list(value.dims[:axis])
        rest = chunk * 1
        for d in value.dims[axis + 1 :]:
            rest = rest * d
        rows.append(op.reshape(value, [*lead, num_chunks, rest]))
    return rows[0] if len(rows) == 1 else op.Concat(*rows, axis=-1)


@aten("hstack")
def hstack(op: Builder, tensors: Values) -> Value:
    values = [atleast(op, value, 1) for value in tensors]
    return cat(op, values, 0 if values[0].rank == 1 else 1)


@aten("vstack", "row_stack")
def vstack(op: Builder, tensors: Values) -> Value:
    return cat(op, [atleast(op, value, 2) for value in tensors], 0)


@aten("dstack")
def dstack(op: Builder, tensors: Values) -> Value:
    return cat(op, [atleast(op, value, 3) for value in tensors], 2)


@aten("column_stack")
def column_stack(op: Builder, tensors: Values) -> Value:
    return cat(op, [op.reshape(v, [v.dims[0] if v.rank else 1, 1]) if v.rank < 2 else v for v in tensors], 1)


@aten("block_diag")
def block_diag(op: Builder, tensors: Values) -> Value:
    blocks = [atleast(op, value, 2) for value in _promoted(op, list(tensors))]
    width: Int = sum((block.dims[1] for block in blocks), start=0)
    rows: list[Value] = []
    before: Int = 0
    for block in blocks:
        after = width - before - block.dims[1]
        rows.append(emit(op, "Pad", block, [before, after], None, [1]) if len(blocks) > 1 else block)
        before = before + block.dims[1]
    return op.Concat(*rows, axis=0) if len(rows) > 1 else rows[0]


# ---- several out of one ----------------------------------------------------------------------------------------------


def split_at(op: Builder, x: Value, axis: int, sizes: Sequence[Int]) -> list[Value]:
    """``x`` cut along ``axis`` into parts of ``sizes``, which add up to its size."""
    if len(sizes) == 1:
        return [x]
    if all_static([*sizes, x.dims[axis]]) and all(size == sizes[0] for size in sizes):
        return list(op.Split(x, axis=axis, num_outputs=len(sizes)))
    return list(op.Split(x, list(sizes), axis=axis))


def split_sizes(size: Int, part: Int) -> list[Int] | None:
    """The sizes of the parts of ``part`` elements (the last: at most) in ``size``; None if their number is unknown."""
    if isinstance(size, int) and isinstance(part, int):
        if part == 0:
            return [0]
        return [min(part, size - start) for start in range(0, size, part)] or [0]
    count = divide_exactly(size, part)
    if isinstance(count, int):
        return [part] * max(count, 1)
    if compare(size, "<=", part):
        return [size]
    return None


@aten("split.Tensor", "unsafe_split.Tensor", "split_copy.Tensor")
def split(op: Builder, self: Value, split_size: Int, dim: Int = 0) -> list[Value] | Value:
    axis = axis_of(dim, self.rank)
    sizes = split_sizes(self.dims[axis], split_size)
    if sizes is None:
        return op.SplitToSequence(self, op.dim_value(split_size), axis=axis)
    return split_at(op, self, axis, sizes)


@aten("split.sizes")
def split_into(op: Builder, self: Value, split_size: Ints, dim: Int = 0) -> list[Value]:
    return split_at(op, self, axis_of(dim, self.rank), int_list(split_size))


@aten("split.default", "split_with_sizes", "unsafe_split_with_sizes", "split_with_sizes_copy")
def split_with_sizes(op: Builder, self: Value, split_sizes: Ints, dim: Int = 0) -> list[Value]:
    return split_into(op, self, split_sizes, dim)


@aten("chunk", "unsafe_chunk")
def chunk(op: Builder, self: Value, chunks: Int, dim: Int = 0) -> list[Value] | Value:
    axis = axis_of(dim, self.rank)
    if isinstance(chunks, Dim):
        return op.SplitToSequence(self, op.dim_value(chunk_size(self.dims[axis], chunks)), axis=axis)
    return split_at(op, self, axis, chunk_sizes(self.dims[axis], chunks))


def chunk_size(size: Int, chunks: Int) -> Int:
    """The size of all chunks but the last one."""
    return floordiv(size + chunks - 1, chunks)


def chunk_sizes(size: Int, chunks: int) -> list[Int]:
    """The sizes of the chunks; of a size that is not known there are taken to be as many as asked for."""
    part = chunk_size(size, chunks)
    if isinstance(size, int):
        # An empty tensor has all its chunks, each of them empty.
        return split_sizes(size, part) or [] if part else [0] * chunks
    return [part] * (chunks - 1) + [size - part * (chunks - 1)]


@aten("tensor_split.sections")
def tensor_split_sections(op: Builder, self: Value, sections: Int, dim: Int = 0) -> list[Value]:
    return _split_where(op, self, sections, axis_of(dim, self.rank))


@aten("tensor_split.indices")
def tensor_split(op: Builder, self: Value, indices: Ints, dim: Int = 0) -> list[Value]:
    return _split_where(op, self, indices, axis_of(dim, self.rank))


@aten("tensor_split.tensor_indices_or_sections")
def tensor_split_tensor(
    op: Builder, self: Value, tensor_indices_or_sections: Value, dim: Int = 0
) -> list[Value] | Value:
    at = integers_in(op, tensor_indices_or_sections)
    if isinstance(at, Dim):
        return _split_evenly(op, self, at, axis_of(dim, self.rank))
    return _split_where(op, self, at, axis_of(dim, self.rank))


def _split_evenly(op: Builder, x: Value, parts: Dim, axis: int) -> Value:
    """A sequence of ``parts`` parts, the first ones larger by one where they cannot be equal."""
    rest = op.Range(op.dim_value(x.dims[axis] + parts - 1), op.dim_value(x.dims[axis] - 1), -1)
    return op.SplitToSequence(x, op.Div(rest, op.dim_value(parts)), axis=axis)


def _split_where(op: Builder, x: Value, at: Int | Sequence[Int], axis: int) -> list[Value]:
    sizes, cuts = tensor_split_parts(x.dims[axis], at)
    if sizes is not None:
        return split_at(op, x, axis, sizes)
    return [sliced(op, x, axis, start, end) for start, end in itertools.pairwise(cuts)]


def integers_in(op: Builder, x: Value) -> Int | list[Int]:
    """The integers that a tensor of rank 0 or 1 holds."""
    if not x.rank:
        return op.symbol_of(x)
    count = x.dims[0]
    if not isinstance(count, int):
        raise LoweringError("how many indices there are depends on the input")
    return [op.symbol_of(op.Gather(x, i, axis=0)) for i in range(count)]


def tensor_split_parts(size: Int, at: Int | Sequence[Int]) -> tuple[list[Int] | None, list[Int]]:
    """The parts of ``size`` that ``tensor_split`` makes.

    Args:
        size: what is split.
        at: the number of parts, or the indices between them.

    Returns:
        the sizes of the parts, None if they may overlap; and the indices where they start, and the last one ends.
    """
    if isinstance(at, Dim):
        raise LoweringError(f"the number of parts ({at}) depends on the input")
    if isinstance(at, int):
        # The first `size % at` parts are one larger.
        sizes = [floordiv(size + at - 1 - i, at) for i in range(at)]
        return sizes, list(itertools.accumulate(sizes, initial=0))
    cuts: list[Int] = [0, *(maximum(i + size, 0) if compare(i, "<", 0) else minimum(i, size) for i in at), size]
    pairs = list(itertools.pairwise(cuts))
    return [b - a for a, b in pairs] if all(compare(b, ">=", a) for a, b in pairs) else None, cuts


def _register_split(name: str, axis: int, least_rank: int) -> None:
    def split(op: Builder, x: Value, at: Int | Sequence[Int]) -> list[Value]:
        if x.rank < least_rank:
            raise LoweringError(f"a tensor of rank {x.rank} has no axis to split along")
        return _split_where(op, x, at, axis if x.rank > 1 else 0)

    @aten(f"{name}.int")
    def sections(op: Builder, self: Value, sections: Int) -> list[Value]:
        return split(op, self, sections)

    @aten(f"{name}.array")
    def indices(op: Builder, self: Value, indices: Ints) -> list[Value]:
        return split(op, self, indices)


for _name, _axis, _rank in (("hsplit", 1, 1), ("vsplit", 0, 2), ("dsplit", 2, 3)):
    _register_split(_name, _axis, _rank)


@aten("unbind.int", "unbind_copy.int")
def unbind(op: Builder, self: Value, dim: Int = 0) -> list[Value] | Value:
    axis = axis_of(dim, self.rank)
    count = self.dims[axis]
    if isinstance(count, Dim):
        return op.SplitToSequence(self, axis=axis, keepdims=0)
    if count == 1:
        return [op.Squeeze(self, [axis])]
    return [op.Gather(self, i, axis=axis) for i in range(count)]


# ---- several of one shape --------------------------------------------------------------------------------------------


def atleast(op: Builder, x: Value, rank: int) -> Value:
    """``x`` with axes of size 1 added as numpy does: the first two in front, the third one behind the others."""
    dims = list(x.dims)
    while len(dims) < rank:
        dims.insert(0 if len(dims) < 2 else 2, 1)
    return op.reshape(x, dims)


def _register_atleast(rank: int) -> None:
    @aten(f"atleast_{rank}d")
    def one(op: Builder, self: Value) -> Value:
        return atleast(op, self, rank)

    @aten(f"atleast_{rank}d.Sequence")
    def each(op: Builder, tensors: Values) -> list[Value]:
        return [atleast(op, value, rank) for value in tensors]


for _rank in (1, 2, 3):
    _register_atleast(_rank)


@aten("meshgrid", "meshgrid.indexing")
def meshgrid(op: Builder, tensors: Values, *, indexing: str = "ij") -> list[Value]:
    """``xy`` is ``ij`` of the first two swapped, with the first two axes of every result swapped back."""
    vectors = [ravel(op, value) for value in tensors]
    count = len(vectors)
    places = list(range(count))
    if indexing == "xy" and count > 1:
        places[:2] = [1, 0]
    target: list[Int] = [1] * count
    for place, vector in zip(places, vectors, strict=True):
        target[place] = vector.dims[0]
    grids = []
    for place, vector in zip(places, vectors, strict=True):
        aligned = op.reshape(vector, [vector.dims[0] if axis == place else 1 for axis in range(count)])
        grids.append(op.expand(aligned, target))
    return grids


@aten("cartesian_prod")
def cartesian_prod(op: Builder, tensors: Values) -> Value:
    values = list(tensors)
    if len(values) == 1:
        return values[0]
    return stacked(op, [ravel(op, grid) for grid in meshgrid(op, values)], 1)


@aten("combinations")
def combinations(op: Builder, self: Value, r: Int = 2, with_replacement: bool = False) -> Value:
    """All choices of ``r`` elements of a vector, in lexicographic order of their indices."""
    size = self.dims[0]
    if isinstance(r, Dim):
        raise LoweringError(f"the number of chosen elements ({r}) depends on the input")
    if isinstance(size, int):
        choose = itertools.combinations_with_replacement if with_replacement else itertools.combinations
        return op.Gather(self, np.array(list(choose(range(size), r)), np.int64).reshape(-1, r), axis=0)
    grids = meshgrid(op, [int_range(op, size)] * r)
    ascending: Value | None = None
    for a, b in itertools.pairwise(grids):
        ordered = op.LessOrEqual(a, b) if with_replacement else op.Less(a, b)
        ascending = ordered if ascending is None else op.And(ascending, ordered)
    if ascending is None:
        return op.Unsqueeze(self, [1])
    return op.Gather(self, op.Transpose(op.NonZero(ascending), perm=[1, 0]), axis=0)

"""CNTK's dynamic axes in a graph: a tensor is ``[batch?, sequence?, *static]``.

CNTK's functions know static axes alone; batches and sequences are implicit. In the graph they are leading axes. All
tensors on one sequence axis share its size and the lengths of its sequences; what is behind the end of a sequence is
anything, NaN included, and nothing may depend on it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import onnx_ir as ir

from nxconvert.graph.builder import Builder, Value
from nxconvert.graph.dims import Int, require

#: Static sizes.
Dims: TypeAlias = "tuple[Int, ...]"


class Seq:
    """A sequence axis.

    Attributes:
        name: CNTK's, which makes two axes one.
        size: of the axis in the graph; no sequence is longer.
        made: whether the model makes the axis itself, rather than an input having it.
    """

    def __init__(self, name: str, size: Int, lengths: Callable[[], Value], op: Builder, *, made: bool) -> None:
        """`lengths` gives int64[batch], in the graph of `op`, the first time that somebody asks."""
        self.name = name
        self.size = size
        self.made = made
        self._make = lengths
        self._op = op
        self._lengths: Value | None = None
        self._mask: Value | None = None
        self._longest: Int | None = None

    @property
    def lengths(self) -> Value:
        """How long each sequence is, int64[batch]."""
        if self._lengths is None:
            self._lengths = self._make()
        return self._lengths

    @property
    def mask(self) -> Value:
        """Where there is a step, bool[batch, sequence]."""
        if self._mask is None:
            op = self._op
            self._mask = op.Less(op.Range(0, self.size, 1), op.Unsqueeze(self.lengths, [1]))
        return self._mask

    @property
    def longest(self) -> Int:
        """The length of the longest sequence, which is less than the size if all are followed by something."""
        if self._longest is None:
            self._longest = self._op.symbol_of(self._op.ReduceMax(self.lengths, keepdims=0), "longest", low=1)
        return self._longest

    def __repr__(self) -> str:
        return f"Seq({self.name!r}, {self.size})"


@dataclass(frozen=True, slots=True)
class Axes:
    """The dynamic axes of a tensor; a sequence axis comes with a batch."""

    batch: bool = False
    seq: Seq | None = None

    @property
    def count(self) -> int:
        """How many leading axes of the graph they are."""
        return self.batch + (self.seq is not None)


STATIC = Axes()


@dataclass(frozen=True, slots=True)
class Tensor:
    """A value with its dynamic axes.

    Attributes:
        value: [batch?, sequence?, *static].
        axes: which of the first two it has.
    """

    value: Value
    axes: Axes = STATIC

    @property
    def nd(self) -> int:
        """How many of the value's axes are dynamic."""
        return self.axes.count

    @property
    def dims(self) -> Dims:
        """The static sizes."""
        return self.value.dims[self.nd :]

    @property
    def rank(self) -> int:
        """The number of static axes."""
        return self.value.rank - self.nd

    @property
    def dtype(self) -> ir.DataType:
        return self.value.etype

    def of(self, value: Value) -> Tensor:
        """Another value with the same dynamic axes."""
        return replace(self, value=value)


def joined(tensors: Sequence[Tensor]) -> Axes:
    """The dynamic axes that tensors have in common once each has those of all others.

    Raises:
        ValueError: they are on different sequence axes.
    """
    seqs = list(dict.fromkeys(tensor.axes.seq for tensor in tensors if tensor.axes.seq is not None))
    if len({seq.name for seq in seqs}) > 1:
        raise ValueError(f"its operands are on different sequence axes, {' and '.join(seq.name for seq in seqs)}")
    for other in seqs[1:]:
        require(seqs[0].size, other.size)
    return Axes(any(tensor.axes.batch for tensor in tensors), seqs[0] if seqs else None)


def aligned(op: Builder, *tensors: Tensor) -> tuple[list[Value], Axes]:
    """Values that broadcast against each other as CNTK's samples do, static axes from the right; and their axes.

    Files have constants in float32 next to operands in float64; all come in float64 then.
    """
    axes = joined(tensors)
    rank = max(tensor.rank for tensor in tensors)
    values = [_aligned(op, tensor, axes, rank) for tensor in tensors]
    dtype = widest(value.etype for value in values)
    return [op.cast(value, dtype) for value in values], axes


def widest(dtypes: Iterable[ir.DataType]) -> ir.DataType:
    """The dtype that operands of different ones come in."""
    return max(dtypes, key=lambda dtype: dtype.bitwidth)


def _aligned(op: Builder, tensor: Tensor, axes: Axes, rank: int) -> Value:
    """A value with a size of 1 for each axis that it lacks between others."""
    if tensor.axes == STATIC:
        return tensor.value  # which aligns from the right
    return with_axes(op, tensor, axes, rank)


def with_axes(op: Builder, tensor: Tensor, axes: Axes, rank: int | None = None) -> Value:
    """A value with a size of 1 for each of the axes, and of the static axes, that it lacks."""
    lacking = []
    if axes.batch and not tensor.axes.batch:
        lacking.append(0)
    if axes.seq is not None and tensor.axes.seq is None:
        lacking.append(1)
    start = axes.count
    lacking += range(start, start + (tensor.rank if rank is None else rank) - tensor.rank)
    return op.Unsqueeze(tensor.value, lacking) if lacking else tensor.value


def broadcast(many: Sequence[Dims]) -> Dims:
    """The sizes that all of some have in common, aligned from the last one."""
    rank = max(map(len, many), default=0)
    padded = [(*[1] * (rank - len(dims)), *dims) for dims in many]
    return tuple(next((size for size in sizes if size != 1), 1) for sizes in zip(*padded, strict=True))


def leading_dims(axes: Axes, batch: Int) -> tuple[Int, ...]:
    """The sizes of the dynamic axes."""
    return ((batch,) if axes.batch else ()) + ((axes.seq.size,) if axes.seq is not None else ())


def masked(op: Builder, tensor: Tensor, fill: float) -> Value:
    """A value in which a number stands for what is behind the end of sequences."""
    seq = tensor.axes.seq
    if seq is None:
        return tensor.value
    mask = seq.mask if tensor.rank == 0 else op.Unsqueeze(seq.mask, list(range(2, 2 + tensor.rank)))
    return op.Where(mask, tensor.value, op.const(fill, tensor.dtype))


def packed(op: Builder, tensor: Tensor) -> Value:
    """All samples of a tensor in a row, [samples, *static]: the steps of all sequences, without what is behind their
    ends.
    """
    seq = tensor.axes.seq
    if seq is None:
        return tensor.value if tensor.axes.batch else op.Unsqueeze(tensor.value, [0])
    batch = tensor.value.dims[0]
    rows = op.reshape(tensor.value, (batch * seq.size, *tensor.dims))
    return op.Compress(rows, op.reshape(seq.mask, (batch * seq.size,)), axis=0)

"""Sequences of tensors.

The dims of a sequence are those that its elements share: None for a size that varies between them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import onnx_ir as ir

from nxconvert.graph.dims import Int, divide_exactly
from nxconvert.graph.rules import infer_rule
from nxconvert.graph.rules.common import dtype_of, integers, normal_axis, tensor, want_rank
from nxconvert.graph.values import GraphTypeError, TensorType, Value

if TYPE_CHECKING:
    from nxconvert.graph.builder import Builder


def element_dims(op: Builder, sequence: Value) -> tuple[Int, ...]:
    """The dims of one element, with a symbol of its own for what varies."""
    if sequence.dims is None:
        raise GraphTypeError("the rank of the sequence's elements is not known")
    return tuple(op.fresh("element") if d is None else d for d in sequence.dims)


def _joined(a: Any, b: Any) -> Any:
    """The dims that two elements share; None if their ranks differ."""
    if a is None or b is None or len(a) != len(b):
        return None
    return tuple(x if x == y else None for x, y in zip(a, b, strict=True))


@infer_rule("SequenceEmpty")
def _sequence_empty(op: Builder, /, *, dtype: Any = None) -> list[TensorType]:
    return [TensorType(dtype_of(dtype, ir.DataType.FLOAT), None, sequence=True)]


@infer_rule("SequenceConstruct")
def _sequence_construct(op: Builder, first: Value, /, *others: Value) -> list[TensorType]:
    dims: Any = first.dims
    for other in others:
        dims = _joined(dims, other.dims)
    return [TensorType(first.etype, dims, sequence=True)]


@infer_rule("SequenceInsert")
def _sequence_insert(op: Builder, sequence: Value, x: Value, position: Value | None = None, /) -> list[TensorType]:
    if sequence.etype != x.etype:
        raise GraphTypeError(f"a {x.etype.name} is inserted into a sequence of {sequence.etype.name}")
    maker = sequence.producer()
    empty = maker is not None and maker.op_type == "SequenceEmpty"
    return [TensorType(x.etype, x.dims if empty else _joined(sequence.dims, x.dims), sequence=True)]


@infer_rule("SequenceErase")
def _sequence_erase(op: Builder, sequence: Value, position: Value | None = None, /) -> list[TensorType]:
    return [TensorType(sequence.etype, sequence.dims, sequence=True)]


@infer_rule("SequenceAt")
def _sequence_at(op: Builder, sequence: Value, position: Value, /) -> list[TensorType]:
    want_rank(position, 0, "the position")
    return tensor(sequence.etype, element_dims(op, sequence))


@infer_rule("SequenceLength")
def _sequence_length(op: Builder, sequence: Value, /) -> list[TensorType]:
    return tensor(ir.DataType.INT64, ())


@infer_rule("SplitToSequence")
def _split_to_sequence(
    op: Builder, x: Value, split: Value | None = None, /, *, axis: int = 0, keepdims: int = 1
) -> list[TensorType]:
    axis = normal_axis(axis, len(x.dims))
    if split is None:
        part: tuple[Any, ...] = (1,) if keepdims else ()
    else:
        part = (_part_size(x.dims[axis], split),)
    return [TensorType(x.etype, (*x.dims[:axis], *part, *x.dims[axis + 1 :]), sequence=True)]


def _part_size(size: Int, split: Value) -> Int | None:
    """The size of every part: a scalar cuts ``size`` into equal parts and a rest, a vector says each of them."""
    sizes = integers(split)
    if not sizes or len(set(sizes)) > 1:
        return None
    return sizes[0] if split.dims or divide_exactly(size, sizes[0]) is not None else None


@infer_rule("ConcatFromSequence")
def _concat_from_sequence(op: Builder, sequence: Value, /, *, axis: int, new_axis: int = 0) -> list[TensorType]:
    dims = list(element_dims(op, sequence))
    axis = normal_axis(axis, len(dims) + (1 if new_axis else 0))
    joined = op.fresh("joined")
    return tensor(sequence.etype, [*dims[:axis], joined, *dims[axis if new_axis else axis + 1 :]])

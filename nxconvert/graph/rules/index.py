"""Operators that select elements: slices, gather and scatter, the best few, those that a condition picks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx_ir as ir

from nxconvert.graph.dims import Int, compare, maximum, minimum, product
from nxconvert.graph.rules import infer_rule
from nxconvert.graph.rules.common import (
    agree,
    ceil_div,
    integers,
    length_of,
    normal_axes,
    normal_axis,
    same,
    static_integers,
    tensor,
    want_rank,
)
from nxconvert.graph.values import GraphTypeError, TensorType, Value

if TYPE_CHECKING:
    from nxconvert.graph.builder import Builder

# Ends at or beyond this are how exporters write "to the end".
_FAR = 2**31 - 1


@infer_rule("Slice")
def _slice(
    op: Builder, x: Value, starts: Value, ends: Value, axes: Value | None = None, steps: Value | None = None, /
) -> list[TensorType]:
    count = length_of(starts, "the starts")
    agree(count, ends.dims[0], "there are not as many starts as ends")
    chosen = static_integers(axes, "the axes")
    which = normal_axes(range(count) if chosen is None else chosen, len(x.dims))
    agree(count, len(which), "there are not as many starts as axes")
    first, last = integers(starts), integers(ends)
    stride = (1,) * count if steps is None else integers(steps)
    dims = list(x.dims)
    for i, axis in enumerate(which):
        size = None
        if first is not None and last is not None and stride is not None:
            size = slice_size(dims[axis], first[i], last[i], stride[i])
        dims[axis] = op.fresh("slice") if size is None else size
    return tensor(x.etype, dims)


def slice_size(size: Int, start: Int, end: Int, step: Int) -> Int | None:
    """How many elements ``start:end:step`` takes of ``size``, as ONNX ``Slice`` does; None if signs are unknown."""
    if not isinstance(step, int):
        return None
    if step == 0:
        raise GraphTypeError("the step is 0")
    start_counts, end_counts = compare(start, ">=", 0), compare(end, ">=", 0)
    if start_counts is None or end_counts is None:
        return None
    # Where `start` lies behind `end` the outer maximum makes the result 0, so each is limited on one side only.
    if step > 0:
        begin = start if start_counts else 0 if compare(start, "<=", -_FAR) else maximum(start + size, 0)
        stop = end + size if not end_counts else size if compare(end, ">=", _FAR) else minimum(end, size)
        return maximum(ceil_div(stop - begin, step), 0)
    begin = (
        maximum(start + size, 0)
        if not start_counts
        else size - 1
        if compare(start, ">=", _FAR)
        else minimum(start, size - 1)
    )
    stop = end if end_counts else -1 if compare(end, "<=", -_FAR) else maximum(end + size, -1)
    return maximum(ceil_div(begin - stop, -step), 0)


@infer_rule("Gather")
def _gather(op: Builder, x: Value, indices: Value, /, *, axis: int = 0) -> list[TensorType]:
    axis = normal_axis(axis, len(x.dims))
    _check_range(indices, x.dims[axis])
    return tensor(x.etype, [*x.dims[:axis], *indices.dims, *x.dims[axis + 1 :]])


def _check_range(indices: Value, size: Int) -> None:
    if indices.array is not None and indices.array.size and isinstance(size, int):
        low, high = int(indices.array.min()), int(indices.array.max())
        if low < -size or high >= size:
            raise GraphTypeError(f"index {high if high >= size else low} is out of range for an axis of size {size}")


@infer_rule("GatherElements")
def _gather_elements(op: Builder, x: Value, indices: Value, /, *, axis: int = 0) -> list[TensorType]:
    normal_axis(axis, len(x.dims))
    want_rank(indices, len(x.dims), "the indices")
    return tensor(x.etype, indices.dims)


@infer_rule("GatherND")
def _gather_nd(op: Builder, x: Value, indices: Value, /, *, batch_dims: int = 0) -> list[TensorType]:
    depth = _index_depth(indices)
    if batch_dims + depth > len(x.dims):
        raise GraphTypeError(f"indices of {depth} numbers and {batch_dims} batch axes point into rank {len(x.dims)}")
    for a, b in zip(x.dims[:batch_dims], indices.dims[:batch_dims], strict=True):
        agree(a, b, "batch sizes differ")
    return tensor(x.etype, [*indices.dims[:-1], *x.dims[batch_dims + depth :]])


def _index_depth(indices: Value) -> int:
    want_rank(indices, 1, "the indices", at_least=True)
    depth = indices.dims[-1]
    if not isinstance(depth, int):
        raise GraphTypeError("the last axis of the indices must have a known size")
    return depth


@infer_rule("Scatter", "ScatterElements")
def _scatter_elements(
    op: Builder, x: Value, indices: Value, updates: Value, /, *, axis: int = 0, reduction: str = "none"
) -> list[TensorType]:
    normal_axis(axis, len(x.dims))
    want_rank(indices, len(x.dims), "the indices")
    want_rank(updates, len(x.dims), "the updates")
    for a, b in zip(indices.dims, updates.dims, strict=True):
        agree(a, b, "indices and updates differ in size")
    return same(x)


@infer_rule("ScatterND")
def _scatter_nd(
    op: Builder, x: Value, indices: Value, updates: Value, /, *, reduction: str = "none"
) -> list[TensorType]:
    depth = _index_depth(indices)
    if depth > len(x.dims):
        raise GraphTypeError(f"indices of {depth} numbers point into rank {len(x.dims)}")
    wanted = (*indices.dims[:-1], *x.dims[depth:])
    want_rank(updates, len(wanted), "the updates")
    for a, b in zip(wanted, updates.dims, strict=True):
        agree(a, b, "the updates do not fit the indices")
    return same(x)


@infer_rule("TopK")
def _top_k(
    op: Builder, x: Value, k: Value, /, *, axis: int = -1, largest: int = 1, sorted: int = 1
) -> list[TensorType]:
    axis = normal_axis(axis, len(x.dims))
    known = integers(k)
    size = known[0] if known else op.fresh("topk")
    if compare(size, ">", x.dims[axis]):
        raise GraphTypeError(f"{size} elements are wanted of {x.dims[axis]}")
    dims = (*x.dims[:axis], size, *x.dims[axis + 1 :])
    return [TensorType(x.etype, dims), TensorType(ir.DataType.INT64, dims)]


@infer_rule("NonZero")
def _non_zero(op: Builder, x: Value, /) -> list[TensorType]:
    found = op.fresh("nonzero") if x.array is None else int(np.count_nonzero(x.array))
    return tensor(ir.DataType.INT64, [len(x.dims), found])


@infer_rule("Compress")
def _compress(op: Builder, x: Value, condition: Value, /, *, axis: int | None = None) -> list[TensorType]:
    want_rank(condition, 1, "the condition")
    kept = op.fresh("compress") if condition.array is None else int(np.count_nonzero(condition.array))
    if axis is None:
        return tensor(x.etype, [kept])
    axis = normal_axis(axis, len(x.dims))
    return tensor(x.etype, [*x.dims[:axis], kept, *x.dims[axis + 1 :]])


@infer_rule("Unique")
def _unique(op: Builder, x: Value, /, *, axis: int | None = None, sorted: int = 1) -> list[TensorType]:
    found = op.fresh("unique")
    vector = TensorType(ir.DataType.INT64, (found,))
    if axis is None:
        return [TensorType(x.etype, (found,)), vector, TensorType(ir.DataType.INT64, (product(x.dims),)), vector]
    axis = normal_axis(axis, len(x.dims))
    inverse = TensorType(ir.DataType.INT64, (x.dims[axis],))
    return [TensorType(x.etype, (*x.dims[:axis], found, *x.dims[axis + 1 :])), vector, inverse, vector]


@infer_rule("OneHot")
def _one_hot(op: Builder, indices: Value, depth: Value, values: Value, /, *, axis: int = -1) -> list[TensorType]:
    axis = normal_axis(axis, len(indices.dims) + 1)
    known = integers(depth) if depth.array is None else (int(depth.array.reshape(())),)
    size = known[0] if known else op.fresh("onehot")
    return tensor(values.etype, [*indices.dims[:axis], size, *indices.dims[axis:]])


@infer_rule("Trilu")
def _trilu(op: Builder, x: Value, k: Value | None = None, /, *, upper: int = 1) -> list[TensorType]:
    want_rank(x, 2, "the input", at_least=True)
    return same(x)


@infer_rule("NonMaxSuppression")
def _non_max_suppression(op: Builder, boxes: Value, scores: Value, /, *_: Value | None, **__: Any) -> list[TensorType]:
    want_rank(boxes, 3, "the boxes")
    want_rank(scores, 3, "the scores")
    agree(boxes.dims[2], 4, "a box is 4 numbers")
    agree(boxes.dims[0], scores.dims[0], "boxes and scores differ in batch size")
    agree(boxes.dims[1], scores.dims[2], "boxes and scores differ in number")
    return tensor(ir.DataType.INT64, [op.fresh("selected"), 3])

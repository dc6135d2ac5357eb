"""Nodes that need not be: the value that an operator would compute is there already, or a cheaper node computes it.

Floating point keeps its sign of zero and its NaN: ``x + 0`` and ``x * 1`` are dropped for integers only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx_ir as ir

from nxconvert.graph.dims import Dim, bounds
from nxconvert.graph.rules import simplify_rule
from nxconvert.graph.rules.common import broadcast_dims, integers, normal_axis
from nxconvert.graph.rules.faults import gather_texts
from nxconvert.graph.rules.index import slice_size
from nxconvert.graph.rules.shape import reshaped_dims
from nxconvert.graph.values import Value

if TYPE_CHECKING:
    from nxconvert.graph.builder import Builder

_D = ir.DataType
# How many bits of an integer a floating-point number keeps.
_PRECISION = {_D.BFLOAT16: 8, _D.FLOAT16: 11, _D.FLOAT: 24, _D.DOUBLE: 53}


def _keeps_all(wide: ir.DataType, narrow: ir.DataType) -> bool:
    """Whether ``wide`` has every number of ``narrow``."""
    if narrow in _PRECISION:
        return wide in (_D.FLOAT, _D.DOUBLE) and wide.bitwidth > narrow.bitwidth
    if narrow != _D.BOOL and not narrow.is_integer():
        return False
    if wide in _PRECISION:
        return narrow == _D.BOOL or narrow.bitwidth - narrow.is_signed() <= _PRECISION[wide]
    return wide.is_integer() and np.can_cast(narrow.numpy(), wide.numpy(), "safe")


def made_by(value: Value, op_type: str) -> ir.Node | None:
    """The node that makes ``value``, if it is of this type."""
    node = value.producer()
    return node if node is not None and node.op_type == op_type and not node.domain else None


@simplify_rule("Identity")
def _identity(op: Builder, x: Value, /) -> Value:
    return x


@simplify_rule("Cast")
def _cast(op: Builder, x: Value, /, *, to: Any, saturate: int = 1) -> Value | None:
    if x.etype == to:
        return x
    node = made_by(x, "Cast")
    if node is not None:
        origin: Any = node.inputs[0]
        if to != _D.STRING and _keeps_all(x.etype, origin.etype):
            return op.cast(origin, _D(to))
    return None


@simplify_rule("CastLike")
def _cast_like(op: Builder, x: Value, like: Value, /, *, saturate: int = 1) -> Value:
    return op.Cast(x, to=like.etype, saturate=None if saturate else 0)


@simplify_rule("Dropout")
def _dropout(
    op: Builder, x: Value, ratio: Value | None = None, training: Value | None = None, /, *, seed: int = 0
) -> Value | None:
    return x if training is None or (training.array is not None and not training.array) else None


# ---- shapes ----------------------------------------------------------------------------------------------------------


@simplify_rule("Transpose")
def _transpose(op: Builder, x: Value, /, *, perm: Sequence[int] | None = None) -> Value | None:
    order = list(range(x.rank))[::-1] if perm is None else list(perm)
    if order == list(range(x.rank)):
        return x
    node = made_by(x, "Transpose")
    if node is None or len(order) != x.rank:
        return None
    inner = node.attributes["perm"].as_ints() if "perm" in node.attributes else list(range(x.rank))[::-1]
    return op.Transpose(node.inputs[0], perm=[inner[axis] for axis in order])


@simplify_rule("Reshape")
def _reshape(op: Builder, x: Value, shape: Value, /, *, allowzero: int = 0) -> Value | None:
    target = integers(shape)
    if target is None:
        return None
    if reshaped_dims(x.dims, target, allowzero) == x.dims:
        return x
    node = made_by(x, "Reshape")
    # A size that is 0 copies from the shape between, so only shapes that copy nothing skip it.
    if node is None or any(size == 0 or (isinstance(size, Dim) and not bounds(size)[0]) for size in target):
        return None
    return op.Reshape(node.inputs[0], shape, allowzero=allowzero or None)


@simplify_rule("Flatten")
def _flatten(op: Builder, x: Value, /, *, axis: int = 1) -> Value | None:
    return x if x.rank == 2 and axis in (1, -1) else None


def _axes(node: ir.Node) -> tuple[int, ...] | None:
    axes: Any = node.inputs[1] if len(node.inputs) > 1 else None
    return integers(axes)  # type: ignore[return-value]


@simplify_rule("Squeeze")
def _squeeze(op: Builder, x: Value, axes: Value | None = None, /) -> Value | None:
    return _nothing_or_undone(x, integers(axes), "Unsqueeze", x.rank)


@simplify_rule("Unsqueeze")
def _unsqueeze(op: Builder, x: Value, axes: Value, /) -> Value | None:
    given = integers(axes)
    return _nothing_or_undone(x, given, "Squeeze", x.rank + len(given or ()))


def _nothing_or_undone(x: Value, axes: Any, inverse: str, rank: int) -> Value | None:
    """``x`` if no axes are named; what the inverse operator took if that named the same axes, of ``rank`` axes."""
    if axes is None:
        return None
    if not axes:
        return x
    node = made_by(x, inverse)
    other = _axes(node) if node is not None else None
    if other is not None and sorted(a % rank for a in axes) == sorted(a % rank for a in other):
        return node.inputs[0]  # type: ignore[union-attr, return-value]
    return None


@simplify_rule("Expand")
def _expand(op: Builder, x: Value, shape: Value, /) -> Value | None:
    target = integers(shape)
    if target is None or len(target) > x.rank:
        return None
    lead = x.rank - len(target)
    return x if all(size in (1, x.dims[lead + i]) for i, size in enumerate(target)) else None


@simplify_rule("Tile")
def _tile(op: Builder, x: Value, repeats: Value, /) -> Value | None:
    times = integers(repeats)
    return x if times is not None and len(times) == x.rank and all(n == 1 for n in times) else None


@simplify_rule("Pad")
def _pad(op: Builder, x: Value, pads: Value, /, *_: Value | None, **__: Any) -> Value | None:
    amounts = integers(pads)
    return x if amounts is not None and all(n == 0 for n in amounts) else None


@simplify_rule("Concat", "Max", "Mean", "Min", "Sum")
def _variadic(op: Builder, x: Value, /, *others: Value, **_: Any) -> Value | None:
    return None if others else x


@simplify_rule("Split")
def _split(
    op: Builder, x: Value, split: Value | None = None, /, *, axis: int = 0, num_outputs: int | None = None
) -> Value | None:
    return x if num_outputs == 1 or (split is not None and split.dims == (1,)) else None


@simplify_rule("Slice")
def _slice(
    op: Builder, x: Value, starts: Value, ends: Value, axes: Value | None = None, steps: Value | None = None, /
) -> Value | None:
    first, last, which, stride = integers(starts), integers(ends), integers(axes), integers(steps)
    if (
        first is None
        or last is None
        or (axes is not None and which is None)
        or (steps is not None and set(stride or ()) != {1})
    ):
        return None
    chosen = range(len(first)) if which is None else which
    if not all(isinstance(axis, int) and -x.rank <= axis < x.rank for axis in chosen):
        return None
    for axis, start, end in zip(chosen, first, last, strict=True):
        if slice_size(x.dims[axis], start, end, 1) != x.dims[axis]:  # type: ignore[index]
            return None
    return x


@simplify_rule("Gather")
def _gather(op: Builder, x: Value, indices: Value, /, *, axis: int = 0) -> Value | None:
    """An element of a shape is a dim: where it is read from is the builder's business."""
    if x.etype == _D.STRING:
        return gather_texts(op, x, indices, normal_axis(axis, x.rank))
    if x.content is None or x.etype != _D.INT64 or indices.array is None or x.rank != 1 or indices.rank > 1:
        return None
    picks = indices.array.ravel().tolist()
    if not all(-len(x.content) <= i < len(x.content) for i in picks):
        return None
    dims = [x.content[i] for i in picks]
    if not all(op.knows(d) for d in dims):
        return None
    return op.dims_tensor(dims) if indices.rank else op.dim_value(dims[0])


@simplify_rule("Resize")
def _resize(
    op: Builder, x: Value, roi: Value | None = None, scales: Value | None = None, sizes: Value | None = None, /, *,
    axes: Sequence[int] | None = None, coordinate_transformation_mode: str = "half_pixel", **_: Any,
) -> Value | None:  # fmt: skip
    if coordinate_transformation_mode == "tf_crop_and_resize":
        return None
    if scales is not None and sizes is None:
        return x if scales.array is not None and bool((scales.array == 1).all()) else None
    wanted = integers(sizes)
    old = x.dims if axes is None else tuple(x.dims[axis] for axis in axes)
    return x if scales is None and wanted is not None and wanted == old else None


# ---- arithmetic and logic --------------------------------------------------------------------------------------------


def _uniform(value: Value) -> Any:
    """The one number that a constant is filled with, else None."""
    array = value.array
    if array is None or not array.size:
        return None
    first = array.reshape(-1)[0]
    return first.item() if array.size == 1 or (array == first).all() else None


def _keeps_dims(op: Builder, x: Value, other: Value) -> bool:
    return x.etype == other.etype and other.rank <= x.rank and (other.array is not None and other.array.size == 1)


def _unless_neutral(op: Builder, x: Value, other: Value, neutral: Any) -> Value | None:
    if x.etype.is_floating_point() or not _keeps_dims(op, x, other):
        return None
    return x if _uniform(other) == neutral else None


@simplify_rule("Add", "BitwiseOr", "BitwiseXor")
def _add(op: Builder, a: Value, b: Value, /) -> Value | None:
    return _unless_neutral(op, a, b, 0) or _unless_neutral(op, b, a, 0)


@simplify_rule("Sub", "BitShift")
def _sub(op: Builder, a: Value, b: Value, /, **_: Any) -> Value | None:
    return _unless_neutral(op, a, b, 0)


@simplify_rule("Mul")
def _mul(op: Builder, a: Value, b: Value, /) -> Value | None:
    return _unless_neutral(op, a, b, 1) or _unless_neutral(op, b, a, 1)


@simplify_rule("Div")
def _div(op: Builder, a: Value, b: Value, /) -> Value | None:
    return _unless_neutral(op, a, b, 1)


@simplify_rule("Or", "Xor")
def _or(op: Builder, a: Value, b: Value, /) -> Value | None:
    return _unless_neutral(op, a, b, False) or _unless_neutral(op, b, a, False)


@simplify_rule("And")
def _and(op: Builder, a: Value, b: Value, /) -> Value | None:
    return _unless_neutral(op, a, b, True) or _unless_neutral(op, b, a, True)


@simplify_rule("Neg")
def _neg(op: Builder, x: Value, /) -> Value | None:
    node = made_by(x, "Neg")
    return node.inputs[0] if node is not None else None  # type: ignore[return-value]


@simplify_rule("Not")
def _not(op: Builder, x: Value, /) -> Value | None:
    node = made_by(x, "Not")
    return node.inputs[0] if node is not None else None  # type: ignore[return-value]


@simplify_rule("Where")
def _where(op: Builder, condition: Value, x: Value, y: Value, /) -> Value | None:
    if condition.etype != _D.BOOL or x.etype != y.etype:
        return None
    chosen = None
    truth = _uniform(condition)
    if truth is not None:
        chosen = x if truth else y
    elif x is y:
        chosen = x
    if chosen is None:
        return None
    dims = broadcast_dims(op, condition.dims, x.dims, y.dims)
    if dims == chosen.dims:
        return chosen
    return op.expand(chosen, dims) if all(op.knows(d) for d in dims) else None

"""What the rules of several families share: axes, sizes that agree, broadcasting, integers known while building."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx_ir as ir

from nxconvert.graph.dims import Dim, Int, bounds, compare, floordiv, product, require, static
from nxconvert.graph.values import GraphTypeError, TensorType, Value

if TYPE_CHECKING:
    from nxconvert.graph.builder import Builder

Dims = tuple[Int, ...]

# Longer vectors are data, not sizes.
_MAX_INTEGERS = 1024


def same(x: Value) -> list[TensorType]:
    """One output of the type of ``x``."""
    return [TensorType(x.etype, x.dims)]


def tensor(dtype: ir.DataType, dims: Iterable[Int]) -> list[TensorType]:
    """One output of this type."""
    return [TensorType(dtype, tuple(dims))]


def dtype_of(value: Any, default: ir.DataType) -> ir.DataType:
    """An attribute that names a dtype: an ONNX number, a ``DataType``, or left out."""
    return default if value is None else ir.DataType(value)


def integers(value: Value | None) -> Dims | None:
    """The integers that a scalar or vector holds, where they are known while building; symbolic ones as dims."""
    if value is None:
        return None
    array = value.array
    if array is None:
        return value.content
    if array.size > _MAX_INTEGERS or array.dtype.kind not in "iub":
        return None
    return tuple(int(i) for i in array.ravel().tolist())


def static_integers(value: Value | None, what: str) -> tuple[int, ...] | None:
    """The integers that an input holds; None only if it is left out.

    Raises:
        GraphTypeError: if they are not known while building, because the rank of the result depends on them.
    """
    if value is None:
        return None
    known = integers(value)
    numbers = None if known is None else static(known)
    if numbers is None:
        raise GraphTypeError(f"{what} must be constant")
    return tuple(numbers)


def length_of(vector: Value, what: str) -> int:
    """The static number of elements of a vector."""
    if len(vector.dims) != 1 or not isinstance(vector.dims[0], int):
        raise GraphTypeError(f"{what} must be a vector of a known length")
    return vector.dims[0]


def normal_axis(axis: int, rank: int) -> int:
    """``axis`` counted from the front.

    Raises:
        GraphTypeError: if there is no such axis.
    """
    if not -rank <= axis < rank:
        raise GraphTypeError(f"there is no axis {axis} in a tensor of rank {rank}")
    return axis + rank if axis < 0 else axis


def normal_axes(axes: Iterable[int], rank: int) -> list[int]:
    """Axes counted from the front, all different."""
    result = [normal_axis(axis, rank) for axis in axes]
    if len(set(result)) != len(result):
        raise GraphTypeError(f"axes {result} name one axis twice")
    return result


def want_rank(value: Value, rank: int, what: str, at_least: bool = False) -> None:
    """Raises GraphTypeError unless ``value`` has this rank (or more)."""
    found = len(value.dims)
    if found != rank and not (at_least and found > rank):
        raise GraphTypeError(f"{what} has rank {found}, not {rank}{' or more' if at_least else ''}")


def agree(a: Int, b: Int, what: str) -> Int:
    """The size that two equal sizes are; the number if only one of them is one.

    Raises:
        GraphTypeError: if they differ for every value of the symbols.
    """
    if a == b:
        return a
    if compare(a, "==", b) is False:
        raise GraphTypeError(f"{what}: {a} against {b}")
    require(a, b)
    return b if isinstance(b, int) else a


def agree_all(a: Dims, b: Dims, what: str) -> None:
    """Raises GraphTypeError if two shapes certainly differ."""
    if len(a) != len(b):
        raise GraphTypeError(f"{what}: {show(a)} against {show(b)}")
    for x, y in zip(a, b, strict=True):
        agree(x, y, what)


def total(sizes: Iterable[Int]) -> Int:
    """The sum of sizes; 0 for none."""
    result: Int = 0
    for size in sizes:
        result = size + result
    return result


def ceil_div(a: Int, b: Int) -> Int:
    """``a / b`` rounded up."""
    return floordiv(a + b - 1, b)


def count_ratio(dims: Sequence[Int], others: Sequence[Int]) -> tuple[Int, Int]:
    """The number of elements of two shapes, without the sizes that occur in both."""
    left, right = list(dims), []
    for other in others:
        if other in left and other != 0:
            left.remove(other)
        else:
            right.append(other)
    return product(left), product(right)


def broadcast_dims(op: Builder, *shapes: Dims) -> Dims:
    """The dims of the broadcast of several shapes (numpy's rule).

    Two different symbols may be equal, or one of them 1: the result is then a symbol of its own.

    Raises:
        GraphTypeError: if two sizes can never match.
    """
    first = shapes[0]
    if all(shape == first for shape in shapes):
        return first
    rank = max(len(shape) for shape in shapes)
    result: list[Int] = []
    for axis in range(-rank, 0):
        known: Int = 1
        for shape in shapes:
            if len(shape) >= -axis and shape[axis] != known:
                known = _broadcast_axis(op, known, shape[axis], shapes)
        result.append(known)
    return tuple(result)


def _broadcast_axis(op: Builder, a: Int, b: Int, shapes: tuple[Dims, ...]) -> Int:
    if a == 1 or b == 1:
        return b if a == 1 else a
    a_wins, b_wins = compare(a, "==", 1) is False, compare(b, "==", 1) is False
    if a_wins and b_wins and compare(a, "==", b) is False:
        raise GraphTypeError(f"shapes {' and '.join(map(show, shapes))} cannot be broadcast: {a} against {b}")
    require(a, b, broadcast=True)
    # What is never 1 is the result, whether the other one is 1 or equal.
    if isinstance(a, int) or (a_wins and not isinstance(b, int)):
        return a
    if b_wins:
        return b
    return op.broadcast_symbol(a, b)


def show(dims: Dims) -> str:
    """A shape as text."""
    return f"[{', '.join(map(str, dims))}]"


def broadcastable_to(dims: Dims, target: Dims, what: str) -> None:
    """Raises GraphTypeError if a shape certainly does not broadcast to another one."""
    fits = len(dims) <= len(target) and all(
        d == 1 or d == t or compare(d, "==", t) is not False or compare(d, "==", 1) is not False
        for d, t in zip(reversed(dims), reversed(target), strict=False)
    )
    if not fits:
        raise GraphTypeError(f"{what} of shape {show(dims)} does not broadcast to {show(target)}")
    for d, t in zip(reversed(dims), reversed(target), strict=False):
        if d not in (1, t):
            require(d, t, broadcast=True)


def attribute_array(value: Any) -> np.ndarray:
    """A tensor attribute as an array."""
    return value if isinstance(value, np.ndarray) else np.asarray(value.numpy())


def reshape_operand(x: Value, target: tuple[Int, ...]) -> tuple[tuple[Int, ...], bool]:
    """What to ask ``Reshape`` for: 0 for what it copies, -1 for what it infers; and whether 0 means 0 instead."""
    if 0 in target:
        return target, True
    copied = [i < x.rank and isinstance(d, Dim) and x.dims[i] == d for i, d in enumerate(target)]
    shape: list[Int] = [0 if copied[i] else d for i, d in enumerate(target)]
    open_axes = [i for i, d in enumerate(shape) if isinstance(d, Dim)]
    if open_axes:
        inferred = min(open_axes, key=lambda i: bounds(target[i])[0] or 0)
        others = [bounds(d)[0] for i, d in enumerate(target) if i != inferred]
        if not all(low is not None and low > 0 for low in others):
            # With a 0 among the others nothing can be inferred, and a size that turns out to be 0 means 0, not a copy.
            return target, True
        shape[inferred] = -1
    return tuple(shape), False

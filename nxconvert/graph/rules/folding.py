"""The values of operators on constants, in numpy.

A function may return None where the standard leaves the result open or numpy computes another one than runtimes do; the
node is then emitted as it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import ml_dtypes
import numpy as np
import onnx_ir as ir

from nxconvert.graph.dims import static
from nxconvert.graph.rules import FOLD, fold_rule
from nxconvert.graph.rules.common import attribute_array
from nxconvert.graph.rules.shape import reshaped_dims

Array = np.ndarray

FOLD.update(
    {
        "Abs": np.abs,
        "Add": np.add,
        "And": np.logical_and,
        "BitwiseAnd": np.bitwise_and,
        "BitwiseNot": np.bitwise_not,
        "BitwiseOr": np.bitwise_or,
        "BitwiseXor": np.bitwise_xor,
        "Ceil": np.ceil,
        "Cos": np.cos,
        "Equal": np.equal,
        "Exp": np.exp,
        "Floor": np.floor,
        "Greater": np.greater,
        "GreaterOrEqual": np.greater_equal,
        "IsNaN": np.isnan,
        "Less": np.less,
        "LessOrEqual": np.less_equal,
        "Log": np.log,
        "Mul": np.multiply,
        "Neg": np.negative,
        "Not": np.logical_not,
        "Or": np.logical_or,
        "Reciprocal": np.reciprocal,
        "Round": np.rint,
        "Sign": np.sign,
        "Sin": np.sin,
        "Softplus": lambda x: np.logaddexp(x, np.zeros_like(x)),
        "Sqrt": np.sqrt,
        "Sub": np.subtract,
        "Tanh": np.tanh,
        "Where": np.where,
        "Xor": np.logical_xor,
    }
)


def _is_integer(x: Array) -> bool:
    return x.dtype.kind in "iu"


# ---- element by element ----------------------------------------------------------------------------------------------


@fold_rule("Div")
def _div(a: Array, b: Array) -> Array | None:
    if not _is_integer(a):
        return np.divide(a, b)
    if not b.all():
        return None
    quotient, rest = np.divmod(a, b)
    # numpy rounds down, ONNX towards zero.
    return quotient + ((rest != 0) & ((a < 0) != (b < 0))).astype(a.dtype)


@fold_rule("Mod")
def _mod(a: Array, b: Array, *, fmod: int = 0) -> Array | None:
    if _is_integer(a) and not b.all():
        return None
    return np.fmod(a, b) if fmod else np.mod(a, b)


@fold_rule("Pow")
def _pow(a: Array, b: Array) -> Array | None:
    if _is_integer(a) and not (_is_integer(b) and (b >= 0).all()):
        return None
    return np.power(a, b.astype(a.dtype))


def _chain(function: Callable[[Array, Array], Array]) -> Callable[..., Array]:
    def fold(first: Array, *others: Array) -> Array:
        for other in others:
            first = function(first, other)
        return first

    return fold


FOLD["Max"], FOLD["Min"], FOLD["Sum"] = _chain(np.maximum), _chain(np.minimum), _chain(np.add)


@fold_rule("BitShift")
def _bit_shift(a: Array, b: Array, *, direction: str) -> Array:
    return np.left_shift(a, b) if direction == "LEFT" else np.right_shift(a, b)


@fold_rule("Clip")
def _clip(x: Array, low: Array | None = None, high: Array | None = None) -> Array | None:
    if (low is None or high is None) and not np.isfinite(x).all():
        # A bound that is left out is the largest finite number to some runtimes, infinity to others.
        return None
    if low is not None:
        x = np.maximum(x, low)
    return x if high is None else np.minimum(x, high)


@fold_rule("Relu")
def _relu(x: Array) -> Array:
    return np.maximum(x, x.dtype.type(0))


@fold_rule("IsInf")
def _is_inf(x: Array, *, detect_negative: int = 1, detect_positive: int = 1) -> Array:
    return np.isinf(x) & (((x < 0) & bool(detect_negative)) | ((x > 0) & bool(detect_positive)))


@fold_rule("Identity")
def _identity(x: Array) -> Array:
    return x


# Eight bits and less saturate, which numpy does not know of.
_NUMPY_TYPES = frozenset(map(np.dtype, "?bhilqBHILQefd"))


@fold_rule("Cast")
def _cast(x: Array, *, to: Any, saturate: int = 1) -> Array | None:
    dtype = ir.DataType(to).numpy()
    if dtype == ml_dtypes.bfloat16 or x.dtype == ml_dtypes.bfloat16:
        # Runtimes go through float32.
        x = x.astype(np.float32)
    if x.dtype not in _NUMPY_TYPES or (dtype not in _NUMPY_TYPES and dtype != ml_dtypes.bfloat16):
        return None
    if dtype.kind in "iu" and x.dtype.kind == "f":
        # What C++ makes of a number that does not fit differs between machines.
        limits = np.iinfo(dtype)
        if not ((x >= float(limits.min)) & (x < float(limits.max) + 1)).all():
            return None
    return x.astype(dtype)


@fold_rule("CastLike")
def _cast_like(x: Array, like: Array, *, saturate: int = 1) -> Array | None:
    return _cast(x, to=ir.DataType.from_numpy(like.dtype))


# ---- shapes ----------------------------------------------------------------------------------------------------------


@fold_rule("Reshape")
def _reshape(x: Array, shape: Array, *, allowzero: int = 0) -> Array:
    return x.reshape(static(reshaped_dims(x.shape, tuple(shape.tolist()), allowzero)))


@fold_rule("Flatten")
def _flatten(x: Array, *, axis: int = 1) -> Array:
    return x.reshape(math.prod(x.shape[:axis]), math.prod(x.shape[axis:]))


@fold_rule("Transpose")
def _transpose(x: Array, *, perm: Sequence[int] | None = None) -> Array:
    return x.transpose(perm)


@fold_rule("Squeeze")
def _squeeze(x: Array, axes: Array | None = None) -> Array:
    return np.squeeze(x, None if axes is None else tuple(axes.tolist()))


@fold_rule("Unsqueeze")
def _unsqueeze(x: Array, axes: Array) -> Array:
    return np.expand_dims(x, tuple(axes.ravel().tolist()))


@fold_rule("Expand")
def _expand(x: Array, shape: Array) -> Array:
    return np.broadcast_to(x, np.broadcast_shapes(x.shape, tuple(shape.tolist())))


@fold_rule("Tile")
def _tile(x: Array, repeats: Array) -> Array:
    return np.tile(x, repeats.tolist())


@fold_rule("Concat")
def _concat(*parts: Array, axis: int) -> Array:
    return np.concatenate(parts, axis)


@fold_rule("Split")
def _split(x: Array, split: Array | None = None, *, axis: int = 0, num_outputs: int | None = None) -> list[Array]:
    if split is not None:
        ends = np.cumsum(split)[:-1]
    else:
        parts = num_outputs or 1
        ends = np.arange(1, parts) * -(-x.shape[axis] // parts)
    return np.split(x, ends, axis)


@fold_rule("Pad")
def _pad(
    x: Array, pads: Array, value: Array | None = None, axes: Array | None = None, *, mode: str = "constant"
) -> Array | None:
    which = range(x.ndim) if axes is None else [int(axis) % x.ndim for axis in axes]
    amounts = [(0, 0)] * x.ndim
    for i, axis in enumerate(which):
        amounts[axis] = (int(pads[i]), int(pads[i + len(which)]))
    if mode != "constant" or any(amount < 0 for pair in amounts for amount in pair):
        return None
    return np.pad(x, amounts, constant_values=x.dtype.type(0) if value is None else value.reshape(()))


@fold_rule("Constant")
def _constant(**attributes: Any) -> Array | None:
    ((name, value),) = attributes.items()
    if name == "value":
        return attribute_array(value)
    return None if "string" in name else np.asarray(value, np.int64 if "int" in name else np.float32)


@fold_rule("ConstantOfShape")
def _constant_of_shape(shape: Array, *, value: Any = None) -> Array:
    return np.full(shape.tolist(), np.float32(0) if value is None else attribute_array(value).reshape(()))


@fold_rule("Range")
def _range(start: Array, limit: Array, delta: Array) -> Array | None:
    if not delta:
        return None
    if not _is_integer(start):
        first, last, step = float(start), float(limit), float(delta)
        return first + np.arange(max(math.ceil((last - first) / step), 0)) * step
    return np.arange(int(start), int(limit), int(delta)).astype(start.dtype)


@fold_rule("EyeLike")
def _eye_like(x: Array, *, dtype: Any = None, k: int = 0) -> Array:
    return np.eye(x.shape[0], x.shape[1], k=k)


@fold_rule("Trilu")
def _trilu(x: Array, k: Array | None = None, *, upper: int = 1) -> Array:
    diagonal = 0 if k is None else int(k.reshape(()))
    return np.triu(x, diagonal) if upper else np.tril(x, diagonal)


# ---- selection -------------------------------------------------------------------------------------------------------


@fold_rule("Slice")
def _slice(x: Array, starts: Array, ends: Array, axes: Array | None = None, steps: Array | None = None) -> Array:
    window = [slice(None)] * x.ndim
    for i, start in enumerate(starts.tolist()):
        axis = i if axes is None else int(axes[i])
        step = 1 if steps is None else int(steps[i])
        size, end = x.shape[axis], int(ends[i])
        start = start + size if start < 0 else start
        end = end + size if end < 0 else end
        if step > 0:
            window[axis] = slice(max(start, 0), max(end, 0), step)
        else:
            # Before the first element is None to Python; a start before it is the first element to ONNX.
            window[axis] = slice(max(start, 0), end if end >= 0 else None, step)
    return x[tuple(window)]


@fold_rule("Gather")
def _gather(x: Array, indices: Array, *, axis: int = 0) -> Array:
    return np.take(x, indices, axis)


@fold_rule("GatherElements")
def _gather_elements(x: Array, indices: Array, *, axis: int = 0) -> Array:
    where: list[Any] = list(np.indices(indices.shape, sparse=True))
    where[axis] = indices
    return x[tuple(where)]


@fold_rule("GatherND")
def _gather_nd(x: Array, indices: Array, *, batch_dims: int = 0) -> Array:
    lead = np.indices(indices.shape[:-1], sparse=True)[:batch_dims]
    return x[(*lead, *np.moveaxis(indices, -1, 0))]


@fold_rule("ScatterElements")
def _scatter_elements(
    x: Array, indices: Array, updates: Array, *, axis: int = 0, reduction: str = "none"
) -> Array | None:
    if reduction != "none":
        return None
    where: list[Any] = list(np.indices(indices.shape, sparse=True))
    where[axis] = indices
    result = x.copy()
    result[tuple(where)] = updates
    return result


@fold_rule("ScatterND")
def _scatter_nd(x: Array, indices: Array, updates: Array, *, reduction: str = "none") -> Array | None:
    if reduction != "none":
        return None
    result = x.copy()
    result[tuple(np.moveaxis(indices, -1, 0))] = updates
    return result


@fold_rule("OneHot")
def _one_hot(indices: Array, depth: Array, values: Array, *, axis: int = -1) -> Array:
    count = int(depth.reshape(()))
    whole = indices.astype(np.int64)
    whole = np.where(whole < 0, whole + count, whole)
    hot = np.expand_dims(whole, axis) == np.arange(count).reshape(
        [-1] + [1] * (indices.ndim - axis % (indices.ndim + 1))
    )
    return np.where(hot, values[1], values[0])


@fold_rule("NonZero")
def _non_zero(x: Array) -> Array:
    return np.array(np.nonzero(x), np.int64).reshape(x.ndim, -1)


@fold_rule("Compress")
def _compress(x: Array, condition: Array, *, axis: int | None = None) -> Array:
    return np.compress(condition, x, axis)


@fold_rule("TopK")
def _top_k(x: Array, k: Array, *, axis: int = -1, largest: int = 1, sorted: int = 1) -> list[Array]:
    size, count = x.shape[axis], int(k.reshape(()))
    if largest:
        # Of equal elements the first one comes first: a stable sort from the back, read backwards.
        order = size - 1 - np.flip(np.argsort(np.flip(x, axis), axis, kind="stable"), axis)
    else:
        order = np.argsort(x, axis, kind="stable")
    order = np.take(order, np.arange(count), axis)
    return [np.take_along_axis(x, order, axis), order]


# ---- reductions ------------------------------------------------------------------------------------------------------


@fold_rule("ArgMax")
def _arg_max(x: Array, *, axis: int = 0, keepdims: int = 1, select_last_index: int = 0) -> Array:
    return _extreme_index(np.argmax, x, axis, keepdims, select_last_index)


@fold_rule("ArgMin")
def _arg_min(x: Array, *, axis: int = 0, keepdims: int = 1, select_last_index: int = 0) -> Array:
    return _extreme_index(np.argmin, x, axis, keepdims, select_last_index)


def _extreme_index(function: Callable[..., Array], x: Array, axis: int, keepdims: int, last: int) -> Array:
    if last:
        return x.shape[axis] - 1 - function(np.flip(x, axis), axis, keepdims=bool(keepdims))
    return function(x, axis, keepdims=bool(keepdims))


def _reduction(function: Callable[..., Array], integers: bool = True) -> Callable[..., Array | None]:
    """The fold of a reduction; ``integers`` says whether it is exact on them."""

    def fold(x: Array, axes: Array | None = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0) -> Array | None:
        if (axes is None or not axes.size) and noop_with_empty_axes:
            return x
        if not x.size or (_is_integer(x) and not integers):
            return None
        which = tuple(axes.tolist()) if axes is not None and axes.size else None
        return function(x, axis=which, keepdims=bool(keepdims))

    return fold


FOLD.update(
    {
        "ReduceL1": _reduction(lambda x, **k: np.sum(np.abs(x), dtype=x.dtype, **k)),
        "ReduceL2": _reduction(lambda x, **k: np.sqrt(np.sum(np.square(x), **k)), integers=False),
        "ReduceMax": _reduction(np.max),
        "ReduceMean": _reduction(np.mean, integers=False),
        "ReduceMin": _reduction(np.min),
        "ReduceProd": _reduction(lambda x, **k: np.prod(x, dtype=x.dtype, **k)),
        "ReduceSum": _reduction(lambda x, **k: np.sum(x, dtype=x.dtype, **k)),
        "ReduceSumSquare": _reduction(lambda x, **k: np.sum(np.square(x), dtype=x.dtype, **k)),
    }
)


@fold_rule("CumSum")
def _cumsum(x: Array, axis: Array, *, exclusive: int = 0, reverse: int = 0) -> Array:
    along = int(axis.reshape(()))
    if reverse:
        x = np.flip(x, along)
    total = np.cumsum(x, along, dtype=x.dtype)
    if exclusive:
        total = np.roll(total, 1, along)
        total[(slice(None),) * (along % x.ndim) + (slice(0, 1),)] = 0
    return np.flip(total, along) if reverse else total

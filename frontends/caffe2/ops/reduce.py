"""Reductions: over given axes, over the axes in front or behind, over everything; moments and norms.

Semantics: ``caffe2/operators/reduce_ops.h``, ``reduce_front_back_*_ops.h``, ``reduction_ops.h``, ``arg_ops.h``,
``moments_op.h``, ``batch_moments_op.h``, ``channel_stats_op.h``, ``normalize_op.h``, ``lpnorm_op.h``. Of nothing, sums
and means are 0 in Caffe2, and the largest number is the smallest finite one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import onnx_ir as ir

from nxconvert.frontends.caffe2.ops.arithmetic import first_axis
from nxconvert.frontends.caffe2.ops.numbers import axis_of, counting
from nxconvert.frontends.caffe2.table import (
    Builder,
    DataType,
    Images,
    Int,
    Ints,
    Lengths,
    LoweringError,
    Matrix,
    Value,
    Vector,
    caffe2,
)  # fmt: skip
from nxconvert.graph.dims import bounds, maximum, product, require


def may_be_empty(dims: Iterable[Int]) -> bool:
    """Whether a tensor of these dims may have no element."""
    return any(not bounds(dim)[0] for dim in dims)


def reduced(op: Builder, op_type: str, x: Value, axes: Sequence[int], keepdims: bool) -> Value:
    """A reduction over axes counted from the front; over none of them it is ``x`` itself, or its absolute value."""
    if not axes:
        return op.Abs(x) if op_type in ("ReduceL1", "ReduceL2") else x
    if may_be_empty(x.dims[axis] for axis in axes):
        if op_type == "ReduceMean":
            return _mean_or_zero(op, x, axes, keepdims)
        if op_type in ("ReduceMax", "ReduceMin"):
            x = _with_one_more(op, op_type, x, axes)
    every = len(axes) == x.rank
    return getattr(op, op_type)(x, None if every else op.const(list(axes)), keepdims=int(keepdims))


def _mean_or_zero(op: Builder, x: Value, axes: Sequence[int], keepdims: bool) -> Value:
    """The mean, 0 of nothing. Integers are divided towards zero."""
    number = maximum(product(x.dims[axis] for axis in axes), 1)
    return op.Div(reduced(op, "ReduceSum", x, axes, keepdims), as_number(op, number, x.etype))


def _with_one_more(op: Builder, op_type: str, x: Value, axes: Sequence[int]) -> Value:
    """One more element along each of the axes: the extreme of nothing."""
    dtype = x.etype.numpy()
    info = np.finfo(dtype) if x.etype.is_floating_point() else np.iinfo(dtype)
    nothing = op.const(np.array(info.min if op_type == "ReduceMax" else info.max, dtype))
    return op.Pad(x, [0] * x.rank + [int(axis in axes) for axis in range(x.rank)], nothing)


def as_number(op: Builder, number: Int, dtype: ir.DataType) -> Value:
    """A size as a tensor of rank 0."""
    if isinstance(number, int):
        return op.const(np.array(number, dtype.numpy()))
    return op.cast(op.dim_value(number), dtype)


# ---- over given axes -------------------------------------------------------------------------------------------------


def axes_of(axes: Sequence[int], rank: int) -> list[int]:
    """The axes of a reduction in order, counted from the front; all of them for none."""
    return sorted({axis_of(axis, rank) for axis in axes}) if axes else list(range(rank))


def _register_reduction(op_type: str) -> None:
    @caffe2(op_type)
    def reduction(op: Builder, x: Value, *, axes: Ints = (), keepdims: int = 1) -> Value:
        return reduced(op, op_type, x, axes_of(axes, x.rank), bool(keepdims))


for _name in ("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceL1", "ReduceL2"):
    _register_reduction(_name)


def _register_position(op_type: str) -> None:
    @caffe2(op_type)
    def position(op: Builder, x: Value, *, axis: int = -1, keepdims: int = 1) -> Value:
        """Where the extreme is along an axis, the first of equal ones; int64."""
        if axis != -1:
            axis_of(axis, x.rank)
        return getattr(op, op_type)(x, axis=axis, keepdims=int(bool(keepdims)))


_register_position("ArgMax")
_register_position("ArgMin")


@caffe2("Moments")
def moments(op: Builder, x: Value, *, axes: Ints = (), keepdims: int = 1) -> tuple[Value, Value]:
    """Mean and variance (of all, not of a sample)."""
    over = axes_of(axes, x.rank)
    if not over:
        return x, op.Sub(x, x)
    centre = reduced(op, "ReduceMean", x, over, True)
    offset = op.Sub(x, centre)
    variance = reduced(op, "ReduceMean", op.Mul(offset, offset), over, bool(keepdims))
    return centre if keepdims else op.Squeeze(centre, over), variance


# ---- over the axes in front or behind --------------------------------------------------------------------------------


def _edge_axes(x: Value, count: int, front: bool) -> list[int]:
    if not 0 <= count <= x.rank:
        raise LoweringError(f"{count} axes of a tensor of rank {x.rank} cannot be reduced")
    return list(range(count)) if front else list(range(x.rank - count, x.rank))


def _present(op: Builder, x: Value, axis: int, lengths: Value) -> tuple[Value, Value]:
    """Which elements along an axis count, one length for each place in the other axes; and the lengths in that form.

    The first element counts always.
    """
    others = [dim for i, dim in enumerate(x.dims) if i != axis]
    shaped = op.Unsqueeze(op.reshape(lengths, others), [axis])
    places = op.reshape(
        counting(op, x.dims[axis], DataType.INT32), [1] * axis + [x.dims[axis]] + [1] * len(others[axis:])
    )
    return op.Less(places, op.Max(shaped, op.const(1, shaped.etype))), shaped


def _register_edge(operator: str, kind: str, front: bool) -> None:
    op_type = f"Reduce{kind}"

    @caffe2(operator)
    def edge(op: Builder, x: Value, lengths: Lengths | None = None, *, num_reduce_dim: int = 1) -> Value:
        """Over the first or the last axes; over one axis, with lengths, the first elements along it alone."""
        axes = _edge_axes(x, num_reduce_dim, front)
        if lengths is not None:
            if len(axes) != 1:
                raise LoweringError("lengths go with one axis")
            return _of_lengths(op, kind, x, axes[0], lengths)
        if kind == "Mean" and not x.etype.is_floating_point():
            return _mean_or_zero(op, x, axes, False) if axes else x
        if kind == "Max" and axes and may_be_empty(x.dims):
            return _largest_or_zero(op, x, axes)
        return reduced(op, op_type, x, axes, False)


def _of_lengths(op: Builder, kind: str, x: Value, axis: int, lengths: Value) -> Value:
    present, shaped = _present(op, x, axis, lengths)
    if kind == "Max":
        lowest = op.const(float(np.finfo(np.float32).min), x.etype)
        return op.ReduceMax(op.Where(present, x, lowest), [axis], keepdims=0)
    total = op.ReduceSum(op.Where(present, x, op.const(0, x.etype)), [axis], keepdims=0)
    return total if kind == "Sum" else op.Div(total, op.cast(op.Squeeze(shaped, [axis]), x.etype))


def _largest_or_zero(op: Builder, x: Value, axes: Sequence[int]) -> Value:
    """The largest, 0 of nothing."""
    found = reduced(op, "ReduceMax", x, axes, False)
    number = product(x.dims[axis] for axis in axes)
    return op.Where(op.Equal(as_number(op, number, DataType.INT64), 0), op.const(0, x.etype), found)


for _kind in ("Sum", "Mean", "Max"):
    _register_edge(f"ReduceFront{_kind}", _kind, front=True)
    _register_edge(f"ReduceBack{_kind}", _kind, front=False)


@caffe2("ReduceTailSum")
def reduce_tail_sum(op: Builder, x: Matrix) -> Value:
    """The sum of each row."""
    return reduced(op, "ReduceSum", x, range(1, x.rank), False)


@caffe2("ReduceFrontWeightedSum")
def reduce_front_weighted_sum(op: Builder, x: Matrix, weights: Vector) -> Value:
    """The sum of rows, each times its weight."""
    shaped = op.reshape(weights, [x.dims[0], *[1] * (x.rank - 1)])
    return op.ReduceSum(op.Mul(x, shaped), [0], keepdims=0)


@caffe2("RowwiseMax")
def rowwise_max(op: Builder, x: Value) -> Value:
    """The largest of each row of each matrix in a batch."""
    return _of_matrices(op, x, 2)


@caffe2("ColwiseMax")
def colwise_max(op: Builder, x: Value) -> Value:
    """The largest of each column of each matrix in a batch."""
    return _of_matrices(op, x, 1)


def _of_matrices(op: Builder, x: Value, axis: int) -> Value:
    if x.rank != 3:
        raise LoweringError(f"it takes a batch of matrices, not a tensor of rank {x.rank}")
    return reduced(op, "ReduceMax", x, [axis], False)


@caffe2("SumReduceLike")
def sum_reduce_like(
    op: Builder, a: Value, b: Value, *, axis: int = -1, axis_str: str = "", order: str = "NCHW"
) -> Value:
    """The sum over the axes that broadcasting the second input to the first would add or widen."""
    if product(b.dims) == 1:
        return op.reshape(reduced(op, "ReduceSum", a, range(a.rank), False), b.dims)
    start = first_axis(a, b, axis, axis_str, order)
    matched = {start + i for i, dim in enumerate(b.dims) if dim != 1}
    for i in matched:
        require(a.dims[i], b.dims[i - start])
    return op.reshape(reduced(op, "ReduceSum", a, [i for i in range(a.rank) if i not in matched], False), b.dims)


# ---- over everything -------------------------------------------------------------------------------------------------


def _over_all(op: Builder, op_type: str, x: Value, average: int) -> Value:
    """The sum or the mean of all elements (of nothing 0), of rank 0."""
    total = getattr(op, op_type)(x, keepdims=0) if x.rank else (op.Mul(x, x) if op_type == "ReduceSumSquare" else x)
    return op.Div(total, as_number(op, maximum(product(x.dims), 1), x.etype)) if average else total


@caffe2("SumElements")
def sum_elements(op: Builder, x: Value, *, average: int = 0) -> Value:
    return reduced(op, "ReduceMean", x, range(x.rank), False) if average else _over_all(op, "ReduceSum", x, 0)


@caffe2("SumElementsInt")
def sum_elements_int(op: Builder, x: Value) -> Value:
    return _over_all(op, "ReduceSum", x, 0)


@caffe2("SumSqrElements")
def sum_sqr_elements(op: Builder, x: Value, *, average: int = 0) -> Value:
    return _over_all(op, "ReduceSumSquare", x, average)


@caffe2("AveragedLoss")
def averaged_loss(op: Builder, x: Value) -> Value:
    return sum_elements(op, x, average=1)


@caffe2("LpNorm")
def lp_norm(op: Builder, x: Value, *, p: int = 2, average: int = 0) -> Value:
    """The sum of absolute values or of squares (no root is taken), or their mean; of shape [1]."""
    if p not in (1, 2):
        raise LoweringError(f"p is {p}, neither 1 nor 2")
    return op.reshape(_over_all(op, "ReduceL1" if p == 1 else "ReduceSumSquare", x, average), [1])


# ---- channels --------------------------------------------------------------------------------------------------------


def _but_channels(x: Value, order: str) -> list[int]:
    channel = 1 if order == "NCHW" else x.rank - 1
    return [axis for axis in range(x.rank) if axis != channel]


@caffe2("BatchMoments")
def batch_moments(op: Builder, x: Images, *, order: str = "NCHW") -> tuple[Value, Value]:
    """Of each channel the mean and the mean square."""
    axes = _but_channels(x, order)
    return op.ReduceMean(x, axes, keepdims=0), op.ReduceMean(op.Mul(x, x), axes, keepdims=0)


@caffe2("ChannelStats")
def channel_stats(op: Builder, x: Images, *, order: str = "NCHW") -> tuple[Value, Value]:
    """Of each channel the sum and the sum of squares."""
    axes = _but_channels(x, order)
    return op.ReduceSum(x, axes, keepdims=0), op.ReduceSumSquare(x, axes, keepdims=0)


# ---- vectors of length 1 ---------------------------------------------------------------------------------------------


@caffe2("Normalize")
def normalize(op: Builder, x: Matrix, *, axis: int = -1) -> Value:
    """Divides by the Euclidean norm along an axis, which counts as 1e-12 at least."""
    norm = op.ReduceL2(x, [axis_of(axis, x.rank)], keepdims=1)
    return op.Div(x, op.Max(norm, 1e-12))


@caffe2("NormalizeL1")
def normalize_l1(op: Builder, x: Matrix, *, axis: int = -1) -> Value:
    """Divides by the sum of absolute values along an axis; zeros stay zeros."""
    norm = op.ReduceL1(x, [axis_of(axis, x.rank)], keepdims=1)
    return op.Div(x, op.Max(norm, float(np.finfo(np.float32).tiny)))

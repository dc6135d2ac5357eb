"""Operators that reduce or scan along axes: sums, extremes, softmax, cumulative sums, losses."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import onnx_ir as ir

from nxconvert.graph.rules import infer_rule
from nxconvert.graph.rules.common import Dims, agree, normal_axes, normal_axis, same, static_integers, tensor, want_rank
from nxconvert.graph.values import GraphTypeError, TensorType, Value

if TYPE_CHECKING:
    from nxconvert.graph.builder import Builder

REDUCTIONS = (
    "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd",
    "ReduceSum", "ReduceSumSquare",
)  # fmt: skip


def reduced_dims(dims: Dims, axes: Iterable[int], keepdims: int) -> Dims:
    """The dims that are left when ``axes`` are reduced."""
    gone = normal_axes(axes, len(dims))
    if keepdims:
        return tuple(1 if axis in gone else d for axis, d in enumerate(dims))
    return tuple(d for axis, d in enumerate(dims) if axis not in gone)


@infer_rule(*REDUCTIONS)
def _reduction(
    op: Builder, x: Value, axes: Value | None = None, /, *, keepdims: int = 1, noop_with_empty_axes: int = 0
) -> list[TensorType]:
    given = static_integers(axes, "the axes")
    if not given:
        if noop_with_empty_axes:
            return same(x)
        given = tuple(range(len(x.dims)))
    return tensor(x.etype, reduced_dims(x.dims, given, keepdims))


@infer_rule("ArgMax", "ArgMin")
def _arg_extreme(
    op: Builder, x: Value, /, *, axis: int = 0, keepdims: int = 1, select_last_index: int = 0
) -> list[TensorType]:
    return tensor(ir.DataType.INT64, reduced_dims(x.dims, [axis], keepdims))


@infer_rule("Hardmax", "LogSoftmax", "Softmax")
def _softmax(op: Builder, x: Value, /, *, axis: int = -1) -> list[TensorType]:
    if x.dims:
        normal_axis(axis, len(x.dims))
    return same(x)


@infer_rule("CumSum")
def _cumsum(op: Builder, x: Value, axis: Value, /, *, exclusive: int = 0, reverse: int = 0) -> list[TensorType]:
    if axis.array is not None:
        normal_axis(int(axis.array.reshape(())), len(x.dims))
    return same(x)


@infer_rule("Det")
def _det(op: Builder, x: Value, /) -> list[TensorType]:
    want_rank(x, 2, "the input", at_least=True)
    agree(x.dims[-2], x.dims[-1], "the matrix is not square")
    return tensor(x.etype, x.dims[:-2])


@infer_rule("SoftmaxCrossEntropyLoss")
def _loss(
    op: Builder, x: Value, target: Value, weight: Value | None = None, /, *, reduction: str = "mean", **_: Any
) -> list[TensorType]:
    want_rank(x, 2, "the input", at_least=True)
    if len(target.dims) != len(x.dims) - 1:
        raise GraphTypeError("the target does not have the input's axes without its classes")
    for a, b in zip((x.dims[0], *x.dims[2:]), target.dims, strict=True):
        agree(a, b, "input and target differ in size")
    return [TensorType(x.etype, target.dims if reduction == "none" else ()), TensorType(x.etype, x.dims)]


@infer_rule("NegativeLogLikelihoodLoss")
def _likelihood_loss(
    op: Builder, x: Value, target: Value, weight: Value | None = None, /, **attributes: Any
) -> list[TensorType]:
    return _loss(op, x, target, weight, **attributes)[:1]

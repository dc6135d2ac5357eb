"""Normalisations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import onnx_ir as ir

from nxconvert.graph.rules import infer_rule
from nxconvert.graph.rules.common import agree, broadcastable_to, dtype_of, normal_axes, normal_axis, same, want_rank
from nxconvert.graph.values import TensorType, Value

if TYPE_CHECKING:
    from nxconvert.graph.builder import Builder


def _per_channel(x: Value, *parameters: Value) -> None:
    for parameter in parameters:
        want_rank(parameter, 1, "a parameter")
        agree(parameter.dims[0], x.dims[1] if len(x.dims) > 1 else 1, "a parameter does not fit the channels")


@infer_rule("BatchNormalization")
def _batch_normalization(
    op: Builder,
    x: Value,
    scale: Value,
    bias: Value,
    mean: Value,
    variance: Value,
    /,
    *,
    training_mode: int = 0,
    **_: Any,
) -> list[TensorType]:
    want_rank(x, 1, "the input", at_least=True)
    _per_channel(x, scale, bias, mean, variance)
    return [*same(x), *same(mean), *same(variance)] if training_mode else same(x)


@infer_rule("InstanceNormalization")
def _instance_normalization(
    op: Builder, x: Value, scale: Value, bias: Value, /, *, epsilon: float = 1e-5
) -> list[TensorType]:
    want_rank(x, 3, "the input", at_least=True)
    _per_channel(x, scale, bias)
    return same(x)


@infer_rule("GroupNormalization")
def _group_normalization(
    op: Builder, x: Value, scale: Value, bias: Value, /, *, num_groups: int, **_: Any
) -> list[TensorType]:
    want_rank(x, 3, "the input", at_least=True)
    for parameter in (scale, bias):
        want_rank(parameter, 1, "a parameter")
        agree(parameter.dims[0], num_groups, "a parameter does not fit the groups")
    return same(x)


@infer_rule("LayerNormalization")
def _layer_normalization(
    op: Builder,
    x: Value,
    scale: Value,
    bias: Value | None = None,
    /,
    *,
    axis: int = -1,
    stash_type: int = 1,
    epsilon: float = 1e-5,
) -> list[TensorType]:
    axis = normal_axis(axis, len(x.dims))
    for parameter in (scale, bias):
        if parameter is not None:
            broadcastable_to(parameter.dims, x.dims, "a parameter")
    statistic = TensorType(dtype_of(stash_type, ir.DataType.FLOAT), (*x.dims[:axis], *(1,) * (len(x.dims) - axis)))
    return [TensorType(x.etype, x.dims), statistic, statistic]


@infer_rule("LpNormalization")
def _lp_normalization(op: Builder, x: Value, /, *, axis: int = -1, p: int = 2) -> list[TensorType]:
    normal_axis(axis, len(x.dims))
    return same(x)


@infer_rule("MeanVarianceNormalization")
def _mean_variance_normalization(op: Builder, x: Value, /, *, axes: Sequence[int] = (0, 2, 3)) -> list[TensorType]:
    normal_axes(axes, len(x.dims))
    return same(x)


@infer_rule("LRN")
def _lrn(op: Builder, x: Value, /, *, size: int, **_: Any) -> list[TensorType]:
    want_rank(x, 2, "the input", at_least=True)
    return same(x)

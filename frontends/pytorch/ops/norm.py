"""Normalisation by mean and variance (batch, instance, group, layer), by root mean square, and of weights by norms."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from nxconvert.frontends.pytorch.dtypes import DataType
from nxconvert.frontends.pytorch.ops.common import as_tensor, axis_of, known
from nxconvert.frontends.pytorch.table import Builder, Int, Ints, Number, Value, aten
from nxconvert.graph.builder import GraphTypeError
from nxconvert.graph.dims import Dim, floordiv, product
from nxconvert.graph.schema import HALVES


def statistics(op: Builder, x: Value, axes: Sequence[int]) -> tuple[Value, Value, Value]:
    """The mean, ``x`` without it, and the biased variance, over ``axes``, which are kept with size 1."""
    mean = op.ReduceMean(x, list(axes))
    centred = op.Sub(x, mean)
    return mean, centred, op.ReduceMean(op.Mul(centred, centred), list(axes))


def inverse_deviation(op: Builder, variance: Value, eps: Number) -> Value:
    """``1 / sqrt(variance + eps)``."""
    return op.Reciprocal(op.Sqrt(op.Add(variance, as_tensor(op, eps, variance.etype))))


def _per_channel(op: Builder, x: Value, parameter: Value | None) -> Value | None:
    """A vector for the channels (axis 1) of ``x``, ready to be broadcast against it, in its dtype."""
    if parameter is None:
        return None
    shaped = parameter if x.rank == 2 else op.Unsqueeze(parameter, list(range(1, x.rank - 1)))
    return op.cast(shaped, x.etype)


def scale_and_shift(op: Builder, x: Value, weight: Value | None, bias: Value | None) -> Value:
    """``x * weight + bias`` as far as they are given."""
    if weight is not None:
        x = op.Mul(x, weight)
    return x if bias is None else op.Add(x, bias)


def _filled(op: Builder, given: Value | None, size: Int, fill: float, dtype: DataType) -> Value:
    """A parameter of the channels, or a vector of ``fill`` in its place."""
    return op.expand(op.const([fill], dtype), [size]) if given is None else given


# ---- batch and instance ---------------------------------------------------------------------------------------------


def _with_running_statistics(
    op: Builder, x: Value, weight: Value | None, bias: Value | None, mean: Value, variance: Value, eps: Number
) -> Value:
    channels = mean.dims[0]
    scale = _filled(op, weight, channels, 1, mean.etype)
    shift = _filled(op, bias, channels, 0, scale.etype)
    return op.BatchNormalization(x, scale, op.cast(shift, scale.etype), mean, variance, epsilon=known(eps, "eps"))


def _with_own_statistics(
    op: Builder, x: Value, weight: Value | None, bias: Value | None, eps: Number
) -> tuple[Value, Value, Value, Value]:
    """The result, and mean, variance and inverse deviation of each channel."""
    if x.rank < 2:
        raise GraphTypeError(f"the input has rank {x.rank}, not 2 or more")
    axes = [0, *range(2, x.rank)]
    mean, centred, variance = statistics(op, x, axes)
    inverse = inverse_deviation(op, variance, eps)
    y = scale_and_shift(op, op.Mul(centred, inverse), _per_channel(op, x, weight), _per_channel(op, x, bias))
    per_channel = [op.Squeeze(s, axes) for s in (mean, variance, inverse)]
    return y, *per_channel


def _batch_norm(
    op: Builder, x: Value, weight: Value | None, bias: Value | None, mean: Value | None, variance: Value | None,
    training: bool, eps: Number,
) -> tuple[Value, Value, Value]:  # fmt: skip
    """The result, and what training saves: mean and inverse deviation, empty in evaluation (as on CPUs)."""
    if training or mean is None or variance is None:
        y, own_mean, _, inverse = _with_own_statistics(op, x, weight, bias, eps)
        return y, own_mean, inverse
    nothing = op.const(np.zeros(0), x.etype)
    return _with_running_statistics(op, x, weight, bias, mean, variance, eps), nothing, nothing


@aten("batch_norm")
def batch_norm(
    op: Builder, input: Value, weight: Value | None, bias: Value | None, running_mean: Value | None,
    running_var: Value | None, training: bool, momentum: Number, eps: Number, cudnn_enabled: bool,
) -> Value:  # fmt: skip
    return _batch_norm(op, input, weight, bias, running_mean, running_var, training, eps)[0]


@aten("native_batch_norm", "_native_batch_norm_legit")
def native_batch_norm(
    op: Builder, input: Value, weight: Value | None, bias: Value | None, running_mean: Value | None,
    running_var: Value | None, training: bool, momentum: Number, eps: Number,
) -> tuple[Value, ...]:  # fmt: skip
    return _batch_norm(op, input, weight, bias, running_mean, running_var, training, eps)


@aten("_native_batch_norm_legit.no_stats")
def native_batch_norm_no_stats(
    op: Builder, input: Value, weight: Value | None, bias: Value | None, training: bool, momentum: Number, eps: Number
) -> tuple[Value, ...]:
    return _batch_norm(op, input, weight, bias, None, None, True, eps)


@aten("_native_batch_norm_legit_no_training")
def native_batch_norm_no_training(
    op: Builder, input: Value, weight: Value | None, bias: Value | None, running_mean: Value, running_var: Value,
    momentum: Number, eps: Number,
) -> tuple[Value, ...]:  # fmt: skip
    return _batch_norm(op, input, weight, bias, running_mean, running_var, False, eps)


@aten("_native_batch_norm_legit_functional")
def native_batch_norm_functional(
    op: Builder, input: Value, weight: Value | None, bias: Value | None, running_mean: Value, running_var: Value,
    training: bool, momentum: Number, eps: Number,
) -> tuple[Value, ...]:  # fmt: skip
    """The running statistics as they are afterwards come last; their variance is the unbiased one."""
    if not training:
        results = _batch_norm(op, input, weight, bias, running_mean, running_var, False, eps)
        return (*results, running_mean, running_var)
    y, mean, variance, inverse = _with_own_statistics(op, input, weight, bias, eps)
    count = product((input.dims[0], *input.dims[2:]))
    dtype = running_var.etype
    unbiased = op.Div(op.Mul(variance, as_tensor(op, count, dtype)), as_tensor(op, count - 1, dtype))
    step = as_tensor(op, momentum, dtype)
    updated = [
        op.Add(op.Mul(old, op.Sub(op.const(1, dtype), step)), op.Mul(op.cast(new, dtype), step))
        for old, new in ((running_mean, mean), (running_var, unbiased))
    ]
    return y, mean, inverse, *updated


@aten("_batch_norm_with_update")
def batch_norm_with_update(
    op: Builder, input: Value, weight: Value | None, bias: Value | None, running_mean: Value, running_var: Value,
    momentum: Number, eps: Number,
) -> tuple[Value, ...]:  # fmt: skip
    """Training; the last result is scratch space, empty on CPUs."""
    results = _batch_norm(op, input, weight, bias, running_mean, running_var, True, eps)
    return *results, op.const(np.zeros(0), DataType.UINT8)


@aten("_batch_norm_no_update")
def batch_norm_no_update(
    op: Builder, input: Value, weight: Value | None, bias: Value | None, running_mean: Value | None,
    running_var: Value | None, momentum: Number, eps: Number,
) -> tuple[Value, ...]:  # fmt: skip
    results = _batch_norm(op, input, weight, bias, running_mean, running_var, False, eps)
    return *results, op.const(np.zeros(0), DataType.UINT8)


@aten("cudnn_batch_norm", "miopen_batch_norm")
def cudnn_batch_norm(
    op: Builder, input: Value, weight: Value, bias: Value | None, running_mean: Value | None,
    running_var: Value | None, training: bool, exponential_average_factor: Number, epsilon: Number,
) -> tuple[Value, ...]:  # fmt: skip
    results = _batch_norm(op, input, weight, bias, running_mean, running_var, training, epsilon)
    return *results, op.const(np.zeros(0), DataType.UINT8)


@aten("instance_norm")
def instance_norm(
    op: Builder, input: Value, weight: Value | None, bias: Value | None, running_mean: Value | None,
    running_var: Value | None, use_input_stats: bool, momentum: Number, eps: Number, cudnn_enabled: bool,
) -> Value:  # fmt: skip
    """Each channel of each image by its own statistics, or by running ones as in batch normalisation."""
    if not use_input_stats and running_mean is not None and running_var is not None:
        return _with_running_statistics(op, input, weight, bias, running_mean, running_var, eps)
    return _instance_norm(op, input, weight, bias, eps)


def _instance_norm(op: Builder, x: Value, weight: Value | None, bias: Value | None, eps: Number) -> Value:
    if x.etype == DataType.DOUBLE:
        # ONNX Runtime has no InstanceNormalization in double.
        _, centred, variance = statistics(op, x, range(2, x.rank))
        y = op.Mul(centred, inverse_deviation(op, variance, eps))
        return scale_and_shift(op, y, _per_channel(op, x, weight), _per_channel(op, x, bias))
    scale, shift = (_filled(op, p, x.dims[1], fill, x.etype) for p, fill in ((weight, 1), (bias, 0)))
    return op.InstanceNormalization(x, op.cast(scale, x.etype), op.cast(shift, x.etype), epsilon=known(eps, "eps"))


# ---- groups ---------------------------------------------------------------------------------------------------------


@aten("group_norm")
def group_norm(
    op: Builder, input: Value, num_groups: Int, weight: Value | None = None, bias: Value | None = None,
    eps: Number = 1e-5, cudnn_enabled: bool = True,
) -> Value:  # fmt: skip
    """``[batch, channels, ...]``; the channels of a group share their statistics."""
    if input.rank < 2:
        raise GraphTypeError(f"the input has rank {input.rank}, not 2 or more")
    if num_groups == input.dims[1] and input.rank > 2:
        return _instance_norm(op, input, weight, bias, eps)
    y = _instance_norm(op, _grouped(op, input, num_groups), None, None, eps)
    if sum(isinstance(d, Dim) for d in input.dims[2:]) > 1:
        # Reshape leaves one size open only: the others would be taken from the shape one by one.
        y = op.Reshape(y, op.Shape(input))
    else:
        y = op.reshape(y, input.dims)
    return scale_and_shift(op, y, _per_channel(op, input, weight), _per_channel(op, input, bias))


def _grouped(op: Builder, x: Value, groups: Int) -> Value:
    """``[batch, groups, elements of a group]``."""
    channels = floordiv(x.dims[1], known(groups, "the number of groups"))
    return op.reshape(x, [x.dims[0], groups, product([channels, *x.dims[2:]])])


@aten("native_group_norm")
def native_group_norm(
    op: Builder, input: Value, weight: Value | None, bias: Value | None, N: Int, C: Int, HxW: Int, group: Int,
    eps: Number,
) -> tuple[Value, Value, Value]:  # fmt: skip
    """With mean and inverse deviation of each group."""
    mean, _, variance = statistics(op, _grouped(op, input, group), [2])
    saved = [op.Squeeze(s, [2]) for s in (mean, inverse_deviation(op, variance, eps))]
    return group_norm(op, input, group, weight, bias, eps), *saved


# ---- layers ---------------------------------------------------------------------------------------------------------


def _last_axes(x: Value, shape: Ints) -> list[int]:
    """The axes that the last dims, ``shape``, are."""
    count = len(shape)
    if not 0 < count <= x.rank:
        raise GraphTypeError(f"the input has rank {x.rank}, {count} axes are to be normalised")
    return list(range(x.rank - count, x.rank))


@aten("layer_norm")
def layer_norm(
    op: Builder, input: Value, normalized_shape: Ints, weight: Value | None = None, bias: Value | None = None,
    eps: Number = 1e-5, cudnn_enable: bool = True,
) -> Value:  # fmt: skip
    return _layer_norm(op, input, normalized_shape, weight, bias, eps)[0]


@aten("native_layer_norm")
def native_layer_norm(
    op: Builder, input: Value, normalized_shape: Ints, weight: Value | None, bias: Value | None, eps: Number
) -> tuple[Value, ...]:
    """With mean and inverse deviation, the normalised axes kept with size 1."""
    return _layer_norm(op, input, normalized_shape, weight, bias, eps, saved=True)


def _layer_norm(
    op: Builder, x: Value, shape: Ints, weight: Value | None, bias: Value | None, eps: Number, saved: bool = False
) -> tuple[Value, ...]:
    axes = _last_axes(x, shape)
    if weight is not None and weight.etype != x.etype:
        # Parameters may be of a wider dtype than the input, and everything is computed in it.
        wide = _layer_norm(op, op.cast(x, weight.etype), shape, weight, bias, eps, saved)
        return op.cast(wide[0], x.etype), *wide[1:]
    if weight is None:
        weight = op.expand(op.const(1, x.etype), shape)
    settings = {"axis": axes[0] - x.rank, "epsilon": known(eps, "eps")}
    if not saved:
        return (op.LayerNormalization(x, weight, bias, **settings),)
    if x.etype == DataType.FLOAT:
        return op.LayerNormalization(x, weight, bias, _outputs=3, **settings)
    mean, _, variance = statistics(op, x, axes)
    return op.LayerNormalization(x, weight, bias, **settings), mean, inverse_deviation(op, variance, eps)


def _rms_norm(op: Builder, x: Value, shape: Ints, weight: Value | None, eps: Number | None) -> tuple[Value, Value]:
    """``x / sqrt(mean(x²) + eps) * weight``, in float32 for halves; and ``1 / sqrt(...)``.

    These are the operators that ONNX Runtime fuses into its ``SimplifiedLayerNormalization``.
    """
    axes = _last_axes(x, shape)
    wide = op.cast(x, DataType.FLOAT) if x.etype in HALVES else x
    if eps is None:
        eps = float(np.finfo(wide.etype.numpy()).eps)
    mean_square = op.ReduceMean(op.Pow(wide, op.const(2, wide.etype)), axes)
    root = op.Sqrt(op.Add(mean_square, as_tensor(op, eps, wide.etype)))
    y = op.Div(wide, root)
    if weight is not None:
        y = op.Mul(y, op.cast(weight, wide.etype))
    return op.cast(y, x.etype), op.Reciprocal(root)


@aten("rms_norm")
def rms_norm(
    op: Builder, input: Value, normalized_shape: Ints, weight: Value | None = None, eps: Number | None = None
) -> Value:
    return _rms_norm(op, input, normalized_shape, weight, eps)[0]


@aten("_fused_rms_norm")
def fused_rms_norm(
    op: Builder, input: Value, normalized_shape: Ints, weight: Value | None, eps: Number | None
) -> tuple[Value, Value]:
    return _rms_norm(op, input, normalized_shape, weight, eps)


# ---- norms of weights -----------------------------------------------------------------------------------------------


def p_norm(op: Builder, x: Value, p: Number, axes: Sequence[int], keepdims: int = 1) -> Value:
    """``sum(|x| ** p) ** (1 / p)`` over ``axes``, with the limits that PyTorch defines for 0 and the infinities."""
    axes = list(axes)
    order: float = known(p, "the order of the norm")
    if order == 2:
        return op.ReduceL2(x, axes, keepdims=keepdims)
    if order == 1:
        return op.ReduceL1(x, axes, keepdims=keepdims)
    if order == 0:
        counted = op.Cast(op.Cast(x, to=DataType.BOOL), to=x.etype)
        return op.ReduceSum(counted, axes, keepdims=keepdims)
    if math.isinf(order):
        extreme = op.ReduceMax if order > 0 else op.ReduceMin
        return extreme(op.Abs(x), axes, keepdims=keepdims)
    total = op.ReduceSum(op.Pow(op.Abs(x), op.const(order, x.etype)), axes, keepdims=keepdims)
    return op.Pow(total, op.const(1 / order, x.etype))


def _others(x: Value, dim: Int) -> list[int]:
    """Every axis but ``dim``."""
    return [axis for axis in range(x.rank) if axis != axis_of(dim, x.rank)]


@aten("renorm")
def renorm(op: Builder, self: Value, p: Number, dim: Int, maxnorm: Number) -> Value:
    """Slices along ``dim`` whose norm is larger than ``maxnorm`` are scaled down to it."""
    norm = p_norm(op, self, p, _others(self, dim))
    limit = as_tensor(op, maxnorm, norm.etype)
    factor = op.Div(limit, op.Add(norm, op.const(1e-7, norm.etype)))
    return op.Mul(self, op.Where(op.Greater(norm, limit), factor, op.const(1, norm.etype)))


@aten("norm_except_dim")
def norm_except_dim(op: Builder, v: Value, pow: Int = 2, dim: Int = 0) -> Value:
    """The norm of each slice along ``dim``; of everything, without dims, if that is -1."""
    return p_norm(op, v, pow, range(v.rank), keepdims=0) if dim == -1 else p_norm(op, v, pow, _others(v, dim))


@aten("_weight_norm")
def weight_norm(op: Builder, v: Value, g: Value, dim: Int = 0) -> Value:
    """The direction of ``v`` with the lengths ``g``."""
    return op.Mul(v, op.Div(g, norm_except_dim(op, v, 2, dim)))


@aten("_weight_norm_interface")
def weight_norm_interface(op: Builder, v: Value, g: Value, dim: Int = 0) -> tuple[Value, Value]:
    return weight_norm(op, v, g, dim), norm_except_dim(op, v, 2, dim)

"""Normalisations of images and layers, what scales their channels, and what shuffles them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nxconvert.frontends.caffe2.ops.numbers import axis_of
from nxconvert.frontends.caffe2.ops.window import channels_first, channels_last, is_nhwc
from nxconvert.frontends.caffe2.table import Builder, Images, LoweringError, Matrix, Value, Weight, caffe2
from nxconvert.graph.dims import Dim, floordiv, product


def _moments(op: Builder, x: Value, axes: Sequence[int]) -> tuple[Value, Value]:
    """Mean and biased variance over some axes, which are kept with size 1."""
    mean = op.ReduceMean(x, list(axes))
    centred = op.Sub(x, mean)
    return mean, op.ReduceMean(op.Mul(centred, centred), list(axes))


def _deviation(op: Builder, variance: Value, epsilon: float) -> Value:
    return op.Sqrt(op.Add(variance, op.const(epsilon, variance.etype)))


def _vector(op: Builder, parameter: Value) -> Value:
    """A parameter of the channels, of whatever shape, as a vector."""
    return op.reshape(parameter, [product(parameter.dims)])


def _spread(op: Builder, parameter: Value, rank: int) -> Value:
    """A parameter of the channels as ``[channels, 1, ...]``, for ``[batch, channels, *space]``."""
    return op.reshape(parameter, [product(parameter.dims), *[1] * (rank - 2)])


# ---- batches ---------------------------------------------------------------------------------------------------------


@caffe2("SpatialBN")
def spatial_bn(
    op: Builder, x: Images, scale: Weight, bias: Weight, mean: Weight, var: Weight, sums: Weight | None = None,
    sumsq: Weight | None = None, *, is_test: int = 0, epsilon: float = 1e-5, momentum: float = 0.9,
    order: str = "NCHW", num_batches: int = 1,
) -> Value | tuple[Value, ...]:  # fmt: skip
    """Batch normalisation; in training also the running mean and variance afterwards, mean and inverse deviation.

    Semantics: ``caffe2/operators/spatial_batch_norm_op.h``. In training, the running variance is the biased one, and
    ``sums`` and ``sumsq`` are those of ``num_batches`` batches, where that is more than one.
    """
    x = channels_first(op, x, order)
    scale, bias, mean, var = (_vector(op, parameter) for parameter in (scale, bias, mean, var))
    if is_test:
        return channels_last(op, op.BatchNormalization(x, scale, bias, mean, var, epsilon=epsilon), order)
    if 0 in x.dims:
        # Nothing is learnt from nothing.
        nothing = op.expand(op.const(0.0, x.etype), mean.dims)
        return channels_last(op, x, order), mean, var, nothing, nothing
    own_mean, own_var = _batch_moments(op, x, sums, sumsq, num_batches)
    y = op.BatchNormalization(x, scale, bias, own_mean, own_var, epsilon=epsilon)
    running = [
        op.Add(op.Mul(old, op.const(momentum, x.etype)), op.Mul(new, op.const(1 - momentum, x.etype)))
        for old, new in ((mean, own_mean), (var, own_var))
    ]
    return channels_last(op, y, order), *running, own_mean, op.Reciprocal(_deviation(op, own_var, epsilon))


def _batch_moments(
    op: Builder, x: Value, sums: Value | None, sumsq: Value | None, num_batches: int
) -> tuple[Value, Value]:
    """Mean and biased variance of each channel of ``[batch, channels, *space]``."""
    if num_batches == 1:
        axes = [0, *range(2, x.rank)]
        mean, variance = _moments(op, x, axes)
        return op.Squeeze(mean, axes), op.Squeeze(variance, axes)
    if sums is None or sumsq is None:
        raise LoweringError("the sums over several batches are missing")
    count = op.cast(op.dim_value(product([x.dims[0], *x.dims[2:]]) * num_batches), x.etype)
    mean = op.Div(_vector(op, sums), count)
    return mean, op.Sub(op.Div(_vector(op, sumsq), count), op.Mul(mean, mean))


# ---- instances and groups --------------------------------------------------------------------------------------------


def _instances(op: Builder, x: Value, scale: Value, bias: Value, epsilon: float) -> Value:
    """Instance normalisation of ``[batch, channels, *space]``, where there may be no space."""
    whole = op.Unsqueeze(x, [2]) if x.rank == 2 else x
    y = op.InstanceNormalization(whole, scale, bias, epsilon=epsilon)
    return y if whole is x else op.Squeeze(y, [2])


@caffe2("InstanceNorm")
def instance_norm(
    op: Builder, x: Images, scale: Weight, bias: Weight, *, epsilon: float = 1e-5, order: str = "NCHW", n_outputs: int
) -> Value | tuple[Value, ...]:
    """Each channel of each image by its own mean and deviation; with the mean and the inverse deviation."""
    x = channels_first(op, x, order)
    y = channels_last(op, _instances(op, x, _vector(op, scale), _vector(op, bias), epsilon), order)
    if n_outputs == 1:
        return y
    batch, channels, *space = x.dims
    mean, variance = _moments(op, op.reshape(x, [batch, channels, product(space)]), [2])
    return y, op.Squeeze(mean, [2]), op.Squeeze(op.Reciprocal(_deviation(op, variance, epsilon)), [2])


@caffe2("GroupNorm")
def group_norm(
    op: Builder, x: Images, gamma: Weight, beta: Weight, *, group: int = 32, epsilon: float = 1e-5,
    order: str = "NCHW", n_outputs: int,
) -> Value | tuple[Value, ...]:  # fmt: skip
    """The channels of a group share mean and deviation; with the mean and the inverse deviation, ``[batch, group]``."""
    x = channels_first(op, x, order)
    batch, channels, *space = x.dims
    grouped = op.reshape(x, [batch, group, product([floordiv(channels, group), *space])])
    if channels == group:
        y = _instances(op, x, _vector(op, gamma), _vector(op, beta), epsilon)
    else:
        ones, zeros = (op.const([number] * group, x.etype) for number in (1.0, 0.0))
        y = op.InstanceNormalization(grouped, ones, zeros, epsilon=epsilon)
        # Reshape infers one size; several are taken from the shape at once.
        open_ = sum(isinstance(size, Dim) for size in space) > 1
        y = op.Reshape(y, op.Shape(x)) if open_ else op.reshape(y, x.dims)
        y = op.Add(op.Mul(y, _spread(op, gamma, x.rank)), _spread(op, beta, x.rank))
    y = channels_last(op, y, order)
    if n_outputs == 1:
        return y
    mean, variance = _moments(op, grouped, [2])
    return y, op.Squeeze(mean, [2]), op.Squeeze(op.Reciprocal(_deviation(op, variance, epsilon)), [2])


# ---- layers ----------------------------------------------------------------------------------------------------------


@caffe2("LayerNorm", "C10LayerNorm_DontUseThisOpYet")
def layer_norm(
    op: Builder, x: Matrix, gamma: Weight | None = None, beta: Weight | None = None, *, axis: int = 1,
    epsilon: float = 1e-5, elementwise_affine: int = 0,
) -> tuple[Value, Value, Value]:  # fmt: skip
    """Normalises all axes from ``axis`` on; with the mean and the deviation, ``sqrt(variance + epsilon)``."""
    axis = axis_of(axis, x.rank)
    lead, layer = x.dims[:axis], x.dims[axis:]
    mean, variance = _moments(op, op.reshape(x, [*lead, product(layer)]), [axis])
    deviation = _deviation(op, variance, epsilon)
    if elementwise_affine:
        if gamma is None or beta is None:
            raise LoweringError("the scale and the bias of an elementwise_affine layer are missing")
        gamma, beta = op.reshape(gamma, layer), op.reshape(beta, layer)
    else:
        gamma, beta = op.expand(op.const(1.0, x.etype), layer), None
    return op.LayerNormalization(x, gamma, beta, axis=axis, epsilon=epsilon), mean, deviation


# ---- channels --------------------------------------------------------------------------------------------------------


@caffe2("LRN")
def lrn(
    op: Builder, x: Images, *, size: int, alpha: float = 0.0, beta: float = 0.0, bias: float = 1.0,
    order: str = "NCHW", n_outputs: int,
) -> Value | tuple[Value, ...]:  # fmt: skip
    """``x / scale ** beta``, scale being ``bias + alpha / size * (the sum of squares of size channels around)``."""
    if size % 2 == 0:
        raise LoweringError(f"the size {size} of a neighbourhood of channels is not odd")
    x = channels_first(op, x, order)
    y = channels_last(op, op.LRN(x, size=size, alpha=alpha, beta=beta, bias=bias), order)
    if n_outputs == 1:
        return y
    squares = op.Unsqueeze(op.Mul(x, x), [1])
    near = [size, *[1] * (x.rank - 2)]
    pads = [size // 2, *[0] * (x.rank - 2)] * 2
    mean = op.Squeeze(op.AveragePool(squares, kernel_shape=near, pads=pads, count_include_pad=1), [1])
    scale = op.Add(op.Mul(mean, op.const(alpha, x.etype)), op.const(bias, x.etype))
    return y, channels_last(op, scale, order)


@caffe2("AffineChannel")
def affine_channel(op: Builder, x: Images, scale: Weight, bias: Weight, *, order: str = "NCHW") -> Value:
    """Each channel times a scale, plus a bias."""
    rank = 2 if is_nhwc(order) else x.rank
    return op.Add(op.Mul(x, _spread(op, scale, rank)), _spread(op, bias, rank))


@caffe2("ChannelShuffle")
def channel_shuffle(op: Builder, x: Images, *, group: int = 1, order: str = "NCHW") -> Value:
    """The first channels of all groups, then the second ones, and so on."""
    axis = x.rank - 1 if is_nhwc(order) else 1
    channels = x.dims[axis]
    if group == 1:
        return x
    if isinstance(channels, int):
        if channels % group:
            raise LoweringError(f"{channels} channels are no multiple of {group} groups")
        return op.Gather(x, np.arange(channels).reshape(group, -1).T.ravel(), axis=axis)
    split = op.reshape(x, [*x.dims[:axis], group, floordiv(channels, group), *x.dims[axis + 1 :]])
    perm = [*range(axis), axis + 1, axis, *range(axis + 2, split.rank)]
    return op.reshape(op.Transpose(split, perm=perm), x.dims)

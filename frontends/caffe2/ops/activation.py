"""Activations: rectifiers and their kin, sigmoids, gates, softmax.

Semantics: ``caffe2/operators/*_op.cc`` of each name, with the formulas in the form that the runtime evaluates (which
tells at infinities and NaN).
"""

from __future__ import annotations

import numpy as np

from nxconvert.frontends.caffe2.ops.numbers import axis_of
from nxconvert.frontends.caffe2.table import (
    Builder,
    DataType,
    Images,
    Indices,
    LoweringError,
    Matrix,
    Value,
    Weight,
    caffe2,
)
from nxconvert.graph.dims import Int, product, require

_LARGEST = float(np.finfo(np.float32).max)


@caffe2("Relu")
def relu(op: Builder, x: Value) -> Value:
    return op.Relu(x)


@caffe2("ReluN")
def relu_n(op: Builder, x: Value, *, n: float = 6.0) -> Value:
    """``min(max(x, 0), n)``."""
    return op.Clip(x, 0.0, n)


@caffe2("LeakyRelu")
def leaky_relu(op: Builder, x: Value, *, alpha: float = 0.01) -> Value:
    return op.LeakyRelu(x, alpha=alpha)


@caffe2("ThresholdedRelu")
def thresholded_relu(op: Builder, x: Value, *, alpha: float = 1.0) -> Value:
    """What is larger than ``alpha`` stays, the rest is 0."""
    return op.ThresholdedRelu(x, alpha=alpha)


@caffe2("PRelu")
def prelu(op: Builder, x: Images, slope: Weight, *, order: str = "NCHW") -> Value:
    """Negative numbers times a slope: one for all, or one a channel (axis 1, in NHWC the last)."""
    if slope.dims and product(slope.dims) == 1:
        slope = op.reshape(slope, [1])
    elif order == "NCHW":
        if slope.rank != 1 or x.rank != 2:
            slope = op.reshape(slope, [product(slope.dims), *[1] * (x.rank - 2)])
        require(x.dims[1], slope.dims[0])
    else:
        require(x.dims[-1], slope.dims[0])
    return op.PRelu(x, slope)


@caffe2("Elu")
def elu(op: Builder, x: Value, *, alpha: float = 1.0) -> Value:
    return op.Elu(x, alpha=alpha)


@caffe2("Selu")
def selu(op: Builder, x: Value, *, alpha: float = 1.6732631921768188, scale: float = 1.0507010221481323) -> Value:
    return op.Selu(x, alpha=alpha, gamma=scale)


@caffe2("HardSigmoid")
def hard_sigmoid(op: Builder, x: Value, *, alpha: float = 0.2, beta: float = 0.5) -> Value:
    return op.HardSigmoid(x, alpha=alpha, beta=beta)


@caffe2("Softplus")
def softplus(op: Builder, x: Value) -> Value:
    """``log(exp(x) + 1)``, as the runtime has it: infinite above 88."""
    return op.Log(op.Add(op.Exp(x), 1.0))


@caffe2("Swish")
def swish(op: Builder, x: Value) -> Value:
    return op.Mul(x, op.Sigmoid(x))


@caffe2("Gelu")
def gelu(op: Builder, x: Value, *, fast_gelu: int = 0) -> Value:
    """Each number times the normal distribution's probability of less, or an approximation of it by tanh."""
    return op.Gelu(x, approximate="tanh" if fast_gelu else "none")


@caffe2("Glu")
def glu(op: Builder, x: Value, *, dim: int = -1) -> Value:
    """The first half along an axis, times the sigmoid of the second."""
    axis = axis_of(dim, x.rank)
    if isinstance(x.dims[axis], int) and x.dims[axis] % 2:
        raise LoweringError(f"{x.dims[axis]} cannot be halved")
    value, gate = op.Split(x, axis=axis, num_outputs=2)
    return op.Mul(value, op.Sigmoid(gate))


@caffe2("Clip")
def clip(op: Builder, x: Value, *, min: float = -_LARGEST, max: float = _LARGEST) -> Value:
    """Moves numbers into [min, max]; without bounds, infinities become the largest finite numbers."""
    return op.Clip(x, min, max)


@caffe2("EnsureClipped")
def ensure_clipped(
    op: Builder,
    x: Value,
    indices: Indices | None = None,
    gradient: Value | None = None,
    *,
    min: float = -_LARGEST,
    max: float = _LARGEST,
) -> Value:
    """The same, of some rows alone if indices name them."""
    if indices is None:
        return op.Clip(x, min, max)
    rows = op.reshape(op.cast(indices, DataType.INT64), [product(indices.dims)])
    return op.ScatterND(x, op.Unsqueeze(rows, [1]), op.Clip(op.Gather(x, rows, axis=0), min, max))


@caffe2("Scale")
def scale_(op: Builder, x: Value, *, scale: float = 1.0) -> Value:
    return op.Mul(x, scale)


@caffe2("StumpFunc")
def stump_func(
    op: Builder, x: Value, *, threshold: float = 0.0, low_value: float = 0.0, high_value: float = 0.0
) -> Value:
    """One number up to the threshold, another above it."""
    return op.Where(op.LessOrEqual(x, threshold), op.const(low_value, x.etype), op.const(high_value, x.etype))


@caffe2("Softmax")
def softmax(op: Builder, x: Matrix, *, axis: int = 1) -> Value:
    """The softmax over all axes from ``axis`` on."""
    return over_the_rest(op, "Softmax", x, axis_of(axis, x.rank))


def over_the_rest(op: Builder, op_type: str, x: Value, axis: int) -> Value:
    """``Softmax`` or ``LogSoftmax`` over all axes from ``axis`` on: along the one that is longer than 1, if only one
    is.
    """
    long = [i for i in range(axis, x.rank) if x.dims[i] != 1] or [x.rank - 1]
    emit = getattr(op, op_type)
    if len(long) == 1:
        return emit(x, axis=long[0])
    rows: list[Int] = [product(x.dims[:axis]), product(x.dims[axis:])]
    return op.reshape(emit(op.reshape(x, rows), axis=1), x.dims)

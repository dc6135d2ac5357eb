"""Activations, softmax and dropout.

Fused operators are emitted where ONNX has one that means the same; for float64, which ONNX Runtime has no fused kernels
for, their formulas.
"""

from __future__ import annotations

import math
from typing import Any

from nxconvert.frontends.pytorch.dtypes import DataType, is_float
from nxconvert.frontends.pytorch.ops.common import as_tensor, axis_of, dtype_of, float_input, known
from nxconvert.frontends.pytorch.ops.math import clamp, constant, mul
from nxconvert.frontends.pytorch.table import Builder, DType, Int, LoweringError, Number, Value, aten
from nxconvert.graph.dims import Dim, mod
from nxconvert.graph.widening import emit, full, where

# The constants of the self-normalizing networks (Klambauer et al., 2017), as PyTorch has them.
SELU_ALPHA = 1.6732632423543772848170429916717
SELU_SCALE = 1.0507009873554804934193349852946


def _has_fused(x: Value) -> bool:
    """Whether runtimes have kernels of the fused activations for this dtype."""
    return x.etype != DataType.DOUBLE


# ---- rectifiers ----------------------------------------------------------------------------------------------------


@aten("relu")
def relu(op: Builder, self: Value) -> Value:
    return op.Relu(self) if is_float(self.etype) else emit(op, "Max", self, op.const(0, self.etype))


@aten("relu6")
def relu6(op: Builder, self: Value) -> Value:
    return clamp(op, self, 0, 6)


@aten("hardtanh")
def hardtanh(op: Builder, self: Value, min_val: Number = -1, max_val: Number = 1) -> Value:
    """Bounds in the dtype of the tensor, other than ``clamp``."""
    return clamp(op, self, as_tensor(op, min_val, self.etype), as_tensor(op, max_val, self.etype))


@aten("threshold")
def threshold(op: Builder, self: Value, threshold: Number, value: Number) -> Value:
    """``value`` up to the threshold, the tensor itself above; NaN stays."""
    low, replacement = as_tensor(op, threshold, self.etype), as_tensor(op, value, self.etype)
    return where(op, emit(op, "LessOrEqual", self, low), replacement, self)


@aten("leaky_relu")
def leaky_relu(op: Builder, self: Value, negative_slope: Number = 0.01) -> Value:
    slope = constant(negative_slope)
    if slope is not None and _has_fused(self):
        return op.LeakyRelu(self, alpha=slope)
    return _sloped(op, self, as_tensor(op, negative_slope, self.etype))


def _sloped(op: Builder, x: Value, slope: Value) -> Value:
    return where(op, op.Greater(x, op.const(0.0, x.etype)), x, op.Mul(x, slope))


@aten("prelu", "_prelu_kernel")
def prelu(op: Builder, self: Value, weight: Value) -> Value:
    """One slope for all, or one for each channel (axis 1)."""
    if weight.rank == 1 and self.rank != 2:
        weight = op.reshape(weight, [*weight.dims, *[1] * (self.rank - 2)] if self.rank else [])
    return op.PRelu(self, weight) if _has_fused(self) else _sloped(op, self, weight)


@aten("rrelu")
def rrelu(
    op: Builder,
    self: Value,
    lower: Number = 1 / 8,
    upper: Number = 1 / 3,
    training: bool = False,
    generator: Any = None,
) -> Value:
    """Slopes below zero are drawn for each element while training; else their mean is taken."""
    low, high = known(lower, "the lower slope"), known(upper, "the upper slope")
    if not training:
        return leaky_relu(op, self, (low + high) / 2)
    return _sloped(op, self, op.RandomUniformLike(self, low=low, high=high))


@aten("rrelu_with_noise")
def rrelu_with_noise(
    op: Builder,
    self: Value,
    noise: Value,
    lower: Number = 1 / 8,
    upper: Number = 1 / 3,
    training: bool = False,
    generator: Any = None,
) -> Value:
    return rrelu(op, self, lower, upper, training)


@aten("hardshrink")
def hardshrink(op: Builder, self: Value, lambd: Number = 0.5) -> Value:
    """Zero within ``[-lambd, lambd]``."""
    return op.Shrink(self, bias=0.0, lambd=known(lambd, "lambd"))


@aten("softshrink")
def softshrink(op: Builder, self: Value, lambd: Number = 0.5) -> Value:
    """Zero within ``[-lambd, lambd]``, outside moved towards zero by as much."""
    bound = known(lambd, "lambd")
    return op.Shrink(self, bias=bound, lambd=bound)


# ---- exponential and sigmoid units ---------------------------------------------------------------------------------


@aten("elu")
def elu(op: Builder, self: Value, alpha: Number = 1, scale: Number = 1, input_scale: Number = 1) -> Value:
    """``scale * x`` above zero, ``scale * alpha * (exp(input_scale * x) - 1)`` below."""
    factors = [constant(factor) for factor in (alpha, scale, input_scale)]
    if factors[0] is not None and factors[1:] == [1, 1] and _has_fused(self):
        return op.Elu(self, alpha=factors[0])
    steep, outer, inner = (as_tensor(op, factor, self.etype) for factor in (alpha, scale, input_scale))
    below = op.Mul(op.Sub(op.Exp(op.Mul(self, inner)), 1.0), op.Mul(steep, outer))
    return where(op, op.Greater(self, 0.0), op.Mul(self, outer), below)


@aten("selu")
def selu(op: Builder, self: Value) -> Value:
    return op.Selu(self) if _has_fused(self) else elu(op, self, SELU_ALPHA, SELU_SCALE)


@aten("celu")
def celu(op: Builder, self: Value, alpha: Number = 1.0) -> Value:
    """``x`` above zero, ``alpha * (exp(x / alpha) - 1)`` below."""
    slope = known(alpha, "alpha")
    return op.Celu(self, alpha=slope) if _has_fused(self) else elu(op, self, slope, 1, 1.0 / slope)


@aten("gelu")
def gelu(op: Builder, self: Value, *, approximate: str = "none") -> Value:
    if _has_fused(self):
        return op.Gelu(self, approximate=None if approximate == "none" else approximate)
    if approximate == "tanh":
        inner = op.Mul(op.Add(self, op.Mul(op.Mul(op.Mul(self, self), self), 0.044715)), math.sqrt(2.0 / math.pi))
        gate = op.Tanh(inner)
    else:
        gate = emit(op, "Erf", op.Mul(self, math.sqrt(0.5)))
    return op.Mul(op.Mul(self, 0.5), op.Add(gate, 1.0))


@aten("silu")
def silu(op: Builder, self: Value) -> Value:
    return op.Mul(self, op.Sigmoid(self))


@aten("mish")
def mish(op: Builder, self: Value) -> Value:
    return emit(op, "Mish", self) if _has_fused(self) else op.Mul(self, op.Tanh(emit(op, "Softplus", self)))


@aten("hardsigmoid")
def hardsigmoid(op: Builder, self: Value) -> Value:
    """``clamp(x + 3, 0, 6) / 6``."""
    if _has_fused(self):
        return emit(op, "HardSigmoid", self, alpha=1.0 / 6.0, beta=0.5)
    return op.Div(op.Clip(op.Add(self, 3.0), 0.0, 6.0), 6.0)


@aten("hardswish")
def hardswish(op: Builder, self: Value) -> Value:
    return emit(op, "HardSwish", self) if _has_fused(self) else op.Mul(self, hardsigmoid(op, self))


@aten("softplus")
def softplus(op: Builder, self: Value, beta: Number = 1, threshold: Number = 20) -> Value:
    """``log(1 + exp(beta x)) / beta``, and ``x`` where ``beta x`` exceeds the threshold.

    Beyond 20 both are equal in float32 (beyond 37 in float64), and ``Softplus`` does not overflow.
    """
    steepness, bound = known(beta, "beta"), known(threshold, "the threshold")
    scaled = self if steepness == 1 else op.Mul(self, float(steepness))
    result = emit(op, "Softplus", scaled)
    if steepness != 1:
        result = op.Div(result, float(steepness))
    return result if bound >= 20 else where(op, op.Greater(scaled, float(bound)), self, result)


@aten("log_sigmoid")
def log_sigmoid(op: Builder, self: Value) -> Value:
    return op.Neg(emit(op, "Softplus", op.Neg(self)))


@aten("log_sigmoid_forward")
def log_sigmoid_forward(op: Builder, self: Value) -> tuple[Value, Value]:
    """The second result serves the backward pass alone."""
    return log_sigmoid(op, self), full(op, 0.0, self.etype, (0,))


@aten("glu")
def glu(op: Builder, self: Value, dim: Int = -1) -> Value:
    """The first half, gated by the second one."""
    axis = axis_of(dim, self.rank)
    size = self.dims[axis]
    if isinstance(size, Dim) and mod(size, 2) != 0:
        value, gate = op.Split(self, [size // 2, size - size // 2], axis=axis)
    else:
        value, gate = op.Split(self, axis=axis, num_outputs=2)
    return op.Mul(value, op.Sigmoid(gate))


# ---- softmax -------------------------------------------------------------------------------------------------------


def _over_axis(op: Builder, op_type: str, self: Value, dim: Int, dtype: DType | None) -> Value:
    x = self if dtype is None else op.cast(self, dtype_of(dtype))
    if not x.rank:
        return op.const(1.0 if op_type == "Softmax" else 0.0, x.etype)
    return getattr(op, op_type)(float_input(op, x), axis=axis_of(dim, x.rank))


@aten("softmax.int", "special_softmax")
def softmax(op: Builder, self: Value, dim: Int, dtype: DType | None = None) -> Value:
    return _over_axis(op, "Softmax", self, dim, dtype)


@aten("log_softmax.int", "special_log_softmax")
def log_softmax(op: Builder, self: Value, dim: Int, dtype: DType | None = None) -> Value:
    return _over_axis(op, "LogSoftmax", self, dim, dtype)


def _wide(op: Builder, x: Value, half_to_float: bool) -> Value:
    return op.cast(x, DataType.FLOAT) if half_to_float else x


@aten("_softmax")
def core_softmax(op: Builder, self: Value, dim: Int, half_to_float: bool) -> Value:
    return _over_axis(op, "Softmax", _wide(op, self, half_to_float), dim, None)


@aten("_log_softmax")
def core_log_softmax(op: Builder, self: Value, dim: Int, half_to_float: bool) -> Value:
    return _over_axis(op, "LogSoftmax", _wide(op, self, half_to_float), dim, None)


@aten("_safe_softmax")
def safe_softmax(op: Builder, self: Value, dim: Int, dtype: DType | None = None) -> Value:
    """Softmax that gives zeros where everything is masked out (minus infinity)."""
    x = self if dtype is None else op.cast(self, dtype_of(dtype))
    result = _over_axis(op, "Softmax", x, dim, None)
    largest = emit(op, "ReduceMax", x, [axis_of(dim, x.rank)], keepdims=1) if x.rank else x
    return where(op, op.Equal(largest, float("-inf")), op.const(0.0, result.etype), result)


@aten("_softmax_backward_data")
def softmax_backward(op: Builder, grad_output: Value, output: Value, dim: Int, input_dtype: DType) -> Value:
    weighted = op.Mul(grad_output, output)
    total = op.ReduceSum(weighted, [axis_of(dim, output.rank)], keepdims=1) if output.rank else weighted
    return op.cast(op.Sub(weighted, op.Mul(output, total)), dtype_of(input_dtype))


# ---- dropout: nothing at inference, random while training (a model saved in training mode stays random) ------------


def _dropped(op: Builder, x: Value, p: Number) -> tuple[Value, Value]:
    """Zeros with probability ``p``, the rest scaled by ``1 / (1 - p)``; and what was kept."""
    ratio = known(p, "the dropout's probability")
    if ratio >= 1:
        return op.Mul(x, 0.0), full(op, False, DataType.BOOL, x.dims)
    return op.Dropout(x, op.const(float(ratio)), op.const(True), _outputs=2)


def _is_off(p: Number, train: bool) -> bool:
    return not train or constant(p) == 0


@aten("dropout")
def dropout(op: Builder, input: Value, p: Number, train: bool) -> Value:
    return input if _is_off(p, train) else _dropped(op, input, p)[0]


@aten("native_dropout")
def native_dropout(op: Builder, input: Value, p: Number, train: bool | None) -> tuple[Value, Value]:
    if _is_off(p, train is not False):
        return input, full(op, True, DataType.BOOL, input.dims)
    return _dropped(op, input, p)


@aten("native_dropout_backward")
def native_dropout_backward(op: Builder, grad_output: Value, mask: Value, scale: Number) -> Value:
    return mul(op, mul(op, grad_output, mask), scale)


@aten("feature_dropout")
def feature_dropout(op: Builder, input: Value, p: Number, train: bool) -> Value:
    """Whole channels are dropped."""
    if _is_off(p, train):
        return input
    if input.rank < 2:
        raise LoweringError("feature dropout needs a batch and a channel axis")
    ones = full(op, 1.0, input.etype, (*input.dims[:2], *[1] * (input.rank - 2)))
    return op.Mul(input, _dropped(op, ones, p)[0])


def _alpha_dropped(op: Builder, x: Value, p: Number, dims: tuple[Int, ...]) -> Value:
    """Elements that are dropped take SELU's lower limit; mean and variance are kept (Klambauer et al., 2017)."""
    ratio = float(known(p, "the dropout's probability"))
    kept = _dropped(op, full(op, 1.0, x.etype, dims), ratio)[1]
    low = -SELU_ALPHA * SELU_SCALE
    scale = 1.0 / math.sqrt((low * low * ratio + 1.0) * (1.0 - ratio)) if ratio < 1 else 0.0
    return op.Add(op.Mul(where(op, kept, x, op.const(low, x.etype)), scale), -scale * low * ratio)


@aten("alpha_dropout")
def alpha_dropout(op: Builder, input: Value, p: Number, train: bool) -> Value:
    return input if _is_off(p, train) else _alpha_dropped(op, input, p, input.dims)


@aten("feature_alpha_dropout")
def feature_alpha_dropout(op: Builder, input: Value, p: Number, train: bool) -> Value:
    if _is_off(p, train):
        return input
    return _alpha_dropped(op, input, p, (*input.dims[:2], *[1] * (input.rank - 2)))

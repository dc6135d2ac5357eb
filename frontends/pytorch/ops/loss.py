"""Losses that compare element by element, or one vector with another; classification is in :mod:`.classification`."""

from __future__ import annotations

import math

from nxconvert.frontends.pytorch.dtypes import DataType, is_float
from nxconvert.frontends.pytorch.ops.common import as_tensor, known, promote
from nxconvert.frontends.pytorch.ops.distance import pairwise_distance
from nxconvert.frontends.pytorch.table import Builder, Int, LoweringError, Number, Value, aten

# The numbers that ATen has for reductions.
NONE, MEAN, SUM = 0, 1, 2


def reduced(op: Builder, loss: Value, reduction: Int) -> Value:
    """All losses, their mean or their sum."""
    if reduction == NONE:
        return loss
    if reduction not in (MEAN, SUM):
        raise LoweringError(f"there is no reduction {reduction}")
    return (op.ReduceMean if reduction == MEAN else op.ReduceSum)(loss, keepdims=0)


def _number(op: Builder, number: Number, like: Value) -> Value:
    return as_tensor(op, number, like.etype)


def _positive(op: Builder, x: Value) -> Value:
    """``max(x, 0)``; ONNX Runtime has ``Relu`` for floats only."""
    return op.Relu(x) if is_float(x.etype) else op.Max(x, op.const(0, x.etype))


def _softplus(op: Builder, x: Value) -> Value:
    """``log(1 + exp(x))``; ONNX Runtime has no ``Softplus`` in double."""
    if x.etype != DataType.DOUBLE:
        return op.Softplus(x)
    tail = op.Log(op.Add(op.Exp(op.Neg(op.Abs(x))), op.const(1, x.etype)))
    return op.Add(op.Relu(x), tail)


def _difference(op: Builder, a: Value, b: Value) -> Value:
    return op.Sub(*promote(op, a, b))


# ---- regression -----------------------------------------------------------------------------------------------------


@aten("mse_loss")
def mse_loss(op: Builder, self: Value, target: Value, reduction: Int = MEAN) -> Value:
    difference = _difference(op, self, target)
    return reduced(op, op.Mul(difference, difference), reduction)


@aten("l1_loss")
def l1_loss(op: Builder, self: Value, target: Value, reduction: Int = MEAN) -> Value:
    return reduced(op, op.Abs(_difference(op, self, target)), reduction)


@aten("smooth_l1_loss")
def smooth_l1_loss(op: Builder, self: Value, target: Value, reduction: Int = MEAN, beta: Number = 1.0) -> Value:
    """``d² / (2·beta)`` up to ``beta``, ``d - beta / 2`` beyond."""
    if known(beta, "beta") == 0:
        return l1_loss(op, self, target, reduction)
    distance = op.Abs(_difference(op, self, target))
    edge, half = _number(op, beta, distance), op.const(0.5, distance.etype)
    near = op.Div(op.Mul(op.Mul(half, distance), distance), edge)
    far = op.Sub(distance, op.Mul(half, edge))
    return reduced(op, op.Where(op.Less(distance, edge), near, far), reduction)


@aten("huber_loss")
def huber_loss(op: Builder, self: Value, target: Value, reduction: Int = MEAN, delta: Number = 1.0) -> Value:
    """``d² / 2`` up to ``delta``, ``delta · (d - delta / 2)`` beyond."""
    distance = op.Abs(_difference(op, self, target))
    edge, half = _number(op, delta, distance), op.const(0.5, distance.etype)
    near = op.Mul(op.Mul(half, distance), distance)
    far = op.Mul(edge, op.Sub(distance, op.Mul(half, edge)))
    return reduced(op, op.Where(op.LessOrEqual(distance, edge), near, far), reduction)


@aten("poisson_nll_loss")
def poisson_nll_loss(
    op: Builder, input: Value, target: Value, log_input: bool, full: bool, eps: Number, reduction: Int
) -> Value:
    """``full`` adds Stirling's approximation of what does not depend on the input."""
    x, t = promote(op, input, target, to_float=True)
    if log_input:
        loss = op.Sub(op.Exp(x), op.Mul(t, x))
    else:
        loss = op.Sub(x, op.Mul(t, op.Log(op.Add(x, _number(op, eps, x)))))
    if full:
        logs = [op.Log(op.Mul(op.const(factor, t.etype), t)) for factor in (1.0, 2 * math.pi)]
        stirling = op.Add(op.Sub(op.Mul(t, logs[0]), t), op.Mul(op.const(0.5, t.etype), logs[1]))
        large = op.Greater(t, op.const(1, t.etype))
        loss = op.Add(loss, op.Where(large, stirling, op.const(0, t.etype)))
    return reduced(op, loss, reduction)


# ---- probabilities --------------------------------------------------------------------------------------------------


@aten("binary_cross_entropy")
def binary_cross_entropy(
    op: Builder, self: Value, target: Value, weight: Value | None = None, reduction: Int = MEAN
) -> Value:
    """Logarithms are not less than -100."""
    one, least = op.const(1, self.etype), op.const(-100, self.etype)
    hit = op.Max(op.Log(self), least)
    miss = op.Max(op.Log(op.Sub(one, self)), least)
    loss = op.Sub(op.Mul(op.Sub(target, one), miss), op.Mul(target, hit))
    return reduced(op, loss if weight is None else op.Mul(loss, weight), reduction)


@aten("binary_cross_entropy_with_logits")
def binary_cross_entropy_with_logits(
    op: Builder, self: Value, target: Value, weight: Value | None = None, pos_weight: Value | None = None,
    reduction: Int = MEAN,
) -> Value:  # fmt: skip
    """``(1 - t)·x + (1 + (pos_weight - 1)·t)·softplus(-x)``."""
    x, t = promote(op, self, target)
    one = op.const(1, x.etype)
    tail = _softplus(op, op.Neg(x))
    if pos_weight is not None:
        tail = op.Mul(op.Add(op.Mul(op.Sub(pos_weight, one), t), one), tail)
    loss = op.Add(op.Mul(op.Sub(one, t), x), tail)
    return reduced(op, loss if weight is None else op.Mul(loss, weight), reduction)


@aten("kl_div")
def kl_div(op: Builder, self: Value, target: Value, reduction: Int = MEAN, *, log_target: bool = False) -> Value:
    """``t · (log t - x)``; nothing where ``t`` is 0."""
    x, t = promote(op, self, target)
    if log_target:
        return reduced(op, op.Mul(op.Exp(t), op.Sub(t, x)), reduction)
    nothing = op.Equal(t, op.const(0, t.etype))
    entropy = op.Where(nothing, op.const(0, t.etype), op.Mul(t, op.Log(t)))
    return reduced(op, op.Sub(entropy, op.Mul(t, x)), reduction)


@aten("soft_margin_loss")
def soft_margin_loss(op: Builder, self: Value, target: Value, reduction: Int = MEAN) -> Value:
    """``log(1 + exp(-t·x))``."""
    x, t = promote(op, self, target)
    return reduced(op, _softplus(op, op.Neg(op.Mul(t, x))), reduction)


# ---- margins --------------------------------------------------------------------------------------------------------


@aten("margin_ranking_loss")
def margin_ranking_loss(
    op: Builder, input1: Value, input2: Value, target: Value, margin: Number = 0.0, reduction: Int = MEAN
) -> Value:
    product = op.Neg(op.Mul(*promote(op, target, _difference(op, input1, input2))))
    return reduced(op, _positive(op, _shifted(op, product, margin)), reduction)


def _shifted(op: Builder, x: Value, margin: Number) -> Value:
    return x if margin == 0 and is_float(x.etype) else op.Add(*promote(op, x, margin))


def _by_sign(op: Builder, target: Value, positive: Value, negative: Value) -> Value:
    """``positive`` where the target is 1, ``negative`` where it is -1, nothing elsewhere."""
    nothing = op.const(0, positive.etype)
    parts = [
        op.Where(op.Equal(target, op.const(sign, target.etype)), loss, nothing)
        for sign, loss in ((1, positive), (-1, negative))
    ]
    return op.Add(*parts)


@aten("hinge_embedding_loss")
def hinge_embedding_loss(op: Builder, self: Value, target: Value, margin: Number = 1.0, reduction: Int = MEAN) -> Value:
    """Targets other than 1 and -1 count for both, as in ATen."""
    clamped = op.Relu(op.Sub(_number(op, margin, self), self))
    nothing = op.const(0, self.etype)
    is_positive, is_negative = (op.Equal(target, op.const(sign, target.etype)) for sign in (1, -1))
    loss = op.Add(op.Where(is_positive, nothing, clamped), op.Where(is_negative, nothing, self))
    return reduced(op, loss, reduction)


@aten("cosine_embedding_loss")
def cosine_embedding_loss(
    op: Builder, input1: Value, input2: Value, target: Value, margin: Number = 0.0, reduction: Int = MEAN
) -> Value:
    """By the cosine between the vectors along the axis after the target's (``aten/src/ATen/native/Loss.cpp``)."""
    a, b = promote(op, input1, input2, to_float=True)
    axis, tiny = [target.rank], op.const(1e-12, a.etype)
    squares = [op.Add(op.ReduceSumSquare(x, axis, keepdims=0), tiny) for x in (a, b)]
    product = op.ReduceSum(op.Mul(a, b), axis, keepdims=0)
    cosine = op.Div(product, op.Sqrt(op.Mul(*squares)))
    far = op.Relu(op.Sub(cosine, _number(op, margin, cosine)))
    near = op.Sub(op.const(1, cosine.etype), cosine)
    return reduced(op, _by_sign(op, target, near, far), reduction)


@aten("triplet_margin_loss")
def triplet_margin_loss(
    op: Builder, anchor: Value, positive: Value, negative: Value, margin: Number = 1.0, p: Number = 2.0,
    eps: Number = 1e-6, swap: bool = False, reduction: Int = MEAN,
) -> Value:  # fmt: skip
    near = pairwise_distance(op, anchor, positive, p, eps)
    far = pairwise_distance(op, anchor, negative, p, eps)
    if swap:
        far = op.Min(far, pairwise_distance(op, positive, negative, p, eps))
    return reduced(op, op.Relu(_shifted(op, op.Sub(near, far), margin)), reduction)

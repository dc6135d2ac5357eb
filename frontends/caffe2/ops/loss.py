"""Losses and measures of agreement: what training nets leave behind in the nets that are shipped.

Semantics: ``caffe2/operators/softmax_with_loss_op.cc``, ``cross_entropy_op.cc``, ``perplexity_op.cc``,
``margin_ranking_criterion_op.cc``, ``jsd_op.cc``, ``cosine_embedding_criterion_op.cc``.
"""

from __future__ import annotations

import functools

from nxconvert.frontends.caffe2.ops.activation import over_the_rest
from nxconvert.frontends.caffe2.ops.arithmetic import same_dims
from nxconvert.frontends.caffe2.ops.numbers import axis_of
from nxconvert.frontends.caffe2.ops.reduce import as_number, reduced
from nxconvert.frontends.caffe2.table import Builder, DataType, Images, Lengths, Matrix, Value, Vector, caffe2
from nxconvert.graph.dims import Int, maximum, product

_TINY = 1e-20


def _log(op: Builder, p: Value) -> Value:
    """The logarithm of a probability, of 1e-20 at least."""
    return op.Log(op.Max(p, _TINY))


def _picked(op: Builder, x: Value, labels: Value) -> Value:
    """Of each row of a matrix the element that its label names; of shape [rows]."""
    wanted = op.Unsqueeze(op.cast(op.reshape(labels, [x.dims[0]]), DataType.INT64), [1])
    return op.Squeeze(op.GatherElements(x, wanted, axis=1), [1])


# ---- cross entropy ---------------------------------------------------------------------------------------------------


@caffe2("SoftmaxWithLoss")
def softmax_with_loss(
    op: Builder,
    x: Matrix,
    labels: Lengths,
    weights: Value | None = None,
    *,
    label_prob: int = 0,
    axis: int = 1,
    scale: float = 1.0,
) -> tuple[Value, Value]:
    """The softmax over all axes from ``axis`` on, and the mean cross entropy (rank 0), each row of some weight.

    A label is the number of a class, or with ``label_prob`` the probabilities of all.
    """
    axis = axis_of(axis, x.rank)
    rows: list[Int] = [product(x.dims[:axis]), product(x.dims[axis:])]
    probabilities = over_the_rest(op, "Softmax", x, axis)
    if label_prob:
        losses = _cross_entropy(op, op.reshape(probabilities, rows), op.reshape(labels, rows))
    else:
        losses = op.Neg(_picked(op, op.LogSoftmax(op.reshape(x, rows), axis=1), labels))
    loss = _weighted_mean(op, losses, weights)
    return probabilities, loss if scale == 1 else op.Mul(loss, scale)


@caffe2("SpatialSoftmaxWithLoss")
def spatial_softmax_with_loss(
    op: Builder, x: Images, labels: Value, weights: Value | None = None
) -> tuple[Value, Value]:
    """The softmax over the channels, and the mean cross entropy (rank 0) of all places whose label is not -1.

    The runtime scales the gradient alone.
    """
    probabilities = op.Softmax(x, axis=1)
    known = op.GreaterOrEqual(labels, 0)
    wanted = op.Unsqueeze(op.Max(op.cast(labels, DataType.INT64), 0), [1])
    losses = op.Neg(op.Squeeze(_log(op, op.GatherElements(probabilities, wanted, axis=1)), [1]))
    counted = op.Cast(known, to=x.etype)
    return probabilities, _weighted_mean(op, losses, counted if weights is None else op.Mul(counted, weights))


def _weighted_mean(op: Builder, losses: Value, weights: Value | None) -> Value:
    """The mean, 0 of nothing."""
    if weights is None:
        return reduced(op, "ReduceMean", losses, [0], False)
    weights = op.reshape(weights, losses.dims)
    total = op.ReduceSum(weights, keepdims=0)
    none = op.Equal(total, 0.0)
    mean = op.Div(op.ReduceSum(op.Mul(losses, weights), keepdims=0), op.Where(none, op.const(1.0, total.etype), total))
    return op.Where(none, total, mean)


def _cross_entropy(op: Builder, p: Value, target: Value) -> Value:
    return op.Neg(op.ReduceSum(op.Mul(_log(op, p), target), [1], keepdims=0))


@caffe2("CrossEntropy")
def cross_entropy(op: Builder, x: Matrix, labels: Matrix) -> Value:
    """Of each row of probabilities, against the probabilities that are wanted."""
    same_dims([x, labels])
    columns = product(x.dims[1:])
    return _cross_entropy(op, op.reshape(x, [x.dims[0], columns]), op.reshape(labels, [x.dims[0], columns]))


@caffe2("LabelCrossEntropy")
def label_cross_entropy(op: Builder, x: Matrix, labels: Lengths) -> Value:
    """Of each row of probabilities, against the number of a class."""
    rows = op.reshape(x, [x.dims[0], product(x.dims[1:])])
    return op.Neg(_log(op, _picked(op, rows, labels)))


@caffe2("SigmoidCrossEntropyWithLogits")
def sigmoid_cross_entropy(
    op: Builder, x: Matrix, targets: Matrix, *, log_D_trick: int = 0, unjoined_lr_loss: int = 0
) -> Value:
    """The mean over the last axis of ``max(x, 0) - x * target + log(1 + exp(-|x|))``, or a variant of it."""
    if unjoined_lr_loss:
        losses = _unjoined(op, x, targets)
    elif log_D_trick:
        losses = _log_d(op, x, targets)
    else:
        losses = _logits_loss(op, x, targets)
    return reduced(op, "ReduceMean", losses, [x.rank - 1], False)


def _softened(op: Builder, x: Value) -> Value:
    """``log(1 + exp(-|x|))``."""
    return op.Softplus(op.Neg(op.Abs(x)))


def _logits_loss(op: Builder, x: Value, targets: Value) -> Value:
    same_dims([x, targets])
    return op.Add(op.Sub(op.Relu(x), op.Mul(x, targets)), _softened(op, x))


def _log_d(op: Builder, x: Value, targets: Value) -> Value:
    """``(1 - 2 target) log(sigmoid(x))``, negated: the loss of a generator that wants to be taken for real."""
    same_dims([x, targets])
    log_sigmoid = op.Sub(op.Min(x, 0.0), _softened(op, x))
    return op.Mul(log_sigmoid, op.Sub(1.0, op.Mul(targets, 2.0)))


def _unjoined(op: Builder, x: Value, targets: Value) -> Value:
    """A positive example counts as negative once before it is known to be positive."""
    same_dims([x, targets])
    negative = op.Mul(op.Sub(1.0, targets), op.Add(op.Relu(x), _softened(op, x)))
    return op.Sub(negative, op.Mul(targets, x))


@caffe2("WeightedSigmoidCrossEntropyWithLogits")
def weighted_sigmoid_cross_entropy(op: Builder, x: Matrix, targets: Matrix, weights: Matrix) -> Value:
    same_dims([x, targets, weights])
    return reduced(op, "ReduceMean", op.Mul(_logits_loss(op, x, targets), weights), [x.rank - 1], False)


# ---- others ----------------------------------------------------------------------------------------------------------


@caffe2("Perplexity")
def perplexity(op: Builder, x: Vector) -> Value:
    """The geometric mean of the inverse probabilities, of rank 0; 1 for none."""
    number = as_number(op, maximum(product(x.dims), 1), x.etype)
    return op.Exp(op.Div(op.Neg(op.ReduceSum(op.Log(x), keepdims=0)), number))


@caffe2("MakeTwoClass")
def make_two_class(op: Builder, x: Vector) -> Value:
    """``1 - p`` and ``p``, along a new last axis."""
    p = op.Unsqueeze(x, [x.rank])
    return op.Concat(op.Sub(1.0, p), p, axis=x.rank)


@caffe2("MarginRankingCriterion")
def margin_ranking_criterion(op: Builder, x1: Vector, x2: Vector, y: Lengths, *, margin: float = 1.0) -> Value:
    """``max(0, margin - y (x1 - x2))``."""
    same_dims([x1, x2, y])
    return op.Relu(op.Add(op.Mul(op.Sub(x2, x1), op.cast(y, x1.etype)), margin))


@caffe2("CosineEmbeddingCriterion")
def cosine_embedding_criterion(op: Builder, x: Vector, y: Lengths, *, margin: float = 0.0) -> Value:
    """``1 - x`` where y is 1, else ``max(0, x - margin)``."""
    same_dims([x, y])
    return op.Where(op.Equal(y, 1), op.Sub(1.0, x), op.Relu(op.Sub(x, margin)))


@caffe2("BernoulliJSD")
def bernoulli_jsd(op: Builder, x: Value, target: Value) -> Value:
    """The Jensen-Shannon divergence of two distributions over two outcomes, each given by one probability."""
    same_dims([x, target])
    middle = op.Mul(op.Add(x, target), 0.5)
    mixed, own, wanted = (_entropy(op, p) for p in (middle, x, target))
    return op.Sub(mixed, op.Mul(op.Add(own, wanted), 0.5))


def _entropy(op: Builder, p: Value) -> Value:
    rest = op.Sub(1.0, p)
    return op.Neg(functools.reduce(op.Add, [op.Mul(q, _log(op, q)) for q in (p, rest)]))

"""Losses of classification: scores ``[batch, classes, ...]`` against indices, lists of indices, or probabilities."""

from __future__ import annotations

from nxconvert.frontends.pytorch.dtypes import DataType, is_float
from nxconvert.frontends.pytorch.ops.common import as_tensor, known, static_ints
from nxconvert.frontends.pytorch.ops.linear import linear
from nxconvert.frontends.pytorch.ops.loss import MEAN, NONE, SUM, reduced
from nxconvert.frontends.pytorch.table import Builder, Int, LoweringError, Number, Value, aten
from nxconvert.graph.builder import GraphTypeError
from nxconvert.graph.dims import product
from nxconvert.graph.schema import HALVES

_REDUCTIONS = {NONE: "none", MEAN: "mean", SUM: "sum"}


def _settings(reduction: Int, ignore_index: Int) -> dict[str, object]:
    if reduction not in (NONE, MEAN, SUM):
        raise LoweringError(f"there is no reduction {reduction}")
    index = static_ints(ignore_index, "the index to ignore")[0]
    return {"reduction": _REDUCTIONS[reduction], "ignore_index": index}  # type: ignore[index]


def _class_weights(op: Builder, like: Value, target: Value, weight: Value | None, ignore_index: Int) -> Value:
    """The weight of each target's class; 0 for those to ignore."""
    ignored = op.Equal(target, as_tensor(op, ignore_index, target.etype))
    nothing, one = op.const(0, like.etype), op.const(1, like.etype)
    if weight is None:
        return op.Where(ignored, nothing, one)
    safe = op.Where(ignored, op.const(0, target.etype), target)
    return op.Where(ignored, nothing, op.Gather(weight, safe, axis=0))


# ---- negative log-likelihood ----------------------------------------------------------------------------------------


@aten("nll_loss", "nll_loss2d", "nll_loss_nd")
def nll_loss(
    op: Builder, self: Value, target: Value, weight: Value | None = None, reduction: Int = MEAN,
    ignore_index: Int = -100,
) -> Value:  # fmt: skip
    """Log-probabilities ``[batch, classes, ...]`` or ``[classes]``."""
    settings = _settings(reduction, ignore_index)
    if self.rank > 1:
        return op.NegativeLogLikelihoodLoss(self, target, weight, **settings)
    loss = op.NegativeLogLikelihoodLoss(op.Unsqueeze(self, [0]), op.Unsqueeze(target, [0]), weight, **settings)
    return loss if loss.rank == target.rank else op.Squeeze(loss, [0])


@aten("nll_loss_forward", "nll_loss2d_forward")
def nll_loss_forward(
    op: Builder, self: Value, target: Value, weight: Value | None, reduction: Int, ignore_index: Int
) -> tuple[Value, Value]:
    """With the sum of weights, which is 0 if nothing is reduced."""
    loss = nll_loss(op, self, target, weight, reduction, ignore_index)
    if reduction == NONE:
        return loss, op.const(0, self.etype)
    return loss, op.ReduceSum(_class_weights(op, self, target, weight, ignore_index), keepdims=0)


@aten("cross_entropy_loss")
def cross_entropy_loss(
    op: Builder, self: Value, target: Value, weight: Value | None = None, reduction: Int = MEAN,
    ignore_index: Int = -100, label_smoothing: Number = 0.0,
) -> Value:  # fmt: skip
    """Scores ``[batch, classes, ...]`` or ``[classes]``; targets are indices, or probabilities of the same shape."""
    smoothing = known(label_smoothing, "label_smoothing")
    if self.rank == target.rank and is_float(target.etype):
        return _soft_cross_entropy(op, self, target, weight, reduction, smoothing)
    if self.rank == 1:
        one, its_target = op.Unsqueeze(self, [0]), op.Unsqueeze(target, [0])
        loss = cross_entropy_loss(op, one, its_target, weight, reduction, ignore_index, label_smoothing)
        return loss if not loss.rank else op.Squeeze(loss, [0])
    if not smoothing:
        # Runtimes without a kernel for bfloat16 expand it to an operator that is not defined for bfloat16.
        wide = [op.cast(x, DataType.FLOAT) if x is not None and x.etype in HALVES else x for x in (self, weight)]
        loss = op.SoftmaxCrossEntropyLoss(wide[0], target, wide[1], **_settings(reduction, ignore_index))
        return op.cast(loss, self.etype)
    return _smoothed_cross_entropy(op, self, target, weight, reduction, ignore_index, smoothing)


def _per_class(op: Builder, weight: Value, like: Value, axis: int) -> Value:
    """A vector of the classes, broadcast along ``axis``."""
    after = like.rank - axis - 1
    return op.Unsqueeze(weight, list(range(1, 1 + after))) if after else weight


def _soft_cross_entropy(
    op: Builder, scores: Value, target: Value, weight: Value | None, reduction: Int, smoothing: float
) -> Value:
    axis = 0 if scores.rank == 1 else 1
    logs = op.LogSoftmax(scores, axis=axis)
    target = op.cast(target, scores.etype)
    if smoothing:
        share = op.Div(op.const(smoothing, scores.etype), as_tensor(op, scores.dims[axis], scores.etype))
        target = op.Add(op.Mul(target, op.const(1 - smoothing, scores.etype)), share)
    if weight is not None:
        logs = op.Mul(logs, _per_class(op, weight, logs, axis))
    loss = op.Neg(op.ReduceSum(op.Mul(logs, target), [axis], keepdims=0))
    return reduced(op, loss, reduction)


def _smoothed_cross_entropy(
    op: Builder, scores: Value, target: Value, weight: Value | None, reduction: Int, ignore_index: Int, smoothing: float
) -> Value:
    """``(1 - smoothing)`` of the loss of the target, and the rest spread over all classes."""
    logs = op.LogSoftmax(scores, axis=1)
    hit = nll_loss(op, logs, target, weight, reduction, ignore_index)
    weighted = logs if weight is None else op.Mul(logs, _per_class(op, weight, logs, 1))
    spread = op.Neg(op.ReduceSum(weighted, [1], keepdims=0))
    ignored = op.Equal(target, as_tensor(op, ignore_index, target.etype))
    spread = op.Where(ignored, op.const(0, scores.etype), spread)
    if reduction == MEAN:
        counted = _class_weights(op, scores, target, weight, ignore_index)
        spread = op.Div(op.ReduceSum(spread, keepdims=0), op.ReduceSum(counted, keepdims=0))
    elif reduction == SUM:
        spread = op.ReduceSum(spread, keepdims=0)
    share = op.Div(op.const(smoothing, scores.etype), as_tensor(op, scores.dims[1], scores.etype))
    return op.Add(op.Mul(hit, op.const(1 - smoothing, scores.etype)), op.Mul(spread, share))


@aten("torch_nn::_linear_cross_entropy_batch_chunked")
def linear_cross_entropy(
    op: Builder, input: Value, linear_weight: Value, target: Value, linear_bias: Value | None, weight: Value | None,
    reduction: str, ignore_index: Int, label_smoothing: Number, *settings: object, **named_settings: object,
) -> tuple[Value, None, None, None]:  # fmt: skip
    """A linear layer and its loss; the gradients that PyTorch computes along with it are none of a model's results."""
    scores = linear(op, input, linear_weight, linear_bias)
    kind = {name: number for number, name in _REDUCTIONS.items()}[reduction]
    return cross_entropy_loss(op, scores, target, weight, kind, ignore_index, label_smoothing), None, None, None


@aten("torch_nn::_linear_cross_entropy_batch_chunked_no_reduction")
def linear_cross_entropy_each(
    op: Builder, input: Value, linear_weight: Value, target: Value, linear_bias: Value | None, weight: Value | None,
    ignore_index: Int, *settings: object, **named_settings: object,
) -> Value:  # fmt: skip
    scores = linear(op, input, linear_weight, linear_bias)
    return cross_entropy_loss(op, scores, target, weight, NONE, ignore_index)


# ---- margins --------------------------------------------------------------------------------------------------------


@aten("multi_margin_loss")
def multi_margin_loss(
    op: Builder, self: Value, target: Value, p: Number = 1, margin: Number = 1, weight: Value | None = None,
    reduction: Int = MEAN,
) -> Value:  # fmt: skip
    """The mean over the other classes of ``max(0, margin - x[target] + x[class]) ** p``."""
    if self.rank < 2:
        batch = op.reshape(self, [1, product(self.dims)]), target if target.rank else op.Unsqueeze(target, [0])
        loss = multi_margin_loss(op, *batch, p, margin, weight, reduction)
        return op.reshape(loss, target.dims) if reduction == NONE else loss
    if self.rank != 2:
        raise GraphTypeError(f"the scores have rank {self.rank}, not 1 or 2")
    place = op.Unsqueeze(target, [1])
    rest = op.Relu(op.Add(op.Sub(self, op.GatherElements(self, place, axis=1)), as_tensor(op, margin, self.etype)))
    if known(p, "p") == 2:
        rest = op.Mul(rest, rest)
    if weight is not None:
        rest = op.Mul(rest, op.Gather(weight, place, axis=0))
    others = op.Not(op.Equal(op.Range(0, op.dim_value(self.dims[1]), 1), place))
    return reduced(op, _mean_of(op, rest, op.cast(others, self.etype)), reduction)


def _mean_of(op: Builder, x: Value, counted: Value) -> Value:
    """The sum of what counts along the last axis, divided by its whole size."""
    return op.ReduceMean(op.Mul(x, counted), [-1], keepdims=0)


def _multilabel_margin(op: Builder, scores: Value, target: Value) -> tuple[Value, Value]:
    """The losses, and which classes are targets (1 or 0); a list of targets ends at its first negative index."""
    if not scores.rank:
        loss, is_target = _multilabel_margin(op, op.reshape(scores, [1]), op.reshape(target, [1]))
        return loss, op.reshape(is_target, [])
    zero = op.const(0, target.etype)
    ended = op.CumSum(op.Cast(op.Less(target, zero), to=DataType.INT64), target.rank - 1)
    valid = op.Equal(ended, 0)
    place = op.Where(valid, target, zero)
    present = op.Cast(valid, to=scores.etype)
    blank = op.expand(op.const(0, scores.etype), scores.dims)
    is_target = op.ScatterElements(blank, place, present, axis=scores.rank - 1, reduction="max")
    hits = op.GatherElements(scores, place, axis=scores.rank - 1)
    one = op.const(1, scores.etype)
    # [..., target, class]
    gaps = op.Relu(op.Sub(op.Add(op.Unsqueeze(scores, [scores.rank - 1]), one), op.Unsqueeze(hits, [scores.rank])))
    losses = op.Mul(gaps, op.Unsqueeze(present, [scores.rank]))
    per_class = op.ReduceSum(losses, [scores.rank - 1], keepdims=0)
    return _mean_of(op, per_class, op.Sub(one, is_target)), is_target


@aten("multilabel_margin_loss")
def multilabel_margin_loss(op: Builder, self: Value, target: Value, reduction: Int = MEAN) -> Value:
    return reduced(op, _multilabel_margin(op, self, target)[0], reduction)


@aten("multilabel_margin_loss_forward")
def multilabel_margin_loss_forward(op: Builder, self: Value, target: Value, reduction: Int) -> tuple[Value, Value]:
    loss, is_target = _multilabel_margin(op, self, target)
    return reduced(op, loss, reduction), is_target

"""Connectionist temporal classification: the likelihood of a sequence of labels, over all its alignments.

A. Graves et al., "Connectionist temporal classification" (2006): the labels are spread out with blanks between them,
and the likelihoods of all prefixes go from one step of time to the next.
"""

from __future__ import annotations

from typing import NamedTuple

from nxconvert.frontends.pytorch.dtypes import DataType
from nxconvert.frontends.pytorch.ops.common import as_tensor
from nxconvert.frontends.pytorch.ops.loops import repeat
from nxconvert.frontends.pytorch.ops.loss import MEAN, reduced
from nxconvert.frontends.pytorch.ops.resample import counting
from nxconvert.frontends.pytorch.table import Builder, Int, Ints, Value, aten
from nxconvert.graph.dims import product

_IMPOSSIBLE = float("-inf")


class _Batch(NamedTuple):
    """What is compared.

    Attributes:
        scores: log-probabilities ``[time, batch, classes]``.
        labels: int64 ``[batch, longest]``.
        times: int64 ``[batch]``, how much of the time counts.
        lengths: int64 ``[batch]``, how many labels count.
        blank: the class between labels.
    """

    scores: Value
    labels: Value
    times: Value
    lengths: Value
    blank: Int


def _lengths(op: Builder, lengths: Value | list[Int]) -> Value:
    if isinstance(lengths, Value):
        return op.reshape(op.cast(lengths, DataType.INT64), [product(lengths.dims)])
    return op.dims_tensor(list(lengths))


def _batch(
    op: Builder, scores: Value, targets: Value, times: Value | list[Int], lengths: Value | list[Int], blank: Int
) -> _Batch:
    """The targets may follow each other in one vector."""
    count, longest = _lengths(op, lengths), targets.dims[-1]
    if scores.rank == 2:
        scores, targets = op.Unsqueeze(scores, [1]), op.Unsqueeze(targets, [0])
    labels = op.cast(targets, DataType.INT64)
    if labels.rank == 1:
        if not isinstance(lengths, Value) and all(isinstance(n, int) for n in lengths):
            longest = max([0, *lengths])  # type: ignore[type-var]
        start = op.Unsqueeze(op.CumSum(count, 0, exclusive=1), [1])
        place = op.Add(start, counting(op, longest, DataType.INT64))
        labels = op.Gather(labels, op.Min(place, op.dim_value(targets.dims[0] - 1)), axis=0)
    return _Batch(scores, labels, _lengths(op, times), count, blank)


def _spread(op: Builder, batch: _Batch) -> Value:
    """Blank, label, blank, ..., label, blank: ``[batch, 2 · longest + 1]``."""
    blank = as_tensor(op, batch.blank, DataType.INT64)
    pairs = op.Concat(op.expand(blank, [*batch.labels.dims, 1]), op.Unsqueeze(batch.labels, [2]), axis=2)
    rows, longest = batch.labels.dims
    return op.Concat(op.reshape(pairs, [rows, 2 * longest]), op.expand(blank, [rows, 1]), axis=1)


def _log_of_sum(op: Builder, logs: Value) -> Value:
    """``log(sum(exp(logs)))`` over the last axis; nothing possible is impossible together."""
    top = op.ReduceMax(logs, [-1], keepdims=1)
    top = op.Where(op.IsInf(top), op.const(0.0, logs.etype), top)
    return op.Add(op.Log(op.ReduceSum(op.Exp(op.Sub(logs, top)), [-1], keepdims=0)), op.Squeeze(top, [-1]))


def _shifted(op: Builder, logs: Value, by: int) -> Value:
    """What stood ``by`` places before."""
    front = op.expand(op.const(_IMPOSSIBLE, logs.etype), [logs.dims[0], by])
    return op.Slice(op.Concat(front, logs, axis=1), [0], op.dims_tensor([logs.dims[1]]), [1])


def _negative_log_likelihoods(op: Builder, batch: _Batch) -> Value:
    path = _spread(op, batch)
    dtype, (rows, width) = batch.scores.etype, path.dims
    first = op.Equal(counting(op, width, DataType.INT64), 0)
    start = op.expand(op.Where(first, op.const(0.0, dtype), op.const(_IMPOSSIBLE, dtype)), [rows, width])
    # A blank may be left out between two different labels.
    before = op.Concat(op.expand(as_tensor(op, batch.blank, DataType.INT64), [rows, 2]), path, axis=1)
    before = op.Slice(before, [0], op.dims_tensor([width]), [1])
    differs = op.Not(op.Equal(path, before))
    skips = op.Where(differs, op.const(0.0, dtype), op.const(_IMPOSSIBLE, dtype))

    def step(body: Builder, time: Value, logs: Value) -> list[Value]:
        ways = [logs, _shifted(body, logs, 1), body.Add(_shifted(body, logs, 2), skips)]
        joined = _log_of_sum(body, body.Concat(*(body.Unsqueeze(way, [2]) for way in ways), axis=2))
        scores = body.GatherElements(body.Gather(batch.scores, time, axis=0), path, axis=1)
        goes_on = body.Unsqueeze(body.Less(time, batch.times), [1])
        return [body.Where(goes_on, body.Add(joined, scores), logs)]

    logs = repeat(op, batch.scores.dims[0], [start], step)[0]
    # The last label, or the blank behind it; without a label, the one blank.
    end = op.Unsqueeze(op.Mul(batch.lengths, 2), [1])
    last = op.GatherElements(logs, op.Concat(op.Max(op.Sub(end, 1), 0), end, axis=1), axis=1)
    likelihoods = _log_of_sum(op, last)
    empty = op.Equal(batch.lengths, 0)
    return op.Neg(op.Where(empty, op.Squeeze(op.Slice(logs, [0], [1], [1]), [1]), likelihoods))


@aten("_ctc_loss", "_ctc_loss.Tensor")
def core_ctc_loss(
    op: Builder, log_probs: Value, targets: Value, input_lengths: Value | Ints, target_lengths: Value | Ints,
    blank: Int = 0, zero_infinity: bool = False,
) -> tuple[Value, None]:  # fmt: skip
    """The likelihoods of all prefixes, which are the second result, serve the gradient."""
    batch = _batch(op, log_probs, targets, input_lengths, target_lengths, blank)
    losses = _finite(op, _negative_log_likelihoods(op, batch), zero_infinity)
    return (losses if log_probs.rank == 3 else op.Squeeze(losses, [0])), None


@aten("ctc_loss.IntList", "ctc_loss.Tensor")
def ctc_loss(
    op: Builder, log_probs: Value, targets: Value, input_lengths: Value | Ints, target_lengths: Value | Ints,
    blank: Int = 0, reduction: Int = MEAN, zero_infinity: bool = False,
) -> Value:  # fmt: skip
    """The mean is that of the losses by the number of their labels."""
    losses = core_ctc_loss(op, log_probs, targets, input_lengths, target_lengths, blank, zero_infinity)[0]
    if reduction == MEAN:
        lengths = op.cast(op.Max(_lengths(op, target_lengths), 1), losses.etype)
        losses = op.Div(losses, lengths if losses.rank else op.Squeeze(lengths, [0]))
    return reduced(op, losses, reduction)


def _finite(op: Builder, losses: Value, wanted: bool) -> Value:
    return op.Where(op.IsInf(losses), op.const(0.0, losses.etype), losses) if wanted else losses

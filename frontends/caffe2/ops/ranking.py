"""Losses of ranked lists: a batch holds sessions of documents, one after the other, which are compared pair by pair.

Semantics: ``caffe2/operators/rank_loss_op.cc``, ``listwise_l2r_op.cc``.
"""

from __future__ import annotations

import math

import numpy as np

from nxconvert.frontends.caffe2.ops.numbers import counting
from nxconvert.frontends.caffe2.table import Builder, DataType, Lengths, Value, Vector, caffe2
from nxconvert.graph.dims import product, require


class _Sessions:
    """Which documents belong together.

    Attributes:
        members: bool[sessions, documents].
        together: bool[documents, documents].
    """

    def __init__(self, op: Builder, lengths: Value, documents: Value) -> None:
        sizes = op.cast(lengths, DataType.INT64)
        ends = op.CumSum(sizes, 0)
        places = counting(op, documents.dims[0])
        begun = op.GreaterOrEqual(places, op.Unsqueeze(op.Sub(ends, sizes), [1]))
        self.members = op.And(begun, op.Less(places, op.Unsqueeze(ends, [1])))
        session = op.ReduceSum(op.Cast(op.Not(begun), to=DataType.INT64), [0], keepdims=0)
        self.together = op.Equal(op.Unsqueeze(session, [1]), session)
        self._dtype = documents.etype

    def sums(self, op: Builder, x: Value) -> Value:
        """The sum of each session, of a number a document."""
        return op.MatMul(op.Cast(self.members, to=self._dtype), x)

    def spread(self, op: Builder, x: Value) -> Value:
        """Each document's number of its session."""
        return op.MatMul(x, op.Cast(self.members, to=self._dtype))

    def pairs(self, op: Builder, x: Value) -> Value:
        """The sums over a document's partners, of a number a pair; partners of other sessions do not count."""
        return op.ReduceSum(op.Where(self.together, x, op.const(0.0, x.etype)), [1], keepdims=0)


def _differences(op: Builder, x: Value) -> Value:
    """``x[i] - x[j]`` for all pairs."""
    return op.Sub(op.Unsqueeze(x, [1]), x)


@caffe2("PairWiseLoss")
def pair_wise_loss(op: Builder, x: Vector, labels: Vector, lengths: Lengths | None = None) -> Value:
    """Of each session the mean of ``log(1 + exp(s_worse - s_better))`` over its pairs of different labels, else 0.

    Without lengths all is one session.
    """
    documents = x.dims[0]
    if documents == 0:
        return op.const([], x.etype)
    require(product(x.dims), documents)
    x, labels = op.reshape(x, [documents]), op.reshape(labels, [documents])
    sizes = op.dims_tensor([documents]) if lengths is None else lengths
    sessions = _Sessions(op, sizes, x)
    better = _differences(op, labels)
    differ = op.GreaterOrEqual(op.Abs(better), float(np.finfo(np.float32).eps))
    losses = op.Softplus(op.Neg(op.Mul(op.Sign(better), _differences(op, x))))
    # Both orders of a pair are summed up, and counted.
    total = sessions.sums(op, sessions.pairs(op, op.Where(differ, losses, op.const(0.0, x.etype))))
    count = sessions.sums(op, sessions.pairs(op, op.Cast(differ, to=x.etype)))
    return op.Div(total, op.Max(count, 1.0))


@caffe2("LambdaRankNdcg")
def lambda_rank_ndcg(
    op: Builder,
    y: Vector,
    relevance: Vector,
    lengths: Lengths,
    *,
    use_ndcg_as_loss: int = 0,
    use_idcg_normalization: int = 1,
    use_exp_gain: int = 1,
) -> tuple[Value, Value]:
    """Of each session the loss, and of each document the loss's slope.

    A pair counts by what swapping it would change of the discounted gain. With ``use_ndcg_as_loss`` the loss is what
    the order lacks of the best gain. A session without any relevance has neither loss nor slopes.
    """
    relevance = op.reshape(relevance, y.dims)
    sessions = _Sessions(op, lengths, y)
    gain = relevance if use_ndcg_as_loss and not use_exp_gain else op.Exp(op.Mul(relevance, math.log(2.0)))
    discount = _discounts(op, sessions, y)
    ideal = sessions.sums(op, op.Mul(gain, _discounts(op, sessions, relevance)))
    weight = op.Abs(op.Mul(_differences(op, discount), _differences(op, gain)))
    sign = op.Where(op.Greater(_differences(op, relevance), 0.0), op.const(1.0, y.etype), op.const(-1.0, y.etype))
    margin = op.Mul(sign, _differences(op, y))
    slopes = op.Neg(sessions.pairs(op, op.Mul(op.Mul(weight, sign), op.Sigmoid(op.Neg(margin)))))
    if use_ndcg_as_loss:
        loss = op.Sub(ideal, sessions.sums(op, op.Mul(gain, discount)))
    else:
        loss = sessions.sums(op, sessions.pairs(op, op.Mul(weight, op.Softplus(op.Neg(margin)))))
    factor = op.Cast(op.GreaterOrEqual(sessions.sums(op, op.Abs(relevance)), 1e-6), to=y.etype)
    if use_idcg_normalization:
        factor = op.Div(factor, op.Max(ideal, 1e-5))
    return op.Mul(loss, factor), op.Mul(slopes, sessions.spread(op, factor))


def _discounts(op: Builder, sessions: _Sessions, x: Value) -> Value:
    """``1 / log2(2 + rank)``, where the rank is the number of larger scores in the session, or equal ones before."""
    places = counting(op, x.dims[0])
    difference = _differences(op, x)
    earlier = op.Less(places, op.Unsqueeze(places, [1]))
    ahead = op.Or(op.Less(difference, 0.0), op.And(op.Equal(difference, 0.0), earlier))
    rank = sessions.pairs(op, op.Cast(ahead, to=x.etype))
    return op.Div(math.log(2.0), op.Log(op.Add(rank, 2.0)))

"""How good an order of search results is.

Semantics: CNTK 2.7, measured; its sources for what it does with ties. A batch has the results of one query after the
other, those of each from the one with the largest gain to the one with the least. Neither metric is one of samples:
their value is times the number of samples, as trainers divide by it.
"""

from __future__ import annotations

from dataclasses import dataclass

from nxconvert.frontends.cntk.columns import Columns, warn_of_empty_columns
from nxconvert.frontends.cntk.dynamic import aligned, leading_dims
from nxconvert.frontends.cntk.table import Builder, Context, DataType, Int, LoweringError, Tensor, Value, cntk
from nxconvert.graph.dims import product


@dataclass(frozen=True)
class _Results:
    """The results of a batch.

    Attributes:
        count: how many results there are.
        gain: of each.
        first: the place of the first result of the same query, int64.
        ideal: the rank of each among those of its query by the order they are in, int64.
        rank: its rank by what is predicted, int64.
        same: whether two results are of one query, [results, results].
        queries: how many queries there are, of the dtype of the gains.
    """

    count: Int
    gain: Value
    first: Value
    ideal: Value
    rank: Value
    same: Value
    queries: Value


def _results(op: Builder, context: Context, output: Tensor, gain: Tensor, group: Tensor) -> _Results:
    score, gains, query = _rows(op, context, output, gain, group)
    count = gains.dims[0]
    place = op.Range(0, count, 1)
    query = op.cast(query, DataType.INT64)
    before = op.Gather(query, op.Max(op.Sub(place, 1), 0), axis=0)
    starts = op.Or(op.Not(op.Equal(query, before)), op.Equal(place, 0))
    number = op.CumSum(op.cast(starts, DataType.INT64), 0)
    same = op.Equal(op.Unsqueeze(number, [1]), op.Unsqueeze(number, [0]))
    first = op.ArgMax(op.cast(same, DataType.INT32), axis=1, keepdims=0)
    ahead = op.And(same, _ahead(op, score, gains, place))
    rank = op.ReduceSum(op.cast(ahead, DataType.INT64), [1], keepdims=0)
    queries = op.cast(op.ReduceMax(number, keepdims=0), gains.etype)
    return _Results(count, gains, first, op.Sub(place, first), rank, same, queries)


def _rows(op: Builder, context: Context, *tensors: Tensor) -> list[Value]:
    """The first numbers of all samples, [columns]."""
    _, axes = aligned(op, *tensors)
    if not axes.batch or any(x.axes.count != axes.count for x in tensors):
        raise LoweringError("what is ranked is no batch of numbers")
    warn_of_empty_columns(context, axes)
    columns = Columns(op, axes.seq, context.batch) if axes.seq is not None else None
    rows = []
    for x in tensors:
        value = op.reshape(x.value, (*leading_dims(axes, context.batch), product(x.dims)))
        rows.append(op.Gather(value if columns is None else columns.pack(value), op.const(0), axis=1))
    return rows


def _ahead(op: Builder, score: Value, gain: Value, place: Value) -> Value:
    """Whether the second of two results, [results, results], is ahead: by its score, or else a smaller gain, or else by
    being the first one.
    """
    (s, s2), (g, g2), (p, p2) = ((op.Unsqueeze(x, [1]), op.Unsqueeze(x, [0])) for x in (score, gain, place))
    by_gain = op.Or(op.Less(g2, g), op.And(op.Equal(g2, g), op.Less(p2, p)))
    return op.Or(op.Greater(s2, s), op.And(op.Equal(s2, s), by_gain))


def _discounted(op: Builder, gain: Value, rank: Value) -> Value:
    return op.Div(gain, op.Log(op.Add(op.cast(rank, gain.etype), 2.0)))


def _ratio(op: Builder, a: Value, b: Value) -> Value:
    """A quotient, and 0 where the divisor is 0."""
    return op.Where(op.Equal(b, 0.0), op.const(0.0, a.etype), op.Div(a, b))


def _percent(op: Builder, x: Value, count: Int) -> Tensor:
    return Tensor(op.Mul(op.Mul(x, 100.0), op.cast(op.dim_value(count), x.etype)))


@cntk("LambdaRank")
def lambda_rank(op: Builder, output: Tensor, gain: Tensor, group: Tensor, *, context: Context) -> Tensor:
    """1 minus the mean over queries of the discounted gain in relation to that in the order the results are in."""
    results = _results(op, context, output, gain, group)
    ideal = _discounted(op, results.gain, results.ideal)
    mine = op.cast(results.same, ideal.etype)
    whole = op.ReduceSum(op.Mul(mine, op.Unsqueeze(ideal, [0])), [1], keepdims=0)
    parts = _ratio(op, _discounted(op, results.gain, results.rank), whole)
    mean = op.Div(op.ReduceSum(parts, keepdims=0), results.queries)
    return _percent(op, op.Sub(1.0, mean), results.count)


@cntk("NDCG")
def ndcg_at_one(op: Builder, output: Tensor, gain: Tensor, group: Tensor, *, context: Context) -> Tensor:
    """The mean over queries of the gain of the result that is predicted to be the best, in relation to the first's."""
    results = _results(op, context, output, gain, group)
    ratio = _ratio(op, results.gain, op.Gather(results.gain, results.first, axis=0))
    best = op.Where(op.Equal(results.rank, 0), ratio, op.const(0.0, ratio.etype))
    return _percent(op, op.Div(op.ReduceSum(best, keepdims=0), results.queries), results.count)

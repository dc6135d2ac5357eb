"""Sequences of labels against sequences of predictions: edit distances, and connectionist temporal classification.

Semantics: CNTK 2.7, measured; its sources for the order in which equally cheap edits are preferred. Both functions add
up all sequences of a batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nxconvert.frontends.cntk.dynamic import joined
from nxconvert.frontends.cntk.table import Builder, Context, DataType, Int, Ints, LoweringError, Tensor, Value, cntk
from nxconvert.graph.builder import TensorType
from nxconvert.graph.dims import product

_INT64, _FLOAT = DataType.INT64, DataType.FLOAT


def _largest(op: Builder, x: Tensor, batch: Int) -> tuple[Value, Value]:
    """The place of the largest element at each step, int64[batch, steps], and that element."""
    steps = 1 if x.axes.seq is None else x.axes.seq.size
    rows = op.reshape(x.value, (batch, steps, product(x.dims)))
    return op.ArgMax(rows, axis=2, keepdims=0), op.ReduceMax(rows, [2], keepdims=0)


# ---- edit distances --------------------------------------------------------------------------------------------------


@cntk("EditDistanceError")
def edit_distance_error(
    op: Builder,
    second: Tensor,
    first: Tensor,
    *,
    context: Context,
    SubstitutionPenalty: float = 1.0,
    DeletionPenalty: float = 1.0,
    InsertionPenalty: float = 1.0,
    SquashInputs: bool = False,
    TokensToIgnore: Ints = (),
) -> Tensor:
    """The number of edits that make the sequences of the second operand those of the first one, for each label of the
    former, times the number of steps. Penalties decide which edits are made, yet each counts as 1.
    """
    batch, seq = context.batch, joined([first, second]).seq
    if first.axes.count != second.axes.count or not first.axes.batch:
        raise LoweringError("one of the operands has no samples of its own")
    mask = op.expand(op.const(True), (batch, 1)) if seq is None else seq.mask
    (a, lengths_a), (b, lengths_b) = (
        _labels(op, _largest(op, x, batch)[0], mask, SquashInputs, TokensToIgnore) for x in (first, second)
    )
    penalties = SubstitutionPenalty, DeletionPenalty, InsertionPenalty
    edits = op.cast(op.ReduceSum(_edits(op, a, lengths_a, b, lengths_b, penalties), keepdims=0), first.dtype)
    steps, labels = (op.cast(op.ReduceSum(op.cast(x, _INT64), keepdims=0), first.dtype) for x in (mask, lengths_a))
    return Tensor(op.Div(op.Mul(edits, steps), labels))


def _labels(op: Builder, found: Value, mask: Value, squash: bool, ignored: Ints) -> tuple[Value, Value]:
    """The labels [batch, steps] without those that repeat the one before, or are not looked at; and how many remain."""
    batch, size = found.dims
    kept = mask
    for token in ignored:
        kept = op.And(kept, op.Not(op.Equal(found, token)))
    if squash:
        none = op.expand(op.const(-1, _INT64), (batch, 1))
        before = op.reshape(op.Slice(op.Concat(none, found, axis=1), [0], [-1], [1]), (batch, size))
        kept = op.And(kept, op.Not(op.Equal(found, before)))
    counts = op.CumSum(op.cast(kept, _INT64), 1)
    place = op.Where(kept, op.Sub(counts, 1), op.dim_value(size))
    empty = op.expand(op.const(-1, _INT64), (batch, size + 1))
    return op.ScatterElements(empty, place, found, axis=1), op.ReduceMax(counts, [1], keepdims=0)


def _edits(op: Builder, a: Value, lengths_a: Value, b: Value, lengths_b: Value, penalties: Sequence[float]) -> Value:
    """The number of edits that make sequences ``a`` sequences ``b``, float[batch].

    The table of costs of beginnings is computed along its diagonals, on which cells do not depend on each other: one
    after the other, over i, where j = d - i.
    """
    batch, width = a.dims
    # There is a diagonal to compute even if there are no labels: Scan needs one.
    limit = op.Max(op.ReduceMax(op.Add(lengths_a, lengths_b), keepdims=0), 1)
    count = op.symbol_of(limit, "diagonals", low=1)
    body = op.child()
    states = [body.input(name, _FLOAT, (batch, width)) for name in ("cost", "cost_before", "edits", "edits_before")]
    result = body.input("result", _FLOAT, (batch,))
    d = body.input("d", _INT64, ())
    cost, edits = _diagonal(body, states, a, b, d, penalties)
    here = body.GatherElements(edits, body.Unsqueeze(lengths_a, [1]), axis=1)
    ended = body.Equal(body.Add(lengths_a, lengths_b), d)
    new = body.Where(ended, body.Squeeze(here, [1]), result)
    graph = body.graph([cost, states[0], edits, states[2], new], "diagonal")
    zeros = op.expand(op.const(0.0, _FLOAT), (batch, width))
    start = [zeros] * 4 + [op.expand(op.const(0.0, _FLOAT), (batch,))]
    types = [TensorType(_FLOAT, value.dims) for value in start]
    inputs = [*start, op.Range(1, count + 1, 1)]
    return op.node("Scan", inputs, {"body": graph, "num_scan_inputs": 1}, types)[-1]


def _diagonal(
    op: Builder, states: Sequence[Value], a: Value, b: Value, d: Value, penalties: Sequence[float]
) -> tuple[Value, Value]:
    """The costs and numbers of edits on diagonal ``d``, from those on the two before it."""
    substitution, deletion, insertion = (op.const(penalty, _FLOAT) for penalty in penalties)
    cost, cost_before, edits, edits_before = states
    batch, width = a.dims
    i = op.Range(0, width, 1)
    j = op.Sub(d, i)

    def above(x: Value) -> Value:
        """Of what is at i, that of i - 1."""
        return op.reshape(op.Slice(op.Concat(x, x, axis=1), op.dims_tensor([width - 1]), [-1], [1]), (batch, width))

    last_a = above(a)
    last_b = op.Gather(b, op.Min(op.Max(op.Sub(j, 1), 0), op.dim_value(width - 1)), axis=1)
    deleted, inserted = op.Add(above(cost), deletion), op.Add(cost, insertion)
    substituted = op.Add(above(cost_before), substitution)
    equal = op.Equal(last_a, last_b)
    by_substitution = op.And(op.LessOrEqual(substituted, deleted), op.LessOrEqual(substituted, inserted))
    by_deletion = op.Less(deleted, inserted)

    def chosen(same: Value, replaced: Value, without: Value, more: Value, at_i: Value, at_j: Value) -> Value:
        inner = op.Where(equal, same, op.Where(by_substitution, replaced, op.Where(by_deletion, without, more)))
        return op.Where(op.Equal(i, 0), at_j, op.Where(op.Equal(j, 0), at_i, inner))

    rows, columns = op.cast(i, _FLOAT), op.cast(j, _FLOAT)
    costs = chosen(
        above(cost_before), substituted, deleted, inserted, op.Mul(rows, deletion), op.Mul(columns, insertion)
    )
    one = [op.Add(x, 1.0) for x in (above(edits_before), above(edits), edits)]
    return costs, chosen(above(edits_before), one[0], one[1], one[2], rows, columns)


# ---- connectionist temporal classification ---------------------------------------------------------------------------

# The logarithm of nothing, and a difference of logarithms from which on the smaller number is left out.
_NOTHING, _NEGLIGIBLE = -1e11, -9.2103


@cntk("LabelsToGraph")
def labels_to_graph(op: Builder, labels: Tensor) -> Tensor:
    """The labels as they are."""
    return labels


@cntk("ForwardBackward")
def forward_backward(
    op: Builder, labels: Tensor, output: Tensor, *, context: Context, BlankTokenId: int, DelayConstraint: int = -1
) -> Tensor:
    """The negative logarithm of the chance that predictions give to the labels of their sequences, blanks between them
    left out and repetitions made one.

    A label begins where its element of a step is 2. With a constraint of the delay, a label is at most so many steps
    behind the beginning of the next one, and the blank in front of it one less.
    """
    seq, batch = joined([labels, output]).seq, context.batch
    if seq is None or labels.axes.count != 2 or output.axes.count != 2:
        raise LoweringError("labels and predictions are not sequences")
    width = product(output.dims)
    blank = op.dim_value(BlankTokenId if 0 <= BlankTokenId < 2**31 else width - 1)
    chances = op.LogSoftmax(op.reshape(output.value, (batch, seq.size, width)), axis=-1)
    found, value = _largest(op, labels, batch)
    begins = op.And(op.Equal(value, 2.0), seq.mask)
    slots = _slots(op, found, begins, seq.lengths, blank)
    start, end = _chances_behind(op, slots, chances, seq.lengths, blank, DelayConstraint)
    return Tensor(op.Neg(op.ReduceSum(_log_sum(op, start, end), keepdims=0)))


@dataclass(frozen=True)
class _Slots:
    """The labels of sequences with a blank before, between and after them; [batch, slots] all of it.

    Attributes:
        label: what is in each.
        used: whether a sequence has as many.
        last: whether it is one of the last two, in which sequences end.
        skips: whether the next one may be left out: a blank between labels that differ.
        next_begin: the step at which the label after the next one begins; the end of the sequence where there is none,
            0 for the last blank.
    """

    label: Value
    used: Value
    last: Value
    skips: Value
    next_begin: Value


def _slots(op: Builder, found: Value, begins: Value, lengths: Value, blank: Value) -> _Slots:
    batch, size = found.dims
    counts = op.CumSum(op.cast(begins, _INT64), 1)
    number = op.ReduceMax(counts, [1], keepdims=1)
    place = op.Where(begins, op.Sub(counts, 1), op.dim_value(size + 2))
    empty = op.expand(op.const(0, _INT64), (batch, size + 3))
    labels = op.ScatterElements(empty, place, found, axis=1)
    steps = op.expand(op.Range(0, size, 1), (batch, size))
    starts = op.ScatterElements(empty, place, steps, axis=1)
    at = op.Range(0, size + 3, 1)
    # What is at the last place comes from steps at which nothing begins.
    starts = op.Where(op.Less(at, number), starts, op.const(0, _INT64))
    starts = op.Where(op.Equal(at, number), op.Unsqueeze(lengths, [1]), starts)
    most = op.symbol_of(op.ReduceMax(number, keepdims=0), "labels", low=0)
    slot = op.Range(0, most * 2 + 3, 1)
    half = op.Div(slot, 2)
    is_blank = op.Equal(op.Mod(slot, 2), 0)
    label = op.Where(is_blank, blank, op.Gather(labels, half, axis=1))
    total = op.Add(op.Mul(number, 2), 1)
    used, before_last = op.Less(slot, total), op.Less(slot, op.Sub(total, 2))
    differs = op.And(op.Not(op.Equal(label, blank)), op.Not(op.Equal(label, _ahead(op, label, 2, -1))))
    next_begin = op.Gather(starts, op.Add(half, 1), axis=1)
    return _Slots(label, used, op.And(used, op.Not(before_last)), op.And(differs, before_last), next_begin)


def _ahead(op: Builder, x: Value, count: int, fill: float) -> Value:
    """[batch, slots] of what is so many slots further on; a number where there is none."""
    rest = op.expand(op.const(fill, x.etype), (x.dims[0], count))
    return op.reshape(op.Slice(op.Concat(x, rest, axis=1), [count], [2**31], [1]), x.dims)


def _log_sum(op: Builder, a: Value, b: Value) -> Value:
    """log(exp(a) + exp(b)); the larger one if the other one is much smaller."""
    difference = op.Neg(op.Abs(op.Sub(a, b)))
    more = op.Log(op.Add(op.Exp(difference), 1.0))
    return op.Add(op.Max(a, b), op.Where(op.Less(difference, _NEGLIGIBLE), op.const(0.0, a.etype), more))


def _chances_behind(
    op: Builder, slots: _Slots, chances: Value, lengths: Value, blank: Value, delay: int
) -> tuple[Value, Value]:
    """The logarithms of the chances of whole sequences that begin in the first slot, and in the second one, [batch].

    Step by step from the last one, the chance of what is behind each slot from there on is computed.
    """
    batch, size, width = chances.dims
    dtype = chances.etype
    body = op.child()
    behind = body.input("behind", dtype, slots.label.dims)
    t = body.input("t", _INT64, ())
    chance = body.input("chance", dtype, (batch, width))
    nothing = body.const(_NOTHING, dtype)
    own = body.GatherElements(chance, slots.label, axis=1)
    skipped = body.Where(slots.skips, _ahead(body, behind, 2, _NOTHING), nothing)
    following = _log_sum(body, _log_sum(body, skipped, _ahead(body, behind, 1, _NOTHING)), behind)
    inner = body.Add(following, own)
    if delay != -1:
        late = body.Sub(body.Add(slots.next_begin, delay), body.cast(body.Equal(slots.label, blank), _INT64))
        inner = body.Where(body.And(body.Greater(t, late), body.GreaterOrEqual(late, 0)), nothing, inner)
    left = body.Unsqueeze(body.Sub(body.Sub(lengths, 1), t), [1])
    new = body.Where(body.Equal(left, 0), body.Where(slots.last, own, nothing), inner)
    new = body.Where(body.And(slots.used, body.GreaterOrEqual(left, 0)), new, nothing)
    graph = body.graph([new], "step")
    attributes = {"body": graph, "num_scan_inputs": 2, "scan_input_axes": [0, 1], "scan_input_directions": [1, 1]}
    start = op.expand(op.const(_NOTHING, dtype), slots.label.dims)
    inputs = [start, op.Range(0, size, 1), chances]
    (result,) = op.node("Scan", inputs, attributes, [TensorType(dtype, start.dims)])
    first, second = (op.Gather(result, op.const(i, _INT64), axis=1) for i in (0, 1))
    return first, second

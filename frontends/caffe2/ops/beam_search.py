"""Prefix beam search for connectionist temporal classification.

A beam holds the most probable prefixes. In each step a prefix *stays* (a blank, or its last label once more) or is
*extended* by a label. The probability of a prefix has two parts: of sequences that end in a blank, and of those that do
not. Prefixes that were seen in the step before but did not make it into the beam still count when they are reached
again. Semantics as in Caffe2's ``ctc_beam_search_decoder_op.cc``; of equally probable prefixes the lexicographically
first is the better.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nxconvert.frontends.caffe2.table import Builder, DataType, Lengths, LoweringError, Steps, Value, caffe2
from nxconvert.graph.builder import TensorType
from nxconvert.graph.dims import Int

NEVER = float("-inf")


class _Beam(NamedTuple):
    """The prefixes of each sequence of the batch, most probable first.

    Attributes:
        tokens: int64[batch, width, time]; 0 where the prefix has ended.
        size: int64[batch, width].
        total: the probability, float32[batch, width]; minus infinity where there is no prefix.
        blank: of what ends in a blank, float32[batch, width].
        label: of what does not.
        seen_blank: the same of each prefix with a label more that is not in the beam, float32[batch, width, labels].
        seen_label: the same.
    """

    tokens: Value
    size: Value
    total: Value
    blank: Value
    label: Value
    seen_blank: Value
    seen_label: Value


class _Moves(NamedTuple):
    """What becomes of the prefixes in a step.

    Attributes:
        stay: probability of what ends in a blank, in a label, and whether there is any: [batch, width] each.
        extended: the same for each label, [batch, width, labels] each.
        last: the last label of each prefix (0 of an empty one), int64[batch, width].
        child: whether prefix j is prefix i and a label, bool[batch, i, j].
    """

    stay: tuple[Value, Value, Value]
    extended: tuple[Value, Value, Value]
    last: Value
    child: Value


@caffe2("CTCBeamSearchDecoder")
def ctc_beam_search_decoder(
    op: Builder, inputs: Steps, seq_len: Lengths | None = None, *, beam_width: int = 10, num_candidates: int = 1,
    prune_threshold: float = 0.001,
) -> tuple[Value, Value, Value]:  # fmt: skip
    """The most probable sequences of labels, given probabilities of labels (0 is the blank) at each step.

    Returns how many labels each candidate of each sequence has, int32[batch * num_candidates]; the labels of all, in a
    row, int32[n]; and their probabilities, float32[batch * num_candidates]. Candidates that there are not are empty.
    """
    if beam_width < num_candidates:
        raise LoweringError(f"{num_candidates} candidates are wanted of a beam of {beam_width}")
    time, batch, labels = inputs.dims
    state = _start(op, time, batch, labels, beam_width)
    body = op.child()
    step = body.input("step", DataType.INT64, ())
    going = body.input("going", DataType.BOOL, ())
    beam = _Beam(*(body.input(name, v.etype, v.dims) for name, v in zip(_Beam._fields, state, strict=True)))
    probabilities = body.Gather(inputs, step, axis=0)
    moves = _moves(body, beam, probabilities, prune_threshold)
    new = _chosen(body, beam, moves)
    if seq_len is not None:
        active = body.Less(step, op.cast(seq_len, DataType.INT64))
        new = _Beam(*(_where_active(body, active, n, o) for n, o in zip(new, beam, strict=True)))
    types = [TensorType(v.etype, v.dims) for v in state]
    graph = body.graph([going, *new], "step")
    found = _Beam(*op.node("Loop", [op.dim_value(time), op.const(True), *state], {"body": graph}, types))
    return _results(op, found, num_candidates, seq_len)


def _start(op: Builder, time: Int, batch: Int, labels: Int, width: int) -> _Beam:
    """The beam with the empty prefix alone."""
    first = np.arange(width) == 0

    def row(inside: float, outside: float) -> Value:
        numbers = np.where(first, inside, outside)[None].astype(np.float32)
        return op.expand(op.const(numbers), [batch, width])

    none = op.const(0, DataType.INT64)
    unseen = op.expand(op.const(0.0, DataType.FLOAT), [batch, width, labels])
    return _Beam(
        op.expand(none, [batch, width, time]),
        op.expand(none, [batch, width]),
        row(1, NEVER),
        row(1, 0),
        row(0, 0),
        unseen,
        unseen,
    )


def _where_active(op: Builder, active: Value, new: Value, old: Value) -> Value:
    return op.Where(op.Unsqueeze(active, list(range(1, new.rank))), new, old)


# ---- one step --------------------------------------------------------------------------------------------------------


def _moves(op: Builder, beam: _Beam, probabilities: Value, threshold: float) -> _Moves:
    labels = probabilities.dims[1]
    usable = op.Greater(probabilities, np.array(threshold, np.float32))
    # If there is no label to be used, all are.
    some = op.Greater(op.ReduceSum(op.cast(usable, DataType.INT64), [1], keepdims=1), 0)
    usable = op.Or(usable, op.Not(some))
    last = op.GatherElements(beam.tokens, op.Unsqueeze(op.Max(op.Sub(beam.size, 1), 0), [2]), axis=2)
    valid = op.Greater(beam.total, NEVER)
    is_last = op.Equal(op.Range(0, labels, 1), last)
    child = op.And(_children(op, beam.tokens, beam.size, beam), op.Unsqueeze(valid, [2]))
    last = op.Squeeze(last, [2])
    blank = op.Slice(probabilities, [0], [1], [1])
    here = op.Unsqueeze(probabilities, [1])
    both = op.Add(beam.blank, beam.label)
    # After a blank a label may follow itself, otherwise it would be the same one.
    grown = op.Where(is_last, op.Unsqueeze(beam.blank, [2]), op.Unsqueeze(both, [2]))
    grown = op.Mul(here, grown)
    reached = op.And(op.Unsqueeze(usable, [1]), op.Unsqueeze(valid, [2]))
    reached = op.And(reached, op.Greater(op.Range(0, labels, 1), 0))
    stay = _staying(op, beam, probabilities, usable, last, (grown, reached), child)
    inside = _labels_of_children(op, child, is_last)
    zero = op.const(np.float32(0))
    new = op.And(reached, op.Not(inside))
    extended_blank = op.Mul(op.Unsqueeze(blank, [2]), op.Add(beam.seen_blank, beam.seen_label))
    extended_label = op.Add(grown, op.Mul(here, beam.seen_label))
    extended = (op.Where(new, extended_blank, zero), op.Where(new, extended_label, zero), new)
    return _Moves(stay, extended, last, child)


def _children(op: Builder, tokens: Value, size: Value, beam: _Beam) -> Value:
    """Whether prefix j of the beam is prefix i of some others and a label more: bool[batch, i, j]."""
    time = beam.tokens.dims[2]
    end = op.Equal(op.Range(0, time, 1), op.Sub(op.Unsqueeze(beam.size, [2]), 1))
    parents = op.Unsqueeze(op.Where(end, 0, beam.tokens), [1])
    same = op.Equal(op.Unsqueeze(tokens, [2]), parents)
    differing = op.ReduceSum(op.cast(op.Not(same), DataType.INT64), [3], keepdims=0)
    longer = op.Equal(op.Add(op.Unsqueeze(size, [2]), 1), op.Unsqueeze(beam.size, [1]))
    valid = op.Unsqueeze(op.Greater(beam.total, NEVER), [1])
    return op.And(op.And(op.Equal(differing, 0), longer), valid)


def _labels_of_children(op: Builder, child: Value, is_last: Value) -> Value:
    """Whether prefix i with a label more is in the beam: bool[batch, i, labels]."""
    counts = op.MatMul(op.cast(child, DataType.FLOAT), op.cast(is_last, DataType.FLOAT))
    return op.Greater(counts, 0.0)


def _staying(
    op: Builder, beam: _Beam, probabilities: Value, usable: Value, last: Value, grown: tuple[Value, Value],
    child: Value,
) -> tuple[Value, Value, Value]:  # fmt: skip
    """The prefixes of the beam after the step: they stay, or their parents have been extended."""
    zero = op.const(np.float32(0))
    valid = op.Greater(beam.total, NEVER)
    blank_usable = op.Slice(usable, [0], [1], [1])
    blank = op.Mul(op.Slice(probabilities, [0], [1], [1]), op.Add(beam.blank, beam.label))
    blank = op.Where(blank_usable, blank, zero)
    repeats = op.And(op.GatherElements(usable, last, axis=1), op.Greater(beam.size, 0))
    label = op.Where(repeats, op.Mul(op.GatherElements(probabilities, last, axis=1), beam.label), zero)
    # Prefix i extended by the last label of prefix j, where that is prefix j.
    ends = op.expand(op.Unsqueeze(last, [1]), child.dims)
    from_parents = op.And(child, op.GatherElements(grown[1], ends, axis=2))
    shares = op.Where(from_parents, op.GatherElements(grown[0], ends, axis=2), zero)
    label = op.Add(op.ReduceSum(shares, [1], keepdims=0), label)
    parents = op.Greater(op.ReduceSum(op.cast(from_parents, DataType.INT64), [1], keepdims=0), 0)
    exists = op.And(valid, op.Or(op.Or(blank_usable, repeats), parents))
    return blank, label, exists


def _chosen(op: Builder, beam: _Beam, moves: _Moves) -> _Beam:
    """The most probable of the prefixes that stay and of those that are extended."""
    batch, width, labels = moves.extended[0].dims
    assert isinstance(width, int)

    def candidates(stay: Value, extended: Value) -> Value:
        flat = op.Concat(op.Unsqueeze(stay, [2]), extended, axis=2)
        return op.reshape(flat, [batch, (labels + 1) * width])

    blank, label, exists = (candidates(s, e) for s, e in zip(moves.stay, moves.extended, strict=True))
    total = op.Where(exists, op.Add(blank, label), NEVER)
    _, in_order = op.TopK(candidates(*_places(op, beam, labels)), [(labels + 1) * width], axis=1, largest=0)
    total, best = op.TopK(op.GatherElements(total, in_order, axis=1), [width], axis=1)
    chosen = op.GatherElements(in_order, best, axis=1)
    each = op.dim_value(labels + 1)
    prefix, column = op.Div(chosen, each), op.Mod(chosen, each)
    tokens, size = _grown(op, beam, prefix, column)
    blank, label = (op.GatherElements(x, chosen, axis=1) for x in (blank, label))
    seen = _seen(op, beam, moves, tokens, size, prefix, column)
    return _Beam(tokens, size, total, blank, label, *seen)


def _grown(op: Builder, beam: _Beam, prefix: Value, column: Value) -> tuple[Value, Value]:
    """The chosen prefixes: those of the beam, with a label more unless the column is 0."""
    time = beam.tokens.dims[2]
    at = op.Unsqueeze(prefix, [2])
    tokens = op.GatherND(beam.tokens, at, batch_dims=1)
    size = op.GatherElements(beam.size, prefix, axis=1)
    # Label 0 is the second column.
    label = op.Unsqueeze(op.Max(op.Sub(column, 1), 0), [2])
    end = op.Equal(op.Range(0, time, 1), op.Unsqueeze(size, [2]))
    extends = op.Greater(column, 0)
    tokens = op.Where(op.And(end, op.Unsqueeze(extends, [2])), label, tokens)
    return tokens, op.Add(size, op.cast(extends, DataType.INT64))


def _seen(
    op: Builder, beam: _Beam, moves: _Moves, tokens: Value, size: Value, prefix: Value, column: Value
) -> list[Value]:
    """The parts of the probabilities that each chosen prefix with a label more has after the step."""
    labels = moves.extended[0].dims[2]
    stays = op.Unsqueeze(op.Equal(column, 0), [2])
    child = op.cast(_children(op, tokens, size, beam), DataType.FLOAT)
    is_last = op.Equal(op.Range(0, labels, 1), op.Unsqueeze(moves.last, [2]))
    results = []
    for stay, extended in zip(moves.stay[:2], moves.extended[:2], strict=True):
        own = op.GatherND(extended, op.Unsqueeze(prefix, [2]), batch_dims=1)
        own = op.Where(stays, own, op.const(np.float32(0)))
        of_beam = op.MatMul(child, op.Where(is_last, op.Unsqueeze(stay, [2]), op.const(np.float32(0))))
        results.append(op.Add(own, of_beam))
    return results


# ---- lexicographic order ---------------------------------------------------------------------------------------------


def _places(op: Builder, beam: _Beam, labels: Int) -> tuple[Value, Value]:
    """Numbers that order prefixes, and prefixes with a label more, as sequences of labels.

    Between two neighbours of the beam stand extended prefixes only, each of which starts with the other's: the longer
    one is the first.
    """
    time = beam.tokens.dims[2]
    a, b = op.Unsqueeze(beam.tokens, [2]), op.Unsqueeze(beam.tokens, [1])
    differs = op.cast(op.Not(op.Equal(a, b)), DataType.INT64)
    first = op.ArgMax(differs, axis=3, keepdims=1)
    a, b = (op.GatherElements(op.expand(x, differs.dims), first, axis=3) for x in (a, b))
    a, b = op.Squeeze(a, [3]), op.Squeeze(b, [3])
    valid = op.Unsqueeze(op.Greater(beam.total, NEVER), [1])
    # How many prefixes of the beam come before each, and how many of those that start with it come before a label more.
    before = op.And(op.Greater(a, b), valid)
    rank = op.ReduceSum(op.cast(before, DataType.INT64), [2], keepdims=0)
    # The first difference from a prefix that has ended is where it has.
    starts = op.And(op.And(op.Equal(a, 0), op.Greater(b, 0)), valid)
    earlier = op.Less(op.Unsqueeze(b, [3]), op.Range(0, labels, 1))
    between = op.cast(op.And(op.Unsqueeze(starts, [3]), earlier), DataType.INT64)
    gap = op.Add(op.Unsqueeze(op.Add(rank, 1), [2]), op.ReduceSum(between, [2], keepdims=0))
    depth = op.Unsqueeze(op.Sub(op.dim_value(time + 1), beam.size), [2])
    levels, columns = op.dim_value(time + 2), op.dim_value(labels)
    stay = op.Mul(op.Mul(op.Add(rank, 1), levels), columns)
    extended = op.Add(op.Mul(op.Add(op.Mul(gap, levels), depth), columns), op.Range(0, labels, 1))
    return stay, extended


# ---- the end ---------------------------------------------------------------------------------------------------------


def _results(op: Builder, beam: _Beam, wanted: int, seq_len: Value | None) -> tuple[Value, Value, Value]:
    batch, _, time = beam.tokens.dims
    tokens, size, total = (op.Slice(x, [0], [wanted], [1]) for x in (beam.tokens, beam.size, beam.total))
    there = op.Greater(total, NEVER)
    if seq_len is not None:
        # The empty prefix of a sequence without a step has not been found in one.
        there = op.And(there, op.Unsqueeze(op.Greater(op.cast(seq_len, DataType.INT64), 0), [1]))
    size = op.Where(there, size, 0)
    used = op.Less(op.Range(0, time, 1), op.Unsqueeze(size, [2]))
    values = op.Compress(tokens, op.reshape(used, [batch * wanted * time]))
    flat = [batch * wanted]
    return (
        op.reshape(op.cast(size, DataType.INT32), flat),
        op.cast(values, DataType.INT32),
        op.reshape(op.Where(there, total, 0.0), flat),
    )

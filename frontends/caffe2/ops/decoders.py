"""Decoders of sequences: the best labels or paths, given scores of labels at each step.

Semantics as in Caffe2's ``ctc_greedy_decoder_op.cc`` and ``crf_viterbi_op.cc``.
"""

from __future__ import annotations

from nxconvert.frontends.caffe2.table import Builder, DataType, Indices, Lengths, Matrix, Steps, Value, caffe2
from nxconvert.graph.builder import TensorType
from nxconvert.graph.dims import require


@caffe2("CTCGreedyDecoder")
def ctc_greedy_decoder(
    op: Builder, inputs: Steps, seq_len: Lengths | None = None, *, merge_repeated: bool = True
) -> tuple[Value, Value]:
    """The best label of each step, but for blanks (label 0) and repetitions.

    Returns how many labels each sequence has, int32[batch], and the labels of all sequences in a row, int32[n].
    """
    time, batch = inputs.dims[:2]
    labels = op.Transpose(op.ArgMax(inputs, axis=2, keepdims=0), perm=[1, 0])
    kept = op.Not(op.Equal(labels, 0))
    if merge_repeated:
        before = op.Slice(op.Pad(labels, [0, 1, 0, 0]), [0], [-1], [1])
        kept = op.And(kept, op.Not(op.Equal(labels, op.reshape(before, [batch, time]))))
    if seq_len is not None:
        lengths = op.Unsqueeze(op.cast(seq_len, DataType.INT64), [1])
        kept = op.And(kept, op.Less(op.Range(0, time, 1), lengths))
    counts = op.ReduceSum(op.cast(kept, DataType.INT32), [1], keepdims=0)
    values = op.Compress(labels, op.reshape(kept, [batch * time]))
    return counts, op.cast(values, DataType.INT32)


@caffe2("ViterbiPath")
def viterbi_path(op: Builder, predictions: Matrix, transitions: Matrix) -> Value:
    """The sequence of labels with the largest sum of predictions, float[n, labels], and transitions: int32[n]."""
    steps, labels = predictions.dims
    for dim in transitions.dims:
        require(dim, labels)
    more = op.dim_value(steps - 1)
    best, arrivals = _forward(op, predictions, transitions, more)
    last = op.ArgMax(best, axis=0, keepdims=0)
    body = op.child()
    step = body.input("step", DataType.INT64, ())
    going = body.input("going", DataType.BOOL, ())
    label = body.input("label", DataType.INT64, ())
    came_from = body.Gather(body.Gather(arrivals, body.Sub(body.Sub(more, 1), step), axis=0), label, axis=0)
    graph = body.graph([going, came_from, came_from], "backward")
    types = [TensorType(DataType.INT64, ()), TensorType(DataType.INT64, (steps - 1,))]
    _, path = op.node("Loop", [more, op.const(True), last], {"body": graph}, types)
    forwards = op.Gather(path, op.Sub(op.Sub(more, 1), op.Range(0, steps - 1, 1)), axis=0)
    return op.cast(op.Concat(forwards, op.Unsqueeze(last, [0]), axis=0), DataType.INT32)


def _forward(op: Builder, predictions: Value, transitions: Value, more: Value) -> tuple[Value, Value]:
    """The best sums that end in each label, and from which label each of them came, step by step."""
    first = op.Gather(predictions, 0, axis=0)
    body = op.child()
    step = body.input("step", DataType.INT64, ())
    going = body.input("going", DataType.BOOL, ())
    best = body.input("best", first.etype, first.dims)
    sums = body.Add(body.Unsqueeze(best, [1]), transitions)
    here = body.Gather(predictions, body.Add(step, 1), axis=0)
    new = body.Add(here, body.ReduceMax(sums, [0], keepdims=0))
    graph = body.graph([going, new, body.ArgMax(sums, axis=0, keepdims=0)], "forward")
    arrivals = TensorType(DataType.INT64, (predictions.dims[0] - 1, op.fresh("labels")))
    types = [TensorType(first.etype, first.dims), arrivals]
    result, came_from = op.node("Loop", [more, op.const(True), first], {"body": graph}, types)
    return result, came_from


@caffe2("SwapBestPath")
def swap_best_path(op: Builder, data: Matrix, best_path: Indices) -> Value:
    """Each row with its largest element where the path is, and the element from there in its place."""
    require(data.dims[0], best_path.dims[0])
    old = op.ArgMax(data, axis=1, keepdims=1)
    new = op.Unsqueeze(op.cast(best_path, DataType.INT64), [1])
    elements = [op.GatherElements(data, at, axis=1) for at in (old, new)]
    return op.ScatterElements(data, op.Concat(new, old, axis=1), op.Concat(*elements, axis=1), axis=1)

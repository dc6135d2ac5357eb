"""How often predictions hit their labels.

Semantics: ``caffe2/operators/accuracy_op.cc``, ``multi_class_accuracy_op.cc``.
"""

from __future__ import annotations

from nxconvert.frontends.caffe2.ops.numbers import counting
from nxconvert.frontends.caffe2.ops.reduce import as_number
from nxconvert.frontends.caffe2.table import Builder, DataType, Lengths, Matrix, Value, caffe2
from nxconvert.graph.dims import require


@caffe2("Accuracy")
def accuracy(op: Builder, x: Matrix, labels: Lengths, *, top_k: int = 1) -> Value:
    """The share of rows whose label is among the ``top_k`` largest, of equal ones the first; NaN of no rows; rank 0."""
    require(x.dims[0], labels.dims[0])
    columns = counting(op, x.dims[1])
    wanted = op.Unsqueeze(op.cast(labels, DataType.INT64), [1])
    score = op.GatherElements(x, wanted, axis=1)
    # What is in front of the label: larger scores, and equal ones with smaller numbers.
    ahead = op.Or(op.Greater(x, score), op.And(op.Equal(x, score), op.Less(columns, wanted)))
    rank = op.ReduceSum(op.Cast(ahead, to=DataType.INT32), [1], keepdims=0)
    hits = op.ReduceSum(op.Cast(op.Less(rank, top_k), to=x.etype), keepdims=0)
    return op.Div(hits, as_number(op, x.dims[0], x.etype))


@caffe2("MultiClassAccuracy")
def multi_class_accuracy(op: Builder, x: Matrix, labels: Lengths) -> tuple[Value, Value]:
    """Of each class the share of its rows in which it is largest, 0 where it has none; and their number, int32."""
    require(x.dims[0], labels.dims[0])
    own = op.Equal(op.Unsqueeze(labels, [1]), counting(op, x.dims[1], labels.etype))
    found = op.Equal(op.cast(op.ArgMax(x, axis=1, keepdims=0), labels.etype), labels)
    counts = op.ReduceSum(op.Cast(own, to=DataType.INT32), [0], keepdims=0)
    hits = op.ReduceSum(op.Cast(op.And(own, op.Unsqueeze(found, [1])), to=x.etype), [0], keepdims=0)
    return op.Div(hits, op.Max(op.cast(counts, x.etype), 1.0)), counts

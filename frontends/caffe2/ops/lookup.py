"""Which elements there are, and where.

Semantics: ``caffe2/operators/unique_ops.cc``, ``find_duplicate_elements_op.h``, ``find_op.h``,
``elementwise_logical_ops.h`` (``IsMemberOf``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nxconvert.frontends.caffe2.dtypes import dtype_of
from nxconvert.frontends.caffe2.table import Builder, DataType, Indices, Value, caffe2
from nxconvert.graph import widening
from nxconvert.graph.dims import product
from nxconvert.graph.segments import counting


@caffe2("Unique")
def unique(op: Builder, x: Indices) -> tuple[Value, Value]:
    """The elements in ascending order, each once, and for each element its place among them, int32[n]."""
    found, _, places, *_ = widening.emit(op, "Unique", x, sorted=1, _outputs=3)
    return found, op.cast(places, DataType.INT32)


@caffe2("FindDuplicateElements")
def find_duplicate_elements(op: Builder, x: Indices) -> Value:
    """The indices of all elements that have occurred before, int64[n]."""
    _, first, *_ = widening.emit(op, "Unique", x, sorted=1, _outputs=2)
    again = op.ScatterElements(op.expand(op.const(1), x.dims), first, op.expand(op.const(0), first.dims), axis=0)
    return op.Squeeze(op.NonZero(again), [0])


@caffe2("Find")
def find(op: Builder, index: Indices, query: Indices, *, missing_value: int = -1) -> Value:
    """The last place of each number in an index, in the dtype of the index."""
    size = product(index.dims)
    here = op.Equal(op.Unsqueeze(query, [-1]), op.reshape(index, [size]))
    places = op.Where(here, counting(op, size), -1)
    # An index may be empty, and no maximum of nothing is -1.
    pads = op.const(np.array([0] * (query.rank + 1) + [0] * query.rank + [1]))
    last = op.ReduceMax(op.Pad(places, pads, op.const(-1)), [-1], keepdims=0)
    if missing_value != -1:
        last = op.Where(op.Less(last, 0), missing_value, last)
    return op.cast(last, index.etype)


@caffe2("IsMemberOf")
def is_member_of(op: Builder, x: Value, *, value: Any = (), dtype: int | None = None) -> Value:
    """Whether each element is one of the values, which count only as what ``dtype`` says, if it says anything."""
    values = list(value) if isinstance(value, Sequence) and not isinstance(value, (str, bytes)) else []
    if not values or (dtype is not None and dtype_of(dtype) != x.etype):
        return op.expand(op.const(False), x.dims)
    if x.etype == DataType.BOOL:
        values = [bool(item) for item in values]
    if len(values) == 1:
        return op.Equal(x, op.const(values[0], x.etype))
    same = op.Equal(op.Unsqueeze(x, [-1]), op.const(values, x.etype))
    return op.cast(op.ReduceMax(op.cast(same, DataType.INT32), [-1], keepdims=0), DataType.BOOL)

"""Softmax and what is like it, over whole samples.

Semantics: measured in CNTK 2.7. These functions take all static axes of a sample together, and the last one of what has
no samples; along one axis, CNTK makes a block of other functions. Of equal numbers the first one is the largest.
"""

from __future__ import annotations

from nxconvert.frontends.cntk.table import Builder, DataType, Tensor, Value, cntk
from nxconvert.graph.dims import product


def _whole(op: Builder, x: Tensor, operator: str) -> Tensor:
    """An operator along all static axes of samples, which are one for it."""
    if x.rank == 1 or (x.rank and not x.nd):
        return x.of(_along_last(op, x.value, operator))
    flat = op.reshape(x.value, (*x.value.dims[: x.nd], product(x.dims)))
    return x.of(op.reshape(_along_last(op, flat, operator), x.value.dims))


def _along_last(op: Builder, x: Value, operator: str) -> Value:
    if operator == "Hardmax" and x.etype == DataType.DOUBLE:  # which ONNX Runtime has in float32 alone
        first = op.ArgMax(x, axis=-1, keepdims=1)
        return op.cast(op.Equal(first, op.Range(0, x.dims[-1], 1)), x.etype)
    value: Value = getattr(op, operator)(x, axis=-1)
    return value


for _name in ("Softmax", "LogSoftmax", "Hardmax"):
    cntk(_name)(lambda op, x, operator=_name: _whole(op, x, operator))

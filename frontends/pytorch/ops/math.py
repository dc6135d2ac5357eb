"""Arithmetic, elementwise functions, comparison and logic."""

from __future__ import annotations

from nxconvert.frontends.pytorch.ops.common import promote
from nxconvert.frontends.pytorch.table import Builder, Number, Value, aten


def _scaled(op: Builder, other: Value | Number, alpha: Number) -> Value | Number:
    """``alpha * other``, in the dtype that their promotion gives."""
    return other if isinstance(alpha, (int, float)) and alpha == 1 else op.Mul(*promote(op, other, alpha))


@aten("add")
def add(op: Builder, self: Value | Number, other: Value | Number, *, alpha: Number = 1) -> Value:
    """``self + alpha * other``."""
    a, b = promote(op, self, _scaled(op, other, alpha))
    return op.Or(a, b) if a.etype.name == "BOOL" else op.Add(a, b)

"""Operators that ONNX Runtime computes wrongly on CPUs, said in others that it computes right."""

from __future__ import annotations

from typing import TYPE_CHECKING

import onnx_ir as ir

from nxconvert.graph.dims import product
from nxconvert.graph.rules import simplify_rule
from nxconvert.graph.rules.common import agree
from nxconvert.graph.values import Value

if TYPE_CHECKING:
    from nxconvert.graph.builder import Builder

_INT64 = ir.DataType.INT64


def gather_texts(op: Builder, x: Value, indices: Value, axis: int) -> Value | None:
    """``Gather`` of strings, which copies the first one of each row alone: ``GatherND`` copies them all.

    None where rows are single strings.
    """
    if product(x.dims[axis + 1 :]) == 1:
        return None
    rows = op.cast(indices, _INT64)
    rows = op.expand(rows, [*x.dims[:axis], *indices.dims]) if axis else rows
    return op.GatherND(x, op.Unsqueeze(rows, [rows.rank]), batch_dims=axis)


@simplify_rule("ScatterND")
def _scatter_nd(op: Builder, x: Value, indices: Value, updates: Value, /, *, reduction: str = "none") -> Value | None:
    """``ScatterND`` with a reduction runs in several threads, which lose what they write to one place at once.

    ``ScatterElements`` runs in one; of more than one axis it takes twice the time, so all is laid out along one.
    """
    depth = indices.dims[-1] if indices.dims else 0
    if reduction == "none" or not isinstance(depth, int) or updates.rank != indices.rank - 1 + x.rank - depth:
        return None
    for want, have in zip((*indices.dims[:-1], *x.dims[depth:]), updates.dims, strict=True):
        agree(want, have, "the updates do not fit the indices")
    count, width = product(indices.dims[:-1]), product(x.dims[depth:])
    at = op.reshape(_first_elements(op, x, indices, depth), [count])
    if width != 1:
        at = op.Add(op.Unsqueeze(at, [1]), op.Range(0, op.dim_value(width), 1))
    at, parts = op.reshape(at, [count * width]), op.reshape(updates, [count * width])
    flat = op.reshape(x, [product(x.dims)])
    return op.reshape(op.ScatterElements(flat, at, parts, axis=0, reduction=reduction), x.dims)


def _first_elements(op: Builder, x: Value, indices: Value, depth: int) -> Value:
    """Where what each of the indices points to starts among the elements of ``x``, negative ones from its end."""
    strides = [product(x.dims[i + 1 :]) for i in range(depth)]
    if depth == 1:
        return op.Mul(indices, op.dims_tensor(strides))
    inside = op.Mod(indices, op.dims_tensor(x.dims[:depth]))
    return op.ReduceSum(op.Mul(inside, op.dims_tensor(strides)), [-1], keepdims=0)

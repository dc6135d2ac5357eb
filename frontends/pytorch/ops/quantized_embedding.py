"""Embeddings in tables that are quantized row by row: only the rows that are looked up are dequantized."""

from __future__ import annotations

from typing import Any

from nxconvert.frontends.pytorch.compound import QuantizedValue
from nxconvert.frontends.pytorch.dtypes import DataType
from nxconvert.frontends.pytorch.ops.embedding import embedding_bag
from nxconvert.frontends.pytorch.packed_params import PackedEmbedding
from nxconvert.frontends.pytorch.table import Builder, Int, LoweringError, Quantized, Value, aten


@aten("quantized::embedding_bag_prepack")
def embedding_bag_prepack(op: Builder, weight: Quantized) -> Any:
    return PackedEmbedding(weight)


@aten("quantized::embedding_bag_unpack")
def embedding_bag_unpack(op: Builder, W_prepack: Any) -> Quantized:
    weight: Quantized = W_prepack.weight
    return weight


@aten("quantized::embedding_byte", "quantized::embedding_4bit")
def embedding(op: Builder, weight: Any, indices: Value, pruned_weights: bool = False) -> Value:
    """The rows of the table, as floats."""
    table = weight.weight
    if pruned_weights:
        raise LoweringError("a pruned table of embeddings has rows elsewhere than where their indices say")
    if not isinstance(table, QuantizedValue):
        return op.Gather(table, indices, axis=0)
    steps = op.Cast(op.Gather(table.integers(op), indices, axis=0), to=DataType.FLOAT)
    scale, origin = (_of_rows(op, x, indices) for x in (table.scale, table.zero_point))
    return op.Mul(op.Sub(steps, op.cast(origin, DataType.FLOAT)), scale)


def _of_rows(op: Builder, parameter: Value, indices: Value) -> Value:
    """The scales or zero points of the rows, [..., 1]."""
    return op.Unsqueeze(op.Gather(parameter, indices, axis=0), [-1]) if parameter.rank else parameter


@aten("quantized::embedding_bag_byte", "quantized::embedding_bag_4bit")
def quantized_embedding_bag(
    op: Builder, weight: Any, indices: Value, offsets: Value | None = None, scale_grad_by_freq: bool = False,
    mode: Int = 0, pruned_weights: bool = False, per_sample_weights: Value | None = None,
    compressed_indices_mapping: Value | None = None, include_last_offset: bool = False,
) -> Value:  # fmt: skip
    """The sums of the rows of each bag, whatever ``mode`` says; without offsets each row of indices is a bag."""
    if compressed_indices_mapping is not None:
        raise LoweringError("a compressed table of embeddings has rows elsewhere than where their indices say")
    rows = embedding(op, weight, indices, pruned_weights)
    if offsets is None:
        if per_sample_weights is not None:
            rows = op.Mul(rows, op.Unsqueeze(per_sample_weights, [-1]))
        return op.ReduceSum(rows, [1], keepdims=0)
    every = op.Range(0, indices.dims[0], 1)
    return embedding_bag(op, rows, every, offsets, False, 0, False, per_sample_weights, include_last_offset)[0]

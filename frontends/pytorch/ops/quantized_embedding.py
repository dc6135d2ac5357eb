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


def _rows(op: Builder, packed: Any, indices: Value, pruned: bool, half: bool) -> Value:
    """The rows at ``indices`` as floats; ``half`` if scale and offset have the precision of float16, as for 4 bits."""
    table = packed.weight
    if pruned:
        raise LoweringError("a pruned table of embeddings has rows elsewhere than where their indices say")
    if not isinstance(table, QuantizedValue):
        return op.Gather(table, indices, axis=0)
    scale = table.scale
    offset = op.Mul(op.Neg(scale), op.cast(table.zero_point, DataType.FLOAT))
    if half:
        scale, offset = (op.Cast(op.Cast(x, to=DataType.FLOAT16), to=DataType.FLOAT) for x in (scale, offset))
    if scale.rank:
        scale, offset = (op.Unsqueeze(op.Gather(x, indices, axis=0), [-1]) for x in (scale, offset))
    steps = op.Cast(op.Gather(table.integers(op), indices, axis=0), to=DataType.FLOAT)
    return op.Add(op.Mul(steps, scale), offset)


def _register(name: str, half: bool) -> None:
    @aten(f"quantized::embedding_{name}")
    def embedding(op: Builder, weight: Any, indices: Value, pruned_weights: bool = False) -> Value:
        """The rows of the table, as floats."""
        return _rows(op, weight, indices, pruned_weights, half)

    @aten(f"quantized::embedding_bag_{name}")
    def bag(
        op: Builder, weight: Any, indices: Value, offsets: Value | None = None, scale_grad_by_freq: bool = False,
        mode: Int = 0, pruned_weights: bool = False, per_sample_weights: Value | None = None,
        compressed_indices_mapping: Value | None = None, include_last_offset: bool = False,
    ) -> Value:  # fmt: skip
        """The sums of the rows of each bag, whatever ``mode`` says; without offsets each row of indices is a bag."""
        pruned = pruned_weights or compressed_indices_mapping is not None
        rows = _rows(op, weight, indices, pruned, half)
        if offsets is None:
            if per_sample_weights is not None:
                rows = op.Mul(rows, op.Unsqueeze(per_sample_weights, [-1]))
            return op.ReduceSum(rows, [1], keepdims=0)
        every = op.Range(0, indices.dims[0], 1)
        return embedding_bag(op, rows, every, offsets, False, 0, False, per_sample_weights, include_last_offset)[0]


_register("byte", half=False)
_register("4bit", half=True)

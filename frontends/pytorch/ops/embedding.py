"""Rows of a table by index, alone and summed in bags; one-hot vectors."""

from __future__ import annotations

from nxconvert.frontends.pytorch.dtypes import DataType
from nxconvert.frontends.pytorch.ops.common import as_tensor
from nxconvert.frontends.pytorch.ops.norm import p_norm
from nxconvert.frontends.pytorch.table import Builder, Int, LoweringError, Number, Value, aten
from nxconvert.graph.dims import product
from nxconvert.graph.schema import HALVES
from nxconvert.graph.segments import reduce_segments, segment_ids

_SUM, _MEAN, _MAX = 0, 1, 2


@aten("embedding")
def embedding(
    op: Builder, weight: Value, indices: Value, padding_idx: Int = -1, scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Value:  # fmt: skip
    """``padding_idx`` only matters to gradients."""
    return op.Gather(weight, indices, axis=0)


@aten("one_hot")
def one_hot(op: Builder, self: Value, num_classes: Int = -1) -> Value:
    """Without ``num_classes`` there are as many as the largest index asks for."""
    depth = num_classes
    if depth == -1:
        depth = op.symbol_of(op.Add(op.ReduceMax(self, keepdims=0), 1), "classes", low=1)
    indices = self if self.rank else op.Unsqueeze(self, [0])
    encoded = op.OneHot(indices, op.Unsqueeze(op.dim_value(depth), [0]), op.const([0, 1]))
    return encoded if self.rank else op.Squeeze(encoded, [0])


@aten("embedding_renorm")
def embedding_renorm(op: Builder, self: Value, indices: Value, max_norm: Number, norm_type: Number) -> Value:
    """The rows that are asked for are scaled down to a largest norm."""
    norm = p_norm(op, self, norm_type, [1])
    limit = as_tensor(op, max_norm, self.etype)
    flat = op.reshape(indices, [product(indices.dims)])
    unused = op.expand(op.const(False), [self.dims[0]])
    used = op.ScatterElements(unused, flat, op.expand(op.const(True), flat.dims), axis=0)
    long = op.And(op.Greater(norm, limit), op.Unsqueeze(used, [1]))
    factor = op.Div(limit, op.Add(norm, op.const(1e-7, self.etype)))
    return op.Where(long, op.Mul(self, factor), self)


# ---- bags -----------------------------------------------------------------------------------------------------------


def _embedding_bag(
    op: Builder, weight: Value, indices: Value, offsets: Value, mode: Int, factors: Value | None, last: bool,
    padding: Int | None,
) -> tuple[Value, Value, Value, Value]:  # fmt: skip
    """The sum, mean or maximum of the rows of each bag; the bag of each index; and the size of each bag, twice.

    Only the first is what a model uses. The others serve the gradient; the last stands for where maxima came from.
    """
    if mode not in (_SUM, _MEAN, _MAX):
        raise LoweringError(f"embedding_bag has no mode {mode}")
    if indices.etype not in (DataType.INT32, DataType.INT64) or indices.rank != 1:
        raise LoweringError("the indices of bags have to be a vector of int32 or int64")
    if weight.etype in HALVES:
        # ONNX Runtime scatters no halves, and PyTorch sums them in float32.
        wide, *rest = _embedding_bag(
            op, op.Cast(weight, to=DataType.FLOAT), indices, offsets, mode, factors, last, padding
        )
        return op.Cast(wide, to=weight.etype), *rest
    dtype = weight.etype
    indices, offsets = op.cast(indices, DataType.INT64), op.cast(offsets, DataType.INT64)
    count = offsets.dims[0] - 1 if last else offsets.dims[0]
    bags = segment_ids(op, op.Slice(offsets, [1], op.dims_tensor([count]), [0]), indices.dims[0])
    rows = op.Gather(weight, indices, axis=0)
    counted = op.expand(op.const(1), indices.dims)
    if padding is not None:
        kept = op.Not(op.Equal(indices, op.dim_value(padding)))
        counted = op.Cast(kept, to=DataType.INT64)
        rows = op.Where(op.Unsqueeze(kept, [1]), rows, op.const(-_INFINITY if mode == _MAX else 0, dtype))
    if factors is not None:
        rows = op.Mul(rows, op.Unsqueeze(op.cast(factors, dtype), [1]))
    sizes = reduce_segments(op, counted, bags, count)
    filled = op.Unsqueeze(op.Greater(sizes, 0), [1])
    if mode == _MAX:
        largest = reduce_segments(op, rows, bags, count, "max", -_INFINITY)
        result = op.Where(filled, largest, op.const(0, dtype))
    else:
        result = reduce_segments(op, rows, bags, count)
        if mode == _MEAN:
            result = op.Div(result, op.cast(op.Unsqueeze(op.Max(sizes, 1), [1]), dtype))
    return result, bags, sizes, sizes


_INFINITY = float("inf")


@aten("embedding_bag", "embedding_bag.padding_idx")
def embedding_bag(
    op: Builder, weight: Value, indices: Value, offsets: Value, scale_grad_by_freq: bool = False, mode: Int = 0,
    sparse: bool = False, per_sample_weights: Value | None = None, include_last_offset: bool = False,
    padding_idx: Int | None = None,
) -> tuple[Value, Value, Value, Value]:  # fmt: skip
    """A negative ``padding_idx`` counts from the end."""
    if isinstance(padding_idx, int) and padding_idx < 0:
        padding_idx = weight.dims[0] + padding_idx
    return _embedding_bag(op, weight, indices, offsets, mode, per_sample_weights, include_last_offset, padding_idx)


@aten("_embedding_bag", "_embedding_bag_forward_only")
def core_embedding_bag(
    op: Builder, weight: Value, indices: Value, offsets: Value, scale_grad_by_freq: bool = False, mode: Int = 0,
    sparse: bool = False, per_sample_weights: Value | None = None, include_last_offset: bool = False,
    padding_idx: Int = -1,
) -> tuple[Value, Value, Value, Value]:  # fmt: skip
    """A ``padding_idx`` of -1 is none."""
    padding = None if padding_idx == -1 else padding_idx
    return _embedding_bag(op, weight, indices, offsets, mode, per_sample_weights, include_last_offset, padding)

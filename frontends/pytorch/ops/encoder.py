"""The fused layers behind the fast path of ``torch.nn``'s transformer encoder, and the nested tensors that it runs on.

A nested tensor stays padded here (:class:`~nxconvert.frontends.pytorch.compound.NestedValue`): attention masks the keys
that do not exist, what is computed for such queries is overwritten when the tensor is padded again.
Semantics: ``aten/src/ATen/native/transformers/{attention,transformer}.cpp``, ``NestedTensorTransformerFunctions.cpp``.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nxconvert.formats.tensors import ComputedTensor
from nxconvert.frontends.pytorch.compound import Lower, NestedValue, mapped
from nxconvert.frontends.pytorch.dtypes import DataType
from nxconvert.frontends.pytorch.ops.common import axis_of, known, static_ints
from nxconvert.frontends.pytorch.table import Builder, Int, Ints, Nested, Value, aten
from nxconvert.graph.dims import maximum

#: The mask type of a mask [batch, keys]; 0 is one of [queries, keys], and all others are broadcast as they are.
PADDING = 1


@aten("_masked_softmax")
def masked_softmax(
    op: Builder, self: Value, mask: Value, dim: Int | None = None, mask_type: Int | None = None
) -> Value:
    """Softmax without the positions where ``mask`` is true; NaN where nothing is left."""
    axis = self.rank - 1 if dim is None else axis_of(dim, self.rank)
    if mask_type == PADDING and mask.rank == 2:
        mask = op.Unsqueeze(mask, [1, 2])
    return op.Softmax(op.Where(mask, op.const(-math.inf, self.etype), self), axis=axis)


# ---- multi-head attention --------------------------------------------------------------------------------------------


def _linear(op: Builder, x: Value, weight: Value, bias: Value | None) -> Value:
    result: Value = aten.find("linear", (x, weight, bias), {}).function(op, x, weight, bias)
    return result


def _part(op: Builder, parameter: Value, index: int) -> Value:
    """The ``index``-th third of the rows of a parameter that holds those of queries, keys and values."""
    rows, *rest = static_ints(parameter.dims, "a weight's size")
    start, stop = rows // 3 * index, rows // 3 * (index + 1)
    source = parameter.const_value
    if source is None:
        return op.Slice(parameter, [start], [stop], [0])

    def compute() -> np.ndarray:
        return source.numpy()[start:stop]

    tensor = ComputedTensor(compute, parameter.etype, (stop - start, *rest))
    return op.weight(tensor, f"{parameter.name}.{'qkv'[index]}", ("rows", parameter.name, start, stop))


def _projected(
    op: Builder, query: Value, key: Value, value: Value, heads: int, weight: Value, bias: Value
) -> list[Value]:
    """Queries, keys and values as [batch, heads, time, size]."""
    batch, time, features = query.dims
    size = features // heads
    if query is key and key is value:
        joint = op.reshape(_linear(op, query, weight, bias), [batch, time, 3, heads, size])
        joint = op.Transpose(joint, perm=[2, 0, 3, 1, 4])
        return [op.Gather(joint, i, axis=0) for i in range(3)]
    parts = [_linear(op, x, _part(op, weight, i), _part(op, bias, i)) for i, x in enumerate((query, key, value))]
    return [op.Transpose(op.reshape(part, [batch, time, heads, size]), perm=[0, 2, 1, 3]) for part in parts]


def _multi_head(
    op: Builder, query: Value, key: Value, value: Value, heads: int, qkv_weight: Value, qkv_bias: Value,
    proj_weight: Value, proj_bias: Value, mask: Value | None, mask_type: Int | None,
) -> tuple[Value, Value]:  # fmt: skip
    """The output, [batch, time, features], and the weights of each head, [batch, heads, time, time]."""
    batch, time, features = query.dims
    q, k, v = _projected(op, query, key, value, heads, qkv_weight, qkv_bias)
    size = static_ints(q.dims[-1], "the size of a head")[0]
    q = op.Mul(q, op.const(1 / math.sqrt(size), q.etype))
    scores = op.MatMul(q, op.Transpose(k, perm=[0, 1, 3, 2]))
    if mask is None:
        weights = op.Softmax(scores, axis=-1)
    else:
        weights = masked_softmax(op, scores, op.cast(mask, DataType.BOOL), -1, mask_type)
    y = op.Transpose(op.MatMul(weights, v), perm=[0, 2, 1, 3])
    return _linear(op, op.reshape(y, [batch, time, features]), proj_weight, proj_bias), weights


@aten("_native_multi_head_attention")
def native_multi_head_attention(
    op: Builder, query: Value, key: Value, value: Value, embed_dim: Int, num_head: Int, qkv_weight: Value,
    qkv_bias: Value, proj_weight: Value, proj_bias: Value, mask: Value | None = None, need_weights: bool = True,
    average_attn_weights: bool = True, mask_type: Int | None = None,
) -> tuple[Value, Value | None]:  # fmt: skip
    heads = known(num_head, "the number of heads")
    y, weights = _multi_head(
        op, query, key, value, heads, qkv_weight, qkv_bias, proj_weight, proj_bias, mask, mask_type
    )
    if not need_weights:
        return y, None
    return y, op.ReduceMean(weights, [1], keepdims=0) if average_attn_weights else weights


@aten("_transformer_encoder_layer_fwd")
def transformer_encoder_layer(
    op: Builder, src: Value | Nested, embed_dim: Int, num_heads: Int, qkv_weight: Value, qkv_bias: Value,
    proj_weight: Value, proj_bias: Value, use_gelu: bool, norm_first: bool, eps: float, norm_weight_1: Value,
    norm_bias_1: Value, norm_weight_2: Value, norm_bias_2: Value, ffn_weight_1: Value, ffn_bias_1: Value,
    ffn_weight_2: Value, ffn_bias_2: Value, mask: Value | None = None, mask_type: Int | None = None,
) -> Value | Nested:  # fmt: skip
    nested = src if isinstance(src, NestedValue) else None
    x: Value = src.padded if isinstance(src, NestedValue) else src
    if nested is not None:
        mask, mask_type = op.Not(nested.keep), PADDING

    def attention(x: Value) -> Value:
        heads = known(num_heads, "the number of heads")
        return _multi_head(op, x, x, x, heads, qkv_weight, qkv_bias, proj_weight, proj_bias, mask, mask_type)[0]

    def feed_forward(x: Value) -> Value:
        hidden = _linear(op, x, ffn_weight_1, ffn_bias_1)
        return _linear(op, op.Gelu(hidden) if use_gelu else op.Relu(hidden), ffn_weight_2, ffn_bias_2)

    norms = [(norm_weight_1, norm_bias_1), (norm_weight_2, norm_bias_2)]
    for block, (weight, bias) in zip((attention, feed_forward), norms, strict=True):
        if norm_first:
            x = op.Add(x, block(op.LayerNormalization(x, weight, bias, axis=-1, epsilon=eps)))
        else:
            x = op.LayerNormalization(op.Add(x, block(x)), weight, bias, axis=-1, epsilon=eps)
    return x if nested is None else NestedValue(x, nested.keep, nested.filled)


# ---- nested tensors --------------------------------------------------------------------------------------------------


@aten("_nested_tensor_from_mask_left_aligned")
def nested_tensor_from_mask_left_aligned(op: Builder, t: Value, mask: Value) -> bool:
    """Always true: nested tensors work for other masks too here, and give what the slow path gives for them."""
    return True


@aten("_nested_tensor_from_mask")
def nested_tensor_from_mask(op: Builder, t: Value, mask: Value, mask_check: bool = True) -> Nested:
    """``t`` [batch, time, features] where ``mask`` [batch, time] holds.

    If all sequences begin at the left, PyTorch leaves its padding out and fills it again. Otherwise it keeps ``t``, and
    computes something for the padding too.
    """
    counts = op.ReduceSum(op.Cast(mask, to=DataType.INT64), [1], keepdims=1)
    gap = op.ReduceMax(op.Xor(mask, op.Less(op.Range(0, mask.dims[1], 1), counts)), keepdims=0)
    return NestedValue(t, mask, op.Not(op.Or(mask, gap)))


@aten("to_padded_tensor", "nested_to_padded_tensor")
def to_padded_tensor(op: Builder, self: Nested, padding: float, output_size: Ints | None = None) -> Value:
    x = op.Where(op.Unsqueeze(self.filled, [2]), op.const(float(padding), self.etype), self.padded)
    if output_size is None:
        # As long as the longest sequence.
        lengths = op.ReduceSum(op.Cast(self.keep, to=DataType.INT64), [1], keepdims=0)
        return op.Slice(x, [0], op.Unsqueeze(op.ReduceMax(lengths, keepdims=0), [0]), [1])
    more = [maximum(want - have, 0) for want, have in zip(output_size, x.dims, strict=True)]
    if all(count == 0 for count in more):
        return x
    return op.Pad(x, [0, 0, 0, *more], op.const(float(padding), x.etype))


def _on_padded(op: Builder, lower: Lower, args: list[Any], kwargs: dict[str, Any]) -> NestedValue:
    """Operators that work on each position alone."""
    first = next(x for x in args if isinstance(x, NestedValue))
    padded = lower(
        op,
        mapped(args, lambda x: x.padded if isinstance(x, NestedValue) else x),
        mapped(kwargs, lambda x: x.padded if isinstance(x, NestedValue) else x),
    )
    return NestedValue(padded, first.keep, first.filled)


_POSITIONWISE = (
    "linear", "layer_norm", "relu", "gelu", "silu", "tanh", "sigmoid", "dropout", "feature_dropout", "to", "detach",
    "contiguous", "alias", "clone", "add", "sub", "mul", "div", "neg",
)  # fmt: skip
NestedValue.rules.update(dict.fromkeys(_POSITIONWISE, _on_padded))

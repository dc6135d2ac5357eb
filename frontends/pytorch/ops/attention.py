"""Attention: ``scaled_dot_product_attention`` in its public and internal forms.

Semantics: ``aten/src/ATen/native/transformers/attention.cpp``. A query that may look at no key gets zeros.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import onnx_ir as ir

from nxconvert.frontends.pytorch.ops.common import as_tensor, known
from nxconvert.frontends.pytorch.table import Builder, Int, Number, Value, aten
from nxconvert.graph.dims import floordiv

BOOL = ir.DataType.BOOL


class _Mask(NamedTuple):
    """Which keys a query may look at.

    Attributes:
        keep: bool, broadcast to the scores: those that count; None for all.
        bias: added to the scores, or None.
        alive: bool [..., queries or 1, 1], whether a query has any key; None where every one has.
    """

    keep: Value | None = None
    bias: Value | None = None
    alive: Value | None = None

    def apply(self, op: Builder, scores: Value) -> Value:
        if self.keep is not None:
            return op.Where(self.keep, scores, op.const(-math.inf, scores.etype))
        return scores if self.bias is None else op.Add(scores, op.cast(self.bias, scores.etype))

    def clear_dead_rows(self, op: Builder, x: Value) -> Value:
        """Zeros in place of the NaN that the softmax over nothing gives."""
        return x if self.alive is None else op.Where(self.alive, x, op.const(0.0, x.etype))


def _mask(op: Builder, attn_mask: Value | None, is_causal: bool, queries: Int, keys: Int) -> _Mask:
    """The mask of PyTorch's arguments; a causal one aligns the first query with the first key: every query has one."""
    if is_causal:
        rows = op.Unsqueeze(op.Range(0, queries, 1), [1])
        return _Mask(keep=op.GreaterOrEqual(rows, op.Range(0, keys, 1)))
    if attn_mask is None:
        return _Mask()
    best = op.ReduceMax(attn_mask, [-1])
    if attn_mask.etype == BOOL:
        return _Mask(keep=attn_mask, alive=_unless_certain(best))
    return _Mask(bias=attn_mask, alive=_unless_certain(op.Greater(best, op.const(-math.inf, best.etype))))


def _unless_certain(condition: Value) -> Value | None:
    return None if condition.array is not None and condition.array.all() else condition


# ---- scaled dot products ---------------------------------------------------------------------------------------------


class _Attention(NamedTuple):
    """What attention computes: its output, and the weights and scores [..., heads, queries, keys] behind it."""

    output: Value
    weights: Value
    scores: Value

    def log_sum_exp(self, op: Builder) -> Value:
        return op.ReduceLogSumExp(self.scores, [-1], keepdims=0)


def _scaled(op: Builder, q: Value, scale: Number | None) -> Value:
    """The queries times ``scale``, by default one over the root of their size."""
    if scale is None:
        size = q.dims[-1]
        if not isinstance(size, int):
            return op.Div(q, op.Sqrt(as_tensor(op, size, q.etype)))
        scale = 1 / math.sqrt(size) if size else 1
    return q if isinstance(scale, (int, float)) and scale == 1 else op.Mul(q, as_tensor(op, scale, q.etype))


def _transposed(op: Builder, x: Value) -> Value:
    return op.Transpose(x, perm=[*range(x.rank - 2), x.rank - 1, x.rank - 2])


def _with_heads(op: Builder, x: Value, heads: Int) -> Value:
    """[..., H, rows, columns] as [..., heads, H * rows / heads, columns]: heads that share keys become one matrix."""
    *batch, own, rows, columns = x.dims
    return x if own == heads else op.reshape(x, [*batch, heads, floordiv(own * rows, heads), columns])


def _attend(
    op: Builder, q: Value, k: Value, v: Value, mask: _Mask, dropout_p: Number = 0.0, scale: Number | None = None
) -> _Attention:
    """``softmax(scale * q @ k.mT + mask) @ v``.

    Args:
        op: the builder.
        q: [..., queries, size].
        k: [..., keys, size].
        v: [..., keys, values].
        mask: which keys count.
        dropout_p: dropout of the weights, which PyTorch applies whenever it is not zero.
        scale: of the scores.
    """
    scores = mask.apply(op, op.MatMul(_scaled(op, q, scale), _transposed(op, k)))
    weights = _weights(op, scores, dropout_p)
    return _Attention(mask.clear_dead_rows(op, op.MatMul(weights, v)), weights, scores)


def _weights(op: Builder, scores: Value, dropout_p: Number) -> Value:
    weights = op.Softmax(scores, axis=-1)
    ratio = known(dropout_p, "the dropout ratio")
    return op.Dropout(weights, op.const(float(ratio)), op.const(True)) if ratio else weights


def _attend_grouped(
    op: Builder, q: Value, k: Value, v: Value, mask: _Mask, dropout_p: Number = 0.0, scale: Number | None = None
) -> _Attention:
    """The same where ``k`` and ``v`` have fewer heads (axis -3) than ``q``, each for a group of neighbours."""
    heads = q.dims[-3]
    scores = op.MatMul(_with_heads(op, _scaled(op, q, scale), k.dims[-3]), _transposed(op, k))
    if mask != _Mask():
        scores = mask.apply(op, _with_heads(op, scores, heads))
    weights = _weights(op, scores, dropout_p)
    output = _with_heads(op, op.MatMul(_with_heads(op, weights, v.dims[-3]), v), heads)
    return _Attention(mask.clear_dead_rows(op, output), _with_heads(op, weights, heads), scores)


@aten("scaled_dot_product_attention")
def scaled_dot_product_attention(
    op: Builder, query: Value, key: Value, value: Value, attn_mask: Value | None = None, dropout_p: float = 0.0,
    is_causal: bool = False, *, scale: float | None = None, enable_gqa: bool = False,
) -> Value:  # fmt: skip
    mask = _mask(op, attn_mask, is_causal, query.dims[-2], key.dims[-2])
    attend = _attend_grouped if enable_gqa else _attend
    return attend(op, query, key, value, mask, dropout_p, scale).output


@aten("_scaled_dot_product_attention_math")
def scaled_dot_product_attention_math(
    op: Builder, query: Value, key: Value, value: Value, attn_mask: Value | None = None, dropout_p: float = 0.0,
    is_causal: bool = False, dropout_mask: Value | None = None, *, scale: float | None = None, enable_gqa: bool = False,
) -> tuple[Value, Value]:  # fmt: skip
    """The output and the weights; a mask of bools is added as zeros and ones here."""
    if attn_mask is not None and attn_mask.etype == BOOL:
        attn_mask = op.cast(attn_mask, query.etype)
    mask = _mask(op, attn_mask, is_causal, query.dims[-2], key.dims[-2])
    attend = _attend_grouped if enable_gqa else _attend
    output, weights, _ = attend(op, query, key, value, mask, dropout_p, scale)
    return output, mask.clear_dead_rows(op, weights)


@aten("_scaled_dot_product_flash_attention_for_cpu")
def flash_attention_for_cpu(
    op: Builder, query: Value, key: Value, value: Value, dropout_p: float = 0.0, is_causal: bool = False, *,
    attn_mask: Value | None = None, scale: float | None = None,
) -> tuple[Value, Value]:  # fmt: skip
    """The output and the logarithms of the sums under the softmax."""
    mask = _mask(op, attn_mask, is_causal, query.dims[-2], key.dims[-2])
    result = _attend(op, query, key, value, mask, dropout_p, scale)
    return result.output, result.log_sum_exp(op)


def _seeds(op: Builder) -> tuple[Value, Value]:
    """The state of a random generator that is not used."""
    return op.const(0), op.const(0)


@aten("_scaled_dot_product_efficient_attention")
def efficient_attention(
    op: Builder, query: Value, key: Value, value: Value, attn_bias: Value | None, compute_log_sumexp: bool,
    dropout_p: float = 0.0, is_causal: bool = False, *, scale: float | None = None,
) -> tuple[Value, ...]:  # fmt: skip
    mask = _mask(op, attn_bias, is_causal, query.dims[-2], key.dims[-2])
    result = _attend(op, query, key, value, mask, dropout_p, scale)
    return result.output, result.log_sum_exp(op), *_seeds(op)


@aten("_scaled_dot_product_flash_attention")
def flash_attention(
    op: Builder, query: Value, key: Value, value: Value, dropout_p: float = 0.0, is_causal: bool = False,
    return_debug_mask: bool = False, *, scale: float | None = None,
) -> tuple[Any, ...]:  # fmt: skip
    return fused_attention(op, query, key, value, None, dropout_p, is_causal, return_debug_mask, scale=scale)


@aten("_scaled_dot_product_cudnn_attention")
def cudnn_attention(
    op: Builder, query: Value, key: Value, value: Value, attn_bias: Value | None, compute_log_sumexp: bool,
    dropout_p: float = 0.0, is_causal: bool = False, return_debug_mask: bool = False, *, scale: float | None = None,
) -> tuple[Any, ...]:  # fmt: skip
    return fused_attention(op, query, key, value, attn_bias, dropout_p, is_causal, return_debug_mask, scale=scale)


@aten("_scaled_dot_product_fused_attention_overrideable")
def fused_attention(
    op: Builder, query: Value, key: Value, value: Value, attn_bias: Value | None = None, dropout_p: float = 0.0,
    is_causal: bool = False, return_debug_mask: bool = False, *, scale: float | None = None,
) -> tuple[Any, ...]:  # fmt: skip
    mask = _mask(op, attn_bias, is_causal, query.dims[-2], key.dims[-2])
    result = _attend(op, query, key, value, mask, dropout_p, scale)
    return (
        result.output,
        result.log_sum_exp(op),
        None,
        None,
        query.dims[-2],
        key.dims[-2],
        *_seeds(op),
        result.weights,
    )


@aten("_fused_sdp_choice")
def fused_sdp_choice(op: Builder, query: Value, key: Value, value: Value, *rest: Any, **options: Any) -> int:
    """Always the plain implementation."""
    return 0

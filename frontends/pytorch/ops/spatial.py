"""What operators over space share: a batch axis that may be missing, and sums along one axis weighted by a matrix."""

from __future__ import annotations

from collections.abc import Callable

from nxconvert.frontends.pytorch.table import Builder, Value
from nxconvert.graph.builder import GraphTypeError
from nxconvert.graph.dims import product


def batched(op: Builder, x: Value, space: int, compute: Callable[[Value], Value]) -> Value:
    """``compute`` on ``[batch, channels, *space]``; PyTorch takes ``[channels, *space]`` too.

    Raises:
        GraphTypeError: if ``x`` has neither rank.
    """
    if x.rank == space + 2:
        return compute(x)
    want_space(x, space)
    return op.Squeeze(compute(op.Unsqueeze(x, [0])), [0])


def want_space(x: Value, space: int) -> None:
    """Raises GraphTypeError unless ``x`` is ``[batch, channels, *space]`` or ``[channels, *space]``."""
    if x.rank not in (space + 1, space + 2):
        raise GraphTypeError(f"the input has rank {x.rank}, not {space + 2} (or {space + 1}, without a batch)")


def weigh_axis(op: Builder, x: Value, axis: int, weights: Value) -> Value:
    """Replaces ``axis``: element ``i`` becomes the sum over ``j`` of ``weights[i, j]`` times element ``j``.

    Args:
        op: the builder.
        x: any shape; a float dtype.
        axis: counted from the front.
        weights: ``[new size, old size]``, in the dtype of ``x``.
    """
    if axis == x.rank - 1:
        return op.MatMul(x, op.Transpose(weights, perm=[1, 0]))
    if axis == x.rank - 2:
        return op.MatMul(weights, x)
    before, after = x.dims[:axis], x.dims[axis + 1 :]
    mixed = op.MatMul(weights, op.reshape(x, [*before, x.dims[axis], product(after)]))
    return op.reshape(mixed, [*before, weights.dims[0], *after])

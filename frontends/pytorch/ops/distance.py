"""Distances between points, one to one and all to all, and the angle between vectors."""

from __future__ import annotations

from nxconvert.frontends.pytorch.ops.common import as_tensor, axis_of, known, promote
from nxconvert.frontends.pytorch.ops.linear import matrix_product, transposed
from nxconvert.frontends.pytorch.ops.norm import p_norm
from nxconvert.frontends.pytorch.table import Builder, Int, Number, Value, aten
from nxconvert.graph.builder import GraphTypeError

# From this number of points on PyTorch multiplies matrices instead of subtracting all pairs.
_MANY = 25


@aten("pairwise_distance")
def pairwise_distance(
    op: Builder, x1: Value, x2: Value, p: Number = 2.0, eps: Number = 1e-6, keepdim: bool = False
) -> Value:
    """The norm of ``x1 - x2 + eps`` over the last axis."""
    difference = op.Sub(*promote(op, x1, x2, to_float=True))
    if eps != 0:
        difference = op.Add(difference, as_tensor(op, eps, difference.etype))
    return p_norm(op, difference, p, [difference.rank - 1], keepdims=int(keepdim))


@aten("cosine_similarity")
def cosine_similarity(op: Builder, x1: Value, x2: Value, dim: Int = 1, eps: Number = 1e-8) -> Value:
    """``x1 · x2 / (max(|x1|, eps) · max(|x2|, eps))`` along an axis of their broadcast."""
    a, b = promote(op, x1, x2, to_float=True)
    if not a.rank and not b.rank:
        a, b = op.Unsqueeze(a, [0]), op.Unsqueeze(b, [0])
    rank = max(a.rank, b.rank)
    axis = axis_of(dim, rank) - rank
    if min(a.rank, b.rank) < -axis or a.dims[axis] != b.dims[axis]:
        # A vector that is repeated along the axis is longer.
        a, b = op.Expand(a, op.dims_tensor(b.dims)), op.Expand(b, op.dims_tensor(a.dims))
    product = op.ReduceSum(op.Mul(a, b), [axis], keepdims=0)
    least = as_tensor(op, eps, product.etype)
    lengths = [op.Max(p_norm(op, x, 2, [axis], keepdims=0), least) for x in (a, b)]
    return op.Div(product, op.Mul(*lengths))


@aten("cdist", "_cdist_forward")
def cdist(op: Builder, x1: Value, x2: Value, p: Number = 2.0, compute_mode: Int | None = None) -> Value:
    """All distances between the rows of ``x1`` (``[..., points, size]``) and those of ``x2``."""
    if x1.rank < 2 or x2.rank < 2:
        raise GraphTypeError(f"the points have rank {x1.rank} and {x2.rank}, not 2 or more")
    sizes = (x1.dims[-2], x2.dims[-2])
    many = any(isinstance(size, int) and size > _MANY for size in sizes)
    if known(p, "the order of the norm") == 2 and (compute_mode == 1 or (many and compute_mode != 2)):
        return euclidean_distance(op, x1, x2)
    difference = op.Sub(op.Unsqueeze(x1, [x1.rank - 1]), op.Unsqueeze(x2, [x2.rank - 2]))
    return p_norm(op, difference, p, [difference.rank - 1], keepdims=0)


@aten("_euclidean_dist")
def euclidean_distance(op: Builder, x1: Value, x2: Value) -> Value:
    """``|a - b|² = |a|² - 2·a·b + |b|²``."""
    squares = op.Add(op.ReduceSumSquare(x1, [x1.rank - 1]), transposed(op, op.ReduceSumSquare(x2, [x2.rank - 1])))
    product = matrix_product(op, op.Mul(x1, as_tensor(op, -2, x1.etype)), transposed(op, x2))
    return op.Sqrt(op.Relu(op.Add(squares, product)))


@aten("pdist", "_pdist_forward")
def pdist(op: Builder, self: Value, p: Number = 2.0) -> Value:
    """The distances of each row to all rows after it."""
    if self.rank != 2:
        raise GraphTypeError(f"the points have rank {self.rank}, not 2")
    points = self.dims[0]
    above = op.Trilu(op.expand(op.const(1), [points, points]), op.const(1), upper=1)
    pairs = op.NonZero(above)
    first, second = (op.Gather(self, op.Gather(pairs, i, axis=0), axis=0) for i in (0, 1))
    return p_norm(op, op.Sub(first, second), p, [1], keepdims=0)

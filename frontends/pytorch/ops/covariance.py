"""Covariance and correlation of variables (rows) over observations (columns)."""

from __future__ import annotations

from nxconvert.frontends.pytorch.ops.common import as_tensor, float_input, promote
from nxconvert.frontends.pytorch.table import Builder, Int, LoweringError, Value, aten
from nxconvert.graph.dims import maximum


def _rows(op: Builder, x: Value) -> Value:
    if x.rank > 2:
        raise LoweringError(f"the covariance of a tensor of rank {x.rank} is asked for, 2 is the most")
    return op.reshape(float_input(op, x), [*[1] * (2 - x.rank), *x.dims])


@aten("cov")
def cov(
    op: Builder, self: Value, correction: Int = 1, fweights: Value | None = None, aweights: Value | None = None
) -> Value:
    """Products of deviations from the (weighted) means, over the number of observations less ``correction``.

    Args:
        op: the builder.
        self: [variables, observations], or one variable.
        correction: how many degrees of freedom are lost.
        fweights: int[observations], how often each was observed.
        aweights: float[observations], how much each matters.
    """
    x = _rows(op, self)
    if fweights is None and aweights is None:
        deviation = op.Sub(x, op.ReduceMean(x, [1], keepdims=1))
        weighted = deviation
        freedom = as_tensor(op, maximum(x.dims[1] - correction, 0), x.etype)
    else:
        weights = _weights(op, x, fweights, aweights)
        total = op.ReduceSum(weights, keepdims=0)
        mean = op.Div(op.ReduceSum(op.Mul(x, weights), [1], keepdims=1), total)
        deviation = op.Sub(x, mean)
        weighted = op.Mul(deviation, weights)
        lost = as_tensor(op, correction, x.etype)
        if aweights is not None and correction != 0:
            squares = op.ReduceSum(op.Mul(weights, op.cast(aweights, x.etype)), keepdims=0)
            lost = op.Mul(lost, op.Div(squares, total))
        freedom = op.Max(op.Sub(total, lost), 0.0)
    result = op.Div(op.MatMul(weighted, op.Transpose(deviation, perm=[1, 0])), freedom)
    return result if self.rank == 2 and self.dims[0] != 1 else op.reshape(result, [])


def _weights(op: Builder, x: Value, fweights: Value | None, aweights: Value | None) -> Value:
    given = [op.cast(w, x.etype) for w in (fweights, aweights) if w is not None]
    return given[0] if len(given) == 1 else op.Mul(*promote(op, *given))


@aten("corrcoef")
def corrcoef(op: Builder, self: Value) -> Value:
    """The covariance over the standard deviations of both variables, kept within [-1, 1]."""
    if self.rank < 2 or self.dims[0] == 1:
        variance = cov(op, self)
        return op.Div(variance, variance)
    x = _rows(op, self)
    deviation = op.Sub(x, op.ReduceMean(x, [1], keepdims=1))
    # The number of observations cancels, and lengths spare the diagonal of the covariance.
    length = op.ReduceL2(deviation, [1], keepdims=1)
    products = op.MatMul(deviation, op.Transpose(deviation, perm=[1, 0]))
    ratio = op.Div(op.Div(products, length), op.Transpose(length, perm=[1, 0]))
    return op.Clip(ratio, -1.0, 1.0)

"""Batch normalization, as it is when a model is used.

The input that the programming interface calls the inverse of the standard deviation holds the variance (measured in
CNTK 2.7); the time constants matter while a model is trained only.
"""

from __future__ import annotations

from nxconvert.frontends.cntk.table import Builder, LoweringError, Tensor, Value, cntk


@cntk("BatchNormalization")
def batch_normalization(
    op: Builder,
    x: Tensor,
    scale: Tensor,
    bias: Tensor,
    mean: Tensor,
    variance: Tensor,
    count: Tensor,
    *,
    spatial: bool,
    epsilon: float,
) -> Tensor:
    """Per channel, the first static axis, if it is spatial; per element otherwise."""
    parameters = (scale, bias, mean, variance)
    if any(p.nd for p in parameters):
        raise LoweringError("the statistics of a batch normalization are not parameters")
    if spatial:
        channels = x.dims[0]
        values = [op.reshape(p.value, (channels,)) for p in parameters]
        if x.nd == 1:
            return x.of(op.BatchNormalization(x.value, *values, epsilon=epsilon))
        values = [op.reshape(v, (channels, *[1] * (x.rank - 1))) for v in values]
    else:
        values = [op.reshape(p.value, x.dims) for p in parameters]
    factor, shift, center, spread = values
    deviation: Value = op.Sqrt(op.Add(spread, op.const(epsilon, spread.etype)))
    return x.of(op.Add(op.Mul(op.Sub(x.value, center), op.Div(factor, deviation)), shift))

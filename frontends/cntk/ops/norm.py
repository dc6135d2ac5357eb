"""Batch normalization, as it is when a model is used.

The input that the programming interface calls the inverse of the standard deviation holds the variance (measured in
CNTK 2.7); the time constants matter while a model is trained only.
"""

from __future__ import annotations

from nxconvert.frontends.cntk.steps import on_steps, steps_of
from nxconvert.frontends.cntk.table import Builder, DataType, LoweringError, Tensor, cntk


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
    # Of halves, CNTK keeps statistics in float32.
    wide = DataType.DOUBLE if x.dtype == DataType.DOUBLE else DataType.FLOAT
    values = [op.cast(p.value, wide) for p in parameters]
    if spatial:
        channels = x.dims[0]
        values = [op.reshape(value, (channels,)) for value in values]
        if x.nd == 1 or steps_of(x) is not None:
            return on_steps(op, x, lambda value: op.BatchNormalization(value, *values, epsilon=epsilon))
        values = [op.reshape(value, (channels, *[1] * (x.rank - 1))) for value in values]
    else:
        values = [op.reshape(value, x.dims) for value in values]
    factor, shift, center, spread = values
    factor = op.Div(factor, op.Sqrt(op.Add(spread, op.const(epsilon, wide))))
    y = op.Add(op.Mul(op.cast(x.value, wide), factor), op.Sub(shift, op.Mul(center, factor)))
    return x.of(op.cast(y, x.dtype))

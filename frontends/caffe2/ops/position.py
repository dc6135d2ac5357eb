"""Waves that encode positions in a sequence."""

from __future__ import annotations

import math

import numpy as np

from nxconvert.frontends.caffe2.table import Builder, DataType, Value, caffe2


@caffe2("SinusoidPositionEncoding")
def sinusoid_position_encoding(
    op: Builder, positions: Value, *, embedding_size: int = 100, alpha: float = 10000.0, amplitude: float = 1.0
) -> Value:
    """Sine and cosine by turns of ``position / alpha ** (k / size)``: ``[n, batch]`` to ``[n, batch, size]``.

    The positions are those of the first column. Semantics: ``caffe2/operators/sinusoid_position_encoding_op.h``, which
    takes steps between logarithms: position 0 makes them infinite, so that only the last number of its row is one.
    """
    first = op.Log(op.cast(op.Gather(positions, [0], axis=1), DataType.FLOAT))
    exponents = first
    if embedding_size > 1:
        span = np.float32(math.log(alpha)) * (np.float32(embedding_size - 1) / np.float32(embedding_size))
        last = op.Sub(first, op.const(span))
        step = op.Div(op.Sub(last, first), float(embedding_size - 1))
        inner = op.Add(op.Mul(op.const(np.arange(embedding_size - 1, dtype=np.float32)), step), first)
        exponents = op.Concat(inner, last, axis=1)
    # A quarter of a wave makes a cosine of every second one.
    shift = np.where(np.arange(embedding_size) % 2, np.float32(math.pi / 2), np.float32(0)).astype(np.float32)
    waves = op.Sin(op.Add(op.Exp(exponents), op.const(shift)))
    if amplitude != 1:
        waves = op.Mul(waves, amplitude)
    return op.expand(op.Unsqueeze(waves, [1]), [*positions.dims, embedding_size])

"""Pictures of bytes as style transfer takes them in and gives them back.

Semantics: ``caffe2/operators/stylizer_ops.cc``.
"""

from __future__ import annotations

from nxconvert.frontends.caffe2.ops.window import channels_first, channels_last
from nxconvert.frontends.caffe2.random_fills import random_fill
from nxconvert.frontends.caffe2.table import Builder, DataType, Images, Value, Weight, caffe2
from nxconvert.graph.dims import product


@caffe2("PackedInt8BGRANHWCToNCHWCStylizerPreprocess")
def stylizer_preprocess(
    op: Builder, x: Value, mean: Weight, *, noise_std: float = 10.0, noise_size: int = 491, random_seed: int | None
) -> Value:
    """``uint8[batch, height, width, 4]``, BGRA, to ``float32[batch, 3, height, width]`` without the mean.

    Noise is added, the same ``noise_size`` numbers again and again. Caffe2 draws them when a net is run first: with a
    seed they are those that it draws, without one they are drawn in each run.
    """
    y = op.Sub(op.cast(op.Slice(x, [0], [3], [3]), DataType.FLOAT), op.reshape(mean, [3]))
    if noise_std:
        if random_seed is None:
            noise = op.RandomNormal(shape=[noise_size], mean=0.0, scale=noise_std)
        else:
            noise = op.const(random_fill("GaussianFill", [noise_size], {"mean": 0.0, "std": noise_std}, random_seed))
        pixels = [*x.dims[1:3], 3]
        places = op.Mod(op.Range(0, op.dim_value(product(pixels)), 1), noise_size)
        y = op.Add(y, op.reshape(op.Gather(noise, places), pixels))
    return channels_first(op, y)


@caffe2("BRGNCHWCToPackedInt8BGRAStylizerDeprocess")
def stylizer_deprocess(op: Builder, x: Images, mean: Weight) -> Value:
    """``float32[batch, 3, height, width]`` plus the mean as ``uint8[batch, height, width, 4]``; alpha is 255."""
    shifted = op.Add(x, op.reshape(mean, [3, 1, 1]))
    pixels = op.Cast(op.Clip(shifted, 0.0, 255.0), to=DataType.UINT8)
    return op.Pad(channels_last(op, pixels), [0, 0, 0, 0, 0, 0, 0, 1], op.const(255, DataType.UINT8))

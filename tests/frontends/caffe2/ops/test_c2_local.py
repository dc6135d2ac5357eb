"""Patches of images: locally connected layers, columns of patches and back."""

from __future__ import annotations

import numpy as np
import pytest

from tests.frontends.caffe2.ops.harness import Weight, check, run_caffe2

RNG = np.random.default_rng(0)


def normal(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


def test_locally_connected() -> None:
    check("LC", normal(2, 3, 3, 4), Weight(normal(2, 3, 4, 3, 2, 2)), Weight(normal(2, 3, 4)), kernel=2)
    check("LC", normal(2, 3, 4, 3), Weight(normal(2, 3, 4, 2, 2, 3)), kernel=2, order="NHWC")
    check("LC", normal(2, 2, 5, 6), Weight(normal(3, 3, 4, 2, 3, 3)), kernel=3, stride=2, legacy_pad=2)
    check("LC1D", normal(2, 2, 5), Weight(normal(3, 3, 2, 2)), Weight(normal(3, 3)), kernels=[2], dilations=[2])
    check("LC3D", normal(2, 2, 3, 4, 3), Weight(normal(2, 3, 2, 3, 2, 2, 2, 2)), kernels=[2, 2, 2])


@pytest.mark.parametrize("order", ["NCHW", "NHWC"])
@pytest.mark.parametrize(
    "window",
    [
        {"kernel": 2},
        {"kernel": 3, "kernel_w": 2, "stride_h": 2, "pad": 1},
        {"kernel": 2, "dilation_h": 2, "stride_w": 3, "pad": 2},
    ],
)
def test_columns(order: str, window: dict[str, int]) -> None:
    image = normal(2, 3, 6, 5) if order == "NCHW" else normal(2, 6, 5, 3)
    check("Im2Col", image, order=order, **window)
    (columns,) = run_caffe2("Im2Col", [image], {"order": order, **window})
    check("Col2Im", columns, image, order=order, **window)

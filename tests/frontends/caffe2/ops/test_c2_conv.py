"""Convolutions: every spelling of the window, both orders, legacy padding with known and free sizes."""

from __future__ import annotations

import numpy as np
import pytest

from nxconvert.errors import UnsupportedError
from tests.frontends.caffe2.ops.harness import Op as Operator
from tests.frontends.caffe2.ops.harness import Weight, check, run_lowered

RNG = np.random.default_rng(0)


def normal(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize(
    "window",
    [
        {"kernel": 3},
        {"kernels": [3, 3], "kernel": 5},
        {"kernels": [3], "kernel": 3, "kernel_h": 7, "kernel_w": 7},
        {"kernel_h": 3, "kernel_w": 3, "stride_h": 2, "stride_w": 1, "pad_t": 1, "pad_l": 0, "pad_b": 2, "pad_r": 1},
        {"kernel": 3, "stride_h": 2, "pad_t": 1, "dilation_w": 2},
        {"kernel": 3, "pad": 1, "pad_t": 0, "pad_l": 0, "pad_b": 0, "pad_r": 0, "strides": [2, 1]},
        {"kernel": 3, "dilations": [2, 1], "pads": [2, 0, 1, 1], "unheard_of": 1, "shared_buffer": 1, "no_bias": 1},
    ],
)
def test_spellings(window: dict[str, object]) -> None:
    check("Conv", normal(2, 2, 8, 7), Weight(normal(3, 2, 3, 3)), Weight(normal(3)), **window)


@pytest.mark.parametrize("legacy", [1, 2, 3])
@pytest.mark.parametrize(("kernel", "stride"), [(3, 2), (2, 3), (1, 4), (4, 3), (3, 1)])
@pytest.mark.parametrize("size", [6, 7, 8])
def test_legacy_padding(legacy: int, kernel: int, stride: int, size: int) -> None:
    weight = Weight(normal(3, 2, kernel, kernel))
    check("Conv", normal(2, 2, size, size + 1), weight, kernel=kernel, stride=stride, legacy_pad=legacy)


def test_channels_last_in_groups() -> None:
    check("Conv", normal(2, 8, 7, 4), Weight(normal(6, 3, 3, 2)), Weight(normal(6)), kernel=3, order="NHWC", group=2)
    check("Conv1D", normal(2, 8, 4), Weight(normal(6, 3, 2)), kernels=[3], pads=[1, 2], order="NHWC", group=2)


def test_filters_that_are_computed() -> None:
    check("Conv3D", normal(2, 4, 5, 4, 3), normal(6, 4, 3, 2, 1), normal(6), kernels=[3, 2, 1], strides=[1, 2, 1])


def test_relu() -> None:
    check("ConvRelu", normal(1, 2, 5, 5), Weight(normal(3, 2, 3, 3)), Weight(normal(3)), kernel=3, pad=1)


@pytest.mark.parametrize("order", ["NCHW", "NHWC"])
@pytest.mark.parametrize("group", [1, 2])
def test_transposed(order: str, group: int) -> None:
    x, weight = normal(2, 4, 3, 5), normal(4, 3, 2, 3)
    if order == "NHWC":
        x, weight = x.transpose(0, 2, 3, 1).copy(), weight.transpose(0, 2, 3, 1).copy()
    window = {"kernel_h": 2, "kernel_w": 3, "strides": [1, 3], "adjs": [0, 2], "pads": [0, 1, 1, 0], "dilation": 2}
    check("ConvTranspose", x, Weight(weight), Weight(normal(3 * group)), order=order, group=group, **window)
    check("ConvTranspose", x, Weight(weight), order=order, group=group, **window)


@pytest.mark.parametrize(
    ("operator", "window", "text"),
    [
        ("Conv", {}, "kernel is missing"),
        ("Conv", {"kernels": [3]}, r"kernel \[3\] is not for 2 axes"),
        ("Conv", {"kernel": 3, "pads": [1, 1]}, "2 pads"),
        ("Conv", {"kernel": 3, "dilation": 2, "legacy_pad": 3}, "dilations"),
        ("Conv", {"kernel": 3, "order": "NCWH"}, "order"),
        ("Conv", {"kernel": 2}, "kernel is not the weight's"),
        ("ConvTranspose", {"kernel": 3, "stride": 2, "adj": 2}, "adj"),
    ],
)
def test_what_is_refused(operator: str, window: dict[str, object], text: str) -> None:
    blobs = {"x": normal(1, 2, 5, 5), "w": Weight(normal(2, 2, 3, 3))}
    with pytest.raises(UnsupportedError, match=text):
        run_lowered([Operator(operator, ["x", "w"], ["y"], window)], blobs, ["y"])

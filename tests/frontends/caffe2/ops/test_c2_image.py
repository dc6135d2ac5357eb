"""Images: sizes and sources in float32, pads of every kind, blocks, orders of axes, pictures of bytes."""

from __future__ import annotations

import numpy as np
import pytest

from nxconvert.errors import UnsupportedError
from nxconvert.formats.caffe2 import DeviceOption, OperatorDef
from nxconvert.frontends.caffe2.machine import Machine
from nxconvert.frontends.caffe2.table import DataType
from nxconvert.graph.builder import Builder
from nxconvert.graph.dims import Dim
from nxconvert.graph.finish import finish
from tests.frontends.caffe2.ops.harness import Op as Operator
from tests.frontends.caffe2.ops.harness import Weight, check, run_lowered, run_onnx

RNG = np.random.default_rng(0)


def normal(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("operator", ["ResizeNearest", "UpsampleBilinear"])
@pytest.mark.parametrize("scale", [0.7, 0.9, 1.1, 1.25, 1.3, 2.3, 3.0, 0.5, 0.75, 1.5])
def test_sizes_and_sources_are_rounded_in_float32(operator: str, scale: float) -> None:
    for width in (1, 3, 7, 10):
        check(operator, normal(1, 1, 2, width), width_scale=float(np.float32(scale)))


@pytest.mark.parametrize("operator", ["ResizeNearest", "UpsampleBilinear"])
def test_scales_that_are_an_input(operator: str) -> None:
    scales = np.array([1.5, 2.0], np.float32)
    check(operator, normal(2, 3, 5, 7), scales)
    check(operator, normal(2, 3, 5, 7), Weight(scales), width_scale=7.0)


def test_resizing_in_nhwc() -> None:
    check("ResizeNearest", normal(2, 3, 5, 4), order="NHWC", width_scale=1.7, height_scale=2.0)
    check("ResizeNearest", normal(2, 3, 5, 4), order="NHWC", width_scale=2.0, height_scale=3.0)
    check("UpsampleBilinear", normal(2, 3, 5, 4), order="NHWC", width_scale=2.0)


def test_frames() -> None:
    check("ResizeNearest3D", normal(1, 2, 2, 3, 2), width_scale=2.0, height_scale=2.0, temporal_scale=2.0)
    with pytest.raises(UnsupportedError, match="frames"):
        run_lowered([Operator("ResizeNearest3D", ["x"], ["y"])], {"x": normal(1, 1, 2, 2, 2)}, ["y"])


@pytest.mark.parametrize("mode", ["constant", "reflect", "edge"])
@pytest.mark.parametrize("order", ["NCHW", "NHWC"])
@pytest.mark.parametrize("pads", [[2, 0, 0, 1], [-1, 1, -1, 1], [1, -1, 0, 2], [0, 0, 0, 0]])
def test_pads(mode: str, order: str, pads: list[int]) -> None:
    shape = (2, 3, 5, 4) if order == "NCHW" else (2, 5, 4, 3)
    check("PadImage", normal(*shape), pads=pads, mode=mode, value=3.0, order=order, kernel=2)


def test_blocks() -> None:
    check("SpaceToBatch", normal(2, 3, 4, 7), block_size=3, pad=1)
    check("SpaceToBatch", normal(1, 2, 3, 4), pad_t=1, pad_l=5)
    check("BatchToSpace", normal(18, 3, 2, 3), block_size=3, pad=1)
    check("BatchToSpace", normal(4, 1, 2, 2), pad=1, pad_t=0, pad_r=0)


@pytest.mark.parametrize("rank", [3, 4, 5])
def test_orders(rank: int) -> None:
    check("NCHW2NHWC", normal(*range(2, 2 + rank)))
    check("NHWC2NCHW", normal(*range(2, 2 + rank)))


def test_pixels() -> None:
    check("IntegralImage", normal(2, 3, 4, 5))
    check("NormalizePlanarYUV", normal(2, 3, 4, 5), Weight(normal(1, 3)), Weight(normal(4, 3) + 5))


def test_pictures_of_bytes() -> None:
    pixels = RNG.integers(0, 256, (2, 3, 4, 4)).astype(np.uint8)
    check("PackedInt8BGRANHWCToNCHWCStylizerPreprocess", pixels, Weight(normal(3)), noise_std=0.0)
    floats = np.array([-5, 0.4, 1.5, 254.5, 255.2, 300, np.nan, np.inf, -np.inf, 10, 11, 12], np.float32)
    check("BRGNCHWCToPackedInt8BGRAStylizerDeprocess", floats.reshape(1, 3, 2, 2), Weight(normal(3)))


@pytest.mark.parametrize("device", [None, DeviceOption(random_seed=5)])
def test_noise_is_repeated(device: DeviceOption | None) -> None:
    operator = OperatorDef("PackedInt8BGRANHWCToNCHWCStylizerPreprocess", ["x", "mean"], ["y"], {"noise_size": 7})
    operator.device = device
    op = Builder()
    machine = Machine(op, lambda message: None)
    machine.blobs["x"] = op.input("x", DataType.UINT8, [1, Dim.symbol("h"), 5, 4])
    machine.blobs["mean"] = op.const([1.0, 2.0, 3.0])
    machine.run([operator])
    (y,) = run_onnx(finish(op, {"y": machine.blobs["y"]}), {"x": np.zeros((1, 4, 5, 4), np.uint8)})
    noise = (y + np.array([1, 2, 3], np.float32).reshape(3, 1, 1)).transpose(0, 2, 3, 1).ravel()
    np.testing.assert_allclose(noise[7:], noise[:-7], rtol=1e-5)
    assert 1 < noise.std() < 30
    if device is not None:
        # What GaussianFill of std 10 draws with this seed, in Caffe2.
        np.testing.assert_allclose(noise[:3], [0.9964364, 1.1149415, -5.562872], rtol=1e-4)


def test_positions() -> None:
    positions = np.array([[1, 0], [0, 5], [-1, 2], [30, 2]], np.int32)
    check("SinusoidPositionEncoding", positions, embedding_size=6)
    check("SinusoidPositionEncoding", positions.astype(np.int64), embedding_size=7, alpha=0.5, amplitude=2.5)
    check("SinusoidPositionEncoding", positions, embedding_size=1)

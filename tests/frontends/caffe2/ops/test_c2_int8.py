"""Quantized operators give the runtime's integers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from nxconvert.errors import UnsupportedError
from tests.frontends.caffe2.ops.harness import Op, check_net, run_lowered


def weights(shape: tuple[int, ...], name: str, scale: float, zero_point: int, seed: int = 0) -> Op:
    """A filter of random bytes."""
    data = np.random.default_rng(seed).integers(0, 256, shape, np.uint8).tobytes()
    args = {"values": data, "shape": list(shape), "Y_scale": scale, "Y_zero_point": zero_point}
    return Op("Int8GivenTensorFill", [], [name], args)


def bias(count: int, high: int, name: str = "b") -> Op:
    values = np.random.default_rng(1).integers(-high, high + 1, count).tolist()
    return Op("Int8GivenIntTensorFill", [], [name], {"values": values, "shape": [count], "Y_scale": 1.0})


def quantize(name: str, result: str, scale: float, zero_point: int) -> Op:
    return Op("Int8Quantize", [name], [result], {"Y_scale": scale, "Y_zero_point": zero_point})


def numbers(*shape: int, scale: float = 2.0, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal(shape) * scale).astype(np.float32)


#: Every integer, quantized with scale 0.05 and zero point 100.
EVERY = ((np.arange(256) - 100) * 0.05).astype(np.float32).reshape(2, 4, 4, 8)


def run(*ops: Op, x: np.ndarray, scale: float = 0.05, zero_point: int = 100, **more: np.ndarray) -> None:
    check_net([quantize("x", "q", scale, zero_point), *ops], {"x": x, **more}, [ops[-1].outputs[0]])


def test_quantize() -> None:
    halves = np.array([-0.5, 0.5, 1.5, 2.5, 300, -300, 0.49999997, 126.5], np.float32)
    check_net([quantize("x", "q", 1.0, 128)], {"x": halves}, ["q"])
    check_net([quantize("x", "q", 0.3, 7)], {"x": numbers(3, 5, scale=60)}, ["q"])
    check_net([quantize("x", "q", 0.3, 7), Op("Int8Dequantize", ["q"], ["y"])], {"x": numbers(3, 5)}, ["y"])


CONVOLUTIONS = [
    # filter, its scale and zero point, output's scale and zero point, arguments
    ((5, 3, 3, 8), 0.01, 128, 0.1, 100, {"kernel": 3, "pad": 1, "stride": 2}),
    ((6, 1, 1, 8), 0.004, 3, 0.05, 0, {"kernel": 1}),
    ((8, 3, 3, 1), 0.02, 120, 0.031, 7, {"kernel": 3, "pad": 1, "group": 8}),
    ((4, 3, 2, 4), 1 / 128, 128, 0.125, 128, {"kernel_h": 3, "kernel_w": 2, "group": 2, "pads": [1, 0, 2, 1]}),
    ((3, 2, 2, 8), 0.02, 255, 0.25, 255, {"kernel": 2, "dilation": 2}),
    # A factor so small that floats do not hold the fractions.
    ((3, 3, 3, 8), 1e-6, 9, 0.05, 30, {"kernel": 3}),
]


@pytest.mark.parametrize("operator", ["Int8Conv", "Int8ConvRelu"])
@pytest.mark.parametrize(("shape", "w_scale", "w_zero", "scale", "zero_point", "args"), CONVOLUTIONS)
def test_conv(
    operator: str, shape: Any, w_scale: float, w_zero: int, scale: float, zero_point: int, args: Mapping[str, Any]
) -> None:
    given = {**args, "order": "NHWC", "Y_scale": scale, "Y_zero_point": zero_point}
    high = 2_000_000 if w_scale < 1e-5 else 3000
    layers = [weights(shape, "w", w_scale, w_zero), bias(shape[0], high), Op(operator, ["q", "w", "b"], ["y"], given)]
    run(*layers, x=numbers(2, 9, 8, 8))
    run(*layers, x=numbers(1, 9, 8, 8, seed=3), scale=0.0625, zero_point=0)


def test_conv_whose_products_are_ties() -> None:
    """A factor of a power of two: every fourth sum lies between two integers."""
    given = {"kernel": 1, "order": "NHWC", "Y_scale": 1.0, "Y_zero_point": 90}
    x = np.arange(-128, 128, dtype=np.float32).reshape(1, 16, 16, 1)
    for w_scale in (0.5, 0.25, 0.75, 0.125):
        one = Op("Int8GivenTensorFill", [], ["w"], {"values": b"\x01", "shape": [1, 1, 1, 1], "Y_scale": w_scale})
        none = Op("Int8GivenIntTensorFill", [], ["b"], {"values": [1], "shape": [1]})
        run(one, none, Op("Int8Conv", ["q", "w", "b"], ["y"], given), x=x, scale=1.0, zero_point=128)


def test_a_factor_of_one_is_refused_as_the_runtime_does() -> None:
    given = {"kernel": 1, "order": "NHWC", "Y_scale": 0.5, "Y_zero_point": 90}
    layers = [weights((2, 1, 1, 3), "w", 1.0, 3), bias(2, 3), Op("Int8Conv", ["q", "w", "b"], ["y"], given)]
    with pytest.raises(UnsupportedError, match="between 0 and 1"):
        run_lowered([quantize("x", "q", 1.0, 0), *layers], {"x": numbers(1, 2, 2, 3)}, ["y"])


@pytest.mark.parametrize(
    ("shape", "args"),
    [
        ((8, 3, 3, 5), {"kernel": 3, "stride": 2, "pad": 1, "adj": 1}),
        ((8, 2, 2, 4), {"kernel": 2, "stride": 2}),
        ((300, 4, 4, 3), {"kernel": 4, "stride": 1, "pads": [1, 2, 0, 1]}),
    ],
)
def test_conv_transpose(shape: Any, args: Mapping[str, Any]) -> None:
    given = {**args, "order": "NHWC", "Y_scale": 0.4, "Y_zero_point": 80}
    layers = [weights(shape, "w", 0.01, 120), bias(shape[3], 3000)]
    run(*layers, Op("Int8ConvTranspose", ["q", "w", "b"], ["y"], given), x=numbers(2, 4, 3, shape[0]))


@pytest.mark.parametrize("dims", [(4, 40), (3, 2, 2, 10), (1, 40)])
def test_fc(dims: tuple[int, ...]) -> None:
    layers = [weights((7, 40), "w", 0.01, 130), bias(7, 3000)]
    run(*layers, Op("Int8FC", ["q", "w", "b"], ["y"], {"Y_scale": 0.11, "Y_zero_point": 128}), x=numbers(*dims))


@pytest.mark.parametrize("operator", ["Int8Add", "Int8SumRelu"])
@pytest.mark.parametrize(
    ("a", "b", "y"),
    [
        ((0.05, 100), (0.05, 100), (0.1, 90)),
        ((0.05, 0), (0.031, 255), (0.06, 3)),
        ((0.3, 128), (0.0007, 128), (0.29, 200)),
        ((0.02, 17), (0.04, 3), (0.011, 0)),
        ((0.044815, 132), (0.01966476, 0), (0.04634243, 128)),
    ],
)
def test_add(operator: str, a: tuple[float, int], b: tuple[float, int], y: tuple[float, int]) -> None:
    """All sums of two of the 256 integers."""
    left, right = (((np.arange(256) - zero) * scale).astype(np.float32) for scale, zero in (a, b))
    left, right = (part.copy() for part in np.broadcast_arrays(left[:, None], right))
    add = Op(operator, ["p", "q"], ["y"], {"Y_scale": y[0], "Y_zero_point": y[1]})
    check_net([quantize("l", "p", *a), quantize("r", "q", *b), add], {"l": left, "r": right}, ["y"], free=(False,))


def test_add_of_free_sizes() -> None:
    add = Op("Int8AddRelu", ["p", "q"], ["y"], {"Y_scale": 0.05, "Y_zero_point": 4})
    check_net([quantize("x", "p", 0.03, 9), quantize("x", "q", 0.04, 77), add], {"x": numbers(2, 3, 4, 5)}, ["y"])


@pytest.mark.parametrize(
    "op",
    [
        Op("Int8Relu", ["q"], ["y"], {"Y_scale": 0.05, "Y_zero_point": 100}),
        Op("Int8LeakyRelu", ["q"], ["y"], {"alpha": 0.1, "Y_scale": 0.03, "Y_zero_point": 60}),
        Op("Int8LeakyRelu", ["q"], ["y"], {"alpha": 0.5, "Y_scale": 0.1, "Y_zero_point": 60}),
        Op("Int8Sigmoid", ["q"], ["y"], {"Y_scale": 1 / 256, "Y_zero_point": 0}),
        Op("Int8Softmax", ["q"], ["y"], {"Y_scale": 1 / 256, "Y_zero_point": 0}),
    ],
    ids=lambda op: op.type,
)
def test_functions(op: Op) -> None:
    check_net([quantize("x", "q", 0.05, 100), op], {"x": EVERY}, ["y"])
    check_net([quantize("x", "q", 0.05, 100), op], {"x": EVERY.reshape(64, 4)}, ["y"])


@pytest.mark.parametrize("relu", ["", "Relu"])
@pytest.mark.parametrize(
    "args",
    [
        {"kernel": 3, "stride": 2},
        {"kernel": 2, "stride": 2, "pad": 1},
        {"kernel_h": 2, "kernel_w": 4, "stride": 1, "pads": [1, 2, 0, 3]},
        {"kernel": 3, "stride": 2, "legacy_pad": 3},
        {"global_pooling": 1},
        {"kernel": 4},
    ],
    ids=str,
)
def test_pool(args: Mapping[str, Any], relu: str) -> None:
    kept = {**args, "order": "NHWC", "Y_scale": 0.05, "Y_zero_point": 100}
    run(Op(f"Int8MaxPool{relu}", ["q"], ["y"], kept), x=EVERY)
    run(Op(f"Int8AveragePool{relu}", ["q"], ["y"], kept), x=EVERY)
    run(
        Op(f"Int8AveragePool{relu}", ["q"], ["y"], {**kept, "Y_scale": 0.0131, "Y_zero_point": 9}),
        x=numbers(2, 4, 4, 8),
    )


@pytest.mark.parametrize(
    "op",
    [
        Op("Int8ChannelShuffle", ["q"], ["y"], {"group": 4, "kernel": 1, "order": "NHWC"}),
        Op("Int8ResizeNearest", ["q"], ["y"], {"width_scale": 2.0, "height_scale": 1.5}),
        Op("Int8Flatten", ["q"], ["y"]),
        Op("Int8Flatten", ["q"], ["y"], {"axis": 2}),
        Op("Int8Transpose", ["q"], ["y"], {"axes": [0, 3, 1, 2]}),
        Op("Int8Transpose", ["q"], ["y"]),
        Op("Int8Slice", ["q"], ["y"], {"starts": [0, 1, 0, 0], "ends": [-1, 3, -1, -1]}),
        Op("Int8Concat", ["q", "q"], ["y", "info"], {"order": "NHWC"}),
        Op("Int8Concat", ["q", "q"], ["y"], {"axis": 1}),
        Op("Int8Concat", ["q", "q"], ["y"]),
    ],
    ids=lambda op: f"{op.type} {dict(op.args)}",
)
def test_moving(op: Op) -> None:
    args = {**op.args, "Y_scale": 0.05, "Y_zero_point": 100}
    run(Op(op.type, op.inputs, op.outputs, args), x=EVERY)


def test_reshape() -> None:
    args = {"shape": [0, -1, 4], "Y_scale": 0.05, "Y_zero_point": 100}
    net = [quantize("x", "q", 0.05, 100), Op("Int8Reshape", ["q"], ["y", "old"], args)]
    check_net(net, {"x": EVERY}, ["y", "old"])


def test_no_input_of_a_model_is_quantized() -> None:
    with pytest.raises(UnsupportedError, match="Int8Quantize makes"):
        run_lowered([Op("Int8Relu", ["x"], ["y"])], {"x": np.zeros((2, 3), np.uint8)}, ["y"])


def test_what_moves_elements_keeps_the_scale() -> None:
    for scale, zero_point in ((0.06, 100), (0.05, 101)):
        relu = Op("Int8Relu", ["q"], ["y"], {"Y_scale": scale, "Y_zero_point": zero_point})
        with pytest.raises(UnsupportedError, match="cannot change them"):
            run_lowered([quantize("x", "q", 0.05, 100), relu], {"x": EVERY}, ["y"])


@pytest.mark.parametrize(
    "args", [{"sampling_ratio": 2}, {"sampling_ratio": 0}, {"aligned": 1, "spatial_scale": 0.5, "sampling_ratio": 3}]
)
@pytest.mark.parametrize("columns", [4, 5])
def test_roi_align(args: Mapping[str, Any], columns: int) -> None:
    """Regions within the map, across each of its borders, smaller than a pixel, and beyond it."""
    boxes = [[1, 2, 9, 7], [-3, -2, 4, 5], [6, 5, 14, 13], [3.3, 3.2, 3.4, 3.3], [2, 20, 5, 30], [0, 0, 9, 1]]
    rois = np.array([[i % 2, *box] for i, box in enumerate(boxes)], np.float32)[:, 5 - columns :]
    given = {**args, "pooled_h": 2, "pooled_w": 3, "order": "NHWC", "Y_scale": 0.04, "Y_zero_point": 77}
    net = [quantize("x", "q", 0.05, 100), Op("Int8RoIAlign", ["q", "r"], ["y"], given)]
    for rows in (rois, rois[:0]):
        # Regions of free width are taken to name their image.
        check_net(net, {"x": numbers(2, 8, 10, 3), "r": rows}, ["y"], free=(False, True) if columns == 5 else (False,))


def test_mean_of_a_free_size_that_is_a_tie() -> None:
    pool = {"global_pooling": 1, "order": "NHWC", "Y_scale": 1.0, "Y_zero_point": 3}
    x = np.array([[2, 1], [1, 2], [0, -1], [2, -4]], np.float32).reshape(1, 2, 2, 2)
    run(Op("Int8AveragePool", ["q"], ["y"], pool), x=x, scale=1.0, zero_point=50)

"""Tables of bytes with a scale and a bias a row, against the real runtime."""

from __future__ import annotations

import numpy as np
import pytest

from tests.frontends.caffe2.ops.harness import Op, Weight, check, check_net, run_caffe2

RANDOM = np.random.default_rng(0)
ROWS = (RANDOM.standard_normal((6, 11)) * 3).astype(np.float32)
#: One number everywhere, a negative zero, tiny numbers, ties between steps, huge numbers, two columns that are equal.
EDGES = np.array(
    [
        [2.5, 2.5, 2.5, 2.5],
        [-0.0, 1.0, 2.0, 3.0],
        [1e-41, 2e-41, 0, 3e-41],
        [0, 127.5, 255, 0.5],
        [-1e38, 1e38, 3, 4],
        [7, 7.0000005, 7, 7],
    ],
    np.float32,
)
INDICES = np.array([3, 0, 5, 5, 1, 2, 4])
LENGTHS = np.array([2, 0, 4, 1], np.int32)
WEIGHTS = RANDOM.standard_normal(7).astype(np.float32)
FLAT = np.array([0, 1e-11, 3, 3, 3], np.float32)


@pytest.mark.parametrize("x", [ROWS, EDGES, ROWS[:, :1]], ids=["rows", "edges", "column"])
def test_fused(x: np.ndarray) -> None:
    """The bytes of the scale and the bias are the runtime's, too."""
    make = Op("FloatToFused8BitRowwiseQuantized", ["x"], ["q"])
    read = Op("Fused8BitRowwiseQuantizedToFloat", ["q"], ["y"])
    check_net([make, read], {"x": x}, ["q", "y"])


def test_halves() -> None:
    make = Op("HalfFloatToFused8BitRowwiseQuantized", ["x"], ["q"])
    read = Op("Fused8BitRowwiseQuantizedToHalfFloat", ["q"], ["y"])
    check_net([make, read], {"x": ROWS.astype(np.float16)}, ["q", "y"], rtol=1e-3)


@pytest.mark.parametrize("x", [ROWS, EDGES, ROWS.reshape(3, 2, 11), np.stack([FLAT, FLAT * 0 + 2, FLAT * 1e-12])])
def test_scale_and_bias_beside_the_table(x: np.ndarray) -> None:
    make = Op("FloatToRowwiseQuantized8Bits", ["x"], ["q", "s"])
    read = Op("Rowwise8BitQuantizedToFloat", ["q", "s"], ["y"])
    check_net([make, read], {"x": x}, ["q", "s", "y"])


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_bags_of_fused_rows(dtype: type) -> None:
    make = Op("FloatToFused8BitRowwiseQuantized", ["x"], ["q"])
    feeds = {"x": Weight(ROWS), "i": INDICES.astype(dtype), "l": LENGTHS, "w": WEIGHTS}
    for operator, inputs in {
        "SparseLengthsSumFused8BitRowwise": ["q", "i", "l"],
        "SparseLengthsMeanFused8BitRowwise": ["q", "i", "l"],
        "SparseLengthsWeightedSumFused8BitRowwise": ["q", "w", "i", "l"],
        "GatherFused8BitRowwise": ["q", "i"],
    }.items():
        check_net([make, Op(operator, inputs, ["y"])], feeds, ["y"])


@pytest.mark.parametrize("x", [ROWS, ROWS.reshape(6, 1, 11)], ids=["rows", "blocks"])
def test_bags(x: np.ndarray) -> None:
    make = Op("FloatToRowwiseQuantized8Bits", ["x"], ["q", "s"])
    feeds = {"x": x, "i": INDICES, "l": LENGTHS, "w": WEIGHTS}
    for operator, inputs in {
        "SparseLengthsSum8BitsRowwise": ["q", "i", "l", "s"],
        "SparseLengthsMean8BitsRowwise": ["q", "i", "l", "s"],
        "SparseLengthsWeightedSum8BitsRowwise": ["q", "w", "i", "l", "s"],
        "SparseLengthsWeightedMean8BitsRowwise": ["q", "w", "i", "l", "s"],
    }.items():
        check_net([make, Op(operator, inputs, ["y"])], feeds, ["y"])


@pytest.mark.parametrize("bitwidth", [1, 2, 4, 8])
@pytest.mark.parametrize("columns", [1, 11, 16])
def test_few_bits_an_element(bitwidth: int, columns: int) -> None:
    x = RANDOM.standard_normal((3, columns)).astype(np.float32)
    (packed,) = run_caffe2("FloatToFusedRandRowwiseQuantized", [x], {"bitwidth": bitwidth, "random": 0})
    check("FusedRandRowwiseQuantizedToFloat", packed)


def test_byte_weights() -> None:
    data = RANDOM.integers(0, 256, 20, np.uint8)
    check("ByteWeightDequant", data, shape=[4, 5])
    check("ByteWeightDequant", data, shape=[2, 3], min=-0.3, max=1.7)
    text = bytes(data.tolist())
    fill = Op("GivenTensorStringFill", [], ["s"], {"values": [text], "shape": [1]})
    check_net([fill, Op("ByteWeightDequant", ["s"], ["y"], {"shape": [4, 5]})], {}, ["y"])

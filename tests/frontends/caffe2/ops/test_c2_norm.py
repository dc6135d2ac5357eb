"""Normalisations: in test and in training, all ranks and orders, the statistics they return."""

from __future__ import annotations

import numpy as np
import pytest

from tests.frontends.caffe2.ops.harness import Op as Operator
from tests.frontends.caffe2.ops.harness import Weight, check, check_net

RNG = np.random.default_rng(0)

SHAPES = [((2, 4, 3, 5), "NCHW"), ((2, 3, 5, 4), "NHWC"), ((2, 4), "NCHW"), ((3, 4), "NHWC"), ((2, 4, 2, 3, 2), "NCHW")]


def normal(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


def channels() -> Weight:
    return Weight(normal(4))


@pytest.mark.parametrize(("shape", "order"), SHAPES)
def test_batches(shape: tuple[int, ...], order: str) -> None:
    variance = Weight(RNG.random(4).astype(np.float32))
    statistics = (channels(), channels(), channels(), variance)
    check("SpatialBN", normal(*shape), *statistics, is_test=1, order=order, epsilon=1e-3)


@pytest.mark.parametrize(("shape", "order"), SHAPES)
@pytest.mark.parametrize("num_batches", [1, 2])
def test_batches_in_training(shape: tuple[int, ...], order: str, num_batches: int) -> None:
    blobs = {"x": normal(*shape), "s": channels(), "b": channels(), "m": channels(), "v": channels()}
    sums = {"sum": channels(), "squares": Weight(RNG.random(4).astype(np.float32) + 10)}
    blobs |= sums if num_batches > 1 else {}
    args = {"is_test": 0, "order": order, "num_batches": num_batches, "momentum": 0.75}
    results = ["y", "m", "v", "mean", "inverse"]
    check_net([Operator("SpatialBN", list(blobs), results, args)], blobs, results)


def test_an_empty_batch_in_training() -> None:
    blobs = {"x": normal(0, 4, 2, 2), "s": channels(), "b": channels(), "m": channels(), "v": channels()}
    results = ["y", "m", "v", "mean", "inverse"]
    check_net([Operator("SpatialBN", list(blobs), results, {"is_test": 0})], blobs, results)


@pytest.mark.parametrize(("shape", "order"), SHAPES)
def test_instances(shape: tuple[int, ...], order: str) -> None:
    check("InstanceNorm", normal(*shape), channels(), channels(), outputs=3, order=order, epsilon=1e-3)
    check("InstanceNorm", normal(*shape), channels(), channels(), order=order)


@pytest.mark.parametrize(("shape", "order"), SHAPES)
@pytest.mark.parametrize("group", [1, 2, 4])
def test_groups(shape: tuple[int, ...], order: str, group: int) -> None:
    args = {"group": group, "order": order, "epsilon": 1e-3}
    check("GroupNorm", normal(*shape), channels(), channels(), outputs=3, **args)
    check("GroupNorm", normal(*shape), channels(), channels(), **args)


@pytest.mark.parametrize("operator", ["LayerNorm", "C10LayerNorm_DontUseThisOpYet"])
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_layers(operator: str, axis: int) -> None:
    x = normal(2, 3, 4)
    layer = x.shape[axis:]
    scale, shift = Weight(normal(*layer)), Weight(normal(*layer))
    flat = Weight(normal(int(np.prod(layer))))
    check(operator, x, outputs=3, axis=axis, epsilon=1e-3)
    check(operator, x, scale, shift, outputs=3, axis=axis)
    check(operator, x, scale, flat, outputs=3, axis=axis, elementwise_affine=1)


def test_layers_of_doubles() -> None:
    check("LayerNorm", normal(2, 4).astype(np.float64), outputs=3)


@pytest.mark.parametrize("order", ["NCHW", "NHWC"])
def test_channels(order: str) -> None:
    check("LRN", normal(2, 5, 4, 6), outputs=2, size=3, alpha=1.0, beta=0.5, bias=2.0, order=order)
    check("LRN", normal(2, 5, 4, 6), size=5, alpha=1e-4, beta=0.75, order=order)
    check("AffineChannel", normal(2, 4, 3, 4), channels(), channels(), order=order)
    check("AffineChannel", normal(2, 4), normal(4), normal(4), order=order)
    check("ChannelShuffle", normal(2, 6, 3, 6), group=3, order=order)
    check("ChannelShuffle", normal(2, 6), group=2, order=order)

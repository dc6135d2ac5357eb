"""Pools: legacy padding with known and free sizes, padding that counts or does not, all ranks and orders."""

from __future__ import annotations

import numpy as np
import pytest

from nxconvert.errors import UnsupportedError
from nxconvert.frontends.caffe2.ops.pool import average_pool, max_pool
from nxconvert.frontends.caffe2.table import DataType
from nxconvert.graph.builder import Builder
from nxconvert.graph.dims import Dim
from tests.frontends.caffe2.ops.harness import Op as Operator
from tests.frontends.caffe2.ops.harness import check, run_lowered

RNG = np.random.default_rng(0)

KINDS = [("MaxPool", {}), ("AveragePool", {}), ("AveragePool", {"count_include_pad": 1}), ("LpPool", {"p": 3.5})]


def normal(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize(("operator", "args"), [*KINDS, ("LpPool", {})])
@pytest.mark.parametrize("size", [5, 6])
def test_caffes_partial_windows(operator: str, args: dict[str, object], size: int) -> None:
    for kernel, stride, pad in ((3, 2, 0), (3, 2, 1), (4, 3, 1), (2, 2, 0)):
        check(operator, normal(2, 3, size, 8), kernel=kernel, stride=stride, pad=pad, legacy_pad=3, **args)


@pytest.mark.parametrize(("operator", "args"), KINDS)
@pytest.mark.parametrize("legacy", [1, 2])
def test_legacy_padding(operator: str, args: dict[str, object], legacy: int) -> None:
    for kernel, stride in ((3, 2), (2, 3), (1, 4)):
        check(operator, normal(2, 3, 7, 8), kernel=kernel, stride=stride, legacy_pad=legacy, **args)


@pytest.mark.parametrize(("operator", "args"), KINDS)
def test_pads_of_all_sides(operator: str, args: dict[str, object]) -> None:
    pads = {"pad_t": 1, "pad_l": 0, "pad_b": 2, "pad_r": 1}
    check(operator, normal(2, 5, 6, 3), kernel=3, stride=2, order="NHWC", **pads, **args)
    check(operator, normal(2, 3, 5, 6), kernel=3, stride_h=2, stride_w=1, **pads, **args)


@pytest.mark.parametrize("operator", ["MaxPool", "AveragePool"])
@pytest.mark.parametrize("order", ["NCHW", "NHWC"])
def test_one_and_three_axes(operator: str, order: str) -> None:
    check(f"{operator}1D", normal(2, 6, 7), kernels=[3], strides=[2], pads=[0, 1], order=order)
    check(f"{operator}3D", normal(2, 5, 6, 5, 6), kernels=[3, 2, 1], pads=[1, 0, 0, 2, 1, 0], order=order)


@pytest.mark.parametrize(("operator", "args"), [*KINDS, ("LpPool", {"p": 1.0})])
def test_all_of_space(operator: str, args: dict[str, object]) -> None:
    check(operator, normal(2, 3, 5, 6), global_pooling=1, **args)
    check(operator, normal(2, 3, 5, 6), global_pooling=1, kernel=2, order="NHWC", **args)


def test_free_sizes_take_one_node() -> None:

    op = Builder()
    x = op.input("x", DataType.FLOAT, [Dim.symbol("n"), 3, Dim.symbol("h"), Dim.symbol("w")])
    max_pool(op, x, kernel=3, stride=2, legacy_pad=3)
    average_pool(op, x, kernel=3, stride=2, legacy_pad=2)
    assert [node.op_type for node in op.nodes] == ["MaxPool", "AveragePool"]


@pytest.mark.parametrize("args", [{"kernel": 2, "dilation": 2}, {"kernel": 2, "pad": 2}])
def test_what_is_refused(args: dict[str, object]) -> None:
    with pytest.raises(UnsupportedError):
        run_lowered([Operator("MaxPool", ["x"], ["y"], args)], {"x": normal(1, 1, 5, 5)}, ["y"])

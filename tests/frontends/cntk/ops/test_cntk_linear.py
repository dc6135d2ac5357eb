"""Products and batch normalization; the values were measured in CNTK 2.7, or follow from the definition by hand."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx_ir as ir
import onnxruntime as ort
import pytest

from nxconvert.frontends.cntk.dynamic import Axes, Seq, Tensor
from nxconvert.frontends.cntk.ops import linear, norm
from nxconvert.graph.builder import Builder
from nxconvert.graph.finish import finish
from tests.frontends.cntk.harness import check, models

NAN = np.nan


def run(op: Builder, result: Tensor, feeds: dict) -> np.ndarray:
    proto = ir.to_proto(finish(op, {"y": result.value}))
    session = ort.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, feeds)[0]


def told(warnings: list[str]) -> Any:
    """The context of a product, which keeps what it is warned of."""
    return SimpleNamespace(warn=warnings.append, node=SimpleNamespace(name="product", uid="uid"))


@pytest.mark.parametrize(
    ("left", "right", "warned"), [([3], [3, 1], True), ([1, 3], [3, 1], False), ([3], [3, 2], False)]
)
def test_products_of_a_row_and_a_column_are_warned_of(left: list[int], right: list[int], warned: bool) -> None:
    """CNTK 2.7 gives the product of the sums for two samples of [3] and [3, 1], and products for the other ones."""
    op, warnings = Builder(), list[str]()
    x, y = (
        Tensor(op.input(name, ir.DataType.FLOAT, [2, *dims]), Axes(True)) for name, dims in (("x", left), ("y", right))
    )
    result = linear.times(op, y, x, outputRank=1, context=told(warnings))
    feeds = {
        "x": np.arange(2 * np.prod(left), dtype=np.float32).reshape(2, *left),
        "y": np.ones((2, *right), np.float32),
    }
    expected = np.stack([np.tensordot(a, b, 1) for a, b in zip(feeds["x"], feeds["y"], strict=True)])
    np.testing.assert_array_equal(run(op, result, feeds), expected)
    assert ["sums of the operands of product" in warning for warning in warnings] == [True] * warned


def test_times_over_time_ignores_what_follows_a_sequence() -> None:
    op = Builder()
    batch, size = op.dim("batch"), op.dim("sequence")
    lengths = op.input("lengths", ir.DataType.INT64, [batch])
    axes = Axes(True, Seq("axis", size, lambda: lengths, op, made=False))
    x = Tensor(op.input("x", ir.DataType.FLOAT, [batch, size, 2]), axes)
    result = linear.times(op, x, x, outputRank=1, context=told([]), inferInputRankToMap=-2)
    feeds = {"x": np.array([[[1, 2], [3, 4], [NAN, NAN]]], np.float32), "lengths": np.array([2])}
    np.testing.assert_array_equal(run(op, result, feeds), [[[10, 14], [14, 20]]])


@pytest.mark.parametrize("spatial", [True, False])
def test_batch_normalization_divides_by_the_root_of_the_variance(spatial: bool) -> None:
    op = Builder()
    x = Tensor(op.input("x", ir.DataType.FLOAT, [op.dim("batch"), 1]), Axes(True))
    one, zero = (Tensor(op.const(np.array([v], np.float32))) for v in (1, 0))
    result = norm.batch_normalization(op, x, one, zero, zero, zero, zero, spatial=spatial, epsilon=1e-5)
    np.testing.assert_allclose(run(op, result, {"x": np.ones((1, 1), np.float32)}), [[316.2278]], rtol=1e-5)


@pytest.mark.parametrize("model", models("linear"))
def test_products_are_cntks(model: str, recordings: Path) -> None:
    check("linear", model, recordings)


def test_one_matrix_for_all_samples_takes_one_node(recordings: Path) -> None:
    model = check("linear", "tensors_by_a_matrix_for_all", recordings)
    assert [node.op_type for node in model.graph.node] == ["MatMul", "MatMul"]

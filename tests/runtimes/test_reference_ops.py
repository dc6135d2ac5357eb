"""What the reference evaluator lacks or gets wrong, as it is mended, against ONNX Runtime."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import nxconvert

pytest.importorskip("onnxruntime")

RANDOM = np.random.default_rng(7)


def normal(*shape: int) -> np.ndarray:
    return RANDOM.standard_normal(shape).astype(np.float32)


def agree(
    folder: Path, op: str, inputs: dict[str, np.ndarray | None], outputs: list[str], **attributes: Any
) -> dict[str, np.ndarray]:
    """Runs one node in both, compares all its outputs, and returns them."""
    given = {name: value for name, value in inputs.items() if value is not None}
    node = helper.make_node(op, [name if name in given else "" for name in inputs], outputs, **attributes)
    declared = [helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(v.dtype), v.shape)
                for n, v in given.items()]  # fmt: skip
    results = [
        helper.make_tensor_value_info(name, TensorProto.INT64 if name == "indices" else TensorProto.FLOAT, None)
        for name in outputs
    ]
    graph = helper.make_graph([node], "one", declared, results)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    onnx.save(model, str(folder / "one.onnx"))
    expected = nxconvert.run(folder / "one.onnx", given, runtime="onnxruntime")
    got = nxconvert.run(folder / "one.onnx", given, runtime="reference")
    for name in outputs:
        assert got[name].dtype == expected[name].dtype
        np.testing.assert_allclose(got[name], expected[name], rtol=1e-4, atol=1e-6, err_msg=name)
    return got


@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize(("op", "gates"), [("LSTM", 4), ("GRU", 3), ("RNN", 1)])
def test_recurrences_mind_lengths_and_directions(tmp_path: Path, op: str, gates: int, direction: str) -> None:
    d = 2 if direction == "bidirectional" else 1
    inputs: dict[str, np.ndarray | None] = {
        "x": normal(5, 3, 2), "w": normal(d, gates * 4, 2), "r": normal(d, gates * 4, 4), "b": normal(d, gates * 8),
        "lengths": np.array([5, 1, 3], np.int32), "h": normal(d, 3, 4),
    }  # fmt: skip
    outputs = ["y", "y_h"]
    if op == "LSTM":
        inputs |= {"c": normal(d, 3, 4), "p": normal(d, 12)}
        outputs.append("y_c")
    got = agree(tmp_path, op, inputs, outputs, hidden_size=4, direction=direction)
    assert not got["y"][1:, :, 1].any()


@pytest.mark.parametrize(
    ("op", "gates", "attributes"),
    [
        ("RNN", 1, {"activations": ["Relu"]}),
        ("RNN", 1, {"activations": ["Affine"], "activation_alpha": [0.5], "activation_beta": [0.1], "clip": 0.7}),
        ("GRU", 3, {"activations": ["HardSigmoid", "Softsign"], "activation_alpha": [0.3], "activation_beta": [0.4]}),
        ("GRU", 3, {"linear_before_reset": 1}),
        ("LSTM", 4, {"activations": ["Sigmoid", "LeakyRelu", "Tanh"], "activation_alpha": [0.2]}),
        ("LSTM", 4, {"input_forget": 1}),
    ],
)
def test_recurrences_have_their_attributes(tmp_path: Path, op: str, gates: int, attributes: dict[str, Any]) -> None:
    inputs = {"x": normal(4, 2, 3), "w": normal(1, gates * 3, 3), "r": normal(1, gates * 3, 3), "b": None}
    agree(tmp_path, op, inputs, ["y"], hidden_size=3, **attributes)


@pytest.mark.parametrize("turned", [0, 1])
@pytest.mark.parametrize("axis", [0, 1])
def test_scans_go_along_any_axis(tmp_path: Path, axis: int, turned: int) -> None:
    body = helper.make_graph(
        [helper.make_node("Add", ["s", "xt"], ["after"]), helper.make_node("Mul", ["after", "xt"], ["out"])],
        "body",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2]) for name in ("s", "xt")],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2]) for name in ("after", "out")],
    )
    x = normal(2, 2)
    agree(
        tmp_path, "Scan", {"state": normal(2), "x": x}, ["last", "all"], body=body, num_scan_inputs=1,
        scan_input_axes=[axis], scan_output_axes=[1 - axis], scan_input_directions=[turned],
        scan_output_directions=[turned],
    )  # fmt: skip


@pytest.mark.parametrize("size", [3, 7])
def test_normalization_looks_at_all_channels(tmp_path: Path, size: int) -> None:
    agree(tmp_path, "LRN", {"x": normal(2, 5, 3, 3)}, ["y"], size=size, alpha=0.5, beta=0.7, bias=1.5)


@pytest.mark.parametrize(
    ("pads", "ceil", "dilation"), list(itertools.product([[0, 0, 1, 1], [1, 0, 0, 1]], [0, 1], [1, 2]))
)
def test_the_largest_of_windows(tmp_path: Path, pads: list[int], ceil: int, dilation: int) -> None:
    agree(
        tmp_path, "MaxPool", {"x": -np.abs(normal(2, 2, 7, 6))}, ["y", "indices"], kernel_shape=[2, 3],
        strides=[2, 2], pads=pads, ceil_mode=ceil, dilations=[dilation, dilation],
    )  # fmt: skip


def test_the_largest_of_regions(tmp_path: Path) -> None:
    rois = np.array([[0, 1, 1, 9, 7], [1, 3, 0, 4, 2], [0, 5, 5, 20, 20]], np.float32)
    attributes = {"pooled_shape": [2, 3], "spatial_scale": 0.6}
    agree(tmp_path, "MaxRoiPool", {"x": normal(2, 3, 6, 7), "rois": rois}, ["y"], **attributes)

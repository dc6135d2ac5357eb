"""ONNX Runtime and the reference evaluator, as the two runtimes of ONNX."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from nxconvert.errors import ReadError, RunError, RuntimeMissingError
from nxconvert.plugins import Runtime
from nxconvert.runtimes import onnxruntime as onnxruntime_module
from nxconvert.runtimes.onnxruntime import OnnxRuntime
from nxconvert.runtimes.reference import Reference

HEADER = '<ir_version: 9, opset_import: ["" : 20]>\n'


@pytest.fixture(params=["onnxruntime", "reference"])
def runtime(request: pytest.FixtureRequest) -> Runtime:
    if request.param == "onnxruntime":
        pytest.importorskip("onnxruntime")
        return OnnxRuntime()
    return Reference()


def test_runs_by_name(runtime: Runtime, save_onnx: Callable[..., Path]) -> None:
    path = save_onnx(
        HEADER + "g (float[n] x, float[n] y) => (float[n] s, float[n] d) { s = Add(x, y)\n d = Sub(x, y) }"
    )
    runner = runtime.load(path)
    assert runner.inputs == ("x", "y")
    inputs = {"x": np.float32([1, 2]), "y": np.float32([3, 5])}
    results = runner(inputs)
    assert {name: array.tolist() for name, array in results.items()} == {"s": [4, 7], "d": [-2, -3]}
    assert list(runner(inputs, ["d"])) == ["d"]


def test_a_sequence_becomes_an_array_an_element(runtime: Runtime, save_onnx: Callable[..., Path]) -> None:
    path = save_onnx(HEADER + "g (float[4] x) => (seq(float) s) { s = SplitToSequence<keepdims=0>(x) }")
    results = runtime.load(path)({"x": np.arange(4, dtype=np.float32)})
    assert {name: array.item() for name, array in results.items()} == {f"s.{i}": float(i) for i in range(4)}


def test_what_does_not_fit_is_one_sentence(runtime: Runtime, save_onnx: Callable[..., Path]) -> None:
    runner = runtime.load(save_onnx(HEADER + "g (float[n,3] x, float[3,2] w) => (float[n,2] y) { y = MatMul(x, w) }"))
    with pytest.raises(RunError, match="cannot be run by") as caught:
        runner({"x": np.zeros((2, 4), np.float32), "w": np.zeros((3, 2), np.float32)})
    assert "\n" not in str(caught.value)


ROWS, WEIGHT = np.zeros((2, 3), np.float32), np.zeros((3, 2), np.float32)


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({"x": ROWS}, "the input 'w' is not given; the model takes x: float32[n,3], w: float32[3,2]"),
        ({}, "the inputs 'x', 'w' are not given"),
        ({"x": ROWS.astype(float), "w": WEIGHT}, "'x' is float32[n,3] in the model, and float64[2,3] is given"),
        ({"x": ROWS[0], "w": WEIGHT}, "'x' is float32[n,3] in the model, and float32[3] is given"),
        ({"x": ROWS[:, :2], "w": WEIGHT}, "'x' is float32[n,3] in the model, and float32[2,2] is given"),
        ({"x": ROWS, "w": WEIGHT, "z": ROWS}, "the input 'z' is not the model's; it takes x: float32[n,3], w: "),
    ],
)
def test_inputs_that_do_not_fit_are_named(
    runtime: Runtime, save_onnx: Callable[..., Path], inputs: dict[str, np.ndarray], said: str
) -> None:
    runner = runtime.load(save_onnx(HEADER + "g (float[n,3] x, float[3,2] w) => (float[n,2] y) { y = MatMul(x, w) }"))
    with pytest.raises(RunError, match=re.escape(said)):
        runner(inputs)


def test_what_is_no_model_is_not_loaded(runtime: Runtime, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"not a model at all")
    with pytest.raises(ReadError, match="cannot be loaded by"):
        runtime.load(path)


def test_a_missing_kernel_is_left_to_the_reference(save_onnx: Callable[..., Path]) -> None:
    pytest.importorskip("onnxruntime")
    text = "g (double[1,1,4,4] x, double[1,1,3,3] w) => (double[1,1,2,2] y) { y = Conv(x, w) }"
    runner = OnnxRuntime().load(save_onnx(HEADER + text))
    assert runner.description.startswith("onnx reference evaluator")
    assert "onnxruntime has no kernel" in runner.description
    y = runner({"x": np.ones((1, 1, 4, 4)), "w": np.ones((1, 1, 3, 3))})["y"]
    assert y.dtype == np.float64
    assert y.ravel().tolist() == [9.0] * 4


def test_a_dtype_that_does_not_travel_is_left_to_the_reference(save_onnx: Callable[..., Path]) -> None:
    pytest.importorskip("onnxruntime")
    runner = OnnxRuntime().load(save_onnx(HEADER + "g (bfloat16[n] x) => (bfloat16[n] y) { y = Add(x, x) }"))
    y = runner({"x": np.array([1.5, 2], ml_dtypes.bfloat16)})["y"]
    assert y.dtype == ml_dtypes.bfloat16
    assert y.astype(np.float32).tolist() == [3, 4]


def test_without_onnxruntime_it_says_what_to_install(
    save_onnx: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnxruntime_module.importlib.util, "find_spec", lambda _: None)
    path = save_onnx(HEADER + "g (float[n] x) => (float[n] y) { y = Relu(x) }")
    assert "pip install 'nxconvert[runtime]'" in (OnnxRuntime().available() or "")
    with pytest.raises(RuntimeMissingError, match="onnxruntime is not installed"):
        OnnxRuntime().load(path)

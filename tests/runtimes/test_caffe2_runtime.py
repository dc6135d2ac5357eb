"""Caffe2 as a runtime: a process of its own, found through the environment. The real one, where there is one."""

from __future__ import annotations

import io
import os
import struct
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import nxconvert
from nxconvert.errors import ReadError, RunError, RuntimeMissingError
from nxconvert.plugins import Runner, Runtime
from nxconvert.runtimes import caffe2
from nxconvert.runtimes.caffe2 import PYTHON, Caffe2
from nxconvert.runtimes.worker import Worker, encoded, received

real = pytest.mark.skipif(PYTHON not in os.environ, reason=f"no Caffe2: set {PYTHON}")

NET = """
name: "small"
op { type: "FC" input: "x" input: "w" input: "b" output: "h" }
op { type: "Relu" input: "h" output: "h" }
external_input: "x" external_input: "w" external_input: "b" external_output: "h"
"""
INIT = """
op { type: "GivenTensorFill" output: "w" arg { name: "shape" ints: 2 ints: 3 }
     arg { name: "values" floats: 1 floats: 2 floats: 3 floats: -1 floats: -2 floats: -3 } }
op { type: "ConstantFill" output: "b" arg { name: "shape" ints: 2 } arg { name: "value" f: 0.5 } }
"""
X = np.ones((4, 3), np.float32)


@pytest.fixture
def load(tmp_path: Path) -> Callable[[str, str | None], Runner]:
    def loaded(net: str, init: str | None = None) -> Runner:
        path = tmp_path / "predict_net.pbtxt"
        path.write_text(net)
        if init is not None:
            (tmp_path / "init_net.pbtxt").write_text(init)
        return Caffe2().load(path)

    return loaded


@real
def test_a_net_runs_with_the_weights_of_its_init_net(load: Callable[..., Runner]) -> None:
    runner = load(NET, INIT)
    assert runner.inputs == ("x",)
    assert runner.description.startswith("Caffe2 (torch ")
    assert runner({"x": X})["h"].tolist() == [[6.5, 0.0]] * 4


@real
def test_only_the_wanted_outputs_are_returned_in_order(load: Callable[..., Runner]) -> None:
    net = (
        'op { type: "Split" input: "x" output: "a" output: "b" output: "c" } external_output: "c" external_output: "a"'
    )
    runner = load(net)
    assert list(runner({"x": X})) == ["c", "a"]
    assert list(runner({"x": X}, ["a"])) == ["a"]


@real
def test_an_input_that_is_written_has_another_name_as_output_and_calls_do_not_see_each_other(
    load: Callable[..., Runner],
) -> None:
    runner = load(
        """
        op { type: "Add" input: "x" input: "w" output: "w" }
        op { type: "Scale" input: "x" output: "x" arg { name: "scale" f: 2.0 } }
        external_output: "x" external_output: "w"
        """,
        'op { type: "ConstantFill" output: "w" arg { name: "shape" ints: 2 } arg { name: "value" f: 1 } }',
    )
    for _ in range(2):
        results = runner({"x": np.float32([1, 2])})
        assert {name: value.tolist() for name, value in results.items()} == {"x_out": [2, 4], "w": [2, 3]}
    assert list(runner({"x": np.float32([1, 2])}, ["x_out"])) == ["x_out"]


@real
def test_a_filled_blob_can_be_given_for_one_call(load: Callable[..., Runner]) -> None:
    runner = load(NET, INIT)
    assert runner({"x": X, "b": np.float32([-6, 1000])})["h"].tolist() == [[0.0, 994.0]] * 4
    assert runner({"x": X})["h"].tolist() == [[6.5, 0.0]] * 4


@real
def test_strings_scalars_and_empty_tensors_pass_unchanged(load: Callable[..., Runner]) -> None:
    runner = load('op { type: "Copy" input: "x" output: "y" } external_output: "y"')
    strings = runner({"x": np.array([["a", "", "ü\0"]], object)})["y"]
    assert (strings.shape, strings.tolist()) == ((1, 3), [["a", "", "ü\0"]])
    for value in (np.array(2.5, np.float32), np.zeros((0, 3), np.int64), np.array([True]), np.float16([1, 2])):
        copied = runner({"x": value})["y"]
        assert (copied.dtype, copied.shape, copied.tolist()) == (value.dtype, value.shape, value.tolist())


@real
def test_quantized_outputs_are_their_integers_and_what_is_no_tensor_is_left_out(load: Callable[..., Runner]) -> None:
    runner = load(
        """
        op { type: "Int8Quantize" input: "x" output: "q"
             arg { name: "Y_scale" f: 0.5 } arg { name: "Y_zero_point" i: 3 } }
        op { type: "CreateScope" output: "scope" }
        external_output: "scope" external_output: "q"
        """
    )
    results = runner({"x": np.float32([0, 1, -100])})
    assert list(results) == ["q"]
    assert (results["q"].dtype, results["q"].tolist()) == (np.dtype(np.uint8), [3, 5, 0])


@real
def test_what_does_not_run_is_explained_and_the_next_call_runs(load: Callable[..., Runner]) -> None:
    runner = load(NET, INIT)
    with pytest.raises(RunError, match="the input 'x' was not given"):
        runner({})
    with pytest.raises(RunError, match=r"cannot be run by Caffe2 on these inputs: .*Dimension mismatch"):
        runner({"x": np.ones((4, 5), np.float32)})
    with pytest.raises(RunError, match="float32 instead|expects elements to be float"):
        runner({"x": X.astype(np.int32)})
    with pytest.raises(RunError, match="numpy data type is not supported"):
        runner({"x": X.astype(np.uint64)})
    assert runner({"x": X})["h"].tolist() == [[6.5, 0.0]] * 4


@real
def test_a_process_that_dies_is_started_again(load: Callable[..., Runner]) -> None:
    runner = load('op { type: "Cast" input: "x" output: "y" arg { name: "to" i: 1 } } external_output: "y"')
    assert runner({"x": X.astype(np.int32)})["y"].dtype == np.float32
    runner._worker._process.kill()  # type: ignore[attr-defined]
    runner._worker._process.wait()  # type: ignore[attr-defined]
    assert runner({"x": X.astype(np.int32)})["y"].dtype == np.float32
    runner.close()  # type: ignore[attr-defined]
    assert runner({"x": X.astype(np.int32)})["y"].dtype == np.float32


@real
def test_a_fatal_check_is_an_error_of_the_call(load: Callable[..., Runner]) -> None:
    runner = load('op { type: "Cast" input: "x" output: "y" arg { name: "to" i: 3 } } external_output: "y"')
    with pytest.raises(RunError, match=r"the process ended \(SIGABRT\), having said: .*BYTE is deprecated"):
        runner({"x": X})


@real
def test_an_operator_that_there_is_not_is_an_error_of_the_call(load: Callable[..., Runner]) -> None:
    runner = load('op { type: "NoSuchOperator" input: "x" output: "y" } external_output: "y"')
    with pytest.raises(RunError, match="NoSuchOperator"):
        runner({"x": X})


@real
def test_an_init_net_that_fails_is_an_error_of_loading(load: Callable[..., Runner]) -> None:
    with pytest.raises(ReadError, match="cannot be loaded by Caffe2"):
        load(NET, INIT.replace('"ConstantFill"', '"NoSuchFill"'))


@real
def test_check_compares_with_the_real_runtime(tmp_path: Path) -> None:
    (tmp_path / "predict_net.pbtxt").write_text(NET)
    (tmp_path / "init_net.pbtxt").write_text(INIT)
    target = tmp_path / "small.onnx"
    nxconvert.convert(tmp_path / "predict_net.pbtxt", target, inputs={"x": "float32[n,3]"})
    report = nxconvert.check(tmp_path / "predict_net.pbtxt", target)
    assert report.ok
    assert report.source_runtime.startswith("Caffe2 ")


def test_it_is_a_runtime() -> None:
    assert isinstance(caffe2.runtime, Caffe2)
    runtime: Runtime = caffe2.runtime
    assert runtime.formats == ("caffe2",)


def test_without_caffe2_it_says_what_to_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(PYTHON, raising=False)
    monkeypatch.setattr(caffe2, "_has_caffe2", lambda: False)
    with pytest.raises(RuntimeMissingError, match=f"set {PYTHON} to a Python"):
        Caffe2().load(tmp_path / "predict_net.pb")


def test_an_interpreter_that_is_not_there_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(PYTHON, str(tmp_path / "python"))
    assert "no such program" in str(Caffe2().available())


@pytest.fixture
def echo(tmp_path: Path) -> Callable[[str], Worker]:
    """A worker that answers with what it is told, after some line of Python."""

    def started(line: str, timeout: float = 60) -> Worker:
        script = tmp_path / "echo.py"
        script.write_text(
            textwrap.dedent(
                """
                import sys, time
                from nxconvert.runtimes.workers.messages import receive, send
                while True:
                    header, arrays = receive(sys.stdin.buffer)
                    LINE
                    send(sys.stdout.buffer, header, arrays)
                """
            ).replace("LINE", line)
        )
        return Worker([sys.executable, str(script)], timeout)

    return started


def test_messages_pass_in_both_directions(echo: Callable[..., Worker]) -> None:
    arrays = {"a/b": np.arange(6).reshape(2, 3), "s": np.array(["x", "yy"], object), "e": np.zeros((0, 2), np.float16)}
    header, results = echo("pass").ask({"key": [1, "ü"]}, arrays, "failing", RunError)
    assert header["key"] == [1, "ü"]
    assert [(name, value.tolist()) for name, value in results.items()] == [
        (name, value.tolist()) for name, value in arrays.items()
    ]


def test_an_error_is_raised_as_what_the_caller_says(echo: Callable[..., Worker]) -> None:
    with pytest.raises(ReadError, match=r"^it fails: no$"):
        echo("header['error'] = 'no'").ask({}, {}, "it fails", ReadError)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("sys.exit('last words')", r"it fails: the process ended \(status 1\), having said: last words\."),
        ("time.sleep(100)", r"it fails: there was no answer in 2 s\."),
    ],
)
def test_a_process_that_gives_no_answer_is_an_error(echo: Callable[..., Worker], line: str, message: str) -> None:
    worker = echo(line, 2)
    with pytest.raises(RunError, match=message):
        worker.ask({}, {}, "it fails", ReadError)
    assert not worker.is_running


def test_what_cannot_be_started_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="cannot be started"):
        Worker([str(tmp_path / "nothing")], 1).ask({}, {}, "it fails", ReadError)


def test_pickles_are_never_read() -> None:
    body = io.BytesIO()
    np.savez(body, a0=np.array([{}], object))
    parts = b'{"arrays": [["x", "array"]]}', body.getvalue()
    message = b"".join(struct.pack("<Q", len(part)) + part for part in parts)
    with pytest.raises(ValueError, match="allow_pickle"):
        received(io.BytesIO(message))
    assert received(io.BytesIO(encoded({}, {"x": X})))[1]["x"].tolist() == X.tolist()

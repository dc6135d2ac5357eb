"""Holds lowerings against the real Caffe2: the same operators through both, with known and with free dims.

    check("Slice", x, starts=[0, 1], ends=[-1, 3])
    check("TopK", x, outputs=2, k=3)
    check_net([Op("Relu", ["x"], ["x"]), Op("Softmax", ["x"], ["y"])], {"x": x}, ["x", "y"])

What Caffe2 says comes from one process of it, which is kept (``NXCONVERT_CAFFE2_PYTHON``, or where ``.ci/oracles``
installs it); a test that asks it is skipped where there is none.
"""

from __future__ import annotations

import atexit
import functools
import io
import json
import os
import struct
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest

from nxconvert.formats.caffe2 import NetDef, OperatorDef
from nxconvert.frontends.caffe2 import control, liveness, ops, recurrent  # noqa: F401  (fill the tables)
from nxconvert.frontends.caffe2.blobs import Int8, Unset
from nxconvert.frontends.caffe2.machine import Machine
from nxconvert.graph.builder import Builder, Value
from nxconvert.graph.dims import Dim
from nxconvert.graph.finish import finish

ORACLE = Path(
    os.environ.get("NXCONVERT_CAFFE2_PYTHON", Path.home() / ".cache" / "nxconvert-oracles" / "venv" / "bin" / "python")
)


@dataclass
class Op:
    """An operator of a net: its type, the blobs it reads and writes, its arguments."""

    type: str
    inputs: Sequence[str]
    outputs: Sequence[str]
    args: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Net:
    """A net that is an argument: its operators, the blobs it takes and gives."""

    ops: Sequence[Op]
    inputs: Sequence[str] = ()
    outputs: Sequence[str] = ()


class Weight:
    """An input that stands in the file instead of being fed."""

    def __init__(self, array: Any) -> None:
        self.array = np.asarray(array)


class Refused(Exception):
    """Caffe2 refuses to run an operator; the text is its own."""


# ---- the two sides -------------------------------------------------------------------------------------------------


def check(
    operator: str,
    *inputs: Any,
    outputs: int = 1,
    free: tuple[bool, ...] = (False, True),
    rtol: float = 1e-4,
    atol: float = 1e-5,
    **args: Any,
) -> None:
    """Lowers one operator, runs it in ONNX Runtime and compares with what Caffe2 computes.

    Args:
        operator: its type.
        inputs: arrays (inputs of the model), `Weight`s, None for one that is left out.
        outputs: how many of its outputs are named.
        free: whether to try with known dims, with free dims, or both. Sizes of 0 and 1 are always known.
        rtol: relative tolerance of floats.
        atol: absolute tolerance of floats.
        args: its arguments: numbers, strings, bytes, and lists of them.
    """
    blobs = {f"in{i}": array for i, array in enumerate(inputs) if array is not None}
    names = ["" if array is None else f"in{i}" for i, array in enumerate(inputs)]
    results = [f"out{i}" for i in range(outputs)]
    check_net([Op(operator, names, results, args)], blobs, results, free=free, rtol=rtol, atol=atol)


def check_net(
    net: Sequence[Op],
    inputs: Mapping[str, Any],
    outputs: Sequence[str],
    *,
    free: tuple[bool, ...] = (False, True),
    rtol: float = 1e-4,
    atol: float = 1e-5,
) -> None:
    """The same for operators in a row, so that one may take what no array can be: quantized tensors, maps."""
    expected = run_caffe2_net(net, {name: _array(x) for name, x in inputs.items()}, outputs)
    for is_free in free:
        actual, values = run_lowered(net, inputs, outputs, free=is_free)
        for name, want in zip(outputs, expected, strict=True):
            compare(name, actual.get(name), values[name], want, rtol, atol)


def run_lowered(
    net: Sequence[Op], inputs: Mapping[str, Any], outputs: Sequence[str], *, free: bool = False
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """What the lowered operators compute in ONNX Runtime, and the blobs of the graph; by output."""
    op = Builder()
    operators = [_decoded(each) for each in net]
    read = [name for each in liveness.every(operators) for name in liveness.reads(each)]
    machine = Machine(op, lambda message: None, [*outputs, *read])
    for name, x in inputs.items():
        machine.blobs[name] = _lowered_input(op, name, x, free)
    machine.run(operators)
    values = {name: machine.blobs[name] for name in outputs}
    values = {name: blob.value if isinstance(blob, Int8) else blob for name, blob in values.items()}
    wanted = {f"{name}'": value for name, value in values.items() if isinstance(value, Value)}
    feeds = {name: _array(x) for name, x in inputs.items() if not isinstance(x, Weight)}
    results = run_onnx(finish(op, wanted), feeds) if wanted else []
    return dict(zip((name[:-1] for name in wanted), results, strict=True)), values


def _decoded(each: Op) -> OperatorDef:
    return OperatorDef(each.type, list(each.inputs), list(each.outputs), {k: _encoded(v) for k, v in each.args.items()})


def run_onnx(model: ir.Model, feeds: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """The outputs of a model in ONNX Runtime."""
    import onnx
    import onnxruntime

    proto = ir.to_proto(model)
    onnx.checker.check_model(proto, full_check=True)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(proto.SerializeToString(), options)
    return session.run(None, {name: _objects(array) for name, array in feeds.items()})


def compare(name: str, got: np.ndarray | None, value: Any, want: np.ndarray | None, rtol: float, atol: float) -> None:
    """Dtype, shape, inferred dims and numbers of one output; None for one that Caffe2 leaves unset."""
    if want is None:
        assert isinstance(value, Unset), f"{name} holds something, Caffe2 leaves it unset"
        return
    assert got is not None, f"{name} holds no tensor, Caffe2's has the shape {want.shape}"
    got = np.asarray(got)
    assert got.shape == want.shape, f"{name}: shape {got.shape}, Caffe2 returns {want.shape}"
    assert got.dtype == want.dtype, f"{name}: dtype {got.dtype}, Caffe2 returns {want.dtype}"
    fixed = [(d, s) for d, s in zip(value.dims, want.shape, strict=True) if isinstance(d, int)]
    assert all(d == s for d, s in fixed), f"{name}: dims {value.dims}, Caffe2 returns {want.shape}"
    if want.dtype.kind == "f":
        np.testing.assert_allclose(got.astype(np.float64), want.astype(np.float64), rtol, atol, err_msg=name)
    else:
        np.testing.assert_array_equal(got, want, err_msg=name)


def _lowered_input(op: Builder, name: str, x: Any, free: bool) -> Value:
    array = _array(x)
    dtype = ir.DataType.STRING if array.dtype == object else ir.DataType.from_numpy(array.dtype)
    if isinstance(x, Weight):
        if dtype == ir.DataType.STRING:
            return op.weight(ir.StringTensor(_bytes(array).ravel().tolist(), shape=ir.Shape(array.shape)), name)
        return op.weight(ir.Tensor(array), name)
    dims = [Dim.symbol(f"{name}_{axis}") if free and size > 1 else size for axis, size in enumerate(array.shape)]
    return op.input(name, dtype, dims)


def _array(x: Any) -> np.ndarray:
    return _objects(x.array if isinstance(x, Weight) else np.asarray(x))


def _objects(array: np.ndarray) -> np.ndarray:
    """Strings as an object array of str, as graphs have them."""
    if array.dtype.kind == "S":
        texts = [item.decode("utf-8", "surrogateescape") for item in array.ravel().tolist()]
        return np.array(texts, object).reshape(array.shape)
    return array.astype(object) if array.dtype.kind == "U" else array


def _bytes(array: np.ndarray) -> np.ndarray:
    """An object array of str as one of bytes."""
    return np.array([text.encode("utf-8", "surrogateescape") for text in array.ravel()], bytes).reshape(array.shape)


def _encoded(value: Any) -> Any:
    """An argument as the reader of nets gives it."""
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, Net):
        return NetDef("net", [_decoded(each) for each in value.ops], {}, list(value.inputs), list(value.outputs))
    if isinstance(value, (list, tuple)) and value and isinstance(value[0], (int, float)):
        return np.array(value, np.float32 if any(isinstance(item, float) for item in value) else np.int64)
    if isinstance(value, (list, tuple)):
        return [_encoded(item) for item in value]
    return int(value) if isinstance(value, bool) else value


# ---- the real one --------------------------------------------------------------------------------------------------


def run_caffe2(
    operator: str, inputs: Sequence[Any], args: Mapping[str, Any] | None = None, outputs: int = 1
) -> list[np.ndarray | None]:
    """What Caffe2 computes for one operator: an array an output, None for one that it leaves unset.

    Args:
        operator: its type.
        inputs: arrays; None for one that is left out.
        args: its arguments.
        outputs: how many of its outputs are named.

    Raises:
        Refused: it does not take that.
    """
    blobs = {f"in{i}": _array(x) for i, x in enumerate(inputs) if x is not None}
    names = ["" if x is None else f"in{i}" for i, x in enumerate(inputs)]
    results = [f"out{i}" for i in range(outputs)]
    return run_caffe2_net([Op(operator, names, results, args or {})], blobs, results)


def run_caffe2_net(net: Sequence[Op], blobs: Mapping[str, np.ndarray], outputs: Sequence[str]) -> list[Any]:
    """The same for operators in a row.

    Raises:
        Refused: it does not take one of them.
    """
    request = {"ops": _listed(net), "outputs": list(outputs)}
    answer, arrays = _worker().ask(request, blobs)
    if "error" in answer:
        raise Refused(answer["error"])
    return [arrays.get(name) for name in outputs]


def _listed(net: Sequence[Op]) -> list[Any]:
    return [[each.type, list(each.inputs), list(each.outputs), _described(each.args)] for each in net]


def _described(args: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments for JSON; bytes that are no text go as numbers."""

    def plain(value: Any) -> Any:
        if isinstance(value, (list, tuple)):
            return [plain(item) for item in value]
        if isinstance(value, bytes):
            return {"bytes": list(value)}
        if isinstance(value, Net):
            return {"net": _listed(value.ops), "inputs": list(value.inputs), "outputs": list(value.outputs)}
        return value.item() if isinstance(value, np.generic) else value

    return {name: plain(value) for name, value in args.items()}


class _Worker:
    """A process of Caffe2: it is sent operators and arrays, and answers with arrays."""

    def __init__(self) -> None:
        if not ORACLE.exists():
            pytest.skip(f"no Caffe2 at {ORACLE}: run .ci/oracles")
        script = Path(__file__).with_name("caffe2_worker.py")
        self._process = subprocess.Popen(
            [str(ORACLE), "-W", "ignore", str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        atexit.register(self._process.kill)

    def ask(self, request: Any, blobs: Mapping[str, np.ndarray]) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        strings = [name for name, array in blobs.items() if array.dtype == object]
        data = {name: _bytes(array) if name in strings else array for name, array in blobs.items()}
        self._send(json.dumps({**request, "strings": strings}).encode(), _packed(data))
        answer = json.loads(self._receive())
        with np.load(io.BytesIO(self._receive())) as arrays:
            return answer, {name: _objects(arrays[name]) for name in arrays.files}

    def _send(self, *parts: bytes) -> None:
        stream = self._process.stdin
        assert stream is not None
        for part in parts:
            stream.write(struct.pack("<q", len(part)) + part)
        stream.flush()

    def _receive(self) -> bytes:
        stream = self._process.stdout
        assert stream is not None
        header = stream.read(8)
        if len(header) < 8:
            _worker.cache_clear()
            raise AssertionError(f"Caffe2 died of that, with {self._process.wait()}")
        return stream.read(struct.unpack("<q", header)[0])


@functools.cache
def _worker() -> _Worker:
    return _Worker()


def _packed(arrays: Mapping[str, np.ndarray]) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()

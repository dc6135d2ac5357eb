"""Caffe2's files as its own runtime wrote them, against what that runtime reads in them."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nxconvert.errors import ReadError
from nxconvert.formats.caffe2 import Kind, NetDef, QTensor, Tensor, detect, read_minidb, read_net
from nxconvert.formats.caffe2.minidb import PIECE
from nxconvert.formats.caffe2.netdef import _same
from nxconvert.formats.caffe2.schema import NET
from nxconvert.formats.caffe2.text import parse_text
from nxconvert.formats.protobuf import Message, Reader
from nxconvert.formats.tensors import MappedFile

FIXTURES = Path(__file__).parent.parent.parent / "fixtures" / "caffe2_files"
EVERYTHING = FIXTURES / "everything.pb"
TRUTH = json.loads((FIXTURES / "everything.json").read_text())


def described(values: dict[str, Any], message: Message) -> dict[str, Any]:
    """What a reader gives, in the words of the truth."""
    return {name: _described(value, message, name) for name, value in values.items()}


def _described(value: Any, message: Message, name: str) -> Any:
    field = message.by_name[name]
    if isinstance(value, dict):
        assert field.message is not None
        return described(value, field.message)
    if field.kind == "data":
        return value.tobytes().hex()
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, np.ndarray):
        return [_described(each, message, name) for each in value.tolist()]
    if isinstance(value, list):
        return [_described(each, message, name) for each in value]
    return value.hex() if isinstance(value, float) else value


def fields(truth: Any) -> Any:
    """The truth with a dict in the place of every list of fields."""
    if isinstance(truth, list):
        pairs = [each for each in truth if isinstance(each, list) and len(each) == 2 and isinstance(each[0], str)]
        if truth and len(pairs) == len(truth):
            return {name: fields(value) for name, value in truth}
        return [fields(each) for each in truth]
    return truth


def test_binary() -> None:
    assert normal(described(Reader(MappedFile(EVERYTHING), "it").decode(NET), NET)) == normal(fields(TRUTH))


def test_text() -> None:
    text = EVERYTHING.with_suffix(".pbtxt").read_text()
    assert normal(described(parse_text(text, NET, "it"), NET)) == normal(fields(TRUTH))


def normal(value: Any) -> Any:
    """An empty message is an empty list in the truth."""
    if isinstance(value, dict):
        return {name: normal(each) for name, each in value.items()} or []
    return [normal(each) for each in value] if isinstance(value, list) else value


@pytest.fixture(params=["pb", "pbtxt"])
def everything(request: pytest.FixtureRequest) -> NetDef:
    return read_net(EVERYTHING.with_suffix(f".{request.param}"))


def test_the_net(everything: NetDef) -> None:
    net = everything
    assert (net.name, net.type, net.args) == ("every/thing", "dag", {"model_id": -7})
    assert (net.inputs, net.outputs) == (["x", "scope/w:0", "ü[1]"], ["y"])
    assert net.device is not None
    assert (net.device.device_type, net.device.random_seed) == (0, 4294967295)
    op, other = net.ops
    assert (op.type, op.name, op.engine, op.debug_info) == (
        "Everything",
        "first",
        "DEPTHWISE",
        'File "a.py", line 1\n',
    )
    assert (op.inputs, op.outputs, op.control_inputs) == (["x", "scope/w:0", ""], ["y", "y"], ["z"])
    assert op.device is not None
    assert (op.device.device_type, op.device.device_id, op.device.random_seed) == (1, 2, None)
    assert (op.device.node_name, op.device.extra_info) == ("node", ["a", "b"])
    assert (other.type, other.inputs, other.args, other.device) == ("", [], {}, None)


def test_arguments(everything: NetDef) -> None:
    args = everything.ops[0].args
    assert (args["empty"], args["zero"], args["twice"]) == ([], 0, 1)
    assert (args["least"], args["greatest"]) == (-(2**63), 2**63 - 1)
    assert args["third"] == float(np.float32(1 / 3))
    assert math.copysign(1, args["negative_zero"]) == -1
    assert args["bytes"] == bytes(range(256))
    assert args["text"].decode() == "é\n"
    assert args["no_text"] == b""
    assert args["floats"].dtype == np.float32
    assert args["few_ints"].tolist() == [3, 224, 224]
    assert args["ints"].dtype == np.int64
    assert args["strings"] == [b"a", b"", b"\x00\xff", b"x" * 300]
    assert isinstance(args["net"], NetDef)
    assert args["net"].ops[0].args["deep"].ops[0].type == "Deeper"
    assert [net.name for net in args["nets"]] == ["one", "inner", ""]
    assert isinstance(args["tensor"], Tensor)
    np.testing.assert_array_equal(args["tensor"].values, np.array([[1, 2, 3], [4, 5, 6.5]], np.float32))
    np.testing.assert_array_equal(args["tensors"][1].values, np.array([1, 255], np.uint8))
    (quantized,) = args["qtensor"]
    assert isinstance(quantized, QTensor)
    assert (quantized.dims, quantized.scale, quantized.bias, quantized.data.tolist()) == ((2,), 0.5, 0.25, [0, 255])


@pytest.mark.parametrize("name", ["mlp_predict_net", "mlp_init_net", "everything"])
def test_both_forms_are_the_same(name: str) -> None:
    assert _same(read_net(FIXTURES / f"{name}.pb"), read_net(FIXTURES / f"{name}.pbtxt"))


def test_weights() -> None:
    with np.load(FIXTURES / "mlp.npz") as truth:
        for op in read_net(FIXTURES / "mlp_init_net.pb").ops:
            if op.outputs[0] != "x":
                np.testing.assert_array_equal(op.args["values"].reshape(op.args["shape"]), truth[op.outputs[0]])


def test_tensors_of_every_type() -> None:
    database = read_minidb(FIXTURES / "tensors.minidb")
    assert (database.meta, database.others) == (None, {})
    with np.load(FIXTURES / "tensors.npz") as truth:
        assert set(database.tensors) == set(truth)
        for name, tensor in database.tensors.items():
            want = truth[name] if name != "text" else truth[name].astype(object)
            assert (tensor.name, tensor.dtype, tensor.dims) == (name, want.dtype, want.shape)
            np.testing.assert_array_equal(tensor.values, want, err_msg=name)
    assert len(database.tensors["large"].parts) == 8  # it is kept in pieces


@pytest.mark.parametrize("file, name", [("mlp.minidb", ""), ("mlp_named.mdl", "_mlp")])
def test_predictors(file: str, name: str) -> None:
    database = read_minidb(FIXTURES / file)
    assert database.meta is not None
    net = database.meta.nets[f"PREDICT_NET_TYPE{name}"]
    assert [op.type for op in net.ops] == ["FC", "Relu", "FC", "Softmax"]
    assert [op.type for op in database.meta.nets[f"GLOBAL_INIT_NET_TYPE{name}"].ops] == ["Load"]
    assert [op.outputs for op in database.meta.nets[f"PREDICT_INIT_NET_TYPE{name}"].ops] == [["x"], ["y"]]
    assert database.meta.blobs[f"INPUTS_BLOB_TYPE{name}"] == ["x"]
    assert database.meta.blobs[f"OUTPUTS_BLOB_TYPE{name}"] == ["y"]
    assert set(database.meta.blobs[f"PARAMETERS_BLOB_TYPE{name}"]) == set(database.tensors)
    with np.load(FIXTURES / "mlp.npz") as truth:
        for key, tensor in database.tensors.items():
            np.testing.assert_array_equal(tensor.values, truth[key])


def entries(path: Path) -> list[tuple[bytes, bytes]]:
    """The keys, with the whole entries."""
    content, position, found = path.read_bytes(), 0, []
    while position < len(content):
        key_size = int.from_bytes(content[position : position + 4], "little")
        end = position + 8 + key_size + int.from_bytes(content[position + 4 : position + 8], "little")
        found.append((content[position + 8 : position + 8 + key_size], content[position:end]))
        position = end
    return found


def test_pieces_in_another_order(tmp_path: Path) -> None:
    path = tmp_path / "shuffled.minidb"
    path.write_bytes(b"".join(entry for _, entry in reversed(entries(FIXTURES / "tensors.minidb"))))
    with np.load(FIXTURES / "tensors.npz") as truth:
        np.testing.assert_array_equal(read_minidb(path).tensors["large"].values, truth["large"])


@pytest.mark.parametrize("piece", [0, 3, 7])
def test_a_piece_that_is_missing_or_there_twice(piece: int, tmp_path: Path) -> None:
    path = tmp_path / "broken.minidb"
    key = f"large{PIECE}{piece}".encode()
    found = entries(FIXTURES / "tensors.minidb")
    path.write_bytes(b"".join(entry for name, entry in found if name != key))
    with pytest.raises(ReadError, match="tensor 'large' lacks elements"):
        read_minidb(path)
    path.write_bytes(b"".join(entry * 2 if name == key else entry for name, entry in found))
    with pytest.raises(ReadError, match="tensor 'large' has elements twice"):
        read_minidb(path)


def test_what_files_are() -> None:
    kinds = {path.name: detect(path) for path in FIXTURES.iterdir()}
    for name, kind in kinds.items():
        suffix = name.rpartition(".")[2]
        expected = {"pb": Kind.NET, "pbtxt": Kind.TEXT, "minidb": Kind.MINIDB, "mdl": Kind.MINIDB}.get(suffix)
        assert kind is expected, name

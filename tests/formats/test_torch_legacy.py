"""Archives with a `model.json`: what is in the ones that PyTorch 1.0 to 1.2 wrote, and damaged ones."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nxconvert import ReadError
from nxconvert.formats.torch_archive import Kind, TorchArchive, detect, open_archive
from nxconvert.formats.torch_values import ScriptObject, TensorData
from nxconvert.formats.torchscript import ClassInfo, NamedTupleInfo, ScriptCode
from tests.formats.archives import pickled, write

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures"

TENSOR = {"dims": ["2"], "strides": ["1"], "offset": "0", "dataType": "FLOAT", "data": {"key": "tensors/0"}}
ROOT = {"name": "net", "parameters": [{"name": "w", "tensorId": "0"}], "torchscriptArena": {"key": "code/net.py"}}
CODE = b"op_version_set = 0\ndef forward(self,\n    x: Tensor) -> Tensor:\n  return torch.mul(x, self.w)\n"


def archive(path: Path, root: Any = ROOT, tensor: Any = TENSOR, **more: bytes) -> TorchArchive:
    """A module with one parameter, made by hand."""
    model = {"protoVersion": "5", "mainModule": root, "tensors": [tensor]}
    contents = {
        "version": b"1\n",
        "model.json": json.dumps(model).encode(),
        "code/net.py": CODE,
        "tensors/0": np.float32([1.5, 2.5]).tobytes(),
        "attributes.pkl": pickled(b")"),
    }
    return open_archive(write(path, contents | more))


def test_modules_and_tensors() -> None:
    path = FIXTURES / "pytorch_1_0" / "conv_net-traced.pt"
    assert detect(path) is Kind.TORCHSCRIPT_LEGACY
    with open_archive(path) as opened:
        root = opened.data
        assert list(root.attributes) == ["features", "dropout", "classifier"]
        weight = root.attributes["classifier"].attributes["weight"]
        assert isinstance(weight, TensorData)
        assert (weight.shape, weight.requires_grad) == ((5, 24), True)
        assert opened.constants[0].storage.key == "tensors/0"
        assert opened.version == -1
        info = ScriptCode(opened).find(root.qualname)
        assert isinstance(info, ClassInfo)
        assert list(info.methods) == ["forward"]
        dropout = ScriptCode(opened).find(root.attributes["dropout"].qualname)
        assert isinstance(dropout, ClassInfo)
        assert not dropout.methods


def test_attributes_and_classes() -> None:
    with open_archive(FIXTURES / "pytorch_1_2" / "attributes-scripted.pt") as opened:
        attributes = opened.data.attributes
        assert (attributes["table"], attributes["word"]) == ({"a": 2, "b": 5}, "a")
        assert attributes["pair"] == (1, 2.5)
        assert [part.numpy().tolist() for part in attributes["parts"]] == [[1, 1], [0, 0]]
        assert opened.version == 0
    with open_archive(FIXTURES / "pytorch_1_2" / "points-scripted.pt") as opened:
        info = ScriptCode(opened).find("__torch__.old_pytorch_models.Point")
        assert isinstance(info, NamedTupleInfo)
        assert list(info.fields) == ["x", "y"]


def test_where_code_comes_from() -> None:
    """From PyTorch 1.2 on, the user's lines are recorded."""
    with open_archive(FIXTURES / "pytorch_1_2" / "norms-traced.pt") as opened:
        code = ScriptCode(opened)
        forward = code.find(opened.data.qualname).methods["forward"]  # type: ignore[union-attr]
        places = [code.location(forward.path, statement) for statement in forward.body]
    assert any(place.startswith("fixtures/old_pytorch_models.py:") for place in places)


def test_one_made_by_hand(tmp_path: Path) -> None:
    with archive(tmp_path / "m.pt") as opened:
        assert isinstance(opened.data, ScriptObject)
        assert opened.data.attributes["w"].numpy().tolist() == [1.5, 2.5]


def test_quantized_tensors(tmp_path: Path) -> None:
    tensor = {**TENSOR, "dims": ["8"], "dataType": "UINT8", "isQuantized": True, "scale": 0.5, "zeroPoint": "3"}
    with archive(tmp_path / "m.pt", tensor=tensor) as opened:
        weight = opened.data.attributes["w"]
        assert (weight.quantizer.scale, weight.quantizer.zero_point) == (0.5, 3)


def nested(depth: int) -> Any:
    module: Any = {"name": "a"}
    for _ in range(depth):
        module = {"name": "a", "submodules": [module]}
    return module


@pytest.mark.parametrize(
    ("root", "tensor"),
    [
        ({}, TENSOR),
        ([], TENSOR),
        ("net", TENSOR),
        ({**ROOT, "parameters": [{"name": "w", "tensorId": "1"}]}, TENSOR),
        ({**ROOT, "parameters": [{"name": "w", "tensorId": "-1"}]}, TENSOR),
        ({**ROOT, "attributes": [{"name": "v", "id": "0"}]}, TENSOR),
        ({**ROOT, "getStateAttributeId": "7"}, TENSOR),
        (nested(200), TENSOR),
        (ROOT, {**TENSOR, "dims": ["9"]}),
        (ROOT, {**TENSOR, "dims": ["-2"]}),
        (ROOT, {**TENSOR, "strides": []}),
        (ROOT, {**TENSOR, "dataType": "STRING"}),
        (ROOT, {**TENSOR, "data": {}}),
        (ROOT, {**TENSOR, "data": {"key": "tensors/1"}}),
        (ROOT, 3),
    ],
)
def test_what_makes_no_sense(tmp_path: Path, root: Any, tensor: Any) -> None:
    with archive(tmp_path / "m.pt", root, tensor) as opened, pytest.raises(ReadError, match="m.pt"):
        assert opened.data


@pytest.mark.parametrize("content", [b"", b"{", b"[" * 100_000, b"\xff"])
def test_what_is_no_json(tmp_path: Path, content: bytes) -> None:
    path = write(tmp_path / "m.pt", {"version": b"1\n", "model.json": content})
    with open_archive(path) as opened, pytest.raises(ReadError, match="no JSON"):
        assert opened.data


def test_a_module_without_code_has_no_methods(tmp_path: Path) -> None:
    root = {**ROOT, "torchscriptArena": {"key": "code/other.py"}}
    with archive(tmp_path / "m.pt", root) as opened:
        info = ScriptCode(opened).find(opened.data.qualname)
        assert isinstance(info, ClassInfo)
        assert not info.methods


def test_the_name_of_the_archive_does_not_matter(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "m.pt", "w") as file:
        file.writestr("models/model.json", json.dumps({"mainModule": {"name": "a"}}))
    assert detect(tmp_path / "m.pt") is Kind.TORCHSCRIPT_LEGACY

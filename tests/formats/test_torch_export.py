"""Exported programs as files: what is in them, and what is said of those that are damaged, hostile or too new."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zipfile import ZIP_STORED, ZipFile

import numpy as np
import pytest

import nxconvert
from nxconvert.formats.torch_archive import open_archive
from nxconvert.formats.torch_export import Graph, Program, read_program

FIXTURES = Path(__file__).parents[2] / "fixtures"
SOUND = FIXTURES / "exported_state" / "model.pt2"
OLD = FIXTURES / "exported_state_old" / "model.pt2"
Change = Callable[[dict[str, Any]], Any]


def read(path: Path) -> Program:
    with open_archive(path) as archive:
        return read_program(archive)


@pytest.fixture
def changed(tmp_path: Path) -> Callable[..., Path]:
    """A copy of a sound archive, its program edited, members of it left out, renamed or added."""

    def make(change: Change = lambda text: None, *, without: str = "\0", more: dict[str, bytes] | None = None) -> Path:
        path = tmp_path / "changed.pt2"
        with ZipFile(SOUND) as old, ZipFile(path, "w", ZIP_STORED) as new:
            for name in old.namelist():
                data = old.read(name)
                if name.endswith("models/model.json"):
                    text = json.loads(data)
                    change(text)
                    data = json.dumps(text).encode()
                if without not in name:
                    new.writestr(name, data)
            for name, data in (more or {}).items():
                new.writestr(f"model/{name}", data)
        return path

    return make


@pytest.mark.parametrize("path", [SOUND, OLD], ids=["new layout", "old layout"])
def test_what_is_in_a_program(path: Path) -> None:
    program = read(path)
    assert program.arguments == ("x", "options")
    assert [item.kind for item in program.inputs].count("buffer") == 2
    assert set(program.tensors) >= {"project.weight", "project.bias", "count", "mean"}
    assert program.tensors["count"].shape == ()
    assert program.tensors["project.weight"].numpy().dtype == np.float32
    assert program.gives is not None
    assert program.gives.keys == ("bounded", "parts")
    targets = [node.target for node in program.graph.nodes]
    assert "torch.ops.aten.linear.default" in targets
    branch = next(node for node in program.graph.nodes if node.target.endswith("cond"))
    assert all(isinstance(item.value, Graph) for item in branch.args[1:3])


def test_both_layouts_are_the_same_program(tmp_path: Path) -> None:
    models = []
    for path in (SOUND, OLD):
        nxconvert.convert(path, tmp_path / "model.onnx")
        models.append(nxconvert.load(tmp_path / "model.onnx"))
    one, other = ([(node.op_type, len(node.inputs)) for node in model.graph] for model in models)
    assert one == other


def fails(path: Path) -> str:
    with pytest.raises(nxconvert.ReadError) as caught:
        nxconvert.load(path)
    message = str(caught.value)
    assert path.name in message
    assert "\n" not in message
    return message


def set_version(text: dict[str, Any]) -> None:
    text["schema_version"] = {"major": 99, "minor": 0}


def wrong_type(text: dict[str, Any]) -> None:
    text["graph_module"]["graph"]["nodes"] = 7


def unknown_name(text: dict[str, Any]) -> None:
    text["graph_module"]["graph"]["nodes"][0]["inputs"][0]["arg"] = {"as_tensor": {"name": "nobody"}}


def unknown_dtype(text: dict[str, Any]) -> None:
    next(iter(text["graph_module"]["graph"]["tensor_values"].values()))["dtype"] = 77


def two_meanings(text: dict[str, Any]) -> None:
    text["graph_module"]["graph"]["nodes"][0]["inputs"][0]["arg"] = {"as_int": 1, "as_float": 2.0}


def hostile_size(text: dict[str, Any]) -> None:
    size = {"as_expr": {"expr_str": "__import__('os').system('touch broken')", "hint": None}}
    text["graph_module"]["graph"]["tensor_values"]["x"]["sizes"][0] = size


def endless_power(text: dict[str, Any]) -> None:
    size = {"as_expr": {"expr_str": "9**9**9**9**9", "hint": None}}
    text["graph_module"]["graph"]["tensor_values"]["x"]["sizes"][0] = size


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (set_version, "update nxconvert"),
        (wrong_type, "damaged"),
        (unknown_name, "nobody"),
        (unknown_dtype, "dtype number 77"),
        (two_meanings, "damaged"),
        (hostile_size, "cannot be read"),
        (endless_power, "cannot be read"),
        (lambda text: text.clear(), "damaged"),
    ],
)
def test_programs_that_are_none(change: Change, word: str, changed: Callable[..., Path]) -> None:
    assert word in fails(changed(change))


def test_a_weight_that_is_missing(changed: Callable[..., Path]) -> None:
    assert "weight_0" in fails(changed(without="weights/weight_0"))


def test_weights_shorter_than_their_shape(changed: Callable[..., Path]) -> None:
    message = fails(changed(without="weights/weight_0", more={"data/weights/weight_0": b"\0" * 8}))
    assert "needs" in message


def test_several_programs_in_one_file(changed: Callable[..., Path]) -> None:
    assert "several programs (model, other)" in fails(changed(more={"models/other.json": b"{}"}))


def test_json_that_is_nested_too_deeply(changed: Callable[..., Path]) -> None:
    deep = b'{"graph_module":' + b"[" * 200_000
    message = fails(changed(without="models/model.json", more={"models/model.json": deep}))
    assert "damaged" in message or "hostile" in message


def test_a_compiled_package_says_what_to_do(changed: Callable[..., Path]) -> None:
    message = fails(changed(without="models/", more={"data/aotinductor/model/model.so": b"\x7fELF"}))
    assert "AOTInductor" in message
    assert "torch.export.save" in message


def test_every_operator_without_a_lowering_is_listed(changed: Callable[..., Path]) -> None:
    def change(text: dict[str, Any]) -> None:
        nodes = text["graph_module"]["graph"]["nodes"]
        nodes[1]["target"] = "torch.ops.mine.first.default"
        branch = next(node for node in nodes if node["target"].endswith("cond"))
        inner = branch["inputs"][1]["arg"]["as_graph"]["graph"]["nodes"]
        inner[0]["target"] = "torch.ops.mine.second.default"

    with pytest.raises(nxconvert.UnsupportedError) as caught:
        nxconvert.load(changed(change))
    assert [item.what for item in caught.value.items] == ["mine::first", "mine::second"]
    assert all("pytorch_models.py:" in item.where for item in caught.value.items)


class TestDeclarations:
    """What a caller says of the inputs of a program that knows them."""

    def test_sizes_are_fixed_and_renamed(self) -> None:
        inputs = {"x": "float32[rows,6]"}
        assert nxconvert.load(SOUND, inputs=inputs).graph.inputs[0].shape == ("rows", 6)
        assert nxconvert.load(SOUND, inputs={"x": "[3,6]"}).graph.inputs[0].shape == (3, 6)

    @pytest.mark.parametrize(
        ("inputs", "word"),
        [
            ({"y": "float32[2,6]"}, "no input called 'y'"),
            ({"x": "int64[2,6]"}, "float32[batch,6]"),
            ({"x": "float32[2,6,1]"}, "float32[batch,6]"),
            ({"x": "float32[2,7]"}, "fixes a size"),
            (["[2,6]", "[4]", "float32", "float32"], "4 inputs are declared"),
        ],
    )
    def test_what_does_not_fit_is_an_error(self, inputs: Any, word: str) -> None:
        with pytest.raises(nxconvert.UsageError, match=".*") as caught:
            nxconvert.load(SOUND, inputs=inputs)
        assert word in str(caught.value)

    def test_nothing_can_be_pinned(self) -> None:
        with pytest.raises(nxconvert.UsageError, match="has built the values"):
            nxconvert.load(SOUND, constants={"x": 1})

    def test_the_first_call_alone(self) -> None:
        model = nxconvert.load(SOUND, state="first")
        assert [value.name for value in model.graph.inputs] == ["x", "options.gain", "options.limit"]
        assert len(model.graph.outputs) == 3

"""Reading ONNX: what is taken for it, what the graph is afterwards, what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import numpy_helper

import nxconvert
from nxconvert import InputSpec, ReadError, UsageError
from nxconvert.graph import IR_OPSET
from nxconvert.interface import interface, parameter_count
from nxconvert.plugins import ReadOptions, frontends
from tests.conftest import classifier


def read(path: Path, **options: object) -> ir.Model:
    return frontends()["onnx"].read(path, ReadOptions(**options))  # type: ignore[arg-type]


def test_weights_types_and_names_survive(classifier_file: Path) -> None:
    model = read(classifier_file)
    assert interface(model.graph.inputs) == {"ids": "int64[batch,seq]", "x": "float32[batch,seq,16]"}
    assert interface(model.graph.outputs) == {"y": "float32[batch,seq,300]", "p": "float32[batch,seq,300]"}
    assert parameter_count(model) == 50 * 16 + 16 * 300
    expected = numpy_helper.to_array(classifier().graph.initializer[1])
    weight = model.graph.initializers["weight"].const_value
    assert weight is not None
    np.testing.assert_array_equal(weight.numpy(), expected)
    assert all(value.dtype is not None and value.shape is not None for node in model.graph for value in node.outputs)


@pytest.mark.parametrize("external", [False, True])
def test_external_data_is_read(external: bool, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    onnx.save(classifier(), path, save_as_external_data=external, location="weights.bin", size_threshold=0)
    assert (tmp_path / "weights.bin").exists() == external
    weight = read(path).graph.initializers["weight"].const_value
    assert weight is not None
    assert weight.shape == (16, 300)


def test_external_data_that_is_missing_or_short_is_said(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    onnx.save(classifier(), path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    weights = tmp_path / "weights.bin"
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(ReadError, match=r"weights.bin is cut off"):
        read(path)
    weights.unlink()
    with pytest.raises(ReadError, match="keeps its weights in weights.bin beside it, which cannot be read"):
        read(path)


def test_external_data_outside_the_folder_is_never_read(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(bytes(10_000))
    model = classifier()
    weight = model.graph.initializer[1]
    weight.ClearField("raw_data")
    weight.data_location = onnx.TensorProto.EXTERNAL
    weight.external_data.add(key="location", value="../secret")
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(ReadError, match=r"outside"):
        read(folder / "model.onnx")


def test_an_old_model_comes_at_the_graphs_opset(save_onnx: Callable[..., Path]) -> None:
    path = save_onnx("""
        <ir_version: 3, opset_import: ["" : 9]>
        g (float[n,3] x, float[3] w) => (float[n] y) <float[3] w = {1, 2, 3}> {
          m = Mul(x, w)
          y = ReduceSum<axes=[1], keepdims=0>(m)
        }""")
    model = read(path)
    assert model.opset_imports[""] == IR_OPSET
    # In files of that age weights are listed among the inputs, without being any.
    assert list(interface(model.graph.inputs)) == ["x"]
    assert next(iter(model.graph.initializers)) == "w"


def test_a_model_that_needs_a_newer_opset_stays_there(save_onnx: Callable[..., Path]) -> None:
    path = save_onnx("""
        <ir_version: 11, opset_import: ["" : 23]>
        g (float[n,3] x, float[3] w) => (float[n,3] y) { y = RMSNormalization(x, w) }""")
    warnings: list[str] = []
    assert read(path, warn=warnings.append).opset_imports[""] == 23
    assert "stays at opset 23" in warnings[0]


def test_functions_are_inlined(save_onnx: Callable[..., Path]) -> None:
    path = save_onnx("""
        <ir_version: 9, opset_import: ["" : 20, "local" : 1]>
        g (float[n] x) => (float[n] y) { y = local.twice(x) }
        <domain: "local", opset_import: ["" : 20]>
        twice (x) => (y) { y = Add(x, x) }""")
    model = read(path)
    assert [node.op_type for node in model.graph] == ["Add"]


def test_other_domains_are_kept_and_mentioned(save_onnx: Callable[..., Path]) -> None:
    path = save_onnx("""
        <ir_version: 9, opset_import: ["" : 20, "com.microsoft" : 1]>
        g (float[n] x) => (float[n] y) { y = com.microsoft.QuickGelu(x) }""")
    warnings: list[str] = []
    model = read(path, warn=warnings.append)
    assert [node.domain for node in model.graph] == ["com.microsoft"]
    assert "com.microsoft are no part of the ONNX standard" in warnings[0]


def test_free_dims_without_a_name_get_one(save_onnx: Callable[..., Path]) -> None:
    path = save_onnx('<ir_version: 9, opset_import: ["" : 20]>\ng (float[?,3] x) => (float[?,3] y) { y = Relu(x) }')
    assert interface(read(path).graph.inputs) == {"x": "float32[x_0,3]"}


def test_declared_sizes_reach_the_outputs(classifier_file: Path) -> None:
    specs = {"ids": InputSpec.parse("int64[batch,7]"), "x": InputSpec.parse("[n,7,16]")}
    with pytest.raises(UsageError, match="batch is declared as batch and as n"):
        read(classifier_file, inputs=specs)
    model = read(classifier_file, inputs={"ids": InputSpec.parse("int64[n,7]")})
    assert interface(model.graph.inputs) == {"ids": "int64[n,7]", "x": "float32[n,7,16]"}
    assert interface(model.graph.outputs)["y"] == "float32[n,7,300]"
    in_order = read(classifier_file, inputs=(InputSpec.parse("[2,7]"),))
    assert interface(in_order.graph.outputs)["p"] == "float32[2,7,300]"


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        ("float32[n,7]", "is INT64 in the model, and float32 is declared"),
        ("int64[n]", "has 2 dims in the model, and 1 are declared"),
    ],
)
def test_declarations_that_contradict_the_model(spec: str, complaint: str, classifier_file: Path) -> None:
    with pytest.raises(UsageError, match=complaint):
        read(classifier_file, inputs={"ids": InputSpec.parse(spec)})


def test_what_the_model_fixes_cannot_be_declared_otherwise(classifier_file: Path) -> None:
    with pytest.raises(UsageError, match="dim 2 of the input x is 16 in the model, and 17 declared"):
        read(classifier_file, inputs={"x": InputSpec.parse("[n,s,17]")})
    with pytest.raises(UsageError, match="no input what; its inputs are ids, x"):
        read(classifier_file, inputs={"what": InputSpec.parse("[n]")})


def test_an_input_is_pinned(save_onnx: Callable[..., Path]) -> None:
    path = save_onnx(
        '<ir_version: 9, opset_import: ["" : 20]>\ng (float[n] x, float k) => (float[n] y) { y = Mul(x, k) }'
    )
    model = read(path, constants={"k": 3})
    assert list(interface(model.graph.inputs)) == ["x"]
    pinned = model.graph.initializers["k"].const_value
    assert pinned is not None
    assert pinned.numpy().tolist() == 3.0
    with pytest.raises(UsageError, match="cannot be pinned to 'no'"):
        read(path, constants={"k": "no"})
    with pytest.raises(UsageError, match="has 1"):
        read(path, constants={"k": [1, 2]})


def test_a_file_that_was_cut_off(classifier_file: Path) -> None:
    content = classifier_file.read_bytes()
    classifier_file.write_bytes(content[: len(content) // 2])
    with pytest.raises(ReadError, match="is a damaged ONNX model.*cut off"):
        nxconvert.load(classifier_file)


def test_a_name_that_is_no_text(tmp_path: Path) -> None:
    text = "g (float[n] x) => (float[n] y) { y = NoSuchOperator(x) }"
    model = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["": 17]> {text}')
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString().replace(b"NoSuchOperator", b"NoSuch\x9dperator"))
    with pytest.raises(ReadError, match="a name in it is no text"):
        nxconvert.load(path)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("g (float[n] x) => (float[n] y) { y = NoSuchOperator(x) }", "No Op registered for NoSuchOperator"),
        ("g (float[n] x) => (float[n] y) { y = Add(x, z) }", "z"),
        ("g (float[n] x) => (float[n] y) { y = Softmax(x, x) }", "Softmax"),
    ],
)
def test_a_model_against_the_standard(text: str, complaint: str, save_onnx: Callable[..., Path]) -> None:
    path = save_onnx('<ir_version: 9, opset_import: ["" : 20]>\n' + text)
    with pytest.raises(ReadError, match="is no valid ONNX model") as caught:
        read(path)
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)


def test_other_protobufs_are_not_taken_for_onnx(tmp_path: Path) -> None:
    detect = frontends()["onnx"].detect
    path = tmp_path / "file"
    for content in (
        b"",
        b"\x08",
        b"\x08\x07",
        b"\x0a\x03net\x12\x02ab",
        b"\x08\x01\x12\x05\x0a\x03key\x12\x02ab",
        b"\xff" * 30,
    ):
        path.write_bytes(content)
        assert not detect(path), content
    assert not detect(tmp_path)


BRANCHES = """
    <ir_version: 8, opset_import: ["" : 20]>
    g (float[n,2] x, float[n,2] y, float[n,2] unused) => (float[n,2] out) {
        a = Relu(x)
        b = Tanh(y)
        out = Add(a, b)
    }
"""


def test_other_outputs_than_the_models_own(save_onnx: Callable[..., Path]) -> None:
    model = read(save_onnx(BRANCHES), outputs=("b", "b"))
    assert [value.name for value in model.graph.outputs] == ["b"]
    assert [value.name for value in model.graph.inputs] == ["y", "unused"]
    assert [node.op_type for node in model.graph] == ["Tanh"]


@pytest.mark.parametrize(
    "name, complaint",
    [
        ("x", "'x' is an input of the model"),
        ("c", r"nothing in the model is called 'c'\. The model's outputs are out\."),
    ],
)
def test_outputs_that_are_no_results(name: str, complaint: str, save_onnx: Callable[..., Path]) -> None:
    with pytest.raises(UsageError, match=complaint):
        read(save_onnx(BRANCHES), outputs=(name,))

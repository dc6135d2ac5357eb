"""What is a file of Caffe2, and what is another framework's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import onnx
import pytest

from nxconvert.detection import source_frontend
from nxconvert.formats.caffe2 import Kind, detect
from nxconvert.formats.protobuf import varint
from tests.conftest import classifier

FIXTURES = Path(__file__).parent.parent.parent / "fixtures"


def field(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


OPERATOR = field(1, b"x") + field(2, b"y") + field(4, b"Relu")


@pytest.fixture
def kind(tmp_path: Path) -> Callable[[bytes], Kind | None]:
    def kind(content: bytes) -> Kind | None:
        path = tmp_path / "model"
        path.write_bytes(content)
        return detect(path)

    return kind


@pytest.mark.parametrize(
    "content",
    [
        field(1, b"net") + field(2, OPERATOR),
        field(2, OPERATOR),
        field(7, b"x") + field(8, b"y") + field(2, OPERATOR),
        field(1, b"net") + b"\x20\x04" + field(2, OPERATOR),
        (field(1, b"net") + field(2, OPERATOR + field(5, bytes(5000))))[:1000],  # cut off
    ],
)
def test_nets(content: bytes, kind: Callable[[bytes], Kind | None]) -> None:
    assert kind(content) is Kind.NET


@pytest.mark.parametrize(
    "text",
    [
        'name: "net"\nop {\n  type: "Relu"\n}\n',
        '# made by hand { layer }\nop: < input: "x" type: "Relu" >',
        'external_input: "layer {" op { device_option { device_type: 1 } type: "Relu" }',
    ],
)
def test_nets_in_text(text: str, kind: Callable[[bytes], Kind | None]) -> None:
    assert kind(text.encode()) is Kind.TEXT


def test_long_texts_are_judged_by_their_beginning(kind: Callable[[bytes], Kind | None]) -> None:
    assert kind(b'op { type: "A" arg { name: "v" ' + b"floats: 0.25 " * 20_000 + b"} }") is Kind.TEXT


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00" * 100,
        b"\n",
        b"\x12",
        b"op",
        b"Once upon a time: an op { that was none }",
        field(1, b"no operator"),
        field(2, b""),
        field(2, field(1, b"x")),  # an operator without a type
        field(2, field(4, b"no type of an operator")),
        field(2, OPERATOR.replace(b"\x0a", b"\x08")),
        field(1, b"plan") + field(2, field(1, b"net") + field(2, OPERATOR)),  # a plan of nets
        field(1, b"net") + field(2, field(2, b"data") + field(4, b"conv1") + b"\x28\x04"),  # Caffe's layers
        field(1, b"net") + varint(100 << 3 | 2) + b"\x00",
        field(1, field(1, b"node") + field(2, b"Relu")),  # TensorFlow's nodes
        b'layer { name: "conv1" type: "Convolution" }',
        b'node { name: "x" op: "Placeholder" }',
        b'op { name: "Relu" input_arg { name: "x" } }',
        b'{"op": {"type": "Relu"}}',
        b"\x01\x00\x00\x00\x01\x00\x00\x00aa",
        b"import torch\n\nclass Net:\n    op: int = 3\n",
    ],
)
def test_what_is_none(content: bytes, kind: Callable[[bytes], Kind | None]) -> None:
    assert kind(content) is None


def test_other_frameworks_models(tmp_path: Path, kind: Callable[[bytes], Kind | None]) -> None:
    model = classifier()
    assert kind(model.SerializeToString()) is None
    assert kind(str(model).encode()) is None
    assert kind(model.graph.SerializeToString()) is None
    assert kind(model.graph.initializer[0].SerializeToString()) is None
    for path in FIXTURES.glob("*/model.pt*"):
        assert detect(path) is None, path


def test_what_cannot_be_looked_at(tmp_path: Path) -> None:
    assert detect(tmp_path) is None
    assert detect(tmp_path / "missing") is None


def test_frontends_agree(tmp_path: Path) -> None:
    """Whatever a file is called."""
    net = (FIXTURES / "caffe2_files" / "mlp_predict_net.pb").read_bytes()
    for name in ("a.pb", "a", "a.onnx", "a.pt"):
        (tmp_path / name).write_bytes(net)
        assert source_frontend(tmp_path / name)[1].name == "caffe2"
    for name in ("b.pb", "b", "b.pbtxt"):
        onnx.save(classifier(), tmp_path / name, format="protobuf")
        assert source_frontend(tmp_path / name)[1].name == "onnx"

"""The encoded bytes are those that onnx_ir and protobuf make of the same model."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import onnx
import onnx_ir as ir
import pytest

from nxconvert.backends.onnx.encoding import INLINE_BYTES, encode_metadata, encode_model
from nxconvert.backends.onnx.wire import Message, float32, varint


def encoded(model: ir.Model) -> bytes:
    """The whole file, with the tensors where they are announced."""
    message = encode_model(model)
    parts = [bytes(part) if isinstance(part, bytes | bytearray) else part.tobytes() for part in message.parts()]
    assert sum(map(len, parts)) == message.size
    return b"".join(parts) + encode_metadata(model.metadata_props)


def expected(model: ir.Model) -> onnx.ModelProto:
    """What onnx_ir makes of the model, without the shapes it repeats for initializers."""
    proto = ir.to_proto(model)
    _forget_initializers(proto.graph)
    return proto


def _forget_initializers(graph: onnx.GraphProto) -> None:
    initializers = {tensor.name for tensor in graph.initializer}
    kept = [value for value in graph.value_info if value.name not in initializers]
    del graph.value_info[:]
    graph.value_info.extend(kept)
    for node in graph.node:
        for attribute in node.attribute:
            for inner in [attribute.g] if attribute.HasField("g") else attribute.graphs:
                _forget_initializers(inner)


def assert_same(model: ir.Model) -> onnx.ModelProto:
    ours, theirs = encoded(model), expected(model)
    assert onnx.ModelProto.FromString(ours) == theirs
    if not model.functions:  # the metadata stands last, the functions after the metadata in protobuf's order
        assert ours == theirs.SerializeToString(deterministic=True)
    return theirs


def value(name: str, dtype: ir.DataType = ir.DataType.FLOAT, shape: object = ("batch", 3, None)) -> ir.Value:
    return ir.Value(name=name, type=ir.TensorType(dtype), shape=None if shape is None else ir.Shape(shape))


def model_of(*nodes: ir.Node, inputs=(), outputs=(), initializers=()) -> ir.Model:
    graph = ir.Graph(inputs, outputs, nodes=nodes, initializers=initializers, name="main", opset_imports={"": 20})
    return ir.Model(graph, ir_version=10)


def initializer(tensor: ir.TensorProtocol, name: str) -> ir.Value:
    tensor.name = name
    return ir.Value(name=name, type=ir.TensorType(tensor.dtype), shape=tensor.shape, const_value=tensor)


DTYPES = [dtype for dtype in ir.DataType if dtype not in (ir.DataType.UNDEFINED, ir.DataType.STRING)]


@pytest.mark.parametrize("shape", [(3, 5), (), (0, 4), (7,), (130, 129)], ids=str)
@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.name)
def test_every_dtype(dtype: ir.DataType, shape: tuple[int, ...]):
    array = np.random.default_rng(0).integers(0, 2, shape).astype(dtype.numpy())
    tensor = ir.Tensor(array, dtype=dtype)
    proto = assert_same(model_of(initializers=[initializer(tensor, "w")]))
    if dtype.name not in ("FLOAT6E2M3", "FLOAT6E3M2"):
        read = onnx.numpy_helper.to_array(proto.graph.initializer[0])
        np.testing.assert_array_equal(read.astype(np.complex64), array.astype(np.complex64))


def test_strings():
    tensor = ir.StringTensor(np.array([[b"a", b""], [b"\xc3\xa9" * 100, b"\xff"]], object))
    assert_same(model_of(initializers=[initializer(tensor, "s")]))


@pytest.mark.parametrize("kind", ["packed", "lazy", "proto", "external"])
def test_every_kind_of_tensor(kind: str, tmp_path):
    array = np.arange(6000, dtype=np.float32)
    if kind == "packed":
        tensor = ir.PackedTensor(np.arange(6000, dtype=np.uint8), ir.DataType.INT4, shape=[12000])
    elif kind == "lazy":
        tensor = ir.LazyTensor(lambda: ir.tensor(array), dtype=ir.DataType.FLOAT, shape=ir.Shape([6000]))
    elif kind == "proto":
        tensor = ir.from_proto(onnx.helper.make_tensor("w", 1, [6000], array.tolist()))
    else:
        (tmp_path / "w").write_bytes(array.tobytes())
        tensor = ir.ExternalTensor(
            "w", 4, 23996, ir.DataType.FLOAT, shape=ir.Shape([5999]), name="w", base_dir=str(tmp_path)
        )
    ours = onnx.ModelProto.FromString(encoded(model_of(initializers=[initializer(tensor, "w")])))
    assert ours.graph.initializer[0].raw_data == tensor.tobytes()
    assert list(ours.graph.initializer[0].dims) == list(tensor.shape)


def test_attributes():
    x, y = value("x"), value("y")
    big = ir.tensor(np.arange(INLINE_BYTES, dtype=np.float64), name="big")
    attributes = [
        ir.AttrInt64("int", -(2**63)),
        ir.AttrInt64s("ints", [0, 1, -1, 127, 128, 2**63 - 1]),
        ir.AttrInt64s("no_ints", []),
        ir.AttrFloat32("float", 0.1),
        ir.AttrFloat32s("floats", [-0.0, float("inf"), 1e-45, 3.4e38]),
        ir.AttrString("string", "é" * 200),
        ir.AttrStrings("strings", ["", "b"]),
        ir.AttrTensor("tensor", ir.tensor([1.5, 2.5], name="t")),
        ir.AttrTensor("big", big),
        ir.AttrTensors("tensors", [big, ir.tensor(3)]),
        ir.Attr("type", ir.AttributeType.TYPE_PROTO, ir.TypeAndShape(x.type, x.shape)),
        ir.Attr("documented", ir.AttributeType.INT, 1, doc_string="why"),
        ir.RefAttr("reference", "outer", ir.AttributeType.FLOAT),
    ]
    node = ir.Node("custom.domain", "Op", [x, None, x], attributes, outputs=[y], name="n" * 300, overload="o")
    node.doc_string = "a node"
    node.metadata_props.update({"b": "2", "a": "1"})
    model = model_of(node, inputs=[x], outputs=[y])
    model.metadata_props.update({"z": "1", "a": "é"})
    model.producer_name, model.producer_version, model.domain = "p", "1", "d"
    model.model_version, model.doc_string = 3, "a model"
    model.graph.doc_string = "a graph"
    model.graph.metadata_props["of graph"] = "1"
    model.opset_imports["custom.domain"] = 2
    assert_same(model)


def test_values():
    sequence = ir.SequenceType(ir.TensorType(ir.DataType.INT64))
    denoted = ir.Shape(["batch", 3], denotations=["DATA_BATCH", None])
    inputs = [
        value("x"),
        value("rank 0", shape=()),
        value("no shape", shape=None),
        ir.Value(name="sequence", type=sequence, shape=ir.Shape([2, None])),
        ir.Value(name="optional", type=ir.OptionalType(sequence)),
        ir.Value(name="sparse", type=ir.SparseTensorType(ir.DataType.FLOAT), shape=ir.Shape([2])),
        ir.Value(name="denoted", type=ir.TensorType(ir.DataType.FLOAT, denotation="IMAGE"), shape=denoted),
        ir.Value(name="denoted dims", type=ir.TensorType(ir.DataType.FLOAT), shape=denoted),
        ir.Value(name="documented", type=ir.TensorType(ir.DataType.BOOL), doc_string="why", metadata_props={"a": "b"}),
        ir.Value(name="nothing known"),
    ]
    outputs = [ir.Value(name=f"out {value.name}", type=value.type, shape=value.shape) for value in inputs]
    nodes = [ir.Node("", "Identity", [x], outputs=[y], name=f"n{x.name}") for x, y in zip(inputs, outputs, strict=True)]
    model = model_of(*nodes, inputs=inputs, outputs=outputs[:1])
    outputs[2].meta["quant_parameter_tensor_names"] = {"SCALE_TENSOR": "s", "ZERO_POINT_TENSOR": "z"}
    model.graph.outputs[0].meta["quant_parameter_tensor_names"] = {"SCALE_TENSOR": "s"}
    assert_same(model)


def test_outputs_that_are_left_out():
    x = value("x")
    names = ["", "y", "", ""]
    node = ir.Node("", "LSTM", [x, None], outputs=[value(name) for name in names], name="n")
    assert_same(model_of(node, inputs=[x], outputs=[node.outputs[1]]))


def test_subgraphs_with_their_own_initializers_and_large_constants():
    x, c = value("x", shape=(5000,)), value("c", ir.DataType.BOOL, ())
    big = np.arange(5000, dtype=np.float32)

    def branch(name: str) -> ir.Graph:
        weight = initializer(ir.tensor(big), f"{name}.w")
        constant = ir.Node("", "Constant", [], [ir.AttrTensor("value", ir.tensor(big))], outputs=[value(f"{name}.k")])
        add = ir.Node("", "Add", [constant.outputs[0], weight], outputs=[value(f"{name}.out")], name=name)
        return ir.Graph([], add.outputs, nodes=[constant, add], initializers=[weight], name=name)

    inner = ir.Node(
        "", "If", [c], [ir.AttrGraph("then_branch", branch("a")), ir.AttrGraph("else_branch", branch("b"))],
        outputs=[value("inner")], name="inner",
    )  # fmt: skip
    outer = ir.Node(
        "", "If", [c],
        [
            ir.AttrGraph("then_branch", ir.Graph([], inner.outputs, nodes=[inner], name="t")),
            ir.AttrGraph("else_branch", branch("e")),
            ir.AttrGraphs("more", [branch("f"), branch("g")]),
        ],
        outputs=[value("y")], name="outer",
    )  # fmt: skip
    assert_same(model_of(outer, inputs=[x, c], outputs=outer.outputs))


@pytest.mark.parametrize("ir_version", [9, 10])
def test_functions(ir_version: int):
    x = value("x")
    body = ir.Node("", "Relu", [x], outputs=[value("y")], name="r")
    function = ir.Function("here", "f", graph=ir.Graph([x], body.outputs, nodes=[body], name="f"), attributes=[])
    a = value("a")
    call = ir.Node("here", "f", [a], outputs=[value("b")], name="call")
    model = model_of(call, inputs=[a], outputs=call.outputs)
    model.functions[function.identifier()] = function
    model.ir_version = ir_version
    ours = onnx.ModelProto.FromString(encoded(model))
    theirs = expected(model)
    for proto in (ours, theirs):  # old versions hide the types of a function's values in the main graph
        del proto.graph.value_info[:]
    assert ours == theirs


def test_device_placement_is_kept_from_ir_version_11_on():
    x = value("x", shape=(4, 4))
    node = ir.Node("", "Relu", [x], outputs=[value("y", shape=(4, 4))], name="n")
    model = model_of(node, inputs=[x], outputs=node.outputs)
    model.ir_version = 11
    configuration = model.add_device_configuration("two", num_devices=2)
    node.shard(x, configuration=configuration, axis=0, num_shards=2)
    assert assert_same(model).configuration


def test_an_initializer_without_content_is_left_out():
    ours = onnx.ModelProto.FromString(encoded(model_of(initializers=[value("w")])))
    assert not ours.graph.initializer


def test_numbers_beyond_float32_become_infinite():
    assert [float32(number) for number in (1e39, -1e39)] == [np.float32(s).tobytes() for s in ("inf", "-inf")]


def test_varints():
    assert varint(300) == b"\xac\x02"
    assert varint(-1) == b"\xff" * 9 + b"\x01"


def test_the_size_of_nested_messages_is_known_before_the_tensors_are_there():
    inner, outer = Message(), Message()
    inner.payload(9, ir.tensor(np.zeros(1000, np.uint8)), 1000)
    outer.message(1, inner)
    outer.string(2, "end")
    *head, tensor, tail = outer.parts()
    assert outer.size == sum(map(len, head)) + tensor.nbytes + len(tail) == (1 + 2) + (1 + 2) + 1000 + (1 + 1 + 3)


def test_bfloat16_bits():
    array = np.array([1.5, np.nan], ml_dtypes.bfloat16)
    ours = onnx.ModelProto.FromString(encoded(model_of(initializers=[initializer(ir.tensor(array), "w")])))
    assert ours.graph.initializer[0].raw_data == array.tobytes()

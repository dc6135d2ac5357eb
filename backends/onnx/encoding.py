"""The shared graph as an ONNX ``ModelProto``, with the weights left out of memory.

Field by field this is what `onnx_ir.serde` and protobuf make of the same model, in the same order (the tests compare
the bytes), with two differences: the bytes of large tensors are not there but announced, for the writer to fetch; and
no shape is repeated for an initializer, whose tensor says it already. What occurs next to never (functions, sparse
types, device placement) is left to `onnx_ir.serde`.

Field numbers: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache

import onnx_ir as ir

from nxconvert.backends.onnx.wire import FIXED32, VARINT, Message, delimited, float32, integer, tag, varint

#: Tensors up to this size are encoded at once; fetching them one by one when the file is written would be slower.
INLINE_BYTES = 16 * 1024
#: ONNX knows three kinds of protos for tensors in external files only by their `data_location`.
_EXTERNAL = 1
_MULTI_DEVICE_IR_VERSION = 11
_FUNCTION_VALUE_INFO_IR_VERSION = 10

#: Says where in the external file a tensor is, or None for one that stays in the model: (file name, offset).
Placement = Callable[[ir.TensorProtocol], "tuple[str, int] | None"]


def encode_model(model: ir.Model, place: Placement = lambda _tensor: None) -> Message:
    """Encodes a model, except for its metadata (see `encode_metadata`).

    Args:
        model: the model; nothing in it is changed.
        place: asked, in the order in which they stand in the file, for the place of every initializer of the main
            graph and its subgraphs that holds numbers.
    """
    encoder = _Encoder(model.ir_version, place)
    proto = Message()
    proto.add(integer(1, model.ir_version))
    for field, text in ((2, model.producer_name), (3, model.producer_version), (4, model.domain)):
        if text:
            proto.string(field, text)
    if model.model_version:
        proto.add(integer(5, model.model_version))
    if model.doc_string:
        proto.string(6, model.doc_string)
    proto.message(7, encoder.graph(model.graph))
    for domain, version in model.opset_imports.items():
        proto.add(delimited(8, delimited(1, domain.encode()) + integer(2, version)))
    for function in model.functions.values():
        typed = model.ir_version >= _FUNCTION_VALUE_INFO_IR_VERSION
        function_proto = ir.serde.serialize_function(function, create_value_info=typed)
        proto.add(delimited(25, function_proto.SerializeToString(deterministic=True)))
    if model.ir_version >= _MULTI_DEVICE_IR_VERSION:
        for configuration in model.device_configurations:
            proto.add(delimited(26, ir.serde.serialize_model_configuration(configuration).SerializeToString()))
    return proto


def encode_metadata(metadata: Mapping[str, str]) -> bytes:
    """Encodes the metadata of a model. Fields may stand in any order, so it can be appended to the encoded model."""
    return _entries(14, metadata)


class _Encoder:
    """Encodes graphs and what is in them."""

    def __init__(self, ir_version: int, place: Placement) -> None:
        self._ir_version = ir_version
        self._place = place

    def graph(self, graph: ir.Graph) -> Message:
        """GraphProto."""
        proto = Message()
        for node in graph:
            proto.message(1, self.node(node))
        if graph.name:
            proto.string(2, graph.name)
        for value in graph.initializers.values():
            if value.const_value is not None:
                proto.message(5, self.tensor(value.const_value, value.name or "", self._place))
        if graph.doc_string:
            proto.string(10, graph.doc_string)
        for field, values in ((11, graph.inputs), (12, graph.outputs), (13, _inner_values(graph))):
            for value in values:
                proto.add(delimited(field, _value_info(value)))
        for value in _annotated(graph):
            annotation = delimited(1, (value.name or "").encode())
            annotation += _entries(2, value.meta["quant_parameter_tensor_names"])
            proto.add(delimited(14, annotation))
        proto.add(_entries(16, graph.metadata_props))
        return proto

    def node(self, node: ir.Node) -> Message:
        """NodeProto."""
        proto = Message()
        encoded = bytearray()
        for value in node.inputs:
            encoded += _name(1, value.name or "" if value is not None else "")
        names = [value.name or "" for value in node.outputs]
        while names and not names[-1]:
            names.pop()  # outputs that nobody wants, at the end
        for name in names:
            encoded += _name(2, name)
        if node.name:
            encoded += delimited(3, node.name.encode())
        encoded += _name(4, node.op_type)
        proto.add(encoded)
        for attribute in node.attributes.values():
            proto.message(5, self.attribute(attribute))
        if node.doc_string:
            proto.string(6, node.doc_string)
        if node.domain:
            proto.string(7, node.domain)
        if node.overload:
            proto.string(8, node.overload)
        proto.add(_entries(9, node.metadata_props))
        if self._ir_version >= _MULTI_DEVICE_IR_VERSION:
            for placement in node.device_configurations:
                content = ir.serde.serialize_node_device_configuration(placement).SerializeToString()
                proto.add(delimited(10, content))
        return proto

    def attribute(self, attribute: ir.Attr) -> Message:
        """AttributeProto."""
        proto = Message()
        kind = attribute.type
        if attribute.is_ref() or kind in _LEFT_TO_SERDE:
            serialize = ir.serde.serialize_reference_attribute if attribute.is_ref() else ir.serde.serialize_attribute
            proto.add(serialize(attribute).SerializeToString(deterministic=True))
            return proto
        value = attribute.value
        proto.add(_name(1, attribute.name))
        if kind in _SCALARS:
            proto.add(_SCALARS[kind](value))
        elif kind == ir.AttributeType.TENSOR:
            proto.message(5, self.tensor(value, value.name or ""))
        elif kind == ir.AttributeType.GRAPH:
            proto.message(6, self.graph(value))
        elif kind == ir.AttributeType.TENSORS:
            for tensor in value:
                proto.message(10, self.tensor(tensor, tensor.name or ""))
        elif kind == ir.AttributeType.GRAPHS:
            for graph in value:
                proto.message(11, self.graph(graph))
        if attribute.doc_string:
            proto.string(13, attribute.doc_string)
        proto.add(integer(20, int(kind)))
        return proto

    def tensor(self, tensor: ir.TensorProtocol, name: str, place: Placement = lambda _tensor: None) -> Message:
        """TensorProto, of the given name."""
        proto = Message()
        for size in tensor.shape.numpy():
            proto.add(integer(1, size))
        proto.add(integer(2, int(tensor.dtype)))
        where = None
        if tensor.dtype == ir.DataType.STRING:
            for text in tensor.string_data():  # type: ignore[attr-defined]
                proto.add(delimited(6, text))
        else:
            where = place(tensor)
        if name:
            proto.string(8, name)
        if tensor.dtype != ir.DataType.STRING and where is None:
            if tensor.nbytes <= INLINE_BYTES:
                proto.add(delimited(9, tensor.tobytes()))
            else:
                proto.payload(9, tensor, tensor.nbytes)
        if tensor.doc_string:
            proto.string(12, tensor.doc_string)
        if where is not None:
            entries = {"location": where[0], "offset": str(where[1]), "length": str(tensor.nbytes)}
            for key, text in entries.items():
                proto.add(_entry(13, key, text))
            proto.add(integer(14, _EXTERNAL))
        proto.add(_entries(16, tensor.metadata_props))
        return proto


_LEFT_TO_SERDE = frozenset(
    {
        ir.AttributeType.TYPE_PROTO,
        ir.AttributeType.TYPE_PROTOS,
        ir.AttributeType.SPARSE_TENSOR,
        ir.AttributeType.SPARSE_TENSORS,
    }
)


def _ints(numbers: Iterable[int]) -> bytes:
    return b"".join([b"\x40" + varint(number) for number in numbers])  # field 8, not packed: this is proto2


def _floats(numbers: Iterable[float]) -> bytes:
    return b"".join([b"\x3d" + float32(number) for number in numbers])  # field 7


def _text(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode()


#: How a value without tensors and graphs is encoded, field number included.
_SCALARS: dict[ir.AttributeType, Callable[..., bytes]] = {
    ir.AttributeType.FLOAT: lambda number: tag(2, FIXED32) + float32(number),
    ir.AttributeType.INT: lambda number: tag(3, VARINT) + varint(number),
    ir.AttributeType.STRING: lambda text: delimited(4, _text(text)),
    ir.AttributeType.FLOATS: _floats,
    ir.AttributeType.INTS: _ints,
    ir.AttributeType.STRINGS: lambda texts: b"".join([delimited(9, _text(text)) for text in texts]),
}


@lru_cache(maxsize=4096)
def _name(field: int, name: str) -> bytes:
    """A string field; most names stand in the file several times."""
    return delimited(field, name.encode())


def _entry(field: int, key: str, text: str) -> bytes:
    return delimited(field, delimited(1, key.encode()) + delimited(2, text.encode()))


def _entries(field: int, texts: Mapping[str, str]) -> bytes:
    """A field of StringStringEntryProtos, sorted so that equal mappings are equal bytes."""
    return b"".join([_entry(field, key, texts[key]) for key in sorted(texts)]) if texts else b""


def _inner_values(graph: ir.Graph) -> Iterable[ir.Value]:
    """The values that ``value_info`` describes: the typed results of nodes that are not outputs of the graph."""
    for node in graph:
        for value in node.outputs:
            described = value.type is not None or value.shape is not None or value.metadata_props or value.doc_string
            if value.name and described and not value.is_graph_output():
                yield value


def _annotated(graph: ir.Graph) -> Iterable[ir.Value]:
    """The values with quantization parameters that belong to the tensor, not to an operator (a rare ONNX feature)."""
    values = dict.fromkeys([*graph.inputs, *graph.initializers.values()])
    values |= dict.fromkeys(value for node in graph for value in node.outputs if not value.is_graph_output())
    values |= dict.fromkeys(graph.outputs)
    return (value for value in values if value._metadata and value.meta.get("quant_parameter_tensor_names"))


def _value_info(value: ir.Value) -> bytes:
    """ValueInfoProto."""
    proto = delimited(1, (value.name or "").encode())
    type_proto = _type(value.type, value.shape)
    if type_proto:
        proto += delimited(2, type_proto)
    if value.doc_string:
        proto += delimited(3, value.doc_string.encode())
    return proto + _entries(4, value.metadata_props)


def _type(value_type: ir.TypeProtocol | None, shape: ir.Shape | None) -> bytes:
    """TypeProto; empty where nothing is known."""
    if value_type is None:
        return b""
    if type(value_type) is ir.TensorType and value_type.denotation is None:
        content = integer(1, int(value_type.dtype))
        if shape is not None:
            content += delimited(2, _shape(shape))
        return delimited(1, content)
    proto = ir.serde.serialize_type(value_type)
    if shape is not None:
        ir.serde.serialize_shape_into(proto, shape)
    return bytes(proto.SerializeToString(deterministic=True))


def _shape(shape: ir.Shape) -> bytes:
    """TensorShapeProto."""
    return b"".join(
        [_dim(dim if isinstance(dim, int) else dim.value, shape.get_denotation(axis)) for axis, dim in enumerate(shape)]
    )


@lru_cache(maxsize=4096)
def _dim(dim: int | str | None, denotation: str | None) -> bytes:
    """A field of TensorShapeProto; its dims are few and come again and again."""
    content = b""
    if dim is not None:
        content = integer(1, dim) if isinstance(dim, int) else delimited(2, dim.encode())
    if denotation:
        content += delimited(3, denotation.encode())
    return delimited(1, content)

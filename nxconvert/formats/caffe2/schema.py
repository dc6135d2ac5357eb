"""The messages of Caffe2's protocol buffers, as far as models are made of them.

Field numbers are those of ``caffe2/proto/caffe2.proto`` and ``metanet.proto``. Both the binary and the text form are
read by these.
"""

from __future__ import annotations

from nxconvert.formats.protobuf import Field, Message

__all__ = ["ARGUMENT", "BLOB", "DATA_TYPES", "DEVICE", "META_NET", "NET", "OPERATOR", "QTENSOR", "TENSOR"]

#: ``TensorProto.DataType``.
DATA_TYPES = {
    "UNDEFINED": 0, "FLOAT": 1, "INT32": 2, "BYTE": 3, "STRING": 4, "BOOL": 5, "UINT8": 6, "INT8": 7, "UINT16": 8,
    "INT16": 9, "INT64": 10, "FLOAT16": 12, "DOUBLE": 13, "ZERO_COLLISION_HASH": 14, "REBATCHING_BUFFER": 15,
}  # fmt: skip
# ``DeviceTypeProto``, whose values older files write without the prefix.
_DEVICES = {
    "CPU": 0, "CUDA": 1, "MKLDNN": 2, "OPENGL": 3, "OPENCL": 4, "IDEEP": 5, "HIP": 6, "FPGA": 7, "MSNPU": 8, "XLA": 9,
}  # fmt: skip
_DEVICES |= {f"PROTO_{name}": number for name, number in _DEVICES.items()}
_STORAGE = {"TYPED": 1, "RAW": 2, "EXTERNAL": 3, "NO_CONTENT": 4}

DEVICE = Message(
    "DeviceOption",
    [
        Field(1, "device_type", "int32", labels=_DEVICES),
        Field(2, "device_id", "int32"),
        Field(3, "random_seed", "uint32"),
        Field(4, "node_name", "label"),
        Field(5, "numa_node_id", "int32"),
        Field(6, "extra_info", "label", repeated=True),
    ],
)

_SEGMENT = Message("TensorProto.Segment", [Field(1, "begin", "int64"), Field(2, "end", "int64")])

_EXTERNAL = Message(
    "ExternalDataProto",
    [
        Field(1, "source_type", "int32", labels={"INLINE_CONTAINER": 0, "SIMPLE_FILE": 1}),
        Field(2, "record_id", "label"),
        Field(5, "record_size", "uint64"),
        Field(3, "offset", "int64"),
        Field(4, "strides", "int64", repeated=True),
    ],
)

TENSOR = Message(
    "TensorProto",
    [
        Field(1, "dims", "int64", repeated=True),
        Field(2, "data_type", "int32", labels=DATA_TYPES),
        Field(12, "storage_type", "int32", labels=_STORAGE),
        Field(3, "float_data", "float", repeated=True),
        Field(4, "int32_data", "int32", repeated=True),
        Field(5, "byte_data", "data"),
        Field(6, "string_data", "bytes", repeated=True),
        Field(9, "double_data", "double", repeated=True),
        Field(10, "int64_data", "int64", repeated=True),
        Field(13, "raw_data", "data"),
        Field(14, "external_data", "message", message=_EXTERNAL),
        Field(7, "name", "text"),
        Field(8, "device_detail", "message", message=DEVICE),
        Field(11, "segment", "message", message=_SEGMENT),
        Field(15, "data_format", "uint32", labels={"FMT_PROTOBUF": 0, "FMT_BFLOAT16": 1}),
    ],
)

QTENSOR = Message(
    "QTensorProto",
    [
        Field(1, "dims", "int64", repeated=True),
        Field(2, "precision", "int32"),
        Field(3, "scale", "double"),
        Field(4, "bias", "double"),
        Field(5, "is_signed", "bool"),
        Field(6, "data", "int32", repeated=True),
        Field(7, "name", "text"),
        Field(8, "data_type", "int32", labels=DATA_TYPES),
        Field(9, "scales", "double", repeated=True),
        Field(10, "biases", "double", repeated=True),
        Field(11, "axis", "int32"),
        Field(12, "is_multiparam", "bool"),
    ],
)

NET = Message("NetDef")
ARGUMENT = Message(
    "Argument",
    [
        Field(1, "name", "text"),
        Field(2, "f", "float"),
        Field(3, "i", "int64"),
        Field(4, "s", "bytes"),
        Field(10, "t", "message", message=TENSOR),
        Field(8, "n", "message", message=NET),
        Field(5, "floats", "float", repeated=True),
        Field(6, "ints", "int64", repeated=True),
        Field(7, "strings", "bytes", repeated=True),
        Field(11, "tensors", "message", repeated=True, message=TENSOR),
        Field(9, "nets", "message", repeated=True, message=NET),
        Field(12, "qtensors", "message", repeated=True, message=QTENSOR),
    ],
)

OPERATOR = Message(
    "OperatorDef",
    [
        Field(1, "input", "text", repeated=True),
        Field(2, "output", "text", repeated=True),
        Field(3, "name", "label"),
        Field(4, "type", "text"),
        Field(5, "arg", "message", repeated=True, message=ARGUMENT),
        Field(6, "device_option", "message", message=DEVICE),
        Field(7, "engine", "text"),
        Field(8, "control_input", "text", repeated=True),
        Field(9, "is_gradient_op", "bool"),
        Field(10, "debug_info", "label"),
        Field(11, "domain", "text"),
        Field(12, "op_version", "int64"),
    ],
)

NET.define(
    [
        Field(1, "name", "label"),
        Field(2, "op", "message", repeated=True, message=OPERATOR),
        Field(3, "type", "text"),
        Field(4, "num_workers", "int32"),
        Field(5, "device_option", "message", message=DEVICE),
        Field(6, "arg", "message", repeated=True, message=ARGUMENT),
        Field(7, "external_input", "text", repeated=True),
        Field(8, "external_output", "text", repeated=True),
    ]
)

_BLOBS_MAP = Message("BlobsMap", [Field(1, "key", "text"), Field(2, "value", "text", repeated=True)])
_NETS_MAP = Message("NetsMap", [Field(1, "key", "text"), Field(2, "value", "message", message=NET)])
META_NET = Message(
    "MetaNetDef",
    [
        Field(1, "blobs", "message", repeated=True, message=_BLOBS_MAP),
        Field(2, "nets", "message", repeated=True, message=_NETS_MAP),
    ],
)

BLOB = Message(
    "BlobProto",
    [
        Field(1, "name", "text"),
        Field(2, "type", "text"),
        Field(3, "tensor", "message", message=TENSOR),
        Field(4, "content", "data"),
        Field(5, "qtensor", "message", message=QTENSOR),
        Field(6, "content_num_chunks", "int32"),
        Field(7, "content_chunk_id", "int32"),
    ],
)

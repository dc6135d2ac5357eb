"""Our reader of protocol buffers against Google's, on random messages of Caffe2's schemas, in binary and in text."""

from __future__ import annotations

import math
import random
from typing import Any

import numpy as np
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format

from nxconvert.errors import ReadError
from nxconvert.formats.caffe2.schema import BLOB, META_NET, NET
from nxconvert.formats.caffe2.text import parse_text
from nxconvert.formats.protobuf import NUMBERS, Field, Message, Reader, varint

_Proto = descriptor_pb2.FieldDescriptorProto
_TYPES = {
    "int32": _Proto.TYPE_INT32,
    "int64": _Proto.TYPE_INT64,
    "uint32": _Proto.TYPE_UINT32,
    "uint64": _Proto.TYPE_UINT64,
    "bool": _Proto.TYPE_BOOL,
    "float": _Proto.TYPE_FLOAT,
    "double": _Proto.TYPE_DOUBLE,
    "bytes": _Proto.TYPE_BYTES,
    "data": _Proto.TYPE_BYTES,
    "text": _Proto.TYPE_STRING,
    "label": _Proto.TYPE_STRING,
    "message": _Proto.TYPE_MESSAGE,
}


def google(messages: list[Message], *, packed: bool) -> dict[str, Any]:
    """Google's classes of these messages and of those in them, by name."""
    file = descriptor_pb2.FileDescriptorProto(name="test.proto", package="test", syntax="proto2")
    todo, known = list(messages), set()
    while todo:
        message = todo.pop()
        if message.name in known:
            continue
        known.add(message.name)
        proto = file.message_type.add(name=message.name.replace(".", "_"))
        for field in message.by_number.values():
            entry = proto.field.add(name=field.name, number=field.number, type=_TYPES[field.kind])
            entry.label = _Proto.LABEL_REPEATED if field.repeated else _Proto.LABEL_OPTIONAL
            entry.options.packed = packed and field.repeated and field.kind in NUMBERS
            if field.message is not None:
                entry.type_name = f".test.{field.message.name.replace('.', '_')}"
                todo.append(field.message)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"test.{name.replace('.', '_')}"))
        for name in known
    }


def number(field: Field, generator: random.Random) -> Any:
    if field.kind == "bool":
        return generator.random() < 0.5
    dtype = NUMBERS[field.kind][1]
    if dtype.kind == "f":
        special = (0.0, -0.0, math.inf, -math.inf, 1e-45, 3.0)
        value = (
            generator.choice(special)
            if generator.random() < 0.3
            else generator.gauss(0, 1) * 10 ** generator.randint(-9, 9)
        )
        return float(dtype.type(value))
    limits = np.iinfo(dtype)
    value = generator.choice((0, 1, 127, 128, 300, int(limits.max), int(limits.min), generator.getrandbits(62)))
    return max(int(limits.min), min(value, int(limits.max)))


def single(field: Field, generator: random.Random, depth: int) -> Any:
    if field.message is not None:
        return made(field.message, generator, depth + 1)
    if field.kind in NUMBERS:
        return number(field, generator)
    if field.kind in ("text", "label"):
        return "".join(generator.choice("ab/:'\"\\é☃\n\x01") for _ in range(generator.choice((0, 1, 5, 200))))
    return generator.randbytes(generator.choice((0, 1, 5, 200)))


def made(message: Message, generator: random.Random, depth: int = 0) -> dict[str, Any]:
    """A random message, as a dict."""
    values: dict[str, Any] = {}
    for field in message.by_number.values():
        if generator.random() < 0.5 or (field.message is not None and depth > 3):
            continue
        if field.repeated:
            most = (0, 1, 2) if field.message is not None else (0, 1, 2, 7, 8, 9, 300)
            values[field.name] = [single(field, generator, depth) for _ in range(generator.choice(most))]
        else:
            values[field.name] = single(field, generator, depth)
    return values


def filled(proto: Any, values: dict[str, Any]) -> Any:
    """Google's message with these values."""
    for name, value in values.items():
        if isinstance(value, dict):
            getattr(proto, name).SetInParent()
            filled(getattr(proto, name), value)
        elif isinstance(value, list):
            for each in value:
                if isinstance(each, dict):
                    filled(getattr(proto, name).add(), each)
                else:
                    getattr(proto, name).append(each)
        else:
            setattr(proto, name, value)
    return proto


def plain(value: Any) -> Any:
    """What our readers give, as `made` makes it; empty lists are left out, as the wire does."""
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items() if not (isinstance(each, list) and not each)}
    if isinstance(value, np.ndarray):
        return value.tobytes() if value.dtype == np.uint8 else value.tolist()
    return [plain(each) for each in value] if isinstance(value, list) else value


@pytest.mark.parametrize("message", [NET, META_NET, BLOB], ids=lambda message: message.name)
@pytest.mark.parametrize("packed", [False, True])
def test_random_messages(message: Message, packed: bool) -> None:
    classes, generator = google([message], packed=packed), random.Random(packed)
    for _ in range(60):
        values = made(message, generator)
        proto = filled(classes[message.name](), values)
        expected = repr(plain(values))  # -0.0 is not 0.0
        assert repr(_sorted(plain(Reader(proto.SerializeToString(), "it").decode(message)), message)) == expected
        for options in ({}, {"as_one_line": True}, {"use_short_repeated_primitives": True, "as_utf8": True}):
            text = text_format.MessageToString(proto, **options)
            assert repr(_sorted(plain(parse_text(text, message, "it")), message)) == expected


def _sorted(values: Any, message: Message) -> Any:
    """With the fields of every message in the order of the schema."""
    ordered = {}
    for field in message.by_number.values():
        if field.name in values:
            value = values[field.name]
            if field.message is not None:
                value = (
                    [_sorted(each, field.message) for each in value]
                    if field.repeated
                    else _sorted(value, field.message)
                )
            ordered[field.name] = value
    return ordered


def test_cut_off_or_damaged_it_is_not_read_otherwise() -> None:
    """What both read is the same; Google's passes over what has the wrong wire type, which is an error here."""
    classes, generator = google([NET], packed=False), random.Random(5)
    read = 0
    for _ in range(40):
        content = filled(classes["NetDef"](), made(NET, generator, 3)).SerializeToString()
        for _ in range(40):
            damaged = bytearray(content)
            for _ in range(generator.choice((1, 3))):
                if damaged:
                    damaged[generator.randrange(len(damaged))] = generator.randrange(256)
            try:
                ours = plain(Reader(bytes(damaged), "it").decode(NET))
            except ReadError:
                continue
            proto = classes["NetDef"]()
            proto.ParseFromString(bytes(damaged))
            again = plain(Reader(proto.SerializeToString(), "it").decode(NET))
            assert repr(_sorted(ours, NET)) == repr(_sorted(again, NET))
            read += 1
    assert read > 100


def test_fields_of_other_schemas_are_passed_over() -> None:
    message = Message("Message", [Field(3, "a", "int64"), Field(2000, "b", "float", repeated=True)])
    unknown = b"\x08\x05" + varint(5 << 3 | 2) + b"\x02ab" + b"\x31" + bytes(8) + b"\x3d" + bytes(4)
    floats = (varint(2000 << 3 | 5) + b"\x00\x00\x80\x3f") * 2000
    values = Reader(unknown + b"\x18\x07" + unknown + floats, "it").decode(message)
    assert values["a"] == 7
    assert values["b"].tolist() == [1.0] * 2000
    ints = Message("Message", [Field(2000, "c", "int32", repeated=True)])
    encoded = b"".join(varint(2000 << 3) + varint(value % 2**64) for value in range(-2000, 2000))
    assert Reader(encoded, "it").decode(ints)["c"].tolist() == list(range(-2000, 2000))

"""Damaged and hostile files of Caffe2: a ReadError that says what is wrong, or a sound result; never anything else."""

from __future__ import annotations

import random
import struct
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from nxconvert.errors import ReadError
from nxconvert.formats import protobuf
from nxconvert.formats.caffe2 import NetDef, Tensor, detect, read_minidb, read_net
from nxconvert.formats.protobuf import Field, Message, Reader, varint

FIXTURES = Path(__file__).parent.parent.parent / "fixtures" / "caffe2_files"
FILES = ["mlp_predict_net.pb", "mlp_init_net.pb", "mlp_predict_net.pbtxt", "mlp_named.mdl", "tensors.minidb"]


def field(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def read(path: Path) -> object:
    return read_minidb(path) if path.suffix in (".minidb", ".mdl") else read_net(path)


def touch(value: object) -> None:
    """Look at every element, so that what lies beyond the file would show."""
    if isinstance(value, np.ndarray):
        value.tobytes()
    elif isinstance(value, Tensor):
        touch(value.values)
    elif isinstance(value, list):
        for each in value:
            touch(each)
    elif isinstance(value, dict):
        touch(list(value.values()))
    elif isinstance(value, NetDef):
        for op in value.ops:
            touch(op.args)


@pytest.fixture
def attempt(tmp_path: Path) -> Callable[[bytes, str], bool]:
    """Reads bytes as a file with some suffix; tells whether something was read."""

    def attempt(content: bytes, suffix: str) -> bool:
        path = tmp_path / f"a{suffix}"
        path.write_bytes(content)
        detect(path)
        try:
            touch(read(path))
        except ReadError as error:
            message = str(error)
        else:
            return True
        assert str(path) in message
        assert message.endswith(".")
        return False

    return attempt


@pytest.mark.parametrize("name", FILES)
def test_cut_off_anywhere(name: str, attempt: Callable[[bytes, str], bool]) -> None:
    content = (FIXTURES / name).read_bytes()
    lengths = range(len(content)) if len(content) < 1000 else sorted(random.Random(0).sample(range(len(content)), 500))
    sound = sum(attempt(content[:length], Path(name).suffix) for length in lengths)
    assert sound < len(lengths) / 4


@pytest.mark.parametrize("name", [*FILES, "everything.pb"])
def test_flipped_bytes(name: str, attempt: Callable[[bytes, str], bool]) -> None:
    content, generator = (FIXTURES / name).read_bytes(), random.Random(1)
    for _ in range(500):
        damaged = bytearray(content)
        for _ in range(generator.choice((1, 1, 2, 5))):
            damaged[generator.randrange(len(damaged))] = generator.randrange(256)
        attempt(bytes(damaged), Path(name).suffix)


def test_noise(attempt: Callable[[bytes, str], bool]) -> None:
    generator = random.Random(2)
    for size in range(1, 300):
        attempt(generator.randbytes(size), ".pb")
        attempt(generator.randbytes(size), ".minidb")
        attempt(bytes(generator.choice(b' {}<>[]:;,#"\\0-x1a\n') for _ in range(size)), ".pbtxt")


OPERATOR = field(2, b"y") + field(4, b"Op")


@pytest.mark.parametrize(
    "content, message",
    [
        (b"\x12\xff\xff\xff\xff\x07\x00", "is truncated: NetDef.op, at byte 6, is said to have 2,147,483,647 bytes"),
        (field(2, b"\x0a\xff\xff\xff\xff\x07") + b"\x00" * 9, "OperatorDef.input is said to have 2,147,483,647 bytes"),
        (b"\x12", "is truncated: a number, at byte 1"),
        (b"\x12" + b"\xff" * 12, "more than ten bytes"),
        (b"\x10\x05", "NetDef.op is varint"),
        (b"\x0d\x00\x00\x00\x00", "NetDef.name is 32-bit"),
        (b"\x0b\x00", "NetDef.name is group"),
        (b"\xfb\x01", "goes on with what is no field"),
        (b"\x02\x00", "goes on with what is no field"),
        (field(2, OPERATOR + field(5, b"\x2d\x00\x00")) + field(8, b"y"), "floats is said to have 4 bytes"),
        (field(2, OPERATOR + field(5, b"\x15\x00\x00")) + field(8, b"y"), "f is said to have 4 bytes"),
        (field(2, OPERATOR + field(5, field(5, b"abc"))), "floats has 3 bytes too many"),
        (field(2, OPERATOR + field(5, field(6, b"\xff" * 11 + b"\x01"))), "more than ten bytes"),
        (field(2, OPERATOR + field(5, field(6, b"\x01\xff"))) + field(8, b"y"), "a number is said to have"),
        (field(2, OPERATOR + field(5, b"\x30\x01\x30\xff")) + field(8, b"y"), "a number is said to have"),
        (field(2, OPERATOR + field(1, b"\xff\xfe")), "OperatorDef.input is no UTF-8 text"),
        (field(9, b"who knows\x01"), "holds nothing of a Caffe2 net"),
        (b"hello world", "line 1: NetDef has no field 'hello'"),
    ],
)
def test_what_is_wrong_is_said(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "net.pb"
    path.write_bytes(content)
    with pytest.raises(ReadError) as raised:
        read_net(path)
    assert message in str(raised.value)


TENSOR = [
    ((b"\x08\x03" + field(3, bytes(8))), "has 2 elements, and its dims [3] ask for 3"),
    (b"\x08" + varint(2**64 - 1), "has the dims [-1]"),
    (b"\x08\x80\x80\x80\x80\x80\x80\x80\x80\x40" * 3, "has the dims"),
    (b"\x08\x01" * 65, "more than 64 dims"),
    (b"\x08\x01\x10\x63", "of a type that is not known, number 99"),
    (b"\x08\x01\x10\x0e", "of a type that is not known, ZERO_COLLISION_HASH"),
    (b"\x08\x01\x10\x08" + field(5, b"abc"), "no whole number of elements"),
    (b"\x08\x01" + field(14, b""), "in another file"),
    (b"\x08\x02" + field(11, b"\x08\x01\x10\x05") + field(3, bytes(16)), "elements 1 to 5"),
]


@pytest.mark.parametrize("content, message", TENSOR)
def test_tensors_that_cannot_be(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "net.pb"
    path.write_bytes(field(2, OPERATOR + field(5, field(1, b"a") + field(10, content))))
    with pytest.raises(ReadError) as raised:
        read_net(path)
    assert message in str(raised.value)


@pytest.mark.parametrize(
    "content, message",
    [
        (b"\x01\x00\x00\x00", "ends within the lengths"),
        (struct.pack("<ii", 0, 5) + b"hello", "has no length"),
        (struct.pack("<ii", -1, 5) + b"hello", "has no length"),
        (struct.pack("<ii", 2, 2**31 - 1) + b"hello", "is truncated: the entry at byte 0"),
        (struct.pack("<ii", 1, 1) + b"\xff\x00", "is no text"),
    ],
)
def test_databases_that_cannot_be(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "a.minidb"
    path.write_bytes(content)
    with pytest.raises(ReadError) as raised:
        read_minidb(path)
    assert message in str(raised.value)


def test_deep_nets(tmp_path: Path) -> None:
    def nested(depth: int) -> bytes:
        net = field(1, b"inner")
        for _ in range(depth):
            net = field(2, OPERATOR + field(5, field(1, b"n") + field(8, net)))
        return net

    path = tmp_path / "net.pb"
    path.write_bytes(nested(20))
    assert read_net(path).ops
    path.write_bytes(nested(5000))
    with pytest.raises(ReadError, match="nested more than 64 deep"):
        read_net(path)


def test_what_would_take_all_memory_or_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protobuf, "MAX_MESSAGES", 1000)
    monkeypatch.setattr(protobuf, "_MAX_FIELDS", 5000)
    path = tmp_path / "net.pb"
    for content in (
        field(2, b"") * 1001,  # empty operators
        field(7, b"x") * 5001,  # inputs
        b"\x48\x00" * 5001,  # fields that nobody knows
        field(2, field(5, (b"\x2d\x00\x00\x00\x00" + b"\x18\x00") * 1001)),  # floats one by one, with others between
    ):
        path.write_bytes(content)
        with pytest.raises(ReadError, match="more than 1,000 messages|far too many|more than 5,000 fields"):
            read_net(path)


def test_many_small_runs_take_time_in_proportion(tmp_path: Path) -> None:
    path = tmp_path / "net.pb"
    path.write_bytes(field(2, field(5, (b"\x30\x01" + b"\x2d\x00\x00\x00\x00") * 20_000)))
    begin = time.perf_counter()
    with pytest.raises(ReadError, match="several values"):
        read_net(path)
    assert time.perf_counter() - begin < 10


def test_a_message_in_two_places_is_merged() -> None:
    inner = Message("Inner", [Field(1, "a", "int64", repeated=True), Field(2, "b", "text")])
    outer = Message("Outer", [Field(1, "inner", "message", message=inner)])
    content = field(1, b"\x08\x01" + field(2, b"x")) + field(1, b"\x08\x02" + field(2, b"y"))
    values = Reader(content, "it").decode(outer)
    assert values["inner"]["a"].tolist() == [1, 2]
    assert values["inner"]["b"] == "y"


def test_a_text_of_too_many_messages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nxconvert.formats.caffe2.text.MAX_MESSAGES", 1000)
    path = tmp_path / "net.pbtxt"
    path.write_text("op{}" * 2000)
    with pytest.raises(ReadError, match="line 1: there are more than 1,000 messages"):
        read_net(path)


def test_a_database_of_too_many_entries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nxconvert.formats.caffe2.minidb._MAX_ENTRIES", 10)
    path = tmp_path / "a.minidb"
    path.write_bytes((FIXTURES / "tensors.minidb").read_bytes())
    with pytest.raises(ReadError, match="more than 10 entries"):
        read_minidb(path)

"""Caffe2's nets in binary form."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from nxconvert.errors import ReadError
from nxconvert.formats.caffe2 import NetDef, read_net
from nxconvert.formats.protobuf import varint


def field(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def net(*arguments: bytes) -> bytes:
    operator = field(2, b"y") + field(4, b"Op") + b"".join(field(5, argument) for argument in arguments)
    return field(1, b"small") + field(2, operator) + field(8, b"y")


def read(tmp_path: Path, content: bytes) -> NetDef:
    path = tmp_path / "net.pb"
    path.write_bytes(content)
    return read_net(path)


def argument(tmp_path: Path, content: bytes) -> object:
    return read(tmp_path, net(field(1, b"a") + content)).ops[0].args["a"]


@pytest.mark.parametrize("count", [1, 2, 255, 256, 257, 1024, 1025, 5000])
@pytest.mark.parametrize("packed", [False, True])
def test_floats(tmp_path: Path, count: int, packed: bool) -> None:
    values = np.random.default_rng(count).standard_normal(count).astype("<f4")
    raw = values.tobytes()
    content = field(5, raw) if packed else b"".join(b"\x2d" + raw[i : i + 4] for i in range(0, len(raw), 4))
    read_values = argument(tmp_path, content)
    assert isinstance(read_values, np.ndarray)
    assert read_values.dtype == np.float32
    np.testing.assert_array_equal(read_values, values)


@pytest.mark.parametrize("count", [1, 3, 127, 200, 3000])
@pytest.mark.parametrize("packed", [False, True])
def test_ints(tmp_path: Path, count: int, packed: bool) -> None:
    random = np.random.default_rng(count)
    values = random.integers(-(2**63), 2**63 - 1, count, np.int64) >> random.integers(0, 63, count)
    encoded = [varint(int(value) % 2**64) for value in values]
    content = field(6, b"".join(encoded)) if packed else b"".join(b"\x30" + each for each in encoded)
    read_values = argument(tmp_path, content)
    assert isinstance(read_values, np.ndarray)
    assert read_values.dtype == np.int64
    np.testing.assert_array_equal(read_values, values)


def test_long_floats_are_a_view(tmp_path: Path) -> None:
    values = argument(tmp_path, b"\x2d\x00\x00\x80\x3f" * 4096)
    assert isinstance(values, np.ndarray)
    assert values.strides == (5,)
    assert not values.flags.owndata
    assert not values.flags.writeable


def test_scalars(tmp_path: Path) -> None:
    assert argument(tmp_path, b"\x18\x05") == 5
    assert argument(tmp_path, b"\x18" + varint(2**64 - 3)) == -3
    assert argument(tmp_path, b"\x15" + struct.pack("<f", 0.1)) == float(np.float32(0.1))
    assert argument(tmp_path, field(4, b"\xff")) == b"\xff"
    assert argument(tmp_path, field(7, b"p") + field(7, b"")) == [b"p", b""]
    assert argument(tmp_path, b"") == []


def test_runs_with_something_between_them_are_joined(tmp_path: Path) -> None:
    content = b"\x2d" + struct.pack("<f", 1) + field(1, b"a") + field(5, struct.pack("<2f", 2, 3))
    np.testing.assert_array_equal(argument(tmp_path, content + b"\x2d" + struct.pack("<f", 4)), [1, 2, 3, 4])


def test_two_values_are_ambiguous(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match=r"several values \(i, f\)"):
        argument(tmp_path, b"\x18\x05\x15\x00\x00\x00\x00")


def test_an_empty_array_is_no_value(tmp_path: Path) -> None:
    assert argument(tmp_path, field(5, b"") + b"\x18\x05") == 5
    assert argument(tmp_path, field(6, b"")) == []


def test_two_arguments_of_one_name(tmp_path: Path) -> None:
    five, six = field(1, b"a") + b"\x18\x05", field(1, b"a") + b"\x18\x06"
    assert read(tmp_path, net(five, five)).ops[0].args == {"a": 5}
    with pytest.raises(ReadError, match="two different arguments 'a'"):
        read(tmp_path, net(five, six))

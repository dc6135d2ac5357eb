"""Caffe2's nets in text form."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nxconvert.errors import ReadError
from nxconvert.formats.caffe2 import NetDef, read_net


def read(tmp_path: Path, text: str | bytes) -> NetDef:
    path = tmp_path / "net.pbtxt"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_net(path)


def argument(tmp_path: Path, text: str) -> Any:
    return read(tmp_path, 'op { type: "Op" arg { name: "a" ' + text + " } }").ops[0].args["a"]


def test_a_net_as_people_write_it(tmp_path: Path) -> None:
    net = read(
        tmp_path,
        """
        # a comment
        name: "small"; type: 'dag'
        op: { input: "x", input: "w" output: ["y", 'z'] type: "FC"
              arg < name: "axis" i: -1 >  # another
              device_option { device_type: CUDA cuda_gpu_id: 1 random_seed: 0x10 } }
        op { type: "Relu" device_option { device_type: 2 } }
        external_input: "x" external_input: "w"
        external_output: "y"
        """,
    )
    assert (net.name, net.type, net.inputs, net.outputs) == ("small", "dag", ["x", "w"], ["y"])
    fc, relu = net.ops
    assert (fc.type, fc.inputs, fc.outputs, fc.args) == ("FC", ["x", "w"], ["y", "z"], {"axis": -1})
    assert fc.device is not None
    assert (fc.device.device_type, fc.device.device_id, fc.device.random_seed) == (1, 1, 16)
    assert relu.device is not None
    assert relu.device.device_type == 2


@pytest.mark.parametrize(
    "text, value",
    [
        ("i: 0", 0),
        ("i: 017", 15),
        ("i: 0xFf", 255),
        ("i: - 5", -5),
        ("i: -9223372036854775808", -(2**63)),
        ("f: 1", 1.0),
        ("f: .5f", 0.5),
        ("f: -1e-2", float(np.float32(-0.01))),
        ("f: 0x10", 16.0),
        ("f: inf", math.inf),
        ("f: -infinity", -math.inf),
        ("f: 1e60", math.inf),
        ('s: "a" "b"\'c\'', b"abc"),
        (r's: "\001\x7f\377\n\t\"\'\\?\u00e9\U0001F600"', b"\x01\x7f\xff\n\t\"'\\?" + "é😀".encode()),
        ('s: "é"', "é".encode()),
        ('strings: ["a", "b"] strings: ""', [b"a", b"b", b""]),
        ("", []),
    ],
)
def test_values(tmp_path: Path, text: str, value: object) -> None:
    assert argument(tmp_path, text) == value


def test_not_a_number(tmp_path: Path) -> None:
    assert math.isnan(argument(tmp_path, "f: nan"))
    assert math.isnan(argument(tmp_path, "f: -nan"))


@pytest.mark.parametrize("count", [0, 1, 7, 8, 1000])
def test_numbers_in_a_row(tmp_path: Path, count: int) -> None:
    random = np.random.default_rng(count)
    floats = random.standard_normal(count).astype(np.float32)
    ints = random.integers(-(2**63), 2**63 - 1, count, np.int64)
    lines = [f"floats: {each!r}".replace("np.float32(", "").replace(")", "") for each in floats]
    read_floats = argument(tmp_path, "\n".join(["", *lines, "floats: inf floats: [1, 2]", *lines, ""]))
    assert read_floats.dtype == np.float32
    np.testing.assert_array_equal(read_floats, [*floats, np.inf, 1, 2, *floats])
    read_ints = argument(tmp_path, "\n".join([*(f"ints: {each}" for each in ints), "ints: 010", "ints: 9", ""]))
    assert read_ints.dtype == np.int64
    np.testing.assert_array_equal(read_ints, [*ints, 8, 9])


def test_nested_messages(tmp_path: Path) -> None:
    net = argument(tmp_path, 'n { op { type: "Inner" } external_input: "x" }')
    assert isinstance(net, NetDef)
    assert (net.ops[0].type, net.inputs) == ("Inner", ["x"])
    nets = argument(tmp_path, 'nets [{ name: "one" }, < name: "two" >]')
    assert [net.name for net in nets] == ["one", "two"]
    tensor = argument(tmp_path, 't { dims: 2 data_type: UINT8 byte_data: "\\001\\002" name: "w" }')
    np.testing.assert_array_equal(tensor.values, np.array([1, 2], np.uint8))


@pytest.mark.parametrize(
    "text, message",
    [
        ("nonsense", "line 2: NetDef has no field 'nonsense'"),
        ("op { type }", "':' is expected, and there is '}'"),
        ("op { type: 5 }", "a string is expected, and there is '5'"),
        ('op { type: "a }', "'\"' is not understood"),
        ('op { type: "\\q" }', "unknown escape"),
        ('op { type: "\\uD800" }', "no character"),
        ('op { type: "\\377" }', "no UTF-8"),
        ('op { arg { name: "a" i: 5.5 } }', "a number is expected, and there is '5.5'"),
        ('op { arg { name: "a" i: 9223372036854775808 } }', "too large"),
        ('op { arg { name: "a" i: 1 i: 2 } }', "'i' is there twice"),
        ('op { arg { name: "a" ints: [1 2] } }', "',' or ']'"),
        ("op { device_option { device_type: TPU } }", "no value of the name TPU"),
        ("op {", "it ends before the name of a field"),
        ("op { >", "is expected, and there is '>'"),
        ("op: 5", "'{' is expected"),
        ("}", "the name of a field is expected, and there is '}'"),
        ("op { arg { n { " * 40, "nested more than 64 deep"),
    ],
)
def test_what_is_no_net(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ReadError, match="line 2") as raised:
        read(tmp_path, "\n" + text)
    assert message in str(raised.value)

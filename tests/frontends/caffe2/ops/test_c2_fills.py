"""Tensors out of nothing, against the real Caffe2; and what of them the builder knows and a writer is asked for."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from nxconvert import NxConvertError
from nxconvert.formats.caffe2 import DeviceOption, OperatorDef
from nxconvert.formats.tensors import ComputedTensor
from nxconvert.frontends.caffe2.machine import Machine
from nxconvert.frontends.caffe2.random_fills import RANDOM_FILLS, random_fill
from nxconvert.frontends.caffe2.weights import filled
from nxconvert.graph.builder import FOLD_LIMIT, Builder, Value
from tests.frontends.caffe2.ops.harness import Op, Weight, check, run_lowered


@pytest.mark.parametrize(
    "args",
    [
        {"value": 3, "dtype": 10},
        {"value": 3},
        {"value": 3.5},
        {"value": "abc", "dtype": 4},
        {"dtype": 4},
        {"value": 5, "dtype": 5},
        {"value": 7, "dtype": 7},
        {"value": 7, "dtype": 9},
        {"value": 3.5, "dtype": 13},
    ],
    ids=str,
)
def test_constant(args: dict) -> None:
    check("ConstantFill", shape=[2, 3], **args)
    check("ConstantFill", **args)
    check("ConstantFill", np.zeros((3, 2), np.float32), **args)
    check("ConstantFill", np.zeros((3, 2), np.float32), extra_shape=[2], **args)
    check("ConstantFill", Weight(np.array([4, 0, 2])), input_as_shape=1, **args)
    check("ConstantFill", np.array([4, 2]), input_as_shape=1, free=(False,), **args)


@pytest.mark.parametrize("args", [{"value": 300, "dtype": 6}, {"value": 3.5, "dtype": 10}, {"dtype": 12}], ids=str)
def test_constants_that_are_none(args: dict) -> None:
    with pytest.raises(NxConvertError, match="dtype"):
        run_lowered([Op("ConstantFill", [], ["y"], {"shape": [2], **args})], {}, ["y"])


@pytest.mark.parametrize(
    ("operator", "args"),
    [
        ("GivenTensorFill", {"values": [1.5, -2.0]}),
        ("GivenTensorFill", {"values": [1, 0], "dtype": 5}),
        ("GivenTensorFill", {"values": ["a", "bc"], "dtype": 4}),
        ("GivenTensorFill", {"values": [1, 0], "dtype": "int32"}),
        ("GivenTensorDoubleFill", {"values": [1.5, -2.0]}),
        ("GivenTensorBoolFill", {"values": [2, 0]}),
        ("GivenTensorIntFill", {"values": [2, -1]}),
        ("GivenTensorInt16Fill", {"values": [2, -1]}),
        ("GivenTensorInt64Fill", {"values": [2, -1]}),
        ("GivenTensorStringFill", {"values": ["a", "bc"]}),
        ("GivenTensorByteStringToUInt8Fill", {"values": [b"\xff\x00"]}),
    ],
)
def test_given_values(operator: str, args: dict) -> None:
    check(operator, shape=[1, 2, 1], **args)
    check(operator, np.zeros((2, 1), np.float32), **args)


def test_values_without_a_shape() -> None:
    check("GivenTensorFill", values=[2.5])
    check("GivenTensorFill", shape=[0, 3], values=[])
    with pytest.raises(NxConvertError, match="has 3 values"):
        run_lowered([Op("GivenTensorFill", [], ["y"], {"shape": [2], "values": [1.0, 2.0, 3.0]})], {}, ["y"])


def test_float16() -> None:
    check("Float16ConstantFill", shape=[2, 1], value=1.5)


@pytest.mark.parametrize("shape", [[2, 3], [4, 2], [3, 3, 3], [0, 2]], ids=str)
def test_diagonals(shape: list[int]) -> None:
    check("DiagonalFill", shape=shape, value=2.5)
    check("DiagonalFill", shape=shape, value=1, dtype=5)
    if len(shape) == 2:
        check("DiagonalFill", np.zeros(shape, np.float32), value=3, dtype=2)


def test_counted() -> None:
    check("RangeFill", shape=[2, 3])
    check("RangeFill", np.zeros((2, 3), np.float32))


@pytest.mark.parametrize("kind", [np.asarray, Weight])
@pytest.mark.parametrize(
    "bounds",
    [(5,), (1, 5), (5, 1), (0, -5, -2), (0, -4, -2), (0, 1, -2), (0, 5, -2), (0, 5, 2), (5, 1, 2)],
    ids=str,
)
def test_ranges(bounds: tuple[int, ...], kind: type) -> None:
    """With the runtime's own idea of where a range downwards ends."""
    check("Range", *(kind(np.array([bound], np.int32)) for bound in bounds))
    check("Range", *(kind(np.array(bound, np.float32)) for bound in bounds))
    check("Range", *(kind(np.array(bound * 0.7, np.float64)) for bound in bounds))


def test_parameters_are_known_or_left_to_the_writer() -> None:
    """A large fill is computed when it is written, a small one is known; each has the blob's name."""
    op = Builder()
    large = filled(op, 1.5, ir.DataType.FLOAT, [FOLD_LIMIT + 1], "large")
    small = filled(op, 1.5, ir.DataType.FLOAT, [3], "small")
    assert isinstance(large.const_value, ComputedTensor)
    assert (large.name, small.name) == ("large", "small")
    assert large.array is None
    assert small.array is not None
    assert filled(op, 1.5, ir.DataType.FLOAT, [3], "small") is small


def random_machine(operator: str, seed: int | None, **args: object) -> Value:
    machine = Machine(Builder(), lambda message: None)
    device = None if seed is None else DeviceOption(random_seed=seed)
    machine.run([OperatorDef(operator, [], ["y"], {"shape": [2, 3], **args}, device=device)])
    return machine.blobs["y"]  # type: ignore[return-value]


@pytest.mark.parametrize("operator", sorted(RANDOM_FILLS))
def test_random_numbers_need_a_seed(operator: str) -> None:
    args = {"min": 0, "max": 9} if "Int" in operator or "Unique" in operator else {}
    value = random_machine(operator, 7, **args)
    assert value.name == "y"
    assert np.array_equal(value.const_value.numpy(), random_fill(operator, [2, 3], args, 7))
    with pytest.raises(NxConvertError, match="has no seed"):
        random_machine(operator, None, **args)

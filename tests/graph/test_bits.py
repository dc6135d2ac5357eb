"""Bytes become floats and floats bytes, in ONNX Runtime as in memory."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import onnxruntime

from nxconvert.graph.bits import bytes_of_float32, float32_of_bytes
from nxconvert.graph.builder import Builder, Value
from nxconvert.graph.dims import Dim
from nxconvert.graph.finish import finish


def patterns() -> np.ndarray:
    """Bit patterns: ends and middles of every binade of both signs, and random ones; no NaNs: uint32[n]."""
    exponents = np.arange(255, dtype=np.uint32)[:, None] << 23
    mantissas = np.array([0, 1, 2, 0x3FFFFF, 0x400000, 0x7FFFFE, 0x7FFFFF], np.uint32)
    random = np.random.default_rng(0).integers(0, 0x7F800000, 4000, np.uint32)
    positive = np.concatenate([(exponents + mantissas).ravel(), random, [0x7F800000]]).astype(np.uint32)
    return np.concatenate([positive, positive | np.uint32(1 << 31)])


def run(op: Builder, y: Value, x: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(ir.to_proto(finish(op, {"y": y})).SerializeToString())
    return np.asarray(session.run(None, {"x": x})[0])


def test_bytes_become_floats() -> None:
    bits = np.concatenate([patterns(), np.array([0x7F800001, 0x7FC00000, 0xFFFFFFFF], np.uint32)])
    op = Builder()
    y = float32_of_bytes(op, op.input("x", ir.DataType.UINT8, [Dim.symbol("n"), 4]))
    got = run(op, y, bits[:, None].view(np.uint8))
    assert got.dtype == np.float32
    assert got.shape == bits.shape
    want = bits.view(np.float32)
    numbers = ~np.isnan(want)
    np.testing.assert_array_equal(got.view(np.uint32)[numbers], bits[numbers])
    assert np.isnan(got[~numbers]).all()


def test_floats_become_bytes() -> None:
    bits = np.concatenate([patterns(), np.array([0x7FC00000], np.uint32)])
    op = Builder()
    y = bytes_of_float32(op, op.input("x", ir.DataType.FLOAT, [Dim.symbol("n")]))
    got = run(op, y, bits.view(np.float32))
    assert got.dtype == np.uint8
    np.testing.assert_array_equal(got, bits[:, None].view(np.uint8))

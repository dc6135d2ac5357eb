"""Quantized weights of int8, which become uint8 where kernels of integers would saturate."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from nxconvert.passes import RemoveUnused, UnsignedActivations, UnsignedWeights, WidenLoneWeights, optimize
from tests.passes.models import model, operators, run

SCALES = {"s": np.float32(0.02), "zx": np.uint8(3), "zw": np.int8(0)}
LAYERS = {
    "Conv": ("float[1, 2, 6, 6]", "Conv(dx, dw)", (3, 2, 3, 3)),
    "Gemm": ("float[4, 12]", "Gemm<transB = 1>(dx, dw)", (5, 12)),
    "MatMul": ("float[4, 12]", "MatMul(dx, dw)", (12, 5)),
    "moved": ("float[4, 12]", "MatMul(moved, dw)", (4, 5)),
}
MOVED = "moved = Transpose<perm = [1, 0]>(dx) "


def largest_weights(*shape: int) -> np.ndarray:
    """Weights whose products with large activations do not fit into 16 bits."""
    return np.random.default_rng(0).choice(np.array([-128, -126, 125, 127], np.int8), shape)


def layer(kind: str, *, activation: str = "zx", **extra: np.ndarray) -> ir.Model:
    spec, call, shape = LAYERS[kind]
    text = (
        f"({spec} x) => (float[?] y) {{ q = QuantizeLinear(x, s, {activation})  "
        f"dx = DequantizeLinear(q, s, {activation})  {MOVED if kind == 'moved' else ''} "
        f"dw = DequantizeLinear(w, s, zw)  r = {call}  shape = Shape(r)  y = Reshape(r, minus) }}"
    )
    constants = {**SCALES, "w": largest_weights(*shape), "minus": np.array([-1]), **extra}
    return model(text, constants)


def on_integer_kernels(graph: ir.Model, x: np.ndarray) -> np.ndarray:
    """The result with ONNX Runtime's own fusions."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(ir.to_proto(graph).SerializeToString(), options)
    return session.run(None, {"x": x})[0]


@pytest.mark.parametrize("kind", LAYERS)
def test_weights_become_unsigned_and_stand_for_the_same(kind: str) -> None:
    graph = layer(kind)
    x = np.random.default_rng(1).uniform(0, 5, list(graph.graph.inputs[0].shape)).astype(np.float32)
    before = run(graph, {"x": x})[0]
    assert UnsignedWeights()(graph).modified
    weight = graph.graph.initializers["w"]
    assert weight.dtype == weight.const_value.dtype == ir.DataType.UINT8
    np.testing.assert_array_equal(run(graph, {"x": x})[0], before)
    np.testing.assert_allclose(on_integer_kernels(graph, x), before, rtol=1e-5, atol=1e-4)
    assert not UnsignedWeights()(graph).modified


def test_quantized_convolution_does_not_saturate() -> None:
    """With a quantized result ONNX Runtime computes with integers alone."""
    text = (
        "(float[1, 2, 6, 6] x) => (float[1, 3, 4, 4] y) { q = QuantizeLinear(x, s, zx)  "
        "dx = DequantizeLinear(q, s, zx)  dw = DequantizeLinear(w, s, zw)  r = Conv(dx, dw)  "
        "qr = QuantizeLinear(r, t, zt)  y = DequantizeLinear(qr, t, zt) }"
    )
    scales = {**SCALES, "t": np.float32(1.5), "zt": np.uint8(128)}
    graph = model(text, {**scales, "w": largest_weights(3, 2, 3, 3)})
    x = np.random.default_rng(1).uniform(3, 5, (1, 2, 6, 6)).astype(np.float32)
    exact = run(graph, {"x": x})[0]
    optimize(graph)
    np.testing.assert_allclose(on_integer_kernels(graph, x), exact, atol=1.5 * 1.01)


def test_channels_have_zero_points_of_their_own() -> None:
    per_channel = {"zw": np.array([0, 3, -5], np.int8), "s2": np.array([0.1, 0.2, 0.3], np.float32)}
    text = (
        "(float[1, 2, 6, 6] x) => (float[1, 3, 4, 4] y) { q = QuantizeLinear(x, s, zx)  "
        "dx = DequantizeLinear(q, s, zx)  dw = DequantizeLinear<axis = 0>(w, s2, zw)  y = Conv(dx, dw) }"
    )
    graph = model(text, {**SCALES, **per_channel, "w": largest_weights(3, 2, 3, 3)})
    x = np.random.default_rng(1).uniform(0, 5, (1, 2, 6, 6)).astype(np.float32)
    before = run(graph, {"x": x})[0]
    UnsignedWeights()(graph)
    assert graph.graph.initializers["w"].dtype == ir.DataType.UINT8
    np.testing.assert_array_equal(run(graph, {"x": x})[0], before)


@pytest.mark.parametrize(
    ("clip", "highest", "dtype"),
    [("Clip(q, low, high)", 127, ir.DataType.INT8), ("Identity(q)", 255, ir.DataType.UINT8)],
)
def test_products_of_integers(clip: str, highest: int, dtype: ir.DataType) -> None:
    """A weight that meets 7 bits only cannot saturate, and stays."""
    text = f"(uint8[4, 12] q) => (int32[4, 5] y) {{ c = {clip}  y = MatMulInteger(c, w, zx) }}"
    constants = {"zx": np.uint8(3), "w": largest_weights(12, 5), "low": np.uint8(0), "high": np.uint8(127)}
    graph = model(text, constants)
    q = np.random.default_rng(1).integers(0, 255, (4, 12)).astype(np.uint8)
    UnsignedWeights()(graph)
    assert graph.graph.initializers["w"].dtype == dtype
    exact = (np.minimum(q, highest).astype(np.int32) - 3) @ constants["w"].astype(np.int32)
    np.testing.assert_array_equal(run(graph, {"q": q})[0], exact)


def test_what_has_to_stay() -> None:
    signed = layer("Conv", activation="zs", zs=np.int8(3))
    assert not UnsignedWeights()(signed).modified, "activations of int8 want weights of int8"
    computed = model(
        "(float[4, 12] x, int8[12, 5] w) => (float[4, 5] y) { q = QuantizeLinear(x, s, zx)  "
        "dx = DequantizeLinear(q, s, zx)  dw = DequantizeLinear(w, s, zw)  y = MatMul(dx, dw) }",
        SCALES,
    )
    assert not UnsignedWeights()(computed).modified
    floats = model(
        "(float[4, 12] x) => (float[4, 5] y) { dw = DequantizeLinear(w, s, zw)  y = MatMul(x, dw) }",
        {**SCALES, "w": largest_weights(12, 5)},
    )
    assert not UnsignedWeights()(floats).modified


def test_a_weight_that_others_read_is_copied() -> None:
    text = (
        "(float[4, 12] x) => (float[4, 5] y, float[4, 5] z, int8[12, 5] v) { q = QuantizeLinear(x, s, zx)  "
        "dx = DequantizeLinear(q, s, zx)  da = DequantizeLinear(w, s, zw)  db = DequantizeLinear(w, t, zw)  "
        "y = MatMul(dx, da)  z = MatMul(dx, db)  v = Identity(w) }"
    )
    graph = model(text, {**SCALES, "t": np.float32(0.5), "w": largest_weights(12, 5)})
    x = np.random.default_rng(1).uniform(0, 5, (4, 12)).astype(np.float32)
    before = run(graph, {"x": x})
    UnsignedWeights()(graph)
    RemoveUnused()(graph)
    assert graph.graph.initializers["w"].dtype == ir.DataType.INT8
    assert graph.graph.initializers["w.unsigned"].dtype == ir.DataType.UINT8
    assert operators(graph).count("DequantizeLinear") == 3
    for got, want in zip(run(graph, {"x": x}), before, strict=True):
        np.testing.assert_array_equal(got, want)


def network(zero: int, high: int = 127) -> ir.Model:
    """A quantized convolution of int8 throughout, with results of the largest products."""
    text = (
        "(float[1, 2, 6, 6] x) => (float[1, 3, 4, 4] y) { q = QuantizeLinear(x, s, zx)  c = Clip(q, low, high)  "
        "dx = DequantizeLinear(c, s, zx)  dw = DequantizeLinear(w, s, zw)  r = Conv(dx, dw)  "
        "qr = QuantizeLinear(r, t, zx)  y = DequantizeLinear(qr, t, zx) }"
    )
    limits = {"low": np.int8(-128), "high": np.int8(high)}
    constants = {**SCALES, **limits, "zx": np.int8(zero), "t": np.float32(0.7), "w": largest_weights(3, 2, 3, 3)}
    return model(text, constants)


@pytest.mark.parametrize("high", [127, 100])
def test_activations_become_unsigned(high: int) -> None:
    graph = network(-120, high)
    x = np.random.default_rng(1).uniform(0, 5, (1, 2, 6, 6)).astype(np.float32)
    exact = run(graph, {"x": x})[0]
    assert UnsignedActivations()(graph).modified
    np.testing.assert_array_equal(run(graph, {"x": x})[0], exact)
    optimize(graph)
    assert {v.dtype for node in graph.graph for v in node.outputs} == {ir.DataType.FLOAT, ir.DataType.UINT8}
    np.testing.assert_allclose(on_integer_kernels(graph, x), exact, atol=0.7 * 1.01)


def test_activations_that_stay_signed() -> None:
    assert not UnsignedActivations()(network(0)).modified, "symmetric quantization is for accelerators"
    shown = model(
        "(float[4] x) => (float[4] y, int8[4] q) { q = QuantizeLinear(x, s, z)  y = DequantizeLinear(q, s, z) }",
        {"s": np.float32(0.02), "z": np.int8(3)},
    )
    assert not UnsignedActivations()(shown).modified
    cast = model(
        "(float[4] x) => (float[4] y, int32[4] c) { q = QuantizeLinear(x, s, z)  y = DequantizeLinear(q, s, z)  "
        "c = Cast<to = 6>(q) }",
        {"s": np.float32(0.02), "z": np.int8(3)},
    )
    assert not UnsignedActivations()(cast).modified


LONE = {
    "one scale": (64, 32, "DequantizeLinear(w, s)", {"s": np.float32(0.02)}),
    "zero point": (64, 32, "DequantizeLinear(w, s, z)", {"s": np.float32(0.02), "z": np.int8(3)}),
    "a scale for each column": (64, 32, "DequantizeLinear<axis = 1>(w, s)", {"s": np.linspace(0.01, 0.1, 32)}),
    "a scale for each row": (
        64, 32, "DequantizeLinear<axis = 0>(w, s, z)",
        {"s": np.linspace(0.01, 0.1, 64), "z": np.arange(64).astype(np.int8)},
    ),
    "transposed": (32, 64, "DequantizeLinear<axis = 0>(w, s)", {"s": np.linspace(0.01, 0.1, 32)}),
}  # fmt: skip


@pytest.mark.parametrize("kind", LONE)
def test_floats_are_not_quantized_along_with_a_weight(kind: str) -> None:
    rows, columns, call, constants = LONE[kind]
    floats = {key: value.astype(np.float32) if value.dtype == np.float64 else value for key, value in constants.items()}
    turn = "m = Transpose<perm = [1, 0]>(d)" if kind == "transposed" else "m = Identity(d)"
    graph = model(
        f"(float[2, 3, 64] x) => (float[2, 3, 32] y) {{ d = {call}  {turn}  y = MatMul(x, m) }}",
        {**floats, "w": largest_weights(rows, columns)},
    )
    x = np.random.default_rng(1).standard_normal((2, 3, 64)).astype(np.float32)
    exact = run(graph, {"x": x})[0]
    optimize(graph)
    assert "DequantizeLinear" not in operators(graph)
    np.testing.assert_allclose(run(graph, {"x": x})[0], exact, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(on_integer_kernels(graph, x), exact, rtol=1e-4, atol=1e-4)


def test_quantized_layers_stay_quantized() -> None:
    assert not WidenLoneWeights()(layer("MatMul")).modified
    assert not WidenLoneWeights()(layer("moved")).modified


def test_floats_quantized_by_their_own_range_are_floats_to_a_runtime() -> None:
    text = (
        "(float[2, 3, 64] x) => (float[2, 3, 32] y) { a = Abs(x)  top = ReduceMax<keepdims = 0>(a)  sx = Div(top, c)  "
        "q = QuantizeLinear(x, sx, z)  dx = DequantizeLinear(q, sx, z)  d = DequantizeLinear(w, s)  y = MatMul(dx, d) }"
    )
    constants = {"s": np.float32(0.02), "c": np.float32(127), "z": np.int8(0), "w": largest_weights(64, 32)}
    graph = model(text, constants)
    x = np.random.default_rng(1).standard_normal((2, 3, 64)).astype(np.float32)
    exact = run(graph, {"x": x})[0]
    optimize(graph)
    np.testing.assert_allclose(on_integer_kernels(graph, x), exact, rtol=1e-4, atol=1e-4)

"""Scales of operands that weights take over: which layers, which factors, and what has to stay."""

from __future__ import annotations

import numpy as np
import pytest

from nxconvert.passes import FoldOperandScalesIntoWeights, RemoveUnused
from tests.passes.models import assert_rewritten, model, weights

PASSES = [FoldOperandScalesIntoWeights(), RemoveUnused()]
SHAPES = {"w": (6, 4, 3, 3), "g": (6, 2, 3, 3), "t": (4, 3, 3, 3), "f": (100, 5), "ft": (5, 100), "b": (5,)}
FACTORS = {"s": (), "one": (1,), "c": (4, 1, 1), "wide": (1, 4, 1, 1), "k": (100,), "rows": (25,), "full": (4, 5, 5)}
FLAT = {"flat": np.array([0, 100])}

IMAGES = {
    "Conv<pads = [1, 2, 0, 1], strides = [2, 1]>(m, w)": ["s", "one", "c", "wide"],
    "Conv<group = 2>(m, g)": ["s"],
    "ConvTranspose<group = 2>(m, t)": ["s", "c"],
}


@pytest.mark.parametrize(("layer", "factor"), [(layer, factor) for layer, all_ in IMAGES.items() for factor in all_])
@pytest.mark.parametrize("scaling", ["Mul(x, FACTOR)", "Mul(FACTOR, x)", "Div(x, FACTOR)"])
def test_images(layer: str, factor: str, scaling: str):
    text = f"(float[N, 4, 7, 7] x) => (float[N, 6, P, Q] y) {{ m = {scaling.replace('FACTOR', factor)}  y = {layer} }}"
    constants = weights(**SHAPES, **FACTORS)
    graph = model(text, constants)
    RemoveUnused()(graph)
    assert_rewritten(PASSES, graph, [layer.split("(")[0].split("<")[0]], N=2)


@pytest.mark.parametrize("layer", ["MatMul(m, f)", "Gemm(m, f, b)", "Gemm<transB = 1, alpha = 0.5>(m, ft)"])
@pytest.mark.parametrize("scaling", ["m = Mul(x, s)", "m = Div(x, s)", "m = Mul(x, k)"])
def test_rows(layer: str, scaling: str):
    text = f"(float[N, 100] x) => (float[N, 5] y) {{ {scaling}  y = {layer} }}"
    graph = model(text, weights(**SHAPES, **FACTORS))
    RemoveUnused()(graph)
    left = [layer.split("(")[0].split("<")[0]]
    assert_rewritten(PASSES, graph, left + ["Mul"] * (left == ["MatMul"] and "k" in scaling), N=2)


def test_one_number_passes_through_reshapes():
    text = "(float[N, 4, 5, 5] x) => (float[N, 5] y) { a = Mul(x, s)  m = Reshape(a, flat)  y = Gemm(m, f, b) }"
    graph = model(text, weights(**SHAPES, **FACTORS) | FLAT)
    RemoveUnused()(graph)
    assert_rewritten(PASSES, graph, ["Reshape", "Gemm"], N=2)


def test_a_small_weight_of_two_layers_becomes_two():
    text = (
        "(float[N, 4, 7, 7] x) => (float[N, 6, 5, 5] y, float[N, 6, 5, 5] z) "
        "{ m = Mul(x, s)  y = Conv(m, w)  z = Conv(x, w) }"
    )
    graph = model(text, weights(w=(6, 4, 3, 3), s=()))
    assert_rewritten(PASSES, graph, ["Conv", "Conv"], N=2)
    assert list(graph.graph.initializers) == ["w", "w.scaled"]


STAYS = {
    "what is scaled is read elsewhere": "m = Mul(x, s)  a = Conv(m, w)  y = Mul(m, c)",
    "a factor for each place": "m = Mul(x, full)  y = Conv(m, w)",
    "channels in groups": "m = Mul(x, c)  y = Conv<group = 2>(m, g)",
    "channels behind a reshape": "a = Mul(x, c)  m = Reshape(a, flat)  y = Gemm(m, f, b)",
    "a factor that is no constant": "m = Mul(x, n)  y = Conv(m, w)",
    "the inverse": "m = Div(s, x)  y = Conv(m, w)",
    "a division by 0": "m = Div(x, zero)  y = Conv(m, w)",
    "a factor that leaves weights without precision": "m = Mul(x, tiny)  y = Conv(m, w)",
    "a weight that is computed": "v = Mul(w, n)  m = Mul(x, s)  y = Conv(m, v)",
}


@pytest.mark.parametrize("case", STAYS)
def test_what_has_to_stay(case: str):
    constants = weights(**SHAPES, **{**FACTORS, "full": (4, 5, 5)}) | FLAT
    constants |= {"zero": np.zeros(1, np.float32), "tiny": np.full(1, 1e-20, np.float32)}
    outputs = "float[N, 5] y" if "Gemm" in STAYS[case] else "float[N, A, B, C] y"
    graph = model(f"(float[N, 4, 5, 5] x, float[1] n) => ({outputs}) {{ {STAYS[case]} }}", constants)
    assert not FoldOperandScalesIntoWeights()(graph).modified


def test_one_channel_that_is_broadcast_stays():
    graph = model(
        "(float[N, 1, 5, 5] x) => (float[N, 6, 3, 3] y) { m = Mul(x, c)  y = Conv(m, w) }",
        weights(w=(6, 4, 3, 3), c=(4, 1, 1)),
    )
    assert not FoldOperandScalesIntoWeights()(graph).modified

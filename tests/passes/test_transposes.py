"""Transposes around nodes that work in any order of dims."""

from __future__ import annotations

import numpy as np
import pytest

from nxconvert.passes import ComposeTransposes, DropTransposes, EliminateIdentities, Sweep, default_passes
from tests.passes.models import assert_rewritten, model, operators, weights

PASSES = [DropTransposes(), Sweep([EliminateIdentities(), ComposeTransposes()])]
LAST, FIRST = "Transpose<perm = [0, 2, 3, 1]>", "Transpose<perm = [0, 3, 1, 2]>"

#: What works in any order, on `a`, an image with four channels last.
BETWEEN = {
    "one operand": ("b = Relu(a)  c = Sigmoid(b)", ["Relu", "Sigmoid"]),
    "numbers": ("b = Clip(a, low)  c = Mul(one, b)", ["Clip", "Mul"]),
    "a number a channel": ("b = Mul(a, scale)  c = Add(wide, b)", ["Add", "Mul", "Reshape", "Reshape"]),
    "a number a pixel": ("c = Add(a, pixels)", ["Add", "Reshape", "Transpose"]),
    "slopes": ("c = PRelu(a, scale)", ["PRelu", "Reshape"]),
    "itself": ("b = Sigmoid(a)  c = Mul(a, b)", ["Mul", "Sigmoid"]),
    "softmax": ("c = Softmax(a)", ["Softmax"]),
    "softmax of an axis": ("c = Softmax<axis = 1>(a)", ["Softmax"]),
    "concat": ("b = Relu(a)  c = Concat<axis = -1>(a, b)", ["Concat", "Relu"]),
    "split": ("b, d = Split<axis = 3, num_outputs = 2>(a)  c = Add(b, d)", ["Add", "Split"]),
    "gather": ("c = Gather<axis = -1>(a, order)", ["Gather"]),
    "slice": ("c = Slice(a, starts, ends, axes)", ["Slice"]),
    "pad": ("c = Pad(a, pads)", ["Pad"]),
    "reduction": ("c = ReduceMean(a, axes)", ["ReduceMean"]),
    "quantization": (
        "b = QuantizeLinear(a, number, zero)  c = DequantizeLinear(b, number, zero)",
        ["DequantizeLinear", "QuantizeLinear"],
    ),
    "where": ("b = Greater(a, number)  c = Where(b, a, number)", ["Greater", "Where"]),
}  # fmt: skip


@pytest.mark.parametrize("what", BETWEEN)
def test_what_works_in_any_order(what: str):
    body, expected = BETWEEN[what]
    constants = weights(scale=(4,), wide=(1, 1, 1, 4), one=(1,), low=(), number=(), pixels=(3, 5, 1))
    constants |= {"order": np.array([3, 1, 0]), "pads": np.array([0, 1, 0, 2, 0, 0, 1, 3]), "axes": np.array([1, -1])}
    constants |= {"starts": np.array([1, 0]), "ends": np.array([9, 3]), "zero": np.array(7, np.uint8)}
    constants["number"] = np.abs(constants["number"]) + np.float32(0.1)
    graph = model(
        f"(float[N, 4, 3, 5] x) => (float[P, Q, R, S] y) {{ a = {LAST}(x)  {body}  y = {FIRST}(c) }}", constants
    )
    assert_rewritten(PASSES, graph, expected)


def test_a_net_with_the_channels_last():
    image = "float[N, H, W, {0}]"
    body = f"""
    {{ t = {FIRST}(x)  c = Conv<pads = [1, 1, 1, 1]>(t, w)  b = {LAST}(c)  r = Relu(b)
       u = {FIRST}(r)  d = Conv<pads = [1, 1, 1, 1]>(u, v)  e = {LAST}(d)  s = Add(r, e)  q = Relu(s)
       p = {FIRST}(q)  y = GlobalAveragePool(p) }}"""
    graph = model(f"({image.format(3)} x) => (float[N, 6, A, B] y) {body}", weights(w=(6, 3, 3, 3), v=(6, 6, 3, 3)))
    expected = ["Add", "Conv", "Conv", "GlobalAveragePool", "Relu", "Relu", "Transpose"]
    assert_rewritten(PASSES, graph, expected, H=5, W=4)


def test_what_comes_in_and_goes_out_otherwise_is_transposed():
    graph = model(
        f"""(float[N, 4, 3, 5] x, float[N, 3, 5, 4] z)
        => (float[N, 3, 5, 4] y, float[N, 4, 3, 5] o, float[N, 4, 3, 5] m)
        {{ a = {LAST}(x)  b = Relu(a)  c = Add(b, z)  y = Sigmoid(c)  o = {FIRST}(c)  m = {FIRST}(b) }}"""
    )
    assert_rewritten(PASSES, graph, ["Add", "Relu", "Sigmoid", "Transpose", "Transpose"])


def test_a_transpose_that_others_read_stays_for_them():
    graph = model(
        f"""(float[N, 4, 3, 5] x) => (float[N, 4, 3, 5] y, float[N, Q] z)
        {{ a = {LAST}(x)  b = Relu(a)  y = {FIRST}(b)  z = Flatten(a) }}"""
    )
    assert_rewritten(PASSES, graph, ["Flatten", "Relu", "Transpose"])


def test_the_order_that_saves_most_is_taken():
    other = "Transpose<perm = [0, 2, 1, 3]>"
    graph = model(
        f"""(float[N, 4, 3, 5] x, float[N, 5, 3, 4] z, float[N, 5, 3, 4] w) => (float[N, 5, 3, 4] y)
        {{ a = {LAST}(x)  b = {other}(z)  c = {other}(w)  d = Mul(a, b)  e = Add(d, c)  y = {other}(e) }}"""
    )
    assert_rewritten(PASSES, graph, ["Add", "Mul", "Transpose"])


KEPT = {
    "nothing is saved": (f"a = {LAST}(x)  y = Relu(a)", "N, 3, 5, 4"),
    "an operand of another rank": (f"a = {LAST}(x)  b = Add(a, v)  y = {FIRST}(b)", "N, 4, 3, 5"),
    "a matrix": ("f = Flatten(x)  a = Transpose(f)  b = Relu(a)  y = Transpose(b)", "N, 60"),
    "dims that go": (f"a = {LAST}(x)  y = ReduceMax<keepdims = 0>(a, axes)", "N, 5, 4"),
}


@pytest.mark.parametrize("why", KEPT)
def test_kept(why: str):
    body, shape = KEPT[why]
    graph = model(f"(float[N, 4, 3, 5] x, float[4] v) => (float[{shape}] y) {{ {body} }}", {"axes": np.array([1])})
    assert_rewritten(PASSES, graph, operators(graph))


def test_constants_are_reordered_when_the_file_is_written():
    text = f"(float[N, 4, 3, 5] x) => (float[N, 4, 3, 5] y) {{ a = {LAST}(x)  b = Mul(a, scale)  y = {FIRST}(b) }}"
    graph = model(text, weights(scale=(3, 5, 4)))
    assert_rewritten(default_passes(), graph, ["Mul"])

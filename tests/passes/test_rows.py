"""Rows made a matrix: each kind of node against ONNX Runtime, what goes in and out, and what has to stay."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from nxconvert.passes import FlattenRows, FoldConstants, MatMulToGemm, RemoveUnused, Sweep
from tests.passes.models import assert_rewritten, model, weights

PASSES = [FlattenRows(), Sweep([MatMulToGemm()]), FoldConstants(), RemoveUnused()]
SHAPES = {"w": (4, 6), "v": (6, 4), "b": (6,), "c": (4,), "g": (6,), "wide": (1, 1, 6), "one": (), "large": (5, 6)}
SIZES = {"N": 2, "T": 7}


def rewritten(text: str, expected: list[str], **others: np.ndarray) -> ir.Model:
    return assert_rewritten(PASSES, model(text, weights(**SHAPES) | others), expected, **SIZES)


@pytest.mark.parametrize("lead", ["N, 5", "2, 5", "N, 3, 5", "5, N"])
def test_two_layers(lead: str):
    text = f"(float[{lead}, 4] x) => (float[{lead}, 4] y) {{ p = MatMul(x, w)  q = Add(b, p)  r = Relu(q) "
    graph = rewritten(text + "s = MatMul(r, v)  y = Add(s, c) }", ["Reshape", "Gemm", "Relu", "Gemm", "Reshape"])
    assert [node.op_type for node in graph.graph] == ["Reshape", "Gemm", "Relu", "Gemm", "Reshape"]


MIDDLE = {
    "Add(q, wide)": ["Add"],
    "Mul(one, q)": ["Mul"],
    "Add(q, q)": ["Add"],
    "Softmax(q)": ["Softmax"],
    "Softmax<axis = 2>(q)": ["Softmax"],
    "LayerNormalization<axis = 2>(q, b, g)": ["LayerNormalization"],
    "Clip(q, one)": ["Clip"],
    "Where(truth, q, one)": ["Where"],
}


@pytest.mark.parametrize("middle", MIDDLE)
def test_what_works_on_rows(middle: str):
    text = f"(float[N, 5, 4] x) => (float[N, 5, 4] y) {{ p = MatMul(x, w)  q = Add(p, b)  m = {middle} "
    truth = np.arange(6) % 2 == 0
    expected = ["Reshape", "Gemm", *MIDDLE[middle], "Gemm", "Reshape"]
    rewritten(text + "s = MatMul(m, v)  y = Add(s, c) }", expected, truth=truth)


PARTS = {
    "h, k = Split<axis = 2, num_outputs = 2>(q)  z = Mul(h, k)  m = Concat<axis = -1>(z, h)": [
        "Concat",
        "Mul",
        "Split",
    ],
    "a = ReduceMean(q, two)  m = Sub(q, a)": ["ReduceMean", "Sub"],
    "a = Slice(q, from, to, two)  e = Slice(q, to, six, two)  m = Concat<axis = 2>(e, a)": ["Concat", "Slice", "Slice"],
}


@pytest.mark.parametrize("middle", PARTS)
def test_parts_of_rows(middle: str):
    text = f"(float[N, 5, 4] x) => (float[N, 5, 4] y) {{ p = MatMul(x, w)  q = Add(p, b)  {middle} "
    bounds = {name: np.array([number]) for name, number in (("from", 0), ("to", 4), ("two", 2), ("six", 6))}
    rewritten(
        text + "s = MatMul(m, v)  y = Add(s, c) }", ["Reshape", "Gemm", *PARTS[middle], "Gemm", "Reshape"], **bounds
    )


def test_reshapes_that_stand_there_cost_nothing():
    text = (
        "(float[N, 20] x) => (float[N, 3, 5, 2] y) { a = Reshape(x, parts)  p = MatMul(a, w)  q = Add(p, b) "
        "r = Reshape(q, heads)  y = Transpose<perm = [0, 2, 1, 3]>(r) }"
    )
    for heads in ([0, 5, 3, 2], [-1, 5, 3, 2], [0, 0, 3, -1]):
        shapes = {"parts": np.array([0, 5, 4]), "heads": np.array(heads)}
        rewritten(text, ["Reshape", "Gemm", "Reshape", "Transpose"], **shapes)


def test_two_free_dims():
    """The shape that goes out is computed once, of the input that has the dims."""
    layer = "q{0} = MatMul(a, w)  r{0} = Add(q{0}, b)  s{0} = Reshape(r{0}, heads) "
    text = "(float[N, T, 4] x, int64[N, T] ids) => (float[N, T, 3, 2] y) { a = Relu(x) "
    text += "".join(layer.format(i) for i in range(5)) + "y = Sum(s0, s1, s2, s3, s4) }"
    expected = ["Reshape", "Relu", *["Gemm"] * 5, *["Reshape"] * 5, "Shape", "Concat", "Sum"]
    graph = rewritten(text, expected, heads=np.array([0, 0, 3, 2]))
    assert [len(node.outputs[0].uses()) for node in graph.graph if node.op_type == "Concat"] == [5]


def test_dims_of_size_0():
    text = "(float[N, 5, 4] x) => (float[N, 5, 4] y) { p = MatMul(x, w)  q = Add(b, p)  r = Relu(q) "
    graph = model(text + "s = MatMul(r, v)  y = Add(s, c) }", weights(**SHAPES))
    assert_rewritten(PASSES, graph, ["Reshape", "Gemm", "Relu", "Gemm", "Reshape"], N=0)


def test_an_output_and_a_reader_that_needs_all_dims():
    text = (
        "(float[N, 5, 4] x) => (float[N, 5, 6] y, float[N, 6, 5] t) { p = MatMul(x, w)  q = Add(p, b) "
        "r = MatMul(q, v)  s = Add(r, c)  k = MatMul(s, w)  y = Add(k, b)  t = Transpose<perm = [0, 2, 1]>(y) }"
    )
    graph = rewritten(text, ["Reshape", "Gemm", "Gemm", "Gemm", "Reshape", "Transpose"])
    assert [value.name for value in graph.graph.outputs] == ["y", "t"]


def test_inside_a_branch():
    text = (
        "(float[N, 5, 4] x, bool k) => (float[N, 5, 4] y) { y = If(k) <"
        "then_branch = a () => (float[N, 5, 4] f) { p = MatMul(x, w)  q = Add(p, b)  r = MatMul(q, v)  s = Add(r, c) "
        "  t = MatMul(s, w)  u = Add(t, b)  z = MatMul(u, v)  f = Add(z, c) },"
        "else_branch = e () => (float[N, 5, 4] h) { h = Relu(x) }> }"
    )
    rewritten(text, ["If", "Relu", "Reshape", *["Gemm"] * 4, "Reshape"])


STAYS = {
    "one bias only": "p = MatMul(x, w)  y = Add(p, b)",
    "no bias": "p = MatMul(x, w)  q = Relu(p)  r = MatMul(q, v)  y = MatMul(r, w)",
    "a bias for each position": "p = MatMul(x, w)  q = Add(p, large)  r = MatMul(q, v)  y = MatMul(r, w)",
    "biases that are read elsewhere": "p = MatMul(x, w)  q = Add(p, b)  s = Add(p, q)  y = Add(s, b)",
}


@pytest.mark.parametrize("case", STAYS)
def test_what_is_not_worth_it_stays(case: str):
    graph = model(f"(float[N, 5, 4] x) => (float[N, 5, 6] y) {{ {STAYS[case]} }}", weights(**SHAPES))
    before = ir.to_proto(graph).SerializeToString()
    assert not FlattenRows()(graph).modified
    assert ir.to_proto(graph).SerializeToString() == before


def test_rows_of_unknown_length_stay():
    text = "(float[N, 5, K] x, float[K, 6] w1) => (float[N, 5, 6] y) { a = Reshape(x, shape)  p = MatMul(a, w1)"
    graph = model(text + "q = Add(p, b)  y = Reshape(q, back) }",
                  weights(**SHAPES) | {"shape": np.array([0, 0, -1]), "back": np.array([0, 5, 6])})  # fmt: skip
    assert not FlattenRows()(graph).modified


def test_half_precision_without_a_gemm_of_its_own_stays():
    text = "(bfloat16[N, 20] x, bfloat16[4, 6] w1, bfloat16[6] b1) => (bfloat16[N, 30] y) { a = Reshape(x, parts) "
    graph = model(text + "p = MatMul(a, w1)  q = Add(p, b1)  y = Reshape(q, back) }",
                  {"parts": np.array([0, 5, 4]), "back": np.array([0, 30])})  # fmt: skip
    assert not FlattenRows()(graph).modified

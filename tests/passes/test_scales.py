"""Scales that weights take over: each way from the product to the scale, and what has to stay."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from nxconvert.passes import FoldScalesIntoWeights, RemoveUnused
from tests.passes.models import assert_rewritten, model, operators, weights

SHAPES = {"w": (4, 6), "v": (6, 4), "b": (6,), "g": (6,), "s": (), "one": (1,), "wide": (1, 1, 6), "x2": (4, 6)}
CONSTANTS = {
    "heads": np.array([0, 5, 3, 2]),
    "three": np.array([2, 2, 2]),
    "i0": np.array(0),
    "i1": np.array([1]),
    "from": np.array([2]),
    "to": np.array([4]),
    "last": np.array([-1]),
}

PRODUCTS = {
    "MatMul(x, w)": ["MatMul"],
    "MatMul(x, vt)": ["MatMul", "Transpose"],
    "LayerNormalization(wide6, b, g)": ["LayerNormalization", "MatMul"],
    "Mul(wide6, g)": ["MatMul"],  # this one goes, too
    "Add(free, b)": ["Add", "MatMul"],
}
FACTORS = ["Mul(p, s)", "Mul(one, p)", "Mul(p, g)", "Mul(wide, p)", "Div(p, s)", "Div(p, g)"]


def rewritten(text: str, expected: list[str]) -> ir.Model:
    graph = model(text, weights(**SHAPES) | CONSTANTS)
    RemoveUnused()(graph)
    return assert_rewritten([FoldScalesIntoWeights(), RemoveUnused()], graph, expected, N=2)


@pytest.mark.parametrize("product", PRODUCTS)
@pytest.mark.parametrize("factor", FACTORS)
def test_directly_behind(product: str, factor: str):
    before = {
        "wide6": "wide6 = MatMul(x, x2) ",
        "vt": "vt = Transpose<perm = [1, 0]>(v) ",
        "free": "free = MatMul(x, w) ",
    }
    needed = "".join(text for name, text in before.items() if name in product)
    rewritten(f"(float[N, 5, 4] x) => (float[N, 5, 6] y) {{ {needed} p = {product}  y = {factor} }}", PRODUCTS[product])


@pytest.mark.parametrize("call", ["Gemm(x, w, b)", "Gemm<transB = 1>(x, v)", "Gemm<transB = 1>(x, v, one)"])
@pytest.mark.parametrize("factor", ["Mul(p, s)", "Div(p, one)", "Mul(p, g)"])
def test_gemm(call: str, factor: str):
    text = f"(float[N, 4] x) => (float[N, 6] y) {{ p = {call}  y = {factor} }}"
    if "one" in call and factor == "Mul(p, g)":
        graph = model(text, weights(**SHAPES))
        FoldScalesIntoWeights()(graph)
        assert operators(graph) == ["Gemm", "Mul"]  # a bias that is one number for all cannot hold a vector
    else:
        rewritten(text, ["Gemm"])


def test_the_scale_of_scores_is_the_querys():
    text = (
        "(float[N, 5, 4] x, float[N, 5, 6] k) => (float[N, 3, 5, 5] y) { a = MatMul(x, w)  q = Add(a, b) "
        "h = Reshape(q, heads)  t = Transpose<perm = [0, 2, 1, 3]>(h)  u = Reshape(k, heads) "
        "z = Transpose<perm = [0, 2, 3, 1]>(u)  m = MatMul(t, z)  y = Div(m, s) }"
    )
    graph = rewritten(text, ["MatMul", "Add", "Reshape", "Transpose", "Reshape", "Transpose", "MatMul"])
    assert {"w", "b"} <= set(graph.graph.initializers)


SELECTIONS = {
    "q, k, v0 = Split<axis = -1>(p, three)": (["Split"], slice(0, 2)),
    "q, k, v0 = Split<axis = 2, num_outputs = 3>(p)": (["Split"], slice(0, 2)),
    "q = Slice(p, from, to, last)  k = Slice(p, to, end, last)": (["Slice", "Slice"], slice(2, 4)),
}


@pytest.mark.parametrize("parts", SELECTIONS)
def test_parts_of_a_product(parts: str):
    """Only the weights of the part are scaled."""
    expected, columns = SELECTIONS[parts]
    graph = model(
        f"(float[N, 5, 4] x) => (float[N, 5, 2] y, float[N, 5, 2] z) {{ a = MatMul(x, w)  p = Add(a, b) {parts} "
        "y = Mul(q, s)  z = Relu(k) }",
        weights(**SHAPES) | CONSTANTS | {"end": np.array([6])},
    )
    RemoveUnused()(graph)
    before = graph.graph.initializers["w"].const_value.numpy().copy()
    assert_rewritten(FoldScalesIntoWeights(), graph, ["MatMul", "Add", "Relu", *expected], N=2)
    after = graph.graph.initializers["w"].const_value.numpy()
    assert (before[:, columns] != after[:, columns]).all()
    np.testing.assert_array_equal(np.delete(before, columns, 1), np.delete(after, columns, 1))


@pytest.mark.parametrize(("others", "folds"), [("n1", True), ("n2", True), ("i0", False), ("all", False)])
def test_heads_taken_out_of_a_product(others: str, folds: bool):
    """Queries, keys and values of one matrix; not where another reader takes the same columns."""
    indices = {"n1": np.array(1), "n2": np.array([-1, 1]), "i0": np.array([0, 2]), "all": np.array([0, 1, 2])}[others]
    graph = model(
        "(float[N, 5, 4] x) => (float[N, 2, 5] y, float[A, N, 2, 5] z) { a = MatMul(x, w)  p = Add(a, b) "
        "h = Reshape(p, heads)  t = Transpose<perm = [2, 0, 3, 1]>(h)  q = Gather(t, i0)  k = Gather(t, other) "
        "y = Mul(q, s)  z = Reshape(k, shape) }",
        weights(**SHAPES) | CONSTANTS | {"other": indices, "shape": np.array([indices.size, -1, 2, 5])},
    )
    RemoveUnused()(graph)
    expected = ["MatMul", "Add", "Reshape", "Transpose", "Gather", "Gather", "Reshape", *([] if folds else ["Mul"])]
    assert_rewritten(FoldScalesIntoWeights(), graph, expected, N=2)


@pytest.mark.parametrize(
    ("moves", "factor", "folds"),
    [
        ("m = Transpose<perm = [0, 2, 1]>(p)", (6, 1), True),
        ("m = Transpose<perm = [0, 2, 1]>(p)", (1, 6, 1), True),
        ("m = Transpose<perm = [0, 2, 1]>(p)", (5,), False),
        ("h = Reshape(p, heads)  m = Transpose<perm = [0, 2, 1, 3]>(h)", (3, 1, 2), True),
        ("h = Reshape(p, heads)  m = Transpose<perm = [0, 2, 1, 3]>(h)", (3, 1, 1), True),
        ("h = Reshape(p, heads)  m = Transpose<perm = [0, 2, 1, 3]>(h)", (2,), True),
        ("h = Reshape(p, heads)  m = Transpose<perm = [0, 2, 1, 3]>(h)", (3, 5, 2), False),
        ("h = Reshape(p, heads)  m = Transpose<perm = [3, 0, 2, 1]>(h)", (2, 1, 3, 1), True),
        ("h = Reshape(p, back)  m = Relu(h)", (6,), False),
        ("m = Reshape(p, other)", (2,), False),
    ],
)
def test_a_factor_for_each_column_behind_moves(moves: str, factor: tuple[int, ...], folds: bool):
    constants = {
        **weights(**SHAPES, f=factor),
        **CONSTANTS,
        "other": np.array([-1, 15, 2]),
        "back": np.array([0, 5, 6]),
    }
    graph = model(
        f"(float[N, 5, 4] x) => (float[{', '.join('ABCD'[: 4 if 'heads' in moves else 3])}] y) "
        f"{{ a = MatMul(x, w)  p = Add(a, b)  {moves}  y = Mul(m, f) }}",
        constants,
    )
    RemoveUnused()(graph)
    left = operators(graph)
    if folds:
        left.remove("Mul")
    assert_rewritten(FoldScalesIntoWeights(), graph, left, N=2)


STAYS = {
    "a product that is read elsewhere": "p = MatMul(x, w)  q = Mul(p, s)  y = Add(p, q)",
    "a bias that is no constant": "p = MatMul(x, w)  q = Add(p, k)  y = Mul(q, s)",
    "something between": "p = MatMul(x, w)  q = Relu(p)  y = Mul(q, s)",
    "a factor for each row": "p = MatMul(x, w)  y = Mul(p, rows)",
    "a factor that is an input": "p = MatMul(x, w)  y = Mul(p, k)",
    "rows of the product": "p = MatMul(x, w)  f = Gather<axis = 1>(p, i1)  q = Mul(f, s)  y = Add(p, q)",
    "a square": "p = MatMul(x, w)  t = Transpose<perm=[0, 2, 1]>(p)  m = MatMul(p, t)  n = Mul(m, s)  y = MatMul(n, p)",
    "a division by 0": "p = MatMul(x, w)  y = Div(p, zero)",
    "the inverse": "p = MatMul(x, w)  y = Div(s, p)",
}


@pytest.mark.parametrize("case", STAYS)
def test_what_has_to_stay(case: str):
    graph = model(
        f"(float[N, 5, 4] x, float[N, 5, 6] k) => (float[N, 5, 6] y) {{ {STAYS[case]} }}",
        weights(**SHAPES, rows=(5, 1)) | CONSTANTS | {"zero": np.zeros(1, np.float32)},
    )
    assert not FoldScalesIntoWeights()(graph).modified


def test_larger_weights_are_not_stored_twice():
    """Of what two read, each has its own only if it is small."""
    constants = weights(w=(4, 2000), s=())
    text = "(float[N, 4] x) => (float[N, 2000] y, float[N, 2000] z) { p = Gemm(x, w)  y = Mul(p, s)  z = Gemm(x, w) }"
    graph = model(text, constants)
    assert not FoldScalesIntoWeights()(graph).modified

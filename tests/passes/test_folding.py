"""What depends on weights alone is computed while converting."""

from __future__ import annotations

import numpy as np
import pytest

from nxconvert.formats.tensors import ComputedTensor
from nxconvert.passes import FoldConstants, RemoveUnused
from nxconvert.passes.folding import _EXACT, _MOVING, _ROUNDED

from .models import assert_rewritten, model, weights

CALLS = {
    "Concat": "Concat<axis = 0>(w, v)",
    "Expand": "Expand(w, big)",
    "Flatten": "Flatten<axis = 0>(w)",
    "Gather": "Gather<axis = 1>(w, indices)",
    "Reshape": "Reshape(w, flat)",
    "Slice": "Slice(w, one, two, one)",
    "Split": "Split<axis = 1>(w, sizes)",
    "Squeeze": "Squeeze(row)",
    "Tile": "Tile(w, sizes)",
    "Unsqueeze": "Unsqueeze(w, one)",
    "Where": "Where(mask, w, v)",
    "Abs": "Abs(w)",
    "Add": "Add(w, row)",
    "Clip": "Clip(w, low)",
    "Div": "Div(w, v)",
    "Max": "Max(w, v, row)",
    "Min": "Min(w, v)",
    "Mul": "Mul(w, v)",
    "Neg": "Neg(w)",
    "Reciprocal": "Reciprocal(w)",
    "Relu": "Relu(w)",
    "Sqrt": "Sqrt(w)",
    "Sub": "Sub(w, v)",
    "Cos": "Cos(w)",
    "Exp": "Exp(w)",
    "Log": "Log(w)",
    "MatMul": "MatMul(w, t)",
    "Pow": "Pow(w, v)",
    "ReduceL2": "ReduceL2<keepdims = 0>(w, one)",
    "ReduceMean": "ReduceMean(w)",
    "ReduceSum": "ReduceSum(w, one)",
    "Sigmoid": "Sigmoid(w)",
    "Sin": "Sin(w)",
    "Tanh": "Tanh(w)",
    "Cast": "Cast<to = 1>(flat)",
}
CONSTANTS = weights(w=(2, 3), v=(2, 3), row=(1, 3), t=(3, 4), low=()) | {
    "big": np.array([2, 2, 3]),
    "indices": np.array([[0, -1], [2, 1]]),
    "flat": np.array([3, -1]),
    "one": np.array([1]),
    "two": np.array([2]),
    "sizes": np.array([1, 2]),
    "mask": np.array([[True, False, True]]),
    "outside": np.array([3]),
}


def test_every_operator_is_tested():
    assert set(CALLS) == FoldConstants.op_types == _MOVING | _EXACT | _ROUNDED | {"Cast"}


@pytest.mark.parametrize("op_type", CALLS)
def test_operators(op_type: str):
    parts = "part, rest" if op_type == "Split" else "part"
    text = f"(float x) => (float[N] y) {{ {parts} = {CALLS[op_type]}  long = Reshape(part, minus)  y = Mul(x, long) }}"
    graph = model(text, CONSTANTS | {"minus": np.array([-1])})
    assert_rewritten([FoldConstants(), RemoveUnused()], graph, ["Mul"])
    (result,) = graph.graph.initializers.values()
    assert isinstance(result.const_value, ComputedTensor)
    assert result.name == "long"


KEPT = {
    "reads an input": "a = Add(w, x)  y = Neg(a)",
    "is an output": "y = Neg(w)",
    "integers may overflow": "a = Add(sizes, two)  b = Cast<to = 1>(a)  c = Add(x, b)  y = Unsqueeze(c, one)",
    "out of bounds": "a = Gather<axis = 1>(w, outside)  y = Add(x, a)",
    "depends on the content": "n = NonZero(w)  b = Cast<to = 1>(n)  y = Mul(x, b)",
}


@pytest.mark.parametrize("why", KEPT)
def test_not_folded(why: str):
    graph = model(f"(float[K] x) => (float[N, M] y) {{ {KEPT[why]} }}", CONSTANTS)
    assert not FoldConstants()(graph).modified


def test_the_file_does_not_grow():
    """A large weight is not spread out, nor taken apart while something else reads it; else it may be."""
    large = {**weights(w=(600, 2000)), "big": np.array([2, 600, 2000]), "sizes": np.array([200, 400])}
    whole, part, rest = "float[600, 2000]", "float[200, 2000]", "float[400, 2000]"
    spread = model("(float x) => (float[2, 600, 2000] y) { a = Expand(w, big)  y = Mul(x, a) }", large)
    assert not FoldConstants()(spread).modified
    body = "p, q = Split<axis = 0>(w, sizes)  y = Mul(p, x)  z = Mul(q, x)"
    split = model(f"(float x) => ({part} y, {rest} z) {{ {body} }}", large)
    assert_rewritten([FoldConstants(), RemoveUnused()], split, ["Mul", "Mul"])
    assert list(split.graph.initializers) == ["p", "q"]
    shared = model(f"(float x) => ({part} y, {rest} z, {whole} u) {{ {body}  u = Mul(w, x) }}", large)
    assert not FoldConstants()(shared).modified
    twice = model(f"(float x) => ({part} y, {rest} z, {whole} u) {{ {body}  n = Neg(w)  u = Mul(n, x) }}", large)
    assert not FoldConstants()(twice).modified


def test_results_are_rounded_once():
    """Products and functions are computed in float64, in an order that does not depend on the machine."""
    rng = np.random.default_rng(0)
    arrays = {"w": rng.standard_normal((40, 300)).astype("f4"), "v": rng.standard_normal((300, 50)).astype("f4")}
    graph = model("(float x) => (float[40, 50] y) { a = MatMul(w, v)  b = Tanh(a)  y = Mul(x, b) }", arrays)
    FoldConstants()(graph)
    product = (arrays["w"].astype(np.float64) @ arrays["v"]).astype(np.float32)
    expected = np.tanh(product.astype(np.float64)).astype(np.float32)
    np.testing.assert_array_equal(graph.graph.initializers["b"].const_value.numpy(), expected)

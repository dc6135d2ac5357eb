"""What depends on weights alone is computed while converting."""

from __future__ import annotations

import numpy as np
import pytest

from nxconvert.formats.tensors import ComputedTensor
from nxconvert.passes import FoldConstants, RemoveUnused
from nxconvert.passes.folding import _DECIDING, _EXACT, _MOVING, _ROUNDED
from tests.passes.models import assert_rewritten, model, weights

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
    "And": "And(mask, other)",
    "Equal": "Equal(indices, one)",
    "Greater": "Greater(w, v)",
    "GreaterOrEqual": "GreaterOrEqual(flat, sizes)",
    "Less": "Less(w, v)",
    "LessOrEqual": "LessOrEqual(w, v)",
    "Not": "Not(mask)",
    "Or": "Or(mask, other)",
    "Xor": "Xor(mask, other)",
    "ReduceMax": "ReduceMax(w, one)",
    "ReduceMin": "ReduceMin<keepdims = 0>(w, one)",
}
CONSTANTS = weights(w=(2, 3), v=(2, 3), row=(1, 3), t=(3, 4), low=()) | {
    "big": np.array([2, 2, 3]),
    "indices": np.array([[0, -1], [2, 1]]),
    "flat": np.array([3, -1]),
    "one": np.array([1]),
    "two": np.array([2]),
    "sizes": np.array([1, 2]),
    "mask": np.array([[True, False, True]]),
    "other": np.array([[True], [False]]),
    "outside": np.array([3]),
    "zeros": np.array([0, 1]),
    "endless": np.array([[1, np.inf]], np.float32),
    "nan": np.array([[1, np.nan]], np.float32),
}


def test_every_operator_is_tested():
    assert set(CALLS) == FoldConstants.op_types == _MOVING | _EXACT | _ROUNDED | _DECIDING | {"Cast"}


@pytest.mark.parametrize("op_type", CALLS)
def test_operators(op_type: str):
    parts = "part, rest" if op_type == "Split" else "part"
    text = f"(float x) => (float[N] y) {{ {parts} = {CALLS[op_type]}  number = Cast<to = 1>(part) "
    text += "long = Reshape(number, minus)  y = Mul(x, long) }"
    graph = model(text, CONSTANTS | {"minus": np.array([-1])})
    assert_rewritten([FoldConstants(), RemoveUnused()], graph, ["Mul"])
    (result,) = graph.graph.initializers.values()
    assert isinstance(result.const_value, ComputedTensor)
    assert result.name == "long"


INTEGERS = {
    "Abs": "Abs(a)",
    "Add": "Add(a, b)",
    "Max": "Max(a, b)",
    "Min": "Min(a, b)",
    "Mul": "Mul(a, b)",
    "Neg": "Neg(a)",
    "Sub": "Sub(a, b)",
    "ReduceMax": "ReduceMax(a, axis)",
    "Where": "Where(c, a, b)",
    "to int32": "Cast<to = 6>(a)",
    "to bool": "Cast<to = 9>(a)",
    "floats to int64": "Cast<to = 7>(f)",
    "floats to int32": "Cast<to = 6>(f)",
    "floats to bool": "Cast<to = 9>(f)",
}


@pytest.mark.parametrize("case", INTEGERS)
def test_integers_wrap_around(case: str):
    """And what is below the range of an integer is its least number."""
    limits = np.iinfo(np.int64)
    constants = {
        "a": np.array([[limits.max, limits.min + 1, -3, 2**31]]),
        "b": np.array([[5, -7, limits.min, 3]]),
        "c": np.array([True, False, True, False]),
        "f": np.array([[-np.inf, -2.5, 0.0, 7.9]], np.float32),
        "axis": np.array([1]),
    }
    graph = model(
        f"(int64 x) => (int64[N, M] y) {{ p = {INTEGERS[case]}  q = Cast<to = 7>(p)  y = Add(x, q) }}", constants
    )
    assert_rewritten([FoldConstants(), RemoveUnused()], graph, ["Add"])


KEPT = {
    "reads an input": "a = Add(w, x)  y = Neg(a)",
    "is an output": "y = Neg(w)",
    "a division by zero": "a = Div(sizes, zeros)  b = Cast<to = 1>(a)  c = Add(x, b)  y = Unsqueeze(c, one)",
    "floats that are no integers": "a = Cast<to = 7>(endless)  b = Cast<to = 1>(a)  y = Mul(x, b)",
    "a NaN as an integer": "a = Cast<to = 7>(nan)  b = Cast<to = 1>(a)  y = Mul(x, b)",
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

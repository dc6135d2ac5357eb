"""Reductions that do what the nodes around them do: axes kept or dropped, several at once, squares."""

from __future__ import annotations

import numpy as np
import pytest

from nxconvert.passes import ComposeReductions, FitReducedAxes, RemoveUnused, SumsOfSquares

from .models import assert_rewritten, model

CONSTANTS = {
    "zero": np.array([0]),
    "one": np.array([1]),
    "two": np.array([2]),
    "last": np.array([-1]),
    "last_two": np.array([-2, -1]),
    "two_and_one": np.array([2, 1]),
    "none": np.array([], np.int64),
    "flat": np.array([0, 0]),
    "tall": np.array([0, 1, 1]),
    "s": np.array(0.5, np.float32),
    "t": np.array([[0.5]], np.float32),
    "v": np.array([[[0.5]]], np.float32),
    "square": np.array(2, np.float32),
    "cube": np.array(3, np.float32),
    "many": np.array([2, 2, 2, 2], np.float32),
}

FITTING = {
    "put back": "a = ReduceMax<keepdims = 0>(x, last_two)  y = Unsqueeze(a, two_and_one)",
    "put back behind a root": "a = ReduceMean<keepdims = 0>(x, last_two)  b = Abs(a)  c = Sqrt(b)  d = Add(s, c)  "
    "y = Unsqueeze(d, two_and_one)",
    "put back by a reshape": "a = ReduceSum<keepdims = 0>(x, last_two)  y = Reshape(a, tall)",
    "dropped": "a = ReduceMin(x, last_two)  y = Squeeze(a, two_and_one)",
    "dropped by a reshape": "a = ReduceMin(x, two)  b = Mul(a, t)  y = Reshape(b, flat)",
}


@pytest.mark.parametrize("case", FITTING)
def test_reductions_keep_or_drop_axes_as_they_are_wanted(case: str):
    outputs = "N, 1, 1" if "put back" in case else "N, C" if "reshape" in case else "N"
    graph = model(f"(float[N, C, H] x) => (float[{outputs}] y) {{ {FITTING[case]} }}", CONSTANTS)
    RemoveUnused()(graph)
    kept = [name for node in graph.graph if (name := node.op_type) not in ("Unsqueeze", "Squeeze", "Reshape")]
    assert_rewritten([FitReducedAxes(), RemoveUnused()], graph, kept, N=2, C=5, H=4)
    shape = graph.graph.outputs[0].shape
    assert all(list(node.outputs[0].shape) == list(shape) for node in graph.graph)


OTHERS = {
    "another axis": "a = ReduceSum<keepdims = 0>(x, one)  y = Unsqueeze(a, zero)",
    "read elsewhere": "a = ReduceSum<keepdims = 0>(x, one)  b = Unsqueeze(a, one)  y = Add(b, a)",
    "axes that were kept": "a = ReduceSum<keepdims = 1>(x, one)  y = Unsqueeze(a, one)",
    "no axes": "a = ReduceSum<keepdims = 0, noop_with_empty_axes = 1>(x, none)  y = Unsqueeze(a, none)",
    "one of two axes": "a = ReduceSum(x, last_two)  y = Squeeze(a, two)",
    "all dims of 1": "a = ReduceSum(n, two)  y = Squeeze(a)",
    "a number of a higher rank": "a = ReduceSum(x, two)  b = Add(a, v)  y = Squeeze(b, two)",
    "two results": "a = ReduceSum(x, two)  b = Add(a, n)  y = Squeeze(b, two)",
    "not elementwise": "a = ReduceSum(x, two)  b = Softmax<axis = 1>(a)  y = Squeeze(b, two)",
    "other rows": "a = ReduceSum(x, two)  b = Neg(a)  y = Reshape(b, tall)",
}


@pytest.mark.parametrize("case", OTHERS)
def test_what_is_no_reduction_to_fit_stays(case: str):
    ranks = {"another axis": 3, "axes that were kept": 4, "read elsewhere": 3, "no axes": 3, "all dims of 1": 1}
    ranks["other rows"] = 3
    outputs = ", ".join("PQRS"[: ranks.get(case, 2)])
    graph = model(f"(float[N, C, H] x, float[N, 1, 1] n) => (float[{outputs}] y) {{ {OTHERS[case]} }}", CONSTANTS)
    assert not FitReducedAxes()(graph).modified


COMPOSED = {
    "ReduceMean": "a = ReduceMean(x, one)  y = ReduceMean(a, last)",
    "ReduceSum": "a = ReduceSum(x, two)  y = ReduceSum(a, two_and_one)",
    "ReduceMax": "a = ReduceMax<keepdims = 0>(x, one)  y = ReduceMax<keepdims = 0>(a, one)",
    "ReduceMin": "a = ReduceMin<keepdims = 0>(x, last)  y = ReduceMin<keepdims = 0>(a, last)",
}


@pytest.mark.parametrize("operator", COMPOSED)
def test_reductions_of_reductions_are_one(operator: str):
    outputs = "N" if "keepdims" in COMPOSED[operator] else "N, 1, 1"
    graph = model(f"(float[N, C, H] x) => (float[{outputs}] y) {{ {COMPOSED[operator]} }}", CONSTANTS)
    assert_rewritten(ComposeReductions(), graph, [operator], N=2, C=5, H=4)


@pytest.mark.parametrize(
    ("body", "dims"),
    [
        ("a = ReduceMean(x, one)  y = ReduceMax(a, last)", 3),
        ("a = ReduceSum(x, one)  y = ReduceSum<keepdims = 0>(a, last)", 2),
        ("a = ReduceSum(x, one)  b = ReduceSum(a, last)  y = Add(a, b)", 3),
        ("a = ReduceSum(x)  y = ReduceSum(a, last)", 3),
    ],
)
def test_other_reductions_of_reductions_stay(body: str, dims: int):
    graph = model(f"(float[N, C, H] x) => (float[{', '.join('PQR'[:dims])}] y) {{ {body} }}", CONSTANTS)
    assert not ComposeReductions()(graph).modified


SQUARES = {
    "a = Mul(x, x)  y = ReduceSum(a, last)": "ReduceSumSquare",
    "a = Pow(x, square)  y = ReduceSum<keepdims = 1>(a, one)": "ReduceSumSquare",
    "a = Mul(x, x)  b = ReduceSum(a)  y = Sqrt(b)": "ReduceL2",
}


@pytest.mark.parametrize("body", SQUARES)
@pytest.mark.parametrize("dtype", ["float", "double"])
def test_sums_of_squares(body: str, dtype: str):
    constants = CONSTANTS | ({"square": np.array(2, np.float64)} if dtype == "double" else {})
    graph = model(f"({dtype}[N, C, H] x) => ({dtype}[P, Q, R] y) {{ {body} }}", constants)
    assert_rewritten(SumsOfSquares(), graph, [SQUARES[body]], N=2, C=5, H=4)


@pytest.mark.parametrize(
    "body",
    [
        "a = Mul(x, z)  y = ReduceSum(a, last)",
        "a = Pow(x, cube)  y = ReduceSum(a, last)",
        "a = Pow(x, x)  y = ReduceSum(a, last)",
        "a = Pow(x, many)  y = ReduceSum(a, last)",
        "a = Mul(x, x)  b = ReduceSum(a, last)  y = Mul(a, b)",
        "a = Mul(x, x)  b = ReduceMean(a, last)  y = Sqrt(b)",
    ],
)
def test_other_sums_stay(body: str):
    graph = model(f"(float[N, C, 4] x, float[N, C, 4] z) => (float[P, Q, R] y) {{ {body} }}", CONSTANTS)
    assert not SumsOfSquares()(graph).modified

"""Chains of transposes, reshapes, squeezes and casts."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from nxconvert.passes import (
    ComposeCasts,
    ComposeIntegers,
    ComposeReshapes,
    ComposeSlices,
    ComposeSqueezes,
    ComposeTransposes,
    DivideByReciprocals,
    EliminateIdentities,
    ProductsWithVectors,
    SpellOutPads,
)
from tests.passes.models import assert_rewritten, model, operators


def test_transposes_compose():
    graph = model(
        """(float[A, B, C] x) => (float[P, Q, R] y)
        { a = Transpose<perm = [1, 2, 0]>(x)  b = Transpose<perm = [0, 2, 1]>(a)  y = Transpose(b) }"""
    )
    assert_rewritten(ComposeTransposes(), graph, ["Transpose"], A=2, B=4, C=5)
    assert graph.graph[0].attributes["perm"].as_ints() == (2, 0, 1)


def test_transposes_that_undo_each_other_vanish():
    graph = model(
        """(float[A, B, C] x) => (float[P, Q, R] y)
        { a = Transpose<perm = [2, 0, 1]>(x)  b = Transpose<perm = [1, 2, 0]>(a)  y = Relu(b) }"""
    )
    assert_rewritten([ComposeTransposes(), EliminateIdentities()], graph, ["Relu"], A=2, B=4, C=5)


def test_a_transpose_that_others_read_stays():
    graph = model(
        """(float[A, B] x) => (float[P, Q] y, float[Q, P] z)
        { a = Transpose(x)  y = Transpose(a)  z = Relu(a) }"""
    )
    assert_rewritten(ComposeTransposes(), graph, ["Relu", "Transpose", "Transpose"], A=2)


@pytest.mark.parametrize(
    "inner",
    ["Reshape(x, flat)", "Flatten<axis = 2>(x)", "Squeeze(x, axes)", "Unsqueeze(x, axes)", "Reshape(x, copied)"],
)
def test_a_reshape_to_a_constant_shape_skips_what_is_before(inner: str):
    shapes = {"flat": [-1], "axes": [1], "copied": [0, -1, 1], "last": [4, -1]}
    constants = {name: np.array(shape) for name, shape in shapes.items()}
    graph = model(f"(float[A, 1, 8] x) => (float[4, B] y) {{ a = {inner}  y = Reshape(a, last) }}", constants)
    assert_rewritten(ComposeReshapes(), graph, ["Reshape"], A=5)


def test_a_reshape_that_copies_a_dim_or_is_not_constant_stays():
    graph = model(
        "(float[A, 1, 8] x) => (float[B, C] y) { a = Reshape(x, flat)  y = Reshape(a, copying) }",
        {"flat": np.array([4, -1]), "copying": np.array([0, -1])},
    )
    assert_rewritten(ComposeReshapes(), graph, ["Reshape", "Reshape"], A=2)
    graph = model(
        "(float[A, 4] x) => (float[B] y) { a = Flatten<axis = 2>(x)  s = Size(x)  m = Constant<value_ints = [-1]>() "
        "t = Reshape(s, m)  y = Reshape(a, t) }"
    )
    assert_rewritten(ComposeReshapes(), graph, ["Constant", "Flatten", "Reshape", "Reshape", "Size"], A=2)


def test_a_zero_that_is_a_size_is_no_copy():
    graph = model(
        "(float[0, 8] x) => (float[0, 4] y) { a = Reshape(x, flat)  y = Reshape<allowzero = 1>(a, empty) }",
        {"flat": np.array([-1]), "empty": np.array([0, 4])},
    )
    assert_rewritten(ComposeReshapes(), graph, ["Reshape"])


def test_squeeze_and_unsqueeze_cancel():
    graph = model(
        """(float[A, 1, B] x) => (float[A, 1, B] y, float[A, 1, B] z, float[A, 1, B] w)
        { a = Squeeze(x, one)  b = Unsqueeze(a, minus_two)  y = Relu(b)
          c = Unsqueeze(x, outer)  d = Squeeze(c, outer_again)  z = Relu(d)
          w = Unsqueeze(a, one) }""",
        {
            "one": np.array([1]),
            "minus_two": np.array([-2]),
            "outer": np.array([0, -1]),
            "outer_again": np.array([4, 0]),
        },
    )
    assert_rewritten(ComposeSqueezes(), graph, ["Identity", "Relu", "Relu"], A=2, B=5)


def test_squeezes_of_other_axes_stay():
    graph = model(
        "(float[1, 1, B] x) => (float[1, 1, B] y) { a = Squeeze(x, zero)  y = Unsqueeze(a, one) }",
        {"zero": np.array([0]), "one": np.array([1])},
    )
    assert_rewritten(ComposeSqueezes(), graph, ["Squeeze", "Unsqueeze"])


def test_squeezes_of_a_kind_compose():
    graph = model(
        """(float[A, B] x, float[1, A, 1, 1, B] v) => (float[P, Q, R, S, T] y, float[A, B] z)
        { a = Unsqueeze(x, two_and_zero)  y = Unsqueeze(a, minus_two)
          b = Squeeze(v, minus_two)  z = Squeeze(b, two_and_zero) }""",
        {"two_and_zero": np.array([2, 0]), "minus_two": np.array([-2])},
    )
    assert_rewritten(ComposeSqueezes(), graph, ["Squeeze", "Unsqueeze"], A=2, B=5)
    assert [list(node.inputs[1].const_value.numpy()) for node in graph.graph] == [[0, 2, 3], [0, 2, 3]]


def test_slices_along_other_axes_compose():
    constants = {"s": [1], "e": [-1], "c": [-1], "zero": [0], "step": [-2], "far": [-(2**63) + 1], "both": [0, 2]}
    graph = model(
        """(float[A, B, C] x) => (float[P, Q, R] y, float[S, U, V] z)
        { a = Slice(x, s, e)  b = Slice(a, c, far, c, step)  y = Slice(b, zero, s, s)
          d = Slice(x, both, both, both)  z = Slice(d, zero, e, c) }""",
        {name: np.array(numbers) for name, numbers in constants.items()},
    )
    assert_rewritten(ComposeSlices(), graph, ["Slice", "Slice", "Slice"], A=5, B=6, C=7)


def test_sums_and_products_of_integers_compose():
    graph = model(
        """(int32[N, 2] x) => (int32[P, N, 2] y)
        { a = Add(x, one)  b = Add(row, a)  c = Add(b, wide)  d = Mul(c, big)  y = Mul(big, d) }""",
        {
            "one": np.array(1, np.int32),
            "row": np.array([1, 2], np.int32),
            "wide": np.array([[[2]]], np.int32),
            "big": np.array(2**20 + 1, np.int32),
        },
    )
    assert_rewritten(ComposeIntegers(), graph, ["Add", "Mul"], N=4)


def test_floats_and_what_others_read_do_not_compose():
    graph = model("(float[N] x) => (float[N] y) { a = Add(x, c)  y = Add(a, c) }", {"c": np.ones(1, "f4")})
    assert not ComposeIntegers()(graph).modified
    graph = model(
        "(int64[N] x) => (int64[N] y, int64[N] z) { a = Add(x, c)  y = Add(a, c)  z = Neg(a) }", {"c": np.array([1])}
    )
    assert not ComposeIntegers()(graph).modified


T = ir.DataType
LOSSLESS = [
    (T.FLOAT16, T.FLOAT, T.FLOAT16),
    (T.FLOAT16, T.DOUBLE, T.INT32),
    (T.BFLOAT16, T.FLOAT, T.BFLOAT16),
    (T.INT32, T.INT64, T.FLOAT),
    (T.INT32, T.DOUBLE, T.INT32),
    (T.UINT8, T.INT16, T.INT8),
    (T.BOOL, T.INT64, T.FLOAT),
    (T.BOOL, T.FLOAT, T.BOOL),
    (T.FLOAT, T.FLOAT, T.BOOL),
]
LOSSY = [
    (T.FLOAT, T.FLOAT16, T.FLOAT),
    (T.FLOAT16, T.BFLOAT16, T.FLOAT),
    (T.BFLOAT16, T.FLOAT16, T.FLOAT),
    (T.FLOAT, T.INT32, T.FLOAT),
    (T.INT64, T.INT32, T.INT64),
    (T.INT64, T.DOUBLE, T.INT64),
    (T.INT32, T.FLOAT, T.INT32),
    (T.INT8, T.UINT8, T.INT16),
    (T.INT32, T.BOOL, T.INT32),
    (T.INT32, T.INT64, T.STRING),
    (T.FLOAT16, T.FLOAT, T.FLOAT8E4M3FN),
]


def casts(start: ir.DataType, middle: ir.DataType, end: ir.DataType) -> ir.Model:
    body = f"a = Cast<to = {int(middle)}>(x)  y = Cast<to = {int(end)}>(a)"
    return model(f"({start.name.lower()}[N] x) => ({end.name.lower()}[N] y) {{ {body} }}")


@pytest.mark.parametrize("dtypes", LOSSLESS)
def test_a_cast_that_keeps_every_value_goes(dtypes):
    graph = casts(*dtypes)
    if T.BFLOAT16 in dtypes:  # which ONNX Runtime does not take as an input
        assert ComposeCasts()(graph).modified
    else:
        assert_rewritten(ComposeCasts(), graph, ["Cast"])
    assert graph.graph[0].inputs[0].name == "x"


@pytest.mark.parametrize("dtypes", LOSSY)
def test_a_cast_that_changes_values_stays(dtypes):
    graph = casts(*dtypes)
    assert not ComposeCasts()(graph).modified
    assert operators(graph) == ["Cast", "Cast"]


@pytest.mark.parametrize("call", ["Mul(x, r)", "Mul(r, x)"])
def test_a_factor_that_is_a_reciprocal_divides(call: str):
    graph = model(f"(float[A, B] x, float[A, 1] k) => (float[A, B] y) {{ r = Reciprocal(k)  y = {call} }}")
    assert_rewritten(DivideByReciprocals(), graph, ["Div"], A=2, B=4)


def test_a_reciprocal_that_others_read_stays():
    graph = model("(float[A] x, float[A] k) => (float[A] y, float[A] r) { r = Reciprocal(k)  y = Mul(x, r) }")
    assert not DivideByReciprocals()(graph).modified
    graph = model("(float[A] k) => (float[A] y) { r = Reciprocal(k)  y = Mul(r, r) }")
    assert not DivideByReciprocals()(graph).modified


@pytest.mark.parametrize("steps", ["Round(p)", "Cast <to = 3> (p)", "s = Add(p, h)  t = Where(c, s, p)  y = Floor(t)"])
def test_a_product_that_is_rounded_to_integers_stays(steps: str):
    """In float32, 41 * (1 / 82) is less than a half, and 41 / 82 is one."""
    steps = steps if "y = " in steps else f"y = {steps}"
    inputs, etype = "float[A] x, float[A] k, float h, bool[A] c", "int8" if "Cast" in steps else "float"
    text = f"({inputs}) => ({etype}[A] y) {{ r = Reciprocal(k)  p = Mul(x, r)  {steps} }}"
    assert not DivideByReciprocals()(model(text)).modified


@pytest.mark.parametrize("axes", ["2, 3", "-1, -2", "3, 0"])
def test_pads_are_of_all_axes(axes):
    graph = model(
        f"""(float[A, B, C, D] x) => (float[P, Q, R, S] y)
        <int64[4] pads = {{1, 2, 3, 4}}, int64[2] axes = {{{axes}}}>
        {{ t = Transpose<perm = [0, 3, 1, 2]>(x)  y = Pad(t, pads, , axes) }}"""
    )
    assert_rewritten(SpellOutPads(), graph, ["Transpose", "Pad"], A=2, B=4, C=5, D=3)
    assert len(graph.graph[1].inputs) == 2
    assert graph.graph[1].inputs[1].const_value.shape == (8,)


def test_pads_that_are_computed_keep_their_axes():
    graph = model(
        """(float[A, B] x, int64[2] pads) => (float[P, Q] y) <int64[1] axes = {1}>
        { y = Pad(x, pads, , axes) }"""
    )
    assert not SpellOutPads()(graph).modified


@pytest.mark.parametrize(
    ("product", "shape"),
    [
        ("a = Transpose<perm = [1, 0]>(x)  y = MatMul(a, v)", [3, 3]),
        ("a = Transpose<perm = [1, 0]>(x)  y = MatMul(v, a)", [3, 3]),
        ("a = Transpose<perm = [0, 2, 1]>(x)  y = MatMul(a, v)", [2, 3, 4]),
    ],
)
def test_a_vector_is_multiplied_from_the_other_side(product: str, shape: list[int]):
    result = [*shape[:-2], shape[-1]]
    graph = model(f"(float{shape} x, float[3] v) => (float{result} y) {{ {product} }}")
    assert_rewritten(ProductsWithVectors(), graph, ["MatMul"])


def test_a_vector_beside_another_order_of_dims_stays_where_it_is():
    graph = model(
        """(float[2, 3, 4] x, float[2] v) => (float[4, 3] y)
        { a = Transpose(x)  y = MatMul(a, v) }"""
    )
    assert_rewritten(ProductsWithVectors(), graph, ["Transpose", "MatMul"])

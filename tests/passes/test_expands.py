"""`Expand` in front of what broadcasts by itself."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from nxconvert.passes import DropExpands, RemoveUnused
from tests.passes.models import assert_rewritten, model

#: A mask [N, 1, 1, K] expanded to [N, 1, Q, K], beside scores [N, H, Q, K].
HEAD = (
    "(float[N, 2, 5, 7] scores, float[N, 2, 7, 3] v, bool[N, 1, 1, 7] mask, float[1, 1, 5, 7] own) "
    "=> (float[A, B, C, D] y) { n = Shape<end = 1>(scores)  shape = Concat<axis = 0>(n, rest)  "
)
CONSTANTS = {
    "rest": np.array([1, 5, 7]),
    "full": np.array([2, 5, 7]),
    "low": np.array(-1e9, np.float32),
    "zero": np.array(0, np.float32),
    "last": np.array([-1]),
    "third": np.array([2]),
}


def rewritten(body: str, expected: list[str], sizes: tuple[int, ...] = (2,)) -> None:
    for size in sizes:
        graph = model(f"{HEAD}{body} }}", CONSTANTS)
        assert_rewritten([DropExpands(), RemoveUnused()], graph, expected, N=size)


def test_beside_a_full_operand():
    rewritten("m = Expand(mask, shape)  y = Where(m, scores, low)", ["Where"], (0, 1, 4))


def test_made_smaller_through_several_nodes():
    body = "m = Expand(mask, shape)  w = Where(m, zero, low)  c = Cast<to = 1>(w)  y = Add(scores, c)"
    rewritten(body, ["Where", "Cast", "Add"])


def test_reductions_and_softmax_along_other_axes():
    body = (
        "m = Expand(mask, shape)  w = Where(m, zero, low)  r = ReduceMax(w, last)  s = Softmax(w)  "
        "t = Mul(scores, s)  y = Add(t, r)"
    )
    rewritten(body, ["Where", "ReduceMax", "Softmax", "Mul", "Add"])


def test_batches_of_matrices():
    """Of each element of the batch the same matrix."""
    body = "all = Concat<axis = 0>(n, full)  s = Softmax(own)  m = Expand(s, all)  p = MatMul(m, v)  y = Neg(p)"
    rewritten(body, ["Softmax", "MatMul", "Neg"])


def test_a_lower_rank():
    text = "(float[N, 5] x, float[5] k) => (float[N, 5] y) { s = Shape(x)  e = Expand(k, s)  y = Mul(e, x) }"
    assert_rewritten([DropExpands(), RemoveUnused()], model(text), ["Mul"], N=0)


def test_a_lower_rank_that_another_operand_has():
    text = "(float[1, 5] x, float[5] k) => (float[1, 5] y) { s = Shape(x)  e = Expand(k, s)  y = Mul(e, x) }"
    assert_rewritten([DropExpands(), RemoveUnused()], model(text), ["Mul"])


STAYS = {
    "an output": "y = Expand(own, shape)",
    "what is left is an output": "m = Expand(own, shape)  y = Relu(m)",
    "reduced along the axis": "m = Expand(own, shape)  r = ReduceMax(m, first)  y = Add(scores, r)",
    "softmax along the axis": "m = Expand(own, shape)  s = Softmax<axis = 0>(m)  y = Add(scores, s)",
    "two that rely on each other": "m = Expand(own, shape)  r = Relu(m)  s = Add(m, r)  y = Tanh(s)",
    "reshaped": "m = Expand(own, shape)  s = Reshape(m, back)  y = Add(scores, s)",
    "a matrix axis": "m = Expand(own, shape)  t = Transpose<perm = [0, 1, 3, 2]>(m)  y = MatMul(scores, t)",
}


@pytest.mark.parametrize("case", STAYS)
def test_what_has_to_stay(case: str):
    graph = model(f"{HEAD}{STAYS[case]} }}", CONSTANTS | {"back": np.array([0, 1, 5, 7]), "first": np.array([0])})
    before = ir.to_proto(graph).SerializeToString()
    assert not DropExpands()(graph).modified
    assert ir.to_proto(graph).SerializeToString() == before


def test_a_rank_that_nothing_else_has():
    text = "(float[5] x, float[5] k) => (float[1, 5] y) { e = Expand(k, shape)  m = Mul(e, x)  y = Neg(m) }"
    graph = model(text, {"shape": np.array([1, 5])})
    assert not DropExpands()(graph).modified


def test_two_expands_of_different_axes():
    """Each operand has what the other lacks."""
    text = f"{HEAD} m = Expand(mask, shape)  o = Expand(own, shape)  w = Where(m, o, low)  y = Neg(w) }}"
    graph = model(text, CONSTANTS)
    assert_rewritten([DropExpands(), RemoveUnused()], graph, ["Where", "Neg"], N=2)


def test_two_expands_of_the_same_axis():
    """One of them has to give the result its dims."""
    text = f"{HEAD} m = Expand(own, shape)  o = Expand(like, shape)  w = Add(m, o)  s = Tanh(w)  y = Neg(s) }}"
    graph = model(text, CONSTANTS | {"like": np.ones((1, 1, 5, 7), np.float32)})
    assert_rewritten([DropExpands(), RemoveUnused()], graph, ["Add", "Tanh", "Neg", "Shape", "Concat", "Expand"], N=2)

"""Masks that hide nothing."""

from __future__ import annotations

import numpy as np
import pytest

from nxconvert.passes import DropIdleMasks, FoldConstants, RemoveUnused, Sweep
from tests.passes.models import assert_rewritten, model, weights

CONSTANTS = {
    **weights(table=(4, 5)),
    "yes": np.ones((1, 5), bool),
    "no": np.zeros((4, 1), bool),
    "mixed": np.array([[True, True, False, True, True]]),
    "wide": np.ones((2, 4, 5), bool),
    "zeros": np.zeros((4, 5), np.float32),
    "ones": np.ones((4, 5), np.float32),
    "zero": np.array(0, np.float32),
    "low": np.array(-np.inf, np.float32),
    "last": np.array([-1]),
}


def rewritten(body: str, expected: list[str]) -> None:
    graph = model(f"(float[4, 5] x) => (float[A, 5] y) {{ {body} }}", CONSTANTS)
    assert_rewritten([Sweep([FoldConstants(), DropIdleMasks()]), RemoveUnused()], graph, expected)


@pytest.mark.parametrize("call", ["Where(yes, r, zero)", "Where(no, zero, r)"])
def test_conditions_that_choose_one_side(call: str):
    rewritten(f"r = Relu(x)  w = {call}  y = Neg(w)", ["Relu", "Neg"])


def test_a_condition_that_is_computed_of_weights():
    body = "m = ReduceMax(table, last)  c = Greater(m, low)  r = Relu(x)  y = Where(c, r, zero)"
    rewritten(body, ["Relu"])


def test_zeros_in_front_of_softmax():
    rewritten("r = Relu(x)  n = Mul(zeros, zero)  a = Add(n, r)  y = Softmax(a)", ["Relu", "Softmax"])


STAYS = {
    "mixed": ("y = Where(mixed, x, zero)", ["Where"]),
    "what is chosen is smaller": ("y = Where(no, x, zero)", ["Where"]),
    "ones": ("a = Add(ones, x)  y = Softmax(a)", ["Add", "Softmax"]),
    "zeros elsewhere": ("a = Add(zeros, x)  y = Reciprocal(a)", ["Add", "Reciprocal"]),
}


@pytest.mark.parametrize("case", STAYS)
def test_what_has_to_stay(case: str):
    rewritten(*STAYS[case])


def test_a_condition_that_makes_the_result_larger():
    graph = model("(float[4, 5] x) => (float[2, 4, 5] y) { r = Relu(x)  y = Where(wide, r, zero) }", CONSTANTS)
    assert not DropIdleMasks()(graph).modified

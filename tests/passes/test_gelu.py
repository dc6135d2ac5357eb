"""Gelu, written out in the ways that are in use, and what only looks like it."""

from __future__ import annotations

import math

import numpy as np
import onnx_ir as ir
import pytest

from nxconvert.passes import RecognizeGelu
from tests.passes.models import assert_rewritten, model

NUMBERS = {
    "half": 0.5,
    "one": 1.0,
    "two": 2.0,
    "three": 3.0,
    "root": math.sqrt(2),
    "inverse": math.sqrt(0.5),
    "scale": math.sqrt(2 / math.pi),
    "cubic": 0.044715,
    "wrong": 0.0447,
}
CONSTANTS = {name: np.array(number, np.float32) for name, number in NUMBERS.items()}

ERF = {
    "divided": "a = Div(x, root)  e = Erf(a)  g = Add(e, one)  h = Mul(x, half)  y = Mul(h, g)",
    "multiplied": "a = Mul(inverse, x)  e = Erf(a)  g = Add(one, e)  h = Mul(x, g)  y = Mul(h, half)",
    "halved at last": "a = Mul(x, inverse)  e = Erf(a)  g = Add(one, e)  h = Mul(g, x)  y = Div(h, two)",
    "halved inside": "a = Mul(x, inverse)  e = Erf(a)  g = Add(e, one)  h = Mul(half, g)  y = Mul(x, h)",
}
TANH = {
    "power": "p = Pow(x, three)  q = Mul(p, cubic)  r = Add(x, q)  s = Mul(r, scale)",
    "products": "o = Mul(x, x)  p = Mul(x, o)  q = Mul(cubic, p)  r = Add(q, x)  s = Mul(scale, r)",
    "early factor": "n = Mul(x, cubic)  o = Mul(n, x)  p = Mul(o, x)  r = Add(x, p)  s = Mul(r, scale)",
    "x outside": "n = Mul(x, cubic)  o = Mul(n, x)  r = Add(one, o)  m = Mul(x, scale)  s = Mul(m, r)",
    "square": "n = Pow(x, two)  o = Mul(n, cubic)  r = Add(one, o)  m = Mul(x, r)  s = Mul(m, scale)",
}


@pytest.mark.parametrize("way", ERF)
def test_erf(way: str):
    body = ERF[way]
    if way == "halved at last":  # the last node is no Mul; what is behind it does not matter
        body = body.replace("y = Div(h, two)", "k = Div(h, two)  y = Mul(k, one)")
    graph = assert_rewritten(
        RecognizeGelu(), model(f"(float[A, 3] x) => (float[A, 3] y) {{ {body} }}", CONSTANTS), ["Gelu"]
    )
    assert "approximate" not in graph.graph[0].attributes


@pytest.mark.parametrize("way", TANH)
def test_tanh(way: str):
    text = f"(float[A, 3] x) => (float[A, 3] y) {{ {TANH[way]}  t = Tanh(s)  g = Add(t, one)  h = Mul(x, half) "
    graph = assert_rewritten(RecognizeGelu(), model(text + "y = Mul(h, g) }", CONSTANTS), ["Gelu"])
    assert graph.graph[0].attributes["approximate"].as_string() == "tanh"


def test_what_it_is_made_of():
    """The argument may be a product that something else reads, too."""
    text = f"(float[A, 3] k) => (float[A, 3] y, float[A, 3] z) {{ x = Mul(k, half)  {ERF['divided']}  z = Neg(x) }}"
    assert_rewritten(RecognizeGelu(), model(text, CONSTANTS), ["Gelu", "Mul", "Neg"])


OTHERS = {
    "another number": TANH["power"].replace("cubic", "wrong")
    + " t = Tanh(s) g = Add(t, one) h = Mul(x, half) y = Mul(h, g)",
    "another power": "p = Pow(x, two)  q = Mul(p, cubic)  r = Add(x, q)  s = Mul(r, scale) "
    "t = Tanh(s)  g = Add(t, one)  h = Mul(x, half)  y = Mul(h, g)",
    "not halved": "a = Div(x, root)  e = Erf(a)  g = Add(e, one)  y = Mul(x, g)",
    "another argument": "a = Div(z, root)  e = Erf(a)  g = Add(e, one)  h = Mul(x, half)  y = Mul(h, g)",
    "an erf that others read": "a = Div(x, root)  e = Erf(a)  g = Add(e, one)  h = Mul(x, half)  k = Mul(h, g) "
    "y = Add(k, e)",
    "another root": "a = Mul(x, root)  e = Erf(a)  g = Add(e, one)  h = Mul(x, half)  y = Mul(h, g)",
}


@pytest.mark.parametrize("case", OTHERS)
def test_others(case: str):
    graph = model(f"(float[A, 3] x, float[A, 3] z) => (float[A, 3] y) {{ {OTHERS[case]} }}", CONSTANTS)
    before = ir.to_proto(graph).SerializeToString()
    assert not RecognizeGelu()(graph).modified
    assert ir.to_proto(graph).SerializeToString() == before


def test_other_dtypes_have_no_kernel():
    constants = {name: array.astype(np.float64) for name, array in CONSTANTS.items()}
    graph = model(f"(double[A, 3] x) => (double[A, 3] y) {{ {ERF['divided']} }}", constants)
    assert not RecognizeGelu()(graph).modified

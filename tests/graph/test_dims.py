"""Arithmetic on dims against the same arithmetic on the integers they stand for."""

import operator
import random

import pytest

from nxconvert.graph.dims import (
    Dim,
    bounds,
    compare,
    divide_exactly,
    evaluate,
    floordiv,
    listening,
    maximum,
    minimum,
    mod,
    product,
    require,
)

H, W, N = Dim.symbol("h"), Dim.symbol("w"), Dim.symbol("n", low=0)

BINARY = [
    (operator.add, operator.add),
    (operator.sub, operator.sub),
    (operator.mul, operator.mul),
    (operator.floordiv, operator.floordiv),
    (operator.mod, operator.mod),
    (maximum, max),
    (minimum, min),
]


def random_expression(rng, depth):
    """A dim and the function of the sizes that it should be; division is by what is never zero."""
    if depth == 0 or rng.random() < 0.2:
        if rng.random() < 0.4:
            number = rng.randint(-6, 9)
            return number, lambda sizes: number
        name = rng.choice("hwn")
        return {"h": H, "w": W, "n": N}[name], lambda sizes: sizes[name]
    symbolic, plain = rng.choice(BINARY)
    a, value_a = random_expression(rng, depth - 1)
    b, value_b = random_expression(rng, depth - 1)
    if symbolic in (operator.floordiv, operator.mod):
        b, value_b = rng.choice(
            [(H, lambda sizes: sizes["h"]), *[(k, lambda sizes, k=k: k) for k in (1, 2, 3, 4, 8, -2)]]
        )
    return symbolic(a, b), lambda sizes: plain(value_a(sizes), value_b(sizes))


def sizes_of(rng):
    return {"h": rng.randint(1, 40), "w": rng.randint(1, 40), "n": rng.randint(0, 40)}


@pytest.mark.parametrize("seed", range(40))
def test_expressions_are_what_python_computes(seed):
    rng = random.Random(seed)
    for _ in range(25):
        dim, value = random_expression(rng, 4)
        low, high = bounds(dim)
        for _ in range(8):
            sizes = sizes_of(rng)
            expected = value(sizes)
            assert evaluate(dim, sizes) == expected, (dim, sizes)
            assert low is None or low <= expected, (dim, low, sizes)
            assert high is None or expected <= high, (dim, high, sizes)


@pytest.mark.parametrize("relation", ["==", "!=", "<", "<=", ">", ">="])
def test_what_compare_decides_holds_always(relation):
    rng = random.Random(relation)
    holds = {
        "==": operator.eq,
        "!=": operator.ne,
        "<": operator.lt,
        "<=": operator.le,
        ">": operator.gt,
        ">=": operator.ge,
    }[relation]
    decided = 0
    for _ in range(600):
        (a, value_a), (b, value_b) = random_expression(rng, 3), random_expression(rng, 2)
        verdict = compare(a, relation, b)
        if verdict is None:
            continue
        decided += 1
        for _ in range(10):
            sizes = sizes_of(rng)
            assert holds(value_a(sizes), value_b(sizes)) == verdict, (a, relation, b, sizes)
    assert decided > 100


@pytest.mark.parametrize("seed", range(10))
def test_exact_division_is_exact(seed):
    rng = random.Random(seed)
    for _ in range(50):
        (a, value_a), (b, value_b) = random_expression(rng, 3), random_expression(rng, 2)
        assert b == 0 or divide_exactly(a * b, b) == a or not isinstance(a, (int, Dim))
        quotient = divide_exactly(a, b)
        for _ in range(5):
            sizes = sizes_of(rng)
            if quotient is not None and value_b(sizes):
                assert evaluate(quotient, sizes) * value_b(sizes) == value_a(sizes)


def test_results_that_are_constant_are_ints():
    for result in (
        H - H,
        H * 0,
        (H + 2) - H,
        (2 * H) // H,
        mod(4 * H, 2),
        maximum(H, 0) - H,
        H + 0 - H,
        (H * W) // (W * H),
    ):
        assert isinstance(result, int)


def test_equal_dims_are_equal_objects_however_they_are_made():
    pairs = [
        (H + W, W + H),
        (2 * (H + 1), 2 * H + 2),
        ((H + 1) * (H - 1), H * H - 1),
        ((H + 1) // 2 // 2, (H + 1) // 4),
        (((H + 1) // 2 + 1) // 2, (H + 3) // 4),
        ((6 * H + 4) // 4, (3 * H + 2) // 2),
        ((4 * H + 3) // 2, 2 * H + 1),
        (maximum(H, W), maximum(W, H)),
        (product([H, W, 3]), 3 * H * W),
        ((H * W * 4) // (2 * W), 2 * H),
    ]
    for a, b in pairs:
        assert a == b
        assert hash(a) == hash(b)
    assert H != W
    assert H + 1 != H


def test_order_that_the_bounds_decide():
    assert compare(H, ">=", 1) is True
    assert compare(N, ">=", 1) is None
    assert compare(N, "<", 0) is False
    assert compare(H + 1, "==", H) is False
    assert compare(H * W, ">", 0) is True
    assert compare(H, "==", W) is None
    assert maximum(H, 1) == H
    assert minimum(H, H + 3) == H
    assert maximum(N - 1, -1) == N - 1
    assert minimum(H, 5) != 5
    assert compare(mod(H, 4), "<", 4) is True


def test_order_of_an_operation_and_its_operands():
    assert minimum(H // 2, H) == H // 2
    assert minimum((H + 6) // 7 * 7, H) == H
    assert maximum(H - minimum(H, 5), 0) == H - minimum(H, 5)
    assert compare(H - H // 2, ">=", 1) is True
    assert compare(N // 2, "<=", N) is True
    assert compare(N // 2, "<", N) is None
    assert compare(maximum(H, W), ">=", W) is True
    assert compare(H // 2, "==", H) is False


def test_text_reads_like_arithmetic():
    assert str(H) == "h"
    assert str(2 * H - 1) == "2*h - 1"
    assert str(H * W + 3) == "h*w + 3"
    assert str(-H + 1) == "1 - h"
    assert str(2 - H - W) == "2 - h - w"
    assert str(maximum(H, W)) == "max(h, w)"
    assert str(H // 2) == "h//2"
    assert str((H + 1) // 2 - 3) == "(h + 1)//2 - 3"
    assert str(W - H // 2) == "w - h//2"
    assert str(-(H // 2)) == "-(h//2)"
    assert str((H // 2) * W * 3) == "3*(h//2)*w"
    assert str(mod(H, 2) + 1) == "h%2 + 1"
    assert str(H // (W + 1)) == "h//(w + 1)"


def test_division_by_zero_is_an_error():
    with pytest.raises(ZeroDivisionError):
        floordiv(H, 0)
    with pytest.raises(ZeroDivisionError):
        mod(H, 0)


def test_evaluation_needs_a_number_for_every_symbol():
    with pytest.raises(KeyError):
        evaluate(H + W, {"h": 1})


def test_requirements_reach_the_listener_and_no_one_else():
    heard = []
    require(H, W)
    with listening(lambda a, b, broadcast: heard.append((a, b, broadcast))):
        require(H, W)
        require(H, H)
        require(H, 3, broadcast=True)
    require(H, W)
    assert heard == [(H, W, False), (H, 3, True)]

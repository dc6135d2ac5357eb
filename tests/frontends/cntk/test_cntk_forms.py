"""Forms: what a step of a loop computes, whatever way it is written."""

from __future__ import annotations

import functools
import operator

import numpy as np
import pytest

from nxconvert.frontends.cntk.recurrence.forms import CONSTANT, Atom, Form, Odd, Weight, number, of_atom, of_weight

SIZE = 2
X, H = Atom("outer", "x", 3), Atom("state", "h", SIZE)


def matrix(name: str, rows: int, columns: int) -> tuple[np.ndarray, Weight]:
    array = np.random.default_rng(len(name)).standard_normal((rows, columns))
    return array, Weight(name, array.shape, lambda: array)


def gate(name: str, form: Form) -> Form:
    return of_atom(Atom("Sigmoid", name, form.size, form))


def product(*atoms: Atom) -> frozenset:
    return frozenset((atom, atoms.count(atom)) for atom in atoms)


def test_mixtures_are_equal_however_they_are_written() -> None:
    z, c, h, one = gate("z", of_atom(H)), gate("c", of_atom(H)), of_atom(H), of_weight(number(1))
    minus = number(-1)
    written = [
        (one + z.scaled(minus)) * c + z * h,
        c + z * (h + c.scaled(minus)),
        z * h + (c + (z * c).scaled(minus)),
    ]
    assert all(form.terms == written[0].terms for form in written)
    assert {len(p): w.number for p, w in written[0].terms.items() if w.number == -1} == {2: -1}


def test_a_part_of_gates_that_are_computed_as_one_is_a_gate() -> None:
    w_array, w = matrix("w", 3, 3 * SIZE)
    r_array, r = matrix("rr", SIZE, 3 * SIZE)
    total = of_atom(X).times(w) + of_atom(H).scaled(number(0.5)).times(r) + of_weight(number(7))
    ((atom, _),) = next(iter(gate("all", total).part(SIZE, 2 * SIZE).terms))
    assert atom.kind == "Sigmoid"
    assert atom.size == SIZE
    assert atom.form is not None
    terms = atom.form.terms
    np.testing.assert_array_equal(terms[product(X)].array(), w_array[:, SIZE : 2 * SIZE])
    np.testing.assert_allclose(terms[product(H)].array(), 0.5 * r_array[:, SIZE : 2 * SIZE])
    assert terms[CONSTANT].number == 7


def test_products_with_sums_of_matrices_stay_together() -> None:
    _, r = matrix("r", SIZE, SIZE)
    inner = of_atom(H).times(r) + of_weight(number(1))
    reset = gate("reset", of_atom(H))
    ((pair, coefficient),) = (reset * inner).terms.items()
    assert coefficient.number == 1
    assert sorted(atom.kind for atom, _ in pair) == ["Sigmoid", "form"]


def test_what_no_cell_has_is_odd() -> None:
    _, r = matrix("r", SIZE, SIZE)
    with pytest.raises(Odd):
        of_atom(X) + of_atom(H)  # of different sizes
    with pytest.raises(Odd):
        of_atom(H).times(r) + of_atom(H)  # a state by a matrix, and as it is
    with pytest.raises(Odd):
        of_atom(H).part(0, 1)  # a part of a state
    gates = [gate(f"a{i}", of_atom(H)) + gate(f"b{i}", of_atom(H)) for i in range(9)]
    with pytest.raises(Odd):
        functools.reduce(operator.mul, gates)  # 512 products

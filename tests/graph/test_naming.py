"""Names of which no two are equal."""

from __future__ import annotations

from itertools import product

from nxconvert.graph.naming import Names, no_such_output

BASES = ("x", "x_1", "x_1_1", "x_lengths", "x_1_lengths")


def test_the_first_keeps_its_name_and_numbers_avoid_names_that_are_wanted() -> None:
    names = Names(["x", "x", "x_1", "x"])
    assert [names.give(base) for base in ("x", "x", "x_1", "x")] == ["x", "x_2", "x_1", "x_3"]


def test_what_is_reserved_is_not_given() -> None:
    names = Names(["x"])
    names.reserve(["x", "x_2_lengths"])
    assert [names.give("x", beside=["_lengths"]) for _ in range(2)] == ["x_1", "x_3"]


def test_no_name_is_given_twice() -> None:
    for bases in product(BASES, repeat=4):
        names = Names(bases)
        names.reserve({"x_2", "x_1_1"})
        given = ["x_2", "x_1_1"]
        for base in bases:
            name = names.give(base, beside=["_lengths"])
            given += [name, f"{name}_lengths"]
        assert len(set(given)) == len(given), bases


def test_who_asks_for_what_there_is_not() -> None:
    assert "Similar names are conv2, conv1." in str(no_such_output("conv", ["conv1", "conv2", "y"], ["y"]))
    assert "The model's outputs are y." in str(no_such_output("?", ["conv1", "y"], ["y"]))

"""Operator tables: a signature is a schema."""

import pytest

from nxconvert.graph.optable import OpTable


@pytest.fixture
def table() -> OpTable:
    table = OpTable(
        "toy",
        {
            "Text": lambda x: isinstance(x, str),
            "Int": lambda x: isinstance(x, int) and not isinstance(x, bool),
            "Ints": lambda x: isinstance(x, list),
        },
    )

    @table("max")
    def largest(op, self: "Ints"):  # noqa: F821
        return "all"

    @table("max.dim", "amax")
    def largest_along(op, self: "Ints", dim: "Int", keepdim=False):  # noqa: F821
        return f"dim {dim} {keepdim}"

    @table("max.other")
    def larger(op, self: "Ints", other: "Ints | None", *, out: "Text | None" = None):  # noqa: F821
        return f"other {other} {out}"

    return table


def call(table: OpTable, operator: str, *args: object, overload: str | None = None, **kwargs: object) -> object:
    return table.find(operator, args, kwargs, overload).function(None, *args, **kwargs)


@pytest.mark.parametrize(
    ("args", "kwargs", "expected"),
    [
        (([1],), {}, "all"),
        (([1], 2), {}, "dim 2 False"),
        (([1], 2, True), {}, "dim 2 True"),
        (([1],), {"dim": 3, "keepdim": True}, "dim 3 True"),
        (([1], [2]), {}, "other [2] None"),
        (([1], None), {"out": "here"}, "other None here"),
    ],
)
def test_the_first_lowering_that_takes_the_arguments_is_taken(table, args, kwargs, expected):
    assert call(table, "max", *args, **kwargs) == expected


def test_one_lowering_has_several_names(table):
    assert call(table, "amax", [1], 0) == "dim 0 False"
    assert [lowering.name for lowering in table.lowerings("max")] == ["max", "max.dim", "max.other"]
    assert list(table) == ["amax", "max"]
    assert "max" in table
    assert "min" not in table


def test_an_overload_that_the_source_names_is_tried_first(table):
    assert call(table, "max", [1], None, overload="other") == "other None None"
    with pytest.raises(LookupError):
        table.find("max", ([1], True), {}, "dim")


@pytest.mark.parametrize(
    ("args", "kwargs", "reason"),
    [
        (("x",), {}, "'self' does not take str 'x'"),
        (([1], 1, True, 4), {}, "takes 3 positions, 4 are given"),
        (([1], 1), {"dim": 2}, "'dim' is given twice"),
        (([1],), {"axis": 2}, "has no parameter 'axis'"),
        ((), {}, "'self' is missing"),
        (([1], 2.5), {}, "'dim' does not take float 2.5"),
    ],
)
def test_what_does_not_fit_is_said(table, args, kwargs, reason):
    with pytest.raises(LookupError) as caught:
        table.find("max", args, kwargs)
    assert reason in str(caught.value)


def test_an_unknown_operator_has_no_reason(table):
    with pytest.raises(LookupError, match="^$"):
        table.find("min", (), {})


def test_parameters_are_listed_in_order(table):
    assert table.lowerings("max")[2].parameters() == ["self", "other", "out"]

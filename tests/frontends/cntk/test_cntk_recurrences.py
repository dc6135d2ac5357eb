"""Loops with any body against CNTK itself, on ragged batches."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.frontends.cntk.harness import check, models


@pytest.mark.parametrize("model", models("recurrences"))
def test_loops_are_what_they_are_in_cntk(model: str, recordings: Path) -> None:
    check("recurrences", model, recordings)


@pytest.mark.parametrize(
    ("model", "loops"), [("running_sums", 0), ("running_sums_of_double", 0), ("sums_that_are_not_running", 3)]
)
def test_running_sums_are_no_loops(model: str, loops: int, recordings: Path) -> None:
    nodes = check("recurrences", model, recordings).graph.node
    assert [node.op_type for node in nodes].count("Scan") == loops


@pytest.mark.parametrize(("model", "padded"), [("delays_with_a_number", 1), ("delays_with_several_numbers", 0)])
def test_delays_are_padded_with_a_number(model: str, padded: int, recordings: Path) -> None:
    nodes = check("recurrences", model, recordings).graph.node
    assert any(node.op_type == "Pad" for node in nodes) == padded

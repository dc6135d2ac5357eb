"""Parts, sizes and order of static axes are those of the real CNTK."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.frontends.cntk.harness import check, models


@pytest.mark.parametrize("model", models("shape"))
def test_static_axes_are_cntks(model: str, recordings: Path) -> None:
    check("shape", model, recordings)


def test_axes_of_size_one_move_without_a_transposition(recordings: Path) -> None:
    model = check("shape", "axes_of_size_one_in_another_place", recordings)
    assert {node.op_type for node in model.graph.node} == {"Reshape"}

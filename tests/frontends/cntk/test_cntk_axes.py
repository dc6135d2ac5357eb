"""Sequence axes against CNTK itself, on ragged batches."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.frontends.cntk.harness import check, models


@pytest.mark.parametrize("model", models("axes"))
def test_sequence_axes_are_what_they_are_in_cntk(model: str, recordings: Path) -> None:
    converted = check("axes", model, recordings)
    if model in ("steps_by_counts", "steps_by_totals_that_fall"):
        # Totals are gone through one by one only where they may fall.
        scanned = any(node.op_type == "Scan" for node in converted.graph.node)
        assert scanned == (model == "steps_by_totals_that_fall")

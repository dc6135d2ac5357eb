"""Loops with any body against CNTK itself, on ragged batches."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.frontends.cntk.harness import check, models


@pytest.mark.parametrize("model", models("recurrences"))
def test_loops_are_what_they_are_in_cntk(model: str, recordings: Path) -> None:
    check("recurrences", model, recordings)

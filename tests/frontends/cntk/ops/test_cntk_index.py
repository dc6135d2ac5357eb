"""Indices, classes and largest numbers are those of the real CNTK."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.frontends.cntk.harness import check, models


@pytest.mark.parametrize("model", models("index"))
def test_indices_are_cntks(model: str, recordings: Path) -> None:
    check("index", model, recordings)

"""Reductions and softmax against the real CNTK."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.frontends.cntk.harness import check, models


@pytest.mark.parametrize("model", models("reduce"))
def test_reductions_are_cntks(model: str, recordings: Path) -> None:
    check("reduce", model, recordings)

"""Pooling against CNTK."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.frontends.cntk.harness import check, models


@pytest.mark.parametrize("model", models("pooling"))
def test_pooling_is_cntks(model: str, recordings: Path) -> None:
    check("pooling", model, recordings)

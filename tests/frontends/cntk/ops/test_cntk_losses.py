"""Losses and errors against the real CNTK."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.frontends.cntk.harness import check, models


@pytest.mark.parametrize("model", models("losses"))
def test_losses_are_cntks(model: str, recordings: Path) -> None:
    check("losses", model, recordings)

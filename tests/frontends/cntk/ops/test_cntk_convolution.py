"""Convolutions against CNTK."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.frontends.cntk.harness import check, models


@pytest.mark.parametrize("model", models("convolution"))
def test_convolutions_are_cntks(model: str, recordings: Path) -> None:
    check("convolution", model, recordings)

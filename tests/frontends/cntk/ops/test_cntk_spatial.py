"""Padding, cropping, regions and batch normalization against CNTK."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.frontends.cntk.harness import check, models


@pytest.mark.parametrize("model", models("spatial"))
def test_spatial_functions_are_cntks(model: str, recordings: Path) -> None:
    check("spatial", model, recordings)

"""Elementwise functions against the real CNTK."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.frontends.cntk.harness import check, models


@pytest.mark.parametrize("model", models("elementwise"))
def test_elementwise_functions_are_cntks(model: str, recordings: Path) -> None:
    check("elementwise", model, recordings)

"""Parts, sizes and order of static axes are those of the real CNTK."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.frontends.cntk.harness import check, models


@pytest.mark.parametrize("model", models("shape"))
def test_static_axes_are_cntks(model: str, recordings: Path) -> None:
    check("shape", model, recordings)

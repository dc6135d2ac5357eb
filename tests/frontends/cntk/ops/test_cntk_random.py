"""Random functions: what a converted model draws is distributed as what the real CNTK draws."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.frontends.cntk.harness import check, models


@pytest.mark.parametrize("model", models("random"))
def test_numbers_are_distributed_as_cntks(model: str, recordings: Path) -> None:
    check("random", model, recordings, rtol=0.05, atol=0.03)

"""Where the models are that the real CNTK makes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all processes of this session have; see `tests.frontends.cntk.harness`."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "cntk"
    folder.mkdir(exist_ok=True)
    return folder

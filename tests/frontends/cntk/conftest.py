"""Where the models are that the real CNTK makes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conformance.recording import shared_folder


@pytest.fixture(scope="session")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all processes of this session have; see `tests.frontends.cntk.harness`."""
    folder = shared_folder(tmp_path_factory) / "cntk"
    folder.mkdir(exist_ok=True)
    return folder

"""Where the recordings are that frameworks of old make."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conformance.recording import shared_folder


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all processes of this session have."""
    return shared_folder(tmp_path_factory)

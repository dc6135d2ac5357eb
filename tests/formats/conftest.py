"""Where the tests find real archives."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
CORPUS = Path(os.environ.get("NXCONVERT_CORPUS", REPOSITORY.parent / "shared" / "corpus"))


@pytest.fixture(scope="session")
def corpus_model(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Gives the path of one file of the corpus's models, e.g. ``tv_resnext/model_traced.pt``."""
    models = CORPUS / "pytorch" / "models.zip"
    folder = tmp_path_factory.mktemp("corpus")

    def extract(name: str) -> Path:
        if not models.exists():
            pytest.skip(f"there is no corpus at {models}: set NXCONVERT_CORPUS")
        with zipfile.ZipFile(models) as archive:
            return Path(archive.extract(name, folder))

    return extract

"""The corpus of real model files with recorded inputs and outputs: an archive has one folder a case."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterable
from functools import cache
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).resolve().parents[2]
CORPUS = Path(os.environ.get("NXCONVERT_CORPUS", ROOT.parent / "shared" / "corpus"))


@cache
def names(archive: Path, file: str = "meta.json") -> tuple[str, ...]:
    """The cases of an archive that have such a file (a pattern: ``*.pt``); none where there is no corpus."""
    if not archive.exists():
        return ()
    with zipfile.ZipFile(archive) as members:
        paths = map(PurePosixPath, members.namelist())
        return tuple(sorted({path.parts[0] for path in paths if path.match(file)}))


def unpacked(archive: Path, name: str, folder: Path) -> Path:
    """A case, unpacked to `folder`: its own folder in there."""
    with zipfile.ZipFile(archive) as file:
        file.extractall(folder, [member for member in file.namelist() if member.startswith(f"{name}/")])
    return folder / name


def parameters(names: Iterable[str]) -> list[object]:
    """The names, to parametrize a test with; without a corpus one test that is skipped, so that it shows."""
    reason = f"no corpus at {CORPUS}: set NXCONVERT_CORPUS"
    return list(names) or [pytest.param("", marks=pytest.mark.skip(reason=reason))]

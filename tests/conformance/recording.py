"""Recordings that another Python makes, with a framework of old, for all processes of a session of tests."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import pytest


def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all processes of this session have."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


def recorded(target: Path, command: Sequence[object], seconds: float) -> Path:
    """What a command makes in the folder `target`: once, whichever process asks first.

    Args:
        target: the folder; what the command prints goes to a file beside it.
        command: the command.
        seconds: how long it may take.
    """
    done, log = target.with_name(f"{target.name}.done"), target.with_name(f"{target.name}.log")
    try:
        target.with_name(f"{target.name}.lock").mkdir()
    except FileExistsError:
        end = time.monotonic() + seconds
        while not done.exists() and time.monotonic() < end:
            time.sleep(0.1)
    else:
        target.mkdir()
        done.write_text(str(_status(command, log, seconds)))
    said = log.read_text(errors="replace")[-2000:]
    assert done.exists(), f"{target.name} takes more than {seconds} s: {said}"
    assert done.read_text() == "0", f"{target.name} ends with {done.read_text()}: {said}"
    return target


def _status(command: Sequence[object], log: Path, seconds: float) -> int:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    words = [str(word) for word in command]
    with log.open("w") as stream:
        return subprocess.run(
            words, stdout=stream, stderr=subprocess.STDOUT, timeout=seconds, check=False, env=environment
        ).returncode

"""TorchScript archives that PyTorch 1.0 to 1.4 wrote, against what that PyTorch computed.

`fixtures/pytorch_1_0` to `pytorch_1_4` hold models; more of them, and some six hundred expressions traced and compiled,
are made on the fly where PyTorch 1.4 is installed (`.ci/oracles`). Whatever does not match is listed in ``known.json``.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nxconvert
from nxconvert import NxConvertError
from tests.conformance.corpus import ROOT
from tests.conformance.pytorch_cases import InputSet, difference
from tests.conformance.ratchet import complaint
from tests.conformance.summary import record

FIXTURES = sorted((ROOT / "fixtures").glob("pytorch_1_?/*.pt"))
ORACLE = Path(
    os.environ.get("NXCONVERT_CAFFE2_PYTHON", Path.home() / ".cache" / "nxconvert-oracles" / "venv" / "bin" / "python")
)
with_oracle = pytest.mark.skipif(not ORACLE.exists(), reason=f"no PyTorch 1.4 at {ORACLE}: run .ci/oracles")


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_fixtures(path: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    check("PyTorch 1.0 to 1.4", [path], tmp_path, request)


@with_oracle
def test_models(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    run_oracle(ROOT / "fixtures" / "make_pytorch_old.py", tmp_path, "ALL")
    check("PyTorch 1.4, models", sorted(tmp_path.glob("*.pt")), tmp_path, request, at_least=50)


@with_oracle
@pytest.mark.parametrize("kind", ["traced", "scripted"])
def test_operators(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    run_oracle(Path(__file__).with_name("old_operators.py"), tmp_path, kind)
    check(f"PyTorch 1.4, operators {kind}", sorted(tmp_path.glob("*.pt")), tmp_path, request, at_least=500)


def run_oracle(script: Path, *arguments: Any) -> None:
    """Runs a script under PyTorch 1.4."""
    command = [str(ORACLE), "-W", "ignore", str(script), *map(str, arguments)]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert not done.returncode, done.stderr


def check(suite: str, paths: list[Path], folder: Path, request: pytest.FixtureRequest, *, at_least: int = 1) -> None:
    assert len(paths) >= at_least
    complaints = []
    for path in paths:
        name = f"{path.parent.name}/{path.stem}" if path in FIXTURES else path.stem
        problem = differs(path, folder)
        record(request, suite, "failed" if problem else "matched")
        complaints.append(complaint(suite, name, problem))
    assert not any(complaints), "\n".join(filter(None, complaints))


def differs(path: Path, folder: Path) -> str:
    """How the converted model differs from what was recorded, in words."""
    with np.load(path.with_suffix(".npz")) as arrays:
        given = {name[3:]: array for name, array in arrays.items() if name.startswith("in:")}
        outputs = [array for name, array in arrays.items() if name.startswith("out:")]
    described: list[Mapping[str, Any]] = [{"dtype": array.dtype.name} for array in outputs]
    recorded = InputSet(list(given.values()), outputs, described, "quant" in path.stem)
    # Lists and dicts are declared by name; else the order will do, as the compiler may have renamed arguments.
    inputs: Any = given if any("." in name for name in given) else recorded.inputs
    target = folder / f"{path.stem}.onnx"
    try:
        nxconvert.convert(path, target, inputs=inputs)
        return difference(recorded, nxconvert.run(target, inputs))
    except NxConvertError as error:
        return f"{type(error).__name__}: {error}"

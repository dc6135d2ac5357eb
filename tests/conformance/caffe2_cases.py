"""Recorded runs of Caffe2: reading them, declaring their inputs, comparing with them.

A case is a folder: ``predict_net.pb``, maybe ``init_net.pb``, ``inputs.npz``, ``outputs.npz``, ``meta.json``. Arrays
are stored under the names of their blobs, or under others that ``inputs_name_map`` and ``outputs_name_map`` translate.
A blob that the net writes in place is among both.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import nxconvert
from nxconvert import InputError, NxConvertError
from nxconvert.runtimes.caffe2 import PYTHON
from tests.conformance.corpus import CORPUS

HERE = Path(__file__).resolve().parent
#: The operators that matter for inference.
OPERATORS = tuple((HERE / "caffe2_operators.txt").read_text().split())
#: How long recording may take, in seconds.
PATIENCE = 900
_TOLERANCE = {"float16": (2e-2, 2e-3)}
#: Operators whose inputs but the first are weights: their sizes are known wherever such a net is.
_WEIGHTED = ("Conv", "DeformConv", "FC", "GroupNorm", "InstanceNorm", "LC", "PRelu", "SpatialBN", "TT")


@dataclass(frozen=True)
class Case:
    """One recorded run.

    Attributes:
        id: its name.
        net: the file of the predict net.
        inputs: what was given, by blob.
        outputs: what came out, by the name that it has in a graph: ``x_out`` of an input that was written into.
        meta: what else is known.
    """

    id: str
    net: Path
    inputs: Mapping[str, np.ndarray]
    outputs: Mapping[str, np.ndarray]
    meta: Mapping[str, Any]

    def specs(self, *, free: bool = False) -> dict[str, str]:
        """The inputs as declared: dtype and sizes, or the first size free of all that are no weights."""
        return {name: self._spec(name, value, free) for name, value in self.inputs.items()}

    def _spec(self, name: str, value: np.ndarray, free: bool) -> str:
        dims = [str(size) for size in value.shape]
        if free and dims and not self._is_weight(name):
            dims[0] = f"n{dims[0]}"
        return f"{'string' if value.dtype.kind == 'S' else value.dtype.name}[{','.join(dims)}]"

    def _is_weight(self, name: str) -> bool:
        if name in self.meta.get("weight_like_inputs", ()):
            return True
        return self.meta.get("op_type", "").startswith(_WEIGHTED) and name != next(iter(self.inputs))


def read(folder: Path) -> Case:
    """The case in a folder."""
    meta = json.loads((folder / "meta.json").read_text())
    inputs = _arrays(folder / "inputs.npz", meta.get("inputs_name_map", {}))
    outputs = _arrays(folder / "outputs.npz", meta.get("outputs_name_map", {}))
    renamed = {f"{name}_out" if name in inputs else name: value for name, value in outputs.items()}
    return Case(folder.name, folder / "predict_net.pb", inputs, renamed, meta)


def _arrays(path: Path, names: Mapping[str, str]) -> dict[str, np.ndarray]:
    with np.load(path) as stored:
        return {names.get(key, key): stored[key] for key in stored.files}


@cache
def corpus_names(archive: str) -> tuple[str, ...]:
    """The cases in an archive of the corpus; none where there is no corpus."""
    path = CORPUS / "caffe2" / archive
    if not path.exists():
        return ()
    with zipfile.ZipFile(path) as file:
        return tuple(sorted({name.partition("/")[0] for name in file.namelist() if name.endswith("/meta.json")}))


def from_corpus(archive: str, name: str, folder: Path) -> Case:
    """A case of the corpus, unpacked to `folder`."""
    with zipfile.ZipFile(CORPUS / "caffe2" / archive) as file:
        for member in file.namelist():
            if member.startswith(f"{name}/"):
                file.extract(member, folder)
    return read(folder / name)


def of_operator(folder: Path, operator: str) -> Iterator[Case]:
    """The cases of one operator among those that a script has recorded."""
    found = [path for path in folder.glob(f"{operator}_*") if path.name.rpartition("_")[0] == operator]
    yield from map(read, sorted(found, key=lambda path: int(path.name.rpartition("_")[2])))


def recorded(folder: Path, script: str, *arguments: str) -> Path:
    """What a script records with the real Caffe2, in a subfolder of `folder`: once, whichever process asks first."""
    target, done = folder / script, folder / f"{script}.done"
    try:
        (folder / f"{script}.lock").mkdir()
    except FileExistsError:
        end = time.monotonic() + PATIENCE
        while not done.exists() and time.monotonic() < end:
            time.sleep(0.2)
    else:
        command = [os.environ[PYTHON], "-W", "ignore", str(HERE / f"{script}.py"), str(target), *arguments]
        with (folder / f"{script}.log").open("w") as log:
            result = subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, timeout=PATIENCE, check=False)
        done.write_text(str(result.returncode))
    log_end = (folder / f"{script}.log").read_text(errors="replace")[-2000:]
    assert done.exists(), f"{script} takes more than {PATIENCE} s: {log_end}"
    assert done.read_text() == "0", f"{script} fails: {log_end}"
    return target


def outcome(case: Case, target: Path, *, declared: bool = True, free: bool = False) -> tuple[str, str]:
    """What becomes of a case: ``matched``, ``failed``, or ``asked`` for inputs; and what is wrong, in words.

    With free sizes a net that is refused is ``refused``: some operators need to know them.
    """
    inputs = case.specs(free=free) if declared else None
    try:
        nxconvert.convert(case.net, target, inputs=inputs)
    except InputError as error:
        return ("failed", str(error)) if declared and not free else ("asked", "")
    except NxConvertError as error:
        return ("refused", "") if free else ("failed", f"{type(error).__name__}: {error}")
    try:
        problem = difference(case, nxconvert.run(target, {name: _text(value) for name, value in case.inputs.items()}))
    except NxConvertError as error:
        problem = f"{type(error).__name__}: {error}"
    return ("failed", problem) if problem else ("matched", "")


def difference(case: Case, got: Mapping[str, np.ndarray]) -> str:
    """How outputs differ from the recorded ones by more than is tolerated, in words; empty where they do not."""
    random = set(case.meta.get("nondeterministic_outputs", ()))
    fragile = case.meta.get("fragile_outputs_under_1e-6_perturbation") or ()
    if list(got) != list(case.outputs):
        return f"the outputs are {', '.join(got)} instead of {', '.join(case.outputs)}"
    for name, want in case.outputs.items():
        is_random = name in random or name.removesuffix("_out") in random
        problem = _difference(np.asarray(got[name]), want, is_random, name in fragile)
        if problem:
            return f"{name}: {problem}"
    return ""


def _difference(got: np.ndarray, want: np.ndarray, random: bool, fragile: bool) -> str:
    if got.shape != want.shape:
        return f"shape {got.shape} instead of {want.shape}"
    if want.dtype.kind == "S":
        return "" if random or _text(got).tolist() == _text(want).tolist() else "strings differ"
    if got.dtype != want.dtype:
        return f"{got.dtype} instead of {want.dtype}"
    if random or not want.size:
        return ""
    if want.dtype.kind == "f":
        rtol, atol = _TOLERANCE.get(want.dtype.name, (1e-3, 1e-5))
        got, want = got.astype(np.float64), want.astype(np.float64)
        same = np.isclose(got, want, rtol=rtol, atol=atol, equal_nan=True)
    elif fragile and want.dtype == np.uint8:
        same = np.abs(got.astype(int) - want.astype(int)) <= 1
    else:
        same = got == want
    if np.all(same):
        return ""
    place = tuple(int(index) for index in np.argwhere(~np.asarray(same))[0])
    wrong = int(np.count_nonzero(~np.asarray(same)))
    return f"{wrong} of {want.size} values differ, at {place} it is {got[place]} instead of {want[place]}"


def _text(value: np.ndarray) -> np.ndarray:
    """Strings as graphs have them, other arrays as they are."""
    if value.dtype.kind not in "SO":
        return value
    flat = [item.decode(errors="surrogateescape") if isinstance(item, bytes) else str(item) for item in value.ravel()]
    return np.array(flat, object).reshape(value.shape)

"""Recorded runs of Caffe2: reading them, declaring their inputs, comparing with them.

A case is a folder: ``predict_net.pb``, maybe ``init_net.pb``, ``inputs.npz``, ``outputs.npz``, ``meta.json``. Arrays
are stored under the names of their blobs, or under others that ``inputs_name_map`` and ``outputs_name_map`` translate.
A blob that the net writes in place is among both.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import nxconvert
from nxconvert import InputError, NxConvertError
from nxconvert.runtimes.caffe2 import PYTHON
from tests.conformance import corpus, differences, recording

HERE = Path(__file__).resolve().parent
ARCHIVES = corpus.CORPUS / "caffe2"
#: The operators that matter for inference.
OPERATORS = tuple((HERE / "caffe2_operators.txt").read_text().split())
#: How long recording may take.
SECONDS = 900
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


def from_corpus(archive: Path, name: str, folder: Path) -> Case:
    """A case of the corpus, unpacked to `folder`."""
    return read(corpus.unpacked(archive, name, folder))


def of_operator(folder: Path, operator: str) -> Iterator[Case]:
    """The cases of one operator among those that a script has recorded."""
    found = [path for path in folder.glob(f"{operator}_*") if path.name.rpartition("_")[0] == operator]
    yield from map(read, sorted(found, key=lambda path: int(path.name.rpartition("_")[2])))


def recorded(folder: Path, script: str, *arguments: str) -> Path:
    """What a script records with the real Caffe2, in a subfolder of `folder`: once, whichever process asks first."""
    target = folder / script
    command = [os.environ[PYTHON], "-W", "ignore", HERE / f"{script}.py", target, *arguments]
    return recording.recorded(target, command, SECONDS)


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
    if want.dtype.kind == "S":
        got, want = _text(got), _text(want)
    if random:  # only what it looks like can be compared
        got, want = np.zeros_like(got), np.zeros_like(want)
    return differences.difference(got, want, steps=int(fragile and want.dtype == np.uint8))


def _text(value: np.ndarray) -> np.ndarray:
    """Strings as graphs have them, other arrays as they are."""
    if value.dtype.kind not in "SOU":
        return value
    flat = [item.decode(errors="surrogateescape") if isinstance(item, bytes) else str(item) for item in value.ravel()]
    return np.array(flat, object).reshape(value.shape)

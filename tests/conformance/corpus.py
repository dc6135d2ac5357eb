"""The corpus of real PyTorch models with recorded inputs and outputs: reading it, and comparing with it.

An archive of the corpus has one folder a case. A model's ``meta.json`` lists its input sets, each with the arguments of
``forward`` in order; an operator's names dtypes alone, and its ``inputs.npz`` holds the tensors in order. bfloat16 is
stored as float32, and quantized tensors are stored dequantized.
"""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

import ml_dtypes
import numpy as np

ROOT = Path(__file__).resolve().parents[2]
CORPUS = Path(os.environ.get("NXCONVERT_CORPUS", ROOT.parent / "shared" / "corpus"))

#: Relative and absolute tolerance for the dtypes that do not resolve what is asked of float32 and wider ones.
_COARSE = {"float16": (2e-2, 2e-3), "bfloat16": (2e-2, 2e-3)}
_TOLERANCE = (1e-3, 1e-5)
#: What a graph takes for a number of Python's.
_NUMBERS = {"int": np.int64, "float": np.float32, "bool": np.bool_}


@dataclass(frozen=True)
class InputSet:
    """One recorded call.

    Attributes:
        inputs: the tensors and numbers that were given, flattened, in order.
        outputs: what came out, flattened, in order.
        described: of each output, what ``meta.json`` says: its dtype, and whether it was quantized.
        quantized: whether the model computes with quantized tensors.
    """

    inputs: list[np.ndarray]
    outputs: list[np.ndarray]
    described: list[Mapping[str, Any]]
    quantized: bool


@dataclass(frozen=True)
class Case:
    """One file to convert, and how it has to behave.

    Attributes:
        id: its path inside the archive of the corpus.
        path: where it is unpacked.
        input_sets: the recorded calls.
    """

    id: str
    path: Path
    input_sets: list[InputSet]


@cache
def names(archive: str, suffix: str) -> tuple[str, ...]:
    """The folders of an archive of the corpus that hold files of this kind; none where there is no corpus."""
    path = CORPUS / "pytorch" / archive
    if not path.exists():
        return ()
    with zipfile.ZipFile(path) as file:
        members = {PurePosixPath(name) for name in file.namelist()}
    return tuple(sorted({member.parts[0] for member in members if member.suffix == suffix}))


def cases(archive: str, name: str, folder: Path, suffix: str) -> Iterator[Case]:
    """The files of one kind under the top folder `name`, unpacked to `folder`."""
    with zipfile.ZipFile(CORPUS / "pytorch" / archive) as file:
        for member in file.namelist():
            if member.startswith(f"{name}/") and member.endswith(suffix):
                yield Case(member, Path(file.extract(member, folder)), _input_sets(file, PurePosixPath(member).parent))


def _input_sets(file: zipfile.ZipFile, folder: PurePosixPath) -> list[InputSet]:
    meta = json.loads(file.read(str(folder / "meta.json")))
    quantized = meta.get("kind") == "quantized"
    sets = []
    for recorded in meta.get("input_sets", [meta]):
        stored = _arrays(file, folder / recorded.get("file", "inputs.npz"))
        outputs = _arrays(file, folder / recorded.get("outputs_file", "outputs.npz"))
        arguments = recorded.get("args")
        if arguments is None:
            arguments = [{"tensor": key, **info} for key, info in zip(stored, recorded["inputs"], strict=True)]
        inputs = _without_trailing_none([leaf for argument in arguments for leaf in _leaves(argument, stored)])
        sets.append(InputSet(inputs, list(outputs.values()), recorded["outputs"], quantized))
    return sets


def _arrays(file: zipfile.ZipFile, member: PurePosixPath) -> dict[str, np.ndarray]:
    with np.load(io.BytesIO(file.read(str(member)))) as arrays:
        return dict(arrays)


def _leaves(argument: Mapping[str, Any], stored: Mapping[str, np.ndarray]) -> Iterator[np.ndarray | None]:
    """What an argument flattens to: tensors, and numbers as the scalars that a graph takes; None where none is given.

    An argument is a tensor's key and dtype, or one pair of a kind and a value.
    """
    if "tensor" in argument:
        tensor = stored[argument["tensor"]]
        yield tensor.astype(ml_dtypes.bfloat16) if argument["dtype"] == "bfloat16" else tensor
        return
    ((kind, value),) = argument.items()
    if kind in ("tuple", "list"):
        for item in value:
            yield from _leaves(item, stored)
    elif kind == "dict":
        for _, item in value:
            yield from _leaves(item, stored)
    else:
        yield (
            None if kind == "none" else np.array(value, {"int": np.int64, "float": np.float32, "bool": np.bool_}[kind])
        )


def _without_trailing_none(leaves: Sequence[np.ndarray | None]) -> list[np.ndarray]:
    """Inputs are declared in order, so only the last ones can be left out."""
    given = list(leaves)
    while given and given[-1] is None:
        given.pop()
    present = [leaf for leaf in given if leaf is not None]
    assert len(present) == len(given), "an argument after None cannot be given in order"
    return present


def difference(recorded: InputSet, actual: Mapping[str, np.ndarray]) -> str:
    """How outputs differ from the recorded ones by more than is tolerated, in words; empty where they do not.

    A model that writes to an input has the input's new value as another output, ``NAME_out``, which is not recorded.
    """
    count = len(recorded.outputs)
    if len(actual) < count or not all(name.endswith("_out") for name in list(actual)[count:]):
        return f"{len(actual)} outputs instead of {count}: {', '.join(actual)}"
    own = list(actual.values())[:count]
    for index, (got, want, described) in enumerate(zip(own, recorded.outputs, recorded.described, strict=True)):
        dtype = got.dtype.name if described.get("quantized") else described["dtype"]
        problem = _difference(np.asarray(got), want, dtype, _step(want) if recorded.quantized else 0.0)
        if problem:
            return f"output {index}: {problem}"
    return ""


def _difference(got: np.ndarray, want: np.ndarray, dtype: str, step: float) -> str:
    if got.dtype.name != dtype:
        return f"{got.dtype.name} instead of {dtype}"
    if got.shape != want.shape:
        return f"shape {got.shape} instead of {want.shape}"
    if want.dtype.kind not in "fc":
        wrong = int(np.count_nonzero(got != want))
        return f"{wrong} of {want.size} values differ" if wrong else ""
    rtol, atol = _COARSE.get(dtype, _TOLERANCE)
    wide = np.complex128 if want.dtype.kind == "c" else np.float64
    got, want = got.astype(wide), want.astype(wide)
    if np.allclose(got, want, rtol=rtol, atol=max(atol, step), equal_nan=True):
        return ""
    return f"values differ by up to {np.nanmax(np.abs(got - want)):.3g}"


def _step(recorded: np.ndarray) -> float:
    """The step between the levels of a quantized output, as far as its values show it; else 0.

    The levels are a scale apart, so the scale is the smallest distance between two values, if all others are multiples
    of it. What a quantized model computes in float has no such levels.
    """
    distances = np.diff(np.unique(recorded.astype(np.float64)))
    if recorded.dtype.kind != "f" or distances.size < 2:
        return 0.0
    multiples = distances / distances.min()
    return float(distances.min()) * 1.001 if np.allclose(multiples, np.round(multiples), atol=1e-2) else 0.0

"""Recorded runs of PyTorch: reading them, comparing with them.

The ``meta.json`` of a model lists its input sets, each with the arguments of ``forward`` in order; that of an operator
names dtypes alone, and its ``inputs.npz`` holds the tensors in order. bfloat16 is stored as float32, and quantized
tensors are stored dequantized.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import ml_dtypes
import numpy as np

from tests.conformance import corpus, differences

ARCHIVES = corpus.CORPUS / "pytorch"
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


def cases(archive: Path, name: str, folder: Path, suffix: str) -> Iterator[Case]:
    """The files of one kind under the top folder `name`, unpacked to `folder`."""
    with zipfile.ZipFile(archive) as file:
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
        yield None if kind == "none" else np.array(value, _NUMBERS[kind])


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
        atol = max(differences.ATOL, _step(want) if recorded.quantized else 0.0)
        problem = differences.difference(np.asarray(got), want, dtype=dtype, atol=atol)
        if problem:
            return f"output {index}: {problem}"
    return ""


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

"""Recorded runs of CNTK: reading them, giving them to what was made of the model, comparing with them.

A case is a folder with ``model.model``, ``inputs.npz``, ``outputs.npz`` and ``meta.json``, as `cntk_record` makes it.
"""

from __future__ import annotations

import ast
import json
import os
import traceback
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import nxconvert
from tests.conformance import corpus, differences, recording
from tests.conformance.differences import ATOL, RTOL

HERE = Path(__file__).resolve().parent
ARCHIVES = corpus.CORPUS / "cntk"
PYTHON = "NXCONVERT_CNTK_PYTHON"
INTERPRETER = Path(os.environ.get(PYTHON, Path.home() / ".cache" / "nxconvert-oracles" / "venv" / "bin" / "python"))
#: How long recording may take.
SECONDS = 600
#: How much longer the sequence axis is than the longest sequence. What follows a sequence is NaN.
PADDING = 2
LENGTHS = "_lengths"

needs_cntk = pytest.mark.skipif(not INTERPRETER.exists(), reason=f"no CNTK at {INTERPRETER}: run .ci/oracles")


@dataclass(frozen=True)
class Variable:
    """An input or output of a model, and what it held.

    Attributes:
        name: the model's name for it, or its uid.
        shape: of a sample; negative where it is free.
        dtype: of what it holds.
        axis: the name of the sequence axis, if there are sequences.
        batch: whether it holds one sample, or sequence, for each of the batch.
        data: one array, or an array for each sequence.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype
    axis: str | None
    batch: bool
    data: np.ndarray | list[np.ndarray]

    @property
    def lengths(self) -> list[int]:
        """Of the sequences."""
        return [len(sequence) for sequence in self.data]


@dataclass(frozen=True)
class Case:
    """One recorded run.

    Attributes:
        id: its name.
        folder: where it is.
        meta: what is known.
    """

    id: str
    folder: Path
    meta: Mapping[str, Any]

    @property
    def model(self) -> Path:
        return self.folder / "model.model"

    @cached_property
    def inputs(self) -> list[Variable]:
        return self._variables("inputs")

    @cached_property
    def outputs(self) -> list[Variable]:
        return self._variables("outputs")

    def _variables(self, which: str) -> list[Variable]:
        with np.load(self.folder / f"{which}.npz") as arrays:
            return [_variable(described, arrays) for described in self.meta[which]]

    def feeds(self, graph: onnx.GraphProto) -> dict[str, np.ndarray]:
        """What to give the graph: batches of sequences are padded with NaN to more than the longest of their axis."""
        sizes: dict[str, int] = {}
        for variable in self.inputs:
            if variable.axis is not None:
                sizes[variable.axis] = max([sizes.get(variable.axis, 0), *(n + PADDING for n in variable.lengths)])
        given, found = {variable.name: variable for variable in self.inputs}, {}
        for value in graph.input:
            variable = given.get(value.name) or given.get(value.name.removesuffix(LENGTHS))
            assert variable is not None, f"the input {value.name} is none of {', '.join(given)}"
            if value.name != variable.name:
                found[value.name] = np.array(variable.lengths, np.int64)
            elif variable.axis is None:
                found[value.name] = np.asarray(variable.data)
            else:
                found[value.name] = padded(variable, sizes[variable.axis])
        return found

    def difference(self, got: Mapping[str, np.ndarray], rtol: float = RTOL, atol: float = ATOL) -> str:
        """How outputs differ from the recorded ones by more than is tolerated, in words; empty where they do not."""
        names = [name for name in got if not (name.endswith(LENGTHS) and name.removesuffix(LENGTHS) in got)]
        if len(names) != len(self.outputs):
            return f"{len(names)} outputs ({', '.join(names)}) instead of {len(self.outputs)}"
        for name, want in zip(names, self.outputs, strict=True):
            problem = _difference(np.asarray(got[name]), got.get(f"{name}{LENGTHS}"), want, rtol, atol)
            if problem:
                return f"{name}: {problem}"
        return ""


def read(folder: Path) -> Case:
    """The case in a folder."""
    return Case(folder.name, folder, json.loads((folder / "meta.json").read_text()))


def _variable(described: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Variable:
    key, shape = described["key"], tuple(described["shape"])
    axis = next((axis["name"] for axis in described["dynamic_axes"] if axis["seq"]), None)
    data: np.ndarray | list[np.ndarray]
    if described["layout"] == "sequence":
        data = [arrays[f"{key}__s{index}"] for index in range(len(arrays[f"{key}__lengths"]))]
    else:
        data = arrays[key]
        if described["layout"] == "batch" and data.ndim == len(shape) + 2 and data.shape[1] == 1:
            data = data.reshape(len(data), *data.shape[2:])  # CNTK takes a sequence of one step for a sample
        elif described["layout"] == "static" and data.ndim > len(shape) and data.shape[0] == 1:
            data = data.reshape(data.shape[-len(shape) :])
    batch = described["layout"] != "static"
    return Variable(described["name"] or described["uid"], shape, np.dtype(described["dtype"]), axis, batch, data)


def padded(variable: Variable, size: int) -> np.ndarray:
    """A batch of sequences in one array, [batch, size, *shape]."""
    shape = variable.data[0].shape[1:]
    array = np.full((len(variable.data), size, *shape), np.nan, variable.data[0].dtype)
    for row, sequence in zip(array, variable.data, strict=True):
        row[: len(sequence)] = sequence
    return array


def _difference(got: np.ndarray, lengths: np.ndarray | None, want: Variable, rtol: float, atol: float) -> str:
    if want.axis is None:
        return differences.difference(got, np.asarray(want.data), rtol=rtol, atol=atol)
    if got.ndim < 2 or len(got) != len(want.data) or got.shape[1] < max(want.lengths):
        return f"shape {got.shape} for {len(want.data)} sequences of up to {max(want.lengths)} steps"
    if lengths is not None and lengths.tolist() != want.lengths:
        return f"lengths {lengths.tolist()} instead of {want.lengths}"
    for index, sequence in enumerate(want.data):
        problem = differences.difference(got[index, : len(sequence)], sequence, rtol=rtol, atol=atol)
        if problem:
            return f"sequence {index}: {problem}"
    return ""


def outcome(case: Case, target: Path, *, model: Path | None = None, rtol: float = RTOL, atol: float = ATOL) -> str:
    """What is wrong with what becomes of a case's model, or of another file of it, in words; empty where nothing is."""
    try:
        nxconvert.convert(model or case.model, target)
    except nxconvert.NxConvertError as error:
        return f"{type(error).__name__}: {error}"
    except Exception:
        return traceback.format_exc()
    return difference(case, target, rtol=rtol, atol=atol)


def difference(case: Case, target: Path, *, rtol: float = RTOL, atol: float = ATOL) -> str:
    """What is wrong with what a converted model computes in ONNX Runtime for a batch; empty where nothing is."""
    graph = onnx.load(target, load_external_data=False).graph
    try:
        return case.difference(nxconvert.run(target, case.feeds(graph), runtime="onnxruntime"), rtol, atol)
    except nxconvert.NxConvertError as error:
        return f"{type(error).__name__}: {error}"


def from_corpus(archive: Path, name: str, folder: Path) -> Case:
    """A case of the corpus, unpacked to `folder`."""
    return read(corpus.unpacked(archive, name, folder))


def captured_tests(modules: Iterable[str]) -> list[tuple[str, str]]:
    """The tests in modules of the installed package `cntk`: module and function."""
    found = []
    for module in modules:
        for path in INTERPRETER.parent.parent.glob(f"lib/python3*/site-packages/cntk/{module.replace('.', '/')}.py"):
            functions = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)]
            found += [(module, function.name) for function in functions if function.name.startswith("test_")]
    return found


def recorded(folder: Path, script: Path, *arguments: object, name: str = "") -> Path:
    """What a script makes with the real CNTK in a subfolder of `folder`: once, whichever process asks first."""
    target = folder / (name or script.stem)
    return recording.recorded(target, [INTERPRETER, "-W", "ignore", script, target, *arguments], SECONDS)

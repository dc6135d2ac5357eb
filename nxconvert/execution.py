"""Running a model: in its own framework, or converted for another."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nxconvert.detection import init_file, source_frontend
from nxconvert.errors import RunError, RuntimeMissingError, UsageError
from nxconvert.inputs import as_array
from nxconvert.plugins import LiveModel, Runner, Runtime, TwoFileRuntime, backends, runtimes

if TYPE_CHECKING:
    import numpy as np


def run(
    path: str | os.PathLike[str],
    inputs: Mapping[str, Any] | Sequence[Any],
    *,
    runtime: str | None = None,
    init: str | os.PathLike[str] | None = None,
) -> dict[str, np.ndarray]:
    """Runs a model once.

    Args:
        path: the model's file.
        inputs: an array (or what NumPy makes one of) for each input, by name or in order.
        runtime: the name of what is to run it; None for the model's own framework. A runtime of another format gets
            the model converted to its format, in a temporary folder.
        init: the file of the weights, of formats that keep them in a second one (see `load`).

    Returns:
        The outputs by name.

    Raises:
        RuntimeMissingError: what would run it is not installed.
        RunError: the model does not run on these inputs.
        ReadError, UnsupportedError: as `load`.
    """
    source, frontend = source_frontend(path)
    weights = init_file(init, frontend)
    wanted = None if runtime is None else find_runtime(runtime)
    if wanted is None or frontend.name in wanted.formats:
        runner = load_on(wanted or own_runtime(frontend.name, source), source, weights)
        return runner(_by_name(runner, inputs))
    # First what can be known without work: whether it can run here at all.
    missing = wanted.available()
    if missing:
        raise RuntimeMissingError(f"{source} cannot be run by {wanted.name}: {missing}.")
    with tempfile.TemporaryDirectory(prefix="nxconvert-") as folder:
        converted = _converted(source, weights, wanted, inputs, Path(folder))
        try:
            runner = wanted.load(converted)
            return runner(_by_name(runner, inputs))
        except RunError as error:
            raise RunError(str(error).replace(str(converted), str(source))) from error


def load_on(runtime: Runtime, path: Path, init: Path | None) -> Runner:
    """The model in `path`, with its weights in `init` where that is given, ready to run.

    Raises:
        ReadError, RuntimeMissingError: as `Runtime.load`.
        RunError: the runtime does not take a second file.
    """
    if init is None:
        return runtime.load(path)
    if not isinstance(runtime, TwoFileRuntime):
        raise RunError(f"{path} cannot be run with {init}: {runtime.name} takes one file.")
    return runtime.load_pair(path, init)


def find_runtime(name: str) -> Runtime:
    """The runtime of that name.

    Raises:
        UsageError: there is none.
    """
    known = runtimes()
    if name not in known:
        raise UsageError(f"there is no runtime {name!r}; these are known: {', '.join(known)}.")
    return known[name]


def own_runtime(format: str, path: Path | LiveModel) -> Runtime:
    """The runtime that runs a format itself: of those available here, the one that is preferred.

    Raises:
        RuntimeMissingError: there is none here; says what is missing.
    """
    candidates = [each for each in runtimes().values() if format in each.formats]
    missing = []
    for candidate in candidates:
        lack = candidate.available()
        if lack is None:
            return candidate
        missing.append(lack)
    why = "; ".join(missing) or f"nothing is known that runs {format} models"
    raise RuntimeMissingError(f"{path} cannot be run as it is: {why}.")


def _converted(
    source: Path, init: Path | None, runtime: Runtime, inputs: Mapping[str, Any] | Sequence[Any], folder: Path
) -> Path:
    """`source` in a format that `runtime` runs, fitted to the inputs it is to be run on."""
    from nxconvert.conversion import convert

    backend = next((backends()[name] for name in runtime.formats if name in backends()), None)
    if backend is None:
        raise UsageError(f"{source} cannot be run by {runtime.name}: nothing writes what it runs.")
    target = folder / f"model{backend.suffixes[0]}"
    convert(source, target, inputs=inputs, init=init, target_format=backend.name)
    return target


def _by_name(runner: Runner, inputs: Mapping[str, Any] | Sequence[Any]) -> dict[str, Any]:
    if not isinstance(inputs, Mapping):
        if len(inputs) > len(runner.inputs):
            raise UsageError(f"{len(inputs)} inputs are given, and the model has {len(runner.inputs)}.")
        inputs = dict(zip(runner.inputs, inputs, strict=False))
    return {name: as_array(value) for name, value in inputs.items()}

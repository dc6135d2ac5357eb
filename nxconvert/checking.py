"""Checking: whether two files compute the same, each run by its own framework on the same inputs."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ml_dtypes
import numpy as np

from nxconvert.conversion import OPTIONS_KEY
from nxconvert.detection import init_file, source_frontend, target_backend
from nxconvert.errors import InputError, RunError, UsageError
from nxconvert.execution import load_on, own_runtime
from nxconvert.inputs import InputsLike, InputSpec, as_array
from nxconvert.interface import free_ranges, sequence_lengths
from nxconvert.live import live_frontend
from nxconvert.plugins import LiveFrontend, LiveModel, LiveRuntime, ReadOptions, Runner, Runtime
from nxconvert.report import CheckReport, CheckRun, OutputDiff
from nxconvert.runtimes.arrays import pairs

if TYPE_CHECKING:
    import onnx_ir as ir

    from nxconvert.sampling import Sampler

#: How many choices of sizes are compared, and with how many seeds each.
SIZES = 2
SEEDS = 2
# A float dtype cannot agree better than it resolves, and a network adds up many roundings.
_ROUNDINGS = 8
# NumPy's kinds of text: Python objects, Unicode, bytes.
_TEXT = "OUS"


def check(
    source: str | os.PathLike[str] | LiveModel,
    target: str | os.PathLike[str],
    *,
    inputs: InputsLike = None,
    rtol: float = 1e-3,
    atol: float = 1e-5,
    seed: int = 0,
    trust_code: bool = False,
    init: str | os.PathLike[str] | None = None,
) -> CheckReport:
    """Whether `target` computes what `source` computes.

    Both are run on generated inputs: two choices of size for every free dim, two seeds each. Sizes that the source's
    own framework refuses are left out. Dtypes, shapes, integers, booleans and text are to be equal; a float may differ
    by ``atol * max(1, largest of the output) + rtol * its own size``, in float16 and coarser dtypes by eight units in
    the last place at least. NaN equals NaN.

    Args:
        source: the file, or the live model, that is taken for the truth.
        target: the file to be compared with it.
        inputs: fixes sizes of free dims (specs), or gives values (arrays); by name or in order.
        rtol: the relative tolerance.
        atol: the absolute tolerance.
        seed: what the inputs are generated from.
        trust_code: whether Python code in the source may be executed (a pickled module).
        init: the file of the source's weights, of formats that keep them in a second one (see `load`).

    Raises:
        RuntimeMissingError: a framework that would run one of the two is not installed.
        RunError: the source's framework runs none of the inputs.
        ReadError, UsageError: as `load`.
    """
    truth = _Source(source, trust_code, init)
    target_path, target_reader = source_frontend(target)
    # Both first: loading a model only to find that the other cannot run would be a waste.
    truth.require_runtime()
    target_runtime = own_runtime(target_reader.name, target_path)
    try:
        model = target_reader.read(target_path, ReadOptions())
    except InputError:
        model = truth.read()
    comparison = _Comparison(model, truth.load(), target_runtime.load(target_path), rtol, atol)
    runs = comparison.runs(_declared(inputs, [value.name or "" for value in model.graph.inputs]), seed)
    if all(run.skipped for run in runs):
        why = runs[0].skipped.rstrip(".")
        raise RunError(
            f"nothing could be checked, since the source runs on none of the inputs tried: {why}. "
            "Give inputs that it takes with --input (inputs= in Python)."
        )
    return CheckReport(
        source=truth.source,
        source_runtime=comparison.source.description,
        target=target_path,
        target_runtime=comparison.target.description,
        rtol=rtol,
        atol=atol,
        runs=tuple(runs),
    )


class _Source:
    """What is taken for the truth: a file, or a live model (which a file may hold)."""

    def __init__(
        self,
        source: str | os.PathLike[str] | LiveModel,
        trust_code: bool,
        init: str | os.PathLike[str] | None,
    ) -> None:
        self.source: Path | LiveModel
        if isinstance(source, LiveModel):
            self.source, self._format = source, source.format
            self._init = init_file(init, live_frontend(self._format))
        else:
            self.source, self._frontend = source_frontend(source)
            self._init = init_file(init, self._frontend)
            self._format = self._frontend.name
            if isinstance(self._frontend, LiveFrontend):
                self.source = self._frontend.open_live(self.source, trust_code=trust_code) or self.source

    def require_runtime(self) -> Runtime:
        """What runs it; raises RuntimeMissingError where that is not installed."""
        return own_runtime(self._format, self.source)

    def read(self) -> ir.Model:
        """Its graph."""
        if isinstance(self.source, LiveModel):
            return live_frontend(self._format).read_live(self.source, ReadOptions())
        return self._frontend.read(self.source, ReadOptions(init=self._init))

    def load(self) -> Runner:
        """Itself, ready to run."""
        runtime = self.require_runtime()
        if not isinstance(self.source, LiveModel):
            return load_on(runtime, self.source, self._init)
        if not isinstance(runtime, LiveRuntime):
            raise RunError(f"{self.source} cannot be run: {runtime.name} runs files only.")
        return runtime.load_live(self.source)


def require_runtimes(
    source: str | os.PathLike[str] | LiveModel,
    target: str | os.PathLike[str],
    source_format: str | None = None,
    target_format: str | None = None,
) -> None:
    """Finds out, before a conversion, whether its result could be checked here.

    Raises:
        RuntimeMissingError: a framework that would run one of the two is not installed.
        ReadError, WriteError, UsageError: as `convert`.
    """
    if isinstance(source, LiveModel):
        own_runtime(source.format, source)
    else:
        source_path, frontend = source_frontend(source, source_format)
        own_runtime(frontend.name, source_path)
    target_path, backend = target_backend(target, target_format)
    own_runtime(backend.name, target_path)


class _Comparison:
    """Two loaded models, and what is known about both: the graph of one."""

    def __init__(self, model: ir.Model, source: Runner, target: Runner, rtol: float, atol: float) -> None:
        self.source = source
        self.target = target
        self._rtol = rtol
        self._atol = atol
        self._model = model
        self._outputs = [value.name or "" for value in model.graph.outputs]
        self._optional = {value.name for value in model.graph.inputs if value.name in model.graph.initializers}
        # What was pinned in the conversion is no input of the target, and still an argument of the source.
        self._constants: Mapping[str, Any] = json.loads(model.metadata_props.get(OPTIONS_KEY, "{}")).get(
            "constants", {}
        )

    def runs(self, declared: Mapping[str, InputSpec | np.ndarray], seed: int) -> list[CheckRun]:
        """Runs of both, until enough sizes have been compared or no more are worth trying."""
        from nxconvert.sampling import Sampler

        sampler = Sampler(self._model.graph.inputs, declared, free_ranges(self._model), sequence_lengths(self._model))
        runs: list[CheckRun] = []
        compared = 0
        for sizes in sampler.sizes():
            done = [self._run(sampler, sizes, seed + number) for number in range(SEEDS)]
            runs.extend(done)
            compared += any(not run.skipped for run in done)
            if compared == SIZES:
                break
        return runs

    def _run(self, sampler: Sampler, sizes: Mapping[str, int], seed: int) -> CheckRun:
        # Inputs that have a default are left to it in every other run. Of a model's state that is the first call.
        left_out = self._optional if seed % 2 == 0 else ()
        inputs = {name: array for name, array in sampler.values(sizes, seed).items() if name not in left_out}
        try:
            expected = self.source({**inputs, **self._constants}, self._outputs)
        except RunError as error:
            return CheckRun(seed=seed, sizes=sizes, skipped=str(error))
        try:
            actual = self.target(inputs)
        except RunError as error:
            return CheckRun(seed=seed, sizes=sizes, problem=str(error))
        names = list(dict.fromkeys((*expected, *actual)))
        outputs = [compare(name, expected.get(name), actual.get(name), self._rtol, self._atol) for name in names]
        return CheckRun(seed=seed, sizes=sizes, outputs=tuple(outputs))


def _declared(inputs: InputsLike, names: list[str]) -> dict[str, InputSpec | np.ndarray]:
    if inputs is None:
        return {}
    if not isinstance(inputs, Mapping):
        if len(inputs) > len(names):
            raise UsageError(f"{len(inputs)} inputs are given, and the model has {len(names)}.")
        inputs = dict(zip(names, inputs, strict=False))
    return {
        name: InputSpec.of(item) if isinstance(item, str | InputSpec) else as_array(item)
        for name, item in inputs.items()
    }


def compare(name: str, expected: np.ndarray | None, actual: np.ndarray | None, rtol: float, atol: float) -> OutputDiff:
    """How one output differs; see `check` for what is tolerated."""
    if expected is None or actual is None:
        return OutputDiff(name=name, ok=False, problem=f"only the {'target' if expected is None else 'source'} has it")
    if expected.dtype.kind == "c" != actual.dtype.kind:
        expected = pairs(expected)
    if isinstance(expected, np.ma.MaskedArray):
        expected, actual = _unmasked(expected, actual)
    elif isinstance(actual, np.ma.MaskedArray):
        actual, expected = _unmasked(actual, expected)
    text = expected.dtype.kind in _TEXT and actual.dtype.kind in _TEXT
    if expected.dtype != actual.dtype and not text:
        problem = f"its dtype is {actual.dtype} and should be {expected.dtype}"
        return OutputDiff(name=name, ok=False, problem=problem)
    if expected.shape != actual.shape:
        problem = f"its shape is {list(actual.shape)} and should be {list(expected.shape)}"
        return OutputDiff(name=name, ok=False, problem=problem)
    if text:
        different = int(np.sum(expected.astype(str) != actual.astype(str)))
        problem = f"{different} of {expected.size} texts differ" if different else ""
        return OutputDiff(name=name, ok=not different, problem=problem)
    difference, magnitude = _difference(expected, actual)
    largest = float(np.max(magnitude[np.isfinite(magnitude)], initial=0.0))
    max_abs = float(np.max(difference, initial=0.0))
    wrong = int(np.sum(difference > _tolerance(expected.dtype, magnitude, largest, rtol, atol)))
    return OutputDiff(
        name=name,
        ok=not wrong,
        max_abs=max_abs,
        max_rel=max_abs / largest if largest else (0.0 if max_abs == 0 else float("inf")),
        problem=f"{wrong} of {expected.size} elements differ, by {max_abs:.3g} at most" if wrong else "",
    )


def _unmasked(batch: np.ma.MaskedArray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A batch of sequences, and one that may be padded further, equal in what follows the sequences: it is anything."""
    other = np.ma.getdata(other)
    other = other[:, : batch.shape[1]] if other.ndim > 1 else other
    if other.shape == batch.shape:
        other = np.where(np.ma.getmaskarray(batch), batch.data, other)
    return batch.data, other


def _difference(expected: np.ndarray, actual: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Element by element, how far apart two arrays are (infinitely, where one is not finite) and how large they are."""
    wide = np.complex128 if expected.dtype.kind == "c" else np.float64
    if expected.dtype.kind in "iub":
        # 64-bit integers do not fit in float64: what is equal is told by comparing the integers themselves.
        different = expected != actual
        difference = np.where(different, np.maximum(np.abs(expected.astype(wide) - actual.astype(wide)), 1), 0.0)
        return difference, np.abs(expected.astype(wide))
    one, other = expected.astype(wide), actual.astype(wide)
    same = (one == other) | (np.isnan(one) & np.isnan(other))
    with np.errstate(invalid="ignore", over="ignore"):
        difference = np.abs(one - other)
    return np.where(same, 0.0, np.where(np.isfinite(difference), difference, np.inf)), np.abs(one)


def _tolerance(dtype: np.dtype, magnitude: np.ndarray, largest: float, rtol: float, atol: float) -> np.ndarray | float:
    if dtype.kind in "iub" or "int" in dtype.name:
        return 0.0
    eps = float(ml_dtypes.finfo(dtype).eps)
    relative, absolute = max(rtol, _ROUNDINGS * eps), max(atol, eps)
    finite = np.where(np.isfinite(magnitude), magnitude, 0.0)
    tolerance: np.ndarray = absolute * max(1.0, largest) + relative * finite
    return tolerance

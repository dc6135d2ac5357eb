"""What a conversion and a check report: plain data that renders as text and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nxconvert.errors import MismatchError
from nxconvert.plugins import LiveModel


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversionReport:
    """What a conversion did.

    Attributes:
        source: the file that was read, or the live model.
        source_format: its format's name.
        target: the file that was written.
        target_format: its format's name.
        target_bytes: its size, with the external data beside it.
        opset: the version of the default operator domain in the target.
        nodes: how many nodes were written, those of subgraphs included.
        parameters: how many numbers the weights hold.
        inputs: dtype and dims of each input, by name: ``float32[batch,3,224,224]``.
        outputs: dtype and dims of each output, by name.
        free_dims: the names of the sizes that the caller chooses at every run, in the order the inputs name them.
        warnings: what the user should know, a sentence each.
        seconds: wall time by stage (reading, optimizing, writing) and in all (total).
        peak_memory: the most memory the process had resident so far, in bytes; None where the system does not tell.
    """

    source: Path | LiveModel
    source_format: str
    target: Path
    target_format: str
    target_bytes: int
    opset: int
    nodes: int
    parameters: int
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    free_dims: tuple[str, ...]
    warnings: tuple[str, ...]
    seconds: Mapping[str, float]
    peak_memory: int | None

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON has it: paths and specs are strings."""
        return {
            "source": str(self.source),
            "source_format": self.source_format,
            "target": str(self.target),
            "target_format": self.target_format,
            "target_bytes": self.target_bytes,
            "opset": self.opset,
            "nodes": self.nodes,
            "parameters": self.parameters,
            "inputs": dict(self.inputs),
            "outputs": dict(self.outputs),
            "free_dims": list(self.free_dims),
            "warnings": list(self.warnings),
            "seconds": {stage: round(seconds, 4) for stage, seconds in self.seconds.items()},
            "peak_memory": self.peak_memory,
        }

    def to_json(self) -> str:
        """The report as a JSON object."""
        return json.dumps(self.to_dict(), indent=2)

    def summary(self) -> str:
        """The report as one paragraph."""
        free = ", ".join(self.free_dims) or "none"
        memory = f", {human_bytes(self.peak_memory)} of memory at peak" if self.peak_memory is not None else ""
        return (
            f"{self.source} ({self.source_format}) -> {self.target} ({self.target_format}, opset {self.opset}): "
            f"{count(self.nodes, 'node')}, {parameters(self.parameters)}, "
            f"{human_bytes(self.target_bytes)}; free dims: {free}; "
            f"{self.seconds['total']:.2f} s{memory}."
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputDiff:
    """How one output of the target differs from the source's.

    Attributes:
        name: the output's name.
        ok: whether the two agree: dtype and shape exactly, values within the tolerance.
        max_abs: the largest absolute difference of two elements; None where they cannot be compared.
        max_rel: the largest difference relative to the source's element (0 where both are 0); None likewise.
        problem: what does not agree, in words; empty where all does.
    """

    name: str
    ok: bool
    max_abs: float | None = None
    max_rel: float | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckRun:
    """One run of both files on the same inputs.

    Attributes:
        seed: what the values were generated from.
        sizes: what was taken for each free dim.
        outputs: how the outputs compare; empty where one of the two did not run.
        skipped: why the source's own framework did not run these sizes; such a run proves nothing and counts nothing.
        problem: why the target did not run them although the source did.
    """

    seed: int
    sizes: Mapping[str, int]
    outputs: tuple[OutputDiff, ...] = ()
    skipped: str = ""
    problem: str = ""

    @property
    def ok(self) -> bool:
        """Whether the run found nothing wrong."""
        return not self.problem and all(output.ok for output in self.outputs)


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckReport:
    """Whether two files compute the same.

    Attributes:
        source: the file, or the live model, taken for the truth.
        source_runtime: what ran it.
        target: the file that was compared with it.
        target_runtime: what ran it.
        rtol: the relative tolerance.
        atol: the absolute tolerance.
        runs: each run of both.
    """

    source: Path | LiveModel
    source_runtime: str
    target: Path
    target_runtime: str
    rtol: float
    atol: float
    runs: tuple[CheckRun, ...]

    @property
    def ok(self) -> bool:
        """Whether at least one run compared something, and every run agrees."""
        return any(run.outputs for run in self.runs) and all(run.ok for run in self.runs)

    @property
    def outputs(self) -> tuple[OutputDiff, ...]:
        """Each output once, with its largest differences over all runs and the first problem it had."""
        worst: dict[str, OutputDiff] = {}
        for run in self.runs:
            for output in run.outputs:
                known = worst.get(output.name)
                worst[output.name] = output if known is None else _worse(known, output)
        return tuple(worst.values())

    @property
    def problems(self) -> tuple[str, ...]:
        """Everything that disagrees, a sentence each."""
        return tuple(dict.fromkeys(self._problems()))

    def raise_for_mismatch(self) -> None:
        """Raises a `MismatchError` that says what disagrees, if anything does."""
        if not self.ok:
            raise MismatchError(
                f"{self.target} ({self.target_runtime}) does not compute what {self.source} ({self.source_runtime}) "
                f"computes: {'; '.join(self.problems)}."
            )

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON has it."""
        return {
            "ok": self.ok,
            "source": str(self.source),
            "source_runtime": self.source_runtime,
            "target": str(self.target),
            "target_runtime": self.target_runtime,
            "rtol": self.rtol,
            "atol": self.atol,
            "outputs": [asdict(output) for output in self.outputs],
            "runs": [{**asdict(run), "ok": run.ok} for run in self.runs],
        }

    def to_json(self) -> str:
        """The report as a JSON object; differences that are no finite number are null."""
        return json.dumps(_finite(self.to_dict()), indent=2)

    def _problems(self) -> Iterator[str]:
        for run in self.runs:
            if run.problem:
                yield f"{_sizes(run.sizes)}{run.problem}".rstrip(".")
            for output in run.outputs:
                if not output.ok:
                    yield f"{_sizes(run.sizes)}{output.name}: {output.problem}"


def _worse(one: OutputDiff, other: OutputDiff) -> OutputDiff:
    def largest(a: float | None, b: float | None) -> float | None:
        return a if b is None else b if a is None else max(a, b)

    return OutputDiff(
        name=one.name,
        ok=one.ok and other.ok,
        max_abs=largest(one.max_abs, other.max_abs),
        max_rel=largest(one.max_rel, other.max_rel),
        problem=one.problem or other.problem,
    )


def _sizes(sizes: Mapping[str, int]) -> str:
    listing = ", ".join(f"{name}={size}" for name, size in sizes.items())
    return f"with {listing}: " if listing else ""


def _finite(value: Any) -> Any:
    """`value` without the infinities and NaNs that JSON has no words for."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float) and value - value != 0:
        return None
    return value


def count(number: int, what: str) -> str:
    """``1 node``, ``2 nodes``."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def human_count(number: float) -> str:
    """A number to about three digits: ``25.6 M``."""
    text = f"{number:.0f}"
    for unit in (" k", " M", " G", " T"):
        if float(text) < 1000:
            return text
        number /= 1000
        text = f"{number:.1f}" if number < 99.95 else f"{number:.0f}"
        if float(text) < 1000:
            return text + unit
    return f"{text} T"


def parameters(number: int) -> str:
    """``1 parameter``, ``25.6 M parameters``."""
    return f"{human_count(number)} parameter{'' if number == 1 else 's'}"


def human_bytes(number: int) -> str:
    """A number of bytes to about three digits: ``97.8 MB`` (1 MB is 10^6 bytes)."""
    return f"{human_count(number)}B" if number >= 1000 else f"{number} B"

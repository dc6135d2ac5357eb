"""Wall time and peak memory of whole conversions, processes from start to end, against the frameworks' own exporters.

    python benchmarks/convert.py                        # every model, every tool
    python benchmarks/convert.py resnet50 bert-base -n 5 --json result.json

This process imports nothing large: what a child is started from counts in its peak memory.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
from inputs import INPUTS
from rich.console import Console
from rich.table import Table

HERE = Path(__file__).parent
CACHE = Path.home() / ".cache" / "nxconvert-benchmarks"
# A round of this model of a framework fills the bytecode caches before anything is measured.
WARM_UP = {"pytorch": "resnet50", "caffe2": "caffe2-resnet50", "cntk": "cntk-alexnet"}
# Measured where they are named only: they take long to make, and much of a disk.
LARGE = frozenset({"cntk-2.2gb"})
# The Pythons that have Caffe2 and CNTK.
CAFFE2_PYTHON = os.environ.get("NXCONVERT_CAFFE2_PYTHON", "")
CNTK_PYTHON = os.environ.get("NXCONVERT_CNTK_PYTHON", "")
# The bytecode caches that every installation has are used, whatever this shell says.
ENVIRONMENT = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}


@dataclass(frozen=True)
class Tool:
    """Something that makes one file of another.

    Attributes:
        source: what follows the model's name in the path of the file it starts from.
        command: the words of its command line, given the model's name, the source and the target.
        converts: whether the target is an ONNX model.
    """

    source: str
    command: Callable[[str, Path, Path], list[str | Path]]
    converts: bool = True


def _nxconvert(model: str, source: Path, target: Path) -> list[str | Path]:
    declared = [word for each in INPUTS[model] for word in ("--input", each.spec)]
    return [Path(sys.executable).with_name("nxconvert"), source, target, "--quiet", *declared]


def _peer(kind: str) -> Callable[[str, Path, Path], list[str | Path]]:
    return lambda model, source, target: [sys.executable, HERE / "peer.py", kind, model, source, target]


def _caffe2_exporter(model: str, source: Path, target: Path) -> list[str | Path]:
    dims = [1, *INPUTS[model][0].dims]
    shapes = json.dumps({INPUTS[model][0].name: [1, dims]})
    command = Path(CAFFE2_PYTHON).with_name("convert-caffe2-to-onnx")
    init = source.with_name("init_net.pb")
    return [command, source, "--caffe2-init-net", init, "--value-info", shapes, "-o", target]


def _cntk_exporter(model: str, source: Path, target: Path) -> list[str | Path]:
    return [CNTK_PYTHON, "-W", "ignore", HERE / "cntk_models.py", "export", source, target]


def _copy(model: str, source: Path, target: Path) -> list[str | Path]:
    return ["cp", source, target]


TOOLS = {
    "pytorch": {
        "nxconvert": Tool(".pt", _nxconvert),
        "torchscript": Tool(".pt", _peer("torchscript")),
        "dynamo": Tool(".pt2", _peer("dynamo")),
        "cp": Tool(".pt", _copy, converts=False),
    },
    "caffe2": {
        "nxconvert": Tool("/predict_net.pb", _nxconvert),
        "caffe2": Tool("/predict_net.pb", _caffe2_exporter),
        "cp": Tool("/init_net.pb", _copy, converts=False),
    },
    "cntk": {
        "nxconvert": Tool(".model", _nxconvert),
        "cntk": Tool(".model", _cntk_exporter),
        "cp": Tool(".model", _copy, converts=False),
    },
}


def framework(model: str) -> str:
    """The framework of a model."""
    name = model.partition("-")[0]
    return name if name in WARM_UP else "pytorch"


@dataclass(frozen=True)
class Run:
    """One process: seconds of wall time and of CPU time, bytes of memory at the peak."""

    wall: float
    cpu: float
    peak: int


@dataclass
class Result:
    """All runs of one tool on one model.

    Attributes:
        nodes: of the converted model; None for a copy.
        bytes: of all files that were written.
        problem: the last line of what a run that failed has said.
    """

    model: str
    tool: str
    runs: list[Run] = field(default_factory=list)
    nodes: int | None = None
    bytes: int = 0
    problem: str = ""

    def median(self, what: str) -> float:
        return float(statistics.median(getattr(run, what) for run in self.runs))

    def summary(self) -> dict[str, Any]:
        medians = {what: self.median(what) for what in ("wall", "cpu", "peak")} if self.runs else {}
        return {**asdict(self), "median": medians}


def measure(result: Result, models: Path, *, keep: bool = True) -> None:
    """Runs a tool once, in a folder that is thrown away."""
    tool = TOOLS[framework(result.model)][result.tool]
    with tempfile.TemporaryDirectory(dir=models, prefix="out-") as folder:
        target = Path(folder) / ("copy.pt" if not tool.converts else "model.onnx")
        words = tool.command(result.model, models / f"{result.model}{tool.source}", target)
        log = Path(folder) / "log"
        os.sync()  # nobody pays for what another has written
        with log.open("wb") as output:
            begin = time.perf_counter()
            process = subprocess.Popen(words, stdout=output, stderr=output, env=ENVIRONMENT)
            _, status, usage = os.wait4(process.pid, 0)
            wall = time.perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said = log.read_text(errors="replace").strip().splitlines() or [f"exit code {process.returncode}"]
            result.problem = said[-1]
            return
        if keep:
            unit = 1 if sys.platform == "darwin" else 1024
            result.runs.append(Run(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * unit))
        log.unlink()
        result.bytes = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
        if not result.bytes:
            result.problem = "says that all is well, and writes nothing"
        elif tool.converts and result.nodes is None:
            counted = subprocess.run([sys.executable, HERE / "count.py", target], capture_output=True, check=True)
            result.nodes = int(counted.stdout)


def build(model: str, suffix: str, models: Path, console: Console) -> bool:
    """Saves a model in the cache, unless it is there; returns whether it is."""
    path = models / f"{model}{suffix}"
    if not path.exists():
        console.print(f"building {path}")
        words: dict[str, list[str | Path]] = {
            "pytorch": [sys.executable, "-W", "ignore", HERE / "models.py", model, path],
            "caffe2": [CAFFE2_PYTHON or sys.executable, "-W", "ignore", HERE / "caffe2_models.py", model, path.parent],
            "cntk": [CNTK_PYTHON or sys.executable, "-W", "ignore", HERE / "cntk_models.py", "make", model, path],
        }
        subprocess.run(words[framework(model)], check=False, env=ENVIRONMENT)
    return path.exists()


def build_all(model: str, results: list[Result], models: Path, console: Console) -> bool:
    """Saves a model for all the tools of these results; returns whether all of it is there."""
    suffixes = sorted({TOOLS[framework(model)][result.tool].source for result in results})
    complete = all(build(model, suffix, models, console) for suffix in suffixes)
    if not complete:
        console.print(f"{results[0].model} is left out: {model} could not be built.")
    return complete


def table(results: list[Result]) -> Table:
    """The medians."""
    rendered = Table("model", "tool")
    for heading in ("wall s", "CPU s", "peak MB", "nodes", "written MB"):
        rendered.add_column(heading, justify="right")
    previous = ""
    for result in results:
        if result.model != previous and previous:
            rendered.add_section()
        name, previous = "" if result.model == previous else result.model, result.model
        if result.problem:
            rendered.add_row(name, result.tool, f"failed: {result.problem[:60]}")
            continue
        wall, cpu, peak = (result.median(what) for what in ("wall", "cpu", "peak"))
        nodes = "" if result.nodes is None else str(result.nodes)
        figures = (f"{wall:.2f}", f"{cpu:.2f}", f"{peak / 1e6:.0f}", nodes, f"{result.bytes / 1e6:.1f}")
        rendered.add_row(name, result.tool, *figures)
    return rendered


@click.command(help=(__doc__ or "").partition("\n")[0])
@click.argument("names", metavar="[MODEL]...", nargs=-1, type=click.Choice(list(INPUTS)))
@click.option("-n", "--runs", default=3, show_default=True, help="How often each tool is measured.")
@click.option(
    "-t",
    "--tool",
    "tools",
    multiple=True,
    type=click.Choice(sorted({tool for tools in TOOLS.values() for tool in tools})),
    help="Only these (repeatable).",
)
@click.option("--models", default=CACHE, show_default=True, type=click.Path(path_type=Path), help="Caches the models.")
@click.option("--json", "report", type=click.Path(path_type=Path), help="Also write every run to this file.")
def main(names: tuple[str, ...], runs: int, tools: tuple[str, ...], models: Path, report: Path | None) -> None:
    console = Console()
    models.mkdir(parents=True, exist_ok=True)
    if "PYTHONDONTWRITEBYTECODE" in os.environ:
        console.print("PYTHONDONTWRITEBYTECODE is set; it is unset for everything that is measured.")
    warm: set[str] = set()
    results: list[Result] = []
    for name in names or tuple(name for name in INPUTS if name not in LARGE):
        mine = [Result(name, tool) for tool in TOOLS[framework(name)] if not tools or tool in tools]
        if all(build_all(model, mine, models, console) for model in (WARM_UP[framework(name)], name)):
            if framework(name) not in warm:
                warm.add(framework(name))
                for result in mine:
                    measure(Result(WARM_UP[framework(name)], result.tool), models, keep=False)
            for turn in range(runs):
                for result in mine:
                    console.print(f"{name}: {result.tool} {turn + 1} of {runs}")
                    measure(result, models)
            results += mine
    console.print(table(results))
    if report:
        packages = {package: version(package) for package in ("nxconvert", "torch", "onnx")}
        machine = {"machine": platform.machine(), "cpus": os.cpu_count(), "python": platform.python_version()}
        content = {**machine, **packages, "results": [result.summary() for result in results]}
        report.write_text(json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    if shutil.which("cp") is None:
        for each in TOOLS.values():
            each.pop("cp")
    main()

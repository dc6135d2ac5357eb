"""`nxconvert check A B`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from nxconvert.cli.options import init_option, input_option, json_option, traceback_option
from nxconvert.cli.terminal import plain, print_table

if TYPE_CHECKING:
    from nxconvert.inputs import InputSpec
    from nxconvert.report import CheckReport, CheckRun


@click.command(short_help="Compare what two model files compute.")
@click.argument("source", metavar="A", type=click.Path(path_type=Path))
@click.argument("target", metavar="B", type=click.Path(path_type=Path))
@input_option
@init_option
@click.option("--rtol", type=float, default=1e-3, show_default=True, help="The relative tolerance.")
@click.option("--atol", type=float, default=1e-5, show_default=True, help="The absolute tolerance.")
@click.option("--seed", type=int, default=0, show_default=True, help="What the inputs are generated from.")
@json_option
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors: the exit code tells.")
@traceback_option
def command(
    source: Path,
    target: Path,
    *,
    inputs: dict[str, InputSpec] | None,
    rtol: float,
    atol: float,
    seed: int,
    init: Path | None,
    as_json: bool,
    quiet: bool,
) -> int:
    """Run A and B, each in its own framework, on the same generated inputs, and compare the outputs.

    Every dim that B leaves free is tried with two sizes, each with two seeds. Exits with 3 where B differs from A.
    """
    from nxconvert.checking import check

    report = check(source, target, inputs=inputs, rtol=rtol, atol=atol, seed=seed, init=init)
    if as_json:
        click.echo(report.to_json())
    elif not quiet:
        show_check(report)
    report.raise_for_mismatch()
    return 0


def show_check(report: CheckReport) -> None:
    """Each output's largest differences, and what was run."""
    from nxconvert.report import count

    rows = [
        (output.name, _number(output.max_abs), _number(output.max_rel), "ok" if output.ok else "DIFFERS")
        for output in report.outputs
    ]
    print_table(("output", "largest difference", "relative", ""), rows, right=(1, 2))
    ran = [run for run in report.runs if not run.skipped]
    sizes = list(dict.fromkeys(map(_sizes, ran)))
    tried = f" with {'; '.join(sizes)}" if any(sizes) else ""
    click.echo(f"{count(len(ran), 'run')} of {report.source_runtime} and {report.target_runtime}{tried}.")
    skipped = {_sizes(run): run for run in report.runs if run.skipped}
    if skipped:
        size, run = next(iter(skipped.items()))
        others = f" (nor {count(len(skipped) - 1, 'other choice')} of sizes)" if len(skipped) > 1 else ""
        click.echo(plain(f"Not run by the source{f' with {size}' if size else ''}{others}: {run.skipped}"))


def _sizes(run: CheckRun) -> str:
    return ", ".join(f"{dim}={size}" for dim, size in run.sizes.items())


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"

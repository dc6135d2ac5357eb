"""`nxconvert IN OUT`."""

from __future__ import annotations

import gc
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nxconvert.cli.options import json_option, source_options, traceback_option
from nxconvert.cli.terminal import ProgressBar, plain, warn

if TYPE_CHECKING:
    from nxconvert.plugins import LiveModel
    from nxconvert.report import CheckReport, ConversionReport


@click.command(short_help="Convert a model file (the default command).")
@click.argument("source", metavar="IN", required=False, type=click.Path(path_type=Path))
@click.argument("target", metavar="OUT", required=False, type=click.Path(path_type=Path))
@click.option("--to", "target_format", metavar="FORMAT", help="The format of OUT, if its suffix does not say.")
@source_options
@click.option(
    "--model",
    "code",
    metavar="MODULE:FACTORY",
    help="Instead of IN: the function or class that makes the PyTorch model, e.g. torchvision.models:resnet18.",
)
@click.option(
    "--weights", metavar="FILE", type=click.Path(path_type=Path), help="With --model: its state dict, or safetensors."
)
@click.option("--opset", type=int, help="The ONNX operator set to write.")
@click.option(
    "--external-data/--no-external-data",
    default=None,
    help="Put the weights in a file beside OUT, or not. By default only what does not fit inside (2 GB).",
)
@click.option("--check", "checked", is_flag=True, help="Run both files and compare their outputs.")
@json_option
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")
@click.option("-v", "--verbose", is_flag=True, help="Print inputs, outputs and the time of each stage, too.")
@traceback_option
def command(
    source: Path | None,
    target: Path | None,
    *,
    code: str | None,
    weights: Path | None,
    checked: bool,
    as_json: bool,
    quiet: bool,
    verbose: bool,
    **options: Any,
) -> int:
    """Convert the model file IN to OUT."""
    if code is not None or options["trust_code"]:
        # As `python -m` does it: what lies in the current folder can be imported.
        sys.path.insert(0, str(Path.cwd()))
    if code is None:
        if weights is not None:
            raise click.UsageError("--weights are those of a --model, which is not given.")
        if source is None or target is None:
            raise click.UsageError(f"Missing argument '{'IN' if source is None else 'OUT'}'.")
        return _convert(source, target, checked=checked, as_json=as_json, quiet=quiet, verbose=verbose, **options)
    if source is None or target is not None:
        raise click.UsageError("With --model there is no IN: give OUT alone, and a file of weights with --weights.")
    from nxconvert.live import make_live

    live = make_live(code, weights, trust_code=options["trust_code"])
    return _convert(live, source, checked=checked, as_json=as_json, quiet=quiet, verbose=verbose, **options)


def _convert(
    source: Path | LiveModel,
    target: Path,
    *,
    checked: bool,
    as_json: bool,
    quiet: bool,
    verbose: bool,
    **options: Any,
) -> int:
    from nxconvert.conversion import convert

    if checked:
        from nxconvert.checking import require_runtimes

        require_runtimes(source, target, options["source_format"], options["target_format"])
    # What one conversion leaves for the collector goes with the process: looking for it takes a tenth of the time.
    gc.disable()
    try:
        with ProgressBar(quiet=quiet or as_json) as progress:
            report = convert(source, target, progress=progress, **options)
    finally:
        gc.enable()
    if not quiet:
        for warning in report.warnings:
            warn(warning)
    if not quiet and not as_json:
        click.echo(plain(_summary(report) if verbose else report.summary()))
    check = _check(report, options, show=not quiet and not as_json) if checked else None
    if as_json:
        result = {"ok": check is None or check.ok, **report.to_dict()}
        click.echo(json.dumps(result | ({} if check is None else {"check": check.to_dict()}), indent=2))
    if check is not None:
        check.raise_for_mismatch()
    return 0


def _check(report: ConversionReport, options: dict[str, Any], *, show: bool) -> CheckReport:
    """What the new file computes against what the old one does. A mismatch leaves the file where it is."""
    from nxconvert.checking import check
    from nxconvert.cli.check import show_check

    result = check(
        report.source, report.target, inputs=options["inputs"], trust_code=options["trust_code"], init=options["init"]
    )
    if show:
        show_check(result)
    return result


def _summary(report: ConversionReport) -> str:
    lines = [report.summary()]
    lines += [f"  input   {name}: {spec}" for name, spec in report.inputs.items()]
    lines += [f"  output  {name}: {spec}" for name, spec in report.outputs.items()]
    lines += [f"  {stage:10} {seconds:6.2f} s" for stage, seconds in report.seconds.items()]
    return "\n".join(lines)

"""`nxconvert inspect IN`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from nxconvert.cli.options import json_option, source_options, traceback_option
from nxconvert.cli.terminal import plain, print_table, warn


@click.command(short_help="Show a model's inputs, outputs, operators and size.")
@click.argument("source", metavar="IN", type=click.Path(path_type=Path))
@source_options
@json_option
@traceback_option
def command(source: Path, *, source_format: str | None, as_json: bool, **options: Any) -> int:
    """Show what is in the model file IN: inputs, outputs, operators with counts, parameters, size.

    A model of another framework is shown as the graph it is lowered to.
    """
    from nxconvert.detection import source_frontend
    from nxconvert.errors import InputError, UnsupportedError

    path, frontend = source_frontend(source, source_format)
    facts: dict[str, Any] = {"file": str(path), "format": frontend.name, "bytes": _bytes(path)}
    try:
        facts |= _graph_facts(path, frontend.name, options)
    except (InputError, UnsupportedError):
        # The file is a model, and what is known of it is shown before the error tells what is missing.
        if not as_json:
            _show(facts)
        raise
    if as_json:
        click.echo(json.dumps(facts, indent=2))
    else:
        _show(facts)
    return 0


def _graph_facts(path: Path, format: str, options: Mapping[str, Any]) -> dict[str, Any]:
    from nxconvert.conversion import load
    from nxconvert.interface import free_dims, interface, operator_counts, parameter_count

    model = load(path, format=format, warn=warn, **options)
    return {
        "inputs": interface(model.graph.inputs),
        "outputs": interface(model.graph.outputs),
        "free_dims": list(free_dims(model.graph.inputs)),
        "parameters": parameter_count(model),
        "operators": operator_counts(model),
        "metadata": dict(model.metadata_props),
    }


def _bytes(path: Path) -> int:
    files = (entry for entry in path.rglob("*") if entry.is_file()) if path.is_dir() else (path,)
    return sum(file.stat().st_size for file in files)


def _show(facts: Mapping[str, Any]) -> None:
    from nxconvert.report import count, human_bytes, parameters

    click.echo(plain(f"{facts['file']}: {facts['format']}, {human_bytes(facts['bytes'])}"))
    if "operators" not in facts:
        return
    click.echo(
        f"{count(sum(facts['operators'].values()), 'node')}, {parameters(facts['parameters'])}; "
        f"free dims: {', '.join(facts['free_dims']) or 'none'}"
    )
    ends = [(kind, name, spec) for kind in ("inputs", "outputs") for name, spec in facts[kind].items()]
    print_table(("", "name", "dtype and dims"), [(kind.removesuffix("s"), name, spec) for kind, name, spec in ends])
    print_table(("operator", "count"), [(name, str(number)) for name, number in facts["operators"].items()], right=(1,))
    for key, value in facts["metadata"].items():
        click.echo(plain(f"{key}: {value}"))

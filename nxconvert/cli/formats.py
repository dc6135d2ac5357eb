"""`nxconvert formats`."""

from __future__ import annotations

import json
from typing import Any

import click

from nxconvert.cli.options import json_option, traceback_option
from nxconvert.cli.terminal import print_table


@click.command(short_help="Show what can be read, written and run here.")
@json_option
@traceback_option
def command(*, as_json: bool) -> int:
    """Show which formats can be read, written and run on this machine, and what is missing to do more."""
    from nxconvert.plugins import backends, frontends, runtimes

    readers, writers = frontends(), backends()
    engines = {name: (engine, engine.available()) for name, engine in runtimes().items()}
    formats: dict[str, dict[str, Any]] = {}
    for name in sorted({*readers, *writers}):
        known = [plugin for plugin in (readers.get(name), writers.get(name)) if plugin is not None]
        formats[name] = {
            "description": known[0].description,
            "suffixes": list(dict.fromkeys(suffix for plugin in known for suffix in plugin.suffixes)),
            "read": name in readers,
            "write": name in writers,
            "run": [engine for engine, (plugin, lack) in engines.items() if name in plugin.formats and lack is None],
        }
    missing = {name: lack for name, (_, lack) in engines.items() if lack is not None}
    if as_json:
        click.echo(json.dumps({"formats": formats, "missing": missing}, indent=2))
        return 0
    _show(formats, missing)
    return 0


def _show(formats: dict[str, dict[str, Any]], missing: dict[str, str]) -> None:
    rows = [
        (
            name,
            " ".join(facts["suffixes"]),
            "yes" if facts["read"] else "",
            "yes" if facts["write"] else "",
            ", ".join(facts["run"]),
            facts["description"],
        )
        for name, facts in formats.items()
    ]
    print_table(("format", "suffixes", "reads", "writes", "runs on", ""), rows)
    for name, lack in missing.items():
        click.echo(f"{name}: {lack}")

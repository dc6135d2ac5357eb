"""`nxconvert run MODEL`."""

from __future__ import annotations

import json
import os
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from nxconvert.cli.options import init_option, json_option, parse_constant, traceback_option
from nxconvert.cli.terminal import plain

if TYPE_CHECKING:
    import numpy as np


@click.command(short_help="Run a model on arrays from files.")
@click.argument("model", metavar="MODEL", type=click.Path(path_type=Path))
@click.option(
    "--input",
    "inputs",
    multiple=True,
    metavar="NAME=FILE.npy",
    help="An input: NAME=FILE.npy, NAME=NUMBER, or a FILE.npz with arrays of the inputs' names.",
)
@click.option("--on", "runtime", metavar="RUNTIME", help="What is to run it; converts the model if it has to.")
@click.option("--output", type=click.Path(path_type=Path), metavar="FILE.npz", help="Where to put the outputs.")
@init_option
@json_option
@traceback_option
def command(
    model: Path, *, inputs: tuple[str, ...], runtime: str | None, output: Path | None, init: Path | None, as_json: bool
) -> int:
    """Run MODEL once, in its own framework or in RUNTIME, and show or save its outputs."""
    from nxconvert.execution import run

    results = run(model, _arrays(inputs), runtime=runtime, init=init)
    if output is not None:
        _save(output, results)
    facts = {name: {"dtype": str(array.dtype), "shape": list(array.shape)} for name, array in results.items()}
    if as_json:
        click.echo(json.dumps(facts, indent=2))
    elif output is not None:
        click.echo(plain(f"{output}: {', '.join(results)}"))
    else:
        for name, array in results.items():
            click.echo(plain(f"{name}: {array.dtype}[{','.join(map(str, array.shape))}]\n{array}"))
    return 0


def _arrays(texts: tuple[str, ...]) -> dict[str, np.ndarray]:
    from nxconvert.inputs import as_array

    arrays: dict[str, np.ndarray] = {}
    for text in texts:
        if "=" not in text and text.endswith(".npz"):
            arrays.update(_read(Path(text)))
            continue
        name, value = parse_constant(text)
        if not isinstance(value, str):
            arrays[name] = as_array(value)
        else:
            loaded = _read(Path(value))
            if isinstance(loaded, Mapping):
                raise click.BadParameter(f"{value} holds several arrays: give it as --input {value}, without a name.")
            arrays[name] = loaded
    return arrays


def _read(path: Path) -> Any:
    """The array in an ``.npy`` file, or the arrays by name in an ``.npz`` file."""
    import numpy as np

    try:
        # Pickled objects are never loaded: an array file may come from anywhere.
        loaded = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise click.BadParameter(f"{path} is no array file that can be read (.npy or .npz): {error}") from error
    return loaded if isinstance(loaded, np.ndarray) else dict(loaded)


def _save(path: Path, results: Mapping[str, np.ndarray]) -> None:
    """Writes all outputs to an ``.npz`` file, or leaves what was there."""
    from nxconvert.errors import WriteError

    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                _write_npz(file, results)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise WriteError(f"{path} cannot be written: {error.strerror or error}.") from error


def _write_npz(file: BinaryIO, results: Mapping[str, np.ndarray]) -> None:
    """What `np.savez` does, which cannot be given arrays of every name: its own arguments have names as well."""
    import numpy as np

    with zipfile.ZipFile(file, "w") as archive:
        for name, array in results.items():
            # The dtypes that NumPy has not (bfloat16, float8) are kept as the next that holds all their values.
            storable = array.astype(np.float32) if array.dtype.kind == "V" else array
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, storable, allow_pickle=False)

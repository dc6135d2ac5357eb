"""The options that several commands share."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from nxconvert.inputs import InputSpec, parse_input

Command = TypeVar("Command", bound=Callable[..., Any])

_WORDS = {"true": True, "false": False, "none": None, "null": None}


def parse_constant(text: str) -> tuple[str, Any]:
    """The name and the value of ``NAME=VALUE``: a Python literal, or else the text itself."""
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise click.BadParameter(f"cannot understand {text!r}: a constant is given as NAME=VALUE, e.g. n=3.")
    if value.lower() in _WORDS:
        return name.strip(), _WORDS[value.lower()]
    try:
        return name.strip(), ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name.strip(), value


def _specs(_ctx: click.Context, _parameter: click.Parameter, texts: tuple[str, ...]) -> dict[str, InputSpec] | None:
    return dict(parse_input(text) for text in texts) or None


def _constants(_ctx: click.Context, _parameter: click.Parameter, texts: tuple[str, ...]) -> dict[str, Any]:
    return dict(parse_constant(text) for text in texts)


def input_option(command: Command) -> Command:
    """Declares inputs."""
    return click.option(
        "--input",
        "inputs",
        multiple=True,
        metavar="NAME=DTYPE[DIMS]",
        callback=_specs,
        help="Declare an input: x=float32[batch,3,224,224]. A number fixes a dim, a name leaves it free.",
    )(command)


def init_option(command: Command) -> Command:
    """Names the second file of a source."""
    return click.option(
        "--init",
        metavar="FILE",
        type=click.Path(path_type=Path),
        help="The weights, if in a second file that is not beside the model by its usual name (Caffe2's init net).",
    )(command)


def source_options(command: Command) -> Command:
    """How a source is to be read."""
    options = (
        click.option(
            "--from", "source_format", metavar="FORMAT", help="The format of IN, if its content does not say."
        ),
        input_option,
        init_option,
        click.option(
            "--output",
            "outputs",
            multiple=True,
            metavar="NAME",
            help="What is to be an output, instead of the model's own: any result that has a name (repeatable).",
        ),
        click.option(
            "--const",
            "constants",
            multiple=True,
            metavar="NAME=VALUE",
            callback=_constants,
            help="Pin an argument to a value: it is no input then.",
        ),
        click.option(
            "--state",
            type=click.Choice(["steady", "first"]),
            default="steady",
            show_default=True,
            help="Of a model that keeps state: any call, or the first one.",
        ),
        click.option("--trust-code", is_flag=True, help="Execute Python code that the file holds. Only for your own."),
        click.option(
            "--via",
            type=click.Choice(["export", "script", "trace"]),
            help="How PyTorch makes a program of a module that is Python code; 'trace' freezes its decisions.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def json_option(command: Command) -> Command:
    """A report for programs."""
    return click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")(command)


def traceback_option(command: Command) -> Command:
    """Read by `main` itself, which sees every error."""
    return click.option(
        "--traceback", is_flag=True, expose_value=False, help="Show where in nxconvert an error comes from."
    )(command)

"""The `nxconvert` command: its subcommands, and what becomes of errors."""

from __future__ import annotations

import os
import signal
import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from types import FrameType
from typing import Any

import click

from nxconvert.cli.failures import INTERRUPTED, PIPE_CLOSED, USAGE, report_failure
from nxconvert.cli.terminal import warn

_STDOUT = 1  # its file descriptor
DEFAULT_COMMAND = "convert"
#: The modules of this package that hold a command of their name.
COMMANDS = ("convert", "inspect", "check", "run", "formats")

_EXIT_CODES = """\b
Exit codes:
  0  all is well
  1  the conversion failed
  2  the command line makes no sense
  3  a check found outputs that differ
  4  a runtime that is needed is not installed"""


class Commands(click.Group):
    """Subcommands, imported when they are asked for; without the name of one it is `convert` that is meant."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        command: click.Command = import_module(f"nxconvert.cli.{name}").command
        return command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        own_options = {name for parameter in self.get_params(ctx) for name in parameter.opts}
        if args and args[0] not in COMMANDS and args[0] not in own_options:
            args = [DEFAULT_COMMAND, *args]
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        # click and rich answer a closed pipe by exiting with 1, which here is for conversions that failed.
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            return _pipe_closed()
        except SystemExit as stop:
            if isinstance(stop.__context__, BrokenPipeError):
                return _pipe_closed()
            raise

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write_usage(ctx.command_path, "[OPTIONS] IN OUT")
        formatter.write_usage(ctx.command_path, "COMMAND [ARGS]...", prefix=" " * len("Usage: "))

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        default = self.get_command(ctx, DEFAULT_COMMAND)
        assert default is not None
        default.format_options(ctx, formatter)
        self.format_commands(ctx, formatter)


def _print_version(ctx: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        from nxconvert import __version__

        click.echo(f"nxconvert {__version__}")
        ctx.exit()


@click.group(cls=Commands, epilog=_EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version, help="Print the version."
)
def cli() -> None:
    """Turn a trained model file into another format, without the framework that made it.

    The format of IN is told by its content, that of OUT by its suffix (.nx and .onnx are ONNX). A file that is called
    like one of the commands below is given as ./NAME.
    """


def main(args: Sequence[str] | None = None) -> int:
    """Runs a command line; returns its exit code."""
    words = list(sys.argv[1:] if args is None else args)
    try:
        for number in (signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)):
            if signal.getsignal(number) == signal.SIG_DFL:  # which it is not below nohup
                signal.signal(number, _stop)
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            result = cli.main(words, prog_name="nxconvert", standalone_mode=False)
        if sys.stdout is not None:  # closed by who called
            sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        return USAGE
    except (KeyboardInterrupt, click.Abort):
        click.echo("nxconvert: interrupted", err=True)
        return INTERRUPTED
    except BrokenPipeError:
        return _pipe_closed()
    except Exception as error:
        return report_failure(error, as_json="--json" in words, traceback="--traceback" in words)
    return result if isinstance(result, int) else 0


def _pipe_closed() -> int:
    """Whoever read our output has gone: the flush at the end may not complain about it either."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), _STDOUT)
    return PIPE_CLOSED


def _stop(number: int, _frame: FrameType | None) -> None:
    """Lets a conversion that is terminated, or whose terminal is closed, take its temporary file with it."""
    sys.exit(128 + number)


def _show_warning(message: Warning | str, *_where: Any, **_more: Any) -> None:
    warn(str(message))

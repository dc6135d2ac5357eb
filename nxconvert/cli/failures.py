"""What the user sees of an error, and the exit code that scripts see."""

from __future__ import annotations

import json
import sys

import click

from nxconvert.cli.terminal import plain

FAILED, USAGE, MISMATCH, MISSING = 1, 2, 3, 4
# As a shell reports a program that was ended by the signal: 128 + SIGINT, 128 + SIGPIPE.
INTERRUPTED, PIPE_CLOSED = 130, 141


def report_failure(error: Exception, *, as_json: bool, traceback: bool) -> int:
    """Says on stderr what went wrong, in one paragraph (and on stdout, as an object, for who asked for JSON)."""
    # Imported here: most command lines do not fail.
    from nxconvert.errors import MismatchError, NxConvertError, RuntimeMissingError, UsageError

    known = isinstance(error, NxConvertError | OSError)
    message = str(error) if isinstance(error, NxConvertError) else _describe(error)
    source = getattr(error, "source", "")
    hints = getattr(error, "hints", ())
    if traceback:
        sys.excepthook(type(error), error, error.__traceback__)
    # Of a thousand conversions in a row one has failed: it is said which.
    about = f"{source}: " if source not in message else ""
    click.echo(plain(f"nxconvert: {about}{message}"), err=True)
    for hint in hints:
        click.echo(plain(f"  --input '{hint}'"), err=True)
    if not known and not traceback:
        click.echo("Run it again with --traceback to see where, and please report it.", err=True)
    if as_json:
        failure = {"type": type(error).__name__, "message": message, "source": source, "hints": list(hints)}
        click.echo(json.dumps({"ok": False, "error": failure}, indent=2))
    codes = {UsageError: USAGE, MismatchError: MISMATCH, RuntimeMissingError: MISSING}
    return next((code for kind, code in codes.items() if isinstance(error, kind)), FAILED)


def _describe(error: Exception) -> str:
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror or error}"
    if isinstance(error, MemoryError):
        return "there is not enough memory for this conversion."
    return f"internal error, a bug in nxconvert: {type(error).__name__}: {error}"

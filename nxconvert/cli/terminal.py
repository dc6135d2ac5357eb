"""Tables and progress. `rich` takes 0.05 s to import and more to draw, so it is left alone until it is needed."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from nxconvert.plugins import Stage

# A conversion that is over sooner shows no progress: it would only flicker, and cost a tenth of the conversion.
_PATIENCE = 0.5
_PIPE_WIDTH = 240


#: What moves a terminal's cursor, or hides and turns around what is written, but for ends of lines.
_CONTROLS = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
#: Longer words than this one are no names that anybody has given.
_LONGEST_WORD = 500
_LONG_WORDS = re.compile(rf"\S{{{_LONGEST_WORD},}}")


def plain(text: str) -> str:
    """Text that may hold names of a file's, as a terminal can be given it."""
    text = _LONG_WORDS.sub(lambda match: f"{match[0][:60]}...{match[0][-20:]}", text)
    return _CONTROLS.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def warn(message: str) -> None:
    """One warning on stderr."""
    click.echo(plain(f"nxconvert: warning: {message}"), err=True)


def print_table(headers: Sequence[str], rows: Iterable[Sequence[str]], right: Iterable[int] = ()) -> None:
    """A table on stdout; the columns numbered in `right` are set flush right."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    aligned = set(right)
    for index, header in enumerate(headers):
        table.add_column(header, justify="right" if index in aligned else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(plain(cell)) for cell in row))
    if sys.stdout is None:
        return  # closed by who called
    # In a pipe there is no width to fit into: a line a row, whatever its length.
    Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH, highlight=False).print(table)


class ProgressBar:
    """How far a conversion is, on stderr; nothing where that is no terminal."""

    def __init__(self, *, quiet: bool) -> None:
        self._silent = quiet or not sys.stderr.isatty()
        self._begin = time.monotonic()
        self._display: Progress | None = None
        self._tasks: dict[Stage, TaskID] = {}

    def __call__(self, stage: Stage, fraction: float | None) -> None:
        """Takes note of the fraction of a stage that is done; None where it cannot be told."""
        if self._silent or time.monotonic() - self._begin < _PATIENCE:
            return
        display = self._started()
        for other, task in self._tasks.items():
            if other != stage:
                display.update(task, total=1.0, completed=1.0)
        if stage not in self._tasks:
            self._tasks[stage] = display.add_task(stage, total=None)
        if fraction is not None:
            display.update(self._tasks[stage], total=1.0, completed=fraction)

    def _started(self) -> Progress:
        if self._display is None:
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

            columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
            self._display = Progress(*columns, console=Console(stderr=True), transient=True)
            self._display.start()
        return self._display

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._display is not None:
            self._display.stop()

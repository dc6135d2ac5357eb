"""Python interpreters that have frameworks which this one has not.

An environment variable names one; without it this interpreter is taken, if it has the framework.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nxconvert.errors import RuntimeMissingError

if TYPE_CHECKING:
    from nxconvert.runtimes.worker import Worker

#: How long one answer may take, in seconds.
TIMEOUT = 1800.0


@dataclass(frozen=True)
class Interpreter:
    """An interpreter that has a framework.

    Attributes:
        variable: names it in the environment.
        framework: what it has.
        hint: which one that may be.
        script: what runs models in it, in :mod:`nxconvert.runtimes.workers`.
        has: whether this interpreter has the framework; imports nothing.
    """

    variable: str
    framework: str
    hint: str
    script: str
    has: Callable[[], bool]

    def missing(self) -> str | None:
        """Why there is none; None if there is one."""
        named = os.environ.get(self.variable)
        if named:
            usable = Path(named).is_file() and os.access(named, os.X_OK)
            return None if usable else f"{self.variable} is {named}, no such program"
        if self.has():
            return None
        return f"{self.framework} is not installed: set {self.variable} to a Python that can import it ({self.hint})"

    def require(self, path: Path) -> None:
        """Raises an error about a model that is to be run where there is none."""
        missing = self.missing()
        if missing:
            raise RuntimeMissingError(f"{path} cannot be run: {missing}")

    def worker(self) -> Worker:
        """A process of it, not started yet."""
        from nxconvert.runtimes.worker import Worker

        script = Path(__file__).with_name("workers") / self.script
        return Worker([os.environ.get(self.variable) or sys.executable, "-W", "ignore", str(script)], TIMEOUT)

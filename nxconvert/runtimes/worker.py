"""A process that runs models for this one: messages of JSON and arrays through its pipes.

The other side is a script in `nxconvert.runtimes.workers`; the form of a message is described there. What comes back
is data: arrays are read without unpickling anything.
"""

from __future__ import annotations

import contextlib
import io
import json
import signal
import struct
import subprocess
import tempfile
import threading
import weakref
from collections.abc import Mapping, Sequence
from typing import IO, Any

import numpy as np

from nxconvert.errors import NxConvertError, RunError, RuntimeMissingError
from nxconvert.runtimes.workers.messages import receive

_LENGTH = struct.Struct("<Q")
_LAST_LINES = 4096  # bytes of what the process wrote to stderr


class Worker:
    """One process, started when it is first asked and again if it has ended since.

    Args:
        command: starts it.
        timeout: after how many seconds without an answer it is ended.
    """

    def __init__(self, command: Sequence[str], timeout: float) -> None:
        self._command, self._timeout = list(command), timeout
        self._process: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] | None = None
        self._end: weakref.finalize[[subprocess.Popen[bytes]], Worker] | None = None

    @property
    def is_running(self) -> bool:
        """Whether the process is there, with what it has been told."""
        return self._process is not None and self._process.poll() is None

    def ask(
        self, header: Mapping[str, Any], arrays: Mapping[str, Any], failing: str, error: type[NxConvertError]
    ) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """The answer to a message.

        Args:
            header: what can be JSON.
            arrays: arrays by name; arrays of text go as UTF-8.
            failing: how the message of an error begins.
            error: what is raised if the process says that it failed.

        Raises:
            RunError: the process cannot be started, ended by itself, or took too long; an array cannot be sent.
            RuntimeMissingError: its interpreter has not the framework.
        """
        process = self._started(failing)
        request = encoded(header, arrays)
        late = threading.Event()

        def give_up() -> None:
            late.set()
            process.kill()

        timer = threading.Timer(self._timeout, give_up)
        timer.start()
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(request)
            process.stdin.flush()
            answer, results = received(process.stdout)
        except (OSError, EOFError) as broken:
            self.close()
            raise RunError(f"{failing}: {self._how_it_ended(process, late.is_set())}.") from broken
        finally:
            timer.cancel()
        if answer.get("missing"):
            raise RuntimeMissingError(f"{failing}: {self._command[0]} has not what runs it: {answer['error']}.")
        if "error" in answer:
            raise error(f"{failing}: {answer['error']}")
        return answer, results

    def close(self) -> None:
        """Ends the process; the next question starts another."""
        if self._end is not None:
            self._end()
        self._process = None

    def _started(self, failing: str) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is None:
            return self._process
        self.close()
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  (as long as the process)
        try:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log
            )
        except OSError as problem:
            raise RunError(f"{failing}: {self._command[0]} cannot be started: {problem}.") from problem
        self._end = weakref.finalize(self, _ended, self._process)
        return self._process

    def _how_it_ended(self, process: subprocess.Popen[bytes], late: bool) -> str:
        if late:
            return f"there was no answer in {self._timeout:g} s"
        status = process.returncode
        how = f"status {status}" if status >= 0 else signal.Signals(-status).name
        return f"the process ended ({how}){self._last_words()}"

    def _last_words(self) -> str:
        """The last line that the process wrote to stderr."""
        if self._log is None:
            return ""
        size = self._log.seek(0, io.SEEK_END)
        self._log.seek(max(0, size - _LAST_LINES))
        lines = [line.strip() for line in self._log.read().decode(errors="replace").splitlines() if line.strip()]
        return f", having said: {lines[-1]}" if lines else ""


def _ended(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with contextlib.suppress(OSError):  # about what was not written yet
                stream.close()
    process.wait()


def encoded(header: Mapping[str, Any], arrays: Mapping[str, Any]) -> bytes:
    """A message.

    Raises:
        RunError: NumPy has no such dtype of its own.
    """
    stored: dict[str, np.ndarray] = {}
    listed = []
    for index, (name, given) in enumerate(arrays.items()):
        value = np.asarray(given)
        if value.dtype.kind in "OSUT":
            flat = [item if isinstance(item, bytes) else str(item).encode() for item in value.ravel().tolist()]
            stored[f"l{index}"] = np.array([len(item) for item in flat], np.int64).reshape(value.shape)
            stored[f"b{index}"] = np.frombuffer(b"".join(flat), np.uint8)
        elif value.dtype.kind == "V" or not value.dtype.isbuiltin:
            raise RunError(f"the input {name!r} cannot be given: there are no tensors of dtype {value.dtype} there.")
        else:
            stored[f"a{index}"] = value
        listed.append([name, "strings" if f"l{index}" in stored else "array"])
    body = io.BytesIO()
    np.savez(body, **stored)  # type: ignore[arg-type]
    parts = json.dumps({**header, "arrays": listed}).encode(), body.getvalue()
    return b"".join(_LENGTH.pack(len(part)) + part for part in parts)


def received(stream: IO[bytes]) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The header and the arrays of a message; strings are arrays of `str`.

    Raises:
        EOFError: the stream ends in the midst of it.
    """
    header, arrays = receive(stream)
    for name, kind in header["arrays"]:
        if kind == "strings":
            arrays[name] = _decoded(arrays[name])
    return header, arrays


def _decoded(texts: np.ndarray) -> np.ndarray:
    found = np.empty(texts.shape, object)
    for place, text in np.ndenumerate(texts):
        found[place] = text.decode(errors="surrogateescape")
    return found

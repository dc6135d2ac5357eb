"""The SHA-256 of a source, computed beside the conversion.

It is what ``sha256sum`` prints, so that anyone can tell whether a converted file comes from a given source. A 2.4 GB
file takes about 1.8 s of a core, which is why it happens on a thread of its own (hashlib lets others run meanwhile)
and is waited for only when the last bytes of the target are written. It reads the file, and does not map it: pages of
a mapped file would count as this process's memory.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from threading import Event, Thread
from types import TracebackType

_CHUNK = 1 << 20


class Fingerprint:
    """Computes the hash of a file or a folder while the ``with`` block runs.

    A folder's is the hash of the lines that ``sha256sum`` would print for the files in it, sorted by name.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._cancelled = Event()
        self._result: str | OSError | None = None
        self._thread = Thread(target=self._run, name="nxconvert-fingerprint", daemon=True)

    def hexdigest(self) -> str:
        """The hash, in hexadecimal; waits for it.

        Raises:
            OSError: the source cannot be read (any more).
        """
        self._thread.join()
        if isinstance(self._result, OSError):
            raise self._result
        assert self._result is not None, "a fingerprint that was cancelled is never asked for"
        return self._result

    def __enter__(self) -> Fingerprint:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._cancelled.set()

    def _run(self) -> None:
        try:
            if self._path.is_dir():
                files = sorted(path for path in self._path.rglob("*") if path.is_file())
                names = [path.relative_to(self._path).as_posix() for path in files]
                lines = [f"{self._digest(path)}  {name}\n" for path, name in zip(files, names, strict=True)]
                self._result = hashlib.sha256("".join(lines).encode()).hexdigest()
            else:
                self._result = self._digest(self._path)
        except OSError as error:
            self._result = error

    def _digest(self, path: Path) -> str:
        digest = hashlib.sha256()
        buffer = memoryview(bytearray(_CHUNK))
        with path.open("rb", buffering=0) as file:
            while (size := file.readinto(buffer)) and not self._cancelled.is_set():
                digest.update(buffer[:size])
        return digest.hexdigest()

"""The fingerprint of a source, computed beside the conversion.

It is the SHA-256 that ``sha256sum`` prints, so that anyone can tell whether a converted file comes from a given source.
It is computed on a thread of its own (hashlib lets others run meanwhile) and waited for only when the last bytes of the
target are written. It reads the file, and does not map it: pages of a mapped file would count as this process's memory.

A zip archive of more than 1 GB is known by its directory instead: hashing all of it would take longer than all else.
The directory holds the CRC-32 and the size of every member, so that a change of any of them shows.
"""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path
from threading import Event, Thread
from types import TracebackType

_CHUNK = 1 << 20
_LARGE = 1 << 30


class Fingerprint:
    """Computes the hash of a file or a folder while the ``with`` block runs.

    A folder's is the hash of the lines that ``sha256sum`` would print for the files in it, sorted by name; a large zip
    archive's is the hash of the lines ``CRC SIZE NAME`` of its members, in the directory's order.

    Attributes:
        of_directory: whether it is that of a zip archive's directory.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._members = _directory(path)
        self.of_directory = self._members is not None
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
            if self._members is not None:
                self._result = hashlib.sha256("".join(self._members).encode()).hexdigest()
            elif self._path.is_dir():
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


def _directory(path: Path) -> list[str] | None:
    """The lines for the members of a large zip archive; None for anything else, and where CRCs were not written."""
    try:
        if not path.is_file() or path.stat().st_size < _LARGE or not zipfile.is_zipfile(path):
            return None
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (OSError, zipfile.BadZipFile):
        return None
    if any(member.file_size and not member.CRC for member in members):
        return None
    return [f"{member.CRC:08x} {member.file_size} {member.filename}\n" for member in members]

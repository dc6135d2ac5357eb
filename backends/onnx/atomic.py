"""Files that come into being complete or not at all."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from types import TracebackType

from nxconvert.errors import WriteError


class NewFiles:
    """Files under temporary names beside their targets, renamed together once all of them are complete.

    Leaving the ``with`` block without `commit`, by whatever exception, removes them and leaves the targets as they
    were.

        with NewFiles() as files:
            descriptor = files.create(path)
            ...
            files.commit()
    """

    def __init__(self) -> None:
        self._files: list[_NewFile] = []

    def __enter__(self) -> NewFiles:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for file in self._files:
            file.discard()

    def create(self, target: Path) -> int:
        """Opens a new file that will become `target`, and returns its descriptor (read and write).

        Raises:
            WriteError: no file can be made there, or `target` is there already and nothing to be replaced.
        """
        try:
            if target.exists() and not stat.S_ISREG(target.stat().st_mode):
                kind = "a folder" if target.is_dir() else "no regular file"
                raise WriteError(f"{target} cannot be written: it is {kind}. Give the path of a file.")
            if target.exists() and not os.access(target, os.W_OK):
                raise WriteError(f"{target} cannot be written: the file that is there is write-protected.")
            self._files.append(_NewFile(target))
        except OSError as error:
            raise cannot_write(target, error) from error
        return self._files[-1].descriptor

    def commit(self) -> None:
        """Gives the files their names: the first one created last, as the one that refers to the others.

        Of several files that are being replaced, the first is removed before, so that whoever looks in between (or
        after a power cut) finds no model rather than one that refers to another model's data.

        Raises:
            WriteError: a file cannot be renamed.
        """
        first, *others = self._files
        if any(file.target.exists() for file in others):
            first.target.unlink(missing_ok=True)
        for file in (*others, first):
            try:
                file.rename()
            except OSError as error:
                raise cannot_write(file.target, error) from error


class _NewFile:
    """One open file that does not have its name yet."""

    def __init__(self, target: Path) -> None:
        # Through a symbolic link: the file it points to is replaced, not the link.
        self.target = target.resolve()
        self.temporary = self.target.with_name(f".{target.name[:200]}.{os.urandom(4).hex()}.tmp")
        flags = os.O_CREAT | os.O_EXCL | os.O_RDWR | getattr(os, "O_BINARY", 0)
        self.descriptor = os.open(self.temporary, flags, 0o666)

    def rename(self) -> None:
        self._close()  # Windows does not rename open files
        self.temporary.replace(self.target)

    def discard(self) -> None:
        """Removes the file unless it has been renamed."""
        self._close()
        self.temporary.unlink(missing_ok=True)

    def _close(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


def cannot_write(target: Path, error: OSError) -> WriteError:
    """Says in one paragraph why `target` could not be written and what to do."""
    folder = target.parent
    match error.errno:
        case errno.ENOENT:
            why = f"{folder} takes no files." if folder.is_dir() else f"{folder} does not exist. Create it first."
        case errno.ENOTDIR:
            why = f"{folder} is no folder."
        case errno.EACCES | errno.EPERM:
            why = f"there is no permission to create a file in {folder}. Write to a folder of your own."
        case errno.EROFS:
            why = f"{folder} is on a file system that can only be read. Write somewhere else."
        case errno.ENOSPC | errno.EDQUOT:
            why = f"the disk (or your share of it) is full. Make room in {folder}, or write somewhere else."
        case errno.EFBIG:
            why = f"the file becomes too large for the file system of {folder}. Write somewhere else."
        case errno.ENAMETOOLONG:
            why = "the name is too long. Give a shorter one."
        case _:
            why = f"{error.strerror or error}."
    return WriteError(f"{target} cannot be written: {why}")

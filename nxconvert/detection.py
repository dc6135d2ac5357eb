"""Which format a file has, told by its content, and which format a target is to have, told by its suffix."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from nxconvert.errors import ReadError, UsageError, WriteError
from nxconvert.plugins import Backend, Frontend, backends, frontends, takes_init, takes_outputs

_LEADING_BYTES = 512
#: What a file looks like that no frontend takes: its first bytes, and what to say of it.
_LOOKS: tuple[tuple[bytes, str], ...] = (
    (b"\x1f\x8b", "a gzip file: unpack it first"),
    (b"BZh", "a bzip2 file: unpack it first"),
    (b"\xfd7zXZ\x00", "an xz file: unpack it first"),
    (b"(\xb5/\xfd", "a zstd file: unpack it first"),
    (b"7z\xbc\xaf", "a 7z archive: unpack it first"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file (Keras, among others)"),
    (b"\x80\x02", "a Python pickle"),
    (b"\x80\x03", "a Python pickle"),
    (b"\x80\x04", "a Python pickle"),
    (b"\x80\x05", "a Python pickle"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"GGUF", "a GGUF file (llama.cpp)"),
    (b"%PDF", "a PDF document"),
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"\x7fELF", "an executable or a library"),
    (b"version https://git-lfs", "a Git LFS pointer, not the model itself: fetch it with `git lfs pull`"),
    (b"<!DOCTYPE", "a web page, not the model itself: the download went wrong"),
    (b"<html", "a web page, not the model itself: the download went wrong"),
)


def source_frontend(path: str | os.PathLike[str], format: str | None = None) -> tuple[Path, Frontend]:
    """The path, and the frontend that reads what lies there: the one named `format`, or the one that knows the content.

    Raises:
        UsageError: there is no format of that name.
        ReadError: nothing is there, or nothing that can be read; says what was tried and what the file looks like.
    """
    source = Path(path)
    known = frontends()
    if format is not None and format not in known:
        raise UsageError(f"there is no format {format!r} to read; these can be read: {_listing(known)}.")
    _require_readable(source)
    if format is not None:
        return source, known[format]
    suffix = source.suffix.lower()
    for frontend in sorted(known.values(), key=lambda each: suffix not in each.suffixes):
        if frontend.detect(source):
            return source, frontend
    tried = "; ".join(f"{frontend.name} ({frontend.description})" for frontend in known.values())
    raise ReadError(
        f"{source} is no model that can be read here: it looks like {_look(source)}. "
        f"The formats tried were {tried}. If it is one of these, name it with --from (format= in Python)."
    )


def init_file(init: str | os.PathLike[str] | None, frontend: Frontend) -> Path | None:
    """The path of the file that holds the weights of a model which `frontend` reads, where one is given.

    Raises:
        UsageError: models of this format are one file.
        ReadError: there is no such file.
    """
    if init is None:
        return None
    if not takes_init(frontend):
        others = _listing(sorted(name for name, each in frontends().items() if takes_init(each)))
        raise UsageError(
            f"a model of the format {frontend.name} has its weights with it: leave --init {os.fspath(init)} (init= in "
            f"Python) out. It is for formats that keep weights in a second file ({others})."
        )
    path = Path(init)
    if path.is_dir():
        raise ReadError(f"{path} is a folder: --init (init= in Python) takes the file that holds the weights.")
    _require_readable(path)
    return path


def wanted_outputs(names: Sequence[str], frontend: Frontend) -> tuple[str, ...]:
    """The names of the outputs that are wanted of a model which `frontend` reads.

    Raises:
        UsageError: models of this format have the outputs that they have.
    """
    if isinstance(names, str):
        names = (names,)
    if names and not takes_outputs(frontend):
        others = _listing(sorted(name for name, each in frontends().items() if takes_outputs(each)))
        raise UsageError(
            f"a model of the format {frontend.name} has its own outputs: leave --output {names[0]} (outputs= in "
            f"Python) out. It is for formats in which every result has a name ({others})."
        )
    return tuple(names)


def target_backend(path: str | os.PathLike[str], format: str | None = None) -> tuple[Path, Backend]:
    """The path, and the backend that writes there: the one named `format`, or the one the suffix asks for.

    Raises:
        UsageError: there is no format of that name, or the suffix says nothing.
        WriteError: the folder does not exist, or a folder lies where the file would go.
    """
    target = Path(path)
    known = backends()
    if format is not None and format not in known:
        raise UsageError(f"there is no format {format!r} to write; these can be written: {_listing(known)}.")
    backend = known[format] if format is not None else _by_suffix(target, known.values())
    _require_place(target)
    return target, backend


def _by_suffix(target: Path, known: Iterable[Backend]) -> Backend:
    suffix = target.suffix.lower()
    for backend in known:
        if suffix in backend.suffixes:
            return backend
    suffixes = ", ".join(f"{suffix} ({backend.name})" for backend in known for suffix in backend.suffixes)
    said = f"its suffix {target.suffix} is none of" if suffix else "it has no suffix; these are known:"
    raise UsageError(f"cannot tell what format {target} is to have: {said} {suffixes}. Name it with --to.")


def _require_readable(source: Path) -> None:
    try:
        if source.is_dir():
            if next(source.iterdir(), None) is None:
                raise ReadError(f"{source} is an empty folder, no model.")
            return
        if not source.exists():
            raise ReadError(f"{source} does not exist.")
        if not source.is_file():
            raise ReadError(f"{source} is no ordinary file.")
        with source.open("rb") as file:
            if not file.read(1):
                raise ReadError(f"{source} is empty (0 bytes), no model.")
    except OSError as error:
        raise ReadError(f"{source} cannot be read: {error.strerror or error}.") from error


def _require_place(target: Path) -> None:
    """Finds out before any work is done that there is no place for its result."""
    folder = target.parent
    if target.is_dir():
        raise WriteError(f"{target} is a folder; the target is to be a file, such as {target / 'model.nx'}.")
    if not folder.is_dir():
        why = "is no folder." if folder.exists() else "does not exist. Create it first."
        raise WriteError(f"{target} cannot be written: {folder} {why}")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise WriteError(f"{target} cannot be written: {folder} allows no new files.")


def _look(source: Path) -> str:
    """What the thing at `source` seems to be, in a few words."""
    if source.is_dir():
        return f"a folder of {_some(sorted(entry.name for entry in source.iterdir()), 'entries')}"
    with source.open("rb") as file:
        head = file.read(_LEADING_BYTES)
    if head.startswith(b"PK"):
        return _zip_look(source)
    for magic, look in _LOOKS:
        if head.startswith(magic):
            return look
    if not head.strip(b"\x00"):
        return "zeros: the copy or download was probably interrupted"
    if not any(byte < 9 for byte in head):
        try:
            start = head[:60].decode(errors="ignore").splitlines()[0]
        except IndexError:
            start = ""
        return f"a text file that begins with {start!r}"
    return f"unknown binary data ({source.stat().st_size:,} bytes, the first are {head[:8].hex(' ')})"


def _zip_look(source: Path) -> str:
    from zipfile import BadZipFile, ZipFile

    try:
        with ZipFile(source) as archive:
            names = archive.namelist()
    except (BadZipFile, OSError, ValueError):
        return "a damaged or truncated zip archive"
    return f"a zip archive of {_some(names, 'members')}"


def _some(names: list[str], what: str) -> str:
    return f"{len(names)} {what} ({_listing(names[:4])}{', ...' if len(names) > 4 else ''})"


def _listing(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"

"""PyTorch's model files: what kind one is, and what lies in it, without PyTorch.

A TorchScript archive (``torch.jit.save``) is a zip whose members lie below one folder: ``data.pkl`` (the root
object), ``constants.pkl``, the raw storages ``data/<n>`` and ``constants/<n>``, source code ``code/**.py`` with
``*.debug_pkl`` beside it, ``version``, ``byteorder``, ``extra/*``, and in traced archives ``traced_inputs.pkl``.
The layout is that of ``torch/csrc/jit/serialization/export_module.cpp`` and ``caffe2/serialize/inline_container.h``.
"""

from __future__ import annotations

import enum
import os
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any

from nxconvert.errors import ReadError
from nxconvert.formats.tensors import MappedFile
from nxconvert.formats.torch_values import Storage, TorchGlobals
from nxconvert.formats.unpickle import unpickle
from nxconvert.formats.zipmap import ZipMap, central_directory

__all__ = ["Kind", "TorchArchive", "detect", "open_archive"]

_MAX_PICKLE = 1 << 30
_MAX_CODE = 64 << 20
_MAX_SMALL = 1 << 10


class Kind(enum.Enum):
    """The kinds of files that PyTorch writes; the value is what messages call them."""

    TORCHSCRIPT = "a TorchScript archive (torch.jit.save)"
    TORCHSCRIPT_LEGACY = "a TorchScript archive of PyTorch 1.2 or older (model.json)"
    TORCHSCRIPT_FLATBUFFER = "a TorchScript model for mobile (flatbuffer)"
    EXPORTED = "an exported program (torch.export.save)"
    COMPILED = "a compiled model package (AOTInductor)"
    PACKAGE = "a torch.package archive"
    SAVED = "a file of torch.save: a state dict, or a module that needs its Python code"
    SAVED_LEGACY = "a file of torch.save in the format before PyTorch 1.6"


# The exported programs of PyTorch 2.0 to 2.6 have no top folder.
_ROOT_MARK = b"serialized_exported_program.json"

# Members (below the top folder) that tell a kind; the first kind of which one is there wins.
_MARKS: tuple[tuple[Kind, tuple[bytes, ...]], ...] = (
    (Kind.TORCHSCRIPT_LEGACY, (b"model.json",)),
    (Kind.TORCHSCRIPT, (b"constants.pkl", b"code/")),
    (Kind.COMPILED, (b"data/aotinductor/",)),
    (Kind.EXPORTED, (b"models/model.json", _ROOT_MARK)),
    (Kind.PACKAGE, (b".data/extern_modules",)),
    (Kind.SAVED, (b"data.pkl",)),
)

# torch.save before 1.6 starts with a pickle of the magic number 0x1950a86a20f9469cfc6c; older still, with a tar.
_LEGACY_MAGIC = b"\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."


def detect(path: str | os.PathLike[str]) -> Kind | None:
    """What kind of PyTorch file `path` is, by its content alone; None if it is none or cannot be read."""
    try:
        return _detect(MappedFile(path))[0]
    except ReadError:
        return None


def _detect(file: MappedFile) -> tuple[Kind | None, str | None]:
    """The kind of a file and, for zip archives, the folder (with its slash) that holds all of it."""
    head = file.mmap[:64]
    if head[4:8] == b"PTMF":
        return Kind.TORCHSCRIPT_FLATBUFFER, None
    if _LEGACY_MAGIC in head[:24] or (file.mmap[257:262] == b"ustar" and b"storages" in file.mmap[:4096]):
        return Kind.SAVED_LEGACY, None
    if head[:4] != b"PK\3\4":
        return None, None
    start, end, _ = central_directory(file)
    directory = file.mmap[start:end]
    for kind, members in _MARKS:
        for member in members:
            top = _top_of(directory, member)
            if top is not None:
                return kind, top
    return None, None


def _top_of(directory: bytes, member: bytes) -> str | None:
    """The top folder in which a central directory lists `member` (or something below it, for a folder's name)."""
    found = -1
    while (found := directory.find(member, found + 1)) >= 0:
        start = directory.rfind(b"PK\1\2", 0, found)
        length = int.from_bytes(directory[start + 28 : start + 30], "little")
        name = directory[start + 46 : start + 46 + length]
        top, slash, rest = name.partition(b"/")
        if start >= 0 and slash and (rest == member or (member.endswith(b"/") and rest.startswith(member))):
            return (top + slash).decode("utf-8", "replace")
        if name == member == _ROOT_MARK:
            return ""
    return None


def open_archive(path: str | os.PathLike[str]) -> TorchArchive:
    """Open an archive that PyTorch wrote; nothing of it is read yet but the list of members.

    Raises:
        ReadError: the file is missing, damaged, or no zip archive of PyTorch; the message says what it is instead.
    """
    file = MappedFile(path)
    kind, top = _detect(file)
    if kind is None:
        raise ReadError(
            f"{file.path} is no PyTorch model: it is no archive of torch.jit.save, torch.export.save or torch.save."
        )
    if top is None:
        raise ReadError(
            f"{file.path} is {kind.value}, which cannot be read without PyTorch. "
            "Load it there and save it again with torch.jit.save or torch.export.save."
        )
    if kind is Kind.TORCHSCRIPT_LEGACY:
        from nxconvert.formats.torch_legacy import LegacyArchive  # which is an archive itself

        return LegacyArchive(ZipMap(file), kind, top)
    return TorchArchive(ZipMap(file), kind, top)


class TorchArchive:
    """A zip archive of PyTorch, decoded piece by piece as it is asked for.

    Used as a context manager it lets go of the file at the end; tensors taken from it stay valid, and keep the file
    open, as long as they live.

    Attributes:
        path: the file's path.
    """

    def __init__(self, members: ZipMap, kind: Kind, top: str, inside: str = "") -> None:
        """The members that lie below the folder `top`; use `open_archive`.

        `inside` is the member of another archive that this one is stored in.
        """
        self.path = members.file.path
        self._kind = kind
        self._top = top
        self._inside = f"{inside}/" if inside else ""
        self._zip: ZipMap | None = members

    def __enter__(self) -> TorchArchive:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file.  What was decoded stays; asking for more raises ReadError."""
        self._zip = None

    def kind(self) -> Kind:
        """What kind of archive it is."""
        return self._kind

    @property
    def zip(self) -> ZipMap:
        """The members with their full names."""
        if self._zip is None:
            raise ReadError(f"{self.path} has been closed.")
        return self._zip

    @cached_property
    def members(self) -> tuple[str, ...]:
        """The names of the members, without the top folder."""
        cut = len(self._top)
        return tuple(name[cut:] for name in self.zip.members if name.startswith(self._top))

    def __contains__(self, name: str) -> bool:
        """Whether there is a member `name` (without the top folder)."""
        return self._top + name in self.zip

    def read(self, name: str, limit: int = _MAX_PICKLE) -> bytes:
        """The content of a member; ReadError if it is missing, damaged, or longer than `limit` bytes."""
        return self.zip.read(self._top + name, limit)

    def stored(self, name: str) -> tuple[MappedFile, int, int]:
        """Where a member that is not compressed lies: the mapped file, the offset and the length."""
        return self.zip.file, *self.zip.stored(self._top + name)

    def inner(self, name: str) -> TorchArchive:
        """The file of ``torch.save`` that is stored as the member `name`.

        Raises:
            ReadError: there is no such member, or it is no such file.
        """
        file, start, size = self.stored(name)
        first, last, _ = central_directory(file, start, size)
        top = _top_of(file.mmap[first:last], b"data.pkl")
        if top is None:
            raise ReadError(f"{self.path} is damaged: its member {name!r} is no file of torch.save.")
        return TorchArchive(ZipMap(file, start, size), Kind.SAVED, top, name)

    @cached_property
    def version(self) -> int:
        """The version of the archive's operator set (``version`` or ``.data/version``); 3 is PyTorch 1.6."""
        for name in ("version", ".data/version"):
            if name in self:
                text = self.read(name, _MAX_SMALL).strip()
                if text.isdigit():
                    return int(text)
                raise ReadError(f"{self.path} is damaged: its version is {text!r:.40}.")
        raise ReadError(f"{self.path} is incomplete: it has no version.")

    @cached_property
    def byteorder(self) -> str:
        """``little`` or ``big``: the order of the bytes in the storages."""
        if "byteorder" not in self:  # PyTorch 2.0 and older
            return "little"
        order = self.read("byteorder", _MAX_SMALL).decode("ascii", "replace").strip()
        if order not in ("little", "big"):
            raise ReadError(f"{self.path} is damaged: its byte order is {order!r:.40}.")
        return order

    @cached_property
    def data(self) -> Any:
        """What ``data.pkl`` holds: the root `ScriptObject` of a TorchScript archive."""
        return self._unpickle("data.pkl", "data/")

    @cached_property
    def constants(self) -> tuple[Any, ...]:
        """The values that the code calls ``CONSTANTS.c0``, ``CONSTANTS.c1``, ..."""
        if "constants.pkl" not in self:
            return ()
        constants = self._unpickle("constants.pkl", "constants/")
        if not isinstance(constants, tuple):
            raise ReadError(f"{self.path} is damaged: its constants are no tuple.")
        return constants

    @cached_property
    def traced_inputs(self) -> dict[str, list[Any]]:
        """The example inputs of each traced method, by its name; empty for scripted archives.

        Tensors have their dtype and shape, but rarely their elements: the tracer strips them (see
        `TensorData.is_available`).
        """
        if "traced_inputs.pkl" not in self:
            return {}
        inputs = self._unpickle("traced_inputs.pkl", "traced_inputs/", strict=False)
        if not (isinstance(inputs, dict) and all(isinstance(values, list) for values in inputs.values())):
            raise ReadError(f"{self.path} is damaged: its traced inputs are no dictionary of lists.")
        return inputs

    @cached_property
    def code(self) -> Mapping[str, str]:
        """The source files by their path, e.g. ``code/__torch__/torch/nn/modules/conv.py``; inflated when read."""
        names = [name for name in self.members if name.startswith("code/") and name.endswith(".py")]
        return _Sources(names, self._text)

    @property
    def module_files(self) -> Mapping[str, str]:
        """The file that holds a module's methods and nothing else, by its class; before PyTorch 1.3 each has one."""
        return {}

    def source_ranges(self, path: str) -> Any:
        """The decoded ``.debug_pkl`` beside the source file `path`; None if there is none."""
        name = f"{path}.debug_pkl"
        return self._unpickle(name, "") if name in self else None

    def _text(self, name: str) -> str:
        try:
            return self.read(name, _MAX_CODE).decode()
        except UnicodeDecodeError as error:
            raise ReadError(f"{self.path} is damaged: its code {name} is no UTF-8 text.") from error

    def _unpickle(self, name: str, folder: str, *, strict: bool = True) -> Any:
        """Decode the pickle `name`, whose storages lie in `folder`."""
        meaning = self._globals(name, folder, strict=strict)
        return unpickle(self.read(name), meaning.find_global, meaning.persistent_load, f"{self.path}: {name}")

    def _globals(self, name: str, folder: str, *, strict: bool) -> TorchGlobals:
        storages: dict[str, Storage] = {}
        big_endian = self.byteorder == "big"

        def open_storage(kind: str, key: str, device: str) -> Storage:
            member = folder + key
            storage = storages.get(key)
            if storage is None or storage.kind != kind:
                present = strict or member in self
                file, offset, nbytes = self.stored(member) if present else (self.zip.file, 0, 0)
                storage = storages[key] = Storage(self._inside + member, kind, device, file, offset, nbytes, big_endian)
            return storage

        return TorchGlobals(f"{self.path}: {name}", open_storage, strict=strict)


class _Sources(Mapping[str, str]):
    """A mapping from the names of source files to what `read` gives for them, read anew each time."""

    def __init__(self, names: list[str], read: Callable[[str], str]) -> None:
        self._names = dict.fromkeys(names)
        self._read = read

    def __getitem__(self, name: str) -> str:
        if name not in self._names:
            raise KeyError(name)
        return self._read(name)

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

"""What ``torch.save`` wrote: the tensors and plain values of it, and the names of whatever is more than data.

Nothing is executed: an object of a Python class is a `Foreign`, which knows the class's name and the state that was
saved. Besides zip archives there is the format before PyTorch 1.6, pickles one behind the other: a magic number, the
version of the protocol, facts about the machine, the object, the keys of the storages.
"""

from __future__ import annotations

import pickletools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from nxconvert.errors import ReadError
from nxconvert.formats.tensors import MappedFile
from nxconvert.formats.torch_archive import Kind, detect, open_archive
from nxconvert.formats.torch_values import Storage, TensorData, TorchGlobals
from nxconvert.formats.unpickle import Builder, unpickle

__all__ = ["Foreign", "Saved", "read_saved"]

_OBJECT = 3  # which of the pickles of the old format is the object
_MODULE_STATE = frozenset({"_parameters", "_buffers", "_modules"})


class Foreign(dict[Any, Any]):
    """An object of a class that is not data.

    Attributes:
        name: the class, or the function that would make it: ``module.name``.
        state: what the pickle would have restored it from.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self.state: Any = None

    def set_state(self, state: Any) -> None:
        """Take the state."""
        self.state = state


@dataclass(frozen=True)
class Saved:
    """What is in a file.

    Attributes:
        root: the saved object.
        foreign: the names of the Python objects in it that are not data, in order.
    """

    root: Any
    foreign: tuple[str, ...]

    @property
    def module(self) -> str | None:
        """The class of the ``nn.Module`` that the file holds; None if it holds something else."""
        state = self.root.state if isinstance(self.root, Foreign) else None
        return self.root.name if isinstance(state, dict) and state.keys() >= _MODULE_STATE else None

    def tensors(self) -> Mapping[str, TensorData]:
        """The largest mapping of names to tensors, at any depth."""
        return max(_mappings(self.root, 3), key=len, default={})


def _mappings(value: Any, depth: int) -> Iterator[Mapping[str, TensorData]]:
    if not isinstance(value, dict) or isinstance(value, Foreign) or not depth:
        return
    yield {str(name): item for name, item in value.items() if isinstance(item, TensorData)}
    for item in value.values():
        yield from _mappings(item, depth - 1)


def read_saved(path: Path) -> Saved:
    """What ``torch.save`` wrote to `path`; tensors have shapes and dtypes, but not always their elements.

    Raises:
        ReadError: it is damaged, hostile, or a tar archive of PyTorch 0.1.
    """
    if detect(path) is Kind.SAVED_LEGACY:
        file = MappedFile(path)
        return _survey(_legacy_pickle(file), _Globals(str(path), file), str(path))
    with open_archive(path) as archive:
        what = f"{path}: data.pkl"
        return _survey(archive.read("data.pkl"), _Globals(what, archive.zip.file), what)


def _legacy_pickle(file: MappedFile) -> bytes:
    file.mmap.seek(0)
    begin = 0
    for number in range(_OBJECT + 1):
        begin = file.mmap.tell()
        try:
            for _ in pickletools.genops(cast(IO[bytes], file.mmap)):
                pass
        except (ValueError, IndexError, KeyError, UnicodeDecodeError) as error:
            raise ReadError(f"{file.path} is damaged: its pickle number {number} cannot be read ({error}).") from error
    return file.mmap[begin : file.mmap.tell()]


def _survey(data: bytes, meaning: _Globals, what: str) -> Saved:
    root = unpickle(data, meaning.find_global, meaning.persistent_load, what)
    return Saved(root, tuple(meaning.foreign))


class _Globals:
    """The globals of a pickle; those that are not data stand for nothing but their names."""

    def __init__(self, what: str, file: MappedFile) -> None:
        self.foreign: dict[str, None] = {}
        self._known = TorchGlobals(what, lambda kind, key, device: Storage(key, kind, device, file, 0, 0), strict=False)

    def find_global(self, module: str, name: str) -> Builder:
        try:
            known: Builder = self._known.find_global(module, name)
        except ReadError:
            self.foreign[f"{module}.{name}"] = None
            return _ForeignGlobal(f"{module}.{name}")
        return known

    def persistent_load(self, pid: Any) -> Any:
        if isinstance(pid, tuple) and len(pid) > 1 and pid[0] == "module":  # a class, with its source code
            return pid[1]
        return self._known.persistent_load(pid)


class _ForeignGlobal:
    """A class or a function that is not data."""

    def __init__(self, name: str) -> None:
        self._name = name

    def call(self, argument: Any) -> Foreign:
        return Foreign(self._name)

    def new(self) -> Foreign:
        return Foreign(self._name)

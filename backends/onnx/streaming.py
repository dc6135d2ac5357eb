"""Pouring encoded bytes and weights into a file, without a second copy of the weights in memory.

Every byte's place in the file is known beforehand, so pieces are written in any order, by two threads: while one waits
for the disk or the kernel copies, the other works out the next transposed or folded weight. What lies in a file
already is copied inside the kernel and never becomes memory of this process; one thread does that, from front to back,
since two get into each other's way (measured on 2.5 GB: 1.0 s of kernel time for one, 1.9 s for two).
"""

from __future__ import annotations

import errno
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import TypeAlias

import numpy as np
import onnx_ir as ir

from nxconvert.backends.onnx.atomic import cannot_write
from nxconvert.backends.onnx.wire import Part
from nxconvert.errors import NxConvertError, WriteError
from nxconvert.formats.tensors import MappedTensor, contiguous
from nxconvert.passes.weights import SLAB, InSlabs

#: What stands at an offset of the file.
Piece: TypeAlias = tuple[int, Part]

_THREADS = 2
#: Computed tensors that may be in memory at a time; a larger one is there alone.
_IN_MEMORY = 64 << 20
#: What a file system answers that cannot copy inside the kernel, or not between these two files.
_NO_KERNEL_COPY = {errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM}
_CHUNK = 1 << 20


def pieces(parts: Iterable[Part], start: int = 0) -> Iterator[Piece]:
    """Places `parts` one behind the other."""
    for part in parts:
        yield start, part
        start += len(part) if isinstance(part, bytes | bytearray) else part.nbytes


def pour(contents: Iterable[tuple[Target, Iterable[Piece]]], progress: Callable[[int], None]) -> None:
    """Writes every piece to its place.

    Args:
        contents: files and what is to stand in them; pieces of one file do not overlap.
        progress: is told after each tensor how many bytes of tensors have been written so far.

    Raises:
        WriteError: a file cannot be written, or a weight cannot be read where it comes from.
    """
    tensors: list[tuple[Target, int, ir.TensorProtocol]] = []
    for target, content in contents:
        for offset, part in content:
            if isinstance(part, bytes | bytearray):
                target.write(part, offset)
            else:
                tensors.append((target, offset, part))
    in_files = [place for place in tensors if isinstance(place[2], MappedTensor)]
    computed = [[place] for place in tensors if not isinstance(place[2], MappedTensor)]
    budget, outcomes, stop = _Budget(_IN_MEMORY), SimpleQueue[int | BaseException](), threading.Event()
    written = 0
    with ThreadPoolExecutor(_THREADS) as pool:
        for places in (in_files, *computed):
            pool.submit(_pour_tensors, places, budget, outcomes, stop)
        try:
            for _ in tensors:
                outcome = outcomes.get()
                if isinstance(outcome, BaseException):
                    raise outcome
                written += outcome
                progress(written)
        finally:
            stop.set()  # after a failure or an interruption the rest is not worth writing


def _pour_tensors(
    places: Iterable[tuple[Target, int, ir.TensorProtocol]],
    budget: _Budget,
    outcomes: SimpleQueue[int | BaseException],
    stop: threading.Event,
) -> None:
    """Writes tensors until told to stop; tells of each its size, or what went wrong."""
    try:
        for target, offset, tensor in places:
            if stop.is_set():
                return
            _pour_tensor(target, offset, tensor, budget)
            outcomes.put(tensor.nbytes)
    except BaseException as error:
        outcomes.put(error)


def _pour_tensor(target: Target, offset: int, tensor: ir.TensorProtocol, budget: _Budget) -> None:
    if isinstance(tensor, MappedTensor):
        target.copy(tensor.file.fd, tensor.offset, tensor.nbytes, offset)
        return
    written = 0
    with budget.reserve(min(tensor.nbytes, SLAB) if isinstance(tensor, InSlabs) else tensor.nbytes):
        for data in _read(tensor):
            if written + len(data) <= tensor.nbytes:
                target.write(data, offset + written)
            written += len(data)
    if written != tensor.nbytes:
        raise WriteError(
            f"the weight {tensor.name} has {written} bytes where its type and shape, "
            f"{tensor.dtype.name}{list(tensor.shape.numpy())}, ask for {tensor.nbytes}."
        )


def _read(tensor: ir.TensorProtocol) -> Iterator[bytes | memoryview]:
    """The tensor's bytes as ONNX stores them, without a copy where its array has them in this order already."""
    try:
        if tensor.dtype.bitwidth < 8 or sys.byteorder == "big":
            yield tensor.tobytes()
            return
        for array in tensor.slabs() if isinstance(tensor, InSlabs) else [tensor.numpy()]:
            yield contiguous(array).reshape(-1).view(np.uint8).data
    except NxConvertError:
        raise
    except (OSError, ValueError) as error:
        raise WriteError(f"the weight {tensor.name} cannot be read: {error}") from error


class _Budget:
    """Bounds the bytes of computed tensors in memory, whatever the number of threads."""

    def __init__(self, capacity: int) -> None:
        self._free = self._capacity = capacity
        self._changed = threading.Condition()

    @contextmanager
    def reserve(self, nbytes: int) -> Iterator[None]:
        """Waits until so much fits; what exceeds the whole budget waits until it is alone."""
        nbytes = min(nbytes, self._capacity)
        with self._changed:
            self._changed.wait_for(lambda: self._free >= nbytes)
            self._free -= nbytes
        try:
            yield
        finally:
            with self._changed:
                self._free += nbytes
                self._changed.notify_all()


class Target:
    """A file that is written at given offsets by several threads.

    Args:
        descriptor: the file, open for reading and writing.
        path: what to call it in messages.
    """

    def __init__(self, descriptor: int, path: Path) -> None:
        self._descriptor = descriptor
        self._path = path
        self._kernel_copy = hasattr(os, "copy_file_range")
        self._lock = threading.Lock()

    def write(self, data: bytes | bytearray | memoryview, offset: int) -> None:
        """Writes all of `data`."""
        view = memoryview(data)
        try:
            while view:
                done = self._write_some(view[: 1 << 30], offset)
                view, offset = view[done:], offset + done
        except OSError as error:
            raise cannot_write(self._path, error) from error

    def _write_some(self, view: memoryview, offset: int) -> int:
        if hasattr(os, "pwrite"):
            return os.pwrite(self._descriptor, view, offset)
        with self._lock:  # Windows
            os.lseek(self._descriptor, offset, os.SEEK_SET)
            return os.write(self._descriptor, view)

    def copy(self, source: int, start: int, nbytes: int, offset: int) -> None:
        """Copies `nbytes` bytes at `start` of the open file `source`."""
        while nbytes:
            done = self._copy_some(source, start, nbytes, offset)
            if not done:
                raise WriteError("the source file became shorter while it was being converted.")
            start, nbytes, offset = start + done, nbytes - done, offset + done

    def _copy_some(self, source: int, start: int, nbytes: int, offset: int) -> int:
        if self._kernel_copy:
            try:
                done = os.copy_file_range(source, self._descriptor, min(nbytes, 1 << 30), start, offset)
                if done:
                    return done
            except OSError as error:
                if error.errno not in _NO_KERNEL_COPY:
                    raise cannot_write(self._path, error) from error
            self._kernel_copy = False  # some file systems say so by copying nothing
        data = self._read_some(source, min(nbytes, _CHUNK), start)
        self.write(data, offset)
        return len(data)

    def _read_some(self, source: int, nbytes: int, start: int) -> bytes:
        try:
            if hasattr(os, "pread"):
                return os.pread(source, nbytes, start)
            with self._lock:  # Windows
                os.lseek(source, start, os.SEEK_SET)
                return os.read(source, nbytes)
        except OSError as error:
            raise WriteError(f"the source file cannot be read any more: {error.strerror}.") from error

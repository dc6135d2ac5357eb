"""Weights that stay in the file they came from until somebody asks for their bytes.

`MappedTensor` is a contiguous piece of a memory-mapped file; `ComputedTensor` is worked out anew each time it is
read, so that a transposed or byte-swapped copy of a weight lives only while it is being written.  Both satisfy
`onnx_ir.TensorProtocol`.  `Memory` stands in the place of a file for weights that another library holds.
"""

from __future__ import annotations

import math
import mmap
import os
import stat
from collections.abc import Callable, Sequence

import numpy as np
import onnx_ir as ir
from numpy.lib.array_utils import byte_bounds

from nxconvert.errors import ReadError

__all__ = ["ComputedTensor", "MappedFile", "MappedTensor", "Memory", "contiguous", "release", "transposed"]

# Source rows copied at a time by a blocked transposition: measured best or nearly so from 1- to 8-byte elements,
# because a power-of-two distance of rows leaves room for about as many in a set of the first-level cache.
_BLOCK = 16
# Where neighbours along the last axis are nearer than this (bytes), or there are fewer elements, numpy does as well.
_FAR = 512
_SMALL = 1 << 14


class MappedFile:
    """A file opened and mapped for reading; it stays open as long as anything refers to this object.

    Attributes:
        path: the file's path as given.
        fd: the open descriptor, valid for `os.copy_file_range` and `os.sendfile`.
        mmap: the read-only mapping of the whole file.
        size: the file's length in bytes.
    """

    __slots__ = ("fd", "mmap", "path", "size")

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Open and map `path`.

        Raises:
            ReadError: the file is missing, unreadable, empty or no regular file.
        """
        self.fd = -1
        self.path = os.fspath(path)
        try:
            self.fd = os.open(self.path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
            status = os.fstat(self.fd)
            if not stat.S_ISREG(status.st_mode):
                what = "a directory" if stat.S_ISDIR(status.st_mode) else "no regular file"
                raise ReadError(f"{self.path} is {what}; give the path of a model file.")
            self.size = status.st_size
            if self.size == 0:
                raise ReadError(f"{self.path} is empty.")
            self.mmap = mmap.mmap(self.fd, 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise ReadError(f"{self.path} cannot be read: {reason}.") from error

    def tensor(self, offset: int, dtype: ir.DataType, shape: Sequence[int], name: str | None) -> ir.TensorProtocol:
        """The contiguous elements that start at `offset`, as a tensor for a graph."""
        return MappedTensor(self, offset, dtype, shape, name)

    def flat(self, offset: int, nbytes: int) -> np.ndarray:
        """A view of bytes: uint8[nbytes]."""
        return np.frombuffer(self.mmap, np.uint8, nbytes, offset)

    def release(self, offset: int, nbytes: int) -> None:
        """Give the memory of mapped bytes back; they are read from the file again when they are next touched.

        Without it a conversion that reads every weight once ends up with all of the file in its memory.
        """
        if nbytes > 0 and hasattr(mmap, "MADV_DONTNEED"):
            start = offset - offset % mmap.PAGESIZE
            self.mmap.madvise(mmap.MADV_DONTNEED, start, offset + nbytes - start)

    def __del__(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)

    def __repr__(self) -> str:
        return f"MappedFile({self.path!r})"


class Memory:
    """Bytes that another library holds; tensors view them, so that a change of one shows in the other.

    Attributes:
        path: what messages call it.
    """

    __slots__ = ("_bytes", "path")

    def __init__(self, content: np.ndarray, path: str) -> None:
        """View `content`, uint8[nbytes], which is kept alive as long as anything refers to this object."""
        self._bytes = content
        self.path = path

    def tensor(self, offset: int, dtype: ir.DataType, shape: Sequence[int], name: str | None) -> ir.TensorProtocol:
        """The contiguous elements that start at `offset`, as a tensor for a graph."""
        element = np.dtype(dtype.numpy())
        flat = self.flat(offset, math.prod(shape) * element.itemsize)
        return ir.Tensor(flat.view(element).reshape(shape), dtype, name=name)

    def flat(self, offset: int, nbytes: int) -> np.ndarray:
        """A view of bytes: uint8[nbytes]."""
        return self._bytes[offset : offset + nbytes]

    def release(self, offset: int, nbytes: int) -> None:
        """Do nothing: the bytes are not ours to give back."""


class MappedTensor(ir.Tensor):
    """A contiguous, little-endian tensor inside a mapped file.

    ``numpy()`` is a read-only view of the mapping (bfloat16 and the like through ml_dtypes).  A writer may copy
    ``nbytes`` bytes at ``offset`` of ``file.fd`` straight to its target: they are the tensor's ONNX raw data.

    Attributes:
        file: the mapped file that holds the bytes.
        offset: where they start, counted from the start of the file.
    """

    __slots__ = ("file", "offset")

    def __init__(
        self, file: MappedFile, offset: int, dtype: ir.DataType, shape: Sequence[int], name: str | None = None
    ) -> None:
        """Describe `shape` elements of `dtype`, one byte or wider, that start at `offset`.

        Raises:
            ReadError: they do not lie within the file.
        """
        element = np.dtype(dtype.numpy())
        size = math.prod(shape)
        if offset < 0 or offset + size * element.itemsize > file.size:
            raise ReadError(
                f"{file.path} is truncated: {name or 'a tensor'} of {size * element.itemsize} bytes is said to "
                f"start at byte {offset}, and the file has {file.size}."
            )
        self.file = file
        self.offset = offset
        array = np.frombuffer(file.mmap, element, size, offset) if size else np.empty(0, element)
        super().__init__(array.reshape(shape), dtype, name=name)

    def __repr__(self) -> str:
        return f"{self._repr_base()}(name={self.name!r}, file={self.file.path!r}, offset={self.offset})"


class ComputedTensor(ir.LazyTensor):
    """A tensor whose dtype and shape are known and whose elements are computed each time they are read.

    Nothing is cached, so a model full of these needs memory for one of them at a time.
    """

    def __init__(
        self,
        compute: Callable[[], np.ndarray],
        dtype: ir.DataType,
        shape: ir.Shape | Sequence[int],
        name: str | None = None,
    ) -> None:
        """`compute` returns an array of `dtype` and `shape`, the same one every time."""
        frozen = shape if isinstance(shape, ir.Shape) else ir.Shape(shape, frozen=True)
        super().__init__(lambda: ir.Tensor(compute(), dtype=dtype), dtype, frozen, cache=False, name=name)


def transposed(tensor: ir.TensorProtocol, perm: Sequence[int], name: str | None = None) -> ComputedTensor:
    """`tensor` with its dims permuted (dim ``i`` of the result is dim ``perm[i]``), computed when it is read."""
    perm = tuple(perm)
    dims = tensor.shape.numpy()
    shape = [dims[axis] for axis in perm]

    def compute() -> np.ndarray:
        view = tensor.numpy().transpose(perm)
        array = contiguous(view)
        if array is not view and isinstance(tensor, MappedTensor):
            tensor.file.release(tensor.offset, tensor.nbytes)
        return array

    return ComputedTensor(compute, tensor.dtype, shape, name or tensor.name)


def contiguous(array: np.ndarray) -> np.ndarray:
    """A C-contiguous array of the same elements; the same object if `array` is that already.

    Numpy copies a transposed matrix along the target's rows and so leaves a cache line of the source after each
    element; copying a few source rows at a time is about five times as fast.
    """
    if array.flags.c_contiguous:
        return array
    out = np.empty(array.shape, array.dtype)
    _copy(out, array)
    return out


def _copy(out: np.ndarray, array: np.ndarray) -> None:
    """Copy `array` into the C-contiguous `out` of its shape."""
    strides = [abs(stride) for stride in array.strides]
    if array.ndim < 2 or strides[-1] < _FAR or array.size < _SMALL:
        out[...] = array
    elif array.ndim > 2 and strides[0] == max(strides) and array[0].size >= _SMALL:
        for target, source in zip(out, array, strict=True):
            _copy(target, source)
    else:
        for start in range(0, array.shape[-1], _BLOCK):
            out[..., start : start + _BLOCK] = array[..., start : start + _BLOCK]


def release(array: np.ndarray) -> None:
    """Give the memory of the bytes that `array` spans back, where it is a view of a mapped file; else do nothing.

    The bytes are read from the file again when they are next touched (see `MappedFile.release`).
    """
    owner: object = array
    while isinstance(owner, np.ndarray | memoryview):
        owner = owner.base if isinstance(owner, np.ndarray) else owner.obj
    if isinstance(owner, mmap.mmap) and array.size and hasattr(mmap, "MADV_DONTNEED"):
        begin = np.frombuffer(owner, np.uint8).__array_interface__["data"][0]
        low, high = (address - begin for address in byte_bounds(array))
        start = low - low % mmap.PAGESIZE
        owner.madvise(mmap.MADV_DONTNEED, start, high - start)

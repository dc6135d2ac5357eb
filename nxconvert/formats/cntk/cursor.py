"""Reads files of CNTK 1: numbers, text, shapes and matrices, each where the one before it ends.

Every count is compared with what is left of the file before anything is made of it.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import onnx_ir as ir

from nxconvert.errors import ReadError
from nxconvert.formats.cntk.dictionary import Array
from nxconvert.formats.tensors import MappedFile

#: The dtypes by the bytes that an element takes.
OF_SIZE = {4: ir.DataType.FLOAT, 8: ir.DataType.DOUBLE, 2: ir.DataType.FLOAT16}
_MAX_TEXT, _MAX_RANK = 1 << 15, 64
#: The byte before a matrix that is not sparse.
_DENSE = ord("d")


class Cursor:
    """Reads a file from its start to its end.

    Attributes:
        version: of the file.
        dtype: of what the node computes that is being read.
    """

    def __init__(self, file: MappedFile) -> None:
        self.file = file
        self.version: int = 1
        self.dtype = ir.DataType.FLOAT
        self._at = 0
        self._what = "the start"

    # ---- errors ------------------------------------------------------------------------------------------------------

    def reading(self, what: str) -> None:
        """Says what is read from here on; for messages."""
        self._what = what

    def damaged(self, text: str) -> ReadError:
        """The error that says what is wrong here."""
        return ReadError(f"{self.file.path} is damaged: in {self._what}, at byte {self._at:,}, {text}.")

    def _take(self, nbytes: int) -> int:
        """The place of the next bytes, which are then read."""
        at = self._at
        if nbytes > self.file.size - at:
            raise ReadError(
                f"{self.file.path} is truncated: in {self._what}, at byte {at:,}, {nbytes:,} bytes are to follow, and "
                f"the file has {self.file.size:,} in all."
            )
        self._at = at + nbytes
        return at

    # ---- numbers and text --------------------------------------------------------------------------------------------

    def _number(self, code: str, nbytes: int) -> Any:
        return struct.unpack_from(code, self.file.mmap, self._take(nbytes))[0]

    def flag(self) -> bool:
        return bool(self._number("<B", 1))

    def int32(self) -> int:
        return int(self._number("<i", 4))

    def uint32(self) -> int:
        return int(self._number("<I", 4))

    def int64(self) -> int:
        return int(self._number("<q", 8))

    def uint64(self) -> int:
        return int(self._number("<Q", 8))

    def float32(self) -> float:
        return float(self._number("<f", 4))

    def float64(self) -> float:
        return float(self._number("<d", 8))

    def element(self) -> float:
        """A number of the kind the node computes with; halves are stored as float32."""
        return self.float64() if self.dtype == ir.DataType.DOUBLE else self.float32()

    def count(self, what: str, least: int) -> int:
        """How many there are of something that takes at least so many bytes each."""
        number = self.uint64()
        if number * least > self.file.size - self._at:
            raise self.damaged(f"there are said to be {number:,} {what}")
        return number

    def flags(self) -> list[bool]:
        return [self.flag() for _ in range(self.count("flags", 1))]

    def sizes(self) -> list[int]:
        return [self.uint64() for _ in range(self.count("numbers", 8))]

    def text(self) -> str:
        """Text up to the zero at its end."""
        data, end = self.file.mmap, self._at
        limit = min(self.file.size, self._at + 2 * _MAX_TEXT)
        while True:
            end = data.find(b"\0\0", end, limit)
            if end < 0:
                raise self.damaged("text has no end")
            if (end - self._at) % 2 == 0:
                break
            end += 1
        raw = data[self._at : end]
        self._at = end + 2
        try:
            return raw.decode("utf-16-le")
        except UnicodeDecodeError:
            self._at -= len(raw) + 2
            raise self.damaged("text is no UTF-16") from None

    def bytes(self) -> bytes:
        """Bytes up to the zero at their end."""
        end = self.file.mmap.find(b"\0", self._at, min(self.file.size, self._at + _MAX_TEXT))
        if end < 0:
            raise self.damaged("text has no end")
        raw = self.file.mmap[self._at : end]
        self._at = end + 1
        return raw

    def skips(self, word: str) -> bool:
        """Whether a word comes next, which is then read."""
        raw = f"{word}\0".encode("utf-16-le")
        found = self.file.mmap[self._at : self._at + len(raw)] == raw
        self._at += len(raw) if found else 0
        return found

    def expect(self, word: str) -> None:
        """Reads a word that has to come."""
        if not self.skips(word):
            left = self.file.size - self._at
            if left < 2 * len(word) + 2:
                self._take(2 * len(word) + 2)
            raise self.damaged(f"{word!r} is expected, and {self._seen()} is there")

    def follows(self, offset: int, words: tuple[str, ...]) -> bool:
        """Whether one of these words is so many bytes further on."""
        at = self._at + offset
        return any(self.file.mmap[at : at + 2 * len(word) + 2] == f"{word}\0".encode("utf-16-le") for word in words)

    def holds(self, number: int, nbytes: int = 4) -> bool:
        """Whether the next bytes are a number."""
        return bytes(self.file.mmap[self._at : self._at + nbytes]) == number.to_bytes(nbytes, "little")

    def _seen(self) -> str:
        return bytes(self.file.mmap[self._at : self._at + 8]).hex(" ")

    # ---- shapes and matrices -----------------------------------------------------------------------------------------

    def shape(self, *, old: bool = False) -> tuple[int, ...]:
        """Sizes, in CNTK's order. Old files have three of 64 bits: width, height, channels; channels come first.

        Those have zeros between the sizes. Three sizes of 0, which say nothing, may be of 32 bits as well.
        """
        rank = self.uint32()
        unknown = rank == 3 and self.holds(0, 3 * 4)
        if old and self.holds(0) and not unknown and (rank or self.version < 3):
            self.uint32()
            height, channels = self.uint64(), self.uint64()
            return (channels, rank, height)
        if rank > _MAX_RANK:
            raise self.damaged(f"a shape is said to have {rank:,} axes")
        return tuple(self.uint32() for _ in range(rank))

    def matrix(self) -> tuple[Array, int, int]:
        """A matrix: its elements as a vector, column by column, and how many rows and columns it has."""
        storage = int(self._number("<B", 1))
        if storage != _DENSE:
            raise self.damaged(f"a matrix is stored in the way {storage}, which no version of CNTK reads")
        self.expect("BMAT")
        itemsize = self.uint64()
        dtype = OF_SIZE.get(itemsize)
        if dtype is None:
            raise self.damaged(f"a matrix has elements of {itemsize:,} bytes")
        self.text()
        self.int32()
        rows, columns = self.uint64(), self.uint64()
        count = rows * columns
        if dtype == ir.DataType.FLOAT16:  # the bits of each are written as a number of four bytes
            array = Array.of(np.frombuffer(self.file.mmap, "<f2", 2 * count, self._take(4 * count))[::2])
        else:
            array = Array(dtype, (count,), stored_dtype=np.dtype(dtype.numpy()).newbyteorder("<"))
            at = self._take(array.nbytes)
            array.place(np.frombuffer(self.file.mmap, array.stored_dtype, count, at), self.file, at)
        self.expect("EMAT")
        return array, rows, columns

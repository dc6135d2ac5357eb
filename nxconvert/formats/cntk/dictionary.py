"""CNTK's ``Dictionary``: the protocol buffer that its models are, decoded into plain Python.

Strings, numbers and booleans are Python's, a Vector is a list, a Dictionary a dict, an NDShape a tuple of ints in
CNTK's column-major order (-1 for a dim to be inferred, -3 for a free one). The numbers of arrays stay views of the
file. Files of 2 GB and more begin with a length, and have the numbers of all arrays behind the protocol buffer.
Observed in files that CNTK 2.7 wrote.
"""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir

from nxconvert.errors import ReadError
from nxconvert.formats.protobuf import Field, Message, Reader
from nxconvert.formats.tensors import ComputedTensor, MappedFile

#: What files of 2 GB and more begin with.
LARGE_MAGIC = b"ktnc"
#: The place that an axis has if it is a dynamic one, and those that stand for several axes.
DYNAMIC, ALL_STATIC, ALL = 2147483647, 2147483646, 2147483643

_SHAPE = Message("NDShape", [Field(1, "dims", "uint64", repeated=True)])
_AXIS = Message("Axis", [Field(1, "static", "int32"), Field(2, "name", "text"), Field(3, "ordered", "bool")])
_FLOATS = Message("FloatValues", [Field(1, "numbers", "float", repeated=True)])
_DOUBLES = Message("DoubleValues", [Field(1, "numbers", "double", repeated=True)])
_BYTES = Message("BytesValue", [Field(1, "numbers", "data")])
_ARRAY = Message(
    "NDArrayView",
    [
        Field(1, "dtype", "int32"),
        Field(2, "storage", "int32"),
        Field(3, "shape", "message", message=_SHAPE),
        Field(4, "floats", "message", message=_FLOATS),
        Field(5, "doubles", "message", message=_DOUBLES),
        Field(6, "bytes", "message", message=_BYTES),
    ],
)
_VECTOR, _DICTIONARY, _VALUE, _ENTRY = (
    Message(name) for name in ("Vector", "Dictionary", "DictionaryValue", "Dictionary.data")
)
_VECTOR.define([Field(1, "items", "message", repeated=True, message=_VALUE)])
_ENTRY.define([Field(1, "key", "text"), Field(2, "value", "message", message=_VALUE)])
_DICTIONARY.define([Field(1, "version", "uint64"), Field(2, "entries", "message", repeated=True, message=_ENTRY)])
_VALUE.define(
    [
        Field(1, "version", "uint64"),
        Field(2, "type", "int32"),
        Field(3, "bool", "bool"),
        Field(4, "int", "int32"),
        Field(5, "size", "uint64"),
        Field(6, "float", "float"),
        Field(7, "double", "double"),
        Field(8, "string", "text"),
        Field(9, "shape", "message", message=_SHAPE),
        Field(10, "axis", "message", message=_AXIS),
        Field(11, "vector", "message", message=_VECTOR),
        Field(12, "dictionary", "message", message=_DICTIONARY),
        Field(13, "array", "message", message=_ARRAY),
    ]
)
#: Of each type of a value, the field it is in and what it is where that is left out.
_TYPES: dict[int, tuple[str, Any]] = {
    1: ("bool", False), 2: ("int", 0), 3: ("size", 0), 4: ("float", 0.0), 5: ("double", 0.0), 6: ("string", ""),
    7: ("shape", {}), 8: ("axis", {}), 9: ("vector", {}), 10: ("dictionary", {}), 11: ("array", {}),
}  # fmt: skip
#: The dtypes by CNTK's numbers.
DTYPES = {
    1: ir.DataType.FLOAT,
    2: ir.DataType.DOUBLE,
    4: ir.DataType.FLOAT16,
    5: ir.DataType.INT8,
    6: ir.DataType.INT16,
}


@dataclass(frozen=True, slots=True)
class Axis:
    """An axis of CNTK's: a static one by its column-major place, a dynamic one by its name.

    Attributes:
        static: the place, or `DYNAMIC`, `ALL_STATIC`, `ALL`.
        name: of a dynamic axis what makes it the same as another one.
        ordered: whether a dynamic axis is one of sequences, not of batches.
    """

    static: int
    name: str
    ordered: bool

    @property
    def is_batch(self) -> bool:
        return self.static == DYNAMIC and not self.ordered

    @property
    def is_sequence(self) -> bool:
        return self.static == DYNAMIC and self.ordered


class Array:
    """An array in a file.

    Attributes:
        dtype: of its elements.
        shape: in the order of rows, the last dim of which is CNTK's first.
        sparse: whether only some of its elements are stored.
        stored_dtype: of the numbers in the file, which in files of CNTK 2 are float32 for halves.
    """

    __slots__ = ("_file", "_numbers", "_offset", "dtype", "shape", "sparse", "stored_dtype")

    def __init__(
        self, dtype: ir.DataType, shape: tuple[int, ...], sparse: bool = False, stored_dtype: np.dtype | None = None
    ) -> None:
        self.dtype = dtype
        self.shape = shape
        self.sparse = sparse
        if stored_dtype is None:
            stored_dtype = np.dtype("<f8" if self.dtype == ir.DataType.DOUBLE else "<f4")
        self.stored_dtype = stored_dtype
        self._numbers: np.ndarray | None = None
        self._file: MappedFile | None = None
        self._offset = 0

    @property
    def nbytes(self) -> int:
        """How many bytes its numbers take in a file."""
        return math.prod(self.shape) * self.stored_dtype.itemsize

    def place(self, numbers: np.ndarray, file: MappedFile | None, offset: int) -> None:
        """Says where the numbers are: flat, `offset` bytes from the start of the file if they are a view of it."""
        self._numbers, self._file, self._offset = numbers, file, offset

    @property
    def placed(self) -> bool:
        """Whether it is known where the numbers are."""
        return self._numbers is not None

    def numpy(self) -> np.ndarray:
        """The elements, a view of the file where it has them as they are."""
        assert self._numbers is not None
        array = self._numbers.reshape(self.shape)
        return array if self._as_stored else array.astype(self.dtype.numpy())

    @property
    def _as_stored(self) -> bool:
        return self.stored_dtype == np.dtype(self.dtype.numpy())

    def reshaped(self, shape: tuple[int, ...]) -> Array:
        """The same elements, in the same order, in another shape."""
        array = Array(self.dtype, shape, self.sparse, self.stored_dtype)
        assert self._numbers is not None
        array.place(self._numbers, self._file, self._offset)
        return array

    @classmethod
    def of(cls, numbers: np.ndarray) -> Array:
        """An array of these numbers, which are in no file."""
        array = cls(ir.DataType.from_numpy(numbers.dtype), numbers.shape, stored_dtype=numbers.dtype)
        array.place(numbers.ravel(), None, 0)
        return array

    def tensor(self, name: str) -> ir.TensorProtocol:
        """The elements as a tensor for a graph."""
        if not self._as_stored:
            return ComputedTensor(self.numpy, self.dtype, self.shape, name)
        if self._file is not None:
            return self._file.tensor(self._offset, self.dtype, self.shape, name)
        return ir.Tensor(self.numpy(), self.dtype, name=name)


def read_dictionary(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The Dictionary that a file is.

    Raises:
        ReadError: the file is none, or is damaged.
    """
    file = MappedFile(path)
    start, end = 0, file.size
    if file.mmap[:4] == LARGE_MAGIC:
        start = 8
        length = struct.unpack_from("<I", file.mmap, 4)[0] if file.size >= start else 0
        end = start + length
        if not length or end > file.size:
            raise ReadError(f"{file.path} is truncated: its model has {length:,} bytes, the file {file.size:,} in all.")
    decoder = _Decoder(file, start, end)
    dictionary = decoder.dictionary(decoder.reader.decode(_DICTIONARY, start, end))
    decoder.place_tail(end)
    return dictionary


class _Decoder:
    """Makes plain Python of decoded messages.

    Attributes:
        reader: of the file.
        arrays: those that have been met, in order.
    """

    def __init__(self, file: MappedFile, start: int, end: int) -> None:
        self._file = file
        self._bytes = np.frombuffer(file.mmap, np.uint8)
        self.reader = Reader(file, file.path)
        self.arrays: list[Array] = []

    def dictionary(self, message: dict[str, Any]) -> dict[str, Any]:
        """A Dictionary, its arrays in the order of the entries."""
        return {entry.get("key", ""): self._value(entry.get("value", {})) for entry in message.get("entries", ())}

    def _value(self, message: dict[str, Any]) -> Any:
        kind = message.get("type", 0)
        if kind == 0:
            return None
        if kind not in _TYPES:
            raise ReadError(f"{self._file.path} has a value of the unknown type {kind}: it is damaged, or newer.")
        name, absent = _TYPES[kind]
        value = message.get(name, absent)
        if name == "shape":
            return _shape(value)
        if name == "axis":
            return Axis(value.get("static", 0), value.get("name", ""), value.get("ordered", False))
        if name == "vector":
            return [self._value(item) for item in value.get("items", ())]
        if name == "dictionary":
            return self.dictionary(value)
        return self._array(value) if name == "array" else value

    def _array(self, message: dict[str, Any]) -> Array:
        dtype = DTYPES.get(message.get("dtype", 0))
        if dtype is None:
            raise ReadError(f"{self._file.path} has an array of the unknown dtype {message.get('dtype', 0)}.")
        shape = _shape(message.get("shape", {}))
        if any(size < 0 for size in shape):
            raise ReadError(f"{self._file.path} has an array of the shape {shape}, which is not of known size.")
        array = Array(dtype, shape[::-1], message.get("storage", 0) != 0)
        numbers = next((message[key].get("numbers") for key in ("floats", "doubles") if key in message), None)
        if "bytes" in message or dtype in (ir.DataType.INT8, ir.DataType.INT16):
            raise ReadError(f"{self._file.path} has an array of {dtype.name}, which is not read yet.")
        if numbers is not None:
            self._check(array, numbers.size)
            offset = self._offset(numbers)
            array.place(numbers, self._file if offset >= 0 else None, offset)
        elif math.prod(shape) == 0:
            array.place(np.empty(0, array.stored_dtype), None, 0)
        self.arrays.append(array)
        return array

    def _check(self, array: Array, count: int) -> None:
        if count != math.prod(array.shape):
            raise ReadError(
                f"{self._file.path} is damaged: an array of the shape {list(array.shape)} has {count:,} numbers, not "
                f"{math.prod(array.shape):,}."
            )

    def _offset(self, numbers: np.ndarray) -> int:
        """Where numbers are in the file; -1 for numbers that were copied out of it."""
        offset = numbers.ctypes.data - self._bytes.ctypes.data
        return offset if 0 <= offset < self._file.size else -1

    def place_tail(self, end: int) -> None:
        """Finds the numbers of the arrays that the protocol buffer has none of, in a row behind its `end`.

        Raises:
            ReadError: they are not there.
        """
        offset = end
        for array in self._unplaced():
            if offset + array.nbytes > self._file.size:
                raise ReadError(
                    f"{self._file.path} is truncated: an array of the shape {list(array.shape)} is said to have "
                    f"{array.nbytes:,} bytes at byte {offset:,}, and the file has {self._file.size:,}."
                )
            count = math.prod(array.shape)
            numbers = np.frombuffer(self._file.mmap, array.stored_dtype, count, offset)
            array.place(numbers, self._file, offset)
            offset += array.nbytes

    def _unplaced(self) -> Iterator[Array]:
        return (array for array in self.arrays if not array.placed)


def _shape(message: dict[str, Any]) -> tuple[int, ...]:
    """Dims in CNTK's order; those that stand for no size are negative."""
    return tuple(message.get("dims", np.empty(0, np.uint64)).astype(np.int64).tolist())

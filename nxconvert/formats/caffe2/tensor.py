"""Caffe2's tensors in files: ``TensorProto`` and ``QTensorProto``, views of the file as far as that is possible.

How elements are kept, by their type, is what ``caffe2/core/blob_serialization.cc`` does.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nxconvert.errors import ReadError
from nxconvert.formats.caffe2.schema import DATA_TYPES

__all__ = ["QTensor", "Tensor", "assembled", "build_qtensor", "build_tensor", "element_count"]

_STRINGS = np.dtype(object)
#: Of each data type, the dtype (for strings: objects, which are `bytes`) and the field that holds the elements.
_STORED: Mapping[int, tuple[np.dtype, str]] = {
    DATA_TYPES[name]: (np.dtype(dtype), field)
    for name, dtype, field in (
        ("FLOAT", "<f4", "float_data"),
        ("INT32", "<i4", "int32_data"),
        ("BYTE", "u1", "byte_data"),
        ("STRING", object, "string_data"),
        ("BOOL", "?", "int32_data"),
        ("UINT8", "u1", "int32_data"),
        ("INT8", "i1", "int32_data"),
        ("UINT16", "<u2", "int32_data"),
        ("INT16", "<i2", "int32_data"),
        ("INT64", "<i8", "int64_data"),
        ("FLOAT16", "<f2", "int32_data"),
        ("DOUBLE", "<f8", "double_data"),
    )
}
_NAMES = {number: name for name, number in DATA_TYPES.items()}
_MAX_ELEMENTS = 1 << 40
_MAX_RANK = 64
_FMT_PROTOBUF = 0


@dataclass(slots=True)
class Tensor:
    """A tensor in a file.

    Attributes:
        name: of the tensor; empty where nothing says it.
        dims: its sizes.
        dtype: of the elements; `object` for strings, whose elements are `bytes`.
        parts: the elements, in order, in one or more flat arrays.
        begin: the index of the first of these elements in the whole tensor. Databases keep large ones in pieces.
    """

    name: str
    dims: tuple[int, ...]
    dtype: np.dtype
    parts: list[np.ndarray]
    begin: int = 0

    @property
    def values(self) -> np.ndarray:
        """The array: a view of the file where the elements lie there in a row."""
        flat = self.parts[0] if len(self.parts) == 1 else np.concatenate(self.parts)
        return flat.reshape(self.dims)


@dataclass(slots=True)
class QTensor:
    """A quantized tensor in a file: an element x stands for ``scale * x + bias``.

    Attributes:
        name: of the tensor; empty where nothing says it.
        dims: its sizes.
        precision: the bits of an element.
        is_signed: whether elements have a sign.
        data_type: ``TensorProto.DataType``.
        scale, bias: for all elements.
        scales, biases: for each index along `axis` instead, where there are several.
        data: int32[n], the elements.
    """

    name: str
    dims: tuple[int, ...]
    precision: int
    is_signed: bool
    data_type: int
    scale: float
    bias: float
    scales: np.ndarray
    biases: np.ndarray
    axis: int
    data: np.ndarray


def build_tensor(values: Mapping[str, Any], label: str, where: str = "tensor") -> Tensor:
    """The tensor, or the piece of one, of a decoded ``TensorProto`` (see `schema.TENSOR`).

    Raises:
        ReadError: its elements are not as many as its dims (or its segment) ask for, or of an unknown type.
    """
    name = values.get("name", "")
    where = f"tensor {name!r}" if name else where
    dims = _dims(values, label, where)
    count = element_count(dims, label, where)
    number = values.get("data_type", DATA_TYPES["FLOAT"])
    if number == DATA_TYPES["UNDEFINED"] and count == 0:
        # A tensor that never got a type was written so; the runtime makes float32[0] of it.
        return Tensor(name, (0,), np.dtype("<f4"), [np.empty(0, "<f4")])
    if number not in _STORED or values.get("data_format", _FMT_PROTOBUF) != _FMT_PROTOBUF:
        what = _NAMES.get(number, f"number {number}") if number not in _STORED else "a packed format"
        raise ReadError(f"{label} cannot be read: the {where} has elements of a type that is not known, {what}.")
    if "external_data" in values:
        raise ReadError(f"{label} is not complete: the data of the {where} are in another file, which nothing reads.")
    begin, stop = 0, count
    if "segment" in values:
        begin, stop = values["segment"].get("begin", 0), values["segment"].get("end", 0)
        if not 0 <= begin <= stop <= count:
            raise ReadError(
                f"{label} is inconsistent: elements {begin} to {stop} of the {where} cannot be, it has {count}."
            )
    dtype, field = _STORED[number]
    elements = _elements(values, dtype, field)
    if elements is None:
        raise ReadError(f"{label} is inconsistent: the bytes of the {where} are no whole number of elements.")
    if len(elements) != stop - begin:
        raise ReadError(
            f"{label} is inconsistent: the {where} has {len(elements):,} elements, and its dims {list(dims)} "
            f"ask for {stop - begin:,}."
        )
    return Tensor(name, dims, dtype, [elements], begin)


def _elements(values: Mapping[str, Any], dtype: np.dtype, field: str) -> np.ndarray | None:
    """The flat array of what a ``TensorProto`` holds, in whichever of its fields; None for a part of an element."""
    stored = values.get(field, ())
    for raw in ("byte_data", "raw_data"):
        if raw in values and len(stored) == 0 and dtype != _STRINGS:
            data: np.ndarray = values[raw]
            return None if len(data) % dtype.itemsize else data.view(dtype)
    if dtype == _STRINGS:
        strings = np.empty(len(stored), object)
        strings[:] = stored
        return strings
    if len(stored) == 0:
        return np.empty(0, dtype)
    if field != "int32_data" or dtype == np.dtype("<i4"):
        return np.asarray(stored)
    if dtype == np.dtype("?"):
        return np.asarray(stored).astype(bool)
    narrow: np.ndarray = np.asarray(stored).astype(f"<u{dtype.itemsize}").view(dtype)
    return narrow


def assembled(pieces: Sequence[Tensor], label: str) -> Tensor:
    """The tensor that was kept in `pieces`, in whatever order.

    Raises:
        ReadError: a piece is missing, or they do not belong together.
    """
    ordered = sorted(pieces, key=lambda piece: piece.begin)
    first = ordered[0]
    position = 0
    for piece in ordered:
        if (piece.dims, piece.dtype) != (first.dims, first.dtype):
            raise ReadError(f"{label} is inconsistent: the pieces of tensor {first.name!r} have different types.")
        if piece.begin > position:
            raise ReadError(f"{label} is not complete: tensor {first.name!r} lacks elements, from {position:,} on.")
        if piece.begin < position:
            raise ReadError(
                f"{label} is inconsistent: tensor {first.name!r} has elements twice, from {piece.begin:,} on."
            )
        position += sum(map(len, piece.parts))
    if position != math.prod(first.dims):
        raise ReadError(f"{label} is not complete: tensor {first.name!r} lacks elements, from {position:,} on.")
    return Tensor(first.name, first.dims, first.dtype, [part for piece in ordered for part in piece.parts])


def build_qtensor(values: Mapping[str, Any], label: str, where: str = "tensor") -> QTensor:
    """The tensor of a decoded ``QTensorProto`` (see `schema.QTENSOR`).

    Raises:
        ReadError: its elements are not as many as its dims ask for.
    """
    dims = _dims(values, label, where)
    data = values.get("data", np.empty(0, "<i4"))
    if len(data) != element_count(dims, label, where):
        raise ReadError(f"{label} is inconsistent: the {where} has {len(data):,} elements, its dims are {list(dims)}.")
    return QTensor(
        name=values.get("name", ""),
        dims=dims,
        precision=values.get("precision", 0),
        is_signed=values.get("is_signed", False),
        data_type=values.get("data_type", DATA_TYPES["INT32"]),
        scale=values.get("scale", 0.0),
        bias=values.get("bias", 0.0),
        scales=values.get("scales", np.empty(0)),
        biases=values.get("biases", np.empty(0)),
        axis=values.get("axis", 0),
        data=data,
    )


def _dims(values: Mapping[str, Any], label: str, where: str) -> tuple[int, ...]:
    dims = tuple(int(dim) for dim in values.get("dims", ())[: _MAX_RANK + 1])
    if len(dims) > _MAX_RANK:
        raise ReadError(f"{label} is inconsistent: the {where} has more than {_MAX_RANK} dims.")
    return dims


def element_count(dims: Sequence[int], label: str, where: str) -> int:
    """How many elements a tensor of these sizes has.

    Raises:
        ReadError: there is no such tensor.
    """
    if any(dim < 0 for dim in dims) or math.prod(dims) > _MAX_ELEMENTS:
        raise ReadError(f"{label} is inconsistent: the {where} has the dims {list(dims)}.")
    return math.prod(dims)

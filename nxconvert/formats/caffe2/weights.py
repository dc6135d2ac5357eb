"""Weights for a graph out of what Caffe2's files hold, without keeping them in memory.

The floats of an init net are five bytes apart in the file. They are brought together when a writer asks for them, in
stretches, and the memory of each stretch of the file is given back: a conversion needs memory for one slab at a time.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import onnx_ir as ir

from nxconvert.errors import ReadError
from nxconvert.formats.caffe2.tensor import Tensor
from nxconvert.formats.tensors import ComputedTensor, release

__all__ = ["StoredTensor", "weight_tensor"]

# What `slabs` yields at a time, and how much of it is brought together before the file's memory is given back, bytes.
_SLAB, _BLOCK = 32 << 20, 4 << 20
#: Tensors of up to this many bytes are simply kept.
_SMALL = 1 << 16


class StoredTensor(ComputedTensor):
    """A tensor whose elements are brought together from pieces of a file each time they are read."""

    def __init__(self, parts: Sequence[np.ndarray], dtype: ir.DataType, shape: Sequence[int], name: str | None) -> None:
        """`parts` are flat arrays, the elements in order; they may have another dtype."""
        self._parts = parts
        self._element = np.dtype(dtype.numpy())
        super().__init__(self._whole, dtype, shape, name)

    def slabs(self) -> Iterator[np.ndarray]:
        """The elements in order, in arrays of at most 32 MiB."""
        step = _SLAB // self._element.itemsize
        for part in self._parts:
            for start in range(0, len(part), step):
                piece = part[start : start + step]
                slab = np.empty(len(piece), self._element)
                _gather(slab, piece)
                yield slab

    def _whole(self) -> np.ndarray:
        out = np.empty(sum(map(len, self._parts)), self._element)
        position = 0
        for part in self._parts:
            _gather(out[position : position + len(part)], part)
            position += len(part)
        return out.reshape(self.shape.numpy())


def _gather(out: np.ndarray, values: np.ndarray) -> None:
    """Copy `values` to `out`; the memory of those in a mapped file is given back."""
    step = _BLOCK // values.itemsize
    for start in range(0, len(values), step):
        piece = values[start : start + step]
        out[start : start + step] = piece
        release(piece)


def weight_tensor(
    values: np.ndarray | Sequence[np.ndarray] | Tensor,
    dtype: ir.DataType,
    shape: Sequence[int],
    name: str | None = None,
) -> ir.TensorProtocol:
    """A tensor for a graph, of the elements that a file of Caffe2 holds.

    Args:
        values: the elements in order: a flat array, several, or a tensor out of a file. Arrays that are kept in memory
            must not be changed any more.
        dtype: of the tensor; elements of another type are converted. For strings, elements are `bytes`.
        shape: of the tensor.
        name: of the tensor.

    Raises:
        ReadError: there are not as many elements as `shape` asks for, or one does not fit in an integer `dtype`, or
            strings are numbers or the other way round.
    """
    parts = values.parts if isinstance(values, Tensor) else [values] if isinstance(values, np.ndarray) else values
    parts = [part.reshape(-1) for part in parts]
    count = sum(map(len, parts))
    what = f"the tensor {name!r}" if name else "a tensor"
    if count != math.prod(shape):
        raise ReadError(f"{what} has {count:,} values, and its shape {list(shape)} asks for {math.prod(shape):,}.")
    if any((part.dtype == object) != (dtype == ir.DataType.STRING) for part in parts if part.size):
        raise ReadError(f"{what} of {dtype.name} has {'numbers' if dtype == ir.DataType.STRING else 'strings'}.")
    if dtype == ir.DataType.STRING:
        return ir.StringTensor(_joined(parts, np.dtype(object)).reshape(shape), name=name)
    element = np.dtype(dtype.numpy())
    for part in parts:
        if part.dtype.kind in "iuf" and element.kind in "iu" and not np.can_cast(part.dtype, element):
            with np.errstate(invalid="ignore"):
                fits = (part.astype(element) == part).all()
            if not fits:
                raise ReadError(f"{what} has a value that does not fit in {dtype.name}.")
    plain = len(parts) == 1 and parts[0].dtype == element and parts[0].flags.c_contiguous and parts[0].flags.owndata
    if plain or count * element.itemsize <= _SMALL:
        return ir.Tensor(_joined(parts, element).reshape(shape), dtype, name=name)
    return StoredTensor(parts, dtype, shape, name)


def _joined(parts: Sequence[np.ndarray], dtype: np.dtype) -> np.ndarray:
    joined = np.concatenate(parts) if len(parts) > 1 else parts[0] if parts else np.empty(0)
    return np.ascontiguousarray(joined, dtype)

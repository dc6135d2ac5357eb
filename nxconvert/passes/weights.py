"""Weights that passes make of other weights. They are worked out when they are read, and never kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
import onnx_ir as ir

from nxconvert.formats.tensors import ComputedTensor, MappedTensor, contiguous

#: What `slabs` yields at a time, and how much of the source is in memory for it, in bytes.
SLAB, _BLOCK = 32 << 20, 4 << 20


@runtime_checkable
class InSlabs(Protocol):
    """A tensor that need not be in memory whole."""

    def slabs(self) -> Iterator[np.ndarray]:
        """The elements in order, in arrays of about `SLAB` bytes."""


class TransposedTensor(ComputedTensor):
    """A tensor with its dims permuted: dim ``i`` is dim ``perm[i]`` of the source.

    The largest weight of a language model is as large as a tenth of it, so a writer that has little memory takes it in
    `slabs`. That is not slower: a slab is filled from one stretch of the source after the other, and the memory of
    each stretch, if it is mapped, is given back.
    """

    def __init__(self, source: ir.TensorProtocol, perm: Sequence[int], name: str | None = None) -> None:
        self._source = source
        self._perm = tuple(perm)
        dims = source.shape.numpy()
        super().__init__(self._whole, source.dtype, [dims[axis] for axis in self._perm], name)

    def _whole(self) -> np.ndarray:
        array = contiguous(self._source.numpy().transpose(self._perm))
        release(self._source)
        return array

    def slabs(self) -> Iterator[np.ndarray]:
        """The elements in order, a few rows at a time."""
        if self.nbytes <= SLAB:
            yield self._whole()
            return
        view = self._source.numpy().transpose(self._perm)
        stretched = self._perm.index(0)  # the axis along which the source is one stretch of bytes after the other
        row = self.nbytes // view.shape[0]
        height = max(1, SLAB // row)
        depth = max(1, _BLOCK // (self.nbytes // view.shape[stretched]))
        for top in range(0, view.shape[0], height):
            rows = view[top : top + height]
            if not stretched:
                yield contiguous(rows)
                release(self._source, top, height)
                continue
            slab = np.empty(rows.shape, rows.dtype)
            targets, sources = np.moveaxis(slab, stretched, 0), np.moveaxis(rows, stretched, 0)
            for start in range(0, len(sources), depth):
                block = contiguous(np.moveaxis(sources[start : start + depth], 0, stretched))
                targets[start : start + depth] = np.moveaxis(block, stretched, 0)
                release(self._source, start, depth)
            yield slab


def release(tensor: ir.TensorProtocol, start: int = 0, count: int | None = None) -> None:
    """Gives back the memory of a mapped tensor, or of `count` entries of its first dim from `start` on."""
    if isinstance(tensor, MappedTensor) and tensor.nbytes:
        length = tensor.shape.numpy()[0] if len(tensor.shape) else 1
        stride = tensor.nbytes // length
        end = length if count is None else min(start + count, length)
        tensor.file.release(tensor.offset + start * stride, (end - start) * stride)

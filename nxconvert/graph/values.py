"""The values of the graph under construction, and what is known of them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import onnx_ir as ir

from nxconvert.graph.dims import Int

# Larger results are left to the runtime: folding is for shapes, masks and scalars, not for weights.
FOLD_LIMIT = 1 << 16


class TensorType(NamedTuple):
    """What a rule says of one output.

    Attributes:
        dtype: of the tensor, or of a sequence's elements.
        dims: its size along each axis. Of a sequence, those of its elements: None where their ranks differ or are not
            known, and
            None for a size that varies between them.
        sequence: whether it is a sequence of tensors.
        content: the integers that a scalar or vector holds, where they are known as dims.
    """

    dtype: ir.DataType
    dims: tuple[Int, ...] | None
    sequence: bool = False
    content: tuple[Int, ...] | None = None


class GraphTypeError(Exception):
    """Operands that the operator cannot take: an error in a lowering, or in a guess about the inputs."""


class Value(ir.Value):
    """A value of the graph, with dims that arithmetic understands.

    Attributes:
        etype: the element type, which a value of the builder always has.
        dims: the size of each axis; None only for a sequence.
        is_sequence: whether it is a sequence of tensors.
        array: its content if it is a small constant, else None.
        content: the integers that a scalar or vector computes, where they are known as dims, else None.
    """

    __slots__ = ("array", "content", "dims", "etype", "is_sequence")

    def __init__(self, name: str, type_: TensorType, array: np.ndarray | None = None) -> None:
        self.etype, dims, self.is_sequence, self.content = type_
        tensor = ir.TensorType(self.etype)
        super().__init__(name=name, type=ir.SequenceType(tensor) if self.is_sequence else tensor)
        self.dims: tuple[Int, ...] = dims  # type: ignore[assignment]
        self.array = array

    @property
    def rank(self) -> int:
        return len(self.dims)

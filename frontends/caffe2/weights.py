"""Parameters of a graph: what files hold of tensors, and what is filled with one number.

None of them is held in memory as a whole unless it is small: a writer asks for the elements.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

from nxconvert.formats.caffe2 import Tensor, weight_tensor
from nxconvert.formats.tensors import ComputedTensor
from nxconvert.frontends.caffe2.dtypes import dtype_of_array
from nxconvert.graph.builder import FOLD_LIMIT, Builder, Value
from nxconvert.graph.constants import as_texts


class _Same:
    """What is equal to itself alone, as a part of a key: a net that is run again has the same parameters."""

    __slots__ = ("item",)

    def __init__(self, item: object) -> None:
        self.item = item

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.item is self.item

    def __hash__(self) -> int:
        return id(self.item)


def weight_of(op: Builder, tensor: Tensor, name: str) -> Value:
    """The parameter called ``name`` that a file holds.

    Raises:
        ReadError: the file does not hold all of it.
    """
    dtype = dtype_of_array(tensor.dtype)
    return op.weight(weight_tensor(tensor, dtype, tensor.dims, name), name, (name, _Same(tensor)))


def weight_of_values(op: Builder, values: Any, dtype: ir.DataType, shape: Sequence[int], name: str) -> Value:
    """The parameter called ``name`` whose elements an argument lists.

    Args:
        op: the builder.
        values: an array, or a list of numbers or `bytes`.
        dtype: of the tensor; elements of another one are converted.
        shape: of the tensor.
        name: of the tensor.

    Raises:
        ReadError: there are not as many values as the shape asks for, or one does not fit in the dtype.
    """
    elements = values if isinstance(values, np.ndarray) else _listed(values)
    return op.weight(weight_tensor(elements, dtype, shape, name), name, (name, _Same(values)))


def _listed(values: Sequence[Any]) -> np.ndarray:
    if not any(isinstance(item, (str, bytes)) for item in values):
        return np.asarray(values)
    # An array of bytes proper would lose zeros at the ends.
    return np.array([*as_texts(values).string_data()], object)


def filled(op: Builder, number: Any, dtype: ir.DataType, shape: Sequence[int], name: str) -> Value:
    """The parameter called ``name`` of which every element is ``number``; its content is known to the builder."""
    key = (name, number, dtype, tuple(shape))
    if dtype == ir.DataType.STRING:
        return op.weight(as_texts(np.full(shape, number, object)), name, key)
    element = np.asarray(number).astype(dtype.numpy())
    if math.prod(shape) > FOLD_LIMIT:
        return op.weight(ComputedTensor(lambda: np.full(shape, element), dtype, shape), name, key)
    array = np.full(shape, element)
    value = op.weight(ir.Tensor(array, dtype), name, key)
    value.array = array
    return value

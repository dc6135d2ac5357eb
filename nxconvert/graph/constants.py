"""Python's numbers and lists as arrays and attributes of the graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx_ir as ir

from nxconvert.graph.values import GraphTypeError

_INTEGERS = frozenset(dtype for dtype in ir.DataType if dtype.is_integer())
_BY_WIDTH = (ir.DataType.FLOAT, ir.DataType.INT64, ir.DataType.BOOL)
_DEFAULTS = {bool: ir.DataType.BOOL, int: ir.DataType.INT64, float: ir.DataType.FLOAT}


def as_array(data: Any, dtype: ir.DataType | None) -> np.ndarray:
    """A number, a (nested) list of numbers or an array as a contiguous array of ``dtype``.

    Raises:
        GraphTypeError: for floating-point numbers that are to be integers.
    """
    if not isinstance(data, (np.ndarray, np.generic)):
        if dtype is None:
            dtype = _natural_dtype(data)
        elif dtype in _INTEGERS and np.asarray(data).dtype.kind == "f" and np.size(data):
            raise GraphTypeError(f"{data} is to be a constant of dtype {dtype.name}")
    # np.require keeps rank 0, which np.ascontiguousarray does not.
    return np.require(np.asarray(data, dtype.numpy() if dtype else None), requirements="C")


def as_texts(data: Any) -> ir.StringTensor:
    """A string, a (nested) list of strings or an array of them, each `str` or `bytes`, as a tensor."""
    array = np.asarray(data, object)
    texts = [item.encode("utf-8", "surrogateescape") if isinstance(item, str) else item for item in array.flat]
    return ir.StringTensor(texts, shape=ir.Shape(array.shape))


def _natural_dtype(data: Any) -> ir.DataType:
    """The dtype of a Python number or a (nested) list of numbers: of several kinds of numbers the widest."""
    if isinstance(data, (list, tuple)):
        found = {_natural_dtype(item) for item in data}
        return next((d for d in _BY_WIDTH if d in found), next(iter(found), ir.DataType.INT64))
    return _DEFAULTS.get(type(data)) or ir.DataType.from_numpy(np.asarray(data).dtype)


def as_attribute(name: str, value: Any, kind: ir.AttributeType) -> ir.Attr:
    """A Python value as an attribute of the kind that the schema asks for."""
    if kind == ir.AttributeType.FLOAT:
        return ir.Attr(name, kind, float(value))
    if kind == ir.AttributeType.INT:
        return ir.Attr(name, kind, int(value))
    if kind in (ir.AttributeType.INTS, ir.AttributeType.FLOATS):
        convert: Callable[[Any], Any] = int if kind == ir.AttributeType.INTS else float
        return ir.Attr(name, kind, [convert(item) for item in value])
    if kind == ir.AttributeType.TENSOR and isinstance(value, np.ndarray):
        return ir.Attr(name, kind, ir.Tensor(value))
    return ir.Attr(name, kind, value)

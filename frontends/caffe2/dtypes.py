"""Caffe2's numbers and names for dtypes (``TensorProto.DataType``)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx_ir as ir

from nxconvert.formats.caffe2.schema import DATA_TYPES
from nxconvert.frontends.caffe2.table import DataType, LoweringError

#: Of each number the dtype; those that are missing have no counterpart.
BY_NUMBER: Mapping[int, ir.DataType] = {
    DATA_TYPES[name]: dtype
    for name, dtype in {
        "FLOAT": DataType.FLOAT,
        "INT32": DataType.INT32,
        "BYTE": DataType.UINT8,
        "STRING": DataType.STRING,
        "BOOL": DataType.BOOL,
        "UINT8": DataType.UINT8,
        "INT8": DataType.INT8,
        "UINT16": DataType.UINT16,
        "INT16": DataType.INT16,
        "INT64": DataType.INT64,
        "FLOAT16": DataType.FLOAT16,
        "DOUBLE": DataType.DOUBLE,
    }.items()
}


def dtype_of(code: int | str) -> ir.DataType:
    """The dtype that an argument (``dtype``, ``to``) means, by number or by name in any case.

    Raises:
        LoweringError: there is no such dtype.
    """
    number = DATA_TYPES.get(code.upper()) if isinstance(code, str) else code
    dtype = BY_NUMBER.get(number) if number is not None else None
    if dtype is None:
        raise LoweringError(f"there is no dtype {code!r}")
    return dtype


def dtype_of_array(dtype: np.dtype) -> ir.DataType:
    """The dtype of an array out of a file; strings are objects there."""
    return DataType.STRING if dtype.kind == "O" else DataType.from_numpy(dtype)

"""Changes of dtype.

Semantics: ``caffe2/operators/cast_op.cc``, ``caffe2/utils/cast.h``: what C++ converts, so integers wrap around, and a
float loses its fraction first.
"""

from __future__ import annotations

from nxconvert.frontends.caffe2.dtypes import dtype_of
from nxconvert.frontends.caffe2.table import Builder, DataType, LoweringError, Value, caffe2

_NARROW = (DataType.INT8, DataType.UINT8, DataType.INT16, DataType.UINT16)


@caffe2("Cast")
def cast(op: Builder, x: Value, *, to: int | str) -> Value:
    """To the dtype of a number or a name.

    Raises:
        LoweringError: a float becomes a text, which ONNX writes in another way.
    """
    dtype = dtype_of(to)
    if dtype == DataType.STRING:
        return _text(op, x)
    if dtype in _NARROW and x.etype.is_floating_point():
        # What lies outside of the narrow dtype wraps around.
        x = op.Cast(x, to=DataType.INT32)
    return op.cast(x, dtype)


def _text(op: Builder, x: Value) -> Value:
    """An integer in decimal digits; a bool as 0 or 1."""
    if x.etype.is_floating_point():
        raise LoweringError("a float as a text of six decimals is nothing that ONNX can write")
    return op.Cast(op.cast(x, DataType.INT64), to=DataType.STRING)

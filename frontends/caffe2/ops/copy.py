"""Operators that hand their input on: copies, aliases, moves between devices; dropout."""

from __future__ import annotations

from nxconvert.frontends.caffe2.table import Blob, Builder, DataType, Value, caffe2

_SAME = """
    Alias AliasWithName Copy CopyCPUToGPU CopyFromCPUInput CopyGPUToCPU CopyOnDeviceLike EnsureCPUOutput EnsureDense
    NanCheck StopGradient
"""


@caffe2(*_SAME.split())
def same(op: Builder, x: Blob, *_: Blob) -> Blob:
    """The first input, of any kind; where it lies says nothing."""
    return x


@caffe2("DataCouple")
def data_couple(op: Builder, *blobs: Blob) -> tuple[Blob, ...]:
    """Every input, as the output of its position."""
    return blobs


@caffe2("Dropout")
def dropout(
    op: Builder, x: Value, *, n_outputs: int, is_test: int = 0, ratio: float = 0.5, random_seed: int | None = None
) -> tuple[Value, Value | None]:
    """Sets a part of the elements to zero and divides the others by what is left; gives the mask of those (bools).

    With ``is_test`` the input goes on as it is, and the mask stays unset.
    """
    if is_test:
        return x, None
    if ratio == 0:
        return x, op.expand(op.const(True), x.dims) if n_outputs > 1 else None
    return op.Dropout(x, op.const(float(ratio)), op.const(True), seed=random_seed, _outputs=2)


@caffe2("FloatToHalf")
def float_to_half(op: Builder, x: Value) -> Value:
    return op.cast(x, DataType.FLOAT16)


@caffe2("HalfToFloat")
def half_to_float(op: Builder, x: Value) -> Value:
    return op.cast(x, DataType.FLOAT)

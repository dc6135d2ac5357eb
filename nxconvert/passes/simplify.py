"""Doing in one node what a chain of nodes does: orders of dims, shapes, dtypes."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import onnx_ir as ir

from nxconvert.passes.rewriting import (
    NodePass,
    bypass,
    change,
    int_attribute,
    integers,
    producer,
    rank,
    transpose_perm,
)


class ComposeTransposes(NodePass):
    """`Transpose(Transpose(x, p), q)` is `Transpose(x, p[q])`.

    The first one stays where something else reads it, too: then there are as many nodes as before, but the second one
    does not wait for the first.
    """

    op_types = frozenset({"Transpose"})

    def rewrite(self, node: ir.Node) -> bool:
        inner = producer(node.inputs[0], "Transpose")
        dims = rank(node.inputs[0])
        if inner is None or dims is None:
            return False
        first, second = transpose_perm(inner, dims), transpose_perm(node, dims)
        perm = [first[axis] for axis in second]
        change(node, "Transpose", inner.inputs, [ir.AttrInt64s("perm", perm)], absorbed=[inner])
        return True


class ComposeReshapes(NodePass):
    """A `Reshape` to a constant shape does not care how its input was shaped.

    `Reshape(f(x), shape)` is `Reshape(x, shape)`, f being `Reshape`, `Flatten`, `Squeeze` or `Unsqueeze`: all of them
    keep the elements in order. Not where a 0 in `shape` copies a dim of the input (unless `allowzero` makes it a
    size).
    """

    op_types = frozenset({"Reshape"})

    def rewrite(self, node: ir.Node) -> bool:
        inner = producer(node.inputs[0], "Reshape", "Flatten", "Squeeze", "Unsqueeze")
        shape = integers(node.inputs[1])
        if inner is None or shape is None or (0 in shape and not int_attribute(node, "allowzero", 0)):
            return False
        attributes = list(node.attributes.values())
        change(node, "Reshape", [inner.inputs[0], node.inputs[1]], attributes, absorbed=[inner])
        return True


class CancelSqueezes(NodePass):
    """`Squeeze` and `Unsqueeze` of the same axes, one after the other, are nothing.

    The axes are constants and refer to the same tensor: those that `Unsqueeze` adds are counted in its output, those
    that `Squeeze` removes in its input.
    """

    op_types = frozenset({"Squeeze", "Unsqueeze"})

    def rewrite(self, node: ir.Node) -> bool:
        inner = producer(node.inputs[0], "Unsqueeze" if node.op_type == "Squeeze" else "Squeeze")
        if inner is None or len(inner.inputs) < 2 or len(node.inputs) < 2 or inner.inputs[0] is None:
            return False
        # The tensor that has the dims: between an Unsqueeze and a Squeeze, or around a Squeeze and an Unsqueeze.
        wide = rank(node.inputs[0] if node.op_type == "Squeeze" else node.outputs[0])
        inner_axes, axes = integers(inner.inputs[1]), integers(node.inputs[1])
        if wide is None or inner_axes is None or axes is None:
            return False
        if sorted(axis % wide for axis in inner_axes) != sorted(axis % wide for axis in axes):
            return False
        source = inner.inputs[0]
        change(node, "Identity", [source], absorbed=[inner])
        bypass(node, source)  # where an output needs the node, it stays as an Identity
        return True


class ComposeCasts(NodePass):
    """`Cast(Cast(x, a), b)` is `Cast(x, b)`, or x itself, where every value of x's dtype is a value of `a`.

    Not where `b` is a string (a number's text depends on its dtype) or one of the float8 kinds (whose `saturate` looks
    at what comes in).
    """

    op_types = frozenset({"Cast"})

    def rewrite(self, node: ir.Node) -> bool:
        inner = producer(node.inputs[0], "Cast")
        if inner is None or inner.inputs[0] is None or inner.inputs[0].dtype is None:
            return False
        start, middle = inner.inputs[0].dtype, ir.DataType(int_attribute(inner, "to", 0))
        end = ir.DataType(int_attribute(node, "to", 0))
        if end not in _RANGES or not _holds(middle, start):
            return False
        change(node, "Cast", inner.inputs, [ir.AttrInt64("to", int(end))], absorbed=[inner])
        return True


def _range(dtype: ir.DataType) -> tuple[float, float, int]:
    """Least and greatest value, and the number of bits that values are exact in."""
    if dtype == ir.DataType.BOOL:
        return 0, 1, 1
    numpy_dtype = np.dtype(dtype.numpy())
    if dtype.is_floating_point():
        info = ml_dtypes.finfo(numpy_dtype)
        return float(info.min), float(info.max), int(info.nmant) + 1
    limits = np.iinfo(numpy_dtype)
    return limits.min, limits.max, limits.bits - (limits.min < 0)


_RANGES = {
    dtype: _range(dtype)
    for dtype in (
        *(ir.DataType.BOOL, ir.DataType.FLOAT16, ir.DataType.BFLOAT16, ir.DataType.FLOAT, ir.DataType.DOUBLE),
        *(ir.DataType.INT8, ir.DataType.INT16, ir.DataType.INT32, ir.DataType.INT64),
        *(ir.DataType.UINT8, ir.DataType.UINT16, ir.DataType.UINT32, ir.DataType.UINT64),
    )
}


def _holds(wide: ir.DataType, narrow: ir.DataType) -> bool:
    """Whether every value of `narrow` is exactly a value of `wide`."""
    if wide not in _RANGES or narrow not in _RANGES:
        return False
    if narrow.is_floating_point() and not wide.is_floating_point():
        return False
    if wide == ir.DataType.BOOL:
        return narrow == ir.DataType.BOOL
    (low, high, bits), (wide_low, wide_high, wide_bits) = _RANGES[narrow], _RANGES[wide]
    return wide_low <= low and high <= wide_high and bits <= wide_bits

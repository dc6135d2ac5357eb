"""Doing in one node what a chain of nodes does: orders of dims, shapes, slices, dtypes, sums of integers."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import onnx_ir as ir

from nxconvert.passes.rewriting import (
    ELEMENTWISE,
    NodePass,
    bypass,
    change,
    int_attribute,
    integers,
    only_use,
    producer,
    rank,
    small_constant,
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


class ProductsWithVectors(NodePass):
    """`MatMul(Transpose(x), v)` is `MatMul(v, x)`, and `MatMul(v, Transpose(x))` is `MatMul(x, v)`.

    v is a vector, and the `Transpose` exchanges the last two dims of x. ONNX Runtime (up to 1.32 at least) makes one
    node of the first form, too, and forgets that x is transposed.
    """

    op_types = frozenset({"MatMul"})

    def rewrite(self, node: ir.Node) -> bool:
        for index in (0, 1):
            flipped, vector = producer(node.inputs[index], "Transpose"), node.inputs[1 - index]
            dims = rank(node.inputs[index])
            if flipped is None or dims is None or dims < 2 or rank(vector) != 1:
                continue
            if transpose_perm(flipped, dims) == [*range(dims - 2), dims - 1, dims - 2]:
                source = flipped.inputs[0]
                inputs = [vector, source] if index == 0 else [source, vector]
                change(node, "MatMul", inputs, absorbed=[flipped])
                return True
        return False


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


class ComposeSqueezes(NodePass):
    """`Squeeze` and `Unsqueeze`, one after the other.

    - One that undoes the other, of the same axes, is nothing.
    - Two of a kind are one of all axes.

    The axes are constants. Those that `Unsqueeze` adds are counted in its output, those that `Squeeze` removes in its
    input.
    """

    op_types = frozenset({"Squeeze", "Unsqueeze"})

    def rewrite(self, node: ir.Node) -> bool:
        inner = producer(node.inputs[0], "Squeeze", "Unsqueeze")
        if inner is None or len(inner.inputs) < 2 or len(node.inputs) < 2 or inner.inputs[0] is None:
            return False
        first, second = _axes(inner), _axes(node)
        if first is None or second is None:
            return False
        source = inner.inputs[0]
        if inner.op_type != node.op_type:
            if first != second:
                return False
            change(node, "Identity", [source], absorbed=[inner])
            bypass(node, source)  # where an output needs the node, it stays as an Identity
            return True
        # All are counted in the tensor that has all dims; the node farther from it counts what the nearer one leaves.
        near, far = (first, second) if node.op_type == "Squeeze" else (second, first)
        dims = rank(source if node.op_type == "Squeeze" else node.outputs[0])
        if dims is None:
            return False
        others = [axis for axis in range(dims) if axis not in near]
        axes = sorted([*near, *(others[axis] for axis in far)])
        change(node, node.op_type, [source, self.new_constant(node, axes)], absorbed=[inner])
        return True


def _axes(node: ir.Node) -> list[int] | None:
    """The axes of a `Squeeze` or `Unsqueeze`, sorted, none of them negative; None if they are not known."""
    dims = rank(node.inputs[0] if node.op_type == "Squeeze" else node.outputs[0])
    axes = integers(node.inputs[1])
    return None if dims is None or axes is None else sorted(axis % dims for axis in axes)


class SpellOutPads(NodePass):
    """`Pad` of some axes says what it does to all of them, if that is constant.

    Where a `Transpose` is beside it, ONNX Runtime (up to 1.32 at least) reads the amounts as if they were of all axes.
    """

    op_types = frozenset({"Pad"})

    def rewrite(self, node: ir.Node) -> bool:
        dims, amounts = rank(node.inputs[0]), integers(node.inputs[1])
        axes = integers(node.inputs[3]) if len(node.inputs) > 3 else None
        if dims is None or amounts is None or axes is None:
            return False
        pads = [0] * (2 * dims)
        for i, axis in enumerate(axes):
            pads[axis % dims], pads[axis % dims + dims] = amounts[i], amounts[i + len(axes)]
        inputs = [node.inputs[0], self.new_constant(node, pads), node.inputs[2]]
        change(node, "Pad", inputs[: 3 if inputs[2] is not None else 2], list(node.attributes.values()))
        return True


class ComposeSlices(NodePass):
    """`Slice` of a `Slice` along other axes is one `Slice`. All bounds are constants."""

    op_types = frozenset({"Slice"})

    def rewrite(self, node: ir.Node) -> bool:
        inner = producer(node.inputs[0], "Slice")
        if inner is None:
            return False
        first, second = _bounds(inner), _bounds(node)
        if first is None or second is None or set(first) & set(second):
            return False
        both = first | second
        columns = [[bound[index] for bound in both.values()] for index in range(3)]
        starts, ends, steps = (self.new_constant(node, column) for column in columns)
        change(
            node, "Slice", [inner.inputs[0], starts, ends, self.new_constant(node, list(both)), steps], absorbed=[inner]
        )
        return True


def _bounds(node: ir.Node) -> dict[int, tuple[int, int, int]] | None:
    """Start, end and step of each axis that a `Slice` cuts; None if they are not known."""
    dims = rank(node.inputs[0])
    starts, ends = integers(node.inputs[1]), integers(node.inputs[2])
    axes = integers(node.inputs[3]) if len(node.inputs) > 3 else list(range(len(starts or ())))
    steps = integers(node.inputs[4]) if len(node.inputs) > 4 else [1] * len(starts or ())
    if dims is None or starts is None or ends is None or axes is None or steps is None:
        return None
    return {axis % dims: bound for axis, *bound in zip(axes, starts, ends, steps, strict=True)}  # type: ignore[misc]


class ComposeIntegers(NodePass):
    """``(x + a) + b`` is ``x + (a + b)``, and the same of `Mul`, for integers, a and b being small constants.

    Integers wrap around the same way in any order; floats would be rounded differently.
    """

    op_types = frozenset({"Add", "Mul"})

    def rewrite(self, node: ir.Node) -> bool:
        outer = _with_constant(node)
        inner = None if outer is None else producer(outer[0], node.op_type)
        found = None if inner is None else _with_constant(inner)
        if outer is None or inner is None or found is None or outer[1].dtype.kind not in "iu":
            return False
        if not only_use(inner.outputs[0]) or inner.graph is not node.graph:
            return False
        with np.errstate(over="ignore"):
            number = found[1] + outer[1] if node.op_type == "Add" else found[1] * outer[1]
        change(node, node.op_type, [found[0], self.new_constant(node, number)], absorbed=[inner])
        return True


def _with_constant(node: ir.Node) -> tuple[ir.Value, np.ndarray] | None:
    """The operands of a node of which one is a small constant, this one second."""
    for index in (0, 1):
        value, array = node.inputs[1 - index], small_constant(node.inputs[index])
        if array is not None and value is not None:
            return value, array
    return None


class DivideByReciprocals(NodePass):
    """``x * (1 / y)`` is ``x / y``, of floats: rounded once less, and what runtimes know as part of an RMS norm.

    Not where the product becomes an integer: what lies between two would go to the other one.
    """

    op_types = frozenset({"Mul"})

    def rewrite(self, node: ir.Node) -> bool:
        for index in (1, 0):
            inverse = producer(node.inputs[index], "Reciprocal")
            if inverse is None or not only_use(inverse.outputs[0]) or inverse.graph is not node.graph:
                continue
            if not _becomes_integer(node.outputs[0]):
                change(node, "Div", [node.inputs[1 - index], inverse.inputs[0]], absorbed=[inverse])
                return True
        return False


def _becomes_integer(value: ir.Value) -> bool:
    """Whether elements of `value`, or what is computed of each of them next, are rounded to integers."""
    pending, seen = [value], {value}
    while pending:
        for user, _ in pending.pop().uses():
            if user.op_type in _ROUNDING:
                return True
            if user.op_type == "Cast" and ir.DataType(int_attribute(user, "to", 0)).is_integer():
                return True
            if user.op_type in ELEMENTWISE and user.outputs[0] not in seen:
                pending.append(user.outputs[0])
                seen.add(user.outputs[0])
    return False


_ROUNDING = frozenset({"Ceil", "Floor", "QuantizeLinear", "Round"})


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

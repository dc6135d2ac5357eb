"""Doing in one reduction what several nodes do: axes that are kept or dropped, means of means, sums of squares."""

from __future__ import annotations

import onnx_ir as ir

from nxconvert.passes.rewriting import (
    ELEMENTWISE,
    NodePass,
    absorb,
    bypass,
    change,
    constant,
    dims_of,
    int_attribute,
    integers,
    only_use,
    producer,
    rank,
    small_constant,
)

_REDUCTIONS = (
    "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd",
    "ReduceSum", "ReduceSumSquare",
)  # fmt: skip
_WIDE = frozenset({ir.DataType.FLOAT, ir.DataType.DOUBLE})


class FitReducedAxes(NodePass):
    """`Unsqueeze`, `Squeeze` or `Reshape` that puts back, or drops, the axes of a reduction: the reduction does it.

    - Between the two there may be elementwise operators whose other operands are single numbers, the root of a mean
      for one. Nothing else reads what is between.
    - The axes are constants. For a `Reshape`, all dims are known, as numbers or names.
    """

    op_types = frozenset({"Reshape", "Squeeze", "Unsqueeze"})

    def rewrite(self, node: ir.Node) -> bool:
        found = _reduction_before(node)
        if found is None:
            return False
        inner, between = found
        source, keeps = inner.inputs[0], int_attribute(inner, "keepdims", 1)
        reduced = _axes(inner, rank(source))
        if source is None or not reduced or not _exchanges(node, source, reduced, keeps):
            return False
        dims = (rank(source) or 0) - (len(reduced) if keeps else 0)
        if any(not _bears(each, dims) for each in between):
            return False
        attributes = [attribute for name, attribute in inner.attributes.items() if name != "keepdims"]
        change(inner, inner.op_type, inner.inputs, [*attributes, ir.AttrInt64("keepdims", 1 - keeps)])
        for each in (inner, *between):
            each.outputs[0].shape = node.outputs[0].shape
        result = node.inputs[0]
        assert result is not None
        absorb(between[0] if between else inner, node)
        return bypass(node, result)


def _reduction_before(node: ir.Node) -> tuple[ir.Node, list[ir.Node]] | None:
    """The reduction that a node gets the result of, and the elementwise operators on the way, last first."""
    between: list[ir.Node] = []
    value = node.inputs[0]
    while value is not None and only_use(value):
        maker = value.producer()
        if maker is None or maker.domain != "" or maker.graph is not node.graph:
            return None
        if maker.op_type in _REDUCTIONS:
            return maker, between
        variable = [operand for operand in maker.inputs if operand is not None and constant(operand) is None]
        if maker.op_type not in ELEMENTWISE or len(variable) != 1:
            return None
        between.append(maker)
        value = variable[0]
    return None


def _bears(node: ir.Node, dims: int) -> bool:
    """Whether an elementwise operator works on what has so many dims as it does on what has others."""
    numbers = [tensor for operand in node.inputs if (tensor := constant(operand)) is not None]
    return all(tensor.size == 1 and len(tensor.shape) <= dims for tensor in numbers)


def _exchanges(node: ir.Node, source: ir.Value, reduced: list[int], keeps: int) -> bool:
    """Whether a node drops the axes that a reduction has kept, or puts back those that it has dropped."""
    if node.op_type != "Reshape":
        is_other = node.op_type == ("Squeeze" if keeps else "Unsqueeze")
        dims = rank(source if keeps else node.outputs[0])
        return is_other and len(node.inputs) > 1 and _sorted_axes(node.inputs[1], dims) == reduced
    before, after = dims_of(source), dims_of(node.outputs[0])
    if before is None or after is None:
        return False
    if keeps:
        return after == tuple(dim for axis, dim in enumerate(before) if axis not in reduced)
    return after == tuple(1 if axis in reduced else dim for axis, dim in enumerate(before))


def _axes(node: ir.Node, dims: int | None) -> list[int]:
    """The axes of a reduction, sorted, none of them negative; empty if they are not known, or it is over all."""
    return _sorted_axes(node.inputs[1], dims) if len(node.inputs) > 1 else []


def _sorted_axes(value: ir.Value | None, dims: int | None) -> list[int]:
    axes = integers(value)
    return [] if axes is None or dims is None else sorted({axis % dims for axis in axes})


class ComposeReductions(NodePass):
    """A sum of sums, a mean of means, a maximum of maxima, a minimum of minima is one, over all axes of both.

    Both keep their axes, or both drop them; the axes are constants, and nothing else reads the inner result.
    """

    op_types = frozenset({"ReduceMax", "ReduceMean", "ReduceMin", "ReduceSum"})

    def rewrite(self, node: ir.Node) -> bool:
        inner = producer(node.inputs[0], node.op_type)
        if inner is None or not only_use(inner.outputs[0]) or inner.graph is not node.graph:
            return False
        dims, keeps = rank(inner.inputs[0]), int_attribute(node, "keepdims", 1)
        near, far = _axes(inner, dims), _axes(node, rank(inner.outputs[0]))
        if dims is None or not near or not far or int_attribute(inner, "keepdims", 1) != keeps:
            return False
        if not keeps:
            left = [axis for axis in range(dims) if axis not in near]
            far = [left[axis] for axis in far]
        axes = self.new_constant(node, sorted({*near, *far}))
        change(node, node.op_type, [inner.inputs[0], axes], [ir.AttrInt64("keepdims", keeps)], absorbed=[inner])
        return True


class SumsOfSquares(NodePass):
    """A sum of squares, ``x * x`` or ``x ** 2``, is `ReduceSumSquare`; the root of one is `ReduceL2`.

    Of float32 and float64, where nothing else reads what is between.
    """

    op_types = frozenset({"ReduceSum", "Sqrt"})

    def rewrite(self, node: ir.Node) -> bool:
        wanted = ("ReduceSumSquare",) if node.op_type == "Sqrt" else ("Mul", "Pow")
        inner = producer(node.inputs[0], *wanted)
        if inner is None or not only_use(inner.outputs[0]) or inner.graph is not node.graph:
            return False
        x = inner.inputs[0]
        if x is None or x.dtype not in _WIDE:
            return False
        if node.op_type == "Sqrt":
            change(node, "ReduceL2", inner.inputs, list(inner.attributes.values()), absorbed=[inner])
            return True
        if not (inner.inputs[1] is x if inner.op_type == "Mul" else _is_two(inner.inputs[1])):
            return False
        change(node, "ReduceSumSquare", [x, *node.inputs[1:]], list(node.attributes.values()), absorbed=[inner])
        return True


def _is_two(value: ir.Value | None) -> bool:
    exponent = small_constant(value)
    return exponent is not None and exponent.size == 1 and exponent.ndim == 0 and float(exponent.item()) == 2

"""Leaving out `Expand` where what reads the result broadcasts by itself."""

from __future__ import annotations

import onnx_ir as ir

from nxconvert.passes.rewriting import (
    ELEMENTWISE,
    NodePass,
    bypass,
    dims_of,
    int_attribute,
    integers,
    rank,
)

_REDUCTIONS = frozenset({"ReduceL2", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceSum", "ReduceSumSquare"})

Axes = frozenset[int]


class DropExpands(NodePass):
    """`Expand` goes if everything that comes of its result is the same with an axis of 1 in the place of a longer one.

    - An elementwise operator or a `MatMul` does not need an axis that another operand of it has in full length.
    - Where no other operand has it, the result is smaller, too, and everything that reads it has to be as content. The
      same goes for reductions and `Softmax` along other axes.
    - No output of a graph gets smaller.
    """

    op_types = frozenset({"Expand"})

    def rewrite(self, node: ir.Node) -> bool:
        source, result = node.inputs[0], node.outputs[0]
        dims, wanted = dims_of(source), dims_of(result)
        if source is None or dims is None or wanted is None or result.is_graph_output():
            return False
        padded = (1,) * (len(wanted) - len(dims)) + dims
        added = len(wanted) - len(dims)  # axes that are there afterwards only, if with a size of 1
        axes = frozenset(i - len(wanted) for i in range(len(wanted)) if i < added or padded[i] != wanted[i])
        if any(padded[axis] != 1 for axis in axes):
            return False
        demand = _Demand()
        if not demand.bears(result, axes) or not demand.holds() or (added and len(demand.smaller) > 1):
            return False
        for value, gone in demand.smaller.items():
            if value is not result:
                value.shape = ir.Shape(
                    [1 if i - len(value.shape) in gone else dim for i, dim in enumerate(value.shape)]  # type: ignore[arg-type]
                )
        result.shape = source.shape
        return bypass(node, source)


class _Demand:
    """Which values can be smaller.

    Attributes:
        smaller: the values, with the axes (counted from the end) that are 1 instead.
        relied_on: what has to keep axes for that.
    """

    def __init__(self) -> None:
        self.smaller: dict[ir.Value, Axes] = {}
        self.relied_on: list[tuple[ir.Value, Axes]] = []

    def holds(self) -> bool:
        """Whether nothing is smaller that others rely on."""
        return not any(axes & self.smaller.get(value, frozenset()) for value, axes in self.relied_on)

    def bears(self, value: ir.Value, axes: Axes) -> bool:
        """Whether all readers of `value` bear that `axes` of it are 1."""
        if value in self.smaller:
            return self.smaller[value] == axes
        if value.is_graph_output():
            return False
        self.smaller[value] = axes
        maker = value.producer()
        return all(
            maker is not None and user.graph is maker.graph and user.domain == "" and self._reads(user, value, axes)
            for user in dict.fromkeys(use.node for use in value.uses())
        )

    def _reads(self, user: ir.Node, value: ir.Value, axes: Axes) -> bool:
        """Whether a reader bears it: by itself, or because the readers of its result do."""
        dims = rank(value)
        if dims is None or not user.outputs:
            return False
        if user.op_type in ELEMENTWISE or user.op_type == "MatMul":
            wanted = dims_of(user.outputs[0])
            if wanted is None or (user.op_type == "MatMul" and (max(axes) > -3 or rank(user.inputs[0]) == 1)):
                return False
            left = self._left(user, value, axes, wanted)
            return not left or self.bears(user.outputs[0], left)
        if user.op_type in _REDUCTIONS:
            along = integers(user.inputs[1]) if len(user.inputs) > 1 else None
            kept = along and int_attribute(user, "keepdims", 1) and not axes & {axis % dims - dims for axis in along}
            return bool(kept) and user.inputs[0] is value and self.bears(user.outputs[0], axes)
        if user.op_type == "Softmax":
            return int_attribute(user, "axis", -1) % dims - dims not in axes and self.bears(user.outputs[0], axes)
        return False

    def _left(self, user: ir.Node, value: ir.Value, axes: Axes, wanted: tuple[int | str, ...]) -> Axes:
        """The axes that no other operand has in full length."""
        for other in user.inputs:
            dims = None if other is value else dims_of(other)
            if other is None or dims is None or (user.op_type == "MatMul" and len(dims) < 3):
                continue
            full = frozenset(axis for axis in axes if -axis <= len(dims) and dims[axis] == wanted[axis])
            if full:
                self.relied_on.append((other, full))
                axes -= full
        return axes

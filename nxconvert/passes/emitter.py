"""Adding nodes to a graph that is there already."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

from nxconvert.passes.rewriting import Names, add_initializer, inherit_source


class Emitter:
    """Emits nodes in front of a node that is being rewritten.

    Args:
        node: the node that the new ones help; they carry its origin, and its name with the operator's added.
        home: the graph that new constants belong to; None inside a function, where they become nodes.
        names: makes the names.
    """

    def __init__(self, node: ir.Node, home: ir.Graph | None, names: Names) -> None:
        self._node = node
        self._home = home
        self._names = names

    def __call__(
        self,
        op_type: str,
        *inputs: ir.Value | None,
        dtype: ir.DataType | None,
        shape: Sequence[int | str | ir.SymbolicDim | None] | ir.Shape | None = None,
        **attributes: Any,
    ) -> ir.Value:
        """Emits a node of one output, of the dtype and shape given."""
        name = self._names.unique(f"{self._node.name or self._node.op_type}/{op_type}")
        value = ir.Value(
            name=name,
            type=None if dtype is None else ir.TensorType(dtype),
            shape=shape if shape is None or isinstance(shape, ir.Shape) else ir.Shape(shape),
        )
        attrs = ir.convenience.convert_attributes(attributes)
        node = ir.Node("", op_type, inputs, attrs, outputs=[value], name=name)
        inherit_source(node, self._node)
        graph = self._node.graph
        assert graph is not None
        graph.insert_before(self._node, node)
        return value

    def constant(self, content: Any, dtype: ir.DataType = ir.DataType.INT64) -> ir.Value:
        """A constant: a number or a list of numbers."""
        array = np.asarray(content).astype(dtype.numpy())
        tensor = ir.Tensor(array, dtype=dtype)
        if self._home is None:
            return self("Constant", dtype=dtype, shape=array.shape, value=tensor)
        return add_initializer(self._home, tensor, self._names.unique(f"{self._node.name or self._node.op_type}/const"))

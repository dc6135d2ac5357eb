"""Masks that hide nothing, which shows when what they are made of is constant."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from nxconvert.formats.tensors import MappedTensor
from nxconvert.passes.rewriting import SMALL_RESULT, Names, NodePass, bypass, constant, same_shape


class DropIdleMasks(NodePass):
    """Removes masks that are the same everywhere, if the result has the dims of what they leave alone.

    - `Where` of a condition that is constant is what it chooses.
    - `Add` of zeros in front of `Softmax` is nothing. (Elsewhere the sign of a zero could matter.)

    The mask has at most 1 MB. It may be what is computed of weights; of weights themselves only conditions are read.
    """

    op_types = frozenset({"Add", "Where"})

    def start(self, model: ir.Model, names: Names) -> None:
        super().start(model, names)
        self._known: dict[ir.Value, float | None] = {}

    def rewrite(self, node: ir.Node) -> bool:
        if node.op_type == "Where":
            truth = self._content(node.inputs[0])
            return truth is not None and self._bypass(node, node.inputs[1 if truth else 2])
        readers = [use.node for use in node.outputs[0].uses()]
        if not readers or any(reader.op_type != "Softmax" for reader in readers):
            return False
        for index in (0, 1):
            mask = node.inputs[index]
            computed = not isinstance(constant(mask), MappedTensor)
            if computed and self._content(mask) == 0 and self._bypass(node, node.inputs[1 - index]):
                return True
        return False

    def _bypass(self, node: ir.Node, chosen: ir.Value | None) -> bool:
        return chosen is not None and same_shape(chosen, node.outputs[0]) and bypass(node, chosen)

    def _content(self, mask: ir.Value | None) -> float | None:
        """What a constant holds everywhere; None if that is not known or not one number."""
        tensor = constant(mask)
        if mask is None or tensor is None or tensor.dtype == ir.DataType.STRING:
            return None
        if mask not in self._known:
            array = tensor.numpy() if 0 < tensor.nbytes <= SMALL_RESULT else np.empty(0)
            self._known[mask] = float(array.flat[0]) if array.size and (array == array.flat[0]).all() else None
        return self._known[mask]

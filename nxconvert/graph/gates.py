"""The parameters of recurrent layers in the layout of ONNX's LSTM, GRU and RNN, out of those of another framework."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from nxconvert.formats.tensors import ComputedTensor
from nxconvert.graph.builder import Builder, Value
from nxconvert.graph.dims import static
from nxconvert.graph.values import GraphTypeError


class Rows(NamedTuple):
    """A parameter whose first axis is that of the gates.

    Attributes:
        value: [gates * hidden, ...].
        order: for each gate in ONNX's order its position here.
    """

    value: Value
    order: tuple[int, ...]


def stacked(op: Builder, groups: Sequence[Sequence[Rows]], suffix: str) -> Value:
    """Parameters as ONNX wants them: [directions, rows, ...], gates in ONNX's order.

    Weights are computed when they are written; nothing is emitted for them.

    Args:
        op: the builder.
        groups: for each direction the parameters whose rows follow each other.
        suffix: what the name of the new weight ends with.
    """
    values = [rows.value for group in groups for rows in group]
    if any(value.const_value is None for value in values):
        return _stacked_nodes(op, groups)
    first = values[0]
    sources = [[(rows.value.const_value, rows.order) for rows in group] for group in groups]
    sizes = static([rows.value.dims[0] for rows in groups[0]] + list(first.dims[1:]))
    if sizes is None:
        raise GraphTypeError("the size of a recurrent weight is not known")
    count = len(groups[0])

    def compute() -> np.ndarray:
        return np.stack([np.concatenate([_reordered(t.numpy(), order) for t, order in group]) for group in sources])  # type: ignore[union-attr]

    tensor = ComputedTensor(compute, first.etype, (len(groups), sum(sizes[:count]), *sizes[count:]))
    return op.weight(tensor, f"{first.name}.{suffix}", ("rnn", suffix, *(value.name for value in values)))


def _reordered(array: np.ndarray, order: Sequence[int]) -> np.ndarray:
    if len(order) == 1:
        return array
    return array.reshape(len(order), -1, *array.shape[1:])[list(order)].reshape(array.shape)


def _stacked_nodes(op: Builder, groups: Sequence[Sequence[Rows]]) -> Value:
    """The same for parameters that are computed (weight norm, for instance)."""
    directions = []
    for group in groups:
        parts = []
        for value, order in group:
            gates = op.Split(value, axis=0, num_outputs=len(order)) if len(order) > 1 else (value,)
            parts += [gates[i] for i in order]
        directions.append(op.Unsqueeze(parts[0] if len(parts) == 1 else op.Concat(*parts, axis=0), [0]))
    return directions[0] if len(directions) == 1 else op.Concat(*directions, axis=0)

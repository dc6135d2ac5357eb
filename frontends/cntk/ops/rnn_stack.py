"""Stacks of recurrent layers that CNTK leaves to cuDNN, whose layout their one parameter has.

Source of the layout: CNTK's ``misc/optimized_rnnstack_converter.py``, which says the same in CNTK's own layers, but for
GRUs; those are as cuDNN's manual has them, with the reset gate applied to the product rather than to the state.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nxconvert.formats.tensors import ComputedTensor
from nxconvert.frontends.cntk.table import (
    Builder,
    Context,
    DataType,
    Int,
    LoweringError,
    Seq,
    Tensor,
    Value,
    cntk,
)


@dataclass(frozen=True)
class _Kind:
    """A kind of cell: ONNX's operator, for each of its gates the position of cuDNN's, and its attributes."""

    op_type: str
    order: tuple[int, ...]
    attributes: dict[str, int]
    activation: str | None = None


_KINDS = {
    "lstm": _Kind("LSTM", (0, 3, 1, 2), {}),
    "gru": _Kind("GRU", (0, 1, 2), {"linear_before_reset": 1}),
    "rnnTanh": _Kind("RNN", (0,), {}),
    "rnnReLU": _Kind("RNN", (0,), {}, "Relu"),
}


@dataclass
class _Weights:
    """Takes weights one after another out of the parameter."""

    parameter: Value
    kind: _Kind
    hidden: int
    start: int = 0

    def taken(self, *columns: int) -> list[Callable[[], np.ndarray]]:
        """The next matrices [gates * hidden, columns], or vectors of 0 columns, with their gates in ONNX's order."""
        return [self._next(count) for count in columns]

    def _next(self, columns: int) -> Callable[[], np.ndarray]:
        gates, tensor = len(self.kind.order), self.parameter.const_value
        start, stop = self.start, self.start + gates * self.hidden * (columns or 1)
        self.start = stop
        shape = (gates, self.hidden, columns) if columns else (gates, self.hidden)

        def array() -> np.ndarray:
            assert tensor is not None
            part: np.ndarray = tensor.numpy().reshape(-1)[start:stop].reshape(shape)[list(self.kind.order)]
            return part.reshape(-1, *shape[2:])

        return array


@cntk("OptimizedRNNStack")
def optimized_rnn_stack(
    op: Builder,
    x: Tensor,
    weights: Tensor,
    *,
    context: Context,
    hiddenSize: int,
    numLayers: int,
    bidirectional: bool = False,
    recurrentOp: str = "lstm",
) -> Tensor:
    """Layers on top of each other, each of which reads the sequence forwards, or in both directions side by side."""
    seq, kind = x.axes.seq, _KINDS.get(recurrentOp)
    if kind is None:
        raise LoweringError(f"recurrent layers of the kind {recurrentOp} are not known")
    if seq is None or x.rank > 1:
        raise LoweringError("what a stack of recurrent layers reads is no sequence of vectors")
    if weights.value.const_value is None:
        raise LoweringError("the weights of a stack of recurrent layers are computed")
    width = x.dims[0] if x.rank else 1
    if not isinstance(width, int):
        raise LoweringError("the number of features that a stack of recurrent layers reads is not known")
    directions = 2 if bidirectional else 1
    source = _Weights(weights.value, kind, hiddenSize)
    sizes = [width] + [hiddenSize * directions] * (numLayers - 1)
    matrices = [[source.taken(size, hiddenSize) for _ in range(directions)] for size in sizes]
    biases = [[source.taken(0, 0) for _ in range(directions)] for _ in sizes]
    have = int(np.prod([int(d) for d in weights.value.dims]))  # type: ignore[arg-type]
    if source.start != have:
        raise LoweringError(f"a stack of recurrent layers has {have} weights instead of {source.start}")
    value = op.Transpose(op.reshape(x.value, (context.batch, seq.size, width)), perm=[1, 0, 2])
    for size, matrix, bias in zip(sizes, matrices, biases, strict=True):
        value = _layer(op, value, _Layer(source, size, matrix, bias), seq, context.batch)
    return x.of(op.Transpose(value, perm=[1, 0, 2]))


@dataclass(frozen=True)
class _Layer:
    """A layer: for each direction the matrices of input and state, and the biases of both."""

    weights: _Weights
    width: int
    matrices: list[list[Callable[[], np.ndarray]]]
    biases: list[list[Callable[[], np.ndarray]]]

    def value(self, op: Builder, name: str, columns: int, parts: list[list[Callable[[], np.ndarray]]]) -> Value:
        """[directions, rows] or [directions, rows, columns] of parts that follow each other for each direction."""
        rows = len(self.weights.kind.order) * self.weights.hidden * len(parts[0])
        parameter = self.weights.parameter
        shape = (len(parts), rows, columns) if columns else (len(parts), rows)

        def compute() -> np.ndarray:
            return np.stack([np.concatenate([part() for part in own]) for own in parts])

        return op.weight(ComputedTensor(compute, parameter.etype, shape), f"{parameter.name}.{name}")


def _layer(op: Builder, x: Value, layer: _Layer, seq: Seq, batch: Int) -> Value:
    """[sequence, batch, directions * hidden] of [sequence, batch, features]."""
    kind, hidden, both = layer.weights.kind, layer.weights.hidden, len(layer.matrices) == 2
    y = getattr(op, kind.op_type)(
        x,
        layer.value(op, "W", layer.width, [[w] for w, _ in layer.matrices]),
        layer.value(op, "R", hidden, [[r] for _, r in layer.matrices]),
        layer.value(op, "B", 0, layer.biases),
        op.cast(seq.lengths, DataType.INT32) if both else None,
        hidden_size=hidden,
        direction="bidirectional" if both else None,
        activations=[kind.activation] * len(layer.matrices) if kind.activation else None,
        **kind.attributes,
        _outputs=1,
    )
    value: Value = op.Squeeze(y, [1]) if not both else op.Transpose(y, perm=[0, 2, 1, 3])
    return op.reshape(value, (seq.size, batch, hidden * len(layer.matrices)))

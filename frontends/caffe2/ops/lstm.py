"""``InferenceLSTM``: layers of LSTMs with PyTorch's parameters, gates in the order input, forget, candidate, output.

Semantics: ``caffe2/operators/inference_lstm_op.h``.
"""

from __future__ import annotations

from collections.abc import Sequence

from nxconvert.frontends.caffe2.table import Builder, LoweringError, Steps, Value, caffe2
from nxconvert.graph.dims import static
from nxconvert.graph.gates import Rows, stacked

# For each of ONNX's gates (input, output, forget, cell) the position of the parameters'.
_ORDER = (0, 3, 1, 2)


@caffe2("InferenceLSTM")
def inference_lstm(
    op: Builder, input: Steps, hidden: Steps, cell: Steps, *params: Value, num_layers: int = 1,
    has_biases: bool = True, batch_first: bool = False, bidirectional: bool = False,
) -> tuple[Value, Value, Value]:  # fmt: skip
    """The output of the last layer, and the last hidden and cell states [layers * directions, batch, hidden]."""
    directions = 2 if bidirectional else 1
    size = 4 if has_biases else 2
    if len(params) != num_layers * directions * size:
        raise LoweringError(f"{len(params)} parameters are given for {num_layers} layers of {directions} directions")
    x = op.Transpose(input, perm=[1, 0, 2]) if batch_first else input
    finals: list[tuple[Value, Value]] = []
    for layer in range(num_layers):
        first = layer * directions
        states = [op.Slice(state, [first], [first + directions], [0]) for state in (hidden, cell)]
        own = [params[i * size : (i + 1) * size] for i in range(first, first + directions)]
        y, *last = _layer(op, x, states, own)
        finals.append((last[0], last[1]))
        y = op.Transpose(y, perm=[0, 2, 1, 3])
        x = op.reshape(y, (*y.dims[:2], y.dims[2] * y.dims[3]))
    hidden, cell = (op.Concat(*each, axis=0) if len(each) > 1 else each[0] for each in zip(*finals, strict=True))
    return op.Transpose(x, perm=[1, 0, 2]) if batch_first else x, hidden, cell


def _layer(
    op: Builder, x: Value, states: Sequence[Value], params: Sequence[Sequence[Value]]
) -> tuple[Value, Value, Value]:
    """One layer: [steps, directions, batch, hidden], and the last states."""
    sizes = static(params[0][1].dims)
    if sizes is None:
        raise LoweringError("the size of a recurrent weight is not known")

    def parameters(*places: int) -> Value:
        return stacked(op, [[Rows(own[i], _ORDER) for i in places] for own in params], "iofc")

    bias = parameters(2, 3) if len(params[0]) == 4 else None
    return op.LSTM(
        x, parameters(0), parameters(1), bias, None, *states, hidden_size=sizes[1],
        direction="bidirectional" if len(params) == 2 else None, _outputs=3,
    )  # fmt: skip

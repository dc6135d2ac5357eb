"""Recurrent layers in ONNX's terms: their parameters, the fused operators, and the equations of the cells.

PyTorch orders the gates of an LSTM ``i, f, g, o``, ONNX ``i, o, f, c``; those of a GRU are ``r, z, n`` and ``z, r, h``,
and PyTorch applies the reset gate after the recurrent product (``linear_before_reset``). What the fused operators lack,
LSTMs with projections and float64 in ONNX Runtime, becomes a ``Scan`` over the cell's equations, which are those of
https://docs.pytorch.org/docs/stable/nn.html#recurrent-layers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import onnx_ir as ir

from nxconvert.frontends.pytorch.compound import QuantizedValue
from nxconvert.frontends.pytorch.ops.common import static_ints
from nxconvert.frontends.pytorch.ops.linear import transposed
from nxconvert.frontends.pytorch.ops.quantize import quantize_dynamically
from nxconvert.frontends.pytorch.ops.quantized import integer_product
from nxconvert.frontends.pytorch.packed_params import Weight
from nxconvert.frontends.pytorch.table import Builder, Value
from nxconvert.graph.builder import TensorType
from nxconvert.graph.gates import Rows, stacked


class Cell(NamedTuple):
    """One kind of cell.

    Attributes:
        op_type: ONNX's fused operator.
        order: for each of ONNX's gates, the position of PyTorch's.
        suffix: what the names of reordered weights end with.
        activation: the function of a plain RNN.
    """

    op_type: str
    order: tuple[int, ...]
    suffix: str
    activation: str = ""

    def attributes(self, directions: int) -> dict[str, object]:
        if self.op_type == "GRU":
            return {"linear_before_reset": 1}
        return {"activations": [self.activation] * directions} if self.activation else {}


LSTM = Cell("LSTM", (0, 3, 1, 2), "iofc")
GRU = Cell("GRU", (1, 0, 2), "zrh")
TANH = Cell("RNN", (0,), "stacked", "Tanh")
RELU = Cell("RNN", (0,), "stacked", "Relu")


class CellParameters(NamedTuple):
    """The parameters of one layer in one direction, as PyTorch lists them.

    Dynamically quantized layers have quantized weights, and ``reduce_range`` says whether what is multiplied by them is
    quantized to 7 bits.
    """

    w_ih: Weight
    w_hh: Weight
    b_ih: Value | None
    b_hh: Value | None
    w_hr: Value | None = None
    reduce_range: bool = False

    @property
    def quantized(self) -> bool:
        return isinstance(self.w_hh, QuantizedValue)

    @property
    def hidden_size(self) -> int:
        """w_hh is [gates * hidden, hidden] without a projection, and w_hr is [projected, hidden]."""
        weight = self.w_hh if self.w_hr is None else self.w_hr
        return static_ints(weight.dims[1], "the hidden size")[0]

    @property
    def biases(self) -> list[Value]:
        return [b for b in (self.b_ih, self.b_hh) if b is not None]


def split_parameters(params: Sequence[Value], has_biases: bool, cells: int) -> list[CellParameters]:
    """PyTorch's flat list: for each layer and direction ``w_ih, w_hh[, b_ih, b_hh][, w_hr]``."""
    size = len(params) // cells
    result = []
    for start in range(0, size * cells, size):
        own = list(params[start : start + size])
        b_ih, b_hh = own[2:4] if has_biases else (None, None)
        result.append(CellParameters(own[0], own[1], b_ih, b_hh, own[-1] if size % 2 else None))
    return result


# ---- parameters in ONNX's layout -------------------------------------------------------------------------------------


def _stacked(op: Builder, cell: Cell, groups: Sequence[Sequence[Value]]) -> Value:
    """Parameters, direction by direction, in ONNX's layout."""
    return stacked(op, [[Rows(value, cell.order) for value in group] for group in groups], cell.suffix)


# ---- layers ----------------------------------------------------------------------------------------------------------


class Batch(NamedTuple):
    """The sequences that a layer runs over.

    Attributes:
        x: [time, batch, features].
        lengths: int32[batch] where sequences end early, or None.
    """

    x: Value
    lengths: Value | None


def _plain(weight: Weight) -> Value:
    assert isinstance(weight, Value), "quantized layers are composed"
    return weight


def _is_zero(value: Value) -> bool:
    return value.array is not None and not value.array.any()


def fused(
    op: Builder,
    cell: Cell,
    seq: Batch,
    cells: Sequence[CellParameters],
    states: Sequence[Value],
    reverse: bool = False,
) -> tuple[Value, list[Value]]:
    """One layer as one node: output [time, directions, batch, hidden], final states [directions, batch, hidden].

    Args:
        op: the builder.
        cell: the kind of cell.
        seq: the input.
        cells: the parameters of one direction, or of both.
        states: the initial states [directions, batch, hidden].
        reverse: whether the only direction is backwards.
    """
    directions = len(cells)
    bias = _stacked(op, cell, [p.biases for p in cells]) if cells[0].b_ih is not None else None
    y, *finals = getattr(op, cell.op_type)(
        seq.x,
        _stacked(op, cell, [[_plain(p.w_ih)] for p in cells]),
        _stacked(op, cell, [[_plain(p.w_hh)] for p in cells]),
        bias,
        seq.lengths,
        *(None if all(map(_is_zero, states)) else state for state in states),
        hidden_size=cells[0].hidden_size,
        direction="bidirectional" if directions == 2 else "reverse" if reverse else None,
        **cell.attributes(directions),
    )
    return y, finals


Product = Callable[[Builder, Value, "Value | None"], Value]
"""``product(op, x, addend)``: a weight times ``x`` [batch, in], plus [batch, out] or [out]."""


def product_with(op: Builder, weight: Weight, reduce_range: bool) -> Product:
    """The product with a weight [out, in]; what does not depend on the step is computed by ``op``."""
    if not isinstance(weight, QuantizedValue):
        return lambda op, x, addend: op.Gemm(x, weight, addend, transB=1)
    matrix = transposed(op, weight.integers(op))

    def integer(op: Builder, x: Value, addend: Value | None) -> Value:
        y = integer_product(op, quantize_dynamically(op, x, reduce_range), matrix, weight)
        return y if addend is None else op.Add(y, addend)

    return integer


def step(
    op: Builder, cell: Cell, p: CellParameters, product: Product, gates: Value, states: Sequence[Value]
) -> list[Value]:
    """The cell's equations: the new states.

    Args:
        op: the builder.
        cell: the kind of cell.
        p: its parameters.
        product: the product with its recurrent weight.
        gates: the input's part of the gates [batch, gates * hidden], with its bias.
        states: the old states [batch, hidden].
    """
    h = states[0]
    if cell.op_type == "GRU":
        recurrent = product(op, h, p.b_hh)
        (r_x, z_x, n_x), (r_h, z_h, n_h) = (op.Split(part, axis=1, num_outputs=3) for part in (gates, recurrent))
        r, z = op.Sigmoid(op.Add(r_x, r_h)), op.Sigmoid(op.Add(z_x, z_h))
        n = op.Tanh(op.Add(n_x, op.Mul(r, n_h)))
        return [op.Add(n, op.Mul(z, op.Sub(h, n)))]
    total = product(op, h, gates)
    if cell.op_type == "RNN":
        return [getattr(op, cell.activation)(total)]
    i, f, g, o = op.Split(total, axis=1, num_outputs=4)
    c = op.Add(op.Mul(op.Sigmoid(f), states[1]), op.Mul(op.Sigmoid(i), op.Tanh(g)))
    h = op.Mul(op.Sigmoid(o), op.Tanh(c))
    return [h if p.w_hr is None else op.Gemm(h, p.w_hr, transB=1), c]


def input_bias(op: Builder, cell: Cell, p: CellParameters) -> Value | None:
    """The bias that belongs to the input's part of the gates; a GRU's recurrent bias stands under the reset gate."""
    if p.b_ih is None or cell.op_type == "GRU":
        return p.b_ih
    return op.Add(p.b_ih, p.b_hh)


def _scanned(
    op: Builder, cell: Cell, seq: Batch, cells: Sequence[CellParameters], states: Sequence[Value]
) -> tuple[Value, list[Value]]:
    """What :func:`fused` computes, as one ``Scan`` a direction."""
    parts = [op.Split(s, axis=0, num_outputs=2) for s in states] if len(cells) == 2 else [(s,) for s in states]
    outputs, finals = [], []
    for reverse, p in enumerate(cells):
        y, last = _scan(op, cell, seq, p, [op.Squeeze(part[reverse], [0]) for part in parts], reverse)
        outputs.append(op.Unsqueeze(y, [1]))
        finals.append([op.Unsqueeze(s, [0]) for s in last])
    if len(cells) == 1:
        return outputs[0], finals[0]
    return op.Concat(*outputs, axis=1), [op.Concat(*pair, axis=0) for pair in zip(*finals, strict=True)]


def _scan(
    op: Builder, cell: Cell, seq: Batch, p: CellParameters, states: Sequence[Value], reverse: int
) -> tuple[Value, list[Value]]:
    time, batch = seq.x.dims[0], seq.x.dims[1]
    bias = input_bias(op, cell, p)
    if isinstance(p.w_ih, Value):
        gates = op.MatMul(seq.x, transposed(op, p.w_ih))
        gates = gates if bias is None else op.Add(gates, bias)
    else:
        gates = product_with(op, p.w_ih, p.reduce_range)(op, seq.x, bias)
    product = product_with(op, p.w_hh, p.reduce_range)
    scanned = [gates]
    if seq.lengths is not None:
        steps = op.Unsqueeze(op.Range(0, time, 1), [1])
        scanned.append(op.Unsqueeze(op.Less(steps, op.cast(seq.lengths, ir.DataType.INT64)), [2]))
    body = op.child()
    old = [body.input("state", s.etype, (batch, s.dims[1])) for s in states]
    current = [body.input("step", s.etype, s.dims[1:]) for s in scanned]
    if p.quantized and seq.lengths is not None:
        # States of sequences that have ended do not count when the range of all states is found.
        read = [body.Where(current[1], s, body.const(0.0, s.etype)) for s in old]
    else:
        read = old
    new = step(body, cell, p, product, current[0], read)
    y = new[0]
    if seq.lengths is not None:
        # A sequence that has ended, or backwards has not begun, keeps its state and puts out zeros.
        alive = current[1]
        y = body.Where(alive, new[0], body.const(0.0, y.etype))
        new = [body.Where(alive, n, o) for n, o in zip(new, old, strict=True)]
    types = [TensorType(s.etype, s.dims) for s in old]
    types.append(TensorType(y.etype, (time, batch, old[0].dims[1])))
    *finals, ys = op.node(
        "Scan",
        [*states, *scanned],
        {
            "body": body.graph([*new, y], "cell"),
            "num_scan_inputs": len(scanned),
            "scan_input_directions": [reverse] * len(scanned),
            "scan_output_directions": [reverse],
        },
        types,
    )
    return ys, finals


def _layer(
    op: Builder, cell: Cell, seq: Batch, cells: Sequence[CellParameters], states: Sequence[Value]
) -> tuple[Value, list[Value]]:
    # ONNX Runtime has no kernels of the fused operators for float64, and no operator projects or quantizes the states.
    composed = cells[0].w_hr is not None or cells[0].quantized or seq.x.etype == ir.DataType.DOUBLE
    return (_scanned if composed else fused)(op, cell, seq, cells, states)


def _merge_directions(op: Builder, y: Value, batch_first: bool) -> Value:
    """[time, directions, batch, hidden] as [time, batch, directions * hidden], or with the batch first."""
    time, directions, batch, hidden = y.dims
    if directions == 1:
        y = op.Squeeze(y, [1])
        return op.Transpose(y, perm=[1, 0, 2]) if batch_first else y
    y = op.Transpose(y, perm=[2, 0, 1, 3] if batch_first else [0, 2, 1, 3])
    return op.reshape(y, [batch, time, 2 * hidden] if batch_first else [time, batch, 2 * hidden])


class Network(NamedTuple):
    """A stack of layers.

    Attributes:
        cell: the kind of cell.
        cells: their parameters, by layer and direction.
        num_layers: how many layers there are.
        dropout: its ratio between the layers, while training.
        train: whether dropout drops.
    """

    cell: Cell
    cells: Sequence[CellParameters]
    num_layers: int
    dropout: float
    train: bool

    def run(self, op: Builder, batch: Batch, hx: Sequence[Value], batch_first: bool = False) -> tuple[Value, ...]:
        """The last layer's output, and all layers' final states [layers * directions, batch, hidden]."""
        directions = len(self.cells) // self.num_layers
        finals: list[list[Value]] = []
        initial = [op.Split(h, axis=0, num_outputs=self.num_layers) if self.num_layers > 1 else (h,) for h in hx]
        for layer in range(self.num_layers):
            last_layer = layer == self.num_layers - 1
            own = self.cells[layer * directions : (layer + 1) * directions]
            y, last = _layer(op, self.cell, batch, own, [h[layer] for h in initial])
            y = _merge_directions(op, y, batch_first and last_layer)
            if self.train and self.dropout and not last_layer:
                y = op.Dropout(y, op.const(float(self.dropout)), op.const(True))
            batch = batch._replace(x=y)
            finals.append(last)
        return (y, *(s[0] if self.num_layers == 1 else op.Concat(*s, axis=0) for s in zip(*finals, strict=True)))

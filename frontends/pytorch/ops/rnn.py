"""Recurrent layers and cells: LSTM, GRU, RNN with tanh and relu, over padded and over packed sequences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import onnx_ir as ir

from nxconvert.frontends.pytorch.ops.common import known
from nxconvert.frontends.pytorch.ops.packing import pack, packing_of, padded
from nxconvert.frontends.pytorch.ops.recurrence import (
    GRU,
    LSTM,
    RELU,
    TANH,
    Batch,
    Cell,
    CellParameters,
    Network,
    fused,
    input_bias,
    product_with,
    split_parameters,
    step,
)  # fmt: skip
from nxconvert.frontends.pytorch.packed_params import PackedCell, PackedLinear
from nxconvert.frontends.pytorch.table import Builder, Int, Ints, LoweringError, Number, Value, Values, aten


def _network(
    cell: Cell, params: Values, has_biases: bool, num_layers: Int, dropout: Number, train: bool, bidirectional: bool
) -> Network:
    layers = known(num_layers, "the number of layers")
    cells = split_parameters(params, has_biases, layers * (2 if bidirectional else 1))
    return Network(cell, cells, layers, known(dropout, "the dropout ratio"), train)


def over_padded(
    op: Builder, network: Network, input: Value, hx: Sequence[Value], batch_first: bool
) -> tuple[Value, ...]:
    x = op.Transpose(input, perm=[1, 0, 2]) if batch_first else input
    return network.run(op, Batch(x, None), hx, batch_first)


def over_packed(
    op: Builder, network: Network, data: Value, batch_sizes: Value, hx: Sequence[Value]
) -> tuple[Value, ...]:
    packing = packing_of(op, batch_sizes, hx[0].dims[1])
    lengths = op.cast(packing.lengths(op), ir.DataType.INT32)
    y, *finals = network.run(op, Batch(padded(op, data, packing), lengths), hx)
    return (pack(op, y, packing.mask, data.dims[0]), *finals)


@aten("lstm.input")
def lstm(
    op: Builder, input: Value, hx: Values, params: Values, has_biases: bool, num_layers: Int, dropout: float,
    train: bool, bidirectional: bool, batch_first: bool,
) -> tuple[Value, ...]:  # fmt: skip
    """Output, h_n, c_n."""
    network = _network(LSTM, params, has_biases, num_layers, dropout, train, bidirectional)
    return over_padded(op, network, input, hx, batch_first)


@aten("lstm.data")
def lstm_packed(
    op: Builder, data: Value, batch_sizes: Value, hx: Values, params: Values, has_biases: bool, num_layers: Int,
    dropout: float, train: bool, bidirectional: bool,
) -> tuple[Value, ...]:  # fmt: skip
    """Packed output, h_n, c_n."""
    network = _network(LSTM, params, has_biases, num_layers, dropout, train, bidirectional)
    return over_packed(op, network, data, batch_sizes, hx)


def _register(name: str, cell: Cell) -> None:
    @aten(f"{name}.input")
    def recurrent(
        op: Builder, input: Value, hx: Value, params: Values, has_biases: bool, num_layers: Int, dropout: float,
        train: bool, bidirectional: bool, batch_first: bool,
    ) -> tuple[Value, ...]:  # fmt: skip
        """Output, h_n."""
        network = _network(cell, params, has_biases, num_layers, dropout, train, bidirectional)
        return over_padded(op, network, input, [hx], batch_first)

    @aten(f"{name}.data")
    def recurrent_packed(
        op: Builder, data: Value, batch_sizes: Value, hx: Value, params: Values, has_biases: bool, num_layers: Int,
        dropout: float, train: bool, bidirectional: bool,
    ) -> tuple[Value, ...]:  # fmt: skip
        """Packed output, h_n."""
        network = _network(cell, params, has_biases, num_layers, dropout, train, bidirectional)
        return over_packed(op, network, data, batch_sizes, [hx])


for _name, _cell in {"gru": GRU, "rnn_tanh": TANH, "rnn_relu": RELU}.items():
    _register(_name, _cell)


_ONEDNN_LSTM = 2


@aten("mkldnn_rnn_layer")
def mkldnn_rnn_layer(
    op: Builder, input: Value, weight0: Value, weight1: Value, weight2: Value, weight3: Value, hx_: Value, cx_: Value,
    reverse: bool, batch_sizes: Ints, mode: Int, hidden_size: Int, num_layers: Int, has_biases: bool,
    bidirectional: bool, batch_first: bool, train: bool,
) -> tuple[Value | None, ...]:  # fmt: skip
    """One LSTM layer in one direction, as PyTorch's decompositions write it; the last result is scratch memory."""
    if mode != _ONEDNN_LSTM or num_layers != 1 or bidirectional or batch_first or batch_sizes:
        raise LoweringError("only one layer of an LSTM in one direction, over padded sequences with time first")
    biases = (weight2, weight3) if has_biases else (None, None)
    y, (h, c) = fused(op, LSTM, Batch(input, None), [CellParameters(weight0, weight1, *biases)], [hx_, cx_], reverse)
    return op.Squeeze(y, [1]), h, c, None


# ---- dynamically quantized layers ------------------------------------------------------------------------------------


def _quantized_network(cell: Cell, params: Any, num_layers: Int, dropout: Number, train: bool) -> Network:
    if all(isinstance(p, PackedLinear) for p in params):  # before PyTorch 1.5: two linear layers for each cell
        pairs = zip(params[::2], params[1::2], strict=True)
        params = [PackedCell(a.weight, b.weight, a.bias, b.bias, reduce_range=False) for a, b in pairs]
    cells = [CellParameters(p.w_ih, p.w_hh, p.b_ih, p.b_hh, None, bool(p.reduce_range)) for p in params]
    layers = known(num_layers, "the number of layers")
    return Network(cell, cells, layers, known(dropout, "the dropout ratio"), train)


@aten("quantized_lstm.input")
def quantized_lstm(
    op: Builder, input: Value, hx: Values, params: Any, has_biases: bool, num_layers: Int, dropout: float,
    train: bool, bidirectional: bool, batch_first: bool, *, dtype: Int | None = None, use_dynamic: bool = False,
) -> tuple[Value, ...]:  # fmt: skip
    """Output, h_n, c_n."""
    network = _quantized_network(LSTM, params, num_layers, dropout, train)
    return over_padded(op, network, input, hx, batch_first)


@aten("quantized_lstm.data")
def quantized_lstm_packed(
    op: Builder, data: Value, batch_sizes: Value, hx: Values, params: Any, has_biases: bool, num_layers: Int,
    dropout: float, train: bool, bidirectional: bool, *, dtype: Int | None = None, use_dynamic: bool = False,
) -> tuple[Value, ...]:  # fmt: skip
    """Packed output, h_n, c_n."""
    return over_packed(op, _quantized_network(LSTM, params, num_layers, dropout, train), data, batch_sizes, hx)


@aten("quantized_gru.input")
def quantized_gru(
    op: Builder, input: Value, hx: Value, params: Any, has_biases: bool, num_layers: Int, dropout: float, train: bool,
    bidirectional: bool, batch_first: bool,
) -> tuple[Value, ...]:  # fmt: skip
    """Output, h_n."""
    network = _quantized_network(GRU, params, num_layers, dropout, train)
    return over_padded(op, network, input, [hx], batch_first)


@aten("quantized_gru.data")
def quantized_gru_packed(
    op: Builder, data: Value, batch_sizes: Value, hx: Value, params: Any, has_biases: bool, num_layers: Int,
    dropout: float, train: bool, bidirectional: bool,
) -> tuple[Value, ...]:  # fmt: skip
    """Packed output, h_n."""
    return over_packed(op, _quantized_network(GRU, params, num_layers, dropout, train), data, batch_sizes, [hx])


# ---- single steps ----------------------------------------------------------------------------------------------------


def _single_step(op: Builder, cell: Cell, input: Value, hx: Sequence[Value], p: CellParameters) -> list[Value]:
    """One step of a cell: the new states."""
    if p.quantized or input.etype == ir.DataType.DOUBLE:
        products = (product_with(op, weight, p.reduce_range) for weight in (p.w_ih, p.w_hh))
        gates = next(products)(op, input, input_bias(op, cell, p))
        return step(op, cell, p, next(products), gates, hx)
    _, finals = fused(op, cell, Batch(op.Unsqueeze(input, [0]), None), [p], [op.Unsqueeze(h, [0]) for h in hx])
    return [op.Squeeze(h, [0]) for h in finals]


@aten("lstm_cell")
def lstm_cell(
    op: Builder,
    input: Value,
    hx: Values,
    w_ih: Value,
    w_hh: Value,
    b_ih: Value | None = None,
    b_hh: Value | None = None,
) -> tuple[Value, ...]:
    """The new h and c."""
    return tuple(_single_step(op, LSTM, input, hx, CellParameters(w_ih, w_hh, b_ih, b_hh)))


def _register_cell(name: str, cell: Cell) -> None:
    @aten(name)
    def recurrent_cell(
        op: Builder,
        input: Value,
        hx: Value,
        w_ih: Value,
        w_hh: Value,
        b_ih: Value | None = None,
        b_hh: Value | None = None,
    ) -> Value:
        """The new h."""
        return _single_step(op, cell, input, [hx], CellParameters(w_ih, w_hh, b_ih, b_hh))[0]


for _name, _cell in {"gru_cell": GRU, "rnn_tanh_cell": TANH, "rnn_relu_cell": RELU}.items():
    _register_cell(_name, _cell)


@aten("quantized::quantized_lstm_cell_dynamic")
def quantized_lstm_cell(
    op: Builder, input: Value, hx: Values, w_ih: Any, w_hh: Any, bias_ih: Value, bias_hh: Value
) -> tuple[Value, ...]:
    """The new h and c; PyTorch reads the biases that are packed with the weights."""
    parameters = CellParameters(w_ih.weight, w_hh.weight, w_ih.bias, w_hh.bias, None, reduce_range=True)
    return tuple(_single_step(op, LSTM, input, hx, parameters))


def _register_quantized_cell(name: str, cell: Cell) -> None:
    @aten(f"quantized::quantized_{name}_dynamic")
    def recurrent_cell(op: Builder, input: Value, hx: Value, w_ih: Any, w_hh: Any, b_ih: Value, b_hh: Value) -> Value:
        """The new h."""
        parameters = CellParameters(w_ih.weight, w_hh.weight, w_ih.bias, w_hh.bias, None, reduce_range=True)
        return _single_step(op, cell, input, [hx], parameters)[0]


for _name, _cell in {"gru_cell": GRU, "rnn_tanh_cell": TANH, "rnn_relu_cell": RELU}.items():
    _register_quantized_cell(_name, _cell)


# ---- packed parameters -----------------------------------------------------------------------------------------------


@aten("quantized::make_quantized_cell_params_dynamic")
def make_quantized_cell_params_dynamic(
    op: Builder, w_ih: Any, w_hh: Any, bias_ih: Value, bias_hh: Value, reduce_range: bool = False
) -> Any:
    return PackedCell(w_ih.weight, w_hh.weight, w_ih.bias, w_hh.bias, reduce_range)


@aten("quantized::make_quantized_cell_params_fp16")
def make_quantized_cell_params_fp16(op: Builder, w_ih: Any, w_hh: Any) -> Any:
    return PackedCell(w_ih.weight, w_hh.weight, w_ih.bias, w_hh.bias, None)

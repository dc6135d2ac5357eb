"""Recurrent networks whose step net is the cell of an LSTM, a GRU or a plain RNN, as ONNX's operators.

Caffe2 multiplies the inputs of all steps by their weight before the recurrence; ONNX's operators do that themselves, so
a cell is recognised together with the ``FC`` before it. Where a sequence ends early, Caffe2 keeps the last states from
there on (zeros with ``drop_states``), ONNX puts out zeros and the last states. Layouts: ``caffe2/python/rnn_cell.py``,
``caffe2/python/gru_cell.py``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nxconvert.frontends.caffe2 import liveness
from nxconvert.frontends.caffe2.machine import Machine
from nxconvert.frontends.caffe2.table import DataType, LoweringError, Value
from nxconvert.graph.gates import Rows, stacked

if TYPE_CHECKING:
    from nxconvert.frontends.caffe2.recurrent import Recurrence

# For each of ONNX's gates (input, output, forget, cell; update, reset, hidden) the position of Caffe2's.
_LSTM_ORDER = (0, 2, 1, 3)
_GRU_ORDER = (1, 0, 2)
_PLAIN = (0,)
_FUNCTIONS = {"Tanh": "Tanh", "Relu": "Relu"}


@dataclass(frozen=True)
class Term:
    """What a blob of the step net is computed by; equal terms are equal.

    Attributes:
        type: the operator, or ``blob`` for one that the step begins with.
        inputs: its inputs; of a blob its name.
        output: which of its outputs.
        args: its arguments, as far as they are numbers.
    """

    type: str
    inputs: tuple[Any, ...]
    output: int = 0
    args: tuple[tuple[str, float], ...] = ()

    def arg(self, name: str, default: float = 0) -> float:
        return dict(self.args).get(name, default)


@dataclass(frozen=True)
class Product:
    """A fully connected layer: [1, batch, in] by a weight [out, in] and a bias [out]."""

    x: Term
    weight: str
    bias: str


def recognize(m: Machine, network: Recurrence, initial: Mapping[str, Value]) -> bool:
    """Binds the outputs of a recurrence that is a known cell, and says whether it is one.

    Args:
        m: the machine.
        network: the recurrence.
        initial: the initial steps of each state, [1, batch, hidden].
    """
    terms = _terms(network)
    sequence = m.operand(network.sequence)
    origin = m.made.get(sequence) if isinstance(sequence, Value) else None
    links = {link.internal: link for link in network.reads}
    inputs = [link for link in network.reads if link.external not in network.states]
    plain = all(link.offset == 0 and link.window == 1 for link in network.reads)
    if len(inputs) != 1 or inputs[0].external != network.sequence or not plain or len(links) != len(network.reads):
        return False
    if origin is None or not _is_projection(*origin) or any(offset != 1 for _, offset in network.results.values()):
        return False
    held = {link.external: Term("blob", (link.internal,)) for link in network.reads if link not in inputs}
    if set(held) != set(network.states) or set(network.results) != set(network.states):
        return False
    results = {state: terms[name] for state, (name, _) in network.results.items() if name in terms}
    cell = _cell(results, held, Term("blob", (inputs[0].internal,)))
    if cell is None or _is_seen(m, network, cell):
        return False
    _emit(m, network, cell, origin[1], [initial[state] for state in cell.states])
    return True


def _terms(network: Recurrence) -> dict[str, Term]:
    """What each blob of the step net is computed by at its end."""
    terms: dict[str, Term] = {}
    for operator in liveness.needed(network.net.ops, [name for name, _ in network.results.values()]):
        inputs = tuple(terms.get(name, Term("blob", (name,))) for name in operator.inputs)
        args = tuple(sorted((k, float(v)) for k, v in operator.args.items() if isinstance(v, (int, float))))
        kind = "Sum" if operator.type == "Add" and len(inputs) == 2 else operator.type
        terms.update((name, Term(kind, inputs, i, args)) for i, name in enumerate(operator.outputs))
    return terms


def _is_projection(operator: Any, operands: Sequence[Any]) -> bool:
    """Whether an operator is the product of all steps with a weight."""
    if operator.type != "FC" or len(operands) != 3 or operator.args.get("axis") != 2:
        return False
    x, weight, bias = operands
    return bool(x.rank == 3 and weight.rank == 2 and bias.rank == 1 and operator.args.get("axis_w", 1) == 1)


# ---- the cells -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cell:
    """A recognised cell.

    Attributes:
        op_type: ONNX's operator.
        states: the recurrent states, the hidden one first.
        products: the recurrent weights, in the order of ONNX's gates or all in one.
        order: of the gates in the weight of the inputs.
        recurrent_order: of the gates in each recurrent weight.
        attributes: of ONNX's operator.
        lengths: the blob of the sequences' lengths, if the cell looks at it.
        drop_states: whether the states of a sequence that has ended are zeros.
        forget_bias: what is added to the forget gate.
    """

    op_type: str
    states: tuple[str, ...]
    products: tuple[Product, ...]
    order: tuple[int, ...]
    recurrent_order: tuple[int, ...]
    attributes: dict[str, Any]
    lengths: str | None = None
    drop_states: bool = False
    forget_bias: float = 0.0


def _cell(results: dict[str, Term], held: dict[str, Term], x: Term) -> Cell | None:
    if len(results) == 2:
        return _lstm(results, held, x)
    if len(results) == 1:
        ((state, term),) = results.items()
        return _gru(state, term, held[state], x) or _rnn(state, term, held[state], x)
    return None


def _lstm(results: dict[str, Term], held: dict[str, Term], x: Term) -> Cell | None:
    hidden, cell = sorted(results, key=lambda state: results[state].output)
    unit = results[hidden]
    if unit.type != "LSTMUnit" or Term(unit.type, unit.inputs, 1, unit.args) != results[cell] or unit.output != 0:
        return None
    states = (hidden, cell)
    lengths = _lengths(unit, 3)
    product = _product(_other_addend(unit.inputs[2], x))
    if unit.inputs[:2] != tuple(held[state] for state in states) or product is None or product.x != held[hidden]:
        return None
    return Cell(
        "LSTM", states, (product,), _LSTM_ORDER, _LSTM_ORDER, {}, lengths,
        bool(unit.arg("drop_states")), unit.arg("forget_bias"),
    )  # fmt: skip


def _gru(state: str, unit: Term, h: Term, x: Term) -> Cell | None:
    if unit.type != "GRUUnit" or unit.inputs[0] != h:
        return None
    gates = unit.inputs[1]
    if gates.type != "Concat" or len(gates.inputs) != 3 or gates.arg("axis", 1) != 2:
        return None
    parts = [Term("Split", (x,), i, (("axis", 2.0),)) for i in range(3)]
    reset, update, output = (
        _other_addend(gate, *(Term("Split", (x,), i, own.args) for own in (parts[i], *_splits(gate))))
        for i, gate in enumerate(gates.inputs)
    )
    reset_product, update_product = _product(reset), _product(update)
    if reset_product is None or update_product is None or output is None:
        return None
    opened = Term("Sigmoid", (gates.inputs[0],), 0, ())
    linear = False
    product = _product(output)
    if output.type == "Mul":
        linear = True
        product = _product(_other_factor(output, opened))
        wanted = h
    else:
        wanted = product.x if product is not None and _other_factor(product.x, opened) == h else None  # type: ignore[assignment]
    if product is None or product.x != wanted or reset_product.x != h or update_product.x != h:
        return None
    return Cell(
        "GRU", (state,), (update_product, reset_product, product), _GRU_ORDER, _PLAIN,
        {"linear_before_reset": 1} if linear else {}, _lengths(unit, 2), bool(unit.arg("drop_states")),
    )  # fmt: skip


def _rnn(state: str, term: Term, h: Term, x: Term) -> Cell | None:
    if term.type not in _FUNCTIONS:
        return None
    product = _product(_other_addend(term.inputs[0], x))
    if product is None or product.x != h:
        return None
    return Cell("RNN", (state,), (product,), _PLAIN, _PLAIN, {"activations": [_FUNCTIONS[term.type]]})


def _lengths(unit: Term, position: int) -> str | None:
    """The blob of lengths among the inputs of a unit, which has it before the number of the step."""
    if len(unit.inputs) <= position + 1 or not unit.arg("sequence_lengths", 1):
        return None
    term = unit.inputs[position]
    return str(term.inputs[0]) if term.type == "blob" else None


def _splits(gate: Term) -> list[Term]:
    """The terms of a gate that are parts of the step's input."""
    return [term for term in gate.inputs if isinstance(term, Term) and term.type == "Split"]


def _other_addend(term: Term, *known: Term) -> Term | None:
    """What a sum of two adds to something known."""
    return _other(term, "Sum", known)


def _other_factor(term: Term, known: Term) -> Term | None:
    """What a product of two multiplies with something known."""
    stripped = Term(term.type, tuple(_bare(x) for x in term.inputs))
    other = _other(stripped, "Mul", (_bare(known),))
    return next((x for x in term.inputs if _bare(x) == other), None) if other is not None else None


def _bare(term: Any) -> Any:
    """A sigmoid without its arguments, none of which changes it."""
    return Term(term.type, term.inputs) if isinstance(term, Term) and term.type == "Sigmoid" else term


def _other(term: Term, kind: str, known: Sequence[Term]) -> Term | None:
    if term.type != kind or len(term.inputs) != 2:
        return None
    a, b = term.inputs
    return b if a in known else a if b in known else None


def _product(term: Term | None) -> Product | None:
    if term is None or term.type != "FC" or len(term.inputs) != 3:
        return None
    if term.arg("axis", 1) != 2 or term.arg("axis_w", 1) != 1:
        return None
    x, weight, bias = term.inputs
    if weight.type != "blob" or bias.type != "blob":
        return None
    return Product(x, weight.inputs[0], bias.inputs[0])


# ---- in ONNX's terms -------------------------------------------------------------------------------------------------


def _is_seen(m: Machine, network: Recurrence, cell: Cell) -> bool:
    """Whether something looks at what ONNX's operator does not put out: cell states of every step, whole states."""
    if any(state in m.wanted for state in cell.states):
        return True
    return any(
        output in m.wanted and not (offset == -1 or (offset == 1 and state == cell.states[0]))
        for state, output, offset in network.aliases
    )


def _emit(m: Machine, network: Recurrence, cell: Cell, projection: Sequence[Any], states: Sequence[Value]) -> None:
    op = m.op
    x, weight, bias = projection
    recurrent = [[Rows(m.tensor(p.weight), cell.recurrent_order) for p in cell.products]]
    biases = [Rows(bias, cell.order), *(Rows(m.tensor(p.bias), cell.recurrent_order) for p in cell.products)]
    hidden = recurrent[0][0].value.dims[1]
    steps = x.dims[0]
    lengths = m.operand(cell.lengths) if cell.lengths else None
    if cell.forget_bias:
        if not isinstance(hidden, int):
            raise LoweringError("the size of a recurrent weight is not known")
        # Caffe2's second gate of four.
        forget = np.repeat(np.array([0, cell.forget_bias, 0, 0], np.float32), hidden)
        biases[-1] = Rows(op.Add(biases[-1].value, op.const(forget)), cell.recurrent_order)
    results = getattr(op, cell.op_type)(
        x,
        stacked(op, [[Rows(weight, cell.order)]], cell.op_type.lower()),
        stacked(op, recurrent, cell.op_type.lower()),
        stacked(op, [biases], cell.op_type.lower()),
        op.Min(op.cast(lengths, DataType.INT32), op.cast(op.dim_value(steps), DataType.INT32))
        if isinstance(lengths, Value)
        else None,
        *states,
        hidden_size=hidden,
        _outputs=1 + len(states),
        **cell.attributes,
    )
    y, *last = results
    y = op.Squeeze(y, [1])
    if isinstance(lengths, Value):
        ended = op.Unsqueeze(op.Less(op.cast(lengths, DataType.INT64), steps), [1])
        if cell.drop_states:
            last = [op.Where(ended, 0.0, value) for value in last]
        else:
            running = op.Less(op.Unsqueeze(op.Range(0, steps, 1), [1]), op.cast(lengths, DataType.INT64))
            y = op.Where(op.Unsqueeze(running, [2]), y, last[0])
    finals = dict(zip(cell.states, last, strict=True))
    for state, output, offset in network.aliases:
        if output in m.wanted:
            m.blobs[output] = y if offset == 1 else finals[state]

"""Loops that are the cell of an LSTM, a GRU or a plain RNN, as ONNX's operators.

A cell is known by what it computes (:mod:`~nxconvert.frontends.cntk.recurrence.forms`), not by the block that it was
made as: by files of the first format there are none, and gates may be computed one by one or all at once, in any order.
What is multiplied with a weight before the loop is taken into ONNX's operator. Constant scales of states, CNTK's
stabilizers, become part of the weights. What is not exactly such a cell stays a loop.

ONNX's operators put out the hidden state alone for each step, and all states of the last one (backwards, the first
one); a loop of which something else is used, such as the cell state of each step, stays a loop as well.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from nxconvert.formats.tensors import ComputedTensor, contiguous, release
from nxconvert.frontends.cntk.delays import initial_steps
from nxconvert.frontends.cntk.dynamic import Axes, Seq, Tensor, leading_dims, with_axes
from nxconvert.frontends.cntk.lower import Lowerer
from nxconvert.frontends.cntk.network import Result, Source
from nxconvert.frontends.cntk.recurrence.cell_forms import Reader
from nxconvert.frontends.cntk.recurrence.final_steps import final_steps
from nxconvert.frontends.cntk.recurrence.forms import CONSTANT, Atom, Form, Odd, Product, Weight, factors, number
from nxconvert.frontends.cntk.recurrence.loop import Loop
from nxconvert.frontends.cntk.table import DataType, Int, Value

_ACTIVATIONS = ("Tanh", "Relu", "Sigmoid")
#: A cell has fewer functions, however it is written.
_MAX_FUNCTIONS = 80
#: The functions of the cells in ONNX's order, where they are what they are by default.
_DEFAULTS = {"LSTM": ["Sigmoid", "Tanh", "Tanh"], "GRU": ["Sigmoid", "Tanh"], "RNN": ["Tanh"]}


@dataclass
class Gate:
    """What a gate is a function of: a sum of products of weights with the input and the state, and a bias."""

    outer: dict[Atom, Weight] = field(default_factory=dict)
    recurrent: Weight | None = None
    bias: Weight | None = None
    peephole: Weight | None = None


@dataclass(frozen=True)
class Cell:
    """A recognised cell.

    Attributes:
        op_type: ONNX's operator.
        states: the hidden state first.
        gates: in ONNX's order.
        functions: the activations, in ONNX's order.
        peepholes: for an LSTM that has some those of the input, output and forget gates.
        recurrent_bias: of a GRU that applies the reset gate to a product: what it adds to that.
    """

    op_type: str
    states: tuple[Atom, ...]
    gates: tuple[Gate, ...]
    functions: list[str]
    peepholes: tuple[Weight | None, ...] = ()
    linear_before_reset: bool = False
    recurrent_bias: Weight | None = None


def recognize(m: Lowerer, loop: Loop, seq: Seq, sizes: dict[str, tuple[Int, ...]]) -> bool:
    """Binds what is used of a loop that is a known cell, and says whether it is one.

    Args:
        m: the lowerer.
        loop: the loop.
        seq: its axis.
        sizes: the static sizes of its delays.
    """
    if len(loop.nodes) > _MAX_FUNCTIONS:
        return False
    dims = {uid: own[0] for uid, own in sizes.items() if len(own) == 1 and isinstance(own[0], int)}
    if len(dims) < len(sizes) or loop.dtype != DataType.FLOAT:
        return False
    try:
        reader = Reader(m, loop.nodes, dims)
        cell = _cell(reader)
        hidden, *memory = (reader.results[state] for state in cell.states)
        finals = {source: final_steps(m.network, source, loop) for source in (hidden, *memory)}
        rest = _derived(reader, loop, hidden, [source for source in memory if finals[source].alone])
    except Odd:
        return False
    initial = [reader.initial[state] for state in cell.states]
    wanted = any(end.functions for end in finals.values())
    y, *last = _emit(m, cell, initial, seq, backwards=loop.backwards, final=wanted)
    # Of the cell state of each step, only its axes are asked for.
    m.values |= dict.fromkeys((hidden, *memory), Tensor(y, Axes(True, seq)))
    for end, value in zip(finals.values(), last, strict=wanted):
        m.values |= {Result(uid): Tensor(value, Axes(True)) for uid in end.functions}
    for uid in rest:
        m.lower(uid)
    return True


def _derived(reader: Reader, loop: Loop, hidden: Source, memory: Sequence[Source]) -> list[str]:
    """The functions of a loop that what is used of it takes, besides the hidden state, and the cell state of the last
    step.

    Raises:
        Odd: they depend on what ONNX's operator does not put out.
    """
    members = {node.uid: node for node in loop.nodes}
    needed: set[str] = set()
    queue: list[Source] = [Result(uid) for uid in loop.used if Result(uid) not in memory]
    while queue:
        source = queue.pop()
        if source == hidden or not isinstance(source, Result) or source.node not in members or source.node in needed:
            continue
        node = members[source.node]
        if node in loop.delays and reader.canonical(node.inputs[0]) != hidden:
            raise Odd
        needed.add(node.uid)
        queue += node.inputs
    # A delay of the hidden state comes before what depends on it: in a loop it is computed first.
    delays = [node.uid for node in loop.delays if node.uid in needed]
    return delays + [node.uid for node in loop.nodes if node.uid in needed and node not in loop.delays]


# ---- the cells -------------------------------------------------------------------------------------------------------


def _cell(reader: Reader) -> Cell:
    states = list(dict.fromkeys(reader.states.values()))
    if len(states) == 2:
        for hidden, cell in (states, states[::-1]):
            found = _lstm(reader, hidden, cell)
            if found is not None and any(gate.outer for gate in found.gates):
                return found
    elif len(states) == 1:
        found = _gru(reader, states[0]) or _rnn(reader, states[0])
        if found is not None and any(gate.outer for gate in found.gates):
            return found
    raise Odd


def _lstm(reader: Reader, h: Atom, c: Atom) -> Cell | None:
    """With h' = o * tanh(c'), c' = f * c + i * tanh(...), where i, f and o may look at the cell state."""
    output = reader.result(h).only()
    memory = _products(reader.result(c))
    if output is None or len(output) != 2 or len(memory) != 2 or any(sign != 1 for sign in memory.values()):
        return None
    kept = next((pair for pair in memory if c in pair and len(pair) == 2), None)
    added = next((pair for pair in memory if c not in pair and len(pair) == 2), None)
    if kept is None or added is None:
        return None
    (forget,) = kept - {c}
    new = reader.new(c)
    squashed = next((atom for atom in output if _is_of(atom, _ACTIVATIONS, new)), None)
    if squashed is None:
        return None
    opened = next((atom for atom in output if atom is not squashed), None)
    for entered, candidate in itertools.permutations(sorted(added, key=str)):
        gates = [_gate(atom, ("Sigmoid",), h, look) for atom, look in ((entered, c), (opened, new), (forget, c))]
        gates.append(_gate(candidate, _ACTIVATIONS, h))
        known = [gate for gate in gates if gate is not None]
        if len(known) == len(gates):
            peepholes = tuple(gate.peephole for gate in known[:3])
            functions = ["Sigmoid", candidate.kind, squashed.kind]
            return Cell("LSTM", (h, c), tuple(known), functions, peepholes if any(peepholes) else ())
    return None


def _gru(reader: Reader, h: Atom) -> Cell | None:
    """With h' = (1 - z) * c + z * h, in any order, or with 1 - z for z."""
    parts = _products(reader.result(h))
    if len(parts) != 3:
        return None
    gated = next((pair for pair in parts if h in pair and len(pair) == 2 and parts[pair] in (1, -1)), None)
    if gated is None:
        return None
    (update,) = gated - {h}
    candidates = [pair for pair in parts if len(pair) == 1 and h not in pair]
    if parts[gated] == 1:  # z * h - z * c + c
        if len(candidates) != 1 or parts[candidates[0]] != 1:
            return None
        (candidate,) = candidates[0]
        if parts.get(frozenset({update, candidate})) != -1:
            return None
        gate = _gate(update, ("Sigmoid",), h)
    else:  # h - z * h + z * c, the gate being open for the new state
        others = [pair for pair in parts if len(pair) == 2 and pair != gated and update in pair and parts[pair] == 1]
        if parts.get(frozenset({h})) != 1 or len(others) != 1:
            return None
        (candidate,) = others[0] - {update}
        gate = _negated(_gate(update, ("Sigmoid",), h))
    return _gru_of(h, gate, candidate)


def _gru_of(h: Atom, update: Gate | None, candidate: Atom) -> Cell | None:
    """The cell with an update gate and a candidate, which the reset gate takes part in."""
    if update is None or candidate.kind not in _ACTIVATIONS or candidate.form is None:
        return None
    terms = dict(candidate.form.terms)
    product = next((product for product in terms if len(product) == 2), None)
    reset = _reset(h, product, terms.pop(product)) if product is not None else None
    gate = _affine(Form(h.size, terms), h)
    if reset is None or gate is None or gate.recurrent is not None:
        return None
    gate.recurrent = reset.recurrent
    functions = ["Sigmoid", candidate.kind]
    return Cell("GRU", (h,), (update, reset.gate, gate), functions, (), reset.linear, reset.bias)


class _Reset(NamedTuple):
    """A reset gate, and what it is applied to: the state before its product with a weight, or that with a bias."""

    gate: Gate
    recurrent: Weight | None
    linear: bool = False
    bias: Weight | None = None


def _reset(h: Atom, product: Product, coefficient: Weight) -> _Reset | None:
    """What a product of two atoms is, if one of them is a reset gate."""
    atoms = set(factors(product))
    inner = next((atom for atom in atoms if atom == h or atom.kind == "form"), None)
    if inner is None or len(atoms) != 2 or sum(count for _, count in product) != 2:
        return None
    (other,) = atoms - {inner}
    gate = _gate(other, ("Sigmoid",), h)
    if gate is None:
        return None
    if inner == h:
        return _Reset(gate, coefficient) if len(coefficient.shape) == 2 else None
    linear = _affine(inner.form, h) if inner.form is not None and coefficient.number == 1 else None
    if linear is None or linear.outer or linear.recurrent is None:
        return None
    return _Reset(gate, linear.recurrent, True, linear.bias)


def _rnn(reader: Reader, h: Atom) -> Cell | None:
    result = reader.result(h).only()
    if result is None or len(result) != 1:
        return None
    gate = _gate(result[0], _ACTIVATIONS, h)
    return Cell("RNN", (h,), (gate,), [result[0].kind]) if gate is not None else None


def _products(form: Form) -> dict[frozenset[Atom], float]:
    """The products of a sum with their signs, if there are but numbers before them; products of one atom by itself
    are none.
    """
    found = {}
    for product, coefficient in form.terms.items():
        if coefficient.number is None or product == CONSTANT or any(count > 1 for _, count in product):
            raise Odd
        found[frozenset(factors(product))] = coefficient.number
    return found


def _is_of(atom: Atom, kinds: Sequence[str], of: Atom) -> bool:
    """Whether an atom is one of some functions of another atom."""
    return atom.kind in kinds and atom.form is not None and atom.form.only() == (of,)


def _gate(atom: Atom | None, kinds: Sequence[str], h: Atom, look: Atom | None = None) -> Gate | None:
    """What a gate is a function of, if it is one of those functions."""
    if atom is None or atom.kind not in kinds or atom.form is None:
        return None
    return _affine(atom.form, h, look)


def _affine(form: Form, h: Atom, look: Atom | None = None) -> Gate | None:
    gate = Gate()
    for product, coefficient in form.terms.items():
        atoms = factors(product)
        matrix = len(coefficient.shape) == 2
        if not atoms:
            gate.bias = coefficient
        elif len(atoms) > 1:
            return None
        elif atoms[0] == h and matrix:
            gate.recurrent = coefficient
        elif atoms[0] == look and not matrix:
            gate.peephole = coefficient
        elif atoms[0].kind == "outer" and matrix:
            gate.outer[atoms[0]] = coefficient
        else:
            return None
    return gate


def _negated(gate: Gate | None) -> Gate | None:
    """The gate that is closed where this one is open."""
    if gate is None:
        return None
    minus = number(-1)

    def turned(value: Weight | None) -> Weight | None:
        return None if value is None else value * minus

    outer = {atom: value * minus for atom, value in gate.outer.items()}
    return Gate(outer, turned(gate.recurrent), turned(gate.bias), turned(gate.peephole))


# ---- in ONNX's terms -------------------------------------------------------------------------------------------------


def _emit(
    m: Lowerer, cell: Cell, initial: Sequence[Source], seq: Seq, *, backwards: bool, final: bool
) -> tuple[Value, ...]:
    """The hidden state of each step, [batch, sequence, hidden]; if asked for, all states of the last one, [batch,
    hidden] each.
    """
    op, size, kind = m.op, cell.states[0].size, cell.op_type
    inputs = list(dict.fromkeys(atom for gate in cell.gates for atom in gate.outer))
    x = [_rows(m, atom, seq) for atom in inputs]
    steps = op.Transpose(x[0] if len(x) == 1 else op.Concat(*x, axis=2), perm=[1, 0, 2])
    w = [[(gate.outer.get(atom), atom.size) for atom in inputs] for gate in cell.gates]
    r = [[(gate.recurrent, size)] for gate in cell.gates]
    states = [_state(m, source, size, seq, backwards) for source in initial]
    if all(state is None for state in states):
        states = []
    else:
        zeros = op.expand(op.const(0.0), (1, m.batch, size))
        states = [zeros if state is None else state for state in states]
    peepholes = None
    if cell.peepholes:
        peepholes = _weight(m, cell, "P", (1, 3 * size), lambda: _vectors(cell.peepholes, size))
    results = getattr(op, kind)(
        op.reshape(steps, (seq.size, m.batch, sum(atom.size for atom in inputs))),
        _weight(m, cell, "W", (1, len(w) * size, sum(atom.size for atom in inputs)), lambda: _matrices(w, size)),
        _weight(m, cell, "R", (1, len(r) * size, size), lambda: _matrices(r, size)),
        _bias(m, cell, size),
        op.cast(seq.lengths, DataType.INT32) if backwards or final else None,
        *states,
        *([None] * (2 - len(states)) if peepholes is not None else []),
        *([peepholes] if peepholes is not None else []),
        hidden_size=size,
        direction="reverse" if backwards else None,
        activations=cell.functions if cell.functions != _DEFAULTS[kind] else None,
        linear_before_reset=1 if cell.linear_before_reset else None,
        _outputs=1 + len(cell.states) if final else 1,
    )
    y, *last = results if final else (results,)
    return op.Transpose(op.Squeeze(y, [1]), perm=[1, 0, 2]), *(op.Squeeze(value, [0]) for value in last)


def _rows(m: Lowerer, atom: Atom, seq: Seq) -> Value:
    """[batch, sequence, size] of something from outside, which may be the same for all steps."""
    tensor = m.tensor(atom.of)  # type: ignore[arg-type]
    axes = Axes(True, seq)
    value = m.op.expand(with_axes(m.op, tensor, axes), (*leading_dims(axes, m.batch), *tensor.dims))
    return m.op.reshape(value, (m.batch, seq.size, atom.size))


def _state(m: Lowerer, source: Source, size: int, seq: Seq, backwards: bool) -> Value | None:
    """The initial state, [1, batch, size]; None for zeros."""
    tensor = m.tensor(source)
    known = tensor.value.array
    if known is not None and not known.any():
        return None
    return m.op.Unsqueeze(initial_steps(m, tensor, 1, (size,), seq, backwards), [0])


def _bias(m: Lowerer, cell: Cell, size: int) -> Value | None:
    own = [gate.bias for gate in cell.gates]
    if not any(own) and cell.recurrent_bias is None:
        return None
    recurrent = [None] * (len(own) - 1) + [cell.recurrent_bias]
    return _weight(m, cell, "B", (1, 2 * len(own) * size), lambda: _vectors([*own, *recurrent], size))


def _weight(m: Lowerer, cell: Cell, name: str, shape: tuple[int, ...], compute: Callable[[], np.ndarray]) -> Value:
    tensor = ComputedTensor(lambda: np.ascontiguousarray(compute()), DataType.FLOAT, shape)
    scope = m.op.scope
    return m.op.weight(tensor, f"{scope}/{cell.op_type}.{name}" if scope else f"{cell.op_type}.{name}")


def _matrices(gates: Sequence[Sequence[tuple[Weight | None, int]]], size: int) -> np.ndarray:
    """[1, gates * size, columns] of matrices [columns, size] for each gate."""
    columns = sum(n for _, n in gates[0])
    whole = np.empty((1, len(gates) * size, columns), np.float32)
    for place, parts in enumerate(gates):
        start = 0
        for part, n in parts:
            block = np.zeros((n, size), np.float32) if part is None else part.array()
            whole[0, place * size : (place + 1) * size, start : start + n] = contiguous(block.T)
            release(block)
            start += n
    return whole


def _vectors(many: Sequence[Weight | None], size: int) -> np.ndarray:
    """[1, n * size] of vectors, or of numbers that are the same for all elements."""
    parts: list[Any] = [np.zeros(size) if part is None else np.broadcast_to(part.array(), (size,)) for part in many]
    return np.concatenate(parts)[None].astype(np.float32, copy=False)

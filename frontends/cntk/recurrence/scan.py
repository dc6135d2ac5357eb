"""A loop as one ``Scan``.

In the body, tensors simply have no sequence axis, so that the lowerings are those of everything else. ``PastValue`` and
``FutureValue`` are the states: the last k steps, the oldest first. What comes from outside on the axis of the loop is
scanned, all else is captured. Nothing in the body is masked: forwards, what is behind the end of a sequence stays
there; backwards, sequences are turned around by their lengths and run forwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import onnx_ir as ir

from nxconvert.frontends.cntk.delays import in_order, initial_steps
from nxconvert.frontends.cntk.dynamic import Axes, Dims, Seq, Tensor, broadcast, with_axes
from nxconvert.frontends.cntk.lower import Lowerer
from nxconvert.frontends.cntk.network import Node, Result, Source
from nxconvert.frontends.cntk.recurrence.loop import DELAYS, Loop
from nxconvert.frontends.cntk.table import DataType, LoweringError
from nxconvert.graph.builder import TensorType, Value
from nxconvert.graph.dims import Int

_MAX_TRIALS = 6


@dataclass
class State:
    """What a delay remembers.

    Attributes:
        node: the delay.
        offset: how many steps.
        dims: the static sizes of a step.
    """

    node: Node
    offset: int
    dims: Dims

    def shape(self, batch: Int) -> tuple[Int, ...]:
        """[batch, *dims], or [batch, offset, *dims] of several steps."""
        return (batch, *((self.offset,) if self.offset > 1 else ()), *self.dims)


def lower(m: Lowerer, loop: Loop, seq: Seq, dims: dict[str, Dims]) -> None:
    """Lowers a loop, and binds what is used of it.

    Args:
        m: the lowerer.
        loop: the loop.
        seq: its axis.
        dims: the static sizes that its delays probably have.
    """
    (_scan_of_halves if loop.dtype == DataType.FLOAT16 else _scan)(m, loop, seq, dims)


def _scan_of_halves(m: Lowerer, loop: Loop, seq: Seq, dims: dict[str, Dims]) -> None:
    """A loop of halves in float32, which ONNX Runtime computes halves in, too; in bodies that it has to make do so
    itself, it crashes.
    """
    sources = dict.fromkeys([*loop.external, *(node.inputs[1] for node in loop.delays)])
    halves = {source: m.tensor(source) for source in sources if m.tensor(source).dtype == DataType.FLOAT16}
    m.values |= {source: x.of(m.op.cast(x.value, DataType.FLOAT)) for source, x in halves.items()}
    _scan(m, replace(loop, dtype=DataType.FLOAT), seq, dims)
    m.values |= halves
    for result in map(Result, loop.used):
        m.values[result] = m.values[result].of(m.op.cast(m.values[result].value, DataType.FLOAT16))


def _scan(m: Lowerer, loop: Loop, seq: Seq, dims: dict[str, Dims]) -> None:
    scanned = [source for source in loop.external if m.tensor(source).axes.seq is not None]
    states = [State(node, int(node.attributes.get("offset", 1)), dims[node.uid]) for node in loop.delays]
    body, results = _body(m, loop, states, scanned)
    start = [
        initial_steps(m, _initial(m, state.node, loop.dtype), state.offset, state.dims, seq, loop.backwards)
        for state in states
    ]
    inputs = [in_order(m.op, m.tensor(source), seq, loop.backwards) for source in scanned]
    types = [TensorType(value.etype, value.dims) for value in start]
    types += [TensorType(value.etype, (m.batch, seq.size, *value.dims[1:])) for value in results]
    attributes = {
        "body": body,
        "num_scan_inputs": len(inputs),
        "scan_input_axes": [1] * len(inputs),
        "scan_output_axes": [1] * len(results),
    }
    outputs = m.op.node("Scan", [*start, *inputs], attributes, types)[len(start) :]
    for uid, value in zip(loop.used, outputs, strict=True):
        tensor = Tensor(value, Axes(True, seq))
        m.values[Result(uid)] = tensor.of(in_order(m.op, tensor, seq, loop.backwards))


def _body(m: Lowerer, loop: Loop, states: list[State], scanned: Sequence[Source]) -> tuple[ir.Graph, list[Value]]:
    """One step of the loop, which gives the next states and what is used of the loop; and the latter.

    The states get the sizes that they turn out to have.
    """
    names = m.op.snapshot()
    for _ in range(_MAX_TRIALS):
        body = m.op.child()
        with m.inside(body):
            values = _step(m, loop, states, scanned)
            ends = [m.tensor(state.node.inputs[0]) for state in states]
            found = [
                broadcast([end.dims, m.tensor(state.node.inputs[1]).dims])
                for state, end in zip(states, ends, strict=True)
            ]
            if found == [state.dims for state in states]:
                new = [_shifted(m, *each) for each in zip(states, values, ends, strict=True)]
                used = [_with_batch(m, m.tensor(Result(uid))) for uid in loop.used]
                return body.graph([*new, *used], "step"), used
        body.discard()
        m.op.discard_names(names)
        for state, dims in zip(states, found, strict=True):
            state.dims = dims
    raise LoweringError("the shapes of the recurrence do not settle from step to step")


def _step(m: Lowerer, loop: Loop, states: Sequence[State], scanned: Sequence[Source]) -> list[Value]:
    """Lowers the functions of the loop in the body of the Scan, and gives the states that it takes."""
    body, values = m.op, []
    for state in states:
        value = body.input("state", loop.dtype, state.shape(m.batch))
        values.append(value)
        oldest = value if state.offset == 1 else body.Squeeze(body.Slice(value, [0], [1], [1]), [1])
        m.values[Result(state.node.uid)] = Tensor(oldest, Axes(True))
    for source in scanned:
        outer = m.tensor(source)
        m.values[source] = Tensor(body.input("step", outer.dtype, (m.batch, *outer.dims)), Axes(True))
    for node in loop.nodes:
        if node.op not in DELAYS:
            m.lower(node.uid)
    return values


def _initial(m: Lowerer, node: Node, dtype: DataType) -> Tensor:
    tensor = m.tensor(node.inputs[1])
    return tensor.of(m.op.cast(tensor.value, dtype))


def _shifted(m: Lowerer, state: State, steps: Value, end: Tensor) -> Value:
    """The state of the next step: without its oldest step, and with the one of now."""
    value = m.op.expand(with_axes(m.op, end, Axes(True), len(state.dims)), (m.batch, *state.dims))
    if state.offset == 1:
        return value
    return m.op.Concat(m.op.Slice(steps, [1], [state.offset], [1]), m.op.Unsqueeze(value, [1]), axis=1)


def _with_batch(m: Lowerer, tensor: Tensor) -> Value:
    if tensor.axes.batch:
        return tensor.value
    return m.op.expand(m.op.Unsqueeze(tensor.value, [0]), (m.batch, *tensor.dims))

"""``RecurrentNetwork``: a net that is run for each step of a sequence, as ONNX's LSTM, GRU or RNN where it is one
(:mod:`~nxconvert.frontends.caffe2.rnn_cells`), else as a ``Scan``.

The step net's blobs are *linked* to stretches of others: at step t, ``internal`` is ``external[t + offset : t + offset
+ window]``, where ``external`` is a sequence that exists outside, or one of the recurrent *states*: tensors [steps +
initial steps, batch, features] that begin with the initial state and that the step net continues through links of its
results. *Aliases* name stretches of the states as outputs. Semantics: ``caffe2/operators/rnn/recurrent_network_op.h``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from nxconvert.formats.caffe2 import NetDef, OperatorDef
from nxconvert.frontends.caffe2 import liveness, rnn_cells
from nxconvert.frontends.caffe2.blobs import Unset
from nxconvert.frontends.caffe2.machine import Machine, handles, text
from nxconvert.frontends.caffe2.table import DataType, LoweringError
from nxconvert.graph.builder import Builder, TensorType, Value
from nxconvert.graph.dims import Int, require

NO_TENSOR = Unset("holds the workspaces of the steps, and no tensor")


class Link(NamedTuple):
    """A blob of the step net that is a stretch of a sequence or state."""

    internal: str
    external: str
    offset: int
    window: int


@dataclass(frozen=True)
class Recurrence:
    """A ``RecurrentNetwork``, its arguments decoded.

    Attributes:
        net: the step net.
        states: the blob with the initial state of each recurrent state, in order.
        reads: the links that the step net reads.
        results: for each state the blob of the step net that continues it, and the offset of its link.
        aliases: (state, output, offset): the output is the state from there on, counted from the end if negative.
        timestep: the blob that holds the number of the step.
        sequence: the blob whose first two sizes are steps and batch.
    """

    net: NetDef
    states: dict[str, str]
    reads: list[Link]
    results: dict[str, tuple[str, int]]
    aliases: list[tuple[str, str, int]]
    timestep: str
    sequence: str


def recurrence(operator: OperatorDef) -> Recurrence:
    """The arguments of a ``RecurrentNetwork``.

    Raises:
        LoweringError: they do not fit together.
    """
    args = operator.args
    names = {key: [str(text(x)) for x in args.get(key, ())] for key in _NAMES}
    numbers = {key: [int(x) for x in args.get(key, ())] for key in _NUMBERS}
    windows = numbers["link_window"] or [1] * len(numbers["link_offset"])
    step = args.get("step_net")
    if not isinstance(step, NetDef):
        raise LoweringError("its argument 'step_net' is no net")
    try:
        links = list(
            map(
                Link,
                names["link_internal"],
                _of_length(names["link_external"], names["link_internal"]),
                _of_length(numbers["link_offset"], names["link_internal"]),
                _of_length(windows, names["link_internal"]),
            )
        )
        initial = [operator.inputs[i] for i in numbers["initial_recurrent_state_ids"]]
        states = dict(zip(names["recurrent_states"], initial, strict=True))
        aliases = list(zip(names["alias_src"], names["alias_dst"], numbers["alias_offset"], strict=True))
    except (ValueError, IndexError):
        raise LoweringError("its links, states and aliases do not have as many items as they should") from None
    # A link that the net writes first is a result; a state has one.
    first_read = liveness.read(step.ops)
    written = liveness.written(step.ops)
    results = {
        link.external: (link.internal, link.offset)
        for link in links
        if link.external in states and link.internal in written and link.internal not in first_read
    }
    reads = [link for link in links if link.internal in first_read or link.internal not in written]
    timestep = str(text(args.get("timestep", b"timestep")))
    return Recurrence(step, states, reads, results, aliases, timestep, operator.inputs[0])


_NAMES = ("link_internal", "link_external", "recurrent_states", "alias_src", "alias_dst")
_NUMBERS = ("link_offset", "link_window", "initial_recurrent_state_ids", "alias_offset")


def _of_length(items: list, others: Sequence) -> list:
    if len(items) != len(others):
        raise ValueError
    return items


@handles("RecurrentNetwork")
def recurrent_network(m: Machine, operator: OperatorDef) -> None:
    """Runs the step net over the sequence; binds outputs and states."""
    network = recurrence(operator)
    sequence = m.tensor(network.sequence)
    if sequence.rank < 2:
        raise LoweringError(f"its sequence '{network.sequence}' has {sequence.rank} dims; it needs steps and batch")
    for name in operator.outputs:
        m.blobs[name] = NO_TENSOR
    steps, batch = sequence.dims[0], sequence.dims[1]
    initial = {state: _initial_state(m.op, m.tensor(blob), batch) for state, blob in network.states.items()}
    if rnn_cells.recognize(m, network, initial):
        return
    whole = _scan(m, network, initial, steps)
    for state, output, offset in network.aliases:
        if state not in whole:
            raise LoweringError(f"its output '{output}' is an alias of '{state}', which is no recurrent state")
        m.blobs[output] = _stretch(m.op, initial[state], *whole[state], offset)
    for state in initial:
        if state in m.wanted:  # the states themselves are blobs, too
            m.blobs[state] = _stretch(m.op, initial[state], *whole[state], 0)


def _initial_state(op: Builder, value: Value, batch: Int) -> Value:
    """The initial steps of a state, [initial steps, batch, features]; one without a batch is that of all sequences."""
    if value.rank == 1:
        return op.expand(op.reshape(value, (1, 1, value.dims[0])), (1, batch, value.dims[0]))
    require(value.dims[-2], batch)
    if value.rank == 3 and not isinstance(value.dims[0], int):
        require(value.dims[0], 1)
    return op.reshape(value, (1, *value.dims)) if value.rank == 2 else value


def _stretch(op: Builder, initial: Value, results: Value, last: Value, offset: int) -> Value:
    """A state from a step on; its initial steps are followed by the results of all steps.

    Args:
        op: the builder.
        initial: [initial steps, batch, features].
        results: [steps, batch, features].
        last: as many steps from the end as there are initial ones.
        offset: the first step, counted from the end if negative.
    """
    first = initial.dims[0]
    if not isinstance(first, int):
        raise LoweringError("the number of steps of an initial state is not known")
    if offset == first:
        return results
    if offset < 0 and -offset <= first:
        return last if -offset == first else op.Slice(last, [first + offset], [first], [0])
    state = op.Concat(initial, results, axis=0)
    return state if offset == 0 else op.Slice(state, [offset], [np.iinfo(np.int64).max], [0])


def _scan(m: Machine, network: Recurrence, initial: dict[str, Value], steps: Int) -> dict[str, tuple[Value, Value]]:
    """Emits the ``Scan``; for each state the results of all steps, and its last steps."""
    op = m.op
    scanned: dict[str, Value] = {network.timestep: op.cast(op.Range(0, steps, 1), DataType.INT32)}
    sequences = [link for link in network.reads if link.external not in initial]
    for link in sequences:
        scanned.setdefault(link.internal, _windows(op, m.tensor(link.external), link, steps))
    body = op.child()
    with m.inside(body) as blobs:
        held = {state: body.input(state, value.etype, value.dims) for state, value in initial.items()}
        items = {name: body.input(name, value.etype, value.dims[1:]) for name, value in scanned.items()}
        blobs.update(
            (link.internal, _held(body, held[link.external], link)) for link in network.reads if link not in sequences
        )
        blobs.update(items)
        blobs[network.timestep] = body.reshape(items[network.timestep], (1,))
        m.run(network.net.ops)
        results = {state: _result(m, network, state, held[state]) for state in initial}
        following = {state: _shifted(body, held[state], value) for state, value in results.items()}
    graph = body.graph([*following.values(), *(body.reshape(v, v.dims[1:]) for v in results.values())], "step")
    types = [TensorType(value.etype, value.dims) for value in initial.values()]
    types += [TensorType(value.etype, (steps, *value.dims[1:])) for value in initial.values()]
    outputs = op.node(
        "Scan", [*initial.values(), *scanned.values()], {"body": graph, "num_scan_inputs": len(scanned)}, types
    )
    count = len(initial)
    return {state: (outputs[count + i], outputs[i]) for i, state in enumerate(initial)}


def _windows(op: Builder, sequence: Value, link: Link, steps: Int) -> Value:
    """What a link shows of a sequence at each step, [steps, window, ...]."""
    pieces = [
        op.Unsqueeze(
            sequence if start == 0 and sequence.dims[0] == steps else op.Slice(sequence, [start], [start + steps], [0]),
            [1],
        )
        for start in range(link.offset, link.offset + link.window)
    ]
    return pieces[0] if len(pieces) == 1 else op.Concat(*pieces, axis=1)


def _held(op: Builder, state: Value, link: Link) -> Value:
    """What a link shows of a state, of which the graph holds as many steps as the initial one has."""
    count = state.dims[0]
    if not isinstance(count, int) or link.offset < 0 or link.offset + link.window > count:
        raise LoweringError(
            f"the blob '{link.internal}' is linked to a step of '{link.external}' that is still to come"
        )
    if link.window == count:
        return state
    return op.Slice(state, [link.offset], [link.offset + link.window], [0])


def _result(m: Machine, network: Recurrence, state: str, held: Value) -> Value:
    """What a step adds to a state, [1, batch, features]."""
    if state not in network.results:
        raise LoweringError(f"no result of the step net continues the state '{state}'")
    name, offset = network.results[state]
    if offset != held.dims[0]:
        raise LoweringError(f"the result '{name}' is linked to step {offset} of '{state}', not to the next one")
    return m.op.reshape(m.tensor(name), (1, *held.dims[1:]))


def _shifted(op: Builder, held: Value, result: Value) -> Value:
    count = held.dims[0]
    return result if count == 1 else op.Concat(op.Slice(held, [1], [count], [0]), result, axis=0)

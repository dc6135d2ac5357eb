"""Recurrences: the functions of a loop as the body of one ``Scan``.

In the body, tensors simply have no sequence axis, so that the lowerings are those of everything else. ``PastValue`` and
``FutureValue`` are the states: the last k steps, the oldest first. What comes from outside on the axis of the loop is
scanned, all else is captured. Nothing in the body is masked: forwards, what is behind the end of a sequence stays
there; backwards, sequences are turned around by their lengths and run forwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from nxconvert.formats.cntk.model import PLACEHOLDER
from nxconvert.frontends.cntk import rnn_cells, running_sums
from nxconvert.frontends.cntk.delays import initial_steps, reversed_steps
from nxconvert.frontends.cntk.dynamic import Axes, Seq, Tensor, with_axes
from nxconvert.frontends.cntk.lower import Lowerer
from nxconvert.frontends.cntk.network import Node, Result, Source
from nxconvert.frontends.cntk.state_dims import Dims, around, broadcast
from nxconvert.frontends.cntk.table import Context, DataType, LoweringError, cntk
from nxconvert.graph.builder import Builder, TensorType, Value

_DELAYS = {"PastValue": False, "FutureValue": True}
MAX_TRIALS = 6


@dataclass(frozen=True)
class Loop:
    """A loop of functions.

    Attributes:
        nodes: in an order in which they can be computed once the delays are known.
        delays: those of them that are delays.
        external: what comes from outside, without the initial states.
        used: those whose results something outside of the loop uses.
        backwards: whether it runs from the last step to the first.
        dtype: of the states.
    """

    nodes: list[Node]
    delays: list[Node]
    external: list[Source]
    used: list[str]
    backwards: bool
    dtype: DataType


def lower_loop(m: Lowerer, group: Sequence[str]) -> None:
    """Lowers the functions of a loop, and gives what is used outside of it."""
    with m.at(m.network.nodes[group[0]]):
        loop = _loop(m, group)
    with m.at(loop.delays[0]):
        seq = _axis(m, loop)
        if running_sums.recognize(m, loop, seq):
            return
        dims = _state_dims(m, loop)
        if rnn_cells.recognize(m, loop, seq, dims):
            return
        (_scan_of_halves if loop.dtype == DataType.FLOAT16 else _scan)(m, loop, seq, dims)


def _scan(m: Lowerer, loop: Loop, seq: Seq, dims: dict[str, Dims]) -> None:
    """The loop as a Scan, with states of these sizes if those are right."""
    names = m.op.snapshot()
    for _ in range(MAX_TRIALS):
        body = m.op.child()
        if _attempt(m, loop, seq, dims, body):
            return
        body.discard()
        m.op.discard_names(names)
    raise LoweringError("the shapes of the recurrence do not settle from step to step")


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


def _loop(m: Lowerer, group: Sequence[str]) -> Loop:
    members = set(group)
    nodes = {uid: m.network.nodes[uid] for uid in group}
    delays = [node for node in nodes.values() if node.op in _DELAYS]
    if not delays:
        raise LoweringError("functions of the model depend on themselves, with no delay between them")
    directions = {_DELAYS[node.op] for node in delays}
    if len(directions) > 1:
        raise LoweringError("a recurrence goes through PastValue and FutureValue at once")
    ordered = _ordered(nodes)
    external = dict.fromkeys(
        source
        for node in ordered
        for source in (node.inputs[:1] if node.op in _DELAYS else node.inputs)
        if not (isinstance(source, Result) and source.node in members)
    )
    # Sequences of doubles may begin with floats.
    given = [m.tensor(source) for source in external]
    dtypes = {tensor.dtype for tensor in given if tensor.axes.seq is not None}
    dtype = DataType.DOUBLE if DataType.DOUBLE in dtypes else m.tensor(delays[0].inputs[1]).dtype
    return Loop(ordered, delays, list(external), _used_outside(m, ordered), directions.pop(), dtype)


def _ordered(nodes: dict[str, Node]) -> list[Node]:
    """The functions of a loop, each after what it depends on in the same step."""
    ordered: dict[str, Node] = {}
    for start in nodes:
        stack = [(start, iter(_same_step(nodes, start)))]
        entered = {start}
        while stack:
            uid, rest = stack[-1]
            child = next(rest, None)
            if child is None:
                stack.pop()
                ordered.setdefault(uid, nodes[uid])
            elif child in entered and child not in ordered:
                raise LoweringError("functions of the model depend on themselves, with no delay between them")
            elif child not in ordered:
                entered.add(child)
                stack.append((child, iter(_same_step(nodes, child))))
    return list(ordered.values())


def _same_step(nodes: dict[str, Node], uid: str) -> list[str]:
    node = nodes[uid]
    if node.op in _DELAYS:
        return []
    return [source.node for source in node.inputs if isinstance(source, Result) and source.node in nodes]


def _axis(m: Lowerer, loop: Loop) -> Seq:
    """The sequence axis that a loop runs along: that of what comes from outside."""
    axes = dict.fromkeys(tensor.axes.seq for tensor in map(m.tensor, loop.external) if tensor.axes.seq is not None)
    if not axes:
        raise LoweringError("a recurrence runs along no sequence")
    names = {axis.name for axis in axes}
    if len(names) > 1:
        raise LoweringError(f"a recurrence runs along different sequence axes, {' and '.join(sorted(names))}")
    return next(iter(axes))


def _state_dims(m: Lowerer, loop: Loop) -> dict[str, Dims]:
    """The static sizes of the delays, as far as they are known beforehand: recorded, worked out, or those of the
    initial state.
    """
    members = {node.uid for node in loop.nodes}

    def own(source: Source) -> str | None:
        return source.node if isinstance(source, Result) and source.node in members else None

    recorded = {node.uid: _recorded(m, node) for node in loop.delays}
    found = around(loop.nodes, recorded, lambda source: m.tensor(source).dims, own)
    return {node.uid: found.get(node.uid, m.tensor(node.inputs[1]).dims) for node in loop.delays}


def _recorded(m: Lowerer, node: Node) -> Dims | None:
    """The sizes that a placeholder records for a delay or for what it delays."""
    for source in (Result(node.uid), node.inputs[0]):
        if isinstance(source, Result):
            variable = m.placeholders.get(f"{source.node}_Output_{source.index}")
            if variable is not None and variable.kind == PLACEHOLDER and all(size >= 0 for size in variable.shape):
                return variable.shape
    return None


def _attempt(m: Lowerer, loop: Loop, seq: Seq, dims: dict[str, Dims], body: Builder) -> bool:
    """Lowers the loop with states of these sizes; says whether they were the right ones, and learns them if not."""
    op, batch = m.op, m.batch
    scanned = [source for source in loop.external if m.tensor(source).axes.seq is not None]
    offsets = [int(node.attributes.get("offset", 1)) for node in loop.delays]
    with m.inside(body):
        states = []
        for node, offset in zip(loop.delays, offsets, strict=True):
            state = body.input("state", loop.dtype, (batch, *((offset,) if offset > 1 else ()), *dims[node.uid]))
            states.append(state)
            oldest = state if offset == 1 else body.Squeeze(body.Slice(state, [0], [1], [1]), [1])
            m.values[Result(node.uid)] = Tensor(oldest, Axes(True))
        for source in scanned:
            outer = m.tensor(source)
            m.values[source] = Tensor(body.input("step", outer.dtype, (batch, *outer.dims)), Axes(True))
        for node in loop.nodes:
            if node.op not in _DELAYS:
                m.lower(node.uid)
        ends = [m.tensor(node.inputs[0]) for node in loop.delays]
        found = {
            node.uid: broadcast([end.dims, m.tensor(node.inputs[1]).dims])
            for node, end in zip(loop.delays, ends, strict=True)
        }
        if found != dims:
            dims.update(found)
            return False
        new = [_shifted(m, *each) for each in zip(states, ends, offsets, dims.values(), strict=True)]
        given = {uid: m.tensor(Result(uid)) for uid in loop.used}
        results = [_with_batch(m, tensor) for tensor in given.values()]
    graph = body.graph([*new, *results], "step")
    start = [
        initial_steps(m, _initial(m, node, loop.dtype), offset, dims[node.uid], seq, loop.backwards)
        for node, offset in zip(loop.delays, offsets, strict=True)
    ]
    inputs = [_turned(op, m.tensor(source), seq, loop.backwards) for source in scanned]
    types = [TensorType(value.etype, value.dims) for value in start]
    types += [TensorType(value.etype, (batch, seq.size, *value.dims[1:])) for value in results]
    attributes = {
        "body": graph,
        "num_scan_inputs": len(inputs),
        "scan_input_axes": [1] * len(inputs),
        "scan_output_axes": [1] * len(results),
    }
    outputs = op.node("Scan", [*start, *inputs], attributes, types)[len(start) :]
    for uid, value in zip(given, outputs, strict=True):
        tensor = Tensor(value, Axes(True, seq))
        m.values[Result(uid)] = tensor.of(_turned(op, tensor, seq, loop.backwards))
    return True


def _initial(m: Lowerer, node: Node, dtype: DataType) -> Tensor:
    tensor = m.tensor(node.inputs[1])
    return tensor.of(m.op.cast(tensor.value, dtype))


def _turned(op: Builder, tensor: Tensor, seq: Seq, backwards: bool) -> Value:
    value = with_axes(op, tensor, Axes(True, seq))
    return reversed_steps(op, value, seq) if backwards else value


def _shifted(m: Lowerer, state: Value, end: Tensor, offset: int, dims: Dims) -> Value:
    """The state of the next step: without its oldest step, and with the one of now."""
    value = m.op.expand(with_axes(m.op, end, Axes(True), len(dims)), (m.batch, *dims))
    if offset == 1:
        return value
    return m.op.Concat(m.op.Slice(state, [1], [offset], [1]), m.op.Unsqueeze(value, [1]), axis=1)


def _with_batch(m: Lowerer, tensor: Tensor) -> Value:
    if tensor.axes.batch:
        return tensor.value
    return m.op.expand(m.op.Unsqueeze(tensor.value, [0]), (m.batch, *tensor.dims))


def _used_outside(m: Lowerer, nodes: Sequence[Node]) -> list[str]:
    """The functions of a loop whose result something outside of it uses."""
    members = {node.uid for node in nodes}
    used = {
        source.node
        for node in m.network.nodes.values()
        if node.uid not in members
        for source in node.inputs
        if isinstance(source, Result) and source.node in members
    }
    used |= {o.source.node for o in m.network.outputs if isinstance(o.source, Result) and o.source.node in members}
    return [node.uid for node in nodes if node.uid in used]


@cntk("PastValue")
def past_value(op: Builder, x: Tensor, initial: Tensor, *, context: Context, offset: int = 1) -> Tensor:
    """The steps of each sequence ``offset`` steps later; the initial state before the first one."""
    return _delayed(op, x, initial, context, offset, backwards=False)


@cntk("FutureValue")
def future_value(op: Builder, x: Tensor, initial: Tensor, *, context: Context, offset: int = 1) -> Tensor:
    """The steps of each sequence ``offset`` steps earlier; the initial state behind the last one."""
    return _delayed(op, x, initial, context, offset, backwards=True)


def _delayed(op: Builder, x: Tensor, initial: Tensor, m: Context, offset: int, *, backwards: bool) -> Tensor:
    """The steps of a sequence some steps later, or earlier; the initial state where there is none."""
    seq = x.axes.seq
    if seq is None:
        raise LoweringError("what is delayed is no sequence")
    dims = broadcast([x.dims, initial.dims])
    if dims != x.dims:  # the steps are like the initial state
        x = x.of(op.expand(with_axes(op, x, x.axes, len(dims)), (m.batch, seq.size, *dims)))
    value = _turned(op, x, seq, backwards)
    first = initial_steps(m, initial.of(op.cast(initial.value, x.dtype)), offset, x.dims, seq, backwards)
    first = op.Unsqueeze(first, [1]) if offset == 1 else first
    value = op.Slice(op.Concat(first, value, axis=1), [0], op.dims_tensor([seq.size]), [1])
    value = op.reshape(value, (m.batch, seq.size, *x.dims))
    result = x.of(value)
    return result.of(_turned(op, result, seq, backwards))

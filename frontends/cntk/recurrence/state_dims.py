"""The static sizes of the states of a loop, before anything of the loop exists.

A state has the sizes of what is delayed, which depend on those of the state. Going around the loop, what is not known
yet counts as a single number, as CNTK's own inference has it: a product has the columns of its weight, a sum the sizes
of its other operand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from nxconvert.formats.cntk.dictionary import Axis
from nxconvert.formats.cntk.model import PLACEHOLDER
from nxconvert.frontends.cntk.dynamic import Dims, broadcast
from nxconvert.frontends.cntk.lower import Lowerer
from nxconvert.frontends.cntk.network import Node, Result, Source
from nxconvert.frontends.cntk.recurrence.loop import Loop
from nxconvert.frontends.cntk.table import axis

_MAX_ROUNDS = 8


def state_dims(m: Lowerer, loop: Loop) -> dict[str, Dims]:
    """The static sizes of the delays, as far as they are known beforehand: recorded, worked out, or those of the
    initial state.
    """
    members = {node.uid for node in loop.nodes}

    def own(source: Source) -> str | None:
        return source.node if isinstance(source, Result) and source.node in members else None

    recorded = {node.uid: _recorded(m, node) for node in loop.delays}
    found = _around(loop.nodes, recorded, lambda source: m.tensor(source).dims, own)
    return {node.uid: found.get(node.uid, m.tensor(node.inputs[1]).dims) for node in loop.delays}


def _recorded(m: Lowerer, node: Node) -> Dims | None:
    """The sizes that a placeholder records for a delay or for what it delays."""
    for source in (Result(node.uid), node.inputs[0]):
        if isinstance(source, Result):
            variable = m.placeholders.get(f"{source.node}_Output_{source.index}")
            if variable is not None and variable.kind == PLACEHOLDER and all(size >= 0 for size in variable.shape):
                return variable.shape
    return None


def _around(
    nodes: Sequence[Node],
    delays: Mapping[str, Dims | None],
    outer: Callable[[Source], Dims | None],
    own: Callable[[Source], str | None],
) -> dict[str, Dims]:
    """The sizes of the delays of a loop, as far as they can be told.

    Args:
        nodes: the functions of the loop, in an order in which they can be computed.
        delays: the delays among them, with their sizes where those are known beforehand.
        outer: the sizes of what comes from outside.
        own: the uid of the function of the loop that a source is the result of.
    """
    known: dict[str, Dims | None] = dict(delays)

    def dims(source: Source) -> Dims | None:
        uid = own(source)
        return outer(source) if uid is None else known.get(uid)

    for _ in range(_MAX_ROUNDS):
        before = dict(known)
        for node in nodes:
            if node.uid not in delays:
                known[node.uid] = _dims(node, [dims(source) for source in node.inputs])
        for node in nodes:
            if node.uid in delays and delays[node.uid] is None:
                # The initial state is broadcast to that of the other steps.
                known[node.uid] = _common(map(dims, node.inputs))
        if known == before:
            break
    return {uid: found for uid in delays if (found := known[uid]) is not None}


def _dims(node: Node, inputs: Sequence[Dims | None]) -> Dims | None:
    if node.op in ("Times", "TransposeTimes"):
        return _product(node, *inputs[:2])
    if node.op == "Slice":
        return _slice(node, inputs[0])
    if node.op == "Splice":
        return _splice(node, inputs)
    if node.op == "Reshape":
        return _reshape(node, inputs[0])
    if node.op in _FIRST:
        return inputs[0]
    return _common(inputs) if node.op in _ELEMENTWISE else None


_FIRST = frozenset({"ReconcileDynamicAxis", "Softmax", "Hardmax", "LogSoftmax", "BatchNormalization", "Cast"})
_ELEMENTWISE = frozenset(
    """
    Negate Sigmoid Tanh ReLU Exp Log Sqrt Floor Abs Reciprocal Dropout Plus Minus ElementTimes Equal NotEqual Less
    LessEqual Greater GreaterEqual Clip Select LogPlus Sin Cos Pass NoOp StopGradient ELU Pow StableSigmoid Sinh Cosh
    Asin Acos Atanh Asinh StraightThrough Tan Atan PastValue FutureValue CustomProxyOp
    """.split()  # noqa: SIM905
)


def _common(many: Iterable[Dims | None]) -> Dims | None:
    """The sizes of those that are known, if any are."""
    known = [dims for dims in many if dims is not None]
    return broadcast(known) if known else None


def _product(node: Node, right: Dims | None, left: Dims | None) -> Dims | None:
    if right is None:
        return None
    if node.op == "TransposeTimes":
        right = tuple(reversed(right)) if len(right) > 1 else (*right, 1)
    contracted = len(right) - int(node.attributes.get("outputRank", 1))
    rows = left[: len(left) - contracted] if left is not None and len(left) >= contracted else ()
    return (*rows, *right[contracted:])


def _slice(node: Node, x: Dims | None) -> Dims | None:
    place = node.attributes.get("axis")
    if not isinstance(place, Axis) or abs(int(node.attributes.get("sliceStrides", 1))) != 1:
        return None
    begin, end = int(node.attributes["beginIndex"]), int(node.attributes["endIndex"])
    at = axis(place.static)
    if x is None:
        # The end of a part says its size if it is counted from the beginning, as all others do if it is the last axis.
        return (end - begin,) if at == -1 and 0 <= begin < end else None
    if -at > len(x) or not isinstance(size := x[at], int):
        return None
    begin, end = (begin + size if begin < 0 else begin), (end + size if end <= 0 else end)
    return (*x[:at], end - begin, *x[len(x) + at + 1 :])


def _splice(node: Node, many: Sequence[Dims | None]) -> Dims | None:
    place = node.attributes.get("axis")
    known = [dims for dims in many if dims is not None]
    if not isinstance(place, Axis) or len(known) < len(many):
        return None
    at, rank = axis(place.static), max(map(len, known))
    rank = max(rank, -at)
    padded = [(*[1] * (rank - len(dims)), *dims) for dims in known]
    sizes = list(broadcast(padded))
    sizes[at] = sum(dims[at] for dims in padded)
    return tuple(sizes)


def _reshape(node: Node, x: Dims | None) -> Dims | None:
    shape = tuple(node.attributes.get("newShape", ()))
    begin, end = node.attributes.get("beginAxis"), node.attributes.get("endAxis")
    if not isinstance(begin, Axis) or not isinstance(end, Axis) or begin.static != 0 or any(n < 0 for n in shape):
        return None
    before = x[: len(x) - end.static] if x is not None and 0 < end.static < len(x) else ()
    return (*before, *reversed(shape))

"""The operators that hold nets: branches and loops over blobs, nets within nets.

The nets of ``If`` and ``While`` run in the workspace around them, whether or not the operator declares outputs: what
they write there is what the branches may change and what the loop carries. The net of a ``Do`` sees blobs of its own,
some of which are bound to blobs around it. Semantics: ``caffe2/operators/{if,while,do,onnx_while}_op.h``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from nxconvert.formats.caffe2 import NetDef, OperatorDef
from nxconvert.frontends.caffe2 import liveness
from nxconvert.frontends.caffe2.blobs import Blob, Int8, Map, Scope, Unset
from nxconvert.frontends.caffe2.machine import Machine, Open, handles, text
from nxconvert.frontends.caffe2.table import DataType, LoweringError
from nxconvert.graph.builder import Builder, TensorType, Value
from nxconvert.graph.dims import Int

Blobs = Mapping[str, "Blob | Open"]
#: What a branch has emitted, and the blobs it leaves.
Side = tuple[Builder, dict[str, "Blob | Open"]]

#: A loop of at most so many rounds, all known beforehand, is unrolled.
UNROLL_ROUNDS = 16
MAX_TRIALS = 16


def net_of(operator: OperatorDef, name: str, *, required: bool = False) -> NetDef | None:
    """An argument that is a net.

    Raises:
        LoweringError: it is missing, or something else.
    """
    value = operator.args.get(name)
    if isinstance(value, NetDef):
        return value
    if value is not None or required:
        raise LoweringError(f"its argument '{name}' is no net")
    return None


def flag(m: Machine, name: str) -> Value:
    """The only element of a blob, as a bool of rank 0."""
    value = m.operand(name)
    if not isinstance(value, Value):
        raise LoweringError(f"its condition '{name}' is no tensor")
    return m.op.cast(m.op.reshape(value, ()), DataType.BOOL)


# ---- blobs as values of the graph ------------------------------------------------------------------------------------


def parts(blob: Blob | Open) -> list[Value] | None:
    """The values that a blob is made of; None for one that a graph cannot choose or carry."""
    if isinstance(blob, Value):
        return [blob]
    if isinstance(blob, Int8):
        return [blob.value]
    if isinstance(blob, Map):
        return [blob.keys, blob.values]
    return None


def rebuilt(blob: Blob | Open, values: Sequence[Value]) -> Blob:
    """A blob like another one, made of other values."""
    if isinstance(blob, Int8):
        return Int8(values[0], blob.scale, blob.zero_point)
    if isinstance(blob, Map):
        return Map(values[0], values[1])
    return values[0]


def alike(a: Blob | Open, b: Blob | Open) -> bool:
    """Whether two blobs are of one kind, dtypes and ranks, so that a graph can hold either in one place."""
    mine, others = parts(a), parts(b)
    if mine is None or others is None or (type(a) is not type(b) and not isinstance(a, Value)):
        return False
    if isinstance(a, Int8) and isinstance(b, Int8) and (a.scale, a.zero_point) != (b.scale, b.zero_point):
        return False
    pairs = list(zip(mine, others, strict=False))
    return len(mine) == len(others) and all(x.etype == y.etype and x.rank == y.rank for x, y in pairs)


# ---- branches --------------------------------------------------------------------------------------------------------


@handles("If", "AsyncIf")
def branch(m: Machine, operator: OperatorDef) -> None:
    """``If``: both nets are run, and what either of them writes is chosen by the condition."""
    then, otherwise = net_of(operator, "then_net", required=True), net_of(operator, "else_net")
    condition = flag(m, operator.inputs[0])
    if condition.array is not None:
        taken = then if bool(condition.array) else otherwise
        m.run(taken.ops if taken is not None else ())
        return
    sides: list[Side] = []
    for net in (then, otherwise):
        with m.inside(m.op.child()) as blobs:
            m.run(net.ops if net is not None else ())
            sides.append((m.op, blobs))
    _choose(m, condition, *sides)


def _choose(m: Machine, condition: Value, then: Side, otherwise: Side) -> None:
    """Binds every blob that a branch has changed to one of its two contents."""
    chosen: list[str] = []
    for name in dict.fromkeys((*then[1], *otherwise[1])):
        _stretch_placeholder(m, name, then, otherwise)
        _stretch_placeholder(m, name, otherwise, then)
        before, a, b = m.blobs.get(name), then[1].get(name), otherwise[1].get(name)
        if a is before and b is before:
            continue
        if isinstance(a, Scope) or isinstance(b, Scope):
            m.blobs[name] = Scope()
        elif a is None or b is None:
            m.blobs[name] = Unset("is written in one branch of an If only")
        elif alike(a, b):
            chosen.append(name)
        else:
            m.blobs[name] = Unset("has another dtype or rank in either branch of an If")
    if not chosen:
        return
    pairs = [list(zip(parts(then[1][name]) or (), parts(otherwise[1][name]) or (), strict=True)) for name in chosen]
    flat = [pair for pairs_of_one in pairs for pair in pairs_of_one]
    graphs = {
        "then_branch": then[0].graph([a for a, _ in flat], "then_branch"),
        "else_branch": otherwise[0].graph([b for _, b in flat], "else_branch"),
    }
    types = [TensorType(a.etype, common_dims(m.op, a, b)) for a, b in flat]
    results = iter(m.op.node("If", [condition], graphs, types))
    for name, pairs_of_one in zip(chosen, pairs, strict=True):
        m.blobs[name] = rebuilt(then[1][name], [next(results) for _ in pairs_of_one])


def _stretch_placeholder(m: Machine, name: str, side: Side, other: Side) -> None:
    """Gives a single number the rank that the blob has in the other branch: nets fill a blob with one so that it exists
    where the branch that computes it is not taken.
    """
    number, tensor = side[1].get(name), other[1].get(name)
    if not isinstance(number, Value) or not isinstance(tensor, Value) or number.rank >= tensor.rank:
        return
    if number.dims in ((), (1,)) and number.etype == tensor.etype:
        side[1][name] = side[0].reshape(number, (1,) * tensor.rank)
        m.warn(
            f"where the blob '{name}' is a single number, because the branch of an If that computes it is not taken, "
            f"it has {tensor.rank} dims here as everywhere, not {number.rank}"
        )


def common_dims(op: Builder, a: Value, b: Value) -> tuple[Int, ...]:
    """The sizes of a value that is one of two: those that both have and that mean something out here, or new ones."""
    return tuple(x if x == y and op.knows(x) else op.fresh("dim") for x, y in zip(a.dims, b.dims, strict=True))


# ---- loops -----------------------------------------------------------------------------------------------------------


@handles("While")
def while_(m: Machine, operator: OperatorDef) -> None:
    """``While``: the net of the condition runs before each round, the first one included."""
    body, test = net_of(operator, "loop_net", required=True), net_of(operator, "cond_net")
    condition = operator.inputs[0]
    assert body is not None
    tests = test.ops if test is not None else []
    if _unrolled(m, condition, tests, body.ops):
        return
    m.run(tests)
    first = flag(m, condition)
    rounds = [*body.ops, *tests]

    def one_round(inputs: RoundInputs) -> Round:
        m.blobs.update(inputs.carried)
        m.run(rounds)
        return Round(flag(m, condition), m.blobs)

    written = liveness.written(rounds)
    entry = {name: m.blobs[name] for name in written if name in m.blobs}
    m.blobs.update(emit_loop(m, one_round, entry, first=first, read=liveness.read(rounds)).carried)
    for name in written:
        m.blobs.setdefault(name, Unset("is written inside a While only"))


def _unrolled(m: Machine, condition: str, tests: Sequence[OperatorDef], body: Sequence[OperatorDef]) -> bool:
    """Runs a loop round by round; takes it all back and says no where it depends on data how often, or is often."""
    names, op = m.op.snapshot(), m.op
    done: dict[str, Blob | Open] | None = None
    with m.inside(op.child()) as blobs:
        trial = m.op
        for _ in range(UNROLL_ROUNDS + 1):
            m.run(tests)
            known = flag(m, condition).array
            if known is None:
                break
            if not bool(known):
                done = dict(blobs)
                break
            m.run(body)
    if done is None:
        trial.discard()
        op.discard_names(names)
        return False
    op.absorb(trial)
    m.blobs.update(done)
    return True


@handles("ONNXWhile")
def onnx_while(m: Machine, operator: OperatorDef) -> None:
    """``ONNXWhile``: a loop as ONNX has it; its net's inputs are round, condition and what is carried, its outputs the
    next condition, what is carried, and what is stacked over all rounds.
    """
    net = net_of(operator, "body", required=True)
    assert net is not None
    count = int(operator.args.get("num_loop_carried_deps", -1))
    count = len(operator.inputs) - 2 if count < 0 else count
    if len(net.inputs) < count + 2 or len(net.outputs) < count + 1:
        raise LoweringError(f"its net has {len(net.inputs)} inputs and {len(net.outputs)} outputs; it carries {count}")
    number, running, *names = net.inputs[: count + 2]
    following, *ends = net.outputs[: count + 1]
    stacked = net.outputs[count + 1 :]
    test = bool(operator.args.get("has_cond"))

    entry = {name: m.operand(outer) for name, outer in zip(names, operator.inputs[2:], strict=False)}

    def one_round(inputs: RoundInputs) -> Round:
        m.blobs.update({name: blob for name, blob in {**entry, **inputs.carried}.items() if blob is not None})
        m.blobs[number] = inputs.number
        m.blobs[running] = m.op.reshape(inputs.running, (1,))
        m.run(net.ops)
        condition = flag(m, following) if test else inputs.running
        left = {name: m.blobs[end] for name, end in zip(names, ends, strict=True)}
        values = [value for value in map(m.operand, stacked) if isinstance(value, Value)]
        return Round(condition, left, values)

    trips = m.operand(operator.inputs[0]) if operator.args.get("has_trip_count") else None
    results = emit_loop(
        m,
        one_round,
        {name: blob for name, blob in entry.items() if blob is not None},
        first=flag(m, operator.inputs[1]) if test else None,
        trips=m.op.cast(m.op.reshape(trips, ()), DataType.INT64) if isinstance(trips, Value) else None,
        read=dict.fromkeys(names),
    )
    # The runtime gives what is stacked the shape of the first round, and lets its first axis grow by one a round.
    stacked_values = [m.op.reshape(v, (v.dims[0], *v.dims[2:])) if v.dims[1:2] == (1,) else v for v in results.stacked]
    m.bind(operator.outputs, [*(results.carried[name] for name in names), *stacked_values])


class RoundInputs(NamedTuple):
    """What a round of a loop begins with: its number (int64, rank 0), whether it runs, and what is carried."""

    number: Value
    running: Value
    carried: Mapping[str, Blob]


class Round(NamedTuple):
    """What a round leaves: whether there is a next one (bool, rank 0), the blobs, and what is stacked."""

    condition: Value
    blobs: Blobs
    stacked: Sequence[Value] = ()


class Results(NamedTuple):
    """What a loop leaves: what it carries, and what it has stacked along a first axis."""

    carried: Mapping[str, Blob | Open]
    stacked: Sequence[Value]


def emit_loop(
    m: Machine,
    one_round: Callable[[RoundInputs], Round],
    entry: Mapping[str, Blob | Open],
    *,
    read: Mapping[str, None],
    first: Value | None = None,
    trips: Value | None = None,
) -> Results:
    """Emits a ``Loop``. Sizes that a round changes become unknown, trial by trial, until no more of them change; what
    no round changes is not carried.

    Args:
        m: the machine, at the place of the loop.
        one_round: runs a round in the body.
        entry: the blobs that a round may change, with what they hold before.
        read: the blobs that a round reads before it writes them.
        first: whether there is a first round; None for always.
        trips: the greatest number of rounds (int64, rank 0); None for any.

    Raises:
        LoweringError: what is carried changes its dtype or rank, or its sizes do not settle.
    """
    carried = {name: blob for name, blob in entry.items() if parts(blob) is not None}
    dims = {name: [value.dims for value in parts(blob) or ()] for name, blob in carried.items()}
    loose: set[Int] = set()
    names = m.op.snapshot()
    for _ in range(MAX_TRIALS):
        body = m.op.child()
        with m.inside(body):
            number, running = body.input("round", DataType.INT64, ()), body.input("running", DataType.BOOL, ())
            inside = {name: _state(body, name, blob, dims[name]) for name, blob in carried.items()}
            end = one_round(RoundInputs(number, running, inside))
        if _settle(m.op, carried, dims, inside, end.blobs, read, loose):
            results, stacked = _emit(m.op, body, carried, dims, end, first, trips)
            return Results({**entry, **results}, stacked)
        body.discard()
        m.op.discard_names(names)
    raise LoweringError("the sizes of what the loop carries do not settle from round to round")


def _state(body: Builder, name: str, blob: Blob | Open, dims: Sequence[tuple[Int, ...]]) -> Blob:
    values = [body.input(name, value.etype, sizes) for value, sizes in zip(parts(blob) or (), dims, strict=True)]
    return rebuilt(blob, values)


def _settle(
    op: Builder,
    carried: dict[str, Blob | Open],
    dims: dict[str, list[tuple[Int, ...]]],
    inside: Mapping[str, Blob],
    left: Blobs,
    read: Mapping[str, None],
    loose: set[Int],
) -> bool:
    """Learns from a trial what a loop has to carry, and of which sizes; says whether the trial carried just that."""
    settled = True
    for name, state in inside.items():
        end = left.get(name)
        if end is state:
            del carried[name]
            settled = False
        elif end is None or not alike(state, end):
            if name in read:
                raise LoweringError(f"the blob '{name}' changes its dtype or rank from round to round")
            del carried[name]
            settled = False
        else:
            for place, (before, value) in enumerate(zip(dims[name], parts(end) or (), strict=True)):
                changing = [x != y and x not in loose for x, y in zip(before, value.dims, strict=True)]
                new = tuple(op.fresh(name) if c else x for c, x in zip(changing, before, strict=True))
                loose.update(x for c, x in zip(changing, new, strict=True) if c)
                dims[name][place] = new
                settled = settled and not any(changing)
    return settled


def _emit(
    op: Builder,
    body: Builder,
    carried: Mapping[str, Blob | Open],
    dims: Mapping[str, Sequence[tuple[Int, ...]]],
    end: Round,
    first: Value | None,
    trips: Value | None,
) -> tuple[dict[str, Blob | Open], list[Value]]:
    """Emits the loop that a trial has built the body of."""

    def outside(sizes: Iterable[Int]) -> tuple[Int, ...]:
        return tuple(d if op.knows(d) else op.fresh("dim") for d in sizes)

    starts = [value for blob in carried.values() for value in parts(blob) or ()]
    ends = [value for name in carried for value in parts(end.blobs[name]) or ()]
    graph = body.graph([end.condition, *ends, *end.stacked], "body")
    types = [
        TensorType(v.etype, outside(d)) for v, d in zip(starts, (x for n in carried for x in dims[n]), strict=True)
    ]
    types += [TensorType(v.etype, (op.fresh("rounds"), *outside(v.dims))) for v in end.stacked]
    if not types:
        return {}, []
    results = iter(op.node("Loop", [trips, first, *starts], {"body": graph}, types))
    final: dict[str, Blob | Open] = {
        name: rebuilt(blob, [next(results) for _ in parts(blob) or ()]) for name, blob in carried.items()
    }
    return final, list(results)


# ---- nets within nets ------------------------------------------------------------------------------------------------


@handles("CreateScope")
def create_scope(m: Machine, operator: OperatorDef) -> None:
    """``CreateScope``: an empty workspace for a ``Do``."""
    m.bind(operator.outputs, Scope())


@handles("Do")
def do(m: Machine, operator: OperatorDef) -> None:
    """``Do``: runs a net on blobs of its own, some of which stand for blobs out here."""
    net = net_of(operator, "net", required=True)
    assert net is not None
    bound = _bindings(operator)
    inner: dict[str, Blob | Open] = {name: m.blobs[outer] for name, outer in bound.items() if outer in m.blobs}
    scope = m.blobs.get(operator.inputs[-1])
    if operator.args.get("reuse_workspace") and isinstance(scope, Scope):
        inner = {**scope.blobs, **inner}
    with m.inside(m.op, inner) as blobs:
        m.run(net.ops)
    for name, outer in bound.items():
        if blobs.get(name) is not inner.get(name):
            m.blobs[outer] = blobs[name]
    m.blobs[operator.outputs[-1]] = Scope(
        {name: blob for name, blob in blobs.items() if name not in bound and not isinstance(blob, Open)}
    )


def _bindings(operator: OperatorDef) -> dict[str, str]:
    """The blobs out here that the net's blobs stand for, by the net's names.

    Raises:
        LoweringError: names are bound twice, or to nothing, as the runtime refuses them.
    """
    if not operator.inputs or not operator.outputs or operator.inputs[-1] != operator.outputs[-1]:
        raise LoweringError("its last input and its last output are not one workspace")
    outer = [*operator.inputs[:-1], *operator.outputs[:-1]]
    names = [str(text(name)) for name in operator.args.get("inner_blobs", ())]
    places = [int(place) for place in operator.args.get("outer_blobs_idx", ())]
    if len(names) != len(places):
        raise LoweringError(f"it binds {len(names)} blobs of its net to {len(places)} blobs")
    bound: dict[str, str] = {}
    for name, place in zip(names, places, strict=True):
        if not 0 <= place < len(outer):
            raise LoweringError(f"it binds '{name}' to blob number {place} of {len(outer)}")
        if name in bound or outer[place] in bound.values():
            raise LoweringError(f"it binds '{name}' or '{outer[place]}' twice")
        bound[name] = outer[place]
    return bound

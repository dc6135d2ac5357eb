"""``for`` and ``while``: unrolled where that is short, else a ``Loop``.

What the body changes is joined round by round until its specs no longer change; the trial that confirms them is the
body. What other trials emitted is discarded.
"""

from __future__ import annotations

import ast
import itertools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from nxconvert.frontends.pytorch.dtypes import DataType
from nxconvert.frontends.pytorch.ops.common import as_tensor
from nxconvert.frontends.pytorch.script import abstract, kinship, lists
from nxconvert.frontends.pytorch.script.abstract import Content, NumberSpec, Same, Spec, TensorSpec
from nxconvert.frontends.pytorch.script.blocks import (
    Key,
    Outcome,
    assigned_names,
    at_end,
    at_end_of,
    content_for,
    final,
    joinable,
    run_block,
)
from nxconvert.frontends.pytorch.script.frames import Frame
from nxconvert.frontends.pytorch.script.values import (
    Box,
    Cell,
    Collected,
    ListCell,
    Stacked,
)  # fmt: skip
from nxconvert.frontends.pytorch.table import LoweringError, Scalar
from nxconvert.graph.builder import TensorType, Value
from nxconvert.graph.dims import Int

if TYPE_CHECKING:
    from nxconvert.frontends.pytorch.script.interpreter import Interpreter
    from nxconvert.frontends.pytorch.script.machine import Machine

UNROLL_ROUNDS = 16
"""A loop of at most so many rounds, known beforehand, is unrolled."""
UNROLL_NODES = 60
"""A longer one is unrolled while it emits fewer nodes than this in all: loops that only compute numbers."""
STATIC_STEPS = 50_000
"""And while it runs fewer statements than this, those of inner loops included."""
MAX_TRIALS = 12


def for_loop(ip: Interpreter, node: ast.For, frame: Frame) -> None:
    """``for i in range(n)`` and ``for x in list``."""
    iterator = node.iter
    if isinstance(iterator, ast.Call) and isinstance(iterator.func, ast.Name) and iterator.func.id == "range":
        bounds = [ip.evaluate(arg, frame) for arg in iterator.args]
        start, end, step = (0, *bounds, 1) if len(bounds) == 1 else (*bounds, 1)[:3]
        rounds = lists.range_length(start, end, step)
        _rounds(ip, node, frame, rounds, lambda i: start + i * step)
        return
    items = ip.evaluate(iterator, frame)
    if isinstance(items, Box):
        rounds = ip.tensor(items).dims[0]
        _rounds(ip, node, frame, rounds, lambda i: ip.operator("select", (items, 0, i), {}, node, frame))
    elif isinstance(items, ListCell) and not isinstance(items.content, tuple):
        _rounds(ip, node, frame, lists.length(ip, items), lambda i: lists.item_at(ip, items, i))
    else:
        for item in items.content if isinstance(items, ListCell) else tuple(items):
            ip.bind(node.target, item, frame)
            ip.run(node.body, frame)


def _rounds(ip: Interpreter, node: ast.For, frame: Frame, rounds: Int, item: Callable[[Int], Any]) -> None:
    def one_round(i: Int, local: Frame) -> None:
        ip.bind(node.target, item(i), local)
        ip.run(node.body, local)

    if isinstance(rounds, int) and _unrolled(
        ip, frame, lambda local: iter(range(rounds)), one_round, rounds <= UNROLL_ROUNDS
    ):
        return
    trips = ip.op.dim_value(rounds)
    Loop(ip, frame, assigned_names(node.body), one_round, trips=trips, rounds=rounds).emit()


def while_loop(ip: Interpreter, node: ast.While, frame: Frame) -> None:
    """``while condition``."""

    def conditions(local: Frame) -> Iterator[int]:
        count = 0
        while True:
            condition = ip.truth(ip.evaluate(node.test, local))
            if not isinstance(condition, bool):
                raise _Traced
            if not condition:
                return
            yield count
            count += 1

    def one_round(_: Int, local: Frame) -> None:
        ip.run(node.body, local)

    first = ip.truth(ip.evaluate(node.test, frame))
    if isinstance(first, bool) and _unrolled(ip, frame, conditions, one_round, False):
        return
    test = lambda local: ip.truth(ip.evaluate(node.test, local))  # noqa: E731
    Loop(ip, frame, assigned_names(node.body), one_round, test=test).emit()


class _Traced(Exception):
    """The condition of a loop that was known so far depends on data."""


def _unrolled(
    ip: Machine,
    frame: Frame,
    rounds: Callable[[Frame], Iterator[int]],
    one_round: Callable[[Int, Frame], None],
    always: bool,
) -> bool:
    """Runs a loop round by round; takes it all back and says no if that leads to a traced condition or to too many
    nodes.
    """
    names = ip.op.snapshot()
    emitted, steps = 0, ip.steps

    def action(local: Frame) -> None:
        nonlocal emitted
        for i in rounds(local):
            one_round(i, local)
            emitted = len(ip.op.nodes)
            if not always and (emitted > UNROLL_NODES or ip.steps - steps > STATIC_STEPS):
                raise _Traced

    if always:
        for i in rounds(frame):
            one_round(i, frame)
        return True
    try:
        outcome = run_block(ip, frame, action)
    except _Traced:
        ip.op.discard_names(names)
        return False
    ip.op.absorb(outcome.op)
    frame.variables.update(outcome.frame.variables)
    for (cell, slot), content in outcome.changed.items():
        ip.journal.write(cell, slot, content)
    return True


class Loop:
    """One loop on its way to a ``Loop`` node.

    Args:
        ip: the interpreter.
        frame: the variables before the loop, and after it.
        names: the variables that the body assigns.
        one_round: runs the body, given the number of the round.
        trips: how often, for a counted loop.
        rounds: the same as a dim.
        test: the condition, for a ``while``.
    """

    def __init__(
        self,
        ip: Machine,
        frame: Frame,
        names: list[str],
        one_round: Callable[[Int, Frame], None],
        *,
        trips: Value | None = None,
        rounds: Int | None = None,
        test: Callable[[Frame], bool | Scalar] | None = None,
    ) -> None:
        self._ip = ip
        self._frame = frame
        self._one_round = one_round
        self._trips = trips
        self._rounds = rounds
        self._test = test
        self._entry: dict[Key, Any] = {(name, None): frame.variables[name] for name in names if name in frame.variables}
        self._specs: dict[Key, Spec] = {key: Same(value) for key, value in self._entry.items()}
        self._collecting: set[Key] = set()
        self._refused: set[Key] = set()
        # What from before the loop a variable may hold in a later round, or after the loop, and which of them may hold
        # one tensor.
        self._origins: dict[Key, dict[Cell, None]] = {}
        self._twins: set[frozenset[Key]] = set()
        self._doubtful: list[Cell] = []
        self._born: int | None = None

    def emit(self) -> None:
        """Finds the specs, emits the node, and binds the variables to its outputs."""
        ip = self._ip
        scope, source = ip.op.scope, ip.op.source
        for _ in range(MAX_TRIALS):
            names = ip.op.snapshot()
            ip.op.scope, ip.op.source = scope, source
            try:
                trial = _Trial(ip, self._frame, self, self._one_round, self._test)
            except lists.GrowthOnly:
                ip.op.discard_names(names)
                self._refused |= self._collecting
                self._collecting.clear()
                continue
            if self._settled(trial):
                ip.op.scope, ip.op.source = scope, source
                self._finish(trial)
                return
            trial.outcome.op.discard()
            ip.op.discard_names(names)
        raise LoweringError("the types of a loop's variables do not settle")

    def _settled(self, trial: _Trial) -> bool:
        """Joins the specs with what the trial ended with; says whether they cover it already."""
        ip, outcome = self._ip, trial.outcome
        settled = not self._doubts(outcome)
        for key in outcome.changed:
            if key not in self._entry and key[0] not in self._doubtful:
                self._entry[key] = joinable(key, key[0].read(key[1]))
                self._specs[key] = Same(self._entry[key])
        settled = self._same_kin(outcome) and settled
        for key, spec in list(self._specs.items()):
            if key in self._collecting:
                if not self._collects(trial, key):
                    self._collecting.discard(key)
                    self._refused.add(key)
                    settled = False
                continue
            if key not in self._refused and self._only_grows(trial, key):
                self._collecting.add(key)
                settled = False
                continue
            end = final(outcome, key)
            if not isinstance(spec, Same) or spec.value is not end:
                end = at_end(outcome, end)
            joined = abstract.outer(ip.op, abstract.join(ip, spec, Same(end)))
            if isinstance(spec, NumberSpec) and isinstance(joined, NumberSpec) and joined.low != spec.low:
                joined = NumberSpec(joined.dtype)  # a bound that moves round by round is none
            if joined != spec:
                self._specs[key] = joined
                settled = False
        return settled

    def _doubts(self, outcome: Outcome) -> bool:
        """Whether the body left something from outside doubtful that was not so far."""
        found = [key for key, content in outcome.changed.items() if isinstance(content, kinship.Doubtful)]
        new = [key for key in found if key[0] not in self._doubtful]
        for key in new:
            self._doubtful.append(key[0])
            self._specs.pop(key, None)
            self._entry.pop(key, None)
        return bool(new)

    def _same_kin(self, outcome: Outcome) -> bool:
        """Notes what the variables hold at the end of a round; says whether that was known."""
        before = sum(map(len, self._origins.values())), len(self._twins)
        # What was born between the first trial and this one is gone.
        self._born = self._born or outcome.born
        holders: dict[Cell, list[Key]] = {}
        for key in self._specs:
            known = self._origins.setdefault(key, {})
            for cell in _cells_in(key, self._entry[key]):
                known |= {origin: None for origin in kinship.origins(cell) if origin.born < self._born}
            for cell in _cells_in(key, final(outcome, key)):
                for origin in kinship.origins(cell):
                    if origin.born < self._born:
                        known[origin] = None
                    elif origin.born >= outcome.born:
                        holders.setdefault(origin, []).append(key)
        self._twins |= {frozenset(pair) for keys in holders.values() for pair in itertools.combinations(keys, 2)}
        return before == (sum(map(len, self._origins.values())), len(self._twins))

    def _only_grows(self, trial: _Trial, key: Key) -> bool:
        """Whether a list is empty before the loop, and each round appends one tensor to it and does nothing else with
        it.
        """
        cell = key[0]
        if not isinstance(cell, ListCell) or cell.content != () or key not in trial.outcome.changed:
            return False
        items = trial.outcome.changed[key]
        appended, reads = trial.growth.get(cell, ([], 0))
        return (
            isinstance(items, tuple)
            and len(items) == 1
            and isinstance(items[0], Box)
            and not reads
            and appended == [trial.outcome.born]
        )

    def _collects(self, trial: _Trial, key: Key) -> bool:
        content = trial.outcome.changed.get(key)
        if not isinstance(content, Collected) or len(content.items) != 1 or not isinstance(content.items[0], Box):
            return False
        spec = abstract.widen(self._ip, Same(content.items[0]))
        return isinstance(spec, TensorSpec) and all(d is not None and self._ip.op.knows(d) for d in spec.dims)

    def _finish(self, trial: _Trial) -> None:
        ip, op = self._ip, self._ip.op
        carried = [(key, spec) for key, spec in self._specs.items() if key not in self._collecting]
        collected = list(self._collecting)
        outputs, stacked = trial.outputs(carried, collected)
        entry = [value for key, spec in carried for value in abstract.flatten(ip, spec, self._entry[key])]
        types = [type_ for _, spec in carried for type_ in abstract.types_of(op, spec)]
        count: Int = self._rounds if self._rounds is not None else op.fresh("rounds")
        types += [TensorType(value.etype, (count, *value.dims)) for value in stacked]
        first: Value = op.const(True)
        if self._test is not None:
            first = as_tensor(op, self._test(self._frame), DataType.BOOL)
        body = trial.outcome.op.graph([*outputs, *stacked], "body")
        results = iter(op.node("Loop", [self._trips, first, *entry], {"body": body}, types) if types else ())
        for cell in self._doubtful:
            ip.journal.write(cell, None, kinship.DOUBTFUL)
        values: dict[Key, Any] = {}
        for key, spec in carried:
            value = abstract.rebuild(ip, spec, results)
            if isinstance(key[0], str):
                self._frame.variables[key[0]] = value
            elif not isinstance(spec, Same):
                ip.journal.write(key[0], key[1], content_for(key[0], value))
            if not isinstance(spec, Same):
                values[key] = _holder(key, value)
        for key in collected:
            ip.journal.write(key[0], None, Stacked(next(results)))
            kinship.contains(key[0], trial.collected(key))
            values[key] = key[0]
        kinship.relate_all(values, self._origins, self._twins)

    def changed_lists(self) -> list[ListCell]:
        """The lists that the body is known to change."""
        return [key[0] for key in self._specs if isinstance(key[0], ListCell)]

    def begin(self, trial: _Trial, local: Frame) -> None:
        """Gives the variables and cells what they hold at the beginning of any round."""
        for cell in self._doubtful:
            self._ip.journal.write(cell, None, kinship.DOUBTFUL)
        values: dict[Key, Any] = {}
        for key, spec in self._specs.items():
            if key in self._collecting:
                self._ip.journal.write(key[0], None, Collected())
            elif not isinstance(spec, Same):
                values[key] = _holder(key, trial.carry(key, spec, local))
        kinship.relate_all(values, self._origins, self._twins)


class _Trial:
    """One run of a loop's body.

    Attributes:
        outcome: how the body ended.
        growth: for each list that it changed, the blocks in which it appended, and how often it read.
    """

    def __init__(
        self,
        ip: Machine,
        frame: Frame,
        loop: Loop,
        one_round: Callable[[Int, Frame], None],
        test: Callable[[Frame], bool | Scalar] | None,
    ) -> None:
        self._ip = ip
        self._carried: dict[Box, tuple[Key, Any]] = {}
        self._go_on: bool | Scalar = True
        self._condition: Value | None = None
        self.growth: dict[ListCell, tuple[list[int], int]] = {}
        lists = [*loop.changed_lists(), *_lists_in(frame)]
        before = {cell: (len(cell.appends), cell.reads) for cell in lists}

        def action(local: Frame) -> None:
            iteration = ip.op.input("round", DataType.INT64, ())
            self._condition = ip.op.input("go_on", DataType.BOOL, ())
            loop.begin(self, local)
            one_round(ip.op.symbol_of(iteration, "i", low=0), local)
            if test is not None:
                self._go_on = test(local)

        self.outcome = run_block(ip, frame, action)
        for cell, (appends, reads) in before.items():
            self.growth[cell] = (cell.appends[appends:], cell.reads - reads)

    def carry(self, key: Key, spec: Spec, local: Frame) -> Any:
        """Adds the inputs that carry a variable or a cell, and gives it their value."""
        op, hint = self._ip.op, key[0] if isinstance(key[0], str) else "state"
        inputs: list[Value] = []
        for type_ in abstract.types_of(op, spec):
            if type_.sequence:
                inputs.append(op.sequence_input(hint, type_.dtype, type_.dims))
            else:
                inputs.append(op.input(hint, type_.dtype, type_.dims or ()))
        value = abstract.rebuild(self._ip, spec, iter(inputs))
        if isinstance(key[0], str):
            local.variables[key[0]] = value
        else:
            self._ip.journal.write(key[0], key[1], content_for(key[0], value))
        self._carried.update((cell, (key, cell.content)) for cell in kinship.cells_in(value) if isinstance(cell, Box))
        return value

    def collected(self, key: Key) -> Box:
        """The tensor that each round puts into a list.

        Raises:
            LoweringError: if a round changes what an earlier one has put there.
        """
        item: Box = self.outcome.changed[key].items[0]
        changed = [(box, key) for box, (key, content) in self._carried.items() if box.content is not content]
        in_place = {cell for cell, _ in self.outcome.changed} | {box for box, _ in changed}
        for _, held in changed:  # what a round leaves there is what the next one changes
            left = _cells_in(held, final(self.outcome, held))
            in_place |= {origin for cell in left for origin in kinship.origins(cell)}
        if not in_place.isdisjoint(kinship.origins(item)):
            raise LoweringError("a tensor that a loop puts into a list is changed in place in the next round")
        return item

    def outputs(self, carried: list[tuple[Key, Spec]], collected: list[Key]) -> tuple[list[Value], list[Value]]:
        """The body's condition and carried values, and the values that it appends to lists."""
        with at_end_of(self._ip, self.outcome):
            go_on = self._condition if self._go_on is True else as_tensor(self._ip.op, self._go_on, DataType.BOOL)
            assert go_on is not None
            ends = ((spec, at_end(self.outcome, final(self.outcome, key))) for key, spec in carried)
            values = [value for spec, end in ends for value in abstract.flatten(self._ip, spec, end)]
            stacked = [self._ip.plain(self.outcome.changed[key].items[0]) for key in collected]
        return [go_on, *values], stacked


def _cells_in(key: Key, value: Any) -> Iterator[kinship.Held]:
    """The tensors, lists and dicts in what a variable or a cell holds."""
    if isinstance(value, Content):
        value = value.value
        if isinstance(value, Collected):
            value = value.items
        if not isinstance(value, tuple):
            value = key[0]  # whose kin tells what the graph holds
    return kinship.cells_in(value)


def _holder(key: Key, value: Any) -> Any:
    """Where a value is to be found: a list that the graph holds is the cell itself, not its content."""
    return key[0] if isinstance(key[0], ListCell) and isinstance(value, ListCell) else value


def _lists_in(frame: Frame) -> list[ListCell]:
    return [value for value in frame.variables.values() if isinstance(value, ListCell)]

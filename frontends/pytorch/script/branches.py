"""``if`` that depends on data: both branches are run, and joined pairwise into the outputs of an ``If``."""

from __future__ import annotations

import ast
import functools
import operator
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nxconvert.frontends.pytorch.compound import Compound
from nxconvert.frontends.pytorch.dtypes import DataType
from nxconvert.frontends.pytorch.script import abstract, kinship
from nxconvert.frontends.pytorch.script.abstract import Same
from nxconvert.frontends.pytorch.script.blocks import (
    Key,
    Outcome,
    assigned_names,
    at_both_ends,
    at_end_of,
    content_at_end,
    content_for,
    final,
    run_block,
)
from nxconvert.frontends.pytorch.script.frames import Frame, ScriptRaise
from nxconvert.frontends.pytorch.script.values import (
    Box,
    Cell,
    DictCell,
    EitherOf,
    ListCell,
    Maybe,
    ViewOf,
)  # fmt: skip
from nxconvert.frontends.pytorch.table import LoweringError, Scalar
from nxconvert.graph.builder import TensorType, Value
from nxconvert.graph.dims import Dim, Int

if TYPE_CHECKING:
    from nxconvert.frontends.pytorch.script.interpreter import Interpreter
    from nxconvert.frontends.pytorch.script.machine import Machine


def traced_if(ip: Interpreter, condition: Value, node: ast.If, frame: Frame) -> None:
    """Runs both branches and binds what both assign or either changes to the outputs of an ``If``."""
    names = ip.op.snapshot()
    scope, source = ip.op.scope, ip.op.source
    outcomes: list[Outcome] = []
    for body, other in ((node.body, node.orelse), (node.orelse, node.body)):
        try:
            outcomes.append(run_block(ip, frame, functools.partial(_run, ip, body)))
        except ScriptRaise as error:
            for outcome in outcomes:
                outcome.op.discard()
            ip.op.discard_names(names)
            ip.warn(f"a check of the model's is left out, it would raise {str(error)[:120]!r} ({ip.where})")
            ip.op.scope = scope
            ip.run(other, frame)
            return
    ip.op.scope, ip.op.source = scope, source
    _merge(ip, condition, frame, outcomes[0], outcomes[1], _keys(node, outcomes))


def _run(ip: Interpreter, body: list[ast.stmt], local: Frame) -> None:
    ip.run(body, local)


def _keys(node: ast.If, outcomes: list[Outcome]) -> list[Key]:
    other = set(assigned_names(node.orelse))
    keys: list[Key] = [(name, None) for name in assigned_names(node.body) if name in other]
    keys += dict.fromkeys(key for outcome in outcomes for key in outcome.changed)
    return keys


def _merge(ip: Machine, condition: Value, frame: Frame, then: Outcome, otherwise: Outcome, keys: list[Key]) -> None:
    pairs = [(final(then, key), final(otherwise, key)) for key in keys]
    ends = [at_both_ends(then, otherwise, a, b) for a, b in pairs]
    specs = [_decided(condition, a, b) or abstract.outer(ip.op, abstract.join(ip, Same(a), Same(b))) for a, b in ends]
    values: list[list[Value]] = []
    for outcome, side in ((then, 0), (otherwise, 1)):
        with at_end_of(ip, outcome):
            values.append(
                [v for spec, pair in zip(specs, ends, strict=True) for v in abstract.flatten(ip, spec, pair[side])]
            )
    types = [type_ for spec in specs for type_ in abstract.types_of(ip.op, spec)]
    aliases = _Aliases(ip, condition, then, otherwise)
    remaining = iter(_outputs(ip, condition, (then, otherwise), list(zip(*values, strict=True)), types))
    for key, spec, (a, b) in zip(keys, specs, pairs, strict=True):
        merged = _negated(ip, spec) if isinstance(spec, Decided) else abstract.rebuild(ip, spec, remaining)
        if isinstance(key[0], str):
            frame.variables[key[0]] = merged
        else:
            ip.journal.write(key[0], key[1], content_for(key[0], merged))
            if isinstance(key[0], ListCell) and isinstance(merged, ListCell):
                merged = key[0]  # whose kin tells what the graph holds
        aliases.add(merged, a, b)
    aliases.settle()


def _outputs(
    ip: Machine,
    condition: Value,
    branches: tuple[Outcome, Outcome],
    pairs: list[tuple[Value, Value]],
    types: list[TensorType],
) -> list[Value]:
    """One value for each pair of those that the branches end with: what a branch computes comes out of an ``If``, what
    was there before is chosen without one.
    """
    own = {value for branch in branches for node in branch.op.nodes for value in node.outputs}
    merged: dict[tuple[Value, Value], Value] = {}
    computed: dict[tuple[Value, Value], TensorType] = {}
    for pair, type_ in zip(pairs, types, strict=True):
        if own.isdisjoint(pair) and (pair[0] is pair[1] or _choosable(*pair)):
            merged[pair] = pair[0] if pair[0] is pair[1] else ip.op.Where(condition, *pair)
        else:
            computed.setdefault(pair, type_)
    if computed:
        graphs = {
            name: branch.op.graph([pair[side] for pair in computed], name)
            for side, (name, branch) in enumerate(zip(("then_branch", "else_branch"), branches, strict=True))
        }
        merged.update(zip(computed, ip.op.node("If", [condition], graphs, list(computed.values())), strict=True))
    else:
        for branch in branches:
            branch.op.discard()
    return [merged[pair] for pair in pairs]


def _choosable(a: Value, b: Value) -> bool:
    """Whether one ``Where`` does what an ``If`` would, neither branch having anything to compute."""
    # ONNX Runtime has no Where of bools.
    return not a.is_sequence and a.dims == b.dims and a.etype == b.etype != DataType.BOOL


@dataclass(frozen=True)
class Decided(abstract.Same):
    """A bool that is the condition itself, or its opposite."""

    condition: Any = None
    negated: bool = False


def _decided(condition: Value, a: Any, b: Any) -> Decided | None:
    if isinstance(a, bool) and isinstance(b, bool) and a != b:
        return Decided(None, condition, negated=b)
    return None


def _negated(ip: Machine, spec: Decided) -> Scalar:
    return Scalar(ip.op.Not(spec.condition) if spec.negated else spec.condition)


class _Aliases:
    """What the variables that leave an ``if`` are, or may be, besides themselves: for changes in place.

    A tensor that may be another one, from before the ``if``, is that one under the condition (`EitherOf`), if that can
    be said outside of the branches. Where it cannot, and of lists, it is kin.
    """

    def __init__(self, ip: Machine, condition: Value, then: Outcome, otherwise: Outcome) -> None:
        self._ip = ip
        self._condition = condition
        self._born = then.born
        self._sides = then, otherwise
        self._hidden = {value for side in (then, otherwise) for node in side.op.nodes for value in node.outputs}
        self._boxes: list[tuple[Box, Box, Box]] = []
        self._containers: list[tuple[ListCell | DictCell, Any, Any]] = []

    def add(self, merged: Any, a: Any, b: Any) -> None:
        """Notes a variable or an attribute: its value from now on, and those at the ends of the branches."""
        merged, a, b = (value.content if isinstance(value, Maybe) else value for value in (merged, a, b))
        a, b = (value.value if isinstance(value, abstract.Content) else value for value in (a, b))
        if merged is a:
            return
        if isinstance(merged, Box):
            # Where one side has no tensor at all, what there is is the other's.
            sides = [side for side in (a, b) if isinstance(side, Box)]
            if sides:
                self._boxes.append((merged, sides[0], sides[-1]))
        elif isinstance(merged, (ListCell, DictCell)):
            self._containers.append((merged, a, b))
        items = [_parts(value) for value in (merged, *map(_content, self._sides, (a, b)))]
        if all(part is not None for part in items) and len({len(part) for part in items}) == 1:
            for x, y, z in zip(*items, strict=True):
                self.add(x, y, z)

    def settle(self) -> None:
        """Says of every tensor what it may be."""
        for merged, a, b in self._boxes:
            twins = [other for other, *sides in self._boxes if other is not merged and self._meet((a, b), sides)]
            cells = dict.fromkeys(cell for side in (a, b) for cell in kinship.outside(side, self._born))
            if twins or not self._tell_apart(merged, a, b):
                kinship.relate(merged, [*cells, *twins])
        for container, *sides in self._containers:
            # Of one branch's own they are one with what else leaves it.
            own = [side.born >= self._born for side in sides if isinstance(side, Cell)]
            others = [cell for cell, *theirs in self._containers if any(map(operator.is_, sides, theirs))]
            outside = [cell for side in sides for cell in kinship.outside(side, self._born)]
            kinship.relate(container, [*outside, *(others if any(own) else [])])
            if isinstance(container, ListCell) and isinstance(container.content, Value):
                self._settle_items(container, [item for side in map(_held, self._sides, sides) for item in side])

    def _settle_items(self, cell: ListCell, items: list[Box]) -> None:
        """Says of a list that the graph holds what was put into it, by the names that this has after the ``if``."""
        kinship.contains(cell, *(item for item in items if item.born < self._born))
        for merged, *sides in self._boxes:
            if any(root in items for side in sides for root in side.roots()):
                kinship.contains(cell, merged)
                kinship.relate(merged, [], [cell])

    def _meet(self, sides: Iterable[Box], others: Iterable[Box]) -> bool:
        """Whether two variables share a tensor that a branch made."""
        pairs = ((x, y) for side, other in zip(sides, others, strict=True) for x in side.roots() for y in other.roots())
        return any(x is y and x.born >= self._born for x, y in pairs)

    def _tell_apart(self, merged: Box, a: Box, b: Box) -> bool:
        """Makes ``merged`` one or the other by the condition; says no if that cannot be done."""
        sides: list[Box] = []
        for side in (a, b):
            if not kinship.outside(side, self._born):
                sides.append(Box(merged.content))  # a tensor of the branch's own
            elif all(root.born < self._born for root in side.roots()) and self._visible(side):
                sides.append(side)
            else:
                return False
        if a in sides or b in sides:
            merged.source = EitherOf(self._condition, sides[0], sides[1])
            merged.seen = (tuple(root.content for root in merged.roots()), self._ip.op)
        return True

    def _visible(self, value: Any) -> bool:
        """Whether a value means something outside of the branches."""
        if isinstance(value, Box):
            source = value.source
            if isinstance(source, ViewOf):
                return all(map(self._visible, (source.base, *source.args, *source.kwargs.values())))
            if isinstance(source, EitherOf):
                return all(map(self._visible, (source.condition, source.then, source.otherwise)))
            return value.born < self._born
        if isinstance(value, ListCell):
            return self._visible(value.content)
        if isinstance(value, tuple):
            return all(map(self._visible, value))
        if isinstance(value, Scalar):
            return self._visible(value.value)
        if isinstance(value, Value):
            return value not in self._hidden
        return not isinstance(value, Dim) or self._ip.op.knows(value)


def _content(outcome: Outcome, value: Any) -> Any:
    """What a list or dict holds at the end of a branch."""
    return content_at_end(outcome, value) if isinstance(value, (ListCell, DictCell)) else value


def _held(outcome: Outcome, value: Any) -> list[Box]:
    """The tensors that a list, or a list's content, holds at the end of a branch."""
    content = _content(outcome, value)
    return kinship.held_by(content if isinstance(content, tuple) else value)


def _parts(value: Any) -> Any:
    """The items of a tuple, list or dict, as far as they are known."""
    if isinstance(value, ListCell):
        value = value.content
    if isinstance(value, DictCell):
        value = value.content
    if isinstance(value, dict):
        value = tuple(value.values())
    return value if isinstance(value, tuple) else None


def pick(ip: Machine, condition: Value, a: Any, b: Any, dims: tuple[Int, ...] | None = None) -> Any:
    """``a`` if the condition holds, else ``b``; of ``dims``, or of what both have in common."""
    if isinstance(a, Compound) and isinstance(b, Compound) and a.kind == b.kind:
        return a.of(ip.op, *(pick(ip, condition, x, y) for x, y in zip(a.emit(ip.op), b.emit(ip.op), strict=True)))
    if isinstance(a, Compound) or isinstance(b, Compound):
        raise LoweringError("a tensor that is one of two of different kinds is changed in place")
    if _choosable(a, b):
        return ip.op.Where(condition, a, b)
    if a.rank != b.rank or a.etype != b.etype:
        raise LoweringError("a tensor that is one of two, of different rank or dtype, is changed in place")
    branches = {
        "then_branch": ip.op.child().graph([a], "then_branch"),
        "else_branch": ip.op.child().graph([b], "else_branch"),
    }
    common = dims or tuple(x if x == y else ip.op.fresh("dim") for x, y in zip(a.dims, b.dims, strict=True))
    return ip.op.node("If", [condition], branches, [TensorType(a.etype, common)])[0]


def choose(ip: Machine, condition: Value, then: Callable[[], Any], otherwise: Callable[[], Any]) -> Any:
    """The result of one of two actions, chosen when the graph runs."""
    frame = Frame("", {})

    def run(action: Callable[[], Any]) -> Outcome:
        return run_block(ip, frame, lambda local: local.variables.update(result=action()))

    outcomes = [run(then), run(otherwise)]
    changed = dict.fromkeys(key for outcome in outcomes for key in outcome.changed)
    _merge(ip, condition, frame, outcomes[0], outcomes[1], [("result", None), *changed])
    return frame.variables["result"]

"""The state of a model: attributes that ``forward`` writes, found by where they hang in the module tree."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nxconvert.frontends.pytorch.dtypes import DataType
from nxconvert.frontends.pytorch.script import abstract, kinship
from nxconvert.frontends.pytorch.script.abstract import Content, Spec
from nxconvert.frontends.pytorch.script.kinship import Doubtful
from nxconvert.frontends.pytorch.script.values import Box, Cell, DictCell, ListCell, Maybe, Named, ObjectCell
from nxconvert.frontends.pytorch.table import LoweringError
from nxconvert.graph.builder import TensorType, Value

if TYPE_CHECKING:
    from nxconvert.frontends.pytorch.script.interpreter import Interpreter


@dataclass(frozen=True)
class StateKey:
    """Where a piece of state hangs.

    Attributes:
        path: the attribute names from the root.
        inside: whether the content of what hangs there changes (a buffer, a list), and not the attribute itself.
    """

    path: tuple[str, ...]
    inside: bool

    @property
    def name(self) -> str:
        """The name of the input."""
        return ".".join(self.path)


def find_state(ip: Interpreter, root: ObjectCell, changed: dict[tuple[Cell, str | None], Any]) -> dict[StateKey, Any]:
    """The changed cells that belong to the module tree, by where they hang, in the tree's order."""
    found: dict[StateKey, Any] = {}
    for path, owner, name in attributes(ip, root):
        if (owner, name) in changed:
            found[StateKey(path, inside=False)] = changed[owner, name]
            continue  # what became of the object that was there before is no state of the attribute
        value = owner.attributes[name]
        if isinstance(value, Cell) and (value, None) in changed:
            content = changed[value, None]
            if isinstance(content, Doubtful):
                raise LoweringError(f"it depends on data whether the model changes its {'.'.join(path)}")
            found.setdefault(
                StateKey(path, inside=True), Content(content, value.elem) if isinstance(value, ListCell) else content
            )
    return found


def find_shared(ip: Interpreter, root: ObjectCell) -> set[frozenset[StateKey]]:
    """The pairs of attributes that hold one tensor, or views of one."""
    holders: dict[Cell, list[StateKey]] = {}
    for path, owner, name in attributes(ip, root):
        for cell in kinship.cells_in(owner.attributes[name]):
            for origin in kinship.origins(cell):
                holders.setdefault(origin, []).append(StateKey(path, inside=False))
    return {frozenset(pair) for keys in holders.values() for pair in itertools.combinations(keys, 2)}


def place_shared(ip: Interpreter, root: ObjectCell, pairs: Iterable[frozenset[StateKey]]) -> None:
    """Says that the attributes of a pair may hold one tensor, as an earlier call left it there."""
    values = {}
    for key in {key for pair in pairs for key in pair}:
        owner = root
        for name in key.path[:-1]:
            owner = ip.loader.attribute(owner, name)
        values[key] = ip.loader.attribute(owner, key.path[-1])
    kinship.relate_all(values, {}, pairs)


def as_left(ip: Interpreter, value: Any) -> Any:
    """A value as the call leaves it: its tensors are new ones, which no longer show what other tensors hold.

    Raises:
        LoweringError: it depends on data what one of them holds.
    """
    if isinstance(value, Box):
        return Box(ip.content(value))
    if isinstance(value, ListCell):
        return ListCell(as_left(ip, value.content), value.elem)
    if isinstance(value, DictCell):
        return DictCell(as_left(ip, value.content))
    if isinstance(value, Maybe):
        return Maybe(value.present, as_left(ip, value.content))
    if isinstance(value, Named):
        return value.like(as_left(ip, item) for item in value)
    if isinstance(value, tuple):
        return tuple(as_left(ip, item) for item in value)
    return {key: as_left(ip, item) for key, item in value.items()} if isinstance(value, dict) else value


def items_of(value: Any) -> Any:
    """A value with its lists and dicts as what they hold."""
    if isinstance(value, (ListCell, DictCell)):
        value = value.content
    if type(value) is tuple:
        return tuple(map(items_of, value))
    return {key: items_of(item) for key, item in value.items()} if isinstance(value, dict) else value


def kept(
    ends: Mapping[tuple[Cell, str | None], Any], changed: Mapping[tuple[Cell, str | None], Any]
) -> list[tuple[Cell, str | None]]:
    """What a call only wrote again: the number, the tensors that were there, which did not change either.

    Args:
        ends: the items of what each attribute or list held at the call's end; now it holds what it did before the call.
        changed: what the call changed, tensors as well.
    """
    return [
        key
        for key, end in ends.items()
        if key in changed
        and abstract.same(end, items_of(key[0].read(key[1])))
        and not any((root, None) in changed for cell in kinship.cells_in(end) for root in kinship.roots_of(cell))
    ]


def attributes(ip: Interpreter, root: ObjectCell) -> Iterator[tuple[tuple[str, ...], ObjectCell, str]]:
    """Every attribute of the module tree that has been loaded: its path, the object it belongs to, and its name."""
    stack: list[tuple[tuple[str, ...], ObjectCell]] = [((), root)]
    seen: set[int] = set()
    while stack:
        path, owner = stack.pop()
        if id(owner) in seen:
            continue
        seen.add(id(owner))
        for name, value in list(owner.attributes.items()):
            if ip.loader.is_pending(value):
                continue
            yield (*path, name), owner, name
            if isinstance(value, ObjectCell):
                stack.append(((*path, name), value))


def place_state(ip: Interpreter, root: ObjectCell, key: StateKey, spec: Spec) -> Any:
    """Puts what ``spec`` describes where ``key`` says, as graph inputs where it is not known.

    An input has the saved content in ``const_value`` where that is of its type. A Python float is a float32 input.

    Returns:
        what is there now, as :func:`find_state` would give it.
    """
    owner: Any = root
    for name in key.path[:-1]:
        owner = ip.loader.attribute(owner, name)
    saved = ip.loader.attribute(owner, key.path[-1])
    defaults = _defaults(ip, spec, saved)
    if isinstance(spec, abstract.ChoiceSpec):
        raise LoweringError(f"the model's {key.name}, a text or a member of an enum, changes with data")
    types = list(abstract.types_of(ip.op, spec))
    if is_python_float(spec):
        types = [TensorType(DataType.FLOAT, ())]
        defaults = [ip.op.cast(value, DataType.FLOAT) for value in defaults]
    inputs = []
    for name, type_ in zip(abstract.names_of(spec, key.name), types, strict=True):
        if type_.sequence:
            inputs.append(ip.op.sequence_input(name, type_.dtype, type_.dims))
        else:
            inputs.append(ip.op.input(name, type_.dtype, type_.dims or ()))
    for default, given in zip(defaults, inputs, strict=False):
        if _fits(default, given):
            given.const_value = default.const_value
    carried = [ip.op.cast(given, DataType.DOUBLE) for given in inputs] if is_python_float(spec) else inputs
    value = abstract.rebuild(ip, spec, iter(carried))
    if not key.inside:
        owner.attributes[key.path[-1]] = _early(value)
        return value
    saved.content = value.content if isinstance(value, (Box, ListCell)) else value
    return Content(saved.content, saved.elem) if isinstance(saved, ListCell) else saved.content


def is_python_float(spec: Spec) -> bool:
    """Whether a piece of state is a Python float, which is a double inside the graph and float32 outside."""
    return isinstance(spec, abstract.NumberSpec) and spec.dtype == DataType.DOUBLE


def _early(value: Any) -> Any:
    if isinstance(value, Cell):
        value.born = -1  # it was there before forward was called
    return value


def _defaults(ip: Interpreter, spec: Spec, saved: Any) -> list[Value]:
    """The saved content as the values that ``spec`` asks for; none if it is of another kind. Frees their names."""
    if isinstance(saved, ListCell):
        saved = Content(saved.content, saved.elem)
    try:
        values = list(abstract.flatten(ip, spec, saved))
    except (LookupError, ValueError, TypeError, AttributeError, abstract.Unjoinable):
        return []
    if not all(isinstance(value, Value) for value in values):
        return []
    for value in values:
        ip.op.forget(value)
    return values


def _fits(default: Value, given: Value) -> bool:
    """Whether a saved content has the dtype and exactly the dims of the input."""
    return (
        default.etype == given.etype and default.dims == given.dims and all(isinstance(dim, int) for dim in given.dims)
    )

"""Abstract values: what is known of a variable where two paths of the program meet.

A branch of a traced ``if``, a round of a loop and a call of a stateful model all end with values for the same
variables. Their *spec* is the most precise description that covers them all; a spec says which graph values carry what
is not known (:func:`types_of`), takes a value apart into them (:func:`flatten`) and puts one together from them
(:func:`rebuild`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx_ir as ir

from nxconvert.frontends.pytorch.compound import Compound
from nxconvert.frontends.pytorch.dtypes import DataType
from nxconvert.frontends.pytorch.ops.common import as_tensor
from nxconvert.frontends.pytorch.script.kinship import DOUBTFUL, Doubtful
from nxconvert.frontends.pytorch.script.lists import NUMBER_DTYPES, element, sequence_of
from nxconvert.frontends.pytorch.script.numbers import kind_of
from nxconvert.frontends.pytorch.script.values import (  # fmt: skip
    Box,
    Choice,
    Collected,
    DictCell,
    EnumMember,
    ListCell,
    Maybe,
    Named,
    Number,
    OpenText,
    Stacked,
    Unbound,
    Uninitialized,
    is_static,
)
from nxconvert.frontends.pytorch.table import LoweringError, Scalar
from nxconvert.graph.builder import Builder, TensorType, Value
from nxconvert.graph.dims import Dim, Int, bounds

if TYPE_CHECKING:
    from nxconvert.frontends.pytorch.script.machine import Machine


@dataclass(frozen=True, eq=False)
class Same:
    """The very same value on every path."""

    value: Any


@dataclass(frozen=True)
class TensorSpec:
    """A tensor; a dim that differs between the paths is None."""

    dtype: ir.DataType
    dims: tuple[Int | None, ...]


@dataclass(frozen=True)
class NumberSpec:
    """An int, float or bool, carried as int64, double or bool; ``low`` is a lower bound of an int."""

    dtype: ir.DataType
    low: int | None = None


@dataclass(frozen=True)
class ItemsSpec:
    """A tuple, list or dict of known length; ``make`` makes one from its items, ``labels`` are its keys or fields."""

    kind: str
    items: tuple[Any, ...]
    make: Callable[[list[Any]], Any] = field(compare=False)
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class SequenceSpec:
    """A list of tensors, or of numbers, whose length is not known."""

    dtype: ir.DataType
    dims: tuple[Int | None, ...] | None
    numbers: bool = False


@dataclass(frozen=True)
class ChoiceSpec:
    """One of several texts, or members of an enum, carried as its place among them."""

    options: tuple[Any, ...]


@dataclass(frozen=True)
class NothingSpec:
    """None on every path, or a variable that is not set."""


@dataclass(frozen=True)
class MaybeSpec:
    """None on some paths, ``content`` on others."""

    content: Any


Spec = Any
_NUMBER_RANK = {dtype: rank for rank, dtype in enumerate(NUMBER_DTYPES.values())}


class Unjoinable(LoweringError):
    """Two paths give a variable values that no one graph value can carry."""


def join(ip: Machine, a: Spec, b: Spec) -> Spec:
    """The spec that covers both.

    Raises:
        Unjoinable: if there is none: tensors of different dtype or rank, objects of different classes.
    """
    if isinstance(a, Same) and isinstance(b, Same) and same(a.value, b.value):
        return a
    if _is_doubtful(a) or _is_doubtful(b):
        return _join_doubtful(a, b)
    a, b = widen(ip, a), widen(ip, b)
    if isinstance(a, NothingSpec) or isinstance(b, NothingSpec):
        return _join_nothing(ip, a, b)
    if isinstance(a, MaybeSpec) or isinstance(b, MaybeSpec):
        return MaybeSpec(
            join(ip, a.content if isinstance(a, MaybeSpec) else a, b.content if isinstance(b, MaybeSpec) else b)
        )
    if isinstance(a, Same) and isinstance(a.value, Uninitialized):
        return b
    if isinstance(b, Same) and isinstance(b.value, Uninitialized):
        return a
    if isinstance(a, TensorSpec) and isinstance(b, TensorSpec):
        return _join_tensors(a, b)
    options = _options(a), _options(b)
    if options[0] and options[1]:
        return _join_choices(options[0], options[1])
    if isinstance(a, NumberSpec) and isinstance(b, NumberSpec):
        wider = a if _NUMBER_RANK[a.dtype] >= _NUMBER_RANK[b.dtype] else b
        return NumberSpec(wider.dtype, None if a.low is None or b.low is None else min(a.low, b.low))
    if isinstance(a, ItemsSpec) and isinstance(b, ItemsSpec) and a.kind == b.kind and len(a.items) == len(b.items):
        return replace(a, items=tuple(join(ip, x, y) for x, y in zip(a.items, b.items, strict=True)))
    lists = [
        x for x in (a, b) if isinstance(x, SequenceSpec) or (isinstance(x, ItemsSpec) and x.kind in ("list", "content"))
    ]
    if len(lists) == 2:
        return _join_lists(ip, a, b)
    raise Unjoinable(f"two paths give a variable {describe(a)} and {describe(b)}")


def _options(spec: Spec) -> tuple[Any, ...]:
    """What a text or a member of an enum may be; nothing of what is neither."""
    if isinstance(spec, ChoiceSpec):
        return spec.options
    return (spec.value,) if isinstance(spec, Same) and isinstance(spec.value, (str, EnumMember)) else ()


def _join_choices(a: tuple[Any, ...], b: tuple[Any, ...]) -> Spec:
    if any(isinstance(option, OpenText) for option in (*a, *b)):
        return Same(OpenText("..."))
    return ChoiceSpec(tuple(dict.fromkeys((*a, *b))))


def _is_doubtful(spec: Spec) -> bool:
    return isinstance(spec, Same) and isinstance(_inside(spec.value), Doubtful)


def _inside(value: Any) -> Any:
    return value.value if isinstance(value, Content) else value


def _held(value: Any) -> Any:
    """What a list or dict holds.

    Raises:
        LoweringError: if that depends on data.
    """
    held = _inside(value)
    if isinstance(held, Doubtful):
        raise LoweringError("a list or dict is used of which it depends on data whether it was changed")
    return held


def _join_doubtful(a: Spec, b: Spec) -> Spec:
    """What is doubtful on one path is doubtful, and refused only if it is used."""
    if _is_doubtful(a) and _is_doubtful(b):
        return a if _inside(a.value).by is _inside(b.value).by else Same(DOUBTFUL)
    return a if _is_doubtful(a) else b


def _join_nothing(ip: Machine, a: Spec, b: Spec) -> Spec:
    if isinstance(a, NothingSpec) and isinstance(b, NothingSpec):
        return a
    other = b if isinstance(a, NothingSpec) else a
    return other if isinstance(other, MaybeSpec) else MaybeSpec(_opened(ip, other))


def _opened(ip: Machine, spec: Spec) -> Spec:
    """``spec`` without values that are there on one path only."""
    spec = widen(ip, spec)
    return replace(spec, items=tuple(_opened(ip, item) for item in spec.items)) if isinstance(spec, ItemsSpec) else spec


def _join_tensors(a: TensorSpec, b: TensorSpec) -> TensorSpec:
    if a.dtype != b.dtype:
        raise Unjoinable(f"two paths give a variable tensors of dtype {a.dtype.name} and {b.dtype.name}")
    if len(a.dims) != len(b.dims):
        raise Unjoinable(f"two paths give a variable tensors of rank {len(a.dims)} and {len(b.dims)}")
    return TensorSpec(a.dtype, tuple(x if x == y else None for x, y in zip(a.dims, b.dims, strict=True)))


def _join_lists(ip: Machine, a: Spec, b: Spec) -> Spec:
    elements = [_element(ip, x) for x in (a, b)]
    known = [x for x in elements if x is not None]
    if not known:
        raise Unjoinable("two paths give a list of different lengths whose items have no known dtype")
    first = known[0]
    for other in known[1:]:
        if first.dtype != other.dtype:
            raise Unjoinable(f"a list holds tensors of dtype {first.dtype.name} and {other.dtype.name}")
        if first.dims is None or other.dims is None or len(first.dims) != len(other.dims):
            first = SequenceSpec(first.dtype, None)
        else:
            dims = _join_tensors(TensorSpec(first.dtype, first.dims), TensorSpec(other.dtype, other.dims)).dims
            first = SequenceSpec(first.dtype, dims, first.numbers and other.numbers)
    return first


def _element(ip: Machine, spec: Spec) -> SequenceSpec | None:
    """What the items of a list have in common; None for an empty one."""
    if isinstance(spec, SequenceSpec):
        return spec
    items = [widen(ip, item) for item in spec.items]
    if not items:
        return None
    if all(isinstance(item, NumberSpec) for item in items):
        return SequenceSpec(max((item.dtype for item in items), key=_NUMBER_RANK.__getitem__), (), numbers=True)
    if not all(isinstance(item, TensorSpec) for item in items):
        raise Unjoinable("a list whose length depends on data holds something else than tensors")
    joined = items[0]
    for item in items[1:]:
        if len(item.dims) != len(joined.dims):
            return SequenceSpec(joined.dtype, None)
        joined = _join_tensors(joined, item)
    return SequenceSpec(joined.dtype, joined.dims)


def same(a: Any, b: Any) -> bool:
    """Whether two values are one: the same object, equal numbers of one type, equal tuples of the same."""
    if a is b:
        return True
    if type(a) is not type(b):
        return False
    if isinstance(a, float):
        return np.float64(a).tobytes() == np.float64(b).tobytes()
    if is_static(a) or isinstance(a, (Dim, Uninitialized)):
        return bool(a == b)
    if isinstance(a, Number):
        return a.dtype == b.dtype and same(a.number, b.number)
    if isinstance(a, Scalar):
        return a.value is b.value
    if isinstance(a, OpenText):
        return True  # nothing is known of either
    if isinstance(a, Choice):
        return a.options == b.options and a.index == b.index
    if isinstance(a, (tuple, list)):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, Value):
        return a.array is not None and b.array is not None and a.etype == b.etype and np.array_equal(a.array, b.array)
    return isinstance(a, dict) and a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)


def widen(ip: Machine, spec: Spec) -> Spec:
    """The spec of a known value by its type alone, one level deep."""
    if not isinstance(spec, Same):
        return spec
    value = spec.value
    if isinstance(value, Box):
        # A view was read at the end of its block; here it could only be read again outside of it.
        value = ip.content(value) if value.source is None else value.content
    if isinstance(value, Number):
        return TensorSpec(value.dtype, ())
    if isinstance(value, Compound):
        return _widen_compound(ip, value)
    if isinstance(value, Value):
        return TensorSpec(value.etype, value.dims)
    if value is None:
        return NothingSpec()
    if isinstance(value, bool) or (isinstance(value, Scalar) and value.value.etype == DataType.BOOL):
        return NumberSpec(DataType.BOOL)
    if isinstance(value, (int, Dim)):
        return NumberSpec(DataType.INT64, bounds(value)[0])
    if isinstance(value, (float, Scalar)):
        return NumberSpec(DataType.DOUBLE)
    if isinstance(value, Maybe):
        return MaybeSpec(widen(ip, Same(value.content)))
    return _widen_items(ip, value, spec)


def _widen_items(ip: Machine, value: Any, spec: Spec) -> Spec:
    if isinstance(value, Choice):
        return ChoiceSpec(value.options)
    if isinstance(value, EnumMember):
        return spec
    if isinstance(value, Named):
        return ItemsSpec(f"tuple {value.qualname}", tuple(map(Same, value)), value.like, value.fields)
    if isinstance(value, tuple):
        return ItemsSpec("tuple", tuple(map(Same, value)), tuple)
    if isinstance(value, ListCell):
        inner = widen(ip, Same(Content(value.content, value.elem)))
        elem = value.elem
        if isinstance(inner, ItemsSpec):
            return ItemsSpec("list", inner.items, lambda items: ListCell(tuple(items), elem))
        return inner
    if isinstance(value, Content):
        return _widen_content(ip, value)
    if isinstance(value, (DictCell, dict)):
        return _widen_dict(value)
    return spec


def _widen_compound(ip: Machine, value: Compound) -> Spec:
    """A tensor made of several: what they have in common stays, the others are carried one by one."""
    parts = [
        TensorSpec(part.dtype, part.dims or ()) if isinstance(part, TensorType) else Same(part)
        for part in value.parts()
    ]

    def make(items: list[Any]) -> Box:
        return Box(value.of(ip.op, *(item.content if isinstance(item, Box) else item for item in items)))

    return ItemsSpec(f"{value.kind} tensor", tuple(parts), make)


def _widen_dict(value: DictCell | dict[Any, Any]) -> Spec:
    entries = _held(value.content if isinstance(value, DictCell) else value)
    keys = list(entries)

    def make(items: list[Any]) -> Any:
        made = dict(zip(keys, items, strict=True))
        return DictCell(made) if isinstance(value, DictCell) else made

    kind = "dict" if isinstance(value, DictCell) else "entries"
    return ItemsSpec(f"{kind} {keys}", tuple(map(Same, entries.values())), make, tuple(map(str, keys)))


@dataclass(frozen=True, eq=False)
class Content:
    """What a list cell holds, as a value to join: the cell stays, its content changes."""

    value: Any
    elem: str | None = None


def _widen_content(ip: Machine, content: Content) -> Spec:
    value = _held(content)
    if isinstance(value, (tuple, Collected)):
        items = value.items if isinstance(value, Collected) else value
        return ItemsSpec("content", tuple(map(Same, items)), tuple)
    if isinstance(value, Stacked):
        return SequenceSpec(value.value.etype, value.value.dims[1:])
    if isinstance(value, Unbound):
        tensor = ip.plain(value.base)
        part = () if value.size is None else (None,)
        return SequenceSpec(tensor.etype, (*tensor.dims[: value.axis], *part, *tensor.dims[value.axis + 1 :]))
    return SequenceSpec(value.etype, value.dims, content.elem in NUMBER_DTYPES)


def describe(spec: Spec) -> str:
    """A spec in words, for messages."""
    if isinstance(spec, TensorSpec):
        return f"a {spec.dtype.name} tensor of rank {len(spec.dims)}"
    if isinstance(spec, NumberSpec):
        return {DataType.BOOL: "a bool", DataType.INT64: "an int", DataType.DOUBLE: "a float"}[spec.dtype]
    if isinstance(spec, ItemsSpec):
        return f"a {spec.kind}" if spec.kind.endswith("tensor") else f"a {spec.kind.split()[0]} of {len(spec.items)}"
    if isinstance(spec, Same):
        return f"{type(spec.value).__name__} {spec.value!r}" if is_static(spec.value) else type(spec.value).__name__
    return {SequenceSpec: "a list", NothingSpec: "None", MaybeSpec: "an optional value"}[type(spec)]


def outer(op: Builder, spec: Spec) -> Spec:
    """``spec`` with every dim that ``op`` cannot compute, because it belongs to a block, made unknown."""
    if isinstance(spec, (TensorSpec, SequenceSpec)) and spec.dims is not None:
        return replace(spec, dims=tuple(d if d is not None and op.knows(d) else None for d in spec.dims))
    if isinstance(spec, ItemsSpec):
        return replace(spec, items=tuple(outer(op, item) for item in spec.items))
    return MaybeSpec(outer(op, spec.content)) if isinstance(spec, MaybeSpec) else spec


def types_of(op: Builder, spec: Spec) -> Iterator[TensorType]:
    """The types of the graph values that carry what ``spec`` leaves open, in the order of :func:`flatten`."""
    if isinstance(spec, TensorSpec):
        yield TensorType(spec.dtype, tuple(op.fresh("dim") if d is None else d for d in spec.dims))
    elif isinstance(spec, SequenceSpec):
        dims = None if spec.dims is None else tuple(op.fresh("dim") if d is None else d for d in spec.dims)
        yield TensorType(spec.dtype, dims, sequence=True)
    elif isinstance(spec, NumberSpec):
        yield TensorType(spec.dtype, ())
    elif isinstance(spec, ChoiceSpec):
        yield TensorType(DataType.INT64, ())
    elif isinstance(spec, ItemsSpec):
        for item in spec.items:
            yield from types_of(op, item)
    elif isinstance(spec, MaybeSpec):
        yield TensorType(DataType.BOOL, ())
        yield from types_of(op, spec.content)


def names_of(spec: Spec, name: str) -> Iterator[str]:
    """Names for the graph values of :func:`types_of`: ``name``, ``name.0``, ``name.key``."""
    if isinstance(spec, ItemsSpec):
        for i, item in enumerate(spec.items):
            yield from names_of(item, f"{name}.{spec.labels[i] if spec.labels else i}")
    elif isinstance(spec, MaybeSpec):
        yield f"{name}.present"
        yield from names_of(spec.content, name)
    elif isinstance(spec, (TensorSpec, NumberSpec, SequenceSpec, ChoiceSpec)):
        yield name


def flatten(ip: Machine, spec: Spec, value: Any) -> Iterator[Value]:
    """The graph values that carry ``value``, emitted where they are not there yet."""
    if isinstance(spec, (Same, NothingSpec)):
        return
    if isinstance(spec, MaybeSpec):
        yield from _flatten_maybe(ip, spec, value)
    elif isinstance(value, Uninitialized):
        yield from _dummies(ip, spec)
    elif isinstance(spec, TensorSpec):
        yield ip.plain(value)
    elif isinstance(spec, NumberSpec):
        yield as_tensor(ip.op, value, spec.dtype)
    elif isinstance(spec, ChoiceSpec):
        yield _place_among(ip, spec.options, value)
    elif isinstance(spec, SequenceSpec):
        yield _as_sequence(ip, spec, value)
    else:
        for item_spec, item in zip(spec.items, _items(ip, value), strict=True):
            yield from flatten(ip, item_spec, item)


def _items(ip: Machine, value: Any) -> Any:
    if isinstance(value, Box):
        return ip.tensor(value).emit(ip.op)
    if isinstance(value, Content):
        value = value.value
    if isinstance(value, (ListCell, DictCell)):
        value = value.content
    value = _held(value)
    if isinstance(value, Collected):
        return value.items
    return value.values() if isinstance(value, dict) else value


def _place_among(ip: Machine, options: tuple[Any, ...], value: Any) -> Value:
    if not isinstance(value, Choice):
        return ip.op.const(options.index(value))
    index = ip.op.dim_value(value.index)
    places = [options.index(option) for option in value.options]
    return index if places == list(range(len(places))) else ip.op.Gather(ip.op.const(places), index, axis=0)


def _flatten_maybe(ip: Machine, spec: MaybeSpec, value: Any) -> Iterator[Value]:
    if isinstance(value, Maybe):
        yield value.present
        yield from flatten(ip, spec.content, value.content)
    elif value is None or isinstance(value, Uninitialized):
        yield ip.op.const(False)
        yield from _dummies(ip, spec.content)
    else:
        yield ip.op.const(True)
        yield from flatten(ip, spec.content, value)


def _dummies(ip: Machine, spec: Spec) -> Iterator[Value]:
    """Values of the types that ``spec`` asks for, never used: of the right dims where those are known, else empty."""
    if isinstance(spec, TensorSpec):
        dims = [d if d is not None and ip.op.knows(d) else 0 for d in spec.dims]
        zero = ip.op.const(np.zeros((), spec.dtype.numpy()), spec.dtype)
        yield ip.op.expand(zero, dims)
    elif isinstance(spec, (NumberSpec, ChoiceSpec)):
        yield ip.op.const(0, spec.dtype if isinstance(spec, NumberSpec) else DataType.INT64)
    elif isinstance(spec, SequenceSpec):
        yield ip.op.SequenceEmpty(dtype=spec.dtype)
    elif isinstance(spec, MaybeSpec):
        yield ip.op.const(False)
        yield from _dummies(ip, spec.content)
    elif isinstance(spec, ItemsSpec):
        for item in spec.items:
            yield from _dummies(ip, item)


def _as_sequence(ip: Machine, spec: SequenceSpec, value: Any) -> Value:
    if isinstance(value, Content):
        value = value.value
    if isinstance(value, ListCell):
        value = value.content
    if isinstance(value, (Stacked, Unbound)):
        return sequence_of(ip, value)
    if isinstance(value, Value):
        return value
    items = [element(ip, item, spec.dtype) for item in value]
    return ip.op.SequenceConstruct(*items) if items else ip.op.SequenceEmpty(dtype=spec.dtype)


def rebuild(ip: Machine, spec: Spec, values: Iterator[Value]) -> Any:
    """The value that ``spec`` describes, from the graph values that carry it."""
    if isinstance(spec, Same):
        return spec.value.value if isinstance(spec.value, Content) else spec.value
    if isinstance(spec, NothingSpec):
        return None
    if isinstance(spec, TensorSpec):
        return Box(next(values))
    if isinstance(spec, SequenceSpec):
        cell = ListCell(next(values), kind_of(spec.dtype) if spec.numbers else None)
        cell.copied = True
        return cell
    if isinstance(spec, NumberSpec):
        value = next(values)
        return number_from(ip.op, value, spec.low)
    if isinstance(spec, ChoiceSpec):
        return Choice.at(spec.options, number_from(ip.op, next(values), 0))
    if isinstance(spec, MaybeSpec):
        present = next(values)
        return Maybe(present, rebuild(ip, spec.content, values))
    return spec.make([rebuild(ip, item, values) for item in spec.items])


def number_from(op: Builder, value: Value, low: int | None = None) -> Any:
    """A scalar of the graph as the interpreter's number."""
    if value.array is not None:
        return value.array.item()
    return op.symbol_of(value, "n", low) if value.etype == DataType.INT64 else Scalar(value)

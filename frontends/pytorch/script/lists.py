"""Operators on lists: of known items, or sequences of the graph, or tensors that a loop stacked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nxconvert.frontends.pytorch.dtypes import DataType
from nxconvert.frontends.pytorch.ops.common import as_tensor
from nxconvert.frontends.pytorch.script import kinship, numbers
from nxconvert.frontends.pytorch.script.frames import ScriptRaise
from nxconvert.frontends.pytorch.script.registry import LISTS, Handler, register
from nxconvert.frontends.pytorch.script.values import (
    Box,
    Choice,
    Collected,
    ListCell,
    Stacked,
    Unbound,
    dims_of,
    is_number,
    is_static,
)
from nxconvert.frontends.pytorch.table import LoweringError
from nxconvert.graph.builder import Value
from nxconvert.graph.dims import Dim, Int, floordiv, maximum

if TYPE_CHECKING:
    from nxconvert.frontends.pytorch.script.machine import Machine


MAX_ITEMS = 1 << 20
"""Longer lists of known items no model needs."""
NUMBER_DTYPES = {"bool": DataType.BOOL, "int": DataType.INT64, "float": DataType.DOUBLE}
"""How the graph holds the numbers in a list, by the name of their type."""


class GrowthOnly(LoweringError):
    """A list that a loop fills is read inside the loop, so it cannot be stacked after it."""


def read(ip: Machine, cell: ListCell) -> tuple[Any, ...] | Value:
    """A list's items, or the sequence value that holds them.

    Raises:
        GrowthOnly: inside a loop that was taken to only append to it.
    """
    cell.reads += 1
    kinship.check(cell)
    content = cell.content
    if isinstance(content, Collected):
        raise GrowthOnly("a list is read in the loop that fills it")
    if isinstance(content, (Stacked, Unbound)):
        content = sequence_of(ip, content)
        ip.journal.write(cell, None, content)
    return content


def sequence_of(ip: Machine, content: Stacked | Unbound) -> Value:
    """The items of a list that one tensor holds, as a sequence."""
    if isinstance(content, Stacked):
        return ip.op.SplitToSequence(content.value, None, axis=0, keepdims=0)
    if content.size is None:
        return ip.op.SplitToSequence(ip.plain(content.base), None, axis=content.axis, keepdims=0)
    return ip.op.SplitToSequence(ip.plain(content.base), ip.op.dim_value(content.size), axis=content.axis)


def length(ip: Machine, cell: ListCell) -> Int:
    """``len(cell)``."""
    if isinstance(cell.content, Stacked):
        return cell.content.value.dims[0]
    if isinstance(cell.content, Unbound):
        size = dims_of(ip.content(cell.content.base))[cell.content.axis]
        return size if cell.content.size is None else -floordiv(-size, cell.content.size)
    content = read(ip, cell)
    return len(content) if isinstance(content, tuple) else ip.op.symbol_of(ip.op.SequenceLength(content), low=0)


def range_length(start: Int, end: Int, step: Int) -> Int:
    """How many rounds ``range(start, end, step)`` has."""
    return maximum(0, -floordiv(start - end, step))


def kind_of(value: Any) -> str:
    """What a value is, for messages."""
    if isinstance(value, Box):
        return "a tensor"
    if isinstance(value, (tuple, ListCell)):
        return "a tuple" if isinstance(value, tuple) else "a list"
    return type(value).__name__


def store(ip: Machine, cell: ListCell, content: Any, *put: Any) -> None:
    """Changes a list; ``put`` are the items that a sequence got by it, and that stay the tensors they are."""
    kinship.check(cell)
    before = cell.content
    ip.journal.write(cell, None, content)
    kinship.changed(ip, cell)
    if isinstance(content, Value):
        kinship.contains(cell, *put, *(before if isinstance(before, tuple) else ()))


def item_at(ip: Machine, cell: ListCell, index: Int) -> Any:
    """``cell[index]``."""
    kinship.check(cell)
    content = cell.content
    if isinstance(content, Stacked):
        axis = content.value.dims[0]
        place = index if not isinstance(index, int) or index >= 0 else axis + index
        return _element(ip, cell, ip.op.Gather(content.value, place, axis=0))
    if isinstance(content, Unbound):
        return _part(ip, cell, content, index)
    content = read(ip, cell)
    if isinstance(content, tuple) and isinstance(index, int):
        if not -len(content) <= index < len(content):
            raise LoweringError(f"item {index} of a list of {len(content)}")
        return content[index]
    return _element(ip, cell, ip.op.SequenceAt(as_sequence(ip, cell), index))


def _part(ip: Machine, cell: ListCell, content: Unbound, index: Int) -> Any:
    """A part of an axis, as the view of the base that it is."""
    if content.size is None:
        return ip.invoke("select", content.base, content.axis, index)
    if isinstance(index, int) and index < 0:
        index = length(ip, cell) + index
    return ip.invoke("slice", content.base, content.axis, index * content.size, (index + 1) * content.size)


def _element(ip: Machine, cell: ListCell, value: Value) -> Any:
    """An item of a sequence: a tensor, or a number where the list holds numbers."""
    if cell.elem is not None and cell.elem in NUMBER_DTYPES:
        return numbers.from_tensor(ip.op, value, cell.elem)
    return kinship.take(Box(value), cell)


def as_sequence(ip: Machine, cell: ListCell) -> Value:
    """The list as a sequence value of the graph."""
    content = read(ip, cell)
    if isinstance(content, Value):
        return content
    if cell.elem is None and content and all(map(is_number, content)):
        cell.elem = numbers.kind_of(max(map(numbers.dtype_of, content), key=list(NUMBER_DTYPES.values()).index))
    dtype = NUMBER_DTYPES.get(cell.elem or "")
    items = [element(ip, item, dtype) for item in content]
    return ip.op.SequenceConstruct(*items) if items else ip.op.SequenceEmpty(dtype=dtype or DataType.FLOAT)


def element(ip: Machine, item: Any, dtype: DataType | None) -> Value:
    """An item of a list as an element of a sequence, of ``dtype`` if it is a number."""
    value = ip.tensor(item) if isinstance(item, Box) else as_tensor(ip.op, item, dtype) if is_number(item) else None
    if not isinstance(value, Value):
        raise LoweringError(
            "a list whose length, or of which the item that is meant, depends on data holds something else than "
            "ordinary tensors and numbers"
        )
    return value


def _place(ip: Machine, sequence: Value, index: Int) -> Value:
    """``index`` as a place in a sequence, counted from its beginning."""
    if isinstance(index, int) and index >= 0:
        return ip.op.const(index)
    return ip.op.Mod(ip.op.dim_value(index), ip.op.SequenceLength(sequence))


def _static_index(index: Any, what: str) -> int:
    if isinstance(index, Dim):
        raise LoweringError(f"{what} at a place that depends on data")
    return int(index)


@register(LISTS, "append")
def _append(ip: Machine, cell: ListCell, item: Any) -> ListCell:
    content = cell.content
    cell.appends.append(ip.journal.depth)
    if isinstance(content, Collected):
        store(ip, cell, Collected((*content.items, item)))
        return cell
    reads = cell.reads
    content = read(ip, cell)
    cell.reads = reads
    new = (
        (*content, item)
        if isinstance(content, tuple)
        else ip.op.SequenceInsert(content, element(ip, item, content.etype))
    )
    store(ip, cell, new, item)
    return cell


@register(LISTS, "extend", "add_")
def _extend(ip: Machine, cell: ListCell, other: ListCell) -> ListCell:
    for item in iterate(ip, other):
        _append(ip, cell, item)
    return cell


def iterate(ip: Machine, cell: ListCell) -> tuple[Any, ...]:
    """The items of a list whose length is known."""
    content = read(ip, cell)
    if isinstance(content, Value):
        raise LoweringError("the items of a list whose length depends on data are taken one by one")
    return content


@register(LISTS, "insert")
def _insert(ip: Machine, cell: ListCell, index: Int, item: Any) -> None:
    content = read(ip, cell)
    if isinstance(content, tuple) and isinstance(index, int):
        items = list(content)
        items.insert(index, item)
        store(ip, cell, tuple(items))
    else:
        sequence = as_sequence(ip, cell)
        length = ip.op.SequenceLength(sequence)
        place = ip.op.Min(ip.op.Max(ip.op.dim_value(index), ip.op.Neg(length)), length)  # what lies beyond is the end
        store(ip, cell, ip.op.SequenceInsert(sequence, element(ip, item, sequence.etype), place), item)


@register(LISTS, "pop")
def _pop(ip: Machine, cell: ListCell, index: Int = -1) -> Any:
    item = item_at(ip, cell, index)
    delete(ip, cell, index)
    return item


@register(LISTS, "Delete", "__delitem__")
def delete(ip: Machine, cell: ListCell, index: Int) -> None:
    """``del cell[index]``."""
    content = read(ip, cell)
    if isinstance(content, tuple) and isinstance(index, int):
        if not -len(content) <= index < len(content):
            raise LoweringError(f"item {index} of a list of {len(content)} is removed")
        place = index % len(content)
        store(ip, cell, content[:place] + content[place + 1 :])
    else:
        store(ip, cell, ip.op.SequenceErase(as_sequence(ip, cell), index))


@register(LISTS, "clear")
def _clear(ip: Machine, cell: ListCell) -> None:
    store(ip, cell, ())


@register(LISTS, "_set_item")
def _set_item(ip: Machine, cell: ListCell, index: Int, item: Any) -> ListCell:
    content = read(ip, cell)
    if isinstance(content, tuple) and isinstance(index, int):
        items = list(content)
        items[index] = item
        store(ip, cell, tuple(items))
    else:
        sequence = as_sequence(ip, cell)
        place = _place(ip, sequence, index)
        erased = ip.op.SequenceErase(sequence, place)
        store(ip, cell, ip.op.SequenceInsert(erased, element(ip, item, sequence.etype), place), item)
    return cell


@register(LISTS, "reverse")
def _reverse(ip: Machine, cell: ListCell) -> None:
    store(ip, cell, iterate(ip, cell)[::-1])


@register(LISTS, "copy", "list")
def _copy(ip: Machine, cell: ListCell) -> ListCell:
    return kinship.copied(ListCell(read(ip, cell), cell.elem), cell)


@register(LISTS, "add")
def _concatenate(ip: Machine, a: ListCell, b: ListCell) -> Any:
    if not isinstance(b, ListCell):
        return NotImplemented
    return ListCell(iterate(ip, a) + iterate(ip, b), a.elem or b.elem)


@register(LISTS, "mul")
def _repeat(ip: Machine, cell: ListCell, times: Int) -> Any:
    items, count = iterate(ip, cell), _static_index(times, "a list is repeated")
    if len(items) * count > MAX_ITEMS:
        raise LoweringError(f"a list of {len(items) * count} items")
    return ListCell(items * count, cell.elem)


@register(LISTS, "slice")
def _slice(ip: Machine, cell: ListCell, start: Any = None, end: Any = None, step: Any = 1) -> Any:
    return ListCell(iterate(ip, cell)[slice(start, end, step)], cell.elem)


@register(LISTS, "__getitem__", "select")
def _get(ip: Machine, cell: ListCell, index: Int) -> Any:
    return item_at(ip, cell, index)


@register(LISTS, "eq")
def _lists_equal(ip: Machine, a: ListCell, b: Any) -> Any:
    return _equal_items(ip, iterate(ip, a), iterate(ip, b))


def _equal_items(ip: Machine, a: tuple[Any, ...], b: tuple[Any, ...]) -> Any:
    if len(a) != len(b):
        return False
    result: Any = True
    for x, y in zip(a, b, strict=True):
        result = numbers.calculate(ip.op, "__and__", result, _same_item(ip, x, y))
    return result


def _same_item(ip: Machine, x: Any, y: Any) -> Any:
    """``x == y`` of items: numbers, tensors of one element, or things that are known."""
    if isinstance(x, Box) and isinstance(y, Box):
        return ip.number(ip.invoke("eq", x, y), "bool")
    if is_number(x) and is_number(y):
        return numbers.calculate(ip.op, "eq", x, y)
    if isinstance(x, tuple) and isinstance(y, tuple):
        return _equal_items(ip, x, y)
    if (isinstance(x, ListCell) and isinstance(y, ListCell)) or isinstance(x, Choice) or isinstance(y, Choice):
        return ip.invoke("eq", x, y)
    if not is_static(x) or not is_static(y):
        raise LoweringError(f"{kind_of(x)} in a list is compared with {kind_of(y)}")
    return x == y


LISTS["ne"] = lambda ip, a, b: numbers.logical_not(ip.op, _lists_equal(ip, a, b))


@register(LISTS, "__contains__")
def _contains(ip: Machine, cell: ListCell, item: Any) -> Any:
    result: Any = False
    for x in iterate(ip, cell):
        result = numbers.calculate(ip.op, "__or__", result, _same_item(ip, x, item))
    return result


@register(LISTS, "index")
def _index(ip: Machine, cell: ListCell, item: Any) -> int:
    for place, x in enumerate(iterate(ip, cell)):
        equal = _same_item(ip, x, item)
        if not isinstance(equal, bool):
            raise LoweringError("it depends on data where in a list an item is")
        if equal:
            return place
    raise ScriptRaise(f"ValueError: {item} is not in the list")


@register(LISTS, "count")
def _count(ip: Machine, cell: ListCell, item: Any) -> Any:
    total: Any = 0
    for x in iterate(ip, cell):
        total = numbers.calculate(ip.op, "add", total, ip.number(_same_item(ip, x, item), "int"))
    return total


@register(LISTS, "remove")
def _remove(ip: Machine, cell: ListCell, item: Any) -> None:
    delete(ip, cell, _index(ip, cell, item))


def _fold(name: str, operator: str, start: Any) -> Handler:
    def reduce(ip: Machine, cell: ListCell, *rest: Any) -> Any:
        items = iterate(ip, cell)
        if rest or not all(is_number(item) for item in items):
            return NotImplemented
        if not items and start is None:
            raise LoweringError(f"{name} of an empty list")
        result = items[0] if start is None else start
        for item in items[1 if start is None else 0 :]:
            result = numbers.calculate(ip.op, operator, result, item)
        return result

    return reduce


for _name, _operator, _start in (
    ("sum", "add", 0), ("any", "__or__", False), ("all", "__and__", True), ("min", "min", None), ("max", "max", None),
):  # fmt: skip
    LISTS[_name] = LISTS[f"prim::{_name}"] = _fold(_name, _operator, _start)


@register(LISTS, "sorted")
def _sorted(ip: Machine, cell: ListCell, reverse: bool = False) -> Any:
    return ListCell(tuple(sorted(_known(iterate(ip, cell)), reverse=reverse)), cell.elem)


@register(LISTS, "sort")
def _sort(ip: Machine, cell: ListCell, reverse: bool = False) -> None:
    store(ip, cell, tuple(sorted(_known(iterate(ip, cell)), reverse=reverse)))


def _known(items: tuple[Any, ...]) -> tuple[Any, ...]:
    if not all(is_static(item) for item in items):
        raise LoweringError("a list of values that depend on data is sorted")
    return items


def raise_if_growing(cell: ListCell) -> None:
    """Refuses to look into a list that the running loop only fills."""
    kinship.check(cell)
    if isinstance(cell.content, Collected):
        raise GrowthOnly("a list is read in the loop that fills it")


def _stack(ip: Machine, cell: ListCell, dim: Int = 0) -> Any:
    raise_if_growing(cell)
    if not isinstance(cell.content, Stacked) or not isinstance(dim, int):
        return NotImplemented
    value = cell.content.value
    axis = dim % value.rank
    if not axis:
        return Box(value)
    order = list(range(1, value.rank))
    order.insert(axis, 0)
    return Box(ip.op.Transpose(value, perm=order))


def _cat(ip: Machine, cell: ListCell, dim: Int = 0) -> Any:
    raise_if_growing(cell)
    if not isinstance(cell.content, Stacked) or not isinstance(dim, int) or cell.content.value.rank < 2:
        return NotImplemented
    value = cell.content.value
    axis = dim % (value.rank - 1)
    order = list(range(1, value.rank))
    order.insert(axis, 0)
    moved = ip.op.Transpose(value, perm=order)
    dims = moved.dims
    return Box(ip.op.reshape(moved, (*dims[:axis], dims[axis] * dims[axis + 1], *dims[axis + 2 :])))


LISTS["stack"], LISTS["cat"] = _stack, _cat

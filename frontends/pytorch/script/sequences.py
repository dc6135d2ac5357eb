"""Operators on lists that the graph holds: whose length, or whose numbers, depend on data.

Numbers are compared, sorted and reduced as one vector. The standard operators know neither slices nor joins of
sequences: those are a ``Loop`` that picks the items one by one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from nxconvert.frontends.pytorch.dtypes import BY_CODE, DataType
from nxconvert.frontends.pytorch.ops.common import as_tensor
from nxconvert.frontends.pytorch.script import branches, kinship, numbers
from nxconvert.frontends.pytorch.script.lists import (
    NUMBER_DTYPES,
    as_sequence,
    delete,
    element,
    length,
    range_length,
    read,
    store,
)  # fmt: skip
from nxconvert.frontends.pytorch.script.registry import SEQUENCES, Handler, register
from nxconvert.frontends.pytorch.script.values import Box, ListCell, is_number
from nxconvert.frontends.pytorch.table import LoweringError, Scalar
from nxconvert.graph.builder import TensorType, Value
from nxconvert.graph.dims import Dim, Int, bounds, maximum, minimum, mod

if TYPE_CHECKING:
    from nxconvert.frontends.pytorch.script.machine import Machine

_NO_BOUND = 2**62
"""A bound of a slice that is at least this stands for none."""


def _is_traced(value: Any) -> bool:
    return isinstance(value, (Dim, Scalar))


def _in_graph(cell: Any) -> bool:
    return isinstance(cell, ListCell) and not isinstance(cell.content, tuple)


def _of_traced_numbers(cell: ListCell, *others: Any) -> bool:
    """Whether a list holds numbers, or is asked for one, that depend on data."""
    if not isinstance(cell.content, tuple):
        return True
    return all(map(is_number, cell.content)) and any(map(_is_traced, (*cell.content, *others)))


# ---- numbers as a vector ---------------------------------------------------------------------------------------------


def vector(ip: Machine, cell: ListCell) -> Value:
    """The numbers in a list: int64, double or bool of rank 1."""
    content = read(ip, cell)
    if isinstance(content, Value):
        if cell.elem not in NUMBER_DTYPES:
            raise LoweringError("a list of tensors is searched, sorted or reduced, whose length depends on data")
        # An empty sequence cannot be joined: a zero goes before it.
        zero = ip.op.const(0, content.etype)
        padded = ip.op.ConcatFromSequence(ip.op.SequenceInsert(content, zero, 0), axis=0, new_axis=1)
        return ip.op.Slice(padded, [1], [2**63 - 1])
    dtype = NUMBER_DTYPES.get(cell.elem or "")
    values = [as_tensor(ip.op, item, dtype) for item in content]
    return ip.op.Concat(*(ip.op.Unsqueeze(value, [0]) for value in values), axis=0)


def list_of(ip: Machine, values: Value, elem: str) -> ListCell:
    """The items of a vector as a list of ints, floats or bools."""
    size = values.dims[0]
    if not isinstance(size, int):
        return ListCell(ip.op.SplitToSequence(values, None, axis=0, keepdims=0), elem)
    return ListCell(tuple(numbers.from_tensor(ip.op, ip.op.Gather(values, i, axis=0), elem) for i in range(size)), elem)


def _matches(ip: Machine, cell: ListCell, item: Any) -> Value:
    """int64, for each number in a list whether it is ``item``."""
    values = vector(ip, cell)
    return ip.op.Cast(ip.op.Equal(values, as_tensor(ip.op, item, values.etype)), to=DataType.INT64)


@register(SEQUENCES, "index")
def _index(ip: Machine, cell: ListCell, item: Any) -> Any:
    """The place of the first ``item``; there has to be one."""
    if not is_number(item) or not _of_traced_numbers(cell, item):
        return NotImplemented
    return ip.op.symbol_of(ip.op.ArgMax(_matches(ip, cell, item), axis=0, keepdims=0), low=0)


@register(SEQUENCES, "count")
def _count(ip: Machine, cell: ListCell, item: Any) -> Any:
    if not is_number(item) or not _of_traced_numbers(cell, item):
        return NotImplemented
    return ip.op.symbol_of(ip.op.ReduceSum(_matches(ip, cell, item), [0], keepdims=0), low=0)


@register(SEQUENCES, "remove")
def _remove(ip: Machine, cell: ListCell, item: Any) -> Any:
    place = _index(ip, cell, item)
    return place if place is NotImplemented else delete(ip, cell, place)


@register(SEQUENCES, "__contains__")
def _contains(ip: Machine, cell: ListCell, item: Any) -> Any:
    if not _in_graph(cell):
        return NotImplemented
    count = ip.op.ReduceSum(_matches(ip, cell, item), [0], keepdims=0)
    return Scalar(ip.op.Greater(count, 0))


def _reduced(name: str) -> Handler:
    def reduce(ip: Machine, cell: ListCell, *rest: Any) -> Any:
        if not _in_graph(cell) or rest:
            return NotImplemented
        values = vector(ip, cell)
        if name in ("any", "all"):
            flags = ip.op.Cast(ip.op.cast(values, DataType.BOOL), to=DataType.INT64)
            # Of nothing, all are true and none is.
            start = ip.op.const([int(name == "all")])
            flags = ip.op.Concat(flags, start, axis=0)
            found = (ip.op.ReduceMax if name == "any" else ip.op.ReduceMin)(flags, [0], keepdims=0)
            return Scalar(ip.op.Cast(found, to=DataType.BOOL))
        if values.etype == DataType.BOOL:
            values = ip.op.Cast(values, to=DataType.INT64)
        result = {"sum": ip.op.ReduceSum, "min": ip.op.ReduceMin, "max": ip.op.ReduceMax}[name](values, [0], keepdims=0)
        return numbers.from_tensor(ip.op, result, "float" if values.etype == DataType.DOUBLE else "int")

    return reduce


for _name in ("sum", "min", "max", "any", "all"):
    SEQUENCES[_name] = SEQUENCES[f"prim::{_name}"] = _reduced(_name)


@register(SEQUENCES, "sorted")
def _sorted(ip: Machine, cell: ListCell, reverse: Any = False) -> Any:
    if not _of_traced_numbers(cell) or not isinstance(reverse, bool):
        return NotImplemented
    values = vector(ip, cell)
    found, _ = ip.op.TopK(values, ip.op.dims_tensor(values.dims), axis=0, largest=int(reverse), sorted=1)
    return list_of(ip, found, numbers.kind_of(values.etype))


@register(SEQUENCES, "sort")
def _sort(ip: Machine, cell: ListCell, reverse: Any = False) -> Any:
    result = _sorted(ip, cell, reverse)
    return result if result is NotImplemented else store(ip, cell, result.content)


@register(SEQUENCES, "eq")
def _equal(ip: Machine, a: ListCell, b: Any) -> Any:
    if not isinstance(b, ListCell) or not (_in_graph(a) or _in_graph(b)):
        return NotImplemented
    as_long = numbers.calculate(ip.op, "eq", length(ip, a), length(ip, b))

    def items_equal() -> Scalar:
        differences = ip.op.Cast(ip.op.Not(ip.op.Equal(vector(ip, a), vector(ip, b))), to=DataType.INT64)
        return Scalar(ip.op.Equal(ip.op.ReduceSum(differences, [0], keepdims=0), 0))

    if any(cell.content == () for cell in (a, b)) or as_long is False:
        return as_long
    return items_equal() if as_long is True else branches.choose(ip, as_long.value, items_equal, lambda: False)


@register(SEQUENCES, "ne")
def _unequal(ip: Machine, a: ListCell, b: Any) -> Any:
    answer = _equal(ip, a, b)
    return answer if answer is NotImplemented else numbers.logical_not(ip.op, answer)


@register(SEQUENCES, "tensor", "as_tensor")
def _tensor(ip: Machine, cell: ListCell, dtype: Any = None, *rest: Any, **options: Any) -> Any:
    """Of numbers that a loop collected; lists of known length are a constant or stacked."""
    if not isinstance(cell.content, Value):
        return NotImplemented
    values = vector(ip, cell)
    default = DataType.FLOAT if values.etype == DataType.DOUBLE else values.etype
    return Box(ip.op.cast(values, default if dtype is None else BY_CODE[dtype]))


# ---- items picked one by one -----------------------------------------------------------------------------------------


def _picked(ip: Machine, sequence: Value, count: Int, place: Callable[[Int], Int], onto: Value | None = None) -> Value:
    """The items of ``sequence`` at ``count`` places, put at the end of ``onto``."""
    op = ip.op
    body = op.child()
    number = body.symbol_of(body.input("round", DataType.INT64, ()), "i", low=0)
    go_on = body.input("go_on", DataType.BOOL, ())
    same_dims = onto is None or onto.dims == sequence.dims
    dims = sequence.dims if same_dims else None
    done = body.sequence_input("picked", sequence.etype, dims)
    item = body.SequenceAt(sequence, body.dim_value(place(number)))
    graph = body.graph([go_on, body.SequenceInsert(done, item)], "body")
    start = op.SequenceEmpty(dtype=sequence.etype) if onto is None else onto
    type_ = TensorType(sequence.etype, dims, sequence=True)
    (result,) = op.node("Loop", [op.dim_value(count), op.const(True), start], {"body": graph}, [type_])
    return result


@register(SEQUENCES, "slice")
def _slice(ip: Machine, cell: ListCell, start: Any = None, end: Any = None, step: Any = 1) -> Any:
    if not (_in_graph(cell) or any(map(_is_traced, (start, end)))):
        return NotImplemented
    if not isinstance(step, int) or not step:
        raise LoweringError("a list is sliced by steps that depend on data")
    size = length(ip, cell)
    low, high = (0, size) if step > 0 else (-1, size - 1)
    first, last = (low, high) if step > 0 else (high, low)
    begin = first if start is None else _clamped(ip, start, size, low, high)
    stop = last if end is None else _clamped(ip, end, size, low, high)
    if isinstance(cell.content, tuple) and not any(map(_is_traced, (begin, stop))):
        return NotImplemented
    sequence = as_sequence(ip, cell)
    items = _picked(ip, sequence, range_length(begin, stop, step), lambda i: begin + i * step)
    return kinship.copied(ListCell(items, cell.elem), cell)


def _clamped(ip: Machine, bound: Int, size: Int, low: Int, high: Int) -> Int:
    """A bound of a slice as a place: negative ones count from the end."""
    if isinstance(bound, int) and bound >= _NO_BOUND:
        return high
    least = bounds(bound)[0]
    if isinstance(bound, int) and bound < 0:
        return maximum(bound + size, low)
    if least is None or least < 0:
        value = ip.op.dim_value(bound)
        bound = ip.op.symbol_of(ip.op.Where(ip.op.Less(value, 0), ip.op.dim_value(bound + size), value))
        return maximum(minimum(bound, high), low)
    return minimum(bound, high)


@register(SEQUENCES, "reverse")
def _reverse(ip: Machine, cell: ListCell) -> Any:
    if not _in_graph(cell):
        return NotImplemented
    size = length(ip, cell)
    return store(ip, cell, _picked(ip, as_sequence(ip, cell), size, lambda i: size - 1 - i))


def _joined(ip: Machine, a: ListCell, b: ListCell) -> Any:
    """The items of two lists of which the graph holds at least one."""
    if a.content == ():
        return read(ip, b)
    if b.content == ():
        return read(ip, a)
    onto = as_sequence(ip, a)
    other = read(ip, b)
    if isinstance(other, tuple):
        for item in other:
            onto = ip.op.SequenceInsert(onto, element(ip, item, onto.etype))
        return onto
    return _picked(ip, other, length(ip, b), lambda i: i, onto)


@register(SEQUENCES, "extend", "add_")
def _extend(ip: Machine, cell: ListCell, other: Any) -> Any:
    if not _in_graph(other):
        return NotImplemented
    store(ip, cell, _joined(ip, cell, other))
    kinship.copied(cell, other)
    return cell


@register(SEQUENCES, "add")
def _add(ip: Machine, a: ListCell, b: Any) -> Any:
    if not isinstance(b, ListCell) or not (_in_graph(a) or _in_graph(b)):
        return NotImplemented
    return kinship.copied(ListCell(_joined(ip, a, b), a.elem or b.elem), a, b)


@register(SEQUENCES, "mul")
def _repeated(ip: Machine, cell: ListCell, times: Any) -> Any:
    if not (_in_graph(cell) or _is_traced(times)):
        return NotImplemented
    size = length(ip, cell)
    items = _picked(ip, as_sequence(ip, cell), size * maximum(times, 0), lambda i: mod(i, size))
    return kinship.copied(ListCell(items, cell.elem), cell)

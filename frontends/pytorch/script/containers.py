"""Operators on lists, dicts, strings, and the questions that are answered while reading: ``len``, ``append``, ``is None``, ``dtype``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from nxconvert.frontends.pytorch.dtypes import CODES, DataType
from nxconvert.frontends.pytorch.ops.common import as_tensor
from nxconvert.frontends.pytorch.script import numbers
from nxconvert.frontends.pytorch.script.values import (
    Box, Collected, DictCell, ListCell, Maybe, Number, ObjectCell, Stacked, Uninitialized, dims_of, is_number,
)  # fmt: skip
from nxconvert.frontends.pytorch.table import LoweringError, Scalar
from nxconvert.graph.builder import Value
from nxconvert.graph.dims import Dim, Int, floordiv, maximum

if TYPE_CHECKING:
    from nxconvert.frontends.pytorch.script.interpreter import Interpreter

Handler = Callable[..., Any]
_LISTS: dict[str, Handler] = {}
_DICTS: dict[str, Handler] = {}
_STRINGS: dict[str, Handler] = {}
_ANY: dict[str, Handler] = {}


class GrowthOnly(LoweringError):
    """A list that a loop fills is read inside the loop, so it cannot be stacked after it."""


def call(ip: Interpreter, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The result of an operator on containers, strings or anything; NotImplemented if it is none of those."""
    handler = _ANY.get(name)
    if handler is not None:
        result = handler(ip, *args, **kwargs)
        if result is not NotImplemented:
            return result
    if not args:
        return NotImplemented
    first = args[0]
    table = _LISTS if isinstance(first, ListCell) else _DICTS if isinstance(first, DictCell) else _STRINGS if isinstance(first, str) else None
    handler = table.get(name) if table is not None else None
    return handler(ip, *args, **kwargs) if handler is not None else NotImplemented


def handles(name: str) -> bool:
    """Whether an operator is computed here for some kind of value."""
    return any(name in table for table in (_ANY, _LISTS, _DICTS, _STRINGS))


def _register(table: dict[str, Handler], *names: str) -> Callable[[Handler], Handler]:
    def register(handler: Handler) -> Handler:
        table.update(dict.fromkeys(names, handler))
        return handler

    return register


def kind_of(value: Any) -> str:
    """What a value is, for messages."""
    if isinstance(value, Box):
        return "a tensor"
    if isinstance(value, (tuple, ListCell)):
        return "a tuple" if isinstance(value, tuple) else "a list"
    return f"{type(value).__name__}"


# ---- lists -------------------------------------------------------------------------------------------------------------------------------


def read(ip: Interpreter, cell: ListCell) -> tuple[Any, ...] | Value:
    """A list's items, or the sequence value that holds them.

    Raises:
        GrowthOnly: inside a loop that was taken to only append to it.
    """
    cell.reads += 1
    content = cell.content
    if isinstance(content, Collected):
        raise GrowthOnly("a list is read in the loop that fills it")
    if isinstance(content, Stacked):
        content = ip.op.SplitToSequence(content.value, None, axis=0, keepdims=0)
        ip.journal.write(cell, None, content)
    return content


def item_at(ip: Interpreter, cell: ListCell, index: Int) -> Any:
    """``cell[index]``."""
    content = cell.content
    if isinstance(content, Stacked):
        axis = content.value.dims[0]
        place = index if not isinstance(index, int) or index >= 0 else axis + index
        return _element(ip, cell, ip.op.Gather(content.value, place, axis=0))
    content = read(ip, cell)
    if isinstance(content, tuple) and isinstance(index, int):
        if not -len(content) <= index < len(content):
            raise LoweringError(f"item {index} of a list of {len(content)}")
        return content[index]
    return _element(ip, cell, ip.op.SequenceAt(as_sequence(ip, cell), index))


def _element(ip: Interpreter, cell: ListCell, value: Value) -> Any:
    """An item of a sequence: a tensor, or a number where the list holds numbers."""
    return numbers.from_tensor(ip.op, value, cell.elem) if cell.elem in ("int", "float", "bool") else Box(value)


def as_sequence(ip: Interpreter, cell: ListCell) -> Value:
    """The list as a sequence value of the graph."""
    content = read(ip, cell)
    if isinstance(content, Value):
        return content
    dtype = {"int": DataType.INT64, "float": DataType.DOUBLE, "bool": DataType.BOOL}.get(cell.elem or "")
    items = [ip.tensor(item) if isinstance(item, Box) else as_tensor(ip.op, item, dtype) for item in content]
    if any(not isinstance(item, Value) for item in items):
        raise LoweringError("a list that is indexed by a number that depends on data holds something else than tensors")
    return ip.op.SequenceConstruct(*items) if items else ip.op.SequenceEmpty(dtype=dtype or DataType.FLOAT)


def _content(ip: Interpreter, value: Any) -> Value:
    """An item as an element of a sequence."""
    if isinstance(value, Box):
        return ip.tensor(value)
    dtype = DataType.DOUBLE if isinstance(value, float) else None
    return as_tensor(ip.op, value, dtype)


def _static_index(index: Any, what: str) -> int:
    if isinstance(index, Dim):
        raise LoweringError(f"{what} at a place that depends on data")
    return int(index)


@_register(_LISTS, "append")
def _append(ip: Interpreter, cell: ListCell, item: Any) -> ListCell:
    content = cell.content
    cell.appends.append(ip.journal.depth)
    if isinstance(content, Collected):
        ip.journal.write(cell, None, Collected((*content.items, item)))
        return cell
    reads = cell.reads
    content = read(ip, cell)
    cell.reads = reads
    new = (*content, item) if isinstance(content, tuple) else ip.op.SequenceInsert(content, _content(ip, item))
    ip.journal.write(cell, None, new)
    return cell


@_register(_LISTS, "extend", "add_")
def _extend(ip: Interpreter, cell: ListCell, other: ListCell) -> ListCell:
    for item in _iterate(ip, other):
        _append(ip, cell, item)
    return cell


def _iterate(ip: Interpreter, cell: ListCell) -> tuple[Any, ...]:
    content = read(ip, cell)
    if isinstance(content, Value):
        raise LoweringError("the items of a list whose length depends on data are taken one by one")
    return content


@_register(_LISTS, "insert")
def _insert(ip: Interpreter, cell: ListCell, index: Int, item: Any) -> None:
    content = read(ip, cell)
    if isinstance(content, tuple) and isinstance(index, int):
        items = list(content)
        items.insert(index, item)
        ip.journal.write(cell, None, tuple(items))
    else:
        place = ip.op.dim_value(index) if isinstance(index, Dim) else ip.op.const(index)
        ip.journal.write(cell, None, ip.op.SequenceInsert(as_sequence(ip, cell), _content(ip, item), place))


@_register(_LISTS, "pop")
def _pop(ip: Interpreter, cell: ListCell, index: Int = -1) -> Any:
    item = item_at(ip, cell, index)
    _delete(ip, cell, index)
    return item


@_register(_LISTS, "Delete", "__delitem__")
def _delete(ip: Interpreter, cell: ListCell, index: Int) -> None:
    content = read(ip, cell)
    if isinstance(content, tuple) and isinstance(index, int):
        place = index % len(content)
        ip.journal.write(cell, None, content[:place] + content[place + 1 :])
    else:
        ip.journal.write(cell, None, ip.op.SequenceErase(as_sequence(ip, cell), index))


@_register(_LISTS, "clear")
def _clear(ip: Interpreter, cell: ListCell) -> None:
    ip.journal.write(cell, None, ())


@_register(_LISTS, "_set_item")
def _set_item(ip: Interpreter, cell: ListCell, index: Int, item: Any) -> ListCell:
    content = read(ip, cell)
    if isinstance(content, tuple) and isinstance(index, int):
        items = list(content)
        items[index] = item
        ip.journal.write(cell, None, tuple(items))
    else:
        sequence = as_sequence(ip, cell)
        place: Any = index
        if isinstance(index, int) and index < 0:
            place = ip.op.symbol_of(ip.op.SequenceLength(sequence)) + index
        erased = ip.op.SequenceErase(sequence, place)
        ip.journal.write(cell, None, ip.op.SequenceInsert(erased, _content(ip, item), place))
    return cell


@_register(_LISTS, "reverse")
def _reverse(ip: Interpreter, cell: ListCell) -> None:
    content = read(ip, cell)
    if isinstance(content, tuple):
        ip.journal.write(cell, None, content[::-1])
    else:
        from nxconvert.frontends.pytorch.script.control import reversed_sequence

        ip.journal.write(cell, None, reversed_sequence(ip, content))


@_register(_LISTS, "copy", "list")
def _copy(ip: Interpreter, cell: ListCell) -> ListCell:
    return ListCell(read(ip, cell), cell.elem)


@_register(_LISTS, "add")
def _concatenate(ip: Interpreter, a: ListCell, b: ListCell) -> Any:
    if not isinstance(b, ListCell):
        return NotImplemented
    left, right = read(ip, a), read(ip, b)
    if isinstance(left, tuple) and isinstance(right, tuple):
        return ListCell(left + right, a.elem or b.elem)
    result = ListCell(as_sequence(ip, a), a.elem)
    for item in _iterate(ip, b):
        _append(ip, result, item)
    return result


@_register(_LISTS, "mul")
def _repeat(ip: Interpreter, cell: ListCell, times: Int) -> Any:
    return ListCell(_iterate(ip, cell) * _static_index(times, "a list is repeated"), cell.elem)


@_register(_LISTS, "slice")
def _slice(ip: Interpreter, cell: ListCell, start: Any = None, end: Any = None, step: Any = 1) -> Any:
    return ListCell(_iterate(ip, cell)[slice(start, end, step)], cell.elem)


@_register(_LISTS, "__getitem__")
def _get(ip: Interpreter, cell: ListCell, index: Int) -> Any:
    return item_at(ip, cell, index)


@_register(_LISTS, "eq")
def _lists_equal(ip: Interpreter, a: ListCell, b: Any) -> Any:
    return _equal_items(ip, _iterate(ip, a), _iterate(ip, b))


def _equal_items(ip: Interpreter, a: tuple[Any, ...], b: tuple[Any, ...]) -> Any:
    if len(a) != len(b):
        return False
    result: Any = True
    for x, y in zip(a, b, strict=True):
        same = numbers.calculate(ip.op, "eq", x, y) if is_number(x) and is_number(y) else x == y
        result = numbers.calculate(ip.op, "__and__", result, same)
    return result


_LISTS["ne"] = lambda ip, a, b: numbers.logical_not(ip.op, _lists_equal(ip, a, b))


@_register(_LISTS, "__contains__")
def _contains(ip: Interpreter, cell: ListCell, item: Any) -> Any:
    result: Any = False
    for x in _iterate(ip, cell):
        same = numbers.calculate(ip.op, "eq", x, item) if is_number(x) and is_number(item) else x == item
        result = numbers.calculate(ip.op, "__or__", result, same)
    return result


@_register(_LISTS, "index")
def _index(ip: Interpreter, cell: ListCell, item: Any) -> Any:
    if not isinstance(item, (int, float, str)):
        return NotImplemented
    return _iterate(ip, cell).index(item)


_LISTS["count"] = lambda ip, cell, item: _iterate(ip, cell).count(item)


def _fold(name: str, operator: str, start: Any) -> Handler:
    def reduce(ip: Interpreter, cell: ListCell, *rest: Any) -> Any:
        items = _iterate(ip, cell)
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
    _LISTS[_name] = _LISTS[f"prim::{_name}"] = _fold(_name, _operator, _start)


@_register(_LISTS, "sorted")
def _sorted(ip: Interpreter, cell: ListCell, reverse: bool = False) -> Any:
    return ListCell(tuple(sorted(_known(_iterate(ip, cell)), reverse=reverse)), cell.elem)


@_register(_LISTS, "sort")
def _sort(ip: Interpreter, cell: ListCell, reverse: bool = False) -> None:
    ip.journal.write(cell, None, tuple(sorted(_known(_iterate(ip, cell)), reverse=reverse)))


def _known(items: tuple[Any, ...]) -> tuple[Any, ...]:
    if not all(isinstance(item, (int, float, str)) for item in items):
        raise LoweringError("a list of values that depend on data is sorted")
    return items


def raise_if_growing(cell: ListCell) -> None:
    """Refuses to look into a list that the running loop only fills."""
    if isinstance(cell.content, Collected):
        raise GrowthOnly("a list is read in the loop that fills it")


def _stack(ip: Interpreter, cell: ListCell, dim: Int = 0) -> Any:
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


def _cat(ip: Interpreter, cell: ListCell, dim: Int = 0) -> Any:
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


_LISTS["stack"], _LISTS["cat"] = _stack, _cat


# ---- dicts -------------------------------------------------------------------------------------------------------------------------------


@_register(_DICTS, "_set_item")
def _set_key(ip: Interpreter, cell: DictCell, key: Any, item: Any) -> None:
    ip.journal.write(cell, None, {**cell.content, key: item})


@_register(_DICTS, "__getitem__")
def _get_key(ip: Interpreter, cell: DictCell, key: Any) -> Any:
    if key not in cell.content:
        raise LoweringError(f"the dict has no key {key!r}")
    return cell.content[key]


@_register(_DICTS, "pop", "Delete")
def _pop_key(ip: Interpreter, cell: DictCell, key: Any, *default: Any) -> Any:
    item = cell.content.get(key, default[0]) if default else cell.content[key]
    ip.journal.write(cell, None, {k: v for k, v in cell.content.items() if k != key})
    return item


@_register(_DICTS, "update")
def _update(ip: Interpreter, cell: DictCell, other: DictCell) -> None:
    ip.journal.write(cell, None, {**cell.content, **other.content})


@_register(_DICTS, "setdefault")
def _set_default(ip: Interpreter, cell: DictCell, key: Any, default: Any) -> Any:
    if key not in cell.content:
        _set_key(ip, cell, key, default)
    return cell.content[key]


_DICTS.update(
    {
        "__contains__": lambda ip, cell, key: key in cell.content,
        "get": lambda ip, cell, key, default=None: cell.content.get(key, default),
        "keys": lambda ip, cell: ListCell(tuple(cell.content)),
        "values": lambda ip, cell: ListCell(tuple(cell.content.values())),
        "items": lambda ip, cell: ListCell(tuple(cell.content.items())),
        "copy": lambda ip, cell: DictCell(dict(cell.content)),
        "dict": lambda ip, cell: DictCell(dict(cell.content)),
        "clear": lambda ip, cell: ip.journal.write(cell, None, {}),
    }
)


# ---- strings -----------------------------------------------------------------------------------------------------------------------------


def _method(name: str) -> Handler:
    def call_method(ip: Interpreter, text: str, *args: Any) -> Any:
        result = getattr(text, name)(*(read(ip, a) if isinstance(a, ListCell) else a for a in args))
        return ListCell(tuple(result)) if isinstance(result, list) else result

    return call_method


for _name in """lower upper strip lstrip rstrip startswith endswith find rfind replace split rsplit join capitalize title isdigit isalpha
                count index center ljust rjust zfill swapcase splitlines isupper islower isspace""".split():
    _STRINGS[_name] = _method(_name)


@_register(_STRINGS, "format")
def _format(ip: Interpreter, text: str, *args: Any) -> str:
    from nxconvert.frontends.pytorch.script.dispatch import to_text

    try:
        return text.format(*map(to_text, args))
    except (IndexError, ValueError, KeyError):
        return text


_STRINGS.update(
    {
        "add": lambda ip, a, b: a + b,
        "mul": lambda ip, a, b: a * b,
        "eq": lambda ip, a, b: a == b,
        "ne": lambda ip, a, b: a != b,
        "__contains__": lambda ip, a, b: b in a,
        "__getitem__": lambda ip, a, b: a[b],
        "slice": lambda ip, a, start=None, end=None, step=1: a[slice(start, end, step)],
        "ord": lambda ip, a: ord(a),
        "list": lambda ip, a: ListCell(tuple(a)),
        "percentFormat": lambda ip, a, *args: a % args,
    }
)
_ANY["prim::percentFormat"] = _ANY["percentFormat"] = _STRINGS["percentFormat"]


# ---- questions that are answered while reading -------------------------------------------------------------------------------------------


@_register(_ANY, "__is__")
def _is(ip: Interpreter, a: Any, b: Any) -> Any:
    if isinstance(a, Maybe) or isinstance(b, Maybe):
        maybe, other = (a, b) if isinstance(a, Maybe) else (b, a)
        if other is None:
            return Scalar(ip.op.Not(maybe.present))
    if isinstance(a, Uninitialized):
        return b is None
    return a is b or (a is not None and b is not None and type(a) is type(b) and not isinstance(a, Box) and a == b)


@_register(_ANY, "__isnot__")
def _is_not(ip: Interpreter, a: Any, b: Any) -> Any:
    if isinstance(a, Maybe) and b is None:
        return Scalar(a.present)
    return numbers.logical_not(ip.op, _is(ip, a, b))


def length(ip: Interpreter, cell: ListCell) -> Int:
    """``len(cell)``."""
    if isinstance(cell.content, Stacked):
        return cell.content.value.dims[0]
    content = read(ip, cell)
    return len(content) if isinstance(content, tuple) else ip.op.symbol_of(ip.op.SequenceLength(content), low=0)


@_register(_ANY, "len")
def _len(ip: Interpreter, value: Any) -> Any:
    if isinstance(value, ListCell):
        return length(ip, value)
    if isinstance(value, Box):
        return dims_of(ip.content(value))[0]
    return len(value.content) if isinstance(value, DictCell) else len(value)


@_register(_ANY, "prim::RaiseException", "RaiseException")
def _raise(ip: Interpreter, message: Any, kind: Any = "", *rest: Any) -> None:
    from nxconvert.frontends.pytorch.script.interpreter import ScriptRaise

    raise ScriptRaise(f"{kind or 'Exception'}: {message}" if message else str(kind))


@_register(_ANY, "prim::NumToTensor")
def _number_to_tensor(ip: Interpreter, number: Any) -> Box:
    if isinstance(number, Scalar):
        return Box(number.value if number.value.etype == DataType.BOOL else ip.op.cast(number.value, DataType.FLOAT))
    dtype = DataType.BOOL if isinstance(number, bool) else DataType.FLOAT if isinstance(number, float) else DataType.INT64
    return Box(Number(number, dtype))


@_register(_ANY, "prim::dtype")
def _dtype(ip: Interpreter, box: Any) -> int:
    content = ip.content(box)
    code = getattr(content, "dtype_code", None)  # quantized and complex tensors say theirs
    if code is not None:
        return int(code)
    return CODES[content.dtype if isinstance(content, Number) else content.etype]


@_register(_ANY, "size", "prim::shape")
def _size(ip: Interpreter, box: Any, dim: Any = None) -> Any:
    if not isinstance(box, Box):
        return NotImplemented
    dims = dims_of(ip.content(box))
    if dim is None:
        return ListCell(dims, "int")
    if not isinstance(dim, int) or not -len(dims) <= dim < len(dims):
        raise LoweringError(f"axis {dim} of a tensor of rank {len(dims)}")
    return dims[dim]


@_register(_ANY, "dim")
def _dim(ip: Interpreter, box: Any) -> Any:
    return len(dims_of(ip.content(box)))


@_register(_ANY, "numel")
def _numel(ip: Interpreter, box: Any) -> Any:
    total: Int = 1
    for dim in dims_of(ip.content(box)):
        total = dim * total
    return total


@_register(_ANY, "stride")
def _stride(ip: Interpreter, box: Any, dim: Any = None) -> Any:
    """The strides of a contiguous tensor."""
    strides: list[Int] = []
    step: Int = 1
    for size in reversed(dims_of(ip.content(box))):
        strides.insert(0, step)
        step = size * step
    return ListCell(tuple(strides), "int") if dim is None else strides[dim]


@_register(_ANY, "is_floating_point")
def _is_floating_point(ip: Interpreter, box: Any) -> Any:
    from nxconvert.frontends.pytorch.dtypes import BY_CODE, is_float

    return is_float(BY_CODE.get(_dtype(ip, box), DataType.INT64))


def _as_number(kind: str | None) -> Handler:
    def convert(ip: Interpreter, box: Any) -> Any:
        if not isinstance(box, Box):
            return ip.number(box, kind or "float")
        dtype = _element_dtype(ip, box)
        return ip.number(box, kind or ("bool" if dtype == DataType.BOOL else "float" if dtype.is_floating_point() else "int"))

    return convert


def _element_dtype(ip: Interpreter, box: Box) -> Any:
    content = ip.content(box)
    return content.dtype if isinstance(content, Number) else content.etype


for _name, _kind in {
    "item": None, "ScalarImplicit": None, "_local_scalar_dense": None, "Int": "int", "IntImplicit": "int", "Float": "float",
    "FloatImplicit": "float", "Bool": "bool",
}.items():  # fmt: skip
    _ANY[_name] = _as_number(_kind)


def range_length(start: Int, end: Int, step: Int) -> Int:
    """How many rounds ``range(start, end, step)`` has."""
    if isinstance(step, Dim):
        raise LoweringError("the step of a range depends on data")
    distance = (end - start) if step > 0 else (start - end)
    return maximum(0, floordiv(distance + abs(step) - 1, abs(step)))


@_register(_ANY, "__range_length")
def _range_length(ip: Interpreter, start: Int, end: Int, step: Int) -> Int:
    return range_length(start, end, step)


@_register(_ANY, "__derive_index")
def _derive_index(ip: Interpreter, index: Int, start: Int, step: Int) -> Int:
    return start + index * step


@_register(_ANY, "prim::abs")
def _abs(ip: Interpreter, x: Any) -> Any:
    return numbers.calculate(ip.op, "abs", x) if is_number(x) else NotImplemented


for _name in ("min", "max"):

    def _number_extreme(ip: Interpreter, *args: Any, _operator: str = _name) -> Any:
        if len(args) < 2 or not all(is_number(x) for x in args):
            return NotImplemented
        return numbers.calculate(ip.op, _operator, *args)

    _ANY[f"prim::{_name}"] = _number_extreme


def _answer(value: Any) -> Handler:
    return lambda ip, *args, **kwargs: value


_ANY.update(
    {
        "device": lambda ip, name, index=None: name if index is None else f"{name}:{index}",
        "prim::device": _answer("cpu"),
        "prim::type": lambda ip, name, index=None: name if isinstance(name, str) else "cpu",
        "prim::index": _answer(None),
        "prim::layout": _answer(0),
        "prim::requires_grad": _answer(False),
        "requires_grad": _answer(False),
        "prim::is_nested": _answer(False),
        "prim::is_cuda": _answer(False),
        "prim::is_sparse": _answer(False),
        "prim::is_sparse_csr": _answer(False),
        "prim::is_mkldnn": _answer(False),
        "prim::is_mps": _answer(False),
        "prim::is_xpu": _answer(False),
        "prim::is_vulkan": _answer(False),
        "prim::is_meta": _answer(False),
        "prim::is_quantized": lambda ip, box: bool(getattr(ip.content(box), "is_quantized", False)),
        "is_complex": lambda ip, box: bool(getattr(ip.content(box), "is_complex", False)),
        "is_contiguous": _answer(True),
        "is_autocast_enabled": _answer(False),
        "is_autocast_cpu_enabled": _answer(False),
        "_autocast_to_full_precision": lambda ip, x, *rest: x,
        "_autocast_to_reduced_precision": lambda ip, x, *rest: x,
        "is_scripting": _answer(True),
        "is_tracing": _answer(False),
        "is_grad_enabled": _answer(False),
        "is_inference": _answer(True),
        "has_torch_function": _answer(False),
        "cudnn_is_acceptable": _answer(False),
        "_get_tracing_state": _answer(False),
        "get_device": _answer(-1),
        "manual_seed": _answer(None),
        "set_grad_enabled": _answer(None),
        "warn": _answer(None),
        "prim::Print": _answer(None),
        "Print": _answer(None),
        "prim::unchecked_unwrap_optional": lambda ip, x: x.content if isinstance(x, Maybe) else x,
        "_unwrap_optional": lambda ip, x: x.content if isinstance(x, Maybe) else x,
        "dict": lambda ip, x=None: DictCell({}) if x is None else NotImplemented,
        "format": lambda ip, text, *args: _format(ip, text, *args) if isinstance(text, str) else NotImplemented,
        "str": lambda ip, x: str(x),
        "hash": lambda ip, x: hash(x) if isinstance(x, (int, str)) else NotImplemented,
        "chr": lambda ip, x: chr(x),
        "save": _answer(None),
    }
)

__all__ = ["Collected", "GrowthOnly", "ObjectCell", "as_sequence", "call", "item_at", "kind_of", "read"]

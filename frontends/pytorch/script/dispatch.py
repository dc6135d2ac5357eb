"""Calls of operators: ``torch.X(...)`` and ``ops.namespace.X(...)``.

The same spelling serves numbers, strings, lists and tensors. What Python could compute is computed (:mod:`numbers`,
:mod:`registry`); the rest goes through the ATen table. In-place forms and ``out=`` are the functional form and a write,
views are boxes that look at their base.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from nxconvert.errors import Unsupported, UnsupportedError
from nxconvert.frontends.pytorch.compound import Compound
from nxconvert.frontends.pytorch.dtypes import DataType
from nxconvert.frontends.pytorch.packed_params import PackedConv, PackedLinear
from nxconvert.frontends.pytorch.script import (
    branches,
    choices,
    kinship,
    lists,
    mappings,
    numbers,
    questions,
    registry,
    sequences,
    strings,
)
from nxconvert.frontends.pytorch.script.strides import is_contiguous, stays_view
from nxconvert.frontends.pytorch.script.values import (  # fmt: skip
    Box,
    Choice,
    DictCell,
    ListCell,
    Maybe,
    Named,
    Number,
    ObjectCell,
    Unbound,
    ViewOf,
    dims_of,
    is_number,
)
from nxconvert.frontends.pytorch.table import LoweringError, Scalar, aten
from nxconvert.frontends.pytorch.views import VIEWS
from nxconvert.graph.builder import Value
from nxconvert.graph.dims import Dim, Int, floordiv, product, require

if TYPE_CHECKING:
    from nxconvert.frontends.pytorch.script.machine import Machine

HANDLERS = (lists, mappings, questions, sequences, strings)
"""The modules that compute operators while reading; importing them fills the registry."""

# Operators that may return their argument itself, and then return the same tensor, not a copy.
_ALIASES = frozenset(
    [
        "to",
        "type_as",
        "float",
        "double",
        "half",
        "bfloat16",
        "int",
        "long",
        "short",
        "char",
        "byte",
        "bool",
        "cpu",
        "cuda",
        "contiguous",
        "detach",
        "alias",
        "lift_fresh",
        "dropout",
        "alpha_dropout",
        "feature_dropout",
        "feature_alpha_dropout",
        "requires_grad",
        "identity",
        "prim::data",
        "resolve_conj",
        "resolve_neg",
        "positive",
        "real",
        "pin_memory",
        "set_data",
    ]
)
# Views only where the elements lie so that no copy is needed.
_VIEWS_OR_COPIES = frozenset({"reshape", "flatten", "reshape_as", "ravel"})
_RESIZING = frozenset({"resize", "resize_as"})
# Operators with a flag that decides which graph they are.
_STATIC_FLAGS = frozenset({"scaled_dot_product_attention"})
_NUMBER_ARITHMETIC = frozenset({"add", "sub", "mul", "floor_divide", "remainder", "neg"})

# The position and the usual rank of an input that may also come without its batch axis.
_USUAL_RANKS = {
    **{f"{name}{n}d": (0, n + 2) for n in (1, 2, 3) for name in (
        "conv", "conv_transpose", "max_pool", "avg_pool", "adaptive_avg_pool", "adaptive_max_pool", "reflection_pad",
        "replication_pad",
    )},
    "embedding": (1, 2), "embedding_bag": (1, 2), "lstm": (0, 3), "gru": (0, 3), "rnn_tanh": (0, 3), "rnn_relu": (0, 3),
    "upsample_nearest2d": (0, 4), "upsample_bilinear2d": (0, 4), "upsample_bicubic2d": (0, 4), "pixel_shuffle": (0, 4),
    "pixel_unshuffle": (0, 4), "grid_sampler": (0, 4),
}  # fmt: skip


_WEAKLY_USUAL_RANKS = {"linear": (0, 2), "addmm": (1, 2)}


def call_operator(ip: Machine, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The result of an operator on the interpreter's values.

    Args:
        ip: the interpreter.
        name: without ``aten::``; operators of other namespaces as ``prim::dtype``.
        args: positional arguments.
        kwargs: arguments by name.

    Raises:
        LookupError: there is no lowering that takes these arguments.
        LoweringError: there is one, and it cannot express them.
    """
    if name.startswith("aten::"):
        name = name[6:]
    place = choices.asked(name, args)
    if place is not None:
        before, after = args[:place], args[place + 1 :]
        return choices.each(ip, args[place], lambda option: call_operator(ip, name, (*before, option, *after), kwargs))
    if kwargs.get("out") is not None:
        return _into_out(ip, name, args, kwargs)
    if name in numbers.OPERATIONS and args and all(is_number(x) for x in args) and not kwargs:
        return numbers.calculate(ip.op, name, *args)
    result = registry.call(ip, name, args, kwargs)
    if result is not NotImplemented:
        return result
    open_choice = _open_choice(name, args, kwargs)
    if open_choice is not None:
        return _both_ways(ip, name, args, kwargs, *open_choice)
    if name in _NUMBER_ARITHMETIC:
        result = _on_numbers(ip, name, args, kwargs)
        if result is not None:
            return result
    if name not in aten and functional_name(name) in aten:
        return _in_place(ip, functional_name(name), args, kwargs)
    return _functional(ip, name, args, kwargs)


def functional_name(name: str) -> str:
    """Of an in-place operator, the one that makes a new tensor: ``add`` of ``add_``, ``__and__`` of ``__iand__``."""
    return f"__{name[3:]}" if name.startswith("__i") and name.endswith("__") else name.removesuffix("_")


def _open_choice(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Value, Any, Any] | None:
    """An argument that decides what the operator does, and of which only the running graph knows what it is.

    Returns:
        the argument, the condition, and what it is if that holds and if it does not.
    """
    for value in (*args, *kwargs.values()):
        if isinstance(value, Maybe):
            return value, value.present, value.content, None
        if isinstance(value, Scalar) and value.value.etype == DataType.BOOL and name in _STATIC_FLAGS:
            return value, value.value, True, False
    return None


def _both_ways(
    ip: Machine,
    name: str,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    choice: Any,
    condition: Value,
    a: Any,
    b: Any,
) -> Any:
    """The operator under an ``If``, with the argument in question settled in either branch."""

    def called_with(settled: Any) -> Any:
        now = tuple(settled if arg is choice else arg for arg in args)
        return call_operator(ip, name, now, {key: settled if arg is choice else arg for key, arg in kwargs.items()})

    return branches.choose(ip, condition, lambda: called_with(a), lambda: called_with(b))


def explain(ip: Machine, name: str, error: Exception) -> UnsupportedError:
    """The error that tells the user which operator of theirs cannot be lowered, and where it stands."""
    operator = name if "::" in name else f"aten::{name}"
    return UnsupportedError([Unsupported(operator, str(error), ip.where)])


def _call_table(ip: Machine, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    op = ip.op
    plain_args = unwrap_all(ip, args)
    plain_kwargs = {key: unwrap(ip, value) for key, value in kwargs.items()}
    for weight, usual_ranks in ((2, _USUAL_RANKS), (1, _WEAKLY_USUAL_RANKS)):
        if name in usual_ranks:
            _note_rank(ip, weight, plain_args, *usual_ranks[name])
    op.source = f"{name if '::' in name else 'aten::' + name} {ip.where}"
    try:
        lowering = aten.find(name, plain_args, plain_kwargs)
    except LookupError:
        # Where a number is asked for, a tensor of rank 0 is taken as one.
        plain_args = [_implicit_number(ip, arg, plain) for arg, plain in zip(args, plain_args, strict=True)]
        plain_kwargs = {key: _implicit_number(ip, kwargs[key], plain) for key, plain in plain_kwargs.items()}
        lowering = aten.find(name, plain_args, plain_kwargs)
    result = lowering.function(op, *plain_args, **plain_kwargs)
    if name == "batch_norm" and len(args) > 6 and args[5] is True and isinstance(args[3], Box):
        _update_running_statistics(ip, args)
    return result


def _update_running_statistics(ip: Machine, args: tuple[Any, ...]) -> None:
    """What ``batch_norm`` in training mode does to the statistics that it is given: they move towards the batch's."""
    op, x, momentum = ip.op, ip.plain(args[0]), args[6]
    axes = [axis for axis in range(x.rank) if axis != 1]
    count = product(x.dims[axis] for axis in axes)
    mean = op.ReduceMean(x, axes, keepdims=1)
    variance = op.ReduceMean(op.Mul(op.Sub(x, mean), op.Sub(x, mean)), axes, keepdims=0)
    unbiased = op.Mul(
        variance, op.Div(op.cast(op.dim_value(count), x.etype), op.cast(op.dim_value(count - 1), x.etype))
    )
    for box, new in ((args[3], op.Squeeze(mean, axes)), (args[4], unbiased)):
        old = ip.plain(box)
        ip.write(box, op.Add(op.Mul(old, 1 - momentum), op.Mul(op.cast(new, old.etype), momentum)))


def _implicit_number(ip: Machine, value: Any, plain: Any) -> Any:
    if isinstance(value, Box) and isinstance(plain, Value) and not plain.rank:
        return ip.number(value, numbers.kind_of(plain.etype))
    return plain


def _note_rank(ip: Machine, weight: int, args: list[Any], position: int, rank: int) -> None:
    """Remembers whether an operator gets its input in its usual form."""
    if position < len(args) and isinstance(args[position], Value) and not args[position].is_sequence:
        ip.evidence.append((weight, args[position].rank == rank))


def _functional(ip: Machine, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    result = _call_table(ip, name, args, kwargs)
    first = args[0] if args else None
    if not isinstance(first, Box):
        return wrap(result)
    if name in _VIEWS_OR_COPIES:
        return _view_or_copy(ip, name, args, kwargs, result, stays_view(first, dims_of(result)))
    if name == "contiguous":
        return _view_or_copy(ip, "alias", (first,), {}, result, is_contiguous(first))
    if name in VIEWS:
        return _view(ip, name, args, kwargs, result)
    copies = kwargs.get("copy") or (name == "to" and any(arg is True for arg in args[-2:]))
    if name in _ALIASES and result is ip.content(first) and not copies:
        return first
    return wrap(result)


def _view_or_copy(
    ip: Machine, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any, is_view: bool | None
) -> Any:
    """A view, a copy, or what may be either and is refused once that matters."""
    if is_view:
        return args[0] if name == "alias" else _view(ip, name, args, kwargs, result)
    copy = wrap(result)
    if is_view is None and isinstance(copy, Box):
        kinship.relate(copy, args[0].roots())
    return copy


def _view(ip: Machine, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> Any:
    base = args[0]
    if result is ip.content(base):
        return base
    base.viewed = True
    if isinstance(result, Value) and result.is_sequence:
        unbound = _unbound(name, base, args[1:], kwargs, dims_of(ip.content(base)))
        if unbound is not None:
            return ListCell(unbound)
        parts = wrap(result)
        kinship.contains(parts, base)
        return parts
    roots = tuple(root.content for root in base.roots())

    def look(value: Any, index: int | None) -> Box:
        return Box(value, ViewOf(base, name, args[1:], kwargs, index), (roots, ip.op))

    if isinstance(result, (list, tuple)):
        return ListCell(tuple(look(value, i) for i, value in enumerate(result)))
    return look(result, None)


def _unbound(
    name: str, base: Box, args: tuple[Any, ...], kwargs: dict[str, Any], dims: tuple[Int, ...]
) -> Unbound | None:
    """The parts of an axis of unknown size, where all but the last are of one size."""
    position = 0 if name == "unbind" else 1
    axis = kwargs.get("dim", args[position] if position < len(args) else 0)
    if not isinstance(axis, int) or name not in ("unbind", "split", "chunk"):
        return None
    if name == "unbind":
        return Unbound(base, axis % len(dims))
    count = kwargs.get("chunks" if name == "chunk" else "split_size", args[0] if args else None)
    if not isinstance(count, int):
        return None
    return Unbound(base, axis % len(dims), count if name == "split" else -floordiv(-dims[axis], count))


def _in_place(ip: Machine, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """``x.add_(y)``: the functional form, cast back to the dtype of ``x`` and written to it."""
    target = args[0]
    if not isinstance(target, Box):
        raise LoweringError(f"{name}_ changes something that is no tensor")
    before = ip.tensor(target)
    result = _call_table(ip, name, args, kwargs)
    if name in _RESIZING and (target.source is not None or target.viewed):
        raise LoweringError("a tensor that shares its memory is resized")
    if name in VIEWS or name in _RESIZING:  # squeeze_, t_, unsqueeze_: the tensor gets other dims
        _look_otherwise(ip, target, name, args, kwargs, result)
        return target
    if isinstance(result, Value):
        result = ip.op.cast(result, before.etype)
        result = result if result.rank == before.rank else ip.op.expand(result, before.dims)
    ip.write(target, result)
    return target


def _look_otherwise(
    ip: Machine, box: Box, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any
) -> None:
    """Makes ``box`` a view of what it is now; the views that there are of it go on to look at it as it is."""
    if box.viewed or box.born < ip.journal.depth:
        raise LoweringError(f"{name}_ changes the dims of a tensor that has views, or is from before a branch or loop")
    if box.source is None:
        ip.write(box, result)
    else:
        roots = tuple(root.content for root in box.roots())
        box.source = ViewOf(Box(box.content, box.source, box.seen), name, args[1:], kwargs, None)
        box.content, box.seen = result, (roots, ip.op)


def _into_out(ip: Machine, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    target = kwargs["out"]
    result = call_operator(ip, name, args, {key: value for key, value in kwargs.items() if key != "out"})
    targets = target.content if isinstance(target, ListCell) else target if isinstance(target, tuple) else (target,)
    for box, value in zip(targets, result if isinstance(result, tuple) else (result,), strict=True):
        ip.write(box, ip.op.cast(ip.tensor(value), ip.tensor(box).etype))
    return target


def as_known_int(ip: Machine, value: Any) -> Int | None:
    """An int, or an int64 tensor of rank 0 that is known as a number: the number; None for everything else."""
    content = ip.content(value) if isinstance(value, Box) else value
    if isinstance(content, Number):
        return content.number if content.dtype == DataType.INT64 else None
    if isinstance(content, Value):
        array = content.array
        return int(array) if array is not None and not content.rank and content.etype == DataType.INT64 else None
    return content if isinstance(content, (int, Dim)) and not isinstance(content, bool) else None


def _on_numbers(ip: Machine, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Box | None:
    """Integer arithmetic of rank-0 tensors that are known as numbers, as traced size computations have it."""
    if kwargs and kwargs != {"alpha": 1}:
        return None
    operands = [as_known_int(ip, arg) for arg in args[:2]]
    if None in operands:
        return None
    if any(scale != 1 for scale in args[2:]):
        return None
    return Box(Number(numbers.calculate(ip.op, name, *operands), DataType.INT64))


# ---- between the interpreter's values and the lowerings' -------------------------------------------------------------


def unwrap_all(ip: Machine, args: tuple[Any, ...]) -> list[Any]:
    """Arguments as lowerings take them."""
    return [unwrap(ip, arg) for arg in args]


def unwrap(ip: Machine, value: Any) -> Any:
    """A value as lowerings take it: boxes as graph values, lists as Python lists or as sequences of the graph."""
    if isinstance(value, Box):
        return ip.tensor(value)
    if isinstance(value, ListCell):
        content = lists.read(ip, value)
        if isinstance(content, Value):
            return content
        return [unwrap(ip, item) for item in content]
    if isinstance(value, Named):
        return value.like(unwrap(ip, item) for item in value)
    if isinstance(value, tuple):
        return tuple(unwrap(ip, item) for item in value)
    if isinstance(value, Maybe):
        raise LoweringError("an argument that may be None when the model runs")
    return value


def wrap(result: Any) -> Any:
    """What a lowering returns, as a value of the interpreter."""
    if isinstance(result, Value):
        return ListCell(result) if result.is_sequence else Box(result)
    if isinstance(result, list):
        return ListCell(tuple(wrap(item) for item in result))
    if isinstance(result, Named):
        return result.like(wrap(item) for item in result)
    if isinstance(result, tuple):
        return tuple(wrap(item) for item in result)
    if result is None or isinstance(result, (int, float, str, Dim, Scalar)):
        return result
    return Box(result) if isinstance(result, Compound) else result


# ---- small services of the interpreter -------------------------------------------------------------------------------


def unpack(ip: Machine, value: Any, count: int) -> tuple[Any, ...]:
    """The items of a tuple or list that ``count`` targets are assigned from."""
    if isinstance(value, ListCell):
        if isinstance(value.content, Unbound):
            require(lists.length(ip, value), count)
        if not isinstance(value.content, tuple):
            return tuple(lists.item_at(ip, value, i) for i in range(count))
        value = value.content
    if not isinstance(value, tuple) or len(value) != count:
        raise LoweringError(f"{count} values are unpacked from {lists.kind_of(value)}")
    return value


def get_item(ip: Machine, value: Any, index: Any) -> Any:
    """``value[index]`` of a list, tuple, dict or string."""
    if isinstance(value, DictCell):
        return ip.invoke("__getitem__", value, index)
    if isinstance(value, ListCell):
        return lists.item_at(ip, value, index)
    if isinstance(value, Box):
        return wrap(_call_table(ip, "select", (value, 0, index), {}))
    if isinstance(index, Dim):
        raise LoweringError("a tuple is indexed by a number that depends on data")
    if not isinstance(value, (tuple, str)) or not isinstance(index, int) or not -len(value) <= index < len(value):
        raise LoweringError(f"{lists.kind_of(value)} has no item {index!r}")
    return value[index]


_TORCH_CONSTANTS = {
    "float": 6, "float32": 6, "double": 7, "float64": 7, "half": 5, "float16": 5, "bfloat16": 15, "long": 4, "int64": 4,
    "int": 3, "int32": 3, "int16": 2, "int8": 1, "uint8": 0, "bool": 11,
    "strided": 0, "contiguous_format": 0, "preserve_format": 1, "channels_last": 2,
}  # fmt: skip


def torch_constant(name: str) -> int:
    """``torch.float32`` and the like where they are no integers yet."""
    if name not in _TORCH_CONSTANTS:
        raise LoweringError(f"torch.{name} is not known")
    return _TORCH_CONSTANTS[name]


def call_packed_method(ip: Machine, receiver: Any, name: str) -> Any:
    """A method of the packed parameters of a quantized layer: all of them give a part of what was packed."""
    if name == "tolist" and isinstance(receiver, Box):
        return _to_list(ip, receiver)
    if name == "unpack" and isinstance(receiver, (PackedLinear, PackedConv)):
        return wrap((receiver.weight, receiver.bias))
    if isinstance(receiver, PackedConv) and hasattr(receiver, name):
        return wrap(getattr(receiver, name))
    raise UnsupportedError([Unsupported(f"{type(receiver).__name__}.{name}", "a method of a built-in class", ip.where)])


def _to_list(ip: Machine, box: Box) -> Any:
    """``x.tolist()``: numbers, and lists of them."""
    value = ip.plain(box)
    kind = numbers.kind_of(value.etype)
    if not value.rank:
        return ip.number(box, kind)
    if value.rank == 1:
        return sequences.list_of(ip, ip.op.cast(value, lists.NUMBER_DTYPES[kind]), kind)
    if not isinstance(value.dims[0], int):
        raise LoweringError("tolist of a tensor of rank 2 or more whose size is not known")
    return ListCell(tuple(_to_list(ip, ip.invoke("select", box, 0, i)) for i in range(value.dims[0])))


_PYTHON_TYPES = {"int": int, "float": float, "bool": bool, "str": str}


def is_instance(value: Any, kind: ast.expr) -> bool:
    """``isinstance(value, kind)`` for the types of TorchScript."""
    if isinstance(value, Choice):
        value = value.options[0]
    name = ast.unparse(kind)
    head = name.partition("[")[0]
    if isinstance(value, Box):
        return head == "Tensor"
    if isinstance(value, ListCell):
        return head == "List" or name == "list"
    if isinstance(value, DictCell):
        return head == "Dict" or name == "dict"
    if isinstance(value, Dim):
        return head == "int"
    if isinstance(value, Scalar):
        return head == ("bool" if value.value.etype == DataType.BOOL else "float")
    if isinstance(value, ObjectCell):
        return name == value.qualname
    if isinstance(value, Named):
        return name == value.qualname
    if isinstance(value, tuple):
        return head == "Tuple" or name == "tuple"
    if value is None:
        return head in ("NoneType", "None", "Optional")
    return head in _PYTHON_TYPES and type(value) is _PYTHON_TYPES[head]

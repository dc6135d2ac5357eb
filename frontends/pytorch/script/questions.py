"""Questions about values that are answered while reading: sizes, dtypes, ``is None``, conversions to numbers, the
environment.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from nxconvert.frontends.pytorch.dtypes import BY_CODE, CODES, DataType, is_float
from nxconvert.frontends.pytorch.script import mappings, numbers
from nxconvert.frontends.pytorch.script.frames import ScriptRaise
from nxconvert.frontends.pytorch.script.lists import length, range_length
from nxconvert.frontends.pytorch.script.registry import ANYTHING, Handler, register
from nxconvert.frontends.pytorch.script.strings import known, to_text
from nxconvert.frontends.pytorch.script.values import (
    Box,
    DictCell,
    EnumMember,
    ListCell,
    Maybe,
    Number,
    Uninitialized,
    dims_of,
    is_number,
)  # fmt: skip
from nxconvert.frontends.pytorch.table import LoweringError, Scalar
from nxconvert.graph.dims import Int

if TYPE_CHECKING:
    from nxconvert.frontends.pytorch.script.machine import Machine


@register(ANYTHING, "__is__")
def _is(ip: Machine, a: Any, b: Any) -> Any:
    if isinstance(a, Maybe) or isinstance(b, Maybe):
        maybe, other = (a, b) if isinstance(a, Maybe) else (b, a)
        if other is None:
            return Scalar(ip.op.Not(maybe.present))
    if isinstance(a, Uninitialized):
        return b is None
    return a is b or (a is not None and b is not None and type(a) is type(b) and not isinstance(a, Box) and a == b)


@register(ANYTHING, "__isnot__")
def _is_not(ip: Machine, a: Any, b: Any) -> Any:
    if isinstance(a, Maybe) and b is None:
        return Scalar(a.present)
    return numbers.logical_not(ip.op, _is(ip, a, b))


@register(ANYTHING, "eq")
def _equal(ip: Machine, a: Any, b: Any, *rest: Any) -> Any:
    """Of enum members; what is made of numbers or tensors is compared elsewhere."""
    if isinstance(a, EnumMember) or isinstance(b, EnumMember):
        return a == b
    return NotImplemented


ANYTHING["ne"] = lambda ip, a, b, *rest: _negated(ip, _equal(ip, a, b))


def _negated(ip: Machine, answer: Any) -> Any:
    return answer if answer is NotImplemented else numbers.logical_not(ip.op, answer)


@register(ANYTHING, "len")
def _len(ip: Machine, value: Any) -> Any:
    if isinstance(value, ListCell):
        return length(ip, value)
    if isinstance(value, Box):
        return dims_of(ip.content(value))[0]
    if isinstance(value, str):
        known("len", value)
    return len(mappings.read(value)) if isinstance(value, DictCell) else len(value)


@register(ANYTHING, "prim::RaiseException", "RaiseException")
def _raise(ip: Machine, message: Any, kind: Any = "", *rest: Any) -> None:
    message, kind = to_text(message), to_text(kind)
    raise ScriptRaise(f"{kind or 'Exception'}: {message}" if message else kind)


@register(ANYTHING, "prim::NumToTensor")
def _number_to_tensor(ip: Machine, number: Any) -> Box:
    if isinstance(number, Scalar):
        return Box(number.value if number.value.etype == DataType.BOOL else ip.op.cast(number.value, DataType.FLOAT))
    dtype = (
        DataType.BOOL if isinstance(number, bool) else DataType.FLOAT if isinstance(number, float) else DataType.INT64
    )
    return Box(Number(number, dtype))


@register(ANYTHING, "prim::dtype")
def _dtype(ip: Machine, box: Any) -> int:
    content = ip.content(box)
    code = getattr(content, "dtype_code", None)  # quantized and complex tensors say theirs
    if code is not None:
        return int(code)
    return CODES[content.dtype if isinstance(content, Number) else content.etype]


@register(ANYTHING, "size", "prim::shape")
def _size(ip: Machine, box: Any, dim: Any = None) -> Any:
    if not isinstance(box, Box):
        return NotImplemented
    dims = dims_of(ip.content(box))
    if dim is None:
        return ListCell(dims, "int")
    if not isinstance(dim, int) or not -len(dims) <= dim < len(dims):
        raise LoweringError(f"axis {dim} of a tensor of rank {len(dims)}")
    return dims[dim]


@register(ANYTHING, "dim")
def _dim(ip: Machine, box: Any) -> Any:
    return len(dims_of(ip.content(box)))


@register(ANYTHING, "numel")
def _numel(ip: Machine, box: Any) -> Any:
    total: Int = 1
    for dim in dims_of(ip.content(box)):
        total = dim * total
    return total


@register(ANYTHING, "stride")
def _stride(ip: Machine, box: Any, dim: Any = None) -> Any:
    """The strides of a contiguous tensor."""
    strides: list[Int] = []
    step: Int = 1
    for size in reversed(dims_of(ip.content(box))):
        strides.insert(0, step)
        step = size * step
    return ListCell(tuple(strides), "int") if dim is None else strides[dim]


@register(ANYTHING, "is_floating_point")
def _is_floating_point(ip: Machine, box: Any) -> Any:
    return is_float(BY_CODE.get(_dtype(ip, box), DataType.INT64))


def _as_number(kind: str | None) -> Handler:
    def convert(ip: Machine, box: Any) -> Any:
        if not isinstance(box, Box):
            return ip.number(box, kind or "float")
        return ip.number(box, kind or numbers.kind_of(_element_dtype(ip, box)))

    return convert


def _element_dtype(ip: Machine, box: Box) -> Any:
    content = ip.content(box)
    return content.dtype if isinstance(content, Number) else content.etype


for _name, _kind in {
    "item": None, "ScalarImplicit": None, "_local_scalar_dense": None, "Int": "int", "IntImplicit": "int",
    "Float": "float", "FloatImplicit": "float", "Bool": "bool",
}.items():  # fmt: skip
    ANYTHING[_name] = _as_number(_kind)


@register(ANYTHING, "__range_length")
def _range_length(ip: Machine, start: Int, end: Int, step: Int) -> Int:
    return range_length(start, end, step)


@register(ANYTHING, "__derive_index")
def _derive_index(ip: Machine, index: Int, start: Int, step: Int) -> Int:
    return start + index * step


@register(ANYTHING, "prim::abs")
def _abs(ip: Machine, x: Any) -> Any:
    return numbers.calculate(ip.op, "abs", x) if is_number(x) else NotImplemented


for _name in ("min", "max"):

    def _number_extreme(ip: Machine, *args: Any, _operator: str = _name) -> Any:
        if len(args) < 2 or not all(is_number(x) for x in args):
            return NotImplemented
        return numbers.calculate(ip.op, _operator, *args)

    ANYTHING[f"prim::{_name}"] = _number_extreme


def _written(function: Callable[[int], str]) -> Handler:
    return lambda ip, x: function(x) if isinstance(x, int) else NotImplemented


def _answer(value: Any) -> Handler:
    return lambda ip, *args, **kwargs: value


ANYTHING.update(
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
        "str": lambda ip, x: to_text(x),
        "hash": lambda ip, x: hash(x) if isinstance(x, int) else NotImplemented,
        "chr": lambda ip, x: chr(x) if isinstance(x, int) else NotImplemented,
        **{name: _written(function) for name, function in {"bin": bin, "oct": oct, "hex": hex}.items()},
        "save": _answer(None),
    }
)

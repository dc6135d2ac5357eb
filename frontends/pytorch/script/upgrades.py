"""Operators as archives of older PyTorch mean them, put in terms of what operators mean today.

An archive says which version of the operator set it was written for. ``@until(3, "div")`` is how ``div`` was meant up
to version 3; ``@removed("rfft")`` is an operator that no longer exists. The signature is the operator's schema at that
time, and ``later(name, ...)`` calls an operator as the next version means it. What PyTorch itself upgrades is listed
in ``torch/csrc/jit/operator_upgraders/version_map.h``; versions below 3 mean what the PyTorch that wrote them computes.

=======  ==============================================
version  written by
=======  ==============================================
-1       PyTorch 1.0 and 1.1 (``model.json``)
0        PyTorch 1.2 (``model.json``)
1        PyTorch 1.3 and 1.4
2 to 5   PyTorch 1.5 to 1.9, by the operators in it
6 to 10  PyTorch 1.10 and later
=======  ==============================================
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from nxconvert.frontends.pytorch.dtypes import CODES, DataType
from nxconvert.frontends.pytorch.script import dispatch
from nxconvert.frontends.pytorch.script.values import Box, ListCell, Number
from nxconvert.frontends.pytorch.table import LoweringError, NumberConstant, Scalar
from nxconvert.graph.dims import floordiv, maximum

if TYPE_CHECKING:
    from nxconvert.frontends.pytorch.script.machine import Machine

_Meaning = Callable[..., Any]
_OLD: dict[str, list[tuple[float, _Meaning]]] = {}
"""Of each operator, the last version of an older meaning and that meaning, oldest first."""


class Later:
    """Calls operators as a version means them.

    Attributes:
        machine: runs them.
        name: of the operator whose older meaning is being put in these terms.
    """

    def __init__(self, machine: Machine, version: float, name: str) -> None:
        self.machine = machine
        self._version = version
        self.name = name

    def __call__(self, operator: str, *args: Any, **kwargs: Any) -> Any:
        return call(self.machine, self._version, operator, args, kwargs)

    def is_float(self, value: Any) -> bool:
        """Whether a tensor or a number is one of floats."""
        if isinstance(value, Box):
            return bool(self("is_floating_point", value))
        return isinstance(value, float) or (isinstance(value, Scalar) and value.value.etype == DataType.DOUBLE)

    def rank(self, value: Any) -> int:
        """The rank of a tensor, 0 for a number."""
        return int(self("dim", value)) if isinstance(value, Box) else 0

    def dtype(self, value: Box) -> int:
        """PyTorch's number of a tensor's dtype."""
        return int(self("prim::dtype", value))


def call(machine: Machine, version: float, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The result of an operator as `version` means it; see :func:`dispatch.call_operator`."""
    for last, meaning in _OLD.get(name.removeprefix("aten::"), ()):
        if version <= last:
            later = Later(machine, version if math.isinf(last) else last + 1, name)
            try:
                bound = inspect.signature(meaning).bind(later, *args, **kwargs)
            except TypeError as error:
                raise LoweringError(str(error)) from error
            return meaning(*bound.args, **bound.kwargs)
    return dispatch.call_operator(machine, name, args, kwargs)


def is_removed(name: str) -> bool:
    """Whether only older archives have the operator."""
    return any(math.isinf(last) for last, _ in _OLD.get(name, ()))


def until(last: float, *names: str) -> Callable[[_Meaning], _Meaning]:
    """Registers the decorated function as what the operators ``names`` meant up to the version ``last``."""

    def add(meaning: _Meaning) -> _Meaning:
        for name in names:
            _OLD.setdefault(name, []).append((last, meaning))
            _OLD[name].sort(key=lambda entry: entry[0])
        return meaning

    return add


def removed(*names: str) -> Callable[[_Meaning], _Meaning]:
    """Registers the decorated function as the operators ``names``, which have no meaning today."""
    return until(math.inf, *names)


# ---- operators whose meaning changed ---------------------------------------------------------------------------------


@until(3, "div", "div_")
def _integer_division(later: Later, self: Any, other: Any, *, out: Any = None, **rounding: Any) -> Any:
    """Integers were divided towards zero."""
    options = rounding if out is None else {**rounding, "out": out}
    numbers = not isinstance(self, Box) and not isinstance(other, Box)
    if rounding or numbers or any(later.is_float(value) for value in (self, other, out)):
        return later(later.name, self, other, **options)
    a, b = (dispatch.as_known_int(later.machine, value) for value in (self, other))
    if a is not None and isinstance(b, int) and b > 0 and out is None and later.name == "div":
        return Box(Number(maximum(floordiv(a, b), 0) - maximum(floordiv(-a, b), 0), DataType.INT64))
    return later(later.name, self, other, **options, rounding_mode="trunc")


@until(9, "floor_divide", "floor_divide_")
def _floor_divide(later: Later, self: Any, other: Any, **named: Any) -> Any:
    """PyTorch rounded towards zero up to 1.12, upgrades nothing, and rounds old archives downwards today: so do we."""
    if isinstance(self, Box) and dispatch.as_known_int(later.machine, self) is None:
        later.machine.warn(
            "floor_divide rounds downwards, as PyTorch has it from 1.13 on; the one that wrote this file may have "
            "rounded negative quotients towards zero"
        )
    return later(later.name, self, other, **named)


@until(4, "full")
def _float_full(
    later: Later, size: Any, fill_value: Any, *, names: Any = None, dtype: Any = None, layout: Any = None,
    device: Any = None, pin_memory: Any = None, out: Any = None,
) -> Any:  # fmt: skip
    """Whatever the value was, the result was of floats unless a dtype was given."""
    if out is not None:
        return later("full", size, fill_value, out=out)
    fill_value = fill_value if dtype is not None else later.machine.number(fill_value, "float")
    return later("full", size, fill_value, dtype=dtype)


@until(7, "linspace")
def _linspace(later: Later, start: Any, end: Any, steps: Any = None, *options: Any, **named: Any) -> Any:
    return later("linspace", start, end, 100 if steps is None else steps, *options, **named)


@until(8, "logspace")
def _logspace(
    later: Later, start: Any, end: Any, steps: Any = None, base: Any = 10.0, *options: Any, **named: Any
) -> Any:
    return later("logspace", start, end, 100 if steps is None else steps, base, *options, **named)


@until(2, "tensor", "as_tensor")
def _double_tensor(later: Later, data: Any, *options: Any, **named: Any) -> Any:
    """Floats without a dtype became doubles."""
    if not options and named.get("dtype") is None and _has_floats(data):
        named["dtype"] = CODES[DataType.DOUBLE]
    return later(later.name, data, *options, **named)


def _has_floats(data: Any) -> bool:
    if isinstance(data, ListCell):
        return isinstance(data.content, tuple) and any(_has_floats(item) for item in data.content)
    return isinstance(data, float) or (isinstance(data, Scalar) and data.value.etype == DataType.DOUBLE)


@until(2, "clamp", "clamp_", "clamp_min", "clamp_max", "fmod", "fmod_", "remainder", "remainder_")
def _integer_operands(later: Later, self: Any, *operands: Any, **named: Any) -> Any:
    """Numbers became integers before they met a tensor of integers."""
    if not isinstance(self, Box) or later.is_float(self):
        return later(later.name, self, *operands, **named)
    dtype = later.dtype(self)
    operands = tuple(_converted(later, value, dtype, False) for value in operands)
    return later(later.name, self, *operands, **{k: _converted(later, v, dtype, False) for k, v in named.items()})


@until(2, "pow")
def _integer_power(later: Later, self: Any, exponent: Any, **named: Any) -> Any:
    """Powers of integers were integers: what is behind the point was dropped."""
    if not isinstance(self, Box) or isinstance(exponent, Box) or later.is_float(self) or not later.is_float(exponent):
        return later("pow", self, exponent, **named)
    power = later("pow", later("to", self, CODES[DataType.DOUBLE]), exponent)
    return later("to", power, later.dtype(self), **named)


@until(0, "arange")
def _float_arange(later: Later, *arguments: Any, dtype: Any = None, **options: Any) -> Any:
    return later("arange", *arguments, dtype=CODES[DataType.FLOAT] if dtype is None else dtype, **options)


@until(0, "grid_sampler", "grid_sampler_2d", "grid_sampler_3d")
def _grid_sampler(later: Later, input: Any, grid: Any, interpolation_mode: Any, padding_mode: Any) -> Any:
    """The corners of an image were the centers of the pixels there."""
    return later(later.name, input, grid, interpolation_mode, padding_mode, True)


@until(0, "affine_grid_generator")
def _affine_grid_generator(later: Later, theta: Any, size: Any) -> Any:
    return later(later.name, theta, size, True)


@until(-1, "tensor", "as_tensor")
def _tensor_of_bools(later: Later, *args: Any, **named: Any) -> Any:
    result = later(later.name, *args, **named)
    return later("to", result, CODES[DataType.UINT8]) if later.dtype(result) == CODES[DataType.BOOL] else result


@until(-1, "eq", "ne", "lt", "le", "gt", "ge", "isnan", "isclose", "isfinite")
def _comparison(later: Later, *args: Any, **named: Any) -> Any:
    """There were no bools: what was compared was 0 or 1, of uint8."""
    result = later(later.name, *args, **named)
    return later("to", result, CODES[DataType.UINT8]) if isinstance(result, Box) else result


_ARITHMETIC = ("add", "sub", "rsub", "mul", "div", "remainder", "fmod", "pow")
_COMPARISONS = ("eq", "ne", "lt", "le", "gt", "ge")


@until(0, *_ARITHMETIC, *(f"{name}_" for name in _ARITHMETIC if name != "rsub"))
def _without_promotion(later: Later, self: Any, other: Any, *rest: Any, **named: Any) -> Any:
    """Of two operands, one of rank 0 took the dtype of the other."""
    self, other = _as_one_dtype(later, self, other)
    return later(later.name, self, other, *rest, **named)


@until(0, *_COMPARISONS)
def _comparison_without_promotion(later: Later, self: Any, other: Any, *rest: Any, **named: Any) -> Any:
    self, other = _as_one_dtype(later, self, other)
    return later(later.name, self, other, *rest, **named)


def _as_one_dtype(later: Later, a: Any, b: Any) -> tuple[Any, Any]:
    """Numbers with the dtype of a tensor that they meet, tensors of rank 0 with that of one that has a rank."""
    weights = [_weight(later, x) for x in (a, b)]
    chosen = (a, b)[weights.index(max(weights))]
    if weights[0] == weights[1] or not isinstance(chosen, Box):
        return a, b
    dtype, is_float = later.dtype(chosen), later.is_float(chosen)
    a, b = (x if x is chosen else _converted(later, x, dtype, is_float) for x in (a, b))
    return a, b


def _weight(later: Later, value: Any) -> int:
    """Of two operands, the one with the larger number decides about the dtype."""
    if not isinstance(value, Box) or isinstance(later.machine.content(value), (Number, NumberConstant)):
        return 0
    return 2 if later.rank(value) else 1


def _converted(later: Later, value: Any, dtype: int, is_float: bool) -> Any:
    """A number, or a tensor of rank 0, before it meets a tensor of this dtype."""
    if isinstance(value, Box):
        return later("to", value, dtype) if not later.rank(value) and later.dtype(value) != dtype else value
    return later.machine.number(value, "int") if not is_float and later.is_float(value) else value


# ---- operators that no longer exist ----------------------------------------------------------------------------------


@removed("fft", "ifft")
def _fft(later: Later, self: Any, signal_ndim: int, normalized: bool = False) -> Any:
    """Over the last axes of complex numbers whose last axis is the pair of real and imaginary part."""
    signal = later("view_as_complex", self)
    return later("view_as_real", later(f"fft_{later.name}n", signal, None, _last(signal_ndim), _norm(normalized)))


@removed("rfft")
def _rfft(later: Later, self: Any, signal_ndim: int, normalized: bool = False, onesided: bool = True) -> Any:
    name = "fft_rfftn" if onesided else "fft_fftn"
    return later("view_as_real", later(name, self, None, _last(signal_ndim), _norm(normalized)))


@removed("irfft")
def _irfft(
    later: Later, self: Any, signal_ndim: int, normalized: bool = False, onesided: bool = True, signal_sizes: Any = None
) -> Any:
    """Only half of the last axis is looked at; it had an odd size unless `signal_sizes` says otherwise."""
    sizes = list(dispatch.unpack(later.machine, later("size", self), later.rank(self))[-signal_ndim - 1 : -1])
    half = sizes[-1] if onesided else floordiv(sizes[-1], 2) + 1
    sizes[-1] = 2 * half - 1 if onesided else sizes[-1]
    if isinstance(signal_sizes, ListCell) and signal_sizes.content:
        sizes = list(dispatch.unpack(later.machine, signal_sizes, signal_ndim))
    signal = later("view_as_complex", later("slice", self, -2, 0, half, 1))
    return later("fft_irfftn", signal, ListCell(tuple(sizes), "int"), _last(signal_ndim), _norm(normalized))


def _last(count: int) -> ListCell:
    """The last axes."""
    return ListCell(tuple(range(-count, 0)), "int")


def _norm(normalized: bool) -> str:
    return "ortho" if normalized else "backward"


@removed("solve")
def _solve(later: Later, self: Any, A: Any) -> tuple[Any, Any]:  # noqa: N803
    return later("linalg_solve", A, self), later("linalg_lu_factor", A)[0]


@removed("matrix_rank")
def _matrix_rank(later: Later, self: Any, tol: Any = None, symmetric: bool = False) -> Any:
    return later("linalg_matrix_rank", self, tol, symmetric)


@removed("max_values", "min_values")
def _extreme_values(later: Later, self: Any, dim: Any, keepdim: bool = False) -> Any:
    return later("amax" if later.name == "max_values" else "amin", self, dim, keepdim)


@removed("_argmax", "_argmin")
def _argument(later: Later, self: Any, dim: Any, keepdim: bool = False) -> Any:
    return later(later.name[1:], self, dim, keepdim)


@removed("_dim_arange")
def _dim_arange(later: Later, like: Any, dim: int) -> Any:
    return later("arange", later("size", like, dim), dtype=CODES[DataType.INT64])


@removed("list_with_default")
def _list_with_default(later: Later, values: ListCell, defaults: ListCell) -> Any:
    """The values, with a default wherever one is None."""
    items, usual = (dispatch.unpack(later.machine, cell, int(later("len", cell))) for cell in (values, defaults))
    return ListCell(tuple(d if v is None else v for v, d in zip(items, usual[-len(items) :], strict=True)), "int")


@removed("thnn_im2col", "thnn_col2im", "thnn_conv_depthwise2d")
def _renamed(later: Later, *args: Any) -> Any:
    return later(_NAMES[later.name], *args)


_NAMES = {"thnn_im2col": "im2col", "thnn_col2im": "col2im", "thnn_conv_depthwise2d": "_conv_depthwise2d"}

"""Calls of an exported graph that are no operators on tensors: Python's arithmetic on sizes, questions, assertions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any

from nxconvert.frontends.pytorch.dtypes import DataType
from nxconvert.frontends.pytorch.ops.common import as_tensor
from nxconvert.frontends.pytorch.script import dispatch, numbers
from nxconvert.frontends.pytorch.script.machine import Machine
from nxconvert.frontends.pytorch.script.values import Box, dims_of
from nxconvert.frontends.pytorch.table import LoweringError, Scalar

Call = Callable[..., Any]

# Python's name of an operator -> that of the same operator in TorchScript.
_ARITHMETIC = {
    "add": "add", "sub": "sub", "mul": "mul", "floordiv": "floordiv", "mod": "mod", "truediv": "div", "neg": "neg",
    "eq": "eq", "ne": "ne", "lt": "lt", "le": "le", "gt": "gt", "ge": "ge", "and_": "__and__", "or_": "__or__",
    "xor": "__xor__", "not_": "__not__", "lshift": "__lshift__", "rshift": "__rshift__", "abs": "abs",
}  # fmt: skip
_MATH = ("sqrt", "exp", "log", "log2", "sin", "cos", "tan", "sinh", "cosh", "tanh", "asin", "acos", "atan")
_TO_INT = ("floor", "ceil", "trunc")


def _arithmetic(name: str) -> Call:
    def call(machine: Machine, *operands: Any) -> Any:
        plain = [machine.number(x, "int") if isinstance(x, Box) else x for x in operands]
        return numbers.calculate(machine.op, name, *plain)

    return call


def _power(machine: Machine, base: Any, exponent: Any) -> Any:
    """``base ** exponent``, of ints an int."""
    if isinstance(exponent, int) and 0 <= exponent <= 16:
        return reduce(lambda a, b: numbers.calculate(machine.op, "mul", a, b), [base] * exponent, 1)
    return numbers.calculate(machine.op, "pow", base, exponent)


def _choice(machine: Machine, condition: Any, a: Any, b: Any) -> Any:
    decided = machine.truth(condition)
    if isinstance(decided, bool):
        return a if decided else b
    op = machine.op
    whole = all(isinstance(x, int) or not isinstance(x, (float, Scalar)) for x in (a, b))
    dtype = DataType.INT64 if whole else DataType.DOUBLE
    chosen = op.Where(decided.value, as_tensor(op, a, dtype), as_tensor(op, b, dtype))
    return op.symbol_of(chosen) if whole else Scalar(chosen)


def _sum(machine: Machine, items: Any) -> Any:
    return reduce(lambda a, b: numbers.calculate(machine.op, "add", a, b), dispatch.unwrap(machine, items), 0)


def _item(machine: Machine, container: Any, index: Any) -> Any:
    return dispatch.get_item(machine, container, index)


def _assertion(machine: Machine, *_: Any, **__: Any) -> None:
    """Checks of the program on its inputs become nothing: a graph raises no exceptions."""


def _strides(machine: Machine, box: Box, dim: Any = None) -> Any:
    return machine.invoke("stride", box, *(() if dim is None else (dim,)))


_CALLS: dict[str, Call] = {
    **{f"_operator.{name}": _arithmetic(script) for name, script in _ARITHMETIC.items()},
    **{f"math.{name}": _arithmetic(name) for name in (*_MATH, *_TO_INT)},
    **{f"torch._sym_{name}": _arithmetic(name) for name in _MATH},
    "_operator.pow": _power,
    "torch.sym_pow": _power,
    "_operator.getitem": _item,
    "torch.sym_max": _arithmetic("max"),
    "torch.sym_min": _arithmetic("min"),
    "torch.sym_not": _arithmetic("__not__"),
    "torch.sym_ite": _choice,
    "torch.sym_sum": _sum,
    "torch.sym_int": lambda machine, x: machine.number(x, "int"),
    "torch.sym_float": lambda machine, x: machine.number(x, "float"),
    "torch.sym_constrain_range": _assertion,
    "builtins.round": _arithmetic("round"),
    "_operator.round": _arithmetic("round"),
    **{f"_operator.{name}": _arithmetic(name) for name in _TO_INT},
    "builtins.max": _arithmetic("max"),
    "builtins.min": _arithmetic("min"),
    "torch.ops.aten.sym_size": lambda machine, box, dim=None: machine.invoke(
        "size", box, *(() if dim is None else (dim,))
    ),
    "torch.ops.aten.sym_numel": lambda machine, box: machine.invoke("numel", box),
    "torch.ops.aten.sym_stride": _strides,
    "torch.ops.aten.sym_storage_offset": lambda machine, box: 0,
    "torch.ops.aten.sym_is_contiguous": lambda machine, *_, **__: True,
    "torch.ops.aten._assert_scalar": _assertion,
    "torch.ops.aten._assert_async": _assertion,
    "torch.ops.aten._functional_assert_scalar": _assertion,
    "torch.ops.aten._functional_assert_async": _assertion,
    "torch.ops.aten._assert_tensor_metadata": _assertion,
    "torch.ops.aten.sym_constrain_range": _assertion,
    "torch.ops.aten.sym_constrain_range_for_size": _assertion,
    "torch.ops.aten._functional_sym_constrain_range": _assertion,
    "torch.ops.aten._functional_sym_constrain_range_for_size": _assertion,
    "torch.ops.aten._make_dep_token": _assertion,
    "torch.ops.profiler._record_function_enter_new": _assertion,
    "torch.ops.profiler._record_function_exit": _assertion,
    "torch._C._set_grad_enabled": _assertion,
}

CALLS: Mapping[str, Call] = _CALLS
"""What each such target does; operators without their overload."""


def rank_of(machine: Machine, box: Box) -> int:
    """The rank of what a box holds.

    Raises:
        LoweringError: it is a sequence.
    """
    content = machine.content(box)
    if getattr(content, "is_sequence", False):
        raise LoweringError("a sequence of tensors where one is expected")
    return len(dims_of(content))

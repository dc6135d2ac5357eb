"""The ATen table: what its lowerings are given, and the words for it.

A lowering takes the builder and the operator's arguments under the names of the ATen schema, and returns what the
operator returns. The kinds of arguments, as the annotations name them:

===========  ========================================================================================================
``Value``    a tensor: dtype ``etype``, dims ``dims`` (ints and symbolic dims), rank ``rank``
``Values``   a list of tensors (an item may be None), or a traced sequence of tensors
``Int``      a Python int, or a :class:`~nxconvert.graph.dims.Dim` for one that depends on sizes or on data
``Ints``     a list of those; a single one counts as a list of one
``Number``   int, Dim, float, bool, or a :class:`Scalar` for a float or a bool that depends on data
``Numbers``  a list of those
``DType``    PyTorch's number of a dtype (:data:`~nxconvert.frontends.pytorch.dtypes.BY_CODE`)
``bool``     a bool that is known
``str``      a string
===========  ========================================================================================================

``Quantized``, ``Complex`` and ``Nested`` are the tensors that need several values
(:mod:`~nxconvert.frontends.pytorch.compound`), ``ComplexDType`` is the number of a complex dtype.

Lists of results are lists, several results are a tuple, numbers are numbers. In-place and ``out=`` forms need no
lowering: the reader derives them from the functional one. A tensor that is returned unchanged says that the result *is*
the argument.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from nxconvert.frontends.pytorch.compound import ComplexValue, NestedValue, QuantizedValue, fallback
from nxconvert.frontends.pytorch.dtypes import COMPLEX_CODES
from nxconvert.graph.builder import Builder, Value
from nxconvert.graph.dims import Dim, Int
from nxconvert.graph.optable import Lowering, OpTable, Predicate

__all__ = [
    "Builder", "Complex", "ComplexDType", "DType", "Dim", "Int", "Ints", "LoweringError", "Nested", "Number",
    "NumberConstant", "Numbers", "Quantized", "Scalar", "Value", "Values", "aten",
]  # fmt: skip


class LoweringError(Exception):
    """An argument that the operator's lowering cannot express; the text says which and why."""


class Scalar:
    """A Python float or bool that is known only when the graph runs.

    Attributes:
        value: rank 0; DOUBLE for a float, BOOL for a bool.
    """

    __slots__ = ("value",)

    def __init__(self, value: Value) -> None:
        self.value = value


class NumberConstant(Value):
    """A constant tensor of rank 0 as TorchScript's code has it: it takes part in promotion as a Python number does."""

    __slots__ = ()


Number: TypeAlias = int | float | bool | Dim | Scalar
Numbers: TypeAlias = "list[Number]"
Ints: TypeAlias = "list[Int]"
Values: TypeAlias = "list[Value]"
DType: TypeAlias = int
Quantized: TypeAlias = QuantizedValue
Complex: TypeAlias = ComplexValue
ComplexDType: TypeAlias = int
Nested: TypeAlias = NestedValue


def _is_int(x: Any) -> bool:
    return isinstance(x, (int, Dim)) and not isinstance(x, bool)


def _is_number(x: Any) -> bool:
    return isinstance(x, (int, float, Dim, Scalar))


def _is_list_of(test: Predicate) -> Predicate:
    return lambda x: isinstance(x, (list, tuple)) and all(test(item) for item in x)


def _is_value(x: Any) -> bool:
    return isinstance(x, Value) and not x.is_sequence


_ints = _is_list_of(_is_int)
_values = _is_list_of(lambda x: x is None or _is_value(x))


class AtenTable(OpTable):
    """An operator table that also takes compound tensors, by the rules of their kind where an operator has none of its
    own.
    """

    def find(
        self, operator: str, args: Sequence[Any], kwargs: Mapping[str, Any], overload: str | None = None
    ) -> Lowering:
        try:
            return super().find(operator, args, kwargs, overload)
        except LookupError:
            rule = fallback(operator, args, kwargs)
            if rule is None:
                raise

        def lower(op: Builder, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
            return self.find(operator, args, kwargs, overload).function(op, *args, **kwargs)

        def by_rule(op: Builder, *args: Any, **kwargs: Any) -> Any:
            return rule(op, lower, list(args), kwargs)

        return Lowering(self, operator, by_rule)


aten = AtenTable(
    "aten",
    {
        "Value": _is_value,
        "Values": lambda x: _values(x) or (isinstance(x, Value) and x.is_sequence),
        "Int": _is_int,
        "Ints": lambda x: _is_int(x) or _ints(x),
        "Number": _is_number,
        "Numbers": _is_list_of(_is_number),
        "float": _is_number,
        "DType": lambda x: isinstance(x, int) and not isinstance(x, bool) and x not in COMPLEX_CODES,
        "bool": lambda x: isinstance(x, bool),
        "str": lambda x: isinstance(x, str),
        "Quantized": lambda x: isinstance(x, QuantizedValue),
        "Complex": lambda x: isinstance(x, (ComplexValue, complex)),
        "ComplexDType": lambda x: isinstance(x, int) and x in COMPLEX_CODES,
        "Nested": lambda x: isinstance(x, NestedValue),
    },
)
"""The one table of ATen (and prims, torchvision, quantized) operators; names without the ``aten::`` prefix, others as
``ns::name``.
"""

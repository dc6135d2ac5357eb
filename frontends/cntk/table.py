"""The table of CNTK's primitive functions: what a lowering is given.

A lowering takes the builder, the function's inputs in CNTK's own order, each a
:class:`~nxconvert.frontends.cntk.dynamic.Tensor`, and its attributes under the names that files have for them;
attributes that it has no parameter for are ignored. A parameter ``context`` is given the :class:`Context`. It returns a
value, which then has the dynamic axes that the inputs have in common, or a ``Tensor`` where it says itself which axes
there are; a tuple of those for several outputs.

Static axes are counted from the end: axis i of CNTK's column-major shapes is Python's axis ``-(i + 1)``, whatever
dynamic axes come before (:func:`axis`).
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

import onnx_ir as ir

from nxconvert.formats.cntk.dictionary import Axis
from nxconvert.frontends.cntk.dynamic import Axes, Seq, Tensor
from nxconvert.frontends.cntk.network import Network, Node, Source
from nxconvert.graph.builder import Builder, Value
from nxconvert.graph.dims import Dim, Int
from nxconvert.graph.optable import Lowering, OpTable

__all__ = [
    "Axes", "Axis", "Bools", "Builder", "Context", "DataType", "Dim", "Floats", "Int", "Ints", "LoweringError", "Node",
    "Seq", "Shape", "Tensor", "Value", "axis", "cntk",
]  # fmt: skip

DataType = ir.DataType

# Kinds of attributes; what a file holds as a vector is a list.
Ints: TypeAlias = "Sequence[int]"
Floats: TypeAlias = "Sequence[float]"
Bools: TypeAlias = "Sequence[bool]"
#: Sizes in CNTK's column-major order, that of the last axis first; -1 is one to infer, -3 a free one.
Shape: TypeAlias = "tuple[int, ...]"


class LoweringError(Exception):
    """An input or attribute that the function's lowering cannot express; the text says which and why."""


class Context(Protocol):
    """What a lowering may ask about the model around it.

    Attributes:
        op: the builder of the graph, or of the body of a loop.
        batch: the size of the batch.
        node: the function that is lowered.
        network: what it is in.
    """

    op: Builder
    batch: Int
    node: Node
    network: Network

    def new_axis(self, name: str, size: Int, lengths: Callable[[], Value]) -> Seq:
        """A sequence axis that the model makes of the first input of the function that is lowered.

        One of the same name that was made of the same is the same axis. Of the same name alone it need not be: CNTK
        calls axes after what they are parts of, however long those are.

        Args:
            name: CNTK's.
            size: of the axis; no sequence is longer.
            lengths: gives int64[batch] when somebody asks.
        """

    def tensor(self, source: Source) -> Tensor:
        """What something that has been computed already stands for, an input of the function among them."""

    def warn(self, message: str) -> None:
        """Tells the user something."""


def axis(static: int) -> int:
    """The axis, counted from the end, that a column-major place is."""
    return -(static + 1)


class CntkTable(OpTable):
    """An operator table in which attributes that a lowering does not know are ignored."""

    def bind(
        self, operator: str, operands: Sequence[Tensor], attributes: Mapping[str, Any], context: Context
    ) -> Callable[[Builder], Any]:
        """The lowering that takes these operands and attributes, ready to be called with the builder.

        Raises:
            LookupError: if the function has no lowering, or none that takes so many operands; the text says why.
        """
        reasons = []
        for lowering in self.lowerings(operator):
            known = keywords(lowering)
            given = {**attributes, "context": context}
            kwargs = given if known is None else {k: v for k, v in given.items() if k in known}
            reason = lowering.mismatch(operands, kwargs)
            if reason is None:
                return functools.partial(_call, lowering.function, operands, kwargs)
            reasons.append(reason)
        raise LookupError("; ".join(dict.fromkeys(reasons)))


def _call(function: Callable[..., Any], operands: Sequence[Tensor], kwargs: Mapping[str, Any], op: Builder) -> Any:
    return function(op, *operands, **kwargs)


@functools.cache
def keywords(lowering: Lowering) -> frozenset[str] | None:
    """The attributes that a lowering has parameters for; None for one that takes whatever there is."""
    parameters = inspect.signature(lowering.function).parameters.values()
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return None
    return frozenset(p.name for p in parameters if p.kind is p.KEYWORD_ONLY)


def _is_list_of(*kinds: type) -> Callable[[Any], bool]:
    return lambda x: isinstance(x, (list, tuple)) and all(isinstance(item, kinds) for item in x)


cntk = CntkTable(
    "cntk",
    {
        "Tensor": lambda x: isinstance(x, Tensor),
        "Axis": lambda x: isinstance(x, Axis),
        "tuple[Axis, ...]": _is_list_of(Axis),
        "int": lambda x: isinstance(x, int),
        "bool": lambda x: isinstance(x, (bool, int)),
        "float": lambda x: isinstance(x, (int, float)),
        "str": lambda x: isinstance(x, str),
        "Shape": _is_list_of(int),
        "Bools": _is_list_of(bool),
        "Ints": _is_list_of(int),
        "Floats": _is_list_of(int, float),
        "Context": lambda x: True,
    },
)
"""The one table of CNTK's primitive functions."""

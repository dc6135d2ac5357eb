"""The table of Caffe2's operators: what a lowering is given, and the words for it.

A lowering takes the builder, the operator's inputs in order (an input that is left out takes its default, None) and its
arguments by name, and returns what the operator's outputs hold: one blob or a tuple of them, None for an output that
the operator leaves unset. An output that the net does not name is dropped. Arguments that a lowering has no parameter
for are ignored, as the runtime does. An argument is an int, a float, a str (bytes where it is no UTF-8), a list of
those, or a net; ``values`` alone stays the array that the file holds.

Three parameters are no arguments: ``n_outputs`` is the number of outputs that the net names, ``blob`` is the name of
the first one, and ``random_seed`` is that of the operator's device (None without one).

The kinds of inputs, as the annotations name them:

============  =========================================================================================================
``Value``     a tensor: dtype ``etype``, dims ``dims`` (ints and symbolic dims), rank ``rank``
``Weight``    a tensor that a model has as a parameter: one that is in no init net is missing, no input of the model
``Images``    a tensor of floats that is usually a batch of images, [batch, channels, height, width]
``Filtered``  a tensor of floats that usually has the rank of the next operand, the filter
``Matrix``    a tensor of floats that is usually [batch, features]
``Steps``     a tensor of floats that is usually a sequence, [sequence, batch, features]
``Vector``    a tensor of floats that is usually a vector
``Bytes``     a tensor of bytes that is usually uint8[n, columns]
``Indices``   a tensor of integers that is usually int64[n]
``Lengths``   a tensor of integers that is usually int32[n]
``Number``    a tensor of one integer, usually int32[1]
``Flag``      a tensor of bools that is usually bool[1]
``Flags``     a tensor of bools that is usually bool[n]
``Texts``     a tensor of strings that is usually string[n]
``Int8``      a quantized tensor; ``Int8Images``, ``Int8Matrix``, ``Int8Weight``: one made of such a tensor
``Blob``      any blob, one that is no tensor included
============  =========================================================================================================

"Usually" says what an input of the model is taken for where nobody declares it and the operator is the first to use it;
every lowering takes any dtype and rank that the operator takes.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import onnx_ir as ir

from nxconvert.formats.caffe2 import NetDef
from nxconvert.frontends.caffe2.blobs import Blob, Int8, Map, Unset
from nxconvert.graph.builder import Builder, Value
from nxconvert.graph.dims import Dim, Int
from nxconvert.graph.optable import Lowering, OpTable

__all__ = [
    "Blob", "Builder", "Bytes", "DataType", "Dim", "Filtered", "Flag", "Flags", "Floats", "Images", "Indices", "Int",
    "Int8", "Int8Images", "Int8Matrix", "Int8Weight", "Ints", "Lengths", "LoweringError", "Map", "Matrix",
    "NetDef", "Number", "Steps", "Texts", "Unset", "Value", "Vector", "Weight", "caffe2",
]  # fmt: skip

DataType = ir.DataType

Weight: TypeAlias = Value
Images: TypeAlias = Value
Filtered: TypeAlias = Value
Matrix: TypeAlias = Value
Steps: TypeAlias = Value
Vector: TypeAlias = Value
Bytes: TypeAlias = Value
Indices: TypeAlias = Value
Lengths: TypeAlias = Value
Number: TypeAlias = Value
Flag: TypeAlias = Value
Flags: TypeAlias = Value
Texts: TypeAlias = Value
Int8Images: TypeAlias = Int8
Int8Matrix: TypeAlias = Int8
Int8Weight: TypeAlias = Int8
Ints: TypeAlias = Sequence[int]
Floats: TypeAlias = Sequence[float]


class LoweringError(Exception):
    """An input or argument that the operator's lowering cannot express; the text says which and why."""


class Usual(NamedTuple):
    """The usual form of an input: its dtype, and its axes, names or sizes; None for as many as the next operand has."""

    dtype: DataType
    axes: tuple[int | str, ...] | None


USUAL: Mapping[str, Usual] = {
    "Images": Usual(DataType.FLOAT, ("batch", "channels", "height", "width")),
    "Filtered": Usual(DataType.FLOAT, None),
    "Matrix": Usual(DataType.FLOAT, ("batch", "features")),
    "Steps": Usual(DataType.FLOAT, ("sequence", "batch", "features")),
    "Vector": Usual(DataType.FLOAT, ("n",)),
    "Bytes": Usual(DataType.UINT8, ("n", "columns")),
    "Indices": Usual(DataType.INT64, ("n",)),
    "Lengths": Usual(DataType.INT32, ("n",)),
    "Number": Usual(DataType.INT32, (1,)),
    "Flag": Usual(DataType.BOOL, (1,)),
    "Flags": Usual(DataType.BOOL, ("n",)),
    "Texts": Usual(DataType.STRING, ("n",)),
}

#: Parameters of a lowering that the machine fills in.
GIVEN = ("n_outputs", "blob", "random_seed")


def _is_value(x: Any) -> bool:
    return isinstance(x, Value) and not x.is_sequence


def _is_list_of(*kinds: type) -> Callable[[Any], bool]:
    return lambda x: isinstance(x, (list, tuple)) and all(isinstance(item, kinds) for item in x)


class Caffe2Table(OpTable):
    """An operator table in which arguments that a lowering does not know are ignored."""

    def bind(
        self, operator: str, operands: Sequence[Any], args: Mapping[str, Any], given: Mapping[str, Any]
    ) -> Callable[[Builder], Any]:
        """The lowering that takes these operands and arguments, ready to be called with the builder.

        Raises:
            LookupError: if the operator has no lowering, or none that takes operands of these kinds; the text says why.
        """
        reasons = []
        for lowering in self.lowerings(operator):
            known = names(lowering)
            kwargs = {**args, **given} if known is None else {k: v for k, v in {**args, **given}.items() if k in known}
            reason = lowering.mismatch(operands, kwargs)
            if reason is None:
                return functools.partial(_call, lowering.function, operands, kwargs)
            reasons.append(reason)
        wanted = zip(self.kinds(operator), operands, strict=False)
        if any(kind.startswith("Int8") and isinstance(operand, Value) for kind, operand in wanted):
            reasons = ["it takes quantized tensors, which Int8Quantize makes: no input of a model has a scale"]
        raise LookupError("; ".join(dict.fromkeys(reasons)))

    def kinds(self, operator: str) -> list[str]:
        """The kinds of an operator's inputs, as its first lowering annotates them; ``*rest`` repeats its own."""
        lowerings = self.lowerings(operator)
        return input_kinds(lowerings[0]) if lowerings else []


def _call(function: Callable[..., Any], operands: Sequence[Any], kwargs: Mapping[str, Any], op: Builder) -> Any:
    return function(op, *operands, **kwargs)


@functools.cache
def names(lowering: Lowering) -> frozenset[str] | None:
    """The arguments that a lowering has parameters for; None for one that takes whatever there is."""
    parameters = inspect.signature(lowering.function).parameters.values()
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return None
    return frozenset(p.name for p in parameters if p.kind is p.KEYWORD_ONLY)


@functools.cache
def input_kinds(lowering: Lowering) -> list[str]:
    """The kinds of a lowering's inputs, one a position; the last one ends with ``...`` where it repeats."""
    kinds = []
    for parameter in list(inspect.signature(lowering.function).parameters.values())[1:]:
        kind = "Blob" if parameter.annotation is parameter.empty else str(parameter.annotation).partition(" |")[0]
        if parameter.kind is parameter.VAR_POSITIONAL:
            kinds.append(f"{kind}...")
        elif parameter.kind is not parameter.KEYWORD_ONLY and parameter.kind is not parameter.VAR_KEYWORD:
            kinds.append(kind)
    return kinds


caffe2 = Caffe2Table(
    "caffe2",
    {
        "Value": _is_value,
        "Weight": _is_value,
        **dict.fromkeys(USUAL, _is_value),
        **dict.fromkeys(("Int8", "Int8Images", "Int8Matrix", "Int8Weight"), lambda x: isinstance(x, Int8)),
        "Map": lambda x: isinstance(x, Map),
        "Blob": lambda x: True,
        "int": lambda x: isinstance(x, int),
        "bool": lambda x: isinstance(x, int),
        "float": lambda x: isinstance(x, (int, float)),
        "str": lambda x: isinstance(x, str),
        "bytes": lambda x: isinstance(x, (bytes, str)),
        "Ints": _is_list_of(int),
        "Floats": _is_list_of(int, float),
        "Texts_": _is_list_of(bytes, str),
        "NetDef": lambda x: isinstance(x, NetDef),
    },
)
"""The one table of Caffe2's operators."""

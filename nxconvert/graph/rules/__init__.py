"""What the builder knows of each ONNX operator: the types of its results, its value on constants, its identities.

Four registries, filled by the modules of this package, one a family of operators. A rule is a function whose signature
is the operator's schema, ``rule(op, *inputs, **attributes)``; inputs that are left out are None, attributes have the
schema's defaults.

- :data:`INFER`: result types. A rule returns one :class:`~nxconvert.graph.values.TensorType` an output, optional ones
  included. It raises :class:`~nxconvert.graph.values.GraphTypeError` for operands that the operator certainly cannot
  take; a symbol that could fit is no error. The dtypes of the inputs have been checked against the schema before.
- :data:`CONTENT`: the integers, as dims, that a scalar or vector holds when its inputs hold such.
- :data:`FOLD`: the numpy function of the operator (without ``op``), used where all inputs are small constants; None if
  it would not be exact.
- :data:`SIMPLIFY`: identities. A rule returns the value that the node would compute, or None where the node is needed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx_ir as ir

from nxconvert.graph.dims import Int, static
from nxconvert.graph.schema import schema
from nxconvert.graph.values import FOLD_LIMIT, GraphTypeError, TensorType, Value

if TYPE_CHECKING:
    from nxconvert.graph.builder import Builder

InferRule = Callable[..., "list[TensorType]"]
SimplifyRule = Callable[..., "Value | None"]
FoldRule = Callable[..., Any]
ContentRule = Callable[..., "tuple[Int, ...] | None"]

INFER: dict[str, InferRule] = {}
FOLD: dict[str, FoldRule] = {}
SIMPLIFY: dict[str, SimplifyRule] = {}
CONTENT: dict[str, ContentRule] = {}

# Operators with optional outputs, and how many they are given unless the caller asks for more (`_outputs=2`).
USUAL_OUTPUTS = {
    "BatchNormalization": 1,
    "Dropout": 1,
    "LayerNormalization": 1,
    "MaxPool": 1,
    "SoftmaxCrossEntropyLoss": 1,
    "Unique": 1,
}


def infer_rule(*op_types: str) -> Callable[[InferRule], InferRule]:
    """Registers the type rule of the operators named."""

    def register(rule: InferRule) -> InferRule:
        INFER.update(dict.fromkeys(op_types, rule))
        return rule

    return register


def simplify_rule(*op_types: str) -> Callable[[SimplifyRule], SimplifyRule]:
    """Registers the identities of the operators named."""

    def register(rule: SimplifyRule) -> SimplifyRule:
        SIMPLIFY.update(dict.fromkeys(op_types, rule))
        return rule

    return register


def fold_rule(*op_types: str) -> Callable[[FoldRule], FoldRule]:
    """Registers a numpy function of the inputs, in order, None where one is left out, and the attributes by name."""

    def register(rule: FoldRule) -> FoldRule:
        FOLD.update(dict.fromkeys(op_types, rule))
        return rule

    return register


def content_rule(*op_types: str) -> Callable[[ContentRule], ContentRule]:
    """Registers a function of the inputs and the integers that each of them holds (None where one is left out)."""

    def register(rule: ContentRule) -> ContentRule:
        CONTENT.update(dict.fromkeys(op_types, rule))
        return rule

    return register


def infer(
    op: Builder, op_type: str, inputs: list[Any], attributes: dict[str, Any], outputs: int | None = None
) -> list[TensorType]:
    """The types of the node's outputs.

    Args:
        op: the builder, which names new symbols.
        op_type: an operator of the standard domain.
        inputs: values, or None for an input that is left out.
        attributes: those that are given.
        outputs: how many outputs are wanted, where some are optional.

    Raises:
        LookupError: if there is no rule for the operator.
        GraphTypeError: if the operator cannot take these operands.
    """
    try:
        rule = INFER[op_type]
    except KeyError:
        raise LookupError(f"nxconvert.graph.rules has no type rule for {op_type}") from None
    try:
        schema(op_type).check(inputs)
        types = rule(op, *inputs, **attributes)
    except GraphTypeError as error:
        operands = ", ".join("-" if value is None else describe(value) for value in inputs)
        raise GraphTypeError(f"{op_type}({operands}): {error}") from None
    if op_type in CONTENT and any(value is not None and value.content is not None for value in inputs):
        types = [_with_content(types[0], content.known_content(op_type, inputs, attributes))]
    wanted = outputs or USUAL_OUTPUTS.get(op_type)
    return types[:wanted] if wanted else types


_INTEGERS = frozenset({ir.DataType.INT64, ir.DataType.INT32, ir.DataType.BOOL})


def _with_content(type_: TensorType, known: tuple[Int, ...] | None) -> TensorType:
    fits = known is not None and type_.dims in ((), (len(known),)) and type_.dtype in _INTEGERS
    return type_._replace(content=known) if fits else type_


def describe(value: Value) -> str:
    """The type of a value as people write it, e.g. ``FLOAT[batch, 3]``."""
    text = f"{value.etype.name}[{'...' if value.dims is None else ', '.join(map(str, value.dims))}]"
    return f"sequence of {text}" if value.is_sequence else text


def fold(
    op_type: str, inputs: Sequence[Any], attributes: Mapping[str, Any], types: Sequence[TensorType]
) -> list[np.ndarray] | None:
    """The node's outputs if they are small constants, else None."""
    if types[0].content is not None:
        numbers = static(types[0].content)
        if numbers is not None:
            return [np.array(numbers, types[0].dtype.numpy()).reshape([len(numbers)] if types[0].dims else [])]
    rule = FOLD.get(op_type)
    if rule is None or any(value is not None and value.array is None for value in inputs):
        return None
    for type_ in types:
        sizes = static(type_.dims or ())
        if type_.sequence or sizes is None or math.prod(sizes) > FOLD_LIMIT:
            return None
    with np.errstate(all="ignore"):
        result = rule(*(None if value is None else value.array for value in inputs), **attributes)
    if result is None:
        return None
    arrays = list(result) if isinstance(result, (tuple, list)) else [result]
    return [np.asarray(array).astype(t.dtype.numpy(), copy=False) for array, t in zip(arrays, types, strict=False)]


from nxconvert.graph.rules import (  # noqa: E402
    content,
    elementwise,  # noqa: F401
    faults,  # noqa: F401
    folding,  # noqa: F401
    generate,  # noqa: F401
    identities,  # noqa: F401
    index,  # noqa: F401
    linear,  # noqa: F401
    norm,  # noqa: F401
    quantized,  # noqa: F401
    reduce,  # noqa: F401
    rnn,  # noqa: F401
    sequence,  # noqa: F401
    shape,  # noqa: F401
    signal,  # noqa: F401
    texts,  # noqa: F401
    vision,  # noqa: F401
    window,  # noqa: F401
)

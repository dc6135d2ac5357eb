"""What the builder knows of each ONNX operator: the types of its results, its value on constants, its identities.

Three registries, filled by the modules of this package, one a family of operators:

- :data:`INFER`: result types. A rule takes the builder, the inputs and the attributes and returns one
  :class:`~nxconvert.graph.builder.TensorType` an output. It raises :class:`~nxconvert.graph.builder.GraphTypeError` for operands that
  the operator cannot take.
- :data:`FOLD`: the numpy function of the operator, used where all inputs are small constants.
- :data:`SIMPLIFY`: identities. A rule returns the value that the node would compute, or None where it is needed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from nxconvert.graph.builder import Builder, TensorType, Value

Attributes = Mapping[str, Any]
Inputs = "Sequence[Value | None]"
InferRule = Callable[["Builder", "list[Any]", "dict[str, Any]"], "list[TensorType]"]
SimplifyRule = Callable[["Builder", "list[Any]", "dict[str, Any]"], "Value | None"]

INFER: dict[str, InferRule] = {}
FOLD: dict[str, Callable[..., Any]] = {}
SIMPLIFY: dict[str, SimplifyRule] = {}


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


def fold_rule(*op_types: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Registers a numpy function: arrays in the order of the inputs (None where one is left out), attributes by name."""

    def register(rule: Callable[..., Any]) -> Callable[..., Any]:
        FOLD.update(dict.fromkeys(op_types, rule))
        return rule

    return register


def infer(op: Builder, op_type: str, inputs: list[Any], attributes: dict[str, Any]) -> list[TensorType]:
    """The types of the node's outputs."""
    try:
        rule = INFER[op_type]
    except KeyError:
        raise LookupError(f"nxconvert.graph.rules has no type rule for {op_type}") from None
    return rule(op, inputs, attributes)


def fold(op_type: str, inputs: Sequence[Any], attributes: Attributes, types: Sequence[TensorType]) -> list[np.ndarray] | None:
    """The node's outputs if they are small constants, else None."""
    from nxconvert.graph.builder import FOLD_LIMIT

    rule = FOLD.get(op_type)
    if rule is None or any(value is not None and value.array is None for value in inputs):
        return None
    for type_ in types:
        if type_.dims is None or not all(isinstance(d, int) for d in type_.dims) or math.prod(type_.dims) > FOLD_LIMIT:  # type: ignore[arg-type]
            return None
    with np.errstate(all="ignore"):
        result = rule(*(None if value is None else value.array for value in inputs), **attributes)
    arrays = list(result) if isinstance(result, (tuple, list)) else [result]
    return [np.asarray(array).astype(t.dtype.numpy(), copy=False) for array, t in zip(arrays, types, strict=True)]


from nxconvert.graph.rules import elementwise, shape  # noqa: E402, F401

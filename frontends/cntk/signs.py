"""What is known of numbers from the functions they come from: that they are positive, not negative, or 0 and 1.

CNTK gives 0 for roots of negative numbers and for quotients by 0, and -85.1 for logarithms of what is not positive;
where such numbers cannot be, nothing has to guard against them. ``Where`` takes a step as often as its condition says:
if that is never negative, where the steps are is told by counting how many have been taken at each of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import Enum
from typing import TypeAlias

import numpy as np

from nxconvert.formats.cntk.model import CONSTANT
from nxconvert.frontends.cntk.idioms import number_of
from nxconvert.frontends.cntk.network import Leaf, Network, Node, Source


class Claim(Enum):
    """What may be so of all numbers of a tensor."""

    POSITIVE = "greater than 0, and by more than rounding takes away"
    NOT_NEGATIVE = "0 or greater"
    FLAG = "0 or 1"


_Premises: TypeAlias = "Sequence[tuple[Source, Claim]]"

#: How far functions of functions are followed.
_DEPTH = 12
#: The least number that something positive is taken for: sums with less may lose it.
_LEAST = 1e-30
#: Constants of more bytes are not looked into.
_LARGE = 1024
_FLAGS = frozenset({"Equal", "NotEqual", "Less", "LessEqual", "Greater", "GreaterEqual", "Hardmax"})
#: Functions of whose results a claim is always true.
_ALWAYS = {
    Claim.FLAG: _FLAGS,
    Claim.NOT_NEGATIVE: _FLAGS | {"Abs", "Exp", "ReLU", "Sigmoid", "StableSigmoid", "Softmax", "Sqrt"},
    Claim.POSITIVE: frozenset(),
}
#: Functions whose results are among the numbers of their first operand.
_CHOOSING = frozenset({
    "Dropout", "GatherPacked", "NoOp", "Pass", "ReconcileDynamicAxis", "Reshape", "Slice", "Squeeze", "StopGradient",
    "TransposeAxes",
})  # fmt: skip
#: Reductions whose results have the sign of what they are of.
_KEEPING = frozenset({"Sum", "Mean", "Max", "Min"})


def is_positive(network: Network, source: Source) -> bool:
    """Whether numbers are certainly positive, and by more than rounding takes away."""
    return _holds(network, source, Claim.POSITIVE, frozenset())


def is_not_negative(network: Network, source: Source) -> bool:
    """Whether numbers are certainly not negative."""
    return _holds(network, source, Claim.NOT_NEGATIVE, frozenset())


def _holds(network: Network, source: Source, claim: Claim, trusted: frozenset[tuple[Source, Claim]]) -> bool:
    """Whether a claim is true for certain.

    What a loop depends on is trusted while the loop is gone around: it holds for a step if it does for those before.
    """
    if (source, claim) in trusted:
        return True
    if isinstance(source, Leaf):
        return _is_constant(network, source, claim)
    if len(trusted) == _DEPTH:
        return False
    inner = trusted | {(source, claim)}
    return any(
        all(_holds(network, of, premise, inner) for of, premise in premises)
        for premises in _reasons(network, network.nodes[source.node], claim)
    )


def _reasons(network: Network, node: Node, claim: Claim) -> Iterator[_Premises]:
    """What is enough for a claim about the result of a function, each time."""
    if node.op in _ALWAYS[claim]:
        yield ()
    elif node.op in _CHOOSING:
        yield [(node.inputs[0], claim)]
    elif node.op == "Select":
        yield [(each, claim) for each in node.inputs[1:]]
    elif claim is Claim.POSITIVE:
        yield from _reasons_for_positive(network, node)
    elif node.op in ("PastValue", "FutureValue", "ElementTimes"):
        if claim is Claim.NOT_NEGATIVE and node.inputs[0] == node.inputs[1]:
            yield ()
        yield [(each, claim) for each in node.inputs]
    elif node.op == "Minus" and number_of(network, node.inputs[0]) == 1:
        yield [(node.inputs[1], Claim.FLAG)]
    elif claim is Claim.NOT_NEGATIVE:
        yield from _reasons_for_not_negative(node)


def _reasons_for_positive(network: Network, node: Node) -> Iterator[_Premises]:
    if node.op == "Plus":
        for one, other in (node.inputs, node.inputs[::-1]):
            yield [(one, Claim.POSITIVE), (other, Claim.NOT_NEGATIVE)]
    elif node.op == "Sqrt" or is_root(network, node) or _keeps_signs(node):
        yield [(node.inputs[0], Claim.POSITIVE)]


def _reasons_for_not_negative(node: Node) -> Iterator[_Premises]:
    if node.op in ("Plus", "Reciprocal") or _keeps_signs(node):
        yield [(each, Claim.NOT_NEGATIVE) for each in node.inputs]
    elif node.op == "Pow":
        yield [(node.inputs[0], Claim.NOT_NEGATIVE)]


def is_root(network: Network, node: Node) -> bool:
    """Whether a function is the square root, written as a power."""
    return node.op == "Pow" and number_of(network, node.inputs[1]) == 0.5


def _keeps_signs(node: Node) -> bool:
    return node.op == "ReduceElements" and node.attributes.get("reductionOpName") in _KEEPING


def _is_constant(network: Network, leaf: Leaf, claim: Claim) -> bool:
    """Whether a variable is a constant of such numbers."""
    variable = network.variables[leaf.uid]
    if variable.kind != CONSTANT or variable.value is None or variable.value.nbytes > _LARGE:
        return False
    numbers = variable.value.numpy()
    if claim is Claim.FLAG:
        return bool(np.isin(numbers, (0, 1)).all())
    return bool((numbers >= (_LEAST if claim is Claim.POSITIVE else 0)).all())

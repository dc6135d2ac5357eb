"""What is known of the signs of numbers, from the functions they come from.

CNTK gives 0 for roots of negative numbers and for quotients by 0, and -85.1 for logarithms of what is not positive;
where such numbers cannot be, nothing has to guard against them.
"""

from __future__ import annotations

from nxconvert.frontends.cntk.idioms import function_of, number_of
from nxconvert.frontends.cntk.network import Network, Source

_DEPTH = 12
#: The least number that something positive is taken for: sums with less may lose it.
_LEAST = 1e-30
_NOT_NEGATIVE = frozenset({"Abs", "Exp", "ReLU", "Sigmoid", "StableSigmoid", "Softmax", "Sqrt", "Hardmax"})
_FLAGS = frozenset({"Equal", "NotEqual", "Less", "LessEqual", "Greater", "GreaterEqual"})
_SAME = frozenset({
    "Dropout", "StopGradient", "Pass", "NoOp", "Reshape", "Slice", "TransposeAxes", "ReconcileDynamicAxis",
})  # fmt: skip
_KEEPING = frozenset({"Sum", "Mean", "Max", "Min"})


def is_positive(network: Network, source: Source, depth: int = _DEPTH) -> bool:
    """Whether numbers are certainly positive, and by more than rounding takes away."""
    number = number_of(network, source)
    if number is not None:
        return number >= _LEAST
    node = function_of(network, source)
    if node is None or not depth:
        return False
    if node.op == "Plus":
        first, second = node.inputs
        return any(
            is_positive(network, a, depth - 1) and is_not_negative(network, b, depth - 1)
            for a, b in ((first, second), (second, first))
        )
    if node.op in _SAME or node.op == "Sqrt" or _keeps_signs(node.attributes, node.op):
        return is_positive(network, node.inputs[0], depth - 1)
    return False


def is_not_negative(network: Network, source: Source, depth: int = _DEPTH) -> bool:
    """Whether numbers are certainly not negative."""
    number = number_of(network, source)
    if number is not None:
        return number >= 0
    node = function_of(network, source)
    if node is None or not depth:
        return False
    if node.op in _NOT_NEGATIVE or node.op in _FLAGS:
        return True
    if node.op == "ElementTimes" and node.inputs[0] == node.inputs[1]:
        return True
    if node.op in ("Plus", "ElementTimes"):
        return all(is_not_negative(network, each, depth - 1) for each in node.inputs)
    if node.op in _SAME or node.op == "Reciprocal" or _keeps_signs(node.attributes, node.op):
        return is_not_negative(network, node.inputs[0], depth - 1)
    return False


def _keeps_signs(attributes: object, op: str) -> bool:
    return op == "ReduceElements" and isinstance(attributes, dict) and attributes.get("reductionOpName") in _KEEPING

"""Recognises conditions of which no number is negative, and those that are 0 or 1.

``Where`` counts: it takes a step as often as its condition says. If that is never negative, where the steps are is told
by counting how many steps have been taken at each of them.
"""

from __future__ import annotations

from nxconvert.formats.cntk.model import CONSTANT
from nxconvert.frontends.cntk.network import Leaf, Network, Node, Source

#: A condition is made of functions of functions this deep.
_DEPTH = 16
_FLAGS = frozenset({"Equal", "NotEqual", "Less", "LessEqual", "Greater", "GreaterEqual", "Hardmax"})
#: Functions whose results are among the numbers of their first operand.
_SOME = frozenset(
    {"Slice", "Reshape", "ReconcileDynamicAxis", "GatherPacked", "TransposeAxes", "Squeeze", "Dropout", "NoOp", "Pass"}
)
#: Functions whose results are never negative.
_COUNTS = frozenset({"Abs", "ReLU", "Exp", "Sigmoid", "StableSigmoid", "Softmax"})


def is_count(network: Network, source: Source) -> bool:
    """Whether a condition is known to be nowhere negative."""
    return _holds(network, source, set(), flags=False)


def _holds(network: Network, source: Source, trusted: set[tuple[Source, bool]], *, flags: bool) -> bool:
    """Whether something is 0 or 1, or else not negative.

    What a loop depends on is trusted while the loop is gone around: it holds for a step if it does for those before.
    """
    if (source, flags) in trusted or (source, True) in trusted:
        return True
    if len(trusted) > _DEPTH:
        return False
    if isinstance(source, Leaf):
        return _is_constant(network, source, flags=flags)
    node = network.nodes[source.node]
    if node.op in _FLAGS or (node.op in _COUNTS and not flags):
        return True
    needed = _needed(network, node, flags)
    inner = {*trusted, (source, flags)}
    return needed is not None and all(_holds(network, each, inner, flags=kind) for each, kind in needed)


def _needed(network: Network, node: Node, flags: bool) -> list[tuple[Source, bool]] | None:
    """What has to hold of inputs of a function for it to hold of its result: that they are 0 or 1, or not negative.

    None if nothing is known of such functions.
    """
    if node.op in _SOME:
        return [(node.inputs[0], flags)]
    if node.op in ("PastValue", "FutureValue", "ElementTimes") or (node.op == "Plus" and not flags):
        return [(each, flags) for each in node.inputs]
    if node.op == "Select":
        return [(each, flags) for each in node.inputs[1:]]
    if node.op == "Minus" and _is_constant(network, node.inputs[0], flags=True, ones=True):
        return [(node.inputs[1], True)]
    return None


def _is_constant(network: Network, source: Source, *, flags: bool, ones: bool = False) -> bool:
    """Whether a source is a constant of such numbers."""
    variable = network.variables.get(source.uid) if isinstance(source, Leaf) else None
    if variable is None or variable.kind != CONSTANT or variable.value is None or variable.value.nbytes > 1024:
        return False
    numbers = variable.value.numpy()
    if ones:
        return bool((numbers == 1).all())
    return bool(((numbers == 0) | (numbers == 1)).all() if flags else (numbers >= 0).all())

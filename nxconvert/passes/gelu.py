"""Gelu, where it is written out."""

from __future__ import annotations

import math
from collections import Counter
from typing import NamedTuple

import onnx_ir as ir

from nxconvert.passes.rewriting import NodePass, change, only_use, producer, small_constant


class _Monomial(NamedTuple):
    """A product of a number and powers of values, and the nodes that compute it."""

    factor: float
    powers: Counter[ir.Value]
    nodes: list[ir.Node]


class RecognizeGelu(NodePass):
    """``x / 2 * (1 + erf(x / sqrt(2)))`` is `Gelu`, and so is its approximation by a tanh.

    That is ``x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x ** 3)))``, or with an x outside of the brackets.
    Factors may come in any order. Float32 only; nothing else reads what the last product is made of.
    """

    op_types = frozenset({"Mul"})

    def rewrite(self, node: ir.Node) -> bool:
        if node.outputs[0].dtype != ir.DataType.FLOAT:
            return False
        whole = _monomial(node.outputs[0], last=node)
        if not _close(whole.factor, 0.5) or len(whole.powers) != 2 or set(whole.powers.values()) != {1}:
            return False
        for gate, x in (list(whole.powers), list(whole.powers)[::-1]):
            found = _gate(gate, x)
            if found is not None and x.shape is not None and x.shape == node.outputs[0].shape:
                kind, nodes = found
                inner = [*nodes, *(each for each in whole.nodes if each is not node)]
                attributes = [ir.AttrString("approximate", "tanh")] if kind == "Tanh" else []
                change(node, "Gelu", [x], attributes, absorbed=_in_order(inner))
                return True
        return False


def _in_order(nodes: list[ir.Node]) -> list[ir.Node]:
    """Nodes in the order of the graph: each before those that read it."""
    ordered: list[ir.Node] = []

    def visit(node: ir.Node) -> None:
        for value in node.inputs:
            maker = None if value is None else value.producer()
            if maker in nodes and maker not in ordered:
                visit(maker)
        if node not in ordered:
            ordered.append(node)

    for node in nodes:
        visit(node)
    return ordered


def _gate(value: ir.Value, x: ir.Value) -> tuple[str, list[ir.Node]] | None:
    """`Erf` or `Tanh`, if `value` is 1 and that of what Gelu asks for; and the nodes that compute it."""
    summed = producer(value, "Add")
    if summed is None or not only_use(value):
        return None
    number, operand = _number_and_value(summed)
    kind = producer(operand, "Erf", "Tanh")
    if number != 1 or kind is None or kind.inputs[0] is None or operand is None or not only_use(operand):
        return None
    argument = _monomial(kind.inputs[0])
    nodes = [*argument.nodes, kind, summed]
    if kind.op_type == "Erf":
        fits = _close(argument.factor, math.sqrt(0.5)) and argument.powers == Counter({x: 1})
        return ("Erf", nodes) if fits else None
    if not _close(argument.factor, math.sqrt(2 / math.pi)):
        return None
    outer = argument.powers - Counter({x: 1})
    if len(outer) != 1 or sum(outer.values()) != 1:
        return None
    inside = producer(next(iter(outer)), "Add")
    if inside is None or not only_use(inside.outputs[0]):
        return None
    cubic = _cubic(inside, x, argument.powers[x])
    return None if cubic is None else ("Tanh", [*cubic, *nodes])


def _cubic(inside: ir.Node, x: ir.Value, outside: int) -> list[ir.Node] | None:
    """The nodes of ``x + 0.044715 * x ** 3``, or of that divided by the x `outside`; None if it is something else."""
    for index in (0, 1):
        linear, rest = inside.inputs[index], inside.inputs[1 - index]
        if linear is None or rest is None:
            continue
        is_linear = linear is x if not outside else _number(linear) == 1
        term = _monomial(rest)
        if is_linear and _close(term.factor, 0.044715) and term.powers == Counter({x: 3 - outside}):
            return [*term.nodes, inside]
    return None


def _monomial(value: ir.Value, last: ir.Node | None = None) -> _Monomial:
    """`value` as a product: through `Mul`, `Div` by a number and `Pow`, whose results nothing else reads.

    Args:
        value: what is taken apart.
        last: the node that computes it, if others may read that.
    """
    node = producer(value, "Div", "Mul", "Pow")
    number = _number(value)
    if number is not None:
        return _Monomial(number, Counter(), [])
    if node is None or not (node is last or only_use(value) or _only_squared(value)) or None in node.inputs:
        return _Monomial(1.0, Counter({value: 1}), [])
    left, right = node.inputs
    assert left is not None
    assert right is not None
    if node.op_type == "Mul":
        a, b = _monomial(left), _monomial(right)
        nodes = list(dict.fromkeys([*a.nodes, *b.nodes, node]))
        return _Monomial(a.factor * b.factor, a.powers + b.powers, nodes)
    exponent = _number(right)
    if exponent is None or (node.op_type == "Pow" and exponent not in (2, 3)) or not exponent:
        return _Monomial(1.0, Counter({value: 1}), [])
    a = _monomial(left)
    if node.op_type == "Div":
        return _Monomial(a.factor / exponent, a.powers, [*a.nodes, node])
    powers = Counter({base: power * int(exponent) for base, power in a.powers.items()})
    return _Monomial(a.factor ** int(exponent), powers, [*a.nodes, node])


def _only_squared(value: ir.Value) -> bool:
    """Whether one node reads `value`, both times."""
    return not value.is_graph_output() and len({use.node for use in value.uses()}) == 1


def _number_and_value(node: ir.Node) -> tuple[float | None, ir.Value | None]:
    """The operands of a node of which one is a number."""
    for index in (0, 1):
        number = _number(node.inputs[index])
        if number is not None:
            return number, node.inputs[1 - index]
    return None, None


def _number(value: ir.Value | None) -> float | None:
    """The content of a constant that is one number."""
    array = small_constant(value)
    return float(array.reshape(-1)[0]) if array is not None and array.size == 1 else None


def _close(a: float, b: float) -> bool:
    """Whether two numbers are the same to float32."""
    return math.isclose(a, b, rel_tol=1e-6)

"""Dims that are computed from others: the text ``4*n + 1`` in the place of a name.

The graph spells them as Python does, over integers: ``+``, ``-``, ``*``, ``//``, ``%``, ``max``, ``min``. A dim that is
no such expression (``unk__12``, ``past-length``) is a name, whatever it looks like.
"""

from __future__ import annotations

import ast
import bisect
import operator
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

_BINARY: Mapping[type, Callable[[int, int], int]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
_CALLS: Mapping[str, Callable[..., int]] = {"max": max, "min": min}
_MAX_SIZE = 1 << 20


def symbols(dim: str) -> tuple[str, ...]:
    """The names in a dim, each once, in order: itself, if it is a name."""
    tree = _parsed(dim)
    if tree is None:
        return (dim,)
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    names = (node for node in ast.walk(tree) if isinstance(node, ast.Name) and id(node) not in called)
    return tuple(dict.fromkeys(node.id for node in sorted(names, key=lambda node: node.col_offset)))


def evaluate(dim: str, sizes: Mapping[str, int]) -> int:
    """The size that a dim is, given those of its names.

    Raises:
        KeyError: the size of a name is missing.
    """
    tree = _parsed(dim)
    return sizes[dim] if tree is None else _value(tree, sizes)


def solve(dim: str, size: int) -> dict[str, int]:
    """What the only name in a dim is, so that the dim is `size`; empty where it has several, or where none fits."""
    if _parsed(dim) is None:
        return {dim: size}
    names = symbols(dim)
    if len(names) != 1 or not 0 <= size <= _MAX_SIZE:
        return {}
    # What sizes are computed by grows with them.
    candidates = range(2 * _MAX_SIZE)
    place = bisect.bisect_left(candidates, size, key=lambda n: evaluate(dim, {names[0]: n}))
    return {names[0]: place} if evaluate(dim, {names[0]: place}) == size else {}


@cache
def _parsed(dim: str) -> ast.expr | None:
    """The expression that a dim is, or None for a name."""
    if dim.isidentifier():
        return None
    try:
        tree = ast.parse(dim, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return tree if _is_expression(tree) else None


def _is_expression(node: ast.AST) -> bool:
    if isinstance(node, ast.Constant):
        return type(node.value) is int
    if isinstance(node, ast.Name):
        return True
    if isinstance(node, ast.UnaryOp):
        return isinstance(node.op, ast.USub) and _is_expression(node.operand)
    if isinstance(node, ast.BinOp):
        return type(node.op) in _BINARY and _is_expression(node.left) and _is_expression(node.right)
    if isinstance(node, ast.Call):
        named = isinstance(node.func, ast.Name) and node.func.id in _CALLS and not node.keywords
        return named and bool(node.args) and all(map(_is_expression, node.args))
    return False


def _value(node: Any, sizes: Mapping[str, int]) -> int:
    if isinstance(node, ast.Constant):
        return int(node.value)  # type: ignore[arg-type]
    if isinstance(node, ast.Name):
        return sizes[node.id]
    if isinstance(node, ast.UnaryOp):
        return -_value(node.operand, sizes)
    if isinstance(node, ast.Call):
        return _CALLS[node.func.id](*(_value(argument, sizes) for argument in node.args))  # type: ignore[attr-defined]
    return _BINARY[type(node.op)](_value(node.left, sizes), _value(node.right, sizes))

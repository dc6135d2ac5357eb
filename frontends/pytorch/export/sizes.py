"""The symbolic sizes of an exported program, as dims of the graph.

A file spells a size as SymPy does: ``4*s40 + 1`` up to PyTorch 2.6, ``Add(Mul(Integer(4), Symbol('s40', ...)), ...)``
later. Symbols are renamed: ``s40`` says nothing, and an axis has a usual name.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Iterator, Mapping
from functools import reduce
from typing import Any

from nxconvert.errors import ReadError
from nxconvert.formats.torch_export import Size
from nxconvert.graph.builder import Builder
from nxconvert.graph.dims import Dim, Int, Symbol, divide_exactly, floordiv, maximum, minimum, mod

_MAX_POWER = 16


def _power(base: Any, exponent: Any) -> Any:
    if not isinstance(exponent, int) or not 0 <= exponent <= _MAX_POWER:
        raise ValueError(f"the power {exponent} of a size")
    return reduce(operator.mul, [base] * exponent, 1)


_BINARY: Mapping[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: floordiv,
    ast.Mod: mod,
    ast.Pow: _power,
}
_FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "Add": lambda *terms: reduce(operator.add, terms),
    "Mul": lambda *factors: reduce(operator.mul, factors),
    "Pow": _power,
    "FloorDiv": floordiv,
    "CleanDiv": floordiv,
    "Mod": mod,
    "PythonMod": mod,
    "Max": lambda *items: reduce(maximum, items),
    "Min": lambda *items: reduce(minimum, items),
    "Integer": int,
    "Identity": lambda x: x,
}
_ATOMS = {"One": 1, "Zero": 0, "NegativeOne": -1}


def parse(size: Size, symbols: Mapping[str, Int]) -> Int:
    """A size of the file as a dim.

    Args:
        size: a number or an expression.
        symbols: what its symbols stand for.

    Raises:
        ReadError: the expression is not one of a size.
    """
    if isinstance(size, int):
        return size
    try:
        return _value(ast.parse(size, mode="eval").body, symbols)
    except (ValueError, TypeError, KeyError, SyntaxError, RecursionError, MemoryError, ZeroDivisionError) as error:
        raise ReadError(f"the size {size[:80]!r} cannot be read ({error}).") from error


def symbols_of(size: Size) -> list[str]:
    """The symbols in a size, in order."""
    if isinstance(size, int):
        return []
    try:
        return list(_names(ast.parse(size, mode="eval").body))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ReadError(f"the size {size[:80]!r} cannot be read ({error}).") from error


def bare_symbol(size: Size) -> str | None:
    """The symbol that a size is, if it is nothing else."""
    symbols = symbols_of(size)
    alone = Dim.symbol("x")
    return symbols[0] if len(symbols) == 1 and parse(size, {symbols[0]: alone}) == alone else None


def _names(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Symbol":
        yield _symbol(node)
    elif isinstance(node, ast.Name):
        yield node.id
    elif isinstance(node, ast.Call):
        for argument in node.args:
            yield from _names(argument)
    elif not isinstance(node, ast.Attribute):  # S.One and the like are numbers
        for child in ast.iter_child_nodes(node):
            yield from _names(child)


def _symbol(node: ast.Call) -> str:
    (name,) = node.args
    if not isinstance(name, ast.Constant) or not isinstance(name.value, str):
        raise ValueError("a symbol without a name")
    return name.value


def _value(node: ast.expr, symbols: Mapping[str, Int]) -> Int:
    if isinstance(node, ast.Constant) and isinstance(node.value, int):
        return node.value
    if isinstance(node, ast.Name):
        return symbols[node.id]
    if isinstance(node, ast.Attribute):
        return _ATOMS[node.attr]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_value(node.operand, symbols)
    if isinstance(node, ast.BinOp):
        result: Int = _BINARY[type(node.op)](_value(node.left, symbols), _value(node.right, symbols))
        return result
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        if node.func.id == "Symbol":
            return symbols[_symbol(node)]
        called: Int = _FUNCTIONS[node.func.id](*(_value(argument, symbols) for argument in node.args))
        return called
    raise ValueError(f"a {type(node).__name__}")


def learn_symbols(op: Builder, dims: list[Dim]) -> None:
    """Makes the symbols of input sizes available that no input has as they are: ``s`` where an input has ``4*s``."""
    waiting = [dim for dim in dims if not all(op.knows(symbol) for symbol in _symbols_in(dim))]
    while waiting:
        solved = next((pair for dim in waiting if (pair := _solution(op, dim)) is not None), None)
        if solved is None:
            return
        symbol, dim = solved
        op.bind(symbol, op.dim_value(dim))
        waiting.remove(next(d for d in waiting if symbol in _symbols_in(d)))
        waiting = [d for d in waiting if not all(op.knows(s) for s in _symbols_in(d))]


def _symbols_in(dim: Dim) -> list[Dim]:
    return [Dim((((atom,), 1),)) for atom in sorted(dim.atoms()) if isinstance(atom, Symbol)]


def _solution(op: Builder, dim: Dim) -> tuple[Dim, Int] | None:
    """The only unknown symbol of a size, and what it is, computed from the size."""
    unknown = [symbol for symbol in _symbols_in(dim) if not op.knows(symbol)]
    if len(unknown) != 1:
        return None
    (symbol,) = unknown
    inner = [(monomial, c) for monomial, c in dim.terms if symbol.atom in monomial]
    rest: Int = dim
    for term in inner:
        rest = rest - Dim((term,))
    factor: Int = 0
    for term in inner:
        quotient = divide_exactly(Dim((term,)), symbol)
        if quotient is None:
            return None
        factor = factor + quotient
    if isinstance(factor, Dim) and symbol.atom in factor.atoms():
        return None
    # The size under a name of its own: as what it is, it would be computed from the symbol.
    whole = op.fresh("size")
    op.bind(whole, op.dim_value(dim))
    return symbol, floordiv(whole - rest, factor)

"""Symbolic dims: integer expressions over named sizes, kept in one canonical form.

A dim of the graph is a Python ``int`` or a :class:`Dim`. A ``Dim`` is a polynomial with integer coefficients over
*atoms*: named symbols (``batch``, ``height``) and the non-polynomial operations on dims (floor division, modulo,
maximum, minimum). Arithmetic happens here, in Python; the graph sees a number only where a node needs one. Two dims
that are equal as polynomials are equal as objects, so ``==`` proves that two sizes agree, and :func:`compare` decides
an order wherever the bounds of the symbols allow it.

Every operation returns an ``int`` as soon as the result is constant. Division rounds towards minus infinity, as
Python's does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeAlias, Union

Int: TypeAlias = Union[int, "Dim"]
Monomial: TypeAlias = "tuple[Atom, ...]"

# How many operations deep a comparison looks.
_UNFOLDED = 3
# Exact division gives up after so many steps; shapes have quotients of a few terms.
_MAX_STEPS = 96


class Atom:
    """What a polynomial is made of; equal atoms stand for equal integers.

    Attributes:
        key: canonical text, which identifies the atom and orders it among others.
        low: greatest known lower bound, or None.
        high: least known upper bound, or None.
    """

    __slots__ = ("hash", "high", "key", "low")

    def __init__(self, key: str, low: int | None, high: int | None = None) -> None:
        self.key = key
        self.low = low
        self.high = high
        self.hash = hash(key)

    def __hash__(self) -> int:
        return self.hash

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Atom) and self.key == other.key)

    def __lt__(self, other: Atom) -> bool:
        return self.key < other.key

    @property
    def is_word(self) -> bool:
        """Whether the text needs no parentheses wherever it stands."""
        return not isinstance(self, Operation) or self.kind in ("max", "min")

    def __repr__(self) -> str:
        return self.key


class Symbol(Atom):
    """A size or an integer with a name."""

    __slots__ = ()


class Operation(Atom):
    """``floordiv``, ``mod``, ``max`` or ``min`` of two integers that no polynomial expresses."""

    __slots__ = ("a", "b", "kind")

    def __init__(self, kind: str, a: Int, b: Int) -> None:
        self.kind = kind
        self.a = a
        self.b = b
        low, high = _operation_bounds(kind, a, b)
        infix = {"floordiv": "//", "mod": "%"}.get(kind)
        key = f"{_grouped(a)}{infix}{_grouped(b)}" if infix else f"{kind}({a}, {b})"
        super().__init__(key, low, high)


def _grouped(value: Int) -> str:
    text = str(value)
    return text if text.isidentifier() or text.isdigit() else f"({text})"


def _operation_bounds(kind: str, a: Int, b: Int) -> tuple[int | None, int | None]:
    (a_low, a_high), (b_low, b_high) = bounds(a), bounds(b)
    if kind == "floordiv":
        if isinstance(b, int) and b > 0:
            return (None if a_low is None else a_low // b), (None if a_high is None else a_high // b)
        positive = b_low is not None and b_low > 0 and a_low is not None and a_low >= 0
        return (0, a_high) if positive else (None, None)
    if kind == "mod":
        positive = b_low is not None and b_low > 0
        return (0 if positive else None), (b_high - 1 if positive and b_high is not None else None)
    pick = max if kind == "max" else min
    lows = [x for x in (a_low, b_low) if x is not None]
    highs = [x for x in (a_high, b_high) if x is not None]
    # max(a, b) is at least either lower bound; its upper bound needs both (and the reverse for min).
    low = pick(lows) if lows and (kind == "max" or len(lows) == 2) else None
    high = pick(highs) if highs and (kind == "min" or len(highs) == 2) else None
    return low, high


class Dim:
    """A symbolic integer: a polynomial over atoms, with at least one non-constant term."""

    __slots__ = ("_bounds", "_hash", "terms")

    def __init__(self, terms: tuple[tuple[Monomial, int], ...]) -> None:
        self.terms = terms
        self._hash: int | None = None
        self._bounds: tuple[int | None, int | None] | None = None

    @staticmethod
    def symbol(name: str, low: int | None = 1, high: int | None = None) -> Dim:
        """The dim called ``name``; a size that a user feeds is at least 1, one that depends on data may be 0."""
        return Dim((((Symbol(name, low, high),), 1),))

    def __hash__(self) -> int:
        if self._hash is None:
            self._hash = hash(self.terms)
        return self._hash

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Dim) and self.terms == other.terms)

    @property
    def atom(self) -> Atom | None:
        """The atom that this dim is, if it is nothing else."""
        if len(self.terms) == 1 and self.terms[0][1] == 1 and len(self.terms[0][0]) == 1:
            return self.terms[0][0][0]
        return None

    def atoms(self) -> set[Atom]:
        """The atoms that occur at the top level."""
        return {atom for monomial, _ in self.terms for atom in monomial}

    def __add__(self, other: Int) -> Int:
        if isinstance(other, int):
            return self._plus(other) if other else self
        return _polynomial(self.terms + other.terms)

    def _plus(self, number: int) -> Dim:
        monomial, constant = self.terms[-1]
        symbolic = self.terms if monomial else self.terms[:-1]
        constant = number if monomial else number + constant
        return Dim((*symbolic, ((), constant)) if constant else symbolic)

    def __neg__(self) -> Dim:
        return Dim(tuple((monomial, -coefficient) for monomial, coefficient in self.terms))

    def __sub__(self, other: Int) -> Int:
        return 0 if self is other else self + (-other)

    def __rsub__(self, other: int) -> Int:
        return (-self) + other

    def __mul__(self, other: Int) -> Int:
        if isinstance(other, int):
            return Dim(tuple((monomial, coefficient * other) for monomial, coefficient in self.terms)) if other else 0
        return _polynomial((tuple(sorted(a + b)), x * y) for a, x in _items(self) for b, y in _items(other))

    __radd__ = __add__
    __rmul__ = __mul__

    def __floordiv__(self, other: Int) -> Int:
        return floordiv(self, other)

    def __rfloordiv__(self, other: int) -> Int:
        return floordiv(other, self)

    def __mod__(self, other: Int) -> Int:
        return mod(self, other)

    def __rmod__(self, other: int) -> Int:
        return mod(other, self)

    def __str__(self) -> str:
        positive_first = sorted(self.terms, key=lambda term: term[1] < 0)
        return "".join(_term_text(*term, first=i == 0) for i, term in enumerate(positive_first))

    __repr__ = __str__


def _term_text(monomial: Monomial, coefficient: int, first: bool) -> str:
    sign = ("-" if coefficient < 0 else "") if first else (" - " if coefficient < 0 else " + ")
    number = [] if monomial and abs(coefficient) == 1 else [str(abs(coefficient))]
    # A quotient stands alone in a sum, but neither as a factor nor behind a sign.
    alone = len(number) + len(monomial) == 1 and not (first and coefficient < 0)
    return sign + "*".join(number + [atom.key if alone or atom.is_word else f"({atom.key})" for atom in monomial])


def _items(value: Int) -> tuple[tuple[Monomial, int], ...]:
    return value.terms if isinstance(value, Dim) else (((), value),)


def _polynomial(items: Iterable[tuple[Monomial, int]]) -> Int:
    """Collects like terms and orders them: symbolic terms by text, the constant last."""
    collected: dict[Monomial, int] = {}
    for monomial, coefficient in items:
        collected[monomial] = collected.get(monomial, 0) + coefficient
    constant = collected.pop((), 0)
    terms = [(monomial, coefficient) for monomial, coefficient in collected.items() if coefficient]
    if not terms:
        return constant
    terms.sort(key=lambda term: (-len(term[0]), [atom.key for atom in term[0]]))
    if constant:
        terms.append(((), constant))
    return Dim(tuple(terms))


def bounds(value: Int) -> tuple[int | None, int | None]:
    """The known lower and upper bound of ``value``, None where there is none."""
    if isinstance(value, int):
        return value, value
    if value._bounds is None:
        value._bounds = _polynomial_bounds(value)
    return value._bounds


def _polynomial_bounds(value: Dim) -> tuple[int | None, int | None]:
    low: int | None = 0
    high: int | None = 0
    for monomial, coefficient in value.terms:
        term_low, term_high = _monomial_bounds(monomial)
        if coefficient < 0:
            term_low, term_high = term_high, term_low
        low = None if low is None or term_low is None else low + coefficient * term_low
        high = None if high is None or term_high is None else high + coefficient * term_high
    return low, high


def _monomial_bounds(monomial: Monomial) -> tuple[int | None, int | None]:
    if len(monomial) == 1:
        return monomial[0].low, monomial[0].high
    low, high = 1, 1
    unbounded = False
    for atom in monomial:
        if atom.low is None or atom.low < 0:
            return None, None
        low *= atom.low
        if atom.high is None:
            unbounded = True
        else:
            high *= atom.high
    return low, None if unbounded else high


def compare(a: Int, relation: str, b: Int) -> bool | None:
    """Whether ``a relation b`` holds for every value of the symbols; None if that depends on them.

    Args:
        a: an integer or a dim.
        relation: one of ``== != < <= > >=``.
        b: an integer or a dim.
    """
    difference = a - b
    if relation in ("==", "!="):
        same = difference == 0 or bounds(difference) == (0, 0)
        equal = True if same else False if _is_positive(difference) or _is_positive(-difference) else None
        return equal if relation == "==" else _flip(equal)
    if relation in ("<", ">="):
        # a < b  is  b - a >= 1, and a >= b the opposite.
        less = True if _is_positive(-difference) else False if _is_positive(difference + 1) else None
        return less if relation == "<" else _flip(less)
    greater = True if _is_positive(difference) else False if _is_positive(1 - difference) else None
    return greater if relation == ">" else _flip(greater)


def _is_positive(value: Int) -> bool:
    """Whether ``value`` is certainly at least 1."""
    low = bounds(value)[0]
    if low is None or low < 1:
        low = _lower_bound(value, _UNFOLDED)
    return low is not None and low >= 1


def _lower_bound(value: Int, depth: int) -> int | None:
    """A lower bound that knows how an operation and its operands hang together: ``h - h//2 >= 1`` where ``h >= 1``."""
    low = bounds(value)[0]
    if isinstance(value, int) or not depth:
        return low
    for monomial, coefficient in value.terms:
        atom = monomial[0] if len(monomial) == 1 else None
        if isinstance(atom, Operation):
            rest = value - _atom_dim(atom) * coefficient
            low = _highest(low, *_bounds_without(atom, coefficient, rest, depth - 1))
    return low


def _bounds_without(atom: Operation, coefficient: int, rest: Int, depth: int) -> Iterator[int | None]:
    """Lower bounds of ``coefficient * atom + rest`` in which what the atom is made of stands for it."""
    if atom.kind == "floordiv" and isinstance(atom.b, int) and atom.b > 0:
        # a - (b - 1) <= b * (a // b) <= a
        least = atom.a - (atom.b - 1) if coefficient > 0 else atom.a
        scaled = _lower_bound(rest * atom.b + least * coefficient, depth)
        yield None if scaled is None else -(-scaled // atom.b)
    elif atom.kind == ("max" if coefficient > 0 else "min"):
        yield _lower_bound(rest + atom.a * coefficient, depth)
        yield _lower_bound(rest + atom.b * coefficient, depth)


def _highest(*lows: int | None) -> int | None:
    return max((low for low in lows if low is not None), default=None)


def maximum(a: Int, b: Int) -> Int:
    """The larger of two dims."""
    return _extreme("max", a, b)


def minimum(a: Int, b: Int) -> Int:
    """The smaller of two dims."""
    return _extreme("min", a, b)


def _extreme(kind: str, a: Int, b: Int) -> Int:
    order = compare(a, ">=", b)
    if order is None:
        order = _flip(compare(b, ">=", a))
    if order is not None:
        return a if order == (kind == "max") else b
    first, second = sorted((a, b), key=str)
    return _atom_dim(Operation(kind, first, second))


def _flip(value: bool | None) -> bool | None:
    return None if value is None else not value


def _atom_dim(atom: Atom) -> Dim:
    return Dim((((atom,), 1),))


def divide_exactly(a: Int, b: Int) -> Int | None:
    """``a / b`` where that is a polynomial with integer coefficients for every value of the symbols, else None."""
    if b == 1:
        return a
    if isinstance(b, int):
        if not b or any(coefficient % b for _, coefficient in _items(a)):
            return None
        return (
            a // b
            if isinstance(a, int)
            else Dim(tuple((monomial, coefficient // b) for monomial, coefficient in a.terms))
        )
    quotient: Int = 0
    rest: Int = a
    lead_monomial, lead = _items(b)[0]
    for _ in range(_MAX_STEPS):
        if rest == 0:
            return quotient
        monomial, coefficient = _items(rest)[0]
        factor = _cancel(monomial, lead_monomial)
        if factor is None or coefficient % lead:
            return None
        step = _polynomial([(factor, coefficient // lead)])
        quotient = quotient + step
        rest = rest - step * b
    return None


def _cancel(monomial: Monomial, divisor: Monomial) -> Monomial | None:
    remaining = list(monomial)
    for atom in divisor:
        if atom not in remaining:
            return None
        remaining.remove(atom)
    return tuple(remaining)


def floordiv(a: Int, b: Int) -> Int:
    """``a // b``, rounded towards minus infinity.

    Raises:
        ZeroDivisionError: if ``b`` is the constant 0.
    """
    if isinstance(a, int) and isinstance(b, int):
        return a // b
    exact = divide_exactly(a, b)
    if exact is not None:
        return exact
    if not isinstance(b, int):
        return _atom_dim(Operation("floordiv", a, b))
    if b < 0:
        return floordiv(-a, -b)
    if b == 0:
        raise ZeroDivisionError("a dim is divided by zero")
    # floor((b*q + r) / b) = q + floor(r / b), term by term.
    whole = _polynomial(
        (monomial, coefficient // b) for monomial, coefficient in _items(a) if coefficient % b == 0 or not monomial
    )
    rest = a - whole * b
    if isinstance(rest, int):
        return whole + rest // b
    common = math.gcd(b, *(coefficient for monomial, coefficient in rest.terms if monomial))
    if common > 1:
        # floor((g*x + c) / (g*k)) = floor((x + floor(c/g)) / k)
        rest = _polynomial((monomial, coefficient // common) for monomial, coefficient in rest.terms)
        return whole + floordiv(rest, b // common)
    nested = _merge_nested(rest, b)
    return whole + (nested if nested is not None else _atom_dim(Operation("floordiv", rest, b)))


def _merge_nested(rest: Int, divisor: int) -> Int | None:
    """floor((floor(x / m) + c) / n) = floor((x + c*m) / (m*n)): what a chain of strided layers produces."""
    if not isinstance(rest, Dim):
        return None
    (monomial, coefficient), constant = rest.terms[0], sum(c for m, c in rest.terms if not m)
    inner = monomial[0] if len(monomial) == 1 else None
    if len(rest.terms) > 1 + (constant != 0) or coefficient != 1 or not isinstance(inner, Operation):
        return None
    if inner.kind != "floordiv" or not isinstance(inner.b, int):
        return None
    return floordiv(inner.a + constant * inner.b, inner.b * divisor)


def mod(a: Int, b: Int) -> Int:
    """``a % b`` with the sign of ``b``, as Python has it.

    Raises:
        ZeroDivisionError: if ``b`` is the constant 0.
    """
    if isinstance(b, int) and (isinstance(a, int) or b == 0):
        return (a if isinstance(a, int) else 0) % b
    if divide_exactly(a, b) is not None:
        return 0
    if isinstance(b, int) and b > 0:
        a = _polynomial((monomial, coefficient % b) for monomial, coefficient in _items(a))
        low, high = bounds(a)
        if isinstance(a, int) or (low is not None and low >= 0 and high is not None and high < b):
            return a
    return _atom_dim(Operation("mod", a, b))


Listener: TypeAlias = "Callable[[Int, Int, bool], None]"
_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)


def require(a: Int, b: Int, *, broadcast: bool = False) -> None:
    """Says that an operator works only if two sizes are equal, which their symbols do not prove.

    Who builds a graph learns from it what the free sizes of the inputs have to be (:func:`listening`).

    Args:
        a: a size.
        b: a size.
        broadcast: one of them may also be 1.
    """
    listener = _listener.get()
    if listener is not None and a != b:
        listener(a, b, broadcast)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Calls ``listener(a, b, broadcast)`` for every :func:`require` inside the block."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def static(dims: Iterable[Int | None]) -> list[int] | None:
    """``dims`` if all of them are numbers, else None."""
    numbers = []
    for dim in dims:
        if not isinstance(dim, int):
            return None
        numbers.append(dim)
    return numbers


def product(dims: Iterable[Int]) -> Int:
    """The number of elements of a tensor with these dims; 1 for none."""
    result: Int = 1
    for dim in dims:
        result = dim * result
    return result


def evaluate(value: Int, sizes: dict[str, int]) -> int:
    """``value`` with a number for every symbol.

    Raises:
        KeyError: if a symbol has no number.
    """
    if isinstance(value, int):
        return value
    return sum(c * math.prod(_evaluate_atom(atom, sizes) for atom in monomial) for monomial, c in value.terms)


def _evaluate_atom(atom: Atom, sizes: dict[str, int]) -> int:
    if not isinstance(atom, Operation):
        return sizes[atom.key]
    a, b = evaluate(atom.a, sizes), evaluate(atom.b, sizes)
    return {"floordiv": lambda: a // b, "mod": lambda: a % b, "max": lambda: max(a, b), "min": lambda: min(a, b)}[
        atom.kind
    ]()

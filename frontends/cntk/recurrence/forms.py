"""What the functions of a loop compute in one step, as sums of products: what cells are recognised by.

A :class:`Form` is a vector: a sum of products of atoms, each with a coefficient that is a weight of the model. Sums,
differences, products with weights, parts and gates that were computed as one weigh nothing in it, so that the same cell
has the same forms however it was written. Weights are worked out when they are written to a file.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from nxconvert.graph.builder import Value
from nxconvert.graph.dims import static

#: No cell multiplies out to so many products.
_MAX_TERMS = 16


class Odd(Exception):
    """Something that no known cell has."""


@dataclass(frozen=True, slots=True)
class Weight:
    """A number [], a vector [n] for each element, or a matrix [m, n]; equal ones have the same key.

    Attributes:
        key: what it is made of.
        shape: of the array.
        array: gives the content.
        number: a single number that is known.
    """

    key: Hashable
    shape: tuple[int, ...]
    array: Callable[[], np.ndarray] = field(compare=False)
    number: float | None = None

    def __matmul__(self, other: Weight) -> Weight:
        """The matrix that does the same as a scale, or none, followed by a matrix."""
        if self.number == 1:
            return other
        if len(self.shape) > 1:
            raise Odd
        key = ("rows", self.key, other.key)
        return Weight(key, other.shape, lambda: np.atleast_1d(self.array())[:, None] * other.array())

    def __mul__(self, other: Weight) -> Weight:
        """This one, with each of its columns multiplied by a number of the other."""
        if self.number is not None and other.number is not None:
            return number(self.number * other.number)
        if other.number == 1:
            return self
        if self.number == 1:
            return other
        if len(other.shape) > len(self.shape):
            return other * self
        return self._joined(other, "*", np.multiply)

    def __add__(self, other: Weight) -> Weight:
        if self.number is not None and other.number is not None:
            return number(self.number + other.number)
        return self._joined(other, "+", np.add)

    def _joined(self, other: Weight, name: str, function: Callable[[Any, Any], Any]) -> Weight:
        try:
            shape = np.broadcast_shapes(self.shape, other.shape)
        except ValueError:
            raise Odd from None
        return Weight((name, self.key, other.key), shape, lambda: function(self.array(), other.array()))

    def columns(self, start: int, stop: int) -> Weight:
        """A part along the last axis; a number is the same for all."""
        if not self.shape or (start, stop) == (0, self.shape[-1]):
            return self
        key = ("columns", self.key, start, stop)
        return Weight(key, (*self.shape[:-1], stop - start), lambda: self.array()[..., start:stop])

    def rows(self, start: int, stop: int) -> Weight:
        """A part along the first axis of a matrix."""
        if (start, stop) == (0, self.shape[0]):
            return self
        key = ("part", self.key, start, stop)
        return Weight(key, (stop - start, *self.shape[1:]), lambda: self.array()[start:stop])

    def reshaped(self, *shape: int) -> Weight:
        return self if shape == self.shape else Weight((self.key, shape), shape, lambda: self.array().reshape(shape))

    @property
    def turned(self) -> Weight:
        """The transposed matrix."""
        return Weight(("turned", self.key), self.shape[::-1], lambda: self.array().T)


def number(value: float) -> Weight:
    """A single number."""
    return Weight(("number", value), (), lambda: np.array(value, np.float32), value)


ONE = number(1.0)


def weight(value: Value) -> Weight:
    """A constant or parameter of the graph.

    Raises:
        Odd: it is something that is computed when the model runs.
    """
    shape = static(value.dims)
    array, stored = value.array, value.const_value
    if shape is None or (array is None and stored is None):
        raise Odd
    if array is not None and array.size == 1:
        return Weight(("number", float(array.reshape(()))), (), lambda: array.reshape(()), float(array.reshape(())))
    return Weight(("weight", value.name), tuple(shape), lambda: array if array is not None else stored.numpy())  # type: ignore[union-attr]


@dataclass(frozen=True, slots=True)
class Atom:
    """What a form does not look into.

    Attributes:
        kind: ``state``, the state of the step before; ``new``, that of this step; ``outer``, something from outside;
            ``form``, a sum that something is multiplied with; or a function, of the form that it is of.
        of: tells it from others of its kind.
        size: of the vector.
        form: what it is a function of.
    """

    kind: str
    of: Hashable
    size: int
    form: Form | None = field(default=None, compare=False, repr=False)


Product: TypeAlias = "frozenset[tuple[Atom, int]]"
CONSTANT: Product = frozenset()


@dataclass(frozen=True)
class Form:
    """A sum of products.

    Attributes:
        size: of the vector; 1 of a single number.
        terms: for each product of atoms, with the number of times that each is a factor, its coefficient.
    """

    size: int
    terms: Mapping[Product, Weight]

    def __add__(self, other: Form) -> Form:
        size = self._common(other)
        terms = dict(self.terms)
        for product, coefficient in other.terms.items():
            have = terms.get(product)
            if have is not None and product != CONSTANT and len(have.shape) != len(coefficient.shape):
                raise Odd
            terms[product] = coefficient if have is None else have + coefficient
        return Form(size, {p: c for p, c in terms.items() if c.number != 0})

    def __mul__(self, other: Form) -> Form:
        size = self._common(other)
        for one, two in ((self, other), (other, self)):
            if set(two.terms) == {CONSTANT}:
                return Form(size, {p: c * two.terms[CONSTANT] for p, c in one.terms.items()})
        terms: dict[Product, Weight] = {}
        for p, c in self._opaque().terms.items():
            for q, d in other._opaque().terms.items():
                both = _times(p, q)
                terms[both] = c * d if both not in terms else terms[both] + c * d
        if len(terms) > _MAX_TERMS:
            raise Odd
        return Form(size, terms)

    def _common(self, other: Form) -> int:
        """The size of what two forms are combined to: constants alone are broadcast."""
        small, large = sorted((self, other), key=lambda form: form.size)
        if small.size != large.size and not (small.size == 1 and set(small.terms) <= {CONSTANT}):
            raise Odd
        return large.size

    def _opaque(self) -> Form:
        """The form, as a single atom if it has products with matrices: those cannot be multiplied out."""
        if all(len(c.shape) < 2 for c in self.terms.values()):
            return self
        return of_atom(Atom("form", frozenset((p, c.key) for p, c in self.terms.items()), self.size, self))

    def scaled(self, factor: Weight) -> Form:
        return Form(self.size, {p: c * factor for p, c in self.terms.items()})

    def times(self, matrix: Weight) -> Form:
        """The product with a matrix."""
        if matrix.shape[0] != self.size or len(matrix.shape) != 2:
            raise Odd
        if CONSTANT in self.terms or not self.terms:
            raise Odd
        return Form(matrix.shape[1], {p: c @ matrix for p, c in self.terms.items()})

    def part(self, start: int, stop: int) -> Form:
        """A part of the vector."""
        if not 0 <= start < stop <= self.size:
            raise Odd
        if (start, stop) == (0, self.size):
            return self
        terms: dict[Product, Weight] = {}
        for product, coefficient in self.terms.items():
            if product and len(coefficient.shape) < 2:
                product = frozenset((_part(atom, start, stop), count) for atom, count in product)
            terms[product] = coefficient.columns(start, stop)
        return Form(stop - start, terms)

    def only(self) -> tuple[Atom, ...] | None:
        """The factors of a single product with no coefficient."""
        if len(self.terms) != 1:
            return None
        ((product, coefficient),) = self.terms.items()
        return factors(product) if coefficient.number == 1 else None


def of_atom(atom: Atom) -> Form:
    """The form that is an atom by itself."""
    return Form(atom.size, {frozenset({(atom, 1)}): ONE})


def of_weight(value: Weight) -> Form:
    """A form that is the same always.

    Raises:
        Odd: it is a matrix.
    """
    if len(value.shape) > 1:
        raise Odd
    return Form(value.shape[0] if value.shape else 1, {CONSTANT: value})


def factors(product: Product) -> tuple[Atom, ...]:
    """The atoms of a product, each as often as it is a factor."""
    return tuple(atom for atom, count in product for _ in range(count))


def _times(p: Product, q: Product) -> Product:
    counts: dict[Atom, int] = dict(p)
    for atom, count in q:
        counts[atom] = counts.get(atom, 0) + count
    return frozenset(counts.items())


def _part(atom: Atom, start: int, stop: int) -> Atom:
    """A part of an atom that is a function of each element."""
    if atom.form is None:
        raise Odd
    return Atom(atom.kind, (atom.of, start, stop), stop - start, atom.form.part(start, stop))

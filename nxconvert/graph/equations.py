"""What the free sizes of a graph's inputs have to be: equations between sizes, solved.

Sizes are left free at first. Wherever a size has to equal another one for an operator to work
(:func:`nxconvert.graph.dims.require`), the free ones it is made of are fixed or made one: a convolution with the weight
[64, 3, 7, 7] says that there are 3 channels. Who builds the graph begins again with what was found.
"""

from __future__ import annotations

from collections.abc import Mapping

from nxconvert.graph.dims import Dim, Int, Symbol, divide_exactly, evaluate
from nxconvert.graph.values import GraphTypeError


class Fixed(Exception):
    """Free sizes turn out not to be free: the names with what they are."""

    def __init__(self, found: dict[str, int | str]) -> None:
        super().__init__()
        self.found = found


class Equations:
    """Hears which sizes have to be equal, and solves that for the free dims of the inputs."""

    def __init__(self, names: set[str], sizes: Mapping[str, int]) -> None:
        self._names = names
        self._sizes = sizes

    def hear(self, a: Int, b: Int, broadcast: bool) -> None:
        """Raises `Fixed` if ``a == b`` says what a free dim is."""
        a, b = _without_common_factors(a, b)
        symbols = _symbols(a) | _symbols(b)
        if not symbols or not symbols <= self._names:
            return
        found = self._solve(a, b, broadcast, symbols)
        if found:
            raise Fixed(found)

    def _solve(self, a: Int, b: Int, broadcast: bool, symbols: set[str]) -> dict[str, int | str] | None:
        if symbols <= self._sizes.keys():
            have, want = evaluate(a, dict(self._sizes)), evaluate(b, dict(self._sizes))
            if have != want and not (broadcast and 1 in (have, want)):
                raise GraphTypeError(f"{a} has to be {b}, and is not in the examples that the archive was traced with")
            if broadcast and have != want:
                return {name: self._sizes[name] for name in symbols}
        if _name(a) and _name(b):
            # Of two sizes that may be equal or 1 nothing is known; of two that have to be equal, both are one.
            return None if broadcast and not symbols <= self._sizes.keys() else _one_name(str(a), str(b))
        solution = solve_linear(a, b)
        if solution is not None:
            return solution
        if symbols <= self._sizes.keys():
            return {name: self._sizes[name] for name in symbols}
        return None


def _without_common_factors(a: Int, b: Int) -> tuple[Int, Int]:
    """Both sides of an equation without the sizes that multiply either: batches drop out of most."""
    if not isinstance(a, Dim):
        return a, b
    for atom in sorted(a.atoms()):
        factor = Dim((((atom,), 1),))
        left, right = divide_exactly(a, factor), divide_exactly(b, factor)
        if left is not None and right is not None and b != 0:
            a, b = left, right
            if not isinstance(a, Dim):
                break
    return a, b


def _symbols(value: Int) -> set[str]:
    """The names in a dim; an operation on dims counts by the names inside it."""
    if isinstance(value, int):
        return set()
    found: set[str] = set()
    for atom in value.atoms():
        if isinstance(atom, Symbol):
            found.add(atom.key)
        else:
            found |= _symbols(getattr(atom, "a", 0)) | _symbols(getattr(atom, "b", 0))
    return found


def _name(value: Int) -> bool:
    return isinstance(value, Dim) and isinstance(value.atom, Symbol)


def _one_name(a: str, b: str) -> dict[str, int | str]:
    """Which of two names of one size gives way: `rois_batch` to `batch`, and else the second."""
    return {a: b} if a.endswith(f"_{b}") else {b: a}


def solve_linear(a: Int, b: Int) -> dict[str, int | str] | None:
    """The solution of ``a == b`` if one symbol is all that is open and occurs linearly; common factors cancel."""
    for x, y in ((a, b), (b, a)):
        quotient = divide_exactly(x, y) if y != 0 else None
        if isinstance(quotient, Dim):
            a, b = quotient, 1
            break
    difference = a - b
    if not isinstance(difference, Dim):
        return None
    symbolic = [term for term in difference.terms if term[0]]
    if len(symbolic) != 1 or len(symbolic[0][0]) != 1 or not isinstance(symbolic[0][0][0], Symbol):
        return None
    constant = sum(coefficient for monomial, coefficient in difference.terms if not monomial)
    (atom,), coefficient = symbolic[0]
    if -constant % coefficient or -constant // coefficient < 0:
        raise GraphTypeError(f"no size of {atom.key} makes {a} equal to {b}")
    return {atom.key: -constant // coefficient}

"""Reads the forms of a loop's functions, and of what comes into the loop, from the network."""

from __future__ import annotations

import math

from nxconvert.frontends.cntk.dynamic import STATIC, Tensor
from nxconvert.frontends.cntk.lower import Lowerer
from nxconvert.frontends.cntk.network import Leaf, Node, Result, Source
from nxconvert.frontends.cntk.primitives import IDENTITIES
from nxconvert.frontends.cntk.recurrence.forms import Atom, Form, Odd, Weight, number, of_atom, of_weight, weight
from nxconvert.frontends.cntk.recurrence.loop import DELAYS
from nxconvert.frontends.cntk.table import Axis
from nxconvert.graph.dims import static

_FUNCTIONS = {"Sigmoid": "Sigmoid", "StableSigmoid": "Sigmoid", "Tanh": "Tanh", "ReLU": "Relu"}
#: What comes into a loop is looked into through so many functions.
_DEPTH = 8


class Reader:
    """Reads forms.

    Attributes:
        states: for each delay the atom that its result is.
        results: for each of those atoms what the state of this step is.
        initial: for each of those atoms its initial state.
    """

    def __init__(self, m: Lowerer, nodes: list[Node], sizes: dict[str, int]) -> None:
        """`sizes` are those of the delays."""
        self._m = m
        self._members = {node.uid for node in nodes}
        self._known: dict[Source, Form] = {}
        self.states: dict[str, Atom] = {}
        self.results: dict[Atom, Source] = {}
        self.initial: dict[Atom, Source] = {}
        for node in nodes:
            if node.op not in DELAYS:
                continue
            if node.attributes.get("offset", 1) != 1:
                raise Odd
            result = self.canonical(node.inputs[0])
            atom = Atom("state", (result, node.inputs[1]), sizes[node.uid])
            self.states[node.uid] = atom
            self.results[atom] = result
            self.initial[atom] = node.inputs[1]
        self._new = {result: Atom("new", result, atom.size) for atom, result in self.results.items()}

    def canonical(self, source: Source) -> Source:
        """What a source is the same as, in one step and when a model is used."""
        while isinstance(source, Result):
            node = self._m.network.nodes[source.node]
            if node.op not in IDENTITIES and not (node.op == "ReconcileDynamicAxis" and self._is_same(node)):
                break
            source = node.inputs[0]
        return source

    def _is_same(self, node: Node) -> bool:
        """Whether what gets the axes of something else has them, in a step, or is the same for all steps."""
        inner = node.inputs[0]
        if self._is_member(inner):
            return node.uid in self._members
        return (isinstance(inner, Leaf) or inner in self._m.values) and self._m.tensor(inner).axes.seq is None

    def new(self, state: Atom) -> Atom:
        """The atom that a state is in this step."""
        return self._new[self.results[state]]

    def result(self, state: Atom) -> Form:
        """What a state becomes in this step, by what it is computed of."""
        source = self.results[state]
        assert isinstance(source, Result)
        return self._member(self._m.network.nodes[source.node])

    def form(self, source: Source, depth: int = _DEPTH) -> Form:
        """The form of something.

        Raises:
            Odd: it has none.
        """
        source = self.canonical(source)
        if source not in self._known:
            self._known[source] = self._read(source, depth)
        return self._known[source]

    def _read(self, source: Source, depth: int) -> Form:
        if source in self._new:
            return of_atom(self._new[source])
        if isinstance(source, Result) and source.node in self._members:
            node = self._m.network.nodes[source.node]
            return of_atom(self.states[node.uid]) if node.uid in self.states else self._member(node)
        tensor = self._m.tensor(source)
        if tensor.axes == STATIC:
            return of_weight(_vector(tensor))
        if isinstance(source, Result) and depth and tensor.rank == 1 and self._is_open(source):
            try:
                return self._compute(self._m.network.nodes[source.node], depth - 1)
            except Odd:
                pass
        return self._outer(source)

    def _outer(self, source: Source) -> Form:
        sizes = static(self._m.tensor(source).dims)
        if sizes is None:
            raise Odd
        return of_atom(Atom("outer", source, math.prod(sizes)))

    def _member(self, node: Node) -> Form:
        if node.op in _FUNCTIONS:
            form = self.form(node.inputs[0])
            return of_atom(Atom(_FUNCTIONS[node.op], node.uid, form.size, form))
        return self._compute(node, _DEPTH)

    def _compute(self, node: Node, depth: int) -> Form:
        """The form of a function that is linear in each of its inputs."""
        if node.op in ("Times", "TransposeTimes"):
            return self._product(node, depth)
        if node.op == "Slice":
            return self._slice(node, depth)
        if node.op not in ("Plus", "Minus", "ElementTimes", "Negate"):
            raise Odd
        forms = [self.form(source, depth) for source in node.inputs]
        if node.op == "Negate":
            return forms[0].scaled(number(-1))
        a, b = forms
        if node.op == "ElementTimes":
            return a * b
        return a + (b.scaled(number(-1)) if node.op == "Minus" else b)

    def _product(self, node: Node, depth: int) -> Form:
        right, left = (self.canonical(source) for source in node.inputs)
        if node.attributes.get("inferInputRankToMap", -1) < -1 or node.attributes.get("outputRank", 1) != 1:
            return self._column(node, right, left, depth)
        matrix = self._matrix(right)
        if node.op == "TransposeTimes":
            if len(matrix.shape) != 2:
                raise Odd
            matrix = matrix.turned
        if len(matrix.shape) < 2:
            raise Odd
        matrix = matrix.reshaped(math.prod(matrix.shape[:-1]), matrix.shape[-1])
        spliced = self._spliced(left)
        if spliced is not None:
            return self._of_parts(spliced, matrix, depth)
        if not self._is_member(left) and self._m.tensor(left).rank != 1:
            if self._m.tensor(left).dims != self._matrix(right).shape[:-1]:
                raise Odd
            return self._outer(left).times(matrix)
        return self._operand(left, depth).times(matrix)

    def _column(self, node: Node, right: Source, left: Source, depth: int) -> Form:
        """A matrix by a vector."""
        if node.op != "Times" or node.attributes.get("outputRank", 1) != 0:
            raise Odd
        matrix = self._matrix(left)
        if len(matrix.shape) != 2:
            raise Odd
        return self._operand(right, depth).times(matrix.turned)

    def _operand(self, source: Source, depth: int) -> Form:
        """What a matrix is multiplied with: a sum of what comes from outside is better computed outside."""
        try:
            form = self.form(source, depth)
        except Odd:
            if self._is_member(source):
                raise
            return self._outer(source)
        single = len(form.terms) == 1 and all(p and len(c.shape) < 2 for p, c in form.terms.items())
        return form if single or self._is_member(source) else self._outer(source)

    def _of_parts(self, parts: list[Source], matrix: Weight, depth: int) -> Form:
        """The product of a matrix with parts that follow each other."""
        total, start = None, 0
        for part in parts:
            form = self._operand(part, depth)
            one = form.times(matrix.rows(start, start + form.size))
            total, start = one if total is None else total + one, start + form.size
        if total is None or start != matrix.shape[0]:
            raise Odd
        return total

    def _spliced(self, source: Source) -> list[Source] | None:
        """What follows each other along the only axis of a source."""
        node = self._m.network.nodes[source.node] if isinstance(source, Result) else None
        if node is None or node.op != "Splice" or not self._is_member(source):
            return None
        place = node.attributes.get("axis")
        return list(node.inputs) if isinstance(place, Axis) and place.static == 0 else None

    def _slice(self, node: Node, depth: int) -> Form:
        place = node.attributes.get("axis")
        if not isinstance(place, Axis) or place.static != 0 or node.attributes.get("sliceStrides", 1) != 1:
            raise Odd
        form = self.form(node.inputs[0], depth)
        begin, end = int(node.attributes["beginIndex"]), int(node.attributes["endIndex"])
        return form.part(begin + form.size if begin < 0 else begin, end + form.size if end <= 0 else end)

    def _is_open(self, source: Result) -> bool:
        """Whether all that a function takes has been computed: not so in a loop that was recognised."""
        inputs = self._m.network.nodes[source.node].inputs
        return all(isinstance(item, Leaf) or item in self._m.values for item in inputs)

    def _is_member(self, source: Source) -> bool:
        return isinstance(source, Result) and source.node in self._members

    def _matrix(self, source: Source) -> Weight:
        tensor = None if self._is_member(source) else self._m.tensor(source)
        if tensor is None or tensor.axes != STATIC:
            raise Odd
        return weight(tensor.value)


def _vector(tensor: Tensor) -> Weight:
    """A weight of one axis, or of none."""
    value = weight(tensor.value)
    return value.reshaped() if value.shape == (1,) else value

"""Which outputs of a model judge predictions rather than make them: losses and metrics.

What a trainer saves is the model, its loss and its metric side by side, and a user's own file may be the same. A
criterion is known by what it is computed from: a function that is there for training (``CrossEntropyWithSoftmax``), in
whatever it is wrapped; the sums that trainers make and name; or the distance from a prediction to an input that nothing
else uses, which is a label. A trainer counts the samples of a loss that is of a whole batch by what it sums, and saves
that behind the loss: the model once more, or else something of no use.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from nxconvert.formats.cntk.dictionary import ALL, Axis
from nxconvert.formats.cntk.model import CONSTANT, INPUT, PARAMETER
from nxconvert.frontends.cntk.network import Expansion, Leaf, Result, Source, outputs_of, reached
from nxconvert.frontends.cntk.primitives import name_of

#: Functions and blocks that nothing but training is made of.
CRITERIA = frozenset(
    """
    CrossEntropyWithSoftmax SquaredError ClassificationError Logistic BinaryCrossEntropy WeightedBinaryCrossEntropy
    EditDistanceError LambdaRank NDCG NCE LabelsToGraph ForwardBackward CosDistanceWithNegativeSamples
    LatticeSequenceWithSoftmax
    """.split()  # noqa: SIM905
)
#: What trainers call the sums of their losses and metrics over a batch.
SUMS = frozenset({"aggregateLoss", "aggregateEvalMetric"})
# What a distance may be wrapped in, beside numbers that it is multiplied by or added to.
_WRAPPERS = frozenset({"ReduceElements", "SumAll", "Negate", "Sqrt", "Reshape", "Squeeze", "Log", "Exp"})
_ARITHMETIC = frozenset({"ElementTimes", "Plus", "Minus", "Pow"})


def predictions(expansion: Expansion, outputs: Sequence[str]) -> list[str]:
    """The outputs that are no criteria; all of them where every one is.

    Args:
        expansion: the model.
        outputs: their names in the model.
    """
    if len(outputs) < 2:
        return list(outputs)
    judges = _Judges(expansion)
    sources = {name: expansion.source(name) for name in outputs}
    summed = judges.summed(outputs)
    totals, counted = judges.totals(outputs)
    left = [name for name in outputs if sources[name] not in summed | totals and not judges.is_criterion(name)]
    if len(left) < len(outputs):
        left = [name for name in dict.fromkeys(left) if sources[name] not in counted] or left
    labels = {name: judges.label(sources[name]) for name in left}
    sure = [name for name in left if labels[name] is None]
    used = judges.behind(sources[name] for name in sure)
    kept = [name for name in left if labels[name] is None or labels[name] in used]
    return kept if sure else left or list(outputs)


class _Judges:
    """What there is of criteria in a model."""

    def __init__(self, expansion: Expansion) -> None:
        self._expansion = expansion
        self._functions = expansion.model.functions
        self._criteria: set[Source] = set()
        for function in self._functions.values():
            kind = function.block.op_name if function.block else name_of(function.op) if function.op is not None else ""
            if kind in CRITERIA:
                self._criteria.update(map(expansion.source, outputs_of(expansion.model, function)))

    def is_criterion(self, name: str) -> bool:
        """Whether an output is a trainer's sum, or is computed from a criterion."""
        produced = self._expansion.function_of(name)
        if produced is not None and produced[0].name in SUMS:
            return True
        return bool(self._criteria) and not self._criteria.isdisjoint(self.behind([self._expansion.source(name)]))

    def summed(self, outputs: Iterable[str]) -> set[Source]:
        """What the trainer's sums among the outputs are sums of."""
        produced = map(self._expansion.function_of, outputs)
        sums = [found[0] for found in produced if found is not None and found[0].name in SUMS]
        return {self._expansion.source(name) for function in sums for name in function.inputs}

    def totals(self, outputs: Sequence[str]) -> tuple[set[Source], set[Source]]:
        """What is summed over the batch and followed by what it is a sum of, both of which a trainer has added."""
        places: dict[Source, int] = {}
        for place, name in enumerate(outputs):
            places.setdefault(self._expansion.source(name), place)
        of = {source: self._inputs(source)[0] for source in places if self._sums_batch(source)}
        pairs = {total: what for total, what in of.items() if 0 < places[total] < places.get(what, 0)}
        return set(pairs), set(pairs.values())

    def _sums_batch(self, source: Source) -> bool:
        if not isinstance(source, Result) or self._op(source) != "ReduceElements":
            return False
        function = self._functions[source.node]
        axes = function.attributes.get("axisVec") or function.attributes.get("axis")
        # Of what is in a file, whatever it is: it is lowered, and refused, later.
        found = [axis for axis in (axes if isinstance(axes, list) else [axes]) if isinstance(axis, Axis)]
        return bool(function.inputs) and any(axis.static == ALL or axis.is_batch for axis in found)

    def behind(self, sources: Iterable[Source]) -> set[Source]:
        """All that some results are computed from, themselves included."""
        return reached(sources, self._inputs)

    def label(self, source: Source) -> Source | None:
        """The input that a result is the distance of something from; None where it is no such thing.

        Distances are squares and absolute values of differences, and logarithms times a label, summed and scaled.
        """
        seen: set[Source] = set()
        while source not in seen:
            seen.add(source)
            op, operands = self._op(source), self._inputs(source)
            found = self._distance(op, operands)
            if found is not None:
                return found
            if op in _ARITHMETIC:
                operands = [operand for operand in operands if self._kind(operand) not in (CONSTANT, PARAMETER)]
            if len(operands) == 1 and op in _ARITHMETIC | _WRAPPERS:
                source = operands[0]
        return None

    def _distance(self, op: str, operands: Sequence[Source]) -> Source | None:
        """The input that a function is the distance of something from, step by step."""
        squared = op in ("Abs", "Pow") or (op == "ElementTimes" and len(set(operands)) == 1)
        if squared and operands and self._op(operands[0]) == "Minus":
            operands = self._inputs(operands[0])
        elif not (op == "ElementTimes" and any(self._op(operand) in ("Log", "LogSoftmax") for operand in operands)):
            return None
        leaves = [operand for operand in operands if self._kind(operand) == INPUT]
        return leaves[0] if len(leaves) == 1 else None

    def _kind(self, source: Source) -> int | None:
        return self._expansion.model.variables[source.uid].kind if isinstance(source, Leaf) else None

    def _op(self, source: Source) -> str:
        op = self._functions[source.node].op if isinstance(source, Result) else None
        return "" if op is None else name_of(op)

    def _inputs(self, source: Source) -> list[Source]:
        if isinstance(source, Leaf):
            return []
        return [self._expansion.source(name) for name in self._functions[source.node].inputs]

"""Where a crop starts that is not told: where what is cropped and what it is cropped to come from the same place.

Semantics: ``CropNode::ComputeCropOffsets`` in ``Source/ComputationNetworkLib/ReshapingNodes.cpp``. An operation moves
and scales the last two axes, and so does a path of operations; paths from both operands meet in a common ancestor, or
in two ancestors that are said to be at the same place.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple, TypeAlias

from nxconvert.formats.cntk.model import INPUT
from nxconvert.frontends.cntk.network import Node, Result, Source
from nxconvert.frontends.cntk.ops.conv import form, reverse
from nxconvert.frontends.cntk.ops.pool import slides_over
from nxconvert.frontends.cntk.ops.window import Slide
from nxconvert.frontends.cntk.table import Context, LoweringError


class Move(NamedTuple):
    """An affine map of the places along an axis."""

    scale: Fraction = Fraction(1)
    shift: Fraction = Fraction(0)

    def after(self, first: Move) -> Move:
        """Of what another one gives."""
        return Move(self.scale * first.scale, self.scale * first.shift + self.shift)

    @property
    def inverse(self) -> Move:
        return Move(1 / self.scale, -self.shift / self.scale)


#: Of the last two axes.
Moves: TypeAlias = tuple[Move, Move]
_STAY: Moves = (Move(), Move())
#: What moves no element of any of its inputs.
_ELEMENTWISE = frozenset(
    """
    Negate Sigmoid StableSigmoid Tanh ReLU ELU Exp Log Sqrt Floor Abs Reciprocal Sin Cos Tan Asin Acos Atan Sinh Cosh
    Asinh Acosh Atanh Pass NoOp StopGradient Dropout StraightThrough Cast Clip Select Plus Minus ElementTimes Pow
    LogPlus Equal NotEqual Less LessEqual Greater GreaterEqual
    """.split()  # noqa: SIM905
)


def offsets(context: Context, node: Node) -> list[int]:
    """Where a crop starts along the last two axes of its first operand."""
    given = node.attributes.get("offset")
    if given:
        return [int(n) for n in reversed(given)]
    operand, reference, *ancestors = node.inputs
    moved = dict(_upwards(context, operand))
    for source, moves in _upwards(context, reference):
        meeting = ancestors[0] if ancestors and source == ancestors[1] else source
        if meeting in moved:
            return [_offset(*pair) for pair in zip(moves, moved[meeting], strict=True)]
    raise LoweringError("what is cropped and what it is cropped to have no ancestor in common that says where to start")


def _offset(reference: Move, operand: Move) -> int:
    whole = reference.after(operand.inverse)
    if whole.scale != 1 or whole.shift > 0:
        raise LoweringError(
            f"what is cropped is {1 / whole.scale} times as dense as its reference, or begins behind it"
        )
    return int(-whole.shift)


def _upwards(context: Context, start: Source) -> Iterator[tuple[Source, Moves]]:
    """What something is computed from, itself included, with the moves from there to it."""
    stack: list[tuple[Source, Moves]] = [(start, _STAY)]
    seen = {start}
    while stack:
        source, moves = stack.pop()
        if isinstance(source, Result):
            yield source, moves
            node = context.network.nodes[source.node]
            for above, step in _steps(context, node):
                if above not in seen:
                    seen.add(above)
                    stack.append((above, (moves[0].after(step[0]), moves[1].after(step[1]))))
        elif context.network.variables[source.uid].kind == INPUT:
            yield source, moves


def _steps(context: Context, node: Node) -> Iterator[tuple[Source, Moves]]:
    """The inputs of a function that end up at some place of its result, and how."""
    if node.op in _ELEMENTWISE:
        yield from ((source, _STAY) for source in node.inputs)
    elif node.op == "BatchNormalization":
        yield node.inputs[0], _STAY
    elif node.op == "Crop":
        y, x = offsets(context, node)
        yield node.inputs[0], (Move(shift=Fraction(-y)), Move(shift=Fraction(-x)))
    elif node.op in ("Pooling", "Unpooling", "Convolution"):
        source = node.inputs[1 if node.op == "Convolution" else 0]
        spread = node.op == "Unpooling" or bool(node.attributes.get("transpose"))
        first, second = (_spread(slide) for slide in _windows(context, node)[-2:])
        yield source, (first, second) if spread else (first.inverse, second.inverse)


def _spread(slide: Slide) -> Move:
    """From the positions of a window to the places of its center."""
    if not isinstance(slide.before, int):
        raise LoweringError("where to start depends on sizes that are not known")
    return Move(Fraction(slide.stride), Fraction((slide.kernel - 1) // 2 - slide.before))


def _windows(context: Context, node: Node) -> list[Slide]:
    """The windows of a pooling or convolution along its axes."""
    attributes = node.attributes
    if node.op == "Pooling":
        return slides_over(context.tensor(node.inputs[0]), attributes["poolingWindowShape"], **attributes)
    if node.op == "Unpooling":
        return slides_over(context.tensor(node.inputs[1]), attributes["unpoolingWindowShape"], **attributes)
    x = context.tensor(node.inputs[1])
    windows = form(x, **attributes)
    if not attributes.get("transpose"):
        return [windows.slide(axis, size) for axis, size in enumerate(x.dims)]
    result = context.tensor(Result(node.uid)).dims
    return [reverse(windows, axis, size, result[axis])[0] for axis, size in enumerate(x.dims)]

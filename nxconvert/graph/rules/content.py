"""Arithmetic on sizes done by nodes: which integers a scalar or vector holds, as dims.

A graph that was written node by node computes its shapes with ``Shape``, ``Gather``, ``Mul`` and ``Concat``. These
rules follow the numbers through, so that a ``Reshape`` to such a shape has the dims it would have if the arithmetic had
been done on dims at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nxconvert.graph.dims import Int, bounds, compare, floordiv, maximum, minimum, mod, product, static
from nxconvert.graph.rules import CONTENT, content_rule
from nxconvert.graph.rules.common import Dims, integers, total
from nxconvert.graph.values import Value


def known_content(op_type: str, inputs: list[Any], attributes: dict[str, Any]) -> Dims | None:
    """The integers of the operator's only output, if they follow from those that its inputs hold."""
    contents = []
    for value in inputs:
        known = integers(value) if value is None or len(value.dims) <= 1 else None
        if known is None and value is not None:
            return None
        contents.append(known)
    return CONTENT[op_type](inputs, *contents, **attributes)


def _elementwise(function: Callable[..., Int | None]) -> Callable[..., Dims | None]:
    def content(inputs: list[Value], *operands: Dims, **_: Any) -> Dims | None:
        length = 0 if any(len(o) == 0 for o in operands) else max(map(len, operands))
        columns = [o * length if len(o) == 1 else o for o in operands]
        result = [function(*column) for column in zip(*columns, strict=True)]
        return None if None in result else tuple(result)  # type: ignore[arg-type]

    return content


def _nonnegative(*values: Int) -> bool:
    return all((bounds(value)[0] or 0) >= 0 and bounds(value)[0] is not None for value in values)


def _quotient(a: Int, b: Int) -> Int | None:
    # ONNX rounds towards zero, dims round down.
    return floordiv(a, b) if _nonnegative(a, b) and b != 0 else None


def _chained(function: Callable[[Int, Int], Int]) -> Callable[..., Int]:
    def chain(first: Int, *others: Int) -> Int:
        for other in others:
            first = function(first, other)
        return first

    return chain


def _decided(relation: str) -> Callable[[Int, Int], Int | None]:
    def decide(a: Int, b: Int) -> Int | None:
        holds = compare(a, relation, b)
        return None if holds is None else int(holds)

    return decide


CONTENT.update(
    {
        "Abs": _elementwise(lambda a: a if _nonnegative(a) else None),
        "Add": _elementwise(lambda a, b: a + b),
        "Cast": _elementwise(lambda a: a),
        "Div": _elementwise(_quotient),
        "Equal": _elementwise(_decided("==")),
        "Greater": _elementwise(_decided(">")),
        "GreaterOrEqual": _elementwise(_decided(">=")),
        "Less": _elementwise(_decided("<")),
        "LessOrEqual": _elementwise(_decided("<=")),
        "Max": _elementwise(_chained(maximum)),
        "Min": _elementwise(_chained(minimum)),
        "Mod": _elementwise(lambda a, b: mod(a, b) if b != 0 else None),
        "Mul": _elementwise(lambda a, b: a * b),
        "Neg": _elementwise(lambda a: -a),
        "Sub": _elementwise(lambda a, b: a - b),
        "Sum": _elementwise(lambda *sizes: total(sizes)),
    }
)


@content_rule("Reshape", "Squeeze", "Unsqueeze")
def _same_elements(inputs: list[Value], x: Dims, axes: Dims | None = None, /, **_: Any) -> Dims:
    return x


@content_rule("Concat")
def _concat(inputs: list[Value], *parts: Dims, axis: int) -> Dims:
    return tuple(size for part in parts for size in part)


@content_rule("Gather")
def _gather(inputs: list[Value], x: Dims, indices: Dims, /, *, axis: int = 0) -> Dims | None:
    if not all(isinstance(i, int) and -len(x) <= i < len(x) for i in indices):
        return None
    return tuple(x[i] for i in indices)  # type: ignore[index]


@content_rule("Slice")
def _slice(
    inputs: list[Value], x: Dims, starts: Dims, ends: Dims, axes: Dims | None = None, steps: Dims | None = None, /
) -> Dims | None:
    window = static((starts[0], ends[0], 1 if steps is None else steps[0]))
    return x[slice(*window)] if window is not None and window[2] > 0 else None


@content_rule("ReduceProd")
def _product(inputs: list[Value], x: Dims, axes: Dims | None = None, /, **_: Any) -> Dims:
    return (product(x),)


@content_rule("ReduceSum")
def _reduced_sum(inputs: list[Value], x: Dims, axes: Dims | None = None, /, **_: Any) -> Dims:
    return (total(x),)


@content_rule("Where")
def _where(inputs: list[Value], condition: Dims, x: Dims, y: Dims, /) -> Dims | None:
    return _elementwise(lambda c, a, b: a if c else b)(inputs, condition, x, y)

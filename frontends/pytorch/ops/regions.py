"""Writing one number to a region of a tensor: a choice by place, whatever the region's bounds are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nxconvert.frontends.pytorch.ops.common import all_static
from nxconvert.frontends.pytorch.ops.create import int_range
from nxconvert.frontends.pytorch.ops.select import END, sliced
from nxconvert.frontends.pytorch.table import Builder, Int, Value
from nxconvert.graph.dims import compare
from nxconvert.graph.rules.identities import made_by
from nxconvert.graph.widening import where


def fill_slice(op: Builder, x: Value, new: Value, axis: int, start: Int, end: Int, step: Int) -> Value | None:
    """``x`` after ``x[start:end:step] = new`` along an axis, where ``new`` is one number everywhere.

    Or one number in a region, and elsewhere what ``x`` holds: so the slice of a slice is written in one step, too. None
    where ``new`` is neither, or the step is not 1 while sizes or bounds are free.
    """
    size = x.dims[axis]
    if step != 1 and not all_static([size, start, end, step]):
        return None
    number, inner = _number(op, new), None
    if number is None:
        number, inner = _number_in_region(op, x, new, axis, start, end, step)
    if number is None:
        return None
    inside = _inside(op, [size if i == axis else 1 for i in range(x.rank)], axis, start, end, step)
    return None if inside is None else where(op, inside if inner is None else op.And(inner, inside), number, x)


def _number(op: Builder, new: Value) -> Value | None:
    """The number that a tensor holds everywhere."""
    if new.array is not None:
        first = new.array.reshape(-1)[:1]
        return op.const(first.reshape(()), new.etype) if first.size and (new.array == first).all() else None
    expanded = made_by(new, "Expand")
    source = None if expanded is None else expanded.inputs[0]
    return source if isinstance(source, Value) and all(dim == 1 for dim in source.dims) else None


def _number_in_region(
    op: Builder, x: Value, new: Value, axis: int, start: Int, end: Int, step: Int
) -> tuple[Value | None, Value | None]:
    """The number and the region, if ``new`` is this slice of ``x`` with a number in a region that spans the axis."""
    chosen = made_by(new, "Where")
    if chosen is None:
        return None, None
    region, number, rest = chosen.inputs
    if not (isinstance(region, Value) and isinstance(number, Value) and isinstance(rest, Value)):
        return None, None
    if any(dim != 1 for dim in number.dims) or region.rank != x.rank or region.dims[axis] != 1:
        return None, None
    taken, wanted = made_by(rest, "Slice"), made_by(sliced(op, x, axis, start, end, step), "Slice")
    if taken is None or wanted is None or tuple(taken.inputs) != tuple(wanted.inputs):
        return None, None
    return number, region


def _inside(op: Builder, dims: Sequence[Int], axis: int, start: Int, end: Int, step: Int) -> Value | None:
    """Which places along an axis are in a slice: bools of ``dims``, which are 1 but for that axis; None if all are."""
    size = dims[axis]
    if all_static([size, start, end, step]):
        chosen = np.zeros(size, np.bool_)  # type: ignore[arg-type]
        chosen[start:end:step] = True
        return op.const(chosen.reshape(dims))
    places, bounds = op.reshape(int_range(op, size), dims), []
    if start != 0:
        bounds.append(op.GreaterOrEqual(places, _from_the_front(op, start, size)))
    if end not in (END, size):
        bounds.append(op.Less(places, _from_the_front(op, end, size)))
    if not bounds:
        return None
    return bounds[0] if len(bounds) == 1 else op.And(*bounds)


def _from_the_front(op: Builder, bound: Int, size: Int) -> Int | Value:
    """A bound of a slice, which counts from the end if it is negative; it may lie outside."""
    if compare(bound, ">=", 0):
        return bound
    if compare(bound, "<", 0):
        return bound + size
    number = op.dim_value(bound)
    return op.Where(op.Less(number, 0), op.Add(number, op.dim_value(size)), number)

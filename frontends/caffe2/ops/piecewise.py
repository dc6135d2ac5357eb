"""Piecewise linear functions of predictions, as calibrations are.

Semantics: ``caffe2/operators/piecewise_linear_transform_op.h``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from nxconvert.frontends.caffe2.ops.numbers import counting
from nxconvert.frontends.caffe2.table import (
    Builder,
    DataType,
    Floats,
    Int,
    LoweringError,
    Matrix,
    Value,
    Weight,
    caffe2,
)
from nxconvert.graph.dims import floordiv, product


class _Pieces(NamedTuple):
    """A function a column: bounds [columns, pieces + 1], slopes and intercepts [columns, pieces]."""

    bounds: Value
    slopes: Value
    intercepts: Value


@caffe2("PiecewiseLinearTransform")
def piecewise_linear_transform(
    op: Builder,
    x: Matrix,
    *pieces: Weight,
    bounds: Floats = (),
    slopes: Floats = (),
    intercepts: Floats = (),
    binary: int = 0,
) -> Value:
    """``slope * x + intercept`` of the piece between whose bounds x lies; outside of all, the value at the last bound.

    Bounds, slopes and intercepts are inputs or arguments. The columns have functions of their own. With ``binary``
    there is one function: of the only column, or of the second one, and then the first is 1 less the result.
    """
    given = list(pieces) or [op.const(list(map(float, numbers))) for numbers in (bounds, slopes, intercepts)]
    if len(given) != 3:
        raise LoweringError("bounds, slopes and intercepts go together")
    if not binary:
        return _transformed(op, x, _pieces(op, given, x.dims[1]))
    columns = x.dims[1] if x.rank == 2 else 1
    if columns not in (1, 2):
        raise LoweringError(f"it takes one or two columns, not {columns}")
    chosen = op.Slice(x, [1], [2], [1]) if columns == 2 else op.reshape(x, [x.dims[0], 1])
    y = _transformed(op, chosen, _pieces(op, given, 1))
    return op.Concat(op.Sub(1.0, y), y, axis=1) if columns == 2 else op.reshape(y, x.dims)


def _pieces(op: Builder, given: Sequence[Value], columns: Int) -> _Pieces:
    bounds, slopes, intercepts = given
    count = floordiv(product(slopes.dims), columns)
    return _Pieces(
        op.reshape(bounds, [columns, count + 1]),
        op.reshape(slopes, [columns, count]),
        op.reshape(intercepts, [columns, count]),
    )


def _transformed(op: Builder, x: Value, f: _Pieces) -> Value:
    """Of each number the value of its column's function."""
    columns, count = f.slopes.dims
    least, most = (op.Squeeze(op.Slice(f.bounds, [at], [end], [1]), [1]) for at, end in ((0, 1), (count, count + 1)))
    inside = op.Slice(f.bounds, [1], [count], [1])
    # How many of the bounds between the first and the last lie below; beyond the last one, all.
    beyond = op.Unsqueeze(op.GreaterOrEqual(x, most), [2])
    below = op.Or(op.Less(inside, op.Unsqueeze(x, [2])), beyond)
    piece = op.ReduceSum(op.Cast(below, to=DataType.INT64), [2], keepdims=0)
    at = op.Add(piece, op.Mul(counting(op, columns), op.dim_value(count)))
    slopes, intercepts = (op.Gather(op.reshape(v, [columns * count]), at) for v in (f.slopes, f.intercepts))
    return op.Add(op.Mul(slopes, op.Max(op.Min(x, most), least)), intercepts)

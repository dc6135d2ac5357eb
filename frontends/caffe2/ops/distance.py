"""Distances and products of pairs of rows.

Semantics: ``caffe2/operators/distance_op.h`` and ``.cc``. Rows are what lies behind the first axis; the result is of
shape [rows], [1] for numbers.
"""

from __future__ import annotations

from nxconvert.frontends.caffe2.ops.arithmetic import same_dims
from nxconvert.frontends.caffe2.ops.reduce import reduced
from nxconvert.frontends.caffe2.table import Builder, Int, LoweringError, Matrix, Value, caffe2
from nxconvert.graph.dims import floordiv, minimum, product, require


def _row_sums(op: Builder, x: Value, op_type: str = "ReduceSum") -> Value:
    """A reduction of each row, of shape [rows]."""
    return reduced(op, op_type, x if x.rank else op.reshape(x, [1]), range(1, max(x.rank, 1)), False)


@caffe2("SquaredL2Distance")
def squared_l2_distance(op: Builder, x: Matrix, y: Matrix) -> Value:
    """Half the square of the Euclidean distance."""
    same_dims([x, y])
    offset = op.Sub(x, y)
    return op.Mul(_row_sums(op, op.Mul(offset, offset)), 0.5)


@caffe2("L1Distance")
def l1_distance(op: Builder, x: Matrix, y: Matrix) -> Value:
    same_dims([x, y])
    return _row_sums(op, op.Sub(x, y), "ReduceL1")


@caffe2("DotProduct")
def dot_product(op: Builder, x: Matrix, y: Matrix) -> Value:
    """The products of rows; no rows where there are no elements."""
    same_dims([x, y])
    if x.dims and product(x.dims) == 0:
        return op.const([], x.etype)
    return _row_sums(op, op.Mul(x, y))


@caffe2("CosineSimilarity")
def cosine_similarity(op: Builder, x: Matrix, y: Matrix) -> Value:
    """The cosine of the angle between rows; the square of a length counts as 1e-12 at least."""
    same_dims([x, y])
    squares = [op.Max(_row_sums(op, op.Mul(row, row)), 1e-12) for row in (x, y)]
    return op.Div(_row_sums(op, op.Mul(x, y)), op.Sqrt(op.Mul(*squares)))


@caffe2("DotProductWithPadding")
def dot_product_with_padding(op: Builder, x: Matrix, y: Matrix, *, pad_value: float = 0.0, replicate: int = 0) -> Value:
    """The products of rows of different lengths; the shorter one goes on with ``pad_value``, or over and over again."""
    rows: Int = x.dims[0] if x.rank else 1
    require(rows, y.dims[0] if y.rank else 1)
    wide, narrow = product(x.dims[1:]), product(y.dims[1:])
    x, y = op.reshape(x, [rows, wide]), op.reshape(y, [rows, narrow])
    if wide == narrow:
        return _row_sums(op, op.Mul(x, y))
    if replicate:
        return _replicated(op, x, y)
    common = minimum(wide, narrow)
    dots = _row_sums(op, op.Mul(_columns(op, x, 0, common), _columns(op, y, 0, common)))
    if pad_value == 0:
        return dots
    # One of them is used up: what is left of the two is what is left of the other.
    rest = op.Add(_row_sums(op, _columns(op, x, common, wide)), _row_sums(op, _columns(op, y, common, narrow)))
    return op.Add(dots, op.Mul(rest, pad_value))


def _columns(op: Builder, x: Value, start: Int, end: Int) -> Value:
    return op.Slice(x, [start], [end], [1])


def _replicated(op: Builder, x: Value, y: Value) -> Value:
    """The longer row in pieces, as many as are whole, each times the shorter one."""
    if not (isinstance(x.dims[1], int) and isinstance(y.dims[1], int)):
        shorter = minimum(x.dims[1], y.dims[1])
        if shorter not in (x.dims[1], y.dims[1]):
            raise LoweringError("which of its inputs is the longer one depends on free sizes")
    long, short = (y, x) if minimum(x.dims[1], y.dims[1]) == x.dims[1] else (x, y)
    size = short.dims[1]
    times = floordiv(long.dims[1], size)
    pieces = op.reshape(_columns(op, long, 0, times * size), [long.dims[0], times, size])
    return op.ReduceSum(op.Mul(pieces, op.Unsqueeze(short, [1])), [1, 2], keepdims=0)

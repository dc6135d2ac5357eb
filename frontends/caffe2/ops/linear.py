"""Products of matrices: fully connected layers, batches of products, tensor trains."""

from __future__ import annotations

from nxconvert.frontends.caffe2.ops.numbers import axis_of
from nxconvert.frontends.caffe2.table import Builder, Ints, LoweringError, Matrix, Value, Weight, caffe2
from nxconvert.graph.dims import floordiv, product, require
from nxconvert.graph.rules.common import agree


def _matrix(op: Builder, x: Value, axis: int) -> Value:
    """``x`` as a matrix: the axes before ``axis`` are its rows, the others its columns."""
    axis = axis_of(axis, x.rank)
    return op.reshape(x, [product(x.dims[:axis]), product(x.dims[axis:])])


def _connected(op: Builder, x: Value, weight: Value, bias: Value, axis: int, *, transposed: bool) -> Value:
    """``x · weight + bias`` of ``[*lead, *features]``, or ``x · weightᵀ + bias``, as ``[*lead, out]``."""
    axis = axis_of(axis, x.rank)
    lead, (features, out) = x.dims[:axis], weight.dims[::-1] if transposed else weight.dims
    if axis == x.rank - 1 and x.rank > 2:
        return op.Add(op.MatMul(x, op.Transpose(weight, perm=[1, 0]) if transposed else weight), bias)
    y = op.Gemm(op.reshape(x, [product(lead), features]), weight, bias, transB=int(transposed))
    return op.reshape(y, [*lead, out])


@caffe2("FC")
def fc(op: Builder, x: Matrix, w: Weight, b: Weight, *, axis: int = 1, axis_w: int = 1) -> Value:
    """``x · wᵀ + b``; x is made a matrix at ``axis`` (and only the axes before it stay), w at ``axis_w``."""
    return _connected(op, x, _matrix(op, w, axis_w), b, axis, transposed=True)


@caffe2("FCTransposed")
def fc_transposed(op: Builder, x: Matrix, w: Weight, b: Weight, *, axis: int = 1, axis_w: int = 1) -> Value:
    """``x · w + b``."""
    return _connected(op, x, _matrix(op, w, axis_w), b, axis, transposed=False)


@caffe2("MatMul")
def matmul(
    op: Builder, a: Matrix, b: Matrix, like: Value | None = None, *, axis_a: int = 1, axis_b: int = 1,
    trans_a: int = 0, trans_b: int = 0,
) -> Value:  # fmt: skip
    """The product of two tensors that are made matrices; in the shape of a third one where there is one."""
    a, b = _matrix(op, a, axis_a), _matrix(op, b, axis_b)
    y = op.MatMul(_flipped(op, a, trans_a), _flipped(op, b, trans_b))
    return y if like is None else op.reshape(y, like.dims)


def _flipped(op: Builder, x: Value, flip: int) -> Value:
    """``x`` with its last two axes exchanged; a vector has no two."""
    if not flip or x.rank < 2:
        return x
    return op.Transpose(x, perm=[*range(x.rank - 2), x.rank - 1, x.rank - 2])


@caffe2("BatchMatMul")
def batch_matmul(op: Builder, a: Value, b: Value, *, trans_a: int = 0, trans_b: int = 0, broadcast: int = 0) -> Value:
    """Products of the last two axes, as numpy's; only with ``broadcast`` may the axes before differ.

    The product of two vectors is ``[1]``. A vector is not transposed.
    """
    if a.rank >= 2 and b.rank >= 2 and not broadcast:
        if a.rank != b.rank:
            raise LoweringError(f"tensors of ranks {a.rank} and {b.rank} are multiplied without the argument broadcast")
        for have, want in zip(a.dims[:-2], b.dims[:-2], strict=True):
            require(have, want)
    if trans_a and a.rank >= 2 and b.rank == 1:
        # Caffe2 allots as many elements as the matrix has rows.
        agree(a.dims[-2], a.dims[-1], "a matrix that is transposed and multiplied by a vector has to be square")
        return op.MatMul(b, a)
    y = op.MatMul(_flipped(op, a, trans_a), _flipped(op, b, trans_b))
    return y if y.rank else op.Unsqueeze(y, [0])


@caffe2("TT")
def tensor_train(
    op: Builder, x: Matrix, b: Weight, cores: Weight, *, inp_sizes: Ints, out_sizes: Ints, tt_ranks: Ints
) -> Value:
    """A fully connected layer whose weight is a train of tensors, ``cores``, the last one first.

    Semantics: ``caffe2/operators/tt_linear_op.h``. Core i is ``[inp_sizes[i] * tt_ranks[i + 1], tt_ranks[i] *
    out_sizes[i]]``.
    """
    batch, outputs, start = x.dims[0], product(out_sizes), 0
    elements = product(x.dims)
    for i in reversed(range(len(inp_sizes))):
        rows, columns = inp_sizes[i] * tt_ranks[i + 1], tt_ranks[i] * out_sizes[i]
        core = op.reshape(op.Slice(cores, [start], [start + rows * columns], [0]), [rows, columns])
        start += rows * columns
        count = floordiv(elements, rows)
        y = op.MatMul(op.reshape(x, [count, rows]), core)
        elements = count * columns
        x = op.Transpose(op.reshape(y, [floordiv(elements, out_sizes[i]), out_sizes[i]]), perm=[1, 0])
    # The batch, which is the last axis by now, is taken for the first one, and what follows from that is kept.
    y = op.Transpose(op.reshape(x, [batch, outputs]), perm=[1, 0])
    return op.Add(op.reshape(y, [batch, outputs]), b)

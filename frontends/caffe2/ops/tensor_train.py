"""The fully connected layer whose weights are a tensor train.

Semantics: ``caffe2/operators/tt_linear_op.h``, with the orders of its column-major maps.
"""

from __future__ import annotations

from nxconvert.frontends.caffe2.table import Builder, Int, Ints, LoweringError, Matrix, Value, Weight, caffe2
from nxconvert.graph.dims import floordiv, product


@caffe2("TT")
def tensor_train(
    op: Builder, x: Matrix, b: Weight, cores: Weight, *, inp_sizes: Ints, out_sizes: Ints, tt_ranks: Ints
) -> Value:
    """``x W + b``, where W is the product of one core for each size: ``cores`` holds them, the last one first.

    The core of place i is a matrix of ``inp_sizes[i] * tt_ranks[i + 1]`` rows and ``tt_ranks[i] * out_sizes[i]``
    columns.
    """
    if x.rank < 2 or not len(inp_sizes) == len(out_sizes) == len(tt_ranks) - 1:
        raise LoweringError("the numbers of its sizes and ranks do not fit together")
    rows = [size * rank for size, rank in zip(inp_sizes, tt_ranks[1:], strict=True)]
    columns = [size * rank for size, rank in zip(out_sizes, tt_ranks, strict=False)]
    count: Int = product(x.dims)
    y, start = x, 0
    for i in reversed(range(len(rows))):
        end = start + rows[i] * columns[i]
        core = op.reshape(op.Slice(cores, [start], [end], [0]), [rows[i], columns[i]])
        y = op.MatMul(op.reshape(y, [floordiv(count, rows[i]), rows[i]]), core)
        count, start = product(y.dims), end
        y = op.Transpose(op.reshape(y, [floordiv(count, out_sizes[i]), out_sizes[i]]), perm=[1, 0])
    # What is first now is the output, what is last the batch.
    batch, width = x.dims[0], floordiv(count, x.dims[0])
    return op.Add(op.reshape(op.Transpose(op.reshape(y, [batch, width]), perm=[1, 0]), [batch, width]), b)

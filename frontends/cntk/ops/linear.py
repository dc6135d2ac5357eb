"""Products of matrices and tensors.

Files list the right operand before the left one. Sources of the semantics: CNTK 2.7, measured.
"""

from __future__ import annotations

from nxconvert.frontends.cntk.dynamic import Axes, aligned, masked, widest
from nxconvert.frontends.cntk.steps import sequences_of, steps_of
from nxconvert.frontends.cntk.table import Builder, Context, Int, LoweringError, Tensor, cntk
from nxconvert.graph.dims import product, require

_REDUCES_SEQUENCE = -2


@cntk("Times")
def times(
    op: Builder, right: Tensor, left: Tensor, *, outputRank: int, context: Context, inferInputRankToMap: int = -1
) -> Tensor:
    """``[*m, *k]`` by ``[*k, *n]`` is ``[*m, *n]``, where n are the last `outputRank` sizes of the right operand."""
    if inferInputRankToMap == _REDUCES_SEQUENCE:
        return _over_time(op, right, left, outputRank)
    if left.nd and right.nd and outputRank == 1 and left.rank == 1 and right.dims[1:] == (1,) and right.dims[0] != 1:
        context.warn(
            f"CNTK multiplies the sums of the operands of {context.node.name or context.node.uid}, a row and a column, "
            "where there are several samples; here it is their product for each of them, as CNTK has it for one sample"
        )
    return _product(op, right, left, outputRank)


def _product(op: Builder, right: Tensor, left: Tensor, output_rank: int) -> Tensor:
    contracted = _contracted(right, left, output_rank)
    if right.rank == 2 and contracted == 1:
        right, contracted = _unfolded(op, left, right)
    steps = None if right.nd else steps_of(left)
    if steps is None:
        return _contract(op, left, right, contracted)
    return sequences_of(op, _contract(op, Tensor(steps, Axes(True)), right, contracted).value, left)


def _contracted(right: Tensor, left: Tensor, output_rank: int) -> int:
    """How many axes a product sums over."""
    contracted = right.rank - output_rank
    if not 0 <= contracted <= left.rank:
        raise LoweringError(
            f"operands of {left.rank} and {right.rank} axes have no product with {output_rank} axes of the right one"
        )
    return contracted


def _unfolded(op: Builder, left: Tensor, right: Tensor) -> tuple[Tensor, int]:
    """A matrix with the axes that its rows stand for, and how many they are: old models keep several as one."""
    rows = right.dims[0]
    if right.nd or left.dims[-1] == rows:
        return right, 1
    for count in range(2, left.rank + 1):
        if product(left.dims[-count:]) == rows:
            return right.of(op.reshape(right.value, (*left.dims[-count:], right.dims[1]))), count
    return right, 1


def _contract(op: Builder, left: Tensor, right: Tensor, contracted: int) -> Tensor:
    """The sum over the last axes of the left operand and as many first ones of the right one."""
    kept = left.rank - contracted
    rows, columns = left.dims[:kept], right.dims[contracted:]
    for a, b in zip(left.dims[kept:], right.dims[:contracted], strict=True):
        require(a, b)
    inner = product(right.dims[:contracted])
    second = _sized(op, right, (inner, product(columns)))
    if right.nd:
        (x, y), axes = aligned(op, _sized(op, left, (product(rows), inner)), second)
    else:
        # One matrix for all samples is multiplied by all rows that there are, however many axes they have.
        dtype, axes = widest([left.dtype, right.dtype]), left.axes
        x, y = (op.cast(t.value, dtype) for t in (_sized(op, left, (*rows, inner)), second))
    value = op.MatMul(x, y)
    return Tensor(op.reshape(value, (*value.dims[: axes.count], *rows, *columns)), axes)


def _sized(op: Builder, x: Tensor, dims: tuple[Int, ...]) -> Tensor:
    """A tensor with other static sizes."""
    return x if x.dims == dims else x.of(op.reshape(x.value, (*x.value.dims[: x.nd], *dims)))


def _over_time(op: Builder, right: Tensor, left: Tensor, output_rank: int) -> Tensor:
    """The sum over the steps of a sequence of the products of both operands' samples."""
    if left.axes.seq is None or right.axes.seq is None:
        raise LoweringError("a product over a sequence axis has two sequences")
    contracted = _contracted(right, left, output_rank)
    aligned(op, left, right)  # they are on one axis
    batch, size = left.value.dims[0], left.axes.seq.size
    rows, columns = left.dims[: left.rank - contracted], right.dims[contracted:]
    inner = product(right.dims[:contracted])
    x = op.reshape(masked(op, left, 0.0), (batch, size, product(rows), inner))
    x = op.reshape(op.Transpose(x, perm=[0, 2, 1, 3]), (batch, product(rows), size * inner))
    y = op.reshape(masked(op, right, 0.0), (batch, size * inner, product(columns)))
    return Tensor(op.reshape(op.MatMul(x, y), (batch, *rows, *columns)), Axes(True))


@cntk("TransposeTimes")
def transpose_times(op: Builder, right: Tensor, left: Tensor, *, outputRank: int) -> Tensor:
    """``[*m, k]`` by ``[n, k]`` is ``[*m, n]``: the right operand has its last axis first for the product.

    A right operand of one axis is ``[k]``, a single row, and the result has a last axis of 1.
    """
    if outputRank != 1 or not 1 <= right.rank <= 2:
        raise LoweringError("the transposed operand of a product has one axis or two")
    last = right.value.rank - 1
    if right.rank == 1:
        turned = op.Unsqueeze(right.value, [last + 1])
    else:
        turned = op.Transpose(right.value, perm=[*range(last - 1), last, last - 1])
    return _product(op, right.of(turned), left, 1)

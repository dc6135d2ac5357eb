"""How far predictions are from what they should be: losses and errors of a batch, and distances of samples.

Semantics: CNTK 2.7, measured. The functions of whole batches add up all samples and all steps of sequences, and give a
number that has neither batch nor axes. CNTK's own programming interface has blocks of other functions for most of them,
which give a number for each sample; the functions themselves are in older files.
"""

from __future__ import annotations

from nxconvert.frontends.cntk.columns import Columns, warn_of_empty_columns
from nxconvert.frontends.cntk.dynamic import Axes, aligned, joined, leading_dims, packed, with_axes
from nxconvert.frontends.cntk.ops.math import clamped_log
from nxconvert.frontends.cntk.table import Builder, Context, DataType, LoweringError, Tensor, Value, cntk
from nxconvert.graph.dims import product

_TINY = 1e-30


def _columns(op: Builder, *tensors: Tensor) -> list[Value]:
    """All samples of tensors that belong together, each as one row: [samples, elements]."""
    _, axes = aligned(op, *tensors)
    columns = []
    for tensor in tensors:
        if tensor.axes.count != axes.count:
            raise LoweringError("one of the operands has no samples of its own")
        rows = packed(op, Tensor(tensor.value, axes))
        columns.append(op.reshape(rows, (rows.dims[0], product(tensor.dims))))
    return columns


def _integer(x: Tensor, what: str) -> int:
    if x.value.array is None or x.value.array.size != 1:
        raise LoweringError(f"{what} is no constant")
    return int(x.value.array.item())


def _total(op: Builder, x: Value) -> Tensor:
    return Tensor(op.ReduceSum(x, keepdims=0))


@cntk("SquaredError")
def squared_error(op: Builder, output: Tensor, target: Tensor) -> Tensor:
    """The sum of the squares of all differences."""
    a, b = _columns(op, output, target)
    difference = op.Sub(a, b)
    return _total(op, op.Mul(difference, difference))


@cntk("CrossEntropyWithSoftmax")
def cross_entropy_with_softmax(op: Builder, output: Tensor, target: Tensor) -> Tensor:
    """What is left of the logarithms of softmax over whole samples, weighted by ``target``, taken negative."""
    a, b = _columns(op, output, target)
    total = _total(op, op.Mul(b, op.LogSoftmax(a, axis=-1)))
    return total.of(op.Neg(total.value))


@cntk("Logistic")
def logistic(op: Builder, target: Tensor, output: Tensor, weight: Tensor | None = None, *, context: Context) -> Tensor:
    """The negative logarithm of the probability that is given to 1 or 0, whichever it should be; in between, of 1 - y -
    p + 2 y p. Weights of samples are relative: the mean is weighted, and taken as often as there are columns, those in
    which there is no step among them.
    """
    tensors = (target, output) if weight is None else (target, output, weight)
    axes = joined(tensors)
    warn_of_empty_columns(context, axes)
    y, p, *weights = _columns(op, *tensors)
    chance = op.Sub(op.Add(op.Mul(op.Mul(y, p), 2.0), op.Sub(1.0, y)), p)
    logarithm = clamped_log(op, chance)
    if not weights:
        return Tensor(op.Neg(op.ReduceSum(logarithm, keepdims=0)))
    w = weights[0]
    mean = op.Div(op.ReduceSum(op.Mul(w, logarithm), keepdims=0), op.ReduceSum(w, keepdims=0))
    columns = y.dims[0] if axes.seq is None else Columns(op, axes.seq, context.batch).count
    return Tensor(op.Neg(op.Mul(mean, op.cast(op.dim_value(columns), y.etype))))


@cntk("ClassificationError")
def classification_error(op: Builder, output: Tensor, target: Tensor, count: Tensor | None = None) -> Tensor:
    """How many samples have the largest element of ``target`` at none of the places of the largest ones, so many as
    ``count``, of ``output``.
    """
    a, b = _columns(op, output, target)
    right = op.ArgMax(b, axis=1, keepdims=1)
    if count is None:
        found = op.ArgMax(a, axis=1, keepdims=1)
    else:
        _, found = op.TopK(a, [_integer(count, "the number of the largest elements that count")], axis=1)
    hit = op.ReduceMax(op.cast(op.Equal(found, right), DataType.INT32), [1], keepdims=0)
    return _total(op, op.cast(op.Sub(1, hit), output.dtype))


@cntk("CosDistance")
def cos_distance(op: Builder, left: Tensor, right: Tensor, *, context: Context) -> Tensor:
    """The cosine of the angle between samples as vectors; 0 of what has no length."""
    (a, b), axes = aligned(op, _vector(op, left, context), _vector(op, right, context))
    return Tensor(op.ReduceSum(op.Mul(_unit(op, a), _unit(op, b)), [-1], keepdims=0), axes)


def _vector(op: Builder, x: Tensor, context: Context) -> Tensor:
    """A tensor with its static axes made one."""
    return x.of(op.reshape(x.value, (*leading_dims(x.axes, context.batch), product(x.dims))))


def _unit(op: Builder, x: Value) -> Value:
    """Vectors along the last axis with a length of 1, or 0."""
    return op.Div(x, op.Max(op.ReduceL2(x, [-1], keepdims=1), op.const(_TINY, x.etype)))


@cntk("CosDistanceWithNegativeSamples")
def cos_distance_with_negative_samples(
    op: Builder, left: Tensor, right: Tensor, shift: Tensor, negatives: Tensor, *, context: Context
) -> Tensor:
    """The cosines between samples of both sides, and next to them those with samples further on, which are others.

    The order is that of CNTK's columns (:class:`~nxconvert.frontends.cntk.columns.Columns`); after the last one comes
    the first one again, and the cosine of one in which there is no step is 0.
    """
    first, count = _integer(shift, "the shift"), _integer(negatives, "the number of negative samples")
    axes = aligned(op, left, right)[1]
    columns = Columns(op, axes.seq, context.batch) if axes.seq is not None else None
    rows = []
    for x in (left, right):
        vector = with_axes(op, _vector(op, x, context), axes)
        rows.append(_unit(op, vector if columns is None else columns.pack(_spread(op, vector, axes, context))))
    a, b = rows
    place = op.Range(0, a.dims[0], 1)
    cosines = []
    for further in (0, *range(first, first + count)):
        other = b if further == 0 else op.Gather(b, op.Mod(op.Add(place, further), op.dim_value(a.dims[0])), axis=0)
        cosines.append(op.ReduceSum(op.Mul(a, other), [1], keepdims=1))
    value = op.Concat(*cosines, axis=1)
    return Tensor(value if columns is None else columns.unpack(value), axes)


def _spread(op: Builder, vector: Value, axes: Axes, context: Context) -> Value:
    """Vectors for each step, of what may be the same for all steps."""
    return op.expand(vector, (*leading_dims(axes, context.batch), vector.dims[-1]))


@cntk("LatticeSequenceWithSoftmax")
def lattice_sequence_with_softmax(
    op: Builder, labels: Tensor, output: Tensor, likelihood: Tensor, lattice: Tensor, *, StateListPath: str
) -> Tensor:
    """Raises LoweringError: a model file holds the names of the files alone that CNTK reads phones and transitions from
    before it can compute anything.
    """
    raise LoweringError(f"it reads phones and their transitions from files that the model only names: {StateListPath}")

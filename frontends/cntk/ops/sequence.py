"""Functions that make, change and take away sequence axes.

Semantics: measured in CNTK 2.7. ``sequence.first``, ``last``, ``slice``, ``gather`` and ``scatter`` are networks of
``Where``, ``PackedIndex``, ``GatherPacked`` and ``ScatterPacked``; reductions over time and attention are networks of
``UnpackSequence``, which is where what is behind the end of sequences is replaced.
"""

from __future__ import annotations

import sys

from nxconvert.frontends.cntk.dynamic import leading_dims, masked, with_axes
from nxconvert.frontends.cntk.idioms import Bounds, all_but_ends, bounds, function_of, single_step
from nxconvert.frontends.cntk.network import inputs_of
from nxconvert.frontends.cntk.ops.conv import steps_left
from nxconvert.frontends.cntk.signs import is_not_negative
from nxconvert.frontends.cntk.table import (
    Axes,
    Axis,
    Builder,
    Context,
    DataType,
    Int,
    LoweringError,
    Seq,
    Tensor,
    Value,
    cntk,
)
from nxconvert.graph.builder import TensorType


@cntk("ReconcileDynamicAxis")
def reconcile(op: Builder, x: Tensor, layout: Tensor, *, context: Context) -> Tensor:
    """``x`` with the dynamic axes of ``layout``: the same for each of its steps, or its own steps on that axis."""
    return Tensor(_spread(op, x, layout.axes, context.batch), layout.axes)


def _spread(op: Builder, x: Tensor, axes: Axes, batch: Int) -> Value:
    """[batch, sequence, *static] of something that may have fewer of these axes."""
    own = x.axes.seq
    if own is not None and axes.seq is None:
        raise LoweringError("a sequence cannot become something that is none")
    if x.axes.count == axes.count and (own is None or own.size == axes.seq.size):  # type: ignore[union-attr]
        return x.value
    if own is not None and axes.seq is not None:
        return _resized(op, x.value, axes.seq.size)
    return op.expand(with_axes(op, x, axes), (*leading_dims(axes, batch), *x.dims))


def _resized(op: Builder, value: Value, size: Int) -> Value:
    """[batch, steps, ...] cut, or continued with zeros, to so many steps."""
    if value.dims[1] == size:
        return value
    batch, _, *dims = value.dims
    more = op.expand(op.const(0.0, value.etype), (batch, size, *dims))
    return _cut(op, op.Concat(value, more, axis=1), size)


def _cut(op: Builder, value: Value, size: Int) -> Value:
    """The first steps of [batch, steps, ...], which has as many."""
    batch, steps, *dims = value.dims
    if steps == size:
        return value
    bounds = op.const([0]), op.dims_tensor([size]), op.const([1])
    return op.node("Slice", [value, *bounds], {}, [TensorType(value.etype, (batch, size, *dims))])[0]


def _sequence(x: Tensor, what: str) -> Seq:
    if x.axes.seq is None:
        raise LoweringError(f"{what} is no sequence")
    return x.axes.seq


# ---- steps by their index --------------------------------------------------------------------------------------------


@cntk("Where")
def where(
    op: Builder,
    condition: Tensor,
    *,
    context: Context,
    newDynamicAxes: tuple[Axis, ...],
    newSequenceAxisLengthScalingFactor: int | None = None,
    newSequenceAxisLengthAdditiveFactor: int = 0,
) -> Tensor:
    """The indices of the steps at which a condition holds, on an axis of their own.

    The condition is a count rather than a flag: step t is there until there are as many indices as the condition adds
    up to at t, rounded up. Measured: [2, 0, 1, 3] gives 0 0 2 3 3 3; six times 0.4 gives 0 2 5.
    """
    seq = _sequence(condition, "the condition")
    target = next((axis.name for axis in newDynamicAxes if axis.is_sequence), None)
    slice_of = bounds(context.network, context.node.inputs[0])
    most = newSequenceAxisLengthAdditiveFactor if newSequenceAxisLengthScalingFactor == 0 else None
    if slice_of is not None and (target is None or (most is not None and slice_of.most == most)):
        return _slice_steps(op, condition, slice_of, context.batch, target, most or 0)
    rest = all_but_ends(context.network, context.node)
    if rest is not None and target is not None and newSequenceAxisLengthScalingFactor == 1:
        return _inner_steps(op, condition, rest, context, target)
    count = Tensor(op.reshape(condition.value, (context.batch, seq.size)), condition.axes)
    total = op.cast(op.Ceil(op.CumSum(masked(op, count, 0.0), 1)), DataType.INT64)
    if target is None:
        index = op.ArgMax(op.cast(op.Greater(total, 0), DataType.INT32), axis=1, keepdims=0)
        return Tensor(op.cast(index, condition.dtype), Axes(True))

    def lengths() -> Value:
        return op.Max(op.ReduceMax(total, [1], keepdims=0), 0)

    # A file may promise how many steps there are: CNTK counts them all the same.
    longest = op.symbol_of(op.ReduceMax(total, keepdims=0), "steps", low=1)
    made = context.new_axis(target, longest, lengths)
    if not is_not_negative(context.network, context.node.inputs[0]):
        total = _greatest_so_far(op, total)
    return Tensor(op.cast(_first_steps(op, total, made.size), condition.dtype), Axes(True, made))


def _first_steps(op: Builder, total: Value, size: Int) -> Value:
    """For each number below ``size`` the first step with a greater total, [batch, size]; totals never fall.

    It is the number of steps whose total is not greater: they are counted by total, and added up.
    """
    batch, _ = total.dims
    none = op.expand(op.const(0, DataType.INT64), (batch, size + 1))
    ones = op.expand(op.const(1, DataType.INT64), total.dims)
    steps = op.ScatterElements(none, op.Min(total, op.dim_value(size)), ones, axis=1, reduction="add")
    return _cut(op, op.CumSum(steps, 1), size)


def _greatest_so_far(op: Builder, total: Value) -> Value:
    """For each step the greatest of the totals up to it, and of 0, [batch, steps]."""
    batch, _ = total.dims
    body = op.child()
    before, now = (body.input(name, DataType.INT64, (batch,)) for name in ("before", "now"))
    greatest = body.Max(before, now)
    attributes = {
        "body": body.graph([greatest, greatest], "greatest"),
        "num_scan_inputs": 1,
        "scan_input_axes": [1],
        "scan_output_axes": [1],
    }
    types = [TensorType(DataType.INT64, (batch,)), TensorType(DataType.INT64, total.dims)]
    return op.node("Scan", [op.expand(op.const([0]), (batch,)), total], attributes, types)[1]


def _slice_steps(op: Builder, condition: Tensor, limits: Bounds, batch: Int, target: str | None, size: int) -> Tensor:
    """The steps within bounds: so many at most on the axis ``target``, or the first of them on none."""
    seq = _sequence(condition, "the condition")

    def start() -> Value:
        """int64[batch], or int64[1] where it is the same for all."""
        if limits.last is None:
            return op.const([limits.after], DataType.INT64)
        return op.Max(op.Sub(seq.lengths, limits.last), limits.after)

    def lengths() -> Value:
        stop = op.Sub(seq.lengths, limits.before)
        if limits.until is not None:
            stop = op.Min(stop, limits.until)
        return op.Max(op.Sub(stop, start()), 0)

    if target is None:
        return Tensor(op.cast(op.expand(start(), (batch,)), condition.dtype), Axes(True))
    made = Seq(target, size, lengths, op, made=True)
    index = op.Add(op.Unsqueeze(start(), [1]), op.Range(0, size, 1))
    return Tensor(op.cast(op.expand(index, (batch, size)), condition.dtype), Axes(True, made))


def _inner_steps(op: Builder, condition: Tensor, limits: Bounds, context: Context, target: str) -> Tensor:
    """All steps but the first and the last few; CNTK has no sequences that are empty then."""
    seq, fewer = _sequence(condition, "the condition"), limits.after + limits.before
    made = context.new_axis(target, seq.size - fewer, lambda: op.Max(op.Sub(seq.lengths, fewer), 0))
    index = op.expand(op.Range(limits.after, made.size + limits.after, 1), (context.batch, made.size))
    return Tensor(op.cast(index, condition.dtype), Axes(True, made))


@cntk("PackedIndex")
def packed_index(op: Builder, source: Tensor, index: Tensor) -> Tensor:
    """Where the steps are that indices mean, in CNTK's own layout; here the indices themselves."""
    return index


def _index(op: Builder, index: Tensor, batch: Int) -> Value:
    """Indices as int64[batch, steps]; [batch, 1] of a single step."""
    seq = index.axes.seq
    whole = _whole(index.value)
    if whole is not None:
        return op.Unsqueeze(whole, [1]) if seq is None else whole
    value = op.reshape(index.value, (batch, 1 if seq is None else seq.size))
    # Behind the end of a sequence there may be NaN, which no integer stands for.
    if seq is not None:
        value = masked(op, Tensor(value, index.axes), 0.0)
    return op.cast(value, DataType.INT64)


def _whole(index: Value) -> Value | None:
    """The integers, one for each index, that indices in floats have been made of."""
    node = index.producer()
    whole = node.inputs[0] if node is not None and node.op_type == "Cast" else None
    return whole if isinstance(whole, Value) and whole.etype == DataType.INT64 else None


@cntk("GatherPacked")
def gather_packed(op: Builder, source: Tensor, index: Tensor, *, context: Context) -> Tensor:
    """The steps of ``source`` that indices mean, on the axis of the indices, or on none."""
    seq = _sequence(source, "what is gathered from")
    value = with_axes(op, source, Axes(True, seq))
    step = single_step(context.network, context.node)
    if step == Bounds(until=1):
        return Tensor(op.Gather(value, 0, axis=1), index.axes)
    inner, own = all_but_ends(context.network, context.node), index.axes.seq
    if inner is not None and own is not None and own.size == seq.size - inner.after - inner.before:
        limits = op.const([inner.after]), op.const([-inner.before or sys.maxsize]), op.const([1])
        dims = (context.batch, own.size, *source.dims)
        return Tensor(op.node("Slice", [value, *limits], {}, [TensorType(source.dtype, dims)])[0], index.axes)
    # No sequence is empty, so that the last step is one of the others.
    last = op.Unsqueeze(op.Sub(seq.lengths, 1), [1]) if step == Bounds(last=1) else None
    steps = _inside(op, _index(op, index, context.batch), seq.size) if last is None else last
    steps = steps if index.axes.seq is None else op.Unsqueeze(steps, [2])
    return Tensor(op.GatherND(value, steps, batch_dims=1), index.axes)


def _inside(op: Builder, index: Value, size: Int) -> Value:
    return op.Max(op.Min(index, size - 1), 0)


@cntk("ScatterPacked")
def scatter_packed(op: Builder, x: Tensor, index: Tensor, layout: Tensor, *, context: Context) -> Tensor:
    """The steps of ``x`` at the steps of ``layout`` that indices mean, added up where several mean the same one; zeros
    at all others.
    """
    seq, own, batch = _sequence(layout, "what is scattered to"), index.axes.seq, context.batch
    place = _index(op, index, batch)
    if own is not None:  # what is behind the end goes to a step of its own, which is cut off
        place = op.Where(own.mask, place, op.dim_value(seq.size))
    steps = 1 if own is None else own.size
    rank = x.rank
    shape = (batch, steps, *x.dims)
    # ONNX Runtime does not add halves up.
    dtype = DataType.FLOAT if x.dtype == DataType.FLOAT16 else x.dtype
    value = op.cast(_spread(op, x, index.axes, batch), dtype)
    value = op.Unsqueeze(value, [1]) if own is None else value
    place = op.Unsqueeze(place, list(range(2, 2 + rank))) if rank else place
    zeros = op.expand(op.const(0.0, dtype), (batch, seq.size + 1, *x.dims))
    scattered = op.ScatterElements(zeros, op.expand(place, shape), value, axis=1, reduction="add")
    return Tensor(op.cast(_cut(op, scattered, seq.size), x.dtype), Axes(True, seq))


# ---- sequences as static axes ----------------------------------------------------------------------------------------


@cntk("ToSequence")
def to_sequence(
    op: Builder, x: Tensor, lengths: Tensor | None = None, *, context: Context, newDynamicAxes: tuple[Axis, ...]
) -> Tensor:
    """The first static axis as a sequence axis, with the lengths given, or else its whole size."""
    name = next(axis.name for axis in newDynamicAxes if axis.is_sequence)
    size, batch = x.dims[0], context.batch
    # CNTK counts steps in floats, and stops gradients there.
    counts = function_of(context.network, context.node.inputs[-1])
    convolved = function_of(context.network, counts.inputs[0]) if counts and counts.op == "StopGradient" else counts

    def given() -> Value:
        if lengths is None:
            return op.expand(op.dims_tensor([size]), (batch,))
        if convolved is not None and convolved.op == "ConvolutionSequenceShape":
            return steps_left(op, context.tensor(convolved.inputs[1]), **convolved.attributes)
        return op.cast(op.reshape(lengths.value, (batch,)), DataType.INT64)

    return Tensor(x.value, Axes(True, Seq(name, size, given, op, made=True)))


@cntk("ToSequenceLike")
def to_sequence_like(op: Builder, x: Tensor, layout: Tensor) -> Tensor:
    """The first static axis as the sequence axis of ``layout``."""
    seq = _sequence(layout, "the layout")
    return Tensor(_resized(op, x.value, seq.size), Axes(True, seq))


@cntk("UnpackSequence")
def unpack_sequence(
    op: Builder,
    x: Tensor,
    *,
    sequenceUnpackPaddingValue: float = 0.0,
    sequenceUnpackSuppressMaskOutput: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """The sequence axis as the first static axis, as long as the longest sequence, a number behind the end of shorter
    ones; and 1 where there is a step, and 0 elsewhere.
    """
    seq = _sequence(x, "what is unpacked")
    value = Tensor(_cut(op, masked(op, x, sequenceUnpackPaddingValue), seq.longest), Axes(True))
    if sequenceUnpackSuppressMaskOutput:
        return value
    return value, Tensor(op.cast(_cut(op, seq.mask, seq.longest), x.dtype), Axes(True))


@cntk("UnpackBatch")
def unpack_batch(op: Builder, x: Tensor) -> Tensor:
    """The batch as the first static axis."""
    if x.axes.seq is not None:
        raise LoweringError("the batch of sequences cannot become a static axis")
    return Tensor(x.value)


@cntk("ToBatch")
def to_batch(op: Builder, x: Tensor, *, context: Context) -> Tensor:
    """The first static axis as the batch: the batch of the model if it has no other one."""
    if not any(variable.axes for variable in inputs_of(context.network)):
        context.batch = x.dims[0]
    return Tensor(x.value, Axes(True))

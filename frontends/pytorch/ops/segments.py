"""Reductions over consecutive segments of an axis."""

from __future__ import annotations

from nxconvert.frontends.pytorch.dtypes import DataType
from nxconvert.frontends.pytorch.ops.common import as_tensor, axis_of, known
from nxconvert.frontends.pytorch.ops.resample import counting
from nxconvert.frontends.pytorch.table import Builder, Int, LoweringError, Number, Value, aten

# What a reduction starts from, and its operator in ONNX.
_REDUCTIONS = {
    "sum": (0.0, "ReduceSum", "Add"),
    "mean": (0.0, "ReduceSum", "Add"),
    "prod": (1.0, "ReduceProd", "Mul"),
    "max": (float("-inf"), "ReduceMax", "Max"),
    "min": (float("inf"), "ReduceMin", "Min"),
}


def _bounds(op: Builder, lengths: Value | None, offsets: Value | None) -> tuple[Value, Value]:
    """Where each segment starts and ends, int64 ``[..., segments]``; offsets have one more for the end of the last."""
    if offsets is not None:
        edges = op.cast(offsets, DataType.INT64)
        last = edges.rank - 1
        count = edges.dims[-1] - 1
        return tuple(op.Slice(edges, [i], op.dims_tensor([count + i]), [last]) for i in (0, 1))
    if lengths is None:
        raise LoweringError("neither the lengths nor the offsets of the segments are given")
    sizes = op.cast(lengths, DataType.INT64)
    end = op.CumSum(sizes, sizes.rank - 1)
    return op.Sub(end, sizes), end


@aten("segment_reduce")
def segment_reduce(
    op: Builder, data: Value, reduce: str, *, lengths: Value | None = None, indices: Value | None = None,
    offsets: Value | None = None, axis: Int = 0, unsafe: bool = False, initial: Number | None = None,
) -> Value:  # fmt: skip
    """``[*batch, segments, *rest]`` of ``[*batch, n, *rest]``, segments of ``n`` given for each place in the batch.

    An empty segment gives the initial value; without one its mean is NaN.
    """
    if reduce not in _REDUCTIONS:
        raise LoweringError(f"there is no reduction {reduce!r}")
    neutral, op_type, combine = _REDUCTIONS[reduce]
    along = axis_of(axis, data.rank)
    start, end = (op.Unsqueeze(bound, [along + 1]) for bound in _bounds(op, lengths, offsets))
    place = counting(op, data.dims[along], DataType.INT64)
    inside = op.And(op.GreaterOrEqual(place, start), op.Less(place, end))
    rest = list(range(along + 2, data.rank + 1))
    inside = op.Unsqueeze(inside, rest) if rest else inside
    elements = op.Where(inside, op.Unsqueeze(data, [along]), op.const(neutral, data.etype))
    result = getattr(op, op_type)(elements, [along + 1], keepdims=0)
    if initial is not None:
        result = getattr(op, combine)(result, as_tensor(op, known(initial, "the initial value"), data.etype))
    if reduce != "mean":
        return result
    sizes = op.Squeeze(op.Sub(end, start), [along + 1])
    sizes = op.Max(sizes, 1) if initial is not None else sizes
    sizes = op.Unsqueeze(sizes, [axis - 1 for axis in rest]) if rest else sizes
    return op.Div(result, op.cast(sizes, data.etype))

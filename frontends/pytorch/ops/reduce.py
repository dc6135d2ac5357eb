"""Reductions: sums, means, extremes with and without their positions, variances."""

from __future__ import annotations

from collections.abc import Callable

import onnx_ir as ir

from nxconvert.frontends.pytorch.dtypes import DataType, is_float
from nxconvert.frontends.pytorch.ops.common import as_tensor, axes_of, axis_of, dtype_of, float_input, known
from nxconvert.frontends.pytorch.ops.math import maximum, minimum
from nxconvert.frontends.pytorch.ops.shape import int_list
from nxconvert.frontends.pytorch.table import Builder, DType, Int, Ints, Number, Value, aten
from nxconvert.graph.dims import bounds, product
from nxconvert.graph.dims import maximum as larger
from nxconvert.graph.widening import emit, reduce, where


def count(x: Value, axes: list[int]) -> Int:
    """The number of elements that a reduction over ``axes`` makes one of."""
    return product(x.dims[axis] for axis in axes)


def may_be_empty(x: Value, axes: list[int]) -> bool:
    """Whether a reduction over ``axes`` may be over nothing."""
    return any(not bounds(x.dims[axis])[0] for axis in axes)


def one_axis(dim: Int | None, x: Value) -> list[int]:
    """The axes of a reduction over one axis, or over all of them for None; none for a tensor of rank 0."""
    if not x.rank:
        return []
    return list(range(x.rank)) if dim is None else [axis_of(dim, x.rank)]


def reduced_axes(dim: Ints | None, x: Value) -> list[int]:
    """The axes of a reduction over several axes; all of them for None and for an empty list."""
    return axes_of(dim, x.rank) if x.rank else []


# ---- sums, products, means -----------------------------------------------------------------------------------------


def summed(x: Value, dtype: DType | None) -> ir.DataType:
    """The dtype of sums and products: what is asked for, else int64 for integers and bools."""
    if dtype is not None:
        return dtype_of(dtype)
    return x.etype if is_float(x.etype) else DataType.INT64


@aten("sum", "sum.dim_IntList")
def sum_(
    op: Builder, self: Value, dim: Ints | None = None, keepdim: bool = False, *, dtype: DType | None = None
) -> Value:
    return reduce(op, "ReduceSum", op.cast(self, summed(self, dtype)), reduced_axes(dim, self), keepdim)


@aten("prod")
def prod(op: Builder, self: Value, *, dtype: DType | None = None) -> Value:
    return reduce(op, "ReduceProd", op.cast(self, summed(self, dtype)), one_axis(None, self), False)


@aten("prod.dim_int")
def prod_dim(op: Builder, self: Value, dim: Int, keepdim: bool = False, *, dtype: DType | None = None) -> Value:
    return reduce(op, "ReduceProd", op.cast(self, summed(self, dtype)), one_axis(dim, self), keepdim)


@aten("mean", "mean.dim")
def mean(
    op: Builder, self: Value, dim: Ints | None = None, keepdim: bool = False, *, dtype: DType | None = None
) -> Value:
    return average(op, self if dtype is None else op.cast(self, dtype_of(dtype)), reduced_axes(dim, self), keepdim)


def average(op: Builder, x: Value, axes: list[int], keepdim: bool) -> Value:
    """The mean; of nothing it is NaN, for which runtimes' ``ReduceMean`` does not stand."""
    if not may_be_empty(x, axes):
        return reduce(op, "ReduceMean", x, axes, keepdim)
    return op.Div(reduce(op, "ReduceSum", x, axes, keepdim), as_tensor(op, count(x, axes), x.etype))


@aten("nansum")
def nansum(
    op: Builder, self: Value, dim: Ints | None = None, keepdim: bool = False, *, dtype: DType | None = None
) -> Value:
    return sum_(op, _without_nan(op, self), dim, keepdim, dtype=dtype)


@aten("nanmean")
def nanmean(
    op: Builder, self: Value, dim: Ints | None = None, keepdim: bool = False, *, dtype: DType | None = None
) -> Value:
    total = nansum(op, self, dim, keepdim, dtype=dtype)
    numbers = reduce(op, "ReduceSum", op.cast(op.Not(op.IsNaN(self)), total.etype), reduced_axes(dim, self), keepdim)
    return op.Div(total, numbers)


def _without_nan(op: Builder, x: Value) -> Value:
    return where(op, op.IsNaN(x), op.const(0.0, x.etype), x) if is_float(x.etype) else x


@aten("count_nonzero", "count_nonzero.dim_IntList")
def count_nonzero(op: Builder, self: Value, dim: Ints | None = None) -> Value:
    return sum_(op, op.cast(self, DataType.BOOL), dim)


@aten("logsumexp", "special_logsumexp")
def logsumexp(op: Builder, self: Value, dim: Ints, keepdim: bool = False) -> Value:
    return reduce(op, "ReduceLogSumExp", float_input(op, self), reduced_axes(dim, self), keepdim)


@aten("sum_to_size")
def sum_to_size(op: Builder, self: Value, size: Ints) -> Value:
    """The sum over the axes that broadcasting would have added or stretched."""
    wanted = int_list(size)
    if not wanted:
        return sum_(op, self)
    lead = self.rank - len(wanted)
    axes = [i for i in range(self.rank) if i < lead or (wanted[i - lead] == 1 and self.dims[i] != 1)]
    return op.reshape(sum_(op, self, list(axes), True), wanted) if axes else self


# ---- all and any ---------------------------------------------------------------------------------------------------


def _register_quantifier(name: str, op_type: str) -> None:
    @aten(name, f"{name}.dim", f"{name}.dims")
    def quantifier(op: Builder, self: Value, dim: Ints | None = None, keepdim: bool = False) -> Value:
        """Bool; uint8 for a uint8 tensor."""
        axes = reduced_axes(dim, self)
        result = _quantified(op, op_type, op.cast(self, DataType.BOOL), axes, keepdim)
        return op.cast(result, self.etype if self.etype == DataType.UINT8 else DataType.BOOL)


def _quantified(op: Builder, op_type: str, x: Value, axes: list[int], keepdim: bool) -> Value:
    if not may_be_empty(x, axes):
        return reduce(op, op_type, x, axes, keepdim)
    # The largest of nothing is not defined, the number of nothing is.
    counted = op.Not(x) if op_type == "ReduceMin" else x
    some = op.Cast(reduce(op, "ReduceSum", op.Cast(counted, to=DataType.INT32), axes, keepdim), to=DataType.BOOL)
    return op.Not(some) if op_type == "ReduceMin" else some


_register_quantifier("any", "ReduceMax")
_register_quantifier("all", "ReduceMin")


# ---- extremes ------------------------------------------------------------------------------------------------------


def position(op: Builder, op_type: str, x: Value, axis: int | None, keepdim: bool) -> Value:
    """Where the extreme is (the first of equal ones), along an axis or in the flattened tensor."""
    if not x.rank:
        return op.const(0)
    if axis is None:
        flat = op.reshape(x, [product(x.dims)])
        found = emit(op, op_type, flat, axis=0, keepdims=0)
        return op.reshape(found, [1] * x.rank) if keepdim else found
    return emit(op, op_type, x, axis=axis, keepdims=int(keepdim))


def _register_extreme(name: str, of_two: Callable[..., Value]) -> None:
    value_type, position_type = f"Reduce{name.capitalize()}", f"Arg{name.capitalize()}"

    @aten(name)
    def of_all(op: Builder, self: Value) -> Value:
        return reduce(op, value_type, self, one_axis(None, self), False)

    @aten(f"{name}.dim")
    def along(op: Builder, self: Value, dim: Int, keepdim: bool = False) -> tuple[Value, Value]:
        axes = one_axis(dim, self)
        return reduce(op, value_type, self, axes, keepdim), position(
            op, position_type, self, axes[0] if axes else None, keepdim
        )

    aten(f"{name}.other")(of_two)

    @aten(f"a{name}")
    def over(op: Builder, self: Value, dim: Ints | None = None, keepdim: bool = False) -> Value:
        return reduce(op, value_type, self, reduced_axes(dim, self), keepdim)

    @aten(f"arg{name}")
    def where_is(op: Builder, self: Value, dim: Int | None = None, keepdim: bool = False) -> Value:
        return position(op, position_type, self, None if dim is None else axis_of(dim, self.rank), keepdim)


_register_extreme("max", maximum)
_register_extreme("min", minimum)


@aten("aminmax")
def aminmax(op: Builder, self: Value, *, dim: Int | None = None, keepdim: bool = False) -> tuple[Value, Value]:
    return _both_extremes(op, self, dim, keepdim)


@aten("_aminmax", "_aminmax.dim")
def core_aminmax(op: Builder, self: Value, dim: Int | None = None, keepdim: bool = False) -> tuple[Value, Value]:
    return _both_extremes(op, self, dim, keepdim)


def _both_extremes(op: Builder, x: Value, dim: Int | None, keepdim: bool) -> tuple[Value, Value]:
    axes = one_axis(dim, x)
    return reduce(op, "ReduceMin", x, axes, keepdim), reduce(op, "ReduceMax", x, axes, keepdim)


# ---- variance ------------------------------------------------------------------------------------------------------


def _variance(op: Builder, x: Value, dim: Ints | None, correction: Number, keepdim: bool) -> tuple[Value, Value]:
    """Variance and mean. The sum of squares is divided by the number of elements less ``correction``, or by zero."""
    axes = reduced_axes(dim, x)
    centre = average(op, x, axes, True)
    offset = op.Sub(x, centre)
    if correction == 0 and not may_be_empty(x, axes):
        variance = reduce(op, "ReduceMean", op.Mul(offset, offset), axes, keepdim)
    else:
        squares = reduce(op, "ReduceSumSquare", offset, axes, keepdim) if axes else op.Mul(offset, offset)
        variance = op.Div(squares, _degrees_of_freedom(op, count(x, axes), correction, x.etype))
    return variance, centre if keepdim or not axes else op.Squeeze(centre, axes)


def _degrees_of_freedom(op: Builder, number: Int, correction: Number, dtype: ir.DataType) -> Value:
    lost = known(correction, "the correction")
    if lost == int(lost):
        return as_tensor(op, larger(number - int(lost), 0), dtype)
    return op.Max(op.Sub(as_tensor(op, number, dtype), float(lost)), 0.0)


def _register_variance(name: str, *, root: bool, with_mean: bool) -> None:
    """``var`` and its kin have three forms: over all, over axes, and with any correction in place of 1 or 0."""

    def finish(op: Builder, variance: Value, centre: Value) -> Value | tuple[Value, Value]:
        spread = op.Sqrt(variance) if root else variance
        return (spread, centre) if with_mean else spread

    @aten(name)
    def over_all(op: Builder, self: Value, unbiased: bool = True) -> Value | tuple[Value, Value]:
        return finish(op, *_variance(op, self, None, int(unbiased), False))

    @aten(f"{name}.dim")
    def over_axes(
        op: Builder, self: Value, dim: Ints | None, unbiased: bool = True, keepdim: bool = False
    ) -> Value | tuple[Value, Value]:
        return finish(op, *_variance(op, self, dim, int(unbiased), keepdim))

    @aten(f"{name}.correction")
    def corrected(
        op: Builder, self: Value, dim: Ints | None = None, *, correction: Number | None = None, keepdim: bool = False
    ) -> Value | tuple[Value, Value]:
        return finish(op, *_variance(op, self, dim, 1 if correction is None else correction, keepdim))


_register_variance("var", root=False, with_mean=False)
_register_variance("std", root=True, with_mean=False)
_register_variance("var_mean", root=False, with_mean=True)
_register_variance("std_mean", root=True, with_mean=True)

"""Random tensors. The graph draws them anew at every run, from distributions equal to PyTorch's, with other numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import onnx_ir as ir

from nxconvert.frontends.pytorch.dtypes import DataType
from nxconvert.frontends.pytorch.ops.common import DEFAULT_FLOAT, all_static, as_tensor, dtype_of
from nxconvert.frontends.pytorch.ops.create import filled
from nxconvert.frontends.pytorch.ops.shape import int_list
from nxconvert.frontends.pytorch.ops.sort import best
from nxconvert.frontends.pytorch.table import Builder, DType, Int, Ints, LoweringError, Number, Value, aten
from nxconvert.graph.dims import Dim

_DRAWN = (DataType.FLOAT, DataType.DOUBLE)


def _draw(op: Builder, distribution: str, dims: Sequence[Int], dtype: ir.DataType) -> Value:
    """Numbers from [0, 1), or of mean 0 and variance 1, as ``RandomUniform`` and ``RandomNormal`` draw them."""
    drawn = dtype if dtype in _DRAWN else DEFAULT_FLOAT
    if dims and all_static(dims):
        numbers = getattr(op, distribution)(shape=list(dims), dtype=drawn)
    else:
        numbers = getattr(op, f"{distribution}Like")(filled(op, dims, 0, drawn), dtype=drawn)
    return op.cast(numbers, dtype)


def uniform_numbers(op: Builder, dims: Sequence[Int], dtype: ir.DataType) -> Value:
    """Numbers from [0, 1)."""
    return _draw(op, "RandomUniform", dims, dtype)


def normal_numbers(op: Builder, dims: Sequence[Int], dtype: ir.DataType) -> Value:
    """Numbers of the standard normal distribution."""
    return _draw(op, "RandomNormal", dims, dtype)


def _scaled(op: Builder, numbers: Value, scale: Number | Value, shift: Number | Value) -> Value:
    if not (isinstance(scale, (int, float)) and scale == 1):
        numbers = op.Mul(numbers, as_tensor(op, scale, numbers.etype))
    if not (isinstance(shift, (int, float)) and shift == 0):
        numbers = op.Add(numbers, as_tensor(op, shift, numbers.etype))
    return numbers


def _register_standard(name: str, draw: Any) -> None:
    """``rand`` and ``randn``: of a size, and of the size of a tensor."""

    @aten(name)
    def of_size(op: Builder, size: Ints, *, dtype: DType | None = None, **_: Any) -> Value:
        return draw(op, int_list(size), DEFAULT_FLOAT if dtype is None else dtype_of(dtype))

    @aten(f"{name}_like")
    def like(op: Builder, self: Value, *, dtype: DType | None = None, **_: Any) -> Value:
        return draw(op, self.dims, self.etype if dtype is None else dtype_of(dtype))


_register_standard("rand", uniform_numbers)
_register_standard("randn", normal_numbers)


@aten("uniform")
def uniform(op: Builder, self: Value, low: Number = 0, high: Number = 1, **named: Any) -> Value:
    """The bounds are called ``from`` and ``to``, which no Python parameter can be."""
    low, high = named.get("from", low), named.get("to", high)
    span = op.Sub(as_tensor(op, high, self.etype), as_tensor(op, low, self.etype))
    return _scaled(op, uniform_numbers(op, self.dims, self.etype), span, low)


@aten("exponential")
def exponential(op: Builder, self: Value, lambd: Number = 1, **_: Any) -> Value:
    return op.Div(_exponential(op, self.dims, self.etype), as_tensor(op, lambd, self.etype))


def _exponential(op: Builder, dims: Sequence[Int], dtype: ir.DataType) -> Value:
    """Of 1 - u, which is never 0, the logarithm is finite."""
    numbers = uniform_numbers(op, dims, dtype)
    return op.Neg(op.Log(op.Sub(1.0, numbers)))


@aten("geometric")
def geometric(op: Builder, self: Value, p: Number, **_: Any) -> Value:
    """How many trials of probability ``p`` it takes: an exponential number, rounded up."""
    drawn = _exponential(op, self.dims, DataType.DOUBLE)
    return op.cast(op.Ceil(op.Div(drawn, op.Neg(op.Log(op.Sub(1.0, as_tensor(op, p, DataType.DOUBLE)))))), self.etype)


@aten("cauchy")
def cauchy(op: Builder, self: Value, median: Number = 0, sigma: Number = 1, **_: Any) -> Value:
    angles = op.Mul(op.Sub(uniform_numbers(op, self.dims, DataType.FLOAT), 0.5), math.pi)
    return op.cast(_scaled(op, op.Tan(angles), sigma, median), self.etype)


@aten("log_normal")
def log_normal(op: Builder, self: Value, mean: Number = 1, std: Number = 2, **_: Any) -> Value:
    return op.Exp(_scaled(op, normal_numbers(op, self.dims, self.etype), std, mean))


# ---- integers --------------------------------------------------------------------------------------------------------


def _integers(op: Builder, low: Int | Value, high: Int | Value, dims: Sequence[Int], dtype: ir.DataType) -> Value:
    """Whole numbers from ``low`` to ``high`` - 1, drawn in double, which holds all that are of use."""
    first, last = as_tensor(op, low, DataType.DOUBLE), as_tensor(op, high, DataType.DOUBLE)
    numbers = op.Mul(uniform_numbers(op, dims, DataType.DOUBLE), op.Sub(last, first))
    return op.cast(op.Floor(op.Add(numbers, first)), dtype)


@aten("randint")
def randint(op: Builder, high: Int, size: Ints, *, dtype: DType | None = 4, **_: Any) -> Value:
    return _integers(op, 0, high, int_list(size), DataType.INT64 if dtype is None else dtype_of(dtype))


@aten("randint.low")
def randint_from(op: Builder, low: Int, high: Int, size: Ints, *, dtype: DType | None = 4, **_: Any) -> Value:
    return _integers(op, low, high, int_list(size), DataType.INT64 if dtype is None else dtype_of(dtype))


@aten("randint_like", "randint_like.Tensor")
def randint_like(op: Builder, self: Value, high: Int | Value, *, dtype: DType | None = None, **_: Any) -> Value:
    return _integers(op, 0, high, self.dims, self.etype if dtype is None else dtype_of(dtype))


@aten("randint_like.low_dtype")
def randint_like_from(op: Builder, self: Value, low: Int, high: Int, *, dtype: DType | None = None, **_: Any) -> Value:
    return _integers(op, low, high, self.dims, self.etype if dtype is None else dtype_of(dtype))


@aten("randperm")
def randperm(op: Builder, n: Int, *, dtype: DType | None = 4, **_: Any) -> Value:
    """The order of random numbers is a random order."""
    order = best(op, uniform_numbers(op, [n], DEFAULT_FLOAT), n, 0, largest=True)[1]
    return op.cast(order, DataType.INT64 if dtype is None else dtype_of(dtype))


# ---- normal, Bernoulli, multinomial ----------------------------------------------------------------------------------


@aten("normal.Tensor_float", "normal.Tensor_Tensor")
def normal(op: Builder, mean: Value, std: Number | Value = 1, *, generator: Any = None) -> Value:
    dims = mean.dims if not isinstance(std, Value) else op.Add(mean, std).dims
    return _scaled(op, normal_numbers(op, dims, mean.etype), std, mean)


@aten("normal.float_Tensor")
def normal_of_deviations(op: Builder, mean: Number, std: Value, *, generator: Any = None) -> Value:
    return _scaled(op, normal_numbers(op, std.dims, std.etype), std, mean)


@aten("normal.float_float")
def normal_of_size(
    op: Builder, mean: Number, std: Number, size: Ints, *, dtype: DType | None = None, **_: Any
) -> Value:
    target = DEFAULT_FLOAT if dtype is None else dtype_of(dtype)
    return _scaled(op, normal_numbers(op, int_list(size), target), std, mean)


@aten("normal_functional", "normal")
def normal_like(op: Builder, self: Value, mean: Number = 0, std: Number = 1, *, generator: Any = None) -> Value:
    """The tensor gives nothing but its size and dtype."""
    return _scaled(op, normal_numbers(op, self.dims, self.etype), std, mean)


@aten("bernoulli")
def bernoulli(op: Builder, self: Value, *, generator: Any = None) -> Value:
    return _chosen(op, self, self.dims, self.etype)


@aten("bernoulli.p", "bernoulli.Tensor")
def bernoulli_of(op: Builder, self: Value, p: Number | Value, *, generator: Any = None) -> Value:
    """One for the probability ``p``, else zero, of the size and dtype of ``self``."""
    chances = as_tensor(op, p, p.etype if isinstance(p, Value) else DEFAULT_FLOAT)
    return _chosen(op, chances, self.dims, self.etype)


def _chosen(op: Builder, chances: Value, dims: Sequence[Int], dtype: ir.DataType) -> Value:
    """One with these probabilities. Not ``Bernoulli``: the function that ONNX defines it by swaps 0 and 1."""
    return op.cast(op.Less(uniform_numbers(op, dims, chances.etype), chances), dtype)


@aten("multinomial")
def multinomial(
    op: Builder, self: Value, num_samples: Int, replacement: bool = False, *, generator: Any = None
) -> Value:
    """Indices drawn with the weights of a row.

    Without replacement these are the greatest of the weights divided by exponentially distributed numbers.
    """
    rows = op.Unsqueeze(self, [0]) if self.rank == 1 else self
    if replacement:
        if isinstance(num_samples, Dim):
            raise LoweringError(f"the number of samples ({num_samples}) depends on the input")
        chances = op.Log(op.cast(rows, DataType.FLOAT))
        drawn = op.Multinomial(chances, sample_size=num_samples, dtype=DataType.INT64)
    else:
        _, drawn = best(op, op.Div(rows, _exponential(op, rows.dims, rows.etype)), num_samples, 1, largest=True)
    return op.Squeeze(drawn, [0]) if self.rank == 1 else drawn

"""Random numbers, and random choices of classes.

The distributions, shapes and dtypes are CNTK's, and the seeds that files have are used; the numbers are those that the
runtime draws for them, and others in each call, as in CNTK.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nxconvert.frontends.cntk.dynamic import leading_dims
from nxconvert.frontends.cntk.table import (
    Axes,
    Builder,
    Context,
    DataType,
    Floats,
    Int,
    LoweringError,
    Shape,
    Tensor,
    Value,
    cntk,
)
from nxconvert.graph.dims import product, static

_DTYPES = {1: DataType.FLOAT, 2: DataType.DOUBLE, 4: DataType.FLOAT16}
#: The number of experiments in which CNTK counts how often it has to draw.
_TRIALS = 10
# The least that random numbers are whose logarithm is taken.
_LEAST = 1e-30


def _draw(op: Builder, operator: str, dims: tuple[Int, ...], dtype: DataType, seed: int, **limits: float) -> Value:
    """Numbers of [0, 1), or of mean 0 and variance 1, unless `limits` say otherwise; halves are rounded."""
    wide = DataType.FLOAT if dtype == DataType.FLOAT16 else dtype
    settings: dict[str, Any] = {**limits, "dtype": wide, "seed": float(seed)}
    sizes = static(dims)
    if sizes is not None and sizes:
        return op.cast(getattr(op, operator)(shape=sizes, **settings), dtype)
    like = op.expand(op.const(0.0, wide), dims)
    return op.cast(getattr(op, f"{operator}Like")(like, **settings), dtype)


def _uniform(op: Builder, dims: tuple[Int, ...], dtype: DataType, seed: int, low: float, high: float) -> Value:
    return _draw(op, "RandomUniform", dims, dtype, seed, low=low, high=high)


def _normal(op: Builder, dims: tuple[Int, ...], dtype: DataType, seed: int, mean: float, scale: float) -> Value:
    return _draw(op, "RandomNormal", dims, dtype, seed, mean=mean, scale=scale)


def _gumbel(op: Builder, dims: tuple[Int, ...], dtype: DataType, seed: int, place: float, scale: float) -> Value:
    return op.Sub(place, op.Mul(op.Log(_exponential(op, dims, dtype, seed)), scale))


def _exponential(op: Builder, dims: tuple[Int, ...], dtype: DataType, seed: int) -> Value:
    """Times to an event that happens once in a unit of time."""
    return op.Neg(op.Log(op.Max(_uniform(op, dims, dtype, seed, 0.0, 1.0), op.const(_LEAST, dtype))))


def _bernoulli(op: Builder, dims: tuple[Int, ...], dtype: DataType, seed: int, chance: float) -> Value:
    return op.cast(op.Less(_uniform(op, dims, DataType.FLOAT, seed, 0.0, 1.0), chance), dtype)


_DISTRIBUTIONS: dict[str, Callable[..., Value]] = {
    "uniform": _uniform,
    "normal": _normal,
    "gumbel": _gumbel,
    "bernoulli": _bernoulli,
}


def _distributed(op: Builder, dims: tuple[Int, ...], dtype: DataType, seed: int, kind: str, args: Floats) -> Value:
    if kind not in _DISTRIBUTIONS:
        raise LoweringError(f"there is no distribution that is called {kind}")
    return _DISTRIBUTIONS[kind](op, dims, dtype, seed, *args)


@cntk("RandomDistribution")
def random_numbers(
    op: Builder,
    *,
    newShape: Shape,
    newDataType: int,
    randomDistributionType: str,
    randomDistributionArgs: Floats,
    rngSeed: int = 0,
) -> Tensor:
    """Random numbers of a shape."""
    if newDataType not in _DTYPES:
        raise LoweringError(f"there are no random numbers of the dtype {newDataType}")
    dims = tuple(reversed(newShape))
    kind, args = randomDistributionType, randomDistributionArgs
    return Tensor(_distributed(op, dims, _DTYPES[newDataType], rngSeed, kind, args))


@cntk("RandomDistribution")
def random_numbers_like(
    op: Builder,
    x: Tensor,
    *,
    context: Context,
    randomDistributionType: str,
    randomDistributionArgs: Floats,
    rngSeed: int = 0,
) -> Tensor:
    """Random numbers of the shape of something, for each of its samples and steps."""
    dims = (*leading_dims(x.axes, context.batch), *x.dims)
    return x.of(_distributed(op, dims, x.dtype, rngSeed, randomDistributionType, randomDistributionArgs))


@cntk("RandomSample")
def random_sample(op: Builder, weights: Tensor, *, numSamples: int, allowDuplicates: bool, rngSeed: int = 0) -> Tensor:
    """Classes that are drawn with chances in relation to their weights, [samples, classes] with a 1 for each."""
    chances, classes = _weights(op, weights)
    if allowDuplicates:
        logarithms = op.Log(op.cast(op.reshape(chances, (1, classes)), DataType.FLOAT))
        drawn = op.Multinomial(logarithms, sample_size=numSamples, dtype=DataType.INT64, seed=float(rngSeed))
    else:
        # The first ones to happen of events that are as frequent as the weights say, are drawn one after the other.
        _, drawn = op.TopK(_times(op, chances, classes, 1, rngSeed), [numSamples], axis=1, largest=0)
    found = op.Equal(op.reshape(drawn, (numSamples, 1)), op.Range(0, classes, 1))
    return Tensor(op.cast(found, weights.dtype), Axes())


@cntk("RandomSampleInclusionFrequency")
def random_sample_inclusion_frequency(
    op: Builder, weights: Tensor, *, numSamples: int, allowDuplicates: bool, rngSeed: int = 0
) -> Tensor:
    """How often to expect each class in a sample, [classes].

    Without duplicates that is the chance of being drawn at all in as many draws, repeated ones among them, as it takes
    to have so many different classes. The mean of a few experiments says how many those are, as in CNTK: when the last
    one of the classes first happens, on average so many draws have been made as time has passed.
    """
    raw, classes = _weights(op, weights)
    chances = op.Div(raw, op.ReduceSum(raw, keepdims=1))
    if allowDuplicates:
        return Tensor(op.Mul(chances, float(numSamples)), Axes())
    waits = _times(op, chances, classes, _TRIALS, rngSeed)
    soonest, _ = op.TopK(waits, [numSamples], axis=1, largest=0)
    draws = op.ReduceMean(op.ReduceMax(soonest, [1], keepdims=0), keepdims=0)
    return Tensor(op.Sub(1.0, op.Pow(op.Sub(1.0, chances), draws)), Axes())


def _weights(op: Builder, weights: Tensor) -> tuple[Value, Int]:
    if weights.nd:
        raise LoweringError("the weights of classes are samples of a batch")
    classes = product(weights.dims)
    return op.reshape(weights.value, (classes,)), classes


def _times(op: Builder, chances: Value, classes: Int, trials: int, seed: int) -> Value:
    """When each class happens first, [trials, classes]; never where its weight is 0."""
    return op.Div(_exponential(op, (trials, classes), chances.etype, seed), chances)

"""Fills with random numbers: those that Caffe2 draws on the CPU for a given seed.

Every operator has a generator of its own, a Mersenne Twister that begins with the operator's ``random_seed``, so that a
fill with a seed always gives the same numbers (``caffe2/core/context.h``, ``caffe2/utils/math_cpu.cc``). They go
through the distributions of libstdc++, which the C++ standard leaves open; what is written here is what that library
does. Uniform numbers and integers are the runtime's bit by bit. Of normal ones, three in a thousand differ by a unit or
two in the last place, as they do between versions of the C library: its logarithm is not always rounded correctly.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from nxconvert.frontends.caffe2.table import LoweringError

__all__ = ["NO_SEED", "RANDOM_FILLS", "random_fill"]

#: Says why a fill without a seed cannot be lowered, and what to do.
NO_SEED = (
    "it draws random numbers and has no seed, so they differ from run to run: these are weights from before the "
    "training. Give the init net that holds the trained weights with --init (init= in Python)"
)
_WORD = 1 << 32
_BLOCK = 1 << 20
_INT32, _INT64 = 2, 10


def random_fill(
    op_type: str, shape: Sequence[int], args: Mapping[str, Any], seed: int | None, avoid: Sequence[int] = ()
) -> np.ndarray:
    """The tensor that a random fill makes.

    Args:
        op_type: the operator, one of `RANDOM_FILLS`.
        shape: of the tensor.
        args: the operator's arguments.
        seed: its ``random_seed``, or that of its net.
        avoid: of ``UniqueUniformFill``, the numbers in its second input.

    Returns:
        float32, float16 (``Float16UniformFill``), int32 or int64.

    Raises:
        LoweringError: there is no seed, or the runtime refuses the arguments.
    """
    if seed is None:
        raise LoweringError(NO_SEED)
    if op_type == "UniqueUniformFill":
        flat = _unique(_Draws(seed), math.prod(shape), args, avoid)
    else:
        flat = RANDOM_FILLS[op_type](_Draws(seed), shape, args)
    return flat.reshape(shape)


class _Draws:
    """The numbers that ``std::mt19937`` gives, uint32, in order."""

    def __init__(self, seed: int) -> None:
        self._generator = np.random.RandomState(seed % _WORD)

    def take(self, count: int) -> np.ndarray:
        """The next `count` of them."""
        return np.frombuffer(self._generator.bytes(4 * count), "<u4")

    def canonical(self, count: int) -> np.ndarray:
        """The next `count` numbers in [0, 1): ``std::generate_canonical<float, 24>``."""
        floats = self.take(count).astype(np.float32) * np.float32(1 / _WORD)
        below_one: np.ndarray = np.minimum(floats, np.nextafter(np.float32(1), np.float32(0)))
        return below_one


def _uniform(draws: _Draws, count: int, low: np.float32, high: np.float32) -> np.ndarray:
    """``std::uniform_real_distribution<float>``."""
    out = np.empty(count, np.float32)
    width = high - low
    for start in range(0, count, _BLOCK):
        block = out[start : start + _BLOCK]
        block[:] = draws.canonical(len(block)) * width + low
    return out


def _normal(draws: _Draws, count: int, mean: np.float32, deviation: np.float32) -> np.ndarray:
    """``std::normal_distribution<float>``: Marsaglia's polar method, of each pair the second number first."""
    out = np.empty(count + 1, np.float32)
    done = 0
    while done < count:
        points = draws.canonical(2 * min(_BLOCK, count - done + 16)).reshape(-1, 2) * np.float32(2) - np.float32(1)
        square = points[:, 0] * points[:, 0] + points[:, 1] * points[:, 1]
        inside = (square <= 1) & (square != 0)
        points, square = points[inside], square[inside]
        logarithm = np.log(square.astype(np.float64)).astype(np.float32)
        pairs = points[:, ::-1] * np.sqrt(np.float32(-2) * logarithm / square)[:, None]
        numbers = (pairs * deviation + mean).reshape(-1)[: len(out) - done]
        out[done : done + len(numbers)] = numbers
        done += len(numbers)
    return out[:count]


def _integers(draws: _Draws, low: int, high: int, block: int = _BLOCK) -> Iterator[np.ndarray]:
    """``std::uniform_int_distribution`` without end: int64, between `low` and `high`, of `block` draws at most."""
    span = high - low
    while span == _WORD - 1:
        yield draws.take(block).astype(np.int64) + low
    while span < _WORD:
        # As many draws as fall on every number alike are used, the others are passed over.
        scale = (_WORD - 1) // (span + 1)
        drawn = draws.take(block)
        yield (drawn[drawn < scale * (span + 1)] // np.uint32(scale)).astype(np.int64) + low
    while True:
        upper = next(int(found[0]) for found in _integers(draws, 0, span // _WORD, 1) if len(found))
        number = upper * _WORD + int(draws.take(1)[0])
        if number <= span:
            yield np.array([number + low], np.int64)


def _unique(draws: _Draws, count: int, args: Mapping[str, Any], avoid: Sequence[int]) -> np.ndarray:
    dtype = args.get("dtype", _INT32)
    if dtype not in (_INT32, _INT64):
        raise LoweringError(f"it makes int32 or int64, not dtype {dtype}")
    low, high = _limits(args, 32 if dtype == _INT32 else 64)
    if low > high or count > high - low - len(avoid) + 1:
        raise LoweringError(f"there are no {count} different numbers from {low} to {high}")
    seen = set(avoid)
    out: list[int] = []
    for block in _integers(draws, low, high, min(count + 16, _BLOCK)):
        for number in block.tolist():
            if len(out) < count and number not in seen:
                seen.add(number)
                out.append(number)
        if len(out) == count:
            break
    return np.array(out, np.int32 if dtype == _INT32 else np.int64)


def _limits(args: Mapping[str, Any], bits: int) -> tuple[int, int]:
    low, high = args.get("min"), args.get("max")
    if not all(isinstance(limit, int) and -(1 << bits - 1) <= limit < 1 << bits - 1 for limit in (low, high)):
        raise LoweringError(f"it draws int{bits} from min to max, which are {low!r} and {high!r}")
    assert isinstance(low, int)
    assert isinstance(high, int)
    return low, high


def _ordered(low: float | np.float32, high: float | np.float32) -> None:
    if not low < high:
        raise LoweringError(f"its min {low} is to be less than its max {high}")


def _number(args: Mapping[str, Any], name: str, default: float) -> np.float32:
    value = args.get(name, default)
    if not isinstance(value, float):
        raise LoweringError(f"its argument {name} is to be a float, not {value!r}")
    return np.float32(value)


# ---- the operators: caffe2/operators/filler_op.h ---------------------------------------------------------------------


def _uniform_fill(draws: _Draws, shape: Sequence[int], args: Mapping[str, Any]) -> np.ndarray:
    low, high = _number(args, "min", 0.0), _number(args, "max", 1.0)
    _ordered(low, high)
    return _uniform(draws, math.prod(shape), low, high)


def _float16_uniform_fill(draws: _Draws, shape: Sequence[int], args: Mapping[str, Any]) -> np.ndarray:
    return _uniform_fill(draws, shape, args).astype(np.float16)


def _uniform_int_fill(draws: _Draws, shape: Sequence[int], args: Mapping[str, Any]) -> np.ndarray:
    low, high = _limits({"min": 0, "max": 1, **args}, 32)
    _ordered(low, high)
    out = np.empty(math.prod(shape), np.int32)
    done = 0
    for block in _integers(draws, low, high, min(len(out) + 16, _BLOCK)):
        taken = block[: len(out) - done]
        out[done : done + len(taken)] = taken
        done += len(taken)
        if done == len(out):
            break
    return out


def _gaussian_fill(draws: _Draws, shape: Sequence[int], args: Mapping[str, Any]) -> np.ndarray:
    mean, deviation = _number(args, "mean", 0.0), _number(args, "std", 1.0)
    if not deviation > 0:
        raise LoweringError(f"its std is to be positive, not {deviation}")
    return _normal(draws, math.prod(shape), mean, deviation)


def _xavier_fill(draws: _Draws, shape: Sequence[int], args: Mapping[str, Any]) -> np.ndarray:
    """Uniform, as wide as the elements of one entry of axis 0 ask for."""
    scale = _scale(3, shape, 0)
    return _uniform(draws, math.prod(shape), -scale, scale)


def _msra_fill(draws: _Draws, shape: Sequence[int], args: Mapping[str, Any]) -> np.ndarray:
    """Normal, as wide as the elements of one entry of axis 1 ask for."""
    return _normal(draws, math.prod(shape), np.float32(0), _scale(2, shape, 1))


def _scale(number: float, shape: Sequence[int], axis: int) -> np.float32:
    """The root of `number` by how many elements there are for an index along `axis`."""
    if len(shape) <= axis or not math.prod(shape):
        raise LoweringError(f"a tensor of the shape {list(shape)} cannot be filled so")
    fan = math.prod(shape) // shape[axis]
    return np.float32(np.sqrt(np.float32(number) / np.float32(fan)))


#: The operators that draw random numbers, and what makes their elements.
RANDOM_FILLS: Mapping[str, Callable[[_Draws, Sequence[int], Mapping[str, Any]], np.ndarray]] = {
    "UniformFill": _uniform_fill,
    "Float16UniformFill": _float16_uniform_fill,
    "UniformIntFill": _uniform_int_fill,
    "UniqueUniformFill": lambda draws, shape, args: _unique(draws, math.prod(shape), args, ()),
    "GaussianFill": _gaussian_fill,
    "XavierFill": _xavier_fill,
    "MSRAFill": _msra_fill,
}

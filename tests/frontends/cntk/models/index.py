"""Indices: those that are asked for, and those that are found."""

import cntk
import numpy as np

LENGTHS = 3, 1, 5


def _random(*shape):
    return np.random.standard_normal(shape).astype(np.float32)


def _indices(bound, *shape):
    return np.random.randint(0, bound, shape).astype(np.float32)


def gathered_by_samples():
    x = cntk.input_variable((2, 3), name="x")
    weight = cntk.Parameter(init=_random(7, 4, 2))
    parts = [cntk.gather(weight, x), cntk.gather(weight, x, axis=1), cntk.gather(weight, x + 0.9, axis=-1)]
    return cntk.combine(parts), [{"x": _indices(2, n, 2, 3)} for n in (3, 1)]


def gathered_by_steps():
    x = cntk.sequence.input_variable((), name="x")
    return cntk.gather(cntk.Constant(_random(7, 4)), x), {"x": [_indices(7, n) for n in LENGTHS]}


def gathered_from_an_input():
    x = cntk.input_variable((2, 3), name="x", dynamic_axes=[])
    y = cntk.input_variable((5, 4), name="y", dynamic_axes=[])
    return cntk.combine([cntk.gather(y, x), cntk.gather(y, x, axis=1)]), {"x": _indices(4, 2, 3), "y": _random(5, 4)}


def classes_on_each_axis():
    x = cntk.input_variable((2, 3), name="x")
    ways = [cntk.one_hot(x, 4), cntk.one_hot(x, 4, axis=0), cntk.one_hot(x, 4, axis=1), cntk.one_hot(x, 5, axis=-2)]
    return cntk.combine(ways), {"x": _indices(4, 3, 2, 3)}


def classes_that_there_are_not():
    x = cntk.input_variable(6, name="x")
    return cntk.one_hot(x, 3), {"x": np.array([[0, 1.7, -1, 5, -0.5, 2.5]], np.float32)}


def classes_of_steps():
    x = cntk.sequence.input_variable((), name="x")
    weight = cntk.Parameter(init=_random(6, 4))
    return cntk.times(cntk.one_hot(x, 6, True), weight), {"x": [_indices(6, n) for n in LENGTHS]}


def largest_of_each_axis():
    x = cntk.input_variable((4, 5, 6), name="x")
    parts = [output for axis, k in ((-1, 6), (0, 2), (1, 1)) for output in cntk.top_k(x, k, axis).outputs]
    return cntk.combine(parts), {"x": _random(2, 4, 5, 6)}


def first_of_equal_ones():
    x = cntk.sequence.input_variable(9, name="x")
    return cntk.combine(cntk.top_k(x, 1).outputs), {"x": [_indices(2, n, 9) for n in LENGTHS]}


def gathered_from_a_constant_in_float_by_double():
    x = cntk.input_variable((2, 3), name="x", dtype=np.float64)
    return cntk.gather(cntk.Constant(_random(4, 2)), x), {"x": _indices(4, 3, 2, 3).astype(np.float64)}

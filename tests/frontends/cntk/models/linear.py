"""Products."""

import cntk
import numpy as np


def _random(*shape):
    return np.random.standard_normal(shape).astype(np.float32)


def times_of_samples_and_a_matrix():
    x = cntk.input_variable((2, 3), name="x")
    f = cntk.times(x, cntk.Parameter(init=_random(3, 4)))
    return f, [{"x": _random(n, 2, 3)} for n in (3, 1)]


def times_of_two_sequences():
    x, y = cntk.sequence.input_variable((2, 3), name="x"), cntk.sequence.input_variable((3, 4), name="y")
    lengths = 3, 1, 5
    return cntk.times(x, y), {"x": [_random(n, 2, 3) for n in lengths], "y": [_random(n, 3, 4) for n in lengths]}


def transposed_right_operand():
    x = cntk.sequence.input_variable(3, name="x")
    return cntk.times_transpose(x, cntk.Parameter(init=_random(4, 3))), {"x": [_random(n, 3) for n in (1, 4)]}


def products_of_double():
    x = cntk.input_variable(3, name="x", dtype=np.float64)
    return cntk.times(x, cntk.Constant(np.random.standard_normal((3, 2)))), {"x": np.random.standard_normal((5, 3))}

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


def times_of_a_scaled_vector_without_a_batch():
    u = cntk.input_variable(3, name="u", dynamic_axes=[])
    x = cntk.input_variable(4, name="x")
    return cntk.times(u * _random(3), cntk.Parameter(init=_random(3, 4))) + x, {"u": _random(3), "x": _random(2, 4)}


def products_of_double():
    x = cntk.input_variable(3, name="x", dtype=np.float64)
    return cntk.times(x, cntk.Constant(np.random.standard_normal((3, 2)))), {"x": np.random.standard_normal((5, 3))}


def tensors_by_a_matrix_for_all():
    x = cntk.sequence.input_variable((4, 2, 3), name="x")
    y = cntk.sequence.input_variable(3, name="y")
    left = [cntk.times(x, cntk.Parameter(init=_random(3, 5))), cntk.times(y, cntk.Parameter(init=_random(3, 6)))]
    return cntk.combine(left), {"x": [_random(n, 4, 2, 3) for n in (1, 3)], "y": [_random(n, 3) for n in (1, 3)]}


def products_over_several_axes():
    x = cntk.input_variable((4, 2, 3), name="x")
    y = cntk.input_variable((2, 3), name="y")
    sums = [
        cntk.times(x, cntk.Parameter(init=_random(2, 3, 5))),
        cntk.times(x, cntk.Parameter(init=_random(3, 5, 6)), 2),
        cntk.times(y, cntk.Parameter(init=_random(2, 3, 5, 2)), 2),
    ]
    return cntk.combine(sums), [{"x": _random(n, 4, 2, 3), "y": _random(n, 2, 3)} for n in (3, 1)]


def products_of_vectors_and_numbers():
    x = cntk.input_variable(3, name="x")
    y = cntk.input_variable((3, 2), name="y")
    products = [cntk.times(x, y), cntk.times_transpose(x, x), cntk.times(x, x * 2)]
    return cntk.combine(products), [{"x": _random(n, 3), "y": _random(n, 3, 2)} for n in (3, 1)]


def products_over_a_free_axis():
    x = cntk.input_variable((cntk.FreeDimension, 4), name="x")
    products = [
        cntk.times_transpose(x, x),
        cntk.times(cntk.transpose(x, (1, 0)), x),
        cntk.times(x, cntk.Parameter(init=_random(4, 5, 2)), 2),
    ]
    return cntk.combine(products), [{"x": _random(2, n, 4)} for n in (3, 1)]


def products_with_all_steps():
    x = cntk.sequence.input_variable(4, name="x")
    steps = cntk.sequence.unpack(x, 0, True)
    scores = cntk.times_transpose(x, cntk.sequence.broadcast_as(steps, x))
    return cntk.combine([scores, cntk.times_transpose(steps, steps)]), {"x": [_random(n, 4) for n in (3, 1, 5)]}


def products_in_a_recurrence():
    x = cntk.sequence.input_variable((2, 3), name="x")
    h = cntk.placeholder()
    before = cntk.sequence.past_value(h, cntk.Constant(_random(2, 3)))
    state = cntk.tanh(cntk.times(before, cntk.Constant(_random(2, 3, 2, 3)), 2) + x)
    return state.replace_placeholders({h: state}), {"x": [_random(n, 2, 3) for n in (3, 1, 5)]}

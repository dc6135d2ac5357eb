"""Blocks that ONNX has operators for, and some that only look like them."""

import cntk
import numpy as np


def _with(function, dtype=np.float32):
    x = cntk.sequence.input_variable((2, 3), name="x", dtype=dtype)
    return function(x), {"x": [3 * np.random.standard_normal((n, 2, 3)).astype(dtype) for n in (4, 1)]}


def softmax():
    return _with(lambda x: cntk.softmax(x, 0))


def log_softmax():
    return _with(lambda x: cntk.log_softmax(x, 1))


def elu():
    return _with(lambda x: cntk.elu(x, 0.3))


def selu():
    return _with(cntk.selu)


def leaky_relu():
    return _with(lambda x: cntk.leaky_relu(x, 0.3))


def parametric_relu():
    return _with(lambda x: cntk.param_relu(cntk.Parameter(init=np.array([0.1, -2, 3], np.float32)), x))


def hard_sigmoid():
    return _with(lambda x: cntk.hard_sigmoid(x, 0.3, 0.4))


def softplus():
    return _with(cntk.softplus)


def ceil():
    return _with(cntk.ceil)


def larger():
    return _with(lambda x: cntk.element_max(x, np.array([[0.5, -1, 0]], np.float32)))


def smaller():
    return _with(lambda x: cntk.element_min(x, np.array([[0.5, -1, 0]], np.float32)))


def clip():
    return _with(lambda x: cntk.clip(x, -0.5, 2))


def softsign():
    return _with(cntk.softsign)


def mean_variance_normalization():
    return _with(cntk.mean_variance_normalization)


def elu_of_double():
    return _with(lambda x: cntk.elu(x, 0.3), np.float64)


def other_threshold():
    return _with(lambda x: cntk.element_select(cntk.less(x, 1), 0.5 * x, x))


def another_sum():
    return _with(
        lambda x: cntk.exp(x - cntk.reduce_max(x, 1)) / cntk.reduce_sum(cntk.exp(x - cntk.reduce_max(x, 0)), 1)
    )


def quotient_by_zero():
    return _with(lambda x: x / cntk.floor(x))


def root_of_negative_numbers():
    return _with(lambda x: cntk.sqrt(x + 1))


def activations_in_a_recurrence():
    x = cntk.sequence.input_variable(2, name="x")
    state = cntk.placeholder(shape=(2,))
    step = cntk.softmax(cntk.leaky_relu(x + cntk.sequence.past_value(state)) * x, 0)
    function = step.replace_placeholders({state: step})
    return function, {"x": [np.random.standard_normal((n, 2)).astype(np.float32) for n in (3, 5)]}


def _standardised(axes, around=lambda x, mean: mean, epsilon=1e-3):
    x = cntk.input_variable((3, cntk.FreeDimension, 4), name="x")
    mean = cntk.reduce_mean(x, axis=axes)
    variance = cntk.reduce_mean(cntk.square(x - around(x, mean)), axis=axes)
    inputs = [{"x": 3 * np.random.standard_normal((n, 3, 5, 4)).astype(np.float32) + 1} for n in (3, 1)]
    return (x - mean) / cntk.sqrt(variance + epsilon), inputs


def _weight(*dims):
    return cntk.parameter(init=np.random.standard_normal(dims).astype(np.float32))


def instance_normalization():
    return _standardised((1, 2))


def instance_normalization_with_weights():
    normal, inputs = _standardised((1, 2))
    return _weight(3, 1, 1) + normal * _weight(3, 1, 1), inputs


def instance_normalization_with_other_weights():
    normal, inputs = _standardised((1, 2))
    return normal * _weight(3, 1, 4) + _weight(1), inputs


def instance_normalization_axis_by_axis():
    x = cntk.input_variable((3, 4, 5), name="x")
    mean = cntk.reduce_mean(cntk.reduce_mean(x, axis=1), axis=2)
    variance = cntk.reduce_mean(cntk.reduce_mean(cntk.square(x - mean), axis=2), axis=1)
    normal = (x - mean) / cntk.pow(variance + 1e-3, 0.5)
    return normal, {"x": 3 * np.random.standard_normal((3, 3, 4, 5)).astype(np.float32) + 1}


def _unit(function, shape=(4, 2)):
    x = cntk.input_variable(shape, name="x")
    rows = np.random.standard_normal((4,) + shape).astype(np.float32)
    rows[1], rows[2] = 0, 1e-15 * rows[2]
    return function(x), {"x": rows}


def unit_vectors():
    return _unit(lambda x: x / cntk.sqrt(cntk.reduce_sum(cntk.square(x), axis=0)))


def unit_vectors_of_all_elements():
    return _unit(lambda x: x / cntk.pow(cntk.reduce_sum(x * x), 0.5))


def unit_vectors_by_others():
    return _unit(lambda x: x / cntk.sqrt(cntk.reduce_sum(cntk.square(x - 1), axis=0)))


def standardised_along_other_axes():
    return _standardised((0, 1))


def standardised_by_another_spread():
    return _standardised((1, 2), lambda x, mean: cntk.reduce_max(x, axis=(1, 2)))


def _of_steps(function, *shape):
    x = cntk.sequence.input_variable(shape, name="x")
    return function(x), [{"x": [20 * np.random.standard_normal((n, *shape)).astype(np.float32) for n in (4, 1, 3)]}]


def softmax_of_steps():
    return _of_steps(cntk.sequence.softmax)


def softmax_of_steps_of_matrices():
    return _of_steps(cntk.sequence.softmax, 2, 3)


def sum_of_steps():
    return _of_steps(cntk.sequence.reduce_sum, 2, 3)


def largest_of_steps():
    return _of_steps(cntk.sequence.reduce_max, 2)


def largest_of_steps_and_zero():
    return _of_steps(lambda x: cntk.reduce_max(cntk.sequence.unpack(x - 50, 0, no_mask_output=True), axis=0), 2)


def sum_of_steps_in_their_place():
    return _of_steps(lambda x: cntk.reduce_sum(cntk.sequence.unpack(x, 0, no_mask_output=True), axis=(0, 1)), 2)


def softmax_of_other_steps():
    def softmax(x):
        less = cntk.exp(x - cntk.sequence.broadcast_as(cntk.sequence.reduce_max(0.5 * x), x))
        return less / cntk.sequence.broadcast_as(cntk.sequence.reduce_sum(less), x)

    return _of_steps(softmax, 2)


def softmax_by_another_sum():
    def softmax(x):
        less = cntk.exp(x - cntk.sequence.broadcast_as(cntk.sequence.reduce_max(x), x))
        return less / cntk.sequence.broadcast_as(cntk.sequence.reduce_sum(0.5 * less), x)

    return _of_steps(softmax, 2)

"""Functions of each element, where they are bounded and where they are not defined."""

import cntk
import numpy as np

UNARY = """
abs acos asin asinh atan atanh ceil cos cosh elu exp floor leaky_relu log negate reciprocal relu round selu sigmoid sin
sinh softplus softsign sqrt square straight_through_impl tan tanh element_not
""".split()  # noqa: SIM905
BINARY = """
element_divide element_max element_min equal greater greater_equal less less_equal log_add_exp minus not_equal plus pow
element_times element_and element_or element_xor
""".split()  # noqa: SIM905
NUMBERS = [-1000, -3, -2.5, -1, -0.5, -1e-3, 0, 1e-38, 1e-3, 0.4999, 0.5, 1, 1.5, 2.5, 20, 1000, -np.inf, np.inf]


def _unary(dtype, numbers):
    x = cntk.input_variable((), name="x", dtype=dtype)
    return cntk.combine([getattr(cntk, name)(x) for name in UNARY]), {"x": np.array(numbers, dtype)}


def unary_in_float():
    return _unary(np.float32, [x for x in NUMBERS if np.isfinite(x)])


def unary_in_double():
    return _unary(np.float64, [x for x in NUMBERS if abs(x) < 500])


def logarithms_and_roots_in_half():
    x = cntk.input_variable((), name="x", dtype=np.float16)
    functions = cntk.log, cntk.sqrt, cntk.relu, cntk.straight_through_impl
    return cntk.combine([f(x) for f in functions]), {"x": np.array([-2, -0.5, 0, 0.25, 4], np.float16)}


def _binary(dtype, numbers):
    x, y = (cntk.input_variable((), name=name, dtype=dtype) for name in "xy")
    a, b = np.meshgrid(np.array(numbers, dtype), np.array(numbers, dtype))
    return cntk.combine([getattr(cntk, name)(x, y) for name in BINARY]), {"x": a.ravel(), "y": b.ravel()}


def binary_in_float():
    return _binary(np.float32, [-4, -1, -0.5, 0, 0.5, 1, 3])


def binary_in_double():
    return _binary(np.float64, [-4, -1, -0.5, 0, 0.5, 1, 3])


def sums_of_exponentials_with_infinite_exponents():
    x, y = (cntk.input_variable((), name=name) for name in "xy")
    numbers = np.array([-np.inf, -1e10, -90, 0, 90, 1e10], np.float32)
    a, b = np.meshgrid(numbers, numbers)
    f = cntk.combine([cntk.log_add_exp(x, y), cntk.log_add_exp(x, 0), cntk.softplus(x, 3)])
    return f, {"x": a.ravel()[1:], "y": b.ravel()[1:]}


def constants_in_float_next_to_double():
    x = cntk.input_variable(3, name="x", dtype=np.float64)
    return cntk.combine([cntk.clip(x, -1, 1), cntk.round(x)]), {"x": np.array([[-2.5, -0.5, 0.5], [1.5, 0.2, 7]])}


def parameters_of_activations():
    x = cntk.sequence.input_variable(3, name="x")
    functions = [
        cntk.elu(x, 0.3),
        cntk.selu(x, 2.0, 0.3),
        cntk.leaky_relu(x, 0.3),
        cntk.param_relu(cntk.Parameter(init=np.array([0.1, 2, -1], np.float32)), x),
        cntk.hard_sigmoid(x, 0.2, 0.5),
        cntk.softsign(x, 3),
        cntk.dropout(x, 0.9),
    ]
    return cntk.combine(functions), {"x": [4 * np.random.standard_normal((n, 3)).astype(np.float32) for n in (2, 5)]}


def assignments():
    p = cntk.Parameter(init=np.array([5, 6, 7], np.float32))
    return cntk.assign(p, cntk.Constant(np.array([1, 2, 3], np.float32))) * 2, {}

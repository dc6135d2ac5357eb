"""Reductions, and what is normalised over samples."""

import cntk
import numpy as np

BATCH, ALL = cntk.Axis.default_batch_axis(), cntk.Axis.all_axes()
REDUCTIONS = [
    cntk.reduce_sum,
    cntk.reduce_mean,
    cntk.reduce_max,
    cntk.reduce_min,
    cntk.reduce_prod,
    cntk.reduce_log_sum_exp,
]


def _random(*shape):
    return np.random.standard_normal(shape).astype(np.float32)


def _sequences(*shape):
    return [_random(length, *shape) for length in (3, 1, 4)]


def _with_ties(*shape):
    return np.random.randint(3, size=shape).astype(np.float32)


def over_static_axes():
    x = cntk.sequence.input_variable((2, 3, 4), name="x")
    return cntk.combine([f(x, a) for f in REDUCTIONS for a in (0, -1, (0, 2), None)]), {"x": _sequences(2, 3, 4)}


def over_the_batch():
    x = cntk.input_variable((2, 3), name="x")
    return cntk.combine([f(x, a) for f in REDUCTIONS for a in (BATCH, (BATCH, 1))]), [
        {"x": _random(n, 2, 3)} for n in (4, 2)
    ]


def over_all_there_is():
    x, y = cntk.input_variable((2, 3), name="x"), cntk.sequence.input_variable((), name="y")
    return cntk.combine([f(v, ALL) for f in REDUCTIONS for v in (x, y)]), {"x": _random(3, 2, 3), "y": _sequences()}


def less_the_mean_of_all_steps():
    x = cntk.sequence.input_variable(2, name="x")
    return x - cntk.reduce_mean(x, ALL), {"x": _sequences(2)}


def over_free_axes():
    x = cntk.input_variable((cntk.FreeDimension, 3), name="x")
    f = cntk.combine([cntk.reduce_mean(x, 0), cntk.reduce_mean(x, ALL), cntk.softmax(x)])
    return f, [{"x": _random(2, n, 3)} for n in (5, 2)]


def positions_of_the_first_among_equals():
    x = cntk.input_variable((3, 4), name="x")
    return cntk.combine([f(x, a) for f in (cntk.argmax, cntk.argmin) for a in (0, 1, None)]), {"x": _with_ties(5, 3, 4)}


def of_a_number():
    x = cntk.input_variable((), name="x")
    return cntk.combine([cntk.reduce_sum(x), cntk.argmax(x), cntk.softmax(x), cntk.hardmax(x)]), {"x": _random(3)}


def softmax_of_samples():
    x = cntk.sequence.input_variable((2, 3), name="x")
    f = cntk.combine([cntk.softmax(x), cntk.softmax(x, 0), cntk.log_softmax(x), cntk.sequence.softmax(x)])
    return f, {"x": _sequences(2, 3)}


def softmax_of_what_has_no_samples():
    """Is along the last axis."""
    x = cntk.input_variable((2, 3), name="x")
    total = cntk.reduce_sum(x, BATCH)
    p = cntk.Parameter(init=_random(2, 3))
    return cntk.combine([f(v) for f in (cntk.softmax, cntk.hardmax) for v in (total, p)]), {"x": _random(4, 2, 3)}


def hardmax_of_ties():
    x = cntk.input_variable((2, 3), name="x")
    y = cntk.cast(x + 0.125, np.float64)
    return cntk.combine([cntk.hardmax(x), cntk.hardmax(y)]), {"x": _with_ties(6, 2, 3)}


def in_double():
    x = cntk.input_variable((2, 3), name="x", dtype=np.float64)
    f = cntk.combine([f(x, 0) for f in REDUCTIONS] + [cntk.argmax(x, 0), cntk.softmax(x)])
    return f, {"x": np.random.standard_normal((4, 2, 3))}


def a_batch_that_the_model_makes():
    """Of one sequence; its length is that of a free axis."""
    x = cntk.input_variable((cntk.FreeDimension, 1, 3), dynamic_axes=[], name="x")
    steps = cntk.to_sequence(cntk.to_batch(cntk.swapaxes(x, 0, 1)))
    y = cntk.sequence.unpack(cntk.sequence.softmax(steps), 0, no_mask_output=True)
    return cntk.reshape(cntk.unpack_batch(y), (cntk.FreeDimension, 3)), [{"x": _random(n, 1, 3)} for n in (4, 2)]

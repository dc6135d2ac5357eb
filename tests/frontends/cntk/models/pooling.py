"""Pooling and unpooling."""

import cntk
import numpy as np
from cntk import AVG_POOLING, MAX_POOLING, MAX_UNPOOLING


def _random(*shape):
    return np.random.standard_normal(shape).astype(np.float32)


def _both(x, window, strides, **options):
    return cntk.combine([cntk.pooling(x, kind, window, strides, **options) for kind in (MAX_POOLING, AVG_POOLING)])


def plain():
    x = cntk.input_variable((2, 6, 7), name="x")
    return _both(x, (2, 3), (2, 2)), [{"x": _random(n, 2, 6, 7)} for n in (3, 1)]


def centered():
    x = cntk.input_variable((2, 6, 7), name="x")
    return _both(x, (4, 3), (2, 2), auto_padding=[True]), {"x": _random(3, 2, 6, 7)}


def centered_with_steps_beyond_the_window():
    x = cntk.input_variable((2, 10, 7), name="x")
    return _both(x, (2, 3), (5, 3), auto_padding=[True, False]), {"x": _random(3, 2, 10, 7)}


def padding_included():
    x = cntk.input_variable((2, 5, 7), name="x")
    options = [{"auto_padding": [True], "include_pad": True}, {"ceil_out_dim": True, "include_pad": True}]
    return cntk.combine([cntk.pooling(x, AVG_POOLING, (3, 2), (2, 2), **o) for o in options]), {
        "x": _random(2, 2, 5, 7)
    }


def last_window_beyond_the_end():
    x = cntk.input_variable((2, 8, 7), name="x")
    return _both(x, (3, 2), (2, 2), ceil_out_dim=True), {"x": _random(2, 2, 8, 7)}


def free_sizes():
    x = cntk.input_variable((2, cntk.FreeDimension, cntk.FreeDimension), name="x")
    centered = _both(x, (3, 2), (4, 3), auto_padding=[True])
    included = cntk.pooling(x, AVG_POOLING, (3, 2), (4, 3), auto_padding=[True], include_pad=True)
    ceil = _both(x, (3, 2), (2, 2), ceil_out_dim=True)
    return cntk.combine([centered, included, ceil]), {"x": _random(2, 2, 10, 8)}


def global_window():
    x = cntk.input_variable((3, 4, 5), name="x")
    return _both(x, (4, 5), (1,)), {"x": _random(2, 3, 4, 5)}


def channels_and_three_axes_of_space():
    x = cntk.input_variable((4, 5, 3, 6), name="x")
    return _both(x, (3, 2, 2, 4), (2, 1, 2, 2), auto_padding=[False, True, False, True]), {"x": _random(2, 4, 5, 3, 6)}


def one_axis_of_sequences():
    x = cntk.sequence.input_variable((2, 7), name="x")
    return _both(x, (3,), (2,), auto_padding=[True]), {"x": [_random(n, 2, 7) for n in (1, 3)]}


def of_double():
    x = cntk.input_variable((2, 5, 4), name="x", dtype=np.float64)
    functions = [_both(x, (2, 3), (1, 2)), _both(x, (5, 4), (1,))]
    return cntk.combine(functions), {"x": np.random.standard_normal((2, 2, 5, 4))}


def unpooled():
    x = cntk.input_variable((2, 5, 6), name="x")
    pooled = cntk.pooling(x, MAX_POOLING, (3, 2), (2, 2), auto_padding=[True])
    # What overlapping windows find at one place comes from the last of them; of equal elements the first one is found.
    f = cntk.unpooling(pooled * 2 + 1, x, MAX_UNPOOLING, (3, 2), (2, 2), auto_padding=[True])
    return f, {"x": np.round(_random(3, 2, 5, 6))}


def unpooled_to_free_sizes():
    x = cntk.input_variable((2, cntk.FreeDimension, cntk.FreeDimension), name="x")
    pooled = cntk.pooling(x, MAX_POOLING, (2, 2), (3, 4), auto_padding=[True])
    return cntk.unpooling(pooled + 1, x, MAX_UNPOOLING, (2, 2), (3, 4), auto_padding=[True]), {
        "x": _random(3, 2, 9, 10)
    }


def unpooled_double_of_sequences():
    x = cntk.sequence.input_variable((2, 5), name="x", dtype=np.float64)
    pooled = cntk.pooling(x, MAX_POOLING, (2,), (2,))
    f = cntk.unpooling(pooled, x, MAX_UNPOOLING, (2,), (2,))
    return f, {"x": [np.random.standard_normal((n, 2, 5)) for n in (3, 1)]}


def unpooled_where_pooling_was():
    x = cntk.input_variable((2, 6, 4), name="x")
    pooled = cntk.pooling(x, MAX_POOLING, (2, 2), (2, 2))
    return cntk.unpooling(cntk.tanh(pooled), x, MAX_UNPOOLING, (2, 2), (2, 2)), {"x": _random(3, 2, 6, 4)}


def put_back_where_others_look_too():
    x = cntk.input_variable((1, 4), name="x")
    pooled = cntk.pooling(x, MAX_POOLING, (3,), (3,), auto_padding=[True])
    back = cntk.unpooling(pooled, x, MAX_UNPOOLING, (3,), (3,), auto_padding=[True])
    return cntk.combine([cntk.splice(x, x, axis=-2), back]), {"x": _random(3, 1, 4)}

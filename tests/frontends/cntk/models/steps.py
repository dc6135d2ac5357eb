"""Networks of convolutions on each step of sequences."""

import cntk
import numpy as np


def _random(*shape):
    return np.random.standard_normal(shape).astype(np.float32)


def _layer(x, channels):
    kernel, bias = (
        cntk.Parameter(init=_random(channels, x.shape[0], 3, 3)),
        cntk.Parameter(init=_random(channels, 1, 1)),
    )
    statistics = [cntk.Parameter(init=np.abs(_random(channels))) for _ in range(4)]
    y = cntk.convolution(kernel, x, auto_padding=[False, True, True]) + bias
    return cntk.batch_normalization(y, *statistics, spatial=True, use_cudnn_engine=False)


def _steps(*shape):
    return {"x": [_random(n, *shape) for n in (2, 4, 1)]}


def layers():
    x = cntk.sequence.input_variable((2, 8, 7), name="x")
    y = cntk.pooling(cntk.relu(_layer(x, 4)), cntk.MAX_POOLING, (2, 2), (2, 2))
    return cntk.pooling(cntk.tanh(_layer(y, 3)), cntk.AVG_POOLING, (3, 2)), _steps(2, 8, 7)


def layers_that_are_passed_by():
    x = cntk.sequence.input_variable((3, 4, 5), name="x")
    y = cntk.relu(_layer(x, 3))
    return cntk.relu(_layer(y, 3) + y) * x, _steps(3, 4, 5)


def steps_by_what_is_of_the_whole_sequence():
    x = cntk.sequence.input_variable((2, 3, 4), name="x")
    weight = cntk.input_variable((2, 3, 4), name="weight")
    y = cntk.relu(_layer(x, 2)) * cntk.sequence.broadcast_as(weight, x)
    return cntk.sequence.reduce_sum(y) - weight, dict(_steps(2, 3, 4), weight=_random(3, 2, 3, 4))


def layers_before_dense_ones():
    x = cntk.sequence.input_variable((2, 4, 5), name="x")
    y = cntk.layers.Dense(6, activation=cntk.tanh, init_bias=0.3)(cntk.relu(_layer(x, 3)))
    return cntk.layers.Dense(4)(y), _steps(2, 4, 5)

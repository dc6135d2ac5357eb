"""Convolutions."""

import cntk
import numpy as np


def _random(*shape):
    return np.random.standard_normal(shape).astype(np.float32)


def _kernel(*shape):
    return cntk.Parameter(init=_random(*shape))


def _samples(*shape):
    return {"x": _random(3, *shape)}


def plain():
    x = cntk.input_variable((3, 7, 8), name="x")
    return cntk.convolution(_kernel(4, 3, 3, 2), x, auto_padding=[False]), [
        _samples(3, 7, 8),
        {"x": _random(1, 3, 7, 8)},
    ]


def centered_with_even_window():
    x = cntk.input_variable((2, 7, 8), name="x")
    return cntk.convolution(_kernel(4, 2, 4, 3), x, strides=(2, 1, 2), auto_padding=[False, True, True]), _samples(
        2, 7, 8
    )


def centered_with_steps_beyond_the_window():
    x = cntk.input_variable((2, 9, 8), name="x")  # cuts off the first rows
    return cntk.convolution(_kernel(4, 2, 2, 2), x, strides=(2, 5, 3), auto_padding=[False, True, True]), _samples(
        2, 9, 8
    )


def free_sizes():
    x = cntk.input_variable((2, cntk.FreeDimension, cntk.FreeDimension), name="x")
    f = cntk.convolution(_kernel(4, 2, 2, 3), x, strides=(2, 3, 4), auto_padding=[False, True, True])
    return f, {"x": _random(2, 2, 9, 10)}


def free_sizes_in_steps_of_two():
    x = cntk.input_variable((2, cntk.FreeDimension, cntk.FreeDimension), name="x")
    f = cntk.convolution(_kernel(4, 2, 4, 3), x, strides=(2, 2, 1), auto_padding=[False, True, True])
    return f, {"x": _random(2, 2, 9, 10)}


def one_and_three_axes_of_space():
    x, y = cntk.input_variable((2, 6), name="x"), cntk.input_variable((1, 4, 5, 6), name="y")
    f = cntk.convolution(_kernel(3, 2, 3), x, auto_padding=[False, True])
    g = cntk.convolution(_kernel(2, 1, 2, 3, 2), y, auto_padding=[False, True, False, True])
    return cntk.combine([f, g]), {"x": _random(2, 2, 6), "y": _random(2, 1, 4, 5, 6)}


def depthwise():
    x = cntk.input_variable((4, 6, 5), name="x")
    return cntk.convolution(_kernel(8, 1, 3, 3), x, auto_padding=[False, True, True], groups=4), _samples(4, 6, 5)


def along_the_channels_too():
    x = cntk.input_variable((2, 5, 6), name="x")
    return cntk.convolution(_kernel(2, 3, 3), x, auto_padding=[True]), _samples(2, 5, 6)


def one_kernel_for_the_one_place():
    x = cntk.input_variable((2, 3, 4), name="x")
    return cntk.convolution(_kernel(3, 2, 3, 4), x, auto_padding=[False], sharing=[False]), _samples(2, 3, 4)


def each_step_of_sequences():
    x = cntk.sequence.input_variable((2, 5, 4), name="x")
    f = cntk.convolution(_kernel(3, 2, 3, 2), x, auto_padding=[False, True, True])
    return f, {"x": [_random(n, 2, 5, 4) for n in (2, 1, 4)]}


def of_double():
    x = cntk.input_variable((2, 5, 5), name="x", dtype=np.float64)
    kernel = cntk.Parameter(init=np.random.standard_normal((3, 2, 3, 3)), dtype=np.float64)
    return cntk.convolution(kernel, x, auto_padding=[False, True, True]), {"x": np.random.standard_normal((2, 2, 5, 5))}


def over_time():
    x = cntk.sequence.input_variable((2, 5), name="x")
    f = cntk.convolution(_kernel(3, 2, 3, 2), x, strides=(4, 1), auto_padding=[False, True, False], sequential=True)
    return f, [{"x": [_random(n, 2, 5) for n in lengths]} for lengths in ((6, 3, 9), (4, 5))]


def over_time_within_sequences():
    x = cntk.sequence.input_variable(2, name="x")
    f = cntk.convolution(_kernel(3, 2, 3), x, strides=(2,), auto_padding=[False, False], sequential=True)
    return f, {"x": [_random(n, 2) for n in (6, 3, 9)]}


def transposed():
    x = cntk.input_variable((2, 4, 5), name="x")
    return cntk.convolution_transpose(_kernel(2, 3, 4, 3), x, strides=(2, 2, 3), auto_padding=[False]), _samples(
        2, 4, 5
    )


def transposed_and_cropped():
    x = cntk.input_variable((2, 4, 5), name="x")
    f = cntk.convolution_transpose(_kernel(2, 3, 4, 3), x, strides=(2, 2, 3), auto_padding=[False, True, True])
    return f, _samples(2, 4, 5)


def transposed_to_a_size():
    x = cntk.input_variable((2, 4, 5), name="x")
    f = cntk.convolution_transpose(
        _kernel(2, 3, 2, 4), x, strides=(2, 3, 4), auto_padding=[False, True, False], output_shape=(3, 12, 22)
    )
    return f, _samples(2, 4, 5)


def transposed_of_free_sizes_and_sequences():
    x = cntk.input_variable((2, cntk.FreeDimension), name="x")
    y = cntk.sequence.input_variable((2, 4), name="y")
    f, g = (
        cntk.convolution_transpose(_kernel(2, 3, 4), each, strides=(2, 3), auto_padding=[False, True])
        for each in (x, y)
    )
    return cntk.combine([f, g]), {"x": _random(3, 2, 5), "y": [_random(n, 2, 4) for n in (2, 3)]}

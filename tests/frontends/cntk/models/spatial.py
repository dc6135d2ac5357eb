"""Padding, cropping, regions, and batch normalization."""

import cntk
import numpy as np


def _random(*shape):
    return np.random.standard_normal(shape).astype(np.float32)


def padded():
    x = cntk.sequence.input_variable((3, 4), name="x")
    patterns = [(1, 2), (3, 0)]
    modes = cntk.ops.CONSTANT_PAD, cntk.ops.REFLECT_PAD, cntk.ops.SYMMETRIC_PAD
    return cntk.combine([cntk.pad(x, patterns, mode=mode, constant_value=1.5) for mode in modes]), {
        "x": [_random(n, 3, 4) for n in (1, 3)]
    }


def padded_free_size():
    x = cntk.input_variable((cntk.FreeDimension, 3), name="x")
    modes = cntk.ops.CONSTANT_PAD, cntk.ops.REFLECT_PAD, cntk.ops.SYMMETRIC_PAD
    return cntk.combine([cntk.pad(x, [(3, 1), (0, 2)], mode=mode) for mode in modes]), {"x": _random(2, 4, 3)}


def cropped():
    x, y = cntk.input_variable((2, 5, 6), name="x"), cntk.input_variable((1, 3, 2), name="y")
    return cntk.crop_manual(x, y, 3, 1), {"x": _random(2, 2, 5, 6), "y": _random(2, 1, 3, 2)}


def _half(x, *, centered):
    kernel = cntk.Parameter(init=_random(1, 1, 3, 3))
    return cntk.convolution(kernel, x, strides=(1, 2, 2), auto_padding=[False, centered, centered])


def cropped_by_common_ancestor():
    x = cntk.input_variable((1, 9, 11), name="x")
    down = cntk.relu(_half(cntk.pooling(x, cntk.MAX_POOLING, (3, 2), (1, 1)), centered=False))
    up = cntk.convolution_transpose(cntk.Parameter(init=_random(1, 1, 2, 4)), down, (1, 2, 2), auto_padding=[False])
    return cntk.crop_automatic(x, up), {"x": _random(2, 1, 9, 11)}


def cropped_by_two_ancestors():
    x, y = cntk.input_variable((1, 9, 11), name="x"), cntk.input_variable((1, 9, 11), name="y")
    down = _half(y, centered=True)
    up = cntk.convolution_transpose(cntk.Parameter(init=_random(1, 1, 4, 4)), down, (1, 2, 2), auto_padding=[False])
    f = cntk.crop_automatic_with_ancestors(up, cntk.pooling(x, cntk.AVG_POOLING, (3, 3)), y, x)
    return f, {"x": _random(2, 1, 9, 11), "y": _random(2, 1, 9, 11)}


def regions():
    x, rois = cntk.input_variable((2, 7, 9), name="x"), cntk.input_variable((3, 4), name="rois")
    boxes = [[[1, 2, 10, 9], [0, 0, 17, 13], [5.1, 7.4, 5.9, 7.8]], [[3, 1, 22, 6], [2, 2, 3, 3], [0, 4, 4, 20]]]
    f = cntk.roipooling(x, rois, cntk.MAX_POOLING, (2, 3), 0.5)
    return f, {"x": _random(2, 2, 7, 9), "rois": np.array(boxes, np.float32)}


def _normalized(x, *shape, spatial):
    parameters = [cntk.Parameter(init=_random(*shape)) for _ in range(3)]
    variance = cntk.Parameter(init=np.abs(_random(*shape)))
    return cntk.batch_normalization(x, *parameters, variance, spatial=spatial, epsilon=0.01, use_cudnn_engine=False)


def normalized_images():
    x = cntk.input_variable((3, 4, 5), name="x")
    f = [_normalized(x, 3, spatial=True), _normalized(x, 3, 4, 5, spatial=False)]
    return cntk.combine(f), {"x": _random(2, 3, 4, 5)}


def normalized_sequences():
    x = cntk.sequence.input_variable((3, 2), name="x")
    f = [_normalized(x, 3, spatial=True), _normalized(x, 3, 2, spatial=False)]
    return cntk.combine(f), {"x": [_random(n, 3, 2) for n in (2, 4, 1)]}


def normalized_halves():
    x = cntk.input_variable(5, name="x", dtype=np.float16)  # the statistics are float32
    return _normalized(x, 5, spatial=False), {"x": _random(3, 5).astype(np.float16)}


def local_response():
    x = cntk.input_variable((7, 4, 5), name="x")
    return cntk.local_response_normalization(x, 2, 1.5, 0.3, 0.75), {"x": _random(2, 7, 4, 5)}


def local_response_without_bias():
    x = cntk.sequence.input_variable((4, 3, 2), name="x")  # the power of 0 is CNTK's own
    return cntk.local_response_normalization(x, 1, 0, 0.5, 0.5), {
        "x": [np.maximum(_random(n, 4, 3, 2), 0) for n in (1, 3)]
    }


def regions_in_float_of_double():
    x = cntk.input_variable((2, 5, 6), name="x", dtype=np.float64)
    rois = cntk.reconcile_dynamic_axes(cntk.Constant(np.array([[0, 1, 3, 4], [2, 0, 5, 3]])), x)
    f = cntk.roipooling(x, rois, cntk.MAX_POOLING, (2, 1), 1.0)
    return f, {"x": np.random.standard_normal((3, 2, 5, 6))}

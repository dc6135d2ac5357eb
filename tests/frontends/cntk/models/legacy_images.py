"""Whole networks of CNTK 1 for images, in the versions of their time.

Their files are kept as ``NAME.legacy`` beside what CNTK computes with them.
"""

import numpy as np
from legacy import _random, _sequences
from legacy_networks import _affine, _constant, _judged, _net, _parameter, _run, _times, _words

ONE = (1,)


def _old_convolution(n, name, x, channels, maps, size, padding):
    """A convolution, kernels of which are rows of a matrix, a bias for each map, and a rectifier."""
    kernels = n.parameter(_random(maps, channels, size, size) * 0.3, (maps, channels * size * size))
    n.node("LearnableParameter", name + ".W", [], kernels)
    kernel, strides = ((size, size, 1), (1, 1, 1)) if n.version < 5 else ((size, size, channels), (1, 1, channels))
    padding = [padding] if n.version < 5 else [padding, padding, False]
    n.node("Convolution", name + ".c", [name + ".W", x], n.convolution(kernel, maps, strides, padding, flat=True))
    n.node("Plus", name + ".b", [name + ".c", _parameter(n, name + ".bias", 1, 1, maps)])
    return n.node("RectifiedLinear", name, [name + ".b"])


def _digits(version, precision="float"):
    """Pixels that are scaled, two convolutions with poolings, two layers."""
    n = _net(version, precision, features=(12, 12, 1), labels=(10,))
    n.node("Scale" if version < 5 else "ElementTimes", "scaled", [_constant(n, "scale", 1 / 256), "features"])
    x = _old_convolution(n, "conv1", "scaled", 1, 4, 5, True)
    x = n.node("MaxPooling", "pool1", [x], n.image_pooling((2, 2), (2, 2)))
    x = _old_convolution(n, "conv2", x, 4, 3, 3, False)
    x = n.node("AveragePooling", "pool2", [x], n.image_pooling((2, 2), (2, 2)))
    x = n.node("Sigmoid", "h1", [_affine(n, "layer1", x, 12, 8)])
    _judged(n, "labels", _affine(n, "z", x, 8, 10))
    n.node("Softmax", "p", ["z"])
    pixels = [each[:1] * 100 for each in _sequences(1, 12, 12)]
    return _run(n, "p", features=pixels, labels=[each[:1] for each in _words(10)])


def digits_2():
    return _digits(2)


def digits_3():
    return _digits(3)


def digits_4():
    return _digits(4)


def digits_5():
    return _digits(5)


def digits_12():
    return _digits(12)


def _normalization(n, name, x, maps, columns=True):
    """Statistics are a column before BrainScript's own layers."""
    names = [name + part for part in (".scale", ".bias", ".mean", ".var")]
    dims = (maps, 1) if columns else (maps,)
    for part in names:
        values = np.abs(_random(maps)) + 0.5 if part.endswith(("var", "scale")) else _random(maps)
        n.node("LearnableParameter", part, [], n.parameter(values, dims, rate=0 if part.endswith("var") else 1))
    if n.version >= 19:
        names.append(n.node("LearnableParameter", name + ".count", [], n.parameter([20.0], ONE, rate=0)))
    return n.node("BatchNormalization", name, [x, *names], n.normalization(True, 1e-5))


def _convolution(n, name, x, channels, maps, size, stride, columns=True):
    """A convolution of images of any number of axes, and a normalisation; strides may be one for all axes."""
    n.node("LearnableParameter", name + ".W", [], n.parameter(_random(maps, channels, size, size) * 0.3))
    strides = (stride, stride, channels) if columns else (stride,)
    convolution = n.convolution((size, size, channels), maps, strides, [True, True, False])
    n.node("Convolution", name + ".c", [name + ".W", x], convolution)
    return _normalization(n, name, name + ".c", maps, columns)


def _objects(version):
    """Convolutions that are normalised, a pooling with overlap, dropout."""
    n = _net(version, features=(10, 10, 3), labels=(4,))
    x = n.node("Minus", "centered", ["features", _constant(n, "grey", 0.5)])
    for i, channels in enumerate((3, 4)):
        x = n.node("RectifiedLinear", "r%d" % i, [_convolution(n, "conv%d" % i, x, channels, 4, 3, 1)])
        pooled = n.filter((3, 3), ONE, (2, 2), [True, True, False], pooling=1 + i)
        x = n.node("Pooling", "pool%d" % i, [x], pooled)
    x = n.node("Dropout", "drop", [x], n.random_state())
    weights = n.parameter(_random(4, 3, 3, 5) * 0.3)
    n.node("LearnableParameter", "W", [], weights)
    x = n.node("RectifiedLinear", "h", [_times(n, "dense", "W", x)])
    _judged(n, "labels", _affine(n, "z", x, 5, 4))
    images = [each[:1] for each in _sequences(3, 10, 10)]
    return _run(n, "z", features=images, labels=[each[:1] for each in _words(4)])


def objects_5():
    return _objects(5)


def objects_8():
    return _objects(8)


def objects_13():
    return _objects(13)


def objects_16():
    return _objects(16)


def objects_18():
    return _objects(18)


def _block(n, name, x, channels, maps, stride):
    """Two convolutions beside a shortcut, which is a convolution where sizes change."""
    first = _convolution(n, name + ".1", x, channels, maps, 3, stride, columns=False)
    second = _convolution(n, name + ".2", n.node("RectifiedLinear", name + ".r", [first]), maps, maps, 3, 1, False)
    if stride > 1:
        x = _convolution(n, name + ".s", x, channels, maps, 1, stride, columns=False)
    return n.node("RectifiedLinear", name, [n.node("Plus", name + ".p", [second, x])])


def _residual(version, precision="float"):
    n = _net(version, precision, features=(8, 8, 3), labels=(5,))
    x = n.node("RectifiedLinear", "r", [_convolution(n, "first", "features", 3, 4, 3, 1, columns=False)])
    x = _block(n, "a", x, 4, 4, 1)
    x = _block(n, "b", x, 4, 6, 2)
    x = n.node("Pooling", "mean", [x], n.filter((4, 4), ONE, ONE, [False], pooling=2))
    n.node("LearnableParameter", "W", [], n.parameter(_random(6, 1, 1, 5)))
    n.node("LearnableParameter", "bias", [], n.parameter(_random(5)))
    z = n.node("Plus", "z", [_times(n, "t", "W", x), "bias"])
    _judged(n, "labels", z)
    images = [each[:1] for each in _sequences(3, 8, 8)]
    return _run(n, "z", features=images, labels=[each[:1] for each in _words(5)])


def residual_6():
    return _residual(6)


def residual_9():
    return _residual(9)


def residual_14():
    return _residual(14)


def residual_20():
    return _residual(20)


def residual_23():
    return _residual(23)


def residual_31():
    return _residual(31)


def residual_31_in_doubles():
    return _residual(31, "double")

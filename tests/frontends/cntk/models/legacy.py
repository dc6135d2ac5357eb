"""Models of CNTK 1, of all versions of its format, as CNTK 2 reads them.

Their files are kept as ``NAME.legacy`` beside what CNTK computes with them.
"""

import sys
from pathlib import Path

import cntk
import numpy as np
from legacy_files import Legacy, f32, f64, i32, matrix, shape, u64

CHANNELS, MAPS = 3, 4
LENGTHS = (5, 2, 4)


def _random(*dims):
    return np.random.standard_normal(dims).astype(np.float32)


def _batch(*dims):
    """One step each: inputs of old models are sequences."""
    return [_random(1, *dims) for _ in range(3)]


def _sequences(*dims):
    return [_random(length, *dims) for length in LENGTHS]


def _loaded(network, feeds):
    """The network as CNTK reads it; called by the function that is called like the model."""
    frame = sys._getframe(1)
    while frame.f_code.co_name.startswith("_"):
        frame = frame.f_back
    path = _path(frame.f_code.co_name)
    network.write(path)
    return cntk.load_model(str(path)), feeds


def _path(model):
    path = Path(sys.argv[1]) / (model + ".legacy")
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _dense(version, precision="float"):
    """Old weights have two axes, and biases one column."""
    n = Legacy(version, precision)
    n.node("InputValue", "features", [], n.input((3,)))
    n.node("LearnableParameter", "w", [], n.parameter(_random(3, 4)))
    n.node("LearnableParameter", "b", [], n.parameter(_random(1, 4)))
    n.node("Times", "product", ["w", "features"], n.product())
    n.node("Plus", "sum", ["product", "b"])
    n.node("Sigmoid" if version < 20 else "StableSigmoid", "z", ["sum"])
    feeds = [each.astype(n.dtype) for each in _batch(3)]
    return _loaded(n, {"features": feeds})


def dense_1():
    return _dense(1)


def dense_2():
    return _dense(2)


def dense_3():
    return _dense(3)


def dense_7():
    return _dense(7)


def dense_8():
    return _dense(8)


def dense_11():
    return _dense(11)


def dense_31():
    return _dense(31)


def doubles_2():
    return _dense(2, "double")


def doubles_31():
    return _dense(31, "double")


def images_with_sizes_of_64_bits():
    """Before version 3 an image had its width, height and channels as numbers of 64 bits."""
    n = Legacy(2)
    n.node("InputValue", "features", [], u64(24) + u64(1) + u64(4) + u64(3) + u64(2))
    n.node("LearnableParameter", "w", [], n.parameter(_random(24, 5)))
    n.node("Times", "z", ["w", "features"], n.product())
    return _loaded(n, {"features": _batch(3, 4, 2)})


def a_product_with_a_flattened_image():
    n = Legacy(8)
    n.node("InputValue", "features", [], n.input((4, 3, 2)))
    n.node("LearnableParameter", "w", [], n.parameter(_random(24, 5)))
    n.node("Times", "z", ["w", "features"], n.product())
    return _loaded(n, {"features": _batch(2, 3, 4)})


def _image(version, flat):
    """A convolution, and a pooling; kernels are a matrix if they are `flat`."""
    n = Legacy(version)
    n.node("InputValue", "features", [], n.input((8, 6, CHANNELS)))
    kernels = _random(MAPS, CHANNELS, 3, 3)
    dims = (MAPS, CHANNELS * 9) if flat else None
    n.node("LearnableParameter", "w", [], n.parameter(kernels, dims))
    kernel = (3, 3, 1 if version < 5 else CHANNELS)
    strides, padding = ((1, 1), [True]) if version < 5 else ((2, 1, CHANNELS), [True, False, False])
    n.node("Convolution", "c", ["w", "features"], n.convolution(kernel, MAPS, strides, padding, flat=flat))
    n.node("RectifiedLinear", "r", ["c"])
    if version < 5:
        n.node("MaxPooling", "z", ["r"], n.image_pooling((2, 3), (2, 1)))
    else:
        pooling = n.filter((2, 2), (1,), (1, 2), [False], pooling=2, ceil=True, include=True)
        n.node("Pooling", "z", ["r"], pooling)
    return _loaded(n, {"features": _batch(CHANNELS, 6, 8)})


def image_4():
    return _image(4, True)


def image_5():
    return _image(5, True)


def image_8():
    return _image(8, False)


def image_9():
    return _image(9, False)


def image_18():
    return _image(18, False)


def image_20():
    return _image(20, False)


def image_21():
    return _image(21, False)


def image_23():
    return _image(23, False)


def image_31():
    return _image(31, False)


def average_pooling_of_images():
    n = Legacy(6)
    n.node("InputValue", "features", [], n.input((6, 5, 2)))
    n.node("AveragePooling", "z", ["features"], n.image_pooling((3, 2), (2, 1)))
    return _loaded(n, {"features": _batch(2, 5, 6)})


def a_convolution_backwards():
    n = Legacy(12)
    n.node("InputValue", "features", [], n.input((4, 3, 2)))
    n.node("LearnableParameter", "w", [], n.parameter(_random(2, 3, 3, 3)))
    convolution = n.convolution((3, 3, 3), 2, (2, 2, 3), [True, True, False], transpose=True)
    n.node("Convolution", "z", ["w", "features"], convolution)
    return _loaded(n, {"features": _batch(2, 3, 4)})


def _normalized(version, spatial=True, own=0x10004):
    n = Legacy(version)
    n.node("InputValue", "features", [], n.input((3, 2, CHANNELS)))
    count = CHANNELS if spatial else 18
    names = ["scale", "bias", "mean", "spread"]
    for name in names:
        values = np.abs(_random(1, count)) + 0.5 if name == "spread" else _random(1, count)
        n.node("LearnableParameter", name, [], n.parameter(values, (count, 1)))
    if version >= 19:
        n.node("LearnableParameter", "count", [], n.parameter([7.0], rate=0))
        names.append("count")
    n.node("BatchNormalization", "z", ["features", *names], n.normalization(spatial, 1e-3, own))
    return _loaded(n, {"features": _batch(CHANNELS, 2, 3)})


def normalized_2_of_the_first_version():
    return _normalized(2, own=0x10001)


def normalized_3_of_the_second_version():
    return _normalized(3, own=0x10002)


def normalized_4_of_the_third_version():
    return _normalized(4, own=0x10003)


def normalized_5_of_the_fourth_version():
    return _normalized(5)


def normalized_6():
    return _normalized(6)


def normalized_12_by_element():
    return _normalized(12, spatial=False)


def normalized_13():
    return _normalized(13)


def normalized_18_by_element():
    return _normalized(18, spatial=False)


def normalized_19():
    return _normalized(19)


def normalized_20():
    return _normalized(20)


def normalized_31():
    return _normalized(31)


def precomputed_2():
    """Means and deviations that were found before the training."""
    return _precomputed(2)


def precomputed_31():
    return _precomputed(31)


def _precomputed(version):
    n = Legacy(version)
    n.node("InputValue", "features", [], n.input((4,)))
    n.node("Mean", "mean", ["features"], n.precomputed(_random(4)))
    n.node("InvStdDev", "deviation", ["features"], n.precomputed(np.abs(_random(4)) + 0.5))
    n.node("PerDimMeanVarNormalization", "normal", ["features", "mean", "deviation"])
    n.node("Tanh", "z", ["normal"])
    n.groups["Output"] = ["deviation", "mean", "z"]  # for CNTK they are anyway
    return _loaded(n, {"features": _batch(4)})


def rows_2():
    """Slices and stacks of rows, which is what old versions had."""
    n = Legacy(2)
    n.node("InputValue", "features", [], n.input((6,)))
    n.node("RowSlice", "high", ["features"], n.slice((1, 4, 6, 1)))
    n.node("RowSlice", "low", ["features"], n.slice((1, 0, 3, 1)))
    n.node("RowStack", "z", ["high", "low", "features"], n.stacked(1))
    return _loaded(n, {"features": _batch(6)})


def _axes(version):
    n = Legacy(version)
    n.node("InputValue", "features", [], n.input((6, 4)))
    slices = [(2, 1, 4, 1)] if version < 22 else [(2, 1, 4, 1), (1, -5, 0, 1)]
    n.node("Slice", "part", ["features"], n.slice(*slices))
    n.node("TransposeDimensions" if version > 5 else "Transpose", "turned", ["part"], n.transposition(1, 2))
    n.node("RowStack", "stacked", ["turned", "turned"], n.stacked(2))
    n.node("Reshape", "z", ["stacked"], i32(0) + i32(0) + shape((3, 0)))
    return _loaded(n, {"features": _batch(4, 6)})


def axes_3():
    return _axes(3)


def axes_22():
    return _axes(22)


def axes_27():
    return _axes(27)


def axes_31():
    return _axes(31)


def a_reshape_of_some_axes():
    n = Legacy(6)
    n.node("InputValue", "features", [], n.input((6, 4, 2)))
    n.node("Reshape", "z", ["features"], i32(2) + i32(4) + shape((4, 0)))
    return _loaded(n, {"features": _batch(2, 4, 6)})


def _reductions(version):
    """Axes are kept: CNTK 2 forgets that a file of version 24 or newer says otherwise."""
    n = Legacy(version)
    n.node("InputValue", "features", [], n.input((5, 3)))
    n.node("InputValue", "vector", [], n.input((5,)))
    n.node("ReduceElements", "a", ["features"], n.reduction("Max", [1]))
    n.node("ReduceElements", "b", ["features"], n.reduction("LogSum", [2]))
    n.groups["Output"] = ["a", "b"]
    if version < 24:
        n.node("ReduceElements", "c", ["vector"], n.reduction("Mean", [0]))
        n.groups["Output"].append("c")
    return _loaded(n, {"features": _batch(3, 5), "vector": _batch(5)})


def reductions_11():
    return _reductions(11)


def reductions_24():
    return _reductions(24)


def reductions_27():
    return _reductions(27)


def column_sums():
    n = Legacy(2)
    n.node("InputValue", "features", [], n.input((5,)))
    n.node("SumColumnElements", "z", ["features"])
    return _loaded(n, {"features": _batch(5)})


def halves():
    """CNTK 2 writes halves in the old format, and does not read them there. Sums of quarters are exact."""
    x = cntk.input_variable(3, name="x")
    w, b = (cntk.parameter(init=np.round(4 * _random(*dims)).astype(np.float16) / 4) for dims in ((3, 4), (4,)))
    function = cntk.cast(cntk.relu(cntk.times(cntk.cast(x, np.float16), w) + b), np.float32)
    cntk.cntk_py.save_as_legacy_model(function, str(_path("halves")))
    return function, {"x": np.round(4 * _random(5, 3)) / 4}


def _delays(version, precision="float"):
    """A delay in each direction, without an initial state, and a recurrence."""
    n = Legacy(version, precision)
    n.node("InputValue", "features", [], n.input((3,)))
    n.node("Delay" if version < 3 else "PastValue", "before", ["features"], n.delay(2, (3,), 0.25))
    n.node("FutureValue", "after", ["features"], n.delay(1, (3,), -1.5))
    n.node("Plus", "both", ["before", "after"])
    n.node("LearnableParameter", "w", [], n.parameter(_random(3, 3) * 0.5))
    n.node("PastValue", "state", ["hidden"], n.delay(1, (3,), 0.5))
    n.node("Times", "fed", ["w", "state"], n.product())
    n.node("Plus", "total", ["fed", "both"])
    n.node("Tanh", "hidden", ["total"])
    n.node("Minus", "z", ["hidden", "features"])
    return _loaded(n, {"features": [each.astype(n.dtype) for each in _sequences(3)]})


def delays_1():
    return _delays(1)


def delays_2():
    return _delays(2)


def delays_3():
    return _delays(3)


def delays_4():
    return _delays(4)


def delays_31():
    return _delays(31)


def delays_31_in_doubles():
    return _delays(31, "double")


def _dropped(version):
    n = Legacy(version)
    n.node("InputValue", "features", [], n.input((3,)))
    n.node("Dropout", "d", ["features"], n.random_state())
    n.node("Dropout", "e", ["d"], n.random_state())
    n.node("Exp", "z", ["e"])
    return _loaded(n, {"features": _batch(3)})


def dropped_15():
    return _dropped(15)


def dropped_16():
    return _dropped(16)


def dropped_17():
    return _dropped(17)


def _chosen(version):
    """The steps of a sequence at which it is positive, on an axis that has a name since version 11."""
    n = Legacy(version)
    n.node("InputValue", "features", [], n.input((1,)))
    n.node("LearnableParameter", "zero", [], n.parameter([0.0], rate=0))
    n.node("Greater", "flag", ["features", "zero"])
    n.node("Where", "index", ["flag"], n.where("chosen"))
    n.node("PackedIndex", "packed", ["features", "index"])
    n.node("GatherPacked", "gathered", ["packed", "features"])
    n.node("Sqrt", "z", ["gathered"])
    return _loaded(n, {"features": [np.array([[1.0], [-2.0], [3.0]], np.float32), np.array([[4.0]], np.float32)]})


def chosen_10():
    return _chosen(10)


def chosen_11():
    return _chosen(11)


def inputs_in_another_order():
    n = Legacy(16)
    n.node("InputValue", "features", [], n.input((4,)))
    n.node("InputValue", "labels", [], n.input((4,)))
    n.node("LearnableParameter", "low", [], n.parameter([-0.5]))
    n.node("LearnableParameter", "high", [], n.parameter([0.75]))
    n.node("Clip", "clipped", ["low", "high", "features"])
    n.node("If", "chosen", ["labels", "clipped", "features"])
    n.node("LogPlus", "plus", ["chosen", "features"])
    n.node("Cosine", "z", ["plus"])
    feeds = {"features": _batch(4), "labels": [np.eye(4, dtype=np.float32)[[i]] for i in (2, 0, 3)]}
    return _loaded(n, feeds)


def criteria():
    """Alone, criteria are all that there is."""
    n = Legacy(15)
    n.node("InputValue", "features", [], n.input((4,)))
    n.node("InputValue", "labels", [], n.input((4,)))
    n.node("CrossEntropyWithSoftmax", "loss", ["labels", "features"])
    n.node("ErrorPrediction", "wrong", ["labels", "features"])
    n.node("SquareError", "square", ["labels", "features"])
    n.groups["Criterion"], n.groups["Eval"] = ["loss"], ["wrong", "square"]
    return _loaded(n, {"features": _batch(4), "labels": [np.eye(4, dtype=np.float32)[[i]] for i in (2, 0, 3)]})


def old_names_of_products():
    n = Legacy(2)
    n.node("InputValue", "features", [], n.input((4,)))
    n.node("LearnableParameter", "a", [], n.parameter(_random(1, 4)))
    n.node("LearnableParameter", "b", [], n.parameter(_random(1, 1)))
    n.node("ColumnElementTimes", "first", ["features", "a"])
    n.node("RowElementTimes", "second", ["first", "b"])
    n.node("Scale", "third", ["b", "second"])
    n.node("DiagTimes", "z", ["a", "third"])
    return _loaded(n, {"features": _batch(4)})


def on_one_axis_of_another_name():
    n = Legacy(12)
    n.node("InputValue", "x", [], n.input((2,), "words"))
    n.node("InputValue", "y", [], n.input((2,), "words"))
    n.node("ElementTimes", "z", ["x", "y"])
    return _loaded(n, {"x": _sequences(2), "y": _sequences(2)})


def without_sequences():
    n = Legacy(30)
    n.node("InputValue", "x", [], n.input((2, 3), "__noSequenceAxis"))
    n.node("Softmax", "z", ["x"])
    return _loaded(n, {"x": _random(3, 3, 2)})


def names_and_uids_of_cntk_2():
    n = Legacy(31)
    n.node("InputValue", "__v2libuid__Input7__v2libname__pixels", [], n.input((3,), "__noSequenceAxis"))
    n.node("Negate", "__v2libuid__Negate9__v2libname__", ["__v2libuid__Input7__v2libname__pixels"])
    n.node("Exp", "__v2libuid__Exp11__v2libname__result", ["__v2libuid__Negate9__v2libname__"])
    return _loaded(n, {"pixels": _random(2, 3)})


def regions_26():
    n = Legacy(26)
    n.node("InputValue", "features", [], n.input((6, 6, 2), "__noSequenceAxis"))
    n.node("InputValue", "regions", [], n.input((4, 2), "__noSequenceAxis"))
    n.node("ROIPooling", "z", ["features", "regions"], shape((2, 3)) + i32(1) + f64(0.5))
    regions = np.array([[[0, 0, 8, 8], [2, 2, 10, 11]]], np.float32)
    return _loaded(n, {"features": _random(1, 2, 6, 6), "regions": regions})


def weights_of_one_element():
    n = Legacy(9)
    n.node("InputValue", "features", [], n.input((3,)))
    n.node("LearnableParameter", "w", [], b"\0\0\x80\x3f" + shape((1,)) + matrix(np.float32([2.5]), 1, 1))
    n.node("ElementTimes", "z", ["w", "features"])
    return _loaded(n, {"features": _batch(3)})


def a_word_that_is_no_section():
    """Names may be what sections are called."""
    n = Legacy(31)
    n.node("InputValue", "ENodeList", [], n.input((3,), "__noSequenceAxis"))
    n.node("Abs", "BMAT", ["ENodeList"])
    return _loaded(n, {"ENodeList": _random(2, 3)})


def edit_distances():
    n = Legacy(12)
    n.node("InputValue", "a", [], n.input((3,)))
    n.node("InputValue", "b", [], n.input((3,)))
    penalties = b"".join(map(f32, (0.7, 1.3, 2))) + bytes([1]) + u64(1) + u64(1)
    n.node("EditDistanceError", "z", ["a", "b"], penalties)
    return _loaded(n, {name: _sequences(3) for name in "ab"})


def _criterion(kind, labels, outputs, **others):
    """Labels come first."""
    n = Legacy(12)
    feeds = dict({"labels": labels, "outputs": outputs}, **others)
    for name, data in feeds.items():
        n.node("InputValue", name, [], n.input(data[0].shape[1:]))
    n.node(kind, "z", list(feeds))
    return _loaded(n, feeds)


def _labels():
    return [np.eye(3, dtype=np.float32)[np.random.randint(3, size=length)] for length in LENGTHS]


def cross_entropy_of_labels_and_outputs():
    return _criterion("CrossEntropyWithSoftmax", _labels(), _sequences(3))


def errors_of_labels_and_outputs():
    return _criterion("ErrorPrediction", _labels(), _sequences(3))


def squares_of_labels_and_outputs():
    return _criterion("SquareError", _labels(), _sequences(3))


def logistic_of_labels_outputs_and_weights():
    chances = [abs(each) % 1 for each in _sequences(1)]
    labels = [np.round(abs(each) % 1) for each in _sequences(1)]
    return _criterion("Logistic", labels, chances, weights=[abs(each) for each in _sequences(1)])


def ranks_of_gains_and_outputs():
    gains, groups = (np.array(x, np.float32).reshape(5, 1, 1) for x in ([5, 2, 1, 3, 0], [1, 1, 1, 2, 2]))
    return _criterion("LambdaRank", list(gains), list(_random(5, 1, 1)), groups=list(groups))


def cosines_with_other_samples():
    n = Legacy(12)
    for name in "ab":
        n.node("InputValue", name, [], n.input((3,)))
    for name, number in (("shift", 1), ("negatives", 2)):
        n.node("LearnableParameter", name, [], n.parameter(np.float32([[number]]), rate=0))
    n.node("CosDistanceWithNegativeSamples", "z", ["a", "b", "shift", "negatives"])
    return _loaded(n, {name: _sequences(3) for name in "ab"})

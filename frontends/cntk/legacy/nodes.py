"""What each class of CNTK 1's nodes is in terms of CNTK 2's primitive functions.

Sources: how CNTK 2 loads old models (2.7, measured), and for the classes it refuses CNTK's public sources, in which
they were last computed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import onnx_ir as ir

from nxconvert.formats.cntk.dictionary import ALL, ALL_STATIC, DYNAMIC, Axis
from nxconvert.formats.cntk.legacy import Node
from nxconvert.formats.cntk.model import Variable

if TYPE_CHECKING:
    from nxconvert.frontends.cntk.legacy.model import Conversion

Build: TypeAlias = "Callable[[Conversion, Node, list[str]], Any]"

BATCH = Axis(DYNAMIC, "defaultBatchAxis", False)
SEQUENCE = Axis(DYNAMIC, "defaultDynamicAxis", True)
#: What the names of CNTK's own axes begin with: that of sequences, and the one that means there is none.
_DEFAULT, _NO_SEQUENCE = "*", "__noSequenceAxis"
#: What reductions call other axes than static ones, which they count from 1.
_REDUCED = {0: Axis(ALL_STATIC, "AllStaticAxes", False), -1: Axis(ALL, "AllAxes", False), -2: SEQUENCE, -3: BATCH}
#: The classes whose functions have another name.
FUNCTIONS = {
    "ColumnElementTimes": "ElementTimes", "Cosine": "Cos", "CustomProxyOpNode": "CustomProxyOp",
    "DiagTimes": "ElementTimes",
    "ErrorPrediction": "ClassificationError", "ExponentialLinearUnit": "ELU", "If": "Select", "NDCG1Eval": "NDCG",
    "ReconcileMBLayout": "ReconcileDynamicAxis", "RectifiedLinear": "ReLU", "RowElementTimes": "ElementTimes",
    "Scale": "ElementTimes", "SquareError": "SquaredError", "SumElements": "SumAll", "ToBatchAxis": "ToBatch",
    "ToBatchAxisNode": "ToBatch", "ToSequenceLikeOp": "ToSequenceLike", "Trace": "Pass",
    "UnpackBatchAxis": "UnpackBatch",
}  # fmt: skip
#: Of functions whose inputs are in another order, which of the node's inputs each of them is.
ORDERS = {
    "ClassificationError": (1, 0), "Clip": (2, 0, 1), "CrossEntropyWithSoftmax": (1, 0), "GatherPacked": (1, 0),
    "LambdaRank": (1, 0), "Logistic": (1, 0), "NDCG": (1, 0), "OptimizedRNNStack": (1, 0), "ScatterPacked": (2, 1, 0),
}  # fmt: skip
_CELLS = {"LSTM": "lstm", "GRU": "gru", "RNN_RELU": "rnnReLU", "RNN_TANH": "rnnTanh"}
_LAYOUT_CHW = 1
_HWC = "its images are of the layout HWC, which CNTK 2 does not compute with either"
_POOLINGS = {1: 0, 2: 1}
_MAX_SPLICED = 4096


def dynamic_axes(name: str) -> tuple[Axis, ...]:
    """The dynamic axes that an axis of CNTK 1 stands for, in the order of files: the sequence before the batch."""
    if name.startswith(_NO_SEQUENCE):
        return (BATCH,)
    return (SEQUENCE if not name or name.startswith(_DEFAULT) else Axis(DYNAMIC, name, True), BATCH)


def static_axis(place: int) -> Axis:
    """The static axis that is counted from 1."""
    return Axis(place - 1, f"staticAxisIdx={place - 1}", True)


def _emits(op: str, attributes: Callable[[Node], dict[str, Any]] = lambda node: {}) -> Build:
    """A node that is one function, whose inputs are in the same order."""
    return lambda c, node, inputs: c.emit(node, op, inputs, attributes(node))


def _refused(why: str) -> Build:
    return lambda c, node, inputs: c.refuse(node, why)


# ---- products --------------------------------------------------------------------------------------------------------


def _times(c: Conversion, node: Node, inputs: list[str]) -> None:
    """A product; old models multiply with numbers as well."""
    if any(leaf is not None and not leaf.shape for leaf in map(c.leaf, node.inputs)):
        c.emit(node, "ElementTimes", inputs, {})
        return
    c.emit(node, "Times", inputs, {"outputRank": node.fields["kept"], "inferInputRankToMap": node.fields["mapped"]})


def _lookup(c: Conversion, node: Node, inputs: list[str]) -> None:
    """The product of a matrix with each of the words that a sample has one after the other."""
    weights, x = inputs
    table = c.leaf(node.inputs[0])
    if table is None or len(table.shape) != 2:
        c.refuse(node, "its table is no matrix in the file")
        return
    words = c.emit(node, "Reshape", [x], _reshaped((table.shape[0], -1)), "words")
    found = c.emit(node, "Times", [weights, words], {"outputRank": 1, "inferInputRankToMap": -1}, "found")
    c.emit(node, "Reshape", [found], _reshaped((-1,)))


def _khatri_rao(c: Conversion, node: Node, inputs: list[str]) -> None:
    """All products of an element of one vector with one of another, the elements of the first one running faster."""
    first, other = inputs
    second = c.emit(node, "Reshape", [other], _reshaped((1, -1)), "second")
    products = c.emit(node, "ElementTimes", [first, second], {}, "products")
    c.emit(node, "Reshape", [products], _reshaped((-1,)))


# ---- shapes ----------------------------------------------------------------------------------------------------------


def _reshaped(shape: tuple[int, ...], begin: int = 0, end: int | None = None) -> dict[str, Any]:
    """The attributes of a function that gives the axes from `begin` up to `end` other sizes; -1 is to be found."""
    attributes: dict[str, Any] = {"newShape": shape}
    if begin:
        attributes["beginAxis"] = static_axis(begin + 1)
    if end is not None:
        attributes["endAxis"] = static_axis(end + 1)
    return attributes


def _reshape(c: Conversion, node: Node, inputs: list[str]) -> None:
    """A size of 0 is to be found; axes are counted from 1, and an end of 0 is that of all."""
    shape = tuple(-1 if size == 0 else size for size in node.fields["shape"])
    begin, end = node.fields["begin"], node.fields["end"]
    begin = begin - 1 if begin > 0 else 0
    c.emit(node, "Reshape", inputs, _reshaped(shape, begin, end - 1 if end > 0 else None))


def _old_reshape(c: Conversion, node: Node, inputs: list[str]) -> None:
    """Other sizes for samples of as many elements; it could change how many samples there are, too."""
    shape = node.fields["shape"]
    if math.prod(shape) != node.fields["rows"] or not shape:
        shape = (node.fields["rows"],)
    c.emit(node, "Reshape", inputs, _reshaped(shape))


def _row_repeat(c: Conversion, node: Node, inputs: list[str]) -> None:
    """The first axis several times, one after the other."""
    repeats = node.fields["repeats"]
    if not 1 <= repeats <= _MAX_SPLICED:
        c.refuse(node, f"it repeats what it is given {repeats:,} times")
        return
    c.emit(node, "Splice", inputs * repeats, {"axis": static_axis(1)})


def _slice(c: Conversion, node: Node, inputs: list[str]) -> None:
    slices = node.fields["slices"]
    if len(slices) == 1:
        axis, start, stop, stride = slices[0]
        bounds = {"axis": static_axis(axis), "beginIndex": start, "endIndex": stop, "sliceStrides": stride}
    else:
        axes, starts, stops, strides = map(list, zip(*slices, strict=True))
        bounds = {"axisVec": [static_axis(axis) for axis in axes], "beginIndexVec": starts, "endIndexVec": stops}
        bounds["sliceStridesVec"] = strides
    c.emit(node, "Slice", inputs, bounds)


def _transpose(c: Conversion, node: Node, inputs: list[str]) -> None:
    """Two axes in each other's place, counted from 1, or an order of all of them, counted from 0."""
    order, (first, second) = node.fields["order"], node.fields["axes"]
    if order:
        c.emit(node, "TransposeAxes", inputs, {"axisVec": [static_axis(place + 1) for place in order]})
    else:
        c.emit(node, "TransposeAxes", inputs, {"axis1": static_axis(first), "axis2": static_axis(second)})


# ---- reductions and criteria -----------------------------------------------------------------------------------------


def _reduce(c: Conversion, node: Node, inputs: list[str]) -> None:
    """Before version 24 an axis was kept with a size of 1, and a reduction of all of them gave a vector of one."""
    places: Sequence[int] = node.fields["axes"]
    axes = [_REDUCED[place] if place in _REDUCED else static_axis(place) for place in places]
    if any(place < -3 for place in places):
        c.refuse(node, f"it reduces the axis {min(places)}")
    keep = node.fields["keep"]
    attributes: dict[str, Any] = {"axis": axes[0]} if len(axes) == 1 else {"axisVec": axes}
    attributes["reductionOpName"] = node.fields["reduction"]
    attributes["reductionKeepDimensions"] = keep if keep is not None else places[0] > 0
    if keep is None and places[0] == 0:
        inputs = [c.emit(node, "ReduceElements", inputs, attributes, "number")]
        c.emit(node, "Reshape", inputs, _reshaped((1,)))
        return
    c.emit(node, "ReduceElements", inputs, attributes)


def _sum_columns(c: Conversion, node: Node, inputs: list[str]) -> None:
    """The sum of each sample, a vector of one."""
    flat = c.emit(node, "Reshape", inputs, _reshaped((-1,)), "flat")
    c.emit(node, "ReduceElements", [flat], {"axis": static_axis(1), "reductionOpName": "Sum"})


def _cross_entropy(c: Conversion, node: Node, inputs: list[str]) -> None:
    """Of labels and probabilities, the negative sum of the labels' logarithms of the probabilities."""
    labels, probabilities = inputs
    logarithm = c.emit(node, "Log", [probabilities], {}, "log")
    weighted = c.emit(node, "ElementTimes", [labels, logarithm], {}, "weighted")
    attributes = {"axis": _REDUCED[0], "reductionOpName": "Sum", "reductionKeepDimensions": False}
    c.emit(node, "Negate", [c.emit(node, "ReduceElements", [weighted], attributes, "sum")], {})


# ---- convolutions and poolings ---------------------------------------------------------------------------------------


def _convolution(c: Conversion, node: Node, inputs: list[str]) -> None:
    """A convolution; the kernels of old ones are kept as a matrix, and have as many channels as fit."""
    f = node.fields
    if f["layout"] != _LAYOUT_CHW:
        c.refuse(node, _HWC)
        return
    kernel, strides, padding = f["kernel"], f["strides"], f["padding"]
    leaf = c.leaf(node.inputs[0])
    if leaf is not None and leaf.value is not None and (f["flat"] or len(leaf.shape) == 2):
        kernel = _unfold(c, node, leaf, kernel)
    if f["flat"] and len(kernel) == 3:
        strides = (*strides[:2], kernel[2])
        padding = padding if len(padding) > 2 else [padding[0], padding[-1], False]
    attributes = {
        "kernelShape": kernel, "strides": strides, "sharing": f["sharing"], "autoPadding": padding,
        "lowerPad": f["lower"], "upperPad": f["upper"], "dilation": f["dilation"], "groups": 1,
        "transpose": f["transpose"], "outputShape": f["output"], "sequential": node.kind == "ConvolutionSequenceShape",
        "maxTempMemSizeInSamples": 0,
    }  # fmt: skip
    c.emit(node, node.kind, inputs, attributes)


def _unfold(c: Conversion, node: Node, leaf: Variable, kernel: tuple[int, ...]) -> tuple[int, ...]:
    """Gives a matrix of kernels, a row each, the shape of the kernels; gives that of one kernel."""
    maps = leaf.shape[-1] if len(leaf.shape) == 2 else leaf.shape[0]
    total = math.prod(leaf.shape)
    if node.fields["flat"]:
        area = math.prod(kernel[:2])
        kernel = (*kernel[:2], total // (maps * area)) if maps and area else kernel
    if math.prod(kernel) * maps != total:
        c.refuse(node, f"its kernels of {list(kernel)} do not fit into a parameter of {list(leaf.shape[::-1])}")
        return kernel
    if len(leaf.shape) == 2:
        assert leaf.value is not None
        c.reshape(leaf, (maps, *kernel[::-1]))
    return kernel


def _pooling(c: Conversion, node: Node, inputs: list[str]) -> None:
    f = node.fields
    kind = _POOLINGS.get(f["pooling"])
    if kind is None or f["layout"] != _LAYOUT_CHW:
        c.refuse(node, f"it pools in the way number {f['pooling']}, with the layout number {f['layout']}")
        return
    attributes = {"poolingType": kind, "poolingWindowShape": f["kernel"], **_window(f)}
    c.emit(node, "Pooling", inputs, attributes | {"ceilOutDim": f["ceil"], "includePad": f["include"]})


def _window(f: Any) -> dict[str, Any]:
    return {
        "strides": f["strides"], "autoPadding": f["padding"], "lowerPad": f["lower"], "upperPad": f["upper"],
    }  # fmt: skip


def _image_pooling(c: Conversion, node: Node, inputs: list[str]) -> None:
    f = node.fields
    if f["layout"] != _LAYOUT_CHW:
        c.refuse(node, _HWC)
        return
    c.emit(node, "Pooling", inputs, {
        "poolingType": 0 if node.kind == "MaxPooling" else 1, "poolingWindowShape": f["kernel"],
        "strides": f["strides"], "autoPadding": [False], "lowerPad": (0,), "upperPad": (0,), "ceilOutDim": False,
        "includePad": False,
    })  # fmt: skip


def _unpooling(c: Conversion, node: Node, inputs: list[str]) -> None:
    attributes = {"poolingType": 0, "unpoolingWindowShape": node.fields["kernel"], **_window(node.fields)}
    c.emit(node, "Unpooling", inputs, attributes)


def _roi_pooling(c: Conversion, node: Node, inputs: list[str]) -> None:
    """Before version 26 regions were given relative to the image."""
    f = node.fields
    if f["scale"] is None:
        c.refuse(node, "before version 26 of the format its regions were in other units, which cannot be told")
    kind = _POOLINGS.get(f["pooling"], 0)
    c.emit(node, "ROIPooling", inputs, {"poolingType": kind, "roiOutputShape": f["output"], "spatialScale": f["scale"]})


# ---- normalizations --------------------------------------------------------------------------------------------------


def _batch_normalization(c: Conversion, node: Node, inputs: list[str]) -> None:
    """Before version 19 there is no count; before version 13 there are inverses of deviations, not variances."""
    f = node.fields
    if f["spatial"] and f["layout"] != _LAYOUT_CHW:
        c.refuse(node, _HWC)
    if len(inputs) == 5:
        inputs = [*inputs, c.constant(node, np.zeros((1,)), f"{c.uid(node.name)}/count")]
    if f["inverse"] and len(node.inputs) >= 5:
        leaf = c.leaf(node.inputs[4])
        if leaf is None or leaf.value is None:
            c.refuse(node, "its statistics are not parameters")
        else:
            inputs[4] = c.computed(node, leaf, "variance", _variance(f["epsilon"]))
    c.emit(node, "BatchNormalization", inputs, {
        "spatial": f["spatial"], "epsilon": f["epsilon"], "normalizationTimeConstant": f["time"],
        "blendTimeConstant": f["blend"], "useCuDNNEngine": False, "disableRegularization": False,
    })  # fmt: skip


def _variance(epsilon: float) -> Callable[[np.ndarray], np.ndarray]:
    def variance(inverse: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore"):
            found: np.ndarray = (1 / (inverse * inverse) + epsilon).astype(inverse.dtype)
        return found

    return variance


def _normalization(c: Conversion, node: Node, inputs: list[str]) -> None:
    """``(x - mean) * factor``, of a mean and a factor that are vectors."""
    x, mean, factor = inputs
    center = c.emit(node, "Minus", [x, mean], {}, "centered")
    c.emit(node, "ElementTimes", [center, factor], {})


def _denormalization(c: Conversion, node: Node, inputs: list[str]) -> None:
    """``x / factor + mean``."""
    x, mean, factor = inputs
    deviation = c.emit(node, "Reciprocal", [factor], {}, "deviation")
    c.emit(node, "Plus", [c.emit(node, "ElementTimes", [x, deviation], {}, "scaled"), mean], {})


# ---- sequences -------------------------------------------------------------------------------------------------------


def _delay(c: Conversion, node: Node, inputs: list[str]) -> None:
    """A delay; one that is given no initial state has it in the file."""
    if len(inputs) == 1:
        uid = f"{c.uid(node.name)}/initial"
        inputs = [*inputs, c.constant(node, node.fields["initial"], uid)]
    op = "FutureValue" if node.kind == "FutureValue" else "PastValue"
    c.emit(node, op, inputs, {"offset": node.fields["steps"]})
    c.note_shape(node)


def _where(node: Node) -> dict[str, Any]:
    return {"newDynamicAxes": list(dynamic_axes(node.fields["axis"]))}


def _to_sequence(node: Node) -> dict[str, Any]:
    axes = list(dynamic_axes(node.fields["axis"]))
    return {"sequenceAxis": node.fields["axis"], "newDynamicAxes": axes}


def _unpacked(node: Node) -> dict[str, Any]:
    return {
        "sequenceUnpackPaddingValue": node.fields["filler"],
        "sequenceUnpackSuppressMaskOutput": node.fields["suppress"],
    }


def _recurrent(c: Conversion, node: Node, inputs: list[str]) -> None:
    f = node.fields
    if f["axis"] >= 0:
        c.refuse(node, "it runs along a static axis")
    attributes = {
        "hiddenSize": f["hidden"], "numLayers": f["layers"], "bidirectional": f["bidirectional"],
        "recurrentOp": _CELLS.get(f["cell"], f["cell"]),
    }  # fmt: skip
    c.emit(node, "OptimizedRNNStack", inputs if f["last"] else inputs[::-1], attributes)


# ---- the rest --------------------------------------------------------------------------------------------------------


def _edit_distance(node: Node) -> dict[str, Any]:
    f = node.fields
    return {
        "SubstitutionPenalty": f["substitution"], "DeletionPenalty": f["deletion"],
        "InsertionPenalty": f["insertion"], "SquashInputs": f["squash"], "TokensToIgnore": f["ignored"],
    }  # fmt: skip


def _crop(c: Conversion, node: Node, inputs: list[str]) -> None:
    x, y = node.fields["offsets"]
    offset = {"offset": [int(x), int(y)]} if math.isfinite(x) and math.isfinite(y) else {}
    c.emit(node, "Crop", inputs, offset)


def _cast(node: Node) -> dict[str, Any]:
    return {"newDataType": {ir.DataType.FLOAT: 1, ir.DataType.DOUBLE: 2, ir.DataType.FLOAT16: 4}[node.dtype]}


def _sampled(node: Node) -> dict[str, Any]:
    return {"numSamples": node.fields["samples"], "allowDuplicates": node.fields["duplicates"]}


_LOST = "files of CNTK 1 do not hold what it is to do: save the model in the format of CNTK 2"

BUILDERS: dict[str, Build] = {
    "AveragePooling": _image_pooling,
    "BatchNormalization": _batch_normalization,
    "Cast": _emits("Cast", _cast),
    "ConstantOp": _refused(_LOST),
    "Convolution": _convolution,
    "ConvolutionSequenceShape": _convolution,
    "Crop": _crop,
    "CrossEntropy": _cross_entropy,
    "Delay": _delay,
    "EditDistanceError": _emits("EditDistanceError", _edit_distance),
    "EyeLikeOp": _emits("EyeLikeOp", lambda node: {"OutputSparse": node.fields["sparse"]}),
    "ForwardBackward": _emits(
        "ForwardBackward", lambda node: {"DelayConstraint": node.fields["delay"], "BlankTokenId": node.fields["blank"]}
    ),
    "FutureValue": _delay,
    "KhatriRaoProduct": _khatri_rao,
    "LegacyReshape": _old_reshape,
    "LookupTable": _lookup,
    "MaxPooling": _image_pooling,
    "MaxUnpooling": _unpooling,
    "OneHot": _refused(_LOST),
    "OptimizedRNNStack": _recurrent,
    "Pad": _refused(_LOST),
    "Padding": _refused(_LOST),
    "PastValue": _delay,
    "PerDimMeanVarDeNormalization": _denormalization,
    "PerDimMeanVarDeNormalizationNode": _denormalization,
    "PerDimMeanVarNormalization": _normalization,
    "PerDimMeanVarNormalizationNode": _normalization,
    "Pooling": _pooling,
    "RNN": _recurrent,
    "ROIPooling": _roi_pooling,
    "RandomDistribution": _refused(_LOST),
    "RandomSample": _emits("RandomSample", _sampled),
    "RandomSampleInclusionFrequency": _emits("RandomSampleInclusionFrequency", _sampled),
    "ReduceElements": _reduce,
    "Reshape": _reshape,
    "RowRepeat": _row_repeat,
    "RowSlice": _slice,
    "RowStack": _emits("Splice", lambda node: {"axis": static_axis(node.fields["axis"])}),
    "Slice": _slice,
    "SumColumnElements": _sum_columns,
    "Times": _times,
    "ToSequence": _emits("ToSequence", _to_sequence),
    "TopK": _refused(_LOST),
    "Transpose": _transpose,
    "TransposeDimensions": _transpose,
    "TransposeTimes": _emits("TransposeTimes", lambda node: {"outputRank": node.fields["kept"]}),
    "UnpackSequence": _emits("UnpackSequence", _unpacked),
    "Where": _emits("Where", _where),
}

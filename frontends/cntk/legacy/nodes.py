"""What each class of CNTK 1's nodes is in terms of CNTK 2's primitive functions.

Sources: how CNTK 2 loads old models (2.7, measured), and for the classes it refuses CNTK's public sources, in which
they were last computed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import onnx_ir as ir

from nxconvert.formats.cntk.legacy import Node
from nxconvert.frontends.cntk.legacy import images
from nxconvert.frontends.cntk.legacy.axes import REDUCED, dynamic_axes, reshaped, static_axis

if TYPE_CHECKING:
    from nxconvert.frontends.cntk.legacy.model import Conversion

Build: TypeAlias = "Callable[[Conversion, Node, list[str]], Any]"

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
_MAX_SPLICED = 4096


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
    words = c.emit(node, "Reshape", [x], reshaped((table.shape[0], -1)), "words")
    found = c.emit(node, "Times", [weights, words], {"outputRank": 1, "inferInputRankToMap": -1}, "found")
    c.emit(node, "Reshape", [found], reshaped((-1,)))


def _khatri_rao(c: Conversion, node: Node, inputs: list[str]) -> None:
    """All products of an element of one vector with one of another, the elements of the first one running faster."""
    first, other = inputs
    second = c.emit(node, "Reshape", [other], reshaped((1, -1)), "second")
    products = c.emit(node, "ElementTimes", [first, second], {}, "products")
    c.emit(node, "Reshape", [products], reshaped((-1,)))


# ---- shapes ----------------------------------------------------------------------------------------------------------


def _reshape(c: Conversion, node: Node, inputs: list[str]) -> None:
    """A size of 0 is to be found; axes are counted from 1, and an end of 0 is that of all."""
    if "rows" in node.fields:
        _old_reshape(c, node, inputs)
        return
    shape = tuple(-1 if size == 0 else size for size in node.fields["shape"])
    begin, end = node.fields["begin"], node.fields["end"]
    begin = begin - 1 if begin > 0 else 0
    c.emit(node, "Reshape", inputs, reshaped(shape, begin, end - 1 if end > 0 else None))


def _old_reshape(c: Conversion, node: Node, inputs: list[str]) -> None:
    """Other sizes for samples of as many elements; it could change how many samples there are, too."""
    shape = node.fields["shape"]
    if math.prod(shape) != node.fields["rows"] or not shape:
        shape = (node.fields["rows"],)
    c.emit(node, "Reshape", inputs, reshaped(shape))


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
    axes = [REDUCED[place] if place in REDUCED else static_axis(place) for place in places]
    if any(place < -3 for place in places):
        c.refuse(node, f"it reduces the axis {min(places)}")
    keep = node.fields["keep"]
    attributes: dict[str, Any] = {"axis": axes[0]} if len(axes) == 1 else {"axisVec": axes}
    attributes["reductionOpName"] = node.fields["reduction"]
    attributes["reductionKeepDimensions"] = keep if keep is not None else places[0] > 0
    if keep is None and places[0] == 0:
        inputs = [c.emit(node, "ReduceElements", inputs, attributes, "number")]
        c.emit(node, "Reshape", inputs, reshaped((1,)))
        return
    c.emit(node, "ReduceElements", inputs, attributes)


def _sum_columns(c: Conversion, node: Node, inputs: list[str]) -> None:
    """The sum of each sample, a vector of one."""
    flat = c.emit(node, "Reshape", inputs, reshaped((-1,)), "flat")
    c.emit(node, "ReduceElements", [flat], {"axis": static_axis(1), "reductionOpName": "Sum"})


def _norm_of_absolutes(c: Conversion, node: Node, inputs: list[str]) -> None:
    """The sum of all absolute values, in a batch too."""
    absolute = c.emit(node, "Abs", inputs, {}, "absolute")
    c.emit(node, "ReduceElements", [absolute], {"axis": REDUCED[-1], "reductionOpName": "Sum"})


def _norm_of_squares(c: Conversion, node: Node, inputs: list[str]) -> None:
    """The root of the sum of all squares, in a batch too."""
    squares = c.emit(node, "ElementTimes", inputs * 2, {}, "squares")
    total = c.emit(node, "ReduceElements", [squares], {"axis": REDUCED[-1], "reductionOpName": "Sum"}, "sum")
    c.emit(node, "Sqrt", [total], {})


def _cross_entropy(c: Conversion, node: Node, inputs: list[str]) -> None:
    """Of labels and probabilities, the negative sum of the labels' logarithms of the probabilities."""
    labels, probabilities = inputs
    logarithm = c.emit(node, "Log", [probabilities], {}, "log")
    weighted = c.emit(node, "ElementTimes", [labels, logarithm], {}, "weighted")
    attributes = {"axis": REDUCED[0], "reductionOpName": "Sum", "reductionKeepDimensions": False}
    c.emit(node, "Negate", [c.emit(node, "ReduceElements", [weighted], attributes, "sum")], {})


# ---- normalizations --------------------------------------------------------------------------------------------------


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


def _cast(node: Node) -> dict[str, Any]:
    return {"newDataType": {ir.DataType.FLOAT: 1, ir.DataType.DOUBLE: 2, ir.DataType.FLOAT16: 4}[node.dtype]}


def _sampled(node: Node) -> dict[str, Any]:
    return {"numSamples": node.fields["samples"], "allowDuplicates": node.fields["duplicates"]}


_LOST = "files of CNTK 1 do not hold what it is to do: save the model in the format of CNTK 2"

BUILDERS: dict[str, Build] = {
    "AveragePooling": images.image_pooling,
    "BatchNormalization": images.batch_normalization,
    "Cast": _emits("Cast", _cast),
    "ConstantOp": _refused(_LOST),
    "Convolution": images.convolution,
    "ConvolutionSequenceShape": images.convolution,
    "Crop": images.crop,
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
    "MatrixL1Reg": _norm_of_absolutes,
    "MatrixL2Reg": _norm_of_squares,
    "MaxPooling": images.image_pooling,
    "MaxUnpooling": images.unpooling,
    "OneHot": _refused(_LOST),
    "OptimizedRNNStack": _recurrent,
    "Pad": _refused(_LOST),
    "Padding": _refused(_LOST),
    "Parallel": _emits("Splice", lambda node: {"axis": static_axis(1)}),
    "PastValue": _delay,
    "PerDimMeanVarDeNormalization": _denormalization,
    "PerDimMeanVarDeNormalizationNode": _denormalization,
    "PerDimMeanVarNormalization": _normalization,
    "PerDimMeanVarNormalizationNode": _normalization,
    "Pooling": images.pooling,
    "RNN": _recurrent,
    "ROIPooling": images.roi_pooling,
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

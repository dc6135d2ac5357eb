"""What the classes of CNTK 1's nodes write into a file, by the version of the file.

Each entry of `CLASSES` reads the data of one node and gives them by name. Classes without an entry have never been
written by a release, or write nothing that could be read back. Sources: the ``Load`` functions of CNTK's public
sources, compared with the library of CNTK 2.7 and with files that it wrote.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

from nxconvert.formats.cntk.cursor import Cursor

Fields: TypeAlias = "dict[str, Any]"

#: The classes that write nothing.
_SILENT = """
    Abs Acos Asin Asinh Assign Atan Atanh CRF Cast ClassBasedCrossEntropyWithSoftmax ClassificationError Clip
    ColumnElementTimes ConstantOp CosDistance CosDistanceWithNegativeSamples Cosh Cosine CrossEntropy
    CrossEntropyWithSoftmax CustomProxyOp CustomProxyOpNode DiagTimes Diagonal DummyCriterion DynamicAxis
    ElementTimes EpochAccumulator Equal ErrorPrediction Exp ExponentialLinearUnit Floor GMMLogLikelihood Gather
    GatherPacked Greater GreaterEqual Hardmax If KhatriRaoProduct LabelsToGraph LambdaRank Less LessEqual Log
    LogPlus LogSoftmax Logistic LookupTable MatrixL1Reg MatrixL2Reg Minus NDCG1Eval Negate NotEqual OneHot
    OutputMultiplexer PackedIndex Pad Padding Parallel Pass PerDimMeanVarDeNormalization
    PerDimMeanVarDeNormalizationNode PerDimMeanVarNormalization PerDimMeanVarNormalizationNode Plus Pow
    RandomDistribution Reciprocal ReconcileDynamicAxis ReconcileMBLayout RectifiedLinear RowElementTimes Scale
    ScatterPacked SequenceWithSoftmax Sigmoid Sin Sinh Softmax Sqrt SquareError StableSigmoid StopGradient
    StraightThrough StrideTimes SumColumnElements SumElements Tan Tanh ToBatch ToBatchAxis ToBatchAxisNode
    ToSequenceLike ToSequenceLikeOp TopK UnpackBatchAxis
    """.split()  # noqa: SIM905


def _nothing(c: Cursor) -> Fields:
    return {}


def _parameter(c: Cursor) -> Fields:
    """A parameter: before version 3 with its rows and columns, or with a shape if there are no rows."""
    if c.version >= 3:
        rate, shape = c.float32(), c.shape()
    else:
        rate = float(c.flag())
        rows, columns = c.uint64(), c.uint64()
        shape = (rows, columns)
        if rows == 0:
            shape = c.shape(old=True)
            shape = (*shape, columns) if columns > 1 else shape
    value, rows, columns = c.matrix()
    count = value.shape[0]
    if math.prod(shape) != count:
        raise c.damaged(f"a parameter of the shape {list(shape)} has {count:,} numbers")
    return {"rate": rate, "shape": shape, "value": value}


def _input(c: Cursor) -> Fields:
    """An input; one without an axis of its own has None, and is on the default one."""
    rows, _ = c.uint64(), c.uint64()
    shape = c.shape(old=True)
    if rows not in (0, math.prod(shape)):
        shape = (rows,)
    axis = None
    if c.version >= 8:
        count = c.uint32()
        if count > 1:
            raise c.damaged(f"an input is on {count:,} axes")
        axis = c.text() if count else None
    if c.version >= 10:
        c.float32()
    return {"shape": shape, "axis": axis}


def _reshape(c: Cursor) -> Fields:
    """Other sizes from an axis to another. Before version 3 it may be what is now called the legacy class.

    That has as many rows as its sizes make, or sizes of 0; both take as many bytes.
    """
    if c.version < 3:
        fields = _old_reshape(c)
        rows, count = fields["rows"], math.prod(fields["shape"])
        if not count or rows == count:
            return fields
        return {"begin": rows & 0xFFFFFFFF, "end": rows >> 32, "shape": fields["shape"]}
    return {"begin": c.int32(), "end": c.int32(), "shape": c.shape()}


def _old_reshape(c: Cursor) -> Fields:
    """Rows, and the sizes of an image if these are not 0."""
    return {"rows": c.uint64(), "shape": c.shape(old=True)}


def _precomputed(c: Cursor) -> Fields:
    done = c.flag()
    value, rows, columns = c.matrix()
    return {"computed": done, "value": value, "shape": (rows, columns)}


def _filter(c: Cursor) -> Fields:
    """What convolutions and poolings of any number of axes have in common."""
    fields: Fields = {}
    if c.version >= 5:
        fields |= {"kernel": c.shape(), "maps": c.shape(), "strides": c.shape(), "sharing": c.flags()}
        fields |= {"padding": c.flags(), "lower": c.shape(), "upper": c.shape(), "pooling": c.int32()}
        fields |= {"layout": c.int32(), "memory": c.uint64()}
    fields["transpose"] = c.flag() if c.version >= 9 else False
    fields["output"] = c.shape() if c.version >= 20 else (0,)
    fields["ceil"] = c.flag() if c.version >= 21 else False
    fields["include"] = c.flag() if c.version >= 23 else False
    return fields


def _convolution(c: Cursor) -> Fields:
    """Before version 5 a convolution is one of images."""
    fields = _filter(c)
    if c.version >= 5:
        fields["flat"] = c.flag()
        fields["dilation"] = c.shape() if c.version >= 18 else (1,)
        return fields
    width, height, across, down = c.uint64(), c.uint64(), c.uint64(), c.uint64()
    maps, layout, padding, memory = c.uint32(), c.uint32(), c.flag(), c.uint64()
    return fields | {
        "kernel": (width, height, 1), "maps": (maps,), "strides": (across, down, 1), "sharing": [True],
        "padding": [padding], "lower": (0,), "upper": (0,), "pooling": 0, "layout": layout, "memory": memory,
        "flat": True, "dilation": (1,),
    }  # fmt: skip


def _image_pooling(c: Cursor) -> Fields:
    width, layout, height, across, down = c.uint32(), c.uint32(), c.uint64(), c.uint64(), c.uint64()
    return {"kernel": (width, height, 1), "strides": (across, down, 1), "layout": layout}


def _roi_pooling(c: Cursor) -> Fields:
    shape = c.shape()
    if c.version < 26:
        return {"output": shape, "pooling": 1, "scale": None}
    return {"output": shape, "pooling": c.int32(), "scale": c.float64()}


def _batch_normalization(c: Cursor) -> Fields:
    """Before version 6 the class had versions of its own; before version 13 it kept the inverse of the deviation."""
    fields: Fields = {"inverse": c.version < 13, "layout": 1, "epsilon": 0.0, "blend": 0.0, "time": 0.0}
    if c.version >= 6:
        fields |= {"spatial": c.flag(), "time": c.float64(), "blend": c.float64(), "layout": c.int32()}
        fields["seen"] = int(c.flag()) if c.version == 19 else c.uint64()
        return fields | {"epsilon": c.float64(), "cntk": c.flag()}
    written, readable = c.int32(), c.int32()
    if written < 0x10001 or readable > min(written, 0x10004):
        raise c.damaged(f"it is of the version {written:x}, which can be read by {readable:x}")
    c.flag()
    fields |= {"spatial": c.flag(), "time": c.float64()}
    if written >= 0x10002:
        fields |= {"layout": c.int32(), "seen": c.uint64()}
    if written >= 0x10003:
        fields |= {"epsilon": c.float64(), "cntk": c.flag()}
    return fields


def _delay(c: Cursor) -> Fields:
    fields: Fields = {"steps": c.int32()}
    if c.version > 3:
        fields["shape"] = c.shape()
    else:
        c.uint64(), c.uint64()
        fields["shape"] = None
    fields["initial"] = c.element() if c.version >= 2 else 0.1
    return fields


def _random_state(c: Cursor) -> Fields:
    """The state of random numbers. In version 16 Windows has a seed of 32 bits: what follows tells which it is."""
    if c.version < 16:
        return {}
    short = c.version == 16 and c.follows(12, ("float", "double", "ENodeList"))
    return {"seed": c.uint32() if short else c.uint64(), "drawn": c.uint64()}


def _random_sample(c: Cursor) -> Fields:
    return {"duplicates": c.flag(), "samples": c.uint64(), **_random_state(c)}


def _slice(c: Cursor) -> Fields:
    """One slice an axis: axis (from 1), start, stop, stride. Old files slice rows."""
    count = c.int32() if c.version >= 22 else 1
    if not 1 <= count <= 64:
        raise c.damaged(f"a slice is of {count} axes")
    slices = []
    for _ in range(count):
        start, height = c.int64(), c.int64()
        axis = c.int32() if c.version >= 3 else 1
        slices.append((axis, start, start + height, c.int32() if c.version >= 27 else 1))
    return {"slices": slices}


def _transpose(c: Cursor) -> Fields:
    axes = (c.int32(), c.int32()) if c.version >= 3 else (1, 2)
    order = c.sizes() if c.version >= 25 and axes == (0, 0) else None
    return {"axes": axes, "order": order}


def _reduce(c: Cursor) -> Fields:
    count = c.int32() if c.version >= 27 else 1
    if not 1 <= count <= 64:
        raise c.damaged(f"a reduction is over {count} axes")
    axes = [c.int32() for _ in range(count)]
    return {"axes": axes, "reduction": c.text(), "keep": c.flag() if c.version >= 24 else None}


def _recurrent(c: Cursor) -> Fields:
    """A stack of recurrent layers; before version 14 cells had other names, and weights were the last input."""
    fields = {"bidirectional": bool(c.uint64()), "layers": c.uint64(), "hidden": c.uint64(), "cell": c.text()}
    return fields | {"axis": c.int32() if c.version >= 14 else -1, "last": c.version < 14}


def _product(c: Cursor) -> Fields:
    return {"kept": c.uint64() if c.version >= 3 else 1, "mapped": c.int32() if c.version >= 12 else -1}


def _quantized(c: Cursor) -> Fields:
    return _product(c) | {"shifts": (c.uint64(), c.uint64())}


def _edit_distance(c: Cursor) -> Fields:
    fields = {"substitution": c.float32(), "deletion": c.float32(), "insertion": c.float32(), "squash": c.flag()}
    return fields | {"ignored": c.sizes()}


def _trace(c: Cursor) -> Fields:
    """What is logged, when, and how; the numbers pass through."""
    message = c.text()
    c.uint64(), c.uint64(), c.flag(), c.flag(), c.text(), c.flag(), c.flag()
    for _ in range(8):
        c.bytes()
    c.uint64(), c.uint64()
    return {"message": message}


def _noise_contrast(c: Cursor) -> Fields:
    """How it is computed, one of three ways; the first releases did not write it."""
    return {"mode": c.int32() if any(c.holds(mode) for mode in range(3)) else 2}


def _old_cell(c: Cursor) -> Fields:
    """An LSTM that was one node: since version 2 with how many numbers it takes and gives."""
    sizes = (c.uint64(), c.uint64()) if c.version >= 2 else None
    return {"sizes": sizes, "initial": c.element()}


def _lattices(c: Cursor) -> Fields:
    """Paths, factors, flags, of a criterion."""
    paths = [c.text() for _ in range(5)]
    factors, flags = [c.float64() for _ in range(6)], [c.flag() for _ in range(2)]
    return {"paths": paths, "factors": factors, "flags": flags}


CLASSES: dict[str, Callable[[Cursor], Fields]] = {
    **dict.fromkeys(_SILENT, _nothing),
    "AveragePooling": _image_pooling,
    "BatchNormalization": _batch_normalization,
    "Convolution": _convolution,
    "ConvolutionSequenceShape": _convolution,
    "Crop": lambda c: {"offsets": (c.float64(), c.float64())},
    "Delay": _delay,
    "Dropout": _random_state,
    "EditDistanceError": _edit_distance,
    "EnvironmentInput": lambda c: {"property": c.text()},
    "EyeLikeOp": lambda c: {"sparse": c.flag()},
    "ForwardBackward": lambda c: {"delay": c.int32(), "blank": c.uint64()},
    "FutureValue": _delay,
    "InputValue": _input,
    "InvStdDev": _precomputed,
    "LearnableParameter": _parameter,
    "LSTM": _old_cell,
    "LatticeSequenceWithSoftmax": _lattices,
    "LegacyReshape": _old_reshape,
    "MaxPooling": _image_pooling,
    "MaxUnpooling": _filter,
    "Mean": _precomputed,
    "NCEBasedCrossEntropyWithSoftmax": _noise_contrast,
    "OptimizedRNNStack": _recurrent,
    "PastValue": _delay,
    "Pooling": _filter,
    "QuantizedTimes": _quantized,
    "RNN": _recurrent,
    "ROIPooling": _roi_pooling,
    "RandomSample": _random_sample,
    "RandomSampleInclusionFrequency": _random_sample,
    "ReduceElements": _reduce,
    "Reshape": _reshape,
    "RowRepeat": lambda c: {"repeats": c.uint64()},
    "RowSlice": _slice,
    "RowStack": lambda c: {"axis": c.int32() if c.version >= 3 else 1},
    "Slice": _slice,
    "SparseInputValue": _input,
    "Times": _product,
    "ToSequence": lambda c: {"axis": c.text()},
    "Trace": _trace,
    "Transpose": _transpose,
    "TransposeDimensions": _transpose,
    "TransposeTimes": _product,
    "UnpackSequence": lambda c: {"filler": c.element(), "suppress": c.flag()},
    "Where": lambda c: {"axis": c.text() if c.version >= 11 else "WhereNodeAxis"},
}

"""The numbers that CNTK's files have for primitive functions. Observed in files of CNTK 2.7."""

from __future__ import annotations

#: The primitive functions, each at the place of its number.
NAMES = tuple(
    """
    Negate Sigmoid Tanh ReLU Exp Log Sqrt Floor Abs Reciprocal Softmax Hardmax TransposeAxes Where Slice Dropout
    Reshape Pooling SumAll Plus Minus ElementTimes Equal NotEqual Less LessEqual Greater GreaterEqual PackedIndex
    GatherPacked ScatterPacked Times TransposeTimes Convolution SquaredError CrossEntropyWithSoftmax
    ClassificationError PastValue FutureValue ReduceElements BatchNormalization Clip Select Splice Combine
    RandomSample RandomSampleInclusionFrequency ROIPooling Logistic OptimizedRNNStack ReconcileDynamicAxis
    LogSoftmax LogPlus CosDistance Sin Cos Pass Block Unpooling LambdaRank NDCG EditDistanceError NoOp LabelsToGraph
    StopGradient ELU ForwardBackward CosDistanceWithNegativeSamples OneHot Pow ToSequence ToSequenceLike
    UnpackSequence Assign Gather StableSigmoid RandomDistribution Sinh Cosh UnpackBatch ToBatch Asin Acos Pad Crop
    Atanh Asinh TopK Squeeze ConstantOp LatticeSequenceWithSoftmax Cast EyeLikeOp CustomProxyOp StraightThrough Tan
    Atan ConvolutionSequenceShape
    """.split()  # noqa: SIM905
)
COMBINE, BLOCK, PAST_VALUE, FUTURE_VALUE = (NAMES.index(n) for n in ("Combine", "Block", "PastValue", "FutureValue"))
#: The functions that give what they take, when a model is used.
IDENTITIES = frozenset({"Dropout", "StopGradient", "Pass", "NoOp", "CustomProxyOp"})


def name_of(number: int) -> str:
    """The name of a primitive function; a word with its number for one that is not known."""
    return NAMES[number] if 0 <= number < len(NAMES) else f"primitive {number}"

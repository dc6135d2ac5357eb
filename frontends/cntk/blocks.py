"""Blocks that ONNX has one operator for, recognised in the network.

CNTK's programming interface makes blocks of primitive functions of what ONNX has operators for: softmax along an axis,
activations, the larger of two numbers. Files have the functions of all blocks in one network, and those of the old
format have no blocks at all; so it is the functions that are looked at, not the names of blocks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

from nxconvert.formats.cntk.dictionary import ALL_STATIC
from nxconvert.frontends.cntk.dynamic import aligned, joined, masked
from nxconvert.frontends.cntk.idioms import function_of, number_of
from nxconvert.frontends.cntk.network import Leaf, Node, Result, Source
from nxconvert.frontends.cntk.ops.window import per_sample
from nxconvert.frontends.cntk.signs import is_positive, is_root
from nxconvert.frontends.cntk.table import Axes, Axis, Context, DataType, LoweringError, Tensor, Value, axis

_DYNAMIC = 2147483640  # from here on, the places of axes mean kinds of axes
#: What ONNX Runtime has the operators of activations for.
_NARROW = (DataType.FLOAT, DataType.FLOAT16)


class _Other(Exception):
    """The function is not the end of what is looked for."""


def recognised(context: Context) -> Tensor | None:
    """What the function that is lowered gives, if it is the end of a block with an operator of its own."""
    for rule in _RULES.get(context.node.op, ()):
        try:
            return rule(context)
        except _Other:
            continue
    return None


def _function(context: Context, source: Source, op: str) -> Node:
    node = function_of(context.network, source)
    if node is None or node.op != op:
        raise _Other
    return node


def _number(context: Context, source: Source) -> float:
    number = number_of(context.network, source)
    if number is None:
        raise _Other
    return number


def _require(condition: bool) -> None:
    if not condition:
        raise _Other


def _tensor(context: Context, source: Source) -> Tensor:
    """What a source stands for; in a loop, it has to be a part of the step."""
    try:
        tensor = context.tensor(source)
    except LoweringError:
        raise _Other from None
    axes = joined([context.tensor(each) for each in context.node.inputs])
    _require(tensor.axes.seq is None or tensor.axes.seq is axes.seq)
    return tensor


def _narrow(context: Context, source: Source) -> Tensor:
    tensor = _tensor(context, source)
    _require(tensor.dtype in _NARROW)
    return tensor


def _factors(context: Context, node: Node) -> tuple[float, Source]:
    """A number and what it is multiplied with."""
    for number, rest in (node.inputs, node.inputs[::-1]):
        value = number_of(context.network, number)
        if value is not None:
            return value, rest
    raise _Other


def _quotients(context: Context, node: Node) -> Iterator[tuple[Source, Source]]:
    """What a product divides, and by what, where a factor is a reciprocal."""
    for dividend, rest in (node.inputs, node.inputs[::-1]):
        reciprocal = function_of(context.network, rest)
        if reciprocal is not None and reciprocal.op == "Reciprocal":
            yield dividend, reciprocal.inputs[0]


def _axes(reduction: Node) -> list[Any]:
    """The axes of a reduction, as its file has them."""
    attributes = reduction.attributes
    return attributes.get("axisVec") or [attributes.get("axis")]


# ---- softmax ---------------------------------------------------------------------------------------------------------


def _reduced(context: Context, source: Source, kind: str) -> tuple[Source, frozenset[int]]:
    """What a reduction is of, and along which static axes, counted from the last one."""
    node = _function(context, source, "ReduceElements")
    attributes = node.attributes
    _require(attributes.get("reductionOpName") == kind and attributes.get("reductionKeepDimensions", True) is True)
    axes = _axes(node)
    _require(all(isinstance(each, Axis) and 0 <= each.static < _DYNAMIC for each in axes))
    return node.inputs[0], frozenset(each.static for each in axes)


def _reduced_along(context: Context, source: Source, kind: str) -> tuple[Source, int]:
    """What a reduction along one static axis is of, and the axis."""
    inner, axes = _reduced(context, source, kind)
    _require(len(axes) == 1)
    return inner, axis(*axes)


def _less_largest(context: Context, source: Source) -> tuple[Source, int]:
    """What the largest element along an axis is subtracted from, and the axis."""
    minus = _function(context, source, "Minus")
    reduced, along = _reduced_along(context, minus.inputs[1], "Max")
    _require(reduced == minus.inputs[0])
    return reduced, along


def _exponentials(context: Context, source: Source) -> tuple[Source, int]:
    return _less_largest(context, _function(context, source, "Exp").inputs[0])


def _softmax(context: Context) -> Tensor:
    for numerator, divisor in _quotients(context, context.node):
        total, along = _reduced_along(context, divisor, "Sum")
        _require(total == numerator)
        return _normalised(context, "Softmax", _exponentials(context, numerator), along)
    raise _Other


def _log_softmax(context: Context) -> Tensor:
    less, logarithm = context.node.inputs
    source, along = _less_largest(context, less)
    total, again = _reduced_along(context, _function(context, logarithm, "Log").inputs[0], "Sum")
    _require(_exponentials(context, total) == (source, along))
    return _normalised(context, "LogSoftmax", (source, along), again)


def _normalised(context: Context, operator: str, found: tuple[Source, int], along: int) -> Tensor:
    _require(found[1] == along)
    x = _tensor(context, found[0])
    _require(-along <= x.rank)
    return x.of(getattr(context.op, operator)(x.value, axis=along))


# ---- over the steps of sequences ------------------------------------------------------------------------------------


#: What reductions are not changed by, and ONNX's operators for them.
_NEUTRAL = {"Sum": (0.0, "ReduceSum"), "Max": (-math.inf, "ReduceMax"), "Min": (math.inf, "ReduceMin")}


def _steps(context: Context, node: Node) -> tuple[Source, str]:
    """What a function reduces over the steps of sequences, without an axis that is left of them; and how."""
    unpacked = _function(context, node.inputs[0], "UnpackSequence")
    kind, place = node.attributes.get("reductionOpName", ""), node.attributes.get("axis")
    _require(kind in _NEUTRAL and node.attributes.get("reductionKeepDimensions") is False)
    (source,) = unpacked.inputs
    _require(isinstance(place, Axis) and place.static == context.tensor(source).rank)
    _require(unpacked.attributes.get("sequenceUnpackPaddingValue", 0.0) == _NEUTRAL[kind][0])
    return source, kind


def _steps_reduced(context: Context) -> Tensor:
    """A reduction of sequences as they are: as long as the longest one, they would have to be cut first."""
    source, kind = _steps(context, context.node)
    neutral, operator = _NEUTRAL[kind]
    value = masked(context.op, context.tensor(source), neutral)
    return Tensor(getattr(context.op, operator)(value, [1], keepdims=0), Axes(True))


def _spread(context: Context, source: Source, kind: str) -> Source:
    """What a reduction over the steps of sequences is of that is the same for each of them."""
    node = _function(context, source, "ReconcileDynamicAxis")
    steps, reduction = _steps(context, _function(context, node.inputs[0], "ReduceElements"))
    _require(reduction == kind and context.tensor(source).axes.seq is context.tensor(steps).axes.seq)
    return steps


def _softmax_of_steps(context: Context) -> Tensor:
    for numerator, divisor in _quotients(context, context.node):
        minus = _function(context, _function(context, numerator, "Exp").inputs[0], "Minus")
        _require(_spread(context, divisor, "Sum") == numerator)
        _require(_spread(context, minus.inputs[1], "Max") == minus.inputs[0])
        x = context.tensor(minus.inputs[0])
        return x.of(context.op.Softmax(masked(context.op, x, -math.inf), axis=1))
    raise _Other


# ---- activations -----------------------------------------------------------------------------------------------------


def _negative_part(context: Context, node: Node) -> tuple[Source, Node]:
    """What is kept where it is not negative, and the product that replaces it where it is."""
    flag, then, other = node.inputs
    less = _function(context, flag, "Less")
    _require(less.inputs[0] == other and _number(context, less.inputs[1]) == 0)
    return other, _function(context, then, "ElementTimes")


def _elu_of(context: Context, node: Node) -> tuple[Source, float]:
    source, product = _negative_part(context, node)
    alpha, rest = _factors(context, product)
    _require(_function(context, rest, "ELU").inputs[0] == source)
    return source, alpha


def _elu(context: Context) -> Tensor:
    source, alpha = _elu_of(context, context.node)
    x = _narrow(context, source)
    return x.of(context.op.Elu(x.value, alpha=alpha))


def _selu(context: Context) -> Tensor:
    gamma, rest = _factors(context, context.node)
    source, alpha = _elu_of(context, _function(context, rest, "Select"))
    _require(gamma > 0)
    x = _narrow(context, source)
    return x.of(context.op.Selu(x.value, alpha=alpha, gamma=gamma))


def _leaky_relu(context: Context) -> Tensor:
    source, product = _negative_part(context, context.node)
    alpha, rest = _factors(context, product)
    _require(rest == source)
    x = _narrow(context, source)
    return x.of(context.op.LeakyRelu(x.value, alpha=alpha))


def _parametric_relu(context: Context) -> Tensor:
    source, product = _negative_part(context, context.node)
    for slope, rest in (product.inputs, product.inputs[::-1]):
        if rest == source:
            x, alpha = _narrow(context, source), _tensor(context, slope)
            _require(alpha.nd == 0 and alpha.rank <= x.rank and alpha.dtype == x.dtype)
            _require(all(a in (1, b) for a, b in zip(alpha.dims[::-1], x.dims[::-1], strict=False)))
            return x.of(context.op.PRelu(x.value, alpha.value))
    raise _Other


def _hard_sigmoid(context: Context) -> Tensor:
    upper = _bounded(context, context.node, "Greater", 0.0)
    line = _function(context, _bounded(context, _function(context, upper, "Select"), "Less", 1.0), "Plus")
    (beta, product) = _factors(context, line)
    alpha, source = _factors(context, _function(context, product, "ElementTimes"))
    x = _narrow(context, source)
    return x.of(context.op.HardSigmoid(x.value, alpha=alpha, beta=beta))


def _bounded(context: Context, node: Node, comparison: str, bound: float) -> Source:
    """What a bound replaces where it is beyond it."""
    flag, then, other = node.inputs
    compared = _function(context, flag, comparison)
    _require(compared.inputs == (then, other) and _number(context, other) == bound)
    return then


# ---- local response normalization ------------------------------------------------------------------------------------


def _local_response(context: Context) -> Tensor:
    """A quotient by a power of a number and the squares of channels around each, never of 0."""
    source, quotient = context.node.inputs
    power = _function(context, _function(context, quotient, "Reciprocal").inputs[0], "Exp")
    beta, logarithm = _factors(context, _function(context, power.inputs[0], "ElementTimes"))
    bias, sums = _factors(context, _function(context, _function(context, logarithm, "Log").inputs[0], "Plus"))
    convolution = _function(context, _function(context, sums, "Reshape").inputs[0], "Convolution")
    squares = _function(context, _function(context, convolution.inputs[1], "Reshape").inputs[0], "ElementTimes")
    _require(squares.inputs == (source, source))
    factor, size = _channel_sum(context, convolution)
    x = _narrow(context, source)
    _require(x.rank == _IMAGE and bias > 0 and factor >= 0)
    settings = {"alpha": factor * size, "beta": beta, "bias": bias, "size": size}
    return per_sample(context.op, x, lambda value: context.op.LRN(value, **settings))


#: The static axes of an image.
_IMAGE = 3


def _channel_sum(context: Context, convolution: Node) -> tuple[float, int]:
    """What the sum of channels around each is multiplied with, and of how many, if that is what is convolved."""
    window, strides, centers = (convolution.attributes[name] for name in ("kernelShape", "strides", "autoPadding"))
    # The channels are an axis of space, that of the convolution's own channels is the last of its column-major window.
    _require(len(window) == _IMAGE + 1 and set(strides) == {1} and all(centers))
    size = window[_IMAGE - 1]
    _require(tuple(window) == (1, 1, size, 1) and size % 2 == 1 and not convolution.attributes.get("transpose"))
    kernel = _tensor(context, convolution.inputs[0]).value.array
    _require(kernel is not None and kernel.size == size and len(set(kernel.reshape(-1).tolist())) == 1)
    assert kernel is not None
    return float(kernel.reshape(-1)[0]), size


# ---- normalization by a sample's own statistics ----------------------------------------------------------------------


def _standardised(context: Context, source: Source) -> tuple[Source, frozenset[int], float]:
    """What is standardised, along which axes, counted from the last one, and what is added to the variance."""
    node = _function(context, source, "ElementTimes")
    for centered, deviation in _quotients(context, node):
        epsilon, variance = _factors(context, _function(context, _root(context, deviation), "Plus"))
        x = _function(context, centered, "Minus").inputs[0]
        square, axes = _mean(context, variance)
        factors = _function(context, square, "ElementTimes").inputs
        _require(epsilon > 0)
        for each in (centered, *factors):
            minus = _function(context, each, "Minus")
            _require(minus.inputs[0] == x and _mean(context, minus.inputs[1], x) == (x, axes))
        return x, axes, epsilon
    raise _Other


def _root(context: Context, source: Source) -> Source:
    """What something is the square root of."""
    node = function_of(context.network, source)
    _require(node is not None and (node.op == "Sqrt" or is_root(context.network, node)))
    assert node is not None
    return node.inputs[0]


def _mean(context: Context, source: Source, of: Source | None = None) -> tuple[Source, frozenset[int]]:
    """What means along one axis after the other are of, and along which: of what is no mean, or of `of`."""
    source, axes = _reduced(context, source, "Mean")
    node = function_of(context.network, source)
    while source != of and node is not None and node.op == "ReduceElements":
        source, more = _reduced(context, source, "Mean")
        axes, node = axes | more, function_of(context.network, source)
    return source, axes


def _instance(context: Context, source: Source, gain: Source | None = None, shift: Source | None = None) -> Tensor:
    """`InstanceNormalization` of what is standardised along all static axes but the first."""
    source, axes, epsilon = _standardised(context, source)
    x = _tensor(context, source)
    _require(x.dtype == DataType.FLOAT and x.rank > 1 and axes == frozenset(range(x.rank - 1)))
    channels = x.dims[0]
    if not isinstance(channels, int):
        raise _Other
    scale, bias = (
        _of_channels(context, each, x) if each is not None else context.op.const([number] * channels, x.dtype)
        for each, number in ((gain, 1.0), (shift, 0.0))
    )
    return per_sample(
        context.op, x, lambda value: context.op.InstanceNormalization(value, scale, bias, epsilon=epsilon)
    )


def _of_channels(context: Context, source: Source, x: Tensor) -> Value:
    """A weight that has a number for each channel of x."""
    _require(isinstance(source, Leaf))
    weight = _tensor(context, source)
    _require(weight.nd == 0 and weight.dtype == x.dtype and weight.dims == (x.dims[0], *[1] * (x.rank - 1)))
    return context.op.reshape(weight.value, x.dims[:1])


def _instance_alone(context: Context) -> Tensor:
    return _instance(context, Result(context.node.uid))


def _instance_with_weights(context: Context) -> Tensor:
    for product, shift in (context.node.inputs, context.node.inputs[::-1]):
        node = function_of(context.network, product)
        if node is not None and node.op == "ElementTimes" and isinstance(shift, Leaf):
            for source, gain in (node.inputs, node.inputs[::-1]):
                if isinstance(gain, Leaf):
                    return _instance(context, source, gain, shift)
    raise _Other


# ---- what is computed in a detour ------------------------------------------------------------------------------------


def _extreme(context: Context) -> Tensor:
    flag, then, other = context.node.inputs
    compared = function_of(context.network, flag)
    _require(compared is not None and compared.op in _EXTREMES and compared.inputs == (then, other))
    assert compared is not None
    (x, y), axes = aligned(context.op, _tensor(context, then), _tensor(context, other))
    return Tensor(getattr(context.op, _EXTREMES[compared.op])(x, y), axes)


_EXTREMES = {"Greater": "Max", "Less": "Min"}


def _quotient(context: Context) -> Tensor:
    """A product with the reciprocal of what cannot be 0."""
    for dividend, divisor in _quotients(context, context.node):
        if is_positive(context.network, divisor):
            (x, y), axes = aligned(context.op, _tensor(context, dividend), _tensor(context, divisor))
            _require(y.array is None)  # whose reciprocal is known
            return Tensor(context.op.Div(x, y), axes)
    raise _Other


def _unit(context: Context) -> Tensor:
    """What is divided by its length along some axes; where that is 0, it is 0 itself."""
    for source, divisor in _quotients(context, context.node):
        total = _function(context, _root(context, divisor), "ReduceElements")
        _require(total.attributes.get("reductionOpName") == "Sum" and _is_static(total))
        _require(_function(context, total.inputs[0], "ElementTimes").inputs == (source, source))
        (x, norm), axes = aligned(context.op, _tensor(context, source), _tensor(context, divisor))
        _require(x.etype in _LEAST_LENGTH and x.array is None)
        length = context.op.Max(norm, context.op.const(_LEAST_LENGTH[x.etype], x.etype))
        return Tensor(context.op.Div(x, length), axes)
    raise _Other


def _is_static(reduction: Node) -> bool:
    """Whether each sample has what a reduction is of alone, in the place of its own elements."""
    axes = _axes(reduction)
    if all(isinstance(each, Axis) and each.static == ALL_STATIC for each in axes):
        return True
    kept = reduction.attributes.get("reductionKeepDimensions", True) is True
    return kept and all(isinstance(each, Axis) and 0 <= each.static < _DYNAMIC for each in axes)


#: Less than the length of any vector whose squares are not all 0.
_LEAST_LENGTH = {DataType.FLOAT: 1e-23, DataType.DOUBLE: 1e-162}


def _ceil(context: Context) -> Tensor:
    floor = _function(context, context.node.inputs[0], "Floor")
    x = _tensor(context, _function(context, floor.inputs[0], "Negate").inputs[0])
    return x.of(context.op.Ceil(x.value))


_RULES: dict[str, tuple[Callable[[Context], Tensor], ...]] = {
    "ElementTimes": (_softmax, _softmax_of_steps, _selu, _local_response, _instance_alone, _quotient, _unit),
    "Minus": (_log_softmax,),
    "Negate": (_ceil,),
    "Plus": (_instance_with_weights,),
    "ReduceElements": (_steps_reduced,),
    "Select": (_hard_sigmoid, _elu, _leaky_relu, _parametric_relu, _extreme),
}

"""What changed from one operator set to the next, operator by operator.

A rule of `BACKWARD` turns an operator as it is since a version into what it was just before; a rule of `FORWARD` turns
what it was just before a version into what it is since. Rules run version by version, so each knows one step only. An
operator that a version merely gave more dtypes or attributes needs no rule: what it does with them is either not
there, or is told by the older schema not to fit.

Read off `onnx.defs.get_all_schemas_with_history()` and the operators' documentation, up to opset 27. Those versions
after 20 that changed what is there, beyond dtypes and attributes of harmless default, and what they ask of us:

==== ========================================= ==============================================================
  21 `GroupNormalization`                      scale and bias are one number a channel, not a group: a rule
  22 `AveragePool`, `MaxPool`                  says that windows beyond the input do not count; runtimes did so
  23 `QuantizeLinear`                          the scale may have another dtype than the input: nothing
  24 `Attention`, `TopK`, `SplitToSequence`    more inputs, more dtypes: nothing
  27 `Range`                                   `stash_type`, for half precision, whose default is nothing new
==== ========================================= ==============================================================
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
import onnx_ir as ir

from nxconvert.passes.emitter import Emitter
from nxconvert.passes.rewriting import (
    change,
    int_attribute,
    integers,
    ints_attribute,
    rank,
    string_attribute,
)


class InexpressibleError(Exception):
    """An operator has no counterpart in the version aimed at; the message says what about it."""


Rule: TypeAlias = Callable[[ir.Node, Emitter], None]

#: (operator, the version that changed it) to what undoes the change.
BACKWARD: dict[tuple[str, int], Rule] = {}
#: (operator, the version that changed it) to what follows the change.
FORWARD: dict[tuple[str, int], Rule] = {}

_INT64, _FLOAT, _BOOL = ir.DataType.INT64, ir.DataType.FLOAT, ir.DataType.BOOL
_HALVES = frozenset({ir.DataType.FLOAT16, ir.DataType.BFLOAT16})


def _backward(version: int, *op_types: str) -> Callable[[Rule], Rule]:
    def register(rule: Rule) -> Rule:
        BACKWARD.update({(op_type, version): rule for op_type in op_types})
        return rule

    return register


def _input(node: ir.Node, index: int) -> ir.Value | None:
    """An input, None where it is left out."""
    return node.inputs[index] if len(node.inputs) > index else None


def _drop(node: ir.Node, name: str, defaults: Sequence[object], what: str) -> None:
    """Removes an attribute that has one of its `defaults`."""
    attribute = node.attributes.pop(name, None)
    if attribute is not None and attribute.value not in defaults:
        raise InexpressibleError(f"{what} ({name}) is newer")


def _known_rank(value: ir.Value | None) -> int:
    dims = rank(value)
    if dims is None:
        raise InexpressibleError("the rank of its input is not known")
    return dims


def _dim(value: ir.Value | None, axis: int) -> int | ir.SymbolicDim | None:
    """The size of a dim, None where nothing is known."""
    return None if value is None or value.shape is None else value.shape[axis]


# ---- 21 -------------------------------------------------------------------------------------------------------------


def _group_normalization_21(node: ir.Node, op: Emitter) -> None:
    """Scale and bias are repeated for every channel of a group."""
    channels = _dim(node.inputs[0], 1)
    if not isinstance(channels, int):
        _group_normalization(node, op)
        return
    groups = int_attribute(node, "num_groups", 1)
    for index in (1, 2):
        value = node.inputs[index]
        assert value is not None
        column = op("Unsqueeze", value, op.constant([1]), dtype=value.dtype, shape=(groups, 1))
        size = (groups, channels // groups)
        table = op("Expand", column, op.constant(size), dtype=value.dtype, shape=size)
        node.replace_input_with(index, op("Reshape", table, op.constant([-1]), dtype=value.dtype, shape=(channels,)))


FORWARD["GroupNormalization", 21] = _group_normalization_21


# ---- 20 -------------------------------------------------------------------------------------------------------------


@_backward(20, "AffineGrid")
def _affine_grid(node: ir.Node, op: Emitter) -> None:
    """Its definition: each point's coordinates, from -1 to 1 in each dim, times theta; the last column is added."""
    theta, count = node.inputs[0], _dim(node.inputs[0], 1)
    if theta is None or theta.dtype is None or not isinstance(count, int):
        raise InexpressibleError("the shape of theta is not known")
    dtype, batch = theta.dtype, _dim(theta, 0)
    grid_shape = (batch, *[None] * count, count)

    def column(index: int) -> ir.Value:
        """A column of theta, of shape [batch, 1, ..., 1, coordinates]."""
        chosen = op("Gather", theta, op.constant(index), dtype=dtype, shape=(batch, count), axis=2)
        shape = [*[1] * count, count]
        return op("Reshape", chosen, op.constant([-1, *shape]), dtype=dtype, shape=(batch, *shape))

    align = int_attribute(node, "align_corners", 0) == 1
    grid = column(count)
    for index in range(count):  # x, the first coordinate, is that of the last dim
        line = _coordinates(node.inputs[1], count - 1 - index, align, dtype, op)
        line = op("Reshape", line, op.constant([-1] + [1] * (index + 1)), dtype=dtype, shape=(None, *[1] * (index + 1)))
        term = op("Mul", column(index), line, dtype=dtype, shape=grid_shape)
        if index == count - 1:
            change(node, "Add", [grid, term])
        else:
            grid = op("Add", grid, term, dtype=dtype, shape=grid_shape)


def _coordinates(sizes: ir.Value | None, dim: int, align: bool, dtype: ir.DataType, op: Emitter) -> ir.Value:
    """The coordinates of the points of a grid's dim, from -1 to 1.

    They are the centres of as many equal cells as there are points or, with `align`, that many points from end to end.
    """
    known = integers(sizes)
    if known is not None:
        points, steps = known[2 + dim], np.arange(known[2 + dim])
        return op.constant(steps * (2 / max(points - 1, 1)) - 1 if align else (2 * steps + 1) / points - 1, dtype)

    def emit(op_type: str, left: ir.Value, number: ir.Value | float, length: int | None = None) -> ir.Value:
        right = op.constant(number, dtype) if isinstance(number, float) else number
        return op(op_type, left, right, dtype=dtype, shape=() if length == 0 else (None,))

    size = op("Gather", sizes, op.constant(2 + dim), dtype=_INT64, shape=())
    index = op("Range", op.constant(0), size, op.constant(1), dtype=_INT64, shape=(None,))
    count = op("Cast", size, dtype=dtype, shape=(), to=int(dtype))
    twice = emit("Mul", op("Cast", index, dtype=dtype, shape=(None,), to=int(dtype)), 2.0)
    if align:
        fraction = emit("Div", twice, emit("Max", emit("Sub", count, 1.0, 0), 1.0, 0))
    else:
        fraction = emit("Div", emit("Add", twice, 1.0), count)
    return emit("Sub", fraction, 1.0)


@_backward(20, "ConstantOfShape")
def _constant_of_shape(node: ir.Node, op: Emitter) -> None:
    """bfloat16 and the float8 kinds are cast to."""
    dtype = node.outputs[0].dtype
    if dtype is not None and (dtype == ir.DataType.BFLOAT16 or dtype.name.startswith("FLOAT8")):
        number = float(node.attributes["value"].as_tensor().numpy().astype(np.float32).reshape(-1)[0])
        value = ir.Tensor(np.array([number], np.float32))
        filled = op("ConstantOfShape", node.inputs[0], dtype=_FLOAT, shape=node.outputs[0].shape, value=value)
        change(node, "Cast", [filled], [ir.AttrInt64("to", int(dtype))])


@_backward(20, "DFT")
def _dft(node: ir.Node, op: Emitter) -> None:
    """The axis is an attribute, and the second dim by default."""
    axis = integers(_input(node, 2)) if _input(node, 2) is not None else [-2]
    if axis is None:
        raise InexpressibleError("its axis is not constant")
    attributes = [*node.attributes.values(), ir.AttrInt64("axis", axis[0])]
    change(node, "DFT", node.inputs[:2], attributes)


@_backward(20, "Gelu")
def _gelu(node: ir.Node, op: Emitter) -> None:
    """Its definition: x/2 (1 + erf(x/√2)), or with tanh(√(2/π) (x + 0.044715 x³)) for erf."""
    x = node.inputs[0]
    assert x is not None
    dtype = x.dtype or _FLOAT

    def emit(op_type: str, left: ir.Value, right: ir.Value | float | None = None) -> ir.Value:
        operands = [left] if right is None else [left, op.constant(right, dtype) if isinstance(right, float) else right]
        return op(op_type, *operands, dtype=dtype, shape=x.shape)

    if string_attribute(node, "approximate", "none") == "tanh":
        cube = emit("Mul", emit("Mul", emit("Mul", x, x), x), 0.044715)
        bend = emit("Tanh", emit("Mul", emit("Add", x, cube), (2 / np.pi) ** 0.5))
    else:
        bend = emit("Erf", emit("Mul", x, 0.5**0.5))
    change(node, "Mul", [emit("Mul", x, 0.5), emit("Add", bend, 1.0)])


@_backward(20, "GridSample")
def _grid_sample(node: ir.Node, op: Emitter) -> None:
    """Only images have a grid, and the modes have other names."""
    if _known_rank(node.inputs[0]) != 4:
        raise InexpressibleError("it samples images only, not volumes")
    mode = {"linear": "bilinear", "cubic": "bicubic"}.get(string_attribute(node, "mode", "linear"))
    if mode is not None:
        node.attributes.add(ir.AttrString("mode", mode))


@_backward(20, "IsInf", "IsNaN")
def _is_inf(node: ir.Node, op: Emitter) -> None:
    """Other floats than float32 and float64 are cast to float32, which has all of their values."""
    x = node.inputs[0]
    if x is not None and x.dtype not in (_FLOAT, ir.DataType.DOUBLE, None):
        node.replace_input_with(0, op("Cast", x, dtype=_FLOAT, shape=x.shape, to=int(_FLOAT)))


@_backward(20, "ReduceMax", "ReduceMin")
def _reduce_bool(node: ir.Node, op: Emitter) -> None:
    """Booleans are reduced as bytes."""
    x, dtype = node.inputs[0], ir.DataType.UINT8
    if x is None or x.dtype != _BOOL:
        return
    attributes = {name: attribute.value for name, attribute in node.attributes.items()}
    byte = op("Cast", x, dtype=dtype, shape=x.shape, to=int(dtype))
    reduced = op(node.op_type, byte, *node.inputs[1:], dtype=dtype, shape=node.outputs[0].shape, **attributes)
    change(node, "Cast", [reduced], [ir.AttrInt64("to", int(_BOOL))])


# ---- 19 -------------------------------------------------------------------------------------------------------------


@_backward(19, "AveragePool")
def _average_pool(node: ir.Node, op: Emitter) -> None:
    if set(ints_attribute(node, "dilations", [])) <= {1}:
        node.attributes.pop("dilations", None)
    else:
        raise InexpressibleError("its window cannot be dilated")


@_backward(19, "Cast", "CastLike")
def _cast(node: ir.Node, op: Emitter) -> None:
    """Only the float8 kinds, which come with it, can saturate."""
    node.attributes.pop("saturate", None)


@_backward(19, "DequantizeLinear")
def _dequantize(node: ir.Node, op: Emitter) -> None:
    """The scale, and so the result, is float32."""
    scale, shape = node.inputs[1], node.outputs[0].shape
    if scale is None or scale.dtype not in _HALVES:
        return
    attributes = {name: attribute.value for name, attribute in node.attributes.items()}
    wide = op("Cast", scale, dtype=_FLOAT, shape=scale.shape, to=int(_FLOAT))
    full = op("DequantizeLinear", node.inputs[0], wide, *node.inputs[2:], dtype=_FLOAT, shape=shape, **attributes)
    change(node, "Cast", [full], [ir.AttrInt64("to", int(scale.dtype))])


@_backward(19, "QuantizeLinear")
def _quantize(node: ir.Node, op: Emitter) -> None:
    """Input and scale are float32."""
    node.attributes.pop("saturate", None)
    for index in (0, 1):
        value = node.inputs[index]
        if value is not None and value.dtype in _HALVES:
            node.replace_input_with(index, op("Cast", value, dtype=_FLOAT, shape=value.shape, to=int(_FLOAT)))


@_backward(19, "Pad")
def _pad_wrap(node: ir.Node, op: Emitter) -> None:
    """Padding with the other end is gathering indices that count on from the beginning after the last one."""
    if string_attribute(node, "mode", "constant") != "wrap":
        return
    value, pads = node.inputs[0], integers(node.inputs[1])
    dims = _known_rank(value)
    axes = integers(_input(node, 3)) if _input(node, 3) is not None else list(range(dims))
    if pads is None or axes is None or value is None:
        raise InexpressibleError("its pads are not constant (mode wrap)")
    if min(pads, default=0) < 0:
        raise InexpressibleError("it cannot crop (mode wrap)")
    for index, axis in enumerate(axes):
        before, after = pads[index], pads[index + len(axes)]
        if before or after:
            value = _wrapped(value, axis % dims, before, after, op)
    change(node, "Identity", [value])


def _wrapped(value: ir.Value, axis: int, before: int, after: int, op: Emitter) -> ir.Value:
    """`value` with so many entries along `axis` put before and after it, counted around."""
    size = _dim(value, axis)
    if isinstance(size, int):
        indices = op.constant(np.arange(-before, size + after) % max(size, 1))
    else:
        shape = op("Shape", value, dtype=_INT64, shape=(rank(value),))
        length = op("Gather", shape, op.constant(axis), dtype=_INT64, shape=())
        end = op("Add", length, op.constant(after), dtype=_INT64, shape=())
        range_ = op("Range", op.constant(-before), end, op.constant(1), dtype=_INT64, shape=(None,))
        indices = op("Mod", range_, length, dtype=_INT64, shape=(None,))
    wider = size + before + after if isinstance(size, int) else None
    dims = [wider if index == axis else dim for index, dim in enumerate(value.shape or ())]
    return op("Gather", value, indices, dtype=value.dtype, shape=dims, axis=axis)


@_backward(19, "Resize")
def _resize_symmetric(node: ir.Node, op: Emitter) -> None:
    if string_attribute(node, "coordinate_transformation_mode", "half_pixel") == "half_pixel_symmetric":
        raise InexpressibleError("coordinate_transformation_mode half_pixel_symmetric is newer")


# ---- 18 -------------------------------------------------------------------------------------------------------------


@_backward(18, "GroupNormalization")
def _group_normalization(node: ir.Node, op: Emitter) -> None:
    """The groups are the channels of an `InstanceNormalization` of the reshaped input."""
    x, scale, bias = node.inputs
    assert x is not None
    groups = int_attribute(node, "num_groups", 1)
    grouped = op("Reshape", x, op.constant([0, groups, -1]), dtype=x.dtype, shape=(_dim(x, 0), groups, None))
    epsilon = node.attributes.get_float("epsilon", 1e-5)
    normal = op("InstanceNormalization", grouped, scale, bias, dtype=x.dtype, shape=grouped.shape, epsilon=epsilon)
    shape = op("Shape", x, dtype=_INT64, shape=(rank(x),))
    change(node, "Reshape", [normal, shape])


@_backward(18, "LpPool")
def _lp_pool(node: ir.Node, op: Emitter) -> None:
    _drop(node, "ceil_mode", [0], "rounding the size up")
    if not set(ints_attribute(node, "dilations", [])) <= {1}:
        raise InexpressibleError("its window cannot be dilated")
    node.attributes.pop("dilations", None)


@_backward(18, "Mish")
def _mish(node: ir.Node, op: Emitter) -> None:
    """Its definition: x tanh(softplus(x))."""
    x = node.inputs[0]
    assert x is not None
    soft = op("Softplus", x, dtype=x.dtype, shape=x.shape)
    change(node, "Mul", [x, op("Tanh", soft, dtype=x.dtype, shape=x.shape)])


@_backward(18, "Pad")
def _pad_axes(node: ir.Node, op: Emitter) -> None:
    """There is a pad for every dim."""
    axes = _input(node, 3)
    if axes is None:
        return
    dims = _known_rank(node.inputs[0])
    numbers = integers(axes)
    if numbers is None:
        raise InexpressibleError("its axes are not constant")
    places = [axis % dims for axis in numbers]
    pads = _scattered([0] * 2 * dims, [*places, *(place + dims for place in places)], node.inputs[1], op)
    change(node, "Pad", [node.inputs[0], pads, node.inputs[2]], list(node.attributes.values()))


def _scattered(background: list[int], places: list[int], numbers: ir.Value | None, op: Emitter) -> ir.Value:
    """A vector of int64 like `background`, with `numbers` at `places`."""
    known = integers(numbers)
    if known is not None:
        return op.constant([dict(zip(places, known, strict=True)).get(i, old) for i, old in enumerate(background)])
    ground = op.constant(background)
    return op("ScatterElements", ground, op.constant(places), numbers, dtype=_INT64, shape=(len(background),))


@_backward(
    18,
    "ReduceL1",
    "ReduceL2",
    "ReduceLogSum",
    "ReduceLogSumExp",
    "ReduceMax",
    "ReduceMean",
    "ReduceMin",
    "ReduceProd",
    "ReduceSumSquare",
)
def _reduce(node: ir.Node, op: Emitter) -> None:
    """The axes are an attribute; none are all."""
    axes = integers(_input(node, 1)) if _input(node, 1) is not None else []
    if axes is None:
        raise InexpressibleError("its axes are not constant")
    attributes = [attribute for name, attribute in node.attributes.items() if name != "noop_with_empty_axes"]
    if not axes and int_attribute(node, "noop_with_empty_axes", 0):
        raise InexpressibleError("it cannot reduce along no axis (noop_with_empty_axes)")
    if axes:
        attributes.append(ir.AttrInt64s("axes", axes))
    change(node, node.op_type, [node.inputs[0]], attributes)


@_backward(18, "Resize")
def _resize_axes(node: ir.Node, op: Emitter) -> None:
    """There is a scale or a size for every dim."""
    _drop(node, "antialias", [0], "antialiasing")
    _drop(node, "keep_aspect_ratio_policy", ["stretch"], "keeping the aspect ratio")
    axes = node.attributes.pop("axes", None)
    if axes is None:
        return
    x = node.inputs[0]
    dims = _known_rank(x)
    if _input(node, 1) is not None and string_attribute(node, "coordinate_transformation_mode", "") == (
        "tf_crop_and_resize"
    ):
        raise InexpressibleError("it cannot crop some axes only")
    places = op.constant([axis % dims for axis in axes.as_ints()])
    scales, sizes = _input(node, 2), _input(node, 3)
    if sizes is None:
        ground, numbers, dtype = op.constant([1.0] * dims, _FLOAT), scales, _FLOAT
    else:
        ground, numbers, dtype = op("Shape", x, dtype=_INT64, shape=(dims,)), sizes, _INT64
    full = op("ScatterElements", ground, places, numbers, dtype=dtype, shape=(dims,))
    inputs = [x, None, full] if sizes is None else [x, None, None, full]
    change(node, "Resize", inputs, list(node.attributes.values()))


@_backward(18, "ScatterElements", "ScatterND")
def _scatter(node: ir.Node, op: Emitter) -> None:
    if string_attribute(node, "reduction", "none") in ("max", "min"):
        raise InexpressibleError(f"reduction {string_attribute(node, 'reduction', '')} is newer")


@_backward(18, "Split")
def _split(node: ir.Node, op: Emitter) -> None:
    """Without sizes the parts are equal, so a dim that is not certainly a multiple of their number needs sizes."""
    if node.attributes.pop("num_outputs", None) is None:
        return
    x, count = node.inputs[0], len(node.outputs)
    axis = int_attribute(node, "axis", 0)
    size = _dim(x, axis)
    if isinstance(size, int):
        part = -(-size // count)
        sizes = None if size % count == 0 else op.constant([*[part] * (count - 1), size - part * (count - 1)])
    else:
        sizes = _split_sizes(x, axis, count, op)
    if sizes is not None:
        change(node, "Split", [x, sizes], list(node.attributes.values()))


def _split_sizes(x: ir.Value | None, axis: int, count: int, op: Emitter) -> ir.Value:
    """The sizes of `count` parts of a dim: all the same, rounded up, but for the last one."""
    end = [axis + 1] if axis != -1 else [np.iinfo(np.int64).max]
    shape = op("Shape", x, dtype=_INT64, shape=(rank(x),))
    size = op("Slice", shape, op.constant([axis]), op.constant(end), dtype=_INT64, shape=(1,))
    rounded = op("Add", size, op.constant([count - 1]), dtype=_INT64, shape=(1,))
    part = op("Div", rounded, op.constant([count]), dtype=_INT64, shape=(1,))
    others = op("Mul", part, op.constant([count - 1]), dtype=_INT64, shape=(1,))
    last = op("Sub", size, others, dtype=_INT64, shape=(1,))
    return op("Concat", *[part] * (count - 1), last, dtype=_INT64, shape=(count,), axis=0)

"""Shapes: what they are, and tensors of another shape with the same elements in the same order.

Semantics: ``caffe2/operators/reshape_op.h``, ``expand_squeeze_dims_op.h``, ``expand_op.h``, ``tile_op.h``,
``numpy_tile_op.h``, ``prepend_dim_op.h``, ``shape_op.h``, ``flatten_op.h``, ``transpose_op.h``.
"""

from __future__ import annotations

from nxconvert.frontends.caffe2.ops.numbers import axis_of, counting, number_in
from nxconvert.frontends.caffe2.table import Builder, DataType, Int, Ints, LoweringError, Value, caffe2
from nxconvert.graph.builder import TensorType
from nxconvert.graph.dims import bounds, floordiv, product, require, static
from nxconvert.graph.rules.common import integers, total

# ---- what a shape is -------------------------------------------------------------------------------------------------


@caffe2("Shape")
def shape(op: Builder, x: Value, *, axes: Ints = ()) -> Value:
    """The sizes of all axes, or of those that are named, in that order, as int64[n]."""
    if any(not 0 <= axis < x.rank for axis in axes):
        raise LoweringError(f"the axes {list(axes)} are none of a tensor of rank {x.rank}")
    return op.dims_tensor([x.dims[axis] for axis in axes] if axes else x.dims)


@caffe2("Size")
def size(op: Builder, x: Value) -> Value:
    """The number of elements as int64[]."""
    return op.dim_value(product(x.dims))


@caffe2("IsEmpty")
def is_empty(op: Builder, x: Value) -> Value:
    """Whether there are no elements, as bool[]."""
    return op.Not(has_elements(op, x))


@caffe2("HasElements")
def has_elements(op: Builder, *tensors: Value) -> Value:
    """Whether any of the tensors has elements, as bool[]."""
    count = total(product(x.dims) for x in tensors)
    if isinstance(count, int):
        return op.const(count > 0)
    # A free size counts as at least 1 elsewhere; whoever asks here expects that it may be 0.
    operands = [op.dim_value(count), op.const(0)]
    return op.node("Greater", operands, {}, [TensorType(DataType.BOOL, ())])[0]


# ---- the same elements in another shape ------------------------------------------------------------------------------


@caffe2("Reshape")
def reshape(op: Builder, x: Value, sizes: Value | None = None, *, shape: Ints | None = None) -> tuple[Value, Value]:
    """The sizes stand in an argument or an input: 0 keeps the input's, one may be -1 for what is left.

    The second output is the shape that the input had, in the dtype of the input with the sizes or int64.
    """
    old = op.dims_tensor(x.dims)
    if sizes is None:
        if shape is None:
            raise LoweringError("it has no shape")
        return op.reshape(x, reshaped(x.dims, tuple(shape))), old
    if shape is not None or sizes.rank != 1:
        raise LoweringError("the shape is given as an argument and as an input, or the input is no vector")
    old = op.cast(old, sizes.etype)
    known = integers(sizes)
    if known is None or any(bounds(n)[0] is None for n in known):
        # Any of them may turn out to be 0 or -1, which ONNX takes for the same.
        return op.Reshape(x, op.cast(sizes, DataType.INT64)), old
    return op.reshape(x, reshaped(x.dims, known)), old


def reshaped(dims: tuple[Int, ...], sizes: tuple[Int, ...]) -> list[Int]:
    """The dims that a tensor of ``dims`` has after it was reshaped to ``sizes``, in which 0 and -1 mean something.

    Of a tensor without elements, 0 means 0, and so does -1.

    Raises:
        LoweringError: more than one of them is -1, or another one is negative.
    """
    empty = product(dims) == 0
    target = [dims[i] if n == 0 and i < len(dims) and not empty else n for i, n in enumerate(sizes)]
    negative = [i for i, n in enumerate(target) if isinstance(n, int) and n < 0]
    if len(negative) > 1 or any(target[i] != -1 for i in negative):
        raise LoweringError(f"there is no shape {list(sizes)}")
    for i in negative:
        others = product(n for k, n in enumerate(target) if k != i)
        target[i] = 0 if empty or others == 0 else floordiv(product(dims), others)
    return target


@caffe2("ResizeLike")
def resize_like(op: Builder, x: Value, like: Value) -> Value:
    return op.reshape(x, like.dims)


@caffe2("Flatten")
def flatten(op: Builder, x: Value, *, axis: int = 1) -> Value:
    """A matrix: the axes before ``axis`` are its rows."""
    if axis < 0 or (axis > x.rank and x.rank):
        raise LoweringError(f"a tensor of rank {x.rank} is not flattened at axis {axis}")
    return op.reshape(x, [product(x.dims[:axis]), product(x.dims[axis:])])


@caffe2("FlattenToVec")
def flatten_to_vec(op: Builder, x: Value) -> Value:
    return op.reshape(x, [product(x.dims)])


@caffe2("Squeeze")
def squeeze(op: Builder, x: Value, *, dims: Ints) -> Value:
    axes = sorted(set(dims))
    if any(not 0 <= axis < x.rank for axis in axes):
        raise LoweringError(f"the dims {list(dims)} are none of a tensor of rank {x.rank}")
    for axis in axes:
        require(x.dims[axis], 1)
    return op.Squeeze(x, axes)


@caffe2("ExpandDims")
def expand_dims(op: Builder, x: Value, *, dims: Ints) -> Value:
    """Axes of size 1 are put in where ``dims`` says that the result has them."""
    axes = sorted(set(dims))
    if any(not 0 <= axis < x.rank + len(axes) for axis in axes):
        raise LoweringError(f"the dims {list(dims)} leave gaps in a tensor of rank {x.rank}")
    return op.Unsqueeze(x, axes)


@caffe2("PrependDim")
def prepend_dim(op: Builder, x: Value, *, dim_size: int) -> Value:
    """[n, ...] becomes [dim_size, n / dim_size, ...]."""
    if dim_size <= 0 or not x.rank:
        raise LoweringError(f"no axis of size {dim_size} can be made of a tensor of rank {x.rank}")
    return op.reshape(x, [dim_size, floordiv(x.dims[0], dim_size), *x.dims[1:]])


@caffe2("MergeDim")
def merge_dim(op: Builder, x: Value) -> Value:
    """The first two axes become one."""
    if x.rank < 2:
        raise LoweringError(f"a tensor of rank {x.rank} has no two axes to merge")
    return op.reshape(x, [x.dims[0] * x.dims[1], *x.dims[2:]])


# ---- repeated --------------------------------------------------------------------------------------------------------


@caffe2("Expand")
def expand(op: Builder, x: Value, shape: Value) -> Value:
    """Broadcast, as numpy does it, against sizes of which those below 1 keep the input's."""
    sizes = integers(shape)
    known = None if sizes is None else static(sizes)
    if known is not None:
        return op.Expand(x, [max(n, 1) for n in known])
    return op.Expand(x, op.Max(op.cast(shape, DataType.INT64), 1))


@caffe2("Tile")
def tile(
    op: Builder,
    x: Value,
    tiles_input: Value | None = None,
    axis_input: Value | None = None,
    *,
    tiles: int | None = None,
    axis: int | None = None,
) -> Value:
    """The tensor ``tiles`` times in a row along ``axis``; inputs of one element go before arguments."""
    if (tiles_input is None and tiles is None) or (axis_input is None and axis is None):
        raise LoweringError("how often it repeats its input, or along which axis, is not said")
    times = tiles if tiles_input is None else number_in(op, tiles_input, "tiles", low=0)
    along = axis if axis_input is None else number_in(op, axis_input, "axis")
    if axis_input is None and tiles_input is not None and tiles_input.etype == DataType.INT64:
        # The runtime copies the eight bytes to where it keeps four of the number, and next to them the axis.
        along = 0
    assert times is not None
    if isinstance(along, int):
        place = axis_of(along, x.rank)
        return op.Tile(x, op.dims_tensor([times if i == place else 1 for i in range(x.rank)]))
    assert axis_input is not None
    chosen = op.Equal(counting(op, x.rank), op.Mod(op.reshape(op.cast(axis_input, DataType.INT64), []), x.rank))
    return op.Tile(x, op.Where(chosen, times, 1))


@caffe2("NumpyTile")
def numpy_tile(op: Builder, x: Value, repeats: Value) -> Value:
    """Along each axis as often as the input says."""
    return op.Tile(x, op.reshape(op.cast(repeats, DataType.INT64), [x.rank]))


# ---- axes in another order -------------------------------------------------------------------------------------------


@caffe2("Transpose")
def transpose(op: Builder, x: Value, *, axes: Ints = ()) -> Value:
    """The axes in the order of ``axes``; reversed without them."""
    order = list(axes) or list(range(x.rank))[::-1]
    if sorted(order) != list(range(x.rank)):
        raise LoweringError(f"{order} is no order of the axes of a tensor of rank {x.rank}")
    return op.Transpose(x, perm=order)

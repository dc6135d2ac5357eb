"""Shapes and the order of axes: views, permutations, broadcasting, repeating; the numbers that describe a shape."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from nxconvert.frontends.pytorch.dtypes import DataType, is_float
from nxconvert.frontends.pytorch.ops.common import axis_of, dtype_of, static_ints
from nxconvert.frontends.pytorch.ops.create import int_range
from nxconvert.frontends.pytorch.table import Builder, Dim, DType, Int, Ints, LoweringError, Value, Values, aten
from nxconvert.graph.dims import compare, floordiv, product
from nxconvert.graph.rules.common import broadcast_dims, count_ratio


def int_list(values: Int | Sequence[Int]) -> list[Int]:
    """A list of ints; a single one is a list of one."""
    return [values] if isinstance(values, (int, Dim)) else list(values)


# ---- numbers ---------------------------------------------------------------------------------------------------------


@aten("size", "sym_size")
def size(op: Builder, self: Value) -> list[Int]:
    return list(self.dims)


@aten("size.int", "sym_size.int")
def size_of_axis(op: Builder, self: Value, dim: Int) -> Int:
    return self.dims[axis_of(dim, self.rank)]


@aten("numel", "sym_numel")
def numel(op: Builder, self: Value) -> Int:
    return product(self.dims)


@aten("stride", "sym_stride")
def stride(op: Builder, self: Value) -> list[Int]:
    """The strides of a contiguous tensor: how a tensor lies in memory is no part of the graph."""
    return contiguous_strides(self.dims)


@aten("stride.int", "sym_stride.int")
def stride_of_axis(op: Builder, self: Value, dim: Int) -> Int:
    return contiguous_strides(self.dims)[axis_of(dim, self.rank)]


def contiguous_strides(dims: Sequence[Int]) -> list[Int]:
    """How many elements lie between neighbours along each axis, in row-major order."""
    return [product(dims[axis + 1 :]) for axis in range(len(dims))]


@aten("storage_offset", "sym_storage_offset")
def storage_offset(op: Builder, self: Value) -> int:
    return 0


@aten("dim", "ndimension")
def dim(op: Builder, self: Value) -> int:
    return self.rank


@aten("len")
def length(op: Builder, self: Values | Value) -> Int:
    if isinstance(self, Value):
        return op.symbol_of(op.SequenceLength(self), "length", low=0) if self.is_sequence else self.dims[0]
    return len(self)


@aten("element_size")
def element_size(op: Builder, self: Value) -> int:
    return self.etype.itemsize  # type: ignore[return-value]


@aten("is_floating_point")
def is_floating_point(op: Builder, self: Value) -> bool:
    return is_float(self.etype)


@aten("is_signed")
def is_signed(op: Builder, self: Value) -> bool:
    return self.etype.is_signed()


@aten("is_complex", "is_conj", "is_neg", "is_inference", "is_sparse")
def is_never(op: Builder, self: Value) -> bool:
    """What the graph's tensors never are."""
    return False


@aten("is_contiguous", "sym_is_contiguous")
def is_contiguous(op: Builder, self: Value, memory_format: Any = None) -> bool:
    return True


@aten("is_same_size")
def is_same_size(op: Builder, self: Value, other: Value) -> bool:
    if self.dims == other.dims:
        return True
    if self.rank != other.rank or any(compare(a, "==", b) is False for a, b in zip(self.dims, other.dims, strict=True)):
        return False
    raise LoweringError(f"whether {list(self.dims)} and {list(other.dims)} are the same size is not known")


@aten("_shape_as_tensor")
def shape_as_tensor(op: Builder, self: Value) -> Value:
    return op.dims_tensor(self.dims)


# ---- views -----------------------------------------------------------------------------------------------------------


def resolved_size(dims: Sequence[Int], size: Int | Sequence[Int]) -> list[Int]:
    """``size`` with the number that its -1 stands for in a reshape of ``dims``.

    Raises:
        LoweringError: if the numbers of elements cannot be equal.
    """
    sizes = int_list(size)
    open_axes = [axis for axis, item in enumerate(sizes) if item == -1]
    have, want = count_ratio(dims, [item for item in sizes if item != -1])
    if len(open_axes) > 1 or (open_axes and want == 0):
        raise LoweringError(f"the -1 in the size {sizes} stands for no single number")
    if open_axes:
        sizes[open_axes[0]] = floordiv(have, want)
        impossible = isinstance(have, int) and isinstance(want, int) and have % want != 0
    else:
        impossible = compare(have, "==", want) is False
    if impossible:
        raise LoweringError(f"a tensor of shape {list(dims)} has no view of shape {int_list(size)}")
    return sizes


@aten("view.dtype", "view_copy.dtype")
def view_dtype(op: Builder, self: Value, dtype: DType) -> Value:
    if dtype_of(dtype) != self.etype:
        raise LoweringError(
            f"the bits of {self.etype.name} are looked at as {dtype_of(dtype).name}, which ONNX cannot do"
        )
    return self


@aten("view", "view_copy", "_unsafe_view", "_reshape_copy")
def view(op: Builder, self: Value, size: Ints) -> Value:
    return op.reshape(self, resolved_size(self.dims, size))


@aten("reshape")
def reshape(op: Builder, self: Value, shape: Ints) -> Value:
    return view(op, self, shape)


@aten("_reshape_alias")
def reshape_alias(op: Builder, self: Value, size: Ints, stride: Ints) -> Value:
    return view(op, self, size)


@aten("_reshape_from_tensor")
def reshape_from_tensor(op: Builder, self: Value, shape: Value) -> Value:
    if shape.content is not None or shape.array is not None:
        return view(op, self, list(shape.content or shape.array.tolist()))  # type: ignore[union-attr]
    return op.Reshape(self, op.cast(shape, DataType.INT64))


@aten("view_as", "reshape_as")
def view_as(op: Builder, self: Value, other: Value) -> Value:
    return view(op, self, list(other.dims))


@aten("resize")
def resize(op: Builder, self: Value, size: Ints, *, memory_format: Any = None) -> Value:
    """The first elements in another shape; what PyTorch leaves undefined, more elements than there are, is refused."""
    count, sizes = product(self.dims), int_list(size)
    flat = op.reshape(self, [count])
    wanted = product(sizes)
    if wanted != count:
        if not compare(wanted, "<=", count):
            raise LoweringError(f"a tensor of {count} elements is resized to {wanted}, of which some are undefined")
        flat = op.Slice(flat, [0], [wanted], [0])
    return op.reshape(flat, sizes)


@aten("resize_as")
def resize_as(op: Builder, self: Value, the_template: Value, *, memory_format: Any = None) -> Value:
    return resize(op, self, list(the_template.dims))


@aten("flatten.using_ints")
def flatten(op: Builder, self: Value, start_dim: Int = 0, end_dim: Int = -1) -> Value:
    return op.reshape(self, flattened_dims(self, start_dim, end_dim))


def flattened_dims(x: Value, start_dim: Int, end_dim: Int) -> list[Int]:
    """The dims of ``x`` with the axes from ``start_dim`` to ``end_dim`` merged; rank 0 becomes rank 1."""
    start, end = axis_of(start_dim, x.rank), axis_of(end_dim, x.rank)
    if start > end:
        raise LoweringError(f"the axes from {start} to {end} are to be flattened")
    return [*x.dims[:start], product(x.dims[start : end + 1]), *x.dims[end + 1 :]]


@aten("unflatten.int")
def unflatten(op: Builder, self: Value, dim: Int, sizes: Ints) -> Value:
    axis = axis_of(dim, self.rank)
    return op.reshape(self, [*self.dims[:axis], *resolved_size([self.dims[axis]], sizes), *self.dims[axis + 1 :]])


@aten("ravel")
def ravel(op: Builder, self: Value) -> Value:
    return op.reshape(self, [product(self.dims)])


@aten("squeeze", "squeeze_copy")
def squeeze(op: Builder, self: Value) -> Value:
    return _squeezed(op, self, range(self.rank))


@aten("squeeze.dim", "squeeze.dims", "squeeze_copy.dim", "squeeze_copy.dims")
def squeeze_dims(op: Builder, self: Value, dim: Ints) -> Value:
    return _squeezed(op, self, [axis_of(item, self.rank) for item in int_list(dim)] if self.rank else [])


def _squeezed(op: Builder, x: Value, axes: Iterable[int]) -> Value:
    """``x`` without those of ``axes`` whose size is 1; a size that is not known is taken not to be."""
    gone = [axis for axis in sorted(set(axes)) if x.dims[axis] == 1]
    return op.Squeeze(x, gone) if gone else x


@aten("unsqueeze", "unsqueeze_copy")
def unsqueeze(op: Builder, self: Value, dim: Int) -> Value:
    return op.Unsqueeze(self, [axis_of(dim, self.rank + 1)])


# ---- the order of axes -----------------------------------------------------------------------------------------------


def transposed(op: Builder, x: Value, perm: Sequence[int]) -> Value:
    """``x`` with its axes in the order ``perm``; itself if that is the order they have."""
    if list(perm) == list(range(x.rank)):
        return x
    # Moving an axis of size 1 past others moves no element.
    real = [axis for axis in perm if x.dims[axis] != 1]
    if real == sorted(real) and len(real) < x.rank and sum(isinstance(d, Dim) for d in x.dims) <= 1:
        return op.reshape(x, [x.dims[axis] for axis in perm])
    return op.Transpose(x, perm=list(perm))


def inverse(perm: Sequence[int]) -> list[int]:
    """The permutation that undoes ``perm``."""
    return sorted(range(len(perm)), key=perm.__getitem__)


def swapped(rank: int, a: Int, b: Int) -> list[int]:
    """The permutation that swaps two axes."""
    perm = list(range(rank))
    if rank:
        first, second = axis_of(a, rank), axis_of(b, rank)
        perm[first], perm[second] = perm[second], perm[first]
    return perm


def moved(rank: int, source: Int | Sequence[Int], destination: Int | Sequence[Int]) -> list[int]:
    """The permutation that moves axes ``source`` to the places ``destination`` and keeps the others in order."""
    if not rank:
        return []
    places = dict(
        zip(
            (axis_of(d, rank) for d in int_list(destination)), (axis_of(s, rank) for s in int_list(source)), strict=True
        )
    )
    others = iter(axis for axis in range(rank) if axis not in places.values())
    return [places[axis] if axis in places else next(others) for axis in range(rank)]


@aten("permute", "permute_copy")
def permute(op: Builder, self: Value, dims: Ints) -> Value:
    perm = [axis_of(item, self.rank) for item in int_list(dims)]
    if len(perm) != self.rank:
        raise LoweringError(f"{len(perm)} axes are permuted in a tensor of rank {self.rank}")
    return transposed(op, self, perm)


@aten("transpose.int", "transpose_copy.int")
def transpose(op: Builder, self: Value, dim0: Int, dim1: Int) -> Value:
    return transposed(op, self, swapped(self.rank, dim0, dim1))


@aten("swapdims")
def swapdims(op: Builder, self: Value, dim0: Int, dim1: Int) -> Value:
    return transpose(op, self, dim0, dim1)


@aten("swapaxes")
def swapaxes(op: Builder, self: Value, axis0: Int, axis1: Int) -> Value:
    return transpose(op, self, axis0, axis1)


@aten("movedim.int", "movedim.intlist", "moveaxis.int", "moveaxis.intlist")
def movedim(op: Builder, self: Value, source: Ints, destination: Ints) -> Value:
    return transposed(op, self, moved(self.rank, source, destination))


@aten("t", "t_copy", "numpy_T")
def numpy_t(op: Builder, self: Value) -> Value:
    return transposed(op, self, range(self.rank)[::-1])


@aten("mT", "mH", "matrix_H", "adjoint")
def matrix_transpose(op: Builder, self: Value) -> Value:
    """The last two axes swapped; conjugation changes no real number."""
    return transposed(op, self, swapped(self.rank, -2, -1))


# ---- broadcasting and repeating --------------------------------------------------------------------------------------


@aten("expand", "expand_copy")
def expand(op: Builder, self: Value, size: Ints, *, implicit: bool = False) -> Value:
    return op.expand(self, expanded_dims(self, size))


def expanded_dims(x: Value, size: Int | Sequence[Int]) -> list[Int]:
    """``size`` with -1 replaced by the size that ``x`` has."""
    sizes = int_list(size)
    lead = len(sizes) - x.rank
    if lead < 0:
        raise LoweringError(f"a tensor of rank {x.rank} is expanded to {len(sizes)} axes")
    result = [x.dims[i - lead] if item == -1 and i >= lead else item for i, item in enumerate(sizes)]
    for have, want in zip(x.dims, result[lead:], strict=True):
        if have != 1 and compare(have, "==", want) is False and compare(have, "==", 1) is False:
            raise LoweringError(f"a tensor of shape {list(x.dims)} does not expand to {sizes}")
    return result


@aten("broadcast_to")
def broadcast_to(op: Builder, self: Value, size: Ints) -> Value:
    return expand(op, self, size)


@aten("expand_as")
def expand_as(op: Builder, self: Value, other: Value) -> Value:
    return expand(op, self, list(other.dims))


def broadcast_all(op: Builder, values: Sequence[Value]) -> list[Value]:
    """The values expanded to the shape that they broadcast to together."""
    target = broadcast_dims(op, *(value.dims for value in values))
    results = []
    for value in values:
        if not all(op.knows(size) for size in target):
            # Which of two unknown sizes is the larger one only the graph can tell.
            for other in values:
                if other is not value:
                    value = op.Expand(value, op.dims_tensor(other.dims))
        results.append(op.expand(value, target))
    return results


@aten("broadcast_tensors")
def broadcast_tensors(op: Builder, tensors: Values) -> list[Value]:
    return broadcast_all(op, tensors)


@aten("repeat")
def repeat(op: Builder, self: Value, repeats: Ints) -> Value:
    times = int_list(repeats)
    if len(times) < self.rank:
        raise LoweringError(f"{len(times)} repeats are given for a tensor of rank {self.rank}")
    x = op.reshape(self, [1] * (len(times) - self.rank) + list(self.dims))
    if all(n == 1 for n in times):
        return x
    if all(n == 1 or d == 1 for n, d in zip(times, x.dims, strict=True)):
        return op.expand(x, [n if d == 1 else d for n, d in zip(times, x.dims, strict=True)])
    return op.Tile(x, times)


@aten("tile")
def tile(op: Builder, self: Value, dims: Ints) -> Value:
    times = int_list(dims)
    ones: list[Int] = [1] * (self.rank - len(times))
    return repeat(op, self, ones + times)


@aten("repeat_interleave.self_int")
def repeat_interleave(
    op: Builder, self: Value, repeats: Int, dim: Int | None = None, *, output_size: Int | None = None
) -> Value:
    x = ravel(op, self) if dim is None else self
    axis = axis_of(dim or 0, x.rank)
    if repeats == 1:
        return x
    before, after = x.dims[:axis], x.dims[axis + 1 :]
    spread = op.expand(op.Unsqueeze(x, [axis + 1]), [*before, x.dims[axis], repeats, *after])
    return op.reshape(spread, [*before, x.dims[axis] * repeats, *after])


@aten("repeat_interleave.Tensor")
def repeat_interleave_indices(op: Builder, repeats: Value, *, output_size: Int | None = None) -> Value:
    """The index ``i`` repeated ``repeats[i]`` times."""
    times = op.cast(repeats, DataType.INT64)
    ends = op.CumSum(times, 0)
    total = op.symbol_of(op.ReduceSum(times, keepdims=0), "repeated", low=0) if output_size is None else output_size
    # Position p belongs to the index that as many ends precede: those at or before p.
    passed = op.LessOrEqual(op.Unsqueeze(ends, [0]), op.Unsqueeze(int_range(op, total), [1]))
    return op.cast(op.ReduceSum(op.Cast(passed, to=DataType.INT64), [1], keepdims=0), repeats.etype)


@aten("repeat_interleave.self_Tensor")
def repeat_interleave_each(
    op: Builder, self: Value, repeats: Value, dim: Int | None = None, *, output_size: Int | None = None
) -> Value:
    x = ravel(op, self) if dim is None else self
    axis = axis_of(dim or 0, x.rank)
    repeats = op.expand(repeats, [x.dims[axis]]) if repeats.rank == 0 or repeats.dims == (1,) else repeats
    return op.Gather(x, repeat_interleave_indices(op, repeats, output_size=output_size), axis=axis)


# ---- blocks ----------------------------------------------------------------------------------------------------------


@aten("pixel_shuffle")
def pixel_shuffle(op: Builder, self: Value, upscale_factor: Int) -> Value:
    (r,) = static_ints(upscale_factor, "the upscale factor")
    *lead, c, h, w = self.dims
    if len(lead) == 1 and is_float(self.etype):
        return op.DepthToSpace(self, blocksize=r, mode="CRD")
    channels = floordiv(c, r * r)
    n = len(lead)
    x = op.reshape(self, [*lead, channels, r, r, h, w])
    x = op.Transpose(x, perm=[*range(n), *(n + axis for axis in (0, 3, 1, 4, 2))])
    return op.reshape(x, [*lead, channels, h * r, w * r])


@aten("pixel_unshuffle")
def pixel_unshuffle(op: Builder, self: Value, downscale_factor: Int) -> Value:
    (r,) = static_ints(downscale_factor, "the downscale factor")
    *lead, c, h, w = self.dims
    rows, columns = floordiv(h, r), floordiv(w, r)
    n = len(lead)
    x = op.reshape(self, [*lead, c, rows, r, columns, r])
    x = op.Transpose(x, perm=[*range(n), *(n + axis for axis in (0, 2, 4, 1, 3))])
    return op.reshape(x, [*lead, c * r * r, rows, columns])


@aten("channel_shuffle", "native_channel_shuffle")
def channel_shuffle(op: Builder, self: Value, groups: Int) -> Value:
    n, c, *rest = self.dims
    x = op.reshape(self, [n, groups, floordiv(c, groups), *rest])
    x = op.Transpose(x, perm=[0, 2, 1, *range(3, x.rank)])
    return op.reshape(x, self.dims)

"""Writing through views: what a tensor holds after a view of it was changed.

PyTorch's views share memory with their base, values of the graph share nothing. So a write to a view becomes a new
value of its base: for every operator that makes views, :data:`VIEWS` knows how the base is put together again, out of
the base as it was and the view's new content.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from nxconvert.frontends.pytorch.compound import ComplexValue, Compound
from nxconvert.frontends.pytorch.ops import join, scatter, shape
from nxconvert.frontends.pytorch.ops.common import axis_of
from nxconvert.frontends.pytorch.ops.select import narrow_start
from nxconvert.frontends.pytorch.table import Builder, Int, LoweringError, Value
from nxconvert.graph.dims import Dim

__all__ = ["VIEWS", "ViewOp", "write_back"]


class ViewOp(NamedTuple):
    """A view operator's way back.

    Attributes:
        write: takes the builder, the base, the view's new content and the operator's arguments after the base; returns
            the base's new content. Of several views, the number of the one that was written comes before the arguments.
        several: whether the operator returns a list of views.
        whole: whether ``write`` takes complex tensors as they are, not their parts one after the other.
    """

    write: Callable[..., Any]
    several: bool = False
    whole: bool = False


def write_back(
    name: str,
    op: Builder,
    base: Value | Compound,
    new: Value | Compound,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    output_index: int | None = None,
) -> Value | Compound:
    """The new content of ``base`` when the content of its view becomes ``new``.

    Args:
        name: the operator that made the view, without overload.
        op: the builder.
        base: what the view was made of, as it is before the write.
        new: the view's new content, of the view's dims and the base's dtype.
        args: the operator's positional arguments after the base.
        kwargs: its arguments by name.
        output_index: which of its results was written, for an operator that returns a list.

    Raises:
        LoweringError: for views whose elements overlap, or that cannot be written for another reason.
    """
    view = VIEWS[name]
    which = [output_index] if view.several else []

    def write(base: Value, new: Value) -> Value:
        written: Value = view.write(op, base, new, *which, *args, **kwargs)
        return written

    if isinstance(base, Compound) and not view.whole:
        return base.changed(op, new, write)
    return write(base, new)  # type: ignore[arg-type]  # what is written has been cast to the base's kind


# ---- one view --------------------------------------------------------------------------------------------------------


def _reshaped(op: Builder, base: Value, new: Value, *_: Any, **__: Any) -> Value:
    """Views that show every element once, in order."""
    return op.reshape(new, base.dims)


def _expanded(op: Builder, base: Value, new: Value, *_: Any, **__: Any) -> Value:
    lead = new.rank - base.rank
    repeated = any(d != 1 for d in new.dims[:lead])
    if repeated or any(have == 1 != want for have, want in zip(base.dims, new.dims[lead:], strict=True)):
        raise LoweringError(f"a tensor of shape {list(base.dims)} is written through its expansion to {list(new.dims)}")
    return op.reshape(new, base.dims)


def _permuted(permutation: Callable[..., Sequence[int]]) -> ViewOp:
    def write(op: Builder, base: Value, new: Value, *args: Any, **kwargs: Any) -> Value:
        return shape.transposed(op, new, shape.inverse(permutation(base.rank, *args, **kwargs)))

    return ViewOp(write)


def _slice(
    op: Builder,
    base: Value,
    new: Value,
    dim: Int = 0,
    start: Int | None = None,
    end: Int | None = None,
    step: Int = 1,
) -> Value:
    return scatter.write_slice(op, base, new, axis_of(dim, base.rank), start, end, step)


def _narrow(op: Builder, base: Value, new: Value, dim: Int, start: Int | Value, length: Int) -> Value:
    axis = axis_of(dim, base.rank)
    return scatter.write_region(op, base, new, axis, narrow_start(op, base.dims[axis], start), length)


def _select(op: Builder, base: Value, new: Value, dim: Int, index: Int) -> Value:
    return scatter.write_select(op, base, new, axis_of(dim, base.rank), index)


def _unfold(op: Builder, base: Value, new: Value, *_: Any, **__: Any) -> Value:
    raise LoweringError("a tensor is written through its sliding windows, which may overlap")


# ---- one of several views --------------------------------------------------------------------------------------------


def _part(op: Builder, base: Value, new: Value, number: int, axis: int, sizes: Sequence[Int]) -> Value:
    """Writes to part ``number`` of those of ``sizes`` that follow each other along an axis."""
    start: Int = sum(sizes[:number], start=0)
    return scatter.write_region(op, base, new, axis, start, sizes[number])


def _split(op: Builder, base: Value, new: Value, number: int, split_size: Int | Sequence[Int], dim: Int = 0) -> Value:
    axis = axis_of(dim, base.rank)
    if isinstance(split_size, (int, Dim)):
        return scatter.write_region(op, base, new, axis, split_size * number, new.dims[axis])
    return _part(op, base, new, number, axis, split_size)


def _split_with_sizes(
    op: Builder, base: Value, new: Value, number: int, split_sizes: Sequence[Int], dim: Int = 0
) -> Value:
    return _part(op, base, new, number, axis_of(dim, base.rank), split_sizes)


def _chunk(op: Builder, base: Value, new: Value, number: int, chunks: int, dim: Int = 0) -> Value:
    axis = axis_of(dim, base.rank)
    return _part(op, base, new, number, axis, join.chunk_sizes(base.dims[axis], chunks))


def _tensor_split(
    op: Builder,
    base: Value,
    new: Value,
    number: int,
    indices: Int | Sequence[Int] | Value | None = None,
    dim: Int = 0,
    *,
    sections: Int | None = None,
    tensor_indices_or_sections: Value | None = None,
) -> Value:
    at = next(x for x in (indices, sections, tensor_indices_or_sections) if x is not None)
    axis = axis_of(dim, base.rank)
    _, cuts = join.tensor_split_parts(base.dims[axis], join.integers_in(op, at) if isinstance(at, Value) else at)
    return scatter.write_slice(op, base, new, axis, cuts[number], cuts[number + 1])


def _split_along(axis: int) -> ViewOp:
    def write(op: Builder, base: Value, new: Value, number: int, indices: Any = None, sections: Any = None) -> Value:
        at = sections if indices is None else indices
        return _tensor_split(op, base, new, number, at, axis if base.rank > 1 else 0)

    return ViewOp(write, several=True)


def _unbind(op: Builder, base: Value, new: Value, number: int, dim: Int = 0) -> Value:
    return scatter.write_select(op, base, new, axis_of(dim, base.rank), number)


def _axes(dims: Int | Sequence[Int], rank: int) -> list[int]:
    return [axis_of(dim, rank) for dim in shape.int_list(dims)]


_MATRIX_TRANSPOSE = _permuted(lambda rank: shape.swapped(rank, -2, -1))
_REVERSE = _permuted(lambda rank: range(rank)[::-1])
_SWAP_DIMS = _permuted(lambda rank, dim0, dim1: shape.swapped(rank, dim0, dim1))
_MOVE = _permuted(lambda rank, source, destination: shape.moved(rank, source, destination))


def _conjugate(op: Builder, x: Value | Compound) -> Value | Compound:
    return ComplexValue(x.real, op.Neg(x.imag)) if isinstance(x, ComplexValue) else x


def _adjoint(op: Builder, base: Value | Compound, new: Value | Compound) -> Value | Compound:
    return write_back("mT", op, base, _conjugate(op, new), (), {})


def _pairs(op: Builder, base: Value | Compound, new: Value) -> ComplexValue:
    return ComplexValue(*(op.Gather(new, part, axis=-1) for part in (0, 1)))


VIEWS: dict[str, ViewOp] = {
    **dict.fromkeys(
        (
            "view", "_unsafe_view", "reshape", "_reshape_alias", "view_as", "reshape_as", "flatten", "unflatten",
            "ravel", "squeeze", "unsqueeze", "atleast_1d", "atleast_2d", "atleast_3d", "alias", "detach",
        ),
        ViewOp(_reshaped),
    ),
    **dict.fromkeys(("expand", "expand_as", "broadcast_to"), ViewOp(_expanded)),
    "permute": _permuted(lambda rank, dims: _axes(dims, rank)),
    **dict.fromkeys(("transpose", "swapdims"), _SWAP_DIMS),
    "swapaxes": _permuted(lambda rank, axis0, axis1: shape.swapped(rank, axis0, axis1)),
    **dict.fromkeys(("movedim", "moveaxis"), _MOVE),
    **dict.fromkeys(("t", "numpy_T"), _REVERSE),
    "mT": _MATRIX_TRANSPOSE,
    **dict.fromkeys(("mH", "matrix_H", "adjoint"), ViewOp(_adjoint, whole=True)),
    **dict.fromkeys(("conj", "_conj"), ViewOp(lambda op, base, new: _conjugate(op, new), whole=True)),
    "real": ViewOp(lambda op, base, new: ComplexValue(new, base.imag), whole=True),
    "imag": ViewOp(lambda op, base, new: ComplexValue(base.real, new), whole=True),
    "view_as_real": ViewOp(_pairs, whole=True),
    "view_as_complex": ViewOp(lambda op, base, new: new.plain(op), whole=True),
    "slice": ViewOp(_slice),
    "narrow": ViewOp(_narrow),
    "select": ViewOp(_select),
    "diagonal": ViewOp(scatter.write_diagonal),
    "linalg_diagonal": ViewOp(functools.partial(scatter.write_diagonal, dim1=-2, dim2=-1)),
    "as_strided": ViewOp(scatter.write_strided),
    "unfold": ViewOp(_unfold),
    **dict.fromkeys(("split", "unsafe_split"), ViewOp(_split, several=True)),
    **dict.fromkeys(("split_with_sizes", "unsafe_split_with_sizes"), ViewOp(_split_with_sizes, several=True)),
    **dict.fromkeys(("chunk", "unsafe_chunk"), ViewOp(_chunk, several=True)),
    "tensor_split": ViewOp(_tensor_split, several=True),
    "hsplit": _split_along(1),
    "vsplit": _split_along(0),
    "dsplit": _split_along(2),
    "unbind": ViewOp(_unbind, several=True),
}  # fmt: skip
"""The operators that make views, by name without overload."""

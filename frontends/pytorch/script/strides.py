"""Whether ``reshape`` and ``contiguous`` make a view or a copy, which is a matter of where the elements lie in memory.

Tensors that are no views are taken as contiguous. The strides of a view follow from its operator; PyTorch's rule for
views of strided tensors is documented with ``torch.Tensor.view``: axes that are merged have to lie one within the
other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nxconvert.frontends.pytorch.script.values import Box, EitherOf, Unknown, ViewOf, dims_of
from nxconvert.graph.dims import Dim, Int, compare

Strides = tuple[Int, ...]


def is_contiguous(box: Any) -> bool | None:
    """Whether the elements lie in order without gaps; None if that is not known."""
    if not isinstance(box, Box) or box.source is None or isinstance(box.content, Unknown):
        return True
    dims, strides = dims_of(box.content), strides_of(box)
    if strides is None:
        return None
    expected = contiguous_strides(dims)
    return all(size == 1 or have == want for size, have, want in zip(dims, strides, expected, strict=True))


def stays_view(box: Any, dims: Sequence[Int]) -> bool | None:
    """Whether ``box`` with other dims is a view of it; None if that is not known."""
    if not isinstance(box, Box) or box.source is None or isinstance(box.content, Unknown):
        return True
    strides = strides_of(box)
    if strides is None:
        return None
    found = view_strides(dims_of(box.content), strides, tuple(dims))
    return None if found is _UNKNOWN else found is not None


def contiguous_strides(dims: Sequence[Int]) -> Strides:
    """The strides of a tensor without gaps."""
    strides: list[Int] = []
    step: Int = 1
    for size in reversed(dims):
        strides.insert(0, step)
        step = size * step
    return tuple(strides)


def strides_of(box: Box) -> Strides | None:
    """How many elements apart neighbours along each axis lie; None if that is not known."""
    source = box.source
    if source is None:
        return contiguous_strides(dims_of(box.content))
    if isinstance(source, EitherOf):
        return None
    base = strides_of(source.base)
    base_dims = dims_of(source.base.content)
    if base is None or len(base) != len(base_dims):
        return None
    rule = _RULES.get(source.operator)
    try:
        strides = rule(base_dims, base, source, dims_of(box.content)) if rule is not None else None
    except (TypeError, IndexError, ValueError):
        return None
    return strides if strides is None or len(strides) == len(dims_of(box.content)) else None


_UNKNOWN = (None,)
"""That view_strides cannot tell."""


def view_strides(dims: Sequence[Int], strides: Strides, new: Sequence[Int]) -> Any:
    """The strides of a strided tensor seen with other dims; None if that takes a copy, `_UNKNOWN` if sizes decide."""
    if not dims:
        return (1,) * len(new)
    result: list[Int] = [1] * len(new)
    axis = len(new) - 1
    step, elements, covered = strides[-1], 1, 1
    chunk: Int = elements
    for i in range(len(dims) - 1, -1, -1):
        chunk = dims[i] * chunk
        if i and (dims[i - 1] == 1 or strides[i - 1] == chunk * step):
            continue
        view: Int = covered
        while axis >= 0 and (new[axis] == 1 or view != chunk):
            if new[axis] != 1 and compare(view, "<", chunk) is False:
                return None
            result[axis] = view * step
            view = new[axis] * view
            axis -= 1
        if view != chunk:
            return _UNKNOWN if isinstance(view, Dim) or isinstance(chunk, Dim) else None
        if i:
            step, chunk = strides[i - 1], 1
    return tuple(result) if axis == -1 else None


def _argument(source: ViewOf, position: int, name: str, default: Any = None) -> Any:
    return source.kwargs.get(name, source.args[position] if position < len(source.args) else default)


def _select(dims: Any, strides: Strides, source: ViewOf, new: Any) -> Strides:
    axis = _argument(source, 0, "dim") % len(dims)
    return strides[:axis] + strides[axis + 1 :]


def _slice(dims: Any, strides: Strides, source: ViewOf, new: Any) -> Strides:
    axis = _argument(source, 0, "dim", 0) % len(dims)
    step = _argument(source, 3, "step", 1) if source.operator == "slice" else 1
    return (*strides[:axis], strides[axis] * (1 if step is None else step), *strides[axis + 1 :])


def _part(dims: Any, strides: Strides, source: ViewOf, new: Any) -> Strides:
    return strides


def _unbind(dims: Any, strides: Strides, source: ViewOf, new: Any) -> Strides:
    axis = _argument(source, 0, "dim", 0) % len(dims)
    return strides[:axis] + strides[axis + 1 :]


def _transpose(dims: Any, strides: Strides, source: ViewOf, new: Any) -> Strides:
    order = list(range(len(dims)))
    a, b = (0, -1 if len(dims) > 1 else 0) if source.operator == "t" else source.args[:2]
    order[a], order[b] = order[b], order[a]
    return tuple(strides[i] for i in order)


def _permute(dims: Any, strides: Strides, source: ViewOf, new: Any) -> Strides:
    order = _argument(source, 0, "dims")
    return tuple(strides[i] for i in getattr(order, "content", order))


def _unsqueeze(dims: Any, strides: Strides, source: ViewOf, new: Any) -> Strides:
    axis = _argument(source, 0, "dim") % (len(dims) + 1)
    step = dims[axis] * strides[axis] if axis < len(dims) else 1
    return (*strides[:axis], step, *strides[axis:])


def _squeeze(dims: Any, strides: Strides, source: ViewOf, new: Any) -> Strides | None:
    if source.args and isinstance(source.args[0], int):
        axis = source.args[0] % len(dims)
        return strides[:axis] + strides[axis + 1 :] if dims[axis] == 1 else strides
    return tuple(stride for size, stride in zip(dims, strides, strict=True) if size != 1)


def _expand(dims: Any, strides: Strides, source: ViewOf, new: Any) -> Strides:
    lead = len(new) - len(dims)
    kept = tuple(stride if size == now else 0 for size, now, stride in zip(dims, new[lead:], strides, strict=True))
    return (0,) * lead + kept


def _diagonal(dims: Any, strides: Strides, source: ViewOf, new: Any) -> Strides:
    a, b = _argument(source, 1, "dim1", 0) % len(dims), _argument(source, 2, "dim2", 1) % len(dims)
    rest = [stride for axis, stride in enumerate(strides) if axis not in (a, b)]
    return (*rest, strides[a] + strides[b])


def _view(dims: Any, strides: Strides, source: ViewOf, new: Any) -> Strides | None:
    found = view_strides(dims, strides, new)
    return None if found is _UNKNOWN else found


_RULES = {
    "select": _select, "slice": _slice, "narrow": _slice, "transpose": _transpose, "swapaxes": _transpose,
    "t": _transpose,
    "swapdims": _transpose, "permute": _permute, "unsqueeze": _unsqueeze, "squeeze": _squeeze, "expand": _expand,
    "expand_as": _expand, "diagonal": _diagonal, "view": _view, "reshape": _view, "flatten": _view, "unflatten": _view,
    "_unsafe_view": _view, "view_as": _view, "reshape_as": _view, "detach": _part, "alias": _part, "unbind": _unbind,
    "split": _part, "chunk": _part, "split_with_sizes": _part, "tensor_split": _part,
}  # fmt: skip

"""Which sizes of the example inputs are free: what users say about it, and what torch.export wants to hear.

Free sizes are exported with ``Dim.AUTO``, which finds out ranges and relations by itself and never fails; whether a
size that was to be free has been fixed by the model is looked at afterwards, when it can be said where.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.export import Dim
from torch.utils import _pytree as pytree

from nxconvert.errors import UsageError

_FORMS = (
    "dynamic=True frees the first axis of every input; dynamic={'x': {0: 'batch', 2: 'height'}} or "
    "{'x': ['batch', None, 'height']} names what is free; torch.export.Dim objects and torch's own dynamic_shapes are "
    "taken as well"
)
BATCH = "batch"


@dataclass
class Free:
    """What is free.

    Attributes:
        arguments: the example inputs by argument, with no free size below 2.
        shapes: the same for torch.export, as its ``dynamic_shapes``; None where nothing is free.
        names: by flat name of an input (``x``, ``x.0``, ``x.key``), the free axes and what they are to be called (None:
            as it is usual).
    """

    arguments: dict[str, Any]
    shapes: dict[str, Any] | None = None
    names: dict[str, dict[int, str | None]] = field(default_factory=dict)

    def tensors(self) -> dict[str, torch.Tensor]:
        """The tensors among the arguments by flat name, in the order in which PyTorch takes containers apart."""
        leaves, _ = pytree.tree_flatten_with_path(self.arguments)
        return {".".join(map(_key, path)): leaf for path, leaf in leaves if isinstance(leaf, torch.Tensor)}


def free_sizes(arguments: Mapping[str, Any], dynamic: Any) -> Free:
    """What `dynamic` says about the example inputs.

    Args:
        arguments: the example inputs by the name of the argument, in order.
        dynamic: None, True, or by argument (in order, or by name, or by flat name) what is free.

    Raises:
        UsageError: `dynamic` does not fit the inputs.
    """
    free = Free(dict(arguments))
    if dynamic is None or dynamic is False:
        return free
    walk = _Walk(free.names)
    specs = _children("the arguments", list(arguments), _nested(arguments, dynamic))
    results = {name: walk.visit(name, value, specs[name]) for name, value in arguments.items()}
    free.arguments = {name: value for name, (value, _) in results.items()}
    free.shapes = {name: shape for name, (_, shape) in results.items()} if free.names else None
    return free


def _nested(arguments: Mapping[str, Any], dynamic: Any) -> Any:
    """`dynamic` with the flat names among its keys (``x.0``) taken apart."""
    if not isinstance(dynamic, Mapping):
        return dynamic
    nested: dict[Any, Any] = {}
    for key, spec in dynamic.items():
        name, *rest = str(key).split(".") if key not in arguments else (key,)
        if rest and name in arguments:
            inner = nested.setdefault(name, {})
            for part in rest[:-1]:
                inner = inner.setdefault(part, {})
            inner[rest[-1]] = spec
        else:
            nested[key] = spec
    return nested


def _key(key: Any) -> str:
    """A step of a path as flat names spell it: PyTorch has a class for each kind of container."""
    return str(next(getattr(key, attribute) for attribute in ("key", "idx", "name") if hasattr(key, attribute)))


class _Walk:
    """Goes through inputs and what is said of them side by side; collects the names of free axes."""

    def __init__(self, names: dict[str, dict[int, str | None]]) -> None:
        self._names = names

    def visit(self, path: str, value: Any, spec: Any) -> tuple[Any, Any]:
        """An input, with no free size below 2, and what torch.export is told of it."""
        if isinstance(value, torch.Tensor):
            return self._tensor(path, value, spec)
        if value is None:
            return value, None
        if isinstance(value, Mapping):
            specs = _children(path, list(value), spec)
            found = {key: self.visit(f"{path}.{key}", item, specs[key]) for key, item in value.items()}
            items = {key: item for key, (item, _) in found.items()}
            return _like(value, items), {key: shape for key, (_, shape) in found.items()}
        if isinstance(value, list | tuple):
            keys = list(getattr(value, "_fields", range(len(value))))
            specs = _children(path, keys, spec)
            pairs = [self.visit(f"{path}.{key}", x, specs[key]) for key, x in zip(keys, value, strict=True)]
            return _like(value, [item for item, _ in pairs]), _like(value, [shape for _, shape in pairs])
        if isinstance(value, int | float | str | bool):
            return value, spec if isinstance(value, int) and _is_torch(spec) else None
        return self._registered(path, value, spec)

    def _registered(self, path: str, value: Any, spec: Any) -> tuple[Any, Any]:
        """An object of a class that PyTorch knows how to take apart; torch.export wants a list for its leaves."""
        leaves, tree = pytree.tree_flatten(value)
        if spec is None or spec is True:
            spec = [spec] * len(leaves)
        if not isinstance(spec, list | tuple) or len(spec) != len(leaves):
            raise UsageError(f"cannot tell what is free in the input '{path}', a {type(value).__name__}: {_FORMS}.")
        pairs = [self.visit(f"{path}.{i}", leaf, spec[i]) for i, leaf in enumerate(leaves)]
        return pytree.tree_unflatten([item for item, _ in pairs], tree), [shape for _, shape in pairs]

    def _tensor(self, path: str, tensor: torch.Tensor, spec: Any) -> tuple[torch.Tensor, dict[int, Any] | None]:
        axes = dict(_axes(path, tensor, spec))
        names = {axis: _name(entry, axis) for axis, entry in axes.items() if _is_free(path, entry, tensor.shape[axis])}
        if not names:
            return tensor, None
        self._names[path] = names
        for axis in names:
            tensor = _widened(tensor, axis)
        return tensor, {axis: _for_torch(axes[axis]) for axis in names}


def _children(path: str, keys: Sequence[Any], spec: Any) -> dict[Any, Any]:
    """What is said of each child of a container."""
    if spec is None or spec is True:
        return dict.fromkeys(keys, spec)
    if isinstance(spec, Mapping):
        names = {str(key): key for key in keys}
        unknown = [key for key in spec if str(key) not in names]
        if unknown:
            raise UsageError(
                f"dynamic says something about {', '.join(map(repr, unknown))}, but in {path} there is only "
                f"{', '.join(names) or 'nothing'}."
            )
        given = {names[str(key)]: item for key, item in spec.items()}
        return {key: given.get(key) for key in keys}
    if isinstance(spec, list | tuple) and len(spec) <= len(keys):
        return dict(zip(keys, [*spec, *[None] * (len(keys) - len(spec))], strict=True))
    raise UsageError(f"dynamic says {spec!r} about {path} ({', '.join(map(str, keys)) or 'nothing'}): {_FORMS}.")


def _axes(path: str, tensor: torch.Tensor, spec: Any) -> Iterable[tuple[int, Any]]:
    """The axes that something is said of."""
    rank = tensor.dim()
    if spec is None:
        return ()
    if spec is True:
        return [(0, BATCH)] if rank else ()
    if isinstance(spec, Mapping) and all(isinstance(axis, int) and -rank <= axis < rank for axis in spec):
        return [(axis % rank, entry) for axis, entry in spec.items()]
    if isinstance(spec, list | tuple) and len(spec) == rank:
        return list(enumerate(spec))
    raise UsageError(
        f"dynamic says {spec!r} about the input '{path}', which has {rank} axes (its example is "
        f"{list(tensor.shape)}): {_FORMS}."
    )


def _is_free(path: str, entry: Any, size: int) -> bool:
    if entry is None or entry is False or entry is Dim.STATIC:
        return False
    if isinstance(entry, int) and entry is not True:
        if entry != size:
            raise UsageError(f"dynamic fixes a size of the input '{path}' to {entry}, and the example has {size}.")
        return False
    if isinstance(entry, str) and not entry.isidentifier():
        raise UsageError(f"dynamic calls a size of the input '{path}' {entry!r}, which is no name.")
    if entry is True or isinstance(entry, str) or _is_torch(entry):
        return True
    raise UsageError(f"dynamic says {entry!r} about a size of the input '{path}': {_FORMS}.")


def _is_torch(entry: Any) -> bool:
    return _is_dim(entry) or type(entry).__name__ == "_DimHint"


def _is_dim(entry: Any) -> bool:
    """Whether it is a ``torch.export.Dim("name")``, or derived from one."""
    return isinstance(entry, Dim) or type(entry).__name__ in ("_DerivedDim", "_StaticDim")


def _for_torch(entry: Any) -> Any:
    """``Dim.AUTO``, within the range that the entry has; a named ``Dim`` as it is."""
    if _is_dim(entry):
        return entry
    low, high = getattr(entry, "min", None), getattr(entry, "max", None)
    return Dim.AUTO if low is None and high is None else Dim.AUTO(min=low, max=high)


def _name(entry: Any, axis: int) -> str | None:
    name = entry if isinstance(entry, str) else getattr(entry, "__name__", None)
    if entry is True and axis == 0:
        return BATCH
    return name if isinstance(name, str) and name.isidentifier() else None


def _widened(tensor: torch.Tensor, axis: int) -> torch.Tensor:
    """The example with the size 2 where it has less: torch.export takes 0 and 1 for something that is always so."""
    size = tensor.shape[axis]
    if size > 1:
        return tensor
    if size == 1:
        return tensor.repeat_interleave(2, axis)
    return tensor.new_zeros([2 if i == axis else n for i, n in enumerate(tensor.shape)])


def _like(container: Any, items: Any) -> Any:
    """A container of the same class with other items."""
    if hasattr(container, "_fields"):
        return type(container)(*items)
    try:
        return type(container)(items)
    except TypeError:  # a default dict, for one, is made of something else
        copy = container.copy()
        copy.update(items)
        return copy

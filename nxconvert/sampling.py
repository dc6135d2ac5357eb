"""Inputs to try a model on: sizes for its free dims, and values that it can take.

A graph says what its integers mean: one that ends up as the index of a `Gather` is smaller than what it indexes, one
that divides is not zero. Everything else is drawn at random.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import ml_dtypes
import numpy as np
import onnx_ir as ir

from nxconvert.errors import UsageError
from nxconvert.expressions import evaluate, solve, symbols
from nxconvert.inputs import Dim, InputSpec
from nxconvert.interface import dims_of, dtype_of

# Pairs of sizes for a free dim of each kind, the most telling first: not 1 (broadcasting would hide errors), different
# from each other and from dim to dim, large enough for a usual network. Equal sizes come where a model may insist.
_LADDERS: tuple[tuple[str, tuple[tuple[int, int], ...]], ...] = (
    (r"batch|^[bn]$", ((2, 3), (1, 1), (2, 3), (1, 1), (4, 4), (1, 1))),
    (r"depth|volume|frames", ((16, 24), (32, 48), (8, 8), (64, 64))),
    (
        r"height|width|rows|columns|^[hw]$|size|spatial",
        (
            *((64, 96), (224, 256), (32, 48), (224, 224), (128, 160), (16, 24), (256, 256), (299, 331), (512, 512)),
            *((32, 32), (64, 64), (16, 16), (8, 8), (28, 28), (128, 128), (384, 384), (299, 299)),
        ),
    ),
    (
        r"seq|len|time|token|step|frame|sample|past",
        ((7, 12), (16, 24), (64, 96), (5, 5), (128, 160), (1, 1), (512, 512), (1000, 1600), (16000, 16000)),
    ),
    (r"", ((5, 8), (16, 24), (64, 96), (4, 4), (3, 3), (1, 1), (2, 2), (32, 32), (224, 224))),
)

# What hands the elements of an input on, in part or rearranged: the indices of the inputs that it does so with.
_FIRST = frozenset({0})
_ALL = frozenset(range(64))
_MOVES: Mapping[str, frozenset[int]] = {
    **dict.fromkeys(("Cast", "CastLike", "Abs", "Clip", "Identity"), _FIRST),
    **dict.fromkeys(("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Expand", "Tile", "Pad"), _FIRST),
    **dict.fromkeys(("Slice", "Split", "Gather", "GatherElements", "GatherND", "ReverseSequence", "Trilu"), _FIRST),
    **dict.fromkeys(("Concat", "Min"), _ALL),
    "Where": frozenset({1, 2}),
}
_RECURRENT = frozenset({"LSTM", "GRU", "RNN"})
_UNBOUNDED = 8


@dataclass(slots=True)
class Limits:
    """What the consumers of an input demand of its elements: ``low <= element < high``.

    Attributes:
        low: the least value.
        high: the sizes that bound it from above, each with what is added to the element on its way there.
    """

    low: int = 0
    high: list[tuple[Dim, int]] = field(default_factory=list)

    def upper(self, sizes: Mapping[str, int]) -> int | None:
        """The least of the bounds that make sense, for these sizes of the free dims; None where there is none."""
        bounds = [_known(size, sizes) - added for size, added in self.high]
        return min((bound for bound in bounds if bound > self.low), default=None)


def _known(size: Dim, sizes: Mapping[str, int]) -> int:
    """A size, 0 where it is not known."""
    if isinstance(size, int):
        return size
    return evaluate(size, sizes) if all(name in sizes for name in symbols(size)) else 0


class Sampler:
    """Draws inputs for a model.

    Args:
        inputs: the inputs of its graph.
        declared: what is given about them: specs bind free dims to sizes, arrays are the values themselves.
        ranges: the least and the greatest size (None: any) of free dims.
        lengths: the inputs that are lengths of sequences, each with the size of their axis.
    """

    def __init__(
        self,
        inputs: Iterable[ir.Value],
        declared: Mapping[str, InputSpec | np.ndarray],
        ranges: Mapping[str, tuple[int, int | None]] = MappingProxyType({}),
        lengths: Mapping[str, Dim] = MappingProxyType({}),
    ) -> None:
        self._values = {value.name or "": value for value in inputs}
        self._limits = {name: limits_of(value) for name, value in self._values.items()}
        self._limits |= {name: Limits(1, [(size, -1)]) for name, size in lengths.items()}
        self._dims = {name: _named_dims(name, value) for name, value in self._values.items()}
        self._given = {name: array for name, array in declared.items() if isinstance(array, np.ndarray)}
        self._bound = _bind(self._dims, declared)
        free = (name for dims in self._dims.values() for dim in dims if isinstance(dim, str) for name in symbols(dim))
        self._free = tuple(name for name in dict.fromkeys(free) if name not in self._bound)
        self._ranges = ranges

    def sizes(self) -> Iterator[dict[str, int]]:
        """Sizes for the free dims: pairs of choices in which every dim changes, the most telling first."""
        ladders = [_ladder(name, *self._ranges.get(name, (0, None))) for name in self._free]
        seen: list[dict[str, int]] = []
        for rung in range(max((len(ladder) for ladder in ladders), default=1)):
            for swap in (0, 1):
                sizes = dict(self._bound)
                for index, (dim, ladder) in enumerate(zip(self._free, ladders, strict=True)):
                    # Neighbouring dims take the pair the other way round: height and width are told apart.
                    sizes[dim] = ladder[rung % len(ladder)][(index + swap) % 2]
                if sizes not in seen:
                    seen.append(sizes)
                    yield sizes

    def values(self, sizes: Mapping[str, int], seed: int) -> dict[str, np.ndarray]:
        """A value for each input, with these sizes of the free dims."""
        generator = np.random.default_rng(seed)
        return {name: self._value(name, sizes, generator) for name in self._values}

    def _value(self, name: str, sizes: Mapping[str, int], generator: np.random.Generator) -> np.ndarray:
        if name in self._given:
            return self._given[name]
        shape = tuple(dim if isinstance(dim, int) else evaluate(dim, sizes) for dim in self._dims[name])
        limits = self._limits[name]
        return _draw(name, dtype_of(self._values[name]), shape, limits.low, limits.upper(sizes), generator)


def _draw(
    name: str, dtype: str, shape: tuple[int, ...], low: int, high: int | None, generator: np.random.Generator
) -> np.ndarray:
    if dtype == "bool":
        return generator.random(shape) < 0.5
    if dtype == "string":
        return np.array([f"word{n}" for n in generator.integers(0, 9, int(np.prod(shape)))], object).reshape(shape)
    if dtype.startswith("complex"):
        return (generator.standard_normal(shape) + 1j * generator.standard_normal(shape)).astype(dtype)
    if dtype.startswith(("int", "uint")) or high is not None:
        if high is None:
            wide = 256 if dtype == "uint8" else 2 if "mask" in name else _UNBOUNDED
            high = low + wide if shape else low + 3
            low = low if shape else max(low, 1)
        return np.asarray(generator.integers(low, high, shape)).astype(_numpy_dtype(dtype))
    return np.asarray(generator.standard_normal(shape)).astype(_numpy_dtype(dtype))


def _numpy_dtype(name: str) -> np.dtype:
    return np.dtype(getattr(ml_dtypes, name, name))


def _ladder(name: str, low: int, high: int | None) -> tuple[tuple[int, int], ...]:
    """Pairs of sizes for a free dim, those that are within its range."""
    usual = next(ladder for pattern, ladder in _LADDERS if re.search(pattern, name, re.IGNORECASE))
    fitting = tuple(pair for pair in usual if low <= min(pair) and (high is None or max(pair) <= high))
    return fitting or ((low, low + 1 if high is None else min(low + 1, high)),)


def _named_dims(name: str, value: ir.Value) -> tuple[Dim, ...]:
    """The dims of an input, one that has no name being on its own."""
    dims = dims_of(value)
    if dims is None:
        raise UsageError(f"the rank of the input {name} is not known: give an example array, or its spec.")
    return tuple(f"{name}.{axis}" if dim == "?" else dim for axis, dim in enumerate(dims))


def _bind(dims: Mapping[str, tuple[Dim, ...]], declared: Mapping[str, InputSpec | np.ndarray]) -> dict[str, int]:
    """The sizes of free dims that follow from what is declared.

    Raises:
        UsageError: what is declared is not an input, or does not fit the model or itself.
    """
    bound: dict[str, int] = {}
    for name, item in declared.items():
        if name not in dims:
            raise UsageError(f"the model has no input {name}; its inputs are {', '.join(dims) or 'none'}.")
        sizes = item.shape if isinstance(item, np.ndarray) else item.dims
        model = f"{name} is [{','.join(map(str, dims[name]))}] in the model"
        if len(sizes) != len(dims[name]):
            raise UsageError(f"{model}, and {len(sizes)} dims are given.")
        for dim, size in zip(dims[name], sizes, strict=True):
            if isinstance(size, int) and size != _size_of(dim, size, bound):
                raise UsageError(f"{model}, which does not go with the size {size} given for {dim}.")
    return bound


def _size_of(dim: Dim, size: int, bound: dict[str, int]) -> int | None:
    """The size that a dim has; what is free in it is bound so that it is `size`. None where nothing makes it that."""
    if isinstance(dim, int):
        return dim
    for name, value in solve(dim, size).items():
        bound.setdefault(name, value)
    return evaluate(dim, bound) if all(name in bound for name in symbols(dim)) else None


def limits_of(value: ir.Value) -> Limits:
    """What the graph demands of the elements of one of its inputs, as far as it can be followed."""
    limits = Limits()
    todo: list[tuple[ir.Value, int]] = [(value, 0)]
    seen: set[int] = set()
    while todo:
        current, added = todo.pop()
        if id(current) in seen:
            continue
        seen.add(id(current))
        for node, index in current.uses():
            _demand(node, index, added, limits)
            todo.extend((result, added + more) for result, more in _moved(node, index))
    return limits


def _moved(node: ir.Node, index: int) -> Iterator[tuple[ir.Value, int]]:
    """Where the elements of an input of `node` go, and what is added to them."""
    if index in _MOVES.get(node.op_type, ()):
        yield from ((output, 0) for output in node.outputs)
    elif node.op_type in ("Add", "Sub") and (index == 0 or node.op_type == "Add"):
        other = _constant(node.inputs[1 - index])
        if other is not None and other.size and other.dtype.kind in "iu":
            yield node.outputs[0], int(other.max()) if node.op_type == "Add" else -int(other.min())
    elif (node.op_type == "Loop" and index >= 2) or node.op_type == "Scan":
        yield node.attributes["body"].as_graph().inputs[index], 0


def _demand(node: ir.Node, index: int, added: int, limits: Limits) -> None:
    """Notes what `node` demands of the elements of its input number `index`, to which `added` has been added."""
    op = node.op_type
    if op in ("Gather", "GatherElements", "ScatterElements") and index == 1:
        axis = node.attributes.get_int("axis", 0)
        dims = _dims(node, 0)
        if -len(dims) <= axis < len(dims):
            limits.high.append((dims[axis], added))
    elif op in ("GatherND", "ScatterND") and index == 1:
        first, indices = node.attributes.get_int("batch_dims", 0), _dims(node, 1)
        count = indices[-1] if indices and isinstance(indices[-1], int) else 1
        limits.high.extend((dim, added) for dim in _dims(node, 0)[first : first + count])
    elif op == "OneHot" and index == 0:
        depth = _constant(node.inputs[1])
        if depth is not None:
            limits.high.append((int(depth.reshape(-1)[0]), added))
    elif op in ("Div", "Mod") and index == 1:
        limits.low = max(limits.low, 1)
    elif (op in _RECURRENT and index == 4) or (op == "ReverseSequence" and index == 1):
        # Lengths: at least one step, at most all of them.
        axis = 0 if op in _RECURRENT else node.attributes.get_int("time_axis", 0)
        limits.low = max(limits.low, 1)
        limits.high.extend((dim, added - 1) for dim in _dims(node, 0)[axis : axis + 1])


def _dims(node: ir.Node, index: int) -> tuple[Dim, ...]:
    value = node.inputs[index]
    return () if value is None else dims_of(value) or ()


def _constant(value: ir.Value | None) -> np.ndarray | None:
    tensor = ir.convenience.get_const_tensor(value) if value is not None else None
    return None if tensor is None else tensor.numpy()

"""Archives in PyTorch: from flat named arrays to `forward`'s arguments, and from what it returns back to flat names.

Arguments and results are named as in the shared graph: an argument by its name, what is in a tuple, list or dict by
``name.0`` and ``name.key``, the result ``output``. The state of a module, the attributes that its `forward` assigns, is
read from inputs of the attribute's name and reported as ``<attribute>_out``; so is an argument that it writes into.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

import ml_dtypes
import numpy as np
import torch
from torch.utils import _pytree as pytree

from nxconvert.errors import NxConvertError, ReadError, RunError
from nxconvert.plugins import STATE_OUT, Runner
from nxconvert.runtimes.arrays import is_wanted, reason

# NumPy has no such dtypes of its own, so arrays of them cross over as integers of the same width.
_FOREIGN: Mapping[torch.dtype, tuple[Any, Any]] = {
    torch.bfloat16: (ml_dtypes.bfloat16, np.int16),
    torch.float8_e4m3fn: (ml_dtypes.float8_e4m3fn, np.uint8),
    torch.float8_e4m3fnuz: (ml_dtypes.float8_e4m3fnuz, np.uint8),
    torch.float8_e5m2: (ml_dtypes.float8_e5m2, np.uint8),
    torch.float8_e5m2fnuz: (ml_dtypes.float8_e5m2fnuz, np.uint8),
}
_TORCH_DTYPES = {np.dtype(dtype): torch_dtype for torch_dtype, (dtype, _) in _FOREIGN.items()}

# What changes a module when it runs: an attribute that is set, a tensor that is written in place.
_EFFECT = re.compile(r"prim::SetAttr|aten::\w+_\(")


def load_archive(path: Path) -> Runner:
    """The TorchScript or torch.export archive in `path`.

    Raises:
        ReadError: PyTorch cannot load it.
    """
    try:
        return ExportRunner(path) if _is_export(path) else ScriptRunner(path)
    except NxConvertError:
        raise
    except Exception as error:
        raise ReadError(f"{path} cannot be loaded by PyTorch: {reason(error)}") from error


def _is_export(path: Path) -> bool:
    try:
        with ZipFile(path) as archive:
            return any(
                re.search(r"(^|/)(models/[^/]+\.json|serialized_exported_program\.json)$", name)
                for name in archive.namelist()
            )
    except BadZipFile:
        return False


class ScriptRunner:
    """A TorchScript archive."""

    description = f"PyTorch {torch.__version__}"

    def __init__(self, path: Path) -> None:
        self._path = path
        self._module = self._load()
        self._arguments = list(self._module.forward.schema.arguments)[1:]
        self._has_effects = _EFFECT.search(str(self._module.inlined_graph)) is not None
        self.inputs = tuple(argument.name for argument in self._arguments)

    def __call__(self, inputs: Mapping[str, Any], outputs: Sequence[str] | None = None) -> dict[str, np.ndarray]:
        module = self._load() if self._has_effects else self._module
        given = _Given(inputs)
        arguments = [given.argument(argument) for argument in self._arguments]
        state = given.rest()
        unknown = [name for name in state if not _has_attribute(module, name)]
        if unknown:
            raise RunError(
                f"{self._path} has no input {unknown[0]!r}; its inputs are {', '.join(self.inputs) or 'none'}."
            )
        if state:
            # A module in its steady state has been called before: what is no tensor of its state (flags, counters that
            # tell a first call) is as one call leaves it.
            self._call(module, [_Given(inputs).argument(argument) for argument in self._arguments])
            for name, array in state.items():
                _set_attribute(module, name, array)
        results = dict(flatten("output", self._call(module, arguments)))
        kept = {name: array for name, array in results.items() if is_wanted(name, outputs)}
        for name in outputs or ():
            changed = name.removesuffix(STATE_OUT)
            if name in kept or changed == name:
                continue
            if changed in given.tensors:
                kept[name] = array_of(given.tensors[changed])
            elif _has_attribute(module, changed):
                kept.update(flatten(name, _attribute(module, changed)))
        return kept

    def _load(self) -> Any:
        with quiet():
            return torch.jit.load(str(self._path), map_location="cpu").eval()

    def _call(self, module: Any, arguments: list[Any]) -> Any:
        # Unoptimised, so that it is the archive that runs and not what the fuser makes of it.
        with torch.jit.optimized_execution(False):
            return _run(self._path, module, arguments, {})


class ExportRunner:
    """A torch.export archive."""

    description = f"PyTorch {torch.__version__}"

    def __init__(self, path: Path) -> None:
        self._path = path
        program = torch.export.load(path)
        spec = program.call_spec.in_spec
        if spec is None:
            raise ReadError(f"{path} does not say what its inputs are.")
        self._spec = spec
        positional, keyword = pytree.tree_unflatten(list(range(spec.num_leaves)), spec)
        signature = program.module_call_graph[0].signature
        names = list((signature.forward_arg_names if signature else None) or program.graph_signature.user_inputs)
        arguments = dict(zip(names, positional, strict=False)) | keyword
        #: The flat name of each leaf of the arguments.
        self._leaves = [leaf for name, value in arguments.items() for leaf in _leaf_names(name, value)]
        self.inputs = tuple(arguments)
        values = {node.name: node.meta.get("val") for node in program.graph.nodes if node.op == "placeholder"}
        user = [values.get(str(name)) for name in program.graph_signature.user_inputs]
        #: The leaves that are complex, and that a graph takes as pairs.
        self._complex = {
            leaf
            for leaf, value in zip(self._leaves, user, strict=False)
            if isinstance(value, torch.Tensor) and value.is_complex()
        }
        with quiet():
            self._module = program.module()
        #: What a call may change, and what the file has there.
        self._state = dict(self._module.named_buffers())
        self._saved = {name: value.detach().clone() for name, value in self._state.items()}

    def __call__(self, inputs: Mapping[str, Any], outputs: Sequence[str] | None = None) -> dict[str, np.ndarray]:
        given = {name: value for name, value in inputs.items() if name not in self._state}
        missing = [name for name in self._leaves if name not in given]
        unknown = [name for name in given if name not in self._leaves]
        if missing or unknown:
            wrong = f"no input {unknown[0]!r}" if unknown else f"an input {missing[0]!r} that was not given"
            raise RunError(f"{self._path} has {wrong}; its inputs are {', '.join(self._leaves) or 'none'}.")
        self._restore({name: value for name, value in inputs.items() if name in self._state})
        flat = {name: self._leaf_value(name, given[name]) for name in self._leaves}
        positional, keyword = pytree.tree_unflatten(list(flat.values()), self._spec)
        results = dict(flatten("output", _run(self._path, self._module, positional, keyword)))
        for name in outputs or ():
            changed = name.removesuffix(STATE_OUT)
            value = flat.get(changed, self._state.get(changed))
            if changed != name and name not in results and isinstance(value, torch.Tensor):
                results[name] = array_of(value)
        return {name: array for name, array in results.items() if is_wanted(name, outputs)}

    def _leaf_value(self, name: str, value: Any) -> Any:
        leaf = _leaf_value(value)
        paired = name in self._complex and isinstance(leaf, torch.Tensor) and not leaf.is_complex()
        return torch.view_as_complex(leaf) if paired else leaf

    def _restore(self, given: Mapping[str, Any]) -> None:
        """Puts the state back to what the file has, or to what is given: a call leaves it changed."""
        with torch.no_grad():
            for name, value in self._state.items():
                value.copy_(tensor_of(np.asarray(given[name])) if name in given else self._saved[name])


@contextmanager
def quiet() -> Iterator[None]:
    """Without PyTorch's warnings, which are about its own future and not about the model."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _run(path: Path, module: Callable[..., Any], positional: Sequence[Any], keyword: Mapping[str, Any]) -> Any:
    torch.manual_seed(0)
    try:
        with torch.no_grad(), quiet():
            return module(*positional, **keyword)
    except Exception as error:
        raise RunError(f"{path} cannot be run by PyTorch on these inputs: {reason(error)}") from error


class _Given:
    """The flat inputs of one call, taken one argument at a time.

    Attributes:
        tensors: those that the arguments taken so far are made of, by flat name.
    """

    def __init__(self, inputs: Mapping[str, Any]) -> None:
        self._inputs = inputs
        self._taken: set[str] = set()
        self.tensors: dict[str, torch.Tensor] = {}

    def rest(self) -> dict[str, Any]:
        """What no argument has taken."""
        return {name: value for name, value in self._inputs.items() if name not in self._taken}

    def argument(self, argument: Any) -> Any:
        """The value of one argument of `forward`: what was given under its name, else its default."""
        if not self._below(argument.name) and argument.has_default_value():
            return argument.default_value
        return self._value(argument.name, argument.type)

    def _below(self, name: str) -> list[str]:
        """The given names that are `name` or lie inside it."""
        return [given for given in self._inputs if given == name or given.startswith(f"{name}.")]

    def _value(self, name: str, type_: Any) -> Any:
        kind = type_.kind()
        if kind == "OptionalType":
            return self._value(name, type_.getElementType()) if self._below(name) else None
        if name in self._inputs:
            self._taken.add(name)
            value = _typed(self._inputs[name], kind)
            if isinstance(value, torch.Tensor):
                self.tensors[name] = value
            return value
        if kind == "TupleType":
            return tuple(self._value(f"{name}.{index}", item) for index, item in enumerate(type_.elements()))
        if kind == "ListType":
            return list(self._items(name, type_.getElementType()))
        if kind == "DictType":
            return dict(self._entries(name, type_))
        if kind == "DeviceObjType":
            return torch.device("cpu")
        raise RunError(f"the input {name!r} ({type_}) was not given.")

    def _items(self, name: str, type_: Any) -> Iterator[Any]:
        index = 0
        while self._below(f"{name}.{index}"):
            yield self._value(f"{name}.{index}", type_)
            index += 1

    def _entries(self, name: str, type_: Any) -> Iterator[tuple[Any, Any]]:
        value_type = type_.getValueType()
        nested = value_type.kind() in ("TupleType", "ListType", "DictType")
        rests = [given[len(name) + 1 :] for given in self._below(name)]
        for key in dict.fromkeys(rest.partition(".")[0] if nested else rest for rest in rests):
            yield _KEYS.get(type_.getKeyType().kind(), str)(key), self._value(f"{name}.{key}", value_type)


_KEYS: Mapping[str, Callable[[str], Any]] = {"IntType": int, "FloatType": float}
_NUMBERS: Mapping[str, Callable[[Any], Any]] = {"IntType": int, "FloatType": float, "BoolType": bool}


def _typed(value: Any, kind: str) -> Any:
    """An array as the type wants it: a tensor, a Python number or a list of them; other values are Python's already."""
    if not isinstance(value, np.ndarray | np.generic):
        return tensor_of(np.asarray(value)) if kind == "TensorType" and value is not None else value
    if kind in _NUMBERS:
        return _NUMBERS[kind](value.item())
    if kind == "NumberType":
        return value.item()
    if kind == "ListType":
        return value.tolist()
    return tensor_of(value)


def _leaf_value(value: Any) -> Any:
    return tensor_of(np.asarray(value)) if isinstance(value, np.ndarray | np.generic) else value


def tensor_of(array: np.ndarray | np.generic) -> torch.Tensor:
    """A tensor of its own memory, since the model may write into it."""
    copy = np.array(array)
    dtype = _TORCH_DTYPES.get(copy.dtype)
    if dtype is None:
        try:
            return torch.from_numpy(copy)
        except TypeError as error:
            raise RunError(f"PyTorch has no tensors of dtype {copy.dtype}.") from error
    return torch.from_numpy(copy.view(_FOREIGN[dtype][1])).view(dtype)


def array_of(tensor: torch.Tensor) -> np.ndarray:
    """The elements of any tensor: dense, dequantized, in memory of their own."""
    plain = tensor.detach().cpu()
    if plain.is_quantized:
        plain = plain.dequantize()
    if plain.layout != torch.strided:
        plain = plain.to_dense()
    plain = plain.resolve_conj().resolve_neg().contiguous()
    if plain.dtype in _FOREIGN:
        dtype, carrier = _FOREIGN[plain.dtype]
        integers = plain.view(torch.int16 if carrier is np.int16 else torch.uint8)
        return np.array(integers.numpy()).view(dtype)
    return np.array(plain.numpy())


def flatten(name: str, value: Any) -> Iterator[tuple[str, np.ndarray]]:
    """The arrays in a result, by flat name. Python numbers have the dtypes they have as arguments; None is nothing."""
    if isinstance(value, torch.Tensor):
        yield name, array_of(value)
    elif isinstance(value, bool | int | float | complex | str):
        yield name, np.asarray(value, dtype=np.float32 if isinstance(value, float) else None)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from flatten(f"{name}.{key}", item)
    elif isinstance(value, list | tuple):
        for key, item in _items(value):
            yield from flatten(f"{name}.{key}", item)


def _items(value: Sequence[Any]) -> Iterable[tuple[int | str, Any]]:
    """What is in a list or a tuple, by number; in a named tuple by name."""
    fields = getattr(value, "_fields", None)
    return enumerate(value) if fields is None else zip(fields, value, strict=True)


def _leaf_names(name: str, value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _leaf_names(f"{name}.{key}", item)
    elif isinstance(value, list | tuple):
        for key, item in _items(value):
            yield from _leaf_names(f"{name}.{key}", item)
    elif value is not None:
        yield name


def _owner(module: Any, name: str) -> tuple[Any, str]:
    *path, attribute = name.split(".")
    for part in path:
        module = getattr(module, part)
    return module, attribute


def _has_attribute(module: Any, name: str) -> bool:
    try:
        _attribute(module, name)
    except (AttributeError, RuntimeError):
        return False
    return True


def _attribute(module: Any, name: str) -> Any:
    owner, attribute = _owner(module, name)
    return getattr(owner, attribute)


def _set_attribute(module: Any, name: str, value: Any) -> None:
    owner, attribute = _owner(module, name)
    old = getattr(owner, attribute)
    if isinstance(old, bool | int | float):
        setattr(owner, attribute, type(old)(np.asarray(value).item()))
    else:
        setattr(owner, attribute, tensor_of(np.asarray(value)))

"""The arguments and results of ``forward`` as inputs and outputs of a graph.

A graph takes tensors. Python numbers become scalars (int64, float32, bool) unless they are pinned; tuples, lists and
dicts are flattened to ``name.0`` and ``name.key``; an optional argument that is not declared is None. Results are
called ``output``, or ``output.0``, ``output.key`` where there are several.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import onnx_ir as ir

from nxconvert.errors import InputError, ReadError, UsageError
from nxconvert.formats.torchscript import FunctionInfo, NamedTupleInfo, ScriptCode
from nxconvert.frontends.pytorch.dtypes import COMPLEX, DataType
from nxconvert.frontends.pytorch.ops.common import as_tensor
from nxconvert.frontends.pytorch.ops.complex import complex_input
from nxconvert.frontends.pytorch.script import lists, mappings
from nxconvert.frontends.pytorch.script.machine import Machine
from nxconvert.frontends.pytorch.script.values import Box, DictCell, ListCell, Maybe, Named, Unknown, is_number
from nxconvert.frontends.pytorch.table import Scalar
from nxconvert.graph.builder import Builder, Value
from nxconvert.inputs import InputSpec, spec_of

NUMBERS = {"int": DataType.INT64, "float": DataType.FLOAT, "bool": DataType.BOOL}


@dataclass(frozen=True)
class Leaf:
    """One tensor or number that the caller gives.

    Attributes:
        name: of the graph input.
        kind: ``tensor``, ``int``, ``float`` or ``bool``.
        spec: what was declared or found out; None as long as nothing is known.
        default: of a number, what it is where the caller gives none.
    """

    name: str
    kind: str
    spec: InputSpec | None = None
    default: float | None = None


@dataclass(frozen=True)
class Group:
    """A tuple, list or dict of arguments; ``make`` makes the interpreter's value from those of the items."""

    items: tuple[Argument, ...]
    make: Callable[[list[Any]], Any]


@dataclass(frozen=True)
class Pinned:
    """An argument with a value of its own: given as a constant, a default, or None."""

    value: Any


Argument = Leaf | Group | Pinned


@dataclass(frozen=True)
class Signature:
    """What ``forward`` takes.

    Attributes:
        names: of its parameters, without ``self``.
        arguments: one each.
    """

    names: tuple[str, ...]
    arguments: tuple[Argument, ...]

    def leaves(self) -> list[Leaf]:
        """All leaves in order."""
        return [leaf for argument in self.arguments for leaf in _leaves(argument)]

    def with_specs(self, specs: Mapping[str, InputSpec]) -> Signature:
        """The same signature with the specs of the leaves that are named."""
        return Signature(self.names, tuple(_with_specs(argument, specs) for argument in self.arguments))

    def with_defaults(self) -> Signature:
        """The same signature with every number that has a default pinned to it."""
        return Signature(
            self.names,
            tuple(
                Pinned(argument.default) if isinstance(argument, Leaf) and argument.default is not None else argument
                for argument in self.arguments
            ),
        )

    def open(self) -> list[Leaf]:
        """The leaves of which the dtype or the rank is not known yet."""
        return [leaf for leaf in self.leaves() if leaf.spec is None or leaf.spec.dtype is None]


def _leaves(argument: Argument) -> Iterator[Leaf]:
    if isinstance(argument, Leaf):
        yield argument
    elif isinstance(argument, Group):
        for item in argument.items:
            yield from _leaves(item)


def _with_specs(argument: Argument, specs: Mapping[str, InputSpec]) -> Argument:
    if isinstance(argument, Leaf):
        return replace(argument, spec=specs.get(argument.name, argument.spec))
    if isinstance(argument, Group):
        return Group(tuple(_with_specs(item, specs) for item in argument.items), argument.make)
    return argument


class SignatureReader:
    """Reads the signature of ``forward`` in the light of what the caller declares."""

    def __init__(
        self,
        code: ScriptCode,
        function: FunctionInfo,
        declared: Mapping[str, InputSpec] | Sequence[InputSpec] | None,
        constants: Mapping[str, Any],
    ) -> None:
        self._code = code
        self._function = function
        self._constants = dict(constants)
        self._ordered = list(declared) if declared is not None and not isinstance(declared, Mapping) else []
        self._named = dict(declared) if isinstance(declared, Mapping) else {}
        self._used: set[str] = set()

    def read(self) -> Signature:
        """The signature.

        Raises:
            UsageError: something is declared or pinned that ``forward`` does not take.
            InputError: the length of a list or the keys of a dict are not declared.
        """
        parameters = self._function.args[1:]
        names = tuple(name for name, _ in parameters)
        if self._ordered:
            self._name_ordered(parameters)
        arguments = tuple(self._argument(name, annotation) for name, annotation in parameters)
        known = self._used | set(names)
        unknown = [name for name in (*self._named, *self._constants) if name not in known]
        if unknown:
            raise UsageError(
                f"the model has no input called {', '.join(map(repr, unknown))}. Its forward takes "
                f"{', '.join(names) or 'nothing'}; "
                "the items of lists and dicts are declared as NAME.0, NAME.1 or NAME.KEY."
            )
        return Signature(names, arguments)

    def _name_ordered(self, parameters: list[tuple[str, ast.expr | None]]) -> None:
        """Gives specs that were declared in order the names of the leaves, in order."""
        free = [name for name, annotation in parameters if name not in self._constants]
        leaves: list[str] = []
        for name in free:
            if len(leaves) >= len(self._ordered):
                break  # what is not declared need not be declarable: an optional list of unknown length, say
            leaves += [leaf.name for leaf in _leaves(self._argument(name, dict(parameters)[name], assume=True))]
        if len(self._ordered) > len(leaves):
            raise UsageError(
                f"{len(self._ordered)} inputs are declared, the model takes {len(leaves)}: {', '.join(leaves)}."
            )
        self._named = dict(zip(leaves, self._ordered, strict=False))

    def _argument(self, name: str, annotation: ast.expr | None, *, assume: bool = False) -> Argument:
        """One argument; ``assume`` takes optional ones as given."""
        if name in self._constants:
            self._used.add(name)
            return Pinned(_python(self._constants[name]))
        head, parameters = _type(annotation)
        if head == "Optional":
            given = assume or any(key == name or key.startswith(f"{name}.") for key in self._named)
            return self._argument(name, parameters[0], assume=assume) if given else self._default(name)
        if head == "Tuple":
            return Group(tuple(self._argument(f"{name}.{i}", item) for i, item in enumerate(parameters)), tuple)
        if head == "List":
            return self._list(name, parameters[0])
        if head == "Dict":
            return self._dict(name, parameters[1])
        info = self._code.find(head) if head.startswith("__torch__.") else None
        if isinstance(info, NamedTupleInfo):
            fields, qualname = tuple(info.fields), info.qualname
            items = tuple(self._argument(f"{name}.{field}", info.fields[field]) for field in fields)
            return Group(items, lambda values: Named.make(qualname, fields, values))
        if head == "bool" and name in self._function.defaults and name not in self._named:
            return self._default(name)  # flags decide what the graph is
        if head in NUMBERS or head in ("Tensor", "number", ""):
            return self._leaf(name, head)
        return self._default(name, head)

    def _leaf(self, name: str, head: str) -> Leaf:
        kind = head if head in NUMBERS else "float" if head == "number" else "tensor"
        spec = self._named.get(name)
        self._used.add(name)
        if kind != "tensor":
            own = spec_of(NUMBERS[kind], ())
            if spec is not None and (spec.dims or (spec.dtype not in (None, own.dtype))):
                raise UsageError(f"the input '{name}' is a Python {kind}: it is {own} in the graph, not {spec}.")
            spec = own
        default = self._literal(name) if kind != "tensor" and name not in self._named else None
        return Leaf(name, kind, spec, default)

    def _literal(self, name: str) -> Any:
        """The default of a parameter, where it is a literal."""
        default = self._function.defaults.get(name)
        try:
            return None if default is None else ast.literal_eval(default)
        except ValueError:
            return None

    def _list(self, name: str, item: ast.expr) -> Argument:
        indices = sorted(
            {
                int(key[len(name) + 1 :].split(".")[0])
                for key in self._named
                if key.startswith(f"{name}.") and _is_index(key, name)
            }
        )
        if not indices:
            raise InputError(
                f"the input '{name}' is a list, and its length is part of the graph: declare its items, one by one.",
                [f"{name}.0=float32[...]"],
            )
        elem = ast.unparse(item)
        items = tuple(self._argument(f"{name}.{i}", item) for i in range(max(indices) + 1))
        return Group(items, lambda values: ListCell(tuple(values), elem))

    def _dict(self, name: str, item: ast.expr) -> Argument:
        found = [key[len(name) + 1 :] for key in self._named if key.startswith(f"{name}.")]
        if _type(item)[0] in ("List", "Tuple", "Dict"):
            found = [key.partition(".")[0] for key in found]  # what follows belongs to the item
        keys = list(dict.fromkeys(found))
        if not keys:
            raise InputError(
                f"the input '{name}' is a dict, and its keys are part of the graph: declare its items, one by one.",
                [f"{name}.KEY=float32[...]"],
            )
        items = tuple(self._argument(f"{name}.{key}", item) for key in keys)
        return Group(items, lambda values: DictCell(dict(zip(keys, values, strict=True))))

    def _default(self, name: str, head: str = "Optional") -> Argument:
        default = self._literal(name)
        if default is not None or head == "Optional":
            return Pinned(_python(default))
        raise InputError(
            f"the input '{name}' is of the type {head}, which no graph input can carry: pin it with "
            f"--const {name}=VALUE."
        )


def _is_index(key: str, name: str) -> bool:
    return key[len(name) + 1 :].split(".")[0].isdigit()


def _type(annotation: ast.expr | None) -> tuple[str, list[ast.expr]]:
    """A type's head and parameters."""
    if isinstance(annotation, ast.Subscript):
        inner = annotation.slice
        return ast.unparse(annotation.value), list(inner.elts) if isinstance(inner, ast.Tuple) else [inner]
    return ("" if annotation is None else ast.unparse(annotation)), []


def _python(value: Any) -> Any:
    """A pinned Python value as the interpreter's."""
    if isinstance(value, (list, tuple)):
        items = tuple(_python(item) for item in value)
        return ListCell(items) if isinstance(value, list) else items
    return DictCell({key: _python(item) for key, item in value.items()}) if isinstance(value, dict) else value


def make_argument(op: Builder, argument: Argument) -> Any:
    """Adds the inputs of one argument to the graph and returns its value."""
    if isinstance(argument, Pinned):
        return argument.value
    if isinstance(argument, Group):
        return argument.make([make_argument(op, item) for item in argument.items])
    spec = argument.spec
    dtype = spec.onnx_dtype() if spec is not None else None
    if spec is None or dtype is None:
        return Box(Unknown(argument.name))
    dims = [d if isinstance(d, int) else op.dim(d) for d in spec.dims]
    if dtype in COMPLEX:
        return Box(complex_input(op, argument.name, dtype, dims))
    value = op.input(argument.name, dtype, dims)
    if argument.kind == "tensor":
        return Box(value)
    if argument.default is not None:
        value.const_value = ir.tensor(argument.default, dtype=dtype, name=value.name)
    if argument.kind == "int":
        return op.symbol_of(value, argument.name)
    return Scalar(op.cast(value, DataType.DOUBLE) if argument.kind == "float" else value)


def output_values(ip: Machine, result: Any, name: str = "output") -> Iterator[tuple[str, Value]]:
    """The results of ``forward`` as graph values, named; None and strings have none."""
    if isinstance(result, Maybe):
        raise ReadError(
            f"the result '{name}' may be None or not depending on the input's values; a graph's outputs are always "
            "there."
        )
    if isinstance(result, Box):
        yield name, ip.plain(result)
    elif is_number(result):
        yield name, as_tensor(ip.op, result)
    elif isinstance(result, Named):
        for field, item in zip(result.fields, result, strict=True):
            yield from output_values(ip, item, f"{name}.{field}")
    elif isinstance(result, DictCell):
        for key, item in mappings.read(result).items():
            yield from output_values(ip, item, f"{name}.{key}")
    elif isinstance(result, (tuple, ListCell)):
        items: Any = lists.read(ip, result) if isinstance(result, ListCell) else result
        if isinstance(items, Value):
            yield name, items
            return
        for i, item in enumerate(items):
            yield from output_values(ip, item, f"{name}.{i}")

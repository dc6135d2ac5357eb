"""Exported programs (``torch.export.save``): the JSON of the graph and the weights beside it, without PyTorch.

Two layouts occur. Up to PyTorch 2.6 a zip without a top folder holds ``serialized_exported_program.json`` and files of
``torch.save`` for the weights, the constants and the examples. Later ones hold ``models/<name>.json``, and below
``data/weights`` and ``data/constants`` either one file of ``torch.save`` or the raw bytes of each tensor with a
configuration that describes them. The JSON is that of ``torch/_export/serde/schema.py``, versions 3 to 8.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import onnx_ir as ir

from nxconvert.errors import ReadError
from nxconvert.formats.torch_archive import TorchArchive
from nxconvert.formats.torch_values import Storage, TensorData

__all__ = ["Argument", "Graph", "Input", "Node", "Output", "Program", "Size", "TensorMeta", "Tree", "read_program"]

_D = ir.DataType
_MAX_JSON = 1 << 30
_NEWEST_MAJOR = 8
_OLD_PROGRAM = "serialized_exported_program.json"
# Constants that are no tensors: objects of C++ classes, which only the program that made them understands.
_OBJECTS = ("custom_obj", "opaque_obj")

# torch/_export/serde/schema.py numbers the dtypes in its own way: its number -> (PyTorch's own, the element type).
_SCALAR_TYPES: Mapping[int, tuple[int, ir.DataType]] = {
    1: (0, _D.UINT8), 2: (1, _D.INT8), 3: (2, _D.INT16), 4: (3, _D.INT32), 5: (4, _D.INT64), 6: (5, _D.FLOAT16),
    7: (6, _D.FLOAT), 8: (7, _D.DOUBLE), 9: (8, _D.UNDEFINED), 10: (9, _D.COMPLEX64), 11: (10, _D.COMPLEX128),
    12: (11, _D.BOOL), 13: (15, _D.BFLOAT16), 28: (27, _D.UINT16), 29: (24, _D.FLOAT8E4M3FN), 30: (23, _D.FLOAT8E5M2),
    31: (26, _D.FLOAT8E4M3FNUZ), 32: (25, _D.FLOAT8E5M2FNUZ), 34: (28, _D.UINT32), 35: (29, _D.UINT64),
}  # fmt: skip
# The same for layouts and memory formats; PyTorch's own numbers as its operators take them.
_LAYOUTS = {1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 6, 7: 0}
_MEMORY_FORMATS = {1: 0, 2: 2, 3: 3, 4: 1}

Size = int | str
"""A size: known, or an expression over symbols as the file spells it."""


class Argument(NamedTuple):
    """One argument or result of a node.

    Attributes:
        kind: how the schema calls what it holds, without the ``as_``: ``tensor``, ``ints``, ``sym_int``, ``none``, ...
        value: the name of a tensor, a number, a list, a `Graph`; for symbolic numbers a name or a number.
    """

    kind: str
    value: Any


@dataclass(frozen=True)
class TensorMeta:
    """What the file says of a tensor: PyTorch's number of its dtype, the element type, and its sizes."""

    code: int
    dtype: ir.DataType
    sizes: tuple[Size, ...]


@dataclass(frozen=True)
class Node:
    """One call.

    Attributes:
        target: what is called: ``torch.ops.aten.add.Tensor``, ``_operator.mul``, ...
        args: the positional arguments.
        kwargs: those by name.
        outputs: the results.
        metadata: texts: ``stack_trace``, ``nn_module_stack``, ...
    """

    target: str
    args: tuple[Argument, ...]
    kwargs: Mapping[str, Argument]
    outputs: tuple[Argument, ...]
    metadata: Mapping[str, str]


@dataclass(frozen=True)
class Graph:
    """A graph of calls; graphs inside it are arguments of control flow.

    Attributes:
        inputs: the names that its nodes use, in order.
        outputs: what it gives, in order.
        nodes: the calls in order.
        tensors: what is known of the tensors, by name.
        single: whether its one output is not in a tuple.
    """

    inputs: tuple[Argument, ...]
    outputs: tuple[Argument, ...]
    nodes: tuple[Node, ...]
    tensors: Mapping[str, TensorMeta]
    single: bool = False


class Input(NamedTuple):
    """What an input of the program's graph is.

    Attributes:
        kind: ``user_input``, ``parameter``, ``buffer``, ``tensor_constant``, ``custom_obj``, ``token`` or
            ``constant_input``.
        argument: the input.
        target: the name of the parameter, buffer or constant; empty for what the user gives.
    """

    kind: str
    argument: Argument
    target: str


class Output(NamedTuple):
    """What an output of the program's graph is.

    Attributes:
        kind: ``user_output``, ``buffer_mutation``, ``parameter_mutation``, ``user_input_mutation``, ...
        argument: the output.
        target: the name of what it replaces; empty for what the user gets.
    """

    kind: str
    argument: Argument
    target: str


@dataclass(frozen=True)
class Tree:
    """The structure of nested arguments or results.

    Attributes:
        type: None for a leaf, else the container: ``builtins.tuple``, ``builtins.dict``, ...
        keys: the names of the children, for dicts and named tuples; None where they are counted.
        children: in order.
    """

    type: str | None
    keys: tuple[str, ...] | None
    children: tuple[Tree, ...]

    def leaves(self) -> int:
        """How many leaves there are."""
        return 1 if self.type is None else sum(child.leaves() for child in self.children)


@dataclass(frozen=True)
class Program:
    """An exported program.

    Attributes:
        graph: the calls.
        inputs: what the graph's inputs are.
        outputs: what the graph's outputs are.
        ranges: the least and the greatest value of symbols and expressions.
        arguments: the names of ``forward``'s arguments in order, keyword arguments last.
        takes: the structure of the arguments: a tuple of positional ones and a dict of the others; None if unknown.
        gives: the structure of the result; None if unknown.
        tensors: parameters, buffers and constants, by name.
        torch_version: of the PyTorch that wrote it, as it says.
        names: what symbols of sizes are to be called, where somebody said it.
    """

    graph: Graph
    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]
    ranges: Mapping[str, tuple[int | None, int | None]]
    arguments: tuple[str, ...]
    takes: Tree | None
    gives: Tree | None
    tensors: Mapping[str, TensorData]
    torch_version: str = ""
    names: Mapping[str, str] = field(default_factory=dict)


def read_program(archive: TorchArchive) -> Program:
    """The program in an archive of ``torch.export.save``.

    Raises:
        ReadError: the archive is damaged, hostile, or of a layout that is not known.
    """
    name = _program_name(archive)
    try:
        text = json.loads(archive.read(name, _MAX_JSON))
        return decode_program(text, _tensors(archive, name))
    except RecursionError as error:
        raise ReadError(f"{archive.path} is hostile: its {name} is nested too deeply.") from error
    except ReadError as error:
        raise ReadError(_with_path(archive, str(error))) from error
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise ReadError(
            f"{archive.path} is damaged: its {name} is no exported program ({type(error).__name__}: {error})."
        ) from error


def _with_path(archive: TorchArchive, message: str) -> str:
    return message if archive.path in message else f"{archive.path}: {message}"


def _program_name(archive: TorchArchive) -> str:
    models = [name for name in archive.members if name.startswith("models/") and name.endswith(".json")]
    if _OLD_PROGRAM in archive:
        return _OLD_PROGRAM
    if not models:
        raise ReadError(f"{archive.path} is incomplete: it has no models/*.json.")
    if len(models) > 1:
        names = ", ".join(name.removeprefix("models/").removesuffix(".json") for name in models)
        raise ReadError(
            f"{archive.path} holds several programs ({names}); save the one that is wanted with torch.export.save."
        )
    return models[0]


def decode_program(text: Mapping[str, Any], tensors: Mapping[str, TensorData]) -> Program:
    """The program that the JSON of a file, or of the same dataclasses in memory, describes.

    Args:
        text: the ``ExportedProgram`` of the schema.
        tensors: the parameters, buffers and constants by name.
    """
    _check_version(text.get("schema_version"))
    module = text["graph_module"]
    call = next((entry["signature"] for entry in module["module_call_graph"] if entry["fqn"] == ""), None)
    fields = {name: tuple(item["field_names"]) for name, item in module.get("treespec_namedtuple_fields", {}).items()}
    signature = module["signature"]
    inputs = tuple(_input(item) for item in signature["input_specs"])
    takes = _tree(call["in_spec"], fields) if call else None
    arguments = call.get("forward_arg_names") if call else None
    if not arguments:
        arguments = [str(i.argument.value) for i in inputs if i.kind == "user_input"]
    return Program(
        graph=_graph(module["graph"]),
        inputs=inputs,
        outputs=tuple(_output(item) for item in signature["output_specs"]),
        ranges={name: (item.get("min_val"), item.get("max_val")) for name, item in text["range_constraints"].items()},
        arguments=tuple(arguments),
        takes=takes,
        gives=_tree(call["out_spec"], fields) if call else None,
        tensors=tensors,
        torch_version=str(text.get("torch_version", "")),
    )


def _check_version(version: Any) -> None:
    major = version.get("major") if isinstance(version, Mapping) else version
    if isinstance(major, int) and major > _NEWEST_MAJOR:
        raise ReadError(
            f"its schema is version {major}, newer than {_NEWEST_MAJOR}, the newest that is known; update nxconvert, "
            "or save the program with an older PyTorch."
        )


# ---- graphs ----------------------------------------------------------------------------------------------------------


def _graph(data: Mapping[str, Any]) -> Graph:
    return Graph(
        inputs=tuple(_argument(item) for item in data["inputs"]),
        outputs=tuple(_argument(item) for item in data["outputs"]),
        nodes=tuple(_node(item) for item in data["nodes"]),
        tensors={name: _meta(meta) for name, meta in data["tensor_values"].items()},
        single=bool(data.get("is_single_tensor_return", False)),
    )


def _node(data: Mapping[str, Any]) -> Node:
    args: list[Argument] = []
    kwargs: dict[str, Argument] = {}
    for item in data["inputs"]:
        argument = _argument(item["arg"])
        if _is_positional(item, len(args), bool(kwargs)):
            args.append(argument)
        else:
            kwargs[item["name"]] = argument
    outputs = tuple(_argument(item) for item in data["outputs"])
    return Node(data["target"], tuple(args), kwargs, outputs, data.get("metadata") or {})


# Before schema 8.2 nothing said which arguments were given by name: these are keyword-only in every ATen schema.
_BY_NAME = frozenset(
    ["dtype", "layout", "device", "pin_memory", "memory_format", "generator", "out", "alpha", "beta", "rounding_mode",
     "correction", "non_blocking", "divisor_override", "scale", "enable_gqa", "requires_grad", "interpolation",
     "side", "sorter", "approximate", "antialias", "return_counts"]
)  # fmt: skip


def _is_positional(item: Mapping[str, Any], position: int, named: bool) -> bool:
    kind = item.get("kind")
    if kind is not None:
        return bool(kind == 1)
    return not named and (item["name"] not in _BY_NAME or not position)


def _argument(data: Mapping[str, Any]) -> Argument:
    """One member of the schema's union of arguments, in plain Python."""
    (key, value), *rest = ((key, value) for key, value in data.items() if value is not None) if data else (("", None),)
    if rest or not key.startswith("as_"):
        raise ValueError(f"an argument {str(data)[:80]!r}")
    kind = key[3:]
    decode = _ARGUMENTS.get(kind)
    return Argument(kind, decode(value) if decode is not None else value)


def _symbolic(data: Mapping[str, Any]) -> Any:
    """A symbolic number: the name of the value that holds it, or the number."""
    ((_, value),) = data.items()
    return value


def _optional_tensor(data: Mapping[str, Any]) -> str | None:
    tensor = data.get("as_tensor")
    return None if tensor is None else str(tensor["name"])


def _graph_argument(data: Mapping[str, Any]) -> Graph:
    return _graph(data["graph"])


_ARGUMENTS: Mapping[str, Callable[[Any], Any]] = {
    "none": lambda _: None,
    "tensor": lambda data: str(data["name"]),
    "tensors": lambda data: [str(item["name"]) for item in data],
    "optional_tensor": _optional_tensor,
    "optional_tensors": lambda data: [_optional_tensor(item) for item in data],
    "nested_tensors": lambda data: [[str(item["name"]) for item in row] for row in data],
    "float": float,
    # Infinity and NaN are strings in newer files.
    "floats": lambda data: [float(item) for item in data],
    "sym_int": _symbolic,
    "sym_ints": lambda data: [_symbolic(item) for item in data],
    "sym_bool": _symbolic,
    "sym_bools": lambda data: [_symbolic(item) for item in data],
    "sym_float": _symbolic,
    "sym_floats": lambda data: [_symbolic(item) for item in data],
    "scalar_type": lambda number: _SCALAR_TYPES[number][0],
    "memory_format": lambda number: _MEMORY_FORMATS[number],
    "layout": lambda number: _LAYOUTS[number],
    "device": lambda data: str(data["type"]),
    "graph": _graph_argument,
    "complex": lambda data: complex(float(data["real"]), float(data["imag"])),
    "custom_obj": lambda data: str(data["name"]),
}


def _meta(data: Mapping[str, Any]) -> TensorMeta:
    code, dtype = _scalar_type(data["dtype"])
    return TensorMeta(code, dtype, tuple(_size(item) for item in data["sizes"]))


def _scalar_type(number: int) -> tuple[int, ir.DataType]:
    if number not in _SCALAR_TYPES:
        raise ValueError(f"a tensor of the dtype number {number}")
    return _SCALAR_TYPES[number]


def _size(data: Mapping[str, Any]) -> Size:
    expression = data.get("as_expr")
    return int(data["as_int"]) if expression is None else str(expression["expr_str"])


# ---- signature -------------------------------------------------------------------------------------------------------


def _input(data: Mapping[str, Any]) -> Input:
    ((kind, spec),) = ((kind, spec) for kind, spec in data.items() if spec is not None)
    if kind == "constant_input":
        return Input(kind, Argument("constant", _symbolic(spec["value"])), spec["name"])
    return Input(kind, _signature_argument(spec["arg"]), _target(spec))


def _output(data: Mapping[str, Any]) -> Output:
    ((kind, spec),) = ((kind, spec) for kind, spec in data.items() if spec is not None)
    return Output(kind, _signature_argument(spec["arg"]), _target(spec))


def _signature_argument(data: Mapping[str, Any]) -> Argument:
    """Of what the user gives or gets a union, of anything else the name of a tensor."""
    return Argument("tensor", str(data["name"])) if "name" in data else _argument(data)


def _target(spec: Mapping[str, Any]) -> str:
    names = (value for key, value in spec.items() if key.endswith("_name") and isinstance(value, str))
    return next(names, "")


def _tree(text: str, fields: Mapping[str, tuple[str, ...]]) -> Tree:
    """The structure that a serialized ``TreeSpec`` of ``torch.utils._pytree`` describes: ``[version, node]``."""
    _, node = json.loads(text)
    return _tree_node(node, fields)


def _tree_node(data: Mapping[str, Any], fields: Mapping[str, tuple[str, ...]]) -> Tree:
    children = tuple(_tree_node(child, fields) for child in data["children_spec"])
    return Tree(data["type"], _keys(data, len(children), fields), children)


def _keys(data: Mapping[str, Any], count: int, fields: Mapping[str, tuple[str, ...]]) -> tuple[str, ...] | None:
    """The names of a container's children: a dict's keys, the fields of a named tuple or of a registered class."""
    context = data["context"]
    if context is None:
        return None
    if isinstance(context, str):
        try:
            found = json.loads(context)
        except ValueError:
            found = fields.get(context)  # a named tuple: its class
    else:
        found = context.get("dict_context")  # a default dict: its factory and its keys
    if isinstance(found, list | tuple) and len(found) == count:
        return tuple(str(item) for item in found)
    return None


# ---- weights ---------------------------------------------------------------------------------------------------------


def _tensors(archive: TorchArchive, program: str) -> dict[str, TensorData]:
    found: dict[str, TensorData] = {}
    for part in _old_tensors(archive) if program == _OLD_PROGRAM else _new_tensors(archive, program):
        found.update((str(name), tensor) for name, tensor in part.items() if isinstance(tensor, TensorData))
    return found


def _old_tensors(archive: TorchArchive) -> Iterator[Mapping[str, Any]]:
    for name in ("serialized_state_dict.pt", "serialized_state_dict.json", "serialized_constants.pt"):
        if name in archive and archive.stored(name)[2]:
            yield archive.inner(name).data


def _new_tensors(archive: TorchArchive, program: str) -> Iterator[Mapping[str, Any]]:
    model = program.removeprefix("models/").removesuffix(".json")
    for kind in ("weights", "constants"):
        yield from _stored(archive, model, kind)


def _stored(archive: TorchArchive, model: str, kind: str) -> Iterator[Mapping[str, Any]]:
    """The tensors below ``data/weights`` or ``data/constants``, in whichever of the two forms they are."""
    whole, config = f"data/{kind}/{model}.pt", f"data/{kind}/{model}_{kind}_config.json"
    if whole in archive:
        yield archive.inner(whole).data
    if config in archive:
        described = json.loads(archive.read(config, _MAX_JSON))["config"]
        yield {name: _payload(archive, f"data/{kind}/{item['path_name']}", item) for name, item in described.items()}


def _payload(archive: TorchArchive, member: str, item: Mapping[str, Any]) -> Any:
    if item.get("use_pickle"):
        return None if item["path_name"].startswith(_OBJECTS) else archive.inner(member).data
    meta = item.get("tensor_meta")
    if meta is None:
        return None
    file, start, nbytes = archive.stored(member)
    sizes = tuple(int(size["as_int"]) for size in meta["sizes"])
    strides = tuple(int(stride["as_int"]) for stride in meta["strides"])
    offset = int(meta["storage_offset"]["as_int"])
    if min((*sizes, *strides, offset), default=0) < 0 or len(sizes) != len(strides):
        raise ValueError(f"{member} of the sizes {sizes} and the strides {strides}")
    storage = Storage(member, "Untyped", "cpu", file, start, nbytes, archive.byteorder == "big")
    dtype = _scalar_type(meta["dtype"])[1]
    if dtype is _D.UNDEFINED:
        raise ValueError("a stored tensor of complex halves")
    return TensorData(dtype, sizes, strides, offset, storage)

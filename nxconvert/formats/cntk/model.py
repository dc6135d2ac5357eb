"""A CNTK model as it is stored: variables, and functions that name their inputs. Both formats are read into this."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import onnx_ir as ir

from nxconvert.errors import ReadError
from nxconvert.formats.cntk.dictionary import DTYPES, Array, Axis, read_dictionary

INPUT, OUTPUT, PARAMETER, CONSTANT, PLACEHOLDER = range(5)


@dataclass(frozen=True, slots=True)
class Variable:
    """What is no result: an input, a parameter, a constant or a placeholder.

    Attributes:
        uid: the name that functions use.
        kind: `INPUT`, `PARAMETER`, `CONSTANT` or `PLACEHOLDER`.
        dtype: of its elements; None where the file leaves it open.
        shape: of a sample, in the order of rows: the reverse of CNTK's. -1 is a dim to be inferred, -3 a free one.
        axes: its dynamic axes, in the order of the file: the sequence before the batch.
        sparse: whether it is fed sparsely.
        name: what the user called it; empty where nothing.
        value: of a parameter or constant.
    """

    uid: str
    kind: int
    dtype: ir.DataType | None
    shape: tuple[int, ...]
    axes: tuple[Axis, ...]
    sparse: bool
    name: str
    value: Array | None


@dataclass(frozen=True, slots=True)
class Block:
    """The inside of a function that is a block.

    Attributes:
        op_name: what kind of block it is.
        root: the function inside whose outputs are the block's.
        arguments: the variable or output outside that each placeholder inside stands for.
    """

    op_name: str
    root: str
    arguments: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Function:
    """A primitive function, or a block.

    Attributes:
        uid: its own; its outputs are ``<uid>_Output_<k>``.
        name: what the user called it; empty where nothing.
        op: the number of the primitive; None for what is none.
        inputs: uids of variables, or outputs of functions.
        attributes: by name.
        block: of a block.
        type: what it is, where it is no primitive: the file's word, with the class of one that is the user's own.
    """

    uid: str
    name: str
    op: int | None
    inputs: tuple[str, ...]
    attributes: Mapping[str, Any]
    block: Block | None = None
    type: str = ""


@dataclass(frozen=True, slots=True)
class Model:
    """A model.

    Attributes:
        name: what the user called it.
        root: the function whose outputs are the model's.
        variables: by uid, in the order of the file.
        functions: by uid, in the order of the file.
    """

    name: str
    root: str
    variables: Mapping[str, Variable] = field(default_factory=dict)
    functions: Mapping[str, Function] = field(default_factory=dict)


def read_model(path: str | os.PathLike[str]) -> Model:
    """The model in a file of CNTK 2.

    Raises:
        ReadError: there is no sound one in it.
    """
    stored = read_dictionary(path)
    where = os.fspath(path)
    if stored.get("type") != "CompositeFunction":
        raise ReadError(f"{where} {_look(stored)}.")
    try:
        variables = [_variable(item) for item in stored["inputs"]]
        functions = [_function(item) for item in stored["primitive_functions"]]
        return Model(
            str(stored.get("name", "")),
            str(stored["root"]),
            {variable.uid: variable for variable in variables},
            {function.uid: function for function in functions},
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ReadError(f"{where} is damaged: its model lacks what every one has ({error}).") from error


def _look(stored: Mapping[str, Any]) -> str:
    if "Learners" in stored:
        return (
            "holds the state of a trainer and no model; the model lies beside it, in the file of the same name without "
            "'.ckp'"
        )
    return "is a Dictionary of CNTK, but no model"


def _variable(item: Mapping[str, Any]) -> Variable:
    value = item.get("value")
    return Variable(
        str(item["uid"]),
        int(item["kind"]),
        DTYPES.get(int(item["data_type"])),
        tuple(reversed(item["shape"])),
        tuple(item.get("dynamic_axis") or ()),
        bool(item.get("is_sparse", False)),
        str(item.get("name", "")),
        value if isinstance(value, Array) else None,
    )


def _function(item: Mapping[str, Any]) -> Function:
    kind = str(item.get("type", ""))
    if kind == "UserDefinedFunction":
        kind = f"{kind} {(item.get('user_defined_state') or {}).get('op_name', '')}".rstrip()
    op = int(item["op"]) if "op" in item else None
    keys = item.get("block_function_composite_arguments_map_keys") or []
    values = item.get("block_function_composite_arguments_map_values") or []
    block = None
    if "block_function_composite" in item:
        root = str(item["block_function_composite"]["root"])
        block = Block(str(item.get("block_function_op_name", "")), root, dict(zip(keys, values, strict=True)))
    name, attributes = str(item.get("name", "")), item.get("attributes") or {}
    inputs = tuple(map(str, item["inputs"]))
    return Function(str(item["uid"]), name, op, inputs, attributes, block, "" if kind == "PrimitiveFunction" else kind)

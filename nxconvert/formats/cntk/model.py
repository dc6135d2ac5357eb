"""A CNTK model as it is stored: variables, and functions that name their inputs. Both formats are read into this."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import onnx_ir as ir

from nxconvert.errors import ReadError
from nxconvert.formats.cntk.dictionary import DTYPES, Array, Axis, read_dictionary

T = TypeVar("T")

INPUT, OUTPUT, PARAMETER, CONSTANT, PLACEHOLDER = range(5)
#: What messages call the types that there are in a Dictionary.
_WORDS = {
    str: "text",
    int: "number",
    bool: "truth value",
    list: "vector",
    dict: "Dictionary",
    tuple: "shape",
    Axis: "axis",
}


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
    model = _Item(where, "the model", stored)
    if stored.get("type") != "CompositeFunction":
        raise ReadError(f"{where} {_look(stored)}.")
    variables = [_variable(_Item(where, "a variable", item)) for item in model.list("inputs", dict)]
    functions = [_function(_Item(where, "a function", item)) for item in model.list("primitive_functions", dict)]
    return Model(
        model.get("name", str, ""),
        model.get("root", str),
        {variable.uid: variable for variable in variables},
        {function.uid: function for function in functions},
    )


def _look(stored: Mapping[str, Any]) -> str:
    if "Learners" in stored:
        return (
            "holds the state of a trainer and no model; the model lies beside it, in the file of the same name without "
            "'.ckp'"
        )
    return "is a Dictionary of CNTK, but no model"


class _Item:
    """A Dictionary in which certain things have to be."""

    def __init__(self, where: str, what: str, item: Mapping[str, Any]) -> None:
        uid = item.get("uid")
        self._what = f"{what} ({uid})" if isinstance(uid, str) else what
        self._where = where
        self._item = item

    def get(self, key: str, kind: type[T], absent: T | None = None) -> T:
        """What a key has; `absent` if it has nothing, unless that is None."""
        value = self._item.get(key, absent)
        if value is None:
            raise self.damaged(f"has no {key!r}")
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise self.damaged(f"has as its {key!r} what is no {_WORDS.get(kind, kind.__name__)}")
        return value

    def list(self, key: str, kind: type[T], absent: list[T] | None = None) -> list[T]:
        """What a key has, a vector of something."""
        values: list[T] = self.get(key, list, absent)
        if not all(isinstance(value, kind) for value in values):
            raise self.damaged(f"has in its {key!r} what is no {_WORDS.get(kind, kind.__name__)}")
        return values

    def has(self, key: str) -> bool:
        return key in self._item

    def damaged(self, how: str) -> ReadError:
        return ReadError(f"{self._where} is damaged: {self._what} {how}.")


def _variable(item: _Item) -> Variable:
    uid, kind, shape = item.get("uid", str), item.get("kind", int), item.get("shape", tuple)[::-1]
    value = item.get("value", Array) if item.has("value") else None
    if kind not in (INPUT, OUTPUT, PARAMETER, CONSTANT, PLACEHOLDER):
        raise item.damaged(f"is of the kind {kind}, which there is not")
    if kind in (PARAMETER, CONSTANT) and (value is None or value.shape != shape):
        found = "nothing" if value is None else f"an array of the shape {list(value.shape)}"
        raise item.damaged(f"of the shape {list(shape)} has {found} as its value")
    axes = tuple(item.list("dynamic_axis", Axis, []))
    if kind == INPUT and [axis.is_batch for axis in axes] not in ([], [True], [False, True]):
        raise item.damaged(f"is an input on the axes {', '.join(axis.name for axis in axes)}, which CNTK has none on")
    return Variable(
        uid,
        kind,
        DTYPES.get(item.get("data_type", int)),
        shape,
        axes,
        item.get("is_sparse", bool, False),
        item.get("name", str, ""),
        value,
    )


def _function(item: _Item) -> Function:
    kind = item.get("type", str, "")
    if kind == "UserDefinedFunction":
        kind = f"{kind} {item.get('user_defined_state', dict, {}).get('op_name', '')}".rstrip()
    op = item.get("op", int) if item.has("op") else None
    block = None
    if item.has("block_function_composite"):
        keys = item.list("block_function_composite_arguments_map_keys", str, [])
        values = item.list("block_function_composite_arguments_map_values", str, [])
        root = item.get("block_function_composite", dict).get("root")
        if len(keys) != len(values) or not isinstance(root, str):
            raise item.damaged("is a block whose arguments or whose inside are not to be found")
        block = Block(item.get("block_function_op_name", str, ""), root, dict(zip(keys, values, strict=True)))
    inputs, attributes = tuple(item.list("inputs", str)), item.get("attributes", dict, {})
    known = "" if kind == "PrimitiveFunction" else kind
    return Function(item.get("uid", str), item.get("name", str, ""), op, inputs, attributes, block, known)

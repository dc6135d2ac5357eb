"""Writes CNTK's Dictionaries, for files that CNTK itself would not write.

Dicts, lists, text, booleans and floats are what they are in CNTK; integers are SizeT, tuples are NDShapes, column-major
as in files. An array of NumPy's is an NDArrayView; `Raw` is any value as its type and its bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nxconvert.formats.cntk.dictionary import Axis
from nxconvert.formats.protobuf import varint


@dataclass(frozen=True)
class Raw:
    """A value by the number of its type, and the field that it is in."""

    type: int
    field: bytes


def field(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def number(at: int, value: int) -> bytes:
    return varint(at << 3) + varint(value & (1 << 64) - 1)


def dictionary(content: Mapping[str, Any]) -> bytes:
    """A serialized Dictionary."""
    entries = (field(1, key.encode()) + field(2, value(each)) for key, each in content.items())
    return number(1, 2) + b"".join(field(2, entry) for entry in entries)


def value(of: Any) -> bytes:
    """A serialized DictionaryValue."""
    made = _raw(of)
    return number(1, 2) + number(2, made.type) + made.field


def _raw(of: Any) -> Raw:
    match of:
        case Raw():
            return of
        case bool():
            return Raw(1, number(3, of))
        case int():
            return Raw(3, number(5, of))
        case float():
            return Raw(5, varint(7 << 3 | 1) + struct.pack("<d", of))
        case str():
            return Raw(6, field(8, of.encode()))
        case tuple():
            return Raw(7, field(9, shape(of)))
        case Axis():
            return Raw(8, field(10, number(1, of.static) + field(2, of.name.encode()) + number(3, of.ordered)))
        case np.ndarray():
            return Raw(11, field(13, array(of.shape[::-1], of)))
        case Mapping():
            return Raw(10, field(12, dictionary(of)))
        case Sequence():
            return Raw(9, field(11, b"".join(field(1, value(each)) for each in of)))
    raise TypeError(of)


def shape(dims: Sequence[int]) -> bytes:
    return field(1, b"".join(varint(size & (1 << 64) - 1) for size in dims))


def array(dims: Sequence[int], numbers: np.ndarray | None, dtype: int = 1) -> bytes:
    """A serialized NDArrayView of these dims, whatever numbers it has; none if they are None."""
    content = number(1, dtype) + field(3, shape(dims))
    return content if numbers is None else content + field(4, field(1, numbers.astype("<f4").tobytes()))


BATCH = Axis(2147483647, "defaultBatchAxis", False)


def variable(uid: str, kind: int, dims: tuple[int, ...], **more: Any) -> dict[str, Any]:
    """A variable: 0 is an input, 2 a parameter, 3 a constant, 4 a placeholder."""
    axes = [BATCH] if kind == 0 else []
    return {
        "type": "Variable", "version": 1, "uid": uid, "kind": kind, "data_type": 1, "shape": dims,
        "dynamic_axis": axes, "is_sparse": False, "needs_gradient": False, **more,
    }  # fmt: skip


def function(
    uid: str, op: int, inputs: Sequence[str], attributes: Mapping[str, Any] | None = None, **more: Any
) -> dict[str, Any]:
    return {
        "type": "PrimitiveFunction", "version": 24, "uid": uid, "op": op, "inputs": list(inputs),
        "attributes": attributes or {}, **more,
    }  # fmt: skip


def block(uid: str, root: str, inputs: Sequence[str], arguments: Mapping[str, str]) -> dict[str, Any]:
    """A block with a root inside, and what each placeholder inside stands for."""
    return function(
        uid, 57, inputs,
        block_function_op_name="B",
        block_function_composite={"type": "CompositeFunction", "version": 3, "root": root, "uid": f"c{uid}"},
        block_function_composite_arguments_map_keys=list(arguments),
        block_function_composite_arguments_map_values=list(arguments.values()),
    )  # fmt: skip


def model(root: str, variables: Sequence[Any], functions: Sequence[Any], **more: Any) -> dict[str, Any]:
    return {
        "type": "CompositeFunction", "version": 3, "uid": "m", "root": root, "inputs": list(variables),
        "primitive_functions": list(functions), **more,
    }  # fmt: skip

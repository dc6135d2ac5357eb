"""Caffe2's nets as plain Python: what the binary and the text form are turned into.

An argument of an operator is one value; which of the message's fields holds it says its kind:

========== =============================================================================================
``i``      `int`
``f``      `float` (a float32's value)
``s``      `bytes`
``floats`` float32[n]; a long one is a view of the file whose elements are five bytes apart
``ints``   int64[n]
``strings`` list of `bytes`
``n``      `NetDef`; ``nets``: list of them
``t``      `Tensor`; ``tensors``: list of them; ``qtensors``: list of `QTensor`
nothing    an empty list: Caffe2 writes empty lists of every kind so
========== =============================================================================================

An argument with several of them is an error here. Caffe2 would take the one that the operator asks for, but writes no
such argument. Of two arguments with one name Caffe2 accepts equal ones only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nxconvert.errors import ReadError
from nxconvert.formats.caffe2.tensor import QTensor, Tensor, build_qtensor, build_tensor

__all__ = ["DeviceOption", "NetDef", "OperatorDef", "build_net"]


@dataclass(slots=True)
class DeviceOption:
    """Where an operator runs.

    Attributes:
        device_type: 0 for the CPU, 1 for CUDA, others as ``DeviceTypeProto`` numbers them.
        device_id: which of these devices.
        random_seed: the seed of an operator that draws random numbers; None where nothing says it.
        node_name: the machine.
        numa_node_id: the memory node; None where nothing says it.
        extra_info: whatever a tool noted.
    """

    device_type: int = 0
    device_id: int = 0
    random_seed: int | None = None
    node_name: str = ""
    numa_node_id: int | None = None
    extra_info: list[str] = field(default_factory=list)


@dataclass(slots=True)
class OperatorDef:
    """One call of an operator: blobs in, blobs out, arguments by name."""

    type: str
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    args: dict[str, Any] = field(default_factory=dict)
    name: str = ""
    device: DeviceOption | None = None
    engine: str = ""
    debug_info: str = ""
    domain: str = ""
    control_inputs: list[str] = field(default_factory=list)


@dataclass(slots=True)
class NetDef:
    """A net: operators in the order in which they run.

    Attributes:
        name: of the net.
        ops: its operators.
        args: its arguments by name.
        inputs: ``external_input``: blobs that are there before it runs.
        outputs: ``external_output``: blobs that are wanted of it.
        type: how it is executed: ``simple``, ``dag``, ...
        device: the default for operators that say nothing.
    """

    name: str = ""
    ops: list[OperatorDef] = field(default_factory=list)
    args: dict[str, Any] = field(default_factory=dict)
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    type: str = ""
    device: DeviceOption | None = None


def build_net(values: Mapping[str, Any], label: str) -> NetDef:
    """The net of a decoded ``NetDef`` (see `schema.NET`), of a file that messages call `label`.

    Raises:
        ReadError: an argument makes no sense.
    """
    name = values.get("name", "")
    return NetDef(
        name=name,
        ops=[_operator(each, label) for each in values.get("op", ())],
        args=_arguments(values.get("arg", ()), label, f"net {name!r}"),
        inputs=values.get("external_input", []),
        outputs=values.get("external_output", []),
        type=values.get("type", ""),
        device=_device(values),
    )


def _operator(values: Mapping[str, Any], label: str) -> OperatorDef:
    type = values.get("type", "")
    outputs = values.get("output", [])
    where = f"operator {type!r}" + (f" that makes {outputs[0]!r}" if outputs else "")
    return OperatorDef(
        type=type,
        inputs=values.get("input", []),
        outputs=outputs,
        args=_arguments(values.get("arg", ()), label, where),
        name=values.get("name", ""),
        device=_device(values),
        engine=values.get("engine", ""),
        debug_info=values.get("debug_info", ""),
        domain=values.get("domain", ""),
        control_inputs=values.get("control_input", []),
    )


def _device(values: Mapping[str, Any]) -> DeviceOption | None:
    option = values.get("device_option")
    return None if option is None else DeviceOption(**option)


def _arguments(arguments: Iterable[Mapping[str, Any]], label: str, where: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for each in arguments:
        name = each.get("name", "")
        value = _argument(each, label, f"argument {name!r} of {where}")
        if name in found and not _same(found[name], value):
            raise ReadError(f"{label} is inconsistent: the {where} has two different arguments {name!r}.")
        found[name] = value
    return found


def _argument(values: Mapping[str, Any], label: str, where: str) -> Any:
    kinds = [kind for kind, value in values.items() if kind != "name" and not _empty(value)]
    if not kinds:
        return []
    if len(kinds) > 1:
        raise ReadError(f"{label} is ambiguous: the {where} has several values ({', '.join(kinds)}).")
    kind = kinds[0]
    value = values[kind]
    match kind:
        case "n":
            return build_net(value, label)
        case "nets":
            return [build_net(each, label) for each in value]
        case "t":
            return build_tensor(value, label, where)
        case "tensors":
            return [build_tensor(each, label, where) for each in value]
        case "qtensors":
            return [build_qtensor(each, label, where) for each in value]
        case _:
            return value


def _empty(value: Any) -> bool:
    return isinstance(value, list | np.ndarray) and len(value) == 0


def _same(one: Any, other: Any) -> bool:
    """Whether two arguments are equal, also where there are arrays in them."""
    if type(one) is not type(other):
        return False
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()
    if isinstance(one, list):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_same(value, other[key]) for key, value in one.items())
    if isinstance(one, NetDef | OperatorDef | DeviceOption | Tensor | QTensor):
        return all(_same(getattr(one, name), getattr(other, name)) for name in one.__slots__)
    return bool(one == other or (one != one and other != other))

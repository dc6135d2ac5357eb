"""What ONNX's schemas demand of an operator's inputs and attributes, in a form that is checked in a microsecond."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import NamedTuple

import onnx
import onnx_ir as ir

from nxconvert.graph import IR_OPSET
from nxconvert.graph.values import GraphTypeError, Value

_NAMES = {"float": "FLOAT", "double": "DOUBLE"}
_INDICES = frozenset({ir.DataType.INT64, ir.DataType.INT32})
HALVES = frozenset({ir.DataType.BFLOAT16, ir.DataType.FLOAT16})


class Formal(NamedTuple):
    """What an operator says of one input.

    Attributes:
        variable: the type variable it belongs to; the dtypes of one variable agree.
        tensors: the dtypes of tensors that it takes.
        sequences: the element dtypes of sequences that it takes.
        required: whether it must be given.
        constant: the dtype that a Python number becomes; None where that follows from the other inputs.
    """

    variable: str
    tensors: frozenset[ir.DataType]
    sequences: frozenset[ir.DataType]
    required: bool
    constant: ir.DataType | None


class Schema:
    """An operator of the standard domain at the internal opset.

    Attributes:
        inputs: its formal inputs.
        attributes: the kinds of its attributes by name.
        variadic: whether the last input stands for any number of them.
        homogeneous: whether those share a dtype.
        needed: the least number of inputs.
        outputs: the type variables of its outputs; the last one is that of all others, if there are more.
    """

    __slots__ = ("attributes", "homogeneous", "inputs", "needed", "outputs", "variadic")

    def __init__(self, op_type: str) -> None:
        schema = onnx.defs.get_schema(op_type, IR_OPSET, "")
        allowed = {c.type_param_str: c.allowed_type_strs for c in schema.type_constraints}
        self.inputs = [_formal(formal, allowed.get(formal.type_str, [formal.type_str])) for formal in schema.inputs]
        last = schema.inputs[-1] if schema.inputs else None
        self.variadic = last is not None and last.option == onnx.defs.OpSchema.FormalParameterOption.Variadic
        self.homogeneous = last is not None and last.is_homogeneous
        self.needed = schema.min_input
        self.outputs = [formal.type_str for formal in schema.outputs]
        self.attributes = {name: ir.AttributeType(int(a.type)) for name, a in schema.attributes.items()}

    def formal(self, index: int) -> Formal:
        """The formal input that the operand at ``index`` is for."""
        if index < len(self.inputs):
            return self.inputs[index]
        if not self.variadic:
            raise GraphTypeError(f"{index + 1} inputs are given, the operator takes {len(self.inputs)}")
        return self.inputs[-1]

    def too_narrow(self, inputs: Sequence[Value | None]) -> dict[str, ir.DataType]:
        """The type variables that are to be a half, are not defined for it, and are for float32; with that half."""
        narrow: dict[str, ir.DataType] = {}
        for i, value in enumerate(inputs):
            if value is None or value.etype not in HALVES or value.is_sequence:
                continue
            formal = self.formal(i)
            if value.etype not in formal.tensors and ir.DataType.FLOAT in formal.tensors:
                narrow[formal.variable] = value.etype
        return narrow

    def check(self, inputs: Sequence[Value | None]) -> None:
        """Raises GraphTypeError for inputs that the schema forbids: in number, by dtype, or as their dtypes differ."""
        if len(inputs) < self.needed:
            raise GraphTypeError(f"{len(inputs)} inputs are given, the operator needs {self.needed}")
        bound: dict[str, ir.DataType] = {}
        for i, value in enumerate(inputs):
            formal = self.formal(i)
            if value is None:
                if formal.required:
                    raise GraphTypeError(f"input {i} is missing")
                continue
            dtype = value.etype
            if dtype not in (formal.sequences if value.is_sequence else formal.tensors):
                what = "a sequence of " if value.is_sequence else ""
                raise GraphTypeError(f"input {i} may not be {what}{dtype.name}")
            if bound.setdefault(formal.variable, dtype) != dtype and (
                self.homogeneous or formal is not self.inputs[-1]
            ):
                raise GraphTypeError(
                    f"input {i} is {dtype.name} where an input before it is {bound[formal.variable].name}"
                )


def _formal(parameter: onnx.defs.OpSchema.FormalParameter, types: Sequence[str]) -> Formal:
    tensors, sequences = _dtypes(types, "tensor("), _dtypes(types, "seq(tensor(")
    constant = None
    if not sequences and tensors <= _INDICES:
        constant = ir.DataType.INT64
    elif not sequences and len(tensors) == 1:
        constant = next(iter(tensors))
    required = parameter.option == onnx.defs.OpSchema.FormalParameterOption.Single
    return Formal(parameter.type_str, tensors, sequences, required, constant)


def _dtypes(types: Sequence[str], prefix: str) -> frozenset[ir.DataType]:
    names = [text[len(prefix) :].rstrip(")") for text in types if text.startswith(prefix)]
    return frozenset(ir.DataType[_NAMES.get(name, name.upper())] for name in names)


schema = functools.lru_cache(maxsize=None)(Schema)

"""A Caffe2 model as a program: its nets, run into a graph as often as needed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nxconvert.errors import ReadError, Unsupported, UnsupportedError, counted
from nxconvert.formats.caffe2 import OperatorDef
from nxconvert.frontends.caffe2 import (
    control,  # noqa: F401  (registers its handlers)
    liveness,
    ops,  # noqa: F401  (fills the table)
    recurrent,  # noqa: F401  (registers its handler)
)
from nxconvert.frontends.caffe2.blobs import Int8, Unset
from nxconvert.frontends.caffe2.machine import Machine, Open, supported, where
from nxconvert.frontends.caffe2.table import caffe2
from nxconvert.frontends.caffe2.weights import weight_of
from nxconvert.graph.builder import Builder, Value
from nxconvert.graph.naming import no_such_output
from nxconvert.inputs import InputSpec

if TYPE_CHECKING:
    from nxconvert.formats.caffe2.files import Files


@dataclass(frozen=True)
class Run:
    """One run of a program into a builder.

    Attributes:
        op: what it was run into.
        outputs: the results by name.
        notes: what the user should know.
    """

    op: Builder
    outputs: dict[str, Value]
    notes: dict[str, None]


class Program:
    """The nets of a model, without the operators that no output needs.

    Attributes:
        files: what was read.
        operators: the operators of the predict net that are run.
        outputs: the blobs that are wanted, in order.
    """

    def __init__(self, files: Files, outputs: Sequence[str] = ()) -> None:
        """`outputs` are blobs that are wanted instead of those that the net says are.

        Raises:
            UsageError: the net writes no blob of one of the names.
        """
        self.files = files
        net = files.predict
        own = files.outputs or net.outputs or liveness.unread(net.ops)
        self.outputs = list(dict.fromkeys(outputs or own))
        blobs = liveness.written(net.ops)
        for name in outputs:
            if name not in blobs:
                raise no_such_output(name, blobs, own)
        self.operators = liveness.needed(liveness.decoded(net.ops), self.outputs)
        read = liveness.read(self.operators)
        # What is passed through: wanted, and written by nobody.
        written = liveness.written(self.operators)
        read.update((name, None) for name in self.outputs if name not in written)
        inner = (name for operator in liveness.every(self.operators) for name in liveness.reads(operator))
        self._wanted = frozenset((*self.outputs, *inner))
        self._read = read
        init = [operator for net in files.inits for operator in net.ops]
        self._init = liveness.needed(init, read)
        self._filled = {*liveness.written(self._init), *files.tensors}

    def inputs(self, declared: Iterable[str] = ()) -> list[str]:
        """The inputs of the model in the net's order: the blobs that it reads and that nothing fills, or only a
        placeholder does, and those that are declared.
        """
        declared = set(declared)
        order = dict.fromkeys((*self.files.inputs, *self.files.predict.inputs, *self._read))
        placeholders = self._placeholders(order)
        return [
            name
            for name in order
            if name in self._read and (name in declared or name in placeholders or name not in self._filled)
        ]

    def _placeholders(self, order: Iterable[str]) -> set[str]:
        """The inputs for which the init net has a number of no meaning, so that they exist: one 0 of shape [1, 1].

        Caffe2's exporter for mobile devices lists them before all else that a net reads.
        """
        fills = {operator.outputs[0]: operator for operator in self._init if _is_placeholder(operator)}
        found = set()
        for name in order:
            if name in fills and self.first_kind(name) != "Weight":
                found.add(name)
            elif name in self._filled:
                break
        return found

    def first_kind(self, name: str) -> str:
        """As what the operator that uses a blob first takes it: a kind of the table, or nothing."""
        for operator in self.operators:
            for position, read in enumerate(operator.inputs):
                if read == name:
                    return kind_at(operator, position)
        return ""

    def rank_of(self, name: str) -> int | None:
        """The rank of a blob that the init nets fill, as far as the file says it."""
        tensor = self.files.tensors.get(name)
        if tensor is not None:
            return len(tensor.dims)
        for operator in self._init:
            if name in operator.outputs and "shape" in operator.args:
                return len(operator.args["shape"])
        return None

    def check(self) -> None:
        """Refuses a program with operators that nothing can be made of.

        Raises:
            UnsupportedError: listing all of them.
        """
        operators = liveness.every([*self._init, *self.operators])
        missing = counted(Unsupported(each.type, "", where(each)) for each in operators if not supported(each.type))
        if missing:
            raise UnsupportedError(missing)

    def run(self, specs: Mapping[str, InputSpec], constants: Mapping[str, Any]) -> Run:
        """Runs the nets.

        Args:
            specs: the inputs of which dtype and dims are known; the others stop the run where they are first used.
            constants: inputs that are pinned to a value.

        Raises:
            NeedInput: an input is used of which nothing is known.
            UnsupportedError: an operator cannot be lowered.
        """
        notes: dict[str, None] = {}
        op = Builder()
        machine = Machine(op, lambda message: notes.update({message: None}), self._wanted)
        inputs = self.inputs({*specs, *constants})
        for name in inputs:
            spec = specs.get(name)
            if name in constants:
                machine.blobs[name] = op.const(np.asarray(constants[name]), spec.onnx_dtype() if spec else None)
            elif spec is None:
                machine.blobs[name] = Open()
            else:
                dims = [op.dim(dim) if isinstance(dim, str) else dim for dim in spec.dims]
                dtype = spec.onnx_dtype()
                assert dtype is not None
                machine.blobs[name] = op.input(name, dtype, dims)
        taken = dict(machine.blobs)
        for name, tensor in self.files.tensors.items():
            if name in self._read and name not in taken:
                machine.blobs[name] = weight_of(op, tensor, name)
        machine.run(self._init)
        machine.blobs.update(taken)
        machine.run(self.operators)
        return Run(op, self._outputs(machine), notes)

    def _outputs(self, machine: Machine) -> dict[str, Value]:
        """The wanted blobs that are tensors; a quantized one is its integers."""
        found = {}
        for name in self.outputs:
            blob = machine.blobs.get(name)
            if isinstance(blob, Int8):
                machine.warn(
                    f"the output '{name}' holds quantized numbers q: its value is {blob.scale:g} * (q - "
                    f"{blob.zero_point})"
                )
                blob = blob.value
            if isinstance(blob, Value):
                found[name] = blob
            elif isinstance(blob, Unset):
                machine.warn(f"the output '{name}' is left out: it {blob.why}")
            else:
                machine.warn(f"the output '{name}' is left out: it is no tensor")
        if not found:
            raise ReadError(f"{self.files.path}: the net has no output that is a tensor.")
        return found


def kind_at(operator: OperatorDef, position: int) -> str:
    """The kind, as the table names it, that an operator has for the input at a position; empty where it says nothing.

    Of a quantized tensor it is the kind of what it is made of.
    """
    if operator.type == "RecurrentNetwork":
        states = [0, *map(int, operator.args.get("initial_recurrent_state_ids", ()))]
        return "Steps" if position in states else ""
    kinds = caffe2.kinds(operator.type)
    if position < len(kinds) and not kinds[position].endswith("..."):
        return kinds[position].removeprefix("Int8")
    return kinds[-1].removesuffix("...").removeprefix("Int8") if kinds and kinds[-1].endswith("...") else ""


def _is_placeholder(operator: OperatorDef) -> bool:
    if operator.type != "GivenTensorFill":
        return False
    shape: Sequence[int] = operator.args.get("shape", ())
    values = operator.args.get("values", ())
    return len(operator.outputs) == 1 and list(shape) == [1, 1] and len(values) == 1 and values[0] == 0

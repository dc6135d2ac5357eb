"""From an exported program to a model: arguments become inputs, the graph is run, results and state become outputs.

Buffers that the program changes are state: inputs of their name, with the saved content as default, and outputs
``<buffer>_out``. An input that the program changes in place is an output of that kind, too.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import onnx_ir as ir

from nxconvert.errors import ReadError, Unsupported, UnsupportedError, counted
from nxconvert.formats.torch_export import Program
from nxconvert.frontends.pytorch import ops  # noqa: F401  (fills the table)
from nxconvert.frontends.pytorch.dtypes import COMPLEX, DataType
from nxconvert.frontends.pytorch.export.runner import Runner, unsupported
from nxconvert.frontends.pytorch.export.signature import Signature, UserInput, leaf_names, read_signature
from nxconvert.frontends.pytorch.export.sizes import learn_symbols, parse
from nxconvert.frontends.pytorch.ops.complex import complex_input
from nxconvert.frontends.pytorch.script.kinship import Doubtful
from nxconvert.frontends.pytorch.script.objects import BEFORE_EVERYTHING, Tensors
from nxconvert.frontends.pytorch.script.signature import output_values
from nxconvert.frontends.pytorch.script.values import Box, Number
from nxconvert.frontends.pytorch.table import LoweringError, Scalar
from nxconvert.graph.builder import Builder, GraphTypeError, Value
from nxconvert.graph.dims import Dim, static
from nxconvert.graph.finish import finish
from nxconvert.interface import RANGES_KEY
from nxconvert.plugins import STATE_OUT, ReadOptions

_STORED = ("parameter", "buffer", "tensor_constant")
_REPLACED = ("buffer_mutation", "parameter_mutation", "user_input_mutation")


def lower_program(program: Program, options: ReadOptions) -> ir.Model:
    """The model of an exported program.

    Raises:
        UsageError: what is declared of the inputs does not fit.
        UnsupportedError: operators have no lowering; all of them are listed.
    """
    signature = read_signature(program, options.inputs, options.constants)
    options.progress("lowering", None)
    missing = counted(unsupported(program.graph))
    if missing:
        raise UnsupportedError(missing)
    run = _Run(program, signature, frozenset())
    if run.changed and options.state == "steady":
        run = _Run(program, signature, frozenset(run.changed))
    outputs = {**run.outputs, **{f"{name}{STATE_OUT}": value for name, value in run.mutated.items()}}
    if options.state == "steady":
        outputs.update((f"{name}{STATE_OUT}", value) for name, value in run.changed.items())
    if not outputs:
        raise ReadError("the exported program returns nothing that a graph can hold.")
    for message in run.notes:
        options.warn(message)
    model = finish(run.op, outputs, [value for value in run.op.inputs if value.const_value is not None])
    ranges = signature.ranges(program)
    if ranges:
        model.metadata_props[RANGES_KEY] = json.dumps(ranges, separators=(",", ":"))
    return model


class _Run:
    """One run of a program into a builder.

    Args:
        program: the exported program.
        signature: the inputs of the program.
        state: the buffers that are inputs.

    Attributes:
        op: what it was run into.
        outputs: the results by name.
        mutated: the inputs that it changed in place, by name.
        changed: the buffers that it changed, by name.
        notes: what the user should know.
    """

    def __init__(self, program: Program, signature: Signature, state: frozenset[str]) -> None:
        self.op = Builder()
        self.notes: Counter[str] = Counter()
        self._program = program
        self._signature = signature
        self._state = state
        self._runner = Runner(self.op, self._note)
        self._tensors = Tensors(self.op)
        self._weights: dict[str, Box] = {}
        try:
            self._go()
        except (LoweringError, GraphTypeError) as error:
            raise UnsupportedError([Unsupported("the exported program", str(error), self._runner.where)]) from error

    def _note(self, message: str) -> None:
        self.notes[message] += 1

    def _go(self) -> None:
        users = {item.value: item for item in self._signature.inputs}
        given: dict[str, Any] = {item.value: self._input(item) for item in self._signature.inputs}
        learn_symbols(self.op, [dim for value in self.op.inputs for dim in value.dims if isinstance(dim, Dim)])
        arguments = [self._argument(item.kind, item.argument, item.target, given) for item in self._program.inputs]
        block = self._runner.journal.open()
        results = self._runner.run_graph(self._program.graph, arguments)
        self._runner.op.scope = ""
        self.outputs, replaced = self._results(results)
        boxes = {item.name: box for value, item in users.items() if isinstance(box := given[value], Box)}
        # Contents have to be read before the block takes them back.
        for cell, _ in block.log:
            if isinstance(cell, Box) and not isinstance(cell.content, Doubtful):
                self._runner.content(cell)
        changed = self._runner.journal.close(block)
        self.mutated = self._changed(boxes, changed)
        self.changed = self._changed(self._weights, changed)
        for kind, name, value in replaced:
            if kind == "user_input_mutation":
                self.mutated[users[name].name if name in users else name] = value
            else:
                self.changed[name] = value
        for name in self.mutated:
            self._note(f"the model changes its input '{name}' in place; what it leaves there is '{name}{STATE_OUT}'")

    def _input(self, item: UserInput) -> Any:
        dims = [parse(size, self._signature.symbols) for size in item.sizes]
        for dim in dims:
            if isinstance(dim, Dim):
                for atom in dim.atoms():
                    self.op.dim(str(atom.key))
        if item.dtype in COMPLEX:
            return Box(complex_input(self.op, item.name, item.dtype, dims))
        value = self.op.input(item.name, item.dtype, dims)
        if item.kind == "tensor":
            return Box(value)
        if item.kind == "sym_int":
            return self.op.symbol_of(value, item.name)
        return Scalar(self.op.cast(value, DataType.DOUBLE) if item.kind == "sym_float" else value)

    def _argument(self, kind: str, argument: Any, target: str, given: Mapping[str, Any]) -> Any:
        if kind in _STORED:
            return self._stored(target)
        if kind == "user_input" and isinstance(argument.value, str) and argument.kind != "string":
            return given[argument.value]
        if kind in ("user_input", "constant_input"):
            return argument.value
        return None  # tokens order effects that a graph does not have; objects are refused by whoever uses them

    def _stored(self, name: str) -> Box:
        """A parameter, buffer or constant; an input of the graph if it is state."""
        if name in self._weights:
            return self._weights[name]
        raw = self._program.tensors.get(name)
        if raw is None:
            raise ReadError(f"the archive is incomplete: the tensor {name!r} is missing.")
        if name in self._state:
            value = self.op.input(name, raw.dtype, raw.shape)
            value.const_value = raw.to_ir(value.name)
            box = Box(value)
            box.born = BEFORE_EVERYTHING
        else:
            box = self._tensors.load(raw, name)
        self._weights[name] = box
        return box

    def _results(self, results: Sequence[Any]) -> tuple[dict[str, Value], list[tuple[str, str, Value]]]:
        """The results by name, and what replaces inputs and buffers: (kind, name, value)."""
        outputs: dict[str, Value] = {}
        replaced: list[tuple[str, str, Value]] = []
        user = [(spec, x) for spec, x in zip(self._program.outputs, results, strict=True) if spec.kind not in _REPLACED]
        tree = self._program.gives
        names = list(leaf_names("output", tree)) if tree is not None else []
        kept = [(spec, x) for spec, x in user if spec.kind in ("user_output", "loss_output")]
        if len(names) != len(kept):
            names = ["output"] if len(kept) == 1 else [f"output.{i}" for i in range(len(kept))]
        for name, (_, value) in zip(names, kept, strict=True):
            outputs.update(output_values(self._runner, value, name))
        for spec, value in zip(self._program.outputs, results, strict=True):
            if spec.kind in _REPLACED:
                replaced.append((spec.kind, spec.target, self._runner.plain(value)))
        return outputs, replaced

    def _changed(self, boxes: Mapping[str, Box], changed: Mapping[Any, Any]) -> dict[str, Value]:
        found = {}
        for name, box in boxes.items():
            content = changed.get((box, None))
            if isinstance(content, Doubtful):
                raise LoweringError(f"it depends on data whether the model changes '{name}'")
            if isinstance(content, (Value, Number)):
                value = self._runner.plain(Box(content))
                sizes = static(box.content.dims) if isinstance(box.content, Value) else None
                found[name] = self.op.expand(value, sizes) if sizes is not None and value.dims == () else value
        return found

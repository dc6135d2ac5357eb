"""From an archive to a model: arguments become inputs, ``forward`` is run, results and state become outputs.

Attributes that ``forward`` writes are state. They are typed by their *steady state*: ``forward`` is taken as the body
of an endless loop, and the specs of what it writes are joined, call by call, until they no longer change. What turns
out to be the same in every call stays known; the rest becomes an input ``<attribute>`` and an output
``<attribute>_out``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import onnx_ir as ir

from nxconvert.errors import ReadError, Unsupported, UnsupportedError
from nxconvert.formats.torch_archive import TorchArchive
from nxconvert.formats.torchscript import ClassInfo, FunctionInfo, ScriptCode
from nxconvert.frontends.pytorch import ops  # noqa: F401  (fills the table)
from nxconvert.frontends.pytorch.dtypes import DataType
from nxconvert.frontends.pytorch.script import abstract, reach
from nxconvert.frontends.pytorch.script.abstract import Same, Spec
from nxconvert.frontends.pytorch.script.frames import ScriptRaise
from nxconvert.frontends.pytorch.script.infer import infer_inputs
from nxconvert.frontends.pytorch.script.interpreter import Interpreter
from nxconvert.frontends.pytorch.script.kinship import DOUBTFUL, Doubtful
from nxconvert.frontends.pytorch.script.signature import (
    Pinned,
    Signature,
    SignatureReader,
    make_argument,
    output_values,
)
from nxconvert.frontends.pytorch.script.state import (
    StateKey,
    as_left,
    find_shared,
    find_state,
    is_python_float,
    items_of,
    kept,
    place_shared,
    place_state,
)
from nxconvert.frontends.pytorch.script.values import Box, Cell, ObjectCell, is_static
from nxconvert.frontends.pytorch.table import LoweringError
from nxconvert.graph.builder import Builder, GraphTypeError, Value
from nxconvert.graph.dims import Dim
from nxconvert.graph.finish import finish
from nxconvert.plugins import ReadOptions

MAX_CALLS = 6


def read_script(archive: TorchArchive, options: ReadOptions) -> ir.Model:
    """The model that a TorchScript archive holds.

    Raises:
        ReadError: the archive is damaged, or its program raises whatever it is given.
        InputError: an input has to be declared.
        UnsupportedError: operators have no lowering; all that the program can reach are listed.
    """
    code = ScriptCode(archive)
    forward = forward_of(archive, code)
    signature = SignatureReader(code, forward, options.inputs, options.constants).read()
    options.progress("lowering", None)
    program = Program(archive, code, options)
    try:
        return _lower(program, signature)
    except UnsupportedError as error:
        items = reach.complete(archive, code, error)
        numbers = [leaf.name for leaf in signature.leaves() if leaf.kind != "tensor"]
        if numbers and len(items) == 1 and items[0].why:
            hint = f"{items[0].why}. If it has to be known, pin it: {' '.join(f'--const {n}=VALUE' for n in numbers)}"
            items = [replace(items[0], why=hint)]
        raise UnsupportedError(items) from error
    except ScriptRaise as error:
        raise ReadError(
            f"{archive.path}: the model itself raises an exception for the inputs that were declared or inferred: "
            f"{error}. Declare other inputs with --input, or pin arguments with --const."
        ) from error


def _lower(program: Program, signature: Signature) -> ir.Model:
    """Numbers that have a default are inputs that may be left out; where they cannot be, they are their default."""
    pinned = signature.with_defaults()
    if pinned == signature:
        return program.finish(infer_inputs(program, signature))
    try:
        return program.finish(infer_inputs(program, signature))
    except (UnsupportedError, LoweringError):
        return program.finish(infer_inputs(program, pinned))


def forward_of(archive: TorchArchive, code: ScriptCode) -> FunctionInfo:
    """The root module's ``forward``."""
    qualname = getattr(archive.data, "qualname", "")
    info = code.find(qualname)
    if info is None and qualname:
        raise ReadError(f"{archive.path} is incomplete: the code of its class {qualname} is missing.")
    if not isinstance(info, ClassInfo) or "forward" not in info.methods:
        raise ReadError(f"{archive.path} holds a module without a forward method: there is nothing to convert.")
    return info.methods["forward"]


@dataclass
class Call:
    """One run of ``forward`` into a builder.

    Attributes:
        signature: what it was run with.
        ip: the interpreter that ran it.
        inputs: the value of each parameter.
        outputs: the results, by name.
        state: what it wrote to attributes.
        mutated: the inputs that it changed in place, with their new content.
        fed: what the attributes held before the call, where that was not their saved value.
        shared: the pairs of attributes that it left with one tensor, or with views of one.
    """

    signature: Signature
    ip: Interpreter
    inputs: dict[str, Any]
    outputs: dict[str, Value]
    state: dict[StateKey, Any]
    mutated: dict[str, Value]
    fed: dict[StateKey, Any]
    shared: set[frozenset[StateKey]]


class Program:
    """An archive's program, which can be run into a graph as often as needed."""

    def __init__(self, archive: TorchArchive, code: ScriptCode, options: ReadOptions) -> None:
        self.archive = archive
        self.code = code
        self._options = options
        self.warnings: Counter[str] = Counter()

    def _interpreter(self) -> Interpreter:
        return Interpreter(self.archive, self.code, Builder(), self._note)

    def _note(self, message: str) -> None:
        self.warnings[message] += 1

    def remark(self, message: str) -> None:
        """Tells the user something about the conversion as a whole."""
        self._options.warn(message)

    def call(
        self,
        signature: Signature,
        state: Mapping[StateKey, Spec] = MappingProxyType({}),
        shared: Set[frozenset[StateKey]] = frozenset(),
    ) -> Call:
        """Runs ``forward`` once, from the saved state or from one that specs describe and an earlier call left."""
        ip = self._interpreter()
        try:
            return self._call(ip, signature, state, shared)
        except (LoweringError, GraphTypeError) as error:
            raise UnsupportedError([Unsupported("TorchScript's control flow", str(error), ip.where)]) from error
        except RecursionError as error:
            raise ReadError(f"{self.archive.path}: the calls in its code are nested too deeply.") from error

    def _call(
        self,
        ip: Interpreter,
        signature: Signature,
        state: Mapping[StateKey, Spec],
        shared: Set[frozenset[StateKey]],
    ) -> Call:
        self.warnings.clear()
        root = ip.loader.root()
        arguments = [make_argument(ip.op, argument) for argument in signature.arguments]
        fed = {key: place_state(ip, root, key, spec) for key, spec in state.items()}
        place_shared(ip, root, shared)
        block = ip.journal.open()
        result = ip.call_root(root, tuple(arguments))
        outputs = dict(output_values(ip, result))
        # Contents have to be read before the block takes them back.
        for cell, _ in block.log:
            if isinstance(cell, Box) and not isinstance(cell.content, Doubtful):
                ip.content(cell)
        left = {key: as_left(ip, key[0].read(key[1])) for key in block.log if not isinstance(key[0], Box)}
        sharing = find_shared(ip, root) if left else set()
        ends = {key: items_of(key[0].read(key[1])) for key in left}
        changed = ip.journal.close(block)
        changed.update((key, value) for key, value in left.items() if key in changed)
        for key in kept(ends, changed):
            del changed[key]
        inputs = dict(zip(signature.names, arguments, strict=True))
        mutated = {name: ip.tensor(content) for name, content in _changed_inputs(inputs, changed)}
        states = find_state(ip, root, {key: content for key, content in changed.items() if key[0].born < block.born})
        for name in mutated:
            self._note(
                f"the model changes its input '{name}' in place; what it leaves there is the output '{name}_out'"
            )
        return Call(signature, ip, inputs, outputs, states, mutated, fed, sharing)

    def finish(self, call: Call) -> ir.Model:
        """The finished model, from a run of ``forward`` with inputs that fit it."""
        signature = call.signature
        specs: dict[StateKey, Spec] = {}
        if call.state and self._options.state == "steady":
            specs, call = self._steady(signature, call)
        outputs = dict(call.outputs)
        outputs.update({f"{name}_out": value for name, value in call.mutated.items()})
        for key, spec in specs.items():
            outputs.update(_state_outputs(call.ip, key, spec, call.state.get(key, call.fed.get(key))))
        if not outputs:
            raise ReadError(f"{self.archive.path}: its forward returns nothing that a graph can hold.")
        for message in self.warnings:
            self._options.warn(message)
        defaults = [value for value in call.ip.op.inputs if value.const_value is not None]
        model = finish(call.ip.op, outputs, defaults)
        model.graph.name = _identifier(self.archive.data.qualname)
        return model

    def _steady(self, signature: Signature, call: Call) -> tuple[dict[StateKey, Spec], Call]:
        """Calls ``forward`` until the specs of its state no longer change."""
        known = _inputs_only(signature)
        specs = {key: _lasting(call.ip, known, content) for key, content in call.state.items()}
        shared = call.shared
        for _ in range(MAX_CALLS):
            call = self.call(signature, specs, shared)
            joined = dict(specs)
            for key, content in call.state.items():
                new = _lasting(call.ip, known, content)
                joined[key] = abstract.join(call.ip, specs[key], new) if key in specs else new
            if joined == specs and call.shared <= shared:
                return specs, call
            specs, shared = joined, shared | call.shared
        raise UnsupportedError(
            "the types of the model's state do not settle from call to call; export its first call with --state first"
        )


def _changed_inputs(inputs: dict[str, Any], changed: dict[tuple[Cell, str | None], Any]) -> Iterator[tuple[str, Any]]:
    for name, value in inputs.items():
        if isinstance(value, Box) and not isinstance(changed.get((value, None), DOUBTFUL), Doubtful):
            yield name, changed[value, None]


def _inputs_only(signature: Signature) -> Builder:
    """A builder that knows the dims of the inputs and nothing else."""
    op = Builder()
    for argument in signature.arguments:
        if not isinstance(argument, Pinned):
            make_argument(op, argument)
    return op


def _lasting(ip: Interpreter, known: Builder, content: Any) -> Spec:
    """The spec of what a call left in an attribute: what is known stays known, graph values become their type."""
    return abstract.outer(known, _without_values(ip, known, Same(content)))


def _without_values(ip: Interpreter, known: Builder, spec: Spec) -> Spec:
    value = spec.value if isinstance(spec, Same) else None
    if isinstance(spec, Same) and (
        is_static(value) or isinstance(value, ObjectCell) or (isinstance(value, Dim) and known.knows(value))
    ):
        return spec
    wide = abstract.widen(ip, spec)
    if isinstance(wide, abstract.ItemsSpec):
        return replace(wide, items=tuple(_without_values(ip, known, item) for item in wide.items))
    return wide


def _state_outputs(ip: Interpreter, key: StateKey, spec: Spec, content: Any) -> Iterator[tuple[str, Value]]:
    values = list(abstract.flatten(ip, spec, content))
    if is_python_float(spec):
        values = [ip.op.cast(value, DataType.FLOAT) for value in values]
    for name, value in zip(abstract.names_of(spec, key.name), values, strict=True):
        yield f"{name}_out", value


def _identifier(qualname: str) -> str:
    return qualname.rpartition(".")[2]


__all__ = ["Call", "Program", "read_script"]

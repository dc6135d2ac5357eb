"""The inputs of a graph: how they are called, and their sizes, by what the file says and what the caller declares.

An input is ``[batch?, sequence?, *static]``. All inputs of samples share the size of the batch, and those on one
sequence axis share its size and the lengths of its sequences, which are an input of their own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import onnx_ir as ir

from nxconvert.errors import UsageError
from nxconvert.formats.cntk.model import INPUT, Variable
from nxconvert.frontends.cntk.network import Network, base_name, inputs_of, sequence_axes
from nxconvert.graph.naming import Names
from nxconvert.inputs import Dim, InputSpec, spec_of
from nxconvert.plugins import ReadOptions

#: An input of sequences that others are as long as has their lengths in an input of its name with this.
LENGTHS = "_lengths"
#: The sequence axis that inputs have unless the user makes another one, in files of either format.
DEFAULT_AXES = frozenset({"defaultDynamicAxis", "*"})
_BATCH, _SEQUENCE = "batch", "sequence"


@dataclass(frozen=True, slots=True)
class Planned:
    """An input to be.

    Attributes:
        dtype: of its elements.
        dims: its sizes: those of its dynamic axes, then the static ones.
        axis: the name of its sequence axis, or of that whose lengths it holds.
    """

    dtype: ir.DataType
    dims: tuple[Dim, ...]
    axis: str | None


@dataclass(frozen=True, slots=True)
class Plan:
    """The inputs to be.

    Attributes:
        batch: the size of the batch.
        sizes: those of the sequence axes by the axes' names.
        inputs: by the uid of the variable, in the order of the file.
        lengths: by the input's name; one an axis, in the order of `sizes`.
    """

    batch: Dim
    sizes: Mapping[str, Dim]
    inputs: Mapping[str, Planned]
    lengths: Mapping[str, Planned]


def name_variables(network: Network) -> dict[str, str]:
    """A name of its own for each variable, by uid: what the user called it, or else its uid.

    Inputs choose before weights, and weights are never called like outputs. Nothing is called like the lengths of the
    sequences of an input.
    """
    variables = network.variables.values()
    first = {variable.uid for variable in _first_of_axes(inputs_of(network)).values()}
    lengths = {f"{base_name(network.variables[uid])}{LENGTHS}" for uid in first}
    names = Names(map(base_name, variables))
    given = {
        variable.uid: names.give(base_name(variable), beside=[LENGTHS] if variable.uid in first else [])
        for variable in sorted(inputs_of(network), key=lambda variable: base_name(variable) in lengths)
    }
    names.reserve(output.name for output in network.outputs)
    for variable in variables:
        if variable.kind != INPUT:
            given[variable.uid] = names.give(base_name(variable))
    return given


def plan(network: Network, names: Mapping[str, str], options: ReadOptions) -> Plan:
    """The inputs of a network, with what the caller declares about them.

    Args:
        network: what the inputs are of.
        names: the names of variables by uid.
        options: of the caller.

    Raises:
        UsageError: there is no such input, or the file says otherwise.
    """
    if options.constants:
        raise UsageError(f"inputs of CNTK models cannot be pinned: leave --const {next(iter(options.constants))} out.")
    variables = inputs_of(network)
    symbols = Names(())
    symbols.reserve([_BATCH, _SEQUENCE])
    first = _first_of_axes(variables)
    usual = next((axis for axis in first if axis in DEFAULT_AXES), next(iter(first), None))
    sizes: dict[str, Dim] = {
        axis: _SEQUENCE if axis == usual else symbols.give(f"{word(names[variable.uid])}_sequence")
        for axis, variable in first.items()
    }
    inputs = {variable.uid: _planned(variable, names[variable.uid], sizes, symbols) for variable in variables}
    lengths = {
        f"{names[variable.uid]}{LENGTHS}": Planned(ir.DataType.INT64, (_BATCH,), axis)
        for axis, variable in first.items()
    }
    known = {names[uid]: planned for uid, planned in inputs.items()} | lengths
    to = _declared(known, _specs(options, list(known)))
    return Plan(
        to.get(_BATCH, _BATCH),
        {axis: _sized(size, to) for axis, size in sizes.items()},
        {uid: _resized(planned, to) for uid, planned in inputs.items()},
        {name: _resized(planned, to) for name, planned in lengths.items()},
    )


def word(name: str) -> str:
    """A name as it may stand in a name of a size, which is a word of ASCII that begins with a letter."""
    return re.sub(r"^(?=\d)|\W", "_", name, flags=re.ASCII)


def _first_of_axes(variables: Iterable[Variable]) -> dict[str, Variable]:
    """The first variable on each sequence axis, in order."""
    first: dict[str, Variable] = {}
    for variable in variables:
        for axis in sequence_axes(variable):
            first.setdefault(axis.name, variable)
    return first


def _planned(variable: Variable, name: str, sizes: Mapping[str, Dim], symbols: Names) -> Planned:
    axis = next((axis.name for axis in sequence_axes(variable)), None)
    leading: list[Dim] = [_BATCH] if variable.axes else []
    leading += [sizes[axis]] if axis is not None else []
    static = (
        size if size >= 0 else symbols.give(f"{word(name)}_dim{place}") for place, size in enumerate(variable.shape)
    )
    return Planned(variable.dtype or ir.DataType.FLOAT, (*leading, *static), axis)


# ---- what is declared ------------------------------------------------------------------------------------------------


def _specs(options: ReadOptions, names: Sequence[str]) -> Mapping[str, InputSpec]:
    """What is declared, by name."""
    specs = options.inputs or {}
    if isinstance(specs, Mapping):
        return specs
    if len(specs) > len(names):
        raise UsageError(f"{len(specs)} inputs are declared, the model has {len(names)}: {', '.join(names)}.")
    return dict(zip(names, specs, strict=False))


def _declared(known: Mapping[str, Planned], specs: Mapping[str, InputSpec]) -> dict[str, Dim]:
    """What becomes of the names of free sizes."""
    to: dict[str, Dim] = {}
    for name, spec in specs.items():
        if name not in known:
            raise UsageError(f"the model has no input '{name}'; its inputs are {', '.join(known)}.")
        planned = known[name]
        own = spec_of(planned.dtype, planned.dims)
        agree = len(spec.dims) == len(own.dims) and spec.onnx_dtype() in (None, planned.dtype)
        pairs = list(zip(own.dims, spec.dims, strict=True)) if agree else []
        if not agree or any(isinstance(size, int) and size != declared for size, declared in pairs):
            raise UsageError(f"the input '{name}' is {own} in the model, and {spec} is declared.")
        for size, declared in pairs:
            if isinstance(size, str) and to.setdefault(size, declared) != declared:
                raise UsageError(f"{size} is declared as {to[size]} and as {declared}; it is one size.")
    return to


def _sized(size: Dim, to: Mapping[str, Dim]) -> Dim:
    return to.get(size, size) if isinstance(size, str) else size


def _resized(planned: Planned, to: Mapping[str, Dim]) -> Planned:
    return Planned(planned.dtype, tuple(_sized(size, to) for size in planned.dims), planned.axis)

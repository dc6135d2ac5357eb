"""What an exported program takes and gives: flat names, dtypes, sizes; and what the caller declares about them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import onnx_ir as ir

from nxconvert.errors import ReadError, UsageError
from nxconvert.formats.torch_export import Program, Size, Tree
from nxconvert.frontends.pytorch.dtypes import DataType
from nxconvert.frontends.pytorch.export.sizes import bare_symbol, parse, symbols_of
from nxconvert.frontends.pytorch.script.infer import axis_names
from nxconvert.graph.dims import Dim, Int, Symbol
from nxconvert.graph.equations import solve_linear
from nxconvert.inputs import InputSpec, spec_of

_NUMBERS = {"sym_int": DataType.INT64, "sym_float": DataType.FLOAT, "sym_bool": DataType.BOOL}


@dataclass(frozen=True)
class UserInput:
    """An input that the user gives.

    Attributes:
        name: its flat name: ``x``, ``x.0``, ``x.key``.
        value: the name of the value in the program's graph.
        kind: ``tensor``, ``sym_int``, ``sym_float`` or ``sym_bool``.
        dtype: of the graph input.
        sizes: as the program spells them; none for numbers.
    """

    name: str
    value: str
    kind: str
    dtype: ir.DataType
    sizes: tuple[Size, ...]


@dataclass(frozen=True)
class Signature:
    """The inputs in order, and what the symbols of their sizes stand for."""

    inputs: tuple[UserInput, ...]
    symbols: Mapping[str, Int]

    def ranges(self, program: Program) -> dict[str, list[int | None]]:
        """The least and the greatest size of the free dims that the program restricts, by name."""
        found: dict[str, list[int | None]] = {}
        for symbol, value in self.symbols.items():
            low, high = program.ranges.get(symbol, (None, None))
            if isinstance(value, Dim) and isinstance(value.atom, Symbol) and ((low or 0) > 1 or high is not None):
                found[value.atom.key] = [max(low or 0, 0), high]
        return found


def read_signature(
    program: Program, declared: Mapping[str, InputSpec] | Sequence[InputSpec] | None, pinned: Mapping[str, Any]
) -> Signature:
    """The inputs of a program, in the light of what the caller declares: free sizes may be fixed or renamed.

    Raises:
        UsageError: what is declared is not what the program takes.
    """
    inputs = user_inputs(program)
    names = [item.name for item in inputs]
    if pinned:
        raise UsageError(
            f"{', '.join(map(repr, pinned))} cannot be pinned: torch.export has built the values of its arguments in; "
            f"the inputs are {', '.join(names) or 'none'}."
        )
    specs = _by_name(declared, names)
    symbols = _name_symbols(program, inputs)
    return Signature(tuple(inputs), _settle(program, inputs, specs, symbols))


def _by_name(
    declared: Mapping[str, InputSpec] | Sequence[InputSpec] | None, names: list[str]
) -> Mapping[str, InputSpec]:
    if declared is None:
        return {}
    if not isinstance(declared, Mapping):
        if len(declared) > len(names):
            raise UsageError(f"{len(declared)} inputs are declared, the model takes {len(names)}: {', '.join(names)}.")
        return dict(zip(names, declared, strict=False))
    unknown = [name for name in declared if name not in names]
    if unknown:
        raise UsageError(
            f"the model has no input called {', '.join(map(repr, unknown))}; its inputs are "
            f"{', '.join(names) or 'none'}."
        )
    return declared


def user_inputs(program: Program) -> list[UserInput]:
    """What the user gives, by flat name and in order; without what is built in.

    Raises:
        ReadError: no graph input can carry one of them.
    """
    user = [item for item in program.inputs if item.kind in ("user_input", "constant_input")]
    flat = list(_argument_names(program))
    if len(flat) != len(user):
        flat = [str(item.argument.value) for item in user]
    found = []
    for name, item in zip(flat, user, strict=True):
        kind, value = item.argument
        if item.kind == "constant_input" or kind == "none" or not isinstance(value, str):
            continue  # a number or a flag that is built in
        if kind == "tensor":
            meta = program.graph.tensors.get(value)
            if meta is None:
                raise ReadError(f"the program is damaged: nothing is known of its input {value!r}.")
            found.append(UserInput(name, value, kind, meta.dtype, meta.sizes))
        elif kind in _NUMBERS:
            found.append(UserInput(name, value, kind, _NUMBERS[kind], ()))
        elif kind == "custom_obj":
            raise ReadError(f"the input '{name}' is an object of a C++ class, which no graph input can carry.")
    return found


def _argument_names(program: Program) -> Iterator[str]:
    """The flat names of the arguments, leaf by leaf."""
    takes = program.takes
    if takes is None or len(takes.children) != 2:
        return
    positional, keyword = takes.children
    names = iter(program.arguments)
    for child in positional.children:
        yield from leaf_names(next(names, "input"), child)
    for name, child in zip(keyword.keys or (), keyword.children, strict=False):
        yield from leaf_names(name, child)


def leaf_names(name: str, tree: Tree) -> Iterator[str]:
    """``name``, ``name.0``, ``name.key`` for every leaf of a tree."""
    if tree.type is None:
        yield name
    for i, child in enumerate(tree.children):
        yield from leaf_names(f"{name}.{tree.keys[i] if tree.keys else i}", child)


# ---- sizes -----------------------------------------------------------------------------------------------------------


def _name_symbols(program: Program, inputs: Sequence[UserInput]) -> dict[str, Int]:
    """A usual name for each symbol that is the size of an axis; other symbols keep theirs."""
    names = dict(program.names)
    for item in inputs:
        usual = axis_names(item.name, len(item.sizes), item.dtype, first=item is inputs[0])
        own = axis_names(item.name, len(item.sizes), item.dtype, first=False)
        for axis, size in enumerate(item.sizes):
            symbol = bare_symbol(size)
            if symbol is not None and symbol not in names:
                taken = names.values()
                names[symbol] = next((name for name in (usual[axis], own[axis]) if name not in taken), symbol)
    named: dict[str, Int] = {}
    for symbol in (symbol for item in inputs for size in item.sizes for symbol in symbols_of(size)):
        low, high = program.ranges.get(symbol, (None, None))
        named.setdefault(symbol, Dim.symbol(names.get(symbol, symbol), max(low or 1, 1), high))
    return named


def _settle(
    program: Program, inputs: Sequence[UserInput], specs: Mapping[str, InputSpec], symbols: dict[str, Int]
) -> dict[str, Int]:
    """The symbols with what the declared sizes say of them: a number, a name, or their usual name."""
    said: dict[str, int | str] = {}
    for item in inputs:
        spec = specs.get(item.name)
        if spec is None:
            continue
        _check_kind(item, spec, [parse(size, symbols) for size in item.sizes])
        for size, want in zip(item.sizes, spec.dims, strict=True):
            # Over the program's own symbols, since the caller may give one the name that another usually has.
            numbers = {symbol: said.get(symbol) for symbol in symbols}
            have = parse(size, {k: v if isinstance(v, int) else Dim.symbol(k) for k, v in numbers.items()})
            for symbol, value in _say(item, have, want).items():
                if isinstance(value, int) or symbol not in said:
                    said[symbol] = value
    settled = {symbol: _named(value, said.get(symbol), symbol, said) for symbol, value in symbols.items()}
    for symbol, size_of_it in settled.items():
        _check_range(program, symbol, size_of_it)
    return settled


def _named(usual: Int, said: int | str | None, symbol: str, names: Mapping[str, int | str]) -> Int:
    """A symbol as it was declared; else with its usual name, unless another one was declared with that."""
    if isinstance(said, int) or not isinstance(usual, Dim) or usual.atom is None:
        return usual if said is None or isinstance(said, str) else said
    name = said or (symbol if usual.atom.key in names.values() else usual.atom.key)
    return Dim.symbol(name, usual.atom.low, usual.atom.high)


def _check_kind(item: UserInput, spec: InputSpec, dims: Sequence[Int]) -> None:
    declared = spec.onnx_dtype()
    if (declared is not None and declared != item.dtype) or len(spec.dims) != len(dims):
        own = spec_of(item.dtype, [d if isinstance(d, int) else str(d) for d in dims])
        raise UsageError(f"the input '{item.name}' is {own} in the exported program, not {spec}.")


def _say(item: UserInput, have: Int, want: int | str) -> dict[str, int | str]:
    """What a declared size says of the symbols in the program's."""
    if isinstance(have, int):
        if isinstance(want, int) and want != have:
            raise UsageError(
                f"the exported program fixes a size of the input '{item.name}' to {have}, and {want} is declared; "
                "export it with that dim dynamic, or declare the size it has."
            )
        return {}
    if isinstance(want, str):
        return {str(have): want} if isinstance(have.atom, Symbol) else {}
    solution = solve_linear(have, want)
    if solution is None:
        raise UsageError(f"a size of the input '{item.name}' is {have} in the exported program, which is never {want}.")
    return solution


def _check_range(program: Program, symbol: str, value: Int) -> None:
    low, high = program.ranges.get(symbol, (None, None))
    if isinstance(value, int) and ((low is not None and value < low) or (high is not None and value > high)):
        bounds = f"at least {low}" if high is None else f"between {low} and {high}"
        raise UsageError(f"a size is declared that makes {symbol} {value}; the exported program wants it {bounds}.")

"""What the inputs are, where nobody says.

A traced archive records the dtype and the sizes of the examples that it was traced with. Where that is missing,
``forward`` is run on trial for every plausible rank and dtype: the weights make all wrong ones fail, and operators with
a usual form (``conv2d`` on batches of images, ``embedding`` on batches of sequences) break ties. What stays open is
asked for, never guessed.

Sizes are left free at first. Wherever a size has to equal another one for an operator to work, the free ones it is made
of are fixed or made one: a conv2d with the weight [64, 3, 7, 7] says that there are 3 channels.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nxconvert.errors import InputError, NxConvertError, ReadError
from nxconvert.formats.torch_values import ScriptObject, TensorData
from nxconvert.frontends.pytorch.dtypes import DataType, is_float
from nxconvert.frontends.pytorch.script.frames import NeedInput, ScriptRaise
from nxconvert.frontends.pytorch.script.signature import Signature
from nxconvert.frontends.pytorch.table import LoweringError
from nxconvert.graph.builder import GraphTypeError
from nxconvert.graph.dims import listening
from nxconvert.graph.equations import Equations, Fixed
from nxconvert.inputs import InputSpec, spec_of

if TYPE_CHECKING:
    from nxconvert.frontends.pytorch.script.model import Call, Program

MAX_TRIALS = 400
MAX_SECONDS = 20.0
_CANDIDATE_RANKS = (4, 3, 2, 1, 5, 0)
STRONG, WEAK = 2, 1
_AXES = {
    4: ("batch", "channels", "height", "width"),
    5: ("batch", "channels", "depth", "height", "width"),
    3: ("batch", "length", "features"),
    2: ("batch", "length"),
    1: ("batch",),
    0: (),
}


@dataclass(frozen=True)
class Guess:
    """A signature that nothing is open in, and the sizes that its free dims had in the examples of the archive."""

    signature: Signature
    sizes: dict[str, int] = field(default_factory=dict)


def infer_inputs(program: Program, signature: Signature) -> Call:
    """Runs ``forward`` with inputs that fit it.

    Args:
        program: the archive's program.
        signature: what was declared of its inputs.

    Returns:
        the run, whose signature leaves nothing open.

    Raises:
        InputError: naming every input whose dtype or rank has to be declared.
    """
    if not signature.open():
        return _settle(program, Guess(signature))
    guess = _from_examples(program, signature)
    if guess is None or guess.signature.open():
        return _search(program, guess.signature if guess else signature)
    return _settle(program, guess)


# ---- sizes -----------------------------------------------------------------------------------------------------------


def _settle(program: Program, guess: Guess) -> Call:
    """Runs ``forward``, fixing sizes until the run needs no more of them to be equal than are."""
    signature, sizes = guess.signature, dict(guess.sizes)
    while True:
        names = {dim for leaf in signature.leaves() if leaf.spec for dim in leaf.spec.free}
        try:
            with listening(Equations(names, sizes).hear):
                return program.call(signature)
        except Fixed as fixed:
            signature = _substitute(signature, fixed.found)
        except (NxConvertError, LoweringError, GraphTypeError, ScriptRaise):
            # A trace may need the very sizes that it was made with.
            if not sizes or not names:
                raise
            signature = _substitute(signature, {name: sizes[name] for name in _next_to_fix(names, sizes)})


def _next_to_fix(names: set[str], sizes: Mapping[str, int]) -> list[str]:
    """All sizes but those of batches; then those too."""
    known = [name for name in names if name in sizes]
    inner = [name for name in known if not name.endswith("batch")]
    return inner or known or list(names)


def _substitute(signature: Signature, found: Mapping[str, int | str]) -> Signature:
    def dims(spec: InputSpec) -> tuple[int | str, ...]:
        return tuple(found.get(d, d) if isinstance(d, str) else d for d in spec.dims)

    return signature.with_specs(
        {leaf.name: InputSpec(leaf.spec.dtype, dims(leaf.spec)) for leaf in signature.leaves() if leaf.spec}
    )


# ---- examples --------------------------------------------------------------------------------------------------------


def _from_examples(program: Program, signature: Signature) -> Guess | None:
    """What the examples of a traced archive say."""
    try:
        examples = program.archive.traced_inputs.get("forward")
    except ReadError:
        return None
    tensors = list(_tensors(examples or ()))
    leaves = signature.leaves()
    if len(tensors) != len(leaves):
        return None
    specs: dict[str, InputSpec] = {}
    sizes: dict[str, int] = {}
    shared: dict[tuple[int, int, int], str] = {}
    for leaf, tensor in zip(leaves, tensors, strict=True):
        if leaf.spec is not None and leaf.spec.dtype is not None:
            continue
        dims: list[int | str] = []
        usual = axis_names(leaf.name, len(tensor.shape), tensor.dtype, first=leaf is leaves[0])
        for axis, (name, size) in enumerate(zip(usual, tensor.shape, strict=True)):
            # Inputs of one rank that had the same size in an axis have one size there.
            name = shared.setdefault((len(tensor.shape), axis, size), name)
            dims.append(name)
            sizes[name] = size
        specs[leaf.name] = _merged(leaf.spec, spec_of(tensor.dtype, dims))
    return Guess(signature.with_specs(specs), sizes)


def _merged(declared: InputSpec | None, found: InputSpec) -> InputSpec:
    return InputSpec(found.dtype, declared.dims) if declared is not None else found


def _tensors(values: Iterable[Any]) -> Iterator[TensorData]:
    for value in values:
        if isinstance(value, TensorData):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from _tensors(value)
        elif isinstance(value, dict):
            yield from _tensors(value.values())
        elif isinstance(value, ScriptObject):
            yield from _tensors(value.attributes.values())


def axis_names(name: str, rank: int, dtype: Any, *, first: bool) -> list[str]:
    """What the axes of an input are usually called, with its name before them unless it is the first one."""
    names = _AXES.get(rank, tuple(f"dim{axis}" for axis in range(rank)))
    if rank == 2 and dtype.is_integer():
        names = ("batch", "sequence")
    prefix = "" if first else "".join(c if c.isalnum() else "_" for c in name) + "_"
    return [prefix + name for name in names]


# ---- search ----------------------------------------------------------------------------------------------------------


@dataclass
class _Found:
    """An assignment that ``forward`` runs with."""

    specs: dict[str, InputSpec]
    call: Call

    def all_usual(self, level: int) -> bool:
        """Whether every operator that has a usual form, and at least one has, got it."""
        evidence = [usual for weight, usual in self.call.ip.evidence if weight == level]
        return bool(evidence) and all(evidence)

    @property
    def ranks(self) -> tuple[int, ...]:
        return tuple(len(spec.dims) for spec in self.specs.values())

    @property
    def dtypes(self) -> tuple[str | None, ...]:
        return tuple(spec.dtype for spec in self.specs.values())


def _batched(candidates: list[_Found]) -> _Found | None:
    """Of two that differ in a leading axis of every input, the one with it: layers take examples and batches."""
    if len(candidates) != 2 or candidates[0].dtypes != candidates[1].dtypes:
        return None
    low, high = sorted(candidates, key=lambda found: found.ranks)
    return high if all(b == a + 1 for a, b in zip(low.ranks, high.ranks, strict=True)) else None


class _Budget(Exception):
    """The search has taken long enough."""


def _search(program: Program, signature: Signature) -> Call:
    """Tries ranks and dtypes, an input at a time and each only when ``forward`` first uses it."""
    search = _Search(program, signature)
    try:
        search.extend({})
    except _Budget:
        raise _ask(signature, {}, "finding out by trial would take too long") from None
    best = search.best()
    if best is not None:
        if len(search.found) > 1:
            taken = {leaf.name: leaf.spec for leaf in best.call.signature.leaves()}
            specs = ", ".join(f"{name}={taken[name]}" for name in best.specs)
            program.remark(
                f"the inputs are taken as {specs}, the usual form for such layers; declare them with --input if they "
                "are not"
            )
        return best.call
    if not search.found and search.failure is not None:
        raise search.failure
    raise _ask(signature, search.likely(), f"more than one dtype or number of dims fits ({search.fitting()})")


def _float_dtypes(data: Any) -> list[DataType]:
    """The floating point dtypes of the weights, the most frequent first: inputs have one of them."""
    counts = Counter(tensor.dtype for tensor in _all_tensors(data) if is_float(tensor.dtype))
    return [dtype for dtype, _ in counts.most_common()] or [DataType.FLOAT]


def _all_tensors(data: Any) -> Iterator[TensorData]:
    stack, seen = [data], set()
    while stack:
        item = stack.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        if isinstance(item, TensorData):
            yield item
        elif isinstance(item, ScriptObject):
            stack.extend((*item.attributes.values(), item.state))
        elif isinstance(item, (list, tuple)):
            stack.extend(item)
        elif isinstance(item, dict):
            stack.extend(item.values())


class _Search:
    def __init__(self, program: Program, signature: Signature) -> None:
        self._program = program
        self._signature = signature
        self._dtypes = (*_float_dtypes(program.archive.data), DataType.INT64, DataType.BOOL)
        self._until = time.monotonic() + MAX_SECONDS
        self._trials = 0
        self.found: list[_Found] = []
        self.failure: Exception | None = None

    def extend(self, specs: dict[str, InputSpec]) -> None:
        """Runs ``forward`` with what is assigned so far; where it needs more, tries every candidate for that."""
        self._trials += 1
        if self._trials > MAX_TRIALS or time.monotonic() > self._until:
            raise _Budget
        try:
            call = _settle(self._program, Guess(self._signature.with_specs(specs)))
        except NeedInput as need:
            for spec in self._candidates(need.name, first=not specs):
                self.extend({**specs, need.name: spec})
        except (
            LoweringError,
            GraphTypeError,
            ScriptRaise,
            LookupError,
            ValueError,
            TypeError,
            AttributeError,
            NxConvertError,
        ) as error:
            if self.failure is None and isinstance(error, NxConvertError):
                self.failure = error
        else:
            self.found.append(_Found(specs, call))

    def _candidates(self, name: str, *, first: bool) -> Iterator[InputSpec]:
        leaf = next(leaf for leaf in self._signature.leaves() if leaf.name == name)
        for dtype in self._dtypes:
            for rank in _CANDIDATE_RANKS:
                found = spec_of(dtype, axis_names(name, rank, dtype, first=first))
                if leaf.spec is None:
                    yield found
                elif len(leaf.spec.dims) == rank:
                    yield _merged(leaf.spec, found)

    def best(self) -> _Found | None:
        """The one assignment that fits, or the one of them in which operators get their inputs in the usual form."""
        if len(self.found) == 1:
            return self.found[0]
        # An only input is of floats, although integers fit too where they are promoted.
        floating = (spec_of(self._dtypes[0], ()).dtype,)
        floats = [found for found in self.found if found.dtypes == floating]
        for candidates in (self.found, floats):
            for level in (STRONG, WEAK):
                usual = [found for found in candidates if found.all_usual(level)] or candidates
                if len(usual) == 1:
                    return usual[0]
                batched = _batched(usual)
                if batched is not None:
                    return batched
        return None

    def likely(self) -> dict[str, InputSpec]:
        """One that fits, to show how an input is declared."""
        return dict(self.found[0].specs) if self.found else {}

    def fitting(self) -> str:
        """What fits, input by input, in words."""
        texts = []
        for name in self.likely():
            ranks: dict[str, list[int]] = {}
            for found in self.found:
                spec = found.specs.get(name)
                if spec is not None and spec.dtype is not None:
                    ranks.setdefault(spec.dtype, []).append(len(spec.dims))
            kinds = (f"{dtype} of {_either(sorted(set(sizes)))} dims" for dtype, sizes in ranks.items())
            texts.append(f"{name}: {'; '.join(kinds)}")
        return ". ".join(texts)


def _either(numbers: list[int]) -> str:
    *most, last = map(str, numbers)
    return f"{', '.join(most)} or {last}" if most else last


def _ask(signature: Signature, known: Mapping[str, InputSpec], why: str) -> InputError:
    hints = []
    for leaf in signature.open():
        spec = known.get(leaf.name) or InputSpec("float32", ("batch", "dim1"))
        hints.append(f"{leaf.name}={spec}")
    names = ", ".join(leaf.name for leaf in signature.open())
    return InputError(
        f"the file does not say what its input {names} is: {why}. Declare it; a number fixes a dim, a name leaves it "
        "free",
        hints,
    )

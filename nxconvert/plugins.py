"""The three kinds of plug-in, and how they are found.

A frontend reads a format, a backend writes one, a runtime runs one. They are objects named by entry points of the
groups ``nxconvert.frontends``, ``nxconvert.backends`` and ``nxconvert.runtimes``; nxconvert's own are found in the same
way as those of any other installed package. The module that an entry point names is imported whenever formats are told
apart, so it should import what is heavy inside `read`, `write` and `load` only.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, runtime_checkable

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    import numpy as np
    import onnx_ir as ir

    from nxconvert.inputs import InputSpec

#: The stages that a conversion reports: what goes on, and the fraction of it that is done (None: cannot be told).
Stage: TypeAlias = Literal["reading", "lowering", "writing"]
Progress: TypeAlias = "Callable[[Stage, float | None], None]"
#: Which call of a stateful model is exported: any call, with state inputs and outputs, or the first call alone.
State: TypeAlias = Literal["steady", "first"]
#: The state `name` of a model that keeps state is an input of that name, and an output of that name with this suffix.
STATE_OUT = "_out"

#: Under this key of `ir.Model.meta` a frontend leaves the files that a model was read from, if there are several.
FILES = "nxconvert.files"

#: External data lies beside the target, in the file of its name with this added.
EXTERNAL_SUFFIX = ".data"


def ignore_progress(_stage: Stage, _fraction: float | None) -> None:
    """The progress of who does not ask for it."""


def ignore_warning(_message: str) -> None:
    """The warnings of who does not ask for them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """What a caller says about a source.

    Attributes:
        inputs: what is declared about the inputs, by name or in order; None where nothing is.
        constants: arguments that are pinned to a Python value, by name; they are no inputs any more.
        state: which call of a model that keeps state is read.
        trust_code: whether code that the file carries may be executed (a pickled Python module).
        via: by which of its framework's ways a model that is Python code becomes a program; None for the usual one.
        init: the file of the weights, of formats that keep them apart; None to look for it (see `takes_init`).
        outputs: the names of the outputs that are wanted instead of the model's own (see `takes_outputs`).
        progress: is told how far the reading is.
        warn: takes a sentence about anything the user should know but that does not stop the conversion.
    """

    inputs: Mapping[str, InputSpec] | Sequence[InputSpec] | None = None
    constants: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    state: State = "steady"
    trust_code: bool = False
    via: str | None = None
    init: Path | None = None
    outputs: Sequence[str] = ()
    progress: Progress = ignore_progress
    warn: Callable[[str], None] = ignore_warning


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteOptions:
    """What a caller says about a target.

    Attributes:
        opset: the operator set to write; None for the backend's default.
        external_data: whether the weights go to a file beside the model; None leaves it to the backend (only when they
            do not fit).
        metadata: facts about the conversion to keep in the file, as text. The value of one may still be under
            computation and is then waited for: look at the values as late as possible.
        progress: is told how far the writing is.
    """

    opset: int | None = None
    external_data: bool | None = None
    metadata: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    progress: Progress = ignore_progress


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LiveModel:
    """A model that is no file but an object in this process.

    Attributes:
        model: the object, of a class of its framework.
        format: the name of the frontend that knows such objects.
        title: what reports and messages call it.
        weights: the file that its weights come from, if there is one.
        args: positional example inputs; None where the inputs that are declared say what to run it on.
        kwargs: example inputs by name.
        dynamic: which sizes of the example inputs are free, in the form that the frontend documents.
        remarks: what the user should know of how it was made, a sentence each.
    """

    model: Any
    format: str
    title: str
    weights: Path | None = None
    args: tuple[Any, ...] | None = None
    kwargs: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    dynamic: Any = None
    remarks: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.title


class Frontend(Protocol):
    """Reads one source format."""

    @property
    def name(self) -> str:
        """The format's name, as ``--from`` takes it. A backend of the same format has the same name."""

    @property
    def description(self) -> str:
        """What files these are, in a few words."""

    @property
    def suffixes(self) -> tuple[str, ...]:
        """The suffixes such files usually have, with the dot. They only settle which frontend is asked first."""

    def detect(self, path: Path) -> bool:
        """Whether the content of `path` (a file or a folder that exists) is of this format. Reads little of it.

        May say yes to a damaged file of this format, so that `read` can say what is wrong with it. Never raises.
        """

    def read(self, path: Path, options: ReadOptions) -> ir.Model:
        """The model in `path`, lowered to the shared graph.

        Raises:
            ReadError: the file is damaged or hostile (InputError: its inputs have to be declared).
            UnsupportedError: the model uses what has no lowering.
        """


@runtime_checkable
class LiveFrontend(Frontend, Protocol):
    """A frontend whose framework is Python, and whose models can therefore be objects in this process."""

    def read_live(self, live: LiveModel, options: ReadOptions) -> ir.Model:
        """The model, lowered to the shared graph; the object is left as it is, and its weights are not copied.

        Raises:
            RuntimeMissingError: the framework is not installed.
            ReadError: the framework makes no program of the model (InputError: its inputs have to be declared).
            UnsupportedError: the model uses what has no lowering.
        """

    def make_live(self, code: str, weights: Path | None, *, trust_code: bool = False) -> LiveModel:
        """The model that Python code makes.

        Args:
            code: ``package.module:factory``, with arguments in parentheses if it needs some.
            weights: the file of the weights to load into it.
            trust_code: whether code that the file of the weights holds may be executed.

        Raises:
            RuntimeMissingError: the framework is not installed.
            UsageError: there is no such factory, or it makes no model.
            ReadError: the weights are not those of the model.
        """

    def open_live(self, path: Path, *, trust_code: bool = False) -> LiveModel | None:
        """The object that is pickled in a file, where code that the file holds may be executed; None for other files.

        Raises:
            RuntimeMissingError: the framework is not installed.
            ReadError: the file cannot be unpickled.
        """


class Backend(Protocol):
    """Writes one target format."""

    @property
    def name(self) -> str:
        """The format's name, as ``--to`` takes it."""

    @property
    def description(self) -> str:
        """What files these are, in a few words."""

    @property
    def suffixes(self) -> tuple[str, ...]:
        """The suffixes that ask for this format, with the dot, the usual one first."""

    def write(self, model: ir.Model, path: Path, options: WriteOptions) -> None:
        """Writes `model` to `path`: the whole file or, when it fails, none of it.

        May change `model`, which afterwards is what was written: its nodes, its opset.

        Raises:
            WriteError: the place cannot be written to, or the format cannot hold the graph.
            UsageError: an option makes no sense for this format.
        """


def takes_init(frontend: Frontend) -> bool:
    """Whether models of a format may have their weights in a second file, which `ReadOptions.init` names.

    Such a frontend has an attribute ``takes_init`` that is True.
    """
    return bool(getattr(frontend, "takes_init", False))


def takes_outputs(frontend: Frontend) -> bool:
    """Whether any result inside models of a format can be named in `ReadOptions.outputs`.

    Such a frontend has an attribute ``takes_outputs`` that is True.
    """
    return bool(getattr(frontend, "takes_outputs", False))


class Runner(Protocol):
    """One model, loaded and ready to run."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of the inputs, in order; of an argument that is a container, the argument's name."""

    @property
    def description(self) -> str:
        """What runs it, with its version: ``onnxruntime 1.22.0``."""

    def __call__(self, inputs: Mapping[str, Any], outputs: Sequence[str] | None = None) -> dict[str, np.ndarray]:
        """Runs the model once, beginning with the state that the file has: calls do not see each other's effects.

        Args:
            inputs: an array for each input by its name, as the shared graph names them: ``x``, ``x.0``, ``x.key``.
                Arguments that are pinned in the graph take their Python value.
            outputs: the names of the outputs that are wanted; None for all that are ordinary outputs.

        Returns:
            The outputs by name. What may be anything in one, such as what follows a sequence, may be masked.

        Raises:
            RunError: these inputs cannot be run.
        """


class Runtime(Protocol):
    """Runs the files of some formats."""

    @property
    def name(self) -> str:
        """The runtime's name, as ``--on`` takes it."""

    @property
    def description(self) -> str:
        """What runs the models, in a few words."""

    @property
    def formats(self) -> tuple[str, ...]:
        """The names of the formats it runs."""

    @property
    def rank(self) -> int:
        """Among the runtimes of one format, the lowest rank is taken first."""

    def available(self) -> str | None:
        """None where it can run here, else what is missing and how to get it. Imports nothing heavy."""

    def load(self, path: Path) -> Runner:
        """The model in `path`, ready to run on any number of inputs.

        Raises:
            ReadError: the runtime cannot load the file.
            RuntimeMissingError: the runtime is not available.
        """


@runtime_checkable
class LiveRuntime(Runtime, Protocol):
    """A runtime whose framework is Python."""

    def load_live(self, live: LiveModel) -> Runner:
        """The object, ready to run. Running it changes nothing about it."""


@runtime_checkable
class TwoFileRuntime(Runtime, Protocol):
    """A runtime of models that may have their weights in a second file."""

    def load_pair(self, path: Path, init: Path) -> Runner:
        """The model in `path` with the weights in `init`; see `Runtime.load`."""


class PluginWarning(UserWarning):
    """A plug-in is installed but broken; nxconvert does without it."""


def frontends() -> dict[str, Frontend]:
    """Every frontend that can be loaded, by name."""
    return dict(_load_all("nxconvert.frontends"))


def backends() -> dict[str, Backend]:
    """Every backend that can be loaded, by name."""
    return dict(_load_all("nxconvert.backends"))


def runtimes() -> dict[str, Runtime]:
    """Every runtime that can be loaded, by name, in the order in which they are preferred."""
    found = dict(_load_all("nxconvert.runtimes"))
    return dict(sorted(found.items(), key=lambda item: (item[1].rank, item[0])))


@cache
def _entry_points() -> Mapping[str, Mapping[str, EntryPoint]]:
    """The installed entry points of our groups, by group and name; of two with one name, nxconvert's own is taken."""
    from importlib.metadata import entry_points

    found: dict[str, dict[str, EntryPoint]] = {}
    installed = entry_points()
    for group in ("nxconvert.frontends", "nxconvert.backends", "nxconvert.runtimes"):
        by_name: dict[str, EntryPoint] = {}
        for point in sorted(installed.select(group=group), key=lambda point: (point.name, point.value)):
            known = by_name.get(point.name)
            if known is not None and known.value != point.value:
                own, other = (point, known) if point.value.startswith("nxconvert.") else (known, point)
                _warn(f"two {group} are called {point.name}: {own.value} is taken and {other.value} is not.")
                point = own
            by_name[point.name] = point
        found[group] = by_name
    return found


@cache
def _load(group: str, name: str) -> Any:
    """The plug-in, or None where it is broken (it is then warned about, once)."""
    point = _entry_points()[group][name]
    try:
        return point.load()
    except Exception as error:
        _warn(
            f"the plug-in {name} ({point.value}) is broken, nxconvert does without it: {type(error).__name__}: {error}"
        )
        return None


def _load_all(group: str) -> Iterator[tuple[str, Any]]:
    for name in _entry_points()[group]:
        plugin = _load(group, name)
        if plugin is not None:
            yield name, plugin


def _warn(message: str) -> None:
    warnings.warn(message, PluginWarning, stacklevel=2)

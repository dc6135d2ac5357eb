"""Converting: read, passes, write."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from nxconvert import __version__
from nxconvert.detection import init_file, source_frontend, target_backend, wanted_outputs
from nxconvert.errors import NxConvertError, UsageError
from nxconvert.fingerprint import Fingerprint
from nxconvert.inputs import InputsLike, parse_inputs
from nxconvert.interface import free_dims, interface, parameter_count
from nxconvert.live import Via, live_frontend
from nxconvert.plugins import (
    EXTERNAL_SUFFIX,
    FILES,
    Frontend,
    LiveModel,
    Progress,
    ReadOptions,
    State,
    WriteOptions,
    ignore_progress,
    ignore_warning,
)
from nxconvert.report import ConversionReport

if TYPE_CHECKING:
    import onnx_ir as ir

#: Under these keys a converted file keeps where it comes from.
VERSION_KEY = "nxconvert.version"
FORMAT_KEY = "nxconvert.source_format"
SHA256_KEY = "nxconvert.source_sha256"
INIT_SHA256_KEY = "nxconvert.init_sha256"
DIRECTORY_SHA256_KEY = "nxconvert.source_directory_sha256"
OPTIONS_KEY = "nxconvert.options"
CODE_KEY = "nxconvert.source_code"

_NO_CONSTANTS: Mapping[str, Any] = MappingProxyType({})


def load(
    source: str | os.PathLike[str],
    *,
    format: str | None = None,
    inputs: InputsLike = None,
    constants: Mapping[str, Any] | None = None,
    state: State = "steady",
    trust_code: bool = False,
    via: Via | None = None,
    init: str | os.PathLike[str] | None = None,
    outputs: Sequence[str] = (),
    warn: Callable[[str], None] = ignore_warning,
) -> ir.Model:
    """The model in a file, as the shared graph: one opset, every value typed, every dim a size or a name.

    Args:
        source: the file (or the folder, for formats that are folders).
        format: the name of its format; None lets the content tell.
        inputs: declares inputs that the file leaves open, by name or in order: specs such as
            ``"float32[batch,3,224,224]"``, or example arrays, whose dtype and sizes are taken.
        constants: pins arguments to Python values; they are no inputs of the graph then.
        state: of a model that keeps state from call to call, ``"steady"`` reads any call, with the state as inputs and
            outputs, ``"first"`` the call that begins with the saved state.
        trust_code: whether Python code in the file may be executed. Say so only of files you made yourself.
        via: how a pickled Python module becomes a program (see `from_torch`).
        init: the file of the weights, of formats that keep them in a second one (Caffe2's init net); None to look for
            it beside `source`.
        outputs: the names of the outputs that are wanted, of formats in which any result has one; nothing for the
            model's own.
        warn: takes a sentence about anything that should be known of the model but that is no error.

    Raises:
        UsageError: an argument makes no sense.
        ReadError: there is no sound model in `source` (InputError: its inputs have to be declared).
        UnsupportedError: the model uses operators that cannot be expressed; lists all of them.
    """
    path, frontend = source_frontend(source, format)
    options = ReadOptions(
        inputs=parse_inputs(inputs),
        constants=dict(constants or {}),
        state=_state(state),
        trust_code=trust_code,
        via=via,
        init=init_file(init, frontend),
        outputs=wanted_outputs(outputs, frontend),
        warn=warn,
    )
    return _read(path, frontend, options)


def save(
    model: ir.Model, target: str | os.PathLike[str], *, format: str | None = None, opset: int | None = None
) -> None:
    """Writes the shared graph to a file: all of it, or nothing.

    Args:
        model: what to write, as `load` returns it. The backend may change it.
        target: the file; one that exists is replaced when the new one is complete.
        format: the name of the format; None lets the suffix tell.
        opset: the operator set to write, where the format has such a thing; None for the default.

    Raises:
        UsageError: an argument makes no sense.
        WriteError: the target cannot be written, or its format cannot hold the model.
    """
    path, backend = target_backend(target, format)
    backend.write(model, path, WriteOptions(opset=opset, metadata={VERSION_KEY: __version__}))


def convert(
    source: str | os.PathLike[str] | LiveModel,
    target: str | os.PathLike[str],
    *,
    inputs: InputsLike = None,
    constants: Mapping[str, Any] | None = None,
    opset: int | None = None,
    source_format: str | None = None,
    target_format: str | None = None,
    trust_code: bool = False,
    via: Via | None = None,
    init: str | os.PathLike[str] | None = None,
    outputs: Sequence[str] = (),
    state: State = "steady",
    external_data: bool | None = None,
    progress: Progress = ignore_progress,
) -> ConversionReport:
    """Turns one model file into another.

    The same bytes and the same options give the same file, on every machine. A conversion that fails leaves no file
    behind, and one that was there before as it was.

    Args:
        source: the file to read, or a live model (see `load` for `inputs`, `constants`, `state` and `trust_code`).
        target: the file to write (see `save`).
        inputs: declares inputs that the file leaves open.
        constants: pins arguments to Python values.
        opset: the operator set to write; None for the default.
        source_format: the source format's name; None lets the content tell.
        target_format: the target format's name; None lets the suffix tell.
        trust_code: whether Python code in the source may be executed.
        via: how a model that is Python code becomes a program (see `from_torch`).
        init: the file of the weights, of formats that keep them in a second one.
        outputs: the names of the outputs that are wanted instead of the model's own.
        state: which call of a model that keeps state is converted.
        external_data: whether the weights go to a file beside the target; None: only where they do not fit inside.
        progress: is called with the stage ("reading", "lowering", "writing") and the fraction of it that is done.

    Raises:
        UsageError: an argument makes no sense.
        ReadError: there is no sound model in `source` (InputError: its inputs have to be declared).
        UnsupportedError: the model uses operators that cannot be expressed; lists all of them.
        WriteError: the target cannot be written, or its format cannot hold the model.
    """
    clock = _Clock()
    origin, frontend, read = _source(source, source_format)
    init_path = init_file(init, frontend)
    target_path, backend = target_backend(target, target_format)
    for file in (origin, init_path):
        if file is not None and target_path.exists() and file.samefile(target_path):
            raise UsageError(f"{target_path} is the source itself; give the converted model another name.")
    old_data = _version(_data_beside(target_path))
    warnings: list[str] = []
    read_options = ReadOptions(
        inputs=parse_inputs(inputs),
        constants=dict(constants or {}),
        state=_state(state),
        trust_code=trust_code,
        via=via,
        init=init_path,
        outputs=wanted_outputs(outputs, frontend),
        progress=progress,
        warn=warnings.append,
    )
    with ExitStack() as fingerprints:
        hashes: dict[str, Fingerprint] = {}
        if origin is not None:
            fingerprint = fingerprints.enter_context(Fingerprint(origin))
            hashes[DIRECTORY_SHA256_KEY if fingerprint.of_directory else SHA256_KEY] = fingerprint
        with clock.stage("reading"):
            model = read(read_options)
        second = _second_file(origin, model.meta.get(FILES, (init_path,)))
        if second is not None:
            hashes[INIT_SHA256_KEY] = fingerprints.enter_context(Fingerprint(second))
        with clock.stage("optimizing"):
            from nxconvert.passes import optimize

            optimize(model)
        with clock.stage("writing"):
            metadata = _Metadata(frontend.name, source, hashes, read_options)
            write_options = WriteOptions(opset=opset, external_data=external_data, metadata=metadata, progress=progress)
            backend.write(model, target_path, write_options)
    return ConversionReport(
        source=source if isinstance(source, LiveModel) else Path(source),
        source_format=frontend.name,
        target=target_path,
        target_format=backend.name,
        target_bytes=_bytes_at(target_path, old_data),
        opset=model.opset_imports.get("", 0),
        nodes=sum(1 for _ in model.graph.all_nodes()),
        parameters=parameter_count(model),
        inputs=interface(model.graph.inputs),
        outputs=interface(model.graph.outputs),
        free_dims=free_dims(model.graph.inputs),
        warnings=tuple(dict.fromkeys(warnings)),
        seconds=clock.seconds(),
        peak_memory=peak_memory(),
    )


def _source(
    source: str | os.PathLike[str] | LiveModel, format: str | None
) -> tuple[Path | None, Frontend, Callable[[ReadOptions], ir.Model]]:
    """Of a source: the file that it, or its weights, are in, what knows its format, and what reads it."""
    if isinstance(source, LiveModel):
        live, frontend = source, live_frontend(source.format)
        return live.weights, frontend, lambda options: frontend.read_live(live, options)
    path, reader = source_frontend(source, format)
    return path, reader, lambda options: _read(path, reader, options)


def _read(path: Path, frontend: Frontend, options: ReadOptions) -> ir.Model:
    """The model in a file; what is wrong with it is said of that file."""
    try:
        return frontend.read(path, options)
    except NxConvertError as error:
        error.source = error.source or str(path)
        raise


def _second_file(origin: Path | None, files: Iterable[Path | None]) -> Path | None:
    """The one of a model's files that is neither the source nor in it."""
    for file in files:
        if file is not None and origin is not None and not origin.samefile(file) and file.parent != origin:
            return file
    return None


class _Clock:
    """Wall time by stage."""

    def __init__(self) -> None:
        self._begin = time.perf_counter()
        self._stages: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        begin = time.perf_counter()
        yield
        self._stages[name] = time.perf_counter() - begin

    def seconds(self) -> dict[str, float]:
        return {**self._stages, "total": time.perf_counter() - self._begin}


class _Metadata(Mapping[str, str]):
    """Where a converted file comes from. The source's hash is waited for when it is asked for, not before."""

    def __init__(
        self, source_format: str, source: object, hashes: Mapping[str, Fingerprint], options: ReadOptions
    ) -> None:
        self._known = {
            VERSION_KEY: __version__,
            FORMAT_KEY: source_format,
            OPTIONS_KEY: json.dumps(_stated(options), sort_keys=True, default=repr),
        }
        if isinstance(source, LiveModel):
            self._known[CODE_KEY] = source.title
        self._hashes = hashes

    def __getitem__(self, key: str) -> str:
        return self._hashes[key].hexdigest() if key in self._hashes else self._known[key]

    def __iter__(self) -> Iterator[str]:
        yield from self._known
        yield from self._hashes

    def __len__(self) -> int:
        return len(self._known) + len(self._hashes)


def _stated(options: ReadOptions) -> dict[str, Any]:
    """The options that were given and that say something about the graph, as JSON takes them."""
    inputs = options.inputs
    specs: Any = None
    if isinstance(inputs, Mapping):
        specs = {name: str(spec) for name, spec in inputs.items()}
    elif inputs is not None:
        specs = [str(spec) for spec in inputs]
    state = None if options.state == "steady" else options.state
    stated = {"inputs": specs, "constants": dict(options.constants), "state": state, "via": options.via}
    stated |= {"init": options.init and options.init.name, "outputs": list(options.outputs)}
    return {key: value for key, value in stated.items() if value}


def _state(state: State) -> State:
    if state not in ("steady", "first"):
        raise UsageError(f"state is to be 'steady' or 'first', not {state!r}.")
    return state


def _bytes_at(target: Path, old_data: tuple[int, int] | None) -> int:
    """The size of what was written, with the external data beside it unless they are those of before."""
    beside = _data_beside(target)
    new = _version(beside) not in (None, old_data)
    return target.stat().st_size + (beside.stat().st_size if new else 0)


def _data_beside(target: Path) -> Path:
    return target.with_name(f"{target.name}{EXTERNAL_SUFFIX}")


def _version(path: Path) -> tuple[int, int] | None:
    """What tells a file from the one that it replaces; None where there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns


def peak_memory() -> int | None:
    """The most bytes this process had resident so far; None where the system does not tell."""
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024

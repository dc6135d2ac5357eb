"""Converting: read, passes, write."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
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
    options = _read_options(
        frontend,
        inputs=inputs,
        constants=constants,
        state=state,
        trust_code=trust_code,
        via=via,
        init=init,
        outputs=outputs,
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
    warnings: list[str] = []
    options = _read_options(
        frontend,
        inputs=inputs,
        constants=constants,
        state=state,
        trust_code=trust_code,
        via=via,
        init=init,
        outputs=outputs,
        progress=progress,
        warn=warnings.append,
    )
    target_path, backend = target_backend(target, target_format)
    _refuse_overwriting(target_path, (origin, options.init))
    data = _ExternalData(target_path)
    with _Hashes(origin) as hashes:
        with clock.stage("reading"):
            model = read(options)
        hashes.add_second(model.meta.get(FILES, (options.init,)))
        with clock.stage("optimizing"):
            from nxconvert.passes import optimize

            optimize(model)
        with clock.stage("writing"):
            metadata = _Metadata(frontend.name, source, hashes.by_key, options)
            write_options = WriteOptions(opset=opset, external_data=external_data, metadata=metadata, progress=progress)
            backend.write(model, target_path, write_options)
    return ConversionReport(
        source=source if isinstance(source, LiveModel) else Path(source),
        source_format=frontend.name,
        target=target_path,
        target_format=backend.name,
        target_bytes=target_path.stat().st_size + data.new_bytes(),
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


def _read_options(
    frontend: Frontend,
    *,
    inputs: InputsLike,
    constants: Mapping[str, Any] | None,
    state: State,
    trust_code: bool,
    via: Via | None,
    init: str | os.PathLike[str] | None,
    outputs: Sequence[str],
    warn: Callable[[str], None],
    progress: Progress = ignore_progress,
) -> ReadOptions:
    """What a caller says, as a frontend takes it; see `load` for the arguments and the errors."""
    if state not in ("steady", "first"):
        raise UsageError(f"state is to be 'steady' or 'first', not {state!r}.")
    return ReadOptions(
        inputs=parse_inputs(inputs),
        constants=dict(constants or {}),
        state=state,
        trust_code=trust_code,
        via=via,
        init=init_file(init, frontend),
        outputs=wanted_outputs(outputs, frontend),
        progress=progress,
        warn=warn,
    )


def _refuse_overwriting(target: Path, sources: Iterable[Path | None]) -> None:
    for file in sources:
        if file is not None and target.exists() and file.samefile(target):
            raise UsageError(f"{target} is the source itself; give the converted model another name.")


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


class _Hashes:
    """The hashes of a source's files, computed while the ``with`` block runs.

    Attributes:
        by_key: each under its key in the metadata.
    """

    def __init__(self, origin: Path | None) -> None:
        self.by_key: dict[str, Fingerprint] = {}
        self._origin = origin
        self._running = ExitStack()

    def __enter__(self) -> _Hashes:
        if self._origin is not None:
            fingerprint = self._running.enter_context(Fingerprint(self._origin))
            self.by_key[DIRECTORY_SHA256_KEY if fingerprint.of_directory else SHA256_KEY] = fingerprint
        return self

    def __exit__(self, *error: object) -> None:
        self._running.close()

    def add_second(self, files: Iterable[Path | None]) -> None:
        """Adds the one of a model's files that is neither the source nor in it, if there is one."""
        origin = self._origin
        for file in files:
            if file is not None and origin is not None and not origin.samefile(file) and file.parent != origin:
                self.by_key[INIT_SHA256_KEY] = self._running.enter_context(Fingerprint(file))
                return


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


class _ExternalData:
    """The external data beside a target, which a conversion may write anew or leave as they were."""

    def __init__(self, target: Path) -> None:
        self._path = target.with_name(f"{target.name}{EXTERNAL_SUFFIX}")
        self._before = self._identity()

    def new_bytes(self) -> int:
        """Their size; 0 where there are none, or those of before."""
        return self._path.stat().st_size if self._identity() not in (None, self._before) else 0

    def _identity(self) -> tuple[int, int] | None:
        """What tells the file from the one that it replaces; None where there is none."""
        try:
            status = self._path.stat()
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

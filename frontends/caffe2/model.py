"""From the files of a Caffe2 model to the shared graph: inputs are found or inferred, the nets are run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import onnx_ir as ir

from nxconvert.errors import UsageError
from nxconvert.formats.caffe2.files import find_model
from nxconvert.frontends.caffe2.infer import infer_inputs
from nxconvert.frontends.caffe2.program import Program
from nxconvert.graph.finish import finish
from nxconvert.inputs import InputSpec
from nxconvert.plugins import FILES, ReadOptions


def read_model(path: Path, options: ReadOptions) -> ir.Model:
    """The model in a file or a folder, lowered to the shared graph.

    Raises:
        ReadError: a file is damaged, or is no net (InputError: inputs have to be declared).
        UsageError: what is declared, or wanted as an output, does not fit.
        UnsupportedError: operators have no lowering; all of them are listed.
    """
    options.progress("reading", None)
    files = find_model(path, options.init, options.warn)
    options.progress("lowering", None)
    program = Program(files, options.outputs)
    program.check()
    specs = _declared(program, options)
    run, remarks = infer_inputs(program, specs, options.constants)
    for message in (*remarks, *run.notes):
        options.warn(message)
    model = finish(run.op, run.outputs)
    model.graph.name = files.predict.name or "main"
    model.meta[FILES] = tuple(file for file in (files.path, files.init_path) if file is not None)
    return model


def _declared(program: Program, options: ReadOptions) -> dict[str, InputSpec]:
    """What the caller, or else the file beside the net, says about the inputs."""
    specs = {
        name: InputSpec(dtype, tuple(dims))
        for name, (dtype, dims) in program.files.value_info.items()
        if name in program.inputs((name,))
    }
    given = options.inputs
    if given is None:
        given = {}
    elif not isinstance(given, Mapping):
        names = program.inputs()
        if len(given) > len(names):
            raise UsageError(f"{len(given)} inputs are declared, the model has {len(names)}: {', '.join(names)}.")
        given = dict(zip(names, given, strict=False))
    known = program.inputs({*given, *options.constants})
    for name in (*given, *options.constants):
        if name not in known:
            raise UsageError(f"the model has no input '{name}'; its inputs are {', '.join(program.inputs())}.")
    for name, spec in given.items():
        before = specs.get(name)
        specs[name] = InputSpec(spec.dtype or (before.dtype if before else None), spec.dims)
    return specs

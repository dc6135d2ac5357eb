"""Reads live models: a module through torch.export, scripted and traced ones as the archives they would be saved in."""

from __future__ import annotations

import inspect
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import onnx_ir as ir
import torch

from nxconvert.arguments import bind_named, nested
from nxconvert.errors import InputError, ReadError, UsageError
from nxconvert.formats.torch_archive import open_archive
from nxconvert.frontends.pytorch.eager.dynamic import Free, free_sizes
from nxconvert.frontends.pytorch.eager.export import as_module, bind, brief, export, program_of
from nxconvert.frontends.pytorch.eager.untouched import quiet, untouched
from nxconvert.frontends.pytorch.export.model import lower_program
from nxconvert.frontends.pytorch.script.infer import axis_names
from nxconvert.frontends.pytorch.script.model import read_script
from nxconvert.inputs import DTYPES, InputSpec
from nxconvert.plugins import LiveModel, ReadOptions
from nxconvert.runtimes.arrays import reason
from nxconvert.runtimes.torch_archives import tensor_of
from nxconvert.sampling import Sampler

_WAYS = ("export", "script", "trace")
#: So many choices of sizes are tried where only names of free ones are known.
_TRIALS = 4
_SPATIAL = {1: ("length",), 2: ("height", "width"), 3: ("depth", "height", "width")}


def read_live(live: LiveModel, options: ReadOptions) -> ir.Model:
    """The model of a live module; see `nxconvert.plugins.LiveFrontend`."""
    via = options.via or "export"
    if via not in _WAYS:
        raise UsageError(f"via is to be one of {', '.join(_WAYS)}, not {via!r}.")
    for remark in live.remarks:
        options.warn(remark)
    options.progress("reading", None)
    if isinstance(live.model, torch.export.ExportedProgram):
        if live.dynamic is not None:
            raise UsageError("an ExportedProgram says itself what is free; dynamic is for modules and functions.")
        return lower_program(program_of(live.model), options)
    if isinstance(live.model, torch.jit.ScriptModule | torch.jit.ScriptFunction):
        return _read_scripted(live.model, live, options)
    module = as_module(live.model)
    if via == "script":
        return _read_scripted(_scripted(module, live), live, options)
    read = _read_traced if via == "trace" else _read_exported
    return read(module, live, options)


def _read_exported(module: torch.nn.Module, live: LiveModel, options: ReadOptions) -> ir.Model:
    failures: list[ReadError] = []
    for bound, dynamic in _examples(module, live, options):
        try:
            program = export(module, bound, dynamic, live.title, options.warn)
        except ReadError as error:
            # Other sizes help only against what sizes are to blame for.
            if failures and str(failures[-1]) == str(error):
                break
            failures.append(error)
        else:
            return lower_program(program, replace(options, inputs=None, constants={}))
    raise failures[0]


def _read_traced(module: torch.nn.Module, live: LiveModel, options: ReadOptions) -> ir.Model:
    bound, dynamic = next(_examples(module, live, options))
    free = free_sizes(bound.arguments, dynamic)
    bound.arguments.update(free.arguments)
    example: dict[str, Any] = (
        {"example_kwarg_inputs": bound.arguments} if bound.kwargs else {"example_inputs": bound.args}
    )
    with untouched(module, runs=True):
        try:
            with quiet() as caught:
                traced = torch.jit.trace(module, **example, check_trace=False, strict=False)
        except Exception as error:
            raise ReadError(f"torch.jit.trace makes no program of {live.title}: {reason(error)}") from error
    for warning in caught:
        if issubclass(warning.category, torch.jit.TracerWarning):
            options.warn(f"torch.jit.trace: {str(warning.message).splitlines()[0]}")
    options.warn(
        f"{live.title} was traced: every decision its code takes is the one that it took for the example inputs, "
        "whatever the inputs are later."
    )
    return _read_archive(traced, replace(options, inputs=_specs(free), constants={}))


def _scripted(module: torch.nn.Module, live: LiveModel) -> Any:
    with untouched(module):
        try:
            with quiet():
                return torch.jit.script(module)
        except Exception as error:
            raise ReadError(f"torch.jit.script does not understand {live.title}: {brief(error)}") from error


def _read_scripted(module: Any, live: LiveModel, options: ReadOptions) -> ir.Model:
    """A scripted or traced module, whose inputs are declared by example, or open."""
    if options.inputs is None and (live.args or live.kwargs):
        of_method = isinstance(module, torch.nn.Module)
        if of_method and not hasattr(module, "forward"):
            raise ReadError(f"TorchScript keeps no forward of {live.title}, which has several in one; try via='trace'.")
        schema = (module.forward if of_method else module).schema
        names = [argument.name for argument in schema.arguments][of_method:]
        arguments = {**dict(zip(names, live.args or (), strict=False)), **live.kwargs}
        free = free_sizes(arguments, live.dynamic)
        options = replace(options, inputs=_specs(free))
    return _read_archive(module, options)


def _read_archive(module: Any, options: ReadOptions) -> ir.Model:
    """A scripted module, by way of the archive that it is saved in; a mapped file is no memory of this process."""
    with tempfile.TemporaryDirectory(prefix="nxconvert-", ignore_cleanup_errors=True) as folder:
        path = Path(folder) / "module.pt"
        parts = untouched(module) if isinstance(module, torch.nn.Module) else quiet()
        with parts, quiet():
            torch.jit.save(module, path)
        with open_archive(path) as archive:
            return read_script(archive, options)


# ---- example inputs --------------------------------------------------------------------------------------------------


def _examples(
    module: torch.nn.Module, live: LiveModel, options: ReadOptions
) -> Iterator[tuple[inspect.BoundArguments, Any]]:
    """Arguments to export the module with, and what is free of them; several where sizes may be chosen."""
    if live.args is not None:
        yield bind(module, live.args, live.kwargs), live.dynamic
        return
    specs = _declared(module, options)
    sampler = Sampler([_value(name, spec) for name, spec in specs.items()], {})
    dynamic = {
        name: [d if isinstance(d, str) else None for d in spec.dims] for name, spec in specs.items() if spec.free
    }
    for number, sizes in enumerate(islice(sampler.sizes(), 0, 2 * _TRIALS, 2)):
        arrays = sampler.values(sizes, seed=number)
        flat = {name: tensor_of(array) for name, array in arrays.items()} | dict(options.constants)
        yield bind_named(module.forward, nested(flat)), dynamic or None


def _value(name: str, spec: InputSpec) -> ir.Value:
    dtype = spec.onnx_dtype()
    if dtype is None:
        raise UsageError(f"the dtype of the input '{name}' is not known: say it, as in {name}=float32{spec}.")
    return ir.Value(name=name, type=ir.TensorType(dtype), shape=ir.Shape(spec.dims))


def _declared(module: torch.nn.Module, options: ReadOptions) -> Mapping[str, InputSpec]:
    """The declared inputs by name.

    Raises:
        InputError: an argument without a default is not declared.
    """
    parameters = inspect.signature(module.forward).parameters
    specs = options.inputs or {}
    if not isinstance(specs, Mapping):
        specs = dict(zip(parameters, specs, strict=False))
    given = {name.partition(".")[0] for name in (*specs, *options.constants)}
    missing = [
        name
        for name, parameter in parameters.items()
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        and name not in given
    ]
    if missing:
        raise InputError(
            f"a module says nothing about its inputs: declare {', '.join(missing)}, "
            f"such as --input '{missing[0]}=float32[batch,3,224,224]'. A number fixes a dim, a name leaves it free.",
            _hints(module, missing),
        )
    return specs


def _hints(module: torch.nn.Module, missing: list[str]) -> list[str]:
    """The declaration of the only input, where the first layer tells what it has to be."""
    if len(missing) != 1:
        return []
    for layer in module.modules():
        if isinstance(layer, torch.nn.Conv1d | torch.nn.Conv2d | torch.nn.Conv3d):
            dims = ["batch", str(layer.in_channels), *_SPATIAL[layer.weight.dim() - 2]]
            return [f"{missing[0]}=float32[{','.join(dims)}]"]
        if isinstance(layer, torch.nn.Linear):
            return [f"{missing[0]}=float32[batch,{layer.in_features}]"]
        if isinstance(layer, torch.nn.Embedding):
            return [f"{missing[0]}=int64[batch,sequence]"]
    return []


def _specs(free: Free) -> dict[str, InputSpec]:
    """The declarations that say of example inputs what is fixed and what is free."""
    specs: dict[str, InputSpec] = {}
    for name, leaf in free.tensors().items():
        spec = InputSpec.like(leaf)
        dtype = ir.DataType[DTYPES[spec.dtype or "float32"]]
        usual = axis_names(name, len(spec.dims), dtype, first=not specs)
        named = free.names.get(name, {})
        dims = [(named[axis] or usual[axis]) if axis in named else size for axis, size in enumerate(spec.dims)]
        specs[name] = InputSpec(spec.dtype, tuple(dims))
    return specs

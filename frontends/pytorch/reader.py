"""Reads a PyTorch file of any kind: tells the kinds apart and says what to do about those that hold no program."""

from __future__ import annotations

from pathlib import Path

import onnx_ir as ir

from nxconvert.errors import ReadError
from nxconvert.formats.safetensors import is_safetensors
from nxconvert.formats.torch_archive import Kind, TorchArchive, detect, open_archive
from nxconvert.formats.torch_export import read_program
from nxconvert.frontends.pytorch.export.model import lower_program
from nxconvert.frontends.pytorch.remarks import remarked
from nxconvert.frontends.pytorch.script.model import read_script
from nxconvert.frontends.pytorch.without_program import explain
from nxconvert.plugins import ReadOptions

_WITHOUT_PROGRAM = (Kind.SAVED, Kind.SAVED_LEGACY)
_UNKNOWN = "which this version does not read"
# What to do about the kinds that hold something else than a program.
_INSTEAD = {
    Kind.COMPILED: (
        "which holds machine code for one kind of processor and no graph that could be converted. Where it was "
        "compiled, save what went into it: torch.export.save(torch.export.export(model, example), 'model.pt2')"
    ),
    Kind.PACKAGE: (
        "which holds Python code that would have to be run. Load it with torch.package.PackageImporter, and save the "
        "model with torch.export.save or torch.jit.save"
    ),
}


def read(path: Path, options: ReadOptions) -> ir.Model:
    """The model in a file of PyTorch's, lowered to the shared graph.

    Raises:
        ReadError: the file is damaged, hostile, or holds no program.
        UnsupportedError: the program uses operators that have no lowering; all of them are listed.
    """
    options.progress("reading", None)
    if is_safetensors(path) or detect(path) in _WITHOUT_PROGRAM:
        raise explain(path)
    with open_archive(path) as archive:
        if archive.kind() in (Kind.TORCHSCRIPT, Kind.TORCHSCRIPT_LEGACY):
            return remarked(read_script(archive, options), options)
        if archive.kind() is Kind.EXPORTED:
            return remarked(_read_exported(archive, options), options)
        raise ReadError(f"{path} is {archive.kind().value}, {_INSTEAD.get(archive.kind(), _UNKNOWN)}.")


def _read_exported(archive: TorchArchive, options: ReadOptions) -> ir.Model:
    program = read_program(archive)
    try:
        return lower_program(program, options)
    except ReadError as error:
        raise ReadError(f"{archive.path}: {error}") from error

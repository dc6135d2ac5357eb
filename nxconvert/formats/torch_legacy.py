"""TorchScript archives of PyTorch 1.0 to 1.2, seen as if a later PyTorch had written them.

Their zip holds ``model.json`` (the ``ModelDef`` of ``caffe2/proto/torch.proto``: the tree of modules and the tensors),
the raw storages ``tensors/<n>``, ``attributes.pkl`` (a tuple of what the modules have beside tensors, from 1.1 on), a
file of methods ``code/<module>.py`` for each module that has any, with ``debug/<module>.pkl`` from 1.2 on, and the
classes of the program in ``libs/**.py``. ``CONSTANTS.c0`` is the first tensor of the table.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import Any

from nxconvert.errors import ReadError
from nxconvert.formats.torch_archive import TorchArchive
from nxconvert.formats.torch_values import Quantizer, ScriptObject, TensorData, TorchGlobals
from nxconvert.formats.unpickle import unpickle

__all__ = ["LegacyArchive"]

_MODEL, _ATTRIBUTES = "model.json", "attributes.pkl"
_MODULES = "__module__"
_MAX_DEPTH = 100
_MAX_JSON = 256 << 20

# Caffe2's names of element types -> PyTorch's names of storages.
_STORAGES = {
    "FLOAT": "Float",
    "DOUBLE": "Double",
    "FLOAT16": "Half",
    "INT8": "Char",
    "INT16": "Short",
    "INT32": "Int",
    "INT64": "Long",
    "UINT8": "Byte",
    "BYTE": "Byte",
    "BOOL": "Bool",
}
_QUANTIZED = {"UINT8": "QUInt8", "INT8": "QInt8", "INT32": "QInt32"}
_OPERATOR_SET = re.compile(r"op_version_set = (\d+)\s")
# What values of another type than expected raise.
_MISFITS = (TypeError, ValueError, AttributeError, IndexError, KeyError)


class LegacyArchive(TorchArchive):
    """An archive with a ``model.json``, decoded piece by piece as it is asked for."""

    @cached_property
    def version(self) -> int:
        """The version of the operator set, below those of later archives: -1 for PyTorch 1.0 and 1.1, 0 for 1.2."""
        found = [_OPERATOR_SET.match(self.code[path]) for path in self.module_files.values() if path]
        return max((int(match[1]) for match in found if match), default=1) - 1

    @cached_property
    def data(self) -> ScriptObject:
        """The root module."""
        with self._known_form():
            return self._module(self._model["mainModule"], ())

    @cached_property
    def constants(self) -> tuple[TensorData, ...]:
        """The table of tensors."""
        return self._tensors

    @cached_property
    def code(self) -> Mapping[str, str]:
        """The source files by their path: those of the classes below ``code/`` as later archives have them."""
        paths = {name: name for name in self.members if name.startswith("code/")}
        paths.update({f"code/{name[5:]}": name for name in self.members if name.startswith("libs/")})
        return {path: self._text(name) for path, name in paths.items() if name.endswith(".py")}

    @cached_property
    def module_files(self) -> Mapping[str, str]:
        """The file with the methods of each module, empty for one that has none, by the name of the module's class."""
        files: dict[str, str] = {}

        def collect(module: Any, path: tuple[str, ...]) -> None:
            path = _below(path, module)
            files[_class_of(path)] = str(module.get("torchscriptArena", {}).get("key", ""))
            for child in module.get("submodules", ()):
                collect(child, path)

        with self._known_form():
            collect(self._model["mainModule"], ())
        return files

    def source_ranges(self, path: str) -> Any:
        """The decoded ``debug/*.pkl`` of a file of methods; None if there is none."""
        name = f"debug/{path.removeprefix('code/').removesuffix('.py')}.pkl"
        return self._unpickle(name, "") if name in self else None

    @cached_property
    def _model(self) -> Any:
        try:
            return json.loads(self.read(_MODEL, _MAX_JSON))
        except (ValueError, RecursionError) as error:
            raise ReadError(f"{self.path} is damaged: its {_MODEL} is no JSON.") from error

    @contextmanager
    def _known_form(self) -> Iterator[None]:
        """Reports whatever does not fit the layout."""
        try:
            yield
        except _MISFITS as error:
            raise ReadError(f"{self.path} is damaged: its {_MODEL} has an unknown form ({error}).") from error

    @cached_property
    def _tensors(self) -> tuple[TensorData, ...]:
        meaning = self._globals(_MODEL, "", strict=True)
        with self._known_form():
            return tuple(_tensor(meaning, entry) for entry in self._model.get("tensors", ()))

    @cached_property
    def _attributes(self) -> Any:
        if _ATTRIBUTES not in self:
            return ()
        meaning = self._globals(_ATTRIBUTES, "", strict=True)
        meaning.define("torch.jit._pickle", "build_tensor_from_id", lambda index: self._tensors[index])
        return unpickle(
            self.read(_ATTRIBUTES), meaning.find_global, meaning.persistent_load, f"{self.path}: {_ATTRIBUTES}"
        )

    def _module(self, definition: Any, path: tuple[str, ...]) -> ScriptObject:
        path = _below(path, definition)
        module = ScriptObject(_class_of(path))
        attributes = module.attributes
        for child in definition.get("submodules", ()):
            attributes[child["name"]] = self._module(child, path)
        for parameter in definition.get("parameters", ()):
            attributes[parameter["name"]] = self._tensors[_index(parameter["tensorId"])]
        for attribute in definition.get("attributes", ()):
            index = int(attribute.get("id", -1))
            attributes.setdefault(attribute["name"], None if index < 0 else self._attributes[index])
        if "getStateAttributeId" in definition:
            module.state = self._attributes[_index(definition["getStateAttributeId"])]
        return module


def _below(path: tuple[str, ...], definition: Any) -> tuple[str, ...]:
    """The path of a module in the one at `path`."""
    if len(path) >= _MAX_DEPTH:
        raise ValueError("modules are nested without end")
    return (*path, str(definition["name"]))


def _class_of(path: tuple[str, ...]) -> str:
    """The name of a module's class: a module has one of its own, which is nobody else's."""
    return ".".join((_MODULES, *path))


def _index(text: Any) -> int:
    """A position in a table: 64-bit integers are strings in the JSON of protobuf."""
    index = int(text)
    if index < 0:
        raise ValueError(f"the position {index}")
    return index


def _tensor(meaning: TorchGlobals, entry: Any) -> TensorData:
    """A ``TensorDef``: a view of a storage."""
    quantized = bool(entry.get("isQuantized"))
    kind = (_QUANTIZED if quantized else _STORAGES)[entry["dataType"]]
    quantizer = None
    if quantized:
        quantizer = Quantizer("per_tensor_affine", float(entry.get("scale", 1)), int(entry.get("zeroPoint", 0)))
    return meaning.view(
        meaning.open_storage(kind, str(entry["data"]["key"]), str(entry.get("device", "cpu"))),
        int(entry.get("offset", 0)),
        tuple(map(int, entry.get("dims", ()))),
        tuple(map(int, entry.get("strides", ()))),
        bool(entry.get("requiresGrad")),
        quantizer,
    )

"""Turns what an archive's pickles hold into the interpreter's values: modules, parameters, constants."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nxconvert.errors import ReadError
from nxconvert.formats.torch_archive import TorchArchive
from nxconvert.formats.torch_values import Device, EnumValue, ScriptObject, TensorData
from nxconvert.formats.torchscript import ClassInfo, EnumInfo, Info, NamedTupleInfo, ScriptCode
from nxconvert.frontends.pytorch.ops.complex import load_complex
from nxconvert.frontends.pytorch.ops.quantized import load_packed, load_quantized
from nxconvert.frontends.pytorch.packed_params import CLASSES
from nxconvert.frontends.pytorch.script import kinship
from nxconvert.frontends.pytorch.script.frames import BoundMethod, Frame
from nxconvert.frontends.pytorch.script.values import Box, Cell, DictCell, EnumMember, ListCell, Named, ObjectCell
from nxconvert.frontends.pytorch.table import NumberConstant
from nxconvert.graph.builder import Builder

if TYPE_CHECKING:
    from nxconvert.frontends.pytorch.script.interpreter import Interpreter

# Cells of the archive were there before any block was opened.
BEFORE_EVERYTHING = -1


class Tensors:
    """Loads the tensors of an archive into a graph, each once."""

    def __init__(self, op: Builder) -> None:
        self._op = op
        self._boxes: dict[Any, Box] = {}
        self._sharing: dict[str, list[Box]] = {}

    def load(self, raw: TensorData, path: str) -> Box:
        """A tensor as a value of the machine, under the name that the source has for it."""
        box = self._boxes.get(raw.key)
        if box is None:
            content: Any
            if raw.quantizer is not None:
                content = load_quantized(self._op, raw, path)
            elif raw.is_complex:
                content = load_complex(self._op, raw, path)
            else:
                content = self._op.weight(raw.to_ir(path), path, raw.key)
            box = self._boxes[raw.key] = Box(content)
            box.born = BEFORE_EVERYTHING
            # Tensors that share a storage, seen in other ways: changing one in place would change the others.
            sharing = self._sharing.setdefault(raw.storage.key, [])
            for other in sharing:
                kinship.relate(box, [other])
                kinship.relate(other, [box])
            sharing.append(box)
        return box


class Loader:
    """Loads attributes when they are first asked for: a weight that nothing uses never gets into the graph."""

    def __init__(self, archive: TorchArchive, code: ScriptCode, interpreter: Interpreter) -> None:
        self._archive = archive
        self._code = code
        self._interpreter = interpreter
        self._op = interpreter.op  # that of the whole model, whichever block first asks for something
        self._objects: dict[int, tuple[ScriptObject, ObjectCell]] = {}
        self._packed: dict[int, tuple[ScriptObject, Any]] = {}
        self._tensors = Tensors(self._op)
        self._constants: dict[str, Any] = {}

    def root(self) -> ObjectCell:
        """The archive's root module.

        Raises:
            ReadError: if its root is something else.
        """
        data = self._archive.data
        if not isinstance(data, ScriptObject):
            raise ReadError(f"{self._archive.path} holds a {type(data).__name__}, not a module.")
        return self._object(data, "")

    def class_of(self, cell: ObjectCell) -> Info | None:
        """The class of an object as the archive's code defines it; None for classes that are built into PyTorch."""
        return self._code.find(cell.qualname)

    def attribute(self, cell: ObjectCell, name: str) -> Any:
        """An attribute as a value, loaded at the first access."""
        if name in cell.attributes:
            value = cell.attributes[name]
            if isinstance(value, _Pending):
                path = f"{cell.path}.{name}" if cell.path else name
                value = cell.attributes[name] = self.load(value.raw, path)
            return value
        info = self.class_of(cell)
        if isinstance(info, ClassInfo):
            if name in info.constants:
                return self._interpreter.evaluate(info.constants[name], Frame(info.path, {}))
            if name in info.methods:
                return BoundMethod(info.methods[name], cell)
        raise ReadError(f"{self._archive.path} is damaged: {cell.qualname} has no attribute '{name}'.")

    def preload(self, cell: ObjectCell, name: str) -> None:
        """Loads an attribute that is about to be replaced, so that it can be put back."""
        if name in cell.attributes:
            self.attribute(cell, name)

    @staticmethod
    def is_pending(value: Any) -> bool:
        """Whether an attribute has not been loaded yet."""
        return isinstance(value, _Pending)

    def constant(self, name: str) -> Any:
        """``CONSTANTS.c0`` and so on."""
        if name not in self._constants:
            index = int(name[1:]) if name[1:].isdigit() else -1
            constants = self._archive.constants
            if not 0 <= index < len(constants):
                raise ReadError(
                    f"{self._archive.path} is damaged: its code names the constant {name}, which it does not have."
                )
            raw, path = constants[index], f"CONSTANTS.{name}"
            if isinstance(raw, TensorData) and not raw.shape and raw.quantizer is None and not raw.is_complex:
                self._constants[name] = Box(self._op.weight(raw.to_ir(path), path, ("number", raw.key), NumberConstant))
                self._constants[name].born = BEFORE_EVERYTHING
            elif isinstance(raw, TensorData) and not raw.shape and raw.is_complex:
                self._constants[name] = complex(raw.numpy())
            else:
                self._constants[name] = self.load(raw, path)
        return self._constants[name]

    def load(self, raw: Any, path: str) -> Any:
        """A value of a pickle as a value of the interpreter."""
        value = self._load(raw, path)
        if isinstance(value, Cell):
            value.born = BEFORE_EVERYTHING
        return value

    def _load(self, raw: Any, path: str) -> Any:
        if isinstance(raw, TensorData):
            return self._tensors.load(raw, path)
        if isinstance(raw, ScriptObject):
            return self._named_or_object(raw, path)
        if isinstance(raw, dict):
            return DictCell({key: self.load(item, f"{path}.{key}") for key, item in raw.items()})
        if isinstance(raw, list):
            return ListCell(tuple(self.load(item, f"{path}.{i}") for i, item in enumerate(raw)), _elem_of(raw))
        if isinstance(raw, tuple):
            return tuple(self.load(item, f"{path}.{i}") for i, item in enumerate(raw))
        if isinstance(raw, Device):
            return raw.name
        if isinstance(raw, EnumValue):
            info = self._code.find(raw.qualname)
            members = info.members if isinstance(info, EnumInfo) else {}
            return EnumMember(raw.qualname, next((n for n, v in members.items() if v == raw.value), ""), raw.value)
        return raw

    def _named_or_object(self, raw: ScriptObject, path: str) -> Any:
        if raw.qualname.startswith(CLASSES):
            packed = self._packed.get(id(raw))
            if packed is None:
                packed = self._packed[id(raw)] = (raw, load_packed(self._op, raw, path))
            return packed[1]
        info = self._code.find(raw.qualname)
        if isinstance(info, NamedTupleInfo):
            items = [self.load(raw.attributes[name], f"{path}.{name}") for name in info.fields]
            return Named.make(raw.qualname, tuple(info.fields), items)
        return self._object(raw, path)

    def _object(self, raw: ScriptObject, path: str) -> ObjectCell:
        known = self._objects.get(id(raw))
        if known is None:
            cell = ObjectCell(raw.qualname, {name: _Pending(value) for name, value in raw.attributes.items()}, path)
            # The raw object is kept alive, so that its id stays its own.
            known = self._objects[id(raw)] = (raw, cell)
            info = self.class_of(cell)
            if raw.state is not None and isinstance(info, ClassInfo) and "__setstate__" in info.methods:
                with self._interpreter.building(self._op):
                    self._interpreter.call(info.methods["__setstate__"], (cell, self.load(raw.state, path)), {})
            cell.born = BEFORE_EVERYTHING  # only now: what it is made of is no change to it
        return known[1]


class _Pending:
    """An attribute that has not been asked for yet."""

    __slots__ = ("raw",)

    def __init__(self, raw: Any) -> None:
        self.raw = raw


def _elem_of(raw: list[Any]) -> str | None:
    tag = getattr(raw, "type_tag", None)
    return tag[5:-1] if tag and tag.startswith("List[") else None

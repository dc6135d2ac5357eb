"""The syntax of TorchScript: classes and functions of an archive's source code, found by qualified name.

The serializer (``torch/csrc/jit/serialization/python_print.cpp``) writes a typed subset of Python.  The class
``__torch__.a.b.C`` is in the file ``code/__torch__/a/b.py``; a mangled twin, ``__torch__.a.b.___torch_mangle_4.C``,
in ``code/__torch__/a/b/___torch_mangle_4.py``.  Files are parsed when a name of theirs is asked for, once.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from nxconvert.errors import ReadError
from nxconvert.formats.torch_archive import TorchArchive
from nxconvert.formats.torchscript_ranges import Frame, SourceRanges

__all__ = [
    "ClassInfo",
    "EnumInfo",
    "Frame",
    "FunctionInfo",
    "Info",
    "InterfaceInfo",
    "NamedTupleInfo",
    "ScriptCode",
]


@dataclass(frozen=True, slots=True, eq=False)
class FunctionInfo:
    """A free function or a method.

    Attributes:
        qualname: e.g. ``__torch__.torch.nn.functional.pad`` or ``__torch__.Net.forward``.
        path: the file in the archive.
        node: the definition.
    """

    qualname: str
    path: str
    node: ast.FunctionDef

    @property
    def name(self) -> str:
        """The last part of the qualified name."""
        return self.node.name

    @property
    def args(self) -> list[tuple[str, ast.expr | None]]:
        """The parameters in order, a method's ``self`` first, each with its annotation."""
        return [(arg.arg, arg.annotation) for arg in self.node.args.args]

    @property
    def defaults(self) -> dict[str, ast.expr]:
        """The default values of the parameters that have one, by name."""
        names, values = self.node.args.args, self.node.args.defaults
        pairs = zip(names[len(names) - len(values) :], values, strict=True)
        return {arg.arg: value for arg, value in pairs if not _is_missing(value)}

    @property
    def returns(self) -> ast.expr | None:
        """The annotated type of the result."""
        return self.node.returns

    @property
    def body(self) -> list[ast.stmt]:
        """The statements."""
        return self.node.body


@dataclass(frozen=True, slots=True, eq=False)
class ClassInfo:
    """A module's or a plain class.

    Attributes:
        qualname: its qualified name.
        path: the file in the archive.
        base: ``Module`` for modules, empty for plain classes, else the base class's name (``Exception``).
        attributes: the declared attributes in order with their types, including names that are no identifiers ("0").
        constants: the values of ``Final`` attributes, which the pickle does not hold.
        methods: by name; ``__getstate__``, ``__setstate__`` and ``__init__`` too where they exist.
        parameters: which attributes are parameters.
        buffers: which attributes are buffers.
        pre_hooks: the methods that are called before ``forward``, in order.
        hooks: the methods that are called after ``forward``, in order.
    """

    qualname: str
    path: str
    base: str
    attributes: dict[str, ast.expr]
    constants: dict[str, ast.expr]
    methods: dict[str, FunctionInfo]
    parameters: tuple[str, ...] = ()
    buffers: tuple[str, ...] = ()
    pre_hooks: tuple[str, ...] = ()
    hooks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class NamedTupleInfo:
    """A named tuple: its fields in order with their types, and the defaults of those that have one."""

    qualname: str
    path: str
    fields: dict[str, ast.expr]
    defaults: dict[str, ast.expr]


@dataclass(frozen=True, slots=True, eq=False)
class EnumInfo:
    """An enum: its members in order with their values (int, float or str)."""

    qualname: str
    path: str
    members: dict[str, int | float | str]


@dataclass(frozen=True, slots=True, eq=False)
class InterfaceInfo:
    """An interface: the signatures that an implementation has.  Which class it is, the value tells."""

    qualname: str
    path: str
    methods: dict[str, FunctionInfo]


def _is_missing(default: ast.expr) -> bool:
    return isinstance(default, ast.Constant) and default.value is ...


Info = ClassInfo | FunctionInfo | NamedTupleInfo | EnumInfo | InterfaceInfo

# Words that Python reserves and TorchScript does not: a module may have an attribute of that name.
_FOREIGN_KEYWORDS = re.compile(
    r'("(?:[^"\\]|\\.)*")|\b(async|await|except|finally|from|lambda|nonlocal|try|yield)\b', re.ASCII
)
# A parameter without a default, which in TorchScript may follow one that has one: a line of its own.
_PLAIN_PARAMETER = re.compile(r"^(    \s*\w+: [^=\n]+?)(,|\) -> .*:)$", re.MULTILINE)
# Python folds such letters (fullwidth forms) to ASCII in identifiers, but does not look for keywords among them.
_FULLWIDTH_SHIFT = 0xFEE0


class ScriptCode:
    """The code of one archive."""

    def __init__(self, archive: TorchArchive) -> None:
        self._archive = archive
        self._files: dict[str, _File | None] = {}
        self._modules: dict[str, ClassInfo] = {}

    def find(self, qualname: str) -> Info | None:
        """What `qualname` names, or None if the archive does not define it (built-in and custom C++ classes).

        Raises:
            ReadError: the file that should define it is damaged.
        """
        if qualname in self._archive.module_files:
            return self._module(qualname, self._archive.module_files[qualname])
        qualifier, _, name = qualname.rpartition(".")
        file = self._file(f"code/{qualifier.replace('.', '/')}.py")
        return file.definition(name, qualname) if file else None

    def _module(self, qualname: str, path: str) -> ClassInfo:
        """The class of a module whose methods are a file of their own; none are, if it has no file."""
        if qualname not in self._modules:
            file = self._file(path)
            methods = file.functions(qualname) if file else {}
            self._modules[qualname] = ClassInfo(qualname, path, "Module", {}, {}, methods)
        return self._modules[qualname]

    def lookup(self, qualname: str) -> Info:
        """What `qualname` names.

        Raises:
            ReadError: the archive does not define it, or the file that does is damaged.
        """
        info = self.find(qualname)
        if info is None:
            raise ReadError(f"{self._archive.path} is incomplete: its code does not define {qualname}.")
        return info

    def location(self, path: str, node: ast.AST) -> str:
        """Where `node` of the file `path` comes from: ``user_file.py:123``.

        The innermost place outside PyTorch itself where the archive records a stack (traced models); the place in
        the archive, ``code/__torch__/x.py:12``, where it records nothing.
        """
        frames = self.frames(path, node)
        frame = next((frame for frame in frames if not frame.is_torch), frames[0] if frames else None)
        return f"{frame.file}:{frame.line}" if frame else f"{path}:{getattr(node, 'lineno', 1)}"

    def frames(self, path: str, node: ast.AST) -> tuple[Frame, ...]:
        """The user's stack for `node`, innermost first; one frame for scripted code, none if nothing is recorded."""
        file = self._file(path)
        return file.frames(node) if file else ()

    def _file(self, path: str) -> _File | None:
        if path not in self._files:
            self._files[path] = _File(self._archive, path) if path in self._archive.code else None
        return self._files[path]


class _File:
    """One source file: parsed at once, its definitions wrapped and its source ranges decoded when asked for."""

    def __init__(self, archive: TorchArchive, path: str) -> None:
        self._archive = archive
        self._path = path
        self._source = archive.code[path]
        self._masked = self._source
        self._nodes = {
            node.name: node for node in self._parse().body if isinstance(node, ast.ClassDef | ast.FunctionDef)
        }
        self._infos: dict[str, Info] = {}

    def _parse(self) -> ast.Module:
        try:
            try:
                return ast.parse(self._source)
            except SyntaxError:
                self._masked = _FOREIGN_KEYWORDS.sub(_mask, self._source)
                # Nothing follows a parameter in its line that is ever looked up by its column.
                return ast.parse(_PLAIN_PARAMETER.sub(r"\1=...\2", self._masked))
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            where = f" at line {error.lineno}" if isinstance(error, SyntaxError) else ""
            raise ReadError(
                f"{self._archive.path} is damaged: its code {self._path} cannot be parsed{where} "
                f"({getattr(error, 'msg', None) or type(error).__name__})."
            ) from error

    def definition(self, name: str, qualname: str) -> Info | None:
        """The class or function `name`."""
        info = self._infos.get(name)
        if info is None and name in self._nodes:
            node = self._nodes[name]
            if isinstance(node, ast.FunctionDef):
                info = FunctionInfo(qualname, self._path, node)
            else:
                info = self._class(node, qualname)
            self._infos[name] = info
        return info

    def functions(self, qualname: str) -> dict[str, FunctionInfo]:
        """All functions of the file, as methods of `qualname`."""
        return {
            name: FunctionInfo(f"{qualname}.{name}", self._path, node)
            for name, node in self._nodes.items()
            if isinstance(node, ast.FunctionDef)
        }

    def _class(self, node: ast.ClassDef, qualname: str) -> Info:
        base = node.bases[0].id if node.bases and isinstance(node.bases[0], ast.Name) else ""
        methods = {
            item.name: FunctionInfo(f"{qualname}.{item.name}", self._path, item)
            for item in node.body
            if isinstance(item, ast.FunctionDef)
        }
        annotations: dict[str, ast.expr] = {}
        values: dict[str, ast.expr] = {}
        for item in node.body:
            match item:
                case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation, value=value):
                    annotations[name] = annotation
                    if value is not None:
                        values[name] = value
                case ast.Assign(targets=[ast.Name(id=name)], value=value):
                    values[name] = value
                case ast.Assign(targets=[ast.Subscript(slice=ast.Constant(value=str(name)))], value=annotation):
                    annotations[name] = annotation  # __annotations__["0"] = T
        if base == "NamedTuple":
            return NamedTupleInfo(qualname, self._path, annotations, values)
        if base == "Enum":
            return EnumInfo(qualname, self._path, {name: self._literal(value) for name, value in values.items()})
        if base in ("Interface", "ModuleInterface"):
            return InterfaceInfo(qualname, self._path, methods)
        values.pop("__annotations__", None)
        names = [tuple(self._literal(values.pop(key))) if key in values else () for key in _NAME_LISTS]
        return ClassInfo(qualname, self._path, base, annotations, values, methods, *names)

    def _literal(self, node: ast.expr) -> Any:
        try:
            return ast.literal_eval(node)
        except (ValueError, TypeError, RecursionError) as error:
            raise ReadError(
                f"{self._archive.path} is damaged: {self._path}:{node.lineno} should be a literal."
            ) from error

    @cached_property
    def _ranges(self) -> SourceRanges:
        return SourceRanges(self._archive.source_ranges(self._path))

    @cached_property
    def _line_starts(self) -> list[int]:
        """The offset in bytes of each line of the source as it is in the archive."""
        starts = [0]
        for line in self._source.encode().split(b"\n"):
            starts.append(starts[-1] + len(line) + 1)
        return starts

    def frames(self, node: ast.AST) -> tuple[Frame, ...]:
        """The user's stack for a node of this file."""
        if isinstance(node, ast.Assign | ast.AnnAssign | ast.Expr | ast.Return) and node.value is not None:
            # Ranges start with the expressions: the target of an assignment still belongs to the line before.
            node = node.value
        line, column = getattr(node, "lineno", 1), getattr(node, "col_offset", 0)
        if self._masked is not self._source:
            prefix = self._masked.split("\n")[line - 1].encode()[:column].decode(errors="ignore")
            column = len("".join(_unmask(letter) for letter in prefix).encode())
        return self._ranges.frames(self._line_starts[min(line, len(self._line_starts)) - 1] + column)


_NAME_LISTS = ("__parameters__", "__buffers__", "__forward_pre_hooks__", "__forward_hooks__")


def _mask(match: re.Match[str]) -> str:
    """A keyword with its first letter in fullwidth form; string literals as they are."""
    string, word = match.groups()
    return string or chr(ord(word[0]) + _FULLWIDTH_SHIFT) + word[1:]


def _unmask(letter: str) -> str:
    return chr(ord(letter) - _FULLWIDTH_SHIFT) if 0xFF41 <= ord(letter) <= 0xFF5A else letter

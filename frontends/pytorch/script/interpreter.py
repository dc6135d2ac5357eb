"""The interpreter: runs TorchScript's statements and expressions, calls inlined, over static and traced values.

The saved code is structured: no ``return``, ``break`` or ``continue`` inside a block, and no name that is assigned in
one branch only is read after it. Control flow that depends on data is in
:mod:`~nxconvert.frontends.pytorch.script.branches` and
:mod:`~nxconvert.frontends.pytorch.script.loops`, operators are called in
:mod:`~nxconvert.frontends.pytorch.script.dispatch`.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable
from typing import Any

from nxconvert.errors import ReadError
from nxconvert.formats.torch_archive import TorchArchive
from nxconvert.formats.torchscript import ClassInfo, EnumInfo, FunctionInfo, NamedTupleInfo, ScriptCode
from nxconvert.frontends.pytorch.script import branches, choices, dispatch, loops, mappings, numbers, upgrades
from nxconvert.frontends.pytorch.script.frames import BoundMethod, Frame
from nxconvert.frontends.pytorch.script.machine import Machine
from nxconvert.frontends.pytorch.script.objects import Loader
from nxconvert.frontends.pytorch.script.strings import to_text
from nxconvert.frontends.pytorch.script.values import (
    Box,
    Choice,
    DictCell,
    EnumMember,
    ListCell,
    Maybe,
    Named,
    ObjectCell,
    Uninitialized,
)  # fmt: skip
from nxconvert.frontends.pytorch.table import LoweringError
from nxconvert.graph.builder import Builder, GraphTypeError

MAX_CALL_DEPTH = 200
_CONSTANT_NAMES = {"inf": math.inf, "nan": math.nan, "None": None, "True": True, "False": False}


class _Returned:
    """What a function returned."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


class Interpreter(Machine):
    """Runs one archive's code into a builder.

    Attributes:
        code: the archive's code.
        loader: makes values of what the archive's pickles hold.
    """

    def __init__(self, archive: TorchArchive, code: ScriptCode, op: Builder, warn: Callable[[str], None]) -> None:
        super().__init__(op, warn)
        self.archive = archive
        self.code = code
        self.loader = Loader(archive, code, self)
        self._depth = 0
        self._where: tuple[str, ast.AST] | None = None
        self._statements: dict[type, Callable[[Any, Frame], _Returned | None]] = {
            ast.Assign: self._assign,
            ast.AnnAssign: self._annotated_assign,
            ast.Expr: self._expression_statement,
            ast.If: self._if,
            ast.For: self._for,
            ast.While: self._while,
            ast.With: self._with,
            ast.Return: self._return,
            ast.Pass: lambda node, frame: None,
        }
        self._expressions: dict[type, Callable[[Any, Frame], Any]] = {
            ast.Name: self._name,
            ast.Constant: lambda node, frame: node.value,
            ast.Call: self._call,
            ast.Attribute: self._attribute,
            ast.Subscript: self._subscript,
            ast.Tuple: lambda node, frame: tuple(self.evaluate(item, frame) for item in node.elts),
            ast.List: lambda node, frame: ListCell(tuple(self.evaluate(item, frame) for item in node.elts)),
            ast.Dict: self._dict,
            ast.UnaryOp: lambda node, frame: numbers.calculate(self.op, "neg", self.evaluate(node.operand, frame)),
            ast.BinOp: lambda node, frame: ast.literal_eval(node),  # a complex number, 2.-1.j
        }

    # ---- where we are ------------------------------------------------------------------------------------------------

    @property
    def where(self) -> str:
        """The user's file and line of what is being run."""
        return self.code.location(*self._where) if self._where else ""

    # ---- calls of functions ------------------------------------------------------------------------------------------

    def call_method(self, receiver: ObjectCell, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Calls a method, under the name of its module."""
        info = self.loader.class_of(receiver)
        function = info.methods.get(name) if isinstance(info, ClassInfo) else None
        if function is None:
            raise ReadError(f"{self.archive.path} is damaged: {receiver.qualname} has no method '{name}'.")
        scope = self.op.scope
        self.op.scope = receiver.path or scope
        try:
            return self.call(function, (receiver, *args), kwargs)
        finally:
            self.op.scope = scope

    def call_root(self, receiver: ObjectCell, args: tuple[Any, ...]) -> Any:
        """Calls the root's ``forward`` with its hooks around it; the hooks of its children are calls in the code."""
        info = self.loader.class_of(receiver)
        assert isinstance(info, ClassInfo)
        for hook in info.pre_hooks:
            changed = self.call(info.methods[hook], (receiver, args), {})
            args = args if changed is None else changed if isinstance(changed, tuple) else (changed,)
        result = self.call_method(receiver, "forward", args, {})
        for hook in info.hooks:
            changed = self.call(info.methods[hook], (receiver, args, result), {})
            result = result if changed is None else changed
        return result

    def call(self, function: FunctionInfo, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Runs a function's body with these arguments."""
        if self._depth >= MAX_CALL_DEPTH:
            raise ReadError(f"{self.archive.path}: the calls in its code are nested more than {MAX_CALL_DEPTH} deep.")
        frame = Frame(function.path, {})
        names = [name for name, _ in function.args]
        frame.variables.update(zip(names, args, strict=False))
        frame.variables.update(kwargs)
        defaults = function.defaults
        for name in names:
            if name not in frame.variables:
                if name not in defaults:
                    raise ReadError(
                        f"{self.archive.path} is damaged: {function.qualname} is called without its argument '{name}'."
                    )
                frame.variables[name] = self.evaluate(defaults[name], frame)
        self._depth += 1
        try:
            returned = self.run(function.body, frame)
        finally:
            self._depth -= 1
        return returned.value if returned is not None else None

    def run(self, body: list[ast.stmt], frame: Frame) -> _Returned | None:
        """Runs statements in order."""
        self.steps += len(body) + 1
        for statement in body:
            handler = self._statements.get(type(statement))
            if handler is None:
                raise ReadError(f"{frame.path}:{statement.lineno} is no TorchScript: {type(statement).__name__}.")
            returned = handler(statement, frame)
            if returned is not None:
                return returned
        return None

    # ---- statements --------------------------------------------------------------------------------------------------

    def _assign(self, node: ast.Assign, frame: Frame) -> None:
        value = self.evaluate(node.value, frame)
        for target in node.targets:
            self.bind(target, value, frame)

    def _annotated_assign(self, node: ast.AnnAssign, frame: Frame) -> None:
        if node.value is not None:
            self.bind(node.target, self.evaluate(node.value, frame), frame)

    def bind(self, target: ast.expr, value: Any, frame: Frame) -> None:
        """Assigns to a name, an attribute or a tuple of those."""
        if isinstance(target, ast.Name):
            frame.variables[target.id] = value
        elif isinstance(target, (ast.Tuple, ast.List)):
            items = dispatch.unpack(self, value, len(target.elts))
            for element, item in zip(target.elts, items, strict=True):
                self.bind(element, item, frame)
        elif isinstance(target, ast.Attribute):
            receiver = self.evaluate(target.value, frame)
            self.loader.preload(receiver, target.attr)
            self.journal.write(receiver, target.attr, value)
        else:
            raise ReadError(f"{frame.path}:{target.lineno} is no TorchScript: assignment to {type(target).__name__}.")

    def _expression_statement(self, node: ast.Expr, frame: Frame) -> None:
        self.evaluate(node.value, frame)

    def _return(self, node: ast.Return, frame: Frame) -> _Returned:
        return _Returned(None if node.value is None else self.evaluate(node.value, frame))

    def _with(self, node: ast.With, frame: Frame) -> _Returned | None:
        # The context managers of TorchScript (no_grad, profiling) change nothing about inference.
        for item in node.items:
            self.evaluate(item.context_expr, frame)
        return self.run(node.body, frame)

    def _if(self, node: ast.If, frame: Frame) -> _Returned | None:
        condition = self.truth(self.evaluate(node.test, frame))
        if isinstance(condition, bool):
            return self.run(node.body if condition else node.orelse, frame)
        branches.traced_if(self, condition.value, node, frame)
        return None

    def _for(self, node: ast.For, frame: Frame) -> None:
        loops.for_loop(self, node, frame)

    def _while(self, node: ast.While, frame: Frame) -> None:
        loops.while_loop(self, node, frame)

    # ---- expressions -------------------------------------------------------------------------------------------------

    def evaluate(self, node: ast.expr, frame: Frame) -> Any:
        """The value of an expression."""
        handler = self._expressions.get(type(node))
        if handler is None:
            raise ReadError(f"{frame.path}:{node.lineno} is no TorchScript: {type(node).__name__}.")
        return handler(node, frame)

    def _name(self, node: ast.Name, frame: Frame) -> Any:
        try:
            return frame.variables[node.id]
        except KeyError:
            pass
        if node.id in _CONSTANT_NAMES:
            return _CONSTANT_NAMES[node.id]
        raise ReadError(
            f"{frame.path}:{node.lineno}: the name {node.id} is not defined; the archive's code is damaged."
        )

    def _attribute(self, node: ast.Attribute, frame: Frame) -> Any:
        path = dotted(node, frame)
        if path is not None:
            return self._global(path, node, frame)
        return self.get_attribute(self.evaluate(node.value, frame), node.attr)

    def _global(self, path: str, node: ast.expr, frame: Frame) -> Any:
        root, _, rest = path.partition(".")
        if root == "CONSTANTS":
            return self.loader.constant(rest)
        if root == "__torch__":
            owner, _, member = path.rpartition(".")
            enum = self.code.find(owner)
            if isinstance(enum, EnumInfo):
                return EnumMember(owner, member, enum.members[member])
            info = self.code.lookup(path)
            return BoundMethod(info, None) if isinstance(info, FunctionInfo) else info
        if root == "torch":
            return dispatch.torch_constant(rest)
        raise ReadError(f"{frame.path}:{node.lineno}: the name {path} is not defined; the archive's code is damaged.")

    def get_attribute(self, value: Any, name: str) -> Any:
        """An attribute of a module, an object, a named tuple or an enum member."""
        if isinstance(value, ObjectCell):
            return self.loader.attribute(value, name)
        if isinstance(value, Named):
            return value[value.fields.index(name)]
        if isinstance(value, EnumMember):
            return value.name if name == "name" else value.value
        if isinstance(value, Choice):
            return choices.each(self, value, lambda option: self.get_attribute(option, name))
        raise ReadError(f"{self.archive.path} is damaged: its code asks a {type(value).__name__} for its '{name}'.")

    def _subscript(self, node: ast.Subscript, frame: Frame) -> Any:
        value = self.evaluate(node.value, frame)
        if isinstance(node.slice, ast.Slice):  # of a tuple: what the bounds are is known
            bounds = (
                None if bound is None else self.evaluate(bound, frame) for bound in (node.slice.lower, node.slice.upper)
            )
            return tuple(value)[slice(*bounds)]
        return dispatch.get_item(self, value, self.evaluate(node.slice, frame))

    def _dict(self, node: ast.Dict, frame: Frame) -> DictCell:
        keys = [self.evaluate(key, frame) for key in node.keys if key is not None]
        return mappings.make(self, zip(keys, (self.evaluate(value, frame) for value in node.values), strict=True))

    # ---- calls -------------------------------------------------------------------------------------------------------

    def _call(self, node: ast.Call, frame: Frame) -> Any:
        special = (
            _SPECIAL_FORMS.get(node.func.id)
            if isinstance(node.func, ast.Name) and node.func.id not in frame.variables
            else None
        )
        if special is not None:
            return special(self, node, frame)
        path = dotted(node.func, frame)
        args = tuple(self.evaluate(arg, frame) for arg in node.args)
        kwargs = {keyword.arg: self.evaluate(keyword.value, frame) for keyword in node.keywords if keyword.arg}
        if path is not None:
            root, _, name = path.partition(".")
            if root in ("torch", "ops"):
                return self.operator(name if root == "torch" else name.replace(".", "::"), args, kwargs, node, frame)
            if name.endswith(".__new__"):  # the code calls __init__ next
                return ObjectCell(path.removesuffix(".__new__"), {})
            return self.apply(self._global(path, node.func, frame), args, kwargs)
        if isinstance(node.func, ast.Attribute):
            receiver = self.evaluate(node.func.value, frame)
            if isinstance(receiver, ObjectCell):
                return self.call_method(receiver, node.func.attr, args, kwargs)
            self._where = (frame.path, node)
            return dispatch.call_packed_method(self, receiver, node.func.attr)
        return self.apply(self.evaluate(node.func, frame), args, kwargs)

    def operator(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], node: ast.AST, frame: Frame) -> Any:
        """Calls an operator, and says where it was called if that fails."""
        self._where = (frame.path, node)
        try:
            return upgrades.call(self, self.archive.version, name, args, kwargs)
        except (LoweringError, GraphTypeError, LookupError) as error:
            raise dispatch.explain(self, name, error) from error
        except (TypeError, ValueError, AttributeError, ArithmeticError) as error:
            raise dispatch.explain(self, name, LoweringError(f"it does not take these arguments ({error})")) from error

    def apply(self, callee: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Calls a function, a method or a class that is a value."""
        if isinstance(callee, BoundMethod):
            return self.call(callee.function, args if callee.receiver is None else (callee.receiver, *args), kwargs)
        if isinstance(callee, NamedTupleInfo):
            fields = tuple(callee.fields)
            given = dict(zip(fields, args, strict=False)) | kwargs
            frame = Frame(callee.path, {})
            items = [given[f] if f in given else self.evaluate(callee.defaults[f], frame) for f in fields]
            return Named.make(callee.qualname, fields, items)
        if isinstance(callee, ClassInfo):
            made = ObjectCell(callee.qualname, {})
            if "__init__" in callee.methods:
                self.call(callee.methods["__init__"], (made, *args), kwargs)
            return made
        raise ReadError(f"{self.archive.path} is damaged: its code calls a {type(callee).__name__}.")


def dotted(node: ast.expr, frame: Frame) -> str | None:
    """``a.b.c`` of an attribute chain that starts with no variable, else None."""
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name) or node.id in frame.variables or not parts:
        return None
    parts.append(node.id)
    return ".".join(reversed(parts))


# ---- forms that look like calls --------------------------------------------------------------------------------------


def _annotate(ip: Interpreter, node: ast.Call, frame: Frame) -> Any:
    """``annotate(T, x)``: also the implicit conversion of a tensor to a number."""
    value = ip.evaluate(node.args[1], frame)
    kind = node.args[0]
    if isinstance(value, Box) and isinstance(kind, ast.Name) and kind.id in ("int", "float", "bool"):
        return ip.number(value, kind.id)
    if isinstance(value, ListCell) and isinstance(kind, ast.Subscript):
        value.elem = ast.unparse(kind.slice)
    return value


def _unchecked_cast(ip: Interpreter, node: ast.Call, frame: Frame) -> Any:
    value = ip.evaluate(node.args[1], frame)
    return value.content if isinstance(value, Maybe) else value


def _getattr(ip: Interpreter, node: ast.Call, frame: Frame) -> Any:
    name = ip.evaluate(node.args[1], frame)
    return ip.get_attribute(ip.evaluate(node.args[0], frame), name)


def _uninitialized(ip: Interpreter, node: ast.Call, frame: Frame) -> Any:
    return Uninitialized(ast.unparse(node.args[0]))


def _isinstance(ip: Interpreter, node: ast.Call, frame: Frame) -> Any:
    value = ip.evaluate(node.args[0], frame)
    kinds = node.args[1].elts if isinstance(node.args[1], (ast.List, ast.Tuple)) else [node.args[1]]
    return any(dispatch.is_instance(value, kind) for kind in kinds)


def _conversion(kind: str) -> Callable[[Interpreter, ast.Call, Frame], Any]:
    return lambda ip, node, frame: ip.number(ip.evaluate(node.args[0], frame), kind)


def _str(ip: Interpreter, node: ast.Call, frame: Frame) -> str:
    return to_text(ip.evaluate(node.args[0], frame))


def _sorted(ip: Interpreter, node: ast.Call, frame: Frame) -> Any:
    return ip.invoke("sorted", *(ip.evaluate(arg, frame) for arg in node.args))


_SPECIAL_FORMS: dict[str, Callable[[Interpreter, ast.Call, Frame], Any]] = {
    "annotate": _annotate,
    "unchecked_cast": _unchecked_cast,
    "uninitialized": _uninitialized,
    "getattr": _getattr,
    "isinstance": _isinstance,
    "int": _conversion("int"),
    "float": _conversion("float"),
    "bool": _conversion("bool"),
    "str": _str,
    "sorted": _sorted,
}

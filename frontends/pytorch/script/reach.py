"""Which operators a program can reach that have no lowering: all of them, for one message."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from nxconvert.errors import Unsupported, UnsupportedError
from nxconvert.formats.torch_archive import TorchArchive
from nxconvert.formats.torch_values import ScriptObject
from nxconvert.formats.torchscript import ClassInfo, FunctionInfo, ScriptCode
from nxconvert.frontends.pytorch.script import dispatch, numbers, registry, upgrades
from nxconvert.frontends.pytorch.table import aten

_NO_OPERATORS = frozenset({"device", "dtype", "classes"})


def complete(archive: TorchArchive, code: ScriptCode, error: UnsupportedError) -> list[Unsupported]:
    """The items of ``error``, and every other operator without a lowering in the code of the archive's modules.

    Args:
        archive: the archive.
        code: its code.
        error: what stopped the conversion.
    """
    found = {item.what: item for item in error.items}
    counts: Counter[str] = Counter()
    for function in _functions(archive, code):
        for node in ast.walk(function.node):
            name = _operator(node)
            if name is None or supported(name):
                continue
            what = name if "::" in name else f"aten::{name}"
            counts[what] += 1
            if what not in found:
                found[what] = Unsupported(what, "", code.location(function.path, node))
    return [replace(item, count=max(item.count, counts[what])) for what, item in found.items()]


def supported(name: str) -> bool:
    """Whether an operator, in-place forms included, has a lowering or is computed while reading."""
    name = name.removeprefix("aten::")
    names = (name, dispatch.functional_name(name))
    return any(n in aten or n in numbers.OPERATIONS or registry.handles(n) or upgrades.is_removed(n) for n in names)


def _operator(node: ast.AST) -> str | None:
    """``add`` of ``torch.add(...)``, ``quantized::linear`` of ``ops.quantized.linear(...)``."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return None
    parts = ast.unparse(node.func).split(".")
    if parts[0] == "torch" and len(parts) == 2 and parts[1] not in _NO_OPERATORS:
        return parts[1]
    return "::".join(parts[1:]) if parts[0] == "ops" and len(parts) == 3 else None


def _functions(archive: TorchArchive, code: ScriptCode) -> Iterator[FunctionInfo]:
    """The functions that ``forward`` of the root reaches: methods of the modules it holds and of the classes named in
    the code, and the free functions named there.
    """
    root = code.find(getattr(archive.data, "qualname", ""))
    queue = [root.methods["forward"]] if isinstance(root, ClassInfo) and "forward" in root.methods else []
    methods: dict[str, list[FunctionInfo]] = {}
    known: set[str] = set()
    called: set[str] = set()

    def learn(info: object) -> None:
        if isinstance(info, ClassInfo) and info.qualname not in known:
            known.add(info.qualname)
            for name, method in info.methods.items():
                methods.setdefault(name, []).append(method)
                queue.extend([method] if name in called else [])

    for qualname in _classes(archive.data):
        learn(code.find(qualname))
    seen: set[str] = set()
    while queue:
        function = queue.pop()
        if function.qualname in seen:
            continue
        seen.add(function.qualname)
        yield function
        for node in ast.walk(function.node):
            if not isinstance(node, ast.Attribute):
                continue
            called.add(node.attr)
            queue.extend(methods.get(node.attr, ()))
            path = ast.unparse(node)
            named = code.find(path) if path.startswith("__torch__.") else None
            learn(named)
            queue.extend([named] if isinstance(named, FunctionInfo) else [])


def _classes(value: object) -> dict[str, None]:
    found: dict[str, None] = {}
    stack, seen = [value], set()
    while stack:
        item = stack.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        if isinstance(item, ScriptObject):
            found[item.qualname] = None
            stack.extend(item.attributes.values())
        elif isinstance(item, (list, tuple)):
            stack.extend(item)
        elif isinstance(item, dict):
            stack.extend(item.values())
    return found

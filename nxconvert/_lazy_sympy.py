"""Importing ``onnx_ir`` without paying for sympy.

``onnx_ir`` imports sympy at its top, for arithmetic on symbolic dimensions that this package never asks of it. That
import is more than half of the cost of ``import onnx_ir`` (about 0.25 of 0.45 s), and start-up is a quarter of a
typical conversion.

While ``onnx_ir`` is being imported, ``sys.modules["sympy"]`` is therefore a stand-in. Of all the module bodies that
run then, one reads attributes of sympy: a table of functions (``sympy.Max``, ``sympy.floor`` ...), which receives
callables that import sympy when they are first called. Every other mention is an annotation or inside a function. As
soon as ``onnx_ir`` is imported, the stand-in leaves ``sys.modules``: whoever imports sympy later (torch does) gets
the real one, and so does ``onnx_ir`` itself, which keeps the stand-in as *its* ``sympy`` and is forwarded attribute
by attribute to the real module.

    from nxconvert._lazy_sympy import install
    install()
    import onnx_ir

Nothing is done when sympy or onnx_ir is already loaded, and when importing ``onnx_ir`` with the stand-in fails for
any reason, it is imported again with the real sympy.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import sys
import types
from collections.abc import Callable, Sequence
from typing import Any

_TARGET = "onnx_ir"


def install() -> None:
    """Make the next ``import onnx_ir`` leave sympy unloaded until symbolic arithmetic is asked for.

    Costs nothing by itself: neither package is imported here. Calling it again, or when ``onnx_ir`` or sympy is
    already imported, is harmless and does nothing.
    """
    if _TARGET in sys.modules or "sympy" in sys.modules:
        return
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


class _StandIn(types.ModuleType):
    """What ``import sympy`` yields inside ``onnx_ir``."""

    def __init__(self) -> None:
        super().__init__("sympy", "Stands in for sympy until one of its functions is called.")
        self._importing = True

    def __getattr__(self, name: str) -> Any:
        # Only reached for names that are not in the module's dictionary. Dunder names are questions of the import
        # system about the module itself ("are you a package?"), which must not be answered with a function.
        if name.startswith("__"):
            raise AttributeError(f"module 'sympy' has no attribute {name!r}")
        if self._importing:
            return _deferred(name)
        return getattr(importlib.import_module("sympy"), name)


def _deferred(name: str) -> Callable[..., Any]:
    """Return a function that calls ``sympy.<name>``, importing sympy then."""

    def call(*args: Any, **kwargs: Any) -> Any:
        return getattr(importlib.import_module("sympy"), name)(*args, **kwargs)

    call.__name__ = call.__qualname__ = name
    return call


# The two classes below have the methods of `importlib.abc.MetaPathFinder` and `Loader` without deriving from them:
# importing that module takes 9 ms.


class _Finder:
    """Finds ``onnx_ir`` as everybody else would, once, and hands it to a loader that runs it with the stand-in."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != _TARGET:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is not None and spec.loader is not None and "sympy" not in sys.modules:
            spec.loader = _Loader(spec.loader)  # type: ignore[assignment]
        return spec


class _Loader:
    """Runs a module with ``sys.modules["sympy"]`` replaced, for just as long as that takes."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType | None:
        module: types.ModuleType | None = self._loader.create_module(spec)
        return module

    def exec_module(self, module: types.ModuleType) -> None:
        # From here on the module is its own loader's business again (resources, pickling, reload).
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        module.__loader__ = self._loader
        stand_in = _StandIn()
        before = set(sys.modules)
        sys.modules["sympy"] = stand_in
        try:
            self._loader.exec_module(module)
            return
        except Exception:  # whatever it was: try once more, without the stand-in
            for name in set(sys.modules) - before:
                if name.startswith(f"{_TARGET}."):
                    del sys.modules[name]
        finally:
            stand_in._importing = False
            if sys.modules.get("sympy") is stand_in:
                del sys.modules["sympy"]
        self._loader.exec_module(module)

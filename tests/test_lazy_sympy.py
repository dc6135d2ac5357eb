"""`import onnx_ir` without sympy: what must work afterwards. Each case needs an interpreter of its own."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

INSTALLED = """
import sys
from nxconvert._lazy_sympy import install
install()
import onnx_ir as ir
"""


def run(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-I", "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_sympy_stays_unloaded():
    out = run(
        INSTALLED
        + """
shape = ir.Shape(["batch", 3, None])
value = ir.Value(name="x", type=ir.TensorType(ir.DataType.FLOAT), shape=shape)
graph = ir.Graph([value], [], nodes=[], name="g", opset_imports={"": 20})
ir.to_proto(ir.Model(graph, ir_version=10))
print([name for name in sys.modules if name.split(".")[0] == "sympy"])
print([type(finder).__module__ for finder in sys.meta_path if "lazy_sympy" in type(finder).__module__])
print(ir.__spec__.loader.__class__.__name__, ir.__loader__.__class__.__name__)
"""
    )
    assert out.split("\n") == ["[]", "[]", "SourceFileLoader SourceFileLoader", ""]


def test_symbolic_arithmetic_works_afterwards():
    out = run(
        INSTALLED
        + """
a = ir.SymbolicDim("a")
print((a + 1).value, (a * 2 - 4).simplify().value, (a // 2).evaluate({"a": 7}))
print(ir.SymbolicDim("max(a, b) + floor(c / 2)").evaluate({"a": 2, "b": 5, "c": 3}))
import sympy
print(ir.SymbolicDim(sympy.Symbol("n") + 1).value, ir._core.sympy.Expr is sympy.Expr, "sympy.core" in sys.modules)
"""
    )
    assert out == "a + 1 2*a - 4 3\n6\nn + 1 True True\n"


def test_a_sympy_already_loaded_is_left_alone():
    out = run(
        """
        import sys
        import sympy
        from nxconvert._lazy_sympy import install
        install()
        import onnx_ir as ir
        print(ir._core.sympy is sympy, sys.modules["sympy"] is sympy)
        """
    )
    assert out == "True True\n"


def test_sympy_imported_between_install_and_use():
    out = run(
        """
        from nxconvert._lazy_sympy import install
        install()
        import sympy
        import onnx_ir as ir
        print(ir._core.sympy is sympy)
        """
    )
    assert out == "True\n"


def test_an_import_that_needs_more_of_sympy_gets_the_real_one():
    """A version of onnx_ir that computes with sympy while it is imported must still import."""
    out = run(
        """
        import sys, types
        from nxconvert import _lazy_sympy

        class Picky:
            tries = 0
            def create_module(self, spec):
                return None
            def exec_module(self, module):
                Picky.tries += 1
                import sympy
                sys.modules["onnx_ir.part"] = types.ModuleType("onnx_ir.part")
                module.value = sympy.Symbol("n") + 1 if sympy.core else None

        class Found:
            def find_spec(self, fullname, path, target=None):
                from importlib.machinery import ModuleSpec
                return ModuleSpec(fullname, Picky()) if fullname == "onnx_ir" else None

        # The package's own import has installed the finder, which is to come before this one.
        sys.meta_path[:] = [each for each in sys.meta_path if not isinstance(each, _lazy_sympy._Finder)]
        sys.meta_path.insert(0, Found())
        _lazy_sympy._StandIn.__getattr__ = lambda self, name: (_ for _ in ()).throw(AttributeError(name))
        _lazy_sympy.install()
        import onnx_ir
        print(onnx_ir.value, Picky.tries, "sympy.core" in sys.modules)
        """
    )
    assert out == "n + 1 2 True\n"


def test_install_is_idempotent_and_harmless_afterwards():
    out = run(INSTALLED + "install(); install()\nimport onnx_ir\nprint(onnx_ir is ir, len(sys.meta_path))\n")
    assert out.startswith("True ")


@pytest.mark.slow
def test_torch_export_still_works():
    pytest.importorskip("torch")
    out = run(
        INSTALLED
        + """
import torch
class Net(torch.nn.Module):
    def forward(self, x):
        return x.reshape(x.shape[0] * x.shape[1], -1) + 1
batch, width = torch.export.Dim("batch"), torch.export.Dim("width")
program = torch.export.export(Net(), (torch.zeros(4, 5, 6),), dynamic_shapes=({0: batch, 1: width},))
print(program.module()(torch.ones(2, 3, 6)).shape, (ir.SymbolicDim("a") + 1).value)
"""
    )
    assert out == "torch.Size([6, 6]) a + 1\n"

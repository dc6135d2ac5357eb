"""Who imports what: frameworks only where something is run, heavy libraries never before they are needed."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FRAMEWORKS = {"torch", "onnxruntime", "caffe2", "cntk", "onnxscript"}
#: Modules that are imported only to run something in a framework, or to read what is pickled Python code.
RUNNING = ("nxconvert/runtimes/torch_", "frontends/pytorch/eager", "backends/pytorch")
HEAVY = {"numpy", "onnx", "onnx_ir", "ml_dtypes", "rich", "google", "sympy"}
#: What the command line and the look for plug-ins import.
LIGHT = (
    *("nxconvert/__init__.py", "nxconvert/plugins.py", "nxconvert/errors.py", "nxconvert/inputs.py"),
    *("nxconvert/detection.py", "nxconvert/runtimes/__init__.py", "nxconvert/runtimes/arrays.py"),
    *("nxconvert/runtimes/onnxruntime.py", "nxconvert/runtimes/reference.py", "nxconvert/runtimes/torch.py"),
)
SOURCES = sorted(
    path.relative_to(ROOT).as_posix()
    for folder in ("nxconvert", "frontends", "backends")
    for path in (ROOT / folder).rglob("*.py")
)


def imports(path: str) -> Iterator[str]:
    """The top packages that a module imports when it is imported: not in functions, not for type checkers."""
    todo: list[ast.AST] = [ast.parse((ROOT / path).read_text(), path)]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield (node.module or "").partition(".")[0]
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            todo.extend(node.orelse)
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            todo.extend(ast.iter_child_nodes(node))


@pytest.mark.parametrize("path", SOURCES)
def test_no_framework_is_imported_with_a_module(path: str) -> None:
    if not path.startswith(RUNNING):
        assert not FRAMEWORKS & set(imports(path))


@pytest.mark.parametrize("path", [*LIGHT, *(path for path in SOURCES if path.startswith("nxconvert/cli/"))])
def test_what_starts_first_is_light(path: str) -> None:
    assert not HEAVY & set(imports(path))


def test_a_checkout_has_all_its_packages() -> None:
    """Python takes those of the folder it is started in, whatever is installed (nothing, with -S)."""
    line = "import nxconvert.frontends as f, nxconvert.backends; print(f.__file__)"
    command = [sys.executable, "-S", "-c", line]
    found = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert Path(found.strip()).is_relative_to(ROOT / "frontends")

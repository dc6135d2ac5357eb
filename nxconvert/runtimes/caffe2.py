"""Runs Caffe2's nets with Caffe2 itself, in an interpreter that has it.

Caffe2 came with PyTorch up to 1.x and with Pythons of its time. ``NXCONVERT_CAFFE2_PYTHON`` names an interpreter that
can import it; without that, this one is taken if it can.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nxconvert.errors import ReadError, RunError
from nxconvert.runtimes.interpreters import Interpreter

if TYPE_CHECKING:
    import numpy as np

    from nxconvert.formats.caffe2.files import Files
    from nxconvert.plugins import Runner


#: Names the interpreter.
PYTHON = "NXCONVERT_CAFFE2_PYTHON"


def _has_caffe2() -> bool:
    """Whether this interpreter has Caffe2's bindings. Imports nothing: later PyTorch has the package without them."""
    spec = importlib.util.find_spec("caffe2")
    places = spec.submodule_search_locations if spec is not None else None
    return any(any(Path(place, "python").glob("caffe2_pybind11_state*")) for place in places or ())


_INTERPRETER = Interpreter(PYTHON, "Caffe2", "that of PyTorch 1.4, say", "caffe2_worker.py", _has_caffe2)


class Caffe2:
    """The framework that the nets come from."""

    name = "caffe2"
    description = "Caffe2, on the CPU, in an interpreter of its own"
    formats = ("caffe2",)
    rank = 10

    def available(self) -> str | None:
        return _INTERPRETER.missing()

    def load(self, path: Path) -> Runner:
        return self._load(path, None)

    def load_pair(self, path: Path, init: Path) -> Runner:
        """The net in `path` with the weights in `init`."""
        return self._load(path, init)

    def _load(self, path: Path, init: Path | None) -> Runner:
        _INTERPRETER.require(path)
        from nxconvert.formats.caffe2.files import find_model

        return Caffe2Runner(find_model(path, init, lambda _: None))


class Caffe2Runner:
    """One model, loaded by a process that lives as long as this object and is started anew if it dies."""

    def __init__(self, files: Files) -> None:
        self._path, self._files = files.path, files
        self._worker = _INTERPRETER.worker()
        loaded = self._load()
        self.inputs = tuple(loaded["inputs"])
        self._outputs = list(loaded["outputs"])
        self.description = f"Caffe2 ({loaded['version']})"

    def _load(self) -> dict[str, Any]:
        path, init = self._path, self._files.init_path
        request = {
            "command": "load",
            "net": os.fspath(path.resolve()),
            "net_kind": _kind(path),
            "init": None if init is None or init == path else os.fspath(init.resolve()),
            "init_kind": "" if init is None else _kind(init),
        }
        answer, _ = self._worker.ask(request, {}, f"{path} cannot be loaded by Caffe2", ReadError)
        return answer

    def __call__(self, inputs: Mapping[str, Any], outputs: Sequence[str] | None = None) -> dict[str, np.ndarray]:
        from nxconvert.plugins import STATE_OUT

        if not self._worker.is_running:
            self._load()
        # An input that the net writes into has its new value in an output of another name.
        given = {name: f"{name}{STATE_OUT}" if name in inputs else name for name in self._outputs}
        wanted = {blob: name for blob, name in given.items() if outputs is None or name in outputs or blob in outputs}
        request = {"command": "run", "outputs": list(wanted)}
        where = f"{self._path} cannot be run by Caffe2 on these inputs"
        _, arrays = self._worker.ask(request, inputs, where, RunError)
        return {wanted[blob]: array for blob, array in arrays.items()}

    def close(self) -> None:
        """Ends the process."""
        self._worker.close()


def _kind(path: Path) -> str:
    """What the other side calls the kind of a file."""
    from nxconvert.formats.caffe2 import detect

    kind = detect(path)
    return "" if kind is None else kind.name.lower()


runtime = Caffe2()

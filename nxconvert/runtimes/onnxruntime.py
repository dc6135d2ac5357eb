"""Runs ONNX models with ONNX Runtime, and with the reference evaluator where ONNX Runtime lacks a kernel."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nxconvert.errors import ReadError, RunError, RuntimeMissingError
from nxconvert.runtimes.arrays import fed, is_wanted, named, reason
from nxconvert.runtimes.declared import declared, require_fit
from nxconvert.runtimes.reference import ReferenceRunner

if TYPE_CHECKING:
    import numpy as np

    from nxconvert.plugins import Runner

_SEVERITY_FATAL = 4  # onnxruntime logs what it also raises: once is enough
# Tensors of these travel between NumPy and ONNX Runtime.
_TRAVELLING = frozenset(
    [
        *("bool", "string", "float16", "float", "double", "complex64", "complex128"),
        *(f"{kind}{width}" for kind in ("int", "uint") for width in (8, 16, 32, 64)),
    ]
)


class OnnxRuntime:
    """The runtime that ONNX models are made for."""

    name = "onnxruntime"
    description = "ONNX Runtime, on the CPU"
    formats = ("onnx",)
    rank = 10

    def available(self) -> str | None:
        if importlib.util.find_spec("onnxruntime") is None:
            return "onnxruntime is not installed: pip install 'nxconvert[runtime]'"
        return None

    def load(self, path: Path) -> Runner:
        missing = self.available()
        if missing:
            raise RuntimeMissingError(f"{path} cannot be run: {missing}")
        import onnxruntime
        from onnxruntime.capi.onnxruntime_pybind11_state import NotImplemented as NoKernel

        options = onnxruntime.SessionOptions()
        options.log_severity_level = _SEVERITY_FATAL
        options.use_deterministic_compute = True
        try:
            session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        except NoKernel as error:
            return ReferenceRunner(path, why=f"onnxruntime has no kernel: {reason(error)}")
        except Exception as error:
            raise ReadError(f"{path} cannot be loaded by onnxruntime: {reason(error)}") from error
        foreign = [item.type for item in (*session.get_inputs(), *session.get_outputs()) if not _travels(item.type)]
        if foreign:
            return ReferenceRunner(path, why=f"onnxruntime hands no {foreign[0]} to Python")
        return OnnxRuntimeRunner(path, session, f"onnxruntime {onnxruntime.__version__}")


def _travels(type_: str) -> bool:
    """Whether NumPy has arrays of an ONNX type such as ``tensor(float)`` or ``seq(tensor(int64))``."""
    return type_.rpartition("(")[2].rstrip(")") in _TRAVELLING


class OnnxRuntimeRunner:
    """One ONNX model in an ONNX Runtime session."""

    def __init__(self, path: Path, session: Any, description: str) -> None:
        self._path = path
        self._session = session
        self.inputs = tuple(item.name for item in session.get_inputs())
        self._complex = frozenset(item.name for item in session.get_inputs() if "complex" in item.type)
        tensors = [item for item in session.get_inputs() if item.type.startswith("tensor(")]
        self._declared = {item.name: declared(item.type[7:-1], tuple(item.shape)) for item in tensors}
        self._optional = frozenset(item.name for item in session.get_overridable_initializers())
        self._optional |= frozenset(self.inputs) - frozenset(self._declared)
        self.description = description

    def __call__(self, inputs: Mapping[str, Any], outputs: Sequence[str] | None = None) -> dict[str, np.ndarray]:
        wanted = [item.name for item in self._session.get_outputs() if is_wanted(item.name, outputs)]
        require_fit(self._path, "onnxruntime", self._declared, self._optional, inputs)
        try:
            values = self._session.run(wanted, fed(inputs, self._complex))
        except Exception as error:
            raise RunError(f"{self._path} cannot be run by onnxruntime on these inputs: {reason(error)}") from error
        return named(wanted, values)


runtime = OnnxRuntime()

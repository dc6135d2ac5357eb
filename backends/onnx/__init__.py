"""Writes ONNX files: ``.nx`` and ``.onnx`` are the same bytes.

What is heavy is imported when a model is written, not when formats are looked up.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx_ir as ir

    from nxconvert.plugins import WriteOptions

__all__ = ["OnnxBackend", "backend"]


class OnnxBackend:
    """The ONNX writer; see `nxconvert.plugins.Backend`."""

    name = "onnx"
    description = "ONNX models, for ONNX Runtime, Netron and every other ONNX tool"
    suffixes = (".nx", ".onnx")

    def write(self, model: ir.Model, path: Path, options: WriteOptions) -> None:
        """Writes `model` to `path`; converts it to the operator set asked for first.

        Raises:
            WriteError: the place cannot be written to, or a weight cannot be read.
            UnsupportedError: the operator set asked for cannot express the model.
            UsageError: the operator set asked for is not one that can be written.
        """
        from nxconvert.backends.onnx.writer import write_model

        write_model(model, path, options)


backend = OnnxBackend()

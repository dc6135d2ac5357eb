"""Reads ONNX files, of whatever suffix, operator set and weight layout."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx_ir as ir

    from nxconvert.plugins import ReadOptions

__all__ = ["OnnxFrontend", "frontend"]


class OnnxFrontend:
    """The ONNX reader; see `nxconvert.plugins.Frontend`."""

    name = "onnx"
    description = "ONNX models"
    suffixes = (".nx", ".onnx")
    takes_outputs = True

    def detect(self, path: Path) -> bool:
        from nxconvert.frontends.onnx.sniff import looks_like_onnx

        return path.is_file() and looks_like_onnx(path)

    def read(self, path: Path, options: ReadOptions) -> ir.Model:
        from nxconvert.frontends.onnx.reader import read_model

        return read_model(path, options)


frontend = OnnxFrontend()

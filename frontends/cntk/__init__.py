"""The CNTK frontend: models of CNTK 2, read without CNTK."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx_ir as ir

    from nxconvert.plugins import ReadOptions


class CntkFrontend:
    """Reads models of CNTK; see `nxconvert.plugins.Frontend`."""

    name = "cntk"
    description = "CNTK: models of version 2, checkpoints of trainers, binary files of version 1"
    suffixes = (".model", ".dnn", ".cmf", ".cntk")
    takes_outputs = True

    def detect(self, path: Path) -> bool:
        from nxconvert.formats.cntk.sniff import looks_like_cntk

        return path.is_file() and looks_like_cntk(path)

    def read(self, path: Path, options: ReadOptions) -> ir.Model:
        from nxconvert.frontends.cntk.model import read

        return read(path, options)


frontend = CntkFrontend()

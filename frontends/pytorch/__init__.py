"""The PyTorch frontend: TorchScript archives and exported programs, read without PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx_ir as ir

    from nxconvert.plugins import ReadOptions


class PyTorchFrontend:
    """Reads what ``torch.jit.save`` and ``torch.export.save`` wrote."""

    name = "pytorch"
    description = "PyTorch: TorchScript archives and exported programs"
    suffixes = (".pt", ".pt2", ".pth", ".ptl", ".torchscript")

    def detect(self, path: Path) -> bool:
        from nxconvert.formats.torch_archive import detect

        return path.is_file() and detect(path) is not None

    def read(self, path: Path, options: ReadOptions) -> ir.Model:
        from nxconvert.frontends.pytorch.reader import read

        return read(path, options)


frontend = PyTorchFrontend()
